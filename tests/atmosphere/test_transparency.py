"""Closed forms, dead time, reference nights, closure and pulls on simulated rates."""

import astropy.units as u
import numpy as np
import pytest
from numpy.testing import assert_allclose

from calibpipe.atmosphere.reference_nights import normalisation
from calibpipe.atmosphere.transparency import (
    RateModel,
    Transparency,
    dead_time_corrected_rate,
    night_mean,
    telescope_light,
    transparency_coefficient,
    zenith_exponent,
)
from calibpipe.core.exceptions import ConfigurationError, InsufficientStatisticsError

MODEL = RateModel(zenith_exponent=0.0)
ZENITH = 0 * u.deg


class TestClosedForms:
    def test_transparency_whatever_the_telescope_does(self):
        """B08: eta 0.85, mu 0.9, g 1.05."""
        rate = (0.85 * 0.9 * 1.05) ** 1.7
        assert_allclose(telescope_light(rate, ZENITH, 0.9, 1.05, MODEL), 0.85, rtol=1e-12)

    def test_wrong_exponent(self):
        rate = (0.85 * 0.9 * 1.05) ** 1.7
        model = RateModel(higher_order=0.1, zenith_exponent=0.0)
        assert_allclose(telescope_light(rate, ZENITH, 0.9, 1.05, model), 0.838, atol=5e-4)

    def test_rates(self):
        """eta 0.9 gives 0.836 of the rate; 20 % less rate is eta 0.877."""
        assert_allclose(0.9**MODEL.exponent, 0.8360, atol=5e-5)
        assert_allclose(telescope_light(0.8, ZENITH, 1, 1, MODEL), 0.877, atol=5e-4)

    def test_zenith(self):
        model = RateModel(zenith_exponent=2.0)
        found = telescope_light(0.25, 60 * u.deg, 1, 1, model)
        assert_allclose(found, 1.0, rtol=1e-12)

    def test_nothing_from_nothing(self):
        found = telescope_light(
            [0, -1, 1, 1, np.nan], ZENITH, [1, 1, 0, 1, 1], [1, 1, 1, -1, 1], MODEL
        )
        assert np.isnan(found).all()

    def test_impossible_model(self):
        with pytest.raises(ConfigurationError, match="must be above 1"):
            RateModel(spectral_index=1.0)


class TestDeadTime:
    def test_by_hand(self):
        """10 kHz with 20 us: live 0.8, true 12.5 kHz."""
        rate, error = dead_time_corrected_rate(100_000, 10 * u.s, 20 * u.us)
        assert_allclose(rate.to_value(u.Hz), 12500)
        assert_allclose((error / rate).value, 1 / np.sqrt(100_000))

    def test_live_fraction_comes_first(self):
        rate, _ = dead_time_corrected_rate([1000, 1000], 10 * u.s, 1 * u.s, [0.5, np.nan])
        assert_allclose(rate.value, [200, np.nan])

    def test_simulated_counter(self):
        """A counter that is blind for 30 us after each of its triggers."""
        rng = np.random.default_rng(1)
        true, dead, length, n = 10_000.0, 30e-6, 0.5, 400
        counts = []
        for _ in range(n):
            gaps = rng.exponential(1 / true, 5000) + dead
            counts.append(np.searchsorted(np.cumsum(gaps) - dead, length))
        rate, error = dead_time_corrected_rate(counts, length * u.s, dead * u.s)
        pull = (rate.value - true) / error.value
        assert abs(pull.mean()) < 3.3 / np.sqrt(n)
        assert abs(pull.std() - 1) < 3.3 / np.sqrt(2 * n)

    def test_wrong(self):
        with pytest.raises(ConfigurationError, match="fills the time"):
            dead_time_corrected_rate(1000, 1 * u.s, 1 * u.ms)
        with pytest.raises(ConfigurationError, match="above 0"):
            dead_time_corrected_rate(1000, 0 * u.s)
        with pytest.raises(ConfigurationError, match="at most 1"):
            dead_time_corrected_rate(1000, 1 * u.s, live_fraction=1.1)

    def test_no_triggers_no_rate(self):
        rate, error = dead_time_corrected_rate([0, np.nan], [1, 1] * u.s)
        assert np.isnan(rate).all()
        assert np.isnan(error).all()


