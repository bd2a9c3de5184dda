"""Events of DL2 files of ctapipe, a chunk at a time.

All tables of a ctapipe file have their rows in the order of the array's events
(``/dl1/event/subarray/trigger``). A table is therefore walked along with the events, comparing
``obs_id`` and ``event_id`` as the integers they are: nothing is sorted or joined, no number passes
through a float, and memory does not grow with the file. Where the order is broken, or a row is
there twice, that is an error.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.exceptions import ConfigurationError, CorruptedInputError, MissingInputError
from ..core.monitoring_file import open_hdf5
from .dl2_layout import ArrayLayout, ColumnPlace, column_place, read_layout, same_layout

if TYPE_CHECKING:
    import tables

__all__ = ["EventChunk", "check_events", "file_events", "read_events"]

TRIGGER_TABLE = "/dl1/event/subarray/trigger"
CHUNK_SIZE = 50_000
ROWS_AT_ONCE_IN_BYTES = 500_000  # of each table, of which there are hundreds
CACHE_IN_BYTES = 500_000  # PyTables would take 16 MB for each table
_QUARTER_NS, _MJD_OF_1970 = 0.25e-9, 40587.0


@dataclass(frozen=True)
class EventChunk:
    """Some array events, with the rows of their telescopes.

    Attributes
    ----------
    obs_id, event_id : ndarray, shape (n_events,), int64
    time : ndarray, shape (n_events,)
        Of the array trigger: TAI seconds since 1970.
    first : ndarray, shape (n_events + 1,), int64
        Rows of event k are ``first[k]:first[k + 1]``, by ascending telescope.
    event, telescope : ndarray, shape (n_rows,), int32
        Place of the event in the chunk, of the telescope in the layout.
    columns : dict of str to ndarray, shape (n_rows,)
        NaN (False for flags) where a table lacks the row. Columns of array events are repeated.
    units : dict of str to str
        Of the columns that have one.
    """

    obs_id: NDArray
    event_id: NDArray
    time: NDArray
    first: NDArray
    event: NDArray
    telescope: NDArray
    columns: dict[str, NDArray]
    units: dict[str, str]


def read_events(
    paths: Sequence[str | Path],
    columns: Sequence[str],
    *,
    chunk_size: int = CHUNK_SIZE,
) -> Iterator[EventChunk]:
    """Events of files of one subarray.

    Parameters
    ----------
    paths : sequence of path
        DL2 files of ctapipe, of one or many observation blocks.
    columns : sequence of str
        By the names that they have there, e.g. ``RandomForestRegressor_tel_energy``. The first is
        of telescopes: it decides which rows there are.
    chunk_size : int
        Array events at once.

    Raises
    ------
    MissingInputError
        If there is no file, or no file has a column (the message names what there is).
    CorruptedInputError
        If a file is no DL2 file, its rows are not in the order of the events, or are there twice.
    ConfigurationError
        If the files are of different subarrays.
    """
    layout = check_events(paths, chunk_size=max(chunk_size, CHUNK_SIZE))
    for path in paths:
        yield from file_events(path, layout, columns, chunk_size=chunk_size)


def file_events(
    path: str | Path, layout: ArrayLayout, columns: Sequence[str], *, chunk_size: int = CHUNK_SIZE
) -> Iterator[EventChunk]:
    """Events of one file, whose identifiers `check_events` has looked at; as `read_events`."""
    with open_hdf5(path, "DL2 events", chunk_cache_size=CACHE_IN_BYTES) as h5file:
        places = [column_place(h5file, name) for name in columns]
        if not places[0].by_telescope:
            raise ConfigurationError(f"{places[0].name} is a column of array events")
        yield from _events_of_file(h5file, layout, places, chunk_size)


def check_events(paths: Sequence[str | Path], *, chunk_size: int = CHUNK_SIZE) -> ArrayLayout:
    """Layout of the subarray of all files, after a look at all identifiers of events.

    Numbers that ascend in an observation block cannot be there twice: nothing is kept of them but
    the ranges. Only where ranges overlap all numbers of the block are compared (8 bytes each).

    Raises
    ------
    MissingInputError, CorruptedInputError, ConfigurationError
        As `read_events`.
    """
    if not paths:
        raise MissingInputError("no DL2 files were given; give at least one")
    layout = None
    runs: dict[int, list[tuple[int, int]]] = {}
    for path in paths:
        with open_hdf5(path, "DL2 events", chunk_cache_size=CACHE_IN_BYTES) as h5file:
            of_file = read_layout(h5file)
            if layout is not None:
                same_layout(layout, of_file, path)
            layout = layout or of_file
            for obs_id, event_id in _identifiers(h5file, chunk_size):
                _add_runs(runs, obs_id, event_id)
    for block, ranges in runs.items():
        ranges.sort()
        if any(a[1] >= b[0] for a, b in pairwise(ranges)):
            _check_block(paths, block, chunk_size)
    assert layout is not None  # there is a file
    return layout


def _identifiers(h5file: "tables.File", chunk_size: int) -> Iterator[tuple[NDArray, NDArray]]:
    if TRIGGER_TABLE not in h5file:
        raise CorruptedInputError(
            f"{h5file.filename} has no array events ({TRIGGER_TABLE}); give a DL2 file of ctapipe"
        )
    node = h5file.get_node(TRIGGER_TABLE)
    for begin in range(0, node.nrows, chunk_size):
        rows = node.read(begin, begin + chunk_size)
        yield rows["obs_id"].astype(np.int64), rows["event_id"].astype(np.int64)


def _add_runs(runs: dict[int, list[tuple[int, int]]], obs_id: NDArray, event_id: NDArray) -> None:
    """Ranges of ascending numbers, joined to the last one of the block where they go on."""
    breaks = np.flatnonzero((np.diff(obs_id) != 0) | (np.diff(event_id) <= 0)) + 1
    for begin, end in zip([0, *breaks], [*breaks, len(obs_id)], strict=True):
        if end == begin:
            continue
        ranges = runs.setdefault(int(obs_id[begin]), [])
        low, high = int(event_id[begin]), int(event_id[end - 1])
        if ranges and low > ranges[-1][1]:
            ranges[-1] = (ranges[-1][0], high)
        else:
            ranges.append((low, high))


def _check_block(paths: Sequence[str | Path], obs_id: int, chunk_size: int) -> None:
    found = []
    for path in paths:
        with open_hdf5(path, "DL2 events", chunk_cache_size=CACHE_IN_BYTES) as h5file:
            found += [e[o == obs_id] for o, e in _identifiers(h5file, chunk_size)]
    numbers = np.sort(np.concatenate(found))
    twice = np.flatnonzero(np.diff(numbers) == 0)
    if twice.size:
        raise CorruptedInputError(
            f"{twice.size} events are there twice, the first is event {numbers[twice[0]]} of "
            f"observation {obs_id}; give every file once, and merge again what was merged twice"
        )


def _events_of_file(
    h5file: "tables.File", layout: ArrayLayout, places: Sequence[ColumnPlace], chunk_size: int
) -> Iterator[EventChunk]:
    trigger = h5file.get_node(TRIGGER_TABLE)
    walkers = _walkers(h5file, layout, places)
    units: dict[str, str] = {}
    flags: dict[str, bool] = {place.name: False for place in places if place.by_telescope}
    for groups in walkers:
        for walker in groups.values():
            own = flags.keys() & set(walker.names)
            flags |= {name: walker.node.dtype[name].kind == "b" for name in own}
            for name, unit in walker.units.items():
                if units.setdefault(name, unit) != unit:
                    raise CorruptedInputError(
                        f"{h5file.filename}: {name} has units {units[name]} and {unit}"
                    )
    for begin in range(0, trigger.nrows, chunk_size):
        rows = trigger.read(begin, begin + chunk_size)
        keys = rows["obs_id"].astype(np.int64), rows["event_id"].astype(np.int64)
        yield _chunk(keys, _seconds(rows["time"]), walkers, flags, units)
    for groups in walkers:
        for walker in groups.values():
            walker.check_end()


def _walkers(
    h5file: "tables.File", layout: ArrayLayout, places: Sequence[ColumnPlace]
) -> list[dict[str, "_Walker"]]:
    """Of each telescope (the last: of the array) the walkers by group."""
    names: dict[tuple[str, bool], list[str]] = {}
    for place in places:
        names.setdefault((place.group, place.by_telescope), []).append(place.name)
    found = []
    for tel_id in layout.tel_ids:
        own = {}
        for (group, by_telescope), wanted in names.items():
            node = f"{group}/tel_{tel_id:03d}"
            if by_telescope and node in h5file:
                own[group] = _Walker(h5file.get_node(node), wanted)
        found.append(own if places[0].group in own else {})
    of_array = {
        group: _Walker(h5file.get_node(group), wanted)
        for (group, by_telescope), wanted in names.items()
        if not by_telescope
    }
    return [*found, of_array]


def _chunk(
    keys: tuple[NDArray, NDArray],
    time: NDArray,
    walkers: list[dict[str, "_Walker"]],
    flags: dict[str, bool],
    units: dict[str, str],
) -> EventChunk:
    *of_telescopes, of_array = walkers
    array_columns = {}
    for walker in of_array.values():
        event, values = walker.rows(*keys)
        for name, column in values.items():
            array_columns[name] = _filled(column, len(keys[0]), event)
    events, telescopes = [], []
    parts: dict[str, list[NDArray]] = {name: [] for name in flags}
    for telescope, own in enumerate(of_telescopes):
        if not own:
            continue
        main, *others = own.values()
        event, values = main.rows(*keys)
        for walker in others:
            other, more = walker.rows(*keys)
            values |= {name: _aligned(event, other, column) for name, column in more.items()}
        events.append(event)
        telescopes.append(np.full(len(event), telescope, np.int32))
        for name, part in parts.items():
            none = np.empty(0, bool if flags[name] else float)
            part.append(values[name] if name in values else _filled(none, len(event), []))
    event = np.concatenate([np.empty(0, np.int32), *events])
    first, order = _by_event(event, len(keys[0]))
    event = event[order]
    columns = {name: np.concatenate(column)[order] for name, column in parts.items() if column}
    columns |= {name: column[event] for name, column in array_columns.items()}
    telescope = np.concatenate([np.empty(0, np.int32), *telescopes])[order]
    return EventChunk(*keys, time, first, event, telescope, columns, units)


def _seconds(time: NDArray) -> NDArray:
    """TAI seconds since 1970 of ctapipe's column: seconds and quarter nanoseconds, or MJD."""
    if time.ndim == 2:
        return time[:, 0].astype(np.float64) + time[:, 1] * _QUARTER_NS
    return (time - _MJD_OF_1970) * 86400.0


