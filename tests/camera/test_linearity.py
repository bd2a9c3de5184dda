"""Light of a scan, residuals, ranges and corrections of cameras with known response."""

import numpy as np
import pytest
from light_scans import LEVELS, scan, truth

from calibpipe.camera.light_levels import independent_error, light_levels
from calibpipe.camera.linearity import linear_charge, linearity, monotone_knots
from calibpipe.camera.photon_transfer import photon_transfer
from calibpipe.core.exceptions import ConfigurationError

N_PIXELS, N_EVENTS = 120, 1500
BEND = 20_000.0  # p.e.: 6 % at 1280


def bent(charge):
    """What a multiplier gives whose last dynode saturates."""
    return charge / (1 + charge / BEND)


@pytest.fixture(scope="module")
def camera():
    return truth(N_PIXELS, np.random.default_rng(1))


@pytest.fixture(scope="module")
def straight(camera):
    return scan(camera, np.random.default_rng(2), n_events=N_EVENTS)


@pytest.fixture(scope="module")
def curved(camera):
    return scan(camera, np.random.default_rng(3), n_events=N_EVENTS, response=bent)


def levels(measured, nominal=LEVELS, error=0.05, **more):
    used = photon_transfer(measured).is_used
    return light_levels(measured, used, nominal, np.full(len(nominal), error), **more)


def test_pixels_know_the_ratios_of_filters_of_five_percent(straight):
    rng = np.random.default_rng(4)
    filters = LEVELS * (1 + 0.05 * rng.standard_normal(LEVELS.size))
    found = levels(straight, filters)
    ratio = found.level / LEVELS
    # jitter of the source moves the light of a point by B/sqrt(N); the pixels' part is smaller.
    # filters draw by (0.01/0.05)² of their deviations
    drawn = 0.05 * 0.01**2 / (0.01**2 + 0.05**2)
    assert np.std(ratio) / np.mean(ratio) < 4 * np.hypot(0.01 / np.sqrt(N_EVENTS), drawn)
    assert np.mean(ratio) == pytest.approx(1, abs=4 * 0.05 / np.sqrt(LEVELS.size))
    assert np.std(found.pull) == pytest.approx(1, abs=4 / np.sqrt(2 * LEVELS.size))
    assert found.relative_error == pytest.approx((0.01**-2 + 0.05**-2) ** -0.5)


def test_a_filter_that_is_wrong_is_seen(straight):
    wrong = LEVELS.copy()
    wrong[3] *= 1.5
    found = levels(straight, wrong)
    assert np.argmax(np.abs(found.pull)) == 3
    assert found.pull[3] < -5


def test_residuals_of_a_linear_camera_are_noise(straight):
    found = linearity(straight, levels(straight), tolerance=0.02)
    pull = (found.residual / found.residual_stat_error)[1:]
    known = pull[np.isfinite(pull)]
    assert np.std(known) == pytest.approx(1, abs=0.05)
    assert np.isinf(found.saturation).all()
    highest = straight.signal[-1]
    assert found.range_high == pytest.approx(highest)


def test_pull_of_each_gain_has_width_one(camera):
    rng = np.random.default_rng(14)
    measured = scan(camera, rng, levels=LEVELS[2:], n_events=500)
    found = linearity(measured, levels(measured, LEVELS[2:]), tolerance=0.02)
    for channel in (0, 1):
        pull = (found.residual / found.residual_stat_error)[:, channel].ravel()
        assert np.std(pull) == pytest.approx(1, abs=4 / np.sqrt(2 * pull.size))


def test_a_monitor_sees_the_bend_that_all_pixels_share(curved):
    found = linearity(curved, levels(curved, error=1e-4), tolerance=0.02)
    true = bent(LEVELS) / LEVELS
    median = np.median(found.residual[:, 1], axis=-1)
    # the response is that of all points that count: relative to the darkest one
    relative = (1 + median[3:]) / (1 + median[3]) / (true[3:] / true[3]) - 1
    assert np.abs(relative).max() < 4 * 0.01 / np.sqrt(N_EVENTS) * np.sqrt(2) + 1e-3
    assert np.median(found.saturation[1]) < 1280 * np.median(curved.signal[-1, 1]) / bent(1280)


def test_filters_of_five_percent_do_not_and_say_so(curved):
    found = levels(curved)
    residual = linearity(curved, found).residual
    assert np.abs(np.median(residual[:, 1], axis=-1)).max() < 0.01
    assert (found.relative_error > 0.0098).all()
    assert found.pull[-1] < -0.5  # 6 % of 5 %