class TestZenithExponent:
    def test_pull(self):
        rng = np.random.default_rng(2)
        zenith = np.tile(np.linspace(5, 50, 10), 4) * u.deg
        group = np.repeat(np.arange(4), 10)
        true = np.cos(zenith).value ** 1.4 * np.array([100, 200, 300, 400.0])[group]
        pulls = []
        for _ in range(400):
            found, error = zenith_exponent(rng.normal(true, 2.0), np.full(40, 2.0), zenith, group)
            pulls.append((found - 1.4) / error)
        assert abs(np.mean(pulls)) < 3.3 / np.sqrt(400)
        # errors grow with chi2 above 1 only: up to a few percent too large
        width = np.sqrt(np.mean(1 / np.maximum(rng.chisquare(35, 100_000) / 35, 1)))
        assert abs(np.std(pulls) - width) < 3.3 / np.sqrt(800)

    def test_nothing_known(self):
        assert zenith_exponent([1, 2], [0.1, 0.1], [10, 20] * u.deg, [0, 1]) == (
            pytest.approx(np.nan, nan_ok=True),
            np.inf,
        )
        found, error = zenith_exponent([1, 2, 3], [0.1] * 3, [20, 20, 20] * u.deg, [0, 0, 0])
        assert np.isnan(found)
        assert error == np.inf


def reference(night_light, tel_id, n_telescopes, night, error=0.01):
    light = np.asarray(night_light, float)
    return normalisation(
        light,
        error * light,
        tel_id,
        n_telescopes,
        night,
        np.zeros(len(light)) * u.deg,
        np.ones(len(light)),
        single_night_scatter=0.07,
    )


class TestNormalisation:
    def test_by_hand(self):
        """Two nights that differ by a tenth (in the logarithm), one telescope in one only."""
        light = np.exp([1.0, 1.1, 2.0])
        found = reference(light, [1, 1, 2], [2, 2, 2], ["a", "b", "a"])
        log_light, error, efficiency = found.of([1, 2, 3], 2)
        # telescope 2 was there in the darker night: it is put up by half of the difference
        assert_allclose(log_light, [1.05, 2.05, np.nan], rtol=1e-9)
        assert_allclose(error, [0.01 / np.sqrt(2), 0.01, np.nan])
        assert_allclose(efficiency, [0, 0, np.nan])
        assert_allclose(found.night_scatter, 0.1 / np.sqrt(2))
        assert_allclose(found.common_error, 0.05)
        assert found.nights == ("a", "b")

    def test_multiplicities_apart(self):
        found = reference([1.0, 2.0], [1, 1], [3, 4], ["a", "a"])
        assert_allclose(found.of(1, [3, 4, 2])[0], [0, np.log(2), np.nan], atol=1e-12)
        assert found.common_error == 0.07

    def test_nothing(self):
        with pytest.raises(InsufficientStatisticsError, match="none of 1 rates"):
            reference([np.nan], [1], [1], ["a"])


def coefficient(rate, mu, g, *, mu_error=0.0, error=1e-3, model=MODEL, zenith=0.0, **more):
    rate = np.atleast_2d(rate)
    reference = np.zeros_like(rate), np.zeros_like(rate), np.zeros_like(rate)
    return transparency_coefficient(
        rate,
        error * rate,
        np.full(len(rate), zenith) * u.deg,
        mu,
        np.multiply(mu, mu_error),
        g,
        np.zeros_like(np.multiply(g, mu)),
        reference,
        model,
        **more,
    )


