"""Charge, arrival time and variance of blocks of waveforms.

The windows are those of ctapipe's image extractors without integration correction, for many
events at once and for waveforms as stored (uint16) or in float32.
"""

import astropy.units as u
import numba
import numpy as np
from numpy.typing import NDArray

from calibpipe.core.exceptions import ConfigurationError

__all__ = ["fixed_window_sum", "local_peak_window_sum", "waveform_variance"]


@u.quantity_input(sampling_rate=u.GHz)
def local_peak_window_sum(
    waveform: np.ndarray,
    sampling_rate: u.Quantity,
    *,
    window_width: int = 7,
    window_shift: int = 3,
    pedestal: np.ndarray | None = None,
) -> tuple[np.ndarray, u.Quantity]:
    r"""Sum in a window about the highest sample of each waveform, and centroid of the window.

    .. math:: Q = \sum_{i=s}^{e-1} w_i, \quad
              t = \frac{1}{f} \frac{\sum_{w_i>0} i\,w_i}{\sum_{w_i>0} w_i}, \quad
              s = \max(0, p - shift), \quad e = \min(p - shift + width, n_{samples})

    with :math:`p` the first highest sample; :math:`t = p/f` where no sample of the window is
    positive.

    Parameters
    ----------
    waveform: ndarray, shape (n_events, n_channels, n_pixels, n_samples)
        ADC counts.
    sampling_rate: Quantity, scalar
    window_width, window_shift: int
        Samples of the window, and how many of them come before the highest sample.
    pedestal: ndarray, shape (n_channels, n_pixels), optional
        ADC counts per sample, subtracted (in float32) from every sample. Times of signals on
        a pedestal are meaningless without: the centroid is drawn to the middle of the window.

    Returns
    -------
    charge: ndarray, shape (n_events, n_channels, n_pixels), float32
        ADC counts.
    peak_time: Quantity, same shape, float32, ns
        Since the start of the first sample.

    Raises
    ------
    ConfigurationError
        If shapes do not fit, the window is empty or the sampling rate is not positive.

    References
    ----------
    ctapipe 0.32, ``ctapipe.image.LocalPeakWindowSum`` (doi:10.5281/zenodo.3372210).
    """
    return _window_sum(waveform, sampling_rate, -1, window_width, window_shift, pedestal)


@u.quantity_input(sampling_rate=u.GHz)
def fixed_window_sum(
    waveform: np.ndarray,
    sampling_rate: u.Quantity,
    *,
    peak_index: int,
    window_width: int = 7,
    window_shift: int = 0,
    pedestal: np.ndarray | None = None,
) -> tuple[np.ndarray, u.Quantity]:
    """Sum in the same window of every waveform, and centroid of the window.

    As `local_peak_window_sum`, but :math:`p` = `peak_index` for all waveforms.

    Parameters
    ----------
    waveform, sampling_rate, window_width, window_shift, pedestal:
        As in `local_peak_window_sum`.
    peak_index: int
        Sample to which the window is attached, not negative.

    Returns
    -------
    charge: ndarray, shape (n_events, n_channels, n_pixels), float32
    peak_time: Quantity, same shape, float32, ns

    Raises
    ------
    ConfigurationError
        If shapes do not fit, the window has no sample or the sampling rate is not positive.

    References
    ----------
    ctapipe 0.32, ``ctapipe.image.FixedWindowSum`` (doi:10.5281/zenodo.3372210).
    """
    n_samples = np.shape(waveform)[-1] if np.ndim(waveform) else 0
    start = peak_index - window_shift
    if peak_index < 0 or start >= n_samples or start + window_width <= 0:
        raise ConfigurationError(
            f"the window of samples {start} to {start + window_width - 1} (peak_index "
            f"{peak_index}) is outside the {n_samples} samples; move it inside"
        )
    return _window_sum(waveform, sampling_rate, peak_index, window_width, window_shift, pedestal)


