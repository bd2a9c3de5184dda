"""Waveforms of the simulated camera: pulses, noise, night sky, faults, against closed forms."""

from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from ctapipe.instrument import CameraReadout

from calibpipe.core.exceptions import ConfigurationError
from calibpipe.simulation.camera import CameraSpread, PixelFault, camera_truth
from calibpipe.simulation.light import Light, no_light
from calibpipe.simulation.waveforms import pulse_templates, selected_gain, waveforms

N_SAMPLES = 40
SIGMA = 1.2  # ns, of the Gaussian pulse
GAMMA = 1 / 0.222  # shape of the charge of one photoelectron


@pytest.fixture(scope="module")
def templates():
    time = np.arange(0, 20, 0.1)
    pulse = np.exp(-0.5 * ((time - 8.0) / SIGMA) ** 2)
    return pulse_templates(np.stack([pulse, pulse]), 0.1 * u.ns, 1 * u.GHz)


def noiseless(truth):
    return replace(
        truth,
        electronic_noise=0 * truth.electronic_noise,
        nsb_rate=0 * truth.nsb_rate,
        pedestal=0 * truth.pedestal + 1000,
    )


def test_templates_hold_the_whole_charge_at_every_phase(templates):
    np.testing.assert_allclose(templates.value.sum(axis=-1), 1, rtol=1e-6)


def test_templates_move_with_the_phase(templates):
    """But for the two steps where the pulse is cut at 1 %: each moves it by 1/8 of its height."""
    sample = np.arange(templates.length) + 0.5
    centroid = templates.value[0] @ sample
    expected = templates.before + np.arange(templates.n_phases) / templates.n_phases
    step = 0.01 / (np.sqrt(2 * np.pi) * SIGMA)
    np.testing.assert_allclose(centroid, expected, atol=2 * step / 8)


def test_maxima_of_both_channels_come_at_the_same_time():
    time = np.arange(0, 20, 0.1)
    early, late = (np.exp(-0.5 * ((time - t) / SIGMA) ** 2) for t in (6.0, 11.0))
    values = pulse_templates(np.stack([early, late]), 0.1 * u.ns, 1 * u.GHz).value
    np.testing.assert_allclose(values[0], values[1], atol=1e-6)


@pytest.mark.parametrize("shape", [np.ones((3, 5)), np.zeros((2, 5)), np.zeros((1, 5))])
def test_templates_need_one_or_two_channels_with_a_maximum(shape):
    with pytest.raises(ConfigurationError, match="needs 1 or 2 channels with positive maxima"):
        pulse_templates(shape, 1 * u.ns, 1 * u.GHz)


def test_pulse_has_its_charge_and_its_time(templates, rng):
    truth = noiseless(camera_truth(200, rng, CameraSpread(high_gain=2000, gain_ratio=2)))
    shape = (3, 200)
    light = Light(np.ones(shape, int), rng.uniform(5, 20, shape), rng.uniform(10, 25, shape))
    signal = waveforms(light, truth, templates, N_SAMPLES, rng, saturation=65535) - 1000.0
    charge = signal.sum(axis=-1)
    expected = truth.gain * light.charge[:, np.newaxis]
    assert np.abs(charge - expected).max() < 0.5 * N_SAMPLES + 1e-6 * expected.max()
    centroid = signal @ np.arange(N_SAMPLES) / charge
    half_phase = 0.5 / templates.n_phases
    rounding = 0.5 * np.abs(np.arange(N_SAMPLES) - 25).sum() / expected.min()
    assert np.abs(centroid - light.time[:, np.newaxis]).max() < half_phase + rounding


def test_pulses_outside_the_window_are_not_seen(templates, rng):
    truth = noiseless(camera_truth(4, rng))
    light = Light(np.ones((1, 4), int), np.full((1, 4), 50.0), np.array([[-1e6, -100, 100, 1e6]]))
    assert (waveforms(light, truth, templates, N_SAMPLES, rng) == 1000).all()


def test_saturation(templates, rng, flat_field):
    truth = noiseless(camera_truth(5, rng))
    wave = waveforms(flat_field(2, truth, rng, n_pe=1000), truth, templates, N_SAMPLES, rng)
    assert (wave[:, 0].max(axis=-1) == 4095).all()
    assert (wave[:, 1].max(axis=-1) < 4095).all()


