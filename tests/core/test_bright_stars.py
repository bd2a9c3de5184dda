"""Bright stars: against ctapipe's own query, by hand, speed, refusals."""

import time

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.time import Time
from ctapipe.utils.astro import get_bright_stars

from calibpipe.core.exceptions import ConfigurationError
from calibpipe.core.star_catalogue import bright_stars, colour_from_tycho
from calibpipe.core.star_files import read_star_catalogue

NOW = Time("2024-07-10T23:00:00")
VEGA = (279.23473479, 38.78368896)  # ICRS, J2000


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("catalogue", ["hipparcos", "yale"])
def test_stars_are_those_of_ctapipe(catalogue):
    """Same stars, same places after proper motion, to 0.1 mas."""
    middle, radius = SkyCoord(*VEGA, unit=u.deg), 2.5 * u.deg
    theirs = get_bright_stars(NOW, catalogue.title(), middle, radius, 7.0)
    mine = bright_stars(NOW, middle.ra, middle.dec, radius, 7.0, catalogue)
    number = np.array(theirs["HIP" if catalogue == "hipparcos" else "HR"])
    assert sorted(number) == sorted(mine.number)
    order = np.argsort(number)
    own = np.argsort(mine.number)
    separation = theirs["ra_dec"][order].separation(SkyCoord(mine.ra[own], mine.dec[own]))
    assert separation.to_value(u.mas).max() < 0.1


def test_brightest_first_with_proper_motion_and_colour():
    """Vega: V 0.03, 0.351 arcsec a year."""
    stars = bright_stars(NOW, *(VEGA * u.deg), 3 * u.deg)
    assert stars.names[0] == "HIP 91262"
    assert np.all(np.diff(stars.magnitude) >= 0)
    moved = SkyCoord(stars.ra[0], stars.dec[0]).separation(SkyCoord(*VEGA, unit=u.deg))
    assert moved.to_value(u.arcsec) == pytest.approx(0.3508 * (NOW.jyear - 2000), abs=0.02)
    assert np.all(stars.position_error < 0.05 * u.arcsec)
    assert np.all(np.isfinite(stars.colour))


def test_colour_by_hand():
    """Aldebaran: B-V 1.54; a star without B_T gets the mean with its spread."""
    stars = bright_stars(NOW, 68.98 * u.deg, 16.51 * u.deg, 0.1 * u.deg, 2.0)
    assert stars.names == ["HIP 21421"]
    assert stars.colour[0] == pytest.approx(1.54, abs=stars.colour_error[0])
    assert colour_from_tycho(8.09, 7.0) == pytest.approx(0.85)
    capella = bright_stars(NOW, 79.17 * u.deg, 46.0 * u.deg, 0.1 * u.deg, 2.0)
    assert (capella.colour[0], capella.colour_error[0]) == (0.65, 0.60)


def test_mean_colour_is_that_of_the_catalogue():
    every = read_star_catalogue("hipparcos")
    bright = every.magnitude < 7
    colour = colour_from_tycho(every.blue_magnitude, every.magnitude)[bright]
    assert np.nanmean(colour) == pytest.approx(0.65, abs=0.01)
    assert np.nanstd(colour) == pytest.approx(0.60, abs=0.01)
    assert every.n_without_position == 17


def test_selection_keeps_columns_together():
    stars = bright_stars(NOW, *(VEGA * u.deg), 3 * u.deg)
    few = stars[stars.magnitude < 5]
    assert 0 < len(few) < len(stars)
    assert few.catalogue == "hipparcos"
    np.testing.assert_array_equal(few.ra, stars.ra[: len(few)])


def test_field_over_the_pole():
    """Polaris is in a field whose middle is on the other side of the pole."""
    stars = bright_stars(NOW, 217 * u.deg, 89.9 * u.deg, 1 * u.deg, 3.0)
    assert stars.names == ["HIP 11767"]


def test_no_stars_are_no_error():
    assert len(bright_stars(NOW, *(VEGA * u.deg), 0.001 * u.deg, -3.0)) == 0


def test_query_is_fast():
    """0.3 s of processor time with reading, 0.05 s after it."""
    read_star_catalogue.cache_clear()
    for limit in (0.3, 0.05):
        begin = time.process_time()
        bright_stars(NOW, *(VEGA * u.deg), 2.5 * u.deg)
        assert time.process_time() - begin < limit


def test_refusals():
    field = (*(VEGA * u.deg), 2 * u.deg)
    with pytest.raises(
        ConfigurationError, match="unknown star catalogue 'gaia'; there are hipparcos"
    ):
        bright_stars(NOW, *field, catalogue="gaia")
    with pytest.raises(
        ConfigurationError, match="magnitude_limit is 9, the catalogue hipparcos ends"
    ):
        bright_stars(NOW, *field, 9.0)
    with pytest.raises(ConfigurationError, match="radius of the field"):
        bright_stars(NOW, *field[:2], 0 * u.deg)