def waveform_variance(waveform: np.ndarray) -> np.ndarray:
    """Population variance over the samples of each waveform.

    Parameters
    ----------
    waveform: ndarray, shape (n_events, n_channels, n_pixels, n_samples)
        ADC counts.

    Returns
    -------
    ndarray, shape (n_events, n_channels, n_pixels), float32
        ADC counts squared.

    Raises
    ------
    ConfigurationError
        If the waveforms have no such shape.

    References
    ----------
    ctapipe 0.32, ``ctapipe.image.VarianceExtractor`` (doi:10.5281/zenodo.3372210).
    """
    _require_block(waveform)
    variance = np.empty(waveform.shape[:-1], np.float32)
    _variance_kernel(waveform, variance)
    return variance


def _window_sum(
    waveform: np.ndarray,
    sampling_rate: u.Quantity,
    peak_index: int,
    width: int,
    shift: int,
    pedestal: np.ndarray | None,
) -> tuple[np.ndarray, u.Quantity]:
    _require_block(waveform)
    rate = sampling_rate.to_value(u.GHz)
    if not (width >= 1 and rate > 0):
        raise ConfigurationError(
            f"needs a window of at least 1 sample and a positive sampling rate, got {width} "
            f"samples and {rate} GHz; correct the extraction window or the camera description"
        )
    shape = waveform.shape[1:3]
    pedestal = np.zeros(shape, np.float32) if pedestal is None else np.asarray(pedestal)
    if pedestal.shape != shape:
        raise ConfigurationError(
            f"pedestal has the shape {pedestal.shape}, the waveforms have {shape} channels and "
            "pixels; give one pedestal for each channel and pixel"
        )
    charge = np.empty(waveform.shape[:-1], np.float32)
    time = np.empty(waveform.shape[:-1], np.float32)
    pedestal = pedestal.astype(np.float32)
    _window_kernel(waveform, pedestal, peak_index, width, shift, rate, charge, time)
    return charge, u.Quantity(time, u.ns, copy=False)


def _require_block(waveform: np.ndarray) -> None:
    if np.ndim(waveform) != 4 or np.shape(waveform)[-1] < 1:
        raise ConfigurationError(
            "waveforms must have the shape (events, channels, pixels, samples) with at least "
            f"one sample, got {np.shape(waveform)}"
        )


@numba.njit(cache=True, nogil=True)
def _window_kernel(
    waveform: NDArray,
    pedestal: NDArray,
    peak_index: int,
    width: int,
    shift: int,
    rate: float,
    charge: NDArray,
    time: NDArray,
) -> None:
    n_events, n_channels, n_pixels, n_samples = waveform.shape
    for event in range(n_events):
        for channel in range(n_channels):
            for pixel in range(n_pixels):
                samples = waveform[event, channel, pixel]
                base = pedestal[channel, pixel]
                peak = peak_index
                if peak_index < 0:
                    highest = samples[0]
                    for i in range(1, n_samples):  # without a branch: several samples at once
                        highest = max(highest, samples[i])
                    peak = 0
                    while samples[peak] < highest:
                        peak += 1
                total = 0.0
                weighted = 0.0
                positive = 0.0
                for i in range(max(0, peak - shift), min(peak - shift + width, n_samples)):
                    value = np.float32(samples[i]) - base
                    total += value
                    if value > 0:
                        weighted += np.float64(value) * i
                        positive += value
                centre = np.float32(weighted / positive if positive > 0 else peak)
                charge[event, channel, pixel] = total
                time[event, channel, pixel] = centre / rate


@numba.njit(cache=True, nogil=True)
def _variance_kernel(waveform: NDArray, variance: NDArray) -> None:
    n_events, n_channels, n_pixels, n_samples = waveform.shape
    for event in range(n_events):
        for channel in range(n_channels):
            for pixel in range(n_pixels):
                samples = waveform[event, channel, pixel]
                first = np.float64(samples[0])
                total = 0.0
                squares = 0.0
                for i in range(n_samples):
                    difference = samples[i] - first
                    total += difference
                    squares += difference * difference
                mean = total / n_samples
                variance[event, channel, pixel] = max(squares / n_samples - mean * mean, 0.0)
