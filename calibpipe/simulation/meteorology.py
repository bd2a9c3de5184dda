"""A smooth atmosphere with known truth: climatology plus weather, in hydrostatic equilibrium.

The temperature is that of NRLMSISE-00 above the site, with a few slow waves and a horizontal
gradient on top. Water vapour decays exponentially. The pressure follows by integrating the
hydrostatic equation in geometric altitude with WGS84 normal gravity, so that pressure levels, their
geopotential heights and the densities between them are all parts of one consistent atmosphere.

Nothing here uses `calibpipe.atmosphere`: what is tested must not make its own test data.
"""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
import pymsis
from astropy.table import QTable
from astropy.time import Time, TimeDelta
from numpy.typing import NDArray

from ..core.exceptions import ConfigurationError
from ..core.meteo_files import PressureLevelData
from ..core.night import AstronomicalNight
from ..core.site import Site

__all__ = [
    "ERA5_LEVELS",
    "GDAS_LEVELS",
    "SimulatedAtmosphere",
    "Weather",
    "bracketing_times",
    "era5_grid",
    "era5_like",
    "gdas_grid",
    "gdas_like",
    "geopotential_height",
    "hydrostatic_pressure",
    "nrlmsise00",
    "pressure_level_data",
    "relative_humidity",
    "simulated_atmosphere",
    "truth_table",
]

# Levels of ERA5 (Copernicus CDS) and of ds083.2 (NCEP FNL), as published by the services.
ERA5_LEVELS = u.Quantity(
    (
        *(1000, 975, 950, 925, 900, 875, 850, 825, 800, 775, 750, 700, 650, 600, 550, 500, 450),
        *(400, 350, 300, 250, 225, 200, 175, 150, 125, 100, 70, 50, 30, 20, 10, 7, 5, 3, 2, 1),
    ),
    u.hPa,
)
GDAS_LEVELS = u.Quantity(
    (
        *(1000, 975, 950, 925, 900, 850, 800, 750, 700, 650, 600, 550, 500, 450, 400, 350, 300),
        *(250, 200, 150, 100, 70, 50, 30, 20, 10),
    ),
    u.hPa,
)

# WGS84 ellipsoid and its normal gravity (NIMA TR8350.2, 3rd edition, 2000).
SEMI_MAJOR_AXIS = 6378137.0  # m
FLATTENING = 1 / 298.257223563
ECCENTRICITY_SQUARED = 0.00669437999014
EQUATORIAL_GRAVITY = 9.7803253359  # m/s2
SOMIGLIANA_K = 0.00193185265241
GRAVITY_RATIO = 0.00344978650684  # m = omega^2 a^2 b / GM
STANDARD_GRAVITY = 9.80665  # m/s2, defines geopotential height

GAS_CONSTANT = 8.314462618  # J/mol/K, CODATA 2018 (exact)
BOLTZMANN = 1.380649e-23  # J/K, CODATA 2018 (exact)
AVOGADRO = 6.02214076e23  # 1/mol, CODATA 2018 (exact)
WATER_MOLAR_MASS = 18.01528e-3  # kg/mol, CIPM-2007
DRY_AIR_MOLAR_MASS = 28.96546e-3 + 12.011e-3 * 20e-6  # kg/mol, CIPM-2007 with 420 ppm CO2
OZONE_MOLAR_MASS = 47.9982e-3  # kg/mol, IUPAC 2013

SOLAR_FLUX = 150.0  # F10.7 and its 81-day mean, sfu; given so that nothing is downloaded
GEOMAGNETIC_AP = 4.0
STRATOSPHERIC_WATER = 5e-6  # mole fraction (SPARC WAVAS, 2000)
N_WAVES = 4

_STEP = 25.0  # m
_ALTITUDE = np.arange(-500.0, 62e3 + _STEP / 2, _STEP)  # m, grid of the integration
_SEA_LEVEL = int(np.flatnonzero(_ALTITUDE == 0.0)[0])


