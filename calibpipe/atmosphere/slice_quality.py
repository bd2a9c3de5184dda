"""Quality of a slice of time from all instruments, with reasons by name."""

from collections.abc import Collection
from dataclasses import dataclass, fields

import numpy as np

from ..core.exceptions import ConfigurationError

__all__ = [
    "BAD",
    "CORRECTABLE",
    "GOOD",
    "QUALITIES",
    "REASONS",
    "UNKNOWN",
    "Measured",
    "QualityLimits",
    "cloud_signs",
    "monitoring_reasons",
    "quality",
    "transmission_reasons",
]

GOOD, CORRECTABLE, BAD, UNKNOWN = QUALITIES = ("good", "correctable", "bad", "unknown")

REASONS = {
    "fram_not_clear": "FRAM: the window is not clear",
    "cloud_fraction": "all-sky camera: clouds cover significantly more than the limit",
    "overcast": "all-sky camera: clouds cover significantly more than can be corrected",
    "ctc_low": "Cherenkov transparency coefficient significantly below its limit",
    "ctc_very_low": "Cherenkov transparency coefficient significantly below what can be corrected",
    "ctc_high": "Cherenkov transparency coefficient significantly above its limit",
    "layer": "LIDAR: mean optical depth of clouds above its limit",
    "opaque": "LIDAR: clouds of unknown optical depth in more profiles than allowed",
    "variable": "LIDAR: the optical depth varies too much within the slice",
    "transmission": "transmission from the reference height below the limit of good",
    "transmission_low": "transmission from the reference height below what can be corrected",
    "imprecise": "error of the transmission from the reference height above its limit",
    "disagreement": "LIDAR and FRAM disagree",
    "cloud_without_height": "clouds, and no LIDAR that says at which height",
    "undecided": "FRAM alone cannot exclude clouds, no other instrument does",
    "no_profile": "neither LIDAR nor FRAM measured",
}
_OF = {
    BAD: {"overcast", "ctc_very_low", "ctc_high", "opaque", "variable", "transmission_low"},
    UNKNOWN: {"imprecise", "disagreement", "cloud_without_height", "undecided", "no_profile"},
    CORRECTABLE: {"fram_not_clear", "cloud_fraction", "ctc_low", "layer", "transmission"},
}
FRAM_CLOUDS = {"variable", "drifting", "patchy"}  # a window in which the depth varies
FRAM_OPEN = {"aerosol", "few", "insensitive"}  # aerosols or clouds


@dataclass(frozen=True)
class QualityLimits:
    """Limits of the quality.

    Attributes
    ----------
    good_transmission : float
        From the reference height, of a good slice. # ASSUME: 15 % of light are what a standard
        simulation and its scale of energies bear.
    correctable_transmission : float
        Of a correctable one (Schmuckermaier et al. 2023: "down to around 0.65").
    max_transmission_error : float
        Statistical and systematic, of both.
    max_cloud_fraction, max_correctable_cloud_fraction : float
        All-sky camera.
    min_transparency, max_transparency, correctable_transparency : float
        Cherenkov transparency coefficient.
    max_layer_depth : float
        Of clouds by LIDAR, of a good slice.
    max_scatter : float
        Of the optical depth within a slice, of a correctable one.
    significance : float
        Standard errors by which a limit of cloud fraction or coefficient is exceeded.
    """

    good_transmission: float = 0.85
    correctable_transmission: float = 0.65
    max_transmission_error: float = 0.1
    max_cloud_fraction: float = 0.2
    max_correctable_cloud_fraction: float = 0.8
    min_transparency: float = 0.8
    max_transparency: float = 1.2
    correctable_transparency: float = 0.65
    max_layer_depth: float = 0.03
    max_scatter: float = 0.15
    significance: float = 2.0

    def __post_init__(self) -> None:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        if bad := {n: v for n, v in values.items() if not np.isfinite(v) or v <= 0}:
            raise ConfigurationError(f"limits of the quality of slices: {bad}; all must be above 0")
        for less, more in (
            ("correctable_transmission", "good_transmission"),
            ("max_cloud_fraction", "max_correctable_cloud_fraction"),
            ("correctable_transparency", "min_transparency"),
            ("min_transparency", "max_transparency"),
        ):
            if values[less] > values[more]:
                raise ConfigurationError(
                    f"limits of the quality of slices: {less} {values[less]:g} is above {more} "
                    f"{values[more]:g}; it must not be"
                )


@dataclass(frozen=True)
class Measured:
    """A number with errors, NaN if it was not measured."""

    value: float = np.nan
    stat_error: float = np.nan
    sys_error: float = np.nan

    @property
    def error(self) -> float:
        """Statistical and systematic error."""
        return float(np.hypot(self.stat_error, self.sys_error))

    def is_above(self, limit: float, significance: float) -> bool:
        """Significantly above; not if it was not measured."""
        return bool(self.value - significance * self.error > limit)

    def is_below(self, limit: float, significance: float) -> bool:
        """Significantly below; not if it was not measured."""
        return bool(self.value + significance * self.error < limit)


def monitoring_reasons(
    fram: Collection[str], sky: Measured, coefficient: Measured, limits: QualityLimits
) -> list[str]:
    """Reasons of FRAM, all-sky camera and trigger rates; what was not measured gives none.

    Parameters
    ----------
    fram : collection of str
        Reasons of the windows of FRAM (`clear_night.REASONS`); empty also without FRAM.
    sky, coefficient : Measured
        Cloud fraction; Cherenkov transparency coefficient.
    limits : QualityLimits
    """
    k = limits.significance
    applies = {
        "fram_not_clear": bool((FRAM_CLOUDS | {"aerosol"}) & set(fram)),
        "cloud_fraction": sky.is_above(limits.max_cloud_fraction, k),
        "overcast": sky.is_above(limits.max_correctable_cloud_fraction, k),
        "ctc_low": coefficient.is_below(limits.min_transparency, k),
        "ctc_very_low": coefficient.is_below(limits.correctable_transparency, k),
        "ctc_high": coefficient.is_above(limits.max_transparency, k),
    }
    return [name for name, does in applies.items() if does]


def cloud_signs(fram: Collection[str], reasons: Collection[str]) -> list[str]:
    """What says that there are clouds, without the LIDAR, in words for a status."""
    return [
        text
        for text, says in (
            ("FRAM", FRAM_CLOUDS & set(fram)),
            ("all-sky camera", "cloud_fraction" in reasons),
            ("transparency coefficient", "ctc_low" in reasons),
        )
        if says
    ]


def transmission_reasons(through: Measured, limits: QualityLimits) -> list[str]:
    """Reasons of the transmission from the reference height."""
    applies = {
        "transmission": through.value < limits.good_transmission,
        "transmission_low": through.value < limits.correctable_transmission,
        "imprecise": not through.error <= limits.max_transmission_error,
    }
    return [name for name, does in applies.items() if does]


def quality(reasons: Collection[str]) -> str:
    """Quality that follows from all reasons: the worst of bad, unknown, correctable, or good.

    Bad comes before unknown: what one instrument shows to be bad another cannot mend.

    Raises
    ------
    ConfigurationError
        If a reason is not one of `REASONS`.
    """
    if unknown := sorted(set(reasons) - set(REASONS)):
        raise ConfigurationError(
            f"unknown reasons {', '.join(unknown)}; known: {', '.join(REASONS)}"
        )
    return next((name for name, members in _OF.items() if members & set(reasons)), GOOD)
