"""Density of humid air by the CIPM-2007 equation, and water vapour from what models give.

All functions broadcast. Outside the laboratory range in which CIPM-2007 claims 2.2e-5
(600-1100 hPa, 15-27 degC) the compressibility factor tends to 1 with falling pressure, so that
the equation goes over into the ideal gas.

References
----------
Picard, Davis, Gläser, Fujii 2008, Metrologia 45, 149, doi 10.1088/0026-1394/45/2/004 (CIPM-2007).
Murphy, Koop 2005, Q. J. R. Meteorol. Soc. 131, 1539, doi 10.1256/qj.04.94 (ice).
ECMWF, IFS Documentation, part IV, physical processes (saturation of the mixed phase).
"""

from typing import Literal, get_args

import astropy.units as u
import numpy as np

from ..core.exceptions import ConfigurationError, CorruptedInputError

__all__ = [
    "checked_co2_mole_fraction",
    "compressibility_factor",
    "enhancement_factor",
    "moist_air_density",
    "molar_mass_dry_air",
    "molar_mass_moist_air",
    "number_density",
    "saturation_vapour_pressure",
    "water_vapour_mole_fraction",
    "water_vapour_mole_fraction_from_relative_humidity",
]

Saturation = Literal["water", "ice", "ifs", "gfs"]

AVOGADRO = 6.02214076e23  # 1/mol, SI 2019, exact
GAS_CONSTANT = 8.314472  # J/(mol K), CODATA 2006: part of CIPM-2007, not the SI value of 2019
MOLAR_MASS_WATER = 18.01528e-3  # kg/mol, CIPM-2007
WATER_TO_DRY_AIR_MASS = 0.62198  # molar mass of water over that of dry air, WMO 1966
CELSIUS_ZERO = 273.15  # K
TRIPLE_POINT = 273.16  # K, as in the models' saturation formulas

MAX_CO2 = 0.01  # mole fraction
MAX_SPECIFIC_HUMIDITY = 0.1  # kg/kg; nature stays below 0.03
MAX_RELATIVE_HUMIDITY = 3.0  # 1; models supersaturate over ice, up to 1.7


def checked_co2_mole_fraction(co2_mole_fraction: float | u.Quantity) -> np.ndarray:
    """CO2 mole fraction as plain numbers, refused if it can only be meant in ppm.

    Parameters
    ----------
    co2_mole_fraction : float, array or Quantity, any shape
        Mole fraction in dry air, 420 ppm is ``420e-6``. NaN passes.

    Raises
    ------
    ConfigurationError
        If a value lies outside [0, 0.01].
    """
    value = u.Quantity(co2_mole_fraction, u.one).value
    bad = (value < 0) | (value > MAX_CO2)
    if np.any(bad):
        raise ConfigurationError(
            f"co2_mole_fraction = {_first(value, bad):g} is outside [0, {MAX_CO2:g}]; "
            "give a mole fraction, 420 ppm is 420e-6"
        )
    return value


@u.quantity_input(temperature=u.K, equivalencies=u.temperature())
def saturation_vapour_pressure(
    temperature: u.Quantity, over: Saturation = "water"
) -> u.Quantity[u.Pa]:
    """Saturation vapour pressure of water.

    * ``water``: CIPM-2007, exp(A T² + B T + C + D/T), liquid, extrapolated below 0 degC;
    * ``ice``: Murphy and Koop 2005, equation 7, hexagonal ice above 110 K;
    * ``ifs``: what ECMWF divides by for the relative humidity of ERA5: Tetens over water above
      273.16 K, over ice below 250.16 K, between them mixed with weight ((T-250.16)/23)² of water;
    * ``gfs``: NCEP's mixture, weight (T-253.16)/20 of water between 253.16 K and 273.16 K.

    Parameters
    ----------
    temperature : Quantity[temperature], any shape
        Kelvin or degrees Celsius. NaN gives NaN.
    over : {"water", "ice", "ifs", "gfs"}
        Phase or model.

    Returns
    -------
    Quantity[Pa]
        Shape of `temperature`.

    Raises
    ------
    ConfigurationError
        If `over` is another word.
    CorruptedInputError
        If a temperature is not above 0 K.
    """
    T = _kelvin(temperature)
    if over == "water":
        pressure = np.exp(1.2378847e-5 * T**2 - 1.9121316e-2 * T + 33.93711047 - 6343.1645 / T)
    elif over == "ice":
        pressure = np.exp(9.550426 - 5723.265 / T + 3.53068 * np.log(T) - 0.00728332 * T)
    elif over == "ifs":
        pressure = _mixed_phase(T, all_ice_below=250.16, power=2)
    elif over == "gfs":
        # ASSUME: NCEP's own water and ice curves agree with the Tetens ones to 1 %.
        pressure = _mixed_phase(T, all_ice_below=253.16, power=1)
    else:
        raise ConfigurationError(
            f"saturation over {over!r} is not known; choose one of {get_args(Saturation)}"
        )
    return pressure << u.Pa


