r"""Signals of a LIDAR: dead time, background, noise, overlap, range correction, binning.

Arrays are (n_profiles, n_bins), range ascending along the last axis. A signal is proportional to
photons: counts, volts, or attenuated backscatter over the square of the range.

References
----------
Donovan, Whiteway, Carswell 1993, Applied Optics 32, 6742, doi 10.1364/AO.32.006742 (dead time).
Wandinger, Ansmann 2002, Applied Optics 41, 511, doi 10.1364/AO.41.000511 (overlap).
"""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from ..core.exceptions import ConfigurationError, CorruptedInputError, InsufficientStatisticsError

__all__ = [
    "SignalNoise",
    "clear_sky_overlap",
    "dead_time_corrected",
    "overlap_corrected",
    "range_corrected",
    "rebinned",
    "running_mean",
    "signal_above_background",
    "signal_noise",
]

_MIN_BACKGROUND_BINS = 20  # the spread of so few is known to 16 %
_MIN_NOISE_BINS = 10
_WIDE = 11
_LARGEST_PILE_UP = 0.5  # of the true rate lost: beyond, 1 % of dead time moves the rate by 1 %
_SMALLEST_OVERLAP = 0.1  # below, errors of the overlap function decide


def dead_time_corrected(
    counts: NDArray, shots: NDArray, bin_duration: u.Quantity, dead_time: u.Quantity
) -> NDArray:
    r"""Counts that a counter without dead time would have seen: :math:`n/(1 - n\tau)`.

    # ASSUME: a non-paralysable counter (after a count it is blind for a fixed time).

    Parameters
    ----------
    counts : ndarray, (n_profiles, n_bins)
        Summed over the shots.
    shots : ndarray, (n_profiles,)
        Laser shots of each profile.
    bin_duration, dead_time : Quantity
        Time. No dead time changes nothing.

    Returns
    -------
    ndarray, (n_profiles, n_bins)
        NaN where more than half of the photons were lost: nothing can be said there.

    Raises
    ------
    ConfigurationError
        If the dead time is negative.
    CorruptedInputError
        If a profile has no shots.
    """
    if dead_time < 0 * u.ns:
        raise ConfigurationError(f"dead time of the photon counter is {dead_time}, needs >= 0 ns")
    shots = np.asarray(shots, float)
    if not np.all(shots > 0):
        raise CorruptedInputError(
            f"profile {int(np.argmin(shots))} has {np.min(shots):g} laser shots, needs at least 1; "
            "leave this profile out"
        )
    per_bin = (dead_time / bin_duration).to_value(u.one)
    blind = np.asarray(counts, float) / shots[:, np.newaxis] * per_bin
    with np.errstate(divide="ignore"):
        return np.where(blind < _LARGEST_PILE_UP, counts / (1.0 - blind), np.nan)


def signal_above_background(
    signal: NDArray, in_background: NDArray, expected: NDArray
) -> tuple[NDArray, NDArray, NDArray]:
    r"""Signal less its background, the spread of a bin there, and the error of the background.

    The last bins still hold light of the molecules, 1 % of that at a third of their range. With
    the mean signal of the last eighth before the background, :math:`S_1`, and that of the
    background, :math:`S_2`, and the expected molecular ones :math:`w_1, w_2`,

    .. math:: B = S_2 - w_2\,(S_1 - S_2)/(w_1 - w_2).

    # ASSUME: no aerosols there; a cloud in it makes B too small.

    Parameters
    ----------
    signal : ndarray, (n_profiles, n_bins)
    in_background : ndarray of bool, (n_bins,)
        The last bins. NaN are left out.
    expected : ndarray, (n_bins,)
        Molecular attenuated backscatter over the square of the range, any unit; zeros if the
        background holds no light at all.

    Returns
    -------
    signal : ndarray, (n_profiles, n_bins)
    variance : ndarray, (n_profiles,)
        Of one bin of the background.
    background_error : ndarray, (n_profiles,)
        Standard error of what was subtracted: common to all bins of a profile.

    Raises
    ------
    InsufficientStatisticsError
        If there are fewer than 20 finite bins of background in a profile.
    """
    signal = np.asarray(signal, float)
    far = signal[:, in_background]
    count = np.isfinite(far).sum(axis=1)
    if far.shape[1] < _MIN_BACKGROUND_BINS or np.min(count) < _MIN_BACKGROUND_BINS:
        found = int(np.min(count)) if far.shape[1] else 0
        raise InsufficientStatisticsError(
            f"the background of a profile has {found} bins, needs {_MIN_BACKGROUND_BINS}; begin "
            "the background nearer, or record farther"
        )
    variance = np.nanvar(far, axis=1, ddof=1)
    before, part = _light_in_background(signal, in_background, expected)
    mean = np.nanmean(far, axis=1)
    near = np.where(np.isfinite(before), before, mean[:, np.newaxis])
    mean = mean - part * (near.mean(axis=1) - mean)
    error = np.sqrt(variance * ((1.0 + part) ** 2 / count + part**2 / near.shape[1]))
    return signal - mean[:, np.newaxis], variance, error


