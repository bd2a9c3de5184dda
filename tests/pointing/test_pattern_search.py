"""Coarse search: displacement found, planets, ambiguity, edge, nothing there."""

import numpy as np
import pytest

from calibpipe.pointing.pattern_search import match_pattern
from calibpipe.pointing.pixel_light import PixelShape, pixel_table, star_light

WIDTH, SIGMA, ERROR = 0.05, 0.025, 0.1
COLUMN, ROW = np.meshgrid(np.arange(-20, 21), np.arange(-20, 21))
PIXEL_X, PIXEL_Y = WIDTH * COLUMN.ravel(), WIDTH * ROW.ravel()
TABLE = pixel_table(PixelShape("square", WIDTH), SIGMA)
X, Y = np.array([-0.6, 0.2, 0.5, -0.1]), np.array([0.3, 0.6, -0.4, -0.5])
LIGHT = np.array([40.0, 20.0, 10.0, 5.0])


def match(dx, dy, rng, x=X, y=Y, light=LIGHT, radius=0.2, more=(), expected=None):
    """Search in an image of stars that are displaced; `more` (x, y, light) are no stars of ours."""
    places = np.array([*zip(x + dx, y + dy, light, strict=True), *more]).reshape(-1, 3)
    share = star_light(TABLE, PIXEL_X, PIXEL_Y, places[:, 0], places[:, 1], 0.0)[0]
    signal = places[:, 2] @ share + ERROR * rng.standard_normal(PIXEL_X.size)
    weight = np.full((1, PIXEL_X.size), ERROR**-2)
    known = light if expected is None else expected
    return match_pattern(
        signal[None], weight, PIXEL_X, PIXEL_Y, WIDTH, SIGMA, x[None], y[None], known, radius
    )


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.11, -0.07), (-0.02, 0.13)])
def test_displacement_of_some_pixels(shift):
    found = match(*shift, np.random.default_rng(1))
    assert np.hypot(found.dx - shift[0], found.dy - shift[1]) < 0.5 * WIDTH
    assert found.n_seen == 4
    assert not found.is_ambiguous
    assert not found.is_at_edge


def test_planet_and_wrong_fluxes_do_not_decide():
    """A planet near a faint star, one star twice as bright as the catalogue says."""
    rng = np.random.default_rng(2)
    shift = (0.05, 0.05)
    wrong = LIGHT * [1, 0.5, 1, 1]
    found = match(*shift, rng, more=[(-0.1, -0.4, 3000.0)], expected=wrong)
    assert np.hypot(found.dx - shift[0], found.dy - shift[1]) < 0.5 * WIDTH


def test_pattern_that_fits_twice_is_ambiguous():
    """Two equal stars and the same two again, 0.1 m beside."""
    x, y, light = np.array([-0.3, 0.3]), np.array([0.1, -0.1]), np.array([20.0, 20.0])
    again = [(-0.2, 0.1, 20.0), (0.4, -0.1, 20.0)]
    assert match(0, 0, np.random.default_rng(3), x, y, light, more=again).is_ambiguous
    assert not match(0, 0, np.random.default_rng(3), x, y, light).is_ambiguous


def test_larger_misalignment_is_at_the_edge():
    found = match(0.14, 0.0, np.random.default_rng(4), radius=0.14)
    assert found.is_at_edge


def test_nothing_is_seen_in_noise():
    found = match(0, 0, np.random.default_rng(5), light=0 * LIGHT, expected=LIGHT)
    assert found.n_seen < 2
