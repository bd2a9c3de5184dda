"""Parts of pulses in windows: Gaussian pulses by hand, simulated LST pulses."""

import astropy.units as u
import numpy as np
import pytest
from scipy.stats import norm

from calibpipe.camera.integration_window import (
    centroid,
    fixed_window_correction,
    local_peak_correction,
    measured_pulse,
    pulse_shape,
)
from calibpipe.core.exceptions import ConfigurationError, InsufficientStatisticsError

SIGMA, STEP = 1.2, 0.01  # ns
GHZ = 1 * u.GHz
CUT = np.sqrt(2 * np.log(100))  # sigma: the pulse ends at 1 % of its maximum


@pytest.fixture(scope="module")
def gaussian():
    t = np.arange(-10, 10, STEP)
    return pulse_shape(np.exp(-0.5 * (t / SIGMA) ** 2)[np.newaxis], STEP * u.ns)


def truncated(x):
    """Cumulative Gaussian that ends at 1 % of its maximum."""
    low = norm.cdf(-CUT)
    return np.clip((norm.cdf(x / SIGMA) - low) / (1 - 2 * low), 0, 1)


@pytest.mark.parametrize(("start", "width", "time"), [(8, 5, 10.0), (9, 3, 10.3), (11, 4, 9.9)])
def test_fixed_window_of_a_gaussian(gaussian, start, width, time):
    found = fixed_window_correction(gaussian, GHZ, [[time]] * u.ns, start=start, width=width)
    exact = truncated(start + width - 0.5 - time) - truncated(start - 0.5 - time)
    assert found.fraction[0, 0] == pytest.approx(exact, abs=2e-4)
    assert found.factor[0, 0] == pytest.approx(1 / exact, abs=1e-3)
    assert found.relative_noise[0, 0] == pytest.approx(0, abs=1e-7)


def test_jitter_of_the_pulse(gaussian):
    rng = np.random.default_rng(1)
    found = fixed_window_correction(
        gaussian, GHZ, [[10.6]] * u.ns, start=8, width=5, time_jitter=0.5 * u.ns
    )
    t = rng.normal(10.6, 0.5, 200_000)
    part = truncated(12.5 - t) - truncated(7.5 - t)
    error = part.std() / np.sqrt(t.size)
    assert found.fraction[0, 0] == pytest.approx(part.mean(), abs=4 * error + 1e-4)
    assert found.relative_noise[0, 0] == pytest.approx(part.std() / part.mean(), rel=0.02)


def test_error_of_the_time_is_one_of_the_factor(gaussian):
    at = {"start": 8, "width": 5}
    found = fixed_window_correction(gaussian, GHZ, [[11.0]] * u.ns, time_error=0.3 * u.ns, **at)
    late = fixed_window_correction(gaussian, GHZ, [[11.3]] * u.ns, **at)
    assert found.factor_sys_error[0, 0] == pytest.approx(
        (found.fraction - late.fraction)[0, 0] * found.factor[0, 0] ** 2
    )


def test_window_about_the_highest_sample(gaussian):
    found = local_peak_correction(gaussian, GHZ, width=5, shift=2)
    phase = np.linspace(-0.5, 0.5, 2001)
    part = truncated(2.5 - phase) - truncated(-2.5 - phase)
    assert found.fraction[0] == pytest.approx(part.mean(), abs=2e-4)
    assert found.relative_noise[0] == pytest.approx(part.std() / part.mean(), rel=0.02)
    assert local_peak_correction(gaussian, GHZ, width=20, shift=9).fraction[0] == pytest.approx(1)


def test_pulse_outside_the_window_has_no_factor(gaussian):
    found = fixed_window_correction(gaussian, GHZ, [[30.0]] * u.ns, start=5, width=4)
    assert found.fraction[0, 0] == 0
    assert np.isnan(found.factor[0, 0])


def test_centroid_of_a_window_is_the_maximum_of_a_symmetric_pulse(gaussian):
    time = np.array([[9.8, 10.0, 10.4]])
    found = centroid(gaussian, GHZ, time * u.ns, start=4, width=13)
    assert found == pytest.approx(time, abs=2e-3)
    cut = centroid(gaussian, GHZ, time * u.ns, start=10, width=10)
    assert (cut > time + 0.3).all()


def test_measured_pulse_gives_the_same_correction(gaussian):
    rng = np.random.default_rng(2)
    time = rng.uniform(14, 16, (300, 1, 20))
    edges = np.arange(31) - 0.5
    parts = np.diff(truncated(edges - time[..., None]), axis=-1)
    noise = 0.02 * rng.normal(size=parts.shape)
    pulse, error, step = measured_pulse(parts + noise, time * u.ns, GHZ)
    assert step == 0.1 * u.ns
    centre = pulse.argmax()
    x = (np.arange(pulse.size) - centre) * 0.1
    smeared = truncated(x + 0.5) - truncated(x - 0.5)
    smeared /= smeared.max()
    # rounding to 0.1 ns adds the scatter of the slope within a step, which is in the error
    off = (pulse[0] - smeared)[np.abs(x) < 5] / error[0][np.abs(x) < 5]
    assert np.abs(off).max() < 6
    shape = pulse_shape(pulse, step)
    at = {"start": 10, "width": 9}
    one, two = (
        fixed_window_correction(p, GHZ, [[14.2]] * u.ns, **at).fraction for p in (gaussian, shape)
    )
    assert two == pytest.approx(one, abs=5e-3)


def test_too_few_pulses():
    with pytest.raises(InsufficientStatisticsError, match="needs 10 samples in each step, got 0"):
        measured_pulse(np.ones((1, 1, 1, 30)), [[[15.0]]] * u.ns, GHZ)


def test_pulse_without_a_maximum():
    with pytest.raises(ConfigurationError, match="positive maxima"):
        pulse_shape(np.zeros((1, 10)), 1 * u.ns)


def test_windows_without_samples(gaussian):
    with pytest.raises(ConfigurationError, match="as many pulse shapes as channels"):
        fixed_window_correction(gaussian, GHZ, [[1.0], [2.0]] * u.ns, start=0, width=3)
    with pytest.raises(ConfigurationError, match="at least 1 sample, got 0"):
        local_peak_correction(gaussian, GHZ, width=0, shift=0)
