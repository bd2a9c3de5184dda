"""CIPM-2007 humid air: anchors A05, A06, phases of water, limits, units."""

import math

import astropy.units as u
import numpy as np
import pytest

from calibpipe.atmosphere.humid_air import (
    AVOGADRO,
    checked_co2_mole_fraction,
    compressibility_factor,
    enhancement_factor,
    moist_air_density,
    molar_mass_dry_air,
    molar_mass_moist_air,
    number_density,
    saturation_vapour_pressure,
    water_vapour_mole_fraction,
    water_vapour_mole_fraction_from_relative_humidity,
)
from calibpipe.core.exceptions import ConfigurationError, CorruptedInputError

ROOM = (101325 * u.Pa, 20 * u.deg_C)
DIGITS = 1e-6  # the anchors carry seven digits


def test_saturation_over_water_A05():
    at_20 = saturation_vapour_pressure(20 * u.deg_C)
    assert at_20.unit == u.Pa
    assert at_20.value == pytest.approx(2339.1632, rel=DIGITS)
    assert saturation_vapour_pressure(273.15 * u.K).value == pytest.approx(611.2126, rel=DIGITS)


def test_enhancement_and_compressibility_A05():
    x = water_vapour_mole_fraction_from_relative_humidity(50 * u.percent, *ROOM)
    assert enhancement_factor(*ROOM).value == pytest.approx(1.0040256, rel=DIGITS)
    assert x.value == pytest.approx(0.01158934, rel=DIGITS)
    assert compressibility_factor(*ROOM, x).value == pytest.approx(0.99961477, rel=DIGITS)


@pytest.mark.parametrize(
    ("humidity", "density"), [(0.0, 1.2045573), (0.5, 1.1993139), (1.0, 1.1940872)]
)
def test_density_A06(humidity, density):
    x = water_vapour_mole_fraction_from_relative_humidity(humidity, *ROOM)
    result = moist_air_density(*ROOM, x, 400e-6)
    assert result.to_value(u.kg / u.m**3) == pytest.approx(density, rel=DIGITS)


def test_density_of_the_production_table_A11():
    """Lowest row of CTAO's table for La Palma in winter, given to six digits."""
    rho = moist_air_density(1020.49 * u.hPa, 291.91 * u.K, 0.0145399, 400e-6)
    assert rho.to_value(u.g / u.cm**3) == pytest.approx(1.21171e-3, rel=2e-4)


def test_water_and_ice_meet_at_the_triple_point():
    """Independent formulas; the triple point is at 611.657 Pa (IAPWS)."""
    water = saturation_vapour_pressure(273.16 * u.K, "water")
    ice = saturation_vapour_pressure(273.16 * u.K, "ice")
    assert ice.value == pytest.approx(611.657, rel=1e-6)
    assert water.value == pytest.approx(611.657, rel=1e-6)


def test_ice_obeys_clausius_clapeyron():
    """d ln e/d(1/T) = -L/R: latent heat of sublimation 51.06 kJ/mol at 240 K (Murphy, Koop)."""
    low, high = (saturation_vapour_pressure(T * u.K, "ice").value for T in (239.0, 241.0))
    latent = 8.314 * math.log(high / low) / (1 / 239.0 - 1 / 241.0)
    assert latent == pytest.approx(51060, rel=2e-3)


def test_mixed_phase_of_the_ifs_by_hand():
    """Half-way between 250.16 K and 273.16 K a quarter is water, three quarters are ice."""
    T = 261.66
    water = 611.21 * math.exp(17.502 * (T - 273.16) / (T - 32.19))
    ice = 611.21 * math.exp(22.587 * (T - 273.16) / (T + 0.7))
    mixed = saturation_vapour_pressure(T * u.K, "ifs").value
    assert mixed == pytest.approx(0.25 * water + 0.75 * ice, rel=1e-12)
    linear = saturation_vapour_pressure(T * u.K, "gfs").value
    share = (T - 253.16) / 20
    assert linear == pytest.approx(share * water + (1 - share) * ice, rel=1e-12)