@dataclass(frozen=True)
class Weather:
    """How far the simulated atmosphere departs from climatology.

    Parameters
    ----------
    temperature_wave : Quantity
        Root mean square of the temperature waves in space and time.
    pressure_tide : Quantity
        Amplitude of the semidiurnal tide of the pressure at sea level.
    temperature_gradient, pressure_gradient : Quantity
        Horizontal gradients per degree (of latitude and of longitude); directions are random.
    sea_level_humidity : float
        Relative humidity over water at sea level, 0..1.
    humidity_scale_height : Quantity
        Altitude over which the mole fraction of water vapour falls by e.
    """

    temperature_wave: u.Quantity = 1.0 * u.K
    pressure_tide: u.Quantity = 1.0 * u.hPa
    temperature_gradient: u.Quantity = 0.3 * u.K / u.deg
    pressure_gradient: u.Quantity = 0.3 * u.hPa / u.deg
    sea_level_humidity: float = 0.5
    humidity_scale_height: u.Quantity = 2.0 * u.km


@dataclass(frozen=True, eq=False)
class SimulatedAtmosphere:
    """Temperature, water vapour and sea-level pressure as functions of place and time.

    Plain numbers in SI units and degrees; made by `simulated_atmosphere`. Waves are rows of
    amplitude [K], phase [rad] and wave numbers [rad per m, degree north, degree east, s].
    """

    origin: tuple[float, float]
    reference_time: Time
    climatology: NDArray
    sea_level_pressure: float
    sea_level_mole_fraction: float
    humidity_scale_height: float
    temperature_gradient: NDArray
    pressure_gradient: NDArray
    pressure_tide: float
    tide_phase: float
    waves: NDArray

    def seconds(self, times: Time) -> NDArray:
        """Seconds of `times` since the reference time."""
        return np.atleast_1d((times - self.reference_time).to_value(u.s))

    def temperature(self, z: NDArray, lat: NDArray, lon: NDArray, t: NDArray) -> NDArray:
        """Temperature in K at altitude [m], place [deg] and time [s]; arguments broadcast."""
        north, east = lat - self.origin[0], lon - self.origin[1]
        out = np.interp(z, _ALTITUDE, self.climatology)
        out = out + self.temperature_gradient[0] * north + self.temperature_gradient[1] * east
        for amplitude, phase, k_z, k_north, k_east, omega in self.waves:
            out = out + amplitude * np.sin(
                phase + k_z * z + k_north * north + k_east * east - omega * t
            )
        return out

    def water_vapour_mole_fraction(self, z: NDArray) -> NDArray:
        """Mole fraction of water vapour at altitude [m], the same everywhere and always."""
        decay = np.exp(-z / self.humidity_scale_height)
        return STRATOSPHERIC_WATER * (self.sea_level_mole_fraction > 0) + (
            self.sea_level_mole_fraction * decay
        )

    def surface_pressure(self, lat: NDArray, lon: NDArray, t: NDArray) -> NDArray:
        """Pressure at sea level in Pa at place [deg] and time [s]; arguments broadcast."""
        north, east = lat - self.origin[0], lon - self.origin[1]
        tide = self.pressure_tide * np.sin(2 * np.pi * t / 43200.0 + self.tide_phase)
        gradient = self.pressure_gradient
        return self.sea_level_pressure + tide + gradient[0] * north + gradient[1] * east

    def pressure(self, lat: NDArray, lon: NDArray, t: NDArray) -> NDArray:
        """Pressure in Pa on the grid of the integration, which becomes the last axis."""
        lat, lon, t = (np.asarray(axis, float)[..., np.newaxis] for axis in (lat, lon, t))
        temperature = self.temperature(_ALTITUDE, lat, lon, t)
        mole_fraction = self.water_vapour_mole_fraction(_ALTITUDE)
        return _hydrostatic_pressure(
            temperature, mole_fraction, self.surface_pressure(lat, lon, t), lat
        )


