"""Fields on pressure levels out of ECSV tables: one row a place, time and level."""

from collections.abc import Iterator
from pathlib import Path

import astropy.units as u
import numpy as np

from .exceptions import CorruptedInputError
from .meteo_fields import Field, window

__all__ = ["ecsv_fields"]

COLUMNS = {
    "Geopotential": ("geopotential", u.m**2 / u.s**2),
    "Temperature": ("temperature", u.K),
    "Specific humidity": ("specific humidity", u.one),
    "Relative humidity": ("relative humidity", u.percent),
    "Ozone mass mixing ratio": ("ozone mass mixing ratio", u.one),
}


def ecsv_fields(path: Path, around: tuple[float, float] | None) -> Iterator[Field]:
    """Fields of a table with the columns Latitude, Longitude, Timestamp, Pressure and variables.

    Raises
    ------
    CorruptedInputError
        If the table is cut off, has not these columns, or holds a row twice.
    MissingInputError
        If the grid does not contain the site `around`.
    """
    from astropy.io.ascii import InconsistentTableError
    from astropy.table import QTable

    try:
        table = QTable.read(path, format="ascii.ecsv")
    except (InconsistentTableError, ValueError) as error:
        raise CorruptedInputError(
            f"{path} is cut off or damaged: {error}; make the table again"
        ) from error
    keys = ("Latitude", "Longitude", "Timestamp", "Pressure")
    absent = [name for name in keys if name not in table.colnames]
    if absent:
        raise CorruptedInputError(
            f"{path} is no table of pressure levels: it has no column {', '.join(absent)}; found "
            f"{', '.join(table.colnames)}"
        )
    latitude, rows = np.unique(table["Latitude"].to_value(u.deg), return_inverse=True)
    longitude, columns = np.unique(table["Longitude"].to_value(u.deg), return_inverse=True)
    levels, j = np.unique(table["Pressure"].to_value(u.hPa), return_inverse=True)
    stamps = table["Timestamp"].utc.to_value("datetime64").astype("datetime64[s]")
    times, i = np.unique(stamps, return_inverse=True)
    shape = (times.size, levels.size, latitude.size, longitude.size)
    places = np.ravel_multi_index((i, j, rows, columns), shape)
    if np.unique(places).size != len(table):
        raise CorruptedInputError(
            f"{path} holds {len(table) - np.unique(places).size} rows twice (same place, time and "
            "level); remove them"
        )
    kept = window(latitude, longitude, around, str(path))
    for name in sorted(COLUMNS.keys() & set(table.colnames)):
        variable, unit = COLUMNS[name]
        values = np.full(shape, np.nan)
        values.flat[places] = u.Quantity(table[name]).to_value(unit)
        for n_time, moment in enumerate(times):
            for n_level, level in enumerate(levels):
                yield Field(
                    variable=variable,
                    time=moment,
                    level=float(level),
                    window=kept,
                    values=kept.of(values[n_time, n_level]),
                    experiment_version="",
                    forecast_hours=0.0,
                    where=f"{path}, column {name!r}",
                )
