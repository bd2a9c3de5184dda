"""Light of stars at known places: unbiased, the noise as stated, no hot pixels."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from calibpipe.atmosphere.allsky_photometry import (
    draw_stars,
    filter_noise,
    photometry,
    pixel_image,
    stamps,
    trail_factor,
)
from calibpipe.core.allsky_file import AllskyCamera

CAMERA = AllskyCamera(
    "equidistant", 200.0, 200.0, 120.0, gain=2.0, read_noise=5.0, pedestal=100.0, psf_sigma=1.1
)
SKY = 400.0


def places(rng, n=18, step=21):
    """Stars on a grid, each somewhere in its pixel."""
    grid = np.arange(n) * step + 20.0
    x, y = (part.ravel() for part in np.meshgrid(grid, grid))
    return x + rng.uniform(-0.5, 0.5, x.size), y + rng.uniform(-0.5, 0.5, x.size)


def frame(x, y, light, rng, sky=SKY):
    image = np.full((400, 400), sky, np.float32)
    draw_stars(image, x, y, light, CAMERA.psf_sigma)
    electrons = rng.poisson(image) + CAMERA.read_noise * rng.standard_normal(image.shape)
    return np.rint(electrons / CAMERA.gain + CAMERA.pedestal).astype(np.uint16)


@pytest.mark.parametrize("light", [0.0, 800.0, 20000.0])
def test_light_and_its_noise(light):
    rng = np.random.default_rng(1)
    residual, pull, sky = [], [], []
    for _ in range(4):
        x, y = places(rng)
        found = photometry(CAMERA, frame(x, y, np.full(x.size, light), rng), x, y, np.ones(x.size))
        noise = np.hypot(found.noise, filter_noise(0, light, CAMERA.psf_sigma))
        residual.append(found.light - light)
        pull.append(residual[-1] / noise)
        sky.append(found.background)
    pull, residual = np.concatenate(pull), np.concatenate(residual)
    n = pull.size
    assert (
        abs(residual.mean()) < 4 * residual.std() / np.sqrt(n) + 5e-3 * light
    )  # wings in the ring
    assert abs(pull.std() - 1) < 4 / np.sqrt(2 * n) + 0.03  # the common factor is known to 3 %
    assert abs(np.mean(sky) - SKY) < 0.01 * SKY


def test_noise_by_hand():
    """Width^2 1 + 1/12: 13.61 pixels, and the median of 100 of them; 4/3 of the star's photons."""
    area = 4 * np.pi * (1 + 1 / 12)
    expected = 100 * (area + np.pi / 200 * area**2) + 4 / 3 * 60
    assert_allclose(filter_noise(100.0, 60.0, 1.0, 100), np.sqrt(expected))


def test_background_between_stars():
    """Rivals as close as 6 pixels raise the median of the annulus, not that of its dark pixels."""
    rng = np.random.default_rng(2)
    x, y = places(rng)
    rivals = [
        (6.0, 0.0),
        (-5.0, 4.0),
        (2.0, 7.0),
        (0.0, -6.0),
        (-6.0, -4.0),
        (5.0, -5.0),
        (6.0, 5.0),
    ]
    every_x = np.concatenate([x, *(x + dx for dx, _ in rivals)])
    every_y = np.concatenate([y, *(y + dy for _, dy in rivals)])
    light = np.full(every_x.size, 4000.0)
    counts = frame(every_x, every_y, light, rng)
    found = photometry(CAMERA, counts, every_x, every_y, light).background[: x.size]
    ring = stamps(counts, x, y, 9).reshape(x.size, -1)
    whole = (np.median(ring, axis=1) - CAMERA.pedestal) * CAMERA.gain
    assert whole.mean() - SKY > 30
    assert abs(found.mean() - SKY) < 0.4 * (whole.mean() - SKY)


class TestBadPixels:
    @pytest.fixture
    def clear(self):
        rng = np.random.default_rng(3)
        x, y = places(rng)
        return x, y, frame(x, y, np.zeros(x.size), rng)

    @pytest.mark.parametrize("height", [600, 3000, 60000])
    def test_hot_pixel_is_no_star(self, clear, height):
        x, y, counts = clear
        counts[np.rint(y).astype(int), np.rint(x).astype(int)] = height
        found = photometry(CAMERA, counts, x, y, np.zeros(x.size))
        significance = found.light / found.noise
        assert np.abs(significance).max() < 5  # a star's would be 9 and more
        assert abs(significance.mean()) < 4 * significance.std() / np.sqrt(x.size)

    def test_cross_of_hot_pixels_hides_a_star(self, clear):
        """Half of the filter's weight is gone: no light is better than a guess."""
        x, y, counts = clear
        counts = counts.astype(np.float32)
        row, column = np.rint(y).astype(int), np.rint(x).astype(int)
        for dy, dx in ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0)):
            counts[row + dy, column + dx] = np.nan
        assert np.isnan(photometry(CAMERA, counts, x, y, np.zeros(x.size)).light).all()

    def test_hot_pixel_beside_a_star(self, clear):
        x, y, counts = clear
        rng = np.random.default_rng(4)
        counts = frame(x, y, np.full(x.size, 8000.0), rng)
        counts[np.rint(y).astype(int) + 2, np.rint(x).astype(int) + 2] = 50000
        found = photometry(CAMERA, counts, x, y, np.ones(x.size))
        assert abs(found.light.mean() - 8000) < 4 * found.light.std() / np.sqrt(x.size) + 80

    def test_not_finite(self, clear):
        x, y, counts = clear
        counts = counts.astype(np.float32)
        counts[:200] = np.nan
        found = photometry(CAMERA, counts, x, y, np.zeros(x.size))
        assert np.isnan(found.light[y < 195]).all()
        assert np.isfinite(found.light[y > 205]).all()

    def test_outside_of_the_frame(self, clear):
        _, _, counts = clear
        found = photometry(CAMERA, counts, [-50.0, 200.0], [10.0, 5000.0], [1.0, 1.0])
        assert np.isnan(found.light).all()
        assert np.isnan(found.background).all()


def test_stamps_are_nan_beyond_the_border():
    counts = np.arange(12.0).reshape(3, 4)
    part = stamps(counts, [0.0], [2.2], 1)[0]
    assert_allclose(part, [[np.nan, 4, 5], [np.nan, 8, 9], [np.nan] * 3])


def test_image_of_a_star_sums_to_one():
    assert_allclose(pixel_image([0.3, -0.5], 8, 1.0).sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("length", [0.0, 0.7, 3.0, 10.0])
def test_trail_as_drawn(length):
    """The matched filter on a drawn trail finds that part of its light."""
    image = np.zeros((61, 61))
    steps = (np.arange(40) + 0.5) / 40 - 0.5
    draw_stars(image, 30 + length * steps, np.full(40, 30.0), np.full(40, 1 / 40), 1.0)
    star = np.zeros((61, 61))
    draw_stars(star, np.full(1, 30.0), np.full(1, 30.0), [1.0], 1.0)
    assert_allclose(trail_factor(length, 1.0), np.sum(image * star) / np.sum(star**2), rtol=6e-3)


def test_wide_images_get_wide_stamps():
    rng = np.random.default_rng(5)
    camera = replace(CAMERA, psf_sigma=2.0)
    x, y = places(rng, n=9, step=42)
    image = np.full((400, 400), SKY, np.float32)
    draw_stars(image, x, y, np.full(x.size, 3e4), 2.0)
    counts = rng.poisson(image) / camera.gain + camera.pedestal
    found = photometry(camera, counts, x, y, np.ones(x.size))
    assert abs(found.light.mean() / 3e4 - 1) < 0.01
