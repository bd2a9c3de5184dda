"""Muon rings of one telescope, of our files and of those of ctapipe-process."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import Table

from .ctapipe_groups import DL1_SUBARRAY_TRIGGER_TABLE, DL1_TEL_MUON_GROUP
from .exceptions import ConfigurationError, CorruptedInputError, MissingInputError
from .hdf5_tables import read_columns, subarray_of_file
from .monitoring_file import open_hdf5

if TYPE_CHECKING:
    from ctapipe.instrument import SubarrayDescription

__all__ = ["MUON_DETAILS_GROUP", "MuonTable", "read_muon_tables", "read_sectors"]

MUON_DETAILS_GROUP = "/calibpipe/throughput/muon_ring_details"


@dataclass(frozen=True)
class MuonTable:
    """Table of muons of one telescope in one file.

    Parameters
    ----------
    table : Table
        Columns that were asked for, as plain numbers and times.
    header : dict
        Header of CalibPipe; empty for a file of ctapipe.
    path : Path
        Of the file.
    tel_id : int
    """

    table: Table
    header: dict[str, Any]
    path: Path
    tel_id: int

    @cached_property
    def subarray(self) -> "SubarrayDescription":
        """All telescopes that the file describes."""
        return subarray_of_file(self.path)


def read_muon_tables(
    paths: Sequence[str | Path], tel_id: int, columns: Sequence[str]
) -> list[MuonTable]:
    """Muons of one telescope.

    Parameters
    ----------
    paths : sequence of path
    tel_id : int
        0: the only one of the files.
    columns : sequence of str
        ``time`` is taken from the array's trigger where the table of muons has none.

    Raises
    ------
    MissingInputError
        If there is no such file, or no such telescope in it.
    CorruptedInputError
        If it is no HDF5 file of muons.
    ConfigurationError
        If the files are of several telescopes.
    """
    found: list[MuonTable] = []
    for path in paths:
        found.append(_read(Path(path), tel_id, columns))
        tel_id = tel_id or found[0].tel_id
    return found


def _read(path: Path, tel_id: int, columns: Sequence[str]) -> MuonTable:
    with open_hdf5(path, "muon rings") as h5file:
        if DL1_TEL_MUON_GROUP not in h5file:
            raise CorruptedInputError(
                f"{path} holds no muons ({DL1_TEL_MUON_GROUP}); make it with "
                "calibpipe-calculate-muon-rings, or ctapipe-process --write-muon-parameters"
            )
        there = sorted(h5file.get_node(DL1_TEL_MUON_GROUP)._v_children)
        if tel_id == 0 and len(there) > 1:
            raise ConfigurationError(f"{path} has muons of {', '.join(there)}: say --tel-id")
        name = there[0] if tel_id == 0 else f"tel_{tel_id:03d}"
        if name not in there:
            raise MissingInputError(f"{path} has muons of {', '.join(there)}, not of {name}")
        table = read_columns(h5file.get_node(f"{DL1_TEL_MUON_GROUP}/{name}"), columns)
        if "time" in columns and "time" not in table.colnames:
            if DL1_SUBARRAY_TRIGGER_TABLE not in h5file:
                raise CorruptedInputError(
                    f"{path} tells no times of its muons ({DL1_SUBARRAY_TRIGGER_TABLE})"
                )
            names = ("obs_id", "event_id", "time")
            trigger = read_columns(h5file.get_node(DL1_SUBARRAY_TRIGGER_TABLE), names)
            table = _with_times(table, trigger, path)
        header = json.loads(getattr(h5file.root._v_attrs, "calibpipe", "{}"))
    return MuonTable(table, header, path, int(name.removeprefix("tel_")))


def _with_times(table: Table, trigger: Table, path: Path) -> Table:
    """Muons with the times of their events, each once."""
    keys = (trigger["obs_id"], trigger["event_id"], table["obs_id"], table["event_id"])
    row = matching_rows(*map(np.asarray, keys))
    if np.any(row < 0):
        raise CorruptedInputError(f"{path} has muons of events that no trigger is told of")
    table["time"] = trigger["time"][row]
    return table


def read_sectors(
    paths: Sequence[str | Path], tel_id: int, obs_id: np.ndarray, event_id: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Light of rings by sector of azimuth.

    Parameters
    ----------
    paths : sequence of path
    tel_id : int
        0: the only one of the files.
    obs_id, event_id : ndarray, shape (n_rings,)
        Rings that are wanted.

    Returns
    -------
    residual, light : ndarray, shape (n_rings, n_sectors)
        Mean distance of the light from the ring, deg, and the light, p.e.; None if a file has none.
    """
    found = []
    for path in paths:
        with open_hdf5(path, "muon rings") as h5file:
            if MUON_DETAILS_GROUP not in h5file:
                return None
            there = sorted(h5file.get_node(MUON_DETAILS_GROUP)._v_children)
            name = there[0] if tel_id == 0 else f"tel_{tel_id:03d}"
            node = h5file.get_node(f"{MUON_DETAILS_GROUP}/{name}")
            names = ("obs_id", "event_id", "sector_residual", "sector_light")
            table = read_columns(node, names)
            found.append([np.asarray(table[column]) for column in names])
    columns = [np.concatenate(parts) for parts in zip(*found, strict=True)]
    row = matching_rows(columns[0], columns[1], obs_id, event_id)
    if np.any(row < 0):
        return None
    return columns[2][row].astype(float), columns[3][row].astype(float)


def matching_rows(
    obs_id: np.ndarray, event_id: np.ndarray, wanted_obs_id: np.ndarray, wanted_event_id: np.ndarray
) -> np.ndarray:
    """Row of each wanted event, (n_wanted,); the last of several, -1 where there is none."""
    obs = np.concatenate([obs_id, wanted_obs_id], dtype=np.int64, casting="unsafe")
    event = np.concatenate([event_id, wanted_event_id], dtype=np.int64, casting="unsafe")
    order = np.lexsort((event, obs))  # stable: wanted ones come after the others of their event
    place = np.arange(len(order))
    is_first = np.ones(len(order), bool)
    is_first[1:] = (np.diff(obs[order]) != 0) | (np.diff(event[order]) != 0)
    first = np.maximum.accumulate(np.where(is_first, place, 0))
    last = np.maximum.accumulate(np.where(order < len(obs_id), place, -1))
    row = np.empty(len(order), int)
    row[order] = np.where(last >= first, order[last], -1)
    return row[len(obs_id) :]
