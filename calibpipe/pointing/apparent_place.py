r"""Where stars are seen: azimuth and altitude with the refraction of the night's own air.

ICRS → observed by the IAU models of ERFA (aberration, light deflection by the Sun, precession,
nutation, rotation of the Earth, polar motion, diurnal aberration) and refraction
:math:`A\tan z + B\tan^3 z` of observed zenith distances. UT1 and pole: `core.earth_orientation`.
"""

from dataclasses import dataclass

import astropy.units as u
import erfa
import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from ..core.earth_orientation import EarthOrientation, earth_orientation
from ..core.exceptions import ConfigurationError, CorruptedInputError
from ..core.site import Site

__all__ = [
    "ObservedPlaces",
    "SurfaceAir",
    "catalogue_places",
    "check_altitude",
    "observed_places",
    "refraction",
    "refraction_constants",
    "refraction_error",
]

LOWEST_ALTITUDE = 10 * u.deg  # two terms are good to 0.6 arcsec there, to 0.06 above 15 deg
MODEL_ERROR = 0.06  # arcsec, worst of eraRefco against ray tracing up to z = 75 deg
LOW_MODEL_ERROR = 0.6  # arcsec, below an altitude of 15 deg
EARTH_RATE = 15.0411  # arcsec of rotation per second of UT1
_ARCSEC = np.rad2deg(1) * 3600
# what is possible on the ground
_LIMITS = {
    "pressure": (400.0, 1100.0, " hPa"),
    "temperature": (-40.0, 50.0, " deg C"),
    "relative_humidity": (0.0, 1.0, ""),
    "wavelength": (300.0, 1100.0, " nm"),
}


@dataclass(frozen=True)
class SurfaceAir:
    """Air at the telescopes and the light that is seen through it.

    Parameters
    ----------
    pressure, pressure_error : Quantity, hPa
        At the height of the telescopes, not reduced to the sea. Scalars or one value a time.
    temperature, temperature_error : Quantity, K or deg_C
        The error in K.
    relative_humidity, relative_humidity_error : float
        0 to 1, over water.
    wavelength, wavelength_error : Quantity, nm
        Effective one of camera, mirrors and star light.

    Raises
    ------
    CorruptedInputError
        If a value is no number or impossible on the ground.
    """

    pressure: u.Quantity
    temperature: u.Quantity
    relative_humidity: float
    wavelength: u.Quantity = 420 * u.nm
    pressure_error: u.Quantity = 1 * u.hPa
    temperature_error: u.Quantity = 1 * u.K
    relative_humidity_error: float = 0.1
    wavelength_error: u.Quantity = 40 * u.nm  # red and blue stars differ by 60 nm

    def __post_init__(self) -> None:
        for (name, (low, high, unit)), value in zip(_LIMITS.items(), self._numbers(), strict=True):
            outside = ~((value >= low) & (value <= high))  # NaN, too
            if np.any(outside):
                raise CorruptedInputError(
                    f"{name} of the air is {np.extract(outside, value)[0]:g}{unit}, possible are "
                    f"{low:g} to {high:g}{unit}; give the night's weather at the telescopes"
                )

    def _numbers(self) -> tuple[NDArray, ...]:
        """As ERFA wants them: hPa, deg C, 0 to 1; the wavelength in nm."""
        values = (
            self.pressure.to_value(u.hPa),
            self.temperature.to_value(u.deg_C, equivalencies=u.temperature()),
            self.relative_humidity,
            self.wavelength.to_value(u.nm),
        )
        return tuple(np.asarray(value, float) for value in values)


@dataclass(frozen=True)
class ObservedPlaces:
    """Places of stars at some times, arrays (n_stars, n_times).

    Parameters
    ----------
    azimuth, altitude : Quantity, deg
        North over east; NaN where the altitude is below 10 deg.
    refraction_error : Quantity, arcsec
        Systematic, of the altitude: air, wavelength, model. Common to all stars of the same
        altitude.
    rotation_error : Quantity, arcsec
        Systematic, on the sky, along the circle of declination: UT1. Common to all stars.
    """

    azimuth: u.Quantity
    altitude: u.Quantity
    refraction_error: u.Quantity
    rotation_error: u.Quantity


def observed_places(
    ra: u.Quantity, dec: u.Quantity, times: Time, site: Site, air: SurfaceAir
) -> ObservedPlaces:
    """Observed places of ICRS directions (without parallax; proper motion applied).

    Parameters
    ----------
    ra, dec : Quantity, shape (n_stars,), angle
    times : Time, shape (n_times,)
    site : Site
        Its elevation is that of the telescopes.
    air : SurfaceAir
        Values scalar or of shape (n_times,).

    Raises
    ------
    MissingInputError
        If a time is outside the table of the Earth's orientation.
    """
    orientation = earth_orientation(times)
    astrometry = _astrometry(times, site, air, orientation)
    ra, dec = (np.atleast_1d(value.to_value(u.rad))[:, np.newaxis] for value in (ra, dec))
    right_ascension, declination = erfa.atciqz(ra, dec, astrometry)
    azimuth, zenith, *_ = erfa.atioq(right_ascension, declination, astrometry)
    altitude = np.rad2deg(_high(np.pi / 2 - zenith)) * u.deg
    azimuth = np.where(np.isnan(altitude), np.nan, np.rad2deg(azimuth)) * u.deg
    turned = EARTH_RATE * orientation.ut1_utc_error * np.cos(declination)
    return ObservedPlaces(azimuth, altitude, refraction_error(altitude, air), turned * u.arcsec)


