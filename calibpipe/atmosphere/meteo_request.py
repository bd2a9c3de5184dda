"""What to ask a meteorological service for: hours, levels, box and files of one night.

Category C takes the reanalysis ERA5 (0.25 degrees, hourly, 37 pressure levels, about five days
late), category B the final analyses of GDAS (1 degree, six-hourly, from the next day on).
Nothing here goes to the network.
"""

from datetime import UTC, datetime
from typing import Any

import astropy.units as u
import numpy as np
from astropy.time import Time

from ..core.exceptions import MissingInputError
from ..core.night import AstronomicalNight
from ..core.site import Site

__all__ = [
    "DATASET_OF_CATEGORY",
    "available_from",
    "bracketing_hours",
    "era5_requests",
    "gdas_files",
    "grid_box",
    "require_available",
    "require_hours",
    "require_night",
]

DATASET_OF_CATEGORY = {"B": "GDAS", "C": "ERA5"}

ERA5_DATASET = "reanalysis-era5-pressure-levels"
ERA5_GRID = 0.25 * u.deg
ERA5_VARIABLES = (
    "geopotential",
    "temperature",
    "specific_humidity",
    "relative_humidity",
    "ozone_mass_mixing_ratio",
)
# The pressure levels of ERA5 (Hersbach et al. 2020, doi 10.1002/qj.3803), in hPa.
ERA5_LEVELS = (
    *(1, 2, 3, 5, 7, 10, 20, 30, 50, 70),
    *range(100, 251, 25),
    *range(300, 751, 50),
    *range(775, 1001, 25),
)  # fmt: skip

GDAS_DATASET = "d083002"
# Levels that every file of the archive has, in hPa; newer ones have more.
GDAS_LEVELS = (10, 20, 30, 50, 70, *range(100, 900, 50), 900, 925, 950, 975, 1000)
# The first analysis that NCAR GDEX d083002 (ds083.2) holds in GRIB2.
GDAS_BEGIN = Time("2007-12-06T12:00:00", scale="utc")

STEP = {"ERA5": 1 * u.h, "GDAS": 6 * u.h}
# ASSUME: delay between the last hour needed and its publication. ERA5T follows real time by five
# days (ECMWF); GDAS is in the archive half a day after the analysis. A service that is later says
# so itself when asked.
LATENCY = {"ERA5": 5 * u.day, "GDAS": 12 * u.h}


def bracketing_hours(night: AstronomicalNight, step: u.Quantity = 1 * u.h) -> list[datetime]:
    """Times of analyses from the last at or before dusk to the first at or after dawn.

    Parameters
    ----------
    night : AstronomicalNight
        Dusk and dawn.
    step : Quantity
        Time between analyses; one of them is at 00 UTC. A whole number of hours.

    Returns
    -------
    list of datetime
        In UTC, ascending, `step` apart.
    """
    seconds = round(step.to_value(u.s))
    # a rounding error of the clock must not ask for one hour more
    first = int(np.floor(round(night.dusk.utc.unix, 3) / seconds))
    last = int(np.ceil(round(night.dawn.utc.unix, 3) / seconds))
    return [datetime.fromtimestamp(n * seconds, UTC) for n in range(first, last + 1)]


def grid_box(site: Site, grid: u.Quantity = ERA5_GRID) -> tuple[float, float, float, float]:
    """North, west, south and east edge (degrees) of the grid cell that contains a site.

    The edges are grid points, counted from (0, 0). A site on a grid point is a corner or lies on
    an edge of its cell. West is in [-180, 180), east at most 180: no cell crosses the date line.
    """
    step = grid.to_value(u.deg)
    longitude = site.longitude.to_value(u.deg)
    if not -180.0 <= longitude < 180.0:
        longitude = (longitude + 180.0) % 360.0 - 180.0
    west = np.floor(longitude / step) * step
    south = min(np.floor(site.latitude.to_value(u.deg) / step) * step, 90.0 - step)
    return float(south + step), float(west), float(south), float(west + step)


def era5_requests(site: Site, night: AstronomicalNight) -> list[dict[str, Any]]:
    """Requests for the CDS dataset ``reanalysis-era5-pressure-levels``, one a UTC day.

    A request is the product of its days and hours, so that a night over midnight asked at once
    would bring twice the hours. The area is north, west, south, east.
    """
    days: dict[Any, list[str]] = {}
    for hour in bracketing_hours(night, STEP["ERA5"]):
        days.setdefault(hour.date(), []).append(f"{hour:%H:%M}")
    return [
        {
            "product_type": ["reanalysis"],
            "variable": list(ERA5_VARIABLES),
            "pressure_level": [str(level) for level in ERA5_LEVELS],
            "year": [f"{day:%Y}"],
            "month": [f"{day:%m}"],
            "day": [f"{day:%d}"],
            "time": times,
            "area": list(grid_box(site)),
            "data_format": "grib",
            "download_format": "unarchived",
        }
        for day, times in days.items()
    ]


