"""DL0 of runs with few photoelectrons, of a small camera with known truth."""

from datetime import date

import astropy.units as u
import numpy as np
from astropy.time import Time
from ctapipe.containers import EventType

from calibpipe.core.telescope import telescope_subarray
from calibpipe.simulation.camera import CameraSpread, camera_truth
from calibpipe.simulation.dl0 import Dl0Observation, Dl0Writer, event_times
from calibpipe.simulation.light import flat_field_light, no_light
from calibpipe.simulation.single_photoelectron import SpeShape, few_photoelectron_light
from calibpipe.simulation.waveforms import pulse_templates, waveforms

N_PIXELS, N_SAMPLES = 16, 40
START = Time("2024-07-10T22:00:00", scale="utc")
SPREAD = CameraSpread(time_spread=0.0, gain_spread=0.03)


def small_camera(seed=1):
    """Truth of sixteen pixels."""
    return camera_truth(N_PIXELS, np.random.default_rng(seed), SPREAD)


def write_run(
    folder, truth, *, n_events=6000, n_pe=1.0, event_type="SINGLE_PE", obs_id=1, seed=1, change=None
):
    """File of one run of LSTN-01; `change` is done to every block of waveforms."""
    observation = Dl0Observation(
        folder, 1, "LSTN-01", 1, 1, obs_id, date(2024, 7, 10), START, N_PIXELS, N_SAMPLES, 1 * u.GHz
    )
    readout = telescope_subarray(1).tel[1].camera.readout
    templates = pulse_templates(
        readout.reference_pulse_shape,
        readout.reference_pulse_sample_width,
        readout.sampling_rate,
    )
    rng = np.random.default_rng(seed)
    light = no_light(n_events, truth)
    if n_pe:
        light = flat_field_light(
            n_events,
            truth,
            rng,
            n_pe=n_pe,
            intensity_jitter=0.0,
            time=20 * u.ns,
            time_jitter=0 * u.ns,
            transit_time_spread=0.3 * u.ns,
        )
        light = few_photoelectron_light(light, SpeShape(), rng)
    waveform = waveforms(light, truth, templates, N_SAMPLES, rng, sky=False)
    if change is not None:
        change(waveform)
    stamps = zip(*event_times(START, np.arange(n_events) / 1000), strict=True)
    with Dl0Writer(observation, n_events) as writer:
        for number, (stamp, samples) in enumerate(zip(stamps, waveform, strict=True), 1):
            writer.write(number, *map(int, stamp), EventType[event_type].value, samples)
    return observation.event_paths[0]
