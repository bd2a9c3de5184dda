"""Mean transmission of showers: limits, truth, errors."""

import astropy.units as u
import numpy as np
import pytest
from lidar_product import CLOUD, DUST, EXPONENT, product
from lidar_sky import us_standard

from calibpipe.atmosphere.aerosol_profile import Column, DepthProfile, with_column
from calibpipe.atmosphere.emission_profile import emission_profile, layer_slant
from calibpipe.atmosphere.lidar_profiles import lidar_from_table
from calibpipe.atmosphere.lidar_slices import lidar_slice
from calibpipe.atmosphere.transmission_correction import (
    MeanTransmission,
    ShowerLight,
    mean_over_slices,
    mean_transmission,
    shower_light,
    wavelength_weights,
)
from calibpipe.core.exceptions import ConfigurationError
from calibpipe.simulation.lidar import AerosolLayer, Aerosols

CO2 = 420e-6
SITE = 2158.0
GRID = np.arange(SITE, 20_000.0, 250.0) * u.m
WAVELENGTH = np.arange(300.0, 701.0, 50.0) * u.nm
ENERGY, ZENITH = [0.02, 1, 100] * u.TeV, [0, 60] * u.deg
BAND = wavelength_weights(WAVELENGTH, [300, 550] * u.nm, [1, 1])


def profile(depth, stat=(), **sys):
    depth = np.asarray(depth, float)
    modes = np.asarray(stat, float).reshape(-1, *depth.shape)
    return DepthProfile(depth, modes, sys)


@pytest.fixture(scope="module")
def air():
    return us_standard().at(np.append(SITE, np.arange(2200.0, 50001.0, 100.0)) * u.m)


@pytest.fixture(scope="module")
def emission(air):
    return emission_profile(air, ENERGY, ZENITH, WAVELENGTH, CO2)


@pytest.fixture(scope="module")
def light(air, emission):
    return shower_light(emission, air.altitude, GRID, ZENITH, BAND)


def step(height):
    """Depth 0.3 in the interval of the grid that holds a height above the sea, any wavelength."""
    edge = np.searchsorted(GRID.value, height)
    depth = np.where(np.arange(len(GRID)) >= edge, 0.3, 0.0)
    return np.repeat(depth[:, None], len(WAVELENGTH), axis=1)


def only(air, emission, low, high):
    """Light from some altitudes alone."""
    z = air.altitude.value
    inside = ((z > low) & (z < high))[:, None]
    return shower_light(emission * inside, air.altitude, GRID, ZENITH, BAND)


def test_no_aerosols_is_exactly_one(light):
    found = mean_transmission(light, profile(np.zeros((len(GRID), len(WAVELENGTH)))))
    np.testing.assert_array_equal(found.value, 1.0)
    np.testing.assert_array_equal(found.stat_error, 0.0)


def test_grey_layer_below_all_light(air, emission):
    found = mean_transmission(only(air, emission, 6000, 1e5), profile(step(4000)))
    slant = [1.0, layer_slant([1750] * u.m, 60 * u.deg)[0]]
    np.testing.assert_allclose(found.value[:, 0], np.exp(-0.3), rtol=1e-14)
    np.testing.assert_allclose(found.value[:, 1], np.exp(-0.3 * slant[1]), rtol=1e-4)


def test_cloud_above_all_light(air, emission):
    found = mean_transmission(only(air, emission, 0, 12_000), profile(step(15_000)))
    np.testing.assert_array_equal(found.value, 1.0)


def test_two_heights_by_hand():
    """A third of the light from above a layer of depth 0.2, the rest from below: one minus ..."""
    weight = np.array([2.0, 1.0]).reshape(1, 1, 2, 1)
    light = ShowerLight(weight, np.eye(2)[None])
    found = mean_transmission(light, profile([[0.0], [0.2]], [[[0.0], [0.01]]], x=[[0.0], [0.03]]))
    np.testing.assert_allclose(found.value, (2 + np.exp(-0.2)) / 3)
    np.testing.assert_allclose(found.stat_error, np.exp(-0.2) / 3 * 0.01)
    np.testing.assert_allclose(found.sys_modes["x"], -np.exp(-0.2) / 3 * 0.03)


def test_true_integral(air, emission, light):
    """Aerosol and cloud on the grid of the product against the integral over the truth itself."""
    sky = Aerosols(
        (
            AerosolLayer(0.1, SITE * u.m, 12 * u.km, angstrom_exponent=1.2, scale=1 * u.km),
            AerosolLayer(0.2, 8 * u.km, 9 * u.km),
        )
    )
    on_grid = np.stack([sky.optical_depth(GRID, w) for w in WAVELENGTH], axis=1)
    found = mean_transmission(light, profile(on_grid)).value
    z = air.altitude.value
    true = np.stack([sky.optical_depth(air.altitude, w) for w in WAVELENGTH], axis=1)
    for j, angle in enumerate(ZENITH):
        middle = (z[1:] + z[:-1]) / 2 - z[0]
        path = layer_slant(middle * u.m, angle)[:, None]
        slant = np.concatenate([0 * true[:1], np.cumsum(path * np.diff(true, axis=0), axis=0)])
        over_h = np.trapezoid(emission[:, j] * np.exp(-slant), z, axis=1)
        without = np.trapezoid(emission[:, j], z, axis=1)
        np.testing.assert_allclose(found[:, j], (over_h @ BAND) / (without @ BAND), atol=1e-3)
    assert np.all(np.diff(found[:, 0]) > 0)  # higher energies, deeper showers, less cloud


