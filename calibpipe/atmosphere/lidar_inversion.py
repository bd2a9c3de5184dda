r"""Elastic inversion of a LIDAR signal after Fernald and Klett, vectorised over profiles.

From the boundary :math:`r_c`, where :math:`\beta_m+\beta_a = R\,\beta_m`, towards the LIDAR:

.. math::

   \beta_m + \beta_a = \frac{Y}{D},\quad
   Y = X \exp\Big[-2\int_{r_c}^r (S_a - S_m)\beta_m\,dr'\Big],\quad
   D = \frac{X(r_c)}{R\,\beta_m(r_c)} - 2\int_{r_c}^r S_a Y\,dr'.

Because :math:`dD/dr = -2 S_a Y`, the optical depth between two ranges is exactly
:math:`\tfrac12\ln[D(r_1)/D(r_2)] - \int S_a\beta_m\,dr`; its statistical error follows from
those of :math:`D` without any loop. Klett's one-component solution is the limit of no molecules.

References
----------
Klett 1981, Applied Optics 20, 211, doi 10.1364/AO.20.000211.
Fernald 1984, Applied Optics 23, 652, doi 10.1364/AO.23.000652.
Sasano, Browell, Ismail 1985, Applied Optics 24, 3929, doi 10.1364/AO.24.003929.
"""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from ..core.exceptions import ConfigurationError
from .lidar_molecular import MolecularSignal

__all__ = ["ElasticInversion", "constrained_lidar_ratio", "fernald_inversion"]

LIDAR_RATIO_RANGE = (1.0, 200.0)  # sr: sea salt has 20, smoke up to 120
_ITERATIONS = 40  # of a bisection: to 200 sr / 2^40


@dataclass(frozen=True)
class ElasticInversion:
    """Aerosols along a beam; (n_profiles, n_bins) where not said otherwise.

    NaN beyond the boundary, below the first bin with a signal, and in profiles without an answer.

    Parameters
    ----------
    backscatter, backscatter_stat_error : Quantity
        Of aerosols, 1/(m sr).
    extinction : Quantity
        Lidar ratio times backscatter, 1/m.
    optical_depth : ndarray
        Of aerosols, one way along the beam, from the first bin with a signal to each bin.
    optical_depth_stat_error : ndarray
    diverged : ndarray of bool, (n_profiles,)
        The denominator ran through zero: the lidar ratio is too large for this signal.
    """

    backscatter: u.Quantity
    backscatter_stat_error: u.Quantity
    extinction: u.Quantity
    optical_depth: NDArray
    optical_depth_stat_error: NDArray
    diverged: NDArray


def fernald_inversion(
    signal: NDArray,
    variance: NDArray,
    molecules: MolecularSignal,
    boundary: NDArray,
    level: NDArray,
    level_error: NDArray,
    aerosol_lidar_ratio: u.Quantity,
    scattering_ratio: float = 1.0,
) -> ElasticInversion:
    r"""Aerosol backscatter and optical depth by the method of Fernald and Klett.

    The signal at the boundary is not that of one bin but the fitted one, `level` times the
    molecular attenuated backscatter there (`rayleigh_fit`).

    Parameters
    ----------
    signal, variance : ndarray, (n_profiles, n_bins)
        Range-corrected signal :math:`X`, any unit, and the variance of each bin. NaN before the
        first bin that is used; a NaN after it makes the rest of the profile towards the LIDAR NaN.
    molecules : MolecularSignal, (n_bins,)
    boundary : ndarray of int, (n_profiles,)
        Bin of the boundary; negative: no boundary, the profile gives NaN.
    level, level_error : ndarray, (n_profiles,)
        Mean of X over molecular attenuated backscatter at the boundary, and its error.
    aerosol_lidar_ratio : Quantity, broadcastable to (n_profiles, n_bins)
        Extinction over backscatter, sr.
    scattering_ratio : float
        :math:`R`, total over molecular backscatter at the boundary.

    Raises
    ------
    ConfigurationError
        If the scattering ratio is below 1 or a lidar ratio is not between 1 and 200 sr.
    """
    ratio = _checked_lidar_ratio(aerosol_lidar_ratio)
    if not 1.0 <= scattering_ratio <= 2.0:
        raise ConfigurationError(
            f"scattering ratio at the boundary is {scattering_ratio:g}, needs 1 to 2"
        )
    steps = np.diff(molecules.distance.to_value(u.m))
    backscatter_m = molecules.backscatter.to_value(1 / u.m / u.sr)
    kept = _kept(signal, boundary)
    ratio = np.broadcast_to(ratio, signal.shape)
    at_boundary = np.maximum(boundary, 0)
    attenuated = molecules.attenuated_backscatter.to_value(1 / u.m / u.sr)[at_boundary]
    start = scattering_ratio * backscatter_m[at_boundary]
    unit_level = attenuated / start  # D at the boundary for a level of 1

    depth_m = np.append(0.0, molecules.optical_depth[1:] - molecules.optical_depth[0])
    weighted = _toward(ratio * backscatter_m, steps, at_boundary)
    exponent = np.exp(-2.0 * (weighted - (depth_m - depth_m[at_boundary][:, np.newaxis])))
    y = np.where(kept, signal * exponent, 0.0)
    d = (level * unit_level)[:, np.newaxis] - 2.0 * _toward(ratio * y, steps, at_boundary)
    diverged = np.any(kept & ~(d > 0), axis=1)
    kept = kept & ~diverged[:, np.newaxis]
    with np.errstate(invalid="ignore", divide="ignore"):
        total = np.where(kept, y / d, np.nan)
        spread = np.where(kept, variance * exponent**2, 0.0)
        # variance of the integral from each bin to the boundary: independent bins
        noise = -_toward(
            spread * (ratio * 2.0 * _bin_width(steps)) ** 2, 1.0 + 0 * steps, at_boundary
        )
        offset = ((level_error * unit_level) ** 2)[:, np.newaxis]
        error = np.sqrt(spread / d**2 + (total / d) ** 2 * (np.maximum(noise, 0.0) + offset))
    depth, depth_error = _depth(kept, d, weighted, np.maximum(noise, 0.0), offset)
    unit = 1 / u.m / u.sr
    backscatter = total - backscatter_m
    return ElasticInversion(
        backscatter << unit,
        np.where(kept, error, np.nan) << unit,
        (ratio * backscatter) << 1 / u.m,
        depth,
        depth_error,
        diverged,
    )


