"""Where the Moon stands over a site and how much of it is lit, without any download."""

from dataclasses import dataclass

import astropy.units as u
import erfa
import numpy as np
from astropy.time import Time

from .site import Site
from .sky import horizontal

__all__ = ["Moon", "moon"]


@dataclass(frozen=True)
class Moon:
    """The Moon at one moment.

    Attributes
    ----------
    azimuth, zenith : Quantity, deg
        Topocentric, airless; azimuth north over east.
    phase_angle : Quantity, deg
        Sun - Moon - Earth: 0 at full Moon.
    """

    azimuth: u.Quantity
    zenith: u.Quantity
    phase_angle: u.Quantity

    @property
    def illuminated_fraction(self) -> float:
        """Of the disk."""
        return float((1 + np.cos(self.phase_angle.to_value(u.rad))) / 2)


def moon(time: Time, site: Site) -> Moon:
    """The Moon over a site (Meeus' theory in erfa: some 10 arcsec).

    # ASSUME: as `zenith_angle`: UT1 = UTC, no polar motion, no aberration, no refraction.

    Parameters
    ----------
    time : Time, scalar
    site : Site
    """
    tt, utc = time.tt, time.utc
    sidereal = float(erfa.gst06a(utc.jd1, utc.jd2, tt.jd1, tt.jd2))
    geocentric = np.asarray(erfa.moon98(tt.jd1, tt.jd2)["p"])  # au, GCRS
    sun = -np.asarray(erfa.epv00(tt.jd1, tt.jd2)[0]["p"])
    from_moon = sun - geocentric
    cosine = -from_moon @ geocentric / np.linalg.norm(from_moon) / np.linalg.norm(geocentric)

    longitude = site.longitude.to_value(u.rad)
    elevation = site.elevation.to_value(u.m)
    x, y, z = erfa.gd2gc(1, longitude, site.latitude.to_value(u.rad), elevation) / erfa.DAU
    turned = np.array(
        [
            np.cos(sidereal) * x - np.sin(sidereal) * y,
            np.sin(sidereal) * x + np.cos(sidereal) * y,
            z,
        ]
    )
    of_date = erfa.pnm06a(tt.jd1, tt.jd2) @ geocentric - turned
    azimuth, zenith = horizontal(of_date, sidereal + longitude, site)
    return Moon(azimuth, zenith, np.degrees(np.arccos(cosine)) * u.deg)