def test_errors_are_those_of_repetitions(light):
    """Profiles drawn with the modes: pulls of the mean transmission have width one."""
    rng = np.random.default_rng(4)
    depth = 0.1 + step(9000)
    depth[0] = 0
    smooth = np.cumsum(rng.normal(0, 3e-4, (5, len(GRID), 1)), axis=1)
    modes = smooth * np.ones(len(WAVELENGTH))
    n = 400
    drawn = [
        mean_transmission(light, profile(depth + np.tensordot(rng.normal(size=5), modes, 1), modes))
        for _ in range(n)
    ]
    true = mean_transmission(light, profile(depth)).value
    pulls = np.array([(one.value - true) / one.stat_error for one in drawn])
    np.testing.assert_allclose(pulls.std(axis=0), 1.0, atol=4 / np.sqrt(2 * n))
    np.testing.assert_allclose(pulls.mean(axis=0), 0.0, atol=4 / np.sqrt(n))


def test_pulls_of_measured_slices(light):
    """30 noisy LIDAR profiles and a column of FRAM: mean transmission against the true one."""
    rng = np.random.default_rng(11)
    sky = Aerosols((DUST, CLOUD))
    on_grid = np.stack([sky.optical_depth(GRID, w) for w in WAVELENGTH], axis=1)
    true = mean_transmission(light, profile(on_grid)).value
    column = sky.optical_depth(GRID[-1:], 440 * u.nm)[0]
    n, pulls = 150, []
    for _ in range(n):
        lidar = lidar_from_table(product([sky] * 30, rng, noise=0.02), GRID, 5 * u.km)
        one = lidar_slice(lidar, GRID, WAVELENGTH, (EXPONENT, 0.0)).profile
        fram = Column(column + 0.003 * rng.normal(), 0.003, 0.0, 440.0)
        found = mean_transmission(light, with_column(one, WAVELENGTH.value, fram))
        pulls.append((found.value - true) / found.stat_error)
    margin = 4 / np.sqrt(2 * n)
    width = np.std(pulls, axis=0)  # errors of slices are up to 5 % large where nothing varies
    assert np.all((width > 0.95 - margin) & (width < 1 + margin))
    ends = 0.1  # 2e-4 of the dust count as cloud at its ends, errors are 2e-3
    np.testing.assert_allclose(np.mean(pulls, axis=0), 0.0, atol=4 / np.sqrt(n) + ends)


def test_systematic_modes_keep_their_sign(light):
    depth = step(6000)
    moved = mean_transmission(light, profile(depth + 1e-5)).value
    found = mean_transmission(light, profile(depth, x=np.full_like(depth, 1e-5)))
    np.testing.assert_allclose(found.sys_modes["x"], moved - found.value, rtol=1e-3)
    np.testing.assert_allclose(found.sys_error, abs(moved - found.value), rtol=1e-3)


def test_uncertain_emission_is_a_systematic_error(air, light):
    deeper = emission_profile(air, ENERGY, ZENITH, WAVELENGTH, CO2, 18.0)
    other = {"emission": shower_light(deeper, air.altitude, GRID, ZENITH, BAND)}
    through_cloud = mean_transmission(light, profile(step(9000)), other)
    assert np.all(through_cloud.sys_modes["emission"] > 0)  # more light from below the cloud
    none = mean_transmission(light, profile(0 * step(9000)), other)
    np.testing.assert_array_equal(none.sys_error, 0.0)


def one(value, stat, **sys):
    return MeanTransmission(
        np.array([[value]]), np.array([[stat]]), {n: np.array([[v]]) for n, v in sys.items()}
    )


def test_mean_over_slices_by_hand():
    found = mean_over_slices([one(0.8, 0.03, a=0.02), one(0.9, 0.04, a=0.02, b=-0.01)], [1, 3])
    np.testing.assert_allclose(found.value, 0.875)
    np.testing.assert_allclose(found.stat_error, np.hypot(0.0075, 0.03))
    np.testing.assert_allclose(found.sys_modes["a"], 0.02)  # common: does not average out
    np.testing.assert_allclose(found.sys_error, np.hypot(0.02, 0.0075))
    with pytest.raises(ConfigurationError, match="2 slices without livetime"):
        mean_over_slices([one(1, 0), one(1, 0)], [0, 0])


def test_weights_of_wavelengths():
    weight = wavelength_weights([300, 400, 500] * u.nm, [200, 450] * u.nm, [2, 2])
    expected = np.array([50 / 9, 100 / 16, 0])
    np.testing.assert_allclose(weight, expected / expected.sum())


@pytest.mark.parametrize(
    ("grid", "known", "response", "message"),
    [
        ([300], [300, 550], [1, 1], "wavelengths of the product must ascend"),
        ([300, 400], [550, 300], [1, 1], "wavelengths of the response must ascend"),
        ([300, 400], [300, 550], [1, -1], "response -1"),
        ([600, 700], [300, 550], [1, 1], "no response between 600 and 700 nm"),
    ],
)
def test_weights_that_cannot_be(grid, known, response, message):
    with pytest.raises(ConfigurationError, match=message):
        wavelength_weights(grid * u.nm, known * u.nm, response)
