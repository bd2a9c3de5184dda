"""The simulated atmosphere: its physics by hand-computed values, its files by reading them back."""

import astropy.units as u
import eccodes
import numpy as np
import pytest
from astropy.time import Time

from calibpipe.core.exceptions import ConfigurationError
from calibpipe.core.meteo_files import read_meteo_files
from calibpipe.core.night import astronomical_night
from calibpipe.simulation import air_column
from calibpipe.simulation.air_column import (
    compressibility,
    geopotential_height,
    hydrostatic_pressure,
    normal_gravity,
    nrlmsise00,
    ozone_mixing_ratio,
    relative_humidity,
    saturation_pressure_ice,
    saturation_pressure_water,
    specific_humidity,
)
from calibpipe.simulation.meteo_encoding import cds_netcdf, era5_grib, gdas_grib
from calibpipe.simulation.meteorology import (
    ERA5_LEVELS,
    GDAS_LEVELS,
    Weather,
    bracketing_times,
    era5_grid,
    era5_like,
    gdas_grid,
    gdas_like,
    pressure_level_data,
    simulated_atmosphere,
    truth_table,
)

CALM = Weather(0 * u.K, 0 * u.hPa, 0 * u.K / u.deg, 0 * u.hPa / u.deg, sea_level_humidity=0.0)
NIGHT = "2023-07-15"


