"""DL0 of raw runs of the small camera with DRS4 chips of known truth."""

import astropy.units as u
import numpy as np
from ctapipe.containers import EventType
from dedicated_runs import (
    N_PIXELS,
    N_SAMPLES,
    NIGHT,
    START,
    Run,
    light_of,
    small_camera,
    small_subarray,
)

from calibpipe.camera.drs4_time_lapse import TimeLapse
from calibpipe.simulation.dl0 import Dl0Observation, Dl0Writer, event_times
from calibpipe.simulation.drs4 import ChipReadout, drs4_truth, sampling_shift, shifted_waveforms
from calibpipe.simulation.waveforms import pulse_templates

RATE = 1000.0  # Hz
CHIPS = np.arange(2 * N_PIXELS).reshape(2, N_PIXELS)  # one for each pixel and gain
BESIDES = np.arange(N_PIXELS) % 7 % 2 == 0


def small_truth(seed=3):
    """Deviations of the capacitors from the pedestal of their pixel."""
    return drs4_truth(2, N_PIXELS, np.random.default_rng(seed), baseline_mean=0.0, amplitude=0.3)


def true_noise():
    """Of a sample: electronics, rounding to whole numbers, rounding at random."""
    return np.sqrt(small_camera().electronic_noise ** 2 + 1 / 12 + 1 / 6)


def write_raw_run(
    folder, obs_id, n_events, *, rate=RATE, law=None, change=None, cells=None,
    event_type="DARK_PEDESTAL", n_pe=0.0,
):  # fmt: skip
    """Dark events, or pulses, at random times.

    `change` is done to the waveforms, `cells` to the first cells.
    """
    rng = np.random.default_rng([11, obs_id])
    truth, camera = small_truth(), small_camera()
    chips = ChipReadout(truth, law or TimeLapse(), CHIPS, BESIDES, rng)
    readout = small_subarray().tel[1].camera.readout
    templates = pulse_templates(
        readout.reference_pulse_shape,
        readout.reference_pulse_sample_width,
        readout.sampling_rate,
    )
    seconds = np.cumsum(1e-5 + rng.exponential(1 / rate, n_events))
    start = START + (obs_id - 101) * u.min
    stamps = np.transpose(event_times(start, seconds))
    observation = Dl0Observation(
        folder, 1, "LSTN-01", 1, 1, obs_id, NIGHT, start, N_PIXELS, N_SAMPLES, 1.024 * u.GHz
    )
    with Dl0Writer(observation, n_events) as writer:
        for block in np.array_split(np.arange(n_events), max(n_events // 500, 1)):
            light = light_of(event_type, Run("", {}, n_pe), block.size, camera, rng)
            first = chips.first_cells(block.size)
            shift = sampling_shift(truth, chips.first_capacitors(first))
            samples = shifted_waveforms(
                light, shift, camera, templates, N_SAMPLES, rng, sky=event_type != "DARK_PEDESTAL"
            )
            samples = chips.read(samples, first, *stamps[block].T)
            if change is not None:
                change(samples)
            if cells is not None:
                cells(first)
            for k, event in enumerate(block):
                kind = EventType[event_type].value
                stamp = map(int, stamps[event])
                writer.write(int(event) + 1, *stamp, kind, samples[k], None, first[k])
    return list(observation.event_paths)
