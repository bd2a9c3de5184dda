"""DRS4: baselines, time lapse (C07) and sampling times of toy arrays with known truth."""

import numpy as np
import pytest

from calibpipe.camera.drs4 import CapacitorBaseline
from calibpipe.camera.drs4_time_lapse import (
    TimeLapse,
    TimeLapseSums,
    fit_time_lapse,
    time_lapse_corrected,
)
from calibpipe.camera.drs4_timing import sampling_times
from calibpipe.core.exceptions import ConfigurationError, InsufficientStatisticsError
from calibpipe.simulation.drs4 import dark_events, drs4_truth, flat_field_times

N_CHANNELS, N_PIXELS, NOISE = 2, 3, 5.0


@pytest.fixture(scope="module")
def truth():
    return drs4_truth(N_CHANNELS, N_PIXELS, np.random.default_rng(1))


def test_baseline_of_every_capacitor(truth):
    rng = np.random.default_rng(2)
    found = CapacitorBaseline(N_CHANNELS, N_PIXELS)
    for _ in range(8):
        found.add(*dark_events(truth, 500, 40, NOISE, rng))
    n = found.n_entries
    assert n.sum() == 8 * 500 * 40 * N_CHANNELS * N_PIXELS
    pull = (found.mean() - truth.baseline) / (NOISE / np.sqrt(n))
    known = pull[np.isfinite(pull)]
    assert known.size == np.count_nonzero(n >= 10)
    assert np.std(known) == pytest.approx(1, abs=4 / np.sqrt(2 * known.size))
    assert np.mean(known) == pytest.approx(0, abs=4 / np.sqrt(known.size))
    spread = found.std()[n >= 10] ** 2
    assert np.mean(spread) == pytest.approx(25.0, rel=4 * np.sqrt(2 / n.sum()))


def test_samples_that_do_not_count(truth):
    waveform, first = dark_events(truth, 10, 40, NOISE, np.random.default_rng(3))
    is_used = np.zeros(waveform.shape, bool)
    is_used[..., 7] = True
    found = CapacitorBaseline(N_CHANNELS, N_PIXELS)
    found.add(waveform, first, is_used)
    assert found.n_entries.sum() == 10 * N_CHANNELS * N_PIXELS
    assert found.n_entries[0, 0, (first[0, 0, 0] + 7) % 4096] >= 1


def test_ends_of_waveforms_may_be_left_out(truth):
    found = CapacitorBaseline(N_CHANNELS, N_PIXELS)
    waveform, first = dark_events(truth, 10, 40, NOISE, np.random.default_rng(3))
    waveform[..., [0, 1, -2, -1]] = 1e6
    found.add(waveform, first, n_skipped=2)
    assert found.n_entries.sum() == 10 * 36 * N_CHANNELS * N_PIXELS
    assert np.nanmax(found.mean(min_entries=1)) < 1e3


@pytest.mark.parametrize(
    ("t", "value"), [(0.01, 78.96), (0.1, 42.85), (1.0, 21.09), (10.0, 7.98), (99.999, 0.08)]
)
def test_time_lapse_of_lst(t, value):
    """C07."""
    assert float(TimeLapse()(t)) == pytest.approx(value, abs=0.01)


def test_time_lapse_ends_and_begins():
    law = TimeLapse()
    assert law(np.array([100.0, 1e4])).tolist() == [0.0, 0.0]
    assert np.isnan(law(np.array([0.0, -1.0, np.nan]))).all()


def test_time_lapse_is_fitted_with_its_errors():
    rng = np.random.default_rng(4)
    t = np.geomspace(0.01, 90, 60)
    true = np.array([32.99, 0.22, 11.9])
    laws = [
        fit_time_lapse(t, TimeLapse()(t) + rng.normal(0, 0.3, t.size), 0.3 + 0 * t)
        for _ in range(300)
    ]
    values = np.array([[law.amplitude, law.exponent, law.offset] for law in laws])
    errors = np.array([np.sqrt(np.diag(law.covariance)) for law in laws])
    pull = (values - true) / errors
    assert np.std(pull, axis=0) == pytest.approx(1, abs=4 / np.sqrt(600))
    assert np.mean(pull, axis=0) == pytest.approx(0, abs=4 / np.sqrt(300))
    at = np.array([0.05, 1.0, 20.0])
    off = np.array([(law(at) - TimeLapse()(at)) / law.error(at) for law in laws])
    assert np.std(off, axis=0) == pytest.approx(1, abs=4 / np.sqrt(600))
    exact = fit_time_lapse(t, TimeLapse()(t), 0.01 + 0 * t)
    for time, value in ((1.0, 21.09), (10.0, 7.98)):  # C07 to 0.01
        assert float(exact(time)) == pytest.approx(value, abs=0.01)


