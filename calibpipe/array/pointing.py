"""Altitude that telescopes point to, as DL2 files of ctapipe have it."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..core.exceptions import MissingInputError
from .dl2_events import EventChunk
from .dl2_layout import ArrayLayout

if TYPE_CHECKING:
    import tables

__all__ = ["read_pointing", "row_altitude"]

MONITORED = ("/dl0/monitoring/telescope/pointing", "/dl1/monitoring/telescope/pointing")
FIXED = "/configuration/telescope/pointing"


def read_pointing(h5file: "tables.File", layout: ArrayLayout) -> list[tuple[NDArray, NDArray]]:
    """Of each telescope: TAI seconds since 1970 (or observation numbers), altitudes in rad.

    Monitoring of observed data if there is some, the constant pointing of simulations otherwise,
    which has one row for each observation: times are -1 - obs_id then.

    Raises
    ------
    MissingInputError
        If the file has neither.
    """
    from astropy.time import Time
    from ctapipe.io import read_table

    groups = [group for group in (*MONITORED, FIXED) if group in h5file]
    if not groups:
        raise MissingInputError(
            f"{h5file.filename} has no pointing of telescopes ({', '.join((*MONITORED, FIXED))}), "
            "which a distance limit that depends on the zenith angle needs; set its slope to 0"
        )
    found = []
    for tel_id in layout.tel_ids:
        node = f"{groups[0]}/tel_{tel_id:03d}"
        if node not in h5file:
            found.append((np.empty(0), np.empty(0)))
            continue
        table = read_table(h5file, node)
        if "time" in table.colnames:
            when, altitude = Time(table["time"]).unix_tai, table["altitude"]
        else:
            when, altitude = -1.0 - table["obs_id"], table["telescope_pointing_altitude"]
        angle = altitude.quantity.to_value("rad") if altitude.unit else np.asarray(altitude)
        order = np.argsort(when)
        found.append((np.asarray(when, float)[order], np.asarray(angle, float)[order]))
    return found


def row_altitude(chunk: EventChunk, pointing: list[tuple[NDArray, NDArray]]) -> NDArray:
    """Altitude (rad) of each row of a chunk, interpolated in time; NaN where there is none."""
    altitude = np.full(len(chunk.event), np.nan)
    for telescope, (when, angle) in enumerate(pointing):
        rows = np.flatnonzero(chunk.telescope == telescope)
        if not len(when) or not len(rows):
            continue
        if when[0] < 0:  # simulation: by observation
            now = -1.0 - chunk.obs_id[chunk.event[rows]]
            place = np.clip(np.searchsorted(when, now), 0, len(when) - 1)
            altitude[rows] = np.where(when[place] == now, angle[place], np.nan)
        else:
            now = chunk.time[chunk.event[rows]]
            altitude[rows] = np.interp(now, when, angle, left=np.nan, right=np.nan)
    return altitude
