"""Stars in a simulated camera: photoelectrons by hand, tracks, misalignment."""

import os

os.environ.setdefault("CTAPIPE_IO_ZFITS_NO_SERVICE_DATA", "1")

import astropy.units as u
import numpy as np
import pytest
from astropy.time import Time

from calibpipe.core.exceptions import ConfigurationError
from calibpipe.core.site import load_site
from calibpipe.core.star_catalogue import Stars
from calibpipe.core.telescope import subarray_of
from calibpipe.pointing.apparent_place import SurfaceAir, observed_places
from calibpipe.pointing.focal_plane import camera_pointing, sky_position
from calibpipe.pointing.star_flux import band_photons
from calibpipe.simulation.stars import (
    PointingTruth,
    meridian_source,
    star_positions,
    star_rates,
    star_telescope,
    star_truth_table,
    stars_in_view,
    tracked_source,
)

AIR = SurfaceAir(785 * u.hPa, 12 * u.deg_C, 0.3)
TIMES = Time("2024-07-10T23:00:00") + np.arange(0, 1201, 300) * u.s
STRAIGHT = PointingTruth()
BENT = PointingTruth(60 * u.arcsec, -30 * u.arcsec, 5 * u.arcmin, 1.001, 40 * u.arcsec)


@pytest.fixture(scope="module")
def lst():
    return star_telescope(subarray_of([1])[1].tel[1], 0.2, 0.03 * u.deg)


@pytest.fixture
def site(root):
    return load_site(root / "config/sites/CTAO-North.yaml")


def one_star(ra, dec, magnitude=5.0):
    place = (np.atleast_1d(value) for value in (ra, dec))
    one = np.ones(1)
    return Stars(
        np.array([1]), *place, magnitude * one, 0 * one, 0 * one, one * u.arcsec, "hipparcos"
    )


def view(lst, site, truth=STRAIGHT, times=TIMES):
    ra, dec = meridian_source(times[0] + 600 * u.s, site, AIR)
    drive = tracked_source(ra, dec, times, site, AIR)
    return (ra, dec), (times, drive, lst, truth, site, AIR)


def test_photoelectrons_by_hand(lst, site):
    """0.236 photons of V = 5 per m² and ns, 386 m², throughput 0.2: 18.2 per ns in an LST."""
    (ra, dec), plan = view(lst, site)
    star = one_star(ra, dec + 0.8 * u.deg)
    rates = star_rates(star, *plan)
    assert rates.shape == (5, 1855)
    altitude = observed_places(star.ra, star.dec, TIMES, site, AIR).altitude[0]
    photons = band_photons(5.0, 0.0, altitude, 0.3).to_value(1 / (u.m**2 * u.ns))
    total = photons * lst.mirror_area * 0.2
    assert total[0] == pytest.approx(0.236 * 386 * 0.2, rel=0.02)
    # light between pixels is lost
    fill = lst.shape.width**2 / 0.05**2
    np.testing.assert_allclose(rates.sum(axis=1), total * min(fill, 1), rtol=0.03)


def test_brightness_goes_with_the_magnitude(lst, site):
    (ra, dec), plan = view(lst, site)
    bright, faint = (star_rates(one_star(ra, dec, m), *plan) for m in (3.0, 5.5))
    np.testing.assert_allclose(bright, faint * 10, rtol=1e-12)


def test_the_source_is_in_the_middle(lst, site):
    (ra, dec), plan = view(lst, site)
    x, y, altitude = star_positions(one_star(ra, dec), *plan)
    np.testing.assert_allclose([x, y], 0, atol=1e-9)
    assert altitude.to_value(u.deg).max() == pytest.approx(70, abs=0.3)


def test_field_rotates(lst, site):
    """By the parallactic angle: sin(p) = -sin(az) cos(latitude)/cos(dec) of the source."""
    (ra, dec), plan = view(lst, site)
    x, y, _ = star_positions(one_star(ra, dec + 1 * u.deg), *plan)
    azimuth = plan[1][0]
    angle = np.arctan2(y[0], x[0])  # from altitude to azimuth; the star is in the North
    expected = np.arcsin(np.sin(azimuth) * np.cos(site.latitude) / np.cos(dec)).to_value(u.rad)
    turned = np.abs(np.diff(angle))
    np.testing.assert_allclose(turned, np.abs(np.diff(expected)), rtol=0.02)
    assert turned.sum() > np.deg2rad(5)


