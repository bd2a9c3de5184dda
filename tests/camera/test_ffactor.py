"""The F-factor method against Monte Carlo, its own limits and the propagated errors."""

import numpy as np
import pytest

from calibpipe.camera.ffactor import (
    fit_quadratic_noise,
    flatfield_factor,
    photon_statistics,
)
from calibpipe.camera.medians import masked_median, masked_median_error
from calibpipe.core.exceptions import ConfigurationError, InsufficientStatisticsError

F2, GAIN, PEDESTAL_RMS, B = 1.222, 58.0, 20.0, 0.02  # anchor C01


def charges(rng, n_pe, shape, *, gain=GAIN, quadratic_noise=B):
    """Pulses of a jittering source on gamma-distributed single p.e. (n_events, n_pixels), ADC."""
    light = n_pe * (1.0 + quadratic_noise * rng.standard_normal(shape))
    n = rng.poisson(light).astype(float)
    shape_of_one = 1.0 / (F2 - 1.0)
    amplitude = rng.gamma(np.maximum(n, 1e-9) * shape_of_one, 1.0 / shape_of_one)
    return gain * amplitude + PEDESTAL_RMS * rng.standard_normal(shape)


def measured(flatfield, pedestal, **noise):
    """photon_statistics of charges (n_events, n_pixels), one channel."""
    return photon_statistics(
        flatfield.mean(axis=0)[None],
        flatfield.std(axis=0)[None],
        len(flatfield),
        pedestal.mean(axis=0)[None],
        pedestal.std(axis=0)[None],
        len(pedestal),
        squared_excess_noise_factor=F2,
        **noise,
    )


@pytest.fixture(scope="module")
def camera():
    """300 pixels at 80 p.e.: 2500 flat fields and pedestals."""
    rng = np.random.default_rng(20260115)
    shape = (2500, 300)
    return charges(rng, 80.0, shape), 400.0 + PEDESTAL_RMS * rng.standard_normal(shape)


def test_hand_computed():
    found = photon_statistics(
        [[1000.0]], [[np.sqrt(12600.0 * 100 / 101)]], [[101]], [[200.0]],
        [[np.sqrt(600.0 * 50 / 51)]], [[51]],
        squared_excess_noise_factor=1.25,
        squared_quadratic_noise=1e-3,
    )  # fmt: skip
    assert found.signal[0, 0] == pytest.approx(800.0)
    gain = 12000.0 / (1.25 * 800.0) - 1e-3 * 800.0 / 1.25
    assert found.gain[0, 0] == pytest.approx(gain)
    assert found.n_pe[0, 0] == pytest.approx(800.0 / gain)
    assert found.signal_stat_error[0, 0] == pytest.approx(np.sqrt(12600 / 101 + 600 / 51))


def test_anchor_c01_quadratic_noise_is_removed(camera):
    flatfield, pedestal = camera
    flatfield = flatfield + 400.0
    raw = measured(flatfield, pedestal).gain
    corrected = measured(flatfield, pedestal, squared_quadratic_noise=B**2).gain
    error = corrected.std() / np.sqrt(corrected.size)
    assert abs(corrected.mean() - GAIN) < 4 * error
    bias = B**2 * 80.0 / F2
    assert abs(raw.mean() / GAIN - 1 - bias) < 4 * error / GAIN
    assert bias == pytest.approx(0.0262, abs=1e-4)


@pytest.mark.parametrize("quantity", ["gain", "n_pe", "signal"])
def test_anchor_c02_quoted_errors_are_the_scatter(camera, quantity):
    flatfield, pedestal = camera
    found = measured(flatfield + 400.0, pedestal, squared_quadratic_noise=B**2)
    truth = {"gain": GAIN, "n_pe": 80.0, "signal": 80.0 * GAIN}[quantity]
    pull = (getattr(found, quantity) - truth) / getattr(found, f"{quantity}_stat_error")
    n = pull.size
    assert abs(pull.mean()) < 4 / np.sqrt(n)
    assert abs(pull.std(ddof=1) - 1) < 4 / np.sqrt(2 * n)


@pytest.mark.parametrize(("n_events", "anchor"), [(10_000, 0.0141), (2500, 0.0283)])
def test_anchor_c02_leading_term(n_events, anchor):
    found = photon_statistics(
        1e5, np.sqrt(1e5), n_events, 0.0, 1e-3, n_events, squared_excess_noise_factor=1.0
    )
    assert found.gain_stat_error / found.gain == pytest.approx(anchor, rel=5e-3)
    assert found.gain_stat_error / found.gain == pytest.approx(np.sqrt(2 / n_events), rel=1e-3)


