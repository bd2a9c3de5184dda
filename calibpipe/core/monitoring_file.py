"""HDF5 file of camera coefficients that ctapipe's HDF5MonitoringSource consumes unchanged.

What ctapipe 0.32 does not check is checked here: it applies NaN and invalid rows, takes rows in
the order of the file, compares times without their scale, uses the first row only of what calls
itself simulation, and lets a second file replace the first.
"""

import hashlib
import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from astropy.table import Table
from astropy.time import Time

from .columns import require_columns
from .ctapipe_groups import DL1_CAMERA_COEFFICIENTS_GROUP
from .exceptions import ConfigurationError, CorruptedInputError, MissingInputError
from .files import atomic_path
from .hdf5_tables import read_hdf5_table
from .products import ProductMetadata, repeatable

if TYPE_CHECKING:
    import tables
    from ctapipe.instrument import SubarrayDescription

__all__ = [
    "APPLIED_COLUMNS",
    "mask_pixels",
    "read_camera_coefficients",
    "write_camera_coefficients",
]

# CTAO processing categories; never "Sim", of which ctapipe uses the first row only
CATEGORIES = ("A", "B", "C")
# what ctapipe reads; the other columns are ours
APPLIED_COLUMNS = (
    "time",
    "factor",
    "pedestal_offset",
    "time_shift",
    "outlier_mask",
    "is_valid",
)
PIXEL_COLUMNS = APPLIED_COLUMNS[1:5]
# not compressed: the numbers are noise, lz4 takes 7 % off (chunks of statistics 20 %, for their
# counts of events) and as much time as all the rest; the checksum finds damage
FILTERS = {"complevel": 0, "fletcher32": True}
BLOCK, BLOCKS_AT_ONCE = 256, 128  # words of 8 bytes; 256 kB
ROWS_AT_ONCE = 16  # 3 MB for an LST: they stay in the cache


def write_camera_coefficients(
    path: str | Path,
    subarray: "SubarrayDescription",
    coefficients: Mapping[int, Table],
    metadata: ProductMetadata,
) -> Path:
    """Write the coefficients of all telescopes of a subarray, complete or not at all.

    Parameters
    ----------
    path : path
        Of the HDF5 file; what stands there is replaced.
    subarray : SubarrayDescription
        The telescopes of the event files to be calibrated: ctapipe wants the same set.
    coefficients : mapping of tel_id to Table
        `APPLIED_COLUMNS` and any others. ``time`` a Time, ascending; pixel columns
        (n_rows, n_channels, n_pixels) with the channels of the camera's readout.
    metadata : ProductMetadata
        With category A, B or C.

    Raises
    ------
    ConfigurationError
        If the category is none of these, a telescope is missing or not of the subarray, or a
        table does not keep the contract with ctapipe.
    StorageError
        If the disk is full or the folder cannot be written.
    """
    _check_telescopes(subarray, coefficients)
    if metadata.category not in CATEGORIES:
        raise ConfigurationError(
            f"coefficients of category {metadata.category!r}: give one of {', '.join(CATEGORIES)} "
            "(of a file of category Sim ctapipe uses the first row only)"
        )
    for tel_id, table in coefficients.items():
        readout = subarray.tel[tel_id].camera.readout
        _check_table(table, f"tel_{tel_id:03d}", (readout.n_channels, readout.n_pixels))
    import tables
    from ctapipe.io.metadata import write_to_hdf5

    by_name = {f"tel_{tel_id:03d}": table for tel_id, table in sorted(coefficients.items())}
    for name, table in by_name.items():
        require_columns(metadata.kind, {f"{DL1_CAMERA_COEFFICIENTS_GROUP}/{name}": table})
    header = product_header(metadata, by_name)
    with atomic_path(path) as temporary, tables.open_file(temporary, "w") as h5file:
        subarray.to_hdf(h5file)
        for tel_id, table in coefficients.items():
            write_rows(table, h5file, f"{DL1_CAMERA_COEFFICIENTS_GROUP}/tel_{tel_id:03d}")
        write_to_hdf5(header, h5file)
    return Path(path)


