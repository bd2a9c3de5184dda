"""Invariants of humid air, refractivity and scattering for any state of the atmosphere."""

import astropy.units as u
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from calibpipe.atmosphere.humid_air import (
    AVOGADRO,
    compressibility_factor,
    moist_air_density,
    molar_mass_moist_air,
    number_density,
    saturation_vapour_pressure,
    water_vapour_mole_fraction,
    water_vapour_mole_fraction_from_relative_humidity,
)
from calibpipe.atmosphere.rayleigh import rayleigh_cross_section, rayleigh_optical_depth
from calibpipe.atmosphere.refractivity import refractivity

pressure = st.floats(1e-3, 1.1e5).map(lambda p: p * u.Pa)
temperature = st.floats(180, 320).map(lambda T: T * u.K)
vapour = st.floats(0, 0.04)
co2 = st.floats(2e-4, 1e-3)
wavelength = st.floats(200, 1000).map(lambda w: w * u.nm)


@given(pressure, temperature, vapour, co2)
def test_mass_is_number_times_molar_mass(p, T, x, c):
    rho = moist_air_density(p, T, x, c)
    n = number_density(p, T, x)
    mass = n * molar_mass_moist_air(x, c) / (AVOGADRO / u.mol)
    np.testing.assert_allclose((rho / mass).to_value(u.one), 1, rtol=1e-13)


@given(pressure, temperature, vapour)
def test_density_rises_with_pressure_and_falls_with_temperature(p, T, x):
    n = number_density(p, T, x)
    assert number_density(1.01 * p, T, x) > n
    assert number_density(p, 1.01 * T, x) < n


@given(pressure, temperature, vapour)
def test_air_is_nearly_an_ideal_gas(p, T, x):
    """The vapour terms, at most 0.04² c(T) p/T, are the largest departure."""
    assert abs(compressibility_factor(p, T, x).value - 1) < 0.006


@given(pressure, temperature, vapour, co2, st.floats(1e-4, 0.01))
def test_vapour_makes_air_lighter(p, T, x, c, more):
    """A molecule of water weighs 0.62 of one of air: 0.378 x less, up to the change of Z."""
    lighter = moist_air_density(p, T, x + more, c) / moist_air_density(p, T, x, c)
    assert lighter < 1 - 0.25 * more


@given(st.floats(1e-9, 0.05))
def test_specific_humidity_goes_back(q):
    """q = ε x/(1 - (1-ε) x) is the inverse."""
    x = water_vapour_mole_fraction(q).value
    assert np.isclose(0.62198 * x / (1 - 0.37802 * x), q, rtol=1e-13)


@given(
    st.floats(0.0, 1.5),
    st.floats(1e4, 1.1e5).map(lambda p: p * u.Pa),
    temperature.filter(lambda T: T < 305 * u.K),
    st.sampled_from(["ice", "ifs", "gfs"]),
)
def test_relative_humidity_goes_back(h, p, T, over):
    if h * saturation_vapour_pressure(T, over) > p:
        return
    x = water_vapour_mole_fraction_from_relative_humidity(h, p, T, over)
    assert np.isclose((x * p / saturation_vapour_pressure(T, over)).to_value(u.one), h, rtol=1e-12)


@given(st.floats(180, 273.15))
def test_mixture_lies_between_ice_and_water(T):
    ice, ifs, gfs, water = (
        saturation_vapour_pressure(T * u.K, over).value for over in ("ice", "ifs", "gfs", "water")
    )
    assert 0.98 * ice < ifs < 1.005 * water
    assert 0.98 * ice < gfs < 1.005 * water


@given(wavelength, pressure, temperature, vapour, co2)
def test_refractivity_is_proportional_to_density_at_low_pressure(w, p, T, x, c):
    """Lorentz-Lorenz: (n-1)/N is the same for any pressure and temperature."""
    n = refractivity(w, p, T, x, c) / number_density(p, T, x)
    reference = refractivity(w, 1 * u.hPa, 250 * u.K, x, c) / number_density(
        1 * u.hPa, 250 * u.K, x
    )
    np.testing.assert_allclose((n / reference).to_value(u.one), 1, rtol=1e-12)


@given(st.floats(200, 990), st.floats(1, 10), co2)
def test_cross_section_falls_faster_than_the_fourth_power(w, step, c):
    blue, red = (rayleigh_cross_section(x * u.nm, c).value for x in (w, w + step))
    assert red / blue < (w / (w + step)) ** 4


@given(st.floats(0, 2e25), st.floats(0, 2e25), st.floats(0, 0.03))
def test_optical_depth_is_additive(first, second, x):
    def depth(column):
        return rayleigh_optical_depth(
            [400] * u.nm, [column * (1 - x)] / u.cm**2, [column * x] / u.cm**2, 420e-6
        ).value

    np.testing.assert_allclose(depth(first + second), depth(first) + depth(second), atol=1e-15)
