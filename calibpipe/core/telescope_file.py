"""HDF5 products of one telescope: tables in ctapipe's groups, the subarray, the headers."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from astropy.table import Table

from .array_file import write_array_tables
from .exceptions import CorruptedInputError, MissingInputError
from .hdf5_tables import read_columns, read_hdf5_table
from .monitoring_file import open_hdf5
from .products import COMPLETE, ProductMetadata

if TYPE_CHECKING:
    from ctapipe.instrument import SubarrayDescription

__all__ = ["read_telescope_table", "telescope_groups", "write_telescope_tables"]


def write_telescope_tables(
    path: str | Path,
    subarray: "SubarrayDescription",
    tel_id: int,
    tables: Mapping[str, Table],
    metadata: ProductMetadata,
) -> Path:
    """Write tables of one telescope, complete or not at all.

    Parameters
    ----------
    path : path
        Of the HDF5 file; what stands there is replaced.
    subarray : SubarrayDescription
        With the telescope.
    tel_id : int
    tables : mapping of str to Table
        By group (constants of ``ctapipe.io.hdf5dataformat``, or our own below ``/calibpipe``);
        each becomes ``<group>/tel_NNN``.
    metadata : ProductMetadata

    Raises
    ------
    StorageError
        If the disk is full or the folder cannot be written.
    """
    nodes = {f"{group}/tel_{tel_id:03d}": table for group, table in tables.items()}
    return write_array_tables(path, subarray, nodes, metadata, "DL1")


def read_telescope_table(
    path: str | Path,
    group: str,
    tel_id: int,
    what: str,
    columns: Collection[str] | None = None,
) -> Table:
    """Table of one telescope; ``meta["calibpipe"]`` is our header, empty for a file of others.

    Parameters
    ----------
    path : path
    group : str
        Of ``ctapipe.io.hdf5dataformat``, or our own.
    tel_id : int
        0 for the only telescope that the group has.
    what : str
        What the table holds, for messages.
    columns : collection of str, optional
        Those that are needed, as plain numbers, if there are; all with their units when not given.

    Raises
    ------
    MissingInputError
        If there is no such file, group or telescope, or the product says it is not complete.
    CorruptedInputError
        If it is no HDF5 file.
    """
    with open_hdf5(path, what) as h5file:
        header = json.loads(getattr(h5file.root._v_attrs, "calibpipe", "{}"))
        if header.get("status", COMPLETE) != COMPLETE:
            raise MissingInputError(f"{path} is not complete: {header['status']}")
        if group not in h5file:
            raise CorruptedInputError(f"{path} holds no {what}")
        there = sorted(name for name in h5file.get_node(group)._v_children)
        name = there[0] if tel_id == 0 and len(there) == 1 else f"tel_{tel_id:03d}"
        if name not in there:
            raise MissingInputError(f"{path} holds {what} of {', '.join(there)}, not of {name}")
        if columns is None:
            table = read_hdf5_table(h5file, f"{group}/{name}")
        else:
            table = read_columns(h5file.get_node(f"{group}/{name}"), columns)
        table.meta["calibpipe"] = header
    return table


def telescope_groups(path: str | Path) -> set[str]:
    """Groups of a file that have a table of a telescope.

    Raises
    ------
    MissingInputError, CorruptedInputError
        As `read_telescope_table`.
    """
    with open_hdf5(path, "tables of a telescope") as h5file:
        nodes = [node._v_pathname for node in h5file.walk_nodes("/", "Table")]
    return {name.rsplit("/", 1)[0] for name in nodes if "/tel_" in name}
