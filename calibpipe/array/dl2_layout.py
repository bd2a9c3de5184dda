"""What a DL2 file of ctapipe has: its telescopes, and which table holds a column."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..core.exceptions import ConfigurationError, CorruptedInputError, MissingInputError

if TYPE_CHECKING:
    import tables

__all__ = ["ArrayLayout", "ColumnPlace", "column_place", "read_layout", "same_layout"]

LAYOUT_TABLE = "/configuration/instrument/subarray/layout"
# by telescope: <group>/[<algorithm>/]tel_NNN; of the array: <group>/<algorithm>
TEL_GROUPS = ("/dl2/event/telescope", "/dl1/event/telescope/parameters")
SUBARRAY_GROUP = "/dl2/event/subarray"
_SAME_PLACE_IN_M = 0.01


@dataclass(frozen=True)
class ArrayLayout:
    """Telescopes of a subarray.

    Attributes
    ----------
    tel_ids : ndarray, shape (n_tel,), int
        Ascending.
    tel_types : ndarray, shape (n_tel,), str
        ``LST``, ``MST``, ``SST``; with the name of the camera where a subarray has several cameras
        on telescopes of one size.
    positions : ndarray, shape (n_tel, 3)
        Ground frame of ctapipe, m: x to the north, y to the west, z up.
    names : ndarray, shape (n_tel,), str
    """

    tel_ids: NDArray
    tel_types: NDArray
    positions: NDArray
    names: NDArray

    def index(self, tel_id: int) -> int:
        """Place of a telescope in the arrays.

        Raises
        ------
        ConfigurationError
            If the subarray has no such telescope.
        """
        found = np.flatnonzero(self.tel_ids == tel_id)
        if found.size == 0:
            raise ConfigurationError(
                f"telescope {tel_id} is not in the subarray, which has "
                f"{', '.join(map(str, self.tel_ids))}; name one of them"
            )
        return int(found[0])


@dataclass(frozen=True)
class ColumnPlace:
    """Where a column is.

    Attributes
    ----------
    name : str
        Of the column.
    group : str
        With a table ``tel_NNN`` of each telescope, or itself the table of array events.
    by_telescope : bool
    """

    name: str
    group: str
    by_telescope: bool

    def node(self, tel_id: int) -> str:
        """Path of the table of a telescope, or of the array."""
        return f"{self.group}/tel_{tel_id:03d}" if self.by_telescope else self.group


def read_layout(h5file: "tables.File") -> ArrayLayout:
    """Telescopes of an open file.

    Raises
    ------
    CorruptedInputError
        If the file does not describe its subarray.
    """
    if LAYOUT_TABLE not in h5file:
        raise CorruptedInputError(
            f"{h5file.filename} does not describe its telescopes ({LAYOUT_TABLE} is not there); "
            "give a DL2 file of ctapipe"
        )
    rows = h5file.get_node(LAYOUT_TABLE).read()
    rows = rows[np.argsort(rows["tel_id"])]
    kinds, cameras = _text(rows["type"]), _text(rows["camera_name"])
    types = kinds.astype(object)
    for kind in np.unique(kinds):
        of_kind = kinds == kind
        if len(set(cameras[of_kind])) > 1:
            types[of_kind] = [f"{kind}_{camera}" for camera in cameras[of_kind]]
    return ArrayLayout(
        tel_ids=rows["tel_id"].astype(np.int64),
        tel_types=types.astype(str),
        positions=np.stack([rows[f"pos_{axis}"] for axis in "xyz"], axis=1).astype(float),
        names=_text(rows["name"]),
    )


def _text(column: NDArray) -> NDArray:
    return np.char.decode(column, "utf-8") if column.dtype.kind == "S" else column.astype(str)


def same_layout(first: ArrayLayout, other: ArrayLayout, path: str | Path) -> None:
    """Refuse a file of another subarray.

    Raises
    ------
    ConfigurationError
        If telescopes, types or positions (beyond 1 cm) differ.
    """
    only = set(first.tel_ids) ^ set(other.tel_ids)
    if only:
        raise ConfigurationError(
            f"{path} has another subarray than the files before: telescopes "
            f"{', '.join(map(str, sorted(only)))} are in one of them only; give files of one "
            "subarray"
        )
    moved = np.abs(first.positions - other.positions).max(axis=1) > _SAME_PLACE_IN_M
    if np.any(first.tel_types != other.tel_types) or moved.any():
        differ = np.flatnonzero(moved | (first.tel_types != other.tel_types))
        raise ConfigurationError(
            f"{path} has another subarray than the files before: telescope "
            f"{first.tel_ids[differ[0]]} is another type or stands elsewhere; give files of one "
            "subarray"
        )


def column_place(h5file: "tables.File", name: str) -> ColumnPlace:
    """Where a column of events is, by its name.

    ctapipe puts the name of the algorithm in front of the column: names are unique. Tables of
    telescopes are looked at first.

    Raises
    ------
    MissingInputError
        If no table has it; the message names the reconstructors that there are.
    """
    for group in TEL_GROUPS:
        for node in _tables(h5file, group):
            if name in node.colnames:
                return ColumnPlace(name, node._v_parent._v_pathname, by_telescope=True)
    for node in _tables(h5file, SUBARRAY_GROUP):
        if name in node.colnames:
            return ColumnPlace(name, node._v_pathname, by_telescope=False)
    raise MissingInputError(
        f"{h5file.filename} has no column {name}; it has {_described(reconstructors(h5file))}. "
        "Name one of these reconstructors, or apply the one that is wanted to the file"
    )


def reconstructors(h5file: "tables.File") -> dict[str, list[str]]:
    """Algorithms of each quantity: ``{"energy": ["RandomForestRegressor"], ...}``."""
    found: dict[str, set[str]] = {}
    for level in ("telescope", "subarray"):
        base = f"/dl2/event/{level}"
        if base in h5file:
            for quantity, group in h5file.get_node(base)._v_children.items():
                found.setdefault(quantity, set()).update(getattr(group, "_v_children", ()))
    return {quantity: sorted(names) for quantity, names in sorted(found.items())}


def _described(found: dict[str, list[str]]) -> str:
    return "; ".join(f"{what} of {', '.join(names)}" for what, names in found.items()) or "no DL2"


def _tables(h5file: "tables.File", group: str) -> Sequence["tables.Table"]:
    """Tables below a group: one of all telescopes, one for each algorithm.

    No others are opened: there may be hundreds, at 3 ms each.
    """
    if group not in h5file:
        return []
    found = []
    for parent in h5file.walk_groups(group):
        names = sorted(parent._v_leaves)
        of_telescopes = [name for name in names if name.startswith("tel_")]
        chosen = [name for name in names if name not in of_telescopes] + of_telescopes[:1]
        found += [parent._f_get_child(name) for name in chosen]
    return found


def telescopes_with(
    h5file: "tables.File", place: ColumnPlace, tel_ids: Collection[int]
) -> list[int]:
    """Telescopes that have a table of the column."""
    return [tel_id for tel_id in tel_ids if place.node(tel_id) in h5file]
