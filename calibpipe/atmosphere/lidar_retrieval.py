r"""From the channels of one laser wavelength to aerosols along the beam, with errors.

Order of the knowledge used: layers by the ratio of clear air above and below; the aerosols below
by the Raman signal; a lidar ratio is assumed only where neither gives an answer. The elastic
inversion then distributes these optical depths over the range.
"""

from collections.abc import Callable
from dataclasses import dataclass

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from .lidar_binned_ratio import BinnedRatio
from .lidar_clouds import MEASURED, Layers, LayerSearch, layer_optical_depth, layers
from .lidar_inversion import ElasticInversion, fernald_inversion
from .lidar_molecular import MolecularSignal
from .lidar_ratio import (
    NEAR_BINS,
    Problem,
    RamanAerosols,
    assumed_ratios,
    fixed_by_layers,
    fixed_by_raman,
)
from .lidar_rayleigh_fit import ClearAir, WindowSums, depth_between, rayleigh_fit
from .lidar_settings import RetrievalSettings
from .lidar_transmission import depth_to_ground

__all__ = ["LidarRetrieval", "lidar_retrieval"]


@dataclass(frozen=True)
class LidarRetrieval:
    """Aerosols and clouds along the beam at one wavelength.

    Parameters
    ----------
    optical_depth, stat_error, sys_error : ndarray, (n_profiles, n_bins)
        Of aerosols and clouds between the LIDAR and each bin, along the beam. NaN above a cloud
        that hides what is behind it.
    inversion : ElasticInversion
    lidar_ratio : Quantity, (n_profiles, n_bins)
    clear : ClearAir
    layers : Layers
    layer_depth, layer_error, layer_status : ndarray, (n_layers,)
    aerosol_source : ndarray of str, (n_profiles,)
        What the optical depth of aerosols comes from: ``raman``, ``calibration``, ``lidar ratio``.
    status : ndarray of str, (n_profiles,)
        ``measured``, or what is not known.
    """

    optical_depth: NDArray
    stat_error: NDArray
    sys_error: NDArray
    inversion: ElasticInversion
    lidar_ratio: u.Quantity
    clear: ClearAir
    layers: Layers
    layer_depth: NDArray
    layer_error: NDArray
    layer_status: NDArray
    aerosol_source: NDArray
    status: NDArray


