"""Physics of a simulated column of air: gravity, humid air, hydrostatics, climatology.

Plain numbers in SI units and degrees, unless a function takes quantities. Written independently of
`calibpipe.atmosphere`, which is tested with it.
"""

import astropy.units as u
import numpy as np
import pymsis
from astropy.time import Time
from numpy.typing import NDArray

__all__ = [
    "ALTITUDE",
    "AVOGADRO",
    "GAS_CONSTANT",
    "SEA_LEVEL",
    "STEP",
    "compressibility",
    "geopotential_height",
    "hydrostatic_pressure",
    "molar_mass",
    "normal_gravity",
    "nrlmsise00",
    "ozone_mixing_ratio",
    "relative_humidity",
    "saturation_pressure_ice",
    "saturation_pressure_water",
    "specific_humidity",
]

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

STEP = 25.0  # m
ALTITUDE = np.arange(-500.0, 62e3 + STEP / 2, STEP)  # m, grid of the integration
SEA_LEVEL = int(np.flatnonzero(ALTITUDE == 0.0)[0])


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


def geopotential_height(altitude: NDArray, latitude: NDArray) -> NDArray:
    """Integral of normal gravity over altitude [m] at latitude [deg], by 9.80665 m/s2; in m.

    The closed integral of `normal_gravity`; arguments broadcast.
    """
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


def hydrostatic_pressure(
    temperature: NDArray, mole_fraction: NDArray, surface_pressure: NDArray, latitude: NDArray
) -> NDArray:
    r"""Pressure of a moist column in hydrostatic equilibrium, on `ALTITUDE`.

    :math:`d\ln p / dz = -M g / (Z R T)` by the trapezoidal rule, whose error is below 1e-6.

    Parameters
    ----------
    temperature : ndarray, shape (..., n)
        K, on `ALTITUDE`.
    mole_fraction : ndarray, shape (..., n)
        Of water vapour.
    surface_pressure : ndarray, shape (..., 1)
        Pa, at sea level.
    latitude : ndarray, shape (..., 1)
        Geodetic, degrees.

    Returns
    -------
    ndarray, shape (..., n)
        Pa.
    """
    weight = molar_mass(mole_fraction) * normal_gravity(ALTITUDE, latitude)
    ideal = weight / (GAS_CONSTANT * temperature)
    factor: NDArray | float = 1.0
    for _ in range(3):  # each pass gains a factor 1e-3: Z is 1 within 6e-4 and depends on p
        slope = ideal / factor
        exponent = np.zeros_like(slope)
        np.cumsum((slope[..., 1:] + slope[..., :-1]) * STEP / 2, axis=-1, out=exponent[..., 1:])
        exponent -= exponent[..., SEA_LEVEL, np.newaxis]
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
