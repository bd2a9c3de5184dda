"""Variances without waveforms: closure with waveforms, pulls, seeds."""

import numpy as np
import pytest

from calibpipe.core.exceptions import ConfigurationError
from calibpipe.core.telescope import subarray_of
from calibpipe.simulation.camera import CameraSpread, PixelFault, camera_truth
from calibpipe.simulation.light import no_light
from calibpipe.simulation.variance_images import (
    charge_window,
    simulated_variance_images,
    variance_moments,
)
from calibpipe.simulation.waveforms import pulse_templates, waveforms

FIRST, N_SAMPLES = 14, 8


@pytest.fixture(scope="module")
def templates():
    readout = subarray_of([1])[1].tel[1].camera.readout
    return pulse_templates(
        readout.reference_pulse_shape,
        readout.reference_pulse_sample_width,
        readout.sampling_rate,
    )


@pytest.fixture(scope="module")
def window(templates):
    return charge_window(templates, N_SAMPLES)


def test_window_of_a_pulse(templates, window):
    """A window longer than the pulse loses little: T₂ → its length; a short one has T₂ < length."""
    assert 4 < window.second < N_SAMPLES
    assert window.fourth < window.second
    wide = charge_window(templates, 400)
    assert 380 < wide.second < 400 * templates.sample_width  # less some of the pulse's own length
    one = charge_window(templates, 1)
    pulse = templates.value[0].astype(float)
    by_hand = (pulse**2).sum(axis=1).mean() * templates.sample_width
    assert one.second == pytest.approx(by_hand)


@pytest.mark.parametrize(
    ("star", "channel", "n_events"),
    [(0.0, 0, 1500), (3.0, 0, 1500), (30.0, 1, 1500), (100.0, 1, 500)],
)
def test_variance_is_that_of_waveforms(templates, star, channel, n_events):
    """Night sky alone and with stars; pull of each pixel with the predicted error.

    High gain clips at 0 ADC above 10 photoelectrons per ns.
    """
    window = charge_window(templates, N_SAMPLES, channel)
    n_pixels = 150
    rng = np.random.default_rng(11)
    truth = camera_truth(n_pixels, rng, CameraSpread())
    rates = np.full(n_pixels, star)
    lit = _with_stars(truth, rates)
    waves = waveforms(no_light(n_events, lit), lit, templates, 30, rng)
    charge = waves[:, channel, :, FIRST : FIRST + N_SAMPLES].sum(axis=-1, dtype=float)
    found = charge.var(axis=0, ddof=1)
    variance, fourth = variance_moments(truth, rates, window, channel)
    error = np.sqrt(fourth[0] / n_events + 2 * variance[0] ** 2 / (n_events - 1))
    pulls = (found - variance[0]) / error
    assert abs(pulls.mean()) < 5 / np.sqrt(n_pixels)
    assert abs(pulls.std() - 1) < 5 / np.sqrt(2 * n_pixels)


def _with_stars(truth, rates):
    from dataclasses import replace

    return replace(truth, nsb_rate=truth.nsb_rate + rates * truth.relative_efficiency)


def test_images_scatter_as_their_moments_say(window, assert_pulls):
    truth = camera_truth(200, np.random.default_rng(12))
    rates = np.zeros((300, 200))
    rates[:, :20] = 5.0
    images = simulated_variance_images(truth, rates, 50, window, np.random.default_rng(13))
    variance, fourth = variance_moments(truth, rates, window)
    pulls = (images - variance) / np.sqrt(fourth / 50 + 2 * variance**2 / 49)
    assert_pulls(pulls)
    assert images.min() > 0
    assert variance[0, :20].mean() > 5 * variance[0, 20:].mean()


def test_variance_by_hand(window):
    """n (σ² + 1/12) + g² F² λ T₂."""
    spread = CameraSpread(gain_spread=0, efficiency_spread=0, noise_spread=0, nsb_rate=0.2)
    truth = camera_truth(3, np.random.default_rng(14), spread)
    variance, _ = variance_moments(truth, [0.0, 0.0, 0.8], window)
    dark = 8 * (25 + 1 / 12)
    np.testing.assert_allclose(variance[0, 0], dark + 85**2 * 1.222 * 0.2 * window.second)
    np.testing.assert_allclose(variance[0, 2], dark + 85**2 * 1.222 * 1.0 * window.second)


def test_faulty_pixels(templates, window):
    """Dead: electronic noise alone, whatever the star; flickering: two gains."""
    spread = CameraSpread(dead=0.1, flickering=0.2, hot=0.1, noisy=0.1)
    truth = camera_truth(100, np.random.default_rng(15), spread)
    variance, _ = variance_moments(truth, np.full(100, 4.0), window)
    dead = truth.status == PixelFault.DEAD
    np.testing.assert_allclose(
        variance[0, dead], 8 * (truth.electronic_noise[0, dead] ** 2 + 1 / 12)
    )
    rng = np.random.default_rng(16)
    lit = _with_stars(truth, np.full(100, 4.0))
    waves = waveforms(no_light(2500, lit), lit, templates, 30, rng)
    found = waves[:, 0, :, FIRST : FIRST + N_SAMPLES].sum(axis=-1, dtype=float).var(axis=0, ddof=1)
    flickers = truth.status == PixelFault.FLICKERING
    ratio = found[flickers] / variance[0, flickers]
    assert ratio.mean() == pytest.approx(1, abs=5 * 0.04 / np.sqrt(flickers.sum()))


def test_same_seed_same_images(window):
    truth = camera_truth(50, np.random.default_rng(17))
    images = [
        simulated_variance_images(truth, np.ones((4, 50)), 20, window, np.random.default_rng(18))
        for _ in range(2)
    ]
    assert images[0].tobytes() == images[1].tobytes()


def test_refusals(window):
    truth = camera_truth(50, np.random.default_rng(17))
    with pytest.raises(ConfigurationError, match="variance over 1 events"):
        simulated_variance_images(truth, np.ones(50), 1, window, np.random.default_rng(0))
    with pytest.raises(ConfigurationError, match="40 pixels, the camera 50"):
        variance_moments(truth, np.ones(40), window)
