"""Zenith angles against astropy, and there and back."""

from dataclasses import replace

import astropy.units as u
import numpy as np
from astropy.coordinates import AltAz, EarthLocation, SkyCoord
from astropy.time import Time
from astropy.utils import iers
from numpy.testing import assert_allclose

from calibpipe.core.sky import horizontal_direction, icrs_direction, refraction, zenith_angle

TIMES = Time("2024-07-10T23:00:00") + np.linspace(0, 5, 6) * u.h


def test_as_astropy(north, south):
    rng = np.random.default_rng(1)
    ra, dec = rng.uniform(0, 360, 6) * u.deg, rng.uniform(-80, 80, 6) * u.deg
    for site in (north, south):
        place = EarthLocation.from_geodetic(site.longitude, site.latitude, site.elevation)
        with iers.conf.set_temp("auto_download", False):
            frame = AltAz(obstime=TIMES, location=place)
            expected = SkyCoord(ra, dec).transform_to(frame).zen
        found = zenith_angle(ra, dec, TIMES, site)
        # aberration of 20 arcsec, Earth's rotation within 0.9 s
        assert_allclose(found.to_value(u.deg), expected.to_value(u.deg), atol=0.01)


def test_there_and_back(south):
    azimuth, zenith = np.linspace(0, 350, 6) * u.deg, np.linspace(0, 85, 6) * u.deg
    ra, dec = icrs_direction(azimuth, zenith, TIMES, south)
    assert_allclose(zenith_angle(ra, dec, TIMES, south).value, zenith.value, atol=1e-5)


def test_azimuth_is_north_over_east(north):
    """At azimuth 0 the pole is near; in the east stars have yet to rise to the meridian."""
    _, dec = icrs_direction([0, 90] * u.deg, [61.2, 61.2] * u.deg, TIMES[:2], north)
    assert dec[0] > 88 * u.deg
    ra, dec = icrs_direction([90] * u.deg, [60] * u.deg, TIMES[:1], north)
    later = Time(TIMES[:1] + 1 * u.h)
    assert zenith_angle(ra, dec, later, north) < 50 * u.deg


def test_many_stars_share_a_time(north):
    moment = np.array([3, 3, 0])
    ra, dec = [10, 50, 90] * u.deg, [0, 20, 40] * u.deg
    expected = zenith_angle(ra, dec, TIMES[moment], north)
    found = zenith_angle(ra, dec, TIMES, north, moment)
    assert_allclose(found.value, expected.value, rtol=1e-12)


def test_horizontal_direction_as_astropy(north, south):
    rng = np.random.default_rng(2)
    ra, dec = rng.uniform(0, 360, 200) * u.deg, rng.uniform(-80, 80, 200) * u.deg
    for site in (north, south):
        place = EarthLocation.from_geodetic(site.longitude, site.latitude, site.elevation)
        with iers.conf.set_temp("auto_download", False):
            frame = AltAz(obstime=TIMES[2], location=place)
            azimuth, zenith = horizontal_direction(ra, dec, TIMES[2], site)
            found = SkyCoord(azimuth, 90 * u.deg - zenith, frame=frame)
            # aberration of 20 arcsec, Earth's rotation within 0.9 s
            assert SkyCoord(ra, dec).transform_to(frame).separation(found).max() < 36 * u.arcsec


def test_refraction_as_erfa(north):
    """Within 4 %: 5 % less air by temperature alone."""
    place = EarthLocation.from_geodetic(north.longitude, north.latitude, north.elevation)
    with iers.conf.set_temp("auto_download", False):
        air = {"pressure": 780 * u.hPa, "temperature": 1 * u.deg_C, "obswl": 0.55 * u.um}
        airless = AltAz(obstime=TIMES[0], location=place)
        star = SkyCoord([0] * 4 * u.deg, [60, 45, 30, 20] * u.deg, frame=airless)
        lifted = star.transform_to(AltAz(obstime=TIMES[0], location=place, **air)).alt - star.alt
    found = refraction(90 * u.deg - star.alt, north)
    assert_allclose(found.to_value(u.arcsec), lifted.to_value(u.arcsec), rtol=0.05)


def test_refraction_at_sea_level_by_hand(north):
    """Meeus, p. 106: at the true altitude of 33' it is 24.6' (1010 hPa, 283 K)."""
    sea = replace(north, elevation=0 * u.m)
    expected = 24.6 * 1013.25 / 1010 * 283 / 288.15
    found = refraction((90 - 0.5541) * u.deg, sea).to_value(u.arcmin)
    assert abs(found - expected) < 0.1
    assert refraction(0 * u.deg, north) < 1 * u.arcsec
    assert refraction(120 * u.deg, north) == refraction(90 * u.deg, north)
