"""What is asked of the services for a night."""

from dataclasses import replace
from datetime import UTC, datetime

import astropy.units as u
import pytest
from astropy.time import Time
from hypothesis import given
from hypothesis import strategies as st

from calibpipe.atmosphere.meteo_request import (
    ERA5_LEVELS,
    GDAS_LEVELS,
    analysis_time,
    available_from,
    bracketing_hours,
    era5_requests,
    gdas_files,
    grid_box,
    requested_hours,
    require_available,
    require_hours,
    require_night,
)
from calibpipe.core.exceptions import MissingInputError
from calibpipe.core.night import AstronomicalNight, astronomical_night
from calibpipe.core.site import Site


def night_of(dusk: str, dawn: str) -> AstronomicalNight:
    return AstronomicalNight(dusk[:10], Time(dusk, scale="utc"), Time(dawn, scale="utc"))


def place(latitude: float, longitude: float) -> Site:
    return Site("somewhere", latitude * u.deg, longitude * u.deg, 0 * u.m, "UTC", ())


SUMMER = night_of("2023-07-09 21:46:05", "2023-07-10 04:47:48")


def test_a01_era5_has_its_37_levels():
    assert len(ERA5_LEVELS) == 37
    assert list(ERA5_LEVELS) == sorted(ERA5_LEVELS)
    assert (ERA5_LEVELS[0], ERA5_LEVELS[-1]) == (1, 1000)
    # the irregular part, written out in science.md A1
    assert ERA5_LEVELS[9:17] == (70, 100, 125, 150, 175, 200, 225, 250)
    assert ERA5_LEVELS[17:28] == (300, 350, 400, 450, 500, 550, 600, 650, 700, 750, 775)


def test_gdas_levels_reach_from_the_ground_to_10_hpa():
    assert (min(GDAS_LEVELS), max(GDAS_LEVELS)) == (10, 1000)
    assert {30, 70} < set(GDAS_LEVELS)  # the peer leaves them out
    assert len(set(GDAS_LEVELS)) == 26


def test_hours_are_floor_of_dusk_to_ceil_of_dawn():
    hours = bracketing_hours(SUMMER)
    assert hours[0] == datetime(2023, 7, 9, 21, tzinfo=UTC)
    assert hours[-1] == datetime(2023, 7, 10, 5, tzinfo=UTC)
    assert len(hours) == 9


