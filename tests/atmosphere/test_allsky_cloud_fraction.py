"""Covered fraction: by hand, unbiased, errors that are right for few stars."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from calibpipe.atmosphere.allsky_cloud_fraction import (
    cloud_fraction,
    detection_probabilities,
    threshold_errors,
)

ONE = np.ones(1)


def many(n_trials, n_stars, fraction, clear, covered, rng):
    """Fractions of many trials, each a region of equal stars."""
    behind = rng.random((n_trials, n_stars)) < fraction
    chance = np.where(behind, covered, clear)
    detected = rng.random(chance.shape) < chance
    region = np.repeat(np.arange(n_trials), n_stars)
    shape = np.ones(n_trials * n_stars)
    p, q = np.broadcast_to(clear, (n_trials, n_stars)), np.broadcast_to(covered, chance.shape)
    return cloud_fraction(
        detected.ravel(), p.ravel(), q.ravel(), shape, region, np.ones(n_trials), min_stars=1
    )


def test_by_hand():
    """Of four stars with p = 0.9, q = 0.1 one is not seen: (3 (-0.1) + 0.9) / 0.8 / 4 = 0.1875."""
    found = cloud_fraction(
        [1, 1, 0, 1], np.full(4, 0.9), np.full(4, 0.1), np.ones(4), np.zeros(4, int), ONE
    )
    assert_allclose(found.region, [0.1875])
    assert_allclose(found.total, 0.1875)
    likely = (0.1875 * 4 + 1) / 6
    chance = 0.9 - 0.8 * likely
    variance = chance * (1 - chance) / 4 / 0.64 * 4 / 7 + (likely - 0.1875) ** 2
    assert_allclose(found.region_error, [np.sqrt(variance)])
    assert_allclose(found.n_expected, [3.6])
    assert found.n_detected.tolist() == [3]


@pytest.mark.parametrize("fraction", [0.0, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("n_stars", [3, 10])
def test_unbiased_whatever_the_efficiencies(fraction, n_stars):
    rng = np.random.default_rng(1)
    clear, covered = np.linspace(0.7, 0.99, n_stars), np.linspace(0.2, 0.001, n_stars)
    found = many(20000, n_stars, fraction, clear, covered, rng).region
    assert abs(found.mean() - fraction) < 3.5 * found.std() / np.sqrt(20000)


@pytest.mark.parametrize("n_stars", [5, 20, 100])
def test_pulls_of_fractions_between(n_stars):
    """Truth uniform in 0 to 1: the mean square of the pulls is 1."""
    rng = np.random.default_rng(2)
    fraction = rng.random((20000, 1))
    for clear, covered, wrong in ((1.0, 0.0, 0.0), (0.97, 0.01, 0.03)):
        found = many(20000, n_stars, fraction, clear, covered, rng)
        pull = (found.region - fraction[:, 0]) / found.region_error
        error = np.std(pull**2) / np.sqrt(20000)
        assert abs(np.mean(pull**2) - 1) < 4 * error + wrong  # exact for p = 1, q = 0


def test_few_stars_that_agree_have_an_error():
    """Three stars of three are seen: 0 +- 0.26, not 0 +- 0; none of three: 1 +- 0.26."""
    for seen in (0, 1):
        found = cloud_fraction(
            np.full(3, seen), np.ones(3), np.zeros(3), np.ones(3), np.zeros(3, int), ONE
        )
        assert_allclose(found.region, 1 - seen)
        assert_allclose(found.region_error, np.sqrt(0.2 * 0.8 / 6 + 0.2**2))


def test_sky_is_weighted_by_solid_angle():
    """Region 0 is clear and three times as large as region 1, which is covered; 2 has no stars."""
    region = np.repeat([0, 1, 2, -1], [50, 50, 2, 10])
    detected = np.repeat([1, 0, 0, 0], [50, 50, 2, 10])
    n = len(region)
    found = cloud_fraction(
        detected, np.ones(n), np.zeros(n), np.ones(n), region, [3.0, 1.0, 4.0], min_stars=3
    )
    assert_allclose(found.total, 0.25)
    assert_allclose(found.used, 0.5)
    assert np.isnan(found.region[2])
    assert np.isnan(found.region_error[2])


def test_errors_of_the_sky():
    """Pulls of the mean of 20 regions whose fractions are all alike, and all different."""
    rng = np.random.default_rng(3)
    for spread in (0.0, 1.0):
        pulls = []
        for _ in range(400):
            fraction = np.clip(0.3 + spread * (rng.random((20, 1)) - 0.3), 0, 1)
            found = many(20, 15, fraction, 0.98, 0.01, rng)
            pulls.append((found.total - fraction.mean()) / found.total_error)
        assert abs(np.std(pulls) - 1) < 4 / np.sqrt(800)
        assert abs(np.mean(pulls)) < 4 / np.sqrt(400)


def test_no_star_at_all():
    nothing = np.zeros(0)
    found = cloud_fraction(nothing, nothing, nothing, nothing, nothing.astype(int), [1.0, 1.0])
    assert np.isnan(found.region).all()
    assert np.isnan(found.total)
    assert np.isnan(found.total_error)
    assert found.used == 0


def test_probabilities_by_hand():
    """Six sigma of light, threshold in the middle, no scatter: three sigma on both sides."""
    clear, covered = detection_probabilities([6.0], [1.0], [1.0], 0.5, 0.0)
    assert_allclose([clear, covered], [[0.9986501], [0.0013499]], rtol=1e-5)
    clear, covered = detection_probabilities([100.0], [0.0], [1.0], 0.5, 0.25)
    assert_allclose([clear, covered], [[0.9772499], [0.0]], atol=1e-6)


def test_systematic_of_the_scale_by_hand():
    """Transmissions evenly in 0 to 1 and the scale off by 10 %: 5 % of the sky."""
    transmission = (np.arange(10000) + 0.5) / 10000
    found = threshold_errors(transmission, np.zeros(10000), 0.5, 0.1, 0.0, [0.5, np.nan])
    assert_allclose(found, [0.05, np.nan], rtol=1e-3)


def test_systematic_of_smeared_edges():
    """Density 2 T of transmissions: noise of 0.1 adds 0.5 * 0.01 * 2 = 0.01 below the threshold."""
    transmission = np.sqrt((np.arange(40000) + 0.5) / 40000)
    noise = np.full(40000, 0.1)
    found = threshold_errors(transmission, noise, 0.5, 0.0, 0.0, [0.25])
    assert_allclose(found, [0.01], rtol=1e-2)
    rng = np.random.default_rng(4)
    blurred = transmission + 0.1 * rng.standard_normal(40000)
    assert abs(np.mean(blurred < 0.5) - 0.25 - found[0]) < 4 * np.sqrt(0.1 / 40000)


def test_systematic_of_the_efficiency():
    """Where it is clear a wrong probability of detection counts wholly, behind clouds not."""
    found = threshold_errors([1.0], [0.0], 0.5, 0.0, 0.01, [0.0, 0.5, 1.0])
    assert_allclose(found, [0.01, 0.005, 0.0])
    assert np.isnan(threshold_errors([], [], 0.5, 0.1, 0.01, [0.5])).all()
