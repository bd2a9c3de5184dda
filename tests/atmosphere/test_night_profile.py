from types import SimpleNamespace

import astropy.units as u
import numpy as np
import pytest
from astropy.time import Time

from calibpipe.atmosphere.density_profile import MolecularProfile
from calibpipe.atmosphere.meteorology import Sounding
from calibpipe.atmosphere.night_profile import (
    NightProfile,
    column_spread,
    density_errors,
    night_profile,
    number_density_at,
    pressure_differences,
    systematic_relative_error,
)
from calibpipe.core.exceptions import MissingInputError

HOUR = 1 * u.h


def isothermal(times, drift=0.0):
    """Isothermal soundings at 250 K whose surface pressure changes by `drift` an hour."""
    pressure = np.geomspace(1000, 1, 40) * u.hPa
    scale = 287.05 * 250 / 9.80665  # m
    base = -scale * np.log(pressure.value / 1000)
    hours = (times - times[0]).to_value(u.h)
    return Sounding(
        times,
        pressure,
        (base[None, :] + scale * np.log1p(drift * hours)[:, None]) * u.m,
        np.full((hours.size, 40), 250.0) * u.K,
        np.full((hours.size, 40), 1e-6),
    )


TIMES = Time("2024-07-10T20:00:00") + np.arange(10) * u.h
NIGHT = SimpleNamespace(name="2024-07-10", dusk=TIMES[1], dawn=TIMES[7])


def profile_of(sounding, north, night=NIGHT):
    return night_profile(sounding, night, north, 420e-6, 100 * u.m, HOUR, HOUR)


def test_a_steady_night_has_no_spread(north):
    result = profile_of(isothermal(TIMES), north)
    assert np.all(result.density_stat_error.value < 1e-12)
    np.testing.assert_allclose(result.mean.temperature.value, 250, rtol=2e-3)
    assert result.largest_step.to_value(u.h) == pytest.approx(1)
    np.testing.assert_array_equal(result.uncovered.value, [0, 0])


def test_a_drifting_night_has_the_spread_of_a_straight_line(north):
    result = profile_of(isothermal(TIMES, drift=1e-3), north)
    relative = (result.density_stat_error / result.mean.density).value
    # 6 h of 1e-3 an hour: 6e-3/sqrt(12), as pressure and density fall together at 250 K
    inside = (result.mean.altitude > 3 * u.km) & (result.mean.altitude < 40 * u.km)
    # heights of an ideal gas, densities of CIPM-2007: 4e-4 of ripple moves with the levels
    np.testing.assert_allclose(relative[inside], 6e-3 / np.sqrt(12), rtol=0.03)
    pressure = (result.pressure_stat_error / result.mean.pressure).to_value(u.one)
    np.testing.assert_allclose(pressure[inside], 6e-3 / np.sqrt(12), rtol=0.01)


def test_spread_of_one_analysis_is_unknown(north):
    night = SimpleNamespace(name="x", dusk=TIMES[0], dawn=TIMES[0] + 0.5 * HOUR)
    result = profile_of(isothermal(TIMES[:1]), north, night)
    assert np.all(np.isnan(result.density_stat_error.value))
    density, error = number_density_at(result, 15 * u.km)
    assert density > 0 / u.cm**3
    assert 0.003 < error / density < 0.01  # the systematic error is known


def test_number_density_is_that_of_its_altitude_not_of_the_nearest_row(north):
    fine = profile_of(isothermal(TIMES), north)
    coarse = night_profile(isothermal(TIMES), NIGHT, north, 420e-6, 2 * u.km, HOUR, HOUR)
    expected, _ = number_density_at(fine, 15 * u.km)
    assert number_density_at(coarse, 15 * u.km)[0].value == pytest.approx(expected.value, rel=1e-3)


def test_data_that_stop_below_15_km_give_no_number_at_15_km(north):
    sounding = isothermal(TIMES)
    low = sounding.pressure > 180 * u.hPa
    cut = Sounding(
        sounding.times,
        sounding.pressure[low],
        sounding.geopotential_height[:, low],
        sounding.temperature[:, low],
        sounding.water_vapour_mole_fraction[:, low],
    )
    with pytest.raises(MissingInputError, match="altitude 15000 to 15000 m asked"):
        number_density_at(profile_of(cut, north), 15 * u.km)


