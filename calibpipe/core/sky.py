"""Directions on the sky over a site, without any download."""

import astropy.units as u
import erfa
import numpy as np
from astropy.time import Time
from numpy.typing import ArrayLike, NDArray

from .site import Site

__all__ = ["horizontal", "horizontal_direction", "icrs_direction", "refraction", "zenith_angle"]


def zenith_angle(
    ra: u.Quantity, dec: u.Quantity, times: Time, site: Site, moment: ArrayLike | None = None
) -> u.Quantity:
    """True (airless) zenith angle of ICRS directions.

    # ASSUME: UT1 = UTC, no polar motion, no aberration (20 arcsec) and no refraction (1.7 arcmin at
    60 deg): together below 0.03 deg up to 60 deg and 0.1 deg up to 80 deg.

    Parameters
    ----------
    ra, dec : Quantity, shape (n,), angle
    times : Time, shape (n_times,)
    site : Site
    moment : array_like, shape (n,), int, optional
        Which of the times each direction belongs to; one time per direction if not given.

    Returns
    -------
    Quantity, shape (n,), deg
    """
    to_date, sidereal = _orientation(times, site)
    latitude = site.latitude.to_value(u.rad)
    of_date = _vector(sidereal, np.broadcast_to(latitude, np.shape(sidereal)))
    zenith = np.einsum("...ij,...i->...j", to_date, of_date)  # back to the ICRS
    if moment is not None:
        zenith = zenith[np.asarray(moment, int)]
    ra, dec = ra.to_value(u.rad), dec.to_value(u.rad)
    cosine = np.cos(dec) * (zenith[..., 0] * np.cos(ra) + zenith[..., 1] * np.sin(ra))
    return np.degrees(np.arccos(np.clip(cosine + zenith[..., 2] * np.sin(dec), -1, 1))) * u.deg


def icrs_direction(
    azimuth: u.Quantity, zenith: u.Quantity, times: Time, site: Site
) -> tuple[u.Quantity, u.Quantity]:
    """Right ascension and declination (ICRS) of directions over a site; as `zenith_angle`.

    Parameters
    ----------
    azimuth, zenith : Quantity, shape (n,), angle
        North over east; true zenith angle.
    times : Time, shape (n,)
    site : Site
    """
    to_date, sidereal = _orientation(times, site)
    latitude = site.latitude.to_value(u.rad)
    a, z = azimuth.to_value(u.rad), zenith.to_value(u.rad)
    north, east, up = np.cos(a) * np.sin(z), np.sin(a) * np.sin(z), np.cos(z)
    toward = np.cos(latitude) * up - np.sin(latitude) * north  # to the equator on the meridian
    of_date = np.stack(
        [
            np.cos(sidereal) * toward - np.sin(sidereal) * east,
            np.sin(sidereal) * toward + np.cos(sidereal) * east,
            np.sin(latitude) * up + np.cos(latitude) * north,
        ],
        axis=-1,
    )
    x, y, w = np.moveaxis(np.einsum("...ij,...i->...j", to_date, of_date), -1, 0)
    ra = np.degrees(np.arctan2(y, x)) % 360
    return ra * u.deg, np.degrees(np.arcsin(np.clip(w, -1, 1))) * u.deg


def horizontal_direction(
    ra: u.Quantity, dec: u.Quantity, time: Time, site: Site
) -> tuple[u.Quantity, u.Quantity]:
    """Azimuth (north over east) and true zenith angle of ICRS directions at one moment.

    As `zenith_angle`; `refraction` gives what the air adds.

    Parameters
    ----------
    ra, dec : Quantity, shape (n,), angle
    time : Time, scalar
    site : Site

    Returns
    -------
    azimuth, zenith : Quantity, shape (n,), deg
    """
    to_date, sidereal = _orientation(time, site)
    of_date = _vector(ra.to_value(u.rad), dec.to_value(u.rad)) @ to_date.T
    return horizontal(of_date, sidereal, site)


def horizontal(
    of_date: NDArray, sidereal: float | NDArray, site: Site
) -> tuple[u.Quantity, u.Quantity]:
    """Azimuth and zenith angle of vectors (any length) in the true equator of date.

    Parameters
    ----------
    of_date : ndarray, shape (..., 3)
    sidereal : float, rad
        Local sidereal time.
    site : Site
    """
    x, y, w = np.moveaxis(of_date, -1, 0)
    toward = np.cos(sidereal) * x + np.sin(sidereal) * y  # to the equator on the meridian
    east = np.cos(sidereal) * y - np.sin(sidereal) * x
    latitude = site.latitude.to_value(u.rad)
    north = np.cos(latitude) * w - np.sin(latitude) * toward
    up = np.sin(latitude) * w + np.cos(latitude) * toward
    azimuth = np.degrees(np.arctan2(east, north)) % 360
    return azimuth * u.deg, np.degrees(np.arctan2(np.hypot(north, east), up)) * u.deg


def refraction(zenith: u.Quantity, site: Site) -> u.Quantity:
    r"""Angle by which the air lifts a star.

    .. math:: R = 1.02' \cot\left(h + \frac{10.3}{h + 5.11}\right) \frac{p}{1010\,\mathrm{hPa}}
              \frac{283\,\mathrm{K}}{T}, \quad h = 90 - z

    within 0.1 arcmin down to the horizon.

    # ASSUME: pressure and temperature of the standard atmosphere at the site's elevation; weather
    changes the angle by 5 %, 0.3 arcmin at 80 deg.

    Parameters
    ----------
    zenith : Quantity, any shape, angle
        True (airless) zenith angle; below the horizon the angle at the horizon.

    References
    ----------
    Saemundsson 1986, Sky & Telescope 72, 70; Meeus 1998, Astronomical Algorithms, eq. 16.4.
    """
    altitude = np.maximum(90 - zenith.to_value(u.deg), 0.0)
    temperature = 288.15 - 0.0065 * site.elevation.to_value(u.m)  # ICAO
    pressure = 1013.25 * (temperature / 288.15) ** 5.2559
    angle = 1.02 / np.tan(np.radians(altitude + 10.3 / (altitude + 5.11)))
    lifted = np.maximum(angle, 0.0) * pressure / 1010 * 283 / temperature
    return lifted / 60 * u.deg


def _orientation(times: Time, site: Site) -> tuple[NDArray, NDArray]:
    """Bias, precession and nutation (ICRS to true equator of date); local sidereal time."""
    tt, utc = times.tt, times.utc
    sidereal = erfa.gst06a(utc.jd1, utc.jd2, tt.jd1, tt.jd2) + site.longitude.to_value(u.rad)
    return erfa.pnm06a(tt.jd1, tt.jd2), sidereal


def _vector(longitude: NDArray, latitude: NDArray) -> NDArray:
    return np.stack(
        [
            np.cos(latitude) * np.cos(longitude),
            np.cos(latitude) * np.sin(longitude),
            np.sin(latitude),
        ],
        axis=-1,
    )