@pytest.mark.parametrize("step", [1, 6])
def test_dusk_and_dawn_on_an_analysis_need_no_further_one(step):
    night = night_of("2023-07-09 18:00:00", "2023-07-10 06:00:00")
    hours = bracketing_hours(night, step * u.h)
    assert (hours[0].hour, hours[-1].hour, len(hours)) == (18, 6, 12 // step + 1)


@given(
    st.datetimes(datetime(2007, 12, 8), datetime(2027, 1, 1)),
    st.floats(0.01, 23.9),
    st.sampled_from([1, 6]),
)
def test_hours_bracket_any_night_without_superfluous_ones(dusk, length, step):
    begin = Time(dusk, scale="utc")
    night = AstronomicalNight("any", begin, begin + length * u.h)
    hours = [Time(hour) for hour in bracketing_hours(night, step * u.h)]
    tolerance = 1 * u.ms
    assert hours[0] <= night.dusk + tolerance
    assert hours[-1] >= night.dawn - tolerance
    assert hours[1] > night.dusk or len(hours) == 1
    assert len(hours) < 2 or hours[-2] < night.dawn
    assert all(hour.to_datetime().hour % step == 0 for hour in hours)


def test_box_of_the_north_is_its_grid_cell(north):
    assert grid_box(north) == (29.0, -18.0, 28.75, -17.75)


def test_box_of_the_south_is_north_west_south_east(south):
    assert grid_box(south) == (-24.5, -70.5, -24.75, -70.25)


@pytest.mark.parametrize(
    ("latitude", "longitude", "box"),
    [
        (28.75, -18.0, (29.0, -18.0, 28.75, -17.75)),  # a grid point
        (0.0, 0.0, (0.25, 0.0, 0.0, 0.25)),
        (10.1, 179.9, (10.25, 179.75, 10.0, 180.0)),
        (10.1, 180.0, (10.25, -180.0, 10.0, -179.75)),
        (10.1, -179.9, (10.25, -180.0, 10.0, -179.75)),
        (10.1, 342.1, (10.25, -18.0, 10.0, -17.75)),  # another turn of the circle
        (90.0, 5.1, (90.0, 5.0, 89.75, 5.25)),
        (-90.0, 5.1, (-89.75, 5.0, -90.0, 5.25)),
    ],
)
def test_box_on_grid_points_and_at_the_date_line(latitude, longitude, box):
    assert grid_box(place(latitude, longitude)) == box


@given(st.floats(-90, 90), st.floats(-180, 180, exclude_max=True))
def test_box_contains_its_site_and_is_on_the_grid(latitude, longitude):
    north, west, south, east = grid_box(place(latitude, longitude))
    assert south <= latitude <= north
    assert west <= longitude <= east
    assert all((4 * edge).is_integer() for edge in (north, west, south, east))
    assert (north - south, east - west) == (0.25, 0.25)
    assert -180 <= west < east <= 180


def test_era5_is_asked_once_a_day_for_exactly_the_hours_of_the_night(north):
    first, second = era5_requests(north, SUMMER)
    assert (first["year"], first["month"], first["day"]) == (["2023"], ["07"], ["09"])
    assert first["time"] == ["21:00", "22:00", "23:00"]
    assert (second["day"], second["time"]) == (["10"], [f"{h:02d}:00" for h in range(6)])
    assert requested_hours(first) + requested_hours(second) == bracketing_hours(SUMMER)


def test_era5_request_in_the_words_of_the_store(north):
    request = era5_requests(north, SUMMER)[0]
    assert request["product_type"] == ["reanalysis"]
    assert request["data_format"] == "grib"
    assert request["area"] == [29.0, -18.0, 28.75, -17.75]
    assert {
        "geopotential",
        "temperature",
        "specific_humidity",
        "relative_humidity",
        "ozone_mass_mixing_ratio",
    } == set(request["variable"])
    assert request["pressure_level"] == [str(level) for level in ERA5_LEVELS]


def test_a_night_within_one_utc_day_is_one_request(south):
    night = night_of("2023-01-21 00:50:00", "2023-01-21 08:10:00")
    (request,) = era5_requests(south, night)
    assert (request["day"], request["time"][0], request["time"][-1]) == (["21"], "00:00", "09:00")


def test_dawn_at_midnight_still_needs_the_next_day(north):
    requests = era5_requests(north, night_of("2023-12-31 19:30:00", "2024-01-01 00:00:00"))
    assert [r["year"] for r in requests] == [["2023"], ["2024"]]
    assert requests[1]["time"] == ["00:00"]


def test_era5_on_a_leap_day(north):
    days = [r["day"][0] for r in era5_requests(north, astronomical_night("2024-02-28", north))]
    assert days == ["28", "29"]


def test_gdas_files_bracket_the_night(north):
    night = astronomical_night("2023-07-09", north)
    assert gdas_files(night) == [
        "2023/2023.07/fnl_20230709_18_00.grib2",
        "2023/2023.07/fnl_20230710_00_00.grib2",
        "2023/2023.07/fnl_20230710_06_00.grib2",
    ]


def test_gdas_files_over_new_year(south):
    night = astronomical_night("2023-12-31", south)
    assert gdas_files(night) == [
        "2024/2024.01/fnl_20240101_00_00.grib2",
        "2024/2024.01/fnl_20240101_06_00.grib2",
        "2024/2024.01/fnl_20240101_12_00.grib2",
    ]
    assert [analysis_time(name) for name in gdas_files(night)] == bracketing_hours(night, 6 * u.h)


def test_gdas_before_its_grib2_files(north):
    with pytest.raises(MissingInputError, match="has GRIB2 files from 2007-12-06 12:00 UTC"):
        gdas_files(astronomical_night("2005-07-09", north))


def test_era5_is_there_five_days_after_the_last_hour():
    assert available_from("ERA5", SUMMER).isot[:16] == "2023-07-15T05:00"


def test_gdas_is_there_half_a_day_after_its_last_analysis():
    assert available_from("GDAS", SUMMER).isot[:16] == "2023-07-10T18:00"


@pytest.mark.parametrize("dataset", ["ERA5", "GDAS"])
def test_available_at_the_moment_that_was_announced(dataset):
    moment = available_from(dataset, SUMMER)
    require_available(dataset, SUMMER, moment)
    with pytest.raises(MissingInputError):
        require_available(dataset, SUMMER, moment - 1 * u.s)


def test_a_future_night_says_when_it_can_be_processed():
    with pytest.raises(
        MissingInputError, match=r"2023-07-09 has not begun.*from 2023-07-15 05:00 UTC on"
    ):
        require_available("ERA5", SUMMER, Time("2023-07-09 12:00"))


def test_a_night_that_is_not_over():
    with pytest.raises(MissingInputError, match="is not over"):
        require_available("GDAS", SUMMER, Time("2023-07-10 00:00"))


def test_category_c_too_early_points_to_category_b():
    with pytest.raises(MissingInputError, match=r"too recent for ERA5.*category B \(GDAS\) now"):
        require_available("ERA5", SUMMER, Time("2023-07-12 00:00"))


def test_category_b_is_not_recommended_before_it_is_there():
    with pytest.raises(MissingInputError, match=r"on; run again then$"):
        require_available("ERA5", SUMMER, Time("2023-07-10 12:00"))


def test_data_of_the_night_are_accepted_and_of_another_are_not():
    require_night(Time(["2023-07-08 00:00", "2023-07-10 00:00"]), SUMMER)
    with pytest.raises(
        MissingInputError, match=r"run from 2023-07-11 00:00 UTC .*needs 2023-07-09 18:00 UTC"
    ):
        require_night(Time(["2023-07-11 00:00"]), SUMMER)


def test_the_bracket_of_hourly_data_is_narrower():
    times = Time(["2023-07-09 18:00"])
    require_night(times, SUMMER, 6 * u.h)
    with pytest.raises(MissingInputError, match="needs 2023-07-09 21:00 UTC to 2023-07-10 05:00"):
        require_night(times, SUMMER, 1 * u.h)


def test_hours_that_the_service_left_out_are_named():
    hours = bracketing_hours(SUMMER)
    require_hours(Time(hours), hours)
    with pytest.raises(MissingInputError, match=r"8 of 9 hours: lacks 2023-07-10 05:00 UTC"):
        require_hours(Time(hours[:-1]), hours)


def test_hours_that_nobody_asked_for():
    hours = bracketing_hours(SUMMER)
    with pytest.raises(MissingInputError, match="lacks nothing, has 1 others"):
        require_hours(Time(hours), hours[1:])


def test_longitude_in_another_turn_gives_the_same_request(north):
    turned = replace(north, longitude=north.longitude + 360 * u.deg)
    assert era5_requests(turned, SUMMER) == era5_requests(north, SUMMER)