def test_dark_pedestal_is_white_and_has_its_mean_and_variance(templates, rng, assert_pulls):
    truth = camera_truth(150, rng)
    n = 200
    wave = waveforms(no_light(n, truth), truth, templates, N_SAMPLES, rng, sky=False).astype(float)
    for total, n_summed in ((wave[..., 7], 1), (wave.sum(axis=-1), N_SAMPLES)):
        variance = n_summed * (truth.electronic_noise**2 + 1 / 12)  # of rounding to whole counts
        assert_pulls((total.mean(axis=0) - n_summed * truth.pedestal) / np.sqrt(variance / n))
        assert_pulls((total.var(axis=0, ddof=1) / variance - 1) / np.sqrt(2 / (n - 1)))


def test_noise_of_pixels_and_events_is_independent(templates, rng, assert_pulls):
    truth = camera_truth(150, rng)
    n = 400
    wave = waveforms(no_light(n, truth), truth, templates, N_SAMPLES, rng).astype(float)
    charge = wave.sum(axis=-1)[:, 0]
    charge = (charge - charge.mean(axis=0)) / charge.std(axis=0)
    camera_mean = charge.mean(axis=1) * np.sqrt(truth.n_pixels)
    assert abs(camera_mean.std() - 1) < 5 / np.sqrt(2 * n)
    assert_pulls((charge[1:] * charge[:-1]).mean(axis=0) * np.sqrt(n - 1))


def test_noise_has_no_correlation_in_time_between_channels_or_neighbours(templates, rng):
    """Of standardised samples, at every distance up to 12 samples and between nearby pixels."""
    truth = camera_truth(100, rng)
    n = 200
    wave = waveforms(no_light(n, truth), truth, templates, N_SAMPLES, rng, sky=False).astype(float)
    sigma = np.sqrt(truth.electronic_noise**2 + 1 / 12)
    noise = (wave - truth.pedestal[:, :, np.newaxis]) / sigma[:, :, np.newaxis]

    def assert_independent(first, second):
        assert abs((first * second).mean()) < 5 / np.sqrt(first.size)

    assert_independent(noise[:, 0], noise[:, 1])
    for pixels in (1, 2, 6, 7):
        assert_independent(noise[:, :, pixels:], noise[:, :, :-pixels])
    for lag in range(1, 13):
        assert_independent(noise[..., lag:], noise[..., :-lag])
        assert_independent(noise[:, 0, :, lag:], noise[:, 1, :, :-lag])
        assert_independent(noise[:, :, 1:, lag:], noise[:, :, :-1, :-lag])
        assert_independent(noise[1:, ..., lag:], noise[:-1, ..., :-lag])


def test_noise_does_not_repeat(templates, rng, uniform):
    """20 000 waveforms of one channel are all different: the same window twice is rare."""
    truth = camera_truth(200, rng, replace(uniform, electronic_noise=(300.0, 300.0)))
    wave = waveforms(no_light(100, truth), truth, templates, N_SAMPLES, rng, sky=False)[:, 0]
    n = wave.shape[0] * wave.shape[1]
    same = n - np.unique(wave.reshape(n, N_SAMPLES), axis=0).shape[0]
    expected = n**2 / 2 / 2**18  # pairs that begin at one of 262 144 places
    assert abs(same - expected) < 5 * np.sqrt(expected) + n**3 / 6 / 2**36


@pytest.mark.parametrize("nsb_rate", [0.25, 1.5])
def test_night_sky_leaves_the_mean_and_adds_its_shot_noise(templates, rng, nsb_rate, assert_pulls):
    """AC coupling; Campbell's theorem for variance and fourth cumulant of the window's charge."""
    truth = camera_truth(150, rng, CameraSpread(nsb_rate=nsb_rate))
    n = 400
    window = slice(10, 22)
    wave = waveforms(no_light(n, truth), truth, templates, N_SAMPLES, rng).astype(float)
    charge = wave[..., window].sum(axis=-1)
    spread = np.zeros((templates.n_phases, 3 * templates.length + 12))
    cumulative = np.cumsum(np.pad(templates.value[0], ((0, 0), (12, 12))), axis=1)
    spread = cumulative[:, 12:] - cumulative[:, :-12]  # charge in 12 samples, every position
    rate = truth.nsb_rate * templates.sample_width / templates.n_phases  # in one phase step
    moment = {k: np.prod(GAMMA + np.arange(k)) / GAMMA**k for k in (2, 4)}
    noise = 12 * (truth.electronic_noise**2 + 1 / 12)
    variance = noise + truth.gain**2 * rate * moment[2] * (spread**2).sum()
    fourth = truth.gain**4 * rate * moment[4] * (spread**4).sum()
    assert_pulls((charge.mean(axis=0) - 12 * truth.pedestal) / np.sqrt(variance / n))
    error = np.sqrt(2 / (n - 1) + fourth / variance**2 / n)
    pulls = (charge.var(axis=0, ddof=1) / variance - 1) / error
    # both channels see the same photoelectrons: each channel alone
    for channel in range(2):
        assert_pulls(pulls[channel])


