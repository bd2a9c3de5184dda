"""Fields on pressure levels out of netCDF files, as the Climate Data Store delivers them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .exceptions import ConfigurationError, CorruptedInputError
from .meteo_fields import VARIABLES, Field, Window, window

__all__ = ["netcdf_fields"]

PRESSURE_UNITS = {"hPa": 1.0, "millibars": 1.0, "mbar": 1.0, "Pa": 0.01}  # factor to hPa


def netcdf_fields(path: Path, around: tuple[float, float] | None) -> Iterator[Field]:
    """Fields of a netCDF file, in its old layout (``time``, ``level``) and in that since 2024.

    Raises
    ------
    CorruptedInputError
        If the file is cut off or has not the dimensions of pressure-level data.
    ConfigurationError
        If it holds an ensemble.
    MissingInputError
        If the grid does not contain the site `around`.
    """
    from netCDF4 import Dataset

    try:
        with Dataset(path) as data:
            latitude = _netcdf_axis(path, data, ("latitude", "lat"))
            longitude = _netcdf_axis(path, data, ("longitude", "lon"))
            kept = window(
                np.asarray(data[latitude][:], float),
                np.asarray(data[longitude][:], float),
                around,
                str(path),
            )
            time = _netcdf_axis(path, data, ("valid_time", "time"))
            level = _netcdf_axis(path, data, ("pressure_level", "level", "isobaricInhPa", "plev"))
            dimensions = (time, level, latitude, longitude)
            times = _netcdf_times(data[time])
            levels = _netcdf_levels(path, data[level])
            for name in sorted(VARIABLES.keys() & data.variables.keys()):
                values, versions = _netcdf_values(path, data, name, dimensions, kept)
                for i, moment in enumerate(times):
                    for j, pressure in enumerate(levels):
                        yield Field(
                            variable=VARIABLES[name],
                            time=moment,
                            level=float(pressure),
                            window=kept,
                            values=values[i, j],
                            experiment_version=versions[i],
                            forecast_hours=0.0,
                            where=f"{path}, variable {name!r}",
                        )
    except (OSError, RuntimeError) as error:  # what the netCDF and HDF5 libraries raise
        raise CorruptedInputError(
            f"{path} is cut off or damaged: {error}; remove the file and retrieve it again"
        ) from error


def _netcdf_axis(path: Path, data: Any, names: tuple[str, ...]) -> str:
    """Name of the dimension that a file has for an axis."""
    for name in names:
        if name in data.dimensions and name in data.variables:
            return name
    raise CorruptedInputError(
        f"{path} has no dimension {' or '.join(names)}: found {', '.join(data.dimensions)}; needs "
        "pressure-level data as the Climate Data Store delivers them"
    )


def _netcdf_times(variable: Any) -> NDArray:
    from netCDF4 import num2date

    moments: Any = num2date(
        np.asarray(variable[:]),
        variable.units,
        getattr(variable, "calendar", "standard"),
        only_use_cftime_datetimes=False,
        only_use_python_datetimes=True,
    )
    return np.array([np.datetime64(moment, "s") for moment in moments])


def _netcdf_levels(path: Path, variable: Any) -> NDArray:
    """Pressure levels in hPa."""
    unit = getattr(variable, "units", "hPa")
    if unit not in PRESSURE_UNITS:
        raise CorruptedInputError(
            f"{path}: {variable.name} is in {unit!r}, needs one of {', '.join(PRESSURE_UNITS)}; "
            "request data on pressure levels"
        )
    return np.asarray(variable[:], float) * PRESSURE_UNITS[unit]


def _netcdf_values(
    path: Path, data: Any, name: str, dimensions: tuple[str, ...], kept: Window
) -> tuple[NDArray, list[str]]:
    """Values, shape (time, level, latitude, longitude), and the experiment version at each time."""
    variable = data[name]
    missing = [axis for axis in dimensions if axis not in variable.dimensions]
    if missing:
        raise CorruptedInputError(
            f"{path}: {name} has the dimensions {', '.join(variable.dimensions)}, needs also "
            f"{', '.join(missing)}; request data on pressure levels"
        )
    _, _, latitude, longitude = dimensions
    select = {latitude: np.sort(kept.rows), longitude: np.sort(kept.columns)}
    raw = variable[tuple(select.get(axis, slice(None)) for axis in variable.dimensions)]
    values = np.ma.filled(np.ma.asarray(raw, dtype=float), np.nan)
    extra = [axis for axis in variable.dimensions if axis not in dimensions]
    values = np.moveaxis(
        values,
        [variable.dimensions.index(axis) for axis in (*extra, *dimensions)],
        range(values.ndim),
    )
    rows = np.searchsorted(select[latitude], kept.rows)
    columns = np.searchsorted(select[longitude], kept.columns)
    values = values[..., rows, :][..., columns]
    return _netcdf_versions(path, data, name, extra, values)


def _netcdf_versions(
    path: Path, data: Any, name: str, extra: list[str], values: NDArray
) -> tuple[NDArray, list[str]]:
    """Fields with ensemble and version dimensions removed."""
    for axis in [axis for axis in extra if axis != "expver"]:
        index = extra.index(axis)
        if values.shape[index] != 1:
            raise ConfigurationError(
                f"{path}: {name} has {values.shape[index]} entries along {axis!r}, needs one; "
                "request a single realisation"
            )
        values = values.squeeze(index)
        extra = [other for other in extra if other != axis]
    given = data["expver"] if "expver" in data.variables else None
    numbers = [] if given is None else [str(v).strip().zfill(4) for v in np.atleast_1d(given[:])]
    n_times = values.shape[-4]
    if not extra:
        return values, numbers if len(numbers) == n_times else [",".join(numbers)] * n_times
    # ERA5 and ERA5T side by side: at each time one of them has values, the other has none.
    has_values = np.isfinite(values).any(axis=(-3, -2, -1))
    first = np.argmax(has_values, axis=0)
    times = np.arange(n_times)
    return values[first, times], [numbers[i] for i in first]
