import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import AltAz, EarthLocation, get_sun
from astropy.time import Time
from astropy.utils import iers

from calibpipe.core.exceptions import ConfigurationError, MissingInputError
from calibpipe.core.night import (
    TWILIGHT_ALTITUDE,
    astronomical_night,
    night_date,
    night_span,
    observing_night,
    sun_altitude,
)
from calibpipe.core.site import Season, Site


def place(latitude, longitude=0.0, zone="UTC"):
    season = (Season("summer", (1, 1), (12, 31)),)
    return Site("Somewhere", latitude * u.deg, longitude * u.deg, 0 * u.m, zone, season)


@pytest.mark.parametrize("night", ["2023-12-31", "2024-02-28", "2024-02-29", "2024-07-10"])
@pytest.mark.parametrize("name", ["north", "south"])
def test_sun_is_at_minus_18_degrees_at_dusk_and_dawn(night, name, request):
    site = request.getfixturevalue(name)
    dark = astronomical_night(night, site)
    for moment in (dark.dusk, dark.dawn):
        # the Sun moves by 12 arcsec a second: 1 arcsec is 0.1 s
        assert abs(sun_altitude(moment, site) - TWILIGHT_ALTITUDE) < 1 * u.arcsec
    begin, end = night_span(night, site)
    assert begin < dark.dusk < dark.dawn < end


def test_sun_altitude_agrees_with_astropy(north, south):
    moments = Time("2005-01-01T00:00:00") + np.linspace(0, 18 * 365.25, 300) * u.day
    for site in (north, south):
        location = EarthLocation.from_geodetic(site.longitude, site.latitude, site.elevation)
        with iers.conf.set_temp("auto_download", False):
            frame = AltAz(obstime=moments, location=location)
            expected = get_sun(moments).transform_to(frame).alt
        # UT1 - UTC is below 0.9 s: 13.5 arcsec
        assert np.abs(sun_altitude(moments, site) - expected).max() < 14 * u.arcsec


def test_dusk_at_the_equator_on_the_equinox_by_hand():
    # On the equator at equinox the Sun sets vertically: 18 deg below is 72 min after 90 deg from
    # the meridian. 2023-03-21: equation of time -7.3 min (solar noon 12:07.3 at longitude 0).
    dark = astronomical_night("2023-03-21", place(0.0))
    expected = Time("2023-03-21T12:07:18") + (6 + 1.2) * u.h
    assert abs(dark.dusk - expected) < 30 * u.s


def test_elevation_does_not_lower_the_horizon(north):
    at_sea = Site("x", north.latitude, north.longitude, 0 * u.m, north.time_zone, north.seasons)
    shift = (
        astronomical_night("2024-07-10", north).dusk - astronomical_night("2024-07-10", at_sea).dusk
    )
    # parallax of the Sun over 2 km is nothing; a lowered horizon would be 7 min
    assert abs(shift) < 0.1 * u.s


def test_no_darkness_in_the_summer_of_high_latitudes():
    with pytest.raises(MissingInputError, match=r"no astronomical darkness.*leave this night out"):
        astronomical_night("2024-06-21", place(60.0))


def test_polar_night_lasts_from_noon_to_noon():
    site = place(89.0)
    dark = astronomical_night("2023-12-21", site)
    assert (dark.dusk, dark.dawn) == night_span("2023-12-21", site)
    assert dark.duration == 24 * u.h


@pytest.mark.parametrize("bad", ["2023-02-29", "20240710", "tonight", "2024-7-1"])
def test_what_is_no_night_is_refused(bad):
    with pytest.raises(ConfigurationError, match="is no night"):
        night_date(bad)


def test_night_begins_at_local_noon_of_the_evening(south):
    # Chile: UTC-3 in southern summer, UTC-4 in winter
    assert night_span("2023-01-20", south)[0].utc.isot[:16] == "2023-01-20T15:00"
    assert night_span("2023-07-20", south)[0].utc.isot[:16] == "2023-07-20T16:00"
    assert observing_night(Time("2023-01-21T14:59:59"), south) == "2023-01-20"
    assert observing_night(Time("2023-01-21T15:00:00"), south) == "2023-01-21"


def test_night_over_a_change_of_clocks_is_23_or_25_hours(south):
    lengths = {
        round((end - begin).to_value(u.h))
        for begin, end in (night_span(f"2023-{day}", south) for day in ("04-01", "09-02", "06-01"))
    }
    assert lengths == {23, 24, 25}


def test_midnight_belongs_to_the_evening_before(north):
    for night in ("2023-12-31", "2024-02-28", "2024-02-29"):
        dark = astronomical_night(night, north)
        moments = dark.dusk + np.linspace(0, 1, 7) * (dark.dawn - dark.dusk)
        assert {observing_night(moment, north) for moment in moments} == {night}
