"""Throughputs relative to each other: what is common cancels, what is not stays."""

import numpy as np
import pytest

from calibpipe.core.exceptions import ConfigurationError, InsufficientStatisticsError
from calibpipe.throughput.relative_throughput import matched_flashes, relative_throughput

TRUE = np.array([0.10, 0.12, 0.09])


def seen(rng, n=200, jitter=0.05, scatter=0.003):
    """The jitter is of the source, the scatter of each telescope."""
    source = rng.normal(1, jitter, (n, 1))
    return TRUE * source * rng.normal(1, scatter, (n, TRUE.size))


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def test_by_hand():
    found = relative_throughput([[1.0, 4.0]] * 10, {"gain": [0.03, 0.04]}, {"source": 0.1})
    np.testing.assert_allclose(found.ratio, [0.5, 2.0])
    # G = ((1, -1), (-1, 1)) / 2: (0.03² + 0.04²) / 4
    np.testing.assert_allclose(found.sys_covariance, 0.025**2 * np.array([[1, -1], [-1, 1]]))
    np.testing.assert_allclose(found.sys_error, [0.0125, 0.05])
    assert found.n_flashes == 10


def test_reference_by_hand():
    found = relative_throughput([[1.0, 4.0]] * 10, {"gain": [0.03, 0.04]}, {}, reference=0)
    np.testing.assert_allclose(found.ratio, [1.0, 4.0])
    np.testing.assert_allclose(found.sys_covariance, [[0, 0], [0, 0.05**2]])


def test_common_error_cancels_as_far_as_it_is_the_same():
    """A common attenuation length, telescopes at 500 and 600 m: what is left is the difference."""
    depth = np.array([0.01, 0.012])
    found = relative_throughput([[1.0, 1.0]] * 10, {}, {"source": 0.1, "air": depth}, reference=0)
    np.testing.assert_allclose(np.sqrt(np.diag(found.sys_covariance)), [0, 0.002], atol=1e-9)


@pytest.mark.parametrize("reference", [None, 1])
def test_jitter_of_the_source_cancels(rng, reference):
    """500 experiments: ratios unbiased, with the errors they give; the jitter alone is 0.35 %."""
    n = 500
    found = [relative_throughput(seen(rng), {}, {}, reference=reference) for _ in range(n)]
    true = TRUE / (TRUE[1] if reference else np.exp(np.log(TRUE).mean()))
    for tel in (0, 2):
        pull = np.array([(r.ratio[tel] - true[tel]) / r.stat_error[tel] for r in found])
        assert pull.mean() == pytest.approx(0, abs=4 / np.sqrt(n))
        assert pull.std(ddof=1) == pytest.approx(1, abs=4 / np.sqrt(2 * n))
    errors = np.mean([r.stat_error / r.ratio for r in found], axis=0)
    expected = 0.003 / np.sqrt(200) * (np.sqrt(2) if reference else np.sqrt(2 / 3))
    assert errors[0] == pytest.approx(expected, rel=4 / np.sqrt(2 * 200 * n) + 0.01)
    assert errors[0] < 0.05 / np.sqrt(200) / 10


def test_covariance_is_that_of_the_ratios(rng):
    found = [relative_throughput(seen(rng), {}, {}) for _ in range(500)]
    logs = np.log([r.ratio for r in found])
    mean = np.mean([r.stat_covariance for r in found], axis=0)
    # the relative error of a sampled covariance is sqrt(2 / 499)
    np.testing.assert_allclose(np.cov(logs.T), mean, atol=4 * mean.max() * np.sqrt(2 / 499))
    np.testing.assert_allclose(mean.sum(axis=0), 0, atol=1e-12)  # the mean is 0 by convention


def test_flashes_are_matched_by_their_numbers():
    found = matched_flashes(
        [[5, 1, 3, 9], [1, 2, 3, 5]], [[0.5, 0.1, 0.3, np.nan], [1.0, 2.0, np.nan, 5.0]]
    )
    np.testing.assert_array_equal(found, [[0.1, 1.0], [0.5, 5.0]])
    assert matched_flashes([], []).shape == (0, 0)


def test_rows_that_are_not_finite_are_left_out():
    values = np.array([[1.0, 2.0]] * 11)
    values[3, 1] = np.nan
    assert relative_throughput(values, {}, {}).n_flashes == 10


def test_too_few_common_flashes():
    with pytest.raises(InsufficientStatisticsError, match="at least 10 flashes seen by all 2"):
        relative_throughput(np.ones((9, 2)), {}, {})


def test_dark_telescope():
    with pytest.raises(InsufficientStatisticsError, match="telescope 1 is 0, not above 0"):
        relative_throughput(np.ones((20, 2)) * [1, 0], {}, {})


@pytest.mark.parametrize(("shape", "reference"), [((20, 1), None), ((20, 2), 2)])
def test_no_ratio(shape, reference):
    with pytest.raises(ConfigurationError, match="two telescopes and a reference"):
        relative_throughput(np.ones(shape), {}, {}, reference=reference)


def test_error_counted_twice():
    with pytest.raises(ConfigurationError, match=r"\['air'\] are own and common"):
        relative_throughput(np.ones((20, 2)), {"air": 0.1}, {"air": 0.1})
