"""Relative arrival times of pixels from flat-field pulses."""

import numba
import numpy as np
from numpy.typing import NDArray

from .medians import good_median, good_median_error, masked_median, masked_median_error

__all__ = ["time_shift", "time_shift_error"]


def time_shift(peak_time: np.ndarray, good: np.ndarray) -> np.ndarray:
    """How much later than the camera a pixel is: t_pixel - median of the good pixels.

    ctapipe subtracts it from the peak time of the pixel (lstchain stores it with the other sign).

    Parameters
    ----------
    peak_time : array, (n_channels, n_pixels), ns
        Mean peak time of flat-field pulses, extracted from pedestal-subtracted waveforms: under a
        pedestal the centroid is pulled to the middle of the window.
    good : bool array, (n_channels, n_pixels)
        Pixels that make the median.

    Returns
    -------
    array, (n_channels, n_pixels), ns
        Of every pixel with a time, good or not; NaN without a time, and for a channel without
        good pixels.
    """
    peak_time = np.asarray(peak_time, dtype=float)
    return peak_time - masked_median(peak_time, good & np.isfinite(peak_time))


def time_shift_error(
    peak_time: np.ndarray, std: np.ndarray, n_events: np.ndarray, good: np.ndarray
) -> np.ndarray:
    """Statistical error of `time_shift`: s/sqrt(N-1) of the pixel and that of the camera median.

    Parameters
    ----------
    peak_time : array, (n_channels, n_pixels), ns
        As given to `time_shift`.
    std : array, (n_channels, n_pixels), ns
        Of the peak time from event to event, with divisor N as in ctapipe, without what all pixels
        share (jitter of the light source): that drops out of the shift.
    n_events : array, broadcastable
        N; fewer than 2 give NaN.
    good : bool array, (n_channels, n_pixels)

    Returns
    -------
    array, (n_channels, n_pixels), ns
    """
    # ASSUME: times of different pixels fluctuate independently; jitter of the light source that is
    # still in `std` makes this error an upper bound.
    degrees = np.where(np.asarray(n_events) > 1, np.asarray(n_events) - 1.0, np.nan)
    of_mean = np.asarray(std, float) / np.sqrt(degrees)
    counted = good & np.isfinite(of_mean) & np.isfinite(peak_time)
    return np.hypot(of_mean, masked_median_error(peak_time, of_mean, counted))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def shifts_of_channel(
    shift: NDArray,
    error: NDArray,
    peak_time: NDArray,
    std: NDArray,
    n_events: NDArray,
    common_variance: float,
    good: NDArray,
) -> None:
    """`time_shift` and `time_shift_error` of one channel, into the first two arguments.

    The variance that all pixels share, if it is known, is taken from ``std**2``.
    """
    common = common_variance if np.isfinite(common_variance) else 0.0
    of_mean = np.empty(len(std))
    timed, counted = np.empty((2, len(std)), np.bool_)
    for i in range(len(std)):
        degrees = n_events[i] - 1.0 if n_events[i] > 1 else np.nan
        of_mean[i] = np.sqrt(max(std[i] * std[i] - common, 0.0) / degrees)
        timed[i] = good[i] & np.isfinite(peak_time[i])
        counted[i] = timed[i] & np.isfinite(of_mean[i])
    median = good_median(peak_time, timed)
    of_median = good_median_error(peak_time, of_mean, counted)
    for i in range(len(std)):
        shift[i] = peak_time[i] - median
        error[i] = np.sqrt(of_mean[i] ** 2 + of_median**2)