def _mixed_phase(T: np.ndarray, all_ice_below: float, power: int) -> np.ndarray:
    """Pa: Tetens curves of the IFS (611.21 Pa at 273.16 K), mixed by temperature."""
    warm = np.maximum(T, 100.0)  # ASSUME: no air below 100 K; keeps away from the pole at 32.19 K
    water = 611.21 * np.exp(17.502 * (warm - TRIPLE_POINT) / (warm - 32.19))
    ice = 611.21 * np.exp(22.587 * (warm - TRIPLE_POINT) / (warm + 0.7))
    weight = np.clip((T - all_ice_below) / (TRIPLE_POINT - all_ice_below), 0.0, 1.0) ** power
    return weight * water + (1.0 - weight) * ice


@u.quantity_input(pressure=u.Pa, temperature=u.K, equivalencies=u.temperature())
def enhancement_factor(
    pressure: u.Quantity, temperature: u.Quantity
) -> u.Quantity[u.dimensionless_unscaled]:
    """Ratio of the saturation pressure in air to that of pure water vapour (CIPM-2007).

    f = 1.00062 + 3.14e-8 p + 5.6e-7 t², with p in Pa and t in degC.

    Parameters
    ----------
    pressure, temperature : Quantity, broadcastable shapes
        NaN gives NaN.

    Raises
    ------
    CorruptedInputError
        If a temperature is not above 0 K or a pressure is negative.
    """
    p, t = _pascal(pressure), _kelvin(temperature) - CELSIUS_ZERO
    return (1.00062 + 3.14e-8 * p + 5.6e-7 * t**2) << u.dimensionless_unscaled


@u.quantity_input
def water_vapour_mole_fraction(
    specific_humidity: u.Quantity[u.dimensionless_unscaled],
) -> u.Quantity[u.dimensionless_unscaled]:
    """Mole fraction of water vapour (e/p) from specific humidity: q/(ε + (1-ε) q), ε = 0.62198.

    Parameters
    ----------
    specific_humidity : Quantity or float, any shape
        Mass of vapour over mass of moist air. Slightly negative values, which spectral models
        produce, count as 0; NaN gives NaN.

    Raises
    ------
    CorruptedInputError
        If a value is above 0.1 (g/kg read as kg/kg?).
    """
    q = u.Quantity(specific_humidity, u.one).value
    bad = q > MAX_SPECIFIC_HUMIDITY
    if np.any(bad):
        raise CorruptedInputError(
            f"specific humidity {_first(q, bad):g} kg/kg is above {MAX_SPECIFIC_HUMIDITY:g}; "
            "check its unit in the input file (g/kg?)"
        )
    q = np.maximum(q, 0.0)  # ASSUME: negative humidity is truncation noise
    eps = WATER_TO_DRY_AIR_MASS
    return q / (eps + (1.0 - eps) * q) << u.dimensionless_unscaled


