"""From what the instruments saw in a slice to its profile, status and quality.

The LIDAR gives the profile; FRAM tests it and improves it. Without LIDAR, FRAM's column with an
assumed shape does, but only where nothing says cloud. All-sky camera and trigger rates judge.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from .aerosol_profile import Column, DepthProfile, column_pull, exponential_profile, with_column
from .lidar_slices import LidarSlice
from .slice_quality import (
    FRAM_OPEN,
    Measured,
    QualityLimits,
    cloud_signs,
    monitoring_reasons,
    quality,
    transmission_reasons,
)

__all__ = [
    "Conditions",
    "Grid",
    "SliceConditions",
    "SliceInput",
    "slice_conditions",
    "transmission_of",
]

ERRORS = ("", "_stat_error", "_sys_error")


@dataclass(frozen=True)
class Grid:
    """Altitudes and wavelengths of the product, and where the transmission is judged.

    Attributes
    ----------
    altitude : Quantity, (n_altitudes,)
        Above the sea; the first one is the observatory.
    wavelength : Quantity, (n_wavelengths,)
    reference_height : Quantity
        Above the observatory.
    reference_wavelength : Quantity
    """

    altitude: u.Quantity
    wavelength: u.Quantity
    reference_height: u.Quantity
    reference_wavelength: u.Quantity

    @property
    def reference(self) -> tuple[int, int]:
        """Indices of the altitude and wavelength nearest to the reference."""
        height = self.altitude - self.altitude[0]
        return (
            int(np.argmin(np.abs(height - self.reference_height))),
            int(np.argmin(np.abs(self.wavelength - self.reference_wavelength))),
        )


@dataclass(frozen=True)
class Conditions:
    """What is assumed and where limits are.

    Attributes
    ----------
    grid : Grid
    limits : QualityLimits
    exponent : tuple of float
        Ångström exponent of aerosols, and its error.
    scale_height : tuple of Quantity
        Of aerosols without LIDAR, and its error.
    max_pull : float
        LIDAR and FRAM agree within so many errors of both.
    """

    grid: Grid
    limits: QualityLimits
    exponent: tuple[float, float]
    scale_height: tuple[u.Quantity, u.Quantity]
    max_pull: float = 3.0


@dataclass(frozen=True)
class SliceInput:
    """Measurements of a slice, each None or NaN if there are none.

    Attributes
    ----------
    lidar : LidarSlice or None
    column : Column or None
        FRAM.
    fram : tuple of str
        Reasons of FRAM's windows.
    cloud_fraction, coefficient : Measured
    """

    lidar: LidarSlice | None = None
    column: Column | None = None
    fram: tuple[str, ...] = ()
    cloud_fraction: Measured = field(default_factory=Measured)
    coefficient: Measured = field(default_factory=Measured)


@dataclass(frozen=True)
class SliceConditions:
    """Result of a slice.

    Attributes
    ----------
    quality : str
    reasons : tuple of str
        Keys of `slice_quality.REASONS`; empty if good.
    status : str
        Empty, or why there is no profile.
    sources : tuple of str
        What the profile is made of.
    profile : DepthProfile or None
    pull : float
        LIDAR less FRAM over the error of both; NaN without both.
    through : Measured
        Transmission from the reference height.
    """

    quality: str
    reasons: tuple[str, ...]
    status: str
    sources: tuple[str, ...]
    profile: DepthProfile | None
    pull: float
    through: Measured


def slice_conditions(measured: SliceInput, conditions: Conditions) -> SliceConditions:
    """Profile and quality of a slice.

    Parameters
    ----------
    measured : SliceInput
    conditions : Conditions
    """
    limits = conditions.limits
    reasons = monitoring_reasons(
        measured.fram, measured.cloud_fraction, measured.coefficient, limits
    )
    column = measured.column if "negative" not in measured.fram else None
    lidar = measured.lidar
    pull = np.nan
    if lidar is not None and (lidar.profile is not None or lidar.n_hidden):
        profile, sources, more, status, pull = _with_lidar(lidar, column, conditions)
    else:
        profile, sources, more, status = _without_lidar(measured, column, reasons, conditions)
    reasons += more
    through = Measured()
    if profile is not None:
        through = _transmission(profile, conditions.grid)
        reasons += transmission_reasons(through, limits)
    return SliceConditions(
        quality(reasons), tuple(reasons), status, sources, profile, pull, through
    )


def _transmission(profile: DepthProfile, grid: Grid) -> Measured:
    value = np.exp(-profile.optical_depth[grid.reference])
    return Measured(
        float(value),
        float(value * profile.stat_error[grid.reference]),
        float(value * profile.sys_error[grid.reference]),
    )


def _with_lidar(
    lidar: LidarSlice, column: Column | None, conditions: Conditions
) -> tuple[DepthProfile | None, tuple[str, ...], list[str], str, float]:
    """Profile, sources, reasons, status and pull against FRAM."""
    limits, reasons = conditions.limits, []
    if lidar.profile is None:
        status = (
            f"{lidar.n_hidden} of {lidar.n_hidden + lidar.n_profiles} LIDAR profiles have a cloud "
            f"of unknown optical depth above {lidar.cloud_base:.0f} m"
        )
        return None, (), ["opaque"], status, np.nan
    if lidar.cloud_depth > limits.max_layer_depth:
        reasons.append("layer")
    if lidar.scatter > limits.max_scatter:
        reasons.append("variable")
    if column is None:
        return lidar.profile, ("lidar",), reasons, "", np.nan
    wavelength = conditions.grid.wavelength.to_value(u.nm)
    pull = column_pull(lidar.profile, wavelength, column)
    if not abs(pull) <= conditions.max_pull:
        status = (
            f"LIDAR and FRAM disagree: optical depth of LIDAR less that of FRAM is {pull:+.1f} "
            f"errors, limit {conditions.max_pull:g}"
        )
        return None, (), [*reasons, "disagreement"], status, pull
    return with_column(lidar.profile, wavelength, column), ("lidar", "fram"), reasons, "", pull


def _without_lidar(
    measured: SliceInput, column: Column | None, reasons: Collection[str], conditions: Conditions
) -> tuple[DepthProfile | None, tuple[str, ...], list[str], str]:
    """Profile, sources, reasons and status from FRAM's column alone."""
    if signs := cloud_signs(measured.fram, reasons):
        status = f"cannot be determined: clouds ({', '.join(signs)}) of unknown height, no LIDAR"
        return None, (), ["cloud_without_height"], status
    if column is None:
        return None, (), ["no_profile"], "neither LIDAR nor FRAM measured"
    limits = conditions.limits
    clear = measured.cloud_fraction.value + limits.significance * measured.cloud_fraction.error
    open_question = FRAM_OPEN & set(measured.fram)
    if open_question and not clear <= limits.max_cloud_fraction:
        status = (
            f"cannot be determined: FRAM's window is {', '.join(sorted(open_question))}, neither "
            "LIDAR nor all-sky camera excludes clouds"
        )
        return None, (), ["undecided"], status
    grid = conditions.grid
    profile = exponential_profile(
        column, grid.altitude, grid.wavelength, conditions.exponent, conditions.scale_height
    )
    return profile, ("fram", "assumed profile"), [], ""


def transmission_of(profile: DepthProfile | None, grid: Grid) -> dict[str, NDArray]:
    """Columns of a slice, each (n_altitudes, n_wavelengths); NaN without a profile."""
    shape = (len(grid.altitude), len(grid.wavelength))
    if profile is None:
        names = ("optical_depth", "transmission")
        return {n + e: np.full(shape, np.nan) for n in names for e in ERRORS}
    through = np.exp(-profile.optical_depth)
    values = (profile.optical_depth, profile.stat_error, profile.sys_error)
    depth = dict(zip((f"optical_depth{e}" for e in ERRORS), values, strict=True))
    values = (through, through * profile.stat_error, through * profile.sys_error)
    return depth | dict(zip((f"transmission{e}" for e in ERRORS), values, strict=True))
