"""Refractivity n-1 of humid air by Ciddor's equation, at a named wavelength.

References
----------
Ciddor 1996, Applied Optics 35, 1566, doi 10.1364/AO.35.001566.
"""

import astropy.units as u
import numpy as np

from ..core.exceptions import ConfigurationError
from .humid_air import checked_co2_mole_fraction, number_density

__all__ = [
    "inverse_square_micrometre",
    "refractivity",
    "standard_air_refractivity",
    "water_vapour_refractivity",
]

# Conditions under which the dispersion formulas were measured (Ciddor 1996).
STANDARD_AIR = (101325.0 * u.Pa, 288.15 * u.K)  # dry
STANDARD_VAPOUR = (1333.0 * u.Pa, 293.15 * u.K)  # pure water vapour

SHORTEST, LONGEST = 200.0, 4000.0  # nm: below, the poles of the formulas; above, water bands


@u.quantity_input
def inverse_square_micrometre(wavelength: u.Quantity[u.nm]) -> np.ndarray:
    """Squared wave number of a vacuum wavelength in plain 1/µm², the variable of the formulas.

    Raises
    ------
    ConfigurationError
        If a wavelength lies outside 200-4000 nm.
    """
    value = wavelength.to_value(u.nm)
    bad = (value < SHORTEST) | (value > LONGEST)
    if np.any(bad):
        found = np.extract(bad, value)[0]
        raise ConfigurationError(
            f"wavelength {found:g} nm is outside {SHORTEST:g}-{LONGEST:g} nm, "
            "where the dispersion formulas of air hold"
        )
    return (1000.0 / value) ** 2


@u.quantity_input
def standard_air_refractivity(
    wavelength: u.Quantity[u.nm], co2_mole_fraction: float | u.Quantity
) -> u.Quantity[u.dimensionless_unscaled]:
    """Refractivity of dry air at 15 degC and 101325 Pa.

    1e8 (n-1) = [5792105/(238.0185-s) + 167917/(57.362-s)] [1 + 0.534 (x_CO2 - 450e-6)], with
    s = 1/λ² in 1/µm².

    Parameters
    ----------
    wavelength : Quantity[length], any shape
        In vacuum, 200-4000 nm (measured: 300-1690 nm). NaN gives NaN.
    co2_mole_fraction : float or Quantity, broadcastable
        Mole fraction, 420 ppm is ``420e-6``.

    Raises
    ------
    ConfigurationError
        If a wavelength or a CO2 mole fraction is out of range.
    """
    s = inverse_square_micrometre(wavelength)
    co2 = checked_co2_mole_fraction(co2_mole_fraction)
    at_450_ppm = 5792105.0 / (238.0185 - s) + 167917.0 / (57.362 - s)
    return 1e-8 * at_450_ppm * (1.0 + 0.534 * (co2 - 450e-6)) << u.dimensionless_unscaled


@u.quantity_input
def water_vapour_refractivity(
    wavelength: u.Quantity[u.nm],
) -> u.Quantity[u.dimensionless_unscaled]:
    """Refractivity of pure water vapour at 20 degC and 1333 Pa.

    1e8 (n-1) = 1.022 (295.235 + 2.6422 s - 0.032380 s² + 0.004028 s³), s = 1/λ² in 1/µm².

    Parameters
    ----------
    wavelength : Quantity[length], any shape
        In vacuum, 200-4000 nm (measured: 350-1200 nm). NaN gives NaN.

    Raises
    ------
    ConfigurationError
        If a wavelength is out of range.
    """
    s = inverse_square_micrometre(wavelength)
    series = 295.235 + 2.6422 * s - 0.032380 * s**2 + 0.004028 * s**3
    return 1.022e-8 * series << u.dimensionless_unscaled


@u.quantity_input(wavelength=u.nm, pressure=u.Pa, temperature=u.K, equivalencies=u.temperature())
def refractivity(
    wavelength: u.Quantity,
    pressure: u.Quantity,
    temperature: u.Quantity,
    water_vapour_mole_fraction: u.Quantity[u.dimensionless_unscaled],
    co2_mole_fraction: float | u.Quantity,
) -> u.Quantity[u.dimensionless_unscaled]:
    """Refractivity n-1 of humid air.

    n-1 = (ρ_a/ρ_as)(n_as-1) + (ρ_v/ρ_vs)(n_vs-1), where ρ_a and ρ_v are the partial densities of
    dry air and water vapour and index s marks the conditions of the dispersion formulas. The
    wavelength is no detail: n-1 at 350 nm is 1.2 % above that at 400 nm.

    Parameters
    ----------
    wavelength : Quantity[length], any shape
        In vacuum, 200-4000 nm.
    pressure, temperature, water_vapour_mole_fraction : Quantity, broadcastable shapes
        NaN gives NaN; zero pressure gives 0.
    co2_mole_fraction : float or Quantity, broadcastable
        Mole fraction in the dry part.

    Returns
    -------
    Quantity[dimensionless]
        Broadcast shape of all arguments; relative error 1e-4 or better.

    Raises
    ------
    ConfigurationError
        If a wavelength or a CO2 mole fraction is out of range.
    CorruptedInputError
        If a temperature is not above 0 K or a pressure is negative.
    """
    # The molar masses cancel: partial densities are in the ratio of partial number densities.
    x = u.Quantity(water_vapour_mole_fraction, u.one)
    n = number_density(pressure, temperature, x)
    dry = (1.0 - x) * n / number_density(*STANDARD_AIR, 0.0)
    vapour = x * n / number_density(*STANDARD_VAPOUR, 1.0)
    return (
        dry * standard_air_refractivity(wavelength, co2_mole_fraction)
        + vapour * water_vapour_refractivity(wavelength)
    ).to(u.dimensionless_unscaled)
