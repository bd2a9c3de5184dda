"""Throughputs from ratios of pairs: closure, islands, gauges, outliers."""

import numpy as np
import pytest
from made_pairs import all_pairs, sums_of

from calibpipe.array.asymmetry import pair_ratios
from calibpipe.array.inter_calibration import (
    external_gauge,
    inter_calibration,
    outlier_telescopes,
    reference_gauge,
)
from calibpipe.array.pair_graph import islands
from calibpipe.array.systematics import excess_covariance, systematic_covariance
from calibpipe.core.exceptions import ConfigurationError, InsufficientStatisticsError

SIGMA = 0.2


def graph(rng, n_tel=15, n_pairs=38):
    """Random connected pairs."""
    pairs = [(i, i + 1) for i in range(n_tel - 1)]
    rest = [p for p in zip(*np.triu_indices(n_tel, 1), strict=True) if p not in pairs]
    chosen = rng.permutation(len(rest))[: n_pairs - len(pairs)]
    return np.array(pairs + [rest[k] for k in chosen]).T


def test_throughputs_of_three_telescopes_without_noise():
    c = np.array([1.0, 0.9, 1.1])
    first, second = np.triu_indices(3, 1)
    result = inter_calibration(3, first, second, np.log(c[first] / c[second]), np.full(3, 1e-4))
    np.testing.assert_allclose(result.throughput, c / np.prod(c) ** (1 / 3), rtol=1e-12)
    assert result.chi2 == pytest.approx(0, abs=1e-20)
    assert result.n_dof == pytest.approx(1)
    # equal weights: variance of the mean of two ratios with the others, (1 - 1/3) / 3 of them
    np.testing.assert_allclose(result.error / result.throughput, np.sqrt(2 / 9) * 0.01)


def test_closure_of_fifteen_telescopes(rng):
    """D05: 38 pairs, 2000 events, 20 %, spread 10 %: rms 0.33 %, pull 1.03, chi2/ndf 1."""
    square, pulls, chi2, p_values = [], [], [], []
    for _ in range(60):
        first, second = graph(rng)
        x = 0.1 * rng.normal(size=15)
        noise = np.sqrt(2) * SIGMA * rng.normal(size=(2000, 38))
        ratio = x[first] - x[second] + noise
        result = inter_calibration(
            15, first, second, ratio.mean(axis=0), ratio.var(axis=0, ddof=1) / 2000
        )
        away = result.log_throughput - (x - x.mean())
        square.append(np.mean(away**2))
        pulls.append(away * result.throughput / result.error)
        chi2.append(result.chi2)
        p_values.append(result.p_value)
        assert result.n_dof == pytest.approx(24)
    assert np.sqrt(np.mean(square)) < 0.0035
    # 14 of 15 values are independent
    assert np.std(pulls) == pytest.approx(1, abs=4 / np.sqrt(2 * 60 * 14))
    assert np.mean(chi2) / 24 == pytest.approx(1, abs=4 * np.sqrt(2 / 24 / 60))
    assert np.mean(p_values) == pytest.approx(0.5, abs=4 / np.sqrt(12 * 60))


def test_published_mean_is_worse(rng):
    """Mean asymmetries: the bias shows in the pulls (1.21 with 10 % spread)."""
    first, second = np.triu_indices(6, 1)
    x = np.array([0.3, -0.3, 0.2, -0.2, 0.1, -0.1])
    pulls = {"log_ratio": [], "mean_asymmetry": []}
    for _ in range(20):
        values = np.exp(x + SIGMA * rng.normal(size=(4000, 6)))
        sums = sums_of(values)
        for estimator, found in pulls.items():
            ratios = pair_ratios(sums, estimator=estimator)
            result = inter_calibration(6, first, second, ratios.log_ratio, ratios.covariance)
            found.append((result.log_throughput - x) / np.sqrt(np.diag(result.covariance)))
    assert np.std(pulls["log_ratio"]) == pytest.approx(1, abs=4 / np.sqrt(2 * 20 * 5))
    assert np.std(pulls["mean_asymmetry"]) > 1.2


