"""Observed places against astropy, refraction by hand, UT1 from the packaged table."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import AltAz, EarthLocation, SkyCoord
from astropy.time import Time
from astropy.utils import iers

from calibpipe.atmosphere.humid_air import water_vapour_mole_fraction_from_relative_humidity
from calibpipe.atmosphere.refractivity import refractivity
from calibpipe.core.earth_orientation import earth_orientation, earth_orientation_table
from calibpipe.core.exceptions import ConfigurationError, CorruptedInputError, MissingInputError
from calibpipe.core.site import load_site
from calibpipe.pointing.apparent_place import (
    SurfaceAir,
    catalogue_places,
    check_altitude,
    observed_places,
    refraction,
    refraction_constants,
    refraction_error,
)

AIR = SurfaceAir(785 * u.hPa, 12 * u.deg_C, 0.3)
NIGHT = Time("2024-07-10T23:00:00")


@pytest.fixture(params=["CTAO-North", "CTAO-South"])
def site(request, root):
    return load_site(root / f"config/sites/{request.param}.yaml")


def sky_over(site, times):
    """Directions at 20 to 85 deg."""
    rng = np.random.default_rng(2)
    azimuth, altitude = rng.uniform(0, 360, 50) * u.deg, rng.uniform(20, 85, 50) * u.deg
    return catalogue_places(azimuth, altitude, times[:1] + np.zeros(50) * u.s, site, AIR)


def test_places_are_those_of_astropy(site, monkeypatch):
    """To 1 mas, over the night, with refraction at the wavelength of the camera."""
    monkeypatch.setattr(iers.conf, "auto_download", False)
    times = NIGHT + np.linspace(0, 0.5, 4) * u.h
    ra, dec = sky_over(site, times)
    places = observed_places(ra, dec, times, site, AIR)
    frame = AltAz(
        obstime=times[np.newaxis],
        location=EarthLocation(lat=site.latitude, lon=site.longitude, height=site.elevation),
        pressure=AIR.pressure,
        temperature=AIR.temperature,
        relative_humidity=AIR.relative_humidity,
        obswl=AIR.wavelength,
    )
    there = SkyCoord(ra[:, np.newaxis], dec[:, np.newaxis]).transform_to(frame)
    mine = SkyCoord(places.azimuth, places.altitude, frame=frame)
    assert there.separation(mine).to_value(u.mas).max() < 1


def test_there_and_back(site):
    times = NIGHT + np.arange(3) * 600 * u.s
    ra, dec = sky_over(site, times)
    places = observed_places(ra[:1], dec[:1], times, site, AIR)
    back = catalogue_places(places.azimuth[0], places.altitude[0], times, site, AIR)
    np.testing.assert_allclose(back[0].value, ra[0].value, atol=1e-9)
    np.testing.assert_allclose(back[1].value, dec[0].value, atol=1e-9)


def replace_air(**more):
    values = {"pressure": 785 * u.hPa, "temperature": 12 * u.deg_C, "relative_humidity": 0.3}
    return SurfaceAir(**(values | more))


def test_aberration_is_in_the_places(site):
    """A star at right angles to the Earth's motion is 20.5 arcsec off over half a year."""
    ra, dec = sky_over(site, NIGHT.reshape(1))
    start = observed_places(ra, dec, NIGHT.reshape(1), site, AIR)
    frame = AltAz(
        obstime=NIGHT,
        location=EarthLocation(lat=site.latitude, lon=site.longitude, height=site.elevation),
    )
    # directions of the sky turn rigidly but for aberration and refraction (removed)
    bare = SkyCoord(
        start.azimuth[:, 0],
        start.altitude[:, 0] - refraction(start.altitude[:, 0], AIR),
        frame=frame,
    )
    icrs = SkyCoord(ra, dec)
    seen, true = (c.cartesian.xyz.value.T for c in (bare, icrs))
    angle = np.arccos(np.clip(seen @ seen.T, -1, 1)) - np.arccos(np.clip(true @ true.T, -1, 1))
    assert 20 < np.abs(np.rad2deg(angle) * 3600).max() < 42


def test_refraction_by_hand():
    """45.4 arcsec at 45 deg: (n - 1)(1 - beta) with Ciddor's n, Stone's beta."""
    temperature, humidity = 285.15 * u.K, 0.3
    mole_fraction = water_vapour_mole_fraction_from_relative_humidity(
        humidity, AIR.pressure, temperature, "water"
    )
    index = refractivity(420 * u.nm, AIR.pressure, temperature, mole_fraction, 420e-6).value
    beta = 4.4474e-6 * 285.15
    arcsec = np.rad2deg(3600)
    a, b = refraction_constants(AIR)
    assert a.to_value(u.arcsec) == pytest.approx(index * (1 - beta) * arcsec, abs=0.02)
    assert b.to_value(u.arcsec) == pytest.approx(-index * (beta - index / 2) * arcsec, abs=1e-3)
    at_45 = refraction(45 * u.deg, AIR).to_value(u.arcsec)
    assert at_45 == pytest.approx((a + b).to_value(u.arcsec)) == pytest.approx(45.36, abs=0.02)


