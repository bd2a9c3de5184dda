"""Every criterion finds its pixel and only its pixel; good cameras stay good."""

from dataclasses import replace

import numpy as np
import pytest

from calibpipe.camera.outliers import (
    OutlierCriteria,
    PixelReason,
    chunk_verdict,
    flatfield_reasons,
    n_pe_reasons,
    n_pe_standard_deviation,
    peak_time_reasons,
    pedestal_reasons,
    reason_counts,
)

N_PIXELS = 1855
CRITERIA = OutlierCriteria()
EVENTS = np.full((2, N_PIXELS), 1000)


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def only(reasons, expected):
    """Assert that just these pixels have just these reasons: {(channel, pixel): reason}."""
    found = {(int(c), int(p)): PixelReason(int(reasons[c, p])) for c, p in np.argwhere(reasons)}
    assert found == expected


def test_pedestals(rng):
    mean = rng.normal(4800.0, 12.0, (2, N_PIXELS))
    std = rng.normal(60.0, 2.0, (2, N_PIXELS))
    n_events = EVENTS.copy()
    mean[0, 3] += 500.0
    std[1, 5] = 200.0
    std[0, 6] = 0.0
    mean[1, 7] = np.nan
    n_events[0, 8] = 24
    n_events[0, 9] = 25
    only(
        pedestal_reasons(mean, std, n_events, CRITERIA),
        {
            (0, 3): PixelReason.PEDESTAL_MEAN,
            (1, 5): PixelReason.PEDESTAL_STD,
            (0, 6): PixelReason.PEDESTAL_STD,
            (1, 7): PixelReason.NON_FINITE,
            (0, 8): PixelReason.TOO_FEW_EVENTS,
        },
    )


def test_flat_fields(rng):
    signal = rng.normal([[4600.0], [270.0]], [[250.0], [15.0]], (2, N_PIXELS))
    std = rng.normal([[600.0], [35.0]], [[30.0], [2.0]], (2, N_PIXELS))
    n_events = EVENTS.copy()
    signal[0, 1] = 4600.0 * 1.6
    signal[1, 2] = 0.4 * 270.0
    signal[0, 4] = 3.0
    std[1, 5] = 150.0
    signal[0, 6] = np.inf
    n_events[1, 7] = 49
    only(
        flatfield_reasons(signal, std, n_events, CRITERIA),
        {
            (0, 1): PixelReason.FLATFIELD_CHARGE,
            (1, 2): PixelReason.FLATFIELD_CHARGE,
            (0, 4): PixelReason.FLATFIELD_CHARGE | PixelReason.DEAD,
            (1, 5): PixelReason.FLATFIELD_STD,
            (0, 6): PixelReason.NON_FINITE | PixelReason.FLATFIELD_CHARGE,
            (1, 7): PixelReason.TOO_FEW_EVENTS,
        },
    )


@pytest.mark.parametrize("n_bad", [0.3, 0.45])
def test_many_hot_pixels_do_not_hide_each_other(rng, n_bad):
    """Mean and standard deviation of the camera would move with the outliers."""
    std = rng.normal(60.0, 2.0, (1, N_PIXELS))
    hot = np.zeros((1, N_PIXELS), bool)
    hot[:, : int(n_bad * N_PIXELS)] = True
    std[hot] *= 5.0
    found = pedestal_reasons(np.full((1, N_PIXELS), 1.0), std, EVENTS[:1], CRITERIA)
    np.testing.assert_array_equal(found != 0, hot)


def test_a_good_camera_is_good(rng):
    """Gaussian cameras: less than one pixel in a thousand is lost (here: none in 37 100)."""
    for _ in range(10):
        assert not pedestal_reasons(
            rng.normal(4800, 12, (2, N_PIXELS)), rng.normal(60, 2, (2, N_PIXELS)), EVENTS, CRITERIA
        ).any()


