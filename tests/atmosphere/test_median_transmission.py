"""Median transmission of an interval."""

import numpy as np
import pytest

from calibpipe.atmosphere.aerosol_profile import DepthProfile
from calibpipe.atmosphere.median_transmission import median_transmission
from calibpipe.core.exceptions import InsufficientStatisticsError


def profile(depth, stat=0.0, sys=0.0):
    depth = np.atleast_2d(depth).astype(float)
    return DepthProfile(depth, np.full((1, *depth.shape), stat), {"x": np.full(depth.shape, sys)})


def test_each_bin_has_its_own_median():
    found = [profile([[0.1, 0.4]]), profile([[0.2, 0.3]]), profile([[0.9, 0.5]])]
    value, stat, sys = median_transmission(found)
    np.testing.assert_allclose(value, np.exp([[-0.2, -0.4]]))
    scatter = np.exp(-np.array([0.1, 0.2, 0.9])).std(ddof=1)
    np.testing.assert_allclose(stat[0, 0], np.sqrt(np.pi / 2) * scatter / np.sqrt(3))
    np.testing.assert_array_equal(sys, 0)


def test_one_and_two_slices():
    value, stat, sys = median_transmission([profile(0.2, 0.01, 0.02)])
    np.testing.assert_allclose([value, stat], np.exp(-0.2) * np.array([[[1]], [[0.01]]]))
    np.testing.assert_allclose(sys, np.exp(-0.2) * (1 - np.exp(-0.02)))
    value, _, _ = median_transmission([profile(0.2), profile(0.4)])
    np.testing.assert_allclose(value, (np.exp(-0.2) + np.exp(-0.4)) / 2)


def test_systematic_errors_do_not_average_out():
    _, _, sys = median_transmission([profile(0.2, 0.01, 0.02)] * 9)
    np.testing.assert_allclose(sys, np.exp(-0.2) * (1 - np.exp(-0.02)))


def test_pulls_have_width_one():
    rng = np.random.default_rng(7)
    n, pulls = 1000, []
    for _ in range(n):
        some = [profile(0.3 + 0.02 * rng.normal(), 0.02) for _ in range(15)]
        value, stat, _ = median_transmission(some)
        pulls.append(float((value - np.exp(-0.3))[0, 0] / stat[0, 0]))
    # error of 15 medians 1.228 instead of sqrt(pi/2); max of error and scatter: 0.92 to 0.98
    assert 0.9 - 4 / np.sqrt(2 * n) < np.std(pulls) < 1.0 + 4 / np.sqrt(2 * n)


def test_no_slice():
    with pytest.raises(InsufficientStatisticsError, match="needs a slice with a profile"):
        median_transmission([])