def simulated_atmosphere(
    site: Site, reference_time: Time, weather: Weather, rng: np.random.Generator
) -> SimulatedAtmosphere:
    """Climatology above a site at a time, with random weather.

    Parameters
    ----------
    site : Site
        The climatology is taken above it; gradients and waves count from it.
    reference_time : Time
        The climatology is taken at it, waves count from it; the middle of a night, say.
    weather : Weather
        Amplitudes; zero switches a part off.
    rng : numpy.random.Generator
        Decides the phases, lengths, periods and directions.

    Raises
    ------
    ConfigurationError
        If the relative humidity is not in 0..1.
    """
    if not 0.0 <= weather.sea_level_humidity <= 1.0:
        raise ConfigurationError(
            f"relative humidity at sea level is {weather.sea_level_humidity:g}, needs 0 to 1; "
            "change sea_level_humidity"
        )
    origin = (site.latitude.to_value(u.deg), site.longitude.to_value(u.deg))
    temperature, _, pressures = nrlmsise00(
        reference_time, site.latitude, site.longitude, _ALTITUDE * u.m
    )
    climatology, pressure = temperature.value, float(pressures[_SEA_LEVEL].value)
    vapour = weather.sea_level_humidity * saturation_pressure_water(climatology[_SEA_LEVEL])
    angles = rng.uniform(0.0, 2 * np.pi, 3)
    return SimulatedAtmosphere(
        origin=origin,
        reference_time=reference_time,
        climatology=climatology,
        sea_level_pressure=pressure,
        sea_level_mole_fraction=float(vapour / pressure),
        humidity_scale_height=weather.humidity_scale_height.to_value(u.m),
        temperature_gradient=weather.temperature_gradient.to_value(u.K / u.deg)
        * np.array([np.cos(angles[0]), np.sin(angles[0])]),
        pressure_gradient=weather.pressure_gradient.to_value(u.Pa / u.deg)
        * np.array([np.cos(angles[1]), np.sin(angles[1])]),
        pressure_tide=weather.pressure_tide.to_value(u.Pa),
        tide_phase=angles[2],
        waves=_waves(weather.temperature_wave.to_value(u.K), rng),
    )


@u.quantity_input
def nrlmsise00(
    time: Time,
    latitude: u.Quantity[u.deg],
    longitude: u.Quantity[u.deg],
    altitude: u.Quantity[u.km],
) -> tuple[u.Quantity, u.Quantity, u.Quantity]:
    """Temperature, mass density and pressure of NRLMSISE-00 for moderate solar activity.

    Parameters
    ----------
    time : Time
        One moment.
    latitude, longitude : Quantity
        One place.
    altitude : Quantity, shape (n,)
        0 to 120 km; slightly below zero is extrapolated by the model.

    Returns
    -------
    temperature, density, pressure : Quantity, shape (n,)

    References
    ----------
    Picone et al. 2002, J. Geophys. Res. 107(A12), 1468, doi:10.1029/2002JA009430.
    """
    out = pymsis.calculate(
        time.utc.to_value("datetime64"),
        longitude.to_value(u.deg),
        latitude.to_value(u.deg),
        altitude.to_value(u.km),
        SOLAR_FLUX,
        SOLAR_FLUX,
        [[GEOMAGNETIC_AP] * 7],
        version=0,
    ).reshape(altitude.size, -1)
    temperature = out[:, pymsis.Variable.TEMPERATURE].astype(float)
    species = slice(pymsis.Variable.MASS_DENSITY + 1, pymsis.Variable.TEMPERATURE)
    pressure = np.nansum(out[:, species].astype(float), axis=1) * BOLTZMANN * temperature
    density = out[:, pymsis.Variable.MASS_DENSITY].astype(float)
    return temperature * u.K, density * u.kg / u.m**3, pressure * u.Pa


def _waves(rms: float, rng: np.random.Generator) -> NDArray:
    """Amplitude, phase and wave numbers of a few slow, long waves."""
    two_pi = 2 * np.pi
    amplitude = np.full(N_WAVES, rms * np.sqrt(2.0 / N_WAVES))
    phase = rng.uniform(0.0, two_pi, N_WAVES)
    # ASSUME: lengths and periods far above what the levels and analyses sample.
    vertical = two_pi / rng.uniform(15e3, 30e3, N_WAVES)
    horizontal = two_pi / rng.uniform(8.0, 20.0, N_WAVES)
    direction = rng.uniform(0.0, two_pi, N_WAVES)
    omega = two_pi / rng.uniform(18.0, 48.0, N_WAVES) / 3600.0
    return np.column_stack(
        [
            amplitude,
            phase,
            vertical,
            horizontal * np.cos(direction),
            horizontal * np.sin(direction),
            omega,
        ]
    )


# ------------------------------------------------------------------------------------ physics


