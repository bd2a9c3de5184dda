"""Misaligned mirrors from where the light of muon rings lies, by azimuth on the mirror.

The light of a ring at an azimuth comes from the mirror under that azimuth: facets that are tilted
shift it off the circle. What a circle can follow, a mean and a first harmonic in azimuth, is
absorbed by the fit of the ring and cannot be measured.
"""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ..core.exceptions import ConfigurationError, InsufficientStatisticsError
from .excess_scatter import clipped_variance, median_scatter, scatter_variance

__all__ = ["SectorResult", "sector_shifts"]

MIN_RINGS = 20
MIN_SECTORS = 6
CLIP = 5.0


@dataclass(frozen=True)
class SectorResult:
    """Radial shifts of the light of sectors of a mirror, arrays (n_sectors,).

    Parameters
    ----------
    shift, shift_error : Quantity, deg
        Against the mean and first harmonic of the *other* sectors that are not significant; NaN
        for a sector of which fewer than 20 rings tell.
    p_values : ndarray
        Two-sided, of each sector for itself.
    is_significant : ndarray of bool
        After Holm: the chance that any is, if all mirrors are aligned, is at most the significance.
    harmonic : Quantity, deg, shape (3,)
        Mean, cosine and sine of the other sectors: left over by the fits of the rings.
    chi2, n_degrees, p_value : float, int, float
        All sectors against mean and first harmonic.
    n_rings : ndarray of int
        That count in each sector.
    """

    shift: u.Quantity
    shift_error: u.Quantity
    p_values: NDArray
    is_significant: NDArray
    harmonic: u.Quantity
    chi2: float
    n_degrees: int
    p_value: float
    n_rings: NDArray


@u.quantity_input
def sector_shifts(
    residual: u.Quantity[u.deg],
    residual_error: u.Quantity[u.deg],
    impact: u.Quantity[u.m],
    mirror_radius: u.Quantity[u.m],
    *,
    largest_impact: float = 0.5,
    significance: float = 0.0027,
    where: str = "the telescope",
) -> SectorResult:
    """Mean radial shift of the light of every sector, and which are significant.

    Weighted means over the rings that hit the inner mirror, outliers of more than 5 standard
    deviations clipped, errors with the scatter from ring to ring. The most significant sector is
    taken out of the mean and the harmonic as long as its p-value is below the significance over
    the number of sectors left (Holm), and for at most half of the sectors.

    Parameters
    ----------
    residual : Quantity, deg, shape (n_rings, n_sectors)
        Mean distance of the light from the fitted circle, outwards positive, in equal sectors of
        azimuth around the mirror, the first from 0; NaN where there is no light.
    residual_error : Quantity, deg, shape (n_rings, n_sectors)
        Of the light, before the circle was fitted; not positive counts as no light.
    impact : Quantity, m, shape (n_rings,)
    mirror_radius : Quantity, m
    largest_impact : float
        In mirror radii: farther out a ring's azimuth is no azimuth on the mirror.
    significance : float
        Chance of a false alarm, all sectors together.
    where : str
        Telescope and chunk, for messages.

    Raises
    ------
    ConfigurationError
        If shapes do not fit, there are fewer than 6 sectors, or `significance` is no chance.
    InsufficientStatisticsError
        If fewer than 6 sectors have 20 rings.

    References
    ----------
    Holm, S. 1979, Scand. J. Stat. 6, 65.
    """
    values, errors = residual.to_value(u.deg), residual_error.to_value(u.deg)
    _check(values, errors, impact, significance)
    inner = (impact < largest_impact * mirror_radius) & (impact >= 0 * u.m)
    mean, error, n_rings = _means(values[inner], errors[inner])
    known = np.isfinite(mean)
    if known.sum() < MIN_SECTORS:
        raise InsufficientStatisticsError(
            f"needs {MIN_RINGS} rings within {largest_impact:g} mirror radii in at least "
            f"{MIN_SECTORS} sectors, got {known.sum()} such sectors of {len(inner)} rings in "
            f"{where}; collect muons for longer"
        )
    good = _aligned(mean, error, known, significance)
    shift, shift_error, harmonic = _shifts(mean, error, good)
    chi2 = _chi2(mean, error, known)
    n_degrees = int(known.sum()) - 3
    return SectorResult(
        shift=shift * u.deg,
        shift_error=shift_error * u.deg,
        p_values=2 * stats.norm.sf(np.abs(shift / shift_error)),
        is_significant=known & ~good,
        harmonic=harmonic * u.deg,
        chi2=chi2,
        n_degrees=n_degrees,
        p_value=float(stats.chi2.sf(chi2, n_degrees)),
        n_rings=n_rings,
    )


