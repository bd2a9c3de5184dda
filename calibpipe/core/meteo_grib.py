"""Fields on pressure levels out of GRIB 1 and GRIB 2 files, in the units of the file."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from .exceptions import ConfigurationError, CorruptedInputError
from .meteo_fields import VARIABLES, Field, Window, window

__all__ = ["grib_fields"]

LEVEL_TYPES = {"isobaricInhPa": 1.0, "isobaricInPa": 0.01}  # factor to hPa
_MISSING = -9.0e33  # stands for a value that the bitmap of a message leaves out


def grib_fields(path: Path, around: tuple[float, float] | None) -> Iterator[Field]:
    """Fields of a GRIB file, message by message; other messages are left out.

    Raises
    ------
    CorruptedInputError
        If the file is cut off or a message is damaged.
    ConfigurationError
        If a field is not on a regular latitude-longitude grid.
    MissingInputError
        If the grid does not contain the site `around`.
    """
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