def write_rows(table: Table, h5file: "tables.File", node: str) -> None:
    """Write a table of numbers and times as ctapipe does, without a copy of the whole."""
    import tables
    from ctapipe.io import write_table
    from ctapipe.time import time_to_ctao_high_res

    write_table(table[:1], h5file, node, filters=tables.Filters(**FILTERS))
    columns = {
        name: time_to_ctao_high_res(column) if isinstance(column, Time) else np.asarray(column)
        for name, column in table.columns.items()
    }
    written = h5file.get_node(node)
    buffer = np.empty(ROWS_AT_ONCE, written.dtype)
    for first in range(1, len(table), ROWS_AT_ONCE):
        rows = buffer[: len(table) - first]
        for name, values in columns.items():
            rows[name] = values[first : first + len(rows)]
        written.append(rows)


def _check_telescopes(subarray: "SubarrayDescription", found: Mapping[int, Table]) -> None:
    missing = sorted(set(subarray.tel) - set(found))
    unknown = sorted(set(found) - set(subarray.tel))
    if missing:
        raise ConfigurationError(
            f"no coefficients of telescopes {missing}: ctapipe refuses a file that lacks a "
            "telescope of its subarray; select the subarray to the telescopes there are"
        )
    if unknown:
        raise ConfigurationError(
            f"coefficients of telescopes {unknown}, which are not in subarray {subarray.name}"
        )


def _check_table(table: Table, where: str, camera: tuple[int, int]) -> None:
    """Refuse what ctapipe would apply without a word."""

    def refuse(what: str) -> None:
        raise ConfigurationError(f"coefficients of {where}: {what}")

    missing = [name for name in APPLIED_COLUMNS if name not in table.colnames]
    if missing:
        refuse(f"no column {', '.join(missing)}")
    if len(table) == 0:
        refuse("no rows")
    for name in PIXEL_COLUMNS:
        if table[name].shape[1:] != camera:
            refuse(f"{name} has shape {table[name].shape[1:]} in a row, the camera {camera}")
        bad = ~np.isfinite(table[name])
        if bad.any():
            place = tuple(int(i) for i in np.argwhere(bad)[0])
            refuse(
                f"{name} is {table[name][place]} in row, channel, pixel {place}: ctapipe would pass"
                " it on to the image; mask the pixel and give a factor of 0"
            )
    seconds = (table["time"] - table["time"][0]).to_value("s")
    if not np.all(np.diff(seconds) > 0):
        row = int(np.argmax(np.diff(seconds) <= 0)) + 1
        refuse(f"the time of row {row} is not after that of row {row - 1}; sort the rows")
    mask = np.asarray(table["outlier_mask"], bool)
    if np.any(mask != mask[:, :1]):
        row, pixel = (int(i) for i in np.argwhere((mask != mask[:, :1]).any(axis=1))[0])
        refuse(
            f"pixel {pixel} is masked in one channel only in row {row}: ctapipe looks at the first "
            "for gain-selected events; mask both"
        )
    if np.any(np.asarray(table["factor"])[mask] != 0):
        refuse("a masked pixel has a factor other than 0")


def product_header(metadata: ProductMetadata, tables: Mapping[str, Table]) -> dict[str, str]:
    """Header of an HDF5 product; its identifier follows from the content of its tables.

    Same content, same identifier; the ``calibpipe`` entry is JSON.
    """
    header = metadata.header()
    own = header.pop("calibpipe")
    kept = repeatable({"calibpipe": own})
    content = hashlib.sha256(json.dumps(kept, sort_keys=True).encode())
    for where, table in tables.items():
        for name in table.colnames:
            column = table[name]
            values = column.tai.mjd if isinstance(column, Time) else column
            content.update(f"{where} {name}".encode())
            content.update(fingerprint(values))
    return header | {
        "CTA PRODUCT ID": str(uuid.UUID(content.hexdigest()[:32])),
        "CTA PRODUCT FORMAT": "hdf5",
        "CTA PRODUCT DATA LEVELS": "DL1",
        "calibpipe": json.dumps(own),
    }


