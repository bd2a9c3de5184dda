r"""Molecular density between pressure levels.

Between levels the pressure is interpolated by the cubic Hermite polynomial of ln p against
geopotential height whose slopes are the hydrostatic ones, :math:`d\ln p/dH = -g_0\rho/p`, of the
levels' own temperature and humidity. Density is its derivative, :math:`\rho = -(dp/dH)/g_0`: it
agrees with the humid-air density at every level, the column between any two levels is exactly the
difference of their pressures over :math:`g_0`, and the layer's mean temperature is that of its
measured thickness. Against the US Standard Atmosphere on the ERA5 levels this is 5 times better
(rms below 30 km, 1.1e-4) than ln rho interpolated linearly or by PCHIP; `docs/methods/`.
"""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicHermiteSpline

from ..core.exceptions import CorruptedInputError, MissingInputError
from .humid_air import (
    AVOGADRO,
    GAS_CONSTANT,
    compressibility_factor,
    moist_air_density,
    molar_mass_moist_air,
)
from .meteorology import (
    STANDARD_GRAVITY,
    Sounding,
    geometric_altitude,
    geopotential_height,
)

__all__ = ["MolecularProfile", "column_above", "exponential_integral", "molecular_profile"]

_G0 = STANDARD_GRAVITY.value
# Thickness of a layer against its temperatures: below 0.1 % in the troposphere of real ERA5 and
# GFS, up to 0.8 % in the thick layers of their stratosphere, where temperature is curved.
_BALANCE_LIMIT = 0.02
_BURIED_BALANCE_LIMIT = 0.003
_LAPSE_BELOW = 6.5e-3  # K/m, ICAO standard lapse rate
_MARGIN_BELOW = 500.0  # m of extrapolation below the lowest level or the sea


@dataclass(frozen=True)
class MolecularProfile:
    """Air against altitude; every array (n_altitudes,), altitude ascending.

    Parameters
    ----------
    altitude : Quantity
        Above the sea, m.
    pressure, temperature : Quantity
        hPa, K.
    density : Quantity
        Mass density of humid air, kg/m3.
    number_density : Quantity
        All molecules, 1/cm3.
    water_vapour_mole_fraction : ndarray
        Dimensionless.
    """

    altitude: u.Quantity
    pressure: u.Quantity
    temperature: u.Quantity
    density: u.Quantity
    number_density: u.Quantity
    water_vapour_mole_fraction: np.ndarray

    def at(self, altitude: u.Quantity) -> "MolecularProfile":
        """Profile at other altitudes inside its own: logarithmic, temperature linear.

        Raises
        ------
        MissingInputError
            If an altitude is outside the profile.
        """
        known, wanted = self.altitude.to_value(u.m), altitude.to_value(u.m)
        if np.min(wanted) < known[0] - 1e-6 or np.max(wanted) > known[-1] + 1e-6:
            raise MissingInputError(
                f"altitude {np.min(wanted):.0f} to {np.max(wanted):.0f} m asked of a profile that "
                f"reaches from {known[0]:.0f} to {known[-1]:.0f} m"
            )

        def logarithmic(values: NDArray) -> NDArray:
            tiny = np.finfo(float).tiny
            return np.exp(np.interp(wanted, known, np.log(np.maximum(values, tiny))))

        return MolecularProfile(
            altitude=altitude.to(u.m),
            pressure=logarithmic(self.pressure.value) * self.pressure.unit,
            temperature=np.interp(wanted, known, self.temperature.value) * self.temperature.unit,
            density=logarithmic(self.density.value) * self.density.unit,
            number_density=logarithmic(self.number_density.value) * self.number_density.unit,
            water_vapour_mole_fraction=np.interp(wanted, known, self.water_vapour_mole_fraction),
        )


def molecular_profile(
    sounding: Sounding,
    altitude: u.Quantity,
    latitude: u.Quantity,
    co2_mole_fraction: float,
    ground: u.Quantity = 0 * u.m,
    time_index: int = 0,
) -> MolecularProfile:
    """Profile of one time of a sounding at given altitudes.

    Parameters
    ----------
    sounding : Sounding
        Over the site.
    altitude : Quantity
        (n_altitudes,) ascending, above -500 m and not above the highest level.
    latitude : Quantity
        Of the site: decides gravity.
    co2_mole_fraction : float
        For example 420e-6.
    ground : Quantity
        Altitude of the site: levels below it may be a model's extrapolation into the ground.
    time_index : int
        Which time of the sounding.

    Raises
    ------
    MissingInputError
        If an altitude lies above the highest level.
    CorruptedInputError
        If heights do not rise from level to level, or contradict the temperatures (see Notes).

    Notes
    -----
    A layer whose measured thickness differs by more than 2 % from the one its temperatures give is
    no hydrostatic layer: above ground a level or a field is wrong. Below ground weather models
    extrapolate heights and temperatures by different rules (ERA5 at Paranal: up to 3 %); layers
    off by more than 0.3 % there, and all below them, are left out. Below the lowest level that is
    left the air is continued with 6.5 K/km and its humidity kept (# ASSUME: nothing is measured
    there, CORSIKA wants a row at sea level).
    """
    height = sounding.geopotential_height[time_index].to_value(u.m)
    temperature = sounding.temperature[time_index].to_value(u.K)
    vapour = sounding.water_vapour_mole_fraction[time_index]
    pressure = sounding.pressure.to_value(u.Pa)
    if not np.all(np.diff(height) > 0):
        level = int(np.argmin(np.diff(height)))
        raise CorruptedInputError(
            f"geopotential height does not rise from {pressure[level] / 100:g} to "
            f"{pressure[level + 1] / 100:g} hPa ({height[level]:.1f} to "
            f"{height[level + 1]:.1f} m); the file is damaged or its levels are mixed up"
        )
    below = geopotential_height(ground, latitude).to_value(u.m)
    first = _first_sound_level(height, temperature, vapour, pressure, co2_mole_fraction, below)
    height, temperature, vapour, pressure = _with_level_below(
        height[first:], temperature[first:], vapour[first:], pressure[first:], co2_mole_fraction
    )
    density = _humid_density(pressure, temperature, vapour, co2_mole_fraction)
    slope = -_G0 * density / pressure

    wanted = geopotential_height(altitude, latitude).to_value(u.m)
    if np.max(wanted) > height[-1] + 1e-6:
        raise MissingInputError(
            f"altitude {np.max(altitude.to_value(u.m)):.0f} m is above the highest level, "
            f"{pressure[-1] / 100:g} hPa at "
            f"{geometric_altitude(height[-1] * u.m, latitude).to_value(u.m):.0f} m"
        )
    spline = CubicHermiteSpline(height, np.log(pressure), slope)
    p = np.exp(spline(wanted))
    rho = -p * spline(wanted, 1) / _G0
    x = np.exp(np.interp(wanted, height, np.log(vapour)))
    t = _temperature(p, rho, x, co2_mole_fraction)
    molar_mass = np.asarray(molar_mass_moist_air(x, co2_mole_fraction).to_value(u.kg / u.mol))
    n = rho * AVOGADRO / molar_mass
    return MolecularProfile(
        altitude=altitude.to(u.m),
        pressure=(p * u.Pa).to(u.hPa),
        temperature=t * u.K,
        density=rho * u.kg / u.m**3,
        number_density=(n / u.m**3).to(1 / u.cm**3),
        water_vapour_mole_fraction=x,
    )


