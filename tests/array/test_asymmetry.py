"""Ratios of pairs: by hand, biases of the estimators, covariance of pairs of one event."""

import numpy as np
import pytest
from made_pairs import all_pairs, rows, sums_of

from calibpipe.array.asymmetry import PairSums, add_events, mean_asymmetry, pair_ratios
from calibpipe.core.exceptions import ConfigurationError, InsufficientStatisticsError

SIGMA = 0.2


def events(rng, n, log_c, sigma=SIGMA):
    """Energies of a power law, log-normal resolution."""
    log_c = np.asarray(log_c)
    true = rng.exponential(1 / 1.6, (n, 1))
    return np.exp(true + log_c + sigma * rng.normal(size=(n, len(log_c))))


def test_asymmetries_without_noise():
    """D06: 0.0526316, -0.0476190, -0.1 for throughputs 1, 0.9, 1.1."""
    ratios = pair_ratios(sums_of(np.array([[1, 0.9, 1.1]]) * np.array([[1.0], [3.0]])))
    np.testing.assert_allclose(ratios.asymmetry, [0.0526316, -0.0476190, -0.1], atol=5e-8)
    np.testing.assert_allclose(ratios.log_ratio, np.log([1 / 0.9, 1 / 1.1, 0.9 / 1.1]))
    np.testing.assert_array_equal(ratios.n, 2)


def test_published_mean_is_drawn_to_zero():
    """D06: -0.36 % of the ratio for a ratio of 1.2 and 20 % resolution."""
    expected = mean_asymmetry(1.2, np.sqrt(2) * SIGMA)
    assert expected == pytest.approx(0.0891, abs=1e-4)
    assert np.exp(2 * np.arctanh(expected)) / 1.2 - 1 == pytest.approx(-0.0036, abs=2e-4)
    np.testing.assert_allclose(mean_asymmetry([0.5, 1.0], 0.0), [-1 / 3, 0], atol=1e-12)


@pytest.mark.parametrize("estimator", ["log_ratio", "mean_asymmetry", "median"])
def test_estimators_against_their_known_bias(rng, estimator):
    n, ratio = 400_000, 1.2
    found = pair_ratios(sums_of(events(rng, n, [np.log(ratio), 0])), estimator=estimator)
    expected = np.log(ratio)
    if estimator == "mean_asymmetry":
        expected = 2 * np.arctanh(mean_asymmetry(ratio, np.sqrt(2) * SIGMA))
        assert found.log_ratio[0] < np.log(ratio) - 4 * found.error[0]
    assert abs(found.log_ratio[0] - expected) < 4 * found.error[0]
    factor = np.sqrt(np.pi / 2) if estimator == "median" else 1.0
    assert found.error[0] == pytest.approx(factor * np.sqrt(2) * SIGMA / np.sqrt(n), rel=0.05)


def test_mean_logarithm_of_normal_energies_has_its_bias_only_for_different_types(rng):
    n, one, two = 1_000_000, 0.1, 0.25
    values = 1 + np.array([one, two]) * rng.normal(size=(n, 2))
    values = values[(values > 0).all(axis=1)]
    found = pair_ratios(sums_of(values))
    # to second order (sigma_2^2 - sigma_1^2)/2, to fourth 3/4 (sigma_2^4 - sigma_1^4) more
    expected = (two**2 - one**2) / 2 + 3 / 4 * (two**4 - one**4)
    assert found.log_ratio[0] == pytest.approx(expected, rel=0.06)
    equal = pair_ratios(sums_of(1 + one * rng.normal(size=(n, 2))))
    assert abs(equal.log_ratio[0]) < 4 * equal.error[0]