def normal_gravity(altitude: NDArray, latitude: NDArray) -> NDArray:
    """WGS84 normal gravity in m/s2 at altitude [m] and latitude [deg]; arguments broadcast.

    Somigliana's formula on the ellipsoid, free-air reduction to second order.

    References
    ----------
    NIMA TR8350.2, 3rd edition (2000), equations 4-1 and 4-3.
    """
    linear, quadratic, on_ellipsoid = _gravity_coefficients(latitude)
    return on_ellipsoid * (1.0 - linear * altitude + quadratic * altitude**2)


def _gravity_coefficients(latitude: NDArray) -> tuple[NDArray, float, NDArray]:
    sin2 = np.sin(np.radians(latitude)) ** 2
    on_ellipsoid = (
        EQUATORIAL_GRAVITY * (1 + SOMIGLIANA_K * sin2) / np.sqrt(1 - ECCENTRICITY_SQUARED * sin2)
    )
    shape = 1 + FLATTENING + GRAVITY_RATIO - 2 * FLATTENING * sin2
    return 2 * shape / SEMI_MAJOR_AXIS, 3 / SEMI_MAJOR_AXIS**2, on_ellipsoid


@u.quantity_input
def geopotential_height(altitude: u.Quantity[u.m], latitude: u.Quantity[u.deg]) -> u.Quantity[u.m]:
    """Integral of normal gravity over altitude, divided by 9.80665 m/s2.

    Parameters
    ----------
    altitude, latitude : Quantity
        Geometric altitude above the ellipsoid and latitude; shapes broadcast.
    """
    return _geopotential_height(altitude.to_value(u.m), latitude.to_value(u.deg)) * u.m


def _geopotential_height(altitude: NDArray, latitude: NDArray) -> NDArray:
    linear, quadratic, on_ellipsoid = _gravity_coefficients(latitude)
    series = altitude - linear * altitude**2 / 2 + quadratic * altitude**3 / 3
    return on_ellipsoid * series / STANDARD_GRAVITY


def compressibility(pressure: NDArray, temperature: NDArray, mole_fraction: NDArray) -> NDArray:
    """Compressibility factor of moist air (pressure in Pa, temperature in K); 1 without pressure.

    References
    ----------
    Picard et al. 2008, Metrologia 45, 149, doi:10.1088/0026-1394/45/2/004, appendix A1.4.
    """
    t = temperature - 273.15
    x = mole_fraction
    first = 1.58123e-6 - 2.9331e-8 * t + 1.1043e-10 * t**2
    first = first + (5.707e-6 - 2.051e-8 * t) * x + (1.9898e-4 - 2.376e-6 * t) * x**2
    ratio = pressure / temperature
    return 1.0 - ratio * first + ratio**2 * (1.83e-11 - 0.765e-8 * x**2)


def molar_mass(mole_fraction: NDArray) -> NDArray:
    """Molar mass of moist air in kg/mol."""
    return DRY_AIR_MOLAR_MASS + (WATER_MOLAR_MASS - DRY_AIR_MOLAR_MASS) * mole_fraction


@u.quantity_input
def hydrostatic_pressure(
    temperature: u.Quantity[u.K],
    mole_fraction: NDArray,
    surface_pressure: u.Quantity[u.Pa],
    latitude: u.Quantity[u.deg],
) -> tuple[u.Quantity, u.Quantity]:
    """Pressure of a moist column in hydrostatic equilibrium, dp = -p M g / (Z R T) dz.

    Parameters
    ----------
    temperature : Quantity, shape (..., n)
        On the altitude grid that is returned.
    mole_fraction : ndarray, shape (..., n)
        Of water vapour.
    surface_pressure : Quantity, shape (..., 1)
        At sea level.
    latitude : Quantity, shape (..., 1)
        Geodetic.

    Returns
    -------
    altitude : Quantity, shape (n,)
        From -0.5 km to 62 km in steps of 25 m.
    pressure : Quantity, shape (..., n)
    """
    pressure = _hydrostatic_pressure(
        temperature.to_value(u.K),
        mole_fraction,
        surface_pressure.to_value(u.Pa),
        latitude.to_value(u.deg),
    )
    return _ALTITUDE * u.m, pressure * u.Pa


