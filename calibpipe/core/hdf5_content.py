"""Content of an HDF5 product: its headers, its tables, the hash of both."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .exceptions import CorruptedInputError
from .monitoring_file import fingerprint, open_hdf5
from .products import repeatable

if TYPE_CHECKING:
    import tables

__all__ = ["hdf5_content_hash", "hdf5_headers", "hdf5_tables"]

ROWS_AT_ONCE = 64


def hdf5_headers(h5file: "tables.File") -> dict[str, Any]:
    """Flat ``CTA ...`` header with the ``calibpipe`` entry.

    Raises
    ------
    CorruptedInputError
        If the file is no product of CalibPipe.
    """
    attributes = h5file.root._v_attrs
    flat = {name: _plain(attributes[name]) for name in attributes._f_list()}
    try:
        return flat | {"calibpipe": json.loads(flat["calibpipe"])}
    except (KeyError, ValueError) as error:
        raise CorruptedInputError(
            f"{h5file.filename} is no product of CalibPipe: {type(error).__name__}: {error}"
        ) from error


def hdf5_tables(h5file: "tables.File") -> Iterator["tables.Table"]:
    """Tables by their paths, the description of the telescopes among them."""
    nodes = h5file.walk_nodes("/", "Table")
    yield from sorted(nodes, key=lambda node: node._v_pathname)


def hdf5_content_hash(path: str | Path) -> str:
    """Hash of headers and all tables, whatever the times and places of the run.

    Raises
    ------
    MissingInputError
        If there is no such file.
    CorruptedInputError
        If it is no product of CalibPipe.
    """
    with open_hdf5(path, "product") as h5file:
        header = repeatable(hdf5_headers(h5file))
        content = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
        for table in hdf5_tables(h5file):
            content.update(f"{table._v_pathname} {table.dtype} {len(table)}".encode())
            for first in range(0, len(table), ROWS_AT_ONCE):
                rows = table.read(first, first + ROWS_AT_ONCE)
                for name in table.colnames:
                    content.update(fingerprint(rows[name]))
    return content.hexdigest()


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
