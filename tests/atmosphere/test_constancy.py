"""Size, power, intervals and pulls of the tests of constancy, with their standard errors."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import binomtest
from scipy.stats import chi2 as chi2_distribution

from calibpipe.atmosphere.constancy import (
    constancy,
    detectable_scatter,
    fractional_variability,
    intrinsic_scatter,
    power_of_constancy,
)
from calibpipe.core.exceptions import ConfigurationError

N_SERIES = 4000
RARE = 1e-3  # two-sided probability below which a test here fails


def series(rng, errors, scatter=0.0, mean=0.02):
    """Measurements of `N_SERIES` nights."""
    errors = np.broadcast_to(errors, (N_SERIES, np.shape(errors)[-1]))
    return rng.normal(mean, np.hypot(errors, scatter)), errors


def agrees(n, probability):
    """Whether n out of N_SERIES agrees with a probability."""
    return binomtest(int(n), N_SERIES, probability).pvalue > RARE


class TestByHand:
    def test_fractional_variability_of_five_measurements(self):
        """B01: S^2 = 0.005, <e^2> = 0.0025, mean 1."""
        square, error, f_var = fractional_variability([0.9, 1, 1.1, 1, 1], np.full(5, 0.05))
        assert_allclose(square, 0.0025, rtol=1e-12)
        assert_allclose(f_var, 0.05, rtol=1e-12)
        assert_allclose(error, np.sqrt(2 / 5 * 0.0025**2 + 4 / 5 * 0.0025 * 0.0025), rtol=1e-12)

    def test_negative_excess_variance_is_told_and_gives_zero(self):
        square, error, f_var = fractional_variability([1, 1, 1.0], np.full(3, 0.1))
        assert_allclose(square, -0.01)
        assert f_var == 0
        assert error > 0

    def test_scatter_of_equal_errors(self):
        """S^2 - e^2 for equal errors."""
        values = np.array([1.0, 2.0, 3.0, 6.0])
        found = intrinsic_scatter(values, np.full(4, 0.5))
        assert_allclose(found.scatter, np.sqrt(values.var(ddof=1) - 0.25), rtol=1e-9)
        assert_allclose(found.mean, 3.0)
        assert_allclose(found.error, values.std(ddof=1) / 2, rtol=1e-9)
        assert_allclose(found.chi2, 14 / 0.25)
        assert (found.n, found.n_dof) == (4, 3)

    def test_groups_have_means_of_their_own(self):
        values = np.array([1.0, 5.0, 1.0, 5.0])
        found = intrinsic_scatter(values, np.full(4, 0.1), [0, 1, 0, 1])
        assert (found.scatter, found.n_dof) == (0, 2)
        assert intrinsic_scatter(values, np.full(4, 0.1)).scatter > 2

    def test_power_by_hand(self):
        """Equal errors: Q (e^2 + t^2) / (e^2 + s^2) is chi-squared."""
        factor = (0.002**2 + 0.005**2) / (0.002**2 + 0.008**2)
        expected = chi2_distribution.sf(chi2_distribution.isf(0.01, 49) * factor, 49)
        power = power_of_constancy(np.full(50, 0.002), 0.008, tolerance=0.005, size=0.01)
        assert_allclose(power, expected, rtol=1e-9)

    def test_detectable_scatter_has_the_power(self):
        errors = np.linspace(0.001, 0.01, 30)
        scatter = detectable_scatter(errors, tolerance=0.005, power=0.8)
        assert_allclose(power_of_constancy(errors, scatter, tolerance=0.005), 0.8, rtol=1e-6)


class TestSimulated:
    def test_constant_nights_are_accepted(self):
        """B02: 50 measurements of 0.02 with errors of 0.002, no tolerance at all."""
        values, errors = series(np.random.default_rng(1), np.full(50, 0.002))
        result = constancy(values, errors, size=0.01)
        assert agrees(result.is_constant.sum(), 0.99)
        assert result.is_constant.mean() > 0.95
        assert np.isfinite(result.p_value).all()
        _, _, f_var = fractional_variability(values, errors)
        assert np.isfinite(f_var).all()  # the naive rule has NaN for 52 %
        naive = (f_var <= 0.01) & (fractional_variability(values, errors)[0] >= 0)
        assert abs(naive.mean() - 0.02) < 0.01

    @pytest.mark.parametrize("n", [2, 5, 50])
    def test_size_at_the_tolerance_with_unequal_errors(self, n):
        rng = np.random.default_rng(n)
        values, errors = series(rng, rng.uniform(0.001, 0.01, n), 0.005)
        result = constancy(values, errors, tolerance=0.005, size=0.05)
        assert agrees((~result.is_constant).sum(), 0.05)

    @pytest.mark.parametrize("n", [5, 20, 50])
    def test_power_at_the_detectable_scatter(self, n):
        errors = np.full(n, 0.003)
        scatter = detectable_scatter(errors, tolerance=0.005, power=0.9)
        values, errors = series(np.random.default_rng(n), errors, scatter)
        result = constancy(values, errors, tolerance=0.005)
        assert_allclose(result.detectable, scatter, rtol=1e-9)
        assert agrees((~result.is_constant).sum(), 0.9)

    def test_power_for_unequal_errors(self):
        rng = np.random.default_rng(7)
        errors = rng.uniform(0.001, 0.01, 20)
        expected = power_of_constancy(errors, 0.008, tolerance=0.005)
        values, errors = series(rng, errors, 0.008)
        found = np.mean(~constancy(values, errors, tolerance=0.005).is_constant)
        # the approximation by two moments is good to a hundredth here
        assert abs(found - expected) < 0.01 + 3 * np.sqrt(0.25 / N_SERIES)

    @pytest.mark.parametrize("scatter", [0.0, 0.002, 0.02])
    def test_interval_covers_the_truth(self, scatter):
        rng = np.random.default_rng(11)
        values, errors = series(rng, rng.uniform(0.001, 0.01, 15), scatter)
        found = intrinsic_scatter(values, errors, confidence=0.8)
        if scatter > 0:  # nothing is below no scatter
            assert agrees((found.upper < scatter).sum(), 0.1)
        assert agrees((found.lower > scatter).sum(), 0.1)
        assert np.all(found.lower <= found.upper)

    def test_pull_of_the_mean(self):
        values, errors = series(np.random.default_rng(5), np.linspace(0.001, 0.005, 50), 0.01)
        found = intrinsic_scatter(values, errors)
        pull = (found.mean - 0.02) / found.error
        assert abs(pull.mean()) < 3.3 / np.sqrt(N_SERIES)
        # the error comes from 50 values: Student's t
        assert abs(pull.std() - np.sqrt(49 / 47)) < 3.3 / np.sqrt(2 * N_SERIES)

    def test_pull_of_the_mean_of_constant_series(self):
        """Equal errors: pull^2 = chi^2_1 min(1, 49 / chi^2_49), independent."""
        values, errors = series(np.random.default_rng(6), np.full(50, 0.002))
        found = intrinsic_scatter(values, errors)
        pull = (found.mean - 0.02) / found.error
        expected = chi2_distribution(49).expect(lambda q: min(1, 49 / q))
        assert abs(pull.std() - np.sqrt(expected)) < 3.3 / np.sqrt(2 * N_SERIES)
        assert 0.9 < np.sqrt(expected) < 1

    def test_many_series_are_as_each_alone(self):
        rng = np.random.default_rng(2)
        values, errors = rng.normal(0, 1, (3, 4, 10)), rng.uniform(0.3, 1, (3, 4, 10))
        values[1, 2, 3:6] = np.nan
        groups = np.arange(10) % 3
        together = intrinsic_scatter(values, errors, groups)
        alone = intrinsic_scatter(values[1, 2], errors[1, 2], groups)
        left = np.isfinite(values[1, 2])
        without = intrinsic_scatter(values[1, 2][left], errors[1, 2][left], groups[left])
        for name in ("mean", "error", "scatter", "lower", "upper", "chi2", "n_dof", "n"):
            assert_allclose(getattr(together, name)[1, 2], getattr(alone, name), rtol=1e-9)
            assert_allclose(getattr(without, name), getattr(alone, name), rtol=1e-9)


class TestFewAndBad:
    def test_one_measurement_tells_nothing_about_scatter(self):
        result = constancy([0.02], [0.002])
        assert result.is_constant
        assert (result.p_value, result.detectable) == (1, np.inf)
        found = intrinsic_scatter([0.02], [0.002])
        assert (found.mean, found.error) == (0.02, pytest.approx(0.002))
        assert (found.scatter, found.lower, found.upper) == (0, 0, np.inf)
        assert np.isnan(fractional_variability([0.02], [0.002])).all()

    def test_no_measurement(self):
        found = intrinsic_scatter([np.nan, 1.0], [1.0, np.nan])
        assert np.isnan(found.mean)
        assert np.isnan(found.error)
        assert constancy([np.nan], [1.0]).detectable == np.inf
        assert intrinsic_scatter([], []).n == 0

    def test_wrong_input(self):
        with pytest.raises(ConfigurationError, match="above 0, the smallest is 0"):
            constancy([1, 2], [0.0, 1])
        with pytest.raises(ConfigurationError, match="groups for series of 2"):
            intrinsic_scatter([1, 2], [1, 1], [0, 0, 1])
        with pytest.raises(ConfigurationError, match="one number"):
            intrinsic_scatter(1.0, 1.0)
        with pytest.raises(ConfigurationError, match="between 0 and 1, got 1"):
            constancy([1, 2], [1, 1], size=1.0)
