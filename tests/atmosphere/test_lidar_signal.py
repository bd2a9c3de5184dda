"""Steps from raw counts to a range-corrected signal, by hand and in limits."""

import astropy.units as u
import numpy as np
import pytest

from calibpipe.atmosphere.lidar_signal import (
    clear_sky_overlap,
    dead_time_corrected,
    overlap_corrected,
    range_corrected,
    rebinned,
    running_mean,
    signal_above_background,
    signal_noise,
)
from calibpipe.atmosphere.lidar_transmission import (
    depth_to_ground,
    on_altitudes,
    transmission,
)
from calibpipe.core.exceptions import (
    ConfigurationError,
    CorruptedInputError,
    InsufficientStatisticsError,
)


def test_dead_time_by_hand():
    """10 counts in 100 shots and bins of 50 ns with 5 ns: 10/(1 - 0.01)."""
    counts = np.array([[10.0, 0.0, 600.0]])
    found = dead_time_corrected(counts, [100.0], 50 * u.ns, 5 * u.ns)
    assert found[0, 0] == pytest.approx(10.0 / 0.99)
    assert found[0, 1] == 0
    blind = dead_time_corrected(counts * 10.0, [100.0], 50 * u.ns, 5 * u.ns)
    assert np.isnan(blind[0, 2])
    np.testing.assert_array_equal(dead_time_corrected(counts, [100.0], 50 * u.ns, 0 * u.ns), counts)


def test_dead_time_undoes_the_loss_of_a_counter():
    true = np.array([[50.0, 5.0, 0.5]]) * 1000
    recorded = true / (1.0 + true / 1000 * 0.01)
    found = dead_time_corrected(recorded, [1000.0], 50 * u.ns, 0.5 * u.ns)
    np.testing.assert_allclose(found, true, rtol=1e-12)


def test_background_holds_light_of_the_molecules():
    """S = 7 + 1000 w: the background is 7, not 7 plus the light that is left far out."""
    w = 1.0 / (1.0 + np.arange(400)) ** 2
    signal = 7.0 + 1000.0 * w[np.newaxis]
    far = np.arange(400) >= 300
    found, _, _ = signal_above_background(signal, far, w)
    np.testing.assert_allclose(found[0], 1000.0 * w, rtol=1e-9, atol=1e-12)
    naive, _, _ = signal_above_background(signal, far, 0 * w)
    assert naive[0, 299] == pytest.approx(1000.0 * (w[299] - w[300:].mean()))


def test_noise_of_counts_and_of_a_digitiser():
    rng = np.random.default_rng(1)
    mean = 2000.0 * np.exp(-np.arange(1000) / 200.0)
    counts = rng.poisson(mean + 4.0, (200, 1000))
    far = np.arange(1000) >= 950
    signal, floor, _ = signal_above_background(20.0 * counts, far, 0 * mean)
    noise = signal_noise(signal, floor)
    assert noise.gain == pytest.approx(20.0, rel=0.05)
    expected = 400.0 * (mean + 4.0)
    # spread of a variance of 200 profiles: 10 %; over 40 bins 1.6 %
    ratio = noise.variance.mean(axis=0)[100:140] / expected[100:140]
    assert ratio.mean() == pytest.approx(1.0, abs=0.05)


def test_no_photon_is_no_proof_of_no_noise():
    signal = np.zeros((1, 300))
    signal[0, 150] = 1.0
    noise = signal_noise(signal, np.zeros(1), gain=1.0)
    assert (noise.variance[0, 105:195] > 0).all()


def test_overlap_range_and_means():
    overlap = np.array([0.05, 0.5, 1.0])
    found = overlap_corrected(np.ones((2, 3)), overlap)
    assert np.isnan(found[:, 0]).all()
    np.testing.assert_allclose(found[0, 1:], [2.0, 1.0])
    np.testing.assert_allclose(range_corrected(np.ones(2), [3, 4] * u.m), [9, 16])
    np.testing.assert_allclose(running_mean(np.array([1.0, 2.0, np.nan, 6.0]), 3), [1.5, 1.5, 4, 6])
    values, variance = rebinned(np.arange(8.0).reshape(2, 4), np.ones((2, 4)), 2, 2)
    np.testing.assert_allclose(values, [[2.5, 4.5]])
    np.testing.assert_allclose(variance, [[0.25, 0.25]])


def test_overlap_of_clear_nights_is_the_true_one():
    distance = np.arange(10.0, 3000.0, 10.0) * u.m
    true = np.clip(distance.value / 500.0, 0, 1)
    ratio = 3e7 * true[np.newaxis] * np.ones((5, 1))
    found = clear_sky_overlap(ratio, 1.0 / distance.value**2, distance, 500 * u.m, 2 * u.km)
    np.testing.assert_allclose(found, true, atol=1e-12)


def test_transmission_to_the_observatory():
    value, stat, sys = transmission(np.array([0.0, 0.1]), 0.01, 0.02)
    np.testing.assert_allclose(value, [1.0, np.exp(-0.1)])
    np.testing.assert_allclose(stat, 0.01 * value)
    np.testing.assert_allclose(sys, 0.02 * value)
    depth, error = depth_to_ground(np.array([1e-4, -1e-4]), 300 * u.m)
    np.testing.assert_allclose(depth, [0.03, 0.0])
    np.testing.assert_allclose(error, [0.015, 0.0])
    grid = on_altitudes(
        np.array([[0.1, 0.2, np.nan], [np.nan] * 3]), [2.5, 3, 3.5] * u.km, [2.2, 2.75, 9] * u.km
    )
    np.testing.assert_allclose(grid[0], [0.0, 0.15, 0.2])
    assert np.isnan(grid[1]).all()


def test_wrong_input_is_refused():
    ones = np.ones((1, 30))
    with pytest.raises(ConfigurationError, match="dead time"):
        dead_time_corrected(ones, [1.0], 50 * u.ns, -1 * u.ns)
    with pytest.raises(CorruptedInputError, match="0 laser shots"):
        dead_time_corrected(ones, [0.0], 50 * u.ns, 1 * u.ns)
    with pytest.raises(InsufficientStatisticsError, match="has 10 bins, needs 20"):
        signal_above_background(ones, np.arange(30) >= 20, ones[0])
    with pytest.raises(ConfigurationError, match="overlap runs from"):
        overlap_corrected(ones, np.full(30, 2.0))
    with pytest.raises(ConfigurationError, match="needs above 0"):
        range_corrected(ones, np.arange(30) * u.m)
    with pytest.raises(InsufficientStatisticsError, match="no range with a signal"):
        signal_noise(np.zeros((1, 500)), np.ones(1))
