"""HDF5 products of the whole array: tables in ctapipe's groups, the subarray, the headers."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astropy.table import Table

from .columns import require_columns
from .exceptions import ConfigurationError, CorruptedInputError, MissingInputError
from .files import atomic_path
from .hdf5_tables import read_hdf5_table
from .monitoring_file import FILTERS, open_hdf5, product_header
from .products import COMPLETE, ProductMetadata

if TYPE_CHECKING:
    from ctapipe.instrument import SubarrayDescription

__all__ = ["read_array_product", "write_array_tables"]


def write_array_tables(
    path: str | Path,
    subarray: "SubarrayDescription | None",
    tables: Mapping[str, Table],
    metadata: ProductMetadata,
    level: str = "DL2",
) -> Path:
    """Write tables of the array, complete or not at all.

    Parameters
    ----------
    path : path
        Of the HDF5 file; what stands there is replaced.
    subarray : SubarrayDescription or None
        None for a product that is of no telescopes.
    tables : mapping of str to Table
        By the path of the table (constants of ``ctapipe.io.hdf5dataformat``, or our own below
        ``/calibpipe``).
    metadata : ProductMetadata
    level : str
        Data level of the tables.

    Raises
    ------
    StorageError
        If the disk is full or the folder cannot be written.
    """
    import tables as pytables
    from ctapipe.io import write_table
    from ctapipe.io.metadata import write_to_hdf5

    require_columns(metadata.kind, tables)
    header = product_header(metadata, {node: tables[node] for node in sorted(tables)})
    header["CTA PRODUCT DATA LEVELS"] = level
    with atomic_path(path) as temporary, pytables.open_file(temporary, "w") as h5file:
        if subarray is not None:
            subarray.to_hdf(h5file)
        for node, table in tables.items():
            write_table(table, h5file, node, filters=pytables.Filters(**FILTERS))
        write_to_hdf5(header, h5file)
    return Path(path)


def read_array_product(
    path: str | Path, kinds: str | Collection[str], nodes: Collection[str]
) -> tuple[dict[str, Any], dict[str, Table]]:
    """Our header of a product, and some of its tables.

    Parameters
    ----------
    path : path
    kinds : str or collection of str
        Kind that the product must be of, or one of several.
    nodes : collection of str
        Paths of tables.

    Raises
    ------
    MissingInputError
        If there is no such file, or the product says that it is not complete.
    CorruptedInputError
        If it is no HDF5 product, or lacks a table.
    ConfigurationError
        If it is a product of another kind.
    """
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    with open_hdf5(path, " or ".join(kinds)) as h5file:
        try:
            header = json.loads(h5file.root._v_attrs["calibpipe"])
        except (KeyError, ValueError) as error:
            raise CorruptedInputError(
                f"{path} is no product of CalibPipe; give one of kind {' or '.join(kinds)}"
            ) from error
        if header["kind"] not in kinds:
            raise ConfigurationError(
                f"{path} is a product {header['kind']!r}, needs {' or '.join(map(repr, kinds))}"
            )
        if header["status"] != COMPLETE:
            raise MissingInputError(f"{path} is not complete: {header['status']}")
        missing = [node for node in nodes if node not in h5file]
        if missing:
            raise CorruptedInputError(f"{path} lacks {', '.join(missing)}; make it again")
        return header, {node: read_hdf5_table(h5file, node) for node in nodes}
