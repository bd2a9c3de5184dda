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
from astropy.table import QTable
from astropy.time import Time, TimeDelta
from numpy.typing import NDArray

from ..core.exceptions import ConfigurationError
from ..core.meteo_files import PressureLevelData
from ..core.night import AstronomicalNight
from ..core.site import Site
from .air_column import (
    ALTITUDE,
    AVOGADRO,
    GAS_CONSTANT,
    SEA_LEVEL,
    STEP,
    compressibility,
    geopotential_height,
    hydrostatic_pressure,
    molar_mass,
    nrlmsise00,
    ozone_mixing_ratio,
    relative_humidity,
    saturation_pressure_water,
    specific_humidity,
)

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
    "pressure_level_data",
    "profiles",
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

STRATOSPHERIC_WATER = 5e-6  # mole fraction (SPARC WAVAS, 2000)
N_WAVES = 4


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
        out = np.interp(z, ALTITUDE, self.climatology)
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
        temperature = self.temperature(ALTITUDE, lat, lon, t)
        mole_fraction = self.water_vapour_mole_fraction(ALTITUDE)
        return hydrostatic_pressure(
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
        reference_time, site.latitude, site.longitude, ALTITUDE * u.m
    )
    climatology, pressure = temperature.value, float(pressures[SEA_LEVEL].value)
    vapour = weather.sea_level_humidity * saturation_pressure_water(climatology[SEA_LEVEL])
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
        geopotential_height=geopotential_height(z, lat) * u.m,
        temperature=temperature,
        humidity=humidity,
        humidity_kind=humidity_kind,
        ozone=ozone_mixing_ratio(z) * u.one,
        forecast_hours=0.0,
        experiment_version="0001" if dataset == "ERA5" else "",
    )


def _altitude_of_levels(log_pressure: NDArray, levels: NDArray) -> NDArray:
    """Altitude [m] of levels, shape (n_times, n_levels, n_lat, n_lon), log-linear in 25 m."""
    columns = log_pressure.reshape(-1, ALTITUDE.size)
    lowest, highest = columns[:, 0].min(), columns[:, -1].max()
    if levels.max() > lowest or levels.min() < highest:
        raise ConfigurationError(
            f"pressure levels {np.exp(levels.max()) / 100:g} to {np.exp(levels.min()) / 100:g} hPa "
            f"reach beyond the simulated atmosphere, {np.exp(lowest) / 100:.1f} to "
            f"{np.exp(highest) / 100:.3f} hPa; leave out the levels beyond it"
        )
    z = np.array([np.interp(-levels, -column, ALTITUDE) for column in columns])
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
    keep = slice(SEA_LEVEL, SEA_LEVEL + int(60e3 / STEP) + 1, int(100 / STEP))
    seconds = np.linspace(0.0, (night.dawn - night.dusk).to_value(u.s), 49)
    mean = {
        name: np.trapezoid(value, seconds, axis=0) / seconds[-1]
        for name, value in profiles(atmosphere, site, night.dusk + seconds * u.s, keep).items()
    }
    each = profiles(atmosphere, site, times, keep)
    table = QTable({"altitude": ALTITUDE[keep] * u.m})
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


def profiles(
    atmosphere: SimulatedAtmosphere, site: Site, times: Time, keep: slice
) -> dict[str, NDArray]:
    """Profiles above the site at `times`, shape (n_times, n), SI units."""
    t = atmosphere.seconds(times)
    lat = np.full(t.shape, site.latitude.to_value(u.deg))
    lon = np.full(t.shape, site.longitude.to_value(u.deg))
    pressure = atmosphere.pressure(lat, lon, t)[:, keep]
    z = ALTITUDE[keep]
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
