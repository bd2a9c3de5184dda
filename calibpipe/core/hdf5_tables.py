"""Tables that ctapipe's writer makes, read without the imports of `ctapipe.io`.

These take three to four seconds, longer than most steps of a night. What is written as ctapipe's
``read_table`` knows it and we do not is left to ``read_table``.
"""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from astropy.table import Table

if TYPE_CHECKING:
    import tables
    from ctapipe.instrument import SubarrayDescription

__all__ = ["described_telescopes", "read_columns", "read_hdf5_table", "subarray_of_file"]

BUFFER = 3_000_000  # bytes: they stay in the cache
KNOWN = {None, "quantity", "time", "string", "enum"}  # transformations of ctapipe's writer
LAYOUT = "/configuration/instrument/subarray/layout"


def read_hdf5_table(h5file: "tables.File", node: str) -> Table:
    """All of a table, as ``ctapipe.io.read_table``: units, times, texts, descriptions, metadata.

    Parameters
    ----------
    h5file : tables.File
    node : str
        Path of the table.
    """
    written = h5file.get_node(node)
    attributes = [_attributes(written, k) for k in range(len(written.colnames))]
    if not all(of.get("TRANSFORM") in KNOWN for of in attributes):
        from ctapipe.io import read_table

        return read_table(h5file, node)
    table = Table(written.read(), copy=False)
    for name, of in zip(written.colnames, attributes, strict=True):
        table[name] = _value(table[name], of)
        if "DESC" in of:
            table[name].info.description = of["DESC"]
    meta = (key for key in written._v_attrs._v_attrnamesuser if not key.startswith("CTAFIELD_"))
    table.meta.update({key: _plain(written._v_attrs[key]) for key in meta})
    return table


def read_columns(written: "tables.Table", names: Collection[str] | None) -> Table:
    """Some columns of a table, by way of a small buffer: rows hold all columns.

    Times are times again; other columns are the plain numbers.

    Parameters
    ----------
    written : tables.Table
    names : collection of str, optional
        Those that are needed, if there are; all when not given.
    """
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
        of = _attributes(written, written.colnames.index(name))
        if "TIME_FORMAT" in of:
            columns[name] = _time(columns[name], of)
    return Table(columns, copy=False)


def described_telescopes(h5file: "tables.File") -> list[int]:
    """Numbers of the telescopes of the subarray that is described in a file, ascending; or none."""
    if LAYOUT not in h5file:
        return []
    return sorted(int(tel_id) for tel_id in h5file.get_node(LAYOUT).col("tel_id"))


def subarray_of_file(path: str | Path) -> "SubarrayDescription":
    """Description of the telescopes, which takes seconds to import."""
    from ctapipe.instrument import SubarrayDescription

    return SubarrayDescription.from_hdf(path)


def _attributes(written: "tables.Table", position: int) -> dict[str, Any]:
    """What ctapipe's writer says about a column."""
    prefix = f"CTAFIELD_{position}_"
    names = (key for key in written._v_attrs._v_attrnamesuser if key.startswith(prefix))
    return {key.removeprefix(prefix): _plain(written._v_attrs[key]) for key in names}


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _value(column: Any, of: dict[str, Any]) -> Any:
    """A column as it was before it was written."""
    if "TIME_FORMAT" in of:
        return _time(np.asarray(column), of)
    if "UNIT" in of:
        return u.Quantity(column, of["UNIT"], copy=False)
    if of.get("TRANSFORM") == "string":
        # of no rows the writer makes no texts
        return np.char.decode(np.asarray(column), "utf-8") if len(column) else np.zeros(0, str)
    return column


def _time(values: Any, of: dict[str, Any]) -> Any:
    from astropy.time import Time
    from ctapipe.time import ctao_high_res_to_time

    if of["TIME_FORMAT"] == "ctao_high_res":
        return ctao_high_res_to_time(values[..., 0], values[..., 1])
    return Time(values, scale=of["TIME_SCALE"], format=of["TIME_FORMAT"])
