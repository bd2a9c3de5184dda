from datetime import date

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable

from calibpipe.atmosphere.density_profile import MolecularProfile
from calibpipe.atmosphere.reference_model import (
    CLIMATOLOGY_ALTITUDES,
    choice_by_date,
    choice_by_density,
    combined_average,
    ctao_reference_profile,
    density_boundaries,
    msis_climatology,
    msis_profiles,
    night_average,
    season_days,
    us_standard_profile,
)
from calibpipe.core.exceptions import (
    ConfigurationError,
    CorruptedInputError,
    InsufficientStatisticsError,
)

PER_CM3 = u.cm**-3
NORTH = {
    "winter": 4.366286e18 * PER_CM3,
    "intermediate": 4.493381e18 * PER_CM3,
    "summer": 4.618748e18 * PER_CM3,
}
SOUTH = {"winter": 4.496414e18 * PER_CM3, "summer": 4.661745e18 * PER_CM3}
ERROR = 0.02e18 * PER_CM3


def test_a15_boundaries():
    np.testing.assert_allclose(
        [edge.value for edge in density_boundaries(NORTH)], [4.429834e18, 4.556065e18], rtol=1e-6
    )
    np.testing.assert_allclose(
        [edge.value for edge in density_boundaries(SOUTH)], [4.579079e18], rtol=1e-6
    )


@pytest.mark.parametrize(
    ("density", "season"),
    [
        (4.3e18, "winter"),
        (4.4298e18, "winter"),
        (4.4299e18, "intermediate"),
        (4.5560e18, "intermediate"),
        (4.5562e18, "summer"),
        (4.9e18, "summer"),
    ],
)
def test_a15_choice_in_the_north(density, season):
    assert choice_by_density(density * PER_CM3, ERROR, NORTH).season == season


def test_margin_is_the_distance_to_the_boundary():
    choice = choice_by_density(4.449834e18 * PER_CM3, ERROR, NORTH)
    assert choice.margin_in_sigma == pytest.approx(1.0, abs=1e-3)
    assert choice.method == "density"


def test_a_single_model_has_no_boundary():
    choice = choice_by_density(4e18 * PER_CM3, ERROR, {"summer": SOUTH["summer"]})
    assert choice.margin_in_sigma == np.inf


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan])
def test_density_must_be_a_positive_number(bad):
    with pytest.raises(CorruptedInputError, match="must be positive"):
        choice_by_density(bad * PER_CM3, ERROR, NORTH)


def test_empty_pool():
    with pytest.raises(ConfigurationError, match="the pool of the site is empty"):
        choice_by_density(4e18 * PER_CM3, ERROR, {})


@pytest.mark.parametrize(
    ("day", "season"),
    [
        (date(2024, 5, 10), "intermediate"),  # where the peer crashes: spring and autumn
        (date(2024, 10, 10), "intermediate"),
        (date(2024, 1, 1), "winter"),
        (date(2024, 8, 1), "summer"),
    ],
)
def test_choice_by_date_says_that_it_fell_back(north, day, season):
    choice = choice_by_date(day, north, list(NORTH), "GDAS was down")
    assert choice.season == season
    assert choice.method == "date"
    assert "fell back to the date" in choice.reason
    assert "GDAS was down" in choice.reason


def test_no_model_of_the_season(north):
    with pytest.raises(ConfigurationError, match=r"no reference model for season 'winter'.*summer"):
        choice_by_date(date(2024, 1, 1), north, ["summer"], "x")


def random_profiles(count, seed=1):
    rng = np.random.default_rng(seed)
    air = us_standard_profile(np.arange(0, 30.5, 0.5) * u.km)
    profiles = {}
    for k in range(count):
        factor = rng.normal(1, 0.02, air.altitude.size)
        profiles[f"2024-01-{k + 1:02d}"] = MolecularProfile(
            air.altitude,
            air.pressure * factor,
            air.temperature,
            air.density * factor,
            air.number_density * factor,
            air.water_vapour_mole_fraction,
        )
    return profiles


def test_average_of_nights_and_its_spread():
    profiles = random_profiles(20)
    average = night_average(profiles)
    density = np.array([p.density.value for p in profiles.values()])
    np.testing.assert_allclose(average.profile.density.value, density.mean(axis=0))
    np.testing.assert_allclose(average.spread.value, density.std(axis=0, ddof=1))
    np.testing.assert_allclose(  # every profile has the same temperature
        average.profile.temperature.value,
        next(iter(profiles.values())).temperature.value,
        rtol=3e-5,  # R of the standard against that of CIPM-2007: 1.8e-5
    )


def test_average_of_one_night_has_no_spread():
    average = night_average(random_profiles(1))
    assert np.isnan(average.spread.value).all()