@pytest.mark.parametrize(("model", "all_ice"), [("ifs", 250.16), ("gfs", 253.16)])
def test_mixed_phase_is_ice_when_cold_and_water_when_warm(model, all_ice):
    """The models' curves agree with the physical ones to better than 1 %."""
    warm = np.linspace(273.16, 310, 20) * u.K
    cold = np.linspace(180, all_ice, 20) * u.K
    for temperature, phase in ((warm, "water"), (cold, "ice")):
        ratio = saturation_vapour_pressure(temperature, model) / saturation_vapour_pressure(
            temperature, phase
        )
        np.testing.assert_allclose(ratio.value, 1, atol=0.01)


@pytest.mark.parametrize("over", ["water", "ice", "ifs", "gfs"])
def test_saturation_rises_with_temperature_and_has_no_step(over):
    T = np.arange(150, 320, 0.01) * u.K
    logarithm = np.log(saturation_vapour_pressure(T, over).value)
    step = np.diff(logarithm)
    assert step.min() > 0
    # L/(R T²) of sublimation is 0.274/K at 150 K, the steepest point.
    assert step.max() < 0.01 * 0.28


def test_compressibility_goes_to_the_ideal_gas():
    """1 - Z falls in proportion to the pressure, to 2e-6 at 1 hPa and 200 K."""
    p = np.array([0, 1, 10, 100]) * u.hPa
    departure = 1 - compressibility_factor(p, 200 * u.K).value
    assert departure[0] == 0
    np.testing.assert_allclose(departure[1:] / departure[1], [1, 10, 100], rtol=0.01)
    assert departure[1] == pytest.approx(2.16e-6, rel=0.01)


def test_compressibility_stays_sane_in_the_atmosphere():
    p = np.geomspace(0.01, 1100, 50) * u.hPa
    T = np.linspace(180, 320, 50)[:, np.newaxis] * u.K
    Z = compressibility_factor(p, T, 0.01 * p / (1100 * u.hPa)).value
    assert Z.shape == (50, 50)
    assert Z.min() > 0.995
    assert Z.max() < 1.0005


def test_density_is_number_density_times_molar_mass():
    p = np.geomspace(1, 1100, 30) * u.hPa
    T = np.linspace(200, 310, 30) * u.K
    x = np.linspace(0, 0.03, 30)
    expected = number_density(p, T, x) * molar_mass_moist_air(x, 420e-6) / (AVOGADRO / u.mol)
    rho = moist_air_density(p, T, x, 420e-6)
    np.testing.assert_allclose((rho / expected).to_value(u.one), 1, rtol=1e-14)


def test_number_density_of_standard_air():
    """p/(Z k T) with the k of the SI; R of CIPM-2007 is 1.1e-6 above N_A k."""
    p, T = 101325.0, 288.15
    Z = compressibility_factor(p * u.Pa, T * u.K).value
    n = number_density(p * u.Pa, T * u.K)
    assert n.unit == u.cm**-3
    assert n.value == pytest.approx(p / (Z * 1.380649e-23 * T) * 1e-6, rel=1.2e-6)
    # The ideal-gas constant of Rayleigh papers, 2.546899e19, is 4.1e-4 below real air.
    assert n.value / 2.546899e19 - 1 == pytest.approx(4.14e-4, abs=2e-6)


def test_molar_masses():
    assert molar_mass_dry_air(400e-6).to_value(u.g / u.mol) == pytest.approx(28.96546)
    assert molar_mass_dry_air(500e-6).to_value(u.g / u.mol) == pytest.approx(28.96546 + 12.011e-4)
    assert molar_mass_moist_air(1.0, 400e-6).to_value(u.g / u.mol) == pytest.approx(18.01528)


def test_moist_air_is_lighter_than_dry_air():
    """6.4e-3 for saturated air of 15 degC: the error of a table made with the dry mass."""
    place = (1013.25 * u.hPa, 15 * u.deg_C)
    x = water_vapour_mole_fraction_from_relative_humidity(1.0, *place)
    ratio = molar_mass_moist_air(x, 420e-6) / molar_mass_dry_air(420e-6)
    assert ratio.to_value(u.one) == pytest.approx(1 - x.value * (1 - 18.01528 / 28.9657), rel=1e-6)
    assert 1 - ratio.to_value(u.one) == pytest.approx(6.4e-3, rel=0.01)


