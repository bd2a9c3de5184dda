"""Front of a shower: delays by hand, gradients, curvature, distances of telescopes."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from timed_showers import HEIGHT, positions

from calibpipe.array.shower_front import (
    SPEED_OF_LIGHT,
    emission_curvature,
    front_delay,
    front_gradient,
    nearest_telescope,
    shower_axis,
)


class TestFront:
    def test_plane_front_from_20_degrees(self):
        position = np.array([[100.0, 0, 0], [0, 0, 0], [0, 100.0, 0]])
        axis, _, _ = shower_axis(np.radians([70.0]), np.radians([180.0]))
        delay = front_delay(position, np.zeros((1, 3)), axis, np.zeros(1))
        # from the south: the telescope in the north is later by 100 m sin 20 deg / c
        assert_allclose(delay, [[114.0856, 0, 0]], atol=1e-4)

    @pytest.mark.parametrize(
        ("impact", "height", "expected"),
        [
            (50, 8000, 0.52),
            (100, 8000, 2.08),
            (150, 8000, 4.69),
            (250, 8000, 13.0),
            (100, 5000, 3.34),
        ],
    )
    def test_curvature_of_science_f02(self, impact, height, expected):
        axis, _, _ = shower_axis(np.array([np.pi / 2]), np.zeros(1))
        position = np.array([[impact, 0.0, 0.0]])
        delay = front_delay(position, np.zeros((1, 3)), axis, np.array([1 / height]))
        exact = (np.hypot(impact, height) - height) / SPEED_OF_LIGHT
        assert_allclose(delay, exact, rtol=1e-9)
        assert_allclose(delay, expected, atol=0.006 if expected < 10 else 0.06)

    def test_distance_to_the_point_of_emission(self):
        rng = np.random.default_rng(1)
        position, core = rng.normal(0, 200, (5, 3)), rng.normal(0, 100, (7, 3))
        axis, _, _ = shower_axis(rng.uniform(0.8, 1.5, 7), rng.uniform(0, 6, 7))
        point = core + 9000.0 * axis
        path = np.linalg.norm(position - point[:, None], axis=2) - 9000.0
        delay = front_delay(position, core, axis, np.full(7, 1 / 9000), refractivity=1e-3)
        assert_allclose(delay, 1.001 * path / SPEED_OF_LIGHT, atol=1e-8)

    def test_azimuth_from_north_to_east(self):
        axis, up, right = shower_axis(np.array([0.0]), np.array([np.pi / 2]))
        assert_allclose(axis, [[0, -1, 0]], atol=1e-15)  # east is -y
        assert_allclose(up, [[0, 0, 1]], atol=1e-15)
        assert_allclose(right, [[-1, 0, 0]], atol=1e-15)

    @pytest.mark.parametrize("curvature", [0.0, 1 / 8000])
    def test_derivatives_are_those_of_the_delay(self, curvature):
        rng = np.random.default_rng(2)
        position, core = rng.normal(0, 150, (4, 3)), rng.normal(0, 80, (3, 3))
        axes = shower_axis(rng.uniform(0.9, 1.4, 3), rng.uniform(0, 6, 3))
        kappa = np.full(3, curvature)
        gradient = front_gradient(position, core, axes, kappa)

        def delay(a=0.0, b=0.0, scale=0.0):
            axis = axes[0] + a * axes[1] + b * axes[2]
            axis /= np.linalg.norm(axis, axis=1, keepdims=True)
            return front_delay(position, core, axis, kappa * np.exp(scale))

        for k, step in enumerate(np.eye(3) * 1e-5, start=1):
            slope = (delay(*step) - delay(*-step)) / 2e-5
            assert_allclose(gradient[..., k], slope, atol=1e-5 * np.abs(slope).max() + 1e-9)

    def test_core_error_is_a_direction_error(self):
        position = positions(np.random.default_rng(3), 6)
        axes = shower_axis(np.radians([90.0]), np.zeros(1))
        kappa = np.array([1 / HEIGHT])
        shift = np.array([[10.0, 0.0, 0.0]])
        moved = front_delay(position, shift, axes[0], kappa)
        # derivative along altitude is towards -x at the zenith and azimuth 0
        turned = -front_gradient(position, 0 * shift, axes, kappa)[..., 1] * 10.0 / HEIGHT
        difference = moved - front_delay(position, 0 * shift, axes[0], kappa) - turned
        assert np.ptp(difference) < 2e-3  # second order: (10 m / 8 km)^2 of 700 ns; times: t0 apart

    def test_height_of_emission(self):
        alt = np.radians([90.0, 30.0, 90.0, 90.0])
        height = np.array([10_158.0, 10_158.0, np.nan, 2500.0])
        found = emission_curvature(height, alt, site_height=2158.0, default_height=12_158.0)
        assert_allclose(1 / found, [8000, 16_000, 10_000, 10_000])


def test_distance_from_the_nearest_telescope_by_hand():
    """3-4-5; of the others only those that have a time; none has one."""
    position = np.array([[0.0, 0.0, 9.0], [100.0, 0.0, 0.0]])
    has_time = np.array([[True, True], [False, True], [False, False]])
    found = nearest_telescope([3.0, 3.0, 3.0], [4.0, 4.0, 4.0], position, has_time)
    assert_allclose(found, [5.0, np.hypot(97, 4), np.inf])