def test_anchor_c04_medians_bias_the_gain(camera):
    flatfield, pedestal = camera
    means = measured(flatfield + 400.0, pedestal).gain
    medians = photon_statistics(
        np.median(flatfield + 400.0, axis=0)[None], flatfield.std(axis=0)[None], 2500,
        pedestal.mean(axis=0)[None], pedestal.std(axis=0)[None], 2500,
        squared_excess_noise_factor=F2,
    ).gain  # fmt: skip
    ratio = medians / means
    error = ratio.std() / np.sqrt(ratio.size)
    assert abs(ratio.mean() - 1.0033) < 4 * error + 1e-4  # 1e-4: the anchor's last digit
    assert ratio.mean() - 1 > 5 * error


def test_systematic_errors_scale_all_pixels():
    numbers = (np.array([[800.0, 400.0]]), np.array([[100.0, 70.0]]), 1000, 0.0, 20.0, 1000)
    found = photon_statistics(
        *numbers, squared_excess_noise_factor=1.25, squared_excess_noise_factor_error=0.05
    )
    # 4 % in F² is 4 % in gain and photo-electrons, whatever the statistics
    np.testing.assert_allclose(found.gain_sys_error / found.gain, 0.04)
    np.testing.assert_allclose(found.n_pe_sys_error / found.n_pe, 0.04)
    scaled = photon_statistics(*numbers, squared_excess_noise_factor=1.25 * 1.04)
    np.testing.assert_allclose(found.gain / scaled.gain, 1.04)


def test_systematic_error_of_quadratic_noise_is_the_difference_it_makes():
    numbers = (800.0, 100.0, 1000, 0.0, 20.0, 1000)
    low, high = (
        photon_statistics(
            *numbers,
            squared_excess_noise_factor=1.25,
            squared_quadratic_noise=value,
            squared_quadratic_noise_error=1e-4,
        )
        for value in (1e-4, 2e-4)
    )
    assert low.gain - high.gain == pytest.approx(low.gain_sys_error)


def test_a_pixel_without_meaning_is_nan_and_the_others_are_not():
    mean = np.array([[1000.0, 200.0, np.nan, 1000.0, 1000.0, 1000.0]])
    std = np.array([[100.0, 100.0, 100.0, 5.0, 100.0, 100.0]])
    n_events = np.array([[100, 100, 100, 100, 1, 100]])
    n_pedestals = np.array([[100, 100, 100, 100, 100, 24]])
    found = photon_statistics(
        mean, std, n_events, 300.0, 20.0, n_pedestals, squared_excess_noise_factor=F2
    )
    expected = [[True, False, False, False, False, False]]
    for name in ("gain", "n_pe", "signal", "gain_stat_error", "n_pe_sys_error"):
        np.testing.assert_array_equal(np.isfinite(getattr(found, name)), expected, err_msg=name)


def test_25_pedestal_events_are_enough():
    found = photon_statistics(800.0, 100.0, 100, 0.0, 20.0, 25, squared_excess_noise_factor=F2)
    assert np.isfinite(found.gain)


def test_fewer_than_25_pedestal_events_are_an_error():
    with pytest.raises(
        InsufficientStatisticsError,
        match=r"at least 25 pedestal events, got 24 in chunk 7 of LSTN-01; make the pedestal",
    ):
        photon_statistics(
            800.0, 100.0, 100, 0.0, 20.0, [[3, 24]],
            squared_excess_noise_factor=F2, where="chunk 7 of LSTN-01",
        )  # fmt: skip


def test_excess_noise_below_one_is_refused():
    with pytest.raises(ConfigurationError, match=r"squared_excess_noise_factor is 0\.222"):
        photon_statistics(800.0, 100.0, 100, 0.0, 20.0, 25, squared_excess_noise_factor=0.222)


def test_negative_error_is_refused():
    with pytest.raises(ConfigurationError, match=r"noise parameter is -0\.1; give a number >= 0"):
        photon_statistics(
            800.0, 100.0, 100, 0.0, 20.0, 25,
            squared_excess_noise_factor=F2, squared_excess_noise_factor_error=-0.1,
        )  # fmt: skip


def test_filter_scan_recovers_gain_and_quadratic_noise():
    """Closure on moments drawn from their sampling distribution, 10 000 events a filter."""
    rng = np.random.default_rng(7)
    n_events, n_pixels, noise = 10_000, 2000, 0.01
    n_pe = np.geomspace(5, 1280, 9)
    signal = np.broadcast_to((GAIN * n_pe)[:, None, None], (9, 1, n_pixels))
    truth = PEDESTAL_RMS**2 + F2 * GAIN * signal + noise**2 * signal**2
    chi2 = rng.chisquare(n_events - 1, signal.shape) / (n_events - 1)
    pedestal = PEDESTAL_RMS**2 * rng.chisquare(n_events - 1, (1, n_pixels)) / (n_events - 1)
    fit = fit_quadratic_noise(
        signal, truth * chi2, n_events, pedestal, n_events, squared_excess_noise_factor=F2
    )
    for found, error, true in (
        (fit.gain, fit.gain_error, GAIN),
        (fit.squared_quadratic_noise, fit.squared_quadratic_noise_error, noise**2),
    ):
        pull = (found - true) / error
        assert abs(pull.mean()) < 4 / np.sqrt(n_pixels)
        assert abs(pull.std() - 1) < 4 / np.sqrt(2 * n_pixels)
    # chi² of 7 degrees of freedom: mean 7, variance 14
    assert abs(fit.chi2.mean() - 7) < 4 * np.sqrt(14 / n_pixels)


