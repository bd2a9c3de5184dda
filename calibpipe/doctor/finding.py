"""What a check has found: how bad, about what, what to do."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum

from ..core.exceptions import CalibPipeError, ConfigurationError

__all__ = ["Finding", "Level", "fail", "ok", "run_checks", "warning"]


class Level(StrEnum):
    """How bad it is: nights run, nights run with less, nights do not run."""

    OK = "OK"
    WARNING = "WARNING"
    FAIL = "FAIL"


@dataclass(frozen=True)
class Finding:
    """One line of the doctor.

    Parameters
    ----------
    level : Level
        How bad.
    what : str
        What was found, with the value and the limit.
    remedy : str
        What to do; empty if all is well.
    exit_code : int
        Of the error that a night would meet; 0 unless the level is FAIL.
    area : str
        What was examined: ``packages``, ``disk``.
    """

    level: Level
    what: str
    remedy: str = ""
    exit_code: int = 0
    area: str = ""

    def __str__(self) -> str:
        text = f"{self.level:<8}{self.area}: {self.what}"
        return f"{text}\n{'':8}-> {self.remedy}" if self.remedy else text

    def document(self) -> dict[str, str | int]:
        """The finding as JSON has it."""
        return asdict(self)


def ok(what: str) -> Finding:
    """All is well."""
    return Finding(Level.OK, what)


def warning(what: str, remedy: str) -> Finding:
    """Nights run, but slower or with less than was asked for."""
    return Finding(Level.WARNING, what, remedy)


def fail(what: str, remedy: str, error: type[CalibPipeError] = ConfigurationError) -> Finding:
    """Nights will fail, with the exit code of `error`."""
    return Finding(Level.FAIL, what, remedy, error.exit_code)


def run_checks(
    checks: Iterable[tuple[str, Callable[[], Iterable[Finding]]]],
) -> Iterator[Finding]:
    """Findings of checks by the area of each; an error of ours is a finding, not the end.

    Parameters
    ----------
    checks : iterable of (str, callable)
        Area, and a function that gives its findings.
    """
    for area, check in checks:
        try:
            for found in check():
                yield Finding(found.level, found.what, found.remedy, found.exit_code, area)
        except CalibPipeError as error:
            what, _, remedy = str(error).partition("; ")
            yield Finding(Level.FAIL, what, remedy, error.exit_code, area)
        except Exception as error:  # the other checks go on; a night would meet it, too
            what = f"{type(error).__name__}: {error}"
            yield Finding(Level.FAIL, what, "report it: this has no message of ours", 1, area)