def _checked_lidar_ratio(aerosol_lidar_ratio: u.Quantity) -> NDArray:
    ratio = np.asarray(aerosol_lidar_ratio.to_value(u.sr), float)
    low, high = LIDAR_RATIO_RANGE
    if not np.all((ratio >= low) & (ratio <= high)):
        raise ConfigurationError(
            f"lidar ratio of aerosols runs from {np.min(ratio):g} to {np.max(ratio):g} sr, needs "
            f"{low:g} to {high:g} sr"
        )
    return ratio


def _kept(signal: NDArray, boundary: NDArray) -> NDArray:
    """Bins from the boundary down to the first NaN below it."""
    bins = np.arange(signal.shape[1])
    below = bins <= boundary[:, np.newaxis]
    broken = np.where(below & ~np.isfinite(signal), bins, -1).max(axis=1)
    return below & (bins > broken[:, np.newaxis])


def _bin_width(steps: NDArray) -> NDArray:
    """Range that each bin stands for in a trapezoid."""
    edges = np.concatenate([steps[:1], steps, steps[-1:]])
    return (edges[1:] + edges[:-1]) / 2.0


def _toward(values: NDArray, steps: NDArray, at: NDArray) -> NDArray:
    """Integral from the bin `at` of each profile to every bin (trapezoids)."""
    pieces = (values[:, 1:] + values[:, :-1]) / 2.0 * steps
    total = np.concatenate([np.zeros((values.shape[0], 1)), np.cumsum(pieces, axis=1)], axis=1)
    return total - np.take_along_axis(total, at[:, np.newaxis], axis=1)


def _depth(
    kept: NDArray, d: NDArray, weighted: NDArray, noise: NDArray, offset: NDArray
) -> tuple[NDArray, NDArray]:
    """Optical depth of aerosols from the first kept bin, and its statistical error."""
    first = np.argmax(kept, axis=1)[:, np.newaxis]
    d_first, weighted_first, noise_first = (
        np.take_along_axis(values, first, axis=1) for values in (d, weighted, noise)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        depth = 0.5 * np.log(d_first / d) - (weighted - weighted_first)
        common = (noise + offset) * (1.0 / d_first - 1.0 / d) ** 2
        between = np.maximum(noise_first - noise, 0.0) / d_first**2
    nowhere = ~kept
    return (
        np.where(nowhere, np.nan, depth),
        np.where(nowhere, np.nan, 0.5 * np.sqrt(common + between)),
    )


def constrained_lidar_ratio(
    signal: NDArray,
    molecules: MolecularSignal,
    boundary: NDArray,
    level: NDArray,
    first: NDArray,
    last: NDArray,
    wanted: NDArray,
    outside: u.Quantity,
    scattering_ratio: float = 1.0,
) -> u.Quantity:
    """Lidar ratio inside a layer that gives the layer a known optical depth.

    The elastic signal alone cannot tell the lidar ratio; a layer whose optical depth is measured in
    another way (Raman signal, ratio of the clear air above and below, absolute calibration) can.
    The depth rises with the ratio; solved by bisection for all profiles at once.

    Parameters
    ----------
    signal, molecules, boundary, level, scattering_ratio
        As in `fernald_inversion`.
    first, last : ndarray of int, (n_profiles,)
        Bins between which the optical depth is known, `last` not above the boundary.
    wanted : ndarray, (n_profiles,)
        Optical depth of aerosols along the beam.
    outside : Quantity, (n_profiles, n_bins) or broadcastable
        Lidar ratio outside of the layer.

    Returns
    -------
    Quantity, (n_profiles,)
        sr. NaN where no ratio between 1 and 200 sr gives this depth.
    """
    bins = np.arange(signal.shape[1])
    inside = (bins >= first[:, np.newaxis]) & (bins <= last[:, np.newaxis])
    fixed = np.broadcast_to(outside.to_value(u.sr), signal.shape)
    silent = np.zeros_like(level)
    rows = np.arange(signal.shape[0])
    ends = (np.maximum(first, 0), np.maximum(last, 0))

    def depth(ratio: NDArray) -> NDArray:
        lidar_ratio = np.where(inside, ratio[:, np.newaxis], fixed) << u.sr
        result = fernald_inversion(
            signal,
            np.zeros_like(signal),
            molecules,
            boundary,
            level,
            silent,
            lidar_ratio,
            scattering_ratio,
        )
        found = result.optical_depth[rows, ends[1]] - result.optical_depth[rows, ends[0]]
        return np.where(result.diverged, np.inf, found)

    low = np.full(len(level), LIDAR_RATIO_RANGE[0])
    high = np.full(len(level), LIDAR_RATIO_RANGE[1])
    solvable = (depth(low) <= wanted) & (depth(high) >= wanted)
    for _ in range(_ITERATIONS):
        middle = (low + high) / 2.0
        too_deep = depth(middle) > wanted
        low, high = np.where(too_deep, low, middle), np.where(too_deep, middle, high)
        if np.max(high - low) < 1e-3:  # sr
            break
    return np.where(solvable, (low + high) / 2.0, np.nan) << u.sr