def test_filter_scan_on_charges_agrees_with_the_truth():
    rng = np.random.default_rng(11)
    intensities, shape = np.geomspace(5, 1280, 9), (2000, 30)
    scan = [charges(rng, n, shape, quadratic_noise=B) for n in intensities]
    signal = np.array([q.mean(axis=0) for q in scan])[:, None]
    variance = np.array([q.var(axis=0, ddof=1) for q in scan])[:, None]
    fit = fit_quadratic_noise(
        signal, variance, 2000, np.full((1, 30), PEDESTAL_RMS**2), 2000,
        squared_excess_noise_factor=F2,
    )  # fmt: skip
    for found, error, true in (
        (fit.gain, fit.gain_error, GAIN),
        (fit.squared_quadratic_noise, fit.squared_quadratic_noise_error, B**2),
    ):
        pull = (found - true) / error
        assert abs(pull.mean()) < 4 / np.sqrt(pull.size)
        assert abs(pull.std(ddof=1) - 1) < 4 / np.sqrt(2 * pull.size)


def test_filter_scan_of_exact_numbers_is_exact_and_skips_bad_points():
    signal = np.array([100.0, 1000.0, 5000.0, 2e4])[:, None, None] * np.ones((4, 2, 3))
    variance = 400.0 + F2 * 20.0 * signal + 1e-4 * signal**2
    variance[1, 0, 0] = np.nan
    variance[:2, 1, 1] = np.nan
    fit = fit_quadratic_noise(
        signal, variance, 100, np.full((2, 3), 400.0), 100, squared_excess_noise_factor=F2
    )
    assert np.isnan(fit.gain[1, 1])
    assert fit.n_points[0, 0] == 3
    good = np.isfinite(fit.gain)
    assert good.sum() == 5
    np.testing.assert_allclose(fit.gain[good], 20.0)
    np.testing.assert_allclose(fit.squared_quadratic_noise[good], 1e-4)


def test_filter_scan_of_two_points_is_refused():
    with pytest.raises(InsufficientStatisticsError, match="at least 3 intensities, got 2"):
        fit_quadratic_noise(
            np.ones((2, 1, 1)), np.ones((2, 1, 1)), 9, np.ones((1, 1)), 9,
            squared_excess_noise_factor=F2,
        )  # fmt: skip


def test_flat_field_times_factor_is_the_camera_median():
    n_pe = np.array([[70.0, 80.0, 90.0, 1e6], [10.0, 20.0, 30.0, 40.0]])
    signal = n_pe * np.array([[50.0], [3.0]])
    good = np.array([[True, True, True, False], [True, True, True, True]])
    factor, median = flatfield_factor(n_pe, signal, good)
    np.testing.assert_allclose((factor * signal)[0], [80.0, 80.0, 80.0, 0.0])
    np.testing.assert_allclose((factor * signal)[1], 25.0)
    np.testing.assert_allclose(median, [[80.0], [25.0]])


def test_channel_without_good_pixels_has_factor_zero_and_no_median():
    factor, median = flatfield_factor(
        np.full((1, 2), np.nan), np.ones((1, 2)), np.zeros((1, 2), bool)
    )
    assert np.isnan(median).all()
    np.testing.assert_array_equal(factor, 0.0)


def test_masked_median_looks_at_good_entries_only():
    found = masked_median([[1.0, 2.0, 99.0]], np.array([[True, True, False]]))
    np.testing.assert_array_equal(found, [[1.5]])


@pytest.mark.parametrize("spread", [0.0, 0.3, 3.0])
def test_error_of_the_median_is_its_scatter(spread):
    """Pixels that stay the same, measured 4000 times with errors of 1."""
    rng = np.random.default_rng(8)
    n_pixels, n_repeats = 200, 4000
    truth = spread * rng.standard_normal(n_pixels)
    good = np.ones((n_repeats, n_pixels), bool)
    found = truth + rng.standard_normal((n_repeats, n_pixels))
    error = masked_median_error(found, np.ones(found.shape), good).mean()
    # 0.15: the 200 true values are themselves a draw, their density at the median is not exact
    allowed = 4 / np.sqrt(2 * n_repeats) + (0.15 if spread > 1 else 0.02)
    assert abs(masked_median(found, good).std() / error - 1) < allowed
