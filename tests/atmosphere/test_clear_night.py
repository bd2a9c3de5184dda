"""The decision: size and power on simulated nights, each reason by itself, bad input."""

from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import binomtest

from calibpipe.atmosphere.clear_night import (
    REASONS,
    ClearNightLimits,
    assessment,
    limits_of,
    systematic_errors,
    window_index,
)
from calibpipe.atmosphere.constancy import detectable_scatter
from calibpipe.atmosphere.fram import image_depths, wavelength_factor
from calibpipe.core.exceptions import ConfigurationError, InsufficientStatisticsError

N_NIGHTS = 120
LIMITS = ClearNightLimits()


def night(rng, n=50, error=0.002, *, n_stars=1, mean=0.02, scatter=0.0, patchy=0.0, drift=0.0):
    """Images of one night, at zenith."""
    image = np.repeat(np.arange(n), n_stars)
    true = mean + drift * np.linspace(-0.5, 0.5, n) + scatter * rng.normal(size=n)
    noise = error * np.sqrt(n_stars)
    aod = true[image] + np.hypot(noise, patchy) * rng.normal(size=len(image))
    return image_depths(
        600.0 * np.arange(n),
        np.full(n, 440) * u.nm,
        image,
        aod,
        np.full(len(image), noise),
        np.zeros(len(image)) * u.deg,
        airmass_model="plane_parallel",
        max_field_scatter=LIMITS.max_field_scatter,
    )


def n_clear(seed, limits=LIMITS, *, windows=True, **more):
    """Of simulated nights."""
    rng = np.random.default_rng(seed)
    found = 0
    for _ in range(N_NIGHTS):
        images = night(rng, **more)
        window = np.arange(len(images)) // 5 if windows else None
        found += assessment(images, limits, window=window).is_clear
    return found


class TestSizeAndPower:
    def test_constant_nights_are_clear(self):
        """B02: at least 95 % of constant nights, N = 50, 0.02 +- 0.002."""
        found = n_clear(1)
        assert found >= 0.95 * N_NIGHTS
        assert binomtest(N_NIGHTS - found, N_NIGHTS, LIMITS.size, "greater").pvalue > 1e-3

    @pytest.mark.parametrize(("n", "error"), [(10, 0.0002), (20, 0.008), (200, 0.004)])
    def test_constant_nights_are_clear_whatever_the_errors(self, n, error):
        found = n_clear(n, n=n, error=error, n_stars=4)
        assert found >= 0.95 * N_NIGHTS
        assert binomtest(N_NIGHTS - found, N_NIGHTS, LIMITS.size, "greater").pvalue > 1e-3

    def test_size_without_tolerance(self):
        """Three tests at a third of the size each; no tolerance: the size is the stated one."""
        limits = replace(LIMITS, max_variation=1e-12, size=0.05)
        found = n_clear(2, limits, n_stars=1)
        # one star an image: no test over the field, two tests at 0.05 / 3 that are correlated
        rejected = N_NIGHTS - found
        assert binomtest(rejected, N_NIGHTS, 2 * 0.05 / 3, "greater").pvalue > 1e-3
        assert binomtest(rejected, N_NIGHTS, 0.05 / 3, "less").pvalue > 1e-3

    def test_stated_power(self):
        scatter = detectable_scatter(
            np.full(50, 0.002), tolerance=LIMITS.max_variation, size=LIMITS.size / 3
        )
        assert scatter < 0.0085  # four times the error, less than twice the tolerance
        found = n_clear(3, scatter=scatter, windows=False)
        assert binomtest(N_NIGHTS - found, N_NIGHTS, 0.9).pvalue > 1e-3

    def test_drift_is_found_by_windows(self):
        """A slow drift below the noise of an image: the windows find it more often."""
        more = {"n": 60, "error": 0.016, "drift": 0.04}
        limits = replace(LIMITS, max_detectable=1.0)
        with_windows, without = (n_clear(4, limits, windows=w, **more) for w in (True, False))
        deviation = np.sqrt(2 * N_NIGHTS * 0.25)  # at most, of the difference
        assert without - with_windows > 3.3 * deviation


