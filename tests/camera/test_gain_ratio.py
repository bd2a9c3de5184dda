"""Ratio of gains with errors on both axes, offsets, swapped gains, both gains in one."""

from dataclasses import replace

import numpy as np
import pytest
from light_scans import charges, scan, truth

from calibpipe.camera.gain_ratio import (
    GainRatio,
    GainRatioReason,
    combined_charge,
    gain_ratio,
)
from calibpipe.core.exceptions import ConfigurationError

N_PIXELS = 400
LEVELS = [10, 20, 40, 80, 160]


@pytest.fixture(scope="module")
def camera():
    return truth(N_PIXELS, np.random.default_rng(1), jitter=0.03)


@pytest.fixture(scope="module")
def measured(camera):
    return scan(camera, np.random.default_rng(2), levels=LEVELS, n_events=500)


@pytest.fixture(scope="module")
def variance(camera):
    return np.array(camera.noise)[:, None] ** 2 * np.ones(N_PIXELS)


@pytest.fixture(scope="module")
def true(camera):
    return camera.gain[0] / camera.gain[1]


def everywhere(measured):
    return np.ones(measured.signal.shape, bool)


def check(pull):
    assert np.std(pull) == pytest.approx(1, abs=4 / np.sqrt(2 * pull.size))
    assert np.mean(pull) == pytest.approx(0, abs=4 / np.sqrt(pull.size))


def test_ratio_and_offset_have_pulls_of_width_one(measured, variance, true):
    found = gain_ratio(measured, everywhere(measured), variance)
    check((found.ratio - true) / found.ratio_stat_error)
    check(found.offset / found.offset_error)
    assert np.mean(found.chi2) == pytest.approx(4, abs=4 * np.sqrt(8 / N_PIXELS))
    assert not found.status.any()
    # noise of 17 and 17.4 x 5 ADC at 160 p.e. and darker points, pedestals of as many events
    light = 85 * np.array(LEVELS)
    noise = np.hypot(17, 17.4 * 5) * np.sqrt(2 / 500)
    expected = noise / np.sqrt(np.sum((light / 17.4) ** 2))
    assert np.median(found.ratio_stat_error) == pytest.approx(expected, rel=0.02)


def test_the_fluctuations_of_the_light_are_no_scatter(measured, variance):
    found = gain_ratio(measured, everywhere(measured), variance)
    naive = measured.signal_error[-1, 0] / measured.signal[-1, 0] * found.ratio
    assert (found.ratio_stat_error < 0.5 * naive).all()


def test_sky_pedestals_make_errors_too_large(measured, true):
    sky = measured.pedestal_variance.mean(axis=0)
    found = gain_ratio(measured, everywhere(measured), sky)
    pull = (found.ratio - true) / found.ratio_stat_error
    assert np.std(pull) < 0.7


def test_saturated_points_do_not_count(measured, variance, true):
    bent = replace(measured, signal=measured.signal.copy())
    bent.signal[-1, 0] *= 0.9
    used = everywhere(measured)
    used[-1, 0] = False
    found = gain_ratio(bent, used, variance)
    check((found.ratio - true) / found.ratio_stat_error)
    assert (found.n_points == 4).all()
    spoilt = gain_ratio(bent, everywhere(measured), variance)
    assert (spoilt.status & GainRatioReason.BAD_FIT).mean() > 0.9
    assert np.median(spoilt.ratio_sys_error) > 5 * np.median(spoilt.ratio_stat_error)


def test_a_wrong_pedestal_is_told(measured, variance):
    wrong = replace(measured, signal=measured.signal.copy())
    wrong.signal[:, 0, 3] += 200.0
    found = gain_ratio(wrong, everywhere(measured), variance)
    assert found.status[3] & GainRatioReason.OFFSET
    assert found.offset[3] == pytest.approx(200.0, abs=4 * found.offset_error[3])
    assert np.count_nonzero(found.status) == 1


def test_pixels_without_overlap(measured, variance):
    used = everywhere(measured)
    used[1:, 1, 5] = False
    found = gain_ratio(measured, used, variance)
    assert found.status[5] == GainRatioReason.TOO_FEW_POINTS
    assert np.isnan([found.ratio[5], found.ratio_stat_error[5], found.offset[5]]).all()


def test_one_pixel_with_swapped_gains(measured, variance):
    swapped = replace(measured, signal=measured.signal.copy())
    swapped.signal[:, :, 9] = measured.signal[:, ::-1, 9]
    found = gain_ratio(swapped, everywhere(measured), variance)
    assert found.status[9] & GainRatioReason.SWAPPED
    assert found.ratio[9] < 1


def test_a_camera_with_swapped_gains(measured, variance):
    swapped = replace(measured, signal=measured.signal[:, ::-1])
    with pytest.raises(ConfigurationError, match="gains are swapped: 400 of 400"):
        gain_ratio(swapped, everywhere(measured), variance[::-1])


def test_a_camera_with_one_gain(measured, variance):
    one = replace(measured, signal=measured.signal[:, :1])
    with pytest.raises(ConfigurationError, match="needs 2 channels, the camera has 1"):
        gain_ratio(one, everywhere(one), variance[:1])


@pytest.fixture(scope="module")
def exact(true):
    zero = np.zeros(N_PIXELS)
    return GainRatio(true, 0.001 * true, zero, zero, zero, zero, zero, zero)


@pytest.mark.parametrize("n_pe", [20.0, 150.0, 220.0, 400.0])
def test_both_gains_in_one_charge(camera, variance, exact, n_pe):
    rng = np.random.default_rng(3)
    clipped = replace(camera, saturation=(20_000.0, np.inf), sky=0.0, jitter=0.0)
    both = charges(clipped, n_pe, 400, rng)
    found = combined_charge(
        both[:, 0], both[:, 1], exact, variance, switch_over=(12_000.0, 15_000.0)
    )
    light = np.mean(found.charge / camera.gain[0])
    photons = np.sqrt(1.222 * n_pe / (400 * N_PIXELS))
    assert light == pytest.approx(n_pe, abs=4 * photons)
    if n_pe == 20.0:
        assert found.weight == pytest.approx(1 / (1 + (17 / 87) ** 2), abs=0.02)
    if n_pe == 400.0:
        assert (found.weight == 0).all()
        assert found.sys_error == pytest.approx(0.001 * found.charge)


def test_error_of_the_combined_charge(camera, variance, exact):
    rng = np.random.default_rng(4)
    light = 130 * camera.gain  # inside the switch-over
    both = light + rng.normal(size=(2000, 2, N_PIXELS)) * np.array(camera.noise)[:, None]
    found = combined_charge(
        both[:, 0], both[:, 1], exact, variance, switch_over=(5_000.0, 500_000.0)
    )
    pull = (found.charge - light[0]) / found.stat_error
    assert np.std(pull) == pytest.approx(1, abs=4 / np.sqrt(2 * pull.size))


def test_switch_over_in_the_wrong_order(measured, variance, exact):
    low = np.ones(N_PIXELS)
    with pytest.raises(ConfigurationError, match="two ascending signals"):
        combined_charge(low, low, exact, variance, switch_over=(100.0, 50.0))