def test_median_does_not_mind_outliers(rng):
    n = 20_000
    values = events(rng, n, [np.log(1.2), 0])
    values[: n // 10, 0] *= 5  # a tenth of the images is wrong
    sums = sums_of(values)
    mean, median = (pair_ratios(sums, estimator=e) for e in ("log_ratio", "median"))
    assert mean.log_ratio[0] - np.log(1.2) > 0.1
    # 10 % beyond one side shift the median to the quantile 0.5/0.9 of the rest: 0.14 sigma
    assert median.log_ratio[0] - np.log(1.2) == pytest.approx(0.14 * np.sqrt(2) * SIGMA, abs=0.01)


def test_errors_of_all_pairs_and_their_covariance(rng):
    """200 samples of 300 events with 2 to 4 of 4 telescopes: pulls of width 1, covariance right."""
    log_c = np.array([0.1, -0.1, 0.05, 0.0])
    pairs = all_pairs(4)
    true = log_c[pairs.first] - log_c[pairs.second]
    found, covariance = [], []
    for _ in range(200):
        values = events(rng, 300, log_c)
        values[rng.random(values.shape) < 0.3] = np.nan
        ratios = pair_ratios(sums_of(values))
        found.append(ratios.log_ratio - true)
        covariance.append(ratios.covariance)
    found, covariance = np.array(found), np.mean(covariance, axis=0)
    pulls = found / np.sqrt(np.diag(covariance))
    assert np.std(pulls) == pytest.approx(1, abs=4 * np.sqrt(1 / (2 * 200 * 3)))  # 3 independent
    seen = np.cov(found.T)
    scale = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    np.testing.assert_allclose(seen / scale, covariance / scale, atol=4 * np.sqrt(2 / 200))
    # pairs (0, 1) and (0, 2) share a telescope: half of the events of one are in the other
    assert covariance[0, 1] / scale[0, 1] > 0.2


def test_three_telescopes_of_one_event_have_two_independent_ratios(rng):
    ratios = pair_ratios(sums_of(events(rng, 500, [0, 0, 0])))
    loop = np.array([1, -1, 1])  # (0, 1) - (0, 2) + (1, 2)
    assert loop @ ratios.log_ratio == pytest.approx(0, abs=1e-12)
    assert loop @ ratios.covariance @ loop < 0.01 * ratios.covariance[0, 0]


def test_sums_of_blocks_are_those_of_all_events(rng):
    values = events(rng, 500, [0.1, 0, -0.1])
    values[rng.random(values.shape) < 0.3] = np.nan
    whole = sums_of(values)
    added = sums_of(values[:123]) + sums_of(values[123:])
    for name in ("n", "ratio", "ratio2", "asymmetry", "histogram", "shared", "product", "partial"):
        np.testing.assert_allclose(getattr(added, name), getattr(whole, name), rtol=1e-12)
    assert added.counts == whole.counts


def test_rows_that_cannot_count_are_counted(rng):
    values = events(rng, 100, [0, 0, 0])
    first, telescope, flat = rows(values)
    flat[[0, 3]] = np.nan
    flat[[7, 10, 13]] = -1.0, 0.0, -0.1
    flat[20] = np.inf
    selected = np.ones(flat.size, bool)
    selected[[30, 31]] = False
    sums = PairSums.of_pairs(3)
    add_events(sums, all_pairs(3), first, telescope, flat, selected=selected)
    assert sums.counts == {"rows": 300, "not_finite": 3, "not_positive": 3, "not_selected": 2}
    ratios = pair_ratios(sums)
    assert np.isfinite(ratios.log_ratio).all()
    # eight rows of seven events lack: each takes two of three pairs
    assert sums.n.sum() == 300 - 2 * 6 - 3  # two rows of one event leave no pair


def test_window_and_distance(rng):
    values = np.array([[1.0, 4.0], [1.0, 0.5], [3.0, 3.0], [2.0, 2.0]])
    distance = np.array([100, 100, 100, 100, 100, 120, np.nan, 100.0])
    sums = sums_of(values, window=(1.0, np.inf))
    assert sums.n[0] == 3  # geometric means 2, 0.7, 3, 2
    sums = sums_of(values, distance=distance, distance_limit=0.05)
    assert sums.n[0] == 2  # 0.09 in the third, NaN in the last
    sums = sums_of(values, distance=distance, distance_limit=np.full(8, 0.1))
    assert sums.n[0] == 3
    weighted = sums_of(values, window=(1.5, np.inf), weight=np.array([0.9]))
    assert weighted.n[0] == 2  # 1.15, 0.93, 3, 2


def test_sign_is_that_of_the_telescope_with_the_smaller_number():
    pairs = all_pairs(2)
    sums = PairSums.of_pairs(1)
    add_events(sums, pairs, np.array([0, 2]), np.array([1, 0]), np.array([1.0, 2.0]))
    assert sums.ratio[0] == pytest.approx(np.log(2))


def test_pair_with_a_single_event_is_not_valid_and_ruins_nothing(rng):
    values = events(rng, 50, [0, 0, 0])
    values[1:, 2] = np.nan
    ratios = pair_ratios(sums_of(values))
    np.testing.assert_array_equal(ratios.n, [50, 1, 1])
    np.testing.assert_array_equal(ratios.is_valid, [True, False, False])
    assert np.isnan(ratios.log_ratio[1:]).all()
    assert np.isfinite(ratios.error[0])


def test_few_events_take_the_variance_of_their_group(rng):
    values = events(rng, 2000, [0, 0, 0])
    values[2:, 2] = np.nan
    values[:2] = 1.0  # the two events of telescope 2 agree by chance
    ratios = pair_ratios(sums_of(values), ["A", "A", "A"])
    assert ratios.error[1] == pytest.approx(np.sqrt(2) * SIGMA / np.sqrt(2), rel=0.1)


def test_errors_of_small_pairs_are_honest(rng):
    """Pairs of 10 events, 20 of a group: pulls have width 1."""
    pulls = []
    for _ in range(60):
        values = events(rng, 10, np.zeros(7))
        ratios = pair_ratios(sums_of(values), np.zeros(21))
        pulls.append((ratios.log_ratio / ratios.error)[[0, 7, 15]])
    n = np.size(pulls)
    assert np.std(pulls) == pytest.approx(1, abs=4 / np.sqrt(2 * n))


def test_no_events_and_unknown_estimator(rng):
    with pytest.raises(InsufficientStatisticsError, match="no event has two telescopes"):
        pair_ratios(PairSums.of_pairs(3))
    with pytest.raises(ConfigurationError, match="estimator 'mode'"):
        pair_ratios(sums_of(events(rng, 5, [0, 0])), estimator="mode")