def _light_in_background(
    signal: NDArray, in_background: NDArray, expected: NDArray
) -> tuple[NDArray, float]:
    """Bins before the background, and light in it over the difference to them."""
    start = int(np.argmax(in_background))
    before = slice(start - max(start // 8, 1), start)
    w_near, w_far = expected[before].mean(), expected[in_background].mean()
    return signal[:, before], w_far / (w_near - w_far) if w_near > w_far > 0 else 0.0


@dataclass(frozen=True)
class SignalNoise:
    r"""Variance of a signal above background, :math:`V = V_0 + g\,\langle S\rangle`.

    Parameters
    ----------
    variance : ndarray, (n_profiles, n_bins)
    gain : float
        Signal of one detected photon; 1 for counts.
    """

    variance: NDArray
    gain: float


def signal_noise(
    signal: NDArray, floor: NDArray, gain: float | None = None, smoothing: int = 9
) -> SignalNoise:
    r"""Noise of a signal from the spread of its background and from photon statistics.

    With no gain given it is measured: the second difference of neighbouring bins,
    :math:`d = S_{i-1} - 2 S_i + S_{i+1}`, has a variance of :math:`6 V`; a smooth signal leaves
    nothing in it. Over blocks of bins, :math:`g = \sum(\langle d^2\rangle/6 - V_0)/\sum S`, the
    median of the blocks. # ASSUME: noise of neighbouring bins is independent.

    Parameters
    ----------
    signal : ndarray, (n_profiles, n_bins)
        Above background.
    floor : ndarray, (n_profiles,)
        Variance of a bin of background.
    gain : float or None
        Signal of a photon; None if it is to be measured.
    smoothing : int
        Bins over which the signal is averaged for its variance: a variance out of a single
        fluctuating bin would favour low bins. Where it holds less than a photon, the mean of a
        window ten times as wide decides: no photon is no proof of no noise.

    Raises
    ------
    InsufficientStatisticsError
        If there is too little signal to measure the gain.
    """
    if gain is None:
        gain = _measured_gain(signal, floor)
    smooth = np.nan_to_num(running_mean(signal, smoothing))
    wide = np.nan_to_num(running_mean(signal, _WIDE * smoothing))
    smooth = np.maximum(smooth, np.clip(wide, 0.0, gain / smoothing))
    variance = floor[:, np.newaxis] + gain * smooth
    return SignalNoise(np.where(np.isfinite(signal), variance, np.nan), gain)


def _measured_gain(signal: NDArray, floor: NDArray) -> float:
    size = 50
    n = (signal.shape[1] - 2) // size
    if n < 1:
        raise InsufficientStatisticsError(
            f"{signal.shape[1]} bins are too few to measure their noise, needs {size + 2}"
        )
    second = signal[:, 2:] - 2.0 * signal[:, 1:-1] + signal[:, :-2]
    excess = (second**2 / 6.0 - floor[:, np.newaxis])[:, : n * size]
    inner = signal[:, 1 : n * size + 1]
    shape = (signal.shape[0], n, size)
    good = np.isfinite(excess) & np.isfinite(inner)
    top = np.where(good, excess, 0.0).reshape(shape).sum(axis=(0, 2))
    bottom = np.where(good, inner, 0.0).reshape(shape).sum(axis=(0, 2))
    spread = np.sqrt(np.where(good, floor[:, np.newaxis], 0.0).reshape(shape).sum(axis=(0, 2)))
    used = (good.sum(axis=0).reshape(n, size).sum(axis=1) > _MIN_NOISE_BINS) & (
        bottom > 30.0 * spread
    )
    if not used.any():
        raise InsufficientStatisticsError(
            "no range with a signal above its background in any profile: the laser, the shutter or "
            "the alignment"
        )
    return max(float(np.median(top[used] / bottom[used])), 0.0)


def running_mean(values: NDArray, width: int) -> NDArray:
    """Mean of the finite values in an odd window along the last axis; NaN if there are none."""
    values = np.asarray(values, float)
    good = np.isfinite(values)
    half = width // 2
    total = np.cumsum(np.where(good, values, 0.0), axis=-1)
    count = np.cumsum(good, axis=-1)
    n = values.shape[-1]
    last = np.minimum(np.arange(n) + half, n - 1)
    first = np.arange(n) - half - 1
    inside = first >= 0

    def window(cumulative: NDArray) -> NDArray:
        return cumulative[..., last] - np.where(inside, cumulative[..., first], 0)

    with np.errstate(invalid="ignore", divide="ignore"):
        return window(total) / window(count)


def overlap_corrected(signal: NDArray, overlap: NDArray) -> NDArray:
    """Signal over the overlap of laser and field of view; NaN where the overlap is below 0.1.

    Parameters
    ----------
    signal : ndarray, (..., n_bins)
    overlap : ndarray, (n_bins,)
        0 to 1, 1 from full overlap on.

    Raises
    ------
    ConfigurationError
        If an overlap is not between 0 and 1.05 (an overlap above 1 is an error of its fit).
    """
    overlap = np.asarray(overlap, float)
    if not np.all((overlap >= 0) & (overlap <= 1.05)):
        raise ConfigurationError(
            f"overlap runs from {np.min(overlap):g} to {np.max(overlap):g}, needs 0 to 1; "
            "normalise it to 1 at full overlap"
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(overlap >= _SMALLEST_OVERLAP, signal / overlap, np.nan)


def clear_sky_overlap(
    ratio: NDArray, weight: NDArray, distance: u.Quantity, full_overlap: u.Quantity, fit: u.Quantity
) -> NDArray:
    r"""Overlap from profiles of a night so clear that the molecules alone scatter.

    :math:`O(r) = [X/\beta_m^{att}](r)` over its mean from full overlap to the end of the fit. The
    aerosol of the nights used is its systematic error: an optical depth of 0.01 gives 2 %.

    Parameters
    ----------
    ratio : ndarray, (n_profiles, n_bins)
        Range-corrected signal over molecular attenuated backscatter.
    weight : ndarray, (n_bins,)
        Molecular attenuated backscatter over the square of the range.
    distance : Quantity, (n_bins,)
    full_overlap, fit : Quantity
        From where on the overlap is 1, and the end of the normalisation.

    Raises
    ------
    InsufficientStatisticsError
        If no bin lies between full overlap and the end of the fit.
    """
    inside = (distance >= full_overlap) & (distance <= fit)
    if not inside.any():
        raise InsufficientStatisticsError(
            f"no bin between full overlap ({full_overlap}) and {fit}; give a later end of the fit"
        )
    mean = np.nanmean(ratio, axis=0)
    level = np.sum((mean * weight)[inside]) / np.sum(weight[inside])
    return np.where(distance >= full_overlap, 1.0, np.clip(mean / level, 0.0, 1.0))


def range_corrected(signal: NDArray, distance: u.Quantity) -> NDArray:
    r"""Signal times the square of the range in m, :math:`X = S r^2`.

    Raises
    ------
    ConfigurationError
        If a range is not positive.
    """
    r = distance.to_value(u.m)
    if not np.all(r > 0):
        raise ConfigurationError(
            f"a range is {np.min(r):g} m, needs above 0; leave the bins before the laser shot out"
        )
    return signal * r**2


def rebinned(
    values: NDArray, variance: NDArray, n_profiles: int, n_bins: int
) -> tuple[NDArray, NDArray]:
    """Means of blocks of profiles and bins, and their variances; an odd rest is left out.

    Parameters
    ----------
    values, variance : ndarray, (n_profiles, n_bins)
        NaN are left out of the means; a block of NaN is NaN.
    n_profiles, n_bins : int
        Size of a block.

    Returns
    -------
    values, variance : ndarray, fewer profiles and bins
    """
    rows, columns = values.shape[0] // n_profiles, values.shape[1] // n_bins
    shape = (rows, n_profiles, columns, n_bins)
    part = (slice(rows * n_profiles), slice(columns * n_bins))
    good = np.isfinite(values[part]) & np.isfinite(variance[part])
    count = good.reshape(shape).sum(axis=(1, 3))
    total = np.where(good, values[part], 0.0).reshape(shape).sum(axis=(1, 3))
    noise = np.where(good, variance[part], 0.0).reshape(shape).sum(axis=(1, 3))
    with np.errstate(invalid="ignore", divide="ignore"):
        return total / count, np.where(count > 0, noise / count**2, np.nan)