def catalogue_places(
    azimuth: u.Quantity, altitude: u.Quantity, times: Time, site: Site, air: SurfaceAir
) -> tuple[u.Quantity, u.Quantity]:
    """ICRS right ascension and declination of observed directions, one a time, deg.

    Parameters
    ----------
    azimuth, altitude : Quantity, shape (n_times,), angle
    times : Time, shape (n_times,)
    site, air : Site, SurfaceAir
        As in `observed_places`.
    """
    astrometry = _astrometry(times, site, air, earth_orientation(times))
    zenith = np.pi / 2 - altitude.to_value(u.rad)
    place = erfa.atoiq("A", azimuth.to_value(u.rad), zenith, astrometry)
    ra, dec = erfa.aticq(*place, astrometry)
    return np.rad2deg(ra) % 360 * u.deg, np.rad2deg(dec) * u.deg


def _astrometry(times: Time, site: Site, air: SurfaceAir, earth: EarthOrientation) -> NDArray:
    pressure, temperature, humidity, wavelength = air._numbers()
    utc = times.utc
    astrometry, _ = erfa.apco13(
        utc.jd1,
        utc.jd2,
        earth.ut1_utc,
        site.longitude.to_value(u.rad),
        site.latitude.to_value(u.rad),
        site.elevation.to_value(u.m),
        earth.pole_x,
        earth.pole_y,
        pressure,
        temperature,
        humidity,
        wavelength / 1000,
    )
    return astrometry


def refraction_constants(air: SurfaceAir) -> tuple[u.Quantity, u.Quantity]:
    """A and B of the refraction, arcsec, of observed zenith distances.

    A is (n-1)(1-β), B is -(n-1)(β-(n-1)/2) with the height β of the air in Earth radii
    (Stone 1996, doi 10.1086/133831).
    """
    a, b = _constants(*air._numbers())
    return a * u.arcsec, b * u.arcsec


def refraction(altitude: u.Quantity, air: SurfaceAir) -> u.Quantity:
    """How far the observed altitude is above the airless one, arcsec; NaN below 10 deg.

    Parameters
    ----------
    altitude : Quantity, any shape
        Observed.
    """
    return _refraction(_high(altitude.to_value(u.rad)), air._numbers()) * u.arcsec


def refraction_error(altitude: u.Quantity, air: SurfaceAir) -> u.Quantity:
    """Systematic error of the refraction, arcsec: air, wavelength and model in quadrature.

    Parameters
    ----------
    altitude : Quantity, any shape
        Observed.
    """
    high, numbers = _high(altitude.to_value(u.rad)), air._numbers()
    steps = (
        air.pressure_error.to_value(u.hPa),
        air.temperature_error.to_value(u.K),
        air.relative_humidity_error,
        air.wavelength_error.to_value(u.nm),
    )
    squares = np.where(high < np.deg2rad(15), LOW_MODEL_ERROR, MODEL_ERROR) ** 2
    for i, step in enumerate(steps):
        up, down = (
            _refraction(high, (*numbers[:i], numbers[i] + sign * step / 2, *numbers[i + 1 :]))
            for sign in (1, -1)
        )
        squares = squares + (up - down) ** 2
    return np.sqrt(squares) * u.arcsec


def _constants(
    pressure: float | NDArray,
    temperature: float | NDArray,
    humidity: float | NDArray,
    wavelength: float | NDArray,
) -> tuple[NDArray, NDArray]:
    a, b = erfa.refco(pressure, temperature, humidity, wavelength / 1000)
    return a * _ARCSEC, b * _ARCSEC


def _refraction(altitude: NDArray, numbers: tuple) -> NDArray:
    a, b = _constants(*numbers)
    tan_z = 1 / np.tan(altitude)
    return a * tan_z + b * tan_z**3


def _high(altitude: NDArray) -> NDArray:
    value = np.asarray(altitude, float)
    return np.where(value < LOWEST_ALTITUDE.to_value(u.rad), np.nan, value)


def check_altitude(altitude: u.Quantity, what: str) -> None:
    """Refuse what points to where refraction is not known.

    Raises
    ------
    ConfigurationError
        If an altitude is below 10 deg, or no number.
    """
    low = ~(altitude >= LOWEST_ALTITUDE)
    if np.any(low):
        found = np.atleast_1d(altitude)[np.atleast_1d(low)][0]
        raise ConfigurationError(
            f"{what} has an altitude of {found.to(u.deg):.2f}, needs at least {LOWEST_ALTITUDE:g}: "
            "below, refraction is not known well enough; leave these data out"
        )
