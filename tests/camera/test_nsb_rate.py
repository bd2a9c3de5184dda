"""Rates of the night sky from variances: by hand, and of simulated waveforms."""

import astropy.units as u
import numpy as np
import pytest

from calibpipe.camera.extraction import fixed_window_sum, waveform_variance
from calibpipe.camera.integration_window import pulse_shape
from calibpipe.camera.nsb_rate import (
    nsb_rate,
    pulse_gain,
    sample_variance_response,
    window_response,
)
from calibpipe.camera.pixel_statistics import chunk_statistics
from calibpipe.core.exceptions import ConfigurationError
from calibpipe.core.telescope import telescope_subarray
from calibpipe.simulation.camera import CameraSpread, camera_truth
from calibpipe.simulation.light import no_light
from calibpipe.simulation.waveforms import pulse_templates, waveforms

GHZ = 1 * u.GHz
N_EVENTS, WIDTH = 3000, 12


def test_response_of_a_box():
    """A pulse of 3 ns in a window of 5 ns: a ramp of 3 ns, 2 ns of 1, a ramp: 2 + 2 * 3/3 ns."""
    box = pulse_shape(np.repeat([0.0, 1.0, 0.0], [100, 300, 100])[np.newaxis], 0.01 * u.ns)
    assert window_response(box, GHZ, 5).to_value(u.ns) == pytest.approx([4.0], abs=0.01)


def test_response_within_a_waveform():
    spike = pulse_shape(np.repeat([0.0, 1.0, 0.0], [100, 1, 100])[np.newaxis], 0.01 * u.ns)
    found = sample_variance_response(spike, GHZ, 40).to_value(u.ns)
    assert found == pytest.approx([1 - 40 / 40**2], abs=0.01)  # a sample has 1 ns, 40 have 40


@pytest.fixture(scope="module")
def readout():
    return telescope_subarray(1).tel[1].camera.readout


@pytest.fixture(scope="module")
def pulse(readout):
    return pulse_shape(readout.reference_pulse_shape, readout.reference_pulse_sample_width)


@pytest.fixture(scope="module")
def camera():
    return camera_truth(60, np.random.default_rng(1), CameraSpread(nsb_rate=0.3))


def statistics(camera, readout, sky, seed):
    rng = np.random.default_rng(seed)
    templates = pulse_templates(
        readout.reference_pulse_shape, readout.reference_pulse_sample_width, readout.sampling_rate
    )
    w = waveforms(no_light(N_EVENTS, camera), camera, templates, 40, rng, sky=sky)
    charge, _ = fixed_window_sum(w, readout.sampling_rate, peak_index=12, window_width=WIDTH)
    number = np.arange(N_EVENTS)
    return [chunk_statistics(number, number * 1.0, v) for v in (charge, waveform_variance(w))]


@pytest.fixture(scope="module")
def sky(camera, readout):
    return statistics(camera, readout, True, 2)


@pytest.fixture(scope="module")
def dark(camera, readout):
    return statistics(camera, readout, False, 3)


def check(found, camera):
    # templates of 40 phases and no undershoot: the response is right to a thousandth
    pull = (found.rate - camera.nsb_rate) / np.hypot(found.stat_error, 1e-3 * found.rate)
    high = pull[0]
    assert np.std(high) == pytest.approx(1, abs=4 / np.sqrt(2 * high.size))
    assert np.mean(high) == pytest.approx(0, abs=4 / np.sqrt(high.size))
    assert np.abs(pull[1]).mean() < 1.2  # the same sky in low gain


def test_rate_of_simulated_windows(camera, readout, pulse, sky, dark):
    response = window_response(pulse, readout.sampling_rate, WIDTH)
    variances = (sky[0].std ** 2, sky[0].variance_error, dark[0].std ** 2, dark[0].variance_error)
    check(nsb_rate(*variances, camera.gain, response), camera)


def test_rate_of_simulated_samples(camera, readout, pulse, sky, dark):
    response = sample_variance_response(pulse, readout.sampling_rate, 40)
    variances = (sky[1].mean, sky[1].mean_error, dark[1].mean, dark[1].mean_error)
    check(nsb_rate(*variances, camera.gain, response), camera)


def test_systematic_errors(camera):
    one = np.ones_like(camera.gain)
    found = nsb_rate(
        3 * one,
        one,
        one,
        one,
        one,
        [2.0, 2.0] * u.ns,
        gain_error=0.01,
        squared_excess_noise_factor=1.25,
        squared_excess_noise_factor_error=0.05,
    )
    assert found.rate == pytest.approx(2 / 1.25 / 2)
    assert found.stat_error == pytest.approx(np.sqrt(2) / 1.25 / 2)
    assert found.sys_error / found.rate == pytest.approx(np.hypot(0.02, 0.04))


def test_pixels_without_gain_have_no_rate():
    found = nsb_rate(*np.ones((4, 1, 2)), np.array([[0.0, np.nan]]), [1.0] * u.ns)
    assert np.isnan(found.rate).all()


def test_gain_of_the_whole_pulse():
    """80 ± 0.8 in a window with 0.8 ± 0.01 of 1/factor: 100 ± 1 (stat) ± 1 (window)."""
    gain, error = pulse_gain(80.0, 0.8, 1.25, 0.0125)
    assert (gain, error) == (pytest.approx(100.0), pytest.approx(np.sqrt(2)))


def test_no_window(pulse):
    with pytest.raises(ConfigurationError, match="at least 1 sample"):
        window_response(pulse, GHZ, 0)


def test_impossible_excess_noise():
    one = np.ones((1, 1))
    with pytest.raises(ConfigurationError, match="cannot be below 1"):
        nsb_rate(*[one] * 5, [1.0] * u.ns, squared_excess_noise_factor=0.5)