def test_single_photoelectron_spectrum(templates, rng, uniform, flat_field):
    """Charges in one low-light run: 1 - exp(-n) of them have light, with the mean of one p.e."""
    truth = camera_truth(200, rng, uniform)
    n = 300
    light = flat_field(n, truth, rng, n_pe=0.8)
    wave = waveforms(light, truth, templates, N_SAMPLES, rng, sky=False).astype(float)
    charge = (wave[:, 0] - 400).sum(axis=-1) / 85
    error = np.sqrt((0.8 * 1.222 + N_SAMPLES * (25 + 1 / 12) / 85**2) / charge.size)
    assert charge.mean() == pytest.approx(0.8, abs=5 * error)
    lit = (light.n_pe > 0).mean()
    assert lit == pytest.approx(1 - np.exp(-0.8), abs=5 * np.sqrt(lit * (1 - lit) / charge.size))


def test_faults(templates, rng, uniform, flat_field):
    spread = replace(uniform, dead=0.25, hot=0.25, noisy=0.25, flickering=0.125)
    truth = camera_truth(40, rng, spread)
    n = 400
    light = flat_field(n, truth, rng)
    wave = waveforms(light, truth, templates, N_SAMPLES, rng)[:, 0].astype(float)
    pixels = {fault: truth.status == fault for fault in (0, *PixelFault)}
    charge = (wave - truth.pedestal[0, :, np.newaxis]).sum(axis=-1)
    noise = np.sqrt(N_SAMPLES * 25)
    dead = charge[:, pixels[PixelFault.DEAD]]
    assert abs(dead.mean()) < 5 * noise / np.sqrt(dead.size)
    assert wave[:, pixels[PixelFault.HOT], :5].mean() == pytest.approx(500, abs=5)
    std = wave[..., :5].std(axis=(0, 2))  # before the pulse
    assert (std[pixels[PixelFault.NOISY]] > 1.5 * std[pixels[0]].max()).all()
    assert (std[pixels[PixelFault.HOT]] > 1.5 * std[pixels[0]].max()).all()
    full = charge[:, pixels[0]].mean()
    flickering = charge[:, pixels[PixelFault.FLICKERING]]
    low = (flickering < 0.75 * full).mean()
    assert low == pytest.approx(0.5, abs=5 * np.sqrt(0.25 / flickering.size) + 0.02)


def test_drift(templates, rng, uniform):
    spread = replace(uniform, gain_drift=0.1, pedestal_drift=3.0, drift_spread=0)
    truth = noiseless(camera_truth(50, rng, spread))
    np.testing.assert_allclose(truth.gain_at(2), 1.2 * truth.gain)
    np.testing.assert_allclose(truth.pedestal_at([0, 4]), [truth.pedestal, truth.pedestal + 12])
    light = Light(np.ones((2, 50), int), np.full((2, 50), 20.0), np.full((2, 50), 18.0))
    wave = waveforms(light, truth, templates, N_SAMPLES, rng, hours=[0, 4]).astype(float)
    assert (wave[:, :, :, 0] == np.array([1000, 1012])[:, np.newaxis, np.newaxis]).all()
    charge = (wave[:, 0] - wave[:, 0, :, :1]).sum(axis=-1)
    assert (np.abs(charge[1] - 1.4 * charge[0]) < 0.5 * N_SAMPLES * 2.4).all()


def test_gain_is_selected_by_the_largest_sample_of_high_gain():
    waveform = np.zeros((2, 3, 4), np.uint16)
    waveform[0, :, 2] = [99, 100, 101]
    waveform[1, 0, 1] = 500
    assert selected_gain(waveform, 100).tolist() == [0, 0, 1]


def test_randomness_comes_from_the_generator_alone(templates, flat_field):
    def content(seed):
        rng = np.random.default_rng(seed)
        truth = camera_truth(20, rng)
        return waveforms(flat_field(5, truth, rng), truth, templates, N_SAMPLES, rng)

    assert (content(1) == content(1)).all()
    assert (content(1) != content(2)).any()


def pulse(time, rise, fall):
    """Fast rise, slow fall, maximum 1 (``rise`` and ``fall`` in the unit of time)."""
    shape = (1 - np.exp(-time / rise)) ** 2 * np.exp(-time / fall)
    return shape / shape.max()


