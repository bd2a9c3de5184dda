"""HDF5 products of one telescope: tables in ctapipe's groups, the subarray, the headers."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from astropy.table import Table

from .exceptions import CorruptedInputError, MissingInputError
from .files import atomic_path
from .monitoring_file import FILTERS, open_hdf5, product_header
from .products import COMPLETE, ProductMetadata

if TYPE_CHECKING:
    import tables
    from ctapipe.instrument import SubarrayDescription

__all__ = ["read_columns", "read_telescope_table", "telescope_groups", "write_telescope_tables"]

BUFFER = 3_000_000  # bytes: they stay in the cache


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
    import tables as pytables
    from ctapipe.io import write_table
    from ctapipe.io.metadata import write_to_hdf5

    header = product_header(metadata, {group: tables[group] for group in sorted(tables)})
    with atomic_path(path) as temporary, pytables.open_file(temporary, "w") as h5file:
        subarray.to_hdf(h5file)
        for group, table in tables.items():
            node = f"{group}/tel_{tel_id:03d}"
            write_table(table, h5file, node, filters=pytables.Filters(**FILTERS))
        write_to_hdf5(header, h5file)
    return Path(path)


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
    from ctapipe.io import read_table

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
            table = read_table(h5file, f"{group}/{name}")
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


def read_columns(written: "tables.Table", names: Collection[str] | None) -> Table:
    """Some columns of a table of ctapipe's, by way of a small buffer: rows hold all columns.

    Times are times again; other columns are the plain numbers.
    """
    from ctapipe.io.tableio import TimeColumnTransform

    at_once = max(BUFFER // written.dtype.itemsize, 1)

    shape, kept = (len(written),), [n for n in written.colnames if names is None or n in names]
    columns = {}
    for name in kept:
        dtype = written.dtype[name]
        columns[name] = np.empty(shape + dtype.shape, dtype.base)
    buffer = np.empty(at_once, written.dtype)
    for first in range(0, len(written), at_once):
        rows = buffer[: len(written) - first]
        written.read(first, first + len(rows), out=rows)
        for name, values in columns.items():
            values[first : first + len(rows)] = rows[name]
    for name in kept:
        field = f"CTAFIELD_{written.colnames.index(name)}_"
        if field + "TIME_FORMAT" in written.attrs:
            scale, form = (written.attrs[field + of] for of in ("TIME_SCALE", "TIME_FORMAT"))
            columns[name] = TimeColumnTransform(scale, form).inverse(columns[name])
    return Table(columns, copy=False)
