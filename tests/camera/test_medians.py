"""Medians against numpy's: every size, ties, infinities, few good pixels."""

import numpy as np
import pytest

from calibpipe.camera.medians import FEW, masked_median, masked_median_error

RNG_SEED = 20261124


def expected(values, good):
    return np.median(values[good]) if good.any() else np.nan


@pytest.mark.parametrize("n", [1, 2, 3, FEW, FEW + 1, FEW + 2, 255, 1854, 1855])
@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, n: rng.normal(100, 1, n),
        lambda rng, n: np.sort(rng.normal(size=n)),
        lambda rng, n: rng.integers(0, 3, n).astype(float),  # most of them the same
        lambda rng, n: np.full(n, 7.0),
        lambda rng, n: np.where(rng.random(n) < 0.1, np.inf, rng.standard_cauchy(n)),
        lambda rng, n: np.arange(n) % 9.0,  # in step with the pivots
    ],
)
def test_median_is_exactly_that_of_numpy(draw, n):
    rng = np.random.default_rng(RNG_SEED)
    for fraction in (1.0, 0.9, 0.5, 0.05, 0.0):
        values, good = draw(rng, n), rng.random(n) < fraction
        before = values.copy()
        np.testing.assert_array_equal(masked_median(values, good), [expected(values, good)])
        np.testing.assert_array_equal(values, before)


def test_what_is_not_good_may_be_no_number():
    values = np.array([[1.0, np.nan, 3.0, np.inf], [np.nan] * 4])
    good = np.isfinite(values)
    np.testing.assert_array_equal(masked_median(values, good), [[2.0], [np.nan]])
    assert masked_median_error(values, np.ones_like(values), good)[1, 0] == 0.0
