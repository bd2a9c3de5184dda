"""Measured pointing offsets of one telescope, checked and selected for a pointing model."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from ..core.exceptions import ConfigurationError

__all__ = ["PointingMeasurements", "Selection", "usable"]


@dataclass(frozen=True)
class PointingMeasurements:
    """Offsets of the true direction from that of the drive; n measurements of one telescope.

    Attributes
    ----------
    time : ndarray, shape (n,)
        Seconds of TAI since 1970.
    azimuth, altitude : ndarray, shape (n,)
        Of the drive, in deg; azimuth from north to east.
    offset : ndarray, shape (n, 2)
        dlon (azimuth times cosine of the altitude) and dlat, in arcsec.
    covariance : ndarray, shape (n, 2, 2)
        Statistical, of `offset`, in arcsec2.
    sys_error : ndarray, shape (n, 2)
        Systematic, in arcsec.
    night : ndarray, shape (n,), int
        Place in `nights`.
    nights : tuple of str
    """

    time: NDArray
    azimuth: NDArray
    altitude: NDArray
    offset: NDArray
    covariance: NDArray
    sys_error: NDArray
    night: NDArray
    nights: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.time)

    def chosen(self, rows: NDArray) -> "PointingMeasurements":
        """Some of them; nights keep their places."""
        kept = {
            field.name: getattr(self, field.name)[rows]
            for field in fields(self)
            if field.name != "nights"
        }
        return PointingMeasurements(**kept, nights=self.nights)


@dataclass(frozen=True)
class Selection:
    """Which measurements a pointing model is fitted to.

    Attributes
    ----------
    min_altitude, max_altitude : float
        In deg. Beyond, the model is not linear: at the zenith in azimuth, at the horizon in TX.
    max_offset : float
        In deg, of each axis: farther off is no flexure, and second order is
        8 arcsec tan(altitude) at 0.5 deg.
    """

    min_altitude: float = 5.0
    max_altitude: float = 89.0
    max_offset: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.min_altitude < self.max_altitude < 90:
            raise ConfigurationError(
                f"altitudes from {self.min_altitude:g} to {self.max_altitude:g} deg hold no "
                "measurement of a linear model; give limits between 0 and 90 deg in this order"
            )


def usable(
    measurements: PointingMeasurements, is_valid: NDArray, selection: Selection
) -> tuple[NDArray, dict[str, int]]:
    """Which measurements can be fitted, and how many are left out for which reason.

    Parameters
    ----------
    measurements : PointingMeasurements
    is_valid : ndarray, shape (n,), bool
        As the star tracking says.
    selection : Selection

    Returns
    -------
    used : ndarray, shape (n,), bool
    left_out : dict of str to int
        ``not_valid``, ``not_finite``, ``error`` (no positive definite covariance), ``altitude``,
        ``offset``; the first reason counts.
    """
    m = measurements
    known = np.isfinite(m.offset).all(axis=1) & np.isfinite(m.covariance).all(axis=(1, 2))
    known &= np.isfinite(m.sys_error).all(axis=1)
    known &= np.isfinite(m.azimuth) & np.isfinite(m.altitude) & np.isfinite(m.time)
    variances = np.diagonal(m.covariance, axis1=1, axis2=2)
    determinant = np.linalg.det(np.where(np.isfinite(m.covariance), m.covariance, 0.0))
    positive = (variances > 0).all(axis=1) & (determinant > 1e-12 * variances.prod(axis=1))
    positive &= (m.sys_error >= 0).all(axis=1)
    inside = (m.altitude >= selection.min_altitude) & (m.altitude <= selection.max_altitude)
    near = (np.abs(m.offset) <= 3600 * selection.max_offset).all(axis=1)
    used, left_out = np.ones(len(m), bool), {}
    checks = {
        "not_valid": np.asarray(is_valid, bool),
        "not_finite": known,
        "error": positive,
        "altitude": inside,
        "offset": near,
    }
    for reason, passed in checks.items():
        left_out[reason] = int(np.count_nonzero(used & ~passed))
        used &= passed
    return used, left_out