def test_misalignment_is_where_the_truth_says(lst, site):
    """The middle of the camera looks (dlon, dlat + flexure cos(altitude)) beside the drive."""
    _, plan = view(lst, site, BENT)
    drive = plan[1]
    alignment = BENT.at(drive[1])
    sag = 40 * np.cos(drive[1]).value
    np.testing.assert_allclose(alignment.dlat.to_value(u.arcsec), -30 + sag)
    looks = camera_pointing(*drive, alignment)
    np.testing.assert_allclose((looks[1] - drive[1]).to_value(u.arcsec), -30 + sag, atol=0.05)
    across = (looks[0] - drive[0]).to_value(u.arcsec) * np.cos(drive[1]).value
    np.testing.assert_allclose(across, 60, atol=0.05)


def test_positions_lead_back_to_the_stars(lst, site):
    (ra, dec), plan = view(lst, site, BENT)
    star = one_star(ra + 0.7 * u.deg, dec - 0.6 * u.deg)
    x, y, altitude = star_positions(star, *plan)
    _, back = sky_position(x[0] * u.m, y[0] * u.m, *plan[1], lst.plane, BENT.at(plan[1][1]))
    assert np.abs(back - altitude[0]).to_value(u.arcsec).max() < 1e-4


def test_light_is_where_the_star_is(lst, site):
    """Centroid of the light: the star, to the sampling of the pixels (50 mm)."""
    (ra, dec), plan = view(lst, site, BENT)
    star = one_star(ra, dec + 0.9 * u.deg)
    rates = star_rates(star, *plan)
    x, y, _ = star_positions(star, *plan)
    centroid = rates @ np.stack([lst.pixel_x, lst.pixel_y], axis=1) / rates.sum(axis=1)[:, None]
    np.testing.assert_allclose(centroid, np.stack([x[0], y[0]], axis=1), atol=0.006)


def test_stars_outside_of_the_camera_give_no_light(lst, site):
    (ra, dec), plan = view(lst, site)
    assert star_rates(one_star(ra, dec + 4 * u.deg), *plan).sum() == 0
    assert star_rates(one_star(ra + 180 * u.deg, -dec), *plan).sum() == 0  # below the horizon


def test_truth_table_has_the_stars_of_the_field(lst, site):
    (ra, dec), plan = view(lst, site)
    stars = stars_in_view(TIMES[0], ra, dec, lst, 7.0)
    table = star_truth_table(stars, *plan)
    assert len(table) == len(stars) > 3
    assert table["camera_x"].shape == (len(stars), len(TIMES))
    assert table["star"][0].startswith("HIP ")
    assert np.all(np.diff(table["magnitude"].value) >= 0)
    assert np.all(table["rate"].value > 0)


def test_source_too_low(site):
    with pytest.raises(ConfigurationError, match="below 10 deg from CTAO-North in 5 of 5 moments"):
        tracked_source(0 * u.deg, -75 * u.deg, TIMES, site, AIR)


def test_two_mirrors_have_no_coma():
    telescope = subarray_of([1])[1].tel[1]
    optics = replace_optics(telescope.optics, n_mirrors=2)
    found = star_telescope(_With(telescope, optics), 0.2, 0.03 * u.deg)
    assert found.psf.coma == 0
    assert found.plane.mapping == "sine"
    assert star_telescope(telescope, 0.2, 0.03 * u.deg).psf.coma == pytest.approx(
        1 - 28 / 29.30565, abs=1e-4
    )


class _With:
    def __init__(self, telescope, optics):
        self.optics, self.camera = optics, telescope.camera


def replace_optics(optics, **more):
    from ctapipe.instrument import OpticsDescription

    values = {name: getattr(optics, name) for name in OpticsDescription.__slots__}
    return OpticsDescription(**(values | more))
