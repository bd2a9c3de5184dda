"""Rayleigh scattering by air: cross-sections, optical depth, phase function, lidar ratio.

The scheme is that of Bodhaine et al. 1999, with Peck and Reeder's refractive index and Bates's
depolarisation; water vapour is added as a species of its own.

References
----------
Bodhaine, Wood, Dutton, Slusser 1999, J. Atmos. Oceanic Technol. 16, 1854,
doi 10.1175/1520-0426(1999)016<1854:ORODC>2.0.CO;2.
Peck, Reeder 1972, J. Opt. Soc. Am. 62, 958, doi 10.1364/JOSA.62.000958.
Bates 1984, Planet. Space Sci. 32, 785, doi 10.1016/0032-0633(84)90102-8 (King factors).
Ciddor 1996, Applied Optics 35, 1566, doi 10.1364/AO.35.001566 (refractivity of water vapour).
"""

import astropy.units as u
import numpy as np

from .humid_air import checked_co2_mole_fraction, number_density
from .refractivity import STANDARD_VAPOUR, inverse_square_micrometre, water_vapour_refractivity

__all__ = [
    "CROSS_SECTION_ERROR",
    "depolarisation",
    "gravity_of_column",
    "hydrostatic_optical_depth",
    "king_factor",
    "lidar_ratio",
    "phase_function",
    "rayleigh_cross_section",
    "rayleigh_optical_depth",
    "water_vapour_cross_section",
]

# Relative systematic error: Bucholtz 1995 against Bodhaine 1999, 300-600 nm, rms 1.7e-3; the number
# density N_s of an ideal gas, 8e-4.
CROSS_SECTION_ERROR = 2e-3

# Molecules per cm³ of standard air, 288.15 K and 1013.25 hPa (Bodhaine et al. 1999). It is that
# of an ideal gas: real air holds 4.1e-4 more, so that cross-sections are 8e-4 too large.
STANDARD_NUMBER_DENSITY = 2.546899e19
AVOGADRO = 6.0221367e23  # 1/mol, as in Bodhaine et al. 1999
WATER_KING_FACTOR = 1.001  # Tomasi et al. 2005, Applied Optics 44, 3320


@u.quantity_input
def king_factor(
    wavelength: u.Quantity[u.nm], co2_mole_fraction: float | u.Quantity
) -> u.Quantity[u.dimensionless_unscaled]:
    """King factor F of dry air: mean over N2, O2, Ar and CO2 by volume.

    F(N2) = 1.034 + 3.17e-4 s, F(O2) = 1.096 + 1.385e-3 s + 1.448e-4 s², F(Ar) = 1,
    F(CO2) = 1.15; s = 1/λ² in 1/µm².

    Parameters
    ----------
    wavelength : Quantity[length], any shape
        In vacuum, 200-4000 nm. NaN gives NaN.
    co2_mole_fraction : float or Quantity, broadcastable
        Mole fraction, 420 ppm is ``420e-6``.

    Raises
    ------
    ConfigurationError
        If a wavelength or a CO2 mole fraction is out of range.
    """
    s = inverse_square_micrometre(wavelength)
    co2 = checked_co2_mole_fraction(co2_mole_fraction)
    return _king_factor(s, co2) << u.dimensionless_unscaled


def _king_factor(s: np.ndarray, co2: np.ndarray) -> np.ndarray:
    nitrogen = 1.034 + 3.17e-4 * s
    oxygen = 1.096 + 1.385e-3 * s + 1.448e-4 * s**2
    percent = 100.0 * co2
    weighted = 78.084 * nitrogen + 20.946 * oxygen + 0.934 + 1.15 * percent
    return weighted / (78.084 + 20.946 + 0.934 + percent)


@u.quantity_input
def depolarisation(
    wavelength: u.Quantity[u.nm], co2_mole_fraction: float | u.Quantity
) -> u.Quantity[u.dimensionless_unscaled]:
    """Depolarisation ratio of dry air for unpolarised light: 6 (F-1)/(3 + 7 F).

    Parameters and exceptions: see `king_factor`.
    """
    F = king_factor(wavelength, co2_mole_fraction)
    return 6.0 * (F - 1.0) / (3.0 + 7.0 * F)


