"""Tiny GRIB files as the services deliver them, made with eccodes."""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache

import eccodes

from calibpipe.atmosphere.meteo_request import ERA5_LEVELS, GDAS_LEVELS

ERA5_PARAMETERS = {"z": 129, "t": 130, "q": 133, "r": 157, "o3": 203}
# Any smooth values: these tests are about transport, not about air.
VALUE = {"z": 3.0e4, "gh": 3.0e3, "t": 250.0, "q": 1.0e-3, "r": 30.0, "o3": 1.0e-6, "o3mr": 1.0e-6}


def era5_grib(request: dict, version: str = "0001", hours: Iterable[str] | None = None) -> bytes:
    """GRIB 1 file for a request to the data store: four grid points, all levels and variables."""
    day = int("".join(request[key][0] for key in ("year", "month", "day")))
    times = tuple(int(hour.replace(":", "")) for hour in hours or request["time"])
    return _era5(day, times, tuple(request["area"]), version)


@lru_cache
def _era5(day: int, times: tuple[int, ...], area: tuple[float, ...], version: str) -> bytes:
    message = eccodes.codes_grib_new_from_samples("regular_ll_pl_grib1")
    north, west, south, east = area
    header = {
        "centre": 98,
        "setLocalDefinition": 1,
        "localDefinitionNumber": 1,
        "experimentVersionNumber": version,
        "dataDate": day,
        **_grid(2, 2, (north, west, south, east), 0.25),
    }
    content = _messages(
        message,
        header,
        [("dataTime", time) for time in times],
        ERA5_LEVELS,
        [("paramId", number, VALUE[name]) for name, number in ERA5_PARAMETERS.items()],
    )
    eccodes.codes_release(message)
    return content


@lru_cache
def gdas_grib(moment: datetime, north: float, west: float) -> bytes:
    """GRIB 2 file of the layout of ds083.2, 3 x 3 grid points instead of the globe."""
    message = eccodes.codes_grib_new_from_samples("regular_ll_pl_grib2")
    header = {
        "centre": 7,
        "generatingProcessIdentifier": 82,
        "dataDate": int(f"{moment.astimezone(UTC):%Y%m%d}"),
        "dataTime": moment.hour * 100,
        **_grid(3, 3, (north, west, north - 2.0, west + 2.0), 1.0),
    }
    content = _messages(
        message,
        header,
        [("stepRange", "0")],
        GDAS_LEVELS,
        [("shortName", name, VALUE[name]) for name in ("gh", "t", "r", "o3mr")],
    )
    eccodes.codes_release(message)
    return content


def _grid(n_lat: int, n_lon: int, area: tuple[float, ...], step: float) -> dict:
    north, west, south, east = area
    return {
        "Nj": n_lat,
        "Ni": n_lon,
        "latitudeOfFirstGridPointInDegrees": north,
        "longitudeOfFirstGridPointInDegrees": west,
        "latitudeOfLastGridPointInDegrees": south,
        "longitudeOfLastGridPointInDegrees": east,
        "jDirectionIncrementInDegrees": step,
        "iDirectionIncrementInDegrees": step,
    }


def _messages(message, header: dict, times: list, levels: tuple, variables: list) -> bytes:
    for key, value in header.items():
        eccodes.codes_set(message, key, value)
    n_points = header["Ni"] * header["Nj"]
    parts = []
    for time_key, time in times:
        eccodes.codes_set(message, time_key, time)
        for level in levels:
            for key, name, value in variables:
                eccodes.codes_set(message, key, name)
                eccodes.codes_set(message, "level", level)
                eccodes.codes_set_values(message, [value * (1 + 1e-3 * i) for i in range(n_points)])
                parts.append(eccodes.codes_get_message(message))
    return b"".join(parts)
