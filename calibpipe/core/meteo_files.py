"""Meteorological fields on pressure levels, read from whatever the services deliver.

ERA5 comes as GRIB 1 or netCDF, GDAS and GFS as GRIB 2, older studies as ECSV tables. All become
one `PressureLevelData`: ascending axes, geopotential height instead of geopotential, one unit for
each variable. There is no science here; which hours a night needs is decided by its users.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from .exceptions import ConfigurationError, CorruptedInputError, MissingInputError
from .meteo_ecsv import ecsv_fields
from .meteo_fields import Field, Window, enclosing_cell, site_outside
from .meteo_grib import grib_fields
from .meteo_netcdf import netcdf_fields

__all__ = ["PressureLevelData", "read_meteo_files"]

STANDARD_GRAVITY = 9.80665  # m/s2, defines geopotential height (WMO; CGPM 1901)
ERA5T_VERSION = "0005"  # `expver` of ERA5's preliminary release, replaced after 2-3 months

_HEIGHTS = {"geopotential": 1.0 / STANDARD_GRAVITY, "geopotential height": 1.0}
_HUMIDITIES = {"specific humidity": 1.0, "relative humidity": 0.01}
_REMEDY = "retrieve it with geopotential (or its height), temperature and humidity"


@dataclass(frozen=True, eq=False)
class PressureLevelData:
    """Meteorological fields on pressure levels, as read; no science.

    Parameters
    ----------
    dataset : str
        ``ERA5``, ``GDAS``, ... or ``unknown``.
    times : Time, shape (n_times,)
        Times of validity, UTC, ascending.
    pressure : Quantity, shape (n_levels,)
        hPa, descending: ground first.
    latitude : Quantity, shape (n_lat,)
        Degrees, ascending.
    longitude : Quantity, shape (n_lon,)
        Degrees, ascending, in [-180, 180); a region across the antimeridian goes on beyond it.
    geopotential_height : Quantity, shape (n_times, n_levels, n_lat, n_lon)
        Geopotential divided by 9.80665 m/s2, in m.
    temperature : Quantity, same shape
        K.
    humidity : Quantity, same shape
        Dimensionless: specific humidity (kg/kg) or relative humidity (1 is saturation; by the
        convention of the service). NaN where the files have no such level.
    humidity_kind : str
        ``specific`` or ``relative``.
    ozone : Quantity, same shape, or None
        Mass mixing ratio (kg/kg); NaN where the files have no such level.
    forecast_hours : float
        Largest forecast step in hours; 0 for an analysis.
    experiment_version : str
        ``0001`` for ERA5, ``0005`` for the preliminary ERA5T, several joined by commas, empty
        when the files do not say.
    """

    dataset: str
    times: Time
    pressure: u.Quantity
    latitude: u.Quantity
    longitude: u.Quantity
    geopotential_height: u.Quantity
    temperature: u.Quantity
    humidity: u.Quantity
    humidity_kind: str
    ozone: u.Quantity | None
    forecast_hours: float
    experiment_version: str = ""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Numbers of times, levels, latitudes and longitudes."""
        return (self.times.size, self.pressure.size, self.latitude.size, self.longitude.size)

    @property
    def is_preliminary(self) -> bool:
        """Whether part of the data is ERA5T, which the service will replace."""
        return ERA5T_VERSION in self.experiment_version.split(",")

    def require_levels(self, *levels: float) -> None:
        """Check that pressure levels (hPa) are there.

        Raises
        ------
        MissingInputError
            If one of them is not.
        """
        found = self.pressure.to_value(u.hPa)
        missing = [level for level in levels if not np.isclose(found, level, rtol=1e-6).any()]
        if missing:
            raise MissingInputError(
                f"{self.dataset} data lack the pressure levels {_numbers(missing)} hPa: found "
                f"{found.size} levels, {_numbers(found)} hPa; retrieve all levels"
            )

    def require_site(self, latitude: u.Quantity, longitude: u.Quantity) -> None:
        """Check that a site lies inside a cell of the grid.

        Raises
        ------
        MissingInputError
            If it does not.
        """
        site = (latitude.to_value(u.deg), longitude.to_value(u.deg))
        lat, lon = self.latitude.to_value(u.deg), self.longitude.to_value(u.deg)
        turns = (site[1] + 360.0 * turn for turn in (-1, 0, 1))
        inside = any(enclosing_cell(lon, turn) is not None for turn in turns)
        if not inside or enclosing_cell(lat, site[0]) is None:
            raise site_outside(lat, lon, site, f"{self.dataset} data")


