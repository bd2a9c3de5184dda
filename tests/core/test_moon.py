"""The Moon against astropy's builtin ephemeris."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import AltAz, EarthLocation, SkyCoord, get_body
from astropy.time import Time
from astropy.utils import iers

from calibpipe.core.moon import moon


@pytest.mark.parametrize("when", ["2024-07-20T23:00:00", "2021-12-01T04:00:00"])
def test_as_astropy(north, south, when):
    """UT1 - UTC is below 0.9 s: 14 arcsec; the theories differ by some arcsec."""
    time = Time(when)
    for site in (north, south):
        place = EarthLocation.from_geodetic(site.longitude, site.latitude, site.elevation)
        with iers.conf.set_temp("auto_download", False):
            frame = AltAz(obstime=time, location=place)
            expected = get_body("moon", time, place).transform_to(frame)
            found = moon(time, site)
            place_found = SkyCoord(found.azimuth, 90 * u.deg - found.zenith, frame=frame)
            assert expected.separation(place_found) < 45 * u.arcsec


def test_phases():
    """Full Moon on 2024-07-21 10:17 UTC, first quarter on 2024-07-13 22:49 UTC."""
    from calibpipe.core.site import Site

    site = Site("x", 0 * u.deg, 0 * u.deg, 0 * u.m, "UTC", ())
    full = moon(Time("2024-07-21T10:17:00"), site)
    assert full.illuminated_fraction > 0.997  # 5 deg off the ecliptic at most
    assert full.phase_angle < 6 * u.deg
    quarter = moon(Time("2024-07-13T22:49:00"), site)
    assert abs(quarter.illuminated_fraction - 0.5) < 0.005
    new = moon(Time("2024-07-05T22:57:00"), site)
    assert new.illuminated_fraction < 0.003


def test_parallax_lowers_the_moon(north):
    """By 57 arcmin times the sine of the zenith angle: the geocentre sees it higher."""
    time = Time("2024-07-20T23:00:00")
    topocentric = moon(time, north).zenith
    geocentric = get_body("moon", time, ephemeris="builtin")
    from calibpipe.core.sky import zenith_angle

    # GCRS axes are those of the ICRS
    zenith = zenith_angle(
        np.atleast_1d(geocentric.ra), np.atleast_1d(geocentric.dec), Time([time]), north
    )[0]
    lowered = (topocentric - zenith).to_value(u.arcmin)
    distance = get_body("moon", time, ephemeris="builtin").distance
    parallax = np.degrees(6378.1 / distance.to_value(u.km)) * 60
    assert abs(lowered - parallax * np.sin(topocentric.to_value(u.rad))) < 0.5
