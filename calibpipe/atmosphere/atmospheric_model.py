"""The atmosphere of a night as simulation and photometry want it, on their altitude grids.

Everything comes from one fine `MolecularProfile` (50 m to 120 km): thickness and the columns of
dry air and water vapour by integrating it downward from the top, refractivity by Ciddor's formula
at a **named** wavelength (350 instead of 400 nm would be 1.2 % more Cherenkov light).
"""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from .density_profile import MolecularProfile, column_above
from .refractivity import refractivity

__all__ = [
    "FINE_ALTITUDES",
    "ShowerAtmosphere",
    "column_relative_error",
    "extinction_altitudes",
    "partial_columns",
    "shower_atmosphere",
]

FINE_ALTITUDES = np.arange(0.0, 120_001.0, 50.0) * u.m


@dataclass(frozen=True)
class ShowerAtmosphere:
    """Columns of a CORSIKA ``atmprof`` table; every array (n_altitudes,), ascending."""

    altitude: u.Quantity
    density: u.Quantity
    thickness: u.Quantity
    refractivity: np.ndarray
    temperature: u.Quantity
    pressure: u.Quantity
    water_vapour_pressure_ratio: np.ndarray


def shower_atmosphere(
    profile: MolecularProfile,
    altitude: u.Quantity,
    wavelength: u.Quantity,
    co2_mole_fraction: float,
) -> ShowerAtmosphere:
    """Density, thickness and refractivity on the altitude grid of a simulation.

    Parameters
    ----------
    profile : MolecularProfile
        Fine; its top is where the thickness is zero.
    altitude : Quantity
        (n,) ascending, inside the profile.
    wavelength : Quantity
        At which n-1 is given.
    co2_mole_fraction : float
        For example 420e-6.

    Returns
    -------
    ShowerAtmosphere
        Thickness in g/cm2, density in g/cm3, pressure in hPa.
    """
    fine, rows = _with_rows_at(profile, altitude)
    thickness = column_above(fine.altitude, fine.density).to_value(u.g / u.cm**2)
    here = profile.at(altitude)
    return ShowerAtmosphere(
        altitude=altitude.to(u.km),
        density=here.density.to(u.g / u.cm**3),
        thickness=thickness[rows] * u.g / u.cm**2,
        refractivity=np.asarray(
            refractivity(
                wavelength,
                here.pressure,
                here.temperature,
                here.water_vapour_mole_fraction,
                co2_mole_fraction,
            )
        ),
        temperature=here.temperature,
        pressure=here.pressure,
        water_vapour_pressure_ratio=here.water_vapour_mole_fraction,
    )


_NEAR_GROUND = np.array([0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0])  # km above the site
_HIGHER = np.concatenate(  # km above the sea
    [
        np.arange(4.5, 6.0, 0.5),
        np.arange(6.0, 16.0, 1.0),
        np.arange(16.0, 30.0, 2.0),
        np.arange(30.0, 40.0, 2.5),
        np.arange(40.0, 121.0, 5.0),
    ]
)


def extinction_altitudes(observation_altitude: u.Quantity) -> u.Quantity:
    """Edges (51,) of the layers of an extinction table: dense near the ground, to 120 km.

    For 2158 m they are those of CTAO's reference tables.

    Raises
    ------
    ValueError
        If the site is not between sea level and 2.45 km (the edges would not rise).
    """
    site = observation_altitude.to_value(u.km)
    if not 0 <= site < 2.45:
        raise ValueError(f"observation level {site:g} km: the grid is made for 0 to 2.45 km")
    return np.concatenate([site + _NEAR_GROUND, _HIGHER]) * u.km


def partial_columns(profile: MolecularProfile, edges: u.Quantity) -> tuple[u.Quantity, u.Quantity]:
    """Molecules of dry air and of water vapour between the lowest edge and each higher one.

    Parameters
    ----------
    profile : MolecularProfile
        Fine; reaches from below the lowest edge to the highest one.
    edges : Quantity
        (n + 1,) ascending.

    Returns
    -------
    dry, vapour : Quantity
        (n,) 1/cm2.
    """
    fine, rows = _with_rows_at(profile, edges)
    x = fine.water_vapour_mole_fraction
    above = [
        column_above(fine.altitude, fine.number_density * np.maximum(share, 1e-30))
        for share in (1 - x, x)
    ]
    dry, vapour = ((column[rows[0]] - column[rows[1:]]).to(1 / u.cm**2) for column in above)
    return dry, vapour


def _with_rows_at(profile: MolecularProfile, altitude: u.Quantity) -> tuple:
    """Profile with rows at further altitudes as well, and which rows those are."""
    wanted = altitude.to_value(u.m)
    merged = np.union1d(profile.altitude.to_value(u.m), wanted)
    merged = merged[np.append(True, np.diff(merged) > 1e-3)]  # m: rounding of equal altitudes
    return profile.at(merged * u.m), np.searchsorted(merged, wanted - 1e-2)


def column_relative_error(
    altitude: u.Quantity,
    density: u.Quantity,
    relative: np.ndarray,
    base: u.Quantity,
    top: u.Quantity,
) -> np.ndarray:
    r"""Relative error of the column between altitudes: :math:`\int\rho\sigma dz/\int\rho dz`.

    # ASSUME: systematic errors of density are fully correlated in altitude (one height error, one
    reanalysis): they add up linearly.

    Parameters
    ----------
    altitude, density : Quantity
        (n,) fine profile.
    relative : ndarray
        (n,) relative error of density.
    base, top : Quantity
        (m,) ends of the columns, `base` not above `top`, broadcast; an empty column has no error.
    """
    z = altitude.to_value(u.m)
    column = column_above(altitude, density).value
    error = column_above(altitude, density * relative).value

    def between(values: NDArray) -> NDArray:
        low, high = (np.interp(end.to_value(u.m), z, values) for end in (base, top))
        return low - high

    mass = between(column)
    return np.divide(between(error), mass, out=np.zeros_like(mass), where=mass > 0)