def read_meteo_files(
    paths: str | Path | Iterable[str | Path],
    dataset: str = "unknown",
    around: tuple[u.Quantity, u.Quantity] | None = None,
) -> PressureLevelData:
    """Fields on pressure levels of one or several files, merged by time.

    GRIB 1, GRIB 2, netCDF (Climate Data Store layout) and ECSV tables are told by their content.
    A field that occurs twice must be the same. Height and temperature must be complete; humidity
    and ozone are NaN where they are not there. If both specific and relative humidity are given,
    the one with more fields is taken, specific humidity when they are equal.

    Parameters
    ----------
    paths : path or iterable of paths
        Files; they are not written to.
    dataset : str
        Name to record.
    around : tuple of Quantity, optional
        Latitude and longitude of a site: only the enclosing cell and one point more all around
        are kept, so that a global file takes little memory.

    Raises
    ------
    MissingInputError
        If a file, a variable or a level is missing, or the site is outside the grid.
    CorruptedInputError
        If a file is cut off or not meteorological, values of height or temperature are missing,
        or two fields contradict each other.
    ConfigurationError
        If the grid is not regular in latitude and longitude, or differs between fields.
    """
    files = [Path(p) for p in ([paths] if isinstance(paths, str | Path) else paths)]
    if not files:
        raise MissingInputError("no meteorological file was given; needs at least one")
    site = None
    if around is not None:
        site = (around[0].to_value(u.deg), around[1].to_value(u.deg))
    fields: dict[str, dict[tuple, Field]] = {}
    grid: Window | None = None
    for path in files:
        for field in _fields_of_file(path, site):
            grid = grid or field.window
            _check_grid(grid, field)
            _add(fields.setdefault(field.variable, {}), field)
    return _assembled(dataset, ", ".join(map(str, files)), grid, fields)


def _fields_of_file(path: Path, around: tuple[float, float] | None) -> Iterator[Field]:
    if not path.is_file():
        raise MissingInputError(
            f"meteorological file {path} does not exist; retrieve it first, or correct the path"
        )
    return _reader(path)(path, around)


def _reader(path: Path) -> Callable[..., Iterator[Field]]:
    """Reader of the file's format, told from its first bytes."""
    with path.open("rb") as stream:
        head = stream.read(4096)
    start = head.find(b"GRIB")
    if start >= 0 and head[start + 7 : start + 8] in (b"\x01", b"\x02", b""):
        return grib_fields
    if head.startswith((b"CDF\x01", b"CDF\x02", b"CDF\x05", b"\x89HDF")):
        return netcdf_fields
    if head.startswith(b"# %ECSV"):
        return ecsv_fields
    if not head:
        found = "it is empty (0 bytes)"
    elif head.startswith(b"PK\x03\x04"):
        found = "it is a ZIP archive: unpack it and give the files inside"
    else:
        found = f"it begins with {head.lstrip()[:40]!r}"
    raise CorruptedInputError(
        f"{path} is no meteorological file: {found}; needs GRIB, netCDF or an ECSV table of "
        "pressure levels; remove it and retrieve it again"
    )


def _check_grid(grid: Window, field: Field) -> None:
    if not field.window.same_grid(grid):
        raise ConfigurationError(
            f"{field.where}: {field.variable} is on another grid ({_extent(field.window)}) than "
            f"the fields before it ({_extent(grid)}); give only files with one grid"
        )


