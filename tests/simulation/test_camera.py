"""The simulated camera: pulses, noise, light, faults, against closed forms."""

from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest

from calibpipe.core.exceptions import ConfigurationError
from calibpipe.simulation.camera import (
    CameraSpread,
    Light,
    PixelFault,
    camera_truth,
    flat_field_light,
    interleaved,
    no_light,
    pulse_templates,
    selected_gain,
    shower_light,
    truth_from_table,
    truth_table,
    waveforms,
)

N_SAMPLES = 40
SIGMA = 1.2  # ns, of the Gaussian pulse
GAMMA = 1 / 0.222  # shape of the charge of one photoelectron


@pytest.fixture
def rng():
    return np.random.default_rng(20240710)


@pytest.fixture(scope="module")
def templates():
    time = np.arange(0, 20, 0.1)
    pulse = np.exp(-0.5 * ((time - 8.0) / SIGMA) ** 2)
    return pulse_templates(np.stack([pulse, pulse]), 0.1 * u.ns, 1 * u.GHz)


@pytest.fixture
def uniform():
    """Spread without any: every pixel is the mean pixel."""
    return CameraSpread(
        gain_spread=0,
        gain_ratio_spread=0,
        efficiency_spread=0,
        pedestal_spread=0,
        noise_spread=0,
        time_spread=0,
    )


def flat_field(n_events, truth, rng, **more):
    values = {
        "n_pe": 50.0,
        "intensity_jitter": 0.0,
        "time": 18 * u.ns,
        "time_jitter": 0 * u.ns,
        "transit_time_spread": 0 * u.ns,
    }
    return flat_field_light(n_events, truth, rng, **(values | more))


def assert_pulls(pulls):
    """Pulls are normal: mean 0 and width 1 within five standard errors of them."""
    n = np.size(pulls)
    assert abs(np.mean(pulls)) < 5 / np.sqrt(n)
    assert abs(np.std(pulls) - 1) < 5 / np.sqrt(2 * n)


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


@pytest.mark.parametrize("shape", [np.ones((1, 5)), np.zeros((2, 5))])
def test_templates_need_two_channels_with_a_maximum(shape):
    with pytest.raises(ConfigurationError, match="needs 2 channels with positive maxima"):
        pulse_templates(shape, 1 * u.ns, 1 * u.GHz)


def noiseless(truth):
    return replace(
        truth,
        electronic_noise=0 * truth.electronic_noise,
        nsb_rate=0 * truth.nsb_rate,
        pedestal=0 * truth.pedestal + 1000,
    )


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


def test_saturation(templates, rng):
    truth = noiseless(camera_truth(5, rng))
    wave = waveforms(flat_field(2, truth, rng, n_pe=1000), truth, templates, N_SAMPLES, rng)
    assert (wave[:, 0].max(axis=-1) == 4095).all()
    assert (wave[:, 1].max(axis=-1) < 4095).all()


def test_dark_pedestal_is_white_and_has_its_mean_and_variance(templates, rng):
    truth = camera_truth(150, rng)
    n = 200
    wave = waveforms(no_light(n, truth), truth, templates, N_SAMPLES, rng, sky=False).astype(float)
    for total, n_summed in ((wave[..., 7], 1), (wave.sum(axis=-1), N_SAMPLES)):
        variance = n_summed * (truth.electronic_noise**2 + 1 / 12)  # of rounding to whole counts
        assert_pulls((total.mean(axis=0) - n_summed * truth.pedestal) / np.sqrt(variance / n))
        assert_pulls((total.var(axis=0, ddof=1) / variance - 1) / np.sqrt(2 / (n - 1)))


def test_noise_of_pixels_and_events_is_independent(templates, rng):
    truth = camera_truth(150, rng)
    n = 400
    wave = waveforms(no_light(n, truth), truth, templates, N_SAMPLES, rng).astype(float)
    charge = wave.sum(axis=-1)[:, 0]
    charge = (charge - charge.mean(axis=0)) / charge.std(axis=0)
    camera_mean = charge.mean(axis=1) * np.sqrt(truth.n_pixels)
    assert abs(camera_mean.std() - 1) < 5 / np.sqrt(2 * n)
    assert_pulls((charge[1:] * charge[:-1]).mean(axis=0) * np.sqrt(n - 1))


def test_night_sky_leaves_the_mean_and_adds_its_shot_noise(templates, rng):
    """AC coupling; Campbell's theorem for variance and fourth cumulant of the window's charge."""
    truth = camera_truth(150, rng)
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


def test_flat_field_photoelectrons_and_excess_noise(rng):
    truth = camera_truth(100, rng)
    n = 2000
    light = flat_field(n, truth, rng)
    expected = 50 * truth.relative_efficiency
    assert_pulls((light.n_pe.mean(axis=0) - expected) / np.sqrt(expected / n))
    variance = truth.squared_excess_noise_factor * expected
    assert_pulls((light.charge.mean(axis=0) - expected) / np.sqrt(variance / n))
    assert_pulls((light.charge.var(axis=0, ddof=1) / variance - 1) / np.sqrt(2 / n))


