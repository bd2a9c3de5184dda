"""Corrections of the DRS4 sampling chip: baselines of capacitors and their time lapse.

LST: 4 chips of 1024 capacitors in a row for each pixel and gain; a waveform of 40 samples begins at
any of the 4096. The corrections belong to dedicated runs: R1 and DL0 data are corrected already and
do not carry the numbers of first capacitors nor the times of their last readout, so that these are
arguments here, as arrays.

References
----------
Sitarek et al. 2013, NIM A 723, 109, arXiv:1305.1007. ctapipe_io_lst (time lapse at 20 C).
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.optimize import least_squares

from ..core.exceptions import ConfigurationError, InsufficientStatisticsError

__all__ = [
    "RING",
    "CapacitorBaseline",
    "TimeLapse",
    "fit_time_lapse",
    "time_lapse_corrected",
]

RING = 4096  # capacitors of a pixel and gain of LST


class CapacitorBaseline:
    """Mean and spread of every capacitor in dark events, added batch by batch.

    Parameters
    ----------
    n_channels, n_pixels : int
    n_capacitors : int
        Of a pixel and gain.
    """

    def __init__(self, n_channels: int, n_pixels: int, n_capacitors: int = RING):
        shape = (n_channels, n_pixels, n_capacitors)
        self._count = np.zeros(shape, np.int32)
        self._sums = np.zeros((2, *shape), np.float64)
        self._reference: np.ndarray | None = None

    def add(self, waveform: np.ndarray, first_capacitor: np.ndarray, *, n_skipped: int = 0) -> None:
        """Dark events of a batch.

        Parameters
        ----------
        waveform : array, (n_events, n_channels, n_pixels, n_samples), ADC
            Without time lapse.
        first_capacitor : array, (n_events, n_channels, n_pixels), int
        n_skipped : int
            Samples left out at both ends (LST: 2 and 2, which are noisy).

        Raises
        ------
        ConfigurationError
            If shapes do not fit or a capacitor is none.
        """
        _check_capacitors(waveform, first_capacitor, self._count.shape)
        if self._reference is None:  # near the mean: squares keep their digits
            self._reference = waveform.mean(axis=(0, 3), dtype=float)
        _add_capacitors(
            waveform, first_capacitor, self._reference, n_skipped, self._count, *self._sums
        )

    @property
    def n_entries(self) -> np.ndarray:
        """Samples of each capacitor, (n_channels, n_pixels, n_capacitors)."""
        return self._count

    def mean(self, min_entries: int = 10) -> np.ndarray:
        """Mean of each capacitor, ADC; NaN with fewer samples than `min_entries`."""
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = self._sums[0] / self._count
        if self._reference is None:
            raise InsufficientStatisticsError("no dark event was added: give dark events first")
        return np.where(self._count >= min_entries, self._reference[..., None] + mean, np.nan)

    def std(self, min_entries: int = 10) -> np.ndarray:
        """Standard deviation of a sample of each capacitor, ADC; its mean has it over sqrt(n)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            squared = (self._sums[1] - self._sums[0] ** 2 / self._count) / (self._count - 1)
        return np.where(self._count >= max(min_entries, 2), np.sqrt(squared), np.nan)


def _check_capacitors(waveform: np.ndarray, first: np.ndarray, shape: tuple[int, ...]) -> None:
    if np.ndim(waveform) != 4 or np.shape(first) != np.shape(waveform)[:3]:
        raise ConfigurationError(
            f"waveforms of {np.shape(waveform)} and first capacitors of {np.shape(first)}: needs "
            "(events, channels, pixels, samples) and one capacitor for each waveform"
        )
    if np.shape(first)[1:] != shape[:2]:
        raise ConfigurationError(
            f"waveforms of {np.shape(first)[1:]} channels and pixels, the camera has {shape[:2]}"
        )
    if np.min(first, initial=0) < 0 or np.max(first, initial=0) >= shape[2]:
        raise ConfigurationError(
            f"first capacitors from {np.min(first)} to {np.max(first)}, there are {shape[2]}"
        )


@njit(cache=True)
def _add_capacitors(
    waveform: NDArray,
    first: NDArray,
    reference: NDArray,
    n_skipped: int,
    count: NDArray,
    total: NDArray,
    squares: NDArray,
) -> None:
    n_events, n_channels, n_pixels, n_samples = waveform.shape
    n_capacitors = count.shape[2]
    for event in range(n_events):
        for channel in range(n_channels):
            for pixel in range(n_pixels):
                begin = first[event, channel, pixel]
                for sample in range(n_skipped, n_samples - n_skipped):
                    at = (begin + sample) % n_capacitors
                    value = np.float64(waveform[event, channel, pixel, sample])
                    value -= reference[channel, pixel]
                    count[channel, pixel, at] += 1
                    total[channel, pixel, at] += value
                    squares[channel, pixel, at] += value * value


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
    """

    amplitude: float = 32.99
    exponent: float = 0.22
    offset: float = 11.9
    covariance: np.ndarray | None = None
    max_time: float = 100.0

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
    milliseconds: np.ndarray, excess: np.ndarray, error: np.ndarray, *, max_time: float = 100.0
) -> TimeLapse:
    """Time-lapse law of dark events: excess over the baseline against the time since last readout.

    Parameters
    ----------
    milliseconds, excess, error : array, (n_points,)
        Means in bins of time, ADC.
    max_time : float
        ms; later points do not count.

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
            "give dark events at random times"
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
    amplitude, exponent, offset = found.x.tolist()
    return TimeLapse(amplitude, exponent, offset, covariance, max_time)


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
    return waveform - np.nan_to_num(law(milliseconds))
