from types import SimpleNamespace

import astropy.units as u
import numpy as np
import pytest
from astropy.time import Time

from calibpipe.atmosphere.meteo_request import ERA5_LEVELS, GDAS_LEVELS
from calibpipe.atmosphere.meteorology import (
    Sounding,
    bilinear_weights,
    geometric_altitude,
    geopotential_height,
    night_mean,
    night_weights,
    normal_gravity,
    require_dense_levels,
    site_sounding,
    weighted_spread,
)
from calibpipe.core.exceptions import MissingInputError

LATITUDES = [28.7618, -24.6272, 45.0] * u.deg


def test_a02_geometric_altitude_at_15_km():
    z = geometric_altitude(15_000 * u.m, LATITUDES)
    np.testing.assert_allclose(z.to_value(u.m), [15057.65, 15062.28, 15036.18], atol=0.05)


def test_a03_geometric_altitude_at_48_km():
    z = geometric_altitude(48_000 * u.m, LATITUDES)
    np.testing.assert_allclose(z.to_value(u.m), [48437.37, 48452.44, 48367.48], atol=0.1)


def test_a04_normal_gravity():
    np.testing.assert_allclose(
        normal_gravity([28.7618, 24.6272, 45.0] * u.deg).value,
        [9.79229, 9.78930, 9.80620],
        atol=1e-5,
    )
    np.testing.assert_allclose(
        normal_gravity([28.7618, 24.6272] * u.deg, 2156 * u.m).value, [9.78564, 9.78265], atol=1e-5
    )


@pytest.mark.parametrize("latitude", [0, 24.6, 28.8, 45] * u.deg)
def test_geometric_altitude_agrees_with_the_integral_of_normal_gravity(latitude):
    z = np.linspace(0, 48_000, 4801) * u.m
    g = normal_gravity(latitude, z).value
    potential = np.concatenate([[0], np.cumsum((g[1:] + g[:-1]) / 2 * 10.0)])
    height = potential / 9.80665 * u.m
    # the formula's stated accuracy
    assert np.abs(geometric_altitude(height, latitude) - z).max() < 0.03 * u.m


def test_geopotential_height_is_the_inverse():
    z = np.linspace(-400, 120_000, 50) * u.m
    back = geometric_altitude(geopotential_height(z, 28.76 * u.deg), 28.76 * u.deg)
    np.testing.assert_allclose(back.value, z.value, rtol=1e-13, atol=1e-9)


def test_bilinear_weights_by_hand():
    grid = [28.5, 28.75, 29.0] * u.deg
    np.testing.assert_allclose(bilinear_weights(grid, 28.80 * u.deg), [0, 0.8, 0.2])
    np.testing.assert_allclose(bilinear_weights(grid, 28.75 * u.deg), [0, 1, 0])
    np.testing.assert_allclose(bilinear_weights(grid, 29.0 * u.deg), [0, 0, 1])
    np.testing.assert_allclose(bilinear_weights([28.75] * u.deg, 28.75 * u.deg), [1])


def test_site_outside_the_grid():
    with pytest.raises(MissingInputError, match=r"28\.7618 deg is outside the grid 29"):
        bilinear_weights([29, 30] * u.deg, 28.7618 * u.deg)


def fields(humidity_kind="specific", humidity=None):
    """Fields that are linear in place, on two levels and one time."""
    latitude, longitude = [28.0, 29.0] * u.deg, [-18.0, -17.0] * u.deg
    plane = latitude.value[:, None] + 2 * longitude.value[None, :]
    two_levels = np.stack([plane, plane + 10])[None]
    return SimpleNamespace(
        times=Time(["2024-07-10T22:00:00"]),
        pressure=[1000, 850] * u.hPa,
        latitude=latitude,
        longitude=longitude,
        geopotential_height=two_levels * u.m,
        temperature=(two_levels + 300) * u.K,
        humidity=(np.full(two_levels.shape, 0.01) if humidity is None else humidity) * u.one,
        humidity_kind=humidity_kind,
    )


def test_a_plane_is_interpolated_exactly(north):
    sounding = site_sounding(fields(), north, "water")
    plane = north.latitude.value + 2 * north.longitude.value
    np.testing.assert_allclose(sounding.geopotential_height.value, [[plane, plane + 10]])
    np.testing.assert_allclose(sounding.temperature.value, [[plane + 300, plane + 310]])
    # e/p = q/(eps + (1 - eps) q)
    np.testing.assert_allclose(
        sounding.water_vapour_mole_fraction, 0.01 / (0.62198 + 0.37802 * 0.01)
    )


def test_missing_humidity_is_filled_from_the_levels_that_have_it(north):
    humidity = np.full((1, 2, 2, 2), 0.01)
    humidity[:, 1] = np.nan
    sounding = site_sounding(fields(humidity=humidity), north, "water")
    low, high = sounding.water_vapour_mole_fraction[0]
    assert low == high > 0


def test_no_humidity_at_all_is_refused(north):
    with pytest.raises(MissingInputError, match="no level has humidity"):
        site_sounding(fields(humidity=np.full((1, 2, 2, 2), np.nan)), north, "water")


HOURS = Time("2024-07-10T20:00:00") + np.arange(10) * u.h
NO_GAP = 0 * u.h


