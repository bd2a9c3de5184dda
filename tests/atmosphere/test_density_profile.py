import astropy.units as u
import numpy as np
import pytest
from astropy.time import Time

from calibpipe.atmosphere.density_profile import (
    column_above,
    molecular_profile,
)
from calibpipe.atmosphere.humid_air import moist_air_density
from calibpipe.atmosphere.meteorology import STANDARD_GRAVITY, Sounding, geopotential_height
from calibpipe.atmosphere.reference_model import us_standard_profile
from calibpipe.core.exceptions import CorruptedInputError, MissingInputError

LATITUDE = 45 * u.deg
CO2 = 314e-6  # of the US Standard Atmosphere
ERA5 = [1, 2, 3, 5, 7, 10, 20, 30, 50, 70, 100, 125, 150, 175, 200, 225, 250, 300, 350, 400]
ERA5 += [450, 500, 550, 600, 650, 700, 750, 775, 800, 825, 850, 875, 900, 925, 950, 975, 1000]
GDAS = [10, 20, 30, 50, 70, 100, 150, 200, 250, 300, 350, 400, 450, 500, 550, 600, 650, 700, 750]
GDAS += [800, 850, 900, 925, 950, 975, 1000]


def truth(altitude):
    """US Standard Atmosphere at heights whose geopotential height is that of this latitude."""
    # the standard's own geopotential (g = 9.80665 at all heights below) of the same height
    h = geopotential_height(altitude, LATITUDE).to_value(u.m)
    standard_z = 6356766.0 * h / (6356766.0 - h) * u.m
    return us_standard_profile(standard_z)


def sounding_of(levels):
    """US Standard Atmosphere as a weather model would give it.

    Its ideal gas is not quite the humid air of CIPM-2007: the temperatures are moved by up to
    0.1 K such that the density at every level is that of the standard.
    """
    fine = np.linspace(0, 60_000, 60_001) * u.m
    air = truth(fine)
    pressure = np.sort(levels)[::-1] * u.hPa
    z = np.interp(-np.log(pressure.value), -np.log(air.pressure.to_value(u.hPa)), fine.value) * u.m
    standard = truth(z)
    humid = moist_air_density(pressure, standard.temperature, 1e-9, CO2)
    return Sounding(
        Time(["2024-07-10"]),
        pressure,
        geopotential_height(z, LATITUDE)[None],
        (standard.temperature * humid / standard.density).to(u.K)[None],
        np.full((1, pressure.size), 1e-9),
    ), z


@pytest.mark.parametrize(
    ("levels", "low", "high", "limit"),
    [
        (ERA5, 2200, 10_000, 1e-5),
        (ERA5, 2200, 30_000, 1e-3),  # half of what A16 allows: 2e-3
        (ERA5, 30_000, 47_000, 5e-3),
        (GDAS, 2200, 10_000, 1e-5),
        (GDAS, 2200, 30_000, 3e-3),  # 150, 200 hPa only around the tropopause
    ],
)
def test_a16_density_between_levels(levels, low, high, limit):
    sounding, _ = sounding_of(levels)
    z = np.arange(low, high, 10.0) * u.m
    profile = molecular_profile(sounding, z, LATITUDE, CO2)
    assert np.abs(profile.density / truth(z).density - 1).max() < limit


def test_a16_density_at_15_km():
    sounding, _ = sounding_of(ERA5)
    z = np.array([15_000.0]) * u.m
    density = molecular_profile(sounding, z, LATITUDE, CO2).density
    np.testing.assert_allclose(density / truth(z).density, 1, atol=1e-5)


def test_at_the_levels_it_is_the_density_of_humid_air():
    sounding, z = sounding_of(ERA5)
    sounding.water_vapour_mole_fraction[:] = np.geomspace(0.02, 1e-6, len(ERA5))
    sounding.temperature[:] /= 1 + 0.378 * sounding.water_vapour_mole_fraction  # keeps balance
    profile = molecular_profile(sounding, z, LATITUDE, CO2)
    expected = moist_air_density(
        sounding.pressure, sounding.temperature[0], sounding.water_vapour_mole_fraction[0], CO2
    )
    np.testing.assert_allclose(profile.density.value, expected.value, rtol=1e-9)
    np.testing.assert_allclose(profile.pressure.value, sounding.pressure.value, rtol=1e-9)
    np.testing.assert_allclose(profile.temperature.value, sounding.temperature[0].value, rtol=1e-6)


