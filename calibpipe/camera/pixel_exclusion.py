"""Exclusion of pixels: all evidence of a night, history with hysteresis, decisions of operators.

Evidence of single nights flickers; a list of excluded pixels must not. A pixel is excluded that
has evidence against it in N of the last M nights, and comes back after M' nights without any.
"""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntFlag
from typing import Any

import numpy as np

from ..core.exceptions import ConfigurationError

__all__ = [
    "Exclusion",
    "ExclusionReason",
    "Hysteresis",
    "PixelOverride",
    "carried_evidence",
    "evidence_of",
    "excluded_pixels",
    "overrides_of",
]

EXCLUDE, INCLUDE = "exclude_pixels", "include_pixels"


class ExclusionReason(IntFlag):
    """Where the evidence against a pixel comes from. Never reuse a number."""

    STATISTICS = 1  # pedestal, noise, flat-field charge or time of pixel statistics
    COEFFICIENTS = 2  # gain or photoelectrons of the coefficients
    SINGLE_PHOTOELECTRON = 4
    PHOTON_TRANSFER = 8
    LINEARITY = 16
    GAIN_RATIO = 32
    CROSSTALK = 64
    OPERATOR = 128
    NOT_MEASURED = 256  # by any product of the night


@dataclass(frozen=True)
class Hysteresis:
    """N of M nights to exclude, M' nights to come back.

    Parameters
    ----------
    n_bad, n_nights : int
        Nights with evidence, of the last nights that there are data of.
    n_good : int
        Nights in a row without evidence.
    """

    n_bad: int = 2
    n_nights: int = 3
    n_good: int = 3


@dataclass(frozen=True)
class PixelOverride:
    """Decision of an operator.

    Parameters
    ----------
    decision : str
        ``exclude_pixels`` or ``include_pixels``.
    pixels : tuple of int
    begin, end : date
        First and last night; `end` None: until another decision.
    author, date, reason : str
    """

    decision: str
    pixels: tuple[int, ...]
    begin: datetime.date
    end: datetime.date | None
    author: str
    date: str
    reason: str

    def holds(self, night: datetime.date) -> bool:
        """Whether it is in force in a night."""
        return self.begin <= night and (self.end is None or night <= self.end)

    def text(self) -> dict[str, Any]:
        """As JSON."""
        pixels = {"decision": self.decision, "pixels": list(self.pixels)}
        nights = {"night": str(self.begin), "until": str(self.end) if self.end else None}
        return pixels | nights | {n: getattr(self, n) for n in ("author", "date", "reason")}


@dataclass(frozen=True)
class Exclusion:
    """What holds after a night, arrays (n_pixels,).

    Parameters
    ----------
    is_excluded : ndarray, bool
    excluded_by_evidence : ndarray, bool
        Without the decisions of operators.
    reasons : ndarray, uint16
        Bits of `ExclusionReason` of the nights that count, of an excluded pixel; 0 of others.
    n_bad, n_good : ndarray, int
        Nights with evidence among those that count; nights in a row without, up to now.
    since : ndarray of str
        Night in which the pixel was excluded; empty for others.
    by_operator : ndarray, int8
        1: excluded, -1: included by a decision; 0: none.
    """

    is_excluded: np.ndarray
    excluded_by_evidence: np.ndarray
    reasons: np.ndarray
    n_bad: np.ndarray
    n_good: np.ndarray
    since: np.ndarray
    by_operator: np.ndarray


def evidence_of(found: Mapping[ExclusionReason, np.ndarray], n_pixels: int) -> np.ndarray:
    """Bits of all evidence of a night, (n_pixels,) uint16.

    Parameters
    ----------
    found : mapping of ExclusionReason to bool array, (..., n_pixels)
        True where there is evidence, in any row or channel.

    Raises
    ------
    ConfigurationError
        If an array has another number of pixels, or there is no evidence of any kind.
    """
    if not found:
        raise ConfigurationError(
            "no product says anything of the pixels; give coefficients, photon transfer, "
            "cross-talk or single photoelectrons of the night"
        )
    bits = np.zeros(n_pixels, np.uint16)
    for reason, given in found.items():
        values = np.asarray(given, bool)
        if values.shape[-1] != n_pixels:
            raise ConfigurationError(
                f"{str(reason.name).lower()} is of {values.shape[-1]} pixels, "
                f"the camera has {n_pixels}"
            )
        bad = values.reshape(-1, n_pixels).any(axis=0)
        bits |= np.where(bad, reason.value, 0).astype(np.uint16)
    return bits


def carried_evidence(
    evidence: np.ndarray, measured: Iterable[ExclusionReason], before: np.ndarray
) -> np.ndarray:
    """Evidence of a night with that of the night before where nothing was measured anew.

    Calibration sets are taken every month: what one says of a pixel holds until the next one.
    One set is therefore enough to exclude a pixel after `Hysteresis.n_bad` nights.

    Parameters
    ----------
    evidence, before : array, (n_pixels,), uint16
        Bits of this night, and of the night before.
    measured : iterable of ExclusionReason
        What this night's products tell.
    """
    known = np.bitwise_or.reduce([reason.value for reason in measured], initial=0)
    return (evidence | (before & ~np.uint16(known))).astype(np.uint16)


