"""Lidar ratio of every bin: assumed, or fixed by an optical depth that is measured.

A problem is (signal, molecules, bins of the reference, its levels), profile by profile.
"""

from collections.abc import Callable
from dataclasses import dataclass

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from .lidar_binned_ratio import BinnedRatio
from .lidar_clouds import Layers, LayerSearch
from .lidar_inversion import constrained_lidar_ratio, fernald_inversion
from .lidar_molecular import MolecularSignal
from .lidar_raman import angstrom_factor, raman_optical_depth
from .lidar_settings import RetrievalSettings

__all__ = ["NEAR_BINS", "RamanAerosols", "assumed_ratios", "fixed_by_layers", "fixed_by_raman"]

type Problem = tuple[NDArray, MolecularSignal, NDArray, NDArray]

NEAR_BINS = 5  # of the nearest Raman level
_SIGNIFICANT = 3.0  # errors above which an optical depth fixes a lidar ratio


def assumed_ratios(
    found: Layers, settings: RetrievalSettings, n_profiles: int, n_bins: int
) -> NDArray:
    """Lidar ratio (sr) of aerosols everywhere, of clouds inside layers, (n_profiles, n_bins)."""
    ratio = np.full((n_profiles, n_bins), settings.lidar_ratio.to_value(u.sr))
    for profile, base, top in zip(found.profile, found.base, found.top, strict=True):
        ratio[profile, base - 1 : top + 2 if top >= 0 else n_bins] = (
            settings.cloud_lidar_ratio.to_value(u.sr)
        )
    return ratio


def fixed_by_layers(
    problem: Problem,
    found: Layers,
    depth: NDArray,
    error: NDArray,
    settings: RetrievalSettings,
    search: LayerSearch,
    ratio: NDArray,
) -> tuple[NDArray, NDArray]:
    """Lidar ratios with those of layers from their optical depths, and bins that these fix.

    The highest layer of each profile comes first: those below see its attenuation.
    """
    signal, molecules, boundary, level = problem
    fixed = np.zeros(ratio.shape, bool)
    usable = (depth > _SIGNIFICANT * error) & (found.top + 1 < boundary[found.profile])
    left = np.flatnonzero(usable)
    while left.size:
        rows, last = np.unique(found.profile[left][::-1], return_index=True)
        now = left[::-1][last]
        low, high = found.base[now] - search.gap // 2, found.top[now] + 1
        solution = constrained_lidar_ratio(
            signal[rows],
            molecules,
            boundary[rows],
            level[rows],
            low,
            high,
            depth[now] * settings.multiple_scattering,
            ratio[rows] << u.sr,
        ).to_value(u.sr)
        ratio, fixed = _with(ratio, fixed, rows, low, high, solution)
        left = np.setdiff1d(left, now)
    return ratio, fixed


def _with(
    ratio: NDArray, fixed: NDArray, rows: NDArray, low: NDArray, high: NDArray, solution: NDArray
) -> tuple[NDArray, NDArray]:
    ratio, fixed = ratio.copy(), fixed.copy()
    bins = np.arange(ratio.shape[1])
    inside = (bins >= low[:, np.newaxis]) & (bins <= high[:, np.newaxis])
    inside &= np.isfinite(solution)[:, np.newaxis]
    ratio[rows] = np.where(inside, solution[:, np.newaxis], ratio[rows])
    fixed[rows] |= inside
    return ratio, fixed


def _assumed_depth(problem: Problem, ratio: NDArray, low: NDArray, high: NDArray) -> NDArray:
    """Optical depth between bins with the assumed lidar ratio."""
    signal, molecules, boundary, level = problem
    zero = np.zeros_like(level)
    depth = fernald_inversion(
        signal, 0.0 * signal, molecules, boundary, level, zero, ratio << u.sr
    ).optical_depth
    rows = np.arange(len(level))
    return depth[rows, high] - depth[rows, low]


@dataclass(frozen=True)
class RamanAerosols:
    """Optical depth of the aerosols below the layers, between two bins.

    Parameters
    ----------
    near : int
    far : ndarray, (n_profiles,), int
    depth, stat_error : ndarray, (n_profiles,)
    relative_sys_error : float
        By the Angstrom exponent between laser and Raman line.
    solved : ndarray, (n_profiles,), bool
        Whether it fixes the lidar ratio.
    """

    near: int
    far: NDArray
    depth: NDArray
    stat_error: NDArray
    relative_sys_error: float
    solved: NDArray


def fixed_by_raman(
    problem: Problem,
    raman: BinnedRatio,
    wavelengths: tuple[u.Quantity, u.Quantity],
    settings: RetrievalSettings,
    first: int,
    far: NDArray,
    bins: Callable[[u.Quantity], int],
    ratio: NDArray,
    fixed: NDArray,
) -> tuple[NDArray, NDArray, RamanAerosols]:
    """Lidar ratios with that below the layers from the Raman signal, fixed bins, aerosols."""
    signal, molecules, boundary, level = problem
    n = len(boundary)
    length = max(bins(settings.reference_width), 4)
    far = np.minimum(far, np.where(boundary < 0, far, boundary + length // 2))
    factor = angstrom_factor(*wavelengths, settings.angstrom_exponent)
    near = np.full(n, first)
    far_first = np.maximum(far - length, first + NEAR_BINS)
    far_stop = np.maximum(far, far_first + 1)
    depth, error = raman_optical_depth(
        raman.sums(molecules.distance),
        (near, near + NEAR_BINS),
        (far_first, far_stop),
        factor,
        molecules.distance.to_value(u.km)[near + NEAR_BINS // 2],
    )
    low = near + NEAR_BINS // 2
    high = np.minimum((far_first + far_stop - 1) // 2, np.maximum(boundary, 0))
    assumed = _assumed_depth(problem, ratio, low, high)
    with np.errstate(invalid="ignore"):  # decided without the Raman depth: no selection bias
        usable = error < settings.lidar_ratio_error * assumed
    rows = np.flatnonzero(usable & (boundary >= 0) & (high > low + 1))
    solved = np.zeros(n, bool)
    if rows.size:
        solution = constrained_lidar_ratio(
            signal[rows],
            molecules,
            boundary[rows],
            level[rows],
            low[rows],
            high[rows],
            depth[rows],
            ratio[rows] << u.sr,
        ).to_value(u.sr)
        begin = np.full(rows.size, first)
        ratio, fixed = _with(ratio, fixed, rows, begin, high[rows], solution)
        solved[rows] = np.isfinite(solution)
    shorter = (wavelengths[0] / wavelengths[1]).to_value(u.one)
    sensitivity = abs(np.log(shorter)) * (factor - 1.0) / factor
    aerosols = RamanAerosols(
        int(low[0]), high, depth, error, sensitivity * settings.angstrom_error, solved
    )
    return ratio, fixed, aerosols
