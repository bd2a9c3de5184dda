"""Scans of light with known truth, as the statistics of charges of many pixels."""

from dataclasses import dataclass

import numpy as np

from calibpipe.camera.light_scan import combined_chunks, light_scan
from calibpipe.camera.pixel_statistics import chunk_statistics

F2 = 1.222
LEVELS = np.array([5, 10, 20, 40, 80, 160, 320, 640, 1280.0])  # p.e.


@dataclass(frozen=True)
class Truth:
    """Camera of two gains; noise is that of the electronics, in ADC of the window."""

    gain: np.ndarray  # (2, n_pixels), ADC per p.e.
    noise: tuple[float, float] = (17.0, 5.0)
    sky: float = 3.0  # p.e. of the night sky in the window, seen by both gains
    jitter: float = 0.01
    saturation: tuple[float, float] = (np.inf, np.inf)  # ADC of a charge


def truth(n_pixels, rng, **more):
    gain = np.array([[85.0], [85.0 / 17.4]]) * rng.normal(1, 0.05, n_pixels)
    return Truth(gain, **more)


def charges(truth, n_pe, n_events, rng, response=lambda charge: charge):
    """Charges (n_events, 2, n_pixels) of pulses, without the mean of the sky."""
    shape = 1 / (F2 - 1)
    n_pixels = truth.gain.shape[1]
    light = np.maximum(rng.normal(1, truth.jitter, (n_events, 1)), 0) * n_pe
    n = rng.poisson(np.broadcast_to(light, (n_events, n_pixels)))
    pulse = np.where(n > 0, rng.gamma(np.maximum(n, 1) * shape) / shape, 0.0)
    sky = rng.poisson(truth.sky, (n_events, n_pixels))
    night = np.where(sky > 0, rng.gamma(np.maximum(sky, 1) * shape) / shape, 0.0) - truth.sky
    both = (response(pulse) + night)[:, np.newaxis] * truth.gain
    both = np.minimum(both, np.array(truth.saturation)[:, np.newaxis])
    return both + rng.normal(0, 1, both.shape) * np.array(truth.noise)[:, np.newaxis]


def run(truth, n_pe, n_events, rng, **more):
    """Combined statistics of one run of pulses, or of pedestals (0 p.e.)."""
    values = (
        charges(truth, n_pe, n_events, rng, **more) if n_pe else charges(truth, 0.0, n_events, rng)
    )
    number = np.arange(n_events)
    return combined_chunks([chunk_statistics(number, number * 1.0, values)])


def scan(truth, rng, *, levels=LEVELS, n_events=2000, **more):
    flatfields = [run(truth, level, n_events, rng, **more) for level in levels]
    pedestals = [run(truth, 0, n_events, rng) for _ in levels]
    return light_scan(flatfields, pedestals)
