"""Directions on the sky over a site, without any download."""

import astropy.units as u
import erfa
import numpy as np
from astropy.time import Time
from numpy.typing import ArrayLike, NDArray

from .site import Site

__all__ = ["icrs_direction", "zenith_angle"]


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
