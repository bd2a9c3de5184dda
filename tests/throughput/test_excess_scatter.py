"""Scatter beyond the errors."""

import numpy as np
import pytest

from calibpipe.throughput.excess_scatter import clipped_variance, median_scatter, scatter_variance


def test_clipped_variance():
    assert clipped_variance(3.0) == pytest.approx(0.97334, abs=1e-5)
    drawn = np.random.default_rng(1).standard_normal(200_000)
    inside = drawn[np.abs(drawn) < 2]
    assert inside.var() == pytest.approx(clipped_variance(2.0), rel=4 * np.sqrt(2 / len(inside)))


def test_scatter_by_hand():
    # 4/(1 + s) + 4/(1 + s) = 2 at s = 3
    assert scatter_variance(np.array([4.0, 4.0]), np.ones(2), 2.0) == pytest.approx(3.0)
    assert scatter_variance(np.array([0.5, 0.5]), np.ones(2), 2.0) == 0.0
    assert scatter_variance(np.zeros(2), np.ones(2), 2.0) == 0.0


@pytest.mark.parametrize("scatter", [0.5, 3.0])
def test_scatter_comes_back(scatter):
    rng = np.random.default_rng(2)
    n = 20_000
    expected = rng.uniform(0.5, 1.5, n)
    squares = (rng.standard_normal(n) * np.sqrt(expected + scatter**2)) ** 2
    found = scatter_variance(squares, expected, n)
    error = np.sqrt(2 * n) / np.sum(1 / (expected + scatter**2))
    assert abs(found - scatter**2) < 4 * error
    assert scatter_variance(squares, expected, n, start=50.0) == pytest.approx(found, rel=1e-5)


def test_the_median_does_not_see_outliers():
    rng = np.random.default_rng(3)
    squares = 4 * rng.standard_normal(20_000) ** 2
    dirty = squares.copy()
    dirty[:200] = 1e6
    clean = median_scatter(squares, np.ones(20_000))
    # 1/(sqrt(n) 2 f(m)) of a median of squares: 2.3/sqrt(n) relative
    assert abs(clean / 3 - 1) < 4 * 2.3 * 4 / 3 / np.sqrt(20_000)
    assert median_scatter(dirty, np.ones(20_000)) - clean < 0.02 * 4 * 1.5
    assert median_scatter(np.full(9, 0.1), np.ones(9)) == 0.0
