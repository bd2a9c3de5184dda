"""Headers and columns of a product, whatever its format, to be compared with another one."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from astropy.table import QTable, Table
from astropy.time import Time

from .exceptions import CorruptedInputError, MissingInputError
from .hdf5_content import hdf5_headers, hdf5_tables
from .hdf5_tables import read_hdf5_table
from .monitoring_file import open_hdf5

__all__ = ["Column", "Content", "read_content"]


@dataclass(frozen=True)
class Column:
    """Values of a column, plain.

    Parameters
    ----------
    values : ndarray
        Any shape; times are seconds of TAI since 1970, masked numbers NaN.
    unit : str
    """

    values: np.ndarray
    unit: str = ""


@dataclass(frozen=True)
class Content:
    """What a product holds.

    Parameters
    ----------
    header : dict
        Flat ``CTA ...`` keys and the ``calibpipe`` entry.
    tables : dict
        Columns by name, by the path of their table; one table without name of an ECSV file.
    document : dict
        Content of a JSON file.
    """

    header: dict[str, Any]
    tables: dict[str, dict[str, Column]] = field(default_factory=dict)
    document: dict[str, Any] = field(default_factory=dict)


def read_content(path: str | Path) -> Content:
    """Content of a product: ECSV, JSON or HDF5.

    Raises
    ------
    MissingInputError
        If there is no such file.
    CorruptedInputError
        If it is no product of CalibPipe.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingInputError(f"{path} does not exist")
    if path.suffix not in _READERS:
        raise CorruptedInputError(
            f"{path} is no product of CalibPipe: those end in {', '.join(_READERS)}"
        )
    try:
        content = _READERS[path.suffix](path)
        content.header["calibpipe"]["kind"], content.header["CTA PRODUCT ID"]
    except CorruptedInputError:
        raise
    except Exception as error:  # whatever a parser raises means the same to the user
        raise CorruptedInputError(
            f"{path} is no product of CalibPipe: {type(error).__name__}: {error}"
        ) from error
    return content


def _ecsv(path: Path) -> Content:
    table = QTable.read(path, format="ascii.ecsv")
    return Content(dict(table.meta), {"": _columns(table)})


def _json(path: Path) -> Content:
    document = json.loads(path.read_text())
    content = document.pop("content", {})
    return Content(document, document=content)


def _hdf5(path: Path) -> Content:
    with open_hdf5(path, "product") as h5file:
        header = hdf5_headers(h5file)
        names = [table._v_pathname for table in hdf5_tables(h5file)]
        tables = {name: _columns(read_hdf5_table(h5file, name)) for name in names}
    return Content(header, tables)


def _columns(table: Table) -> dict[str, Column]:
    return {name: _column(table[name]) for name in table.colnames}


def _column(column: Any) -> Column:
    if isinstance(column, Time):
        return Column(np.asarray(column.unix_tai), "s")
    unit = str(getattr(column, "unit", None) or "")
    values = column.value if isinstance(column, u.Quantity) else column
    values = getattr(values, "unmasked", values)
    mask = getattr(column, "mask", None)
    values = np.array(np.ma.getdata(values))
    if mask is not None and np.any(mask):
        if np.issubdtype(values.dtype, np.number):
            values = values.astype(float)
        values[np.asarray(mask)] = np.nan if values.dtype.kind == "f" else values.dtype.type()
    return Column(values, unit)


_READERS = {".ecsv": _ecsv, ".json": _json, ".h5": _hdf5, ".hdf5": _hdf5}