def test_camera_of_equal_pixels_has_no_outlier():
    assert not pedestal_reasons(
        np.ones((1, 9)), np.ones((1, 9)), np.full((1, 9), 99), CRITERIA
    ).any()


def test_camera_without_light_is_dead():
    found = flatfield_reasons(np.full((1, 9), -2.0), np.ones((1, 9)), np.full((1, 9), 99), CRITERIA)
    assert ((found & PixelReason.DEAD) != 0).all()


def test_camera_without_numbers_is_not_finite():
    nothing = np.full((1, 4), np.nan)
    found = flatfield_reasons(nothing, nothing, np.zeros((1, 4)), CRITERIA)
    assert (found == PixelReason.NON_FINITE | PixelReason.TOO_FEW_EVENTS).all()


def test_peak_times():
    found = peak_time_reasons(np.array([[1.9, 2.0, 18.0, 38.0, 38.1, np.nan]]), CRITERIA)
    only(
        found,
        {
            (0, 0): PixelReason.PEAK_TIME,
            (0, 4): PixelReason.PEAK_TIME,
            (0, 5): PixelReason.NON_FINITE,
        },
    )


@pytest.mark.parametrize(
    ("n_pe", "n_events", "high", "low"),
    [(80, 10_000, 6.498, 5.803), (80, 2500, 7.334, 6.262), (1000, 10_000, 86.52, 152.80)],
)
def test_anchor_c06(n_pe, n_events, high, low):
    """The quadratic term goes with n²: the peer has 81.2 and 71.7 at 1000 p.e."""
    sigma = n_pe_standard_deviation(np.full((2, 1), n_pe), n_events, CRITERIA)
    np.testing.assert_allclose(sigma[:, 0], [high, low], atol=6e-3)


def test_n_pe_cut_is_five_standard_deviations(rng):
    sigma = n_pe_standard_deviation(np.full((2, 1), 80.0), 1000, CRITERIA)[:, 0]
    n_pe = np.full((2, N_PIXELS), 80.0)
    n_pe[0, :2] = 80.0 + sigma[0] * np.array([4.99, 5.01])
    n_pe[1, 2:4] = 80.0 - sigma[1] * np.array([4.99, 5.01])
    n_pe[0, 9] = np.nan
    earlier = np.zeros((2, N_PIXELS), np.uint16)
    only(
        n_pe_reasons(n_pe, EVENTS, earlier, CRITERIA),
        {(0, 1): PixelReason.N_PE, (1, 3): PixelReason.N_PE, (0, 9): PixelReason.NON_FINITE},
    )


def test_pixels_bad_before_do_not_move_the_n_pe_median():
    n_pe = np.array([[10.0, 10.0, 10.0, 80.0, 80.0]])
    earlier = np.array([[4, 4, 4, 0, 0]])
    found = n_pe_reasons(n_pe, np.full((1, 5), 1000), earlier, CRITERIA)
    np.testing.assert_array_equal(found != 0, [[True, True, True, False, False]])


def test_chunk_is_judged_by_pixels_bad_in_any_channel():
    reasons = np.zeros((2, 100), np.uint16)
    reasons[0, :5] = PixelReason.DEAD
    reasons[1, 5:10] = PixelReason.N_PE
    assert chunk_verdict(reasons, CRITERIA) == (True, "")
    reasons[1, 10] = PixelReason.N_PE
    is_valid, text = chunk_verdict(reasons, CRITERIA)
    assert not is_valid
    assert text == "11.0% of the pixels are bad, limit 10.0% (N_PE 6, DEAD 5)"
    assert chunk_verdict(reasons, replace(CRITERIA, max_bad_fraction=0.11))[0]


def test_reasons_are_counted_per_pixel():
    reasons = np.array([[1, 3, 0], [1, 0, 0]], np.uint16)
    assert reason_counts(reasons) == {"NON_FINITE": 2, "TOO_FEW_EVENTS": 1}
