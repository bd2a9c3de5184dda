"""Seasonal reference atmospheres: choice, averaging of nights, climatology, CTAO's tables.

A reference atmosphere is a `MolecularProfile` to 120 km of one season at one site. The one of a
night is that whose molecular number density at 15 km comes nearest to the night's; the boundary
between two models is the midpoint of their densities. Without meteorological data the season of
the date decides, and the choice says so.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

import astropy.units as u
import numpy as np
from astropy.table import QTable
from numpy.typing import NDArray

from ..core.exceptions import ConfigurationError, CorruptedInputError, InsufficientStatisticsError
from ..core.site import Site
from .density_profile import MolecularProfile
from .humid_air import AVOGADRO, GAS_CONSTANT, molar_mass_moist_air
from .standard_atmosphere import standard_atmosphere

__all__ = [
    "CLIMATOLOGY_ALTITUDES",
    "REFERENCE_ALTITUDE",
    "ModelChoice",
    "NightAverage",
    "choice_by_date",
    "choice_by_density",
    "combined_average",
    "ctao_reference_profile",
    "density_boundaries",
    "msis_climatology",
    "msis_profiles",
    "night_average",
    "season_days",
    "us_standard_profile",
]

_BOLTZMANN = GAS_CONSTANT / AVOGADRO  # J/K

REFERENCE_ALTITUDE = 15 * u.km  # where seasons differ most against the noise of weather
CLIMATOLOGY_ALTITUDES = np.arange(0.0, 120.5, 0.5) * u.km


@dataclass(frozen=True)
class ModelChoice:
    """Which reference model, and why.

    Parameters
    ----------
    season : str
        Name of the chosen model.
    method : str
        ``density`` or ``date``.
    reason : str
        One sentence for people.
    margin_in_sigma : float
        Distance of the night's density to the nearest boundary in units of its error; NaN by date.
    """

    season: str
    method: str
    reason: str
    margin_in_sigma: float


def density_boundaries(reference: dict[str, u.Quantity]) -> list[u.Quantity]:
    """Midpoints between the sorted reference densities: where the choice changes."""
    values = sorted(density.to_value(1 / u.cm**3) for density in reference.values())
    return [(a + b) / 2 / u.cm**3 for a, b in pairwise(values)]


def choice_by_density(
    density: u.Quantity, error: u.Quantity, reference: dict[str, u.Quantity]
) -> ModelChoice:
    """Reference model nearest in number density at 15 km.

    Parameters
    ----------
    density, error : Quantity
        Number density of the night at 15 km and its error (1/cm3).
    reference : dict
        Season to number density at 15 km.

    Raises
    ------
    ConfigurationError
        If there is no reference model.
    CorruptedInputError
        If the density is not a positive number.
    """
    if not reference:
        raise ConfigurationError("no reference model to choose from: the pool of the site is empty")
    value = density.to_value(1 / u.cm**3)
    if not value > 0:
        raise CorruptedInputError(f"number density at 15 km is {value:g} 1/cm3, must be positive")
    known = {name: n.to_value(1 / u.cm**3) for name, n in reference.items()}
    season = min(known, key=lambda name: (abs(known[name] - value), name))
    sigma = error.to_value(1 / u.cm**3)
    edges = [edge.to_value(1 / u.cm**3) for edge in density_boundaries(reference)]
    distance = min((abs(value - edge) for edge in edges), default=np.inf)
    return ModelChoice(
        season=season,
        method="density",
        reason=(
            f"number density at 15 km is {value:.4e} 1/cm3; nearest model {season} has "
            f"{known[season]:.4e} 1/cm3"
        ),
        margin_in_sigma=distance / sigma if sigma > 0 else np.inf,
    )


def choice_by_date(night: date, site: Site, available: list[str], why: str) -> ModelChoice:
    """Reference model of the season of a date, when there are no meteorological data.

    Raises
    ------
    ConfigurationError
        If there is no model of that season.
    """
    season = site.season(night)
    if season not in available:
        raise ConfigurationError(
            f"no reference model for season {season!r} at {site.name}; the pool has "
            f"{', '.join(sorted(available)) or 'none'}: add one with "
            "calibpipe-create-reference-atmospheric-models"
        )
    return ModelChoice(
        season=season,
        method="date",
        reason=f"fell back to the date, {night.isoformat()} is {season} at {site.name}: {why}",
        margin_in_sigma=np.nan,
    )


@dataclass(frozen=True)
class NightAverage:
    """Mean of the profiles of several nights on one altitude grid.

    Parameters
    ----------
    profile : MolecularProfile
        Density, number density, pressure and humidity averaged; temperature follows from them.
    spread : Quantity
        (n_altitudes,) sample standard deviation of density from night to night (kg/m3); NaN for
        a single night.
    nights : tuple of str
        Which nights, sorted.
    """

    profile: MolecularProfile
    spread: u.Quantity
    nights: tuple[str, ...]


def night_average(profiles: dict[str, MolecularProfile]) -> NightAverage:
    """Average of the profiles of nights, given on one altitude grid.

    Parameters
    ----------
    profiles : dict
        Night to profile.

    Raises
    ------
    InsufficientStatisticsError
        If there is no profile.
    """
    if not profiles:
        raise InsufficientStatisticsError("a mean profile needs at least one night, got none")
    each = list(profiles.values())
    density = np.array([p.density.to_value(u.kg / u.m**3) for p in each])
    spread = density.std(axis=0, ddof=1) if len(each) > 1 else np.full(density.shape[1], np.nan)
    mean = _mean_of(
        each[0].altitude,
        density.mean(axis=0),
        np.mean([p.number_density.to_value(1 / u.cm**3) for p in each], axis=0),
        np.mean([p.pressure.to_value(u.hPa) for p in each], axis=0),
        np.mean([p.water_vapour_mole_fraction for p in each], axis=0),
    )
    return NightAverage(mean, spread * u.kg / u.m**3, tuple(sorted(profiles)))


def combined_average(first: NightAverage, second: NightAverage) -> NightAverage:
    """Average of two disjoint sets of nights, from their averages alone (Chan et al. 1979).

    Equal to `night_average` of all nights together.

    Raises
    ------
    ConfigurationError
        If a night is in both, or the altitude grids differ.
    """
    if common := set(first.nights) & set(second.nights):
        raise ConfigurationError(
            f"nights {sorted(common)} are already part of the reference model; leave them out"
        )
    a, b = first.profile, second.profile
    if a.altitude.shape != b.altitude.shape or not np.allclose(a.altitude, b.altitude):
        raise ConfigurationError("reference models on different altitude grids cannot be combined")
    n_a, n_b = len(first.nights), len(second.nights)
    n = n_a + n_b

    def mean(x: u.Quantity, y: u.Quantity, unit: u.UnitBase | u.Quantity) -> NDArray:
        return (n_a * x.to_value(unit) + n_b * y.to_value(unit)) / n

    unit = u.kg / u.m**3
    delta = b.density.to_value(unit) - a.density.to_value(unit)
    squares = _squares(first) + _squares(second) + delta**2 * n_a * n_b / n
    profile = _mean_of(
        a.altitude,
        mean(a.density, b.density, unit),
        mean(a.number_density, b.number_density, 1 / u.cm**3),
        mean(a.pressure, b.pressure, u.hPa),
        (n_a * a.water_vapour_mole_fraction + n_b * b.water_vapour_mole_fraction) / n,
    )
    nights = tuple(sorted(first.nights + second.nights))
    return NightAverage(profile, np.sqrt(squares / (n - 1)) * unit, nights)


def _squares(average: NightAverage) -> np.ndarray:
    """Sum of squared deviations from the mean; zero for a single night."""
    if len(average.nights) == 1:
        return np.zeros(average.spread.shape)
    return (len(average.nights) - 1) * average.spread.to_value(u.kg / u.m**3) ** 2


def _mean_of(
    altitude: u.Quantity,
    density: NDArray,
    number_density: NDArray,
    pressure: NDArray,
    vapour: NDArray,
) -> MolecularProfile:
    return MolecularProfile(
        altitude=altitude,
        pressure=pressure * u.hPa,
        temperature=pressure * 1e-4 / (number_density * _BOLTZMANN) * u.K,  # p/(n k), hPa and 1/cm3
        density=density * u.kg / u.m**3,
        number_density=number_density / u.cm**3,
        water_vapour_mole_fraction=vapour,
    )


# ASSUME: climatological humidity, exp(-z/2 km) from 1.5 % at sea level, 5 ppm in the stratosphere:
# NRLMSIS has none. It lowers the density at 2.2 km by 0.2 %.
_VAPOUR_SEA_LEVEL, _VAPOUR_SCALE, _VAPOUR_STRATOSPHERE = 1.5e-2, 2.0 * u.km, 5e-6


def msis_climatology(
    site: Site, days: list[date], altitude: u.Quantity = CLIMATOLOGY_ALTITUDES
) -> dict[str, MolecularProfile]:
    """NRLMSISE-00 over a site at the local midnight that follows each day."""
    midnight = np.timedelta64(round((24 - site.longitude.to_value(u.deg) / 15) * 60), "m")
    moments = [np.datetime64(day.isoformat()) + midnight for day in days]
    profiles = msis_profiles(site, np.array(moments), altitude)
    return {day.isoformat(): profile for day, profile in zip(days, profiles, strict=True)}


def msis_profiles(site: Site, moments: np.ndarray, altitude: u.Quantity) -> list[MolecularProfile]:
    """NRLMSISE-00 over a site at mean solar activity, with a climatological humidity.

    Solar flux F10.7 = 150 and Ap = 4 are given, so that nothing is looked up.

    Parameters
    ----------
    site : Site
        Where.
    moments : ndarray of datetime64
        (n,) UTC.
    altitude : Quantity
        (n_altitudes,) ascending.

    References
    ----------
    Picone, J. M. et al. (2002), JGR 107, 1468, doi 10.1029/2002JA009430 (through pymsis).
    """
    import pymsis

    out = pymsis.calculate(
        moments,
        site.longitude.to_value(u.deg),
        site.latitude.to_value(u.deg),
        altitude.to_value(u.km),
        f107s=np.full(moments.size, 150.0),
        f107as=np.full(moments.size, 150.0),
        aps=np.full((moments.size, 7), 4.0),
        version=0,
    ).reshape(moments.size, altitude.size, -1)
    vapour = _VAPOUR_STRATOSPHERE + _VAPOUR_SEA_LEVEL * np.exp(
        -(altitude / _VAPOUR_SCALE).to_value(u.one)
    )
    profiles = []
    for row in out.astype(float):
        n = np.nansum(row[:, 1:9], axis=1)  # N2 O2 O He H Ar N and anomalous O, 1/m3
        density = row[:, 0] * (1 - 0.378 * vapour)  # 0.378 = 1 - M(H2O)/M(air)
        profiles.append(
            MolecularProfile(
                altitude=altitude.to(u.m),
                pressure=(n * _BOLTZMANN * row[:, 10] * u.Pa).to(u.hPa),
                temperature=row[:, 10] * u.K,
                density=density * u.kg / u.m**3,
                number_density=(n / u.m**3).to(1 / u.cm**3),
                water_vapour_mole_fraction=vapour,
            )
        )
    return profiles


def us_standard_profile(altitude: u.Quantity) -> MolecularProfile:
    """US Standard Atmosphere 1976 (dry) as a profile, 0 to 120 km."""
    air = standard_atmosphere(altitude)
    return MolecularProfile(
        altitude=altitude.to(u.m),
        pressure=air.pressure.to(u.hPa),
        temperature=air.temperature,
        density=air.density.to(u.kg / u.m**3),
        number_density=air.number_density.to(1 / u.cm**3),
        water_vapour_mole_fraction=np.full(altitude.shape, _VAPOUR_STRATOSPHERE),
    )


def season_days(site: Site, season: str, year: int = 2022, step: int = 7) -> list[date]:
    """Every `step`-th day of a year that belongs to a season."""
    days = [date(year, 1, 1) + timedelta(days=k) for k in range(0, 365, step)]
    return [day for day in days if site.season(day) == season]


def ctao_reference_profile(table: QTable, co2_mole_fraction: float = 415e-6) -> MolecularProfile:
    """Profile of one of CTAO's reference tables (61 rows, 0 to 120 km).

    Temperature, pressure and humidity are taken from the table; mass density is computed anew:
    the table's own column is that of dry air, its thickness is p/9.80665, and the two contradict
    each other by up to 15 % a layer above 43 km.

    Parameters
    ----------
    table : QTable
        Columns altitude, atmospheric_density, temperature, pressure, partial_water_pressure (e/p).

    Raises
    ------
    CorruptedInputError
        If a column is missing or the altitudes do not rise.
    """
    needed = {
        "altitude",
        "atmospheric_density",
        "temperature",
        "pressure",
        "partial_water_pressure",
    }
    if missing := needed - set(table.colnames):
        raise CorruptedInputError(f"reference table lacks the columns {sorted(missing)}")
    altitude = table["altitude"].to(u.m)
    if not np.all(np.diff(altitude.value) > 0):
        raise CorruptedInputError("altitudes of the reference table do not rise from row to row")
    vapour = np.asarray(table["partial_water_pressure"], dtype=float)
    dry_mass = 28.9644e-3 * u.kg / u.mol  # the molar mass behind the table's own density
    avogadro = AVOGADRO / u.mol
    n = (table["atmospheric_density"] / dry_mass * avogadro).to(1 / u.cm**3)
    molar_mass = molar_mass_moist_air(vapour, co2_mole_fraction)
    return MolecularProfile(
        altitude=altitude,
        pressure=table["pressure"].to(u.hPa),
        temperature=table["temperature"].to(u.K),
        density=(n * molar_mass / avogadro).to(u.kg / u.m**3),
        number_density=n,
        water_vapour_mole_fraction=vapour,
    )