def fingerprint(values: np.ndarray) -> bytes:
    """Bytes that differ if an array does, 128 times fewer than it has: SHA-256 of all is slow.

    Of every block, sums of its words and of their upper halves with random odd weights modulo
    2^64: other numbers give the same sums once in 2^32, in every single block that differs.
    """
    data = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
    n_blocks = data.size // (8 * BLOCK)
    words = data[: n_blocks * 8 * BLOCK].view(np.uint64).reshape(n_blocks, BLOCK)
    weights = np.random.PCG64(1).random_raw((2, BLOCK)) | np.uint64(1)
    sums = [np.empty(0, np.uint64)]
    for first in range(0, n_blocks, BLOCKS_AT_ONCE):
        some = words[first : first + BLOCKS_AT_ONCE]
        sums += [some @ weights[0], (some >> np.uint64(32)) @ weights[1]]
    return np.concatenate(sums).tobytes() + data[words.nbytes :].tobytes()


def open_hdf5(path: str | Path, what: str, **parameters: int) -> "tables.File":
    """An HDF5 file, open for reading; `what` it holds, for messages.

    `parameters` are those of PyTables, e.g. ``chunk_cache_size`` (bytes, for each table).

    Raises
    ------
    MissingInputError
        If there is no such file.
    CorruptedInputError
        If it is no HDF5 file.
    """
    import tables

    path = Path(path)
    if not path.is_file():
        raise MissingInputError(f"{path} does not exist: make the {what} first")
    try:
        return tables.open_file(path, **parameters)
    except tables.HDF5ExtError as error:
        raise CorruptedInputError(f"{path} is no HDF5 file, or cut short; make it again") from error


def mask_pixels(h5file: "tables.File", node: str, is_excluded: np.ndarray, reason: int = 0) -> int:
    """Mask pixels in a written table of coefficients, as ctapipe wants it: both channels, factor 0.

    Parameters
    ----------
    h5file : File
        Open for writing.
    node : str
        Of the table.
    is_excluded : bool array, (n_pixels,)
    reason : int
        Bits that are set in the column ``reasons``, if there is one.

    Returns
    -------
    int
        Pixels that were not masked in every row before.

    Raises
    ------
    ConfigurationError
        If the table is of a camera with another number of pixels.
    """
    table = h5file.get_node(node)
    n_pixels = table.coldescrs["outlier_mask"].shape[-1]
    if n_pixels != is_excluded.size:
        raise ConfigurationError(
            f"{is_excluded.size} pixels are excluded or not, the coefficients in {node} are of "
            f"{n_pixels}: they are of different cameras"
        )
    newly = np.zeros(n_pixels, bool)
    for first in range(0, len(table), ROWS_AT_ONCE):
        rows = table.read(first, first + ROWS_AT_ONCE)
        newly |= is_excluded & ~rows["outlier_mask"].all(axis=(0, 1))
        rows["outlier_mask"][..., is_excluded] = True
        rows["factor"][..., is_excluded] = 0
        if "reasons" in rows.dtype.names:
            rows["reasons"][..., is_excluded] |= reason
        table.modify_rows(first, first + len(rows), rows=rows)
    return int(newly.sum())


def read_camera_coefficients(path: str | Path, tel_id: int) -> Table:
    """Table of the coefficients of one telescope, as written; ``meta["calibpipe"]`` our header.

    Raises
    ------
    MissingInputError
        If there is no such file, or no such telescope in it.
    CorruptedInputError
        If it is no HDF5 file of coefficients.
    """
    with open_hdf5(path, "camera coefficients") as h5file:
        if DL1_CAMERA_COEFFICIENTS_GROUP not in h5file:
            raise CorruptedInputError(f"{path} holds no camera coefficients")
        node = f"{DL1_CAMERA_COEFFICIENTS_GROUP}/tel_{tel_id:03d}"
        if node not in h5file:
            there = sorted(h5file.get_node(DL1_CAMERA_COEFFICIENTS_GROUP)._v_children)
            raise MissingInputError(
                f"{path} holds no coefficients of telescope {tel_id}, only of {', '.join(there)}"
            )
        table = read_hdf5_table(h5file, node)
        table.meta["calibpipe"] = json.loads(getattr(h5file.root._v_attrs, "calibpipe", "{}"))
    return table
