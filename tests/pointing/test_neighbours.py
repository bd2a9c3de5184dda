"""Stars that no catalogue has: their light in pixels, and what they do to the pointing."""

import astropy.units as u
import numpy as np
import pytest
from starry_sky import ARCSEC, many

from calibpipe.core.telescope import subarray_of
from calibpipe.pointing.neighbours import light_of_neighbours, squared_light
from calibpipe.pointing.pixel_light import pixel_shape, pixel_table, star_light


def test_squared_light_by_hand():
    """100 p.e. of V = 5: 3.98 p.e. at 8.5, 1.58 at 9.5, 1.9 and 5 of them in a deg²."""
    flux, magnitude = np.array([100.0, 0.0, 40.0]), np.array([5.0, 4.0, 6.0])
    zero_point = np.median([100 * 10**2.0, 40 * 10**2.4])
    expected = zero_point**2 * (1.9 * 10**-6.8 + 5.0 * 10**-7.6)
    assert squared_light(flux, magnitude, 8.0) == pytest.approx(expected)
    assert squared_light(np.array([100.0]), np.array([5.0]), 8.0) == pytest.approx(
        1.9 * 3.981**2 + 5 * 1.585**2, rel=1e-3
    )
    assert squared_light(np.zeros(2), magnitude[:2], 8.0) == 0


@pytest.mark.parametrize("sigma", [0.03, 0.05])
def test_covariance_of_light_in_pixels(sigma):
    """Integral of the shares of two pixels over all places of a star, on a grid: to 5 %."""
    geometry = subarray_of([1])[1].tel[1].camera.geometry
    shape = pixel_shape(geometry)
    metres = np.deg2rad(sigma) * 29.3
    x, y = geometry.pix_x.to_value(u.m), geometry.pix_y.to_value(u.m)
    near = np.flatnonzero(np.hypot(x, y) < 2.1 * shape.width)
    step = shape.width / 12
    reach = np.arange(-5 * shape.width, 5 * shape.width, step)
    star_x, star_y = (v.ravel() for v in np.meshgrid(reach, reach))
    table = pixel_table(shape, metres)
    share = star_light(table, x[near], y[near], star_x, star_y, 0.0)[0]
    expected = 7.0 * share.T @ share * step**2
    width = np.hypot(metres, np.sqrt(shape.variance))
    found = light_of_neighbours(x[near], y[near], shape.area, width, 7.0)
    assert found @ found.T == pytest.approx(expected, abs=0.05 * expected.max())


@pytest.mark.parametrize("seed", [5, 9, 21, 36])
def test_fields_with_stars_in_no_catalogue(seed):
    """Catalogue to V = 7, stars to 8: without their error these stars "disagree"."""
    sky = many(seed)
    sky.magnitude_limit, sky.n_images, sky.step = 8.0, 12, 60.0
    found, _ = sky.tracked(magnitude_limit=7.0)
    fit, (error, stat) = found.trajectory, sky.errors(found)
    parts = fit.own_systematics[0]
    own = np.sqrt(sum(values**2 for values in parts.values())).reshape(-1, 2).T / ARCSEC
    assert np.all(parts["neighbours"] / ARCSEC > 0.5)
    assert np.abs(error.mean(axis=1) / np.hypot(own, stat).mean(axis=1)).max() < 3
    turn = found.rotation - sky.truth.rotation.to_value(u.rad)
    systematic = sum(values[0] ** 2 for values in fit.common_systematics.values())
    assert abs(turn) < 3 * np.sqrt(systematic + fit.common_covariance[0, 0])
