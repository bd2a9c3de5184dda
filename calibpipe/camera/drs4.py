"""Baselines of the capacitors of the DRS4 sampling chip.

LST: 4 chips of 1024 capacitors in a row for each pixel and gain; a waveform of 40 samples begins at
any of the 4096.

References
----------
Sitarek et al. 2013, NIM A 723, 109, arXiv:1305.1007.
"""

import numpy as np
from numba import njit

from ..core.exceptions import ConfigurationError, InsufficientStatisticsError

__all__ = ["RING", "CapacitorBaseline"]

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
        self._sums = np.zeros((2, *shape), np.float32)  # of differences to a mean: small numbers
        self._reference: np.ndarray | None = None

    def add(
        self,
        waveform: np.ndarray,
        first_capacitor: np.ndarray,
        is_used: np.ndarray | None = None,
        *,
        n_skipped: int = 0,
    ) -> None:
        """Dark events of a batch.

        Parameters
        ----------
        waveform : array, (n_events, n_channels, n_pixels, n_samples), ADC
            Without time lapse.
        first_capacitor : array, (n_events, n_channels, n_pixels), int
        is_used : array of bool, shape of the waveforms, optional
            Samples that count; all when not given.
        n_skipped : int
            Samples left out at both ends (LST: 2 and 2, which are noisy).

        Raises
        ------
        ConfigurationError
            If shapes do not fit or a capacitor is none.
        """
        _check_capacitors(waveform, first_capacitor, self._count.shape)
        if self._reference is None:  # near the mean: squares keep their digits
            self._reference = waveform.mean(axis=(0, 3), dtype=float).astype(np.float32)
        if is_used is None:
            is_used = np.ones(np.shape(waveform), bool)
        _add_capacitors(
            waveform, first_capacitor, is_used, self._reference, n_skipped, self._count, *self._sums
        )

    @property
    def n_entries(self) -> np.ndarray:
        """Samples of each capacitor, (n_channels, n_pixels, n_capacitors)."""
        return self._count

    def mean(self, min_entries: int = 10) -> np.ndarray:
        """Mean of each capacitor, ADC; NaN with fewer samples than `min_entries`."""
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = self._sums[0] / self._count.astype(np.float32)
        if self._reference is None:
            raise InsufficientStatisticsError("no dark event was added: give dark events first")
        return np.where(
            self._count >= min_entries, self._reference[..., None] + mean, np.float32(np.nan)
        )

    def std(self, min_entries: int = 10) -> np.ndarray:
        """Standard deviation of a sample of each capacitor, ADC; its mean has it over sqrt(n)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            count = self._count.astype(np.float32)
            squared = (self._sums[1] - self._sums[0] ** 2 / count) / (count - 1)
            squared = np.maximum(squared, 0.0)  # by rounding
        return np.where(self._count >= max(min_entries, 2), np.sqrt(squared), np.float32(np.nan))


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
def _add_capacitors(waveform, first, is_used, reference, n_skipped, count, total, squares):
    n_events, n_channels, n_pixels, n_samples = waveform.shape
    n_capacitors = count.shape[2]
    for channel in range(n_channels):
        for pixel in range(n_pixels):  # outside: its capacitors stay in the cache
            mean = reference[channel, pixel]
            for event in range(n_events):
                at = (first[event, channel, pixel] + n_skipped) % n_capacitors
                for sample in range(n_skipped, n_samples - n_skipped):
                    if is_used[event, channel, pixel, sample]:
                        value = np.float32(waveform[event, channel, pixel, sample]) - mean
                        count[channel, pixel, at] += 1
                        total[channel, pixel, at] += value
                        squares[channel, pixel, at] += value * value
                    at = at + 1 if at + 1 < n_capacitors else 0