def _hydrostatic_pressure(
    temperature: NDArray, mole_fraction: NDArray, surface_pressure: NDArray, latitude: NDArray
) -> NDArray:
    weight = molar_mass(mole_fraction) * normal_gravity(_ALTITUDE, latitude)
    ideal = weight / (GAS_CONSTANT * temperature)
    factor = 1.0
    for _ in range(3):  # each pass gains a factor 1e-3: Z is 1 within 6e-4 and depends on p
        slope = ideal / factor
        exponent = np.zeros_like(slope)
        np.cumsum((slope[..., 1:] + slope[..., :-1]) * _STEP / 2, axis=-1, out=exponent[..., 1:])
        exponent -= exponent[..., _SEA_LEVEL, np.newaxis]
        pressure = surface_pressure * np.exp(-exponent)
        factor = compressibility(pressure, temperature, mole_fraction)
    return pressure


def saturation_pressure_water(temperature: NDArray) -> NDArray:
    """Saturation pressure in Pa over (supercooled) water at temperature [K], 123..332 K.

    References
    ----------
    Murphy and Koop 2005, Q. J. R. Meteorol. Soc. 131, 1539, doi:10.1256/qj.04.94, equation 10.
    """
    T = temperature
    log_t = np.log(T)
    return np.exp(
        54.842763
        - 6763.22 / T
        - 4.210 * log_t
        + 0.000367 * T
        + np.tanh(0.0415 * (T - 218.8)) * (53.878 - 1331.22 / T - 9.44523 * log_t + 0.014025 * T)
    )


def saturation_pressure_ice(temperature: NDArray) -> NDArray:
    """Saturation pressure in Pa over ice at temperature [K], above 110 K.

    References
    ----------
    Murphy and Koop 2005, equation 7.
    """
    T = temperature
    return np.exp(9.550426 - 5723.265 / T + 3.53068 * np.log(T) - 0.00728332 * T)


@u.quantity_input
def relative_humidity(
    mole_fraction: u.Quantity[u.one],
    temperature: u.Quantity[u.K],
    pressure: u.Quantity[u.Pa],
    convention: str,
) -> u.Quantity[u.one]:
    """Relative humidity as a service defines it: over water, over ice, mixed between.

    Parameters
    ----------
    mole_fraction, temperature, pressure : Quantity
        Of water vapour, of the air; shapes broadcast.
    convention : str
        ``ERA5``: ice below 250.16 K, water above 273.16 K, between them the quadratic weight
        ((T - 250.16 K) / 23 K)^2 for water. ``GDAS``: ice below 253.16 K, linear weight.

    References
    ----------
    ECMWF, IFS documentation CY41R2 (2016), part IV, section 7.4.2; NCEP, funcphys (fpvsx).
    """
    coldest, power = {"ERA5": (250.16, 2), "GDAS": (253.16, 1)}[convention]
    T = temperature.to_value(u.K)
    water = np.clip((T - coldest) / (273.16 - coldest), 0.0, 1.0) ** power
    saturated = water * saturation_pressure_water(T) + (1 - water) * saturation_pressure_ice(T)
    return mole_fraction * pressure.to_value(u.Pa) / saturated


def specific_humidity(mole_fraction: NDArray) -> NDArray:
    """Mass of water vapour per mass of moist air."""
    return mole_fraction * WATER_MOLAR_MASS / molar_mass(mole_fraction)


def ozone_mixing_ratio(altitude: NDArray) -> NDArray:
    """Mass mixing ratio of a simple ozone layer at altitude [m]; 290 Dobson units in total."""
    # ASSUME: a Gaussian layer in mixing ratio, 8.5 ppm at 33 km, on 40 ppb: a mid-latitude mean.
    parts = 40e-9 + 8.5e-6 * np.exp(-0.5 * ((altitude - 33e3) / 7e3) ** 2)
    return parts * OZONE_MOLAR_MASS / DRY_AIR_MOLAR_MASS


# ----------------------------------------------------------------- what the services would give


def era5_grid(site: Site) -> tuple[u.Quantity, u.Quantity]:
    """Three latitudes and three longitudes of the 0.25 degree grid around the nearest point."""
    return tuple(
        (np.round(axis.to_value(u.deg) * 4) + np.arange(-1, 2)) / 4 * u.deg
        for axis in (site.latitude, site.longitude)
    )


