"""Time lapse of the DRS4 chip: what a capacitor reads too much shortly after it was read before.

References
----------
Sitarek et al. 2013, NIM A 723, 109, arXiv:1305.1007. ctapipe_io_lst (law at 20 C).
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.optimize import least_squares

from ..core.exceptions import ConfigurationError, InsufficientStatisticsError

__all__ = ["TimeLapse", "TimeLapseSums", "fit_time_lapse", "time_lapse_corrected"]


@dataclass(frozen=True)
class TimeLapse:
    """ADC that a capacitor has too much when it was read a time ago: a t^-b - c, never below 0.

    Parameters
    ----------
    amplitude, exponent, offset : float
        a and c in ADC, t in ms. Default: LST at 20 C.
    covariance : ndarray, (3, 3) or None
        Statistical, of the fit.
    max_time : float
        ms, from which on there is no correction.
    chi2, n_degrees : float, int
        Of the fit.
    """

    amplitude: float = 32.99
    exponent: float = 0.22
    offset: float = 11.9
    covariance: np.ndarray | None = None
    max_time: float = 100.0
    chi2: float = np.nan
    n_degrees: int = 0

    def __call__(self, milliseconds: np.ndarray | float) -> np.ndarray:
        """ADC after a time; NaN for times that are not positive."""
        t = np.asarray(milliseconds, float)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = self.amplitude * np.where(t > 0, t, np.nan) ** -self.exponent - self.offset
            return np.where(t >= self.max_time, 0.0, np.maximum(value, 0.0))

    def error(self, milliseconds: np.ndarray | float) -> np.ndarray:
        """Statistical error after a time; 0 without a covariance."""
        t = np.asarray(milliseconds, float)
        if self.covariance is None:
            return np.zeros_like(t)
        power = t**-self.exponent
        slope = np.stack([power, -self.amplitude * np.log(t) * power, -np.ones_like(t)], axis=-1)
        return np.sqrt(np.einsum("...i,ij,...j", slope, self.covariance, slope))


def fit_time_lapse(
    milliseconds: np.ndarray,
    excess: np.ndarray,
    error: np.ndarray,
    *,
    max_time: float = 100.0,
    common_error: float = 0.0,
) -> TimeLapse:
    """Time-lapse law of dark events: excess over the baseline against the time since last readout.

    Parameters
    ----------
    milliseconds, excess, error : array, (n_points,)
        Means in bins of time, ADC.
    max_time : float
        ms; later points do not count.
    common_error : float
        Of the baseline under all points, ADC: an error of c.

    Raises
    ------
    InsufficientStatisticsError
        If fewer than 4 points count.
    ConfigurationError
        If the errors are not positive or the fit does not converge.
    """
    t, y, sigma = (np.asarray(a, float) for a in (milliseconds, excess, error))
    used = (t > 0) & (t < max_time) & np.isfinite(y)
    if used.sum() < 4:
        raise InsufficientStatisticsError(
            f"a time-lapse law needs at least 4 times below {max_time:g} ms, got {used.sum()}; "
            "give dark events at random times, or take the known law"
        )
    t, y, sigma = t[used], y[used], sigma[used]
    if not (sigma > 0).all():
        raise ConfigurationError("errors of the time lapse are not all positive; give them")

    def residual(p: np.ndarray) -> np.ndarray:
        return (p[0] * t ** -p[1] - p[2] - y) / sigma

    start = TimeLapse()
    found = least_squares(
        residual, [start.amplitude, start.exponent, start.offset], x_scale=[10, 0.1, 10]
    )
    if not found.success or not (found.x[:2] > 0).all():
        raise ConfigurationError(
            f"the time-lapse law does not fit: {found.message} at {found.x.round(3).tolist()}; "
            "look at the baseline that was subtracted"
        )
    covariance = np.linalg.inv(found.jac.T @ found.jac)
    covariance[2, 2] += common_error**2
    amplitude, exponent, offset = found.x.tolist()
    chi2, n_degrees = float(2 * found.cost), len(t) - len(found.x)
    return TimeLapse(amplitude, exponent, offset, covariance, max_time, chi2, n_degrees)


def time_lapse_corrected(
    waveform: np.ndarray, milliseconds: np.ndarray, law: TimeLapse
) -> np.ndarray:
    """Waveforms without time lapse.

    Parameters
    ----------
    waveform : array, (..., n_samples), ADC
    milliseconds : array, (..., n_samples)
        Since the capacitor of each sample was read; NaN where it was not read before.
    law : TimeLapse
    """
    corrected = np.array(waveform, np.float32)
    milliseconds = np.ascontiguousarray(milliseconds, np.float32)
    numbers = law.amplitude, law.exponent, law.offset, law.max_time
    _subtract(corrected.reshape(-1), milliseconds.reshape(-1), *numbers)
    return corrected


@njit(cache=True)
def _subtract(waveform, milliseconds, amplitude, exponent, offset, max_time):
    before, value = np.float32(-1), np.float32(0)  # neighbours were mostly read together
    for k in range(waveform.size):
        t = milliseconds[k]
        if t > 0 and t < max_time:
            if t != before:
                before = t
                value = np.float32(max(amplitude * t**-exponent - offset, 0.0))
            waveform[k] -= value


class TimeLapseSums:
    """Excess of readings over the baselines of their capacitors, in bins of time.

    Parameters
    ----------
    n_channels : int
    min_time, max_time : float
        ms, of the logarithmic bins.
    n_per_decade : int
    """

    def __init__(
        self,
        n_channels: int,
        *,
        min_time: float = 1e-3,
        max_time: float = 100.0,
        n_per_decade: int = 40,
    ):
        self.min_time, self.max_time = min_time, max_time
        n_bins = max(round(np.log10(max_time / min_time) * n_per_decade), 1)
        self._width = np.log(max_time / min_time) / n_bins
        self._sums = np.zeros((4, n_channels, n_bins))

    def add(
        self,
        waveform: np.ndarray,
        first_capacitor: np.ndarray,
        milliseconds: np.ndarray,
        baseline: np.ndarray,
    ) -> None:
        """Events of a batch.

        Parameters
        ----------
        waveform : array, (n_events, n_channels, n_pixels, n_samples), ADC
        first_capacitor : array, (n_events, n_channels, n_pixels), int
        milliseconds : array, shape of the waveforms
            Since the last reading; NaN does not count.
        baseline : array, (n_channels, n_pixels, n_capacitors), ADC
            NaN does not count.
        """
        _add_excess(
            waveform, first_capacitor, milliseconds, baseline, self.min_time, self.max_time,
            self._width, TimeLapse().exponent, *self._sums,
        )  # fmt: skip

    @property
    def n_entries(self) -> np.ndarray:
        """Readings, (n_channels, n_bins)."""
        return self._sums[0]

    def points(self, min_entries: int = 100) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Time (ms), mean excess and its error (ADC), (n_channels, n_bins); NaN with few entries.

        The time is that at which a law t^-0.22 has its mean of the bin.
        """
        n, total, squares, powers = self._sums
        with np.errstate(divide="ignore", invalid="ignore"):
            enough = np.where(n >= min_entries, 1.0, np.nan)
            mean = total / n * enough
            error = np.sqrt((squares / n - mean**2) / (n - 1)) * enough
            time = (powers / n * enough) ** (-1 / TimeLapse().exponent)
        return time, mean, error


@njit(cache=True)
def _add_excess(
    waveform, first, milliseconds, baseline, min_time, max_time, width, exponent,
    n, total, squares, powers,
):  # fmt: skip
    n_events, n_channels, n_pixels, n_samples = waveform.shape
    n_capacitors = baseline.shape[2]
    low = np.log(min_time)
    for channel in range(n_channels):
        for pixel in range(n_pixels):
            for event in range(n_events):
                at = first[event, channel, pixel] - 1
                before, k, power = np.float32(-1), 0, 0.0
                for sample in range(n_samples):
                    at = at + 1 if at + 1 < n_capacitors else 0
                    t = milliseconds[event, channel, pixel, sample]
                    if not (t >= min_time and t < max_time):
                        continue
                    value = waveform[event, channel, pixel, sample] - baseline[channel, pixel, at]
                    if np.isnan(value):
                        continue
                    if t != before:
                        before, logarithm = t, np.log(t)
                        k = min(int((logarithm - low) / width), n.shape[1] - 1)
                        power = np.exp(-exponent * logarithm)
                    n[channel, k] += 1
                    total[channel, k] += value
                    squares[channel, k] += value * value
                    powers[channel, k] += power