@u.quantity_input(pressure=u.Pa, temperature=u.K, equivalencies=u.temperature())
def water_vapour_mole_fraction_from_relative_humidity(
    relative_humidity: u.Quantity[u.dimensionless_unscaled],
    pressure: u.Quantity,
    temperature: u.Quantity,
    saturation: Saturation = "water",
) -> u.Quantity[u.dimensionless_unscaled]:
    """Mole fraction of water vapour from relative humidity: h e_s(T)/p.

    Relative humidity means what its author divided by. Laboratory and weather-station humidity
    is over ``water`` (CIPM-2007, with the enhancement factor), ERA5's is ``ifs``, that of GFS
    and GDAS is ``gfs``; the models leave the enhancement factor (below 0.5 %) out.

    Parameters
    ----------
    relative_humidity : Quantity or float, any shape
        0..1 or a Quantity in percent. Negative values count as 0; NaN gives NaN.
    pressure, temperature : Quantity, broadcastable shapes
        Zero pressure gives NaN.
    saturation : {"water", "ice", "ifs", "gfs"}
        See `saturation_vapour_pressure`.

    Raises
    ------
    CorruptedInputError
        If a relative humidity is above 3 (percent read as fraction?) or means more vapour than
        there is air, a temperature is not above 0 K or a pressure is negative.
    ConfigurationError
        If `saturation` is another word.
    """
    h = u.Quantity(relative_humidity, u.one).value
    bad = h > MAX_RELATIVE_HUMIDITY
    if np.any(bad):
        raise CorruptedInputError(
            f"relative humidity {_first(h, bad):g} is above {MAX_RELATIVE_HUMIDITY:g}; "
            "give a fraction or a Quantity in percent"
        )
    p = _pascal(pressure)
    vapour = np.maximum(h, 0.0) * saturation_vapour_pressure(temperature, saturation).value
    if saturation == "water":
        vapour = vapour * enhancement_factor(pressure, temperature).value
    fraction = vapour / np.where(p > 0, p, np.nan)
    if np.any(fraction > 1):
        raise CorruptedInputError(
            f"relative humidity means a water vapour mole fraction of {np.nanmax(fraction):.3g}, "
            f"more than all air, at the lowest pressure {np.nanmin(p) / 100:g} hPa; use specific "
            "humidity or leave humidity out above the tropopause"
        )
    return fraction << u.dimensionless_unscaled


@u.quantity_input(pressure=u.Pa, temperature=u.K, equivalencies=u.temperature())
def compressibility_factor(
    pressure: u.Quantity,
    temperature: u.Quantity,
    water_vapour_mole_fraction: u.Quantity[u.dimensionless_unscaled] = 0.0,
) -> u.Quantity[u.dimensionless_unscaled]:
    """Compressibility factor Z of humid air (CIPM-2007, appendix A1.4).

    Z = 1 - (p/T)[a0 + a1 t + a2 t² + (b0 + b1 t) x + (c0 + c1 t) x²] + (p/T)² (d + e x²)

    Parameters
    ----------
    pressure, temperature, water_vapour_mole_fraction : Quantity, broadcastable shapes
        NaN gives NaN; zero pressure gives 1.

    Raises
    ------
    CorruptedInputError
        If a temperature is not above 0 K or a pressure is negative.
    """
    p, T = _pascal(pressure), _kelvin(temperature)
    x = u.Quantity(water_vapour_mole_fraction, u.one).value
    t = T - CELSIUS_ZERO
    ratio = p / T
    dry = 1.58123e-6 - 2.9331e-8 * t + 1.1043e-10 * t**2  # K/Pa
    mixed = 5.707e-6 - 2.051e-8 * t
    vapour = 1.9898e-4 - 2.376e-6 * t
    first_order = ratio * (dry + mixed * x + vapour * x**2)
    return 1.0 - first_order + ratio**2 * (1.83e-11 - 0.765e-8 * x**2) << u.dimensionless_unscaled


def molar_mass_dry_air(co2_mole_fraction: float | u.Quantity) -> u.Quantity:
    """Molar mass of dry air (kg/mol): [28.96546 + 12.011 (x_CO2 - 0.0004)] 1e-3, CIPM-2007.

    Parameters
    ----------
    co2_mole_fraction : float or Quantity, any shape
        Mole fraction, 420 ppm is ``420e-6``.

    Raises
    ------
    ConfigurationError
        If a mole fraction lies outside [0, 0.01].
    """
    co2 = checked_co2_mole_fraction(co2_mole_fraction)
    return (28.96546 + 12.011 * (co2 - 0.0004)) * 1e-3 << u.kg / u.mol