def test_update_equals_all_nights_at_once():
    profiles = random_profiles(20)
    names = list(profiles)
    first = night_average({n: profiles[n] for n in names[:7]})
    second = night_average({n: profiles[n] for n in names[7:]})
    both, together = combined_average(first, second), night_average(profiles)
    assert both.nights == together.nights
    for name in ("density", "number_density", "pressure", "temperature"):
        np.testing.assert_allclose(
            getattr(both.profile, name), getattr(together.profile, name), rtol=1e-12
        )
    np.testing.assert_allclose(both.spread.value, together.spread.value, rtol=1e-12)


def test_a_night_counts_once():
    average = night_average(random_profiles(3))
    with pytest.raises(ConfigurationError, match=r"\['2024-01-01', .*already part"):
        combined_average(average, average)


def test_other_grid_cannot_be_combined():
    one = night_average(random_profiles(2))
    air = us_standard_profile(np.arange(0, 30.5, 0.5) * u.km + 1 * u.m)
    with pytest.raises(ConfigurationError, match="different altitude grids"):
        combined_average(one, night_average({"2023-01-01": air}))


def test_no_night_no_average():
    with pytest.raises(InsufficientStatisticsError, match="at least one night, got none"):
        night_average({})


def test_msis_anchors(north):
    # science.md A6: NRLMSISE-00, CTAO-N, 2023-01-15 01 UT
    altitude = [50, 60, 70, 80, 100, 120] * u.km
    (air,) = msis_profiles(north, np.array(["2023-01-15T01:00"], dtype="datetime64[m]"), altitude)
    np.testing.assert_allclose(
        air.density.value,
        [1.0842e-3, 3.1625e-4, 7.8765e-5, 1.7363e-5, 5.8989e-7, 1.9370e-8],
        rtol=1e-4,  # printed digits
    )
    np.testing.assert_allclose(
        air.temperature.value, [263.6, 238.2, 218.3, 206.7, 180.5, 330.9], atol=0.06
    )


def test_climatology_is_of_local_midnight(north):
    altitude = [100, 110] * u.km  # where the tides are large
    by_day = msis_climatology(north, [date(2023, 1, 14)], altitude)["2023-01-14"]
    # CTAO-North is 17.89 deg west: midnight is at 01:11.56 UT
    moment = np.array(["2023-01-15T01:12"], dtype="datetime64[m]")
    (expected,) = msis_profiles(north, moment, altitude)
    np.testing.assert_array_equal(by_day.density, expected.density)


@pytest.mark.parametrize("name", ["north", "south"])
def test_summer_is_denser_than_winter_at_15_km(name, request):
    site = request.getfixturevalue(name)
    means = {
        season: night_average(msis_climatology(site, season_days(site, season), [15] * u.km))
        for season in ("winter", "summer")
    }
    ratio = means["summer"].profile.number_density / means["winter"].profile.number_density
    assert 1.02 < ratio.item() < 1.06  # 5.8 % N and 3.7 % S between CTAO's own models


def test_msis_is_hydrostatic(north):
    air = msis_climatology(north, [date(2023, 1, 14)], np.arange(0, 80.05, 0.1) * u.km)[
        "2023-01-14"
    ]
    slope = -np.gradient(air.pressure.to_value(u.Pa), air.altitude.to_value(u.m))
    gravity = slope / air.density.to_value(u.kg / u.m**3)
    inner = (air.altitude > 5 * u.km) & (air.altitude < 75 * u.km)
    np.testing.assert_allclose(gravity[inner], 9.7, rtol=0.03)  # the model is so to a few percent


def test_climatology_reaches_from_the_sea_to_120_km():
    assert CLIMATOLOGY_ALTITUDES[0] == 0 * u.km
    assert CLIMATOLOGY_ALTITUDES[-1] == 120 * u.km


def ctao_table(**changes):
    table = QTable(
        {
            "altitude": [0.0, 1.0] * u.km,
            "atmospheric_density": [1.2185e-3, 1.1064e-3] * u.g / u.cm**3,
            "temperature": [292.0, 285.9] * u.K,
            "pressure": [1021.36, 907.97] * u.hPa,
            "partial_water_pressure": [0.0147, 0.0087],
        }
    )
    for name, values in changes.items():
        table[name] = values
    return table


def test_ctao_table_gets_the_mass_of_humid_air():
    profile = ctao_reference_profile(ctao_table())
    # n = rho N_A / 28.9644 g/mol; moist air is lighter by 0.378 x
    np.testing.assert_allclose(
        profile.number_density.to_value(PER_CM3),
        np.array([1.2185e-3, 1.1064e-3]) / 4.80967e-23,
        rtol=1e-5,
    )
    ratio = profile.density.to_value(u.g / u.cm**3) / [1.2185e-3, 1.1064e-3]
    np.testing.assert_allclose(ratio, 1 - 0.378 * np.array([0.0147, 0.0087]), rtol=2e-4)


def test_damaged_ctao_tables():
    table = ctao_table()
    del table["pressure"]
    with pytest.raises(CorruptedInputError, match=r"lacks the columns \['pressure'\]"):
        ctao_reference_profile(table)
    with pytest.raises(CorruptedInputError, match="do not rise"):
        ctao_reference_profile(ctao_table(altitude=[1.0, 0.0] * u.km))
