r"""Photons of a star in the band of a Cherenkov camera, from V and B-V.

.. math:: n_\lambda = n^0_\lambda\,10^{-0.4\,m(\lambda)}\,e^{-\tau(\lambda) X}, \qquad
   m(\lambda) = V + (B-V)\,\frac{1/\lambda - 1/\lambda_V}{1/\lambda_B - 1/\lambda_V}

# ASSUME: magnitudes are linear in the wave number (a black body in Wien's limit; interstellar
reddening nearly is): lines, Balmer jump and blanketing below 400 nm are not in it (10 to 30 %).
"""

import astropy.units as u
import numpy as np
from astropy.constants import c, h
from numpy.typing import ArrayLike, NDArray

from ..core.exceptions import ConfigurationError

__all__ = [
    "BAND",
    "band_photons",
    "camera_magnitude",
    "effective_wavelength",
    "photon_flux",
]

# Bessell, Castelli & Plez (1998), A&A 333, 231, table A2: f_λ of magnitude 0 in U, B, V, R
_WAVELENGTHS = np.array([366.0, 438.0, 545.0, 641.0])  # nm
_ZERO_POINTS = np.array([417.5, 632.0, 363.1, 217.7]) * 1e-11  # erg/(cm² s Å)
BLUE, VISUAL = 438.0, 545.0  # nm
BAND = (300.0, 600.0)  # nm: that of the simulated telescopes' throughput
FLUX_ERROR = 0.2  # relative, of the band: shape of the spectrum
_STEP = 10.0  # nm
_HC = (h * c).to_value(u.erg * u.nm)


def camera_magnitude(
    magnitude: ArrayLike, colour: ArrayLike, wavelength: u.Quantity = 420 * u.nm
) -> NDArray:
    """Magnitude at the effective wavelength of a camera: V + 1.22 (B-V) at 420 nm.

    Parameters
    ----------
    magnitude, colour : array_like, mag
        V and B-V.
    wavelength : Quantity
    """
    at = wavelength.to_value(u.nm)
    return np.asarray(magnitude) + _slope(at) * np.asarray(colour)


def photon_flux(magnitude: ArrayLike, colour: ArrayLike, wavelength: u.Quantity) -> u.Quantity:
    """Photons per area, time and wavelength above the atmosphere, 1/(m² s nm).

    Parameters
    ----------
    magnitude, colour : array_like, shape (...)
        V and B-V.
    wavelength : Quantity, shape (n,), 300 to 641 nm

    Returns
    -------
    Quantity, shape (..., n)
    """
    at = wavelength.to_value(u.nm)
    if np.any((at < BAND[0]) | (at > _WAVELENGTHS[-1])):
        raise ConfigurationError(
            f"wavelengths of {np.min(at):g} to {np.max(at):g} nm, fluxes of stars are known from "
            f"{BAND[0]:g} to {_WAVELENGTHS[-1]:g} nm"
        )
    # below U the zero point stays as it is: U - B of hot stars would be no better
    zero = np.exp(np.interp(at, _WAVELENGTHS, np.log(_ZERO_POINTS)))
    photons = zero * 1e4 * 10 * at / _HC  # cm² to m², Å to nm
    v, bv = (np.asarray(value, float)[..., np.newaxis] for value in (magnitude, colour))
    return photons * 10 ** (-0.4 * (v + _slope(at) * bv)) / (u.m**2 * u.s * u.nm)


def band_photons(
    magnitude: ArrayLike, colour: ArrayLike, altitude: u.Quantity, optical_depth: float = 0.3
) -> u.Quantity:
    """Photons of 300 to 600 nm on the ground, 1/(m² s).

    Parameters
    ----------
    magnitude, colour : array_like
        V and B-V; broadcast with the altitude.
    altitude : Quantity, angle
        Air mass of Kasten and Young (1989), doi 10.1364/AO.28.004735.
    optical_depth : float
        Of the vertical air at 400 nm; falls with the fourth power of the wavelength.
    """
    at, spectrum = _on_the_ground(
        np.asarray(magnitude), np.asarray(colour), altitude, optical_depth
    )
    return np.trapezoid(spectrum, at, axis=-1) / (u.m**2 * u.s)


def effective_wavelength(
    colour: ArrayLike, altitude: u.Quantity, optical_depth: float = 0.3
) -> u.Quantity:
    """Mean wavelength of a star's photons of 300 to 600 nm on the ground, nm: for refraction."""
    at, spectrum = _on_the_ground(0.0, np.asarray(colour), altitude, optical_depth)
    return np.trapezoid(spectrum * at, at, axis=-1) / np.trapezoid(spectrum, at, axis=-1) * u.nm


def air_mass(altitude: u.Quantity) -> NDArray:
    """Of Kasten and Young (1989): 1 in the zenith, 1.9943 at 60 deg from it."""
    high = altitude.to_value(u.deg)
    return 1 / (np.sin(np.deg2rad(high)) + 0.50572 * (6.07995 + high) ** -1.6364)


def _on_the_ground(
    magnitude: float | NDArray, colour: float | NDArray, altitude: u.Quantity, optical_depth: float
) -> tuple[NDArray, NDArray]:
    at = np.arange(BAND[0], BAND[1] + _STEP / 2, _STEP)
    flux = photon_flux(magnitude, colour, at * u.nm).value
    depth = optical_depth * np.asarray(air_mass(altitude))[..., np.newaxis] * (400 / at) ** 4
    return at, flux * np.exp(-depth)


def _slope(wavelength: NDArray) -> NDArray:
    return (1 / wavelength - 1 / VISUAL) / (1 / BLUE - 1 / VISUAL)