def gdas_grid(site: Site) -> tuple[u.Quantity, u.Quantity]:
    """Four latitudes and four longitudes of the 1 degree grid, two on each side of the site."""
    return tuple(
        (np.floor(axis.to_value(u.deg)) + np.arange(-1.0, 3.0)) * u.deg
        for axis in (site.latitude, site.longitude)
    )


def bracketing_times(begin: Time, end: Time, step: u.Quantity) -> Time:
    """Multiples of `step` since 0 h UTC from the last one before `begin` to the first after `end`.

    Parameters
    ----------
    begin, end : Time
        A moment that is a multiple itself is its own bracket.
    step : Quantity
        A whole part of a day.
    """
    midnight = Time(np.floor(begin.utc.mjd), format="mjd", scale="utc")
    period = step.to_value(u.s)
    first = np.floor((begin - midnight).to_value(u.s) / period + 1e-9)
    last = np.ceil((end - midnight).to_value(u.s) / period - 1e-9)
    return midnight + TimeDelta(np.arange(first, last + 1) * period, format="sec")


def era5_like(
    atmosphere: SimulatedAtmosphere, site: Site, night: AstronomicalNight
) -> tuple[PressureLevelData, u.Quantity]:
    """Hourly fields with specific humidity as ERA5 has them, and their relative humidity."""
    times = bracketing_times(night.dusk, night.dawn, 1 * u.h)
    place = (atmosphere, times, *era5_grid(site), ERA5_LEVELS)
    specific = pressure_level_data(*place, dataset="ERA5", humidity_kind="specific")
    relative = pressure_level_data(*place, dataset="ERA5", humidity_kind="relative")
    return specific, relative.humidity


def gdas_like(
    atmosphere: SimulatedAtmosphere, site: Site, night: AstronomicalNight
) -> PressureLevelData:
    """Six-hourly fields with relative humidity as NCEP's analyses have them."""
    times = bracketing_times(night.dusk, night.dawn, 6 * u.h)
    place = (atmosphere, times, *gdas_grid(site), GDAS_LEVELS)
    return pressure_level_data(*place, dataset="GDAS", humidity_kind="relative")


def pressure_level_data(
    atmosphere: SimulatedAtmosphere,
    times: Time,
    latitude: u.Quantity,
    longitude: u.Quantity,
    levels: u.Quantity,
    *,
    dataset: str,
    humidity_kind: str,
) -> PressureLevelData:
    """True fields on pressure levels.

    Parameters
    ----------
    atmosphere : SimulatedAtmosphere
        The truth.
    times, latitude, longitude : Time and Quantity, one-dimensional
        Ascending.
    levels : Quantity, shape (n_levels,)
        Pressure, descending.
    dataset : str
        ``ERA5`` or ``GDAS``; decides the convention of relative humidity.
    humidity_kind : str
        ``specific`` or ``relative``.

    Raises
    ------
    ConfigurationError
        If a level lies above 62 km or below -0.5 km.
    """
    t = atmosphere.seconds(times)[:, np.newaxis, np.newaxis]
    lat = latitude.to_value(u.deg)[np.newaxis, :, np.newaxis]
    lon = longitude.to_value(u.deg)[np.newaxis, np.newaxis, :]
    t, lat, lon = np.broadcast_arrays(t, lat, lon)
    log_pressure = np.log(atmosphere.pressure(lat, lon, t))
    z = _altitude_of_levels(log_pressure, np.log(levels.to_value(u.Pa)))
    t, lat, lon = (axis[:, np.newaxis] for axis in (t, lat, lon))
    mole_fraction = atmosphere.water_vapour_mole_fraction(z)
    temperature = atmosphere.temperature(z, lat, lon, t) * u.K
    humidity = specific_humidity(mole_fraction) * u.one
    if humidity_kind == "relative":
        pressure = levels[np.newaxis, :, np.newaxis, np.newaxis]
        humidity = relative_humidity(mole_fraction * u.one, temperature, pressure, dataset)
    return PressureLevelData(
        dataset=dataset,
        times=times,
        pressure=levels.to(u.hPa),
        latitude=latitude,
        longitude=longitude,
        geopotential_height=_geopotential_height(z, lat) * u.m,
        temperature=temperature,
        humidity=humidity,
        humidity_kind=humidity_kind,
        ozone=ozone_mixing_ratio(z) * u.one,
        forecast_hours=0.0,
        experiment_version="0001" if dataset == "ERA5" else "",
    )


