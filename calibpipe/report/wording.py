"""Numbers and lists as people read them: rounded to their error, powers of ten written out."""

import math
from collections.abc import Sequence

__all__ = ["counted", "listed", "power_of_ten", "rounded", "signed", "with_errors"]

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_MINUS = "\N{MINUS SIGN}"


def power_of_ten(exponent: int) -> str:
    """``10¹⁸`` for 18."""
    return "10" + str(exponent).translate(_SUPERSCRIPTS)


def rounded(value: float, *errors: float, digits: int = 5) -> tuple[str, ...]:
    """Value and errors as text, all to the second significant digit of the smallest error.

    Parameters
    ----------
    value : float
    errors : float
        Errors of the value; those that are zero or not finite do not decide.
    digits : int
        Significant digits when no error decides.

    Returns
    -------
    tuple of str
        Value, then each error; a dash for what is not a finite number.
    """
    deciding = [abs(error) for error in errors if math.isfinite(error) and error != 0]
    if deciding:
        places = 1 - _exponent(min(deciding), 2)
    elif math.isfinite(value) and value != 0:
        places = digits - 1 - _exponent(abs(value), digits)
    else:
        places = 0
    return tuple(_fixed(number, places) for number in (value, *errors))


def signed(value: float, places: int) -> str:
    """``+0.12`` or ``−0.12``: a difference."""
    return f"{value:+.{places}f}".replace("-", _MINUS)


def with_errors(value: float, stat: float, sys: float) -> dict[str, str]:
    """Value with its statistical and systematic error for the page."""
    number, *errors = rounded(value, stat, sys)
    return {"value": number, "stat": errors[0], "sys": errors[1]}


def _exponent(number: float, digits: int) -> int:
    """Decimal exponent of a positive number after rounding it to some significant digits."""
    return int(f"{number:.{digits - 1}e}".split("e")[1])


def _fixed(number: float, places: int) -> str:
    if not math.isfinite(number):
        return "–"
    text = f"{round(number, places):.{max(places, 0)}f}"
    return text.replace("-", _MINUS)


def counted(n: int, noun: str) -> str:
    """``1 step``, ``2 steps``."""
    return f"{n} {noun}{'' if n == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    """``a, b and c``."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
