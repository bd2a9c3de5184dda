"""Waveforms and times as a DRS4 chip distorts them, on arrays: DL0 data do not carry the cause."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

__all__ = ["Drs4Truth", "dark_events", "drs4_truth", "flat_field_times"]


@dataclass(frozen=True)
class Drs4Truth:
    """Distortions of each pixel.

    Parameters
    ----------
    baseline : ndarray, (n_channels, n_pixels, n_capacitors)
        ADC.
    cosine, sine : ndarray, (n_harmonics, n_channels, n_pixels)
        Sampling times, ns.
    """

    baseline: NDArray
    cosine: NDArray
    sine: NDArray


def drs4_truth(
    n_channels: int,
    n_pixels: int,
    rng: Generator,
    *,
    baseline_spread: float = 10.0,
    amplitude: float = 1.0,
    n_harmonics: int = 16,
    n_capacitors: int = 4096,
) -> Drs4Truth:
    """Distortions drawn at random; harmonics fall with their number.

    Parameters
    ----------
    n_channels, n_pixels : int
    rng : Generator
        Source of all randomness.
    baseline_spread : float
        Standard deviation between capacitors, ADC.
    amplitude : float
        Of the first harmonic, ns.
    n_harmonics, n_capacitors : int
    """
    falling = amplitude / np.arange(1, n_harmonics + 1)[:, np.newaxis, np.newaxis]
    waves = falling * rng.normal(size=(2, n_harmonics, n_channels, n_pixels))
    baseline = rng.normal(400.0, baseline_spread, (n_channels, n_pixels, n_capacitors))
    return Drs4Truth(baseline, *waves)


def dark_events(
    truth: Drs4Truth, n_events: int, n_samples: int, noise: float, rng: Generator
) -> tuple[NDArray, NDArray]:
    """Dark waveforms (n_events, n_channels, n_pixels, n_samples) and their first capacitors."""
    n_channels, n_pixels, n_capacitors = truth.baseline.shape
    first = rng.integers(0, n_capacitors, (n_events, n_channels, n_pixels))
    at = (first[..., np.newaxis] + np.arange(n_samples)) % n_capacitors
    channel, pixel = np.indices((n_channels, n_pixels))
    baseline = truth.baseline[channel[..., np.newaxis], pixel[..., np.newaxis], at]
    return baseline + noise * rng.normal(size=at.shape), first


def flat_field_times(
    truth: Drs4Truth, n_events: int, noise: float, rng: Generator
) -> tuple[NDArray, NDArray]:
    """Peak times (n_events, n_channels, n_pixels), ns, and first capacitors (0 to 4095)."""
    n_harmonics, n_channels, n_pixels = truth.cosine.shape
    first = rng.integers(0, truth.baseline.shape[2], (n_events, n_channels, n_pixels))
    time = noise * rng.normal(size=first.shape)
    for n in range(1, n_harmonics + 1):
        phase = 2 * np.pi * n * first / 1024
        time += truth.cosine[n - 1] * np.cos(phase) + truth.sine[n - 1] * np.sin(phase)
    return time, first