@u.quantity_input
def molar_mass_moist_air(
    water_vapour_mole_fraction: u.Quantity[u.dimensionless_unscaled],
    co2_mole_fraction: float | u.Quantity,
) -> u.Quantity:
    """Mean molar mass of moist air (kg/mol): (1 - x) M_a + x M_v.

    Parameters
    ----------
    water_vapour_mole_fraction : Quantity or float, any shape
        x = e/p.
    co2_mole_fraction : float or Quantity, broadcastable
        Mole fraction in the dry part.

    Raises
    ------
    ConfigurationError
        If a CO2 mole fraction lies outside [0, 0.01].
    """
    x = u.Quantity(water_vapour_mole_fraction, u.one).value
    dry = molar_mass_dry_air(co2_mole_fraction).value
    return (1.0 - x) * dry + x * MOLAR_MASS_WATER << u.kg / u.mol


@u.quantity_input(pressure=u.Pa, temperature=u.K, equivalencies=u.temperature())
def number_density(
    pressure: u.Quantity,
    temperature: u.Quantity,
    water_vapour_mole_fraction: u.Quantity[u.dimensionless_unscaled] = 0.0,
) -> u.Quantity[u.cm**-3]:
    """Number density of all molecules: p N_A/(Z R T).

    R is that of CIPM-2007, so that density = number density x molar mass / N_A holds exactly;
    with the exact k of the SI of 2019 the result would be 1.1e-6 larger.

    Parameters
    ----------
    pressure, temperature, water_vapour_mole_fraction : Quantity, broadcastable shapes
        NaN gives NaN; zero pressure gives 0.

    Raises
    ------
    CorruptedInputError
        If a temperature is not above 0 K or a pressure is negative.
    """
    Z = compressibility_factor(pressure, temperature, water_vapour_mole_fraction).value
    amount = _pascal(pressure) / (Z * GAS_CONSTANT * _kelvin(temperature))  # mol/m³
    return amount * AVOGADRO * 1e-6 << u.cm**-3


@u.quantity_input(pressure=u.Pa, temperature=u.K, equivalencies=u.temperature())
def moist_air_density(
    pressure: u.Quantity,
    temperature: u.Quantity,
    water_vapour_mole_fraction: u.Quantity[u.dimensionless_unscaled],
    co2_mole_fraction: float | u.Quantity,
) -> u.Quantity[u.kg / u.m**3]:
    """Density of humid air (CIPM-2007): p M_a/(Z R T) [1 - x (1 - M_v/M_a)].

    Parameters
    ----------
    pressure, temperature, water_vapour_mole_fraction : Quantity, broadcastable shapes
        NaN gives NaN; zero pressure gives 0.
    co2_mole_fraction : float or Quantity, broadcastable
        Mole fraction in the dry part.

    Returns
    -------
    Quantity[kg/m3]
        Broadcast shape of the arguments.

    Raises
    ------
    CorruptedInputError
        If a temperature is not above 0 K or a pressure is negative.
    ConfigurationError
        If a CO2 mole fraction lies outside [0, 0.01].
    """
    Z = compressibility_factor(pressure, temperature, water_vapour_mole_fraction).value
    molar_mass = molar_mass_moist_air(water_vapour_mole_fraction, co2_mole_fraction).value
    amount = _pascal(pressure) / (Z * GAS_CONSTANT * _kelvin(temperature))
    return amount * molar_mass << u.kg / u.m**3


def _kelvin(temperature: u.Quantity) -> np.ndarray:
    T = temperature.to_value(u.K, equivalencies=u.temperature())
    bad = T <= 0
    if np.any(bad):
        raise CorruptedInputError(
            f"temperature {_first(T, bad):g} K is not above 0 K; check its unit in the input"
        )
    return T


def _pascal(pressure: u.Quantity) -> np.ndarray:
    p = pressure.to_value(u.Pa)
    bad = p < 0
    if np.any(bad):
        raise CorruptedInputError(
            f"pressure {_first(p, bad):g} Pa is negative; check the input or its interpolation"
        )
    return p


def _first(values: np.ndarray, where: np.ndarray) -> float:
    return float(np.broadcast_to(values, np.shape(where))[where].flat[0])
