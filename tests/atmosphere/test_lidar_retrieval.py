"""CTAO's required accuracies (B07) on simulated minutes, and pulls of the statistical errors."""

import astropy.units as u
import numpy as np
import pytest
from lidar_sky import ALTITUDE, retrieved

from calibpipe.atmosphere.lidar_transmission import angstrom_exponent
from calibpipe.simulation.lidar import AerosolLayer, Aerosols

N = 16  # profiles of a sample
DEPTH_LIMIT = 0.03  # RMSD
HEIGHT_LIMIT = 300.0  # m, RMSD


def mixing_layer(depth, top, lidar_ratio=50.0):
    return AerosolLayer(depth, ALTITUDE, ALTITUDE + top * u.m, lidar_ratio * u.sr, 1.0)


def clouds(depth, base, thickness, rng):
    """A cloud above a clean ground layer, its lidar ratio unknown to the retrieval."""
    ground = AerosolLayer(0.03, ALTITUDE, ALTITUDE + 15 * u.km, 50 * u.sr, 1.0, scale=700 * u.m)
    return [
        Aerosols(
            (
                ground,
                AerosolLayer(
                    depth,
                    ALTITUDE + base * u.m,
                    ALTITUDE + (base + thickness) * u.m,
                    rng.uniform(15, 35) * u.sr,
                ),
            )
        )
        for _ in range(N)
    ]


def rmsd(values, truth):
    return np.sqrt(np.mean((values - truth) ** 2))


@pytest.mark.parametrize(
    ("base", "thickness", "depth"),
    [
        (2000, 500, 0.01),
        (2000, 500, 0.7),
        (6000, 1000, 0.1),
        (10000, 2000, 0.7),
        (20000, 800, 0.01),
        (20000, 800, 0.7),
    ],
)
def test_b07_clouds(base, thickness, depth):
    rng = np.random.default_rng([base, int(100 * depth)])
    found, molecules = retrieved(clouds(depth, base, thickness, rng), rng)
    np.testing.assert_array_equal(found.layers.profile, np.arange(N))
    assert (found.layer_status == "measured").all()
    height = molecules.distance.to_value(u.m)
    assert rmsd(height[found.layers.base], base) < HEIGHT_LIMIT
    assert rmsd(height[found.layers.top], base + thickness) < HEIGHT_LIMIT
    assert rmsd(found.layer_depth, depth) < DEPTH_LIMIT
    assert (found.status == "measured").all()
    error = np.hypot(found.stat_error[:, -1], found.sys_error[:, -1])
    assert (np.abs(found.optical_depth[:, -1] - depth - 0.03) < 4.0 * error).all()


def test_errors_of_cloud_depths_have_pulls_of_width_one():
    """High clouds, where haze below them adds nothing."""
    rng = np.random.default_rng(11)
    pulls = []
    for depth in (0.05, 0.3):
        found, _ = retrieved(clouds(depth, 12000, 1000, rng), rng, raman=False)
        pulls.append((found.layer_depth - depth) / found.layer_error)
    pulls = np.concatenate(pulls)
    assert abs(pulls.mean()) < 4.0 / np.sqrt(pulls.size)
    assert pulls.std() == pytest.approx(1.0, abs=4.0 / np.sqrt(2.0 * pulls.size))


@pytest.mark.parametrize(("top", "depth"), [(1000, 0.03), (1000, 0.7), (3000, 0.2), (9000, 0.7)])
def test_b07_aerosols(top, depth):
    rng = np.random.default_rng([top, int(100 * depth)])
    sky = [Aerosols((mixing_layer(depth, top, rng.uniform(35, 65)),)) for _ in range(N)]
    found, _ = retrieved(sky, rng)
    assert (found.status == "measured").all()
    total = found.optical_depth[:, -1]
    assert rmsd(total, depth) < DEPTH_LIMIT
    assert abs(total.mean() - depth) < np.hypot(
        4.0 * total.std() / np.sqrt(N), np.median(found.sys_error[:, -1])
    )


def test_lidar_ratio_is_assumed_without_raman_and_its_error_holds_the_truth():
    rng = np.random.default_rng(3)
    ratios = rng.uniform(35, 65, N)
    sky = [Aerosols((mixing_layer(0.2, 3000, ratio),)) for ratio in ratios]
    found, _ = retrieved(sky, rng, raman=False)
    assert (found.aerosol_source == "lidar ratio").all()
    error = np.hypot(found.stat_error[:, -1], found.sys_error[:, -1])
    assert (np.abs(found.optical_depth[:, -1] - 0.2) < error).all()
    # what is not known is the lidar ratio: the scatter is far above the statistical error
    assert found.optical_depth[:, -1].std() > 10.0 * np.median(found.stat_error[:, -1])


def test_b07_angstrom_exponent():
    """Depths of 0.1 and 0.1 (355/532)^-A with the precision of the depths: A to 0.3."""
    rng = np.random.default_rng(8)
    true = 1.3
    depths = (0.1 * (355 / 532) ** -true, 0.1)
    n = 4000
    error = 0.005
    measured = tuple(d + error * rng.standard_normal(n) for d in depths)
    errors = tuple(np.full(n, error) for _ in depths)
    value, spread = angstrom_exponent(measured, errors, (355 * u.nm, 532 * u.nm))
    assert rmsd(value, true) < 0.3
    pull = (value - true) / spread
    assert pull.std() == pytest.approx(1.0, abs=0.1)


def test_opaque_cloud_says_so_and_gives_nothing_above():
    rng = np.random.default_rng(4)
    found, molecules = retrieved(clouds(6.0, 8000, 1000, rng), rng)
    assert set(found.status) == {"no light from above the layer"}
    height = molecules.distance.to_value(u.m)
    assert np.isnan(found.optical_depth[:, height > 8100.0]).all()
    below = found.optical_depth[:, (height > 4000.0) & (height < 7500.0)]
    error = np.hypot(found.stat_error, found.sys_error)[:, (height > 4000.0) & (height < 7500.0)]
    assert (np.abs(below - 0.03) < 4.0 * error).all()


def test_cloud_at_the_top_of_the_range_has_no_top():
    rng = np.random.default_rng(6)
    found, _ = retrieved(clouds(0.2, 23500, 2000, rng), rng)
    assert (found.layers.top == -1).all()
    assert set(found.layer_status) == {"top above the range of the signal"}
    assert np.isnan(found.layer_depth).all()


def test_clear_air_has_no_layers():
    """Rate of false layers below 3 in 100 profiles at 95 %: none in 100."""
    rng = np.random.default_rng(9)
    found, _ = retrieved([Aerosols()] * 100, rng, raman=False)
    assert found.layers.profile.size == 0


def test_no_laser_gives_a_reason():
    rng = np.random.default_rng(10)
    dark = [Aerosols((AerosolLayer(20.0, ALTITUDE, ALTITUDE + 400 * u.m),))] * 4
    found, _ = retrieved(dark, rng, raman=False)
    assert set(found.status) == {"signal too weak for a Rayleigh fit"}
    assert np.isnan(found.optical_depth).all()
