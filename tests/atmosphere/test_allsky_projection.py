"""Fisheye projections: hand-computed places, there and back, solid angles."""

from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from numpy.testing import assert_allclose

from calibpipe.atmosphere.allsky_projection import (
    angle_to_axis,
    direction,
    pixel,
    pixel_solid_angle,
    vignetting,
)
from calibpipe.core.allsky_file import PROJECTIONS, AllskyCamera

CAMERA = AllskyCamera("equidistant", 511.5, 500.0, 300.0)
TILTED = replace(
    CAMERA,
    rotation=33.0,
    parity=-1,
    tilt_north=2.0,
    tilt_east=-1.0,
    radial_1=-0.03,
    radial_2=0.004,
    radial_3=-0.0005,
)


@pytest.mark.parametrize(
    ("projection", "radius"),
    [
        ("equidistant", 300 * np.pi / 3),
        ("equisolid", 600 * 0.5),
        ("stereographic", 600 * np.tan(np.pi / 6)),
        ("orthographic", 300 * np.sqrt(3) / 2),
    ],
)
def test_radius_at_60_degrees(projection, radius):
    """North is up."""
    x, y = pixel(replace(CAMERA, projection=projection), [0] * u.deg, [60] * u.deg)
    assert_allclose(x, 511.5)
    assert_allclose(y, 500 + radius)


def test_east_lies_left_and_right_if_mirrored():
    east = ([90] * u.deg, [30] * u.deg)
    assert_allclose(pixel(CAMERA, *east), [[511.5 - 50 * np.pi], [500]])
    assert_allclose(pixel(replace(CAMERA, parity=-1), *east), [[511.5 + 50 * np.pi], [500]])


def test_rotation_turns_north_towards_east():
    assert_allclose(
        pixel(replace(CAMERA, rotation=90), [0] * u.deg, [30] * u.deg),
        [[511.5 - 50 * np.pi], [500]],
    )


def test_radial_polynomial_by_hand():
    camera = replace(CAMERA, radial_1=0.1, radial_2=0.01, radial_3=0.001)
    _, y = pixel(camera, [0] * u.deg, [np.degrees(1.0)] * u.deg)
    assert_allclose(y, 500 + 300 * 1.111)


def test_tilted_axis():
    """The axis 2 deg north of the zenith: what stands there is on it, the zenith lies south."""
    camera = replace(CAMERA, tilt_north=2.0)
    x, y = pixel(camera, [0, 0] * u.deg, [2, 0] * u.deg)
    assert_allclose(x, 511.5)
    assert_allclose(y, [500, 500 - 300 * np.radians(2)])
    assert_allclose(np.degrees(angle_to_axis(camera, 180 * u.deg, 10 * u.deg)), 12)


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_there_and_back(projection):
    camera = replace(TILTED, projection=projection)
    rng = np.random.default_rng(1)
    azimuth, zenith = rng.uniform(0, 360, 500) * u.deg, rng.uniform(0.1, 80, 500) * u.deg
    found = direction(camera, *pixel(camera, azimuth, zenith))
    turn = (found[0] - azimuth + 180 * u.deg) % (360 * u.deg) - 180 * u.deg
    assert_allclose(turn.value * np.sin(zenith.to_value(u.rad)), 0, atol=2e-4)
    assert_allclose(found[1].value, zenith.value, atol=2e-4)


def test_no_sky():
    assert np.isnan(pixel(CAMERA, [0] * u.deg, [101] * u.deg)).all()
    _, zenith = direction(replace(CAMERA, projection="orthographic"), 511.5, 500 + 301)
    assert np.isnan(zenith)


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_pixels_fill_the_sky(projection):
    """Their solid angles above 70 deg from the axis sum to that of the cap."""
    camera = replace(CAMERA, projection=projection, radial_1=-0.02)
    y, x = np.mgrid[:1000, :1024]
    _, zenith = direction(camera, x, y)
    inside = zenith < 70 * u.deg
    total = pixel_solid_angle(camera, zenith[inside].to_value(u.rad)).to_value(u.sr).sum()
    # pixels on the edge count wholly or not: 2 pi r of them, each +- 0.3 of its 1e-5 sr
    assert abs(total / (2 * np.pi * (1 - np.cos(np.radians(70)))) - 1) < 1e-3


def test_vignetting():
    camera = replace(CAMERA, vignetting_1=-0.2, vignetting_2=-0.1)
    assert_allclose(vignetting(camera, [0, 1, 2]), [1, 0.7, 0])