@u.quantity_input
def rayleigh_cross_section(
    wavelength: u.Quantity[u.nm], co2_mole_fraction: float | u.Quantity
) -> u.Quantity[u.cm**2]:
    """Scattering cross-section of a mean molecule of dry air.

    σ = 24 π³ (n²-1)² F / [λ⁴ N² (n²+2)²], with n of Peck and Reeder for 300 ppm times
    [1 + 0.54 (x_CO2 - 300e-6)] and N = 2.546899e19 cm⁻³.

    Parameters
    ----------
    wavelength : Quantity[length], any shape
        In vacuum, 200-4000 nm. NaN gives NaN.
    co2_mole_fraction : float or Quantity, broadcastable
        Mole fraction, 420 ppm is ``420e-6``.

    Returns
    -------
    Quantity[cm2]
        Broadcast shape of the arguments.

    Raises
    ------
    ConfigurationError
        If a wavelength or a CO2 mole fraction is out of range.
    """
    s = inverse_square_micrometre(wavelength)
    co2 = checked_co2_mole_fraction(co2_mole_fraction)
    at_300_ppm = 8060.51 + 2480990.0 / (132.274 - s) + 17455.7 / (39.32957 - s)
    excess = 1e-8 * at_300_ppm * (1.0 + 0.54 * (co2 - 300e-6))
    sigma = _cross_section(s, excess, STANDARD_NUMBER_DENSITY, _king_factor(s, co2))
    return sigma << u.cm**2


@u.quantity_input
def water_vapour_cross_section(wavelength: u.Quantity[u.nm]) -> u.Quantity[u.cm**2]:
    """Scattering cross-section of a water molecule, 0.72 of that of dry air at 400 nm.

    Same formula as `rayleigh_cross_section`, with Ciddor's refractivity of pure vapour at
    20 degC and 1333 Pa, the number density there, and King factor 1.001.

    Parameters
    ----------
    wavelength : Quantity[length], any shape
        In vacuum, 200-4000 nm. NaN gives NaN.

    Raises
    ------
    ConfigurationError
        If a wavelength is out of range.
    """
    s = inverse_square_micrometre(wavelength)
    excess = water_vapour_refractivity(wavelength).value
    density = number_density(*STANDARD_VAPOUR, 1.0).to_value(u.cm**-3)
    return _cross_section(s, excess, density, WATER_KING_FACTOR) << u.cm**2


def _cross_section(
    s: np.ndarray, excess: np.ndarray, density: float, king: np.ndarray | float
) -> np.ndarray:
    """cm²: from s in 1/µm², excess = n-1 at the number density in 1/cm³, and the King factor."""
    n_squared = (1.0 + excess) ** 2
    # n²-1 as excess (2 + excess): no loss of digits.
    contrast = excess * (2.0 + excess) / (n_squared + 2.0)
    inverse_fourth = s**2 * 1e16  # 1/cm⁴
    return 24.0 * np.pi**3 * contrast**2 * inverse_fourth / density**2 * king


@u.quantity_input
def rayleigh_optical_depth(
    wavelength: u.Quantity[u.nm],
    dry_column: u.Quantity[u.cm**-2],
    water_vapour_column: u.Quantity[u.cm**-2],
    co2_mole_fraction: float,
) -> u.Quantity[u.dimensionless_unscaled]:
    """Optical depth of columns of molecules: τ = σ_dry N_dry + σ_H2O N_H2O.

    The species scatter independently (intensities add). The vapour matters little: saturated air
    of 15 degC scatters 0.5 % less than the same number of dry molecules.

    Parameters
    ----------
    wavelength : Quantity[length], shape (n_wavelengths,)
        In vacuum, 200-4000 nm.
    dry_column, water_vapour_column : Quantity[1/area], shape (n_altitudes,)
        Molecules per area of dry air and of water. NaN gives NaN, zero gives 0.
    co2_mole_fraction : float
        Mole fraction in the dry part.

    Returns
    -------
    Quantity[dimensionless], shape (n_wavelengths, n_altitudes)
        Relative systematic error 1e-3.

    Raises
    ------
    ConfigurationError
        If a wavelength or the CO2 mole fraction is out of range.
    """
    # ASSUME: molecules scatter incoherently and without correlation of positions.
    dry = rayleigh_cross_section(wavelength, co2_mole_fraction).to_value(u.cm**2)
    water = water_vapour_cross_section(wavelength).to_value(u.cm**2)
    depth = np.multiply.outer(dry, dry_column.to_value(u.cm**-2))
    depth += np.multiply.outer(water, water_vapour_column.to_value(u.cm**-2))
    return depth << u.dimensionless_unscaled


