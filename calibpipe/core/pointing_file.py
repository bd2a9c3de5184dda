"""What a drive recorded: HDF5 as ctapipe has it, ``/dl0/monitoring/telescope/pointing/tel_NNN``.

Columns ``time``, ``azimuth``, ``altitude`` (rad). How the observatory stores what its drives record
is not public; ctapipe's group is what ctapipe's monitoring sources read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import astropy.units as u
import numpy as np
from astropy.table import Table
from astropy.time import Time

from .ctapipe_groups import DL0_TEL_POINTING_GROUP
from .exceptions import ConfigurationError, CorruptedInputError, MissingInputError
from .files import atomic_path
from .hdf5_tables import read_hdf5_table
from .monitoring_file import CATEGORIES, open_hdf5, product_header
from .products import ProductMetadata

if TYPE_CHECKING:
    from ctapipe.instrument import SubarrayDescription

__all__ = ["DrivePointing", "pointing_table", "read_pointing", "write_pointing"]


@dataclass(frozen=True)
class DrivePointing:
    """Recorded pointing of a telescope.

    Parameters
    ----------
    times : Time, shape (n,)
        Ascending.
    azimuth, altitude : Quantity, shape (n,), deg
        Azimuth without jumps: it may leave 0 to 360 deg.
    """

    times: Time
    azimuth: u.Quantity
    altitude: u.Quantity

    def at(self, times: Time) -> tuple[u.Quantity, u.Quantity]:
        """Azimuth and altitude at other times, by linear interpolation.

        Raises
        ------
        MissingInputError
            If a time is outside of what the drive recorded.
        """
        reference = self.times[0]
        wanted = (times - reference).to_value(u.s)
        there = (self.times - reference).to_value(u.s)
        outside = (wanted < 0) | (wanted > there[-1])
        if np.any(outside):
            raise MissingInputError(
                f"drive recorded {reference.utc.isot} to {self.times[-1].utc.isot} UTC, "
                f"{np.count_nonzero(outside)} of {wanted.size} times are outside by up to "
                f"{max(-wanted.min(), wanted.max() - there[-1]):.1f} s; give the drive's record of "
                "these data (37 s: UTC taken for TAI)"
            )
        azimuth, altitude = (
            np.interp(wanted, there, values.value) * u.deg
            for values in (self.azimuth, self.altitude)
        )
        return azimuth, altitude


def pointing_table(pointing: DrivePointing) -> Table:
    """Table in ctapipe's columns."""
    table = Table({"time": pointing.times})
    for name in ("azimuth", "altitude"):
        table[name] = getattr(pointing, name).to_value(u.rad)
        table[name].unit = u.rad
    return table


def write_pointing(
    path: str | Path,
    subarray: "SubarrayDescription",
    pointings: Mapping[int, DrivePointing],
    metadata: ProductMetadata,
) -> Path:
    """Write the pointings of telescopes of a subarray, complete or not at all.

    Raises
    ------
    ConfigurationError
        If the category is not A, B or C (of category Sim ctapipe uses no pointing), or a telescope
        is not of the subarray.
    StorageError
        If the file cannot be written.
    """
    if metadata.category not in CATEGORIES:
        raise ConfigurationError(
            f"pointing of category {metadata.category!r}: give one of {', '.join(CATEGORIES)}"
        )
    unknown = sorted(set(pointings) - set(subarray.tel))
    if unknown:
        raise ConfigurationError(f"telescopes {unknown} are not in subarray {subarray.name}")
    import tables
    from ctapipe.io import write_table
    from ctapipe.io.metadata import write_to_hdf5

    by_name = {f"tel_{i:03d}": pointing_table(p) for i, p in sorted(pointings.items())}
    header = product_header(metadata, by_name) | {"CTA PRODUCT DATA LEVELS": "DL0"}
    with atomic_path(path) as temporary, tables.open_file(temporary, "w") as h5file:
        subarray.to_hdf(h5file)
        for name, table in by_name.items():
            write_table(table, h5file, f"{DL0_TEL_POINTING_GROUP}/{name}")
        write_to_hdf5(header, h5file)
    return Path(path)


def read_pointing(path: str | Path, tel_id: int) -> DrivePointing:
    """What the drive of a telescope recorded.

    Raises
    ------
    MissingInputError
        If there is no such file, no such telescope in it, or fewer than two rows.
    CorruptedInputError
        If it is no HDF5 file, lacks a column, or times do not ascend.
    """
    with open_hdf5(path, "record of the drive") as h5file:
        node = f"{DL0_TEL_POINTING_GROUP}/tel_{tel_id:03d}"
        if node not in h5file:
            raise MissingInputError(f"{path} has no pointing of telescope {tel_id} ({node})")
        table = read_hdf5_table(h5file, node)
    missing = [name for name in ("time", "azimuth", "altitude") if name not in table.colnames]
    if missing:
        raise CorruptedInputError(f"{path}: {node} lacks {', '.join(missing)}")
    if len(table) < 2:
        raise MissingInputError(f"{path}: {node} has {len(table)} rows, needs at least 2")
    angles = []
    for name in ("azimuth", "altitude"):
        values = u.Quantity(np.asarray(table[name], float), table[name].unit or u.rad)
        if not np.isfinite(values).all():
            raise CorruptedInputError(
                f"{path}: {np.count_nonzero(~np.isfinite(values))} values of {name} are no numbers"
            )
        angles.append(values.to(u.deg))
    times = table["time"]
    steps = (times[1:] - times[:-1]).to_value(u.s)
    if not np.all(steps > 0):
        row = int(np.argmax(steps <= 0)) + 1
        raise CorruptedInputError(
            f"{path}: time of row {row} of {node} is not after the one before"
        )
    return DrivePointing(times, np.unwrap(angles[0], period=360 * u.deg), angles[1])