def _check(values: NDArray, errors: NDArray, impact: u.Quantity, significance: float) -> None:
    if values.ndim != 2 or errors.shape != values.shape or impact.shape != values.shape[:1]:
        raise ConfigurationError(
            "residuals and errors need the shape (n_rings, n_sectors) and impacts (n_rings,), got "
            f"{values.shape}, {errors.shape} and {impact.shape}"
        )
    if values.shape[1] < MIN_SECTORS:
        raise ConfigurationError(
            f"{values.shape[1]} sectors; a mean and a first harmonic leave something to test only "
            f"with {MIN_SECTORS} or more"
        )
    if not 0 < significance < 1:
        raise ConfigurationError(f"significance is {significance:g}; give a chance below 1")


def _means(values: NDArray, errors: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Mean, its error and the number of rings of every sector."""
    # of the variance of a ring's sectors its circle takes three parts
    left = 1 - 3 / values.shape[1]
    columns = (_mean(v, e, left) for v, e in zip(values.T, errors.T, strict=True))
    mean, error, number = np.transpose(list(columns))
    return mean, error, number.astype(int)


def _mean(values: NDArray, errors: NDArray, left: float) -> tuple[float, float, int]:
    """Weighted mean without outliers; the error is that of light before the circle was fitted."""
    good = np.isfinite(values) & (errors > 0) & np.isfinite(errors)
    values, variance = values[good], errors[good] ** 2
    if len(values) < MIN_RINGS:
        return np.nan, np.nan, len(values)
    residual = values - np.median(values)
    scatter2 = median_scatter(residual**2 / left, variance)
    kept = residual**2 < CLIP**2 * (variance + scatter2)
    values, variance, residual = values[kept], variance[kept], residual[kept]
    allowed = (len(values) - 1) * clipped_variance(CLIP)
    scatter2 = scatter_variance(residual**2 / left, variance, allowed, scatter2)
    weight = 1 / (variance + scatter2)
    return weight @ values / weight.sum(), weight.sum() ** -0.5, len(values)


def _design(n_sectors: int) -> NDArray:
    azimuth = (np.arange(n_sectors) + 0.5) * 2 * np.pi / n_sectors
    return np.stack([np.ones(n_sectors), np.cos(azimuth), np.sin(azimuth)], axis=1)


def _harmonic(mean: NDArray, error: NDArray, good: NDArray) -> tuple[NDArray, NDArray]:
    """Mean, cosine and sine of the good sectors, and their covariance."""
    design, weight = _design(len(mean))[good], error[good] ** -2
    covariance = np.linalg.inv((design.T * weight) @ design)
    return covariance @ (design.T * weight) @ mean[good], covariance


def _shifts(mean: NDArray, error: NDArray, good: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Shifts against the other good sectors, their errors, and the harmonic of the good."""
    harmonic, covariance = _harmonic(mean, error, good)
    design = _design(len(mean))
    of_harmonic = np.einsum("si,ij,sj->s", design, covariance, design)
    residual = mean - design @ harmonic
    # a good sector is part of the harmonic: without it the residual is 1/(1 - leverage) larger
    rest = np.where(good, 1 - of_harmonic / error**2, 1.0)
    variance = np.where(good, error**2 / rest, error**2 + of_harmonic)
    return residual / rest, np.sqrt(variance), harmonic


def _aligned(mean: NDArray, error: NDArray, known: NDArray, significance: float) -> NDArray:
    """Sectors that are not significant."""
    good = known.copy()
    for _ in range(min(known.sum() // 2, known.sum() - MIN_SECTORS + 1)):
        shift, shift_error, _ = _shifts(mean, error, good)
        score = np.where(good, np.abs(shift / shift_error), 0)
        worst = np.argmax(score)
        if 2 * stats.norm.sf(score[worst]) >= significance / good.sum():
            break
        good[worst] = False
    return good


def _chi2(mean: NDArray, error: NDArray, known: NDArray) -> float:
    harmonic, _ = _harmonic(mean, error, known)
    pull = ((mean - _design(len(mean)) @ harmonic) / error)[known]
    return float(pull @ pull)