def test_intensity_jitter_is_common_to_the_camera(rng, uniform):
    truth = camera_truth(400, rng, uniform)
    n = 3000
    light = flat_field(n, truth, rng, intensity_jitter=0.05)
    expected = (0.05 * 50) ** 2 + 1.222 * 50 / truth.n_pixels  # variance of the camera's mean
    assert light.charge.mean(axis=1).var() == pytest.approx(expected, rel=5 * np.sqrt(2 / n))
    single = 1.222 * 50 + (0.05 * 50) ** 2  # var = F² n + B² n²
    rel = 5 * np.sqrt(2 / n / truth.n_pixels + 2 / n * ((0.05 * 50) ** 2 / single) ** 2)
    assert light.charge.var(axis=0).mean() == pytest.approx(single, rel=rel)


def test_no_light_means_no_charge(rng):
    light = flat_field(50, camera_truth(20, rng), rng, n_pe=0.5)
    assert (light.charge[light.n_pe == 0] == 0).all()
    assert (light.charge[light.n_pe > 0] > 0).all()


def test_arrival_times(rng):
    truth = camera_truth(100, rng)
    n = 2000
    light = flat_field(n, truth, rng, time_jitter=0.5 * u.ns, transit_time_spread=2 * u.ns)
    common = light.time.mean(axis=1) - light.time.mean()
    assert common.std() == pytest.approx(0.5, rel=5 / np.sqrt(2 * n) + 0.02)
    own = light.time - truth.time_offset - light.time.mean(axis=1, keepdims=True)
    own += truth.time_offset.mean()
    variance = (4 / light.n_pe).mean(axis=0) * (1 - 1 / truth.n_pixels)
    assert_pulls(own.mean(axis=0) / np.sqrt(variance / n))
    assert_pulls((own.var(axis=0) / variance - 1) / np.sqrt(2 / n))


def test_single_photoelectron_spectrum(templates, rng, uniform):
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


def test_faulty_pixels_are_as_many_as_asked_and_none_twice(rng):
    spread = CameraSpread(dead=0.02, hot=0.01, noisy=0.03, flickering=0.04)
    status = camera_truth(1000, rng, spread).status
    assert [(status == fault).sum() for fault in PixelFault] == [20, 10, 30, 40]
    assert (status == 0).sum() == 900


def test_faults(templates, rng, uniform):
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


@pytest.mark.parametrize(
    ("spread", "message"),
    [
        ({"dead": 0.7, "hot": 0.4}, r"add up to 1\.1, needs at most 1"),
        ({"squared_excess_noise_factor": 1.0}, "is 1, needs more than 1"),
    ],
)
def test_impossible_cameras_are_refused(rng, spread, message):
    with pytest.raises(ConfigurationError, match=message):
        camera_truth(10, rng, CameraSpread(**spread))


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


def test_shower_times_lie_in_a_plane(rng):
    truth = camera_truth(400, rng)
    x, y = (axis.ravel() for axis in np.meshgrid(np.linspace(-1, 1, 20), np.linspace(-1, 1, 20)))
    light = shower_light(
        20,
        truth,
        rng,
        pixel_x=x * u.m,
        pixel_y=y * u.m,
        time=18 * u.ns,
        transit_time_spread=0 * u.ns,
    )
    plane = np.stack([np.ones_like(x), x, y], axis=1)
    _, residual, *_ = np.linalg.lstsq(plane, (light.time - truth.time_offset).T)
    assert residual.max() < 1e-18
    size = light.n_pe.sum(axis=1)
    assert size.min() > 50
    assert size.max() < 40_000
    lit = np.sum(light.n_pe * x, axis=1) / size, np.sum(light.n_pe * y, axis=1) / size
    assert np.hypot(*lit).max() < 1.0  # images lie in the camera


def test_gain_is_selected_by_the_largest_sample_of_high_gain():
    waveform = np.zeros((2, 3, 4), np.uint16)
    waveform[0, :, 2] = [99, 100, 101]
    waveform[1, 0, 1] = 500
    assert selected_gain(waveform, 100).tolist() == [0, 0, 1]


def test_types_are_spread_evenly():
    order = interleaved([0, 100, 25])
    assert np.bincount(order).tolist() == [0, 100, 25]
    assert set(np.diff(np.flatnonzero(order == 2))) <= {4, 5, 6}
    assert interleaved([0, 0]).size == 0


def test_truth_survives_its_table(rng):
    truth = camera_truth(7, rng, CameraSpread(dead=0.2, gain_drift=0.01, pedestal_drift=0.5))
    again = truth_from_table(truth_table(truth))
    for name, value in vars(truth).items():
        np.testing.assert_array_equal(getattr(again, name), value)


def test_randomness_comes_from_the_generator_alone(templates):
    def content(seed):
        rng = np.random.default_rng(seed)
        truth = camera_truth(20, rng)
        return waveforms(flat_field(5, truth, rng), truth, templates, N_SAMPLES, rng)

    assert (content(1) == content(1)).all()
    assert (content(1) != content(2)).any()
