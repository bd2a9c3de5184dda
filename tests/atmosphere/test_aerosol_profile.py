"""Profiles with modes of error: exponential shape, test and update by a measured column."""

import astropy.units as u
import numpy as np
import pytest

from calibpipe.atmosphere.aerosol_profile import (
    Column,
    DepthProfile,
    column_pull,
    exponential_profile,
    with_column,
)
from calibpipe.core.exceptions import ConfigurationError

WAVELENGTH = np.array([300.0, 440.0, 700.0])
ALTITUDE = [2200, 3200, 4200, 22200] * u.m
SCALE = (1000 * u.m, 500 * u.m)


def exponential(value=0.04, stat=0.002, sys=0.008, exponent=(1.2, 0.5), scale=SCALE):
    column = Column(value, stat, sys, 440.0)
    return exponential_profile(column, ALTITUDE, WAVELENGTH * u.nm, exponent, scale)


def flat(levels, stat, sys):
    """Grey profile with one statistical and one systematic mode that grow with altitude."""
    levels = np.asarray(levels, float)[:, None] * np.ones(len(WAVELENGTH))
    return DepthProfile(levels, stat * levels[None], {"lidar": sys * levels})


def test_exponential_profile_by_hand():
    found = exponential()
    np.testing.assert_allclose(
        found.optical_depth[:, 1], 0.04 * (1 - np.exp(-np.array([0, 1, 2, 20.0])))
    )
    np.testing.assert_allclose(found.optical_depth[-1, 0], 0.04 * (440 / 300) ** 1.2, rtol=1e-6)
    np.testing.assert_allclose(found.stat_error[-1, 1], 0.002, rtol=1e-6)
    np.testing.assert_allclose(found.sys_modes["fram"][-1, 1], 0.008, rtol=1e-6)
    assert found.sys_modes["angstrom"][-1, 1] == 0
    np.testing.assert_allclose(
        found.sys_modes["angstrom"][-1, 0], found.optical_depth[-1, 0] * np.log(440 / 300) * 0.5
    )
    scale = 0.04 * (np.exp(-2) - np.exp(-1 / 1.5)) / 2  # at 1 km: 0.5 and 1.5 km scale
    np.testing.assert_allclose(found.sys_modes["scale_height"][1, 1], scale)
    np.testing.assert_allclose(found.sys_modes["scale_height"][-1, 1], 0, atol=1e-6)
    np.testing.assert_allclose(
        found.sys_error[1, 1],
        np.sqrt(sum(mode[1, 1] ** 2 for mode in found.sys_modes.values())),
    )


def test_scale_height_within_its_error():
    with pytest.raises(ConfigurationError, match=r"500 \+- 600 m: the error must be below it"):
        exponential(scale=(500 * u.m, 600 * u.m))


def test_pull_by_hand():
    own = flat([0, 0.05, 0.1], 0.03, 0.04)  # column 0.1 +- 0.003 +- 0.004
    column = Column(0.08, 0.0, 0.012, 440.0)
    np.testing.assert_allclose(column_pull(own, WAVELENGTH, column), 0.02 / 0.013)


def test_column_outside_the_wavelengths():
    with pytest.raises(ConfigurationError, match="measured at 800 nm lies outside"):
        column_pull(flat([0, 1], 0.1, 0.1), WAVELENGTH, Column(0, 0.1, 0.1, 800.0))


def test_equal_errors_give_the_mean():
    own = flat([0, 0.05, 0.1], 0.05, 0.0)
    found = with_column(own, WAVELENGTH, Column(0.08, 0.005, 0.0, 440.0))
    np.testing.assert_allclose(found.optical_depth[:, 1], [0, 0.045, 0.09])
    np.testing.assert_allclose(found.stat_error[:, 1], np.array([0, 0.5, 1]) * 0.005 / np.sqrt(2))


def test_perfect_column_is_met_and_a_worthless_one_ignored():
    own = flat([0, 0.05, 0.1], 0.03, 0.04)
    exact = with_column(own, WAVELENGTH, Column(0.08, 0.0, 0.0, 440.0))
    np.testing.assert_allclose(exact.optical_depth[-1], 0.08)
    np.testing.assert_allclose(np.hypot(exact.stat_error, exact.sys_error)[-1], 0, atol=1e-15)
    useless = with_column(own, WAVELENGTH, Column(5.0, 1e6, 0.0, 440.0))
    np.testing.assert_allclose(useless.optical_depth, own.optical_depth, atol=1e-9)
    np.testing.assert_allclose(useless.sys_error, own.sys_error, rtol=1e-6)
    certain = flat([0, 0.1], 0, 0)
    assert with_column(certain, WAVELENGTH, Column(0.1, 0, 0, 440.0)) is certain


def test_update_moves_what_is_least_known():
    """A cloud with a large error takes the difference, the aerosol below keeps its depth."""
    depth = np.array([[0.0], [0.05], [0.25]]) * np.ones(3)
    aerosol = np.array([[0.0], [0.001], [0.001]]) * np.ones(3)
    cloud = np.array([[0.0], [0.0], [0.03]]) * np.ones(3)
    own = DepthProfile(depth, np.stack([aerosol, cloud]), {})
    found = with_column(own, WAVELENGTH, Column(0.20, 0.005, 0.0, 440.0))
    assert abs(found.optical_depth[1, 1] - 0.05) < 1e-4
    assert abs(found.optical_depth[2, 1] - 0.20) < 0.003


def test_pulls_of_the_combination_have_width_one():
    rng = np.random.default_rng(2)
    true = np.array([0.0, 0.04, 0.09, 0.1])[:, None] * np.ones(3)
    modes = np.cumsum(np.abs(rng.normal(0, 3e-3, (4, 4, 1))), axis=1) * np.ones(3)
    modes[:, 0] = 0
    systematic = 0.05 * true
    n, pulls = 2000, []
    for _ in range(n):
        drawn = true + np.tensordot(rng.normal(size=4), modes, 1) + rng.normal() * systematic
        own = DepthProfile(drawn, modes, {"lidar": systematic})
        column = Column(0.1 + 0.003 * rng.normal() + 0.004 * rng.normal(), 0.003, 0.004, 440.0)
        found = with_column(own, WAVELENGTH, column)
        error = np.hypot(found.stat_error, found.sys_error)[1:, 1]
        pulls.append((found.optical_depth - true)[1:, 1] / error)
    np.testing.assert_allclose(np.std(pulls, axis=0), 1.0, atol=4 / np.sqrt(2 * n))
    np.testing.assert_allclose(np.mean(pulls, axis=0), 0.0, atol=4 / np.sqrt(n))