def overrides_of(
    entries: Sequence[Mapping[str, Any]], site: str, telescope: str
) -> list[PixelOverride]:
    """Decisions on pixels of a telescope among all that operators have made.

    Parameters
    ----------
    entries : sequence of mapping
        Of ``config/overrides.yaml``: decision, site, telescope, pixels, night (of the first
        night), until (optional), author, date, reason.

    Raises
    ------
    ConfigurationError
        If author, date, reason, pixels or night are missing or wrong.
    """
    found = []
    for entry in entries:
        wanted = entry.get("decision") in (EXCLUDE, INCLUDE)
        if not wanted or (entry.get("site"), entry.get("telescope")) != (site, telescope):
            continue
        missing = [
            name for name in ("pixels", "night", "author", "date", "reason") if not entry.get(name)
        ]
        if missing:
            raise ConfigurationError(
                f"a decision {entry['decision']} of {telescope} has no {', '.join(missing)}: "
                "decisions are dated, signed and have a reason"
            )
        try:
            begin = datetime.date.fromisoformat(str(entry["night"]))
            end = datetime.date.fromisoformat(str(entry["until"])) if entry.get("until") else None
            pixels = tuple(int(pixel) for pixel in entry["pixels"])
        except (TypeError, ValueError) as error:
            raise ConfigurationError(
                f"a decision {entry['decision']} of {telescope}: {error}; give nights as "
                "YYYY-MM-DD and pixels as a list of numbers"
            ) from error
        signed = (str(entry[name]) for name in ("author", "date", "reason"))
        found.append(PixelOverride(entry["decision"], pixels, begin, end, *signed))
    return found


def excluded_pixels(
    nights: Sequence[str],
    evidence: np.ndarray,
    was_excluded: np.ndarray,
    since: np.ndarray,
    *,
    hysteresis: Hysteresis | None = None,
    overrides: Sequence[PixelOverride] = (),
) -> Exclusion:
    """Excluded pixels after the last night, from its evidence and that of nights before.

    Nights without data do not count. An operator's decision comes before all evidence; of two on
    one pixel the last in the list holds.

    Parameters
    ----------
    nights : sequence of str
        Ascending, the last is this one.
    evidence : array, (n_nights, n_pixels), uint16
        Bits of each night.
    was_excluded : bool array, (n_pixels,)
        By evidence, after the night before.
    since : array of str, (n_pixels,)
        Night in which it was excluded.
    hysteresis : Hysteresis, optional
    overrides : sequence of PixelOverride

    Raises
    ------
    ConfigurationError
        If the numbers of nights are impossible, nights are not ascending or do not fit the
        evidence, or a decision names a pixel that there is not.
    """
    rule = hysteresis or Hysteresis()
    _check(nights, evidence, rule, overrides)
    bad = np.asarray(evidence) != 0
    recent = bad[-rule.n_nights :]
    n_bad = recent.sum(axis=0)
    n_good = np.cumprod(~bad[::-1], axis=0).sum(axis=0)
    returns = n_good >= rule.n_good
    by_evidence = np.where(was_excluded, ~returns, n_bad >= rule.n_bad)
    operator = np.zeros(bad.shape[1], np.int8)
    this_night = datetime.date.fromisoformat(nights[-1])
    for decision in overrides:
        if decision.holds(this_night):
            operator[list(decision.pixels)] = 1 if decision.decision == EXCLUDE else -1
    is_excluded = (by_evidence | (operator == 1)) & (operator != -1)
    window = max(rule.n_nights, rule.n_good)
    reasons = np.bitwise_or.reduce(np.asarray(evidence, np.uint16)[-window:], axis=0)
    reasons = reasons | np.where(operator == 1, ExclusionReason.OPERATOR.value, 0)
    # a pixel that stays excluded keeps its night; one that comes anew, also by operator, has this
    known = np.where(np.asarray(since).astype(str) != "", since, nights[-1])
    return Exclusion(
        is_excluded=is_excluded,
        excluded_by_evidence=by_evidence,
        reasons=np.where(is_excluded, reasons, 0).astype(np.uint16),
        n_bad=n_bad,
        n_good=n_good,
        since=np.where(is_excluded, known, "").astype("U10"),
        by_operator=operator,
    )


def _check(
    nights: Sequence[str],
    evidence: np.ndarray,
    rule: Hysteresis,
    overrides: Sequence[PixelOverride],
) -> None:
    if not (1 <= rule.n_bad <= rule.n_nights and rule.n_good >= 1):
        raise ConfigurationError(
            f"{rule.n_bad} of {rule.n_nights} nights to exclude and {rule.n_good} to come back: "
            "needs 1 <= n_bad <= n_nights and n_good >= 1"
        )
    if len(nights) != len(evidence) or list(nights) != sorted(set(nights)):
        raise ConfigurationError(
            f"evidence of {len(evidence)} nights for {', '.join(nights)}: give one row for each "
            "night, in order"
        )
    n_pixels = np.shape(evidence)[1]
    for decision in overrides:
        strange = [pixel for pixel in decision.pixels if not 0 <= pixel < n_pixels]
        if strange:
            raise ConfigurationError(
                f"the decision of {decision.author} of {decision.date} names pixels {strange}, the "
                f"camera has {n_pixels}"
            )