def _extent(grid: Window) -> str:
    lat, lon = grid.latitude, grid.longitude
    return (
        f"{lat.size} x {lon.size} points, latitude {lat[0]:g} to {lat[-1]:g}, "
        f"longitude {lon[0]:g} to {lon[-1]:g} deg"
    )


def _add(known: dict[tuple, Field], field: Field) -> None:
    """Keep a field; one that is there already must have the same values."""
    other = known.setdefault((field.time, field.level), field)
    if other is not field and not np.array_equal(other.values, field.values, equal_nan=True):
        difference = np.nanmax(np.abs(other.values - field.values))
        raise CorruptedInputError(
            f"{field.where}: {field.variable} at {field.level:g} hPa, {field.time} differs from "
            f"the same field in {other.where} by up to {difference:g}; give only one of them"
        )


def _assembled(
    dataset: str, files: str, grid: Window | None, fields: dict[str, dict[tuple, Field]]
) -> PressureLevelData:
    height = _chosen(files, fields, _HEIGHTS)
    temperature = _chosen(files, fields, {"temperature": 1.0})
    humidity = _chosen(files, fields, _HUMIDITIES)
    needed = [fields[height], fields[temperature]]
    times = sorted({time for known in needed for time, _ in known})
    levels = sorted({level for known in needed for _, level in known}, reverse=True)
    for name in (height, temperature):
        _check_complete(files, name, fields[name], times, levels)

    def cube(name: str) -> NDArray:
        out = np.full(
            (len(times), len(levels), *next(iter(fields[name].values())).values.shape), np.nan
        )
        for i, time in enumerate(times):
            for j, level in enumerate(levels):
                if (time, level) in fields[name]:
                    out[i, j] = fields[name][time, level].values
        return out

    assert grid is not None  # heights and temperatures are there
    used = [field for known in needed for field in known.values()]
    ozone = "ozone mass mixing ratio"
    return PressureLevelData(
        dataset=dataset,
        times=Time(np.array(times), scale="utc"),
        pressure=np.array(levels) * u.hPa,
        latitude=grid.latitude * u.deg,
        longitude=grid.longitude * u.deg,
        geopotential_height=cube(height) * _HEIGHTS[height] * u.m,
        temperature=cube(temperature) * u.K,
        humidity=cube(humidity) * _HUMIDITIES[humidity] * u.one,
        humidity_kind=humidity.split()[0],
        ozone=cube(ozone) * u.one if ozone in fields else None,
        forecast_hours=max(field.forecast_hours for field in used),
        experiment_version=",".join(sorted({f.experiment_version for f in used} - {""})),
    )


def _chosen(files: str, fields: dict[str, Any], names: Iterable[str]) -> str:
    """Of several variables that say the same, the one with most fields."""
    best = max(names, key=lambda name: len(fields.get(name, ())))
    if best not in fields:
        found = ", ".join(sorted(fields)) or "none of the known variables"
        raise MissingInputError(
            f"{files}: no {' or '.join(names)} on pressure levels; found {found}; {_REMEDY}"
        )
    return best


def _check_complete(
    files: str, name: str, known: dict[tuple, Field], times: list, levels: list[float]
) -> None:
    """Height and temperature are there at all times and levels, without holes."""
    missing = [(time, level) for time in times for level in levels if (time, level) not in known]
    if missing:
        time, level = missing[0]
        raise MissingInputError(
            f"{files}: {name} is missing at {level:g} hPa, {time}, and at {len(missing) - 1} more "
            f"of {len(times) * len(levels)} combinations of time and level that other fields "
            "have; retrieve the file again with the same levels for all times and variables"
        )
    for field in known.values():
        n_bad = np.count_nonzero(~np.isfinite(field.values))
        if n_bad:
            raise CorruptedInputError(
                f"{field.where}: {name} at {field.level:g} hPa, {field.time} has no value at "
                f"{n_bad} of {field.values.size} grid points, needs all; retrieve the file again"
            )


def _numbers(values: Iterable[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