def air(z):
    density = 1.2 * np.exp(-z.to_value(u.m) / 7000) * u.kg / u.m**3
    nothing = np.zeros(z.size)
    return MolecularProfile(z, nothing * u.hPa, nothing * u.K, density, nothing / u.cm**3, nothing)


def test_errors_of_data_give_way_to_those_of_the_model():
    z = np.arange(0, 100_001, 100.0) * u.m
    measured = ([0, 30_000] * u.m, np.array([0.002, 0.002]))
    upper = ([0, 120_000] * u.m, np.array([0.03, 0.03]))
    spread, sys = density_errors(air(z), 30 * u.km, 5 * u.km, HOUR, measured, upper)
    np.testing.assert_allclose(spread[z <= 30 * u.km], 0.002)
    assert spread[-1] == pytest.approx(0.03, rel=1e-5)
    fade = np.exp(-1)
    assert spread[350] == pytest.approx(np.hypot(0.002 * fade, 0.03 * (1 - fade)))
    assert sys[300] < 0.01
    assert sys[-1] > 0.05


def test_without_data_the_errors_are_those_of_the_model_everywhere():
    z = np.arange(0, 100_001, 100.0) * u.m
    upper = ([0, 120_000] * u.m, np.array([0.03, 0.03]))
    spread, sys = density_errors(air(z), None, 5 * u.km, 24 * u.h, None, upper)
    np.testing.assert_allclose(spread, 0.03)
    assert np.all(sys > 0.05)


def test_column_spread_is_that_of_what_the_column_weighs():
    # pressure at 1 km and 2 km drifts by +-1 hPa: a column of 90 hPa by 1 hPa less 0.9 hPa
    z = [0, 1000, 2000] * u.m
    times = TIMES[[0, 2]]
    pressure = [[1000, 1000], [899, 901], [809.1, 810.9]] * u.hPa
    night = SimpleNamespace(dusk=times[0], dawn=times[1])
    spread = column_spread(z, pressure, times, np.array([0.5, 0.5]), night, [1, 2] * u.km)
    np.testing.assert_allclose(spread, 0.2 / np.sqrt(12) / 90, rtol=1e-9)
    one = column_spread(z, pressure[:, :1], times[:1], np.array([1.0]), night, [1, 2] * u.km)
    assert np.isnan(one).all()


def test_night_profile_says_what_it_is_made_of(north):
    result = profile_of(isothermal(TIMES), north)
    assert isinstance(result, NightProfile)
    assert result.density_at_times.shape == (result.mean.altitude.size, len(result.times))
    assert result.weights.sum() == pytest.approx(1)


def test_systematic_error_grows_above_the_data():
    z = np.arange(0, 60_001, 100.0) * u.m
    density = np.exp(-z.value / 7000) * u.kg / u.m**3
    error = systematic_relative_error(z, density, 30 * u.km, 5 * u.km, 1 * u.h)
    # 20 m over 7 km, 0.3 %, 0.1 % and 3 % of the tide in quadrature
    tide = 1.2e-3 * (np.pi / 6) ** 2 / 8
    expected = np.sqrt((20 / 7000) ** 2 + 0.003**2 + 0.001**2 + tide**2)
    np.testing.assert_allclose(error[z <= 30 * u.km], expected, rtol=1e-6)
    assert error[-1] == pytest.approx(np.hypot(expected, 0.05 * (1 - np.exp(-6))), rel=1e-6)


def test_pressure_differences_by_hand():
    z = [0, 1000, 2000] * u.m
    pressure = [[1000, 1010], [900, 909], [810, 818.1]] * u.hPa
    columns = pressure_differences(z, pressure, 1000 * u.m, [2, 50] * u.km)
    np.testing.assert_allclose(columns, [[90, 90], [90.9, 90.9]])