def test_errors_with_pairs_that_share_their_events(rng):
    """Events of three to six telescopes: pulls of 1, where independent pairs would give 1.4."""
    n_tel, x = 8, np.linspace(-0.2, 0.2, 8)
    pairs, pulls, naive, p_values = all_pairs(n_tel), [], [], []
    for _ in range(60):
        values = np.exp(x + SIGMA * rng.normal(size=(1500, n_tel)))
        values[rng.random(values.shape) < 0.4] = np.nan
        ratios = pair_ratios(sums_of(values))
        result, alone = (
            inter_calibration(n_tel, pairs.first, pairs.second, ratios.log_ratio, c)
            for c in (ratios.covariance, np.diag(ratios.covariance))
        )
        away = result.log_throughput - x
        pulls.append(away / np.sqrt(np.diag(result.covariance)))
        naive.append(away / np.sqrt(np.diag(alone.covariance)))
        p_values.append(result.p_value)
    assert np.std(pulls) == pytest.approx(1, abs=4 / np.sqrt(2 * 60 * 7))
    assert np.std(naive) > 1.3
    assert np.mean(p_values) == pytest.approx(0.5, abs=4 / np.sqrt(12 * 60))


def test_islands_are_reported_and_never_solved_together(rng):
    """D05: levels of two parts cannot be compared; each has mean 0."""
    first, second = np.array([0, 1, 0, 3, 5]), np.array([1, 2, 2, 4, 6])
    x = np.array([0.1, 0.0, -0.1, 0.5, 0.3, -0.2, 0.2, 0.0])
    result = inter_calibration(8, first, second, x[first] - x[second], np.full(5, 1e-4))
    np.testing.assert_array_equal(result.islands.number, [0, 0, 0, 1, 1, 2, 2, 3])
    np.testing.assert_array_equal(result.islands.size, [3, 2, 2, 1])
    assert result.islands.described(range(11, 19)) == "11, 12, 13 | 14, 15 | 16, 17 | 18"
    np.testing.assert_allclose(
        result.log_throughput[:7], [0.1, 0, -0.1, 0.1, -0.1, -0.2, 0.2], atol=1e-12
    )
    assert np.isnan(result.log_throughput[7])
    assert np.isnan(result.covariance[7]).all()
    np.testing.assert_allclose(result.covariance[:3, 3:7], 0, atol=1e-20)


def test_islands_of_nothing():
    found = islands(3, [], [])
    np.testing.assert_array_equal(found.size, [1, 1, 1])


def test_reference_gauge_adds_the_noise_of_the_reference(rng):
    first, second = np.triu_indices(5, 1)
    ratio = 0.01 * rng.normal(size=10)
    result = inter_calibration(5, first, second, ratio, np.full(10, 1e-4))
    moved = reference_gauge(result, 2)
    assert moved.throughput[2] == 1
    assert moved.error[2] == 0
    np.testing.assert_allclose(
        moved.log_throughput, result.log_throughput - result.log_throughput[2], atol=1e-15
    )
    difference = result.covariance[0, 0] + result.covariance[2, 2] - 2 * result.covariance[0, 2]
    assert moved.covariance[0, 0] == pytest.approx(difference)
    assert moved.covariance[0, 0] > result.covariance[0, 0]
    alone = inter_calibration(6, first, second, ratio, np.full(10, 1e-4))
    with pytest.raises(InsufficientStatisticsError, match="reference telescope has no pair"):
        reference_gauge(alone, 5)


def test_external_gauge_takes_the_level_of_absolute_values(rng):
    """Pulls of absolute throughputs from relative ones and two muon values."""
    first, second = np.triu_indices(5, 1)
    x = np.log([0.2, 0.22, 0.18, 0.21, 0.19])
    pulls = []
    for _ in range(300):
        ratio = x[first] - x[second] + 0.01 * rng.normal(size=10)
        y = np.array(
            [x[0] + 0.02 * rng.normal(), np.nan, np.nan, x[3] + 0.03 * rng.normal(), np.nan]
        )
        y += 0.01 * rng.normal()  # common to all muons
        covariance = np.diag([0.02, 0, 0, 0.03, 0]) ** 2 + 1e-4
        result = external_gauge(
            inter_calibration(5, first, second, ratio, np.full(10, 1e-4)), y, covariance
        )
        pulls.append((result.log_throughput - x) / np.sqrt(np.diag(result.covariance)))
    np.testing.assert_allclose(np.std(pulls, axis=0), 1, atol=4 / np.sqrt(600))
    np.testing.assert_allclose(np.mean(pulls, axis=0), 0, atol=4 / np.sqrt(300))


def test_external_gauge_needs_values_with_errors():
    result = inter_calibration(4, [0, 2], [1, 3], [0.1, 0.0], [1e-4, 1e-4])
    with pytest.raises(InsufficientStatisticsError, match="no telescope of island 1"):
        external_gauge(result, [0.1, np.nan, np.nan, np.nan], np.full(4, 1e-4))
    with pytest.raises(ConfigurationError, match="errors above 0"):
        external_gauge(result, [0.1, 0.1, 0.1, 0.1], np.zeros(4))


