"""The catalogue that ctapipe ships."""

import astropy.units as u
import numpy as np
from astropy.time import Time

from calibpipe.core.star_catalogue import catalogue_stars

NOW = Time("2024-07-10T23:00:00")


def near(stars, ra, dec):
    """Index of the closest star."""
    turn = (stars.ra.to_value(u.deg) - ra + 180) % 360 - 180
    apart = np.hypot(turn * np.cos(np.radians(dec)), stars.dec.to_value(u.deg) - dec)
    return int(np.argmin(apart)), float(apart.min())


def test_whole_catalogue_brightest_first():
    stars = catalogue_stars(NOW)
    assert len(stars.ra) == 41074 - 17  # those without a position
    assert np.all(np.diff(stars.magnitude) >= 0)
    assert stars.magnitude[0] == np.float32(-1.44)  # Sirius
    assert abs(stars.ra[0] - 101.287 * u.deg) < 0.01 * u.deg
    assert abs(stars.dec[0] + 16.716 * u.deg) < 0.01 * u.deg
    assert np.isfinite(stars.dec.value).all()


def test_faintest():
    assert len(catalogue_stars(NOW, 5.0).ra) == np.sum(catalogue_stars(NOW).magnitude <= 5.0)


def test_proper_motion():
    """61 Cygni moves by 4.168 arcsec/yr in RA cos(dec) and 3.269 in dec (Hipparcos)."""
    old, new = (
        catalogue_stars(Time(year, format="jyear", scale="tt")) for year in (1991.25, 2024.0)
    )
    k, distance = near(old, 316.7118, 38.7415)
    assert distance < 0.01
    m, _ = near(new, 316.7118 + 0.05, 38.7415 + 0.03)
    assert old.magnitude[k] == new.magnitude[m]
    years = 2024.0 - 1991.25
    cosine = np.cos(np.radians(38.74))
    moved_ra = (new.ra[m] - old.ra[k]).to_value(u.arcsec) * cosine
    moved_dec = (new.dec[m] - old.dec[k]).to_value(u.arcsec)
    np.testing.assert_allclose([moved_ra, moved_dec], [4.168 * years, 3.269 * years], rtol=0.01)
