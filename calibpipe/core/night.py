"""Observing nights and astronomical darkness, without any download.

An observing night is named after the civil date of its evening at the site and runs from local
noon to local noon. Astronomical night is the part of it in which the centre of the Sun stands
below -18 degrees; the site's elevation does not lower that horizon.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import astropy.units as u
import erfa
import numpy as np
from astropy.coordinates import get_sun
from astropy.time import Time

from .exceptions import ConfigurationError, MissingInputError
from .site import Site

__all__ = [
    "AstronomicalNight",
    "astronomical_night",
    "night_date",
    "night_span",
    "observing_night",
    "sun_altitude",
]

TWILIGHT_ALTITUDE = -18 * u.deg
_SOLAR_PARALLAX = np.radians(8.794143 / 3600)  # equatorial horizontal, IAU 1976
_STEP = 300.0  # s: sampling of the Sun's altitude, far below the length of any night


@dataclass(frozen=True)
class AstronomicalNight:
    """Dusk and dawn (UTC) of an observing night."""

    name: str
    dusk: Time
    dawn: Time

    @property
    def duration(self) -> u.Quantity:
        """Length of astronomical darkness in hours."""
        return (self.dawn - self.dusk).to(u.h)


def night_date(night: str) -> date:
    """Civil date of the evening that a night's name gives.

    Raises
    ------
    ConfigurationError
        If `night` is not a date in the form ``YYYY-MM-DD``.
    """
    try:
        parsed = date.fromisoformat(night)
    except ValueError as error:
        raise ConfigurationError(
            f"{night!r} is no night: give the date of the evening as YYYY-MM-DD ({error})"
        ) from error
    if night != parsed.isoformat():
        raise ConfigurationError(f"{night!r} is no night: write {parsed.isoformat()!r}")
    return parsed


def night_span(night: str, site: Site) -> tuple[Time, Time]:
    """Begin and end (UTC) of an observing night: local noon to local noon."""
    evening = night_date(night)
    zone = ZoneInfo(site.time_zone)
    begin = datetime.combine(evening, time(12), zone)
    end = datetime.combine(evening + timedelta(days=1), time(12), zone)
    return Time(begin), Time(end)


def observing_night(moment: Time, site: Site) -> str:
    """Name of the observing night that a moment belongs to (local noon begins a night)."""
    civil = moment.utc.to_datetime(timezone=ZoneInfo(site.time_zone))
    evening = civil.date() if civil.hour >= 12 else civil.date() - timedelta(days=1)
    return evening.isoformat()


def sun_altitude(moments: Time, site: Site) -> u.Quantity:
    """True (airless) altitude of the Sun's centre, topocentric; shape of `moments`.

    # ASSUME: UT1 = UTC and no polar motion, so that no table of the Earth's rotation is read: below
    1 s (14 arcsec) by the definition of UTC. `astropy.coordinates.AltAz` gives the same with them.
    """
    tt, utc = moments.tt, moments.utc
    to_date = erfa.pnm06a(tt.jd1, tt.jd2)  # bias, precession, nutation
    x, y, z = np.moveaxis(
        np.einsum("...ij,j...->...i", to_date, get_sun(moments).cartesian.xyz.to_value(u.au)), -1, 0
    )
    distance = np.sqrt(x**2 + y**2 + z**2)
    sidereal = erfa.gst06a(utc.jd1, utc.jd2, tt.jd1, tt.jd2)
    hour_angle = sidereal + site.longitude.to_value(u.rad) - np.arctan2(y, x)
    latitude = site.latitude.to_value(u.rad)
    declination = np.arcsin(z / distance)
    altitude = np.arcsin(
        np.sin(latitude) * np.sin(declination)
        + np.cos(latitude) * np.cos(declination) * np.cos(hour_angle)
    )
    parallax = _SOLAR_PARALLAX / distance * np.cos(altitude)
    return np.degrees(altitude - parallax) * u.deg


@lru_cache(maxsize=64)
def astronomical_night(night: str, site: Site) -> AstronomicalNight:
    """Dusk and dawn of a night: the Sun's centre passes -18 degrees.

    A polar night, dark from noon to noon, begins and ends at local noon.

    Raises
    ------
    ConfigurationError
        If `night` is no date.
    MissingInputError
        If the Sun does not sink to -18 degrees in this night (high latitude, summer).
    """
    begin, end = night_span(night, site)
    seconds = np.arange(0.0, (end - begin).to_value(u.s) + _STEP / 2, _STEP)
    depth = sun_altitude(begin + seconds * u.s, site) - TWILIGHT_ALTITUDE
    dark = depth.value < 0
    if not dark.any():
        raise MissingInputError(
            f"night {night} at {site.name} has no astronomical darkness: the Sun stays above "
            f"{(depth.min() + TWILIGHT_ALTITUDE).to_value(u.deg):.1f} deg, needs below "
            f"{TWILIGHT_ALTITUDE.value:.0f} deg; leave this night out"
        )
    first, last = np.flatnonzero(dark)[[0, -1]]
    dusk = begin if first == 0 else begin + _crossing(begin, seconds[first - 1], site)
    dawn = end if last == dark.size - 1 else begin + _crossing(begin, seconds[last], site)
    return AstronomicalNight(night, dusk, dawn)


def _crossing(begin: Time, left: float, site: Site) -> u.Quantity:
    """Seconds after `begin` at which the Sun passes -18 degrees within one step after `left`."""
    grid = left + np.linspace(0.0, _STEP, 7)
    depth = (sun_altitude(begin + grid * u.s, site) - TWILIGHT_ALTITUDE).to_value(u.deg)
    order = np.argsort(depth)  # the Sun moves one way within five minutes of the crossing
    return np.interp(0.0, depth[order], grid[order]) * u.s
