"""Fields on pressure levels out of GRIB, netCDF and ECSV files, one by one, in the files' units.

Every format is an iterator of `Field`. Files are inputs: they are never written to, and no index
is left beside them. The merging of fields into one data set is done in `meteo_files`.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from .exceptions import ConfigurationError, CorruptedInputError, MissingInputError

__all__ = ["Field", "Window", "fields_of_file"]

# Names of the fields in GRIB (short name) and netCDF (variable), and what they are called here.
VARIABLES = {
    "z": "geopotential",
    "gh": "geopotential height",
    "t": "temperature",
    "q": "specific humidity",
    "r": "relative humidity",
    "o3": "ozone mass mixing ratio",
    "o3mr": "ozone mass mixing ratio",
    "go3": "ozone mass mixing ratio",
}
COLUMNS = {
    "Geopotential": ("geopotential", u.m**2 / u.s**2),
    "Temperature": ("temperature", u.K),
    "Specific humidity": ("specific humidity", u.one),
    "Relative humidity": ("relative humidity", u.percent),
    "Ozone mass mixing ratio": ("ozone mass mixing ratio", u.one),
}
LEVEL_TYPES = {"isobaricInhPa": 1.0, "isobaricInPa": 0.01}  # factor to hPa
PRESSURE_UNITS = {"hPa": 1.0, "millibars": 1.0, "mbar": 1.0, "Pa": 0.01}
_MISSING = -9.0e33  # stands for a value that the bitmap of a GRIB message leaves out


@dataclass(frozen=True)
class Field:
    """One variable at one time on one pressure level.

    Parameters
    ----------
    variable : str
        One of the values of `VARIABLES`.
    time : numpy.datetime64
        Time of validity, UTC, seconds.
    level : float
        Pressure in hPa.
    window : Window
        Grid points that were kept.
    values : ndarray, shape (n_lat, n_lon)
        In the units of the file (m2/s2, gpm, K, kg/kg, percent); NaN where there is none.
    experiment_version : str
        ``0001`` for ERA5, ``0005`` for its preliminary release ERA5T, empty if not given.
    forecast_hours : float
        Hours between analysis and validity.
    where : str
        File and place in it, for messages.
    """

    variable: str
    time: np.datetime64
    level: float
    window: "Window"
    values: NDArray
    experiment_version: str
    forecast_hours: float
    where: str


@dataclass(frozen=True, eq=False)
class Window:
    """Grid points of a file that are kept: ascending latitudes and longitudes.

    Longitudes are in [-180, 180) degrees; those of a region across the antimeridian go on above
    180 (or start below -180, if that is closer to the site), so that they always ascend.
    """

    latitude: NDArray
    longitude: NDArray
    rows: NDArray
    columns: NDArray

    def of(self, values: NDArray) -> NDArray:
        """Kept part of a field with shape (latitudes, longitudes) of the file."""
        return values[np.ix_(self.rows, self.columns)]

    def same_grid(self, other: "Window") -> bool:
        """Whether two windows have the same points (GRIB 1 keeps thousandths of a degree)."""
        return self is other or all(
            a.shape == b.shape and np.allclose(a, b, rtol=0.0, atol=2e-3)
            for a, b in ((self.latitude, other.latitude), (self.longitude, other.longitude))
        )


def window(
    latitude: NDArray, longitude: NDArray, around: tuple[float, float] | None, where: str
) -> Window:
    """Grid points to keep: all, or the cell that encloses a site and one point more all around.

    Parameters
    ----------
    latitude, longitude : ndarray, shapes (n_lat,) and (n_lon,)
        Axes of the file in degrees, in any order and branch.
    around : tuple of float or None
        Latitude and longitude of the site in degrees.
    where : str
        File, for messages.

    Raises
    ------
    MissingInputError
        If the site is not inside a cell of the grid.
    """
    rows = np.argsort(latitude)
    if around is None:
        columns, unwrapped = _ascending_longitudes(longitude)
        return Window(latitude[rows], unwrapped, rows, columns)
    site_latitude, site_longitude = around
    relative = (longitude - site_longitude + 180.0) % 360.0 - 180.0
    columns = np.argsort(relative)
    unwrapped = site_longitude + relative[columns]
    south = enclosing_cell(latitude[rows], site_latitude)
    west = enclosing_cell(unwrapped, site_longitude)
    if south is None or west is None:
        raise site_outside(latitude, _ascending_longitudes(longitude)[1], around, where)
    rows = rows[max(south - 1, 0) : south + 3]
    kept = slice(max(west - 1, 0), west + 3)
    return Window(latitude[rows], np.round(unwrapped[kept], 9), rows, columns[kept])


def _ascending_longitudes(longitude: NDArray) -> tuple[NDArray, NDArray]:
    """Order and values that begin east of the widest gap of the circle, in [-180, 180)."""
    wrapped = np.round((longitude + 180.0) % 360.0 - 180.0, 9)
    order = np.argsort(wrapped)
    ascending = wrapped[order]
    gaps = np.diff(ascending, append=ascending[0] + 360.0)
    if gaps[-1] < gaps.max() - 1e-3:  # the region runs across the antimeridian
        first = int(np.argmax(gaps)) + 1
        order = np.roll(order, -first)
        ascending = np.roll(ascending, -first)
        ascending = np.where(ascending < ascending[0], ascending + 360.0, ascending)
    return order, ascending


def enclosing_cell(axis: NDArray, value: float) -> int | None:
    """Index i with axis[i] <= value <= axis[i + 1] on an ascending axis, None if there is none.

    The gap that a region leaves on the circle is no cell, nor is a single point.
    """
    if axis.size < 2 or not axis[0] <= value <= axis[-1]:
        return None
    index = min(int(np.searchsorted(axis, value, side="right")) - 1, axis.size - 2)
    steps = np.diff(axis)
    return index if steps[index] <= 1.5 * steps.min() else None


def site_outside(
    latitude: NDArray, longitude: NDArray, site: tuple[float, float], where: str
) -> MissingInputError:
    """Error that says which grid was found and which site it does not contain."""
    return MissingInputError(
        f"{where}: the grid of {latitude.size} x {longitude.size} points, latitude "
        f"{latitude.min():g} to {latitude.max():g}, longitude {longitude.min():g} to "
        f"{longitude.max():g} deg, cannot contain the site at latitude {site[0]:.4f}, longitude "
        f"{site[1]:.4f} deg: needs at least one grid point on every side of it; "
        "retrieve a larger area"
    )


def fields_of_file(path: Path, around: tuple[float, float] | None) -> Iterator[Field]:
    """Fields on pressure levels of a file of any known format.

    Raises
    ------
    MissingInputError
        If there is no such file, or its grid does not contain the site `around`.
    CorruptedInputError
        If the file is not meteorological, cut off, or cannot be decoded.
    ConfigurationError
        If the fields are not on a regular latitude-longitude grid, or are an ensemble.
    """
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
        return _grib_fields
    if head.startswith((b"CDF\x01", b"CDF\x02", b"CDF\x05", b"\x89HDF")):
        return _netcdf_fields
    if head.startswith(b"# %ECSV"):
        return _ecsv_fields
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


# --------------------------------------------------------------------------------------- GRIB


def _grib_fields(path: Path, around: tuple[float, float] | None) -> Iterator[Field]:
    import eccodes

    windows: dict[tuple, Window] = {}
    number, end = 0, 0
    with path.open("rb") as stream:
        eccodes.codes_grib_multi_support_on()  # NCEP packs several fields into one message
        try:
            while True:
                try:
                    message = eccodes.codes_grib_new_from_file(stream)
                    if message is None:
                        break
                    try:
                        start = int(eccodes.codes_get(message, "offset"))
                        number += start >= end  # a message may hold several fields
                        end = max(end, start + _grib_length(stream, message, start))
                        where = f"{path}, message {number} at byte {start}"
                        field = _grib_field(message, where, windows, around)
                    finally:
                        eccodes.codes_release(message)
                except eccodes.CodesInternalError as error:
                    raise _broken_grib(path, number, end, str(error)) from error
                if field is not None:
                    yield field
            rest = _bytes_after(path, end)
            if rest:
                reason = f"{len(rest)} bytes are left that are no message"
                raise _broken_grib(path, number, end, reason)
        finally:
            eccodes.codes_grib_multi_support_reset_file(stream)
            eccodes.codes_grib_multi_support_off()


def _grib_length(stream: IO[bytes], message: int, start: int) -> int:
    """Bytes of a message in the file, all of its fields together."""
    import eccodes

    if eccodes.codes_get(message, "edition") == 1:
        return eccodes.codes_get_long(message, "totalLength")
    return int.from_bytes(os.pread(stream.fileno(), 8, start + 8))  # eccodes has one field's


def _broken_grib(path: Path, number: int, end: int, reason: str) -> CorruptedInputError:
    return CorruptedInputError(
        f"{path} is cut off or damaged after message {number}, which ends at byte {end} of "
        f"{path.stat().st_size}: {reason}; remove the file and retrieve it again"
    )


def _bytes_after(path: Path, end: int) -> bytes:
    """What follows the last message, padding left out."""
    with path.open("rb") as stream:
        stream.seek(end)
        return stream.read(1 << 16).strip(b"\x00\r\n\x03")


def _grib_field(
    message: int,
    where: str,
    windows: dict[tuple, Window],
    around: tuple[float, float] | None,
) -> Field | None:
    """Field of a message, None for those that are not wanted."""
    import eccodes

    get = partial(eccodes.codes_get, message)
    factor = LEVEL_TYPES.get(get("typeOfLevel"))
    variable = VARIABLES.get(get("shortName"))
    if factor is None or variable is None or get("stepType") != "instant":
        return None
    grid_type = get("gridType")
    if grid_type != "regular_ll":
        raise ConfigurationError(
            f"{where}: {variable} is on a grid of type {grid_type!r}, needs a regular "
            "latitude-longitude grid ('regular_ll'); request it with a grid in degrees, such as "
            "0.25/0.25"
        )
    keys = tuple(get(key) for key in _GRID_KEYS)
    if keys not in windows:
        windows[keys] = window(*_grib_axes(dict(zip(_GRID_KEYS, keys, strict=True))), around, where)
    time = _grib_time(get("validityDate"), get("validityTime"))
    analysis = _grib_time(get("dataDate"), get("dataTime"))
    has_version = eccodes.codes_is_defined(message, "experimentVersionNumber")
    return Field(
        variable=variable,
        time=time,
        level=get("level") * factor,
        window=windows[keys],
        values=windows[keys].of(_grib_values(message)),
        experiment_version=str(get("experimentVersionNumber")) if has_version else "",
        forecast_hours=float((time - analysis) / np.timedelta64(3600, "s")),
        where=where,
    )


_GRID_KEYS = (
    "Ni",
    "Nj",
    "latitudeOfFirstGridPointInDegrees",
    "latitudeOfLastGridPointInDegrees",
    "longitudeOfFirstGridPointInDegrees",
    "longitudeOfLastGridPointInDegrees",
    "iScansNegatively",
)


def _grib_axes(grid: dict[str, Any]) -> tuple[NDArray, NDArray]:
    """Latitudes of the rows and longitudes of the columns, in the order of scanning."""
    latitude = np.linspace(
        grid["latitudeOfFirstGridPointInDegrees"],
        grid["latitudeOfLastGridPointInDegrees"],
        grid["Nj"],
    )
    first = grid["longitudeOfFirstGridPointInDegrees"]
    last = grid["longitudeOfLastGridPointInDegrees"]
    if grid["iScansNegatively"]:
        last = last - 360.0 if last > first else last
    else:
        last = last + 360.0 if last < first else last
    return np.round(latitude, 6), np.round(np.linspace(first, last, grid["Ni"]), 6)


def _grib_values(message: int) -> NDArray:
    """Values of a message, shape (Nj, Ni) in the order of the axes; NaN where there is none."""
    import eccodes

    get = partial(eccodes.codes_get, message)
    eccodes.codes_set(message, "missingValue", _MISSING)
    values = eccodes.codes_get_values(message)
    if get("bitmapPresent"):
        values = np.where(values == _MISSING, np.nan, values)
    shape = (get("Nj"), get("Ni"))
    if get("jPointsAreConsecutive"):
        shape = shape[::-1]
    values = values.reshape(shape)
    if get("alternativeRowScanning"):
        values[1::2] = values[1::2, ::-1].copy()
    return values.T if get("jPointsAreConsecutive") else values


def _grib_time(date: int, hour_minute: int) -> np.datetime64:
    text = f"{date:08d}"
    hours, minutes = divmod(hour_minute, 100)
    return np.datetime64(f"{text[:4]}-{text[4:6]}-{text[6:]}T{hours:02d}:{minutes:02d}:00", "s")


# ------------------------------------------------------------------------------------- netCDF


def _netcdf_fields(path: Path, around: tuple[float, float] | None) -> Iterator[Field]:
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

    moments = num2date(
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


# --------------------------------------------------------------------------------------- ECSV


def _ecsv_fields(path: Path, around: tuple[float, float] | None) -> Iterator[Field]:
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
