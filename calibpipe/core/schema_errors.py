"""What a JSON schema refuses, in one sentence: where, what, which word was meant."""

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jsonschema import ValidationError

__all__ = ["refusal"]


def refusal(error: "ValidationError") -> str:
    """Sentence for a user, ``meteo: ... ('sorce' was unexpected); did you mean 'source'?``.

    Parameters
    ----------
    error : jsonschema.ValidationError

    Returns
    -------
    str
        Keys that the schema has if none is like the one that it has not; what the schema says of
        the entry if it describes it.
    """
    where = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in error.absolute_path)
    text = f"{where.removeprefix('.')}: {error.message}".removeprefix(": ")
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = list(error.schema.get("properties", {}))
        meant = [m for key in error.instance if key not in known for m in _like(key, known)]
        there = f"there are {', '.join(known)}" if known else ""
        text += f"; {_question(meant) or there}".removesuffix("; ")
    elif error.validator == "enum":
        meant = _like(error.instance, error.validator_value)
        text += f"; {_question(meant)}".removesuffix("; ")
    if description := error.schema.get("description"):
        text += f" ({description.rstrip('.')})"
    return text


def _like(word: object, known: list[object]) -> list[str]:
    return get_close_matches(str(word), [str(name) for name in known], n=1)


def _question(meant: list[str]) -> str:
    return f"did you mean {' and '.join(map(repr, meant))}?" if meant else ""