class TestReasons:
    """Each reason by itself; errors of 0.001 leave no doubt."""

    @pytest.mark.parametrize(
        ("reason", "more"),
        [
            ("aerosol", {"mean": 0.06}),
            ("negative", {"mean": -0.02}),
            ("variable", {"scatter": 0.015, "mean": 0.01}),
            ("patchy", {"n_stars": 30, "patchy": 0.03}),
            ("few", {"n": 4, "error": 0.0002}),
            ("insensitive", {"error": 0.1, "mean": 0.0}),
        ],
    )
    def test_reason(self, reason, more):
        result = assessment(night(np.random.default_rng(5), **({"error": 0.001} | more)), LIMITS)
        assert result.reasons == (reason,)
        assert not result.is_clear
        assert reason in REASONS

    def test_drifting(self):
        images = night(np.random.default_rng(6), n=200, error=0.02, drift=0.04)
        limits = replace(LIMITS, max_detectable=1.0)
        result = assessment(images, limits, window=np.arange(200) // 20)
        assert "drifting" in result.reasons
        assert np.isfinite(result.detectable_drift)
        without = assessment(images, limits)
        assert "drifting" not in without.reasons
        assert without.detectable_drift == np.inf

    def test_cloud_for_a_quarter_of_the_night(self):
        images = night(np.random.default_rng(7), n_stars=20)
        images.vaod[20:32] += 0.3
        window = np.arange(50) // 5
        assert {"variable", "drifting", "aerosol"} <= set(
            assessment(images, LIMITS, window=window).reasons
        )
        clear = [assessment(images.chosen(window == k), LIMITS).is_clear for k in range(10)]
        assert clear == [True] * 4 + [False] * 3 + [True] * 3


class TestNumbers:
    def test_all_are_finite(self):
        result = assessment(night(np.random.default_rng(8)), LIMITS, window=np.arange(50) // 5)
        assert all(np.isfinite(v) for v in vars(result).values() if isinstance(v, float))
        assert (result.n_images, result.n_measurements) == (50, 50)
        assert result.p_patchy == 1

    def test_one_image(self):
        result = assessment(night(np.random.default_rng(8), n=1), LIMITS)
        assert result.reasons == ("few", "insensitive")
        assert result.detectable == np.inf
        assert np.isfinite(result.vaod)

    def test_field_scatter_is_found(self):
        images = night(np.random.default_rng(9), n=100, n_stars=50, patchy=0.02)
        result = assessment(images, LIMITS)
        n_dof = 100 * 49
        square_error = np.sqrt(2 / n_dof) * (0.02**2 + 50 * 0.002**2)
        assert abs(result.field_scatter**2 - 0.02**2) < 3.3 * square_error

    def test_filters_have_means_of_their_own(self):
        """A wrong exponent is a difference of filters, no variation."""
        images = night(np.random.default_rng(10), error=0.0005)
        wavelength = np.tile([440.0, 700.0], 25)
        vaod = images.vaod * (wavelength / 440) ** -1.3
        images = replace(images, wavelength=wavelength, vaod=vaod)
        right = wavelength_factor(wavelength * u.nm, 440 * u.nm, 1.3)
        for factor in (right, np.ones(50)):
            assert assessment(images, LIMITS, factor=factor).is_clear
        result = assessment(images, LIMITS, factor=right)
        assert abs(result.vaod - 0.02) < 3.3 * result.stat_error

    def test_pull_of_the_mean(self):
        rng = np.random.default_rng(11)
        results = [assessment(night(rng, scatter=0.01), LIMITS) for _ in range(N_NIGHTS)]
        pull = np.array([(r.vaod - 0.02) / r.stat_error for r in results])
        assert abs(pull.mean()) < 3.3 / np.sqrt(N_NIGHTS)
        assert abs(pull.std() - np.sqrt(49 / 47)) < 3.3 / np.sqrt(2 * N_NIGHTS)  # Student's t

    def test_probability_of_the_mean(self):
        images = night(np.random.default_rng(12), mean=LIMITS.max_vaod)
        result = assessment(images, LIMITS)
        shift = (LIMITS.max_vaod - result.vaod) / result.stat_error
        assert (result.probability_below > 0.5) == (shift > 0)
        assert ("aerosol" in result.reasons) == (shift <= 0)

    def test_no_image(self):
        images = night(np.random.default_rng(8)).chosen(slice(0, 0))
        with pytest.raises(InsufficientStatisticsError, match="no FRAM image"):
            assessment(images, LIMITS)


CONFIGURED = {
    "CTAO-North": {"default": {"max_vaod": 0.04, "min_images": 8}, "summer": {"max_vaod": 0.03}}
}


class TestLimits:
    def test_site_and_season(self):
        assert limits_of(CONFIGURED, "CTAO-North", "winter").max_vaod == 0.04
        summer = limits_of(CONFIGURED, "CTAO-North", "summer")
        assert (summer.max_vaod, summer.min_images) == (0.03, 8)
        assert summer.size == ClearNightLimits().size

    def test_wrong(self):
        with pytest.raises(ConfigurationError, match="no limits for clear nights at CTAO-South"):
            limits_of(CONFIGURED, "CTAO-South", "winter")
        with pytest.raises(ConfigurationError, match="unknown max_vaods; known are max_vaod,"):
            limits_of({"X": {"default": {"max_vaods": 1}}}, "X", "winter")
        for bad in ({"max_vaod": -1}, {"size": 1.0}, {"max_vaod": np.nan}):
            with pytest.raises(ConfigurationError, match="all must be above 0"):
                limits_of({"X": {"default": bad}}, "X", "winter")


def test_windows():
    assert_allclose(window_index([0, 1799, 1800, 3601], 0, 1800), [0, 0, 1, 2])
    with pytest.raises(ConfigurationError, match="above 0"):
        window_index([0], 0, 0)


def test_systematic_errors_by_hand():
    """Two images, the second counts four times less: weights 0.8 and 0.2."""
    images = replace(
        night(np.random.default_rng(1), 2),
        wavelength=np.array([440.0, 880.0]),
        stat_error=np.array([0.001, 0.002]),
        airmass_error=np.array([0.001, 0.006]),
    )
    found = systematic_errors(
        images,
        0.05,
        factor=np.ones(2),
        stratosphere_error=np.array([0.002, 0.001]),
        reference_wavelength=440.0,
        exponent_error=0.5,
        calibration_error=0.008,
    )
    assert found == pytest.approx(
        {
            "calibration": 0.008,
            "airmass": 0.8 * 0.001 + 0.2 * 0.006,
            "stratosphere": 0.8 * 0.002 + 0.2 * 0.001,
            "wavelength": 0.05 * 0.2 * np.log(2) * 0.5,
        }
    )
