"""Cherenkov light of showers by altitude: formulas, known altitudes of showers, limits."""

import astropy.units as u
import numpy as np
import pytest
from lidar_sky import us_standard
from scipy.integrate import quad

from calibpipe.atmosphere.emission_profile import (
    CRITICAL_ENERGY,
    ELECTRON_MASS,
    RADIATION_LENGTH,
    cherenkov_yield,
    emission_profile,
    layer_slant,
    shower_size,
    slant_depth,
)
from calibpipe.atmosphere.lidar_molecular import molecular_signal
from calibpipe.core.exceptions import ConfigurationError, MissingInputError

CO2 = 420e-6
SITE = 2158.0


@pytest.fixture(scope="module")
def air():
    return us_standard().at(np.append(SITE, np.arange(2200.0, 50001.0, 100.0)) * u.m)


def highest(air, values):
    return air.altitude[np.argmax(values)].to_value(u.km)


def test_path_in_a_layer_on_a_round_earth():
    path = layer_slant([0, 20] * u.km, 60 * u.deg)
    sine = np.sin(np.pi / 3) * 6371 / 6391
    np.testing.assert_allclose(path, [2.0, 1 / np.sqrt(1 - sine**2)])
    np.testing.assert_array_equal(layer_slant([0, 20] * u.km, 0 * u.deg), 1.0)


def test_depth_of_the_standard_atmosphere(air):
    vertical = slant_depth(air, 0 * u.deg)
    # US Standard Atmosphere 1976: 265.00 hPa at 10 km; gravity 9.756 m/s2 at the mean height above
    at_10_km = np.interp(10_000, air.altitude.to_value(u.m), vertical)
    np.testing.assert_allclose(at_10_km, 26500 / 9.756 / 10, rtol=5e-4)
    inclined = slant_depth(air, 60 * u.deg)
    assert 1.98 < inclined[0] / vertical[0] < 2.0  # less than flat: 2


def test_size_at_the_maximum():
    energy = 1e5  # MeV
    beta = np.log(energy / CRITICAL_ENERGY)
    depth = np.linspace(1, 1000, 20_000)
    size, age = shower_size(depth, energy)
    best = np.argmax(size)
    np.testing.assert_allclose(depth[best], beta * RADIATION_LENGTH, rtol=1e-3)
    np.testing.assert_allclose(age[best], 1.0, rtol=1e-3)
    # 0.31/sqrt(beta) E/Ec: 143.5 electrons of 100 GeV
    np.testing.assert_allclose(size[best], 0.31 / np.sqrt(beta) * energy / 81, rtol=1e-6)
    assert abs(size[best] - 143.5) < 0.5
    assert shower_size(0.0, energy)[0] == 0


def test_no_shower_below_a_gev():
    with pytest.raises(ConfigurationError, match="a shower of 500 MeV"):
        shower_size(100.0, 500.0)


def test_yield_against_quadrature():
    age, excess, top = 0.9, 2.5e-4, 1e6
    a1, a2 = 6.42522 - 1.53183 * age, 168.168 - 42.1368 * age

    def spectrum(x):
        e = np.exp(x)
        return e / ((e + a1) * (e + a2) ** age)

    def light(x):
        return (1 - 1 / ((1 + excess) ** 2 * (1 - (ELECTRON_MASS / np.exp(x)) ** 2))) * spectrum(x)

    threshold = ELECTRON_MASS / np.sqrt(1 - (1 + excess) ** -2)
    expected = quad(light, np.log(threshold), np.log(top))[0] / quad(spectrum, 0, np.log(top))[0]
    np.testing.assert_allclose(cherenkov_yield([age], top, [excess]), expected, rtol=2e-3)


def test_yield_limits():
    assert cherenkov_yield([1.0], 1e5, [0.0]) == 0
    thin, dense = cherenkov_yield([1.0, 1.0], 1e5, [1e-4, 2.8e-4])
    assert thin < 2e-4  # never more than charges at the speed of light
    assert dense / thin > 2.8  # more electrons are above the threshold
    young, old = cherenkov_yield([0.6, 1.4], 1e5, [2e-4, 2e-4])
    assert young > old


@pytest.mark.parametrize(("energy", "electrons", "light"), [(0.02, 12.0, 11.2), (100.0, 5.4, 5.2)])
def test_known_altitudes_of_showers(air, energy, electrons, light):
    """Schmuckermaier et al. 2023: maxima of about 12 km (20 GeV) and 5 km (100 TeV)."""
    size, _ = shower_size(slant_depth(air, 0 * u.deg), energy * 1e6)
    assert abs(highest(air, size) - electrons) < 0.5
    emission = emission_profile(air, [energy] * u.TeV, [0] * u.deg, [400] * u.nm, CO2)
    assert abs(highest(air, emission[0, 0, :, 0]) - light) < 0.5


def test_light_passes_the_molecules(air):
    emission = emission_profile(air, [1] * u.TeV, [0] * u.deg, [350, 600] * u.nm, CO2)[0, 0]
    above = (air.altitude - air.altitude[0])[1:]
    depth = [
        molecular_signal(us_standard(), above, w * u.nm, CO2, SITE * u.m).optical_depth
        for w in (350, 600)
    ]
    ratio = emission[1:, 0] / emission[1:, 1]
    np.testing.assert_allclose(ratio, np.exp(depth[1] - depth[0]), rtol=1e-6)


def test_inclined_and_deeper_showers(air):
    both = emission_profile(air, [1] * u.TeV, [0, 60] * u.deg, [400] * u.nm, CO2)[0, ..., 0]
    assert highest(air, both[1]) > highest(air, both[0]) + 3
    deeper = emission_profile(air, [1] * u.TeV, [0] * u.deg, [400] * u.nm, CO2, 40.0)[0, 0, :, 0]
    assert highest(air, deeper) < highest(air, both[0])


def test_zenith_angles_that_cannot_be(air):
    with pytest.raises(ConfigurationError, match="0 to 75 deg"):
        emission_profile(air, [1] * u.TeV, [80] * u.deg, [400] * u.nm, CO2)


def test_air_that_ends_too_low(air):
    low = air.at(air.altitude[:100])
    with pytest.raises(MissingInputError, match=r"ends at 12\.0 km"):
        emission_profile(low, [1] * u.TeV, [0] * u.deg, [400] * u.nm, CO2)