def test_wrong_weather_is_wrong_refraction():
    """5 hPa: 0.3 arcsec at 45 deg, 0.5 at 60 deg from the zenith; 10 K: 1.6 arcsec at 45 deg."""
    zenith = [45, 60] * u.deg
    altitude = 90 * u.deg - zenith
    right = refraction(altitude, AIR)
    pressure = refraction(altitude, replace_air(pressure=790 * u.hPa)) - right
    np.testing.assert_allclose(pressure.to_value(u.arcsec), [0.29, 0.50], atol=0.01)
    warm = refraction(altitude, replace_air(temperature=22 * u.deg_C)) - right
    assert warm[0].to_value(u.arcsec) == pytest.approx(-1.6, abs=0.1)


def test_error_of_refraction_is_that_of_its_causes():
    none = dict.fromkeys(("pressure_error", "temperature_error", "wavelength_error"))
    units = (u.hPa, u.K, u.nm)
    zero = {name: 0 * unit for name, unit in zip(none, units, strict=True)}
    zero["relative_humidity_error"] = 0.0
    model = refraction_error(45 * u.deg, replace_air(**zero)).to_value(u.arcsec)
    assert model == pytest.approx(0.06)
    for more, expected in (
        ({"pressure_error": 5 * u.hPa}, 0.29),
        ({"temperature_error": 10 * u.K}, 1.6),
        ({"wavelength_error": 20 * u.nm}, 0.147),
    ):
        error = refraction_error(45 * u.deg, replace_air(**(zero | more))).to_value(u.arcsec)
        assert np.sqrt(error**2 - model**2) == pytest.approx(expected, rel=0.05)
    low = refraction_error(12 * u.deg, replace_air(**zero)).to_value(u.arcsec)
    assert low == pytest.approx(0.6)


def test_horizon_is_nan_and_refused(site):
    places = observed_places(
        [0] * u.deg,
        [np.copysign(90, -site.latitude.value)] * u.deg,
        NIGHT.reshape(1),
        site,
        AIR,
    )
    assert np.isnan([places.azimuth.value, places.altitude.value]).all()
    assert np.isnan(refraction(5 * u.deg, AIR))
    with pytest.raises(
        ConfigurationError, match=r"drive has an altitude of 5.00 deg, needs at least"
    ):
        check_altitude([40, 5] * u.deg, "drive")
    with pytest.raises(ConfigurationError, match="nan"):
        check_altitude(np.nan * u.deg, "drive")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"pressure": 78500 * u.hPa}, "pressure of the air is 78500 hPa"),
        ({"pressure": np.nan * u.hPa}, "pressure of the air is nan"),
        ({"temperature": 12 * u.K}, "temperature of the air is -261.15 deg C"),
        ({"relative_humidity": 30.0}, "relative_humidity of the air is 30,"),
        ({"wavelength": 42 * u.nm}, "wavelength of the air is 42 nm"),
    ],
)
def test_impossible_air(more, message):
    with pytest.raises(CorruptedInputError, match=message):
        replace_air(**more)


def test_orientation_is_that_of_astropy(monkeypatch):
    monkeypatch.setattr(iers.conf, "auto_download", False)
    times = Time(["1998-07-02T03:00:00", "2016-12-31T18:00:00", "2024-07-10T23:00:00"])
    table = iers.IERS_A.open(str(earth_orientation_table()))
    for time in times:  # the second is 6 h before a leap second
        found = earth_orientation(time.reshape(1))
        assert found.ut1_utc[0] == pytest.approx(table.ut1_utc(time).to_value(u.s), abs=2e-4)
        pole = [p.to_value(u.rad) for p in table.pm_xy(time)]
        np.testing.assert_allclose([found.pole_x[0], found.pole_y[0]], pole, atol=5e-9)
        assert not found.is_predicted[0]
        assert 0 < found.ut1_utc_error[0] < 1e-3


def lines(path, first, n):
    return path.read_bytes().splitlines(keepends=True)[first : first + n]


def test_orientation_of_the_future_is_predicted_or_refused(tmp_path):
    """Errors of a prediction grow; beyond the table there is no orientation."""
    rows = [line for line in lines(earth_orientation_table(), 0, 10**6) if line[58:68].strip()]
    predicted = next(i for i, line in enumerate(rows) if line[57:58] == b"P")
    day = [float(rows[i][7:15]) for i in (predicted + 2, len(rows) - 2, len(rows) - 1)]
    soon, late = (earth_orientation(Time([d], format="mjd")) for d in day[:2])
    assert soon.is_predicted.all()
    assert late.ut1_utc_error[0] > soon.ut1_utc_error[0] > 0
    with pytest.raises(MissingInputError, match="update the package astropy-iers-data"):
        earth_orientation(Time([day[2] + 1], format="mjd"))
    with pytest.raises(MissingInputError, match="known from MJD 41684"):
        earth_orientation(Time([41000.0], format="mjd"))


def test_broken_tables(tmp_path):
    some = lines(earth_orientation_table(), 0, 30)
    absent = tmp_path / "absent"
    with pytest.raises(MissingInputError, match="install astropy-iers-data"):
        earth_orientation(Time([41690.5], format="mjd"), absent)
    for name, content, message in (
        ("text", b"nothing " * 400, "no table of the IERS"),
        ("gap", b"".join(some[:3] + some[4:]), "one line of 188 bytes for every day"),
        ("letters", b"".join(line.replace(b"I 0.", b"I x.") for line in some), "could not convert"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CorruptedInputError, match=message):
            earth_orientation(Time([41690.5], format="mjd"), tmp_path / name)
