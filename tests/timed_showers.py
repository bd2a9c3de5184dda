"""Showers with known time offsets, and DL2 files of them in ctapipe's format."""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
import tables
from astropy.table import Table
from astropy.time import Time

from calibpipe.array.normal_equations import total
from calibpipe.array.shower_front import front_delay, shower_axis
from calibpipe.array.shower_times import ShowerTimes, TimingErrors
from calibpipe.array.timing import array_offsets
from calibpipe.array.timing_start import block_equations, start_values

ELEVATION, HEIGHT = 2158.0, 8000.0  # of the site; of the emission above it, along the axis (m)
PRIOR = np.array([np.radians(0.02)] * 2 + [0.1])
FREE = np.array([np.inf, np.inf, np.inf])
EXACT = np.zeros(3)
NAMES = [f"LSTN-{k:02d}" for k in range(1, 20)]


@dataclass(frozen=True)
class Showers:
    """Telescopes, their true offsets (ns, mean 0), and what was reconstructed of showers."""

    position: np.ndarray
    offset: np.ndarray
    times: ShowerTimes


def positions(rng, n_tel, radius=200.0):
    r, phi = radius * np.sqrt(rng.random(n_tel)), 2 * np.pi * rng.random(n_tel)
    return np.stack([r * np.cos(phi), r * np.sin(phi), rng.normal(0, 5, n_tel)], axis=1)


def showers(
    rng,
    n_events=3000,
    n_tel=10,
    *,
    position=None,
    offset=None,
    time_error=1.5,
    direction_error=0.1,
    direction_offset=(0.0, 0.0),
    zenith=20.0,
    az=None,
    seen=None,
    distance=HEIGHT,
    core=(-150.0, 150.0),
):
    """The toy of science.md F; direction errors (deg) along each axis, azimuth in deg or random."""
    position = positions(rng, n_tel) if position is None else position
    offset = rng.normal(0, 20, n_tel) if offset is None else np.asarray(offset, float)
    alt = np.full(n_events, np.radians(90 - zenith))
    az = 2 * np.pi * rng.random(n_events) if az is None else np.radians(np.full(n_events, az))
    cores = np.zeros((n_events, 3))
    cores[:, :2] = rng.uniform(*core, (n_events, 2))
    axis, along_alt, along_az = shower_axis(alt, az)
    curvature = np.full(n_events, 1 / distance)
    time = front_delay(position, cores, axis, curvature) + offset
    time += time_error * rng.standard_normal(time.shape) + rng.uniform(-500, 500, (n_events, 1))
    if seen is not None:
        time[rng.random(time.shape) > seen] = np.nan
    wrong = np.radians(direction_error * rng.standard_normal((n_events, 2)) + direction_offset)
    found = axis + wrong[:, :1] * along_alt + wrong[:, 1:] * along_az
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    times = ShowerTimes(
        time, np.arcsin(found[:, 2]), np.arctan2(-found[:, 1], found[:, 0]), cores, curvature
    )
    return Showers(position, offset - offset.mean(), times)


def write_dl2(path, subarray, made, *, obs_id=1, first_event_id=1, begin=1_720_000_000, **changes):
    """A DL2 file of ctapipe with what array timing reads; `changes` replace columns."""
    from ctapipe.io import write_table

    times, tel_ids = made.times, np.array(sorted(subarray.tel))
    n = len(times)
    event_id = first_event_id + np.arange(n, dtype=np.int64)
    seconds = begin + np.arange(n) // 100
    inside = (np.arange(n) % 100) * 1e-2 + 5e-3
    keys = {"obs_id": np.full(n, obs_id, np.int32), "event_id": event_id}
    seen = changes.pop("tels_with_trigger", np.isfinite(times.time))
    trigger = Table(
        keys
        | {
            "time": _time(seconds, inside),
            "tels_with_trigger": seen,
            "event_type": np.full(n, 32),
        }
    )
    event, tel = np.nonzero(np.isfinite(times.time))
    of_tel = Table(
        {name: key[event] for name, key in keys.items()}
        | {
            "tel_id": tel_ids[tel].astype(np.int16),
            "time": _time(seconds[event], inside[event] + 1e-9 * times.time[event, tel]),
            "event_type": np.full(len(event), 32),
            "n_trigger_pixels": np.full(len(event), -1),
        }
    )
    distance = 1 / np.where(times.curvature > 0, times.curvature, 1 / HEIGHT)
    prefix = "HillasReconstructor_"
    columns = {
        "alt": np.degrees(times.alt) * u.deg,
        "az": np.degrees(times.az) * u.deg,
        "core_x": times.core[:, 0] * u.m,
        "core_y": times.core[:, 1] * u.m,
        "h_max": (ELEVATION + distance * np.sin(times.alt)) * u.m,
        "is_valid": np.ones(n, bool),
    }
    geometry = Table(keys | {prefix + name: column for name, column in columns.items()})
    for name, column in changes.items():
        table = {"trigger": trigger, "telescope": of_tel, "geometry": geometry}
        where, _, column_name = name.partition("__")
        table[where][prefix * (where == "geometry") + column_name] = column
    with tables.open_file(path, "w") as h5file:
        subarray.to_hdf(h5file)
        write_table(trigger, h5file, "/dl1/event/subarray/trigger")
        write_table(of_tel, h5file, "/dl1/event/telescope/trigger")
        write_table(geometry, h5file, "/dl2/event/subarray/geometry/HillasReconstructor")
    return path


def _time(seconds, inside):
    return Time(seconds.astype(float), inside, format="unix_tai", scale="tai")


def subarray_at(position, tel_ids=None):
    """An array of LSTs at some places."""
    from astropy.coordinates import EarthLocation
    from ctapipe.instrument import SubarrayDescription

    from calibpipe.core.telescope import telescope_subarray

    one = telescope_subarray(1).tel[1]
    tel_ids = range(1, len(position) + 1) if tel_ids is None else tel_ids
    return SubarrayDescription(
        "test",
        {t: p * u.m for t, p in zip(tel_ids, position, strict=True)},
        dict.fromkeys(tel_ids, one),
        EarthLocation(lat=28.761795 * u.deg, lon=-17.890701 * u.deg, height=ELEVATION * u.m),
    )


def errors(n_tel, time=1.5, direction=0.1, core=0.0, curvature=1e-6):
    return TimingErrors(np.full(n_tel, time), np.radians(direction), core, curvature)


def solved(made, prior=PRIOR, *, given=None, fit_errors=False, **settings):
    """Offsets of all events, and their equations."""
    n_tel = len(made.offset)
    given = errors(n_tel) if given is None else given
    start = start_values(made.times, made.position, given, prior, fit_errors=fit_errors, **settings)
    settings.pop("min_common", None)
    parts, _ = block_equations(made.times, made.position, start, **settings)
    equations = total(parts)
    return array_offsets(equations, equations.seen, prior), parts