def _altitude_of_levels(log_pressure: NDArray, levels: NDArray) -> NDArray:
    """Altitude [m] of levels, shape (n_times, n_levels, n_lat, n_lon), log-linear in 25 m."""
    columns = log_pressure.reshape(-1, _ALTITUDE.size)
    lowest, highest = columns[:, 0].min(), columns[:, -1].max()
    if levels.max() > lowest or levels.min() < highest:
        raise ConfigurationError(
            f"pressure levels {np.exp(levels.max()) / 100:g} to {np.exp(levels.min()) / 100:g} hPa "
            f"reach beyond the simulated atmosphere, {np.exp(lowest) / 100:.1f} to "
            f"{np.exp(highest) / 100:.3f} hPa; leave out the levels beyond it"
        )
    z = np.array([np.interp(-levels, -column, _ALTITUDE) for column in columns])
    return np.moveaxis(z.reshape(*log_pressure.shape[:-1], levels.size), -1, 1)


def truth_table(
    atmosphere: SimulatedAtmosphere, site: Site, night: AstronomicalNight, times: Time
) -> QTable:
    """True profiles above a site, averaged over the night and at given times.

    Parameters
    ----------
    atmosphere : SimulatedAtmosphere
        The truth.
    site : Site
        Place.
    night : AstronomicalNight
        The mean is over its dark time, weighted by time.
    times : Time, shape (n_times,)
        Times of the columns ``*_at_times``.

    Returns
    -------
    QTable
        A row every 100 m from sea level to 60 km: ``altitude``, ``pressure``, ``temperature``,
        ``density``, ``number_density``, ``water_vapour_mole_fraction``, and pressure,
        temperature and density at each time.
    """
    keep = slice(_SEA_LEVEL, _SEA_LEVEL + int(60e3 / _STEP) + 1, int(100 / _STEP))
    seconds = np.linspace(0.0, (night.dawn - night.dusk).to_value(u.s), 49)
    mean = {
        name: np.trapezoid(value, seconds, axis=0) / seconds[-1]
        for name, value in _profiles(atmosphere, site, night.dusk + seconds * u.s, keep).items()
    }
    each = _profiles(atmosphere, site, times, keep)
    table = QTable({"altitude": _ALTITUDE[keep] * u.m})
    for name, unit in _UNITS.items():
        table[name] = u.Quantity(mean[name], unit[0]).to(unit[1])
    for name in ("pressure", "temperature", "density"):
        table[f"{name}_at_times"] = u.Quantity(each[name].T, _UNITS[name][0]).to(_UNITS[name][1])
    return table


_UNITS = {
    "pressure": (u.Pa, u.hPa),
    "temperature": (u.K, u.K),
    "density": (u.kg / u.m**3, u.kg / u.m**3),
    "number_density": (u.m**-3, u.cm**-3),
    "water_vapour_mole_fraction": (u.one, u.one),
}


def _profiles(
    atmosphere: SimulatedAtmosphere, site: Site, times: Time, keep: slice
) -> dict[str, NDArray]:
    """Profiles above the site at `times`, shape (n_times, n), SI units."""
    t = atmosphere.seconds(times)
    lat = np.full(t.shape, site.latitude.to_value(u.deg))
    lon = np.full(t.shape, site.longitude.to_value(u.deg))
    pressure = atmosphere.pressure(lat, lon, t)[:, keep]
    z = _ALTITUDE[keep]
    temperature = atmosphere.temperature(z, *(a[:, np.newaxis] for a in (lat, lon, t)))
    mole_fraction = np.broadcast_to(atmosphere.water_vapour_mole_fraction(z), pressure.shape)
    moles = pressure / (
        compressibility(pressure, temperature, mole_fraction) * GAS_CONSTANT * temperature
    )
    return {
        "pressure": pressure,
        "temperature": temperature,
        "density": moles * molar_mass(mole_fraction),
        "number_density": moles * AVOGADRO,
        "water_vapour_mole_fraction": mole_fraction,
    }
