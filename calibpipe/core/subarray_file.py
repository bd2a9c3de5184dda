"""HDF5 products of the array: tables of all telescopes, the subarray, the headers."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from astropy.table import Table

from .exceptions import CorruptedInputError, MissingInputError
from .files import atomic_path
from .monitoring_file import FILTERS, open_hdf5, product_header
from .products import COMPLETE, ProductMetadata

if TYPE_CHECKING:
    from ctapipe.instrument import SubarrayDescription

__all__ = ["read_subarray_table", "write_subarray_tables"]


def write_subarray_tables(
    path: str | Path,
    subarray: "SubarrayDescription",
    tables: Mapping[str, Table],
    metadata: ProductMetadata,
) -> Path:
    """Write tables of an array, complete or not at all.

    Parameters
    ----------
    path : path
        Of the HDF5 file; what stands there is replaced.
    subarray : SubarrayDescription
    tables : mapping of str to Table
        By their place: a constant of ``ctapipe.io.hdf5dataformat``, or our own below
        ``/calibpipe``.
    metadata : ProductMetadata

    Raises
    ------
    StorageError
        If the disk is full or the folder cannot be written.
    """
    import tables as pytables
    from ctapipe.io import write_table
    from ctapipe.io.metadata import write_to_hdf5

    header = product_header(metadata, {node: tables[node] for node in sorted(tables)})
    with atomic_path(path) as temporary, pytables.open_file(temporary, "w") as h5file:
        subarray.to_hdf(h5file)
        for node, table in tables.items():
            write_table(table, h5file, node, filters=pytables.Filters(**FILTERS))
        write_to_hdf5(header, h5file)
    return Path(path)


def read_subarray_table(path: str | Path, node: str, kind: str) -> Table:
    """Table of a product of the array; ``meta["calibpipe"]`` is the product's header.

    Raises
    ------
    MissingInputError
        If there is no such file, or the product says it is not complete.
    CorruptedInputError
        If it is no HDF5 file, a product of another kind, or has no such table.
    """
    from ctapipe.io import read_table

    with open_hdf5(path, kind) as h5file:
        header = json.loads(getattr(h5file.root._v_attrs, "calibpipe", "{}"))
        if header.get("kind") != kind:
            raise CorruptedInputError(
                f"{path} is a product {header.get('kind', 'of others')!r}, needs {kind!r}"
            )
        if header["status"] != COMPLETE:
            raise MissingInputError(f"{path} is not complete: {header['status']}")
        if node not in h5file:
            raise CorruptedInputError(f"{path} has no table {node}; make it again")
        table = read_table(h5file, node)
        table.meta["calibpipe"] = header
    return table
