r"""From the channels of one laser wavelength to aerosols along the beam, with errors.

Order of the knowledge used: layers by the ratio of clear air above and below; the aerosols below
by the Raman signal; a lidar ratio is assumed only where neither gives an answer. The elastic
inversion then distributes these optical depths over the range.
"""

from dataclasses import dataclass, field

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from ..core.lidar_files import CALIBRATED, PHOTON_COUNTING, LidarSignal
from .lidar_clouds import MEASURED, Layers, LayerSearch, layer_optical_depth, layers
from .lidar_inversion import ElasticInversion, constrained_lidar_ratio, fernald_inversion
from .lidar_molecular import MolecularSignal
from .lidar_raman import angstrom_factor, raman_optical_depth
from .lidar_rayleigh_fit import ClearAir, WindowSums, depth_between, rayleigh_fit
from .lidar_signal import (
    dead_time_corrected,
    rebinned,
    signal_above_background,
    signal_noise,
)
from .lidar_transmission import depth_to_ground

__all__ = ["BinnedRatio", "LidarRetrieval", "RetrievalSettings", "binned_ratio", "lidar_retrieval"]

_SPEED_OF_LIGHT = 0.299792458  # m/ns
_NEAR_BINS = 5  # of the nearest Raman level
_SIGNIFICANT = 3.0  # errors above which an optical depth fixes a lidar ratio


@dataclass(frozen=True)
class RetrievalSettings:
    """What is assumed and where is looked; ranges along the beam.

    Parameters
    ----------
    full_overlap, background : Quantity
        Nearest range used; range from which on nothing is scattered back.
    reference : tuple of Quantity
        Range searched for clear air (Rayleigh fit).
    reference_width : Quantity
        Of its windows, and of clear air below and above a layer.
    layer_search : tuple of Quantity
        Range in which clouds and lofted layers are searched.
    raman_top : Quantity
        Range up to which the Raman signal is strong enough for aerosols.
    lidar_ratio, cloud_lidar_ratio : Quantity
        Where no measurement fixes it.
    lidar_ratio_error : float
        Relative, of both.
    scattering_ratio_error : float
        Aerosols in the reference range: total over molecular backscatter is 1 to 1 + this.
    angstrom_exponent, angstrom_error : float
        Between emitted and Raman wavelength.
    multiple_scattering, multiple_scattering_error : float
        Of layers.
    haze_top, haze : Quantity, tuple of float
        Layers that begin below `haze_top` are measured with the Raman signal, if there is one;
        backscatter of aerosols over that of molecules in the air below a layer, lower and higher
        than this: a systematic error of the elastic signal.
    density_error : float
        Relative error of the molecular density between two ranges.
    calibration, calibration_error : float or None, float
        Constant of the instrument (ratio of signal to molecules with no aerosol), relative error.
    """

    full_overlap: u.Quantity = 300 * u.m
    background: u.Quantity = 27 * u.km
    reference: tuple[u.Quantity, u.Quantity] = field(default=(6 * u.km, 25 * u.km))
    reference_width: u.Quantity = 2 * u.km
    layer_search: tuple[u.Quantity, u.Quantity] = field(default=(1.5 * u.km, 24 * u.km))
    raman_top: u.Quantity = 11.5 * u.km
    lidar_ratio: u.Quantity = 50 * u.sr
    cloud_lidar_ratio: u.Quantity = 25 * u.sr
    lidar_ratio_error: float = 0.4
    scattering_ratio_error: float = 0.02
    angstrom_exponent: float = 1.0
    angstrom_error: float = 0.5
    multiple_scattering: float = 1.0
    multiple_scattering_error: float = 0.05
    haze_top: u.Quantity = 4 * u.km
    haze: tuple[float, float] = (0.06, 0.01)
    density_error: float = 3e-3
    calibration: float | None = None
    calibration_error: float = 0.02


