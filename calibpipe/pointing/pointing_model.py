r"""Pointing (bending) model of a telescope: what it predicts, how sure, and where not.

.. math:: \delta(A, E) = X(A, E)\,p, \qquad
          \mathrm{cov}_\mathrm{stat} = X C_p X^T, \qquad
          \mathrm{cov}_\mathrm{sys} = X S_p X^T + \mathrm{diag}(s^2) + N

with the terms *X* of `pointing_terms`, the scatter *s* that the model does not describe, and *N*
from changes between nights.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.exceptions import MissingInputError
from .pointing_terms import design_matrix

__all__ = ["N_SECTORS", "PointingModel", "Prediction", "covered_sectors", "predicted_offsets"]

N_SECTORS = 12  # of azimuth


@dataclass(frozen=True)
class PointingModel:
    """Terms of a telescope with their errors, and where they were measured.

    Attributes
    ----------
    terms : tuple of str
    value : ndarray, shape (n_terms,)
        In arcsec.
    stat_covariance, sys_covariance : ndarray, shape (n_terms, n_terms)
        In arcsec2.
    is_fixed : ndarray, shape (n_terms,), bool
        Not determined by the measurements: at its prior.
    scatter : ndarray, shape (2,)
        Of dlon and dlat beyond the errors, in arcsec.
    night_scatter : ndarray, shape (2,)
        Of IA and IE between nights, in arcsec.
    altitude_range : tuple of float
        Of the measurements, in deg.
    sectors : ndarray, shape (12,), bool
        Which 30 deg of azimuth have measurements (`covered_sectors`).
    """

    terms: tuple[str, ...]
    value: NDArray
    stat_covariance: NDArray
    sys_covariance: NDArray
    is_fixed: NDArray
    scatter: NDArray
    night_scatter: NDArray
    altitude_range: tuple[float, float]
    sectors: NDArray

    @property
    def stat_error(self) -> NDArray:
        """Shape (n_terms,); 0 of fixed terms."""
        return np.sqrt(np.diag(self.stat_covariance))

    @property
    def sys_error(self) -> NDArray:
        """Shape (n_terms,); of a fixed term the error of its prior."""
        return np.sqrt(np.diag(self.sys_covariance))

    def covers(self, azimuth: ArrayLike, altitude: ArrayLike) -> NDArray:
        """Whether there were measurements: altitude in the range, azimuth in a sector with some."""
        low, high = self.altitude_range
        altitude = np.asarray(altitude, float)
        return (altitude >= low) & (altitude <= high) & self.sectors[_sector(azimuth)]


@dataclass(frozen=True)
class Prediction:
    """Offsets at n directions.

    Attributes
    ----------
    offset : ndarray, shape (n, 2)
        dlon, dlat in arcsec: true direction minus drive.
    stat_covariance, sys_covariance : ndarray, shape (n, 2, 2)
        In arcsec2; the systematic one is that of a single pointing.
    is_extrapolated : ndarray, shape (n,), bool
    """

    offset: NDArray
    stat_covariance: NDArray
    sys_covariance: NDArray
    is_extrapolated: NDArray

    @property
    def error(self) -> NDArray:
        """Statistical and systematic, of each axis, shape (n, 2)."""
        both = self.stat_covariance + self.sys_covariance
        return np.sqrt(np.diagonal(both, axis1=1, axis2=2))


def _sector(azimuth: ArrayLike) -> NDArray:
    width = 360 / N_SECTORS
    return (np.mod(np.asarray(azimuth, float), 360) // width).astype(int) % N_SECTORS


def covered_sectors(azimuth: ArrayLike) -> NDArray:
    """Which sectors of azimuth, 30 deg each from north to east, have directions; shape (12,).

    One between two that have some counts, too.
    """
    there = np.bincount(_sector(azimuth), minlength=N_SECTORS) > 0
    return there | (np.roll(there, 1) & np.roll(there, -1))


def predicted_offsets(
    azimuth: ArrayLike, altitude: ArrayLike, model: PointingModel, *, extrapolate: bool = False
) -> Prediction:
    r"""Offsets of a model with errors; add dlon/cos(altitude) and dlat to the drive's direction.

    Parameters
    ----------
    azimuth, altitude : array_like, shape (n,)
        Of the drive, in deg; azimuth from north to east.
    model : PointingModel
    extrapolate : bool
        Also where there were no measurements: marked, with errors that know only terms of the
        model.

    Returns
    -------
    Prediction

    Raises
    ------
    MissingInputError
        If a direction is not covered by the measurements and `extrapolate` is false, or is not on
        the sky.
    """
    azimuth, altitude = np.broadcast_arrays(*np.atleast_1d(azimuth, altitude))
    if not (np.isfinite(azimuth) & (altitude > 0) & (altitude <= 90)).all():
        raise MissingInputError(
            "a direction has no finite azimuth, or an altitude that is not above 0 and up to 90 deg"
        )
    outside = ~model.covers(azimuth, altitude)
    if outside.any() and not extrapolate:
        k = int(np.argmax(outside))
        raise MissingInputError(
            f"{np.count_nonzero(outside)} of {len(outside)} directions are not covered by the "
            f"pointing model (first: azimuth {azimuth[k]:.1f}, altitude {altitude[k]:.1f} deg); it "
            f"was measured at altitudes {model.altitude_range[0]:.1f} to "
            f"{model.altitude_range[1]:.1f} deg in {np.count_nonzero(model.sectors)} of "
            f"{N_SECTORS} sectors of azimuth; measure there, or ask for an extrapolation"
        )
    design = design_matrix(model.terms, azimuth, altitude)
    across = np.swapaxes(design, 1, 2)
    per_night = design_matrix(("IA", "IE"), azimuth, altitude) * model.night_scatter
    sys = design @ model.sys_covariance @ across + np.diag(model.scatter**2)
    return Prediction(
        offset=design @ model.value,
        stat_covariance=design @ model.stat_covariance @ across,
        sys_covariance=sys + per_night @ np.swapaxes(per_night, 1, 2),
        is_extrapolated=outside,
    )
