"""DL2 files as ctapipe-process and ctapipe-apply-models write them, of simulated array events."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import tables
from astropy.table import Table
from astropy.time import Time
from ctapipe.containers import (
    CoordinateFrameType,
    EventType,
    ObservationBlockState,
    ObservingMode,
    PointingMode,
    SchedulingBlockType,
)
from ctapipe.instrument import SubarrayDescription
from ctapipe.io import write_table
from ctapipe.io.hdf5dataformat import (
    DL0_TEL_POINTING_GROUP,
    DL1_SUBARRAY_TRIGGER_TABLE,
    DL1_TEL_PARAMETERS_GROUP,
    DL1_TEL_TRIGGER_TABLE,
    DL2_SUBARRAY_ENERGY_GROUP,
    DL2_SUBARRAY_GEOMETRY_GROUP,
    DL2_TEL_ENERGY_GROUP,
    DL2_TEL_GROUP,
    DL2_TEL_PARTICLETYPE_GROUP,
    OBSERVATION_BLOCK_TABLE,
    SCHEDULING_BLOCK_TABLE,
)
from ctapipe.io.metadata import Activity, Contact, Instrument, Process, Product, Reference
from ctapipe.io.metadata import write_to_hdf5 as write_reference
from numpy.typing import NDArray

from .. import __version__
from ..core.files import atomic_path
from .array_showers import ArrayShowers, ArrayTruth, ShowerModel, simulated_showers

__all__ = ["CLASSIFIER", "ENERGY", "GEOMETRY", "array_truth", "write_dl2"]

ENERGY, CLASSIFIER = "RandomForestRegressor", "RandomForestClassifier"
GEOMETRY = "HillasReconstructor"
DATA_MODEL_VERSION = "v7.6.0"  # of ctapipe 0.32
TRIES_AT_ONCE = 50_000
CACHE_IN_BYTES = 500_000  # of each table: PyTables would take 16 MB
_POINTING_INTERVAL_IN_S = 10
_DEG = u.deg
# the longer ones first
_PREFIXES = (
    f"{GEOMETRY}_tel_impact_",
    f"{ENERGY}_tel_",
    f"{CLASSIFIER}_tel_",
    f"{GEOMETRY}_",
    f"{ENERGY}_",
    "hillas_",
    "telescope_pointing_",
)


def array_truth(
    subarray: SubarrayDescription,
    rng: np.random.Generator,
    *,
    spread: float = 0.1,
    type_spread: float = 0.05,
    offset_in_ns: float = 5.0,
) -> ArrayTruth:
    """Random throughputs and time offsets of the telescopes of an array.

    Parameters
    ----------
    subarray : SubarrayDescription
    rng : Generator
    spread : float
        Standard deviation of the logarithm of throughputs in a type.
    type_spread : float
        The same of the types.
    offset_in_ns : float
        Standard deviation.
    """
    tel_ids = np.array(sorted(subarray.tel))
    kinds = np.array([subarray.tel[i].type.value for i in tel_ids])
    scale = {kind: type_spread * rng.standard_normal() for kind in np.unique(kinds)}
    logs = np.array([scale[kind] for kind in kinds]) + spread * rng.standard_normal(len(tel_ids))
    elevation = subarray.reference_location.geodetic.height.to_value(u.m)
    return ArrayTruth(
        tel_ids=tel_ids,
        kinds=kinds,
        positions=np.array([subarray.positions[i].to_value(u.m) for i in tel_ids]),
        throughput=np.exp(logs),
        time_offset_in_ns=offset_in_ns * rng.standard_normal(len(tel_ids)),
        elevation_in_m=float(elevation),
    )


def write_dl2(
    path: str | Path,
    subarray: SubarrayDescription,
    truth: ArrayTruth,
    *,
    n_events: int,
    obs_id: int,
    start: Time,
    alt_in_deg: float,
    az_in_deg: float,
    rng: np.random.Generator,
    model: ShowerModel | None = None,
    rate_in_hz: float = 2000.0,
    first_event_id: int = 1,
) -> int:
    """Write one observation block; nothing but some thousand events is held.

    Parameters
    ----------
    path : path
    subarray : SubarrayDescription
    truth : ArrayTruth
    n_events : int
        Array events: showers with at least two telescopes.
    obs_id : int
    start : Time
        Of the block.
    alt_in_deg, az_in_deg : float
        Pointing, constant in the block.
    rng : Generator
    model : ShowerModel, optional
    rate_in_hz : float
        Of array events; times between them are exponential.
    first_event_id : int
        Numbers ascend from here; they may be beyond 2^53.

    Returns
    -------
    int
        Telescope events.

    Raises
    ------
    StorageError
        If the disk is full or the folder cannot be written.
    """
    model = model or ShowerModel()
    begin, n_rows, done, seconds = start.unix_tai, 0, 0, 0.0
    alt, az = np.deg2rad([alt_in_deg, az_in_deg])
    cache = {"chunk_cache_size": CACHE_IN_BYTES}
    with atomic_path(path) as temporary, tables.open_file(temporary, "w", **cache) as h5file:
        subarray.to_hdf(h5file)
        writer = _Writer(h5file)
        while done < n_events:
            showers = simulated_showers(TRIES_AT_ONCE, truth, alt, az, model, rng)
            showers = _first(showers, n_events - done)
            n = len(showers.energy)
            after = seconds + np.cumsum(rng.exponential(1 / rate_in_hz, n))
            seconds = float(after[-1]) if n else seconds
            event_id = first_event_id + done + np.arange(n, dtype=np.int64)
            for node, table in _tables(showers, truth, obs_id, event_id, begin, after, model, rng):
                writer.append(node, table)
            done, n_rows = done + n, n_rows + int(showers.has_data.sum())
        _write_observation(writer, obs_id, start, seconds, alt_in_deg, az_in_deg)
        _write_pointing(writer, truth, begin, seconds, alt_in_deg, az_in_deg)
        write_reference(_reference(obs_id).to_dict(), h5file)
    return n_rows


class _Writer:
    """Tables of a file, appended to chunk by chunk."""

    def __init__(self, h5file: tables.File):
        self.h5file = h5file

    def append(self, node: str, table: Table) -> None:
        write_table(table, self.h5file, node, append=True)


def _first(showers: ArrayShowers, n: int) -> ArrayShowers:
    """No more than n of the showers."""
    values: dict[str, Any] = {
        name: {key: entry[:n] for key, entry in value.items()}
        if isinstance(value, dict)
        else value[:n]
        for name, value in vars(showers).items()
    }
    return ArrayShowers(**values)


def _tables(
    showers: ArrayShowers,
    truth: ArrayTruth,
    obs_id: int,
    event_id: NDArray,
    begin: float,
    after: NDArray,
    model: ShowerModel,
    rng: np.random.Generator,
) -> Iterator[tuple[str, Table]]:
    n = len(event_id)
    keys = {"obs_id": np.full(n, obs_id, np.int32), "event_id": event_id}
    seen = showers.has_data
    yield (
        DL1_SUBARRAY_TRIGGER_TABLE,
        _table(
            keys
            | {
                "time": _time(begin, after),
                "tels_with_trigger": seen,
                "event_type": np.full(n, EventType.SUBARRAY.value),
            },
            TRANSFORM={"tels_with_trigger": "tel_list_to_mask"},
            ENUM={"event_type": EventType},
        ),
    )
    yield f"{DL2_SUBARRAY_GEOMETRY_GROUP}/{GEOMETRY}", _geometry(keys, showers, model)
    weighted = np.where(seen & np.isfinite(showers.tel_energy), showers.tel_energy, np.nan)
    valid = np.isfinite(weighted).any(axis=1)
    mean = np.nansum(weighted, axis=1) / np.maximum(np.isfinite(weighted).sum(axis=1), 1)
    yield (
        f"{DL2_SUBARRAY_ENERGY_GROUP}/{ENERGY}",
        _table(
            keys
            | {
                f"{ENERGY}_energy": np.where(valid, mean, np.nan) * u.TeV,
                f"{ENERGY}_is_valid": valid,
            }
        ),
    )
    event, telescope = np.nonzero(seen)
    arrival = after[event] + 1e-9 * showers.delay[event, telescope]
    yield (
        DL1_TEL_TRIGGER_TABLE,
        _table(
            {name: key[event] for name, key in keys.items()}
            | {
                "tel_id": truth.tel_ids[telescope].astype(np.int16),
                "time": _time(begin, arrival),
                "event_type": np.full(len(event), EventType.SUBARRAY.value),
                "n_trigger_pixels": np.full(len(event), -1),
            }
        ),
    )
    gammaness = rng.beta(8, 2, n)
    for k, tel_id in enumerate(truth.tel_ids):
        own = seen[:, k]
        if own.any():
            rows = {name: key[own] for name, key in keys.items()}
            rows["tel_id"] = np.full(own.sum(), tel_id, np.int16)
            yield from _telescope_tables(rows, showers, k, gammaness[own], model, truth)


def _telescope_tables(
    keys: dict[str, NDArray],
    showers: ArrayShowers,
    k: int,
    gammaness: NDArray,
    model: ShowerModel,
    truth: ArrayTruth,
) -> Iterator[tuple[str, Table]]:
    own = showers.has_data[:, k]
    name = f"tel_{truth.tel_ids[k]:03d}"
    energy = showers.tel_energy[own, k]
    relative = model.resolution[str(truth.kinds[k])]
    columns = {
        f"{ENERGY}_tel_energy": energy * u.TeV,
        f"{ENERGY}_tel_energy_uncert": relative * energy * u.TeV,
        f"{ENERGY}_tel_is_valid": np.isfinite(energy),
    }
    yield f"{DL2_TEL_ENERGY_GROUP}/{ENERGY}/{name}", _table(keys | columns)
    columns = {
        f"{CLASSIFIER}_tel_prediction": gammaness,
        f"{CLASSIFIER}_tel_is_valid": np.ones(len(energy), bool),
    }
    yield f"{DL2_TEL_PARTICLETYPE_GROUP}/{CLASSIFIER}/{name}", _table(keys | columns)
    prefix = f"{GEOMETRY}_tel_impact_distance"
    columns = {
        prefix: showers.impact[own, k] * u.m,
        f"{prefix}_uncert": np.full(len(energy), model.core_error_in_m) * u.m,
    }
    yield f"{DL2_TEL_GROUP}/impact/{GEOMETRY}/{name}", _table(keys | columns)
    columns = {"hillas_intensity": showers.size[own, k]}
    yield f"{DL1_TEL_PARAMETERS_GROUP}/{name}", _table(keys | columns)


def _geometry(keys: dict[str, NDArray], showers: ArrayShowers, model: ShowerModel) -> Table:
    found, n = showers.reconstructed, len(showers.energy)
    errors = {
        "alt_uncert": model.direction_error_in_deg * _DEG,
        "az_uncert": model.direction_error_in_deg / np.cos(found["alt"]) * _DEG,
        "core_uncert_x": model.core_error_in_m * u.m,
        "core_uncert_y": model.core_error_in_m * u.m,
        "h_max_uncert": model.height_error_in_m * u.m,
    }
    columns = {
        "alt": np.rad2deg(found["alt"]) * _DEG,
        "az": np.rad2deg(found["az"]) % 360 * _DEG,
        "core_x": found["core_x"] * u.m,
        "core_y": found["core_y"] * u.m,
        "h_max": found["h_max"] * u.m,
    } | {name: np.broadcast_to(error.value, n) * error.unit for name, error in errors.items()}
    columns["is_valid"] = np.ones(n, bool)
    columns["telescopes"] = showers.has_data
    return _table(
        keys | {f"{GEOMETRY}_{name}": column for name, column in columns.items()},
        TRANSFORM={f"{GEOMETRY}_telescopes": "tel_list_to_mask"},
    )


def _table(columns: dict[str, Any], **attributes: dict[str, Any]) -> Table:
    """Table with attributes of columns as ctapipe writes them: NAME is that without the prefix."""
    table = Table()
    for name, column in columns.items():
        table[name] = column
        prefix = next((p for p in _PREFIXES if name.startswith(p)), "")
        meta = {"NAME": name.removeprefix(prefix)}
        meta |= {key: of[name] for key, of in attributes.items() if name in of}
        table[name].info.meta = meta
    return table


def _time(begin: float, after: NDArray) -> Time:
    """Times, exact to a quarter nanosecond: whole seconds apart from the rest."""
    whole = np.floor(after)
    return Time(begin + whole, after - whole, format="unix_tai", scale="tai")


def _write_pointing(
    writer: _Writer, truth: ArrayTruth, begin: float, length: float, alt: float, az: float
) -> None:
    after = np.arange(-_POINTING_INTERVAL_IN_S, length + 2 * _POINTING_INTERVAL_IN_S, 10.0)
    for tel_id in truth.tel_ids:
        columns = {
            "time": _time(begin, after),
            "azimuth": np.full(len(after), az) * _DEG,
            "altitude": np.full(len(after), alt) * _DEG,
        }
        writer.append(f"{DL0_TEL_POINTING_GROUP}/tel_{tel_id:03d}", _table(columns))


def _write_observation(
    writer: _Writer, obs_id: int, start: Time, length: float, alt: float, az: float
) -> None:
    one, number = np.ones(1), np.array([obs_id], np.uint64)
    enums = {
        "state": ObservationBlockState,
        "subarray_pointing_frame": CoordinateFrameType,
        "sb_type": SchedulingBlockType,
        "observing_mode": ObservingMode,
        "pointing_mode": PointingMode,
    }

    def chosen(name: str, member: str) -> NDArray:
        return np.array([enums[name][member].value])

    block = {
        "obs_id": number,
        "sb_id": number,
        "producer_id": np.array(["simulation"]),
        "state": chosen("state", "COMPLETED_SUCCEDED"),
        "subarray_pointing_lat": alt * one * _DEG,
        "subarray_pointing_lon": az * one * _DEG,
        "subarray_pointing_frame": chosen("subarray_pointing_frame", "ALTAZ"),
        "scheduled_duration": length / 60 * one * u.min,
        "scheduled_start_time": start.tai.reshape(1),
        "actual_start_time": start.tai.reshape(1),
        "actual_duration": length / 60 * one * u.min,
    }
    schedule = {
        "sb_id": number,
        "sb_type": chosen("sb_type", "OBSERVATION"),
        "producer_id": np.array(["simulation"]),
        "observing_mode": chosen("observing_mode", "WOBBLE"),
        "pointing_mode": chosen("pointing_mode", "DRIFT"),
    }
    writer.append(OBSERVATION_BLOCK_TABLE, _table(block, ENUM=enums))
    writer.append(SCHEDULING_BLOCK_TABLE, _table(schedule, ENUM=enums))


def _reference(obs_id: int) -> Reference:
    """Headers by which ctapipe knows its own files."""
    return Reference(
        contact=Contact(),
        product=Product(
            description="Simulated array events",
            data_category="Sim",
            data_levels=["DL1_PARAMETERS", "DL2"],
            data_association="Subarray",
            data_model_name="ASWG",
            data_model_version=DATA_MODEL_VERSION,
            format="hdf5",
            id_=str(uuid.uuid5(uuid.NAMESPACE_OID, f"calibpipe simulated DL2 {obs_id}")),
        ),
        process=Process(type_="Simulation", id_=str(obs_id)),
        activity=Activity(software_name="calibpipe", software_version=__version__),
        instrument=Instrument(class_="Subarray"),
    )