@dataclass(frozen=True)
class BinnedRatio:
    """Ratio of signal to molecules in bins.

    Parameters
    ----------
    ratio, variance : ndarray, (n_profiles, n_bins)
    weight : ndarray, (n_bins,)
        Expected photons, any unit.
    background_error : ndarray, (n_profiles,)
        Error of the background that was subtracted, in the unit of ratio times weight.
    """

    ratio: NDArray
    variance: NDArray
    weight: NDArray
    background_error: NDArray

    def sums(self, distance: u.Quantity) -> WindowSums:
        """Sums over windows, slopes against km."""
        return WindowSums(
            self.ratio,
            self.variance,
            self.weight,
            distance.to_value(u.km),
            self.background_error,
        )


def binned_ratio(
    channel: LidarSignal,
    attenuated_backscatter: u.Quantity,
    n_profiles: int,
    n_bins: int,
    background: u.Quantity,
    dead_time: u.Quantity,
) -> BinnedRatio:
    r"""Ratio of photons to the molecular expectation, :math:`\sum S/\sum(\beta_m^{att}/r^2)`.

    Sums of photons over sums of expectations: no bias from the fall of the signal inside a bin.
    Counts are divided by their shots.

    Parameters
    ----------
    channel : LidarSignal
    attenuated_backscatter : Quantity, (n_bins of the channel,)
        Molecular, `MolecularSignal.attenuated_backscatter` at the ranges of the channel.
    n_profiles, n_bins : int
        Averaged.
    background, dead_time : Quantity
        As in `RetrievalSettings`; of the counter.

    Raises
    ------
    CorruptedInputError, InsufficientStatisticsError, ConfigurationError
        As the steps in `lidar_signal`.
    """
    r = channel.distance.to_value(u.m)
    signal, stretch, gain = channel.values, 1.0, None
    if channel.mode == CALIBRATED:
        signal = signal / r**2
    if channel.mode == PHOTON_COUNTING:
        gain = 1.0
        duration = 2.0 * (r[1] - r[0]) / _SPEED_OF_LIGHT * u.ns
        signal = dead_time_corrected(channel.values, channel.shots, duration, dead_time)
        with np.errstate(invalid="ignore", divide="ignore"):
            stretch = np.where(channel.values > 0, signal / channel.values, 1.0)
    expected = attenuated_backscatter.to_value(1 / u.m / u.sr) / r**2
    far = channel.distance >= background
    signal, floor, common = signal_above_background(signal, far, expected)
    variance = signal_noise(signal, floor, gain).variance * stretch**3
    shots = channel.shots[:, np.newaxis]
    per_shot = (common / channel.shots)[: common.size // n_profiles * n_profiles]
    common = np.sqrt(np.mean(per_shot.reshape(-1, n_profiles) ** 2, axis=1) / n_profiles)
    signal, variance = rebinned(signal / shots, variance / shots**2, n_profiles, n_bins)
    weight = rebinned(expected[np.newaxis], np.zeros((1, r.size)), 1, n_bins)[0][0]
    return BinnedRatio(signal / weight, variance / weight**2, weight, common)


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

    def bins(length):
        return int(np.rint(length.to_value(u.m) / width))

    def at(distance):
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
    ratio = _assumed_ratios(found, settings, n_profiles, n_bins)
    problem = (signal, molecules, clear.middle, clear.level)
    fixed = np.zeros((n_profiles, n_bins), bool)
    _fix_layers(problem, found, depth, error, settings, search, ratio, fixed)
    source = np.full(n_profiles, "lidar ratio", dtype="U11")
    aerosol = None
    if raman is not None:
        far = np.minimum(np.minimum(lowest, at(settings.raman_top)), n_bins)
        aerosol = _fix_aerosols(
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


def _reference(sums, found, status, settings, at, width, n_bins):
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
        *(
            np.where(use, getattr(high, name), getattr(low, name))
            for name in ("first", "stop", "level", "level_error")
        ),
        np.where(use | (low.first < 0), high.status, "clear below the layers"),
    )


def _assumed_ratios(found, settings, n_profiles, n_bins):
    ratio = np.full((n_profiles, n_bins), settings.lidar_ratio.to_value(u.sr))
    for profile, base, top in zip(found.profile, found.base, found.top, strict=True):
        ratio[profile, base - 1 : top + 2 if top >= 0 else n_bins] = (
            settings.cloud_lidar_ratio.to_value(u.sr)
        )
    return ratio


def _fix_layers(problem, found, depth, error, settings, search, ratio, fixed):
    """Lidar ratios of layers from their optical depths, the highest of each profile first."""
    signal, molecules, boundary, level = problem
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
        _set(ratio, fixed, rows, low, high, solution)
        left = np.setdiff1d(left, now)


def _set(ratio, fixed, rows, low, high, solution):
    bins = np.arange(ratio.shape[1])
    inside = (bins >= low[:, np.newaxis]) & (bins <= high[:, np.newaxis])
    inside &= np.isfinite(solution)[:, np.newaxis]
    ratio[rows] = np.where(inside, solution[:, np.newaxis], ratio[rows])
    fixed[rows] |= inside


def _assumed_depth(problem, ratio, low, high):
    """Optical depth between bins with the assumed lidar ratio."""
    signal, molecules, boundary, level = problem
    zero = np.zeros_like(level)
    depth = fernald_inversion(
        signal, 0.0 * signal, molecules, boundary, level, zero, ratio << u.sr
    ).optical_depth
    rows = np.arange(len(level))
    return depth[rows, high] - depth[rows, low]


@dataclass(frozen=True)
class _RamanAerosols:
    near: int
    far: NDArray
    depth: NDArray
    stat_error: NDArray
    relative_sys_error: float
    solved: NDArray


def _fix_aerosols(problem, raman, wavelengths, settings, first, far, bins, ratio, fixed):
    """Lidar ratio below the layers from the Raman signal."""
    signal, molecules, boundary, level = problem
    n = len(boundary)
    length = max(bins(settings.reference_width), 4)
    far = np.minimum(far, np.where(boundary < 0, far, boundary + length // 2))
    factor = angstrom_factor(*wavelengths, settings.angstrom_exponent)
    near = np.full(n, first)
    far_first = np.maximum(far - length, first + _NEAR_BINS)
    far_stop = np.maximum(far, far_first + 1)
    depth, error = raman_optical_depth(
        raman.sums(molecules.distance),
        (near, near + _NEAR_BINS),
        (far_first, far_stop),
        factor,
        molecules.distance.to_value(u.km)[near + _NEAR_BINS // 2],
    )
    low = near + _NEAR_BINS // 2
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
        _set(ratio, fixed, rows, np.full(rows.size, first), high[rows], solution)
        solved[rows] = np.isfinite(solution)
    shorter = (wavelengths[0] / wavelengths[1]).to_value(u.one)
    sensitivity = abs(np.log(shorter)) * (factor - 1.0) / factor
    return _RamanAerosols(
        int(low[0]), high, depth, error, sensitivity * settings.angstrom_error, solved
    )


def _total(problem, result, settings, found, layer, ratio, fixed, aerosol, first):
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
    lowest = result.extinction.value[:, first : first + _NEAR_BINS]
    with np.errstate(invalid="ignore"):
        ground, ground_error = depth_to_ground(
            np.where(np.isfinite(lowest).all(axis=1), lowest.sum(axis=1) / _NEAR_BINS, np.nan),
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


def _held(values):
    """Values with the last finite one of each profile kept beyond it, 0 before the first."""
    out = values.copy()
    n = values.shape[1]
    good = np.isfinite(values)
    index = np.maximum.accumulate(np.where(good, np.arange(n), -1), axis=1)
    out = np.take_along_axis(values, np.maximum(index, 0), axis=1)
    nothing = ~good.any(axis=1, keepdims=True)
    return np.where(nothing, np.nan, np.where(index < 0, 0.0, out))


def _calibrated(total, sys, clear, settings):
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


def _status(clear, result, found, status, n_profiles):
    out = np.where(clear.first >= 0, MEASURED, clear.status).astype("U45")
    out[result.diverged] = "the inversion diverges"
    for row, text in zip(found.profile, status, strict=True):
        if text != MEASURED and out[row] == MEASURED:
            out[row] = text
    return out
