"""Relative pixel times: sign, reference, errors."""

import numpy as np
import pytest
from scipy.stats import norm

from calibpipe.camera.timing import time_shift, time_shift_error


def test_a_late_pixel_has_a_positive_shift():
    shift = time_shift([[18.0, 18.0, 20.5]], np.ones((1, 3), bool))
    np.testing.assert_allclose(shift, [[0.0, 0.0, 2.5]])


def test_subtracting_the_shift_aligns_the_camera():
    peak_time = np.random.default_rng(1).normal([[18.0], [19.5]], 0.4, (2, 200))
    aligned = peak_time - time_shift(peak_time, np.ones((2, 200), bool))
    np.testing.assert_allclose(aligned, np.median(peak_time, axis=1, keepdims=True) + 0 * aligned)


def test_bad_pixels_do_not_move_the_reference_but_keep_a_shift():
    shift = time_shift([[18.0, 19.0, 38.0, np.nan]], np.array([[True, True, False, True]]))
    np.testing.assert_array_equal(shift, [[-0.5, 0.5, 19.5, np.nan]])


def test_channel_without_good_pixels_has_no_shift():
    assert np.isnan(time_shift([[18.0, 19.0]], np.zeros((1, 2), bool))).all()


@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_error_is_the_scatter_of_repeated_measurements(spread):
    rng = np.random.default_rng(3)
    std, n_events, n_pixels, n_repeats = 0.6, 100, 51, 2000
    # true offsets at the quantiles of a Gaussian; the pixel in question is far from the median
    offsets = spread * norm.ppf((np.arange(n_pixels) + 0.5) / n_pixels)
    means = offsets + rng.normal(0.0, std / np.sqrt(n_events), (n_repeats, n_pixels))
    good = np.ones((1, n_pixels), bool)
    shifts = np.array([time_shift(m[None], good)[0, 0] for m in means])
    biased = np.full((1, n_pixels), std * np.sqrt(1 - 1 / n_events))
    errors = [time_shift_error(m[None], biased, n_events, good)[0, 0] for m in means[:100]]
    # 1/n_pixels: correlation of the pixel with the median it belongs to
    assert abs(shifts.std() / np.mean(errors) - 1) < 4 / np.sqrt(2 * n_repeats) + 1 / n_pixels


def test_error_without_events_is_nan():
    good = np.ones((1, 3), bool)
    error = time_shift_error(np.full((1, 3), 18.0), np.full((1, 3), 0.5), [[100, 0, 1]], good)
    np.testing.assert_array_equal(np.isfinite(error), [[True, False, False]])