def test_column_between_levels_is_what_the_pressure_difference_weighs():
    sounding, _ = sounding_of(ERA5)
    z = np.arange(2000.0, 20_000.5, 10.0) * u.m
    profile = molecular_profile(sounding, z, LATITUDE, CO2)
    height = geopotential_height(z, LATITUDE).to_value(u.m)
    weight = np.trapezoid(profile.density.value, height) * STANDARD_GRAVITY.value
    difference = (profile.pressure[0] - profile.pressure[-1]).to_value(u.Pa)
    assert weight == pytest.approx(difference, rel=1e-6)  # trapezoids of 10 m


def test_sea_level_is_reached_below_the_lowest_level():
    sounding, _ = sounding_of(ERA5)
    profile = molecular_profile(sounding, [0.0] * u.m, LATITUDE, CO2)
    assert profile.pressure[0].to_value(u.hPa) == pytest.approx(1013.25, rel=1e-4)
    assert profile.density[0].to_value(u.kg / u.m**3) == pytest.approx(1.2250, rel=1e-4)


def test_above_the_highest_level():
    sounding, z = sounding_of(ERA5)
    with pytest.raises(MissingInputError, match="is above the highest level, 1 hPa at 48"):
        molecular_profile(sounding, [z[-1].value + 100] * u.m, LATITUDE, CO2)


def test_swapped_levels():
    sounding, _ = sounding_of(ERA5)
    sounding.geopotential_height[0, [5, 6]] = sounding.geopotential_height[0, [6, 5]]
    with pytest.raises(CorruptedInputError, match="does not rise from 875 to 850 hPa"):
        molecular_profile(sounding, [5000] * u.m, LATITUDE, CO2)


def test_wrong_temperature_is_no_hydrostatic_balance():
    sounding, _ = sounding_of(ERA5)
    sounding.temperature[0, 10] += 30 * u.K
    with pytest.raises(CorruptedInputError, match="is not in hydrostatic balance"):
        molecular_profile(sounding, [5000] * u.m, LATITUDE, CO2)


def test_levels_extrapolated_into_the_ground_are_left_out():
    sounding, _ = sounding_of(ERA5)
    z = [0.0, 2200.0, 5000.0] * u.m
    whole = molecular_profile(sounding, z, LATITUDE, CO2)
    sounding.temperature[0, :3] += 30 * u.K  # 1000, 975, 950 hPa, below 0.6 km
    cut = molecular_profile(sounding, z, LATITUDE, CO2, ground=2200 * u.m)
    np.testing.assert_allclose(cut.density[1:].value, whole.density[1:].value, rtol=1e-4)
    assert cut.density[0].value == pytest.approx(whole.density[0].value, rel=1e-3)
    with pytest.raises(CorruptedInputError, match="layer 975 to 950 hPa"):
        molecular_profile(sounding, z, LATITUDE, CO2, ground=500 * u.m)


FINE = np.arange(0, 120_001, 50.0) * u.m


def test_column_of_an_exponential_is_exact():
    z = np.array([0.0, 3.0, 10.0, 40.0]) * u.km
    density = np.exp(-z.value / 7) * u.kg / u.m**3
    column = column_above(z, density).to_value(u.kg / u.m**2)
    expected = 7000 * (np.exp(-z.value / 7) - np.exp(-40 / 7))
    np.testing.assert_allclose(column, expected, rtol=1e-12)


def test_column_of_constant_density():
    column = column_above([0, 1, 3] * u.m, [2, 2, 2] * u.kg / u.m**3)
    np.testing.assert_allclose(column.to_value(u.kg / u.m**2), [6, 4, 0])


def test_column_of_nothing_is_nothing():
    column = column_above([0, 1, 3] * u.m, [0, 0, 0] * u.kg / u.m**3)
    np.testing.assert_array_equal(column.value, 0)


def test_a13_column_of_the_us_standard_atmosphere():
    air = us_standard_profile(FINE)
    column = column_above(air.altitude, air.density).to_value(u.g / u.cm**2)
    at = np.interp([0, 2200, 5000, 10_000, 20_000, 40_000], FINE.value, column)
    np.testing.assert_allclose(at, [1035.616, 793.080, 553.181, 271.623, 56.857, 2.972], rtol=1e-3)
    np.testing.assert_allclose(
        at[[0, 2, 3, 4]], [1035.616, 553.181, 271.623, 56.857], atol=0.02
    )  # grid points: no interpolation


def test_profile_at_other_altitudes():
    air = us_standard_profile([0.0, 100.0, 200.0, 1000.0] * u.m)
    middle = air.at([150.0] * u.m)
    for name in ("density", "pressure", "number_density"):
        low, high = getattr(air, name).value[1:3]
        assert getattr(middle, name).value[0] == pytest.approx(np.sqrt(low * high), rel=1e-12)
    with pytest.raises(MissingInputError, match="reaches from 0 to 1000 m"):
        air.at([1001.0] * u.m)
