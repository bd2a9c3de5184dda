"""Light of a star in pixels: against sums over fine grids, derivatives, all of the light."""

import time

import astropy.units as u
import numpy as np
import pytest

from calibpipe.core.exceptions import ConfigurationError
from calibpipe.pointing.coma_psf import ComaPsf, psf_density
from calibpipe.pointing.pixel_light import PixelShape, pixel_shape, pixel_table, star_light

COMA, SIGMA = 0.0434, 0.03  # deg


def hexagons(width, turn, reach=0.6):
    """Middles of a plane of hexagons without gaps."""
    n = int(reach / width) + 2
    i, j = np.meshgrid(np.arange(-n, n + 1), np.arange(-n, n + 1))
    x, y = (width * (i + j / 2)).ravel(), (width * np.sqrt(3) / 2 * j).ravel()
    return x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)


def inside(x, y, shape):
    c, s = np.cos(shape.rotation), np.sin(shape.rotation)
    a, b = np.abs(x * c + y * s), np.abs(y * c - x * s)
    if shape.kind == "square":
        return (a < shape.width / 2) & (b < shape.width / 2)
    return (a < shape.width / 2) & (a / 2 + b * np.sqrt(3) / 2 < shape.width / 2)


SHAPES = [PixelShape("hexagon", 0.1, 0.3), PixelShape("square", 0.19, -0.2)]


@pytest.mark.parametrize("shape", SHAPES)
def test_share_is_the_integral_of_the_density(shape):
    """Sum of the density over a fine grid in the pixel, for pixels around a star at 1.2 deg."""
    star = np.array([0.9, 0.8])
    distance = np.hypot(*star)
    direction = star / distance
    table = pixel_table(shape, SIGMA)
    step = shape.width / 160
    grid = np.arange(-0.8, 0.8, 1 / 160) * shape.width
    x, y = np.meshgrid(grid, grid)
    within = inside(x, y, shape)
    for place in ([0.0, 0.0], [0.05, 0.03], [-0.08, 0.1], [0.15, 0.12]):
        pixel = star + place
        dx, dy = x[within] + place[0], y[within] + place[1]
        along = dx * direction[0] + dy * direction[1]
        across = dy * direction[0] - dx * direction[1]
        density = psf_density(
            along * u.deg, across * u.deg, distance * u.deg, ComaPsf(SIGMA * u.deg, COMA)
        )
        expected = density.value.sum() * step**2
        share = star_light(table, *pixel[:, None], *star, COMA)[0, 0, 0]
        assert share == pytest.approx(expected, abs=1.5e-3 * max(expected, 0.05))


@pytest.mark.parametrize("where", [0.0, 0.4, 1.5])
def test_all_of_the_light_and_its_centroid(where):
    shape = SHAPES[0]
    x, y = hexagons(shape.width, shape.rotation)
    star = np.array([where * 0.6, where * 0.8])
    light = star_light(pixel_table(shape, SIGMA), x + star[0], y + star[1], *star, COMA)[0, 0]
    assert light.sum() == pytest.approx(1, abs=2e-4)
    assert (light @ x, light @ y) == pytest.approx((0, 0), abs=0.004)  # pixels round it


@pytest.mark.parametrize("shape", SHAPES)
def test_derivatives_are_differences(shape):
    rng = np.random.default_rng(5)
    star = np.array([0.7, -0.5])
    x, y = star[:, None] + rng.uniform(-0.15, 0.15, (2, 30))
    variance, coma, h = SIGMA**2, COMA, 1e-4

    def share(dx=0.0, dy=0.0, dv=0.0, dc=0.0):
        table = pixel_table(shape, np.sqrt(variance + dv))
        return star_light(table, x, y, star[0] + dx, star[1] + dy, coma + dc)

    found = share()[1:, 0]
    for i, (name, step) in enumerate((("dx", h), ("dy", h), ("dv", 2e-5), ("dc", h))):
        expected = (share(**{name: step})[0, 0] - share(**{name: -step})[0, 0]) / 2 / step
        np.testing.assert_allclose(found[i], expected, atol=0.015 * np.abs(expected).max())


def test_stars_that_are_nowhere_or_far_give_no_light():
    table = pixel_table(SHAPES[0], SIGMA)
    light = star_light(table, [0.0], [0.0], [np.nan, 3.0, 0.0], [0.0, 0.0, 0.0], COMA)
    assert light.shape == (5, 3, 1)
    np.testing.assert_array_equal(light[:, :2], 0)
    circles = 1 - np.exp(-(np.array([1, 4 / 3]) * (0.05 / SIGMA) ** 2) / 2)  # within and around
    assert circles[0] < light[0, 2, 0] < circles[1]


def test_shape_of_the_pixels_of_a_camera(example_lst):
    geometry = example_lst.tel[1].camera.geometry
    shape = pixel_shape(geometry)
    assert shape.kind == "hexagon"
    assert shape.width == pytest.approx(geometry.pixel_width[0].to_value(u.m), rel=0.02)
    # neighbours are across the sides that the width is between
    dx = geometry.pix_x - geometry.pix_x[0]
    dy = geometry.pix_y - geometry.pix_y[0]
    angle = np.arctan2(dy, dx)[geometry.neighbor_matrix[0]].to_value(u.rad) - shape.rotation
    np.testing.assert_allclose(np.sin(3 * angle), 0, atol=0.05)


def test_speed():
    """A star in an LST camera with derivatives takes less than a millisecond."""
    x, y = hexagons(0.1, 0.0, reach=2.2)
    table = pixel_table(SHAPES[0], SIGMA)
    stars = np.random.default_rng(6).uniform(-1.4, 1.4, (2, 100))
    star_light(table, x, y, stars[0, :1], stars[1, :1], COMA)
    begin = time.process_time()
    star_light(table, x, y, *stars, COMA)
    assert time.process_time() - begin < 0.1


def test_refusals():
    with pytest.raises(ConfigurationError, match="pixel is a circle"):
        PixelShape("circle", 1.0)
    with pytest.raises(ConfigurationError, match="needs more than 0"):
        pixel_table(SHAPES[0], 0.0)
    with pytest.raises(ConfigurationError, match="that sharp"):
        pixel_table(SHAPES[0], 1e-4)
