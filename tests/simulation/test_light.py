"""Light of the simulated camera: photoelectrons, charges, times, against closed forms."""

import astropy.units as u
import numpy as np
import pytest

from calibpipe.simulation.camera import camera_truth
from calibpipe.simulation.light import interleaved, shower_light


def test_flat_field_photoelectrons_and_excess_noise(rng, flat_field, assert_pulls):
    truth = camera_truth(100, rng)
    n = 2000
    light = flat_field(n, truth, rng)
    expected = 50 * truth.relative_efficiency
    assert_pulls((light.n_pe.mean(axis=0) - expected) / np.sqrt(expected / n))
    variance = truth.squared_excess_noise_factor * expected
    assert_pulls((light.charge.mean(axis=0) - expected) / np.sqrt(variance / n))
    assert_pulls((light.charge.var(axis=0, ddof=1) / variance - 1) / np.sqrt(2 / n))


def test_intensity_jitter_is_common_to_the_camera(rng, uniform, flat_field):
    truth = camera_truth(400, rng, uniform)
    n = 3000
    light = flat_field(n, truth, rng, intensity_jitter=0.05)
    expected = (0.05 * 50) ** 2 + 1.222 * 50 / truth.n_pixels  # variance of the camera's mean
    assert light.charge.mean(axis=1).var() == pytest.approx(expected, rel=5 * np.sqrt(2 / n))
    single = 1.222 * 50 + (0.05 * 50) ** 2  # var = F² n + B² n²
    rel = 5 * np.sqrt(2 / n / truth.n_pixels + 2 / n * ((0.05 * 50) ** 2 / single) ** 2)
    assert light.charge.var(axis=0).mean() == pytest.approx(single, rel=rel)


def test_no_light_means_no_charge(rng, flat_field):
    light = flat_field(50, camera_truth(20, rng), rng, n_pe=0.5)
    assert (light.charge[light.n_pe == 0] == 0).all()
    assert (light.charge[light.n_pe > 0] > 0).all()


def test_arrival_times(rng, flat_field, assert_pulls):
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


def test_types_are_spread_evenly():
    order = interleaved([0, 100, 25])
    assert np.bincount(order).tolist() == [0, 100, 25]
    assert set(np.diff(np.flatnonzero(order == 2))) <= {4, 5, 6}
    assert interleaved([0, 0]).size == 0
