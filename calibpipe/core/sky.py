"""Zenith angles of directions on the sky, without any download."""

import astropy.units as u
import erfa
import numpy as np
from astropy.time import Time
from numpy.typing import ArrayLike

from .site import Site

__all__ = ["zenith_angle"]


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
    tt, utc = times.tt, times.utc
    to_date = erfa.pnm06a(tt.jd1, tt.jd2)  # bias, precession, nutation
    sidereal = erfa.gst06a(utc.jd1, utc.jd2, tt.jd1, tt.jd2) + site.longitude.to_value(u.rad)
    latitude = site.latitude.to_value(u.rad)
    of_date = np.stack(
        [
            np.cos(latitude) * np.cos(sidereal),
            np.cos(latitude) * np.sin(sidereal),
            np.full(np.shape(sidereal), np.sin(latitude)),
        ],
        axis=-1,
    )
    zenith = np.einsum("...ij,...i->...j", to_date, of_date)  # back to the ICRS
    if moment is not None:
        zenith = zenith[np.asarray(moment, int)]
    ra, dec = ra.to_value(u.rad), dec.to_value(u.rad)
    cosine = np.cos(dec) * (zenith[..., 0] * np.cos(ra) + zenith[..., 1] * np.sin(ra))
    return np.degrees(np.arccos(np.clip(cosine + zenith[..., 2] * np.sin(dec), -1, 1))) * u.deg
