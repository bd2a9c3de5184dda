"""Sampling times of the DRS4 chip: peak times against the number of the first capacitor.

References
----------
Sitarek et al. 2013, NIM A 723, 109, arXiv:1305.1007. lstchain (16 harmonics, bins of 8 capacitors).
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..core.exceptions import ConfigurationError, InsufficientStatisticsError

__all__ = ["SamplingSums", "SamplingTimes", "sampling_times"]

CAPACITORS = 1024  # of a chip: the pattern repeats
BIN = 8  # capacitors
HARMONICS = 16


@dataclass(frozen=True)
class SamplingTimes:
    """Time of a pulse against the number of its first capacitor: a Fourier series.

    dt(c) = sum_n a_n cos(2 pi n c/1024) + b_n sin(2 pi n c/1024), n from 1 on: the constant is
    that of the flat-field timing.

    Parameters
    ----------
    cosine, sine : ndarray, (n_harmonics, n_channels, n_pixels), ns
    error : ndarray, (n_channels, n_pixels), ns
        Of a coefficient: bins are equal and sines orthogonal.
    chi2 : ndarray, (n_channels, n_pixels)
        Of ``n_bins - 2 n_harmonics - 1`` degrees of freedom.
    n_events : ndarray, (n_channels, n_pixels)
    """

    cosine: np.ndarray
    sine: np.ndarray
    error: np.ndarray
    chi2: np.ndarray
    n_events: np.ndarray

    def __call__(self, first_capacitor: np.ndarray) -> np.ndarray:
        """Time to be subtracted, (n_events, n_channels, n_pixels), ns."""
        n = np.arange(1, len(self.cosine) + 1)
        at = 2 * np.pi * (np.asarray(first_capacitor) % CAPACITORS) / CAPACITORS
        phase = at[..., np.newaxis] * n
        cosine, sine = (np.moveaxis(a, 0, -1) for a in (self.cosine, self.sine))
        return (np.cos(phase) * cosine + np.sin(phase) * sine).sum(axis=-1)


class SamplingSums:
    """Peak times in bins of the first capacitor, added batch by batch.

    Parameters
    ----------
    n_channels, n_pixels : int
    """

    def __init__(self, n_channels: int, n_pixels: int):
        self.shape = n_channels, n_pixels
        self._sums = np.zeros((3, CAPACITORS // BIN, n_channels * n_pixels))

    def add(self, peak_time: np.ndarray, first_capacitor: np.ndarray) -> None:
        """Pulses of a batch.

        Parameters
        ----------
        peak_time : array, (n_events, n_channels, n_pixels), ns
            Less what all pixels have in common; NaN does not count (too little charge).
        first_capacitor : array, (n_events, n_channels, n_pixels), int

        Raises
        ------
        ConfigurationError
            If shapes differ.
        """
        _check_shapes(peak_time, first_capacitor)
        n = len(peak_time)
        _add_times(
            np.asarray(peak_time, float).reshape(n, -1),
            np.asarray(first_capacitor).reshape(n, -1),
            self._sums,
        )

    def times(self, *, n_harmonics: int = HARMONICS, min_entries: int = 10) -> SamplingTimes:
        """Fourier series of the mean times in the bins, corrected for their width.

        Parameters
        ----------
        n_harmonics : int
        min_entries : int
            Of each bin; a pixel with fewer has NaN.

        Raises
        ------
        ConfigurationError
            If there are more harmonics than the bins can tell.
        InsufficientStatisticsError
            If no pixel has enough pulses.
        """
        n_bins = CAPACITORS // BIN
        if not 1 <= n_harmonics < n_bins // 2:
            raise ConfigurationError(
                f"n_harmonics is {n_harmonics}, {n_bins} bins tell 1 to {n_bins // 2 - 1}"
            )
        shape = self.shape
        count, total, squares = self._sums
        if not (count >= min_entries).all(axis=0).any():
            raise InsufficientStatisticsError(
                f"sampling times need {min_entries} pulses in each of {n_bins} bins of "
                f"capacitors, the best pixel has {int(count.min(axis=0).max(initial=0))}; give "
                "more flat fields"
            )
        with np.errstate(divide="ignore", invalid="ignore"):
            enough = (count >= min_entries).all(axis=0)
            mean = np.where(enough, total / count, np.nan)
            n = count.sum(axis=0)
            scatter = (squares - total**2 / count).sum(axis=0) / (n - n_bins)
        transform = np.fft.rfft(mean, axis=0)[1 : n_harmonics + 1] * 2 / n_bins
        harmonic = np.arange(1, n_harmonics + 1)[:, np.newaxis]
        # capacitors of bin k are 8 k to 8 k + 7: centre, and damping of the mean over the bin
        centre = np.exp(-2j * np.pi * harmonic * (BIN - 1) / 2 / CAPACITORS)
        turn = np.pi * harmonic / CAPACITORS
        damping = np.sin(BIN * turn) / (BIN * np.sin(turn))
        series = transform * centre / damping
        kept = np.zeros((n_bins // 2 + 1, mean.shape[1]), complex)
        kept[0], kept[1 : n_harmonics + 1] = np.fft.rfft(mean, axis=0)[0], transform * n_bins / 2
        rest = mean - np.fft.irfft(kept, n_bins, axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            chi2 = (count * rest**2).sum(axis=0) / scatter
            error = np.sqrt(2 * scatter / n)
        return SamplingTimes(
            series.real.reshape(-1, *shape),
            -series.imag.reshape(-1, *shape),
            np.where(enough, error, np.nan).reshape(shape),
            np.where(enough, chi2, np.nan).reshape(shape),
            n.reshape(shape),
        )


def sampling_times(
    peak_time: np.ndarray,
    first_capacitor: np.ndarray,
    *,
    n_harmonics: int = HARMONICS,
    min_entries: int = 10,
) -> SamplingTimes:
    """Fourier series of the peak times of flat-field pulses against the first capacitor.

    Means in bins of 8 capacitors. Parameters and errors are those of `SamplingSums`.
    """
    _check_shapes(peak_time, first_capacitor)
    sums = SamplingSums(*np.shape(peak_time)[1:3])
    sums.add(peak_time, first_capacitor)
    return sums.times(n_harmonics=n_harmonics, min_entries=min_entries)


def _check_shapes(peak_time: np.ndarray, first: np.ndarray) -> None:
    if np.shape(peak_time) != np.shape(first) or np.ndim(peak_time) != 3:
        raise ConfigurationError(
            f"peak times of {np.shape(peak_time)}, first capacitors of {np.shape(first)}: needs "
            "(events, channels, pixels) of both"
        )


@njit(cache=True)
def _add_times(time: NDArray, first: NDArray, sums: NDArray) -> None:
    """Number, sum and sum of squares of the times of each bin, (3, n_bins, n_columns)."""
    for event in range(len(time)):
        for column in range(time.shape[1]):
            value = time[event, column]
            if np.isfinite(value):
                k = first[event, column] % CAPACITORS // BIN
                sums[0, k, column] += 1
                sums[1, k, column] += value
                sums[2, k, column] += value * value
