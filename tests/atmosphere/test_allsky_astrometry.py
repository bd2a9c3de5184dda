"""Refinement of the projection: the true camera is found, a moved one is said."""

from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from numpy.testing import assert_allclose

from calibpipe.atmosphere.allsky_astrometry import fitted_camera, refined_camera
from calibpipe.atmosphere.allsky_photometry import draw_stars
from calibpipe.atmosphere.allsky_projection import pixel
from calibpipe.core.allsky_file import AllskyCamera

HEADER = AllskyCamera("equidistant", 400.0, 410.0, 250.0, gain=1.0, read_noise=5.0, psf_sigma=1.0)
TRUE = replace(
    HEADER,
    x_center=402.1,
    y_center=408.7,
    focal_length=250.8,
    rotation=0.25,
    tilt_north=0.3,
    tilt_east=-0.2,
)


def sky(n, seed=1):
    """Directions of stars some degrees apart."""
    rng = np.random.default_rng(seed)
    azimuth, zenith = [], []
    while len(zenith) < n:
        a, z = rng.uniform(0, 360), np.degrees(np.arccos(rng.uniform(np.cos(np.radians(75)), 1)))
        x, y = pixel(HEADER, np.array([*azimuth, a]) * u.deg, np.array([*zenith, z]) * u.deg)
        if np.all(np.hypot(x[:-1] - x[-1], y[:-1] - y[-1]) > 17):
            azimuth.append(a)
            zenith.append(z)
    return np.array(azimuth) * u.deg, np.array(zenith) * u.deg


def image(camera, azimuth, zenith, light, seed=2):
    rng = np.random.default_rng(seed)
    electrons = np.full((820, 800), 200.0)
    draw_stars(electrons, *pixel(camera, azimuth, zenith), np.full(len(zenith), light), 1.0)
    return rng.poisson(electrons).astype(np.uint16)


def off(camera, other):
    """Largest distance of places on the sky, pixel."""
    places = np.linspace(0, 330, 12) * u.deg, np.tile([20, 45, 70], 4) * u.deg
    return np.hypot(*np.subtract(pixel(camera, *places), pixel(other, *places))).max()


def test_true_camera_is_found():
    stars = sky(120)
    found = refined_camera(HEADER, image(TRUE, *stars, 8000.0), *stars)
    assert found.is_refined
    assert not found.is_lost
    assert found.n_matched == 120
    assert found.rms < 0.1
    assert off(HEADER, TRUE) > 3.0
    assert off(found.camera, TRUE) < 0.05


def test_eight_stars_between_clouds():
    """They tell the shift; the priors keep the rest."""
    stars = sky(120)
    seen = (stars[0][:8], stars[1][:8])
    found = refined_camera(HEADER, image(TRUE, *seen, 8000.0), *stars)
    assert found.is_refined
    assert found.n_matched == 8
    assert off(found.camera, TRUE) < 0.6


def test_overcast():
    stars = sky(120)
    found = refined_camera(HEADER, image(TRUE, *stars, 0.0), *stars)
    assert not found.is_refined
    assert not found.is_lost
    assert found.camera == HEADER
    assert found.n_matched == 0


def test_moved_camera_is_lost():
    """Stars of the catalogue everywhere, but turned by 40 deg."""
    stars = sky(200)
    turned = replace(TRUE, rotation=40.0)
    found = refined_camera(HEADER, image(turned, *stars, 8000.0), *stars)
    assert found.is_lost
    assert not found.is_refined
    assert found.camera == HEADER
    assert found.n_peaks > 20


def test_hot_pixels_are_no_stars():
    stars = sky(120)
    counts = image(TRUE, *stars, 0.0)
    rng = np.random.default_rng(3)
    counts.ravel()[rng.integers(0, counts.size, 8000)] = 60000  # one near every star
    found = refined_camera(HEADER, counts, *stars)
    assert found.n_peaks < 10
    assert not found.is_lost


@pytest.mark.parametrize("n", [40, 1])
def test_fit_to_exact_places(n):
    """With many stars the truth, with one the shift towards it."""
    azimuth, zenith = sky(n)
    x, y = pixel(TRUE, azimuth, zenith)
    found = fitted_camera(HEADER, azimuth, zenith, x, y, error=0.01)
    assert_allclose(pixel(found, azimuth, zenith), [x, y], atol=1e-3)
    if n == 40:
        assert off(found, TRUE) < 1e-3