class TestCoefficient:
    def test_telescopes_and_array(self):
        mu, g = np.array([0.9, 1.1, 1.0]), np.array([1.05, 0.95, 1.0])
        rate = (0.85 * mu * g) ** 1.7
        rate[2] = np.nan
        found = coefficient(rate, mu, g)
        assert_allclose(found.telescope, [[0.85, 0.85, np.nan]])
        assert_allclose(found.array, [0.85])
        assert_allclose(found.stat_error, [0.85 * 1e-3 / 1.7 / np.sqrt(2)])
        assert found.n_telescopes.tolist() == [2]
        assert_allclose(found.chi2, 0, atol=1e-12)

    def test_error_of_the_spectral_index_is_the_derivative(self):
        rate = np.array([[0.6, 0.7]])
        found = coefficient(rate, [0.9, 1.1], [1.0, 1.0])
        moved = RateModel(spectral_index=2.7 + 1e-6, zenith_exponent=0.0)
        change = (coefficient(rate, [0.9, 1.1], [1.0, 1.0], model=moved).array - found.array) / 1e-6
        assert_allclose(found.sys_error, 0.05 * np.abs(change), rtol=0.02)

    def test_error_of_the_zenith_exponent(self):
        model = RateModel(zenith_exponent_error=0.2, spectral_index_error=0.0)
        rate = 0.5**model.zenith_exponent  # full transparency at 60 deg
        found = coefficient([rate], [1.0], [1.0], model=model, zenith=60.0)
        assert_allclose(found.sys_error, np.log(2) * 0.2 / 1.7)
        found = coefficient(
            [rate], [1.0], [1.0], model=model, zenith=60.0, mean_log_cos_zenith=np.log(0.5)
        )
        assert_allclose(found.sys_error, 0, atol=1e-12)

    def test_common_and_own_errors(self):
        model = RateModel(spectral_index_error=0.0, zenith_exponent_error=0.0)
        found = coefficient(np.ones(4), np.ones(4), np.ones(4), mu_error=0.02, model=model)
        assert_allclose(found.sys_error, 0.01)
        found = coefficient(np.ones(4), np.ones(4), np.ones(4), model=model, common_error=0.05)
        assert_allclose(found.sys_error, 0.05)

    def test_no_telescope(self):
        found = coefficient([np.nan, 0.0], [1.0, 1.0], [1.0, 1.0])
        assert found.n_telescopes.tolist() == [0]
        assert np.isnan([found.array, found.stat_error, found.sys_error]).all()

    def test_pull_and_agreement(self):
        rng = np.random.default_rng(3)
        n, n_tel = 2000, 4
        mu, g = rng.uniform(0.8, 1.2, n_tel), rng.uniform(0.8, 1.2, n_tel)
        true = (0.9 * mu * g) ** 1.7
        rate = rng.normal(true, 0.01 * true, (n, n_tel))
        found = coefficient(rate, mu, g, error=0.01)
        pull = (found.array - 0.9) / found.stat_error
        assert abs(pull.mean()) < 3.3 / np.sqrt(n)
        assert abs(pull.std() - 1) < 3.3 / np.sqrt(2 * n)
        assert abs(found.chi2.mean() - 3) < 3.3 * np.sqrt(2 * 3 / n)


def test_mean_of_a_night_by_hand():
    """Slices of 1 and 3 minutes; one without a reference does not count."""
    none = np.full((3, 1), np.nan)
    values = np.array([0.8, np.nan, 1.0]), np.array([0.04, np.nan, 0.02])
    sys_error = np.array([0.05, np.nan, 0.07])
    found = Transparency(none, none, none, *values, sys_error, np.array([1, 0, 2]), np.zeros(3))
    expected = 0.95, np.hypot(0.25 * 0.04, 0.75 * 0.02), 0.065
    assert_allclose(night_mean(found, [60, 600, 180]), expected)