@u.quantity_input
def gravity_of_column(
    altitude: u.Quantity[u.m], latitude: u.Quantity[u.deg]
) -> u.Quantity[u.m / u.s**2]:
    """Gravity that turns a pressure into a mass per area, for the air above an altitude.

    g at the effective altitude z_c = 0.73737 z + 5517.56 m, by the series of the Smithsonian
    Meteorological Tables (List 1968) as in Bodhaine et al. 1999. Half of the mass lies below
    z_c; the mean altitude of the mass is 1.7 km higher, so that g is 5e-4 to 9e-4 too large.

    Parameters
    ----------
    altitude : Quantity[length], any shape
        Geometric, above the sea.
    latitude : Quantity[angle], broadcastable
        Geodetic.
    """
    # ASSUME: z_c of the US Standard Atmosphere; a real one moves g by some 1e-5.
    c2 = np.cos(2.0 * latitude.to_value(u.rad))
    z = 0.73737 * altitude.to_value(u.m) + 5517.56
    ground = 980.6160 * (1.0 - 0.0026373 * c2 + 0.0000059 * c2**2)  # cm/s²
    falling = (3.085462e-4 + 2.27e-7 * c2) * z
    second = (7.254e-11 + 1.0e-13 * c2) * z**2
    third = (1.517e-17 + 6e-20 * c2) * z**3
    return (ground - falling + second - third) * 1e-2 << u.m / u.s**2


@u.quantity_input
def hydrostatic_optical_depth(
    wavelength: u.Quantity[u.nm],
    pressure: u.Quantity[u.hPa],
    altitude: u.Quantity[u.m],
    latitude: u.Quantity[u.deg],
    co2_mole_fraction: float | u.Quantity,
) -> u.Quantity[u.dimensionless_unscaled]:
    """Vertical optical depth of all dry air above a place, from its pressure alone.

    τ = σ P N_A/(m_a g), m_a = 15.0556 x_CO2 + 28.9595 g/mol, g of `gravity_of_column`. A
    check of the units, gravity, composition and integration of every table, but not of its weather:
    the pressure of the ground belongs to the same profile.
    Relative systematic error 1e-3 (gravity), on top of that of the cross-section.

    Parameters
    ----------
    wavelength : Quantity[length], any shape
        In vacuum, 200-4000 nm.
    pressure, altitude, latitude : Quantity, broadcastable
        Of the observation level.
    co2_mole_fraction : float or Quantity, broadcastable
        Mole fraction in the dry part.

    Raises
    ------
    ConfigurationError
        If a wavelength or a CO2 mole fraction is out of range.
    """
    sigma = rayleigh_cross_section(wavelength, co2_mole_fraction)
    co2 = checked_co2_mole_fraction(co2_mole_fraction)
    molecule = (15.0556 * co2 + 28.9595) / AVOGADRO * u.g
    column = pressure / (molecule * gravity_of_column(altitude, latitude))
    return (sigma * column).to(u.dimensionless_unscaled)


@u.quantity_input
def phase_function(
    wavelength: u.Quantity[u.nm],
    scattering_angle: u.Quantity[u.rad],
    co2_mole_fraction: float | u.Quantity,
) -> u.Quantity[u.dimensionless_unscaled]:
    """Chandrasekhar's phase function of dry air, normalised to a mean of 1 over the sphere.

    P(θ) = 3/[4 (1+2γ)] [(1+3γ) + (1-γ) cos²θ], γ = ρ/(2-ρ), ρ the depolarisation ratio.

    Parameters
    ----------
    wavelength : Quantity[length], any shape
        In vacuum, 200-4000 nm.
    scattering_angle : Quantity[angle], broadcastable
        0 is forward.
    co2_mole_fraction : float or Quantity, broadcastable
        Mole fraction.

    Raises
    ------
    ConfigurationError
        If a wavelength or a CO2 mole fraction is out of range.
    """
    rho = depolarisation(wavelength, co2_mole_fraction)
    gamma = rho / (2.0 - rho)
    angular = (1.0 + 3.0 * gamma) + (1.0 - gamma) * np.cos(scattering_angle) ** 2
    return (0.75 / (1.0 + 2.0 * gamma) * angular).to(u.dimensionless_unscaled)


@u.quantity_input
def lidar_ratio(
    wavelength: u.Quantity[u.nm], co2_mole_fraction: float | u.Quantity
) -> u.Quantity[u.sr]:
    """Molecular extinction-to-backscatter ratio 4π/P(180°), rotational Raman lines included.

    A receiver whose filter rejects the rotational Raman lines sees the Cabannes line alone and
    a ratio nearer to 8π/3 (not given here).

    Parameters and exceptions: see `king_factor`.
    """
    backward = phase_function(wavelength, 180.0 * u.deg, co2_mole_fraction)
    return (4.0 * np.pi * u.sr / backward).to(u.sr)