def lidar_retrieval(
    elastic: BinnedRatio,
    molecules: MolecularSignal,
    settings: RetrievalSettings,
    raman: BinnedRatio | None = None,
    raman_wavelengths: tuple[u.Quantity, u.Quantity] | None = None,
) -> LidarRetrieval:
    """Layers, reference, lidar ratios, inversion and errors of profiles of one pointing.

    Parameters
    ----------
    elastic : BinnedRatio
    molecules : MolecularSignal, (n_bins,)
        At the middles of the bins.
    settings : RetrievalSettings
    raman : BinnedRatio or None
        Of the nitrogen channel in the same bins.
    raman_wavelengths : tuple of Quantity
        Emitted, received.
    """
    width = (molecules.distance[1] - molecules.distance[0]).to_value(u.m)

    def bins(length: u.Quantity) -> int:
        return int(np.rint(length.to_value(u.m) / width))

    def at(distance: u.Quantity) -> int:
        return int(np.searchsorted(molecules.distance.to_value(u.m), distance.to_value(u.m)))

    n_profiles, n_bins = elastic.ratio.shape
    sums = elastic.sums(molecules.distance)
    search = LayerSearch(
        at(settings.layer_search[0]),
        at(settings.layer_search[1]),
        lowest=at(settings.full_overlap),
        gap=max(bins(150 * u.m), 1),
        reference=max(bins(600 * u.m), 4),
    )
    found = layers(sums, search)
    reference_bins = bins(settings.reference_width)
    depth, error, status = layer_optical_depth(
        sums, found, search, reference_bins, settings.multiple_scattering
    )
    low_layer = found.base < at(settings.haze_top)
    haze_error = np.where(low_layer, settings.haze[0], settings.haze[1]) / 2.0
    if raman is not None:
        free = layer_optical_depth(
            raman.sums(molecules.distance),
            found,
            search,
            reference_bins,
            settings.multiple_scattering,
        )
        use = low_layer & (free[2] == MEASURED)
        depth, error, status = (
            np.where(use, a, b) for a, b in zip(free, (depth, error, status), strict=True)
        )
        haze_error = np.where(use, 0.0, haze_error)
    clear = _reference(sums, found, status, settings, at, reference_bins, n_bins)
    lowest = np.full(n_profiles, n_bins)
    np.minimum.at(lowest, found.profile, found.base - search.gap)

    first = at(settings.full_overlap)
    signal = elastic.ratio * molecules.attenuated_backscatter.value
    variance = elastic.variance * molecules.attenuated_backscatter.value**2
    signal[:, :first] = np.nan
    ratio = assumed_ratios(found, settings, n_profiles, n_bins)
    problem = (signal, molecules, clear.middle, clear.level)
    ratio, fixed = fixed_by_layers(problem, found, depth, error, settings, search, ratio)
    source = np.full(n_profiles, "lidar ratio", dtype="U11")
    aerosol = None
    if raman is not None and raman_wavelengths is not None:
        far = np.minimum(np.minimum(lowest, at(settings.raman_top)), n_bins)
        ratio, fixed, aerosol = fixed_by_raman(
            problem, raman, raman_wavelengths, settings, first, far, bins, ratio, fixed
        )
        source[aerosol.solved] = "raman"
    result = fernald_inversion(
        signal, variance, molecules, clear.middle, clear.level, clear.level_error, ratio << u.sr
    )
    total, stat, sys = _total(
        problem,
        result,
        settings,
        found,
        (depth, error, status, haze_error),
        ratio,
        fixed,
        aerosol,
        first,
    )
    if settings.calibration is not None:
        total, sys, used = _calibrated(total, sys, clear, settings)
        source[used] = "calibration"
    return LidarRetrieval(
        total,
        stat,
        sys,
        result,
        ratio << u.sr,
        clear,
        found,
        depth,
        error,
        status,
        source,
        _status(clear, result, found, status, n_profiles),
    )


def _reference(
    sums: WindowSums,
    found: Layers,
    status: NDArray,
    settings: RetrievalSettings,
    at: Callable[[u.Quantity], int],
    width: int,
    n_bins: int,
) -> ClearAir:
    """Clear air above all layers, or, if the light does not reach it, below the lowest."""
    n = sums.shape[0]
    above, below, hidden = np.zeros(n, int), np.full(n, n_bins), np.zeros(n, bool)
    np.maximum.at(above, found.profile, found.top + 1)
    np.minimum.at(below, found.profile, found.base)
    hidden[found.profile[status != MEASURED]] = True
    search = (at(settings.reference[0]), at(settings.reference[1]))
    high = rayleigh_fit(sums, search, width, np.where(hidden, n_bins, above))
    start = min(search[0], at(settings.layer_search[0]))
    low = rayleigh_fit(sums, (start, search[1]), width, 0, np.where(below < n_bins, below, 0))
    use = high.first >= 0
    return ClearAir(
        np.where(use, high.first, low.first),
        np.where(use, high.stop, low.stop),
        np.where(use, high.level, low.level),
        np.where(use, high.level_error, low.level_error),
        np.where(use | (low.first < 0), high.status, "clear below the layers"),
    )