def _filled(column: NDArray, length: int, where: ArrayLike) -> NDArray:
    """Column with rows for all; flags are False, numbers NaN where there was none."""
    full = np.zeros(length, bool) if column.dtype == bool else np.full(length, np.nan)
    full[np.asarray(where, int)] = column
    return full


def _aligned(event: NDArray, other: NDArray, column: NDArray) -> NDArray:
    """Rows of another table of the telescope at the events of the first."""
    if len(event) == len(other) and np.array_equal(event, other):
        return column
    place = np.searchsorted(event, other)
    place[place == len(event)] = 0
    both = event[place] == other if len(event) else np.zeros(len(other), bool)
    return _filled(column[both], len(event), place[both])


class _Walker:
    """A table that is walked along with the array's events."""

    def __init__(self, node: "tables.Table", names: Sequence[str]):
        from ctapipe.io.hdf5tableio import get_column_attrs, get_column_transforms
        from ctapipe.io.tableio import FixedPointColumnTransform

        self.node, self.names = node, names
        self.position = 0
        attributes = get_column_attrs(node)
        transforms = get_column_transforms(attributes)
        self.units = {
            name: str(attributes[name]["UNIT"])
            for name in names
            if attributes.get(name, {}).get("UNIT")
        }
        self.packed = {
            name: transforms[name]
            for name in names
            if isinstance(transforms.get(name), FixedPointColumnTransform)
        }
        of_chunk = node.chunkshape[0] if node.chunkshape else 1  # never unpacked in parts
        self.at_once = of_chunk * max(ROWS_AT_ONCE_IN_BYTES // (of_chunk * node.dtype.itemsize), 1)
        self.block = np.empty(0, node.dtype)  # rows that were read, but whose events come later

    def rows(self, obs_id: NDArray, event_id: NDArray) -> tuple[NDArray, dict[str, NDArray]]:
        """Places of the next rows among some events, and their columns."""
        places, start = [np.empty(0, np.int32)], 0
        columns: dict[str, list[NDArray]] = {name: [] for name in self.names}
        while self.position < self.node.nrows and start < len(obs_id):
            if not len(self.block):
                self.block = self.node.read(self.position, self.position + self.at_once)
            block = self.block
            place, start = _walk(
                obs_id,
                event_id,
                block["obs_id"].astype(np.int64),
                block["event_id"].astype(np.int64),
                start,
            )
            places.append(place)
            for name in self.names:
                columns[name].append(np.ascontiguousarray(block[name][: len(place)]))
            self.position += len(place)
            self.block = block[len(place) :]
            if len(place) < len(block):
                break
        empty = np.empty(0, self.node.dtype)
        found = {name: np.concatenate([empty[name], *c]) for name, c in columns.items()}
        for name, transform in self.packed.items():
            found[name] = transform.inverse(found[name])
        return np.concatenate(places), found

    def check_end(self) -> None:
        """Refuse a table with rows that belong to no event, or come too late."""
        if self.position == self.node.nrows:
            return
        around = self.node.read(max(self.position - 1, 0), self.position + 1)
        obs_id, event_id = int(around["obs_id"][-1]), int(around["event_id"][-1])
        before = int(around["obs_id"][0]), int(around["event_id"][0])
        twice = len(around) > 1 and before == (obs_id, event_id)
        what = (
            "is there twice"
            if twice
            else "is not where the array's events have it, or none of them"
        )
        raise CorruptedInputError(
            f"{self.node._v_file.filename}: row {self.position} of {self.node._v_pathname}, event "
            f"{event_id} of observation {obs_id}, {what}; make the file again with ctapipe-process "
            "or ctapipe-merge"
        )


@numba.njit(cache=True, nogil=True)
def _walk(
    obs_id: NDArray, event_id: NDArray, row_obs_id: NDArray, row_event_id: NDArray, start: int
) -> tuple[NDArray, int]:
    """Places of rows among events, in one pass; stops at the first row that comes later."""
    place = np.empty(len(row_obs_id), np.int32)
    n_found = 0
    for k in range(len(row_obs_id)):
        j = start
        while j < len(obs_id) and (obs_id[j] != row_obs_id[k] or event_id[j] != row_event_id[k]):
            j += 1
        if j == len(obs_id):
            return place[:n_found].copy(), start
        place[n_found] = j
        n_found += 1
        start = j + 1
    return place[:n_found].copy(), start


@numba.njit(cache=True, nogil=True)
def _by_event(event: NDArray, n_events: int) -> tuple[NDArray, NDArray]:
    """First row of each event, and the order of the rows; those of one event keep theirs."""
    first = np.zeros(n_events + 1, np.int64)
    for k in event:
        first[k + 1] += 1
    for k in range(n_events):
        first[k + 1] += first[k]
    order, place = np.empty(len(event), np.int64), first[:-1].copy()
    for row in range(len(event)):
        order[place[event[row]]] = row
        place[event[row]] += 1
    return first, order