def test_weights_of_a_night_by_hand():
    # 20:30 to 22:30: 0.5 h up to 21, 1 h, 0.5 h after 22, hats integrated by hand
    weights = night_weights(HOURS, HOURS[0] + 0.5 * u.h, HOURS[0] + 2.5 * u.h, NO_GAP)
    np.testing.assert_allclose(weights * 2, [0.125, 0.875, 0.875, 0.125] + [0] * 6, atol=1e-12)


@pytest.mark.parametrize(("begin", "end"), [(0.0, 9.0), (0.3, 0.6), (1.0, 2.0), (2.7, 8.1)])
def test_weights_give_the_exact_mean_of_what_is_linear(begin, end):
    dusk, dawn = HOURS[0] + begin * u.h, HOURS[0] + end * u.h
    weights = night_weights(HOURS, dusk, dawn, NO_GAP)
    assert weights.sum() == pytest.approx(1)
    assert weights @ np.arange(10) == pytest.approx((begin + end) / 2)


def test_two_gdas_analyses_bracket_a_night():
    times = Time("2024-07-10T18:00:00") + [0, 6, 12] * u.h
    dusk, dawn = Time("2024-07-10T21:45:00"), Time("2024-07-11T04:48:00")
    weights = night_weights(times, dusk, dawn, NO_GAP)
    middle = ((dusk - times[0]) + (dawn - times[0])).to_value(u.h) / 2
    assert weights @ [0, 6, 12] == pytest.approx(middle)


def test_night_outside_the_hours_of_the_file():
    with pytest.raises(MissingInputError, match=r"at most 0\.5 h may be missing at an end"):
        night_weights(HOURS[2:], HOURS[1], HOURS[5], 0.5 * u.h)
    with pytest.raises(MissingInputError, match="give files of this night that bracket it"):
        night_weights(HOURS[:5], HOURS[1], HOURS[8], 0.5 * u.h)


def test_small_gap_holds_the_nearest_analysis():
    weights = night_weights(HOURS[1:4], HOURS[0], HOURS[3], 1 * u.h)
    np.testing.assert_allclose(weights * 3, [1.5, 1, 0.5])


@pytest.mark.parametrize("hours", [(0, 9), (-7, 5, 11), (-1, 5, 17), (-7, 17), (0, 1, 8, 9)])
def test_hole_in_the_night(hours):
    dusk, dawn = HOURS[0], HOURS[0] + 9 * u.h
    with pytest.raises(MissingInputError, match=r"a hole of \d+ h after .* at most 6 h"):
        night_weights(HOURS[0] + np.array(hours) * u.h, dusk, dawn, NO_GAP)


def test_a_missing_hour_of_era5_is_a_hole():
    times = HOURS[[0, 1, 2, 4, 5, 6]]
    with pytest.raises(MissingInputError, match=r"a hole of 2 h after 2024-07-10 22:00 UTC"):
        night_weights(times, HOURS[1], HOURS[5], NO_GAP, max_step=1 * u.h)
    # outside the night nobody misses it
    assert night_weights(times, HOURS[4], HOURS[6], NO_GAP, max_step=1 * u.h).sum() == 1


@pytest.mark.parametrize(
    ("drop", "message"),
    [((500,), "lack 1 of 37 levels: 500 hPa"), ((1, 2, 3), "lack 3 of 37 levels: 1, 2, 3 hPa")],
)
def test_missing_level_of_a_known_data_set(drop, message):
    levels = np.array([level for level in sorted(ERA5_LEVELS)[::-1] if level not in drop])
    with pytest.raises(MissingInputError, match=message):
        require_dense_levels(levels * u.hPa, ERA5_LEVELS)
    require_dense_levels(np.array(sorted(ERA5_LEVELS)[::-1]) * u.hPa, ERA5_LEVELS)


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ((1000, 500, 100, 10), "no level between 500 and 100 hPa"),
        ((1000, 850, 700, 500), "reach from 1000 to 500 hPa, needs 950 to 20 hPa"),
        ((850, 700, 500, 350, 250, 200, 150, 100, 50, 30, 20), "reach from 850 to 20 hPa"),
    ],
)
def test_too_few_levels_of_an_unknown_data_set(levels, message):
    with pytest.raises(MissingInputError, match=message):
        require_dense_levels(levels * u.hPa)


def test_levels_of_gdas_are_dense_enough():
    require_dense_levels(np.array(sorted(GDAS_LEVELS)[::-1]) * u.hPa)


def test_spread_of_a_straight_line_and_of_a_constant():
    values = np.stack([np.arange(10.0), np.full(10, 7.0)], axis=1)
    spread = weighted_spread(values, HOURS, HOURS[0] + 1.5 * u.h, HOURS[0] + 7.5 * u.h)
    np.testing.assert_allclose(spread, [6 / np.sqrt(12), 0], atol=1e-12)


def test_mean_of_a_night_keeps_the_levels():
    rng = np.random.default_rng(1)
    sounding = Sounding(
        HOURS[:3],
        [1000, 500] * u.hPa,
        rng.normal(size=(3, 2)) * u.m,
        rng.normal(300, 1, size=(3, 2)) * u.K,
        rng.uniform(size=(3, 2)),
    )
    mean = night_mean(sounding, np.array([0.25, 0.5, 0.25]))
    assert mean.temperature.shape == (1, 2)
    expected = sounding.temperature.value.T @ [0.25, 0.5, 0.25]
    np.testing.assert_allclose(mean.temperature.value[0], expected)
    assert abs(mean.times[0] - HOURS[1]) < 1 * u.ms