def test_excess_in_bins_of_time_follows_the_law():
    """Two capacitors of known baseline; readings without a time or a baseline do not count."""
    rng = np.random.default_rng(8)
    n, law = 200_000, TimeLapse()
    first = np.zeros((n, 1, 1), int)
    t = np.exp(rng.uniform(np.log(0.05), np.log(99.9), (n, 1, 1, 2))).astype(np.float32)
    t[::7, ..., 1] = np.nan
    waveform = np.array([400.0, 390.0]) + law(np.nan_to_num(t, nan=200.0))
    waveform = waveform + rng.normal(0, 2.0, waveform.shape)
    baseline = np.full((1, 1, 4096), np.nan)
    baseline[0, 0, :2] = 400.0, 390.0
    sums = TimeLapseSums(1, min_time=0.05)
    half = n // 2
    sums.add(waveform[:half], first[:half], t[:half], baseline)
    baseline[0, 0, 1] = np.nan
    sums.add(waveform[half:], first[half:], t[half:], baseline)
    assert sums.n_entries.sum() == np.count_nonzero(t[:half] >= 0.05) + half
    time, excess, error = sums.points()
    pull = (excess - law(time)) / error
    assert np.std(pull) == pytest.approx(1, abs=4 / np.sqrt(2 * pull.size))
    assert np.mean(pull) == pytest.approx(0, abs=4 / np.sqrt(pull.size))
    assert np.isnan(sums.points(min_entries=10**6)[1]).all()


def test_error_of_the_baseline_is_one_of_the_offset():
    t = np.geomspace(0.01, 90, 60)
    alone = fit_time_lapse(t, TimeLapse()(t), 0.3 + 0 * t)
    common = fit_time_lapse(t, TimeLapse()(t), 0.3 + 0 * t, common_error=2.0)
    assert common.covariance[2, 2] == pytest.approx(alone.covariance[2, 2] + 4.0)
    assert (alone.n_degrees, alone.chi2) == (57, pytest.approx(0, abs=1e-6))


def test_time_lapse_is_subtracted():
    t = np.array([[1.0, 10.0, np.nan, 200.0]])
    found = time_lapse_corrected(np.full((1, 4), 100.0), t, TimeLapse())
    assert found[0] == pytest.approx([78.91, 92.02, 100.0, 100.0], abs=0.01)


@pytest.fixture(scope="module")
def pulses(truth):
    return flat_field_times(truth, 20_000, 0.5, np.random.default_rng(5))


def test_sampling_times_come_back(truth, pulses):
    found = sampling_times(*pulses)
    for series, true in ((found.cosine, truth.cosine), (found.sine, truth.sine)):
        pull = (series - true) / found.error
        assert np.std(pull) == pytest.approx(1, abs=4 / np.sqrt(2 * pull.size))
    assert np.median(found.error) == pytest.approx(0.5 * np.sqrt(2 / 20_000), rel=0.2)
    assert found.chi2 == pytest.approx(128 - 33, abs=5 * np.sqrt(2 * 95))


def test_corrected_times_have_no_pattern_left(pulses):
    time, first = pulses
    found = sampling_times(time, first)
    corrected = time - found(first)
    assert np.std(time) > 2 * np.std(corrected)
    assert np.std(corrected) == pytest.approx(0.5, rel=0.01)


def test_pixels_without_enough_pulses_have_no_series(pulses):
    time, first = (a[:4000].copy() for a in pulses)
    time[5:, 0, 1] = np.nan
    found = sampling_times(time, first)
    assert np.isnan(found.cosine[:, 0, 1]).all()
    assert np.isnan(found.error[0, 1])
    assert np.isfinite(found.cosine[:, 1, 1]).all()


def test_bad_shapes_and_numbers(truth):
    found = CapacitorBaseline(N_CHANNELS, N_PIXELS)
    waveform, first = dark_events(truth, 4, 40, NOISE, np.random.default_rng(6))
    with pytest.raises(InsufficientStatisticsError, match="no dark event was added"):
        found.mean()
    with pytest.raises(ConfigurationError, match="one capacitor for each waveform"):
        found.add(waveform, first[:2])
    with pytest.raises(ConfigurationError, match="waveforms of \\(2, 2\\) channels and pixels"):
        found.add(waveform[:, :, :2], first[:, :, :2])
    with pytest.raises(ConfigurationError, match="there are 4096"):
        found.add(waveform, first + 4096)
    with pytest.raises(ConfigurationError, match="needs \\(events, channels, pixels\\) of both"):
        sampling_times(np.zeros((3, 1)), np.zeros((3, 1), int))
    with pytest.raises(ConfigurationError, match="128 bins tell 1 to 63"):
        sampling_times(first * 1.0, first, n_harmonics=64)
    with pytest.raises(InsufficientStatisticsError, match="the best pixel has 0"):
        sampling_times(first * 1.0, first)


def test_bad_time_lapses():
    t = np.array([0.1, 1.0, 10.0, 50.0])
    with pytest.raises(InsufficientStatisticsError, match="at least 4 times below 100 ms, got 3"):
        fit_time_lapse(t[:3], t[:3], t[:3])
    with pytest.raises(ConfigurationError, match="not all positive"):
        fit_time_lapse(t, t, 0 * t)
    with pytest.raises(ConfigurationError, match="does not fit"):
        fit_time_lapse(t, -TimeLapse()(t), 0.01 + 0 * t)
