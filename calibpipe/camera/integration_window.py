"""Part of a pulse that an integration window contains, from the pulse's shape.

    f(t) = C(t_end - t) - C(t_begin - t)

with C the cumulative pulse of unit area about its maximum, t the time of the maximum. A charge
divided by the mean of f over the jitter of t is that of the whole pulse; the spread of f is
noise that grows with the charge.
"""

from dataclasses import dataclass

import astropy.units as u
import numpy as np

from ..core.exceptions import ConfigurationError, InsufficientStatisticsError

__all__ = [
    "PulseShape",
    "WindowCorrection",
    "centroid",
    "fixed_window_correction",
    "local_peak_correction",
    "measured_pulse",
    "pulse_shape",
]

N_NODES = 31  # of the quadrature over a Gaussian jitter
N_PHASES = 400  # of the pulse within a sample
_PULSE_THRESHOLD = 0.01  # of the maximum


@dataclass(frozen=True)
class PulseShape:
    """Cumulative pulses of unit area, one a channel, about their maxima.

    Parameters
    ----------
    time : ndarray, (n_channels, n_edges), ns
        After the maximum.
    cumulative : ndarray, (n_channels, n_edges)
        From 0 to 1, not monotone where the pulse undershoots.
    """

    time: np.ndarray
    cumulative: np.ndarray

    def contained(self, channel: int, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Part of the pulse of a channel between two times (ns) after its maximum."""
        edges = self.time[channel], self.cumulative[channel]
        return np.interp(end, *edges) - np.interp(begin, *edges)


@u.quantity_input
def pulse_shape(reference_pulse: np.ndarray, step: u.Quantity[u.ns]) -> PulseShape:
    """Shape of reference pulses (``CameraReadout.reference_pulse_shape``) or measured ones.

    The pulse begins and ends where it is above 1 % of its maximum for the first and the last time;
    undershoot in between is a part of it.

    Parameters
    ----------
    reference_pulse : array, (n_channels, n_steps)
    step : Quantity
        Width of the steps.

    Raises
    ------
    ConfigurationError
        If a pulse is not finite or has no positive maximum.
    """
    pulse = np.atleast_2d(np.asarray(reference_pulse, float))
    if not np.isfinite(pulse).all() or not (pulse.max(axis=1) > 0).all():
        raise ConfigurationError(
            f"pulses of shape {pulse.shape} have maxima {pulse.max(axis=1)}: needs finite numbers "
            "and positive maxima; give the pulse shape of each channel"
        )
    width = step.to_value(u.ns)
    peak = pulse.argmax(axis=1)
    above = pulse > _PULSE_THRESHOLD * pulse.max(axis=1, keepdims=True)
    begun = np.logical_or.accumulate(above, axis=1)
    not_over = np.logical_or.accumulate(above[:, ::-1], axis=1)[:, ::-1]
    pulse = np.where(begun & not_over, pulse, 0.0)
    total = np.cumsum(pulse, axis=1)
    cumulative = np.concatenate([np.zeros((len(pulse), 1)), total], axis=1) / total[:, -1:]
    edges = (np.arange(pulse.shape[1] + 1) - peak[:, np.newaxis] - 0.5) * width
    return PulseShape(edges, cumulative)


@dataclass(frozen=True)
class WindowCorrection:
    """Corrections for the part outside the window, arrays (n_channels, n_pixels) or (n_channels,).

    Parameters
    ----------
    fraction : ndarray
        Mean part of the pulse inside.
    factor, factor_sys_error : ndarray
        1/fraction; error of the time, and of the window that may be half a sample off.
    relative_noise : ndarray
        Standard deviation of the part over its mean: adds to B of the photon transfer.
    """

    fraction: np.ndarray
    factor: np.ndarray
    factor_sys_error: np.ndarray
    relative_noise: np.ndarray


@u.quantity_input
def fixed_window_correction(
    pulse: PulseShape,
    sampling_rate: u.Quantity[u.GHz],
    time: u.Quantity[u.ns],
    *,
    start: int,
    width: int,
    time_jitter: u.Quantity[u.ns] = 0 * u.ns,
    time_error: u.Quantity[u.ns] = 0 * u.ns,
) -> WindowCorrection:
    """Correction of a window that does not move, mean over a Gaussian jitter of the pulse.

    Parameters
    ----------
    pulse : PulseShape
    sampling_rate : Quantity
    time : Quantity, (n_channels, n_pixels)
        Mean time of the maximum after the centre of sample 0.
    start, width : int
        First sample of the window, number of samples.
    time_jitter, time_error : Quantity, broadcastable
        Standard deviation of the time over events; error of its mean.

    Raises
    ------
    ConfigurationError
        If the window has no sample or a pulse shape is missing for a channel.
    """
    rate = sampling_rate.to_value(u.GHz)
    t = np.atleast_2d(time.to_value(u.ns))
    if width < 1 or len(t) != len(pulse.time):
        raise ConfigurationError(
            f"needs a window of at least 1 sample and as many pulse shapes as channels, got "
            f"{width} samples, {len(pulse.time)} shapes and {len(t)} channels"
        )
    begin, end = (start - 0.5) / rate, (start + width - 0.5) / rate
    nodes, weights = np.polynomial.hermite_e.hermegauss(N_NODES)
    weights /= weights.sum()
    jitter = np.broadcast_to(time_jitter.to_value(u.ns), t.shape)
    error = np.broadcast_to(time_error.to_value(u.ns), t.shape)

    def moments(at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        moved = at[..., np.newaxis] + jitter[..., np.newaxis] * nodes
        part = np.stack([pulse.contained(c, begin - of, end - of) for c, of in enumerate(moved)])
        mean = part @ weights
        return mean, np.sqrt(np.maximum(part**2 @ weights - mean**2, 0.0))

    fraction, spread = moments(t)
    shifted = [np.abs(moments(t + sign * error)[0] - fraction) for sign in (-1, 1)]
    return _correction(fraction, spread, np.maximum(*shifted))


@u.quantity_input
def local_peak_correction(
    pulse: PulseShape, sampling_rate: u.Quantity[u.GHz], *, width: int, shift: int
) -> WindowCorrection:
    """Correction of a window about the highest sample, mean over the phase of the pulse.

    # ASSUME: the phase within a sample is uniform and noise does not choose the highest sample:
    pulses well above the noise, which jitter by a sample or more.

    Parameters
    ----------
    pulse : PulseShape
    sampling_rate : Quantity
    width, shift : int
        Samples of the window, and how many come before the highest one.

    Raises
    ------
    ConfigurationError
        If the window has no sample.
    """
    if width < 1:
        raise ConfigurationError(f"needs a window of at least 1 sample, got {width}")
    step = 1 / sampling_rate.to_value(u.GHz)
    reach = int(np.ceil(np.abs(pulse.time).max() / step)) + width + shift
    samples = np.arange(-reach, reach + 1)
    phase = (np.arange(N_PHASES) + 0.5) / N_PHASES - 0.5
    edges = (samples[:, np.newaxis] - 0.5 - phase) * step
    found = []
    for channel in range(len(pulse.time)):
        value = pulse.contained(channel, edges, edges + step)
        first = samples[value.argmax(axis=0)] - shift
        begin = (first - 0.5 - phase) * step
        found.append(pulse.contained(channel, begin, begin + width * step))
    part = np.array(found)
    return _correction(part.mean(axis=1), part.std(axis=1), np.zeros(len(part)))


@u.quantity_input
def centroid(
    pulse: PulseShape,
    sampling_rate: u.Quantity[u.GHz],
    time: u.Quantity[u.ns],
    *,
    start: int,
    width: int,
) -> np.ndarray:
    """Centroid of the positive samples of a window, (n_channels, n_pixels), ns.

    As `calibpipe.camera.extraction.fixed_window_sum` finds it without noise. A tail draws it away
    from the maximum, the window's end back.

    Parameters
    ----------
    pulse, sampling_rate, time, start, width
        As for `fixed_window_correction`.
    """
    step = 1 / sampling_rate.to_value(u.GHz)
    t = time.to_value(u.ns)[..., np.newaxis]
    middle = np.arange(start, start + width) * step
    parts = np.stack(
        [
            pulse.contained(c, middle - step / 2 - of, middle + step / 2 - of)
            for c, of in enumerate(t)
        ]
    )
    parts = np.maximum(parts, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return parts @ middle / parts.sum(axis=-1)


def _correction(fraction: np.ndarray, spread: np.ndarray, error: np.ndarray) -> WindowCorrection:
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(fraction > 0, 1 / fraction, np.nan)
        return WindowCorrection(fraction, factor, factor * error / fraction, spread / fraction)


@u.quantity_input
def measured_pulse(
    waveform: np.ndarray,
    time: u.Quantity[u.ns],
    sampling_rate: u.Quantity[u.GHz],
    *,
    n_phases: int = 10,
    min_entries: int = 10,
) -> tuple[np.ndarray, np.ndarray, u.Quantity]:
    """Mean pulse of each channel in steps finer than a sample, from pulses at many phases.

    What is measured is the pulse averaged over a sample; its window correction is too large by
    the part that this smears out, below 1e-3 for windows of three times its width.

    Parameters
    ----------
    waveform : array, (n_events, n_channels, n_pixels, n_samples)
        Above the pedestal, pulses of similar size.
    time : Quantity, (n_events, n_channels, n_pixels)
        Of each pulse.
    sampling_rate : Quantity
    n_phases : int
        Steps in a sample.
    min_entries : int
        Samples that a step needs.

    Returns
    -------
    pulse, error : ndarray, (n_channels, n_steps)
        Maximum 1; statistical error.
    step : Quantity

    Raises
    ------
    InsufficientStatisticsError
        If a step of a channel has too few samples.
    """
    n_channels, n_samples = waveform.shape[1], waveform.shape[3]
    phase = time.to_value(u.ns) * sampling_rate.to_value(u.GHz)
    middle = np.nanmedian(phase)
    reach = int(min(middle, n_samples - 1 - middle)) - 1
    n_steps = 2 * reach * n_phases + 1
    sums = np.zeros((3, n_channels, n_steps))
    for sample in range(n_samples):
        place = np.rint((sample - phase + reach) * n_phases)
        inside = np.isfinite(place) & (place >= 0) & (place < n_steps)
        for channel in range(n_channels):
            chosen = inside[:, channel]
            at = place[:, channel][chosen].astype(int)
            values = waveform[:, channel, :, sample][chosen].astype(float)
            for k, weights in enumerate((None, values, values**2)):
                sums[k, channel] += np.bincount(at, weights, n_steps)
    count, total, squares = sums
    if count.min() < min_entries:
        raise InsufficientStatisticsError(
            f"a pulse in steps of 1/{n_phases} sample needs {min_entries} samples in each step, "
            f"got {int(count.min())}; give more events or fewer steps"
        )
    mean = total / count
    error = np.sqrt(np.maximum(squares / count - mean**2, 0.0) / count)
    height = mean.max(axis=1, keepdims=True)
    return mean / height, error / height, (1 / sampling_rate / n_phases).to(u.ns)