def nectarcam():
    """Two channels at 1 GHz, 60 samples; the low-gain pulse is a little slower."""
    time = np.arange(0, 40, 0.25)
    shapes = np.stack([pulse(time, 1.5, 2.0), pulse(time, 1.7, 2.2)])
    spread = CameraSpread(high_gain=58.0, gain_ratio=13.0, pedestal=250.0)
    return readout("NectarCam", 1855, shapes, 0.25, 1.0, 60), spread, 25


def flashcam():
    """One channel at 250 MHz, 30 samples: shaped pulses 17 ns wide, 10 ADC high a photoelectron."""
    time = np.arange(0, 120, 0.5)
    spread = CameraSpread(high_gain=50.0, pedestal=300.0, electronic_noise=(3.0,))
    return readout("FlashCam", 1764, pulse(time, 8.0, 9.0)[np.newaxis], 0.5, 0.25, 30), spread, 48


def readout(name, n_pixels, shapes, step, rate, n_samples):
    return CameraReadout(
        name=name,
        n_pixels=n_pixels,
        n_channels=len(shapes),
        n_samples=n_samples,
        sampling_rate=rate * u.GHz,
        reference_pulse_shape=shapes,
        reference_pulse_sample_width=step * u.ns,
    )


@pytest.mark.parametrize("camera", [nectarcam, flashcam])
def test_flat_field_of_other_cameras(camera, rng, flat_field, assert_pulls):
    """Charge over photoelectrons is the gain and the centroid comes in time, night sky and all."""
    camera, spread, arrival = camera()
    templates = pulse_templates(
        camera.reference_pulse_shape, camera.reference_pulse_sample_width, camera.sampling_rate
    )
    truth = camera_truth(camera.n_pixels, rng, spread, camera.n_channels)
    n = 100
    light = flat_field(n, truth, rng, time=arrival * u.ns)
    wave = waveforms(light, truth, templates, camera.n_samples, rng, saturation=65535)
    assert wave.shape == (n, camera.n_channels, camera.n_pixels, camera.n_samples)

    signal = wave - truth.pedestal[:, :, np.newaxis]
    charge = signal.sum(axis=-1)
    own = charge - truth.gain * light.charge[:, np.newaxis]  # night sky and noise are left
    error = own.std(axis=0, ddof=1) / np.sqrt(n)
    assert_pulls(own.mean(axis=0) / error)

    expected = 50 * truth.relative_efficiency  # photoelectrons
    error = charge.std(axis=0, ddof=1) / np.sqrt(n)
    assert_pulls((charge.mean(axis=0) - truth.gain * expected) / error)

    sample = np.arange(camera.n_samples)
    shift = templates.value[:, 0] @ (np.arange(templates.length) + 0.5) - templates.before
    late = arrival + truth.time_offset + (shift * templates.sample_width)[:, np.newaxis]
    moment = signal @ sample - late / templates.sample_width * charge  # zero in the mean
    phases = 1 / templates.n_phases * charge / np.sqrt(12)  # arrival times are rounded
    error = np.sqrt(moment.var(axis=0, ddof=1) / n + phases.mean(axis=0) ** 2)
    assert_pulls(moment.mean(axis=0) / error)


def test_photon_statistics_give_the_gain_of_one_channel(rng, flat_field, assert_pulls):
    """Variance over mean, less the pedestals', is the gain times F²."""
    camera, spread, arrival = flashcam()
    templates = pulse_templates(
        camera.reference_pulse_shape, camera.reference_pulse_sample_width, camera.sampling_rate
    )
    truth = camera_truth(200, rng, spread, n_channels=1)
    n = 2000
    charges = [
        waveforms(light, truth, templates, camera.n_samples, rng, saturation=65535).sum(axis=-1)
        for light in (flat_field(n, truth, rng, time=arrival * u.ns), no_light(n, truth))
    ]
    flat, dark = (charge.var(axis=0, ddof=1) for charge in charges)
    mean = charges[0].mean(axis=0) - charges[1].mean(axis=0)
    gain = (flat - dark) / mean / truth.squared_excess_noise_factor
    relative = np.sqrt((flat**2 + dark**2) * 2 / n) / (flat - dark)
    assert_pulls((gain / truth.gain - 1) / np.hypot(relative, np.sqrt(flat / n) / mean))


def test_camera_and_templates_need_the_same_channels(templates, rng):
    truth = camera_truth(5, rng, CameraSpread(electronic_noise=(5.0,)), n_channels=1)
    with pytest.raises(ConfigurationError, match="1 gain channels, the pulse templates have 2"):
        waveforms(no_light(1, truth), truth, templates, N_SAMPLES, rng)


def test_one_channel_is_always_selected():
    assert selected_gain(np.full((5, 1, 3, 4), 4000, np.uint16), 100).tolist() == [[0] * 3] * 5