def test_robust_fit_counts_a_bad_pair_less(rng):
    first, second = np.triu_indices(10, 1)
    x = 0.1 * rng.normal(size=10)
    x -= x.mean()
    ratio = x[first] - x[second] + 0.005 * rng.normal(size=45)
    ratio[7] += 0.3
    plain = inter_calibration(10, first, second, ratio, np.full(45, 0.005**2))
    robust = inter_calibration(10, first, second, ratio, np.full(45, 0.005**2), robust=True)
    assert np.abs(plain.log_throughput - x).max() > 0.02
    assert np.abs(robust.log_throughput - x).max() < 0.008  # 45 pairs of 0.005: 0.0015 each
    assert robust.weights[7] < 0.05
    assert plain.p_value < 1e-6
    assert np.argmax(np.abs(plain.pull)) == 7


def test_pair_that_decides_alone_has_no_pull():
    result = inter_calibration(
        4, [0, 0, 1, 2], [1, 2, 2, 3], [0.1, 0.1, 0.0, 0.2], np.full(4, 1e-4)
    )
    assert np.isnan(result.pull[3])
    assert np.isfinite(result.pull[:3]).all()
    tree = inter_calibration(3, [0, 1], [1, 2], [0.1, 0.1], np.full(2, 1e-4))
    assert tree.n_dof == 0
    assert np.isnan(tree.p_value)


def test_telescope_far_from_the_others_is_found(rng):
    first, second = np.triu_indices(9, 1)
    x = 0.08 * rng.normal(size=9)
    x[4] -= 0.7  # half of the mirrors are lost
    ratio = x[first] - x[second] + 0.005 * rng.normal(size=36)
    result = inter_calibration(9, first, second, ratio, np.full(36, 0.005**2))
    np.testing.assert_array_equal(np.flatnonzero(outlier_telescopes(result)), [4])
    two = inter_calibration(2, [0], [1], [1.5], [1e-4])
    assert not outlier_telescopes(two).any()


def test_iteration_that_does_not_converge_is_an_error(monkeypatch, rng):
    monkeypatch.setattr("calibpipe.array.inter_calibration.MAX_ITERATIONS", 2)
    first, second = np.triu_indices(6, 1)
    ratio = rng.normal(size=15)
    with pytest.raises(InsufficientStatisticsError, match="did not converge in 2 steps"):
        inter_calibration(6, first, second, ratio, np.full(15, 1e-4), robust=True)


def test_what_cannot_be_solved():
    with pytest.raises(InsufficientStatisticsError, match="no pair of telescopes"):
        inter_calibration(3, [], [], [], np.empty((0, 0)))
    for bad in (np.nan, np.inf):
        with pytest.raises(ConfigurationError, match="pair 1 has ratio"):
            inter_calibration(3, [0, 1], [1, 2], [0.1, bad], np.full(2, 1e-4))
    with pytest.raises(ConfigurationError, match="pair 0 has"):
        inter_calibration(2, [0], [1], [0.1], [0.0])


def test_systematic_errors_in_the_gauges():
    first, second = np.triu_indices(4, 1)
    result = inter_calibration(4, first, second, np.zeros(6), np.full(6, 1e-4))
    kinds = ["LST"] * 4
    covariance, parts = systematic_covariance(
        result.operator, first, second, kinds, of_telescope=0.01, of_type=0.03
    )
    np.testing.assert_allclose(np.diag(covariance), 1e-4 * (1 - 1 / 4))
    np.testing.assert_allclose(parts["type_scale"], 0, atol=1e-15)  # one type: it cancels
    reference = reference_gauge(result, 0)
    covariance, _ = systematic_covariance(
        reference.operator, first, second, kinds, of_telescope=0.01
    )
    np.testing.assert_allclose(np.diag(covariance), [0, 2e-4, 2e-4, 2e-4], atol=1e-18)
    covariance, parts = systematic_covariance(
        result.operator,
        first,
        second,
        kinds,
        of_telescope=0.0,
        bias_of_pair=[0.4, 0.4, 0.4, 0, 0, 0],
    )
    np.testing.assert_allclose(parts["threshold"], [0.3, 0.1, 0.1, 0.1])


def test_excess_of_chi2_is_a_systematic_error():
    np.testing.assert_allclose(excess_covariance(np.eye(2), 30.0, 10.0), 2 * np.eye(2))
    np.testing.assert_allclose(excess_covariance(np.eye(2), 8.0, 10.0), 0)
    np.testing.assert_allclose(excess_covariance(np.eye(2), 0.0, 0.0), 0)