def atmosphere_of(site, weather=None, seed=1, night=NIGHT):
    dark = astronomical_night(night, site)
    middle = dark.dusk + dark.duration / 2
    weather = Weather() if weather is None else weather
    return simulated_atmosphere(site, middle, weather, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def night(north):
    return astronomical_night(NIGHT, north)


@pytest.fixture(scope="module")
def atmosphere(north):
    return atmosphere_of(north)


@pytest.fixture(scope="module")
def truth(atmosphere, north, night):
    return truth_table(atmosphere, north, night, bracketing_times(night.dusk, night.dawn, 1 * u.h))


# ------------------------------------------------------------------------------------ physics


@pytest.mark.parametrize(
    ("latitude", "altitude", "gravity"),
    [
        (28.7618, 0, 9.79229),
        (24.6272, 0, 9.78930),
        (45.0, 0, 9.80620),
        (28.7618, 2156, 9.78564),
        (24.6272, 2156, 9.78265),
    ],
)
def test_normal_gravity(latitude, altitude, gravity):
    assert normal_gravity(altitude, latitude) == pytest.approx(gravity, abs=1e-5)


@pytest.mark.parametrize(
    ("altitude", "latitude", "height"),
    [
        (15057.65, 28.7618, 15000),
        (15062.28, 24.6272, 15000),
        (15036.18, 45.0, 15000),
        (48437.37, 28.7618, 48000),
        (48452.44, 24.6272, 48000),
        (48367.48, 45.0, 48000),
    ],
)
def test_geopotential_height(altitude, latitude, height):
    assert geopotential_height(altitude, latitude) == pytest.approx(
        height, abs=0.02
    )  # accuracy of the table's own formula


def test_geopotential_height_is_the_integral_of_gravity():
    z = np.linspace(0.0, 40e3, 4001)
    integral = np.trapezoid(normal_gravity(z, 28.76), z) / 9.80665
    assert geopotential_height(z[-1], 28.76) == pytest.approx(integral, rel=1e-9)


def test_isothermal_dry_column_is_exponential_in_geopotential_height():
    z = air_column.ALTITUDE
    pressure = hydrostatic_pressure(np.full(z.shape, 250.0), 0 * z, np.array([1e-3]), 28.76)
    height = geopotential_height(z, 28.76)  # and 1 mPa at the ground: an ideal gas
    scale = 8.314462618 * 250.0 / (28.9657e-3 * 9.80665)
    # Error of the trapezoidal rule below 1e-10; the molar mass of the scale is rounded to 1e-6.
    np.testing.assert_allclose(np.log(pressure / 1e-3), -height / scale, rtol=2e-6)


def test_compressibility():
    assert compressibility(101325.0, 293.15, 0.01158934) == pytest.approx(0.99961477, abs=1e-8)
    assert compressibility(0.0, 220.0, 0.0) == 1.0


def test_saturation_pressures_meet_at_the_triple_point():
    # 611.657 +- 0.010 Pa: Guildner, Johnson and Jones 1976
    assert saturation_pressure_water(273.16) == pytest.approx(611.657, abs=0.01)
    assert saturation_pressure_ice(273.16) == pytest.approx(611.657, abs=0.01)


def test_saturation_pressure_is_that_of_cipm_within_its_uncertainty():
    assert saturation_pressure_water(293.15) == pytest.approx(2339.163, rel=2e-4)


@pytest.mark.parametrize(("convention", "coldest"), [("ERA5", 250.16), ("GDAS", 253.16)])
def test_relative_humidity_is_over_water_when_warm_and_over_ice_when_cold(convention, coldest):
    x, p = 1e-3 * u.one, 500 * u.hPa
    warm = relative_humidity(x, 280 * u.K, p, convention).value
    assert warm == pytest.approx(50.0 / saturation_pressure_water(280.0), rel=1e-12)
    cold = relative_humidity(x, 230 * u.K, p, convention).value
    assert cold == pytest.approx(50.0 / saturation_pressure_ice(230.0), rel=1e-12)
    middle = (coldest + 273.16) / 2
    weight = {"ERA5": 0.25, "GDAS": 0.5}[convention]
    water, ice = saturation_pressure_water(middle), saturation_pressure_ice(middle)
    mixed = relative_humidity(x, middle * u.K, p, convention).value
    assert mixed == pytest.approx(50.0 / (weight * water + (1 - weight) * ice), rel=1e-12)


def test_specific_humidity_inverts_the_mole_fraction():
    x = np.array([0.0, 1e-5, 0.02])
    q = specific_humidity(x)
    ratio = 18.01528e-3 / air_column.DRY_AIR_MOLAR_MASS
    np.testing.assert_allclose(q / (ratio + (1 - ratio) * q), x, rtol=1e-12)


@pytest.mark.parametrize(
    ("altitude", "density", "temperature"),
    [
        (50, 1.0842e-3, 263.6),
        (60, 3.1625e-4, 238.2),
        (70, 7.8765e-5, 218.3),
        (80, 1.7363e-5, 206.7),
        (100, 5.8989e-7, 180.5),
        (120, 1.9370e-8, 330.9),
    ],
)
def test_nrlmsise00_above_the_northern_site(altitude, density, temperature):
    found = nrlmsise00(
        Time("2023-01-15T01:00"), 28.7622 * u.deg, -17.8920 * u.deg, [altitude] * u.km
    )
    assert found[0][0].to_value(u.K) == pytest.approx(temperature, abs=0.06)
    assert found[1][0].value == pytest.approx(density, rel=6e-5)


def test_ozone_column():
    z = np.arange(0.0, 60e3, 100.0)
    pressure = 101325.0 * np.exp(-z / 7000.0)
    moles = pressure / (8.314462618 * 240.0)
    parts = ozone_mixing_ratio(z) * 28.9657 / 47.9982
    column = np.trapezoid(moles * parts, z) * 6.02214076e23 / 2.6867e20  # Dobson units
    assert 200 < column < 400  # climatological range of the zonal mean


# ---------------------------------------------------------------------------- the atmosphere


@pytest.mark.parametrize("site_name", ["north", "south"])
def test_calm_dry_atmosphere_is_the_climatology(site_name, request):
    site = request.getfixturevalue(site_name)
    night = astronomical_night(NIGHT, site)
    middle = night.dusk + night.duration / 2
    table = truth_table(atmosphere_of(site, CALM), site, night, Time([middle]))
    temperature, density, _ = nrlmsise00(middle, site.latitude, site.longitude, table["altitude"])
    np.testing.assert_allclose(
        table["temperature"].to_value(u.K), temperature.to_value(u.K), atol=1e-3
    )
    # NRLMSISE-00 holds no CO2 and takes 28.93 g/mol, 1.2e-3 less than CIPM: a density so much lower
    # at the ground, and a column that falls off so much more slowly (7 km a factor e).
    scale = 7e3 * u.m
    limit = 1.3e-3 * np.maximum(1.0, (table["altitude"] / scale).to_value(u.one))
    assert (np.abs(table["density"] / density - 1).to_value(u.one) < limit).all()


def test_truth_is_hydrostatic(truth, north):
    z = truth["altitude"].to_value(u.m)
    pressure = truth["pressure"].to_value(u.Pa)
    weight = truth["density"].value * normal_gravity(z, north.latitude.value)
    slope = (pressure[2:] - pressure[:-2]) / (z[2:] - z[:-2])
    # central difference over 100 m: h^2 / (6 H^2) = 1e4 / (6 * 5.5e3^2) = 5.5e-5 at the coldest
    np.testing.assert_allclose(-slope / weight[1:-1], 1.0, atol=6e-5)


def test_truth_obeys_the_equation_of_state(truth):
    p, t = truth["pressure"].to_value(u.Pa), truth["temperature"].to_value(u.K)
    ideal = p / (1.380649e-23 * t) * 1e-6
    ratio = truth["number_density"].to_value(u.cm**-3) / ideal
    # 1/Z: between 1 and 1.0007; the mean of a quotient differs from the quotient of means by 1e-5
    assert (ratio > 1 - 1e-5).all()
    assert (ratio < 1.0007).all()


def test_moist_air_is_lighter(north, night):
    dry = atmosphere_of(north, CALM)
    moist = atmosphere_of(north, Weather(*[0 * q for q in _AMPLITUDES], sea_level_humidity=1.0))
    times = Time([night.dusk])
    tables = [truth_table(a, north, night, times) for a in (dry, moist)]
    x = tables[1]["water_vapour_mole_fraction"][0].value
    assert x > 0.01
    change = (tables[1]["density"][0] / tables[0]["density"][0]).to_value(u.one) - 1
    # rho ~ M / Z; Z of moist air differs by less than x times 1e-2
    assert change == pytest.approx(-x * (1 - 18.01528 / 28.9657), rel=0.02)


_AMPLITUDES = (1 * u.K, 1 * u.hPa, 1 * u.K / u.deg, 1 * u.hPa / u.deg)


def test_calm_atmosphere_does_not_change_in_time(north, night):
    times = bracketing_times(night.dusk, night.dawn, 1 * u.h)
    table = truth_table(atmosphere_of(north, CALM), north, night, times)
    assert np.ptp(table["density_at_times"].value, axis=1).max() == 0.0


def test_temperature_waves_have_the_amplitude_asked_for(north):
    weather = Weather(3 * u.K, *[0 * q for q in _AMPLITUDES[1:]])
    atmosphere = atmosphere_of(north, weather)
    calm = atmosphere_of(north, CALM)
    rng = np.random.default_rng(2)
    n = 4000
    place = (
        rng.uniform(0, 60e3, n),
        rng.uniform(-80, 80, n),
        rng.uniform(-180, 180, n),
        rng.uniform(-3e6, 3e6, n),
    )
    wave = atmosphere.temperature(*place) - calm.temperature(*place)
    # four sinusoids: the variance of n values has the relative error sqrt((kurtosis - 1) / n)
    kurtosis = np.mean(wave**4) / np.mean(wave**2) ** 2
    error = 9.0 * np.sqrt((kurtosis - 1) / n)
    assert np.mean(wave**2) == pytest.approx(9.0, abs=4 * error)


def test_gradients_have_the_size_asked_for(north):
    weather = Weather(0 * u.K, 0 * u.hPa, 0.4 * u.K / u.deg, 0.7 * u.hPa / u.deg)
    atmosphere = atmosphere_of(north, weather)
    lat, lon = north.latitude.value, north.longitude.value
    t = [atmosphere.temperature(5e3, *place, 0.0) for place in _around(lat, lon)]
    p = [atmosphere.surface_pressure(*place, 0.0) for place in _around(lat, lon)]
    assert np.hypot(t[1] - t[0], t[2] - t[0]) == pytest.approx(0.4, rel=1e-9)
    assert np.hypot(p[1] - p[0], p[2] - p[0]) == pytest.approx(70.0, rel=1e-9)


def _around(lat, lon):
    return (lat, lon), (lat + 1, lon), (lat, lon + 1)


def test_night_mean_of_the_tide_is_its_integral(north, night):
    weather = Weather(0 * u.K, 2 * u.hPa, 0 * u.K / u.deg, 0 * u.hPa / u.deg)
    atmosphere = atmosphere_of(north, weather)
    table = truth_table(atmosphere, north, night, Time([night.dusk]))
    omega = 2 * np.pi / 43200
    half = night.duration.to_value(u.s) / 2
    phase = atmosphere.tide_phase
    integral = (np.cos(phase - omega * half) - np.cos(phase + omega * half)) / (2 * half * omega)
    expected = atmosphere.sea_level_pressure / 100 + 2 * integral
    # trapezoidal rule with 48 steps: (omega h)^2 / 12 of the tide, below 1e-3 hPa
    assert table["pressure"][0].to_value(u.hPa) == pytest.approx(expected, abs=1e-3)


def test_truth_at_a_time_is_that_of_the_levels(atmosphere, truth, north, night):
    """Pressure levels above the site's own place lie on the truth's profile."""
    times = bracketing_times(night.dusk, night.dawn, 1 * u.h)[2:3]
    data = pressure_level_data(
        atmosphere,
        times,
        u.Quantity([north.latitude]),
        u.Quantity([north.longitude]),
        ERA5_LEVELS,
        dataset="ERA5",
        humidity_kind="specific",
    )
    z = truth["altitude"]
    height = geopotential_height(z.to_value(u.m), north.latitude.value)
    log_pressure = np.log(truth["pressure_at_times"][:, 2].to_value(u.hPa))
    found = np.interp(data.geopotential_height[0, :, 0, 0].to_value(u.m), height, log_pressure)
    # linear interpolation over 100 m: h^2 / 8 times |d(1/H)/dz| below 1e-8 per m^2
    np.testing.assert_allclose(found, np.log(ERA5_LEVELS.to_value(u.hPa)), atol=1.3e-5)


def test_same_seed_same_atmosphere(north, night):
    def table(seed):
        return truth_table(atmosphere_of(north, seed=seed), north, night, Time([night.dusk]))

    assert (table(1)["density"] == table(1)["density"]).all()
    assert (table(1)["density"] != table(2)["density"]).any()


def test_humidity_is_checked(north):
    with pytest.raises(
        ConfigurationError, match=r"relative humidity at sea level is 1\.5, needs 0"
    ):
        atmosphere_of(north, Weather(sea_level_humidity=1.5))


@pytest.mark.parametrize("level", [0.1, 1200])
def test_levels_beyond_the_atmosphere_are_refused(atmosphere, north, night, level):
    with pytest.raises(ConfigurationError, match=f"pressure levels .*{level:g}.* reach beyond"):
        pressure_level_data(
            atmosphere,
            Time([night.dusk]),
            *era5_grid(north),
            [level] * u.hPa,
            dataset="ERA5",
            humidity_kind="specific",
        )


# ------------------------------------------------------------------------------- the services


def test_levels_of_the_services():
    assert ERA5_LEVELS.size == 37
    assert GDAS_LEVELS.size == 26
    for levels in (ERA5_LEVELS, GDAS_LEVELS):
        assert (np.diff(levels.value) < 0).all()


@pytest.mark.parametrize(
    ("begin", "end", "step", "first", "last", "n"),
    [
        ("2023-07-15T21:43", "2023-07-16T04:52", 1, "2023-07-15T21:00", "2023-07-16T05:00", 9),
        ("2023-07-15T21:43", "2023-07-16T04:52", 6, "2023-07-15T18:00", "2023-07-16T06:00", 3),
        ("2023-12-31T20:00", "2024-01-01T06:00", 1, "2023-12-31T20:00", "2024-01-01T06:00", 11),
        ("2024-02-28T23:59", "2024-02-29T00:01", 6, "2024-02-28T18:00", "2024-02-29T06:00", 3),
        ("2023-03-01T01:00", "2023-03-01T09:30", 6, "2023-03-01T00:00", "2023-03-01T12:00", 3),
    ],
)
def test_times_bracket_the_night(*, begin, end, step, first, last, n):
    times = bracketing_times(Time(begin), Time(end), step * u.h)
    assert times[0].isot[:16] == first
    assert times[-1].isot[:16] == last
    assert times.size == n


@pytest.mark.parametrize("grid", [era5_grid, gdas_grid])
@pytest.mark.parametrize("site_name", ["north", "south"])
def test_grids_enclose_the_site(grid, site_name, request):
    site = request.getfixturevalue(site_name)
    step = {era5_grid: 0.25, gdas_grid: 1.0}[grid]
    for axis, place in zip(grid(site), (site.latitude, site.longitude), strict=True):
        assert axis[0] < place < axis[-1]
        np.testing.assert_allclose(np.diff(axis.value), step, rtol=1e-12)
        np.testing.assert_allclose(axis.value / step % 1, 0, atol=1e-12)


def packing_errors(path):
    """Half a step of packing of every message: short name -> largest, by the message's own keys."""
    errors = {}
    with path.open("rb") as stream:
        while (message := eccodes.codes_grib_new_from_file(stream)) is not None:
            name = eccodes.codes_get(message, "shortName")
            assert eccodes.codes_get(message, "bitsPerValue") == 16
            half = 2.0 ** eccodes.codes_get(message, "binaryScaleFactor") / 2
            errors[name] = max(errors.get(name, 0.0), half)
            eccodes.codes_release(message)
    return errors


def assert_same(data, truth, errors):
    """Equal within the packing and the rounding of the reference value to 32 bits."""
    assert (np.abs((data.times - truth.times).sec) < 1e-6).all()
    np.testing.assert_array_equal(data.pressure, truth.pressure)
    np.testing.assert_allclose(data.latitude.value, truth.latitude.value, atol=1e-9)
    np.testing.assert_allclose(data.longitude.value, truth.longitude.value, atol=1e-9)
    assert data.humidity_kind == truth.humidity_kind
    for name, error in errors.items():
        found, expected = getattr(data, name).value, getattr(truth, name).value
        assert np.abs(found - expected).max() <= error * (1 + 1e-6), name


def test_era5_grib_read_back(tmp_path, atmosphere, north, night):
    specific, relative = era5_like(atmosphere, north, night)
    path = tmp_path / "era5.grib"
    path.write_bytes(era5_grib(specific, relative))
    data = read_meteo_files(path, "ERA5")
    assert data.shape == (9, 37, 3, 3)
    assert data.experiment_version == "0001"
    errors = packing_errors(path)
    assert set(errors) == {"z", "t", "q", "r", "o3"}
    names = {
        "geopotential_height": errors["z"] / 9.80665,
        "temperature": errors["t"],
        "humidity": errors["q"],
        "ozone": errors["o3"],
    }
    assert_same(data, specific, names)
    # far below what matters: 1 mK and 1 cm
    assert errors["t"] < 1e-3
    assert errors["z"] / 9.8 < 1e-2
    data.require_site(north.latitude, north.longitude)


def test_gdas_grib_read_back(tmp_path, atmosphere, north, night):
    truth = gdas_like(atmosphere, north, night)
    path = tmp_path / "gdas.grib2"
    path.write_bytes(gdas_grib(truth))
    data = read_meteo_files(path, "GDAS")
    assert data.shape == (3, 26, 4, 4)
    assert data.forecast_hours == 0.0
    errors = packing_errors(path)
    names = {
        "geopotential_height": errors["gh"],
        "temperature": errors["t"],
        "humidity": errors["r"] / 100,
    }
    assert_same(data, truth, names)


def test_netcdf_read_back(tmp_path, atmosphere, north, night):
    specific, relative = era5_like(atmosphere, north, night)
    path = tmp_path / "era5.nc"
    path.write_bytes(cds_netcdf(specific, relative))
    data = read_meteo_files(path, "ERA5", around=(north.latitude, north.longitude))
    assert data.experiment_version == "0001"
    single = np.finfo("f4").eps / 2
    names = {
        name: single * getattr(specific, name).value.max()
        for name in ("geopotential_height", "temperature", "humidity", "ozone")
    }
    assert_same(data, specific, names)


def test_levels_without_humidity_are_not_encoded(tmp_path, atmosphere, north, night):
    truth = gdas_like(atmosphere, north, night)
    dry = list(GDAS_LEVELS.value).index(20)  # as in real files
    truth.humidity[:, dry] = np.nan
    path = tmp_path / "gdas.grib2"
    path.write_bytes(gdas_grib(truth))
    data = read_meteo_files(path)
    assert np.isnan(data.humidity).any(axis=(0, 2, 3)).nonzero()[0] == [dry]


def test_same_atmosphere_same_bytes(atmosphere, north, night):
    assert gdas_grib(gdas_like(atmosphere, north, night)) == gdas_grib(
        gdas_like(atmosphere_of(north), north, night)
    )
    assert era5_grib(*era5_like(atmosphere, north, night)) == era5_grib(
        *era5_like(atmosphere_of(north), north, night)
    )
