"""DL0 of dedicated runs of a camera of nineteen pixels with known truth, and their table."""

from copy import copy
from dataclasses import dataclass, replace
from datetime import date
from functools import cache

import astropy.units as u
import numpy as np
from astropy.table import Table
from astropy.time import Time
from ctapipe.containers import EventType
from ctapipe.instrument import CameraDescription, SubarrayDescription, TelescopeDescription

from calibpipe.core.telescope import telescope_subarray
from calibpipe.simulation.camera import CameraSpread, camera_truth
from calibpipe.simulation.dedicated_light import single_pixel_light
from calibpipe.simulation.dl0 import Dl0Observation, Dl0Writer, event_times
from calibpipe.simulation.light import flat_field_light, no_light
from calibpipe.simulation.service_data import write_service_data
from calibpipe.simulation.single_photoelectron import SpeShape, few_photoelectron_light
from calibpipe.simulation.waveforms import pulse_templates, waveforms

N_PIXELS, N_SAMPLES = 19, 40  # two rings of neighbours about the middle
NIGHT = date(2024, 7, 10)
START = Time("2024-07-10T22:00:00", scale="utc")
SPREAD = CameraSpread(time_spread=0.0, gain_spread=0.03)
HIGH_VOLTAGE = 5.0  # gain over that at nominal voltage
FULL = 600.0  # p.e. without a filter


@dataclass(frozen=True)
class Run:
    """A run: what it is, its events by type, p.e. of the light, gain over the nominal one."""

    kind: str
    events: dict[str, int]
    n_pe: float = 0.0
    voltage_gain: float = 1.0


def scan_run(transmission, n=400):
    """Flat fields and sky pedestals behind a filter; verified with 4000: 2 % of a gain."""
    return Run("scan", {"FLATFIELD": n, "SKY_PEDESTAL": n // 2}, FULL * transmission)


RUNS = {
    101: Run("dark", {"DARK_PEDESTAL": 1000}),
    102: Run("pedestal", {"SKY_PEDESTAL": 200}),
    103: Run("flat", {"FLATFIELD": 200, "SKY_PEDESTAL": 200}, 80.0),
    104: scan_run(0.02),
    105: scan_run(0.05),
    106: scan_run(0.2),
    107: scan_run(0.6),
    108: Run("single_pe", {"SINGLE_PE": 12_000}, 1.0),
    109: Run("high_voltage", {"SINGLE_PE": 8000}, 1.0, HIGH_VOLTAGE),
    110: Run("single_pixel", {"OTHER_CALIBRATION": 300 * N_PIXELS, "SKY_PEDESTAL": 600}, 100.0),
}


@cache
def small_subarray():
    """LSTN-01 with the pixels in the middle of its camera alone."""
    whole = telescope_subarray(1)
    telescope = whole.tel[1]
    geometry = telescope.camera.geometry
    middle = np.argsort(np.hypot(geometry.pix_x, geometry.pix_y))[:N_PIXELS]
    mask = np.zeros(geometry.n_pixels, bool)
    mask[middle] = True
    small, readout = geometry[mask], copy(telescope.camera.readout)
    small.pix_id, readout.n_pixels = np.arange(N_PIXELS), N_PIXELS
    camera = CameraDescription(telescope.camera.name, small, readout)
    return SubarrayDescription(
        "LSTN-01",
        {1: whole.positions[1]},
        {1: TelescopeDescription(telescope.name, telescope.optics, camera)},
        whole.reference_location,
    )


def describe(folder):
    """Service data of the small camera: what CTAPIPE_SVC_PATH has to name."""
    write_service_data(folder, small_subarray())
    return folder


def small_camera(seed=1):
    """Truth of the pixels."""
    return camera_truth(N_PIXELS, np.random.default_rng(seed), SPREAD)


def light_of(name, run, n_events, truth, rng):
    """Light of events of one type."""
    if name.endswith("PEDESTAL") or not run.n_pe:
        return no_light(n_events, truth)
    timing = {"n_pe": run.n_pe, "time": 18 * u.ns, "transit_time_spread": 0.3 * u.ns}
    if name == "OTHER_CALIBRATION":
        return single_pixel_light(np.arange(n_events) % N_PIXELS, truth, rng, **timing)
    jitter = {"intensity_jitter": 0.0 if name == "SINGLE_PE" else 0.01, "time_jitter": 0 * u.ns}
    light = flat_field_light(n_events, truth, rng, **jitter, **timing)
    return few_photoelectron_light(light, SpeShape(), rng) if name == "SINGLE_PE" else light


def write_run(folder, obs_id, run, truth, *, change=None, night=NIGHT):
    """DL0 of a run of LSTN-01; `change` is done to the waveforms of each type."""
    start = START + (night - NIGHT).days * u.day + (obs_id - 101) * u.min
    observation = Dl0Observation(
        folder, 1, "LSTN-01", 1, 1, obs_id, night, start, N_PIXELS, N_SAMPLES, 1 * u.GHz
    )
    readout = small_subarray().tel[1].camera.readout
    templates = pulse_templates(
        readout.reference_pulse_shape,
        readout.reference_pulse_sample_width,
        readout.sampling_rate,
    )
    rng = np.random.default_rng([7, obs_id])
    truth = replace(truth, gain=run.voltage_gain * truth.gain)
    events = []
    for name, n_events in run.events.items():
        sky = name not in ("DARK_PEDESTAL", "SINGLE_PE")
        light = light_of(name, run, n_events, truth, rng)
        samples = waveforms(light, truth, templates, N_SAMPLES, rng, sky=sky)
        if change is not None:
            change(samples)
        events += [(name, waveform) for waveform in samples]
    order = rng.permutation(len(events))
    stamps = zip(*event_times(start, np.arange(len(events)) / 1000), strict=True)
    with Dl0Writer(observation, len(events)) as writer:
        for number, (stamp, k) in enumerate(zip(stamps, order, strict=True), 1):
            name, waveform = events[k]
            writer.write(number, *map(int, stamp), EventType[name].value, waveform)
    return observation.event_paths[0]


def runs_table(runs=RUNS):
    """What an observer writes of the runs."""
    scan = [run.n_pe / FULL if run.kind == "scan" else np.nan for run in runs.values()]
    return Table(
        {
            "obs_id": list(runs),
            "run_type": [run.kind for run in runs.values()],
            "transmission": scan,
            "transmission_error": np.full(len(runs), 0.01),
        }
    )


def write_set(folder, runs=RUNS, night=NIGHT):
    """DL0 of a set below `folder`; the true camera."""
    truth = small_camera()
    for obs_id, run in runs.items():
        write_run(folder, obs_id, run, truth, night=night)
    return truth
