"""Slices, means in them, intervals of one quality."""

import numpy as np
import pytest

from calibpipe.atmosphere.good_time_intervals import (
    good_time_intervals,
    overlap,
    slice_means,
    time_slices,
)
from calibpipe.core.exceptions import ConfigurationError


def test_equal_slices_of_about_a_length():
    np.testing.assert_allclose(time_slices(0, 100, 30), [0, 100 / 3, 200 / 3, 100])
    np.testing.assert_allclose(time_slices(5, 6, 30), [5, 6])


@pytest.mark.parametrize("arguments", [(1, 1, 30), (0, 100, 0)])
def test_slices_that_cannot_be(arguments):
    with pytest.raises(ConfigurationError, match="the end must be after the begin"):
        time_slices(*arguments)


def test_seconds_in_common():
    edges = np.array([0.0, 10.0, 20.0])
    found = overlap(edges, [-5, 8, 10, 20, 30], [5, 12, 10, 20, 40])
    np.testing.assert_array_equal(found, [[5, 2, 0, 0, 0], [0, 2, 1, 0, 0]])


def test_means_by_hand():
    seconds = np.array([[1.0, 3.0, 5.0], [0.0, 0.0, 5.0], [0.0, 0.0, 0.0]])
    found = slice_means(seconds, [0.1, 0.2, np.nan], [0.08, 0.04, 0.1], [0.01, 0.03, 0.1])
    np.testing.assert_allclose(found.value, [0.175, np.nan, np.nan])
    by_error = np.hypot(0.25 * 0.08, 0.75 * 0.04)
    scatter = np.sqrt(2 * ((0.25 * 0.075) ** 2 + (0.75 * 0.025) ** 2))
    assert scatter > by_error
    np.testing.assert_allclose(found.stat_error, [scatter, np.nan, np.nan])
    np.testing.assert_allclose(found.sys_error, [0.025, np.nan, np.nan])
    np.testing.assert_array_equal(found.n, [2, 0, 0])
    steady = slice_means(np.ones((1, 2)), [0.1, 0.1], [0.03, 0.04], [0, 0])
    np.testing.assert_allclose(steady.stat_error, 0.025)


def test_union_of_neighbours():
    edges = np.arange(7) * 10.0
    found = good_time_intervals(edges, ["good", "good", "bad", "good", "good", "good"])
    assert [(one.quality, one.first, one.stop) for one in found] == [
        ("good", 0, 2),
        ("bad", 2, 3),
        ("good", 3, 6),
    ]
    assert [one.livetime for one in found] == [20, 10, 30]
    assert [one.begin for one in found[1:]] == [one.end for one in found[:-1]]  # no gap
    assert sum(one.livetime for one in found) == edges[-1] - edges[0]


def test_one_slice_and_all_alike():
    assert len(good_time_intervals(np.array([0.0, 1.0]), ["unknown"])) == 1
    assert len(good_time_intervals(np.arange(4.0), ["bad"] * 3)) == 1


@pytest.mark.parametrize("quality", [[], ["good"]])
def test_one_quality_a_slice(quality):
    with pytest.raises(ConfigurationError, match="qualities of 2 slices"):
        good_time_intervals(np.arange(3.0), quality)
