"""A product made again from what it says of itself: its run, its inputs, its code."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.exceptions import CorruptedInputError, MissingInputError
from ..core.files import sha256
from ..core.product_header import ProductHeader, read_product_header
from .errors import NoValidProductError
from .lookup import product_path
from .repository import Archive

__all__ = ["CHANGED", "MISSING", "Source", "recipe", "settings", "sources", "unusable"]

SAME_BYTES, SAME_CONTENT, FROM_ARCHIVE = "same bytes", "same content", "from the archive"
CHANGED, MISSING = "changed", "missing"


@dataclass(frozen=True)
class Source:
    """An input of a product, and where it is now.

    Parameters
    ----------
    role, named : str
        As in the product's header.
    path : Path
        Where it is taken from.
    expected, found : str
        SHA-256 then and now; empty if it is not there.
    state : str
        ``same bytes``, ``same content`` (made again: same identifier), ``from the archive``,
        ``changed`` or ``missing``.
    """

    role: str
    named: str
    path: Path
    expected: str
    found: str
    state: str

    def __str__(self) -> str:
        found = f"has {self.found[:12]}" if self.found else "is not there"
        return f"{self.role}: {self.path} {found}, needs sha256 {self.expected[:12]}"


def recipe(header: ProductHeader) -> dict[str, Any]:
    """What a product says of its run: ``tool``, ``configuration``, ``directory``, ``outputs``.

    Raises
    ------
    MissingInputError
        If it says nothing: it was made by an older version, or by others.
    """
    run = header.own.get("run")
    if not run or not run.get("tool"):
        raise MissingInputError(
            f"{header.path} does not say how it was made (products of CalibPipe before 0.1.0, "
            "imported ones, and coefficients with excluded pixels that calibpipe-export merged do "
            "not): the log of its step begins with the command"
        )
    return run | {"configuration": json.loads(run["configuration"])}


def located(named: str, directory: Path, replaced: Mapping[str, str]) -> Path:
    """Where a file of a product's run is now.

    Parameters
    ----------
    named : str
        Path as the product names it; relative to the folder of the run.
    directory : Path
        That folder, or what is in its place.
    replaced : mapping
        Beginnings of paths, old to new.
    """
    for old, new in replaced.items():
        if named == old or named.startswith(f"{old.rstrip('/')}/"):
            named = new.rstrip("/") + named[len(old.rstrip("/")) :]
            break
    return directory / named


def sources(
    header: ProductHeader,
    directory: Path,
    replaced: Mapping[str, str],
    archive: Archive | None = None,
) -> list[Source]:
    """Inputs of a product as they are now: at their places, or products of the archive."""
    return [_source(entry, directory, replaced, archive) for entry in header.inputs]


def _source(
    entry: Mapping[str, str],
    directory: Path,
    replaced: Mapping[str, str],
    archive: Archive | None,
) -> Source:
    path = located(entry["path"], directory, replaced)
    expected, identifier = entry["sha256"], entry.get("product_id", "")
    found = sha256(path) if path.is_file() else ""
    state = CHANGED if found else MISSING
    if found == expected:
        state = SAME_BYTES
    elif found and identifier and _identifier(path) == identifier:
        state = SAME_CONTENT
    elif identifier and archive is not None:
        try:
            path = product_path(archive, identifier)
            found, state = sha256(path), FROM_ARCHIVE
        except NoValidProductError:
            pass
    return Source(entry["role"], entry["path"], path, expected, found, state)


def _identifier(path: Path) -> str:
    try:
        return str(read_product_header(path).product_id)
    except CorruptedInputError:
        return ""


def unusable(found: Sequence[Source]) -> list[Source]:
    """Inputs that are missing or other ones than the product was made of."""
    return [source for source in found if source.state in (CHANGED, MISSING)]


def settings(
    run: Mapping[str, Any],
    found: Sequence[Source],
    directory: Path,
    replaced: Mapping[str, str],
    folder: Path,
) -> dict[str, Any]:
    """Configuration of the run with the places of today.

    Parameters
    ----------
    run : mapping
        From `recipe`.
    found : sequence of Source
        Inputs.
    directory, replaced
        As in `located`.
    folder : Path
        For the outputs.

    Returns
    -------
    dict
        Of the Tool's class, for a configuration file; what is written goes below `folder`.
    """
    places = {(directory / s.named).resolve(): str(s.path.resolve()) for s in found}

    def moved(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: moved(entry) for key, entry in value.items()}
        if isinstance(value, list):
            return [moved(entry) for entry in value]
        if not isinstance(value, str) or not value:
            return value
        if place := places.get((directory / value).resolve()):
            return place
        return _replaced(value, replaced) if "/" in value else value  # a word is no path

    ((name, own),) = run["configuration"].items()
    outputs = {
        key: str(folder.resolve() / Path(own[key]).name) for key in run["outputs"] if own.get(key)
    }
    return {name: moved(own) | outputs}


def _replaced(value: str, replaced: Mapping[str, str]) -> str:
    there = any(value == old or value.startswith(f"{old.rstrip('/')}/") for old in replaced)
    return str(located(value, Path(), replaced)) if there else value