def requested_hours(request: dict[str, Any]) -> list[datetime]:
    """Hours (UTC) of one of `era5_requests`."""
    day = "-".join(request[key][0] for key in ("year", "month", "day"))
    return [datetime.fromisoformat(f"{day}T{time}+00:00") for time in request["time"]]


def gdas_files(night: AstronomicalNight) -> list[str]:
    """Paths of the GDAS final analyses that bracket a night, relative to the archive's folder.

    Layout of NCAR GDEX d083002 (ds083.2, doi 10.5065/D6M043C6):
    ``YYYY/YYYY.MM/fnl_YYYYMMDD_HH_00.grib2`` at 00, 06, 12 and 18 UTC.

    Raises
    ------
    MissingInputError
        If the night is before the archive's first GRIB2 file.
    """
    hours = bracketing_hours(night, STEP["GDAS"])
    if Time(hours[0]) < GDAS_BEGIN:
        raise MissingInputError(
            f"night {night.name} needs the GDAS analysis of {_minute(Time(hours[0]))}; the archive "
            f"{GDAS_DATASET} has GRIB2 files from {_minute(GDAS_BEGIN)} on: take ERA5 (category C)"
        )
    return [f"{hour:%Y}/{hour:%Y.%m}/fnl_{hour:%Y%m%d_%H}_00.grib2" for hour in hours]


def analysis_time(file: str) -> datetime:
    """Time (UTC) of one of `gdas_files`."""
    _, day, hour, _ = file.rsplit("/", 1)[-1].split("_")
    return datetime.strptime(day + hour, "%Y%m%d%H").replace(tzinfo=UTC)


def available_from(dataset: str, night: AstronomicalNight) -> Time:
    """Moment from which on a dataset covers a night: its last hour and the usual delay."""
    return Time(bracketing_hours(night, STEP[dataset])[-1]) + LATENCY[dataset]


def require_available(dataset: str, night: AstronomicalNight, now: Time) -> None:
    """Check that a dataset may already cover a night.

    Raises
    ------
    MissingInputError
        If the night is not over or the dataset is not that far; says from when on it will be.
    """
    moment = available_from(dataset, night)
    if now >= moment:
        return
    if now < night.dusk:
        state = "has not begun"
    else:
        state = "is not over" if now < night.dawn else f"is too recent for {dataset}"
    delay = f"{LATENCY[dataset].value:g} {LATENCY[dataset].unit.long_names[0]}s"
    sooner = dataset != "GDAS" and now >= available_from("GDAS", night)
    raise MissingInputError(
        f"night {night.name} {state}: {dataset} comes about {delay} after the last hour and will "
        f"cover it from {_minute(moment)} on; run again then"
        + (", or process category B (GDAS) now" if sooner else "")
    )


def require_night(times: Time, night: AstronomicalNight, step: u.Quantity = 6 * u.h) -> None:
    """Check that at least one analysis belongs to a night.

    Parameters
    ----------
    times : Time
        (n_times,) of the data.
    night : AstronomicalNight
        Dusk and dawn.
    step : Quantity
        Time between analyses: those that bracket the night belong to it.

    Raises
    ------
    MissingInputError
        If every time lies outside the bracket of the night.
    """
    hours = bracketing_hours(night, step)
    first, last = Time(hours[0]), Time(hours[-1])
    if not np.any((times >= first) & (times <= last)):
        raise MissingInputError(
            f"no time of the meteorological data is in night {night.name}: they run from "
            f"{_minute(times.min())} to {_minute(times.max())}, the night needs {_minute(first)} "
            f"to {_minute(last)}; give files of this night"
        )


def require_hours(times: Time, hours: list[datetime]) -> None:
    """Check that data hold the hours that were asked for, and no others.

    Raises
    ------
    MissingInputError
        If they do not; the service may not be that far yet.
    """
    found = {_minute(moment) for moment in np.atleast_1d(times)}
    asked = {_minute(Time(hour)) for hour in hours}
    if found != asked:
        lack = ", ".join(sorted(asked - found)) or "nothing"
        raise MissingInputError(
            f"the service delivered {len(found)} of {len(asked)} hours: lacks {lack}, has "
            f"{len(found - asked)} others; the data may not be complete yet, run again later"
        )


def _minute(moment: Time) -> str:
    return f"{moment.utc.strftime('%Y-%m-%d %H:%M')} UTC"
