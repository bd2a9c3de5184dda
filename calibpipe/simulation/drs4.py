"""Waveforms and times as DRS4 chips distort them."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numba import njit
from numpy.random import Generator
from numpy.typing import NDArray

from ..camera.drs4_readout import CapacitorClock
from ..camera.drs4_time_lapse import TimeLapse, time_lapse_corrected
from .camera import CameraTruth
from .light import Light
from .waveforms import PulseTemplates, waveforms

__all__ = [
    "ChipReadout",
    "Drs4Truth",
    "dark_events",
    "drs4_truth",
    "flat_field_times",
    "sampling_shift",
    "shifted_waveforms",
]

FULL_SCALE = 4095  # ADC


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
    baseline_mean: float = 400.0,
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
    baseline_mean : float
        ADC.
    baseline_spread : float
        Standard deviation between capacitors, ADC.
    amplitude : float
        Of the first harmonic, ns.
    n_harmonics, n_capacitors : int
    """
    falling = amplitude / np.arange(1, n_harmonics + 1)[:, np.newaxis, np.newaxis]
    waves = falling * rng.normal(size=(2, n_harmonics, n_channels, n_pixels))
    baseline = rng.normal(baseline_mean, baseline_spread, (n_channels, n_pixels, n_capacitors))
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
    _, n_channels, n_pixels = truth.cosine.shape
    first = rng.integers(0, truth.baseline.shape[2], (n_events, n_channels, n_pixels))
    return noise * rng.normal(size=first.shape) + sampling_shift(truth, first), first


def sampling_shift(truth: Drs4Truth, first_capacitor: NDArray) -> NDArray:
    """Time by which a pulse seems late, (n_events, n_channels, n_pixels), ns."""
    time = np.zeros(first_capacitor.shape)
    for n in range(1, len(truth.cosine) + 1):
        phase = 2 * np.pi * n * first_capacitor / 1024
        time += truth.cosine[n - 1] * np.cos(phase) + truth.sine[n - 1] * np.sin(phase)
    return time


def shifted_waveforms(
    light: Light,
    shift: NDArray,
    camera: CameraTruth,
    templates: PulseTemplates,
    n_samples: int,
    rng: Generator,
    **more: Any,
) -> NDArray:
    """Waveforms of light that comes at another time in each gain.

    Parameters
    ----------
    light : Light
    shift : ndarray, (n_events, n_channels, n_pixels), ns
    camera, templates, n_samples, rng, more
        As in `calibpipe.simulation.waveforms.waveforms`.
    """
    state, of_channel = rng.bit_generator.state, []
    for channel in range(shift.shape[1]):
        rng.bit_generator.state = state  # the same night sky and noise
        own = replace(light, time=light.time + shift[:, channel])
        of_channel.append(waveforms(own, camera, templates, n_samples, rng, **more)[:, channel])
    return np.stack(of_channel, axis=1)


class ChipReadout:
    """The chips of a camera, read event after event.

    Each sample gets the deviation of its capacitor and the time lapse, and is rounded at random to
    one of the two next whole numbers: the mean is right, the variance grows by 1/6 ADC².

    Parameters
    ----------
    truth : Drs4Truth
        Baselines are deviations from the pedestal, mean 0.
    law : TimeLapse
    chip : ndarray, (n_channels, n_pixels), int
        Number of the chip that a pixel of a gain is read by.
    is_read_besides : ndarray of bool, (n_pixels,)
        As in `calibpipe.camera.drs4_readout.CapacitorClock`.
    rng : Generator
        Source of all randomness.
    """

    def __init__(
        self,
        truth: Drs4Truth,
        law: TimeLapse,
        chip: NDArray,
        is_read_besides: NDArray,
        rng: Generator,
    ):
        self.truth, self._law, self._chip, self._rng = truth, law, chip, rng
        self._baseline = truth.baseline.astype(np.float32)
        n_capacitors = self._baseline.shape[2]
        self._clock = CapacitorClock(len(self._baseline), is_read_besides, n_capacitors)

    def first_cells(self, n_events: int) -> NDArray:
        """Random first capacitors, (n_events, n_chips), uint16."""
        size = n_events, int(self._chip.max()) + 1
        return self._rng.integers(0, self._baseline.shape[2], size).astype(np.uint16)

    def first_capacitors(self, first_cell: NDArray) -> NDArray:
        """Of each pixel and gain, (n_events, n_channels, n_pixels), from those of the chips."""
        return first_cell[:, self._chip].astype(np.int32)

    def read(
        self, waveform: NDArray, first_cell: NDArray, time_s: NDArray, time_qns: NDArray
    ) -> NDArray:
        """Waveforms as they are stored, (n_events, n_channels, n_pixels, n_samples), uint16.

        Parameters
        ----------
        waveform : ndarray, same shape
            Without the chips.
        first_cell : ndarray, (n_events, n_chips)
        time_s, time_qns : ndarray, (n_events,)
            Later than those of the events before.
        """
        first = self.first_capacitors(first_cell)
        elapsed = self._clock.elapsed(first, time_s, time_qns, waveform.shape[-1])
        lapse = -time_lapse_corrected(np.zeros_like(elapsed), elapsed, self._law)
        chance = self._rng.random(waveform.shape, np.float32)
        return _rounded(waveform, first, self._baseline, lapse, chance)


@njit(cache=True)
def _rounded(waveform, first, baseline, lapse, chance):
    found = np.empty(waveform.shape, np.uint16)
    n_events, n_channels, n_pixels, n_samples = waveform.shape
    for event in range(n_events):
        for channel in range(n_channels):
            for pixel in range(n_pixels):
                begin = first[event, channel, pixel]
                for s in range(n_samples):
                    value = np.float32(waveform[event, channel, pixel, s])
                    value += baseline[channel, pixel, (begin + s) % baseline.shape[2]]
                    value += lapse[event, channel, pixel, s] + chance[event, channel, pixel, s]
                    found[event, channel, pixel, s] = min(max(int(np.floor(value)), 0), FULL_SCALE)
    return found