def test_saturation_of_one_gain_is_seen_by_the_other():
    rng = np.random.default_rng(5)
    camera = truth(N_PIXELS, rng, saturation=(30_000.0, np.inf))
    measured = scan(camera, rng, n_events=N_EVENTS)
    found = linearity(measured, levels(measured), tolerance=0.02)
    last = found.range_high[0] / camera.gain[0]
    assert (last < 345).all()  # 30 000 ADC of 85 ADC/p.e., 5 % spread of gains
    assert np.median(last) > 100
    assert (found.saturation[0] > found.range_high[0]).all()
    assert (found.saturation[0] <= 30_000).all()
    assert np.isinf(found.saturation[1]).all()


def test_one_pixel_that_bends(camera):
    rng = np.random.default_rng(6)
    measured = scan(camera, rng, n_events=N_EVENTS)
    measured.signal[-3:, 0, 7] *= np.array([0.97, 0.9, 0.8])
    found = linearity(measured, levels(measured), tolerance=0.05)
    low, high = measured.signal[-3:-1, 0, 7]
    assert low < found.saturation[0, 7] < high
    before, after = -found.residual[-3:-1, 0, 7]
    part = (0.05 - before) / (after - before)
    assert np.log(found.saturation[0, 7] / low) / np.log(high / low) == pytest.approx(part)
    assert found.range_high[0, 7] == low
    others = np.delete(found.saturation[0], 7)
    assert np.isinf(others).all()


def test_corrected_charges_are_proportional_to_the_light(camera, curved):
    light = levels(curved, error=1e-4)
    found = linearity(curved, light, tolerance=0.1)
    measured, linear = monotone_knots(curved, light, found)
    corrected = linear_charge(curved.signal, measured, linear)
    ratio = (corrected / light.level[:, None, None] / light.response)[2:]
    assert ratio[np.isfinite(ratio)] == pytest.approx(1, abs=1e-6)
    between = (
        camera.gain
        * bent(450.0)
        * np.mean(curved.signal[6] / camera.gain / bent(320.0), axis=1)[:, None]
    )
    halfway = linear_charge(between[np.newaxis], measured, linear)[0, 1]
    assert np.mean(halfway / (light.response[1] * 450)) == pytest.approx(1, abs=1e-3)


def test_correction_is_monotone_whatever_the_noise():
    rng = np.random.default_rng(7)
    camera = truth(40, rng, noise=(300.0, 100.0))
    measured = scan(camera, rng, n_events=60, levels=[40, 41, 42, 80, 82, 160])
    light = levels(measured, np.array([40, 41, 42, 80, 82, 160.0]))
    knots = monotone_knots(measured, light, linearity(measured, light, tolerance=0.5))
    assert np.count_nonzero(np.isnan(knots[0])) > np.count_nonzero(np.isnan(measured.signal))
    charges = np.linspace(-1000, 20_000, 300)[:, None, None] * np.ones((1, 2, 40))
    corrected = linear_charge(charges, *knots)
    steps = np.diff(corrected, axis=0)
    assert (steps[np.isfinite(steps)] > 0).all()
    zero = linear_charge(np.zeros((1, 2, 40)), *knots)
    assert zero[np.isfinite(zero)] == pytest.approx(0)


def test_beyond_the_last_knot_there_is_no_number(camera, straight):
    light = levels(straight)
    knots = monotone_knots(straight, light, linearity(straight, light))
    assert np.isnan(linear_charge(np.full((1, 2, N_PIXELS), 1e7), *knots)).all()


def test_jitter_of_the_source_is_no_error_of_a_pixel(straight):
    error = independent_error(straight)[-1, 0]
    total = straight.signal_error[-1, 0] / straight.signal[-1, 0]
    assert (error < total).all()
    assert np.median(error**2) == pytest.approx(1.222 / 1280 / N_EVENTS, rel=0.1)


def test_light_for_other_points(straight):
    with pytest.raises(ConfigurationError, match="nominal light of 2 and tolerances of 2 points"):
        levels(straight, LEVELS[:2])


@pytest.mark.parametrize(("nominal", "error"), [(0.0, 0.05), (1.0, -0.1), (np.nan, 0.05)])
def test_impossible_light(straight, nominal, error):
    wrong = LEVELS.copy()
    wrong[2] *= nominal
    with pytest.raises(ConfigurationError, match="both must be positive"):
        levels(straight, wrong, error)


def test_light_without_a_scale(straight):
    with pytest.raises(ConfigurationError, match="nothing fixes its scale"):
        levels(straight, error=np.inf)


def test_no_bend_at_all_is_not_believed(straight):
    with pytest.raises(ConfigurationError, match="common_bend is 0"):
        levels(straight, common_bend=0.0)


def test_no_tolerance(straight):
    with pytest.raises(ConfigurationError, match="needs more than 0; give"):
        linearity(straight, levels(straight), tolerance=0.0)