def _humid_density(p: NDArray, t: NDArray, x: NDArray, co2: float) -> NDArray:
    density = moist_air_density(p * u.Pa, t * u.K, x, co2)
    return density.to_value(u.kg / u.m**3)


def _with_level_below(
    height: NDArray, temperature: NDArray, vapour: NDArray, pressure: NDArray, co2: float
) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Prepend a level below ground so that sea level is inside: a polytropic layer."""
    below = min(height[0], 0.0) - _MARGIN_BELOW
    warmer = temperature[0] + _LAPSE_BELOW * (height[0] - below)
    lowest = _humid_density(pressure[0], temperature[0], vapour[0], co2)
    gas_constant = pressure[0] / (lowest * temperature[0])  # J/kg/K of this humid air
    denser = pressure[0] * (warmer / temperature[0]) ** (_G0 / (gas_constant * _LAPSE_BELOW))
    return (
        np.concatenate([[below], height]),
        np.concatenate([[warmer], temperature]),
        np.concatenate([vapour[:1], vapour]),
        np.concatenate([[denser], pressure]),
    )


def _first_sound_level(
    height: NDArray,
    temperature: NDArray,
    vapour: NDArray,
    pressure: NDArray,
    co2: float,
    ground: float,
) -> int:
    """Index of the lowest level above which every layer is in hydrostatic balance."""
    slope = _G0 * _humid_density(pressure, temperature, vapour, co2) / pressure
    expected = (slope[1:] + slope[:-1]) / 2 * np.diff(height)
    deviation = np.abs(-np.diff(np.log(pressure)) / expected - 1)
    buried = height[1:] <= ground
    if np.any(wrong := ~buried & (deviation > _BALANCE_LIMIT)):
        worst = int(np.argmax(np.where(wrong, deviation, 0)))
        raise CorruptedInputError(
            f"layer {pressure[worst] / 100:.0f} to {pressure[worst + 1] / 100:.0f} hPa is not in "
            f"hydrostatic balance: its thickness and its temperatures differ by "
            f"{100 * deviation[worst]:.1f} %, limit {100 * _BALANCE_LIMIT:g} %; a level, a "
            "temperature or a height is wrong in the file"
        )
    invented = np.flatnonzero(buried & (deviation > _BURIED_BALANCE_LIMIT))
    return int(invented[-1]) + 1 if invented.size else 0


def _temperature(p: NDArray, rho: NDArray, x: NDArray, co2: float) -> NDArray:
    """Temperature of humid air of a pressure and density (the inverse of CIPM-2007)."""
    molar_mass = np.asarray(molar_mass_moist_air(x, co2).to_value(u.kg / u.mol))
    ideal = p * molar_mass / (GAS_CONSTANT * rho)
    t = ideal
    for _ in range(3):  # Z - 1 is below 1e-3: converges by 1e-3 a step
        t = ideal / np.asarray(compressibility_factor(p * u.Pa, t * u.K, x))
    return t


def exponential_integral(values: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Integral of each interval, exact for exponentials: (a - b) dz / ln(a/b)."""
    a, b = values[:-1], values[1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        log_ratio = np.log(a / b)
        exponential = (a - b) / log_ratio
    flat = ~np.isfinite(exponential) | (np.abs(log_ratio) < 1e-9)  # also where a value is zero
    return np.diff(z) * np.where(flat, (a + b) / 2, exponential)


def column_above(altitude: u.Quantity, density: u.Quantity) -> u.Quantity:
    """Column of a density above each altitude up to the highest one, where it is zero.

    Integrated downward from the top, each interval as an exponential.

    Parameters
    ----------
    altitude : Quantity
        (n,) ascending.
    density : Quantity
        (n,) positive: mass density gives mass per area, number density molecules per area.
    """
    pieces = exponential_integral(density.value, altitude.to_value(u.cm))
    column = np.append(np.cumsum(pieces[::-1])[::-1], 0.0)
    return column * u.cm * density.unit