def test_mole_fraction_from_specific_humidity():
    """10 g/kg: 0.01/(0.62198 + 0.37802 x 0.01)."""
    q = np.array([0.01, 0.0, -1e-7, np.nan])
    x = water_vapour_mole_fraction(q * u.kg / u.kg)
    np.testing.assert_allclose(x.value, [0.01 / 0.6257602, 0, 0, np.nan], rtol=1e-12)
    assert water_vapour_mole_fraction(10 * u.g / u.kg).value == pytest.approx(x[0].value)


def test_mole_fraction_from_model_humidity_is_defined_without_enhancement():
    x = water_vapour_mole_fraction_from_relative_humidity(
        0.5, 500 * u.hPa, 240 * u.K, saturation="ifs"
    )
    ice = 611.21 * math.exp(22.587 * (240 - 273.16) / 240.7)
    assert x.value == pytest.approx(0.5 * ice / 50000, rel=1e-12)


def test_liquid_formula_at_220_kelvin_is_wrong_by_a_factor():
    over_water, over_ice = (
        water_vapour_mole_fraction_from_relative_humidity(
            1.0, 250 * u.hPa, 220 * u.K, saturation=phase
        )
        for phase in ("water", "ifs")
    )
    assert (over_water / over_ice).value == pytest.approx(1.69, abs=0.01)
    assert over_ice < 2e-4  # harmless for density


def test_relative_humidity_percent_fraction_nan_and_negative():
    h = [50 * u.percent, 0.5, np.nan, -0.001]
    x = [water_vapour_mole_fraction_from_relative_humidity(one, *ROOM).value for one in h]
    np.testing.assert_allclose(x, [0.01158934, 0.01158934, np.nan, 0], rtol=1e-6)


def test_zero_pressure_has_no_mole_fraction():
    assert np.isnan(water_vapour_mole_fraction_from_relative_humidity(0.5, 0 * u.Pa, 200 * u.K))


def test_zero_pressure_has_no_density():
    assert moist_air_density(0 * u.Pa, 200 * u.K, 0, 420e-6) == 0
    assert number_density(0 * u.Pa, 200 * u.K) == 0


def test_arguments_are_not_changed():
    p, T, x = [1000.0] * u.hPa, [20.0] * u.deg_C, np.array([-0.1])
    moist_air_density(p, T, water_vapour_mole_fraction(x), 420e-6)
    assert (p.value, T.value, x) == ([1000.0], [20.0], [-0.1])


def test_co2_in_ppm_is_refused():
    message = r"co2_mole_fraction = 420 is outside \[0, 0.01\].*420 ppm is 420e-6"
    with pytest.raises(ConfigurationError, match=message):
        molar_mass_dry_air(420)
    with pytest.raises(ConfigurationError, match="-1 is outside"):
        checked_co2_mole_fraction(-1)
    assert checked_co2_mole_fraction(420 * 1e-6 * u.one) == pytest.approx(420e-6)


def test_specific_humidity_in_gram_is_refused():
    with pytest.raises(CorruptedInputError, match=r"specific humidity 12 kg/kg is above 0.1"):
        water_vapour_mole_fraction(np.array([0.012, 12.0]))


def test_relative_humidity_in_percent_is_refused():
    with pytest.raises(CorruptedInputError, match=r"relative humidity 50 is above 3"):
        water_vapour_mole_fraction_from_relative_humidity(np.array([0.5, 50]), *ROOM)


def test_more_vapour_than_air_is_refused():
    with pytest.raises(CorruptedInputError, match=r"more than all air, at the lowest pressure 1 "):
        water_vapour_mole_fraction_from_relative_humidity(1.0, 1 * u.hPa, 270 * u.K)


def test_impossible_temperature_is_refused():
    with pytest.raises(CorruptedInputError, match=r"temperature -5 K is not above 0 K"):
        number_density(1000 * u.hPa, [280, -5] * u.K)


def test_negative_pressure_is_refused():
    with pytest.raises(CorruptedInputError, match=r"pressure -3 Pa is negative"):
        number_density([10, -3] * u.Pa, 280 * u.K)


def test_unknown_saturation_is_refused():
    with pytest.raises(ConfigurationError, match=r"over 'snow' is not known.*'ifs'"):
        saturation_vapour_pressure(280 * u.K, "snow")


def test_units_are_demanded():
    with pytest.raises(TypeError, match="has no 'unit' attribute"):
        number_density(101325, 293.15 * u.K)
