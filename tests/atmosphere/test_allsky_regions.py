"""Regions of the sky."""

import astropy.units as u
import numpy as np
import pytest
from numpy.testing import assert_allclose

from calibpipe.atmosphere.allsky_regions import even_directions, region_index, sky_regions
from calibpipe.core.exceptions import ConfigurationError

REGIONS = sky_regions([0, 20, 60], [1, 4])


def test_edges_and_solid_angle():
    assert REGIONS.zenith_min.tolist() == [0, 20, 20, 20, 20]
    assert REGIONS.azimuth_min.tolist() == [0, 0, 90, 180, 270]
    assert REGIONS.azimuth_max.tolist() == [360, 90, 180, 270, 360]
    cap, quarter = 1 - np.cos(np.radians(20)), (np.cos(np.radians(20)) - 0.5) / 4
    expected = 2 * np.pi * np.array([cap, *[quarter] * 4])
    assert_allclose(REGIONS.solid_angle.to_value(u.sr), expected)


def test_index():
    azimuth = [10, 359, -1, 89.9, 90, 180, 0, 0] * u.deg
    zenith = [5, 20, 30, 59.9, 40, 59, 60, 85] * u.deg
    assert region_index(REGIONS, azimuth, zenith).tolist() == [0, 4, 4, 1, 2, 3, -1, -1]


def test_rings_that_begin_below_the_zenith():
    regions = sky_regions([10, 20], [2])
    found = region_index(regions, [0, 0, 200] * u.deg, [5, 10, 15] * u.deg)
    assert found.tolist() == [-1, 0, 1]


def test_even_directions_fall_in_proportion_to_the_solid_angle():
    azimuth, zenith = even_directions(20000, 60.0)
    number = np.bincount(region_index(REGIONS, azimuth, zenith))
    assert_allclose(number / 20000, REGIONS.solid_angle / REGIONS.solid_angle.sum(), atol=2e-3)


@pytest.mark.parametrize(
    ("edges", "sectors", "message"),
    [
        ([0], [], "two or more"),
        ([0, 30, 30], [1, 1], "ascending"),
        ([-5, 30], [1], "ascending from 0"),
        ([0, 89], [1], "at most 85"),
        ([0, 30, 60], [1], "2 rings of zenith angle but sectors"),
        ([0, 30], [0], "1 or more"),
    ],
)
def test_wrong_regions(edges, sectors, message):
    with pytest.raises(ConfigurationError, match=message):
        sky_regions(edges, sectors)
