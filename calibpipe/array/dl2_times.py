"""Trigger times of telescopes and shower geometry of DL2 files of ctapipe, a chunk at a time.

ctapipe 0.32 stores the times of triggers as two integers, TAI seconds since 1970 and quarter
nanoseconds: they are subtracted as integers, so that no digit is lost. As MJD in one float, as
older files have them, a time is known to 0.6 us only: such files are refused. A time of 0 is none.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..core.exceptions import CorruptedInputError, MissingInputError
from ..core.monitoring_file import open_hdf5
from .dl2_events import TRIGGER_TABLE, check_events
from .dl2_layout import SUBARRAY_GROUP

if TYPE_CHECKING:
    import tables

__all__ = ["TimeChunk", "read_pointing", "read_times", "relative_times"]

TEL_TRIGGER_TABLE = "/dl1/event/telescope/trigger"
FIXED_POINTING_GROUP = "/configuration/telescope/pointing"
QUARTER_NS = 0.25
_PER_SECOND = 4_000_000_000
_FACTORS = {"deg": 1.0, "m": 1.0, "rad": 180 / np.pi}


@dataclass(frozen=True)
class TimeChunk:
    """Some array events.

    Attributes
    ----------
    obs_id, event_id : ndarray, shape (n_events,), int64
    seconds : ndarray, shape (n_events,), int64
        TAI seconds since 1970 of the array trigger, the whole ones.
    event_type : ndarray, shape (n_events,), int
    time : ndarray, shape (n_events, n_tel), ns
        Of the telescopes' triggers after the array's; NaN where a telescope has none. Telescopes in
        ascending order of their numbers.
    geometry : dict of str to ndarray, shape (n_events,)
        Columns of the reconstructor without its name: ``alt``, ``az`` (deg), ``core_x``,
        ``core_y``, ``h_max`` (m), ``is_valid`` and the others that are numbers. NaN or False for
        events that the table lacks.
    """

    obs_id: NDArray
    event_id: NDArray
    seconds: NDArray
    event_type: NDArray
    time: NDArray
    geometry: dict[str, NDArray]

    def __len__(self) -> int:
        return len(self.obs_id)


def relative_times(time: NDArray, origin: NDArray) -> NDArray:
    """Difference of times of ctapipe, exact.

    Parameters
    ----------
    time, origin : ndarray, shape (n, 2), uint32
        TAI seconds since 1970, quarter nanoseconds.

    Returns
    -------
    ndarray, shape (n,), ns
        NaN where either is 0.
    """
    time, origin = (np.asarray(t).astype(np.int64) for t in (time, origin))
    difference = (time[:, 0] - origin[:, 0]) * _PER_SECOND + time[:, 1] - origin[:, 1]
    absent = ~(time.any(axis=1) & origin.any(axis=1))
    return np.where(absent, np.nan, difference * QUARTER_NS)


def read_times(
    paths: Sequence[str | Path], reconstructor: str, *, chunk_size: int = 20_000
) -> Iterator[TimeChunk]:
    """Events of files of one subarray, in their order.

    Parameters
    ----------
    paths : sequence of path
        DL2 files of ctapipe.
    reconstructor : str
        Of the geometry, such as ``HillasReconstructor``.
    chunk_size : int
        Array events at once.

    Raises
    ------
    MissingInputError
        If there is no file, or it lacks the reconstructor or the times of telescopes.
    CorruptedInputError
        If a file is no DL2 file, its tables do not go together, events are there twice, or its
        times are not exact to nanoseconds.
    ConfigurationError
        If the files are of different subarrays.
    """
    layout = check_events(paths)
    for path in paths:
        with open_hdf5(path, "DL2 events") as h5file:
            yield from _of_file(h5file, layout.tel_ids, reconstructor, chunk_size)


def read_pointing(path: str | Path) -> dict[int, tuple[float, float]]:
    """Altitude and azimuth (deg) that the array pointed to, by observation; for simulations.

    Raises
    ------
    MissingInputError
        If the file has no pointing of this kind.
    """
    with open_hdf5(path, "DL2 events") as h5file:
        if FIXED_POINTING_GROUP not in h5file:
            raise MissingInputError(
                f"{path} has no fixed pointing ({FIXED_POINTING_GROUP}), which simulations have: "
                "times relative to the plane of the pointing cannot be used without it"
            )
        found: dict[int, tuple[float, float]] = {}
        for node in h5file.get_node(FIXED_POINTING_GROUP)._f_iter_nodes("Table"):
            for row in node.read():
                names = "telescope_pointing_altitude", "telescope_pointing_azimuth"
                units = [_unit(node, name) for name in names]
                altitude, azimuth = (float(row[n]) * x for n, x in zip(names, units, strict=True))
                pointing = altitude, azimuth
                same = found.setdefault(int(row["obs_id"]), pointing)
                if not np.allclose(same, pointing, atol=1e-6, rtol=0):
                    raise CorruptedInputError(
                        f"{path}: telescopes of observation {row['obs_id']} point to different "
                        "directions; times relative to one plane cannot be used"
                    )
    return found


def _of_file(
    h5file: "tables.File", tel_ids: NDArray, reconstructor: str, chunk_size: int
) -> Iterator[TimeChunk]:
    trigger = h5file.get_node(TRIGGER_TABLE)
    of_telescopes = _required(h5file, TEL_TRIGGER_TABLE, "times of telescopes")
    group = f"{SUBARRAY_GROUP}/geometry"
    if f"{group}/{reconstructor}" not in h5file:
        there = sorted(h5file.get_node(group)._v_children) if group in h5file else []
        raise MissingInputError(
            f"{h5file.filename} has no geometry of {reconstructor}, but of "
            f"{', '.join(there) or 'none'}; name one that it has"
        )
    geometry = h5file.get_node(f"{group}/{reconstructor}")
    for node in (trigger, of_telescopes):
        _require_exact(node)
    place = {int(tel_id): k for k, tel_id in enumerate(tel_ids)}
    row, geometry_row = 0, 0
    for begin in range(0, trigger.nrows, chunk_size):
        events = trigger.read(begin, begin + chunk_size)
        n_rows = int(events["tels_with_trigger"].sum())
        rows = of_telescopes.read(row, row + n_rows)
        row += n_rows
        time = _telescope_times(h5file.filename, events, rows, place)
        columns, n_used = _geometry(geometry, geometry_row, events, reconstructor)
        geometry_row += n_used
        yield TimeChunk(
            obs_id=events["obs_id"].astype(np.int64),
            event_id=events["event_id"].astype(np.int64),
            seconds=events["time"][:, 0].astype(np.int64),
            event_type=events["event_type"].astype(int),
            time=time,
            geometry=columns,
        )
    if row != of_telescopes.nrows or geometry_row != geometry.nrows:
        raise CorruptedInputError(
            f"{h5file.filename}: {of_telescopes.nrows} times of telescopes and {geometry.nrows} "
            f"shower geometries, of which {row} and {geometry_row} belong to array events in their "
            "order; make the file again with ctapipe-process or ctapipe-merge"
        )


def _required(h5file: "tables.File", name: str, what: str) -> "tables.Table":
    if name not in h5file:
        raise MissingInputError(
            f"{h5file.filename} has no {what} ({name}); give a file of ctapipe-process"
        )
    return h5file.get_node(name)


def _require_exact(node: "tables.Table") -> None:
    if node.dtype["time"].shape != (2,):
        raise CorruptedInputError(
            f"{node._v_file.filename}: times of {node._v_pathname} are one number (MJD, exact to "
            "0.6 us); array timing needs the high-resolution times of ctapipe 0.32: process the "
            "data again"
        )


def _telescope_times(
    filename: str, events: NDArray, rows: NDArray, place: dict[int, int]
) -> NDArray:
    """Times of the telescopes after the array trigger, (n_events, n_tel)."""
    number = np.repeat(np.arange(len(events)), events["tels_with_trigger"].sum(axis=1))
    same = len(rows) == len(number) and all(
        np.array_equal(rows[key], events[key][number]) for key in ("obs_id", "event_id")
    )
    if not same:
        raise CorruptedInputError(
            f"{filename}: rows of {TEL_TRIGGER_TABLE} are not those of the telescopes that the "
            f"array trigger names, from event {events['event_id'][0]} of observation "
            f"{events['obs_id'][0]} on; make the file again with ctapipe-process or ctapipe-merge"
        )
    unknown = set(np.unique(rows["tel_id"]).tolist()) - set(place)
    if unknown:
        raise CorruptedInputError(
            f"{filename}: telescopes {sorted(unknown)} have times but are not in the subarray"
        )
    column = np.array([place[tel_id] for tel_id in rows["tel_id"].tolist()], int)
    cell = number * len(place) + column
    if len(np.unique(cell)) < len(cell):
        raise CorruptedInputError(f"{filename}: a telescope has two times in one event")
    time = np.full((len(events), len(place)), np.nan)
    time[number, column] = relative_times(rows["time"], events["time"][number])
    return time


def _geometry(
    node: "tables.Table", first: int, events: NDArray, reconstructor: str
) -> tuple[dict[str, NDArray], int]:
    """Columns at the events, and how many rows belong to them."""
    rows = node.read(first, first + len(events))
    same = len(rows) == len(events) and all(
        np.array_equal(rows[key], events[key]) for key in ("obs_id", "event_id")
    )
    if same:
        where, n_used = np.arange(len(events)), len(events)
    else:
        pairs = [
            zip(t["obs_id"].tolist(), t["event_id"].tolist(), strict=True) for t in (events, rows)
        ]
        place = {key: k for k, key in enumerate(pairs[0])}
        found = [place.get(key, -1) for key in pairs[1]]
        n_used = found.index(-1) if -1 in found else len(found)
        where = np.array(found[:n_used], int)
    columns = {}
    for name in node.colnames:
        kind, short = node.dtype[name], name.removeprefix(f"{reconstructor}_")
        if kind.shape or kind.kind not in "biuf" or short in ("obs_id", "event_id"):
            continue
        column = np.zeros(len(events), bool) if kind.kind == "b" else np.full(len(events), np.nan)
        column[where] = rows[name][:n_used] * (1 if kind.kind == "b" else _unit(node, name))
        columns[short] = column
    return columns, n_used


def _unit(node: "tables.Table", name: str) -> float:
    """Factor to degrees and metres."""
    index = node.colnames.index(name)
    unit = getattr(node.attrs, f"CTAFIELD_{index}_UNIT", None)
    return _FACTORS.get(str(unit), 1.0)