def _total(
    problem: Problem,
    result: ElasticInversion,
    settings: RetrievalSettings,
    found: Layers,
    layer: tuple[NDArray, NDArray, NDArray, NDArray],
    ratio: NDArray,
    fixed: NDArray,
    aerosol: RamanAerosols | None,
    first: int,
) -> tuple[NDArray, NDArray, NDArray]:
    """Optical depth from the LIDAR, with the ground and the layers above the reference."""
    signal, molecules, boundary, level = problem
    depth, error, status, haze_error = layer
    n_bins = signal.shape[1]
    silent = np.zeros_like(level)
    shifted = []
    for factor, scattering in (
        (1.0 + settings.lidar_ratio_error, 1.0),
        (1.0, 1.0 + settings.scattering_ratio_error),
    ):
        other = np.clip(np.where(fixed, ratio, ratio * factor), 1.0, 200.0) << u.sr
        moved = fernald_inversion(
            signal, 0 * signal, molecules, boundary, level, silent, other, scattering
        )
        shifted.append(moved.optical_depth - result.optical_depth)
    if aerosol is not None:  # what the Raman signal fixes does not move with the reference
        shifted[1] = np.where(aerosol.solved[:, np.newaxis], 0.0, shifted[1])
    lowest = result.extinction.value[:, first : first + NEAR_BINS]
    with np.errstate(invalid="ignore"):
        ground, ground_error = depth_to_ground(
            np.where(np.isfinite(lowest).all(axis=1), lowest.sum(axis=1) / NEAR_BINS, np.nan),
            molecules.distance[first],
        )
    total = result.optical_depth
    stat = result.optical_depth_stat_error
    total, stat = _held(total), _held(stat)
    sys2 = _held(shifted[0]) ** 2 + _held(shifted[1]) ** 2 + ground_error[:, np.newaxis] ** 2
    cloud_sys2, cloud_stat2 = np.zeros_like(total), np.zeros_like(total)
    aerosol_depth = total.copy()
    for i, (row, base, top) in enumerate(zip(found.profile, found.base, found.top, strict=True)):
        if status[i] != MEASURED:
            total[row, base:] = np.nan
            continue
        rise = np.clip((np.arange(n_bins) - base + 1) / (top - base + 1), 0, 1)
        if boundary[row] < base:
            total[row] += depth[i] * rise
        else:
            aerosol_depth[row] -= depth[i] * rise
        cloud_stat2[row] += (error[i] * rise) ** 2
        own = np.hypot(depth[i] * settings.multiple_scattering_error, haze_error[i])
        own = np.hypot(own, settings.density_error / np.sqrt(2.0))
        cloud_sys2[row] += (own * rise) ** 2
    sys2 += cloud_sys2
    if aerosol is not None:
        sys2 += np.where(
            aerosol.solved[:, np.newaxis], (aerosol.relative_sys_error * aerosol_depth) ** 2, 0.0
        )
        at_far = np.take_along_axis(aerosol_depth, aerosol.far[:, np.newaxis], axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            scaled = aerosol.stat_error[:, np.newaxis] * aerosol_depth / at_far
        stat = np.where(aerosol.solved[:, np.newaxis], scaled, stat)
    stat = np.where(np.isfinite(total), np.sqrt(stat**2 + cloud_stat2), np.nan)
    sys2 += (settings.density_error / np.sqrt(2.0)) ** 2
    total += ground[:, np.newaxis]
    return total, stat, np.where(np.isfinite(total), np.sqrt(sys2), np.nan)


def _held(values: NDArray) -> NDArray:
    """Values with the last finite one of each profile kept beyond it, 0 before the first."""
    out = values.copy()
    n = values.shape[1]
    good = np.isfinite(values)
    index = np.maximum.accumulate(np.where(good, np.arange(n), -1), axis=1)
    out = np.take_along_axis(values, np.maximum(index, 0), axis=1)
    nothing = ~good.any(axis=1, keepdims=True)
    return np.where(nothing, np.nan, np.where(index < 0, 0.0, out))


def _calibrated(
    total: NDArray, sys: NDArray, clear: ClearAir, settings: RetrievalSettings
) -> tuple[NDArray, NDArray, NDArray]:
    """Optical depth shifted to that of the absolute calibration at the reference."""
    rows = np.arange(len(total))
    known, _ = depth_between(
        np.full(len(total), settings.calibration), 0.0 * clear.level, clear.level, clear.level_error
    )
    used = np.isfinite(known)
    shift = known - total[rows, np.maximum(clear.middle, 0)]
    total = np.where(used[:, np.newaxis], total + shift[:, np.newaxis], total)
    error = np.full(total.shape, settings.calibration_error / 2.0)
    return total, np.where(used[:, np.newaxis], error, sys), used


def _status(
    clear: ClearAir, result: ElasticInversion, found: Layers, status: NDArray, n_profiles: int
) -> NDArray:
    out = np.where(clear.first >= 0, MEASURED, clear.status).astype("U45")
    out[result.diverged] = "the inversion diverges"
    for row, text in zip(found.profile, status, strict=True):
        if text != MEASURED and out[row] == MEASURED:
            out[row] = text
    return out
