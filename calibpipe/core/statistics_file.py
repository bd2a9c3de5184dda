"""HDF5 file of the pixel statistics of one telescope, in the tables of ctapipe.

The tables are those of ctapipe-calculate-pixel-statistics, so that ctapipe's HDF5MonitoringSource
reads ours and we read ctapipe's. Ours have errors and the variance that pixels share besides, and
the baseline that was subtracted before extraction.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import Table

from .columns import require_columns
from .ctapipe_groups import DL1_PIXEL_STATISTICS_GROUP
from .exceptions import ConfigurationError, MissingInputError
from .files import atomic_path
from .hdf5_tables import described_telescopes, read_columns, subarray_of_file
from .monitoring_file import open_hdf5, product_header, write_rows
from .products import ProductMetadata

if TYPE_CHECKING:
    from ctapipe.instrument import SubarrayDescription

__all__ = ["PIXEL_STATISTICS", "PixelStatistics", "read_pixel_statistics", "write_pixel_statistics"]

PIXEL_STATISTICS = (
    "sky_pedestal_image",
    "sky_pedestal_variance",  # ours: ctapipe has one kind of image a file
    "flatfield_image",
    "flatfield_peak_time",
)
"""Names of the tables: charge of pedestals (ADC), variance of their samples (ADC²), charge (ADC)
and peak time (ns) of flat fields."""

BASELINE_GROUP = "/calibpipe/camera/baseline"


@dataclass(frozen=True)
class PixelStatistics:
    """Statistics of one telescope, as read.

    Parameters
    ----------
    tel_id : int
    tables : dict of str to Table
        By `PIXEL_STATISTICS`, one row a chunk; those that are there.
    baseline : ndarray or None, shape (n_channels, n_pixels)
        ADC a sample, subtracted before extraction.
    header : dict
        Header of CalibPipe (kind, keys, details); empty for a file of ctapipe.
    path : Path
        Of the file.
    """

    tel_id: int
    tables: dict[str, Table]
    baseline: np.ndarray | None
    header: dict[str, Any]
    path: Path

    @cached_property
    def subarray(self) -> "SubarrayDescription":
        """Of this telescope alone."""
        every = subarray_of_file(self.path)
        return every.select_subarray([self.tel_id], name=every.tel[self.tel_id].name)


def write_pixel_statistics(
    path: str | Path,
    subarray: "SubarrayDescription",
    tel_id: int,
    statistics: Mapping[str, Table],
    metadata: ProductMetadata,
    *,
    baseline: np.ndarray | None = None,
) -> Path:
    """Write the statistics of one telescope, complete or not at all.

    Parameters
    ----------
    path : path
        Of the HDF5 file; what stands there is replaced.
    subarray : SubarrayDescription
        With the telescope.
    tel_id : int
    statistics : mapping of str to Table
        By `PIXEL_STATISTICS`, one row a chunk, with the pixels of the camera
        (`calibpipe.camera.pixel_statistics.statistics_table`).
    metadata : ProductMetadata
    baseline : ndarray, shape (n_channels, n_pixels), optional

    Raises
    ------
    ConfigurationError
        If a quantity is not known, or has other pixels than the camera.
    StorageError
        If the disk is full or the folder cannot be written.
    """
    import tables
    from ctapipe.io.metadata import write_to_hdf5

    readout = subarray.tel[tel_id].camera.readout
    camera = (readout.n_channels, readout.n_pixels)
    found = dict(statistics)
    for name, table in found.items():
        _check(name, table, camera)
    if baseline is not None:
        found["baseline"] = Table({"mean": np.asarray(baseline, np.float32)[np.newaxis]})
    groups = {name: f"{DL1_PIXEL_STATISTICS_GROUP}/{name}" for name in found}
    groups |= {"baseline": BASELINE_GROUP}
    require_columns(metadata.kind, {groups[name]: table for name, table in found.items()})
    header = product_header(metadata, {name: found[name] for name in sorted(found)})
    with atomic_path(path) as temporary, tables.open_file(temporary, "w") as h5file:
        subarray.to_hdf(h5file)
        for name, table in found.items():
            write_rows(table, h5file, f"{groups[name]}/tel_{tel_id:03d}")
        write_to_hdf5(header, h5file)
    return Path(path)


def _check(name: str, table: Table, camera: tuple[int, int]) -> None:
    if name not in PIXEL_STATISTICS:
        raise ConfigurationError(
            f"there are no statistics called {name!r}, only {', '.join(PIXEL_STATISTICS)}"
        )
    if table["mean"].shape[1:] != camera:
        raise ConfigurationError(
            f"{name} has {table['mean'].shape[1:]} channels and pixels, the camera has {camera}"
        )


def read_pixel_statistics(
    path: str | Path,
    tel_id: int | None = None,
    names: Collection[str] = PIXEL_STATISTICS,
    columns: Collection[str] | None = None,
) -> PixelStatistics:
    """Statistics of one telescope, ours or those of ctapipe's tools.

    Parameters
    ----------
    path : path
    tel_id : int, optional
        Not needed if the file has one telescope.
    names : collection of str
        Of `PIXEL_STATISTICS`: those that are needed.
    columns : collection of str, optional
        Those that are needed, if there are; all when not given.

    Raises
    ------
    MissingInputError
        If there is no such file, telescope or table of statistics.
    CorruptedInputError
        If it is no HDF5 file.
    ConfigurationError
        If there are several telescopes and none is named.
    """
    with open_hdf5(path, "pixel statistics") as h5file:
        if DL1_PIXEL_STATISTICS_GROUP not in h5file:
            raise MissingInputError(f"{path} holds no pixel statistics")
        tel_id = _telescope(path, described_telescopes(h5file), tel_id)
        found = {}
        for name in names:
            node = f"{DL1_PIXEL_STATISTICS_GROUP}/{name}/tel_{tel_id:03d}"
            if node in h5file:
                found[name] = read_columns(h5file.get_node(node), columns)
        node = f"{BASELINE_GROUP}/tel_{tel_id:03d}"
        baseline = np.asarray(h5file.get_node(node).col("mean")[0]) if node in h5file else None
        header = json.loads(getattr(h5file.root._v_attrs, "calibpipe", "{}"))
    return PixelStatistics(tel_id, found, baseline, header, Path(path))


def _telescope(path: str | Path, there: list[int], tel_id: int | None) -> int:
    if tel_id is None and len(there) != 1:
        raise ConfigurationError(f"{path} has the telescopes {there}: say which one")
    tel_id = there[0] if tel_id is None else tel_id
    if tel_id not in there:
        raise MissingInputError(f"{path} has the telescopes {there}, none with number {tel_id}")
    return tel_id
