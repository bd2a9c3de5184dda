"""Pedestal of every pixel: mean and rms per sample and per window, of the closed and open camera.

The window is that of the pulses; what was subtracted before the charge was summed is added again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntFlag
from functools import reduce

import numpy as np

from .light_scan import CombinedChunks, combined_chunks
from .pixel_statistics import ChunkStatistics

__all__ = [
    "MIN_EVENTS",
    "PedestalLevel",
    "PedestalStatus",
    "drift",
    "levels_of_chunks",
    "pedestal_level",
    "pedestal_status",
    "with_baseline",
]

MIN_EVENTS = 25  # B-TEL-1370: mean to 20 % of the rms
BELOW = 5.0  # errors by which the open camera may be quieter than the closed one


class PedestalStatus(IntFlag):
    """What is wrong with a pixel; of the last two only what the sky has a part in."""

    TOO_FEW_EVENTS = 1
    NO_NOISE = 2
    NO_SKY = 4
    SKY_BELOW_DARK = 8


@dataclass(frozen=True)
class PedestalLevel:
    """Pedestal of one kind, arrays (n_channels, n_pixels), ADC; its statistical errors.

    Parameters
    ----------
    mean, mean_error : ndarray
        Per sample.
    window_rms, window_rms_error : ndarray
        Of the charge in the window.
    sample_rms, sample_rms_error : ndarray
        Within a waveform.
    """

    mean: np.ndarray
    mean_error: np.ndarray
    window_rms: np.ndarray
    window_rms_error: np.ndarray
    sample_rms: np.ndarray
    sample_rms_error: np.ndarray


def pedestal_level(
    charge: CombinedChunks,
    samples: CombinedChunks,
    *,
    window_width: int,
    n_samples: int,
    subtracted: np.ndarray | float = 0.0,
) -> PedestalLevel:
    """Baseline per sample and rms per sample and window.

    Parameters
    ----------
    charge : CombinedChunks
        Charge in the window.
    samples : CombinedChunks
        Variance within a waveform (divisor n), ADC².
    window_width, n_samples : int
        Of window and waveform.
    subtracted : array or float, ADC per sample
        What was taken off before the charge was integrated.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        charge_error, samples_error = (np.sqrt(c.variance / c.n_events) for c in (charge, samples))
        window = np.sqrt(charge.variance)
        sample = np.sqrt(samples.mean * n_samples / (n_samples - 1))
        return PedestalLevel(
            mean=subtracted + charge.mean / window_width,
            mean_error=charge_error / window_width,
            window_rms=window,
            window_rms_error=charge.variance_error / (2 * window),
            sample_rms=sample,
            sample_rms_error=sample / 2 * samples_error / samples.mean,
        )


def with_baseline(
    chunks: Sequence[ChunkStatistics], subtracted: np.ndarray | float, window_width: int
) -> list[ChunkStatistics]:
    """Charges of a run as if no baseline had been subtracted: those of several runs go together."""
    return [replace(c, mean=np.asarray(c.mean, float) + window_width * subtracted) for c in chunks]


def levels_of_chunks(
    charges: Sequence[ChunkStatistics],
    samples: Sequence[ChunkStatistics],
    *,
    window_width: int,
    n_samples: int,
) -> tuple[PedestalLevel, dict[str, np.ndarray], CombinedChunks]:
    """Pedestal of all chunks, its systematic errors by name, and the charges together.

    Systematic is what chunks differ by beyond their errors (`drift`).

    Parameters
    ----------
    charges, samples : sequence of ChunkStatistics
        Of the charge with its baseline, and of the variance within a waveform; the same chunks.
    window_width, n_samples : int
        Of window and waveform.
    """

    def level(charge: CombinedChunks, sample: CombinedChunks) -> PedestalLevel:
        return pedestal_level(charge, sample, window_width=window_width, n_samples=n_samples)

    whole = combined_chunks(charges)
    parts = [
        level(combined_chunks([charge]), combined_chunks([sample]))
        for charge, sample in zip(charges, samples, strict=True)
    ]
    found = {
        name: drift(
            np.array([getattr(part, name) for part in parts]),
            np.array([getattr(part, f"{name}_error") for part in parts]),
        )
        for name in ("mean", "window_rms", "sample_rms")
    }
    return level(whole, combined_chunks(samples)), found, whole


def drift(values: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Standard deviation of chunks beyond their errors: √max(0, s² - <σ²>).

    Parameters
    ----------
    values, errors : array, (n_chunks, ...)

    Returns
    -------
    array
        NaN with fewer than two chunks that have a value.
    """
    known = np.isfinite(values) & np.isfinite(errors)
    n = known.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(known, values, 0.0).sum(axis=0) / n
        square = np.where(known, (values - mean) ** 2, 0.0).sum(axis=0) / (n - 1)
        expected = np.where(known, errors**2, 0.0).sum(axis=0) / n
        return np.where(n >= 2, np.sqrt(np.maximum(square - expected, 0.0)), np.nan)


def pedestal_status(dark: CombinedChunks, sky: CombinedChunks | None = None) -> np.ndarray:
    """`PedestalStatus` of every pixel, (n_channels, n_pixels).

    Parameters
    ----------
    dark, sky : CombinedChunks
        Charges of the closed and of the open camera, the latter if there is one.
    """
    found = {
        PedestalStatus.TOO_FEW_EVENTS: dark.n_events < MIN_EVENTS,
        PedestalStatus.NO_NOISE: (dark.n_events >= MIN_EVENTS) & ~(dark.variance > 0),
    }
    if sky is not None:
        seen = (sky.n_events >= MIN_EVENTS) & (sky.variance > 0)
        error = np.hypot(sky.variance_error, dark.variance_error)
        below = sky.variance < dark.variance - BELOW * error
        found |= {PedestalStatus.NO_SKY: ~seen, PedestalStatus.SKY_BELOW_DARK: seen & below}
    bits = (np.where(is_so, bit.value, 0) for bit, is_so in found.items())
    return reduce(np.bitwise_or, bits).astype(np.int32)
