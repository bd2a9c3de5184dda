r"""Brightness of a clear night sky, with the Moon, and the light that the air takes from stars.

Surface brightness is in nanolamberts (nL) as in the sources; `surface_magnitude` converts.
"""

import astropy.units as u
import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "dark_sky",
    "moonlight",
    "nanolambert",
    "scattering_airmass",
    "separation",
    "surface_magnitude",
]


def nanolambert(magnitude: ArrayLike) -> NDArray:
    """Surface brightness of V magnitudes per square arcsecond (Garstang 1989, eq. 1)."""
    return 34.08 * np.exp(20.7233 - 0.92104 * np.asarray(magnitude, float))


def surface_magnitude(brightness: ArrayLike) -> NDArray:
    """V magnitudes per square arcsecond of a brightness in nL; NaN if it is not positive."""
    brightness = np.asarray(brightness, float)
    positive = np.where(brightness > 0, brightness, np.nan)
    return (20.7233 - np.log(positive / 34.08)) / 0.92104


def scattering_airmass(zenith: u.Quantity) -> NDArray:
    r""":math:`X = (1 - 0.96 \sin^2 z)^{-1/2}` (Krisciunas & Schaefer 1991, eq. 3).

    5 at the horizon and below.
    """
    sine = np.where(zenith > 90 * u.deg, 1.0, np.sin(zenith.to_value(u.rad)))
    return 1 / np.sqrt(1 - 0.96 * sine**2)


def dark_sky(zenith: u.Quantity, at_zenith: float, extinction: float) -> NDArray:
    r"""Brightness of a moonless clear sky.

    .. math:: B = B_0\,X\,10^{-0.4 k (X - 1)}

    Parameters
    ----------
    zenith : Quantity, any shape, angle
    at_zenith : float, mag/arcsec2
    extinction : float, mag per airmass
        k.

    Returns
    -------
    ndarray, nL

    References
    ----------
    Krisciunas & Schaefer 1991, PASP 103, 1033, eq. 2 (DOI 10.1086/132921).
    """
    airmass = scattering_airmass(zenith)
    return nanolambert(at_zenith) * airmass * 10 ** (-0.4 * extinction * (airmass - 1))


def moonlight(
    zenith: u.Quantity,
    from_moon: u.Quantity,
    moon_zenith: u.Quantity,
    phase_angle: u.Quantity,
    extinction: float,
) -> NDArray:
    r"""Moonlight that a clear sky scatters.

    .. math:: B = f(\rho)\,I^*\,10^{-0.4 k X(z_m)}\,[1 - 10^{-0.4 k X(z)}]

    with :math:`I^* = 10^{-0.4(3.84 + 0.026|\alpha| + 4\cdot10^{-9}\alpha^4)}` and
    :math:`f = 10^{5.36}(1.06 + \cos^2\rho) + 10^{6.15 - \rho/40}`; within 8 to 23 %.

    Parameters
    ----------
    zenith, from_moon : Quantity, any shape, angle
        Of the place on the sky: zenith angle and distance from the Moon. Closer than 5 deg the
        scattering function is that at 5 deg.
    moon_zenith, phase_angle : Quantity, scalar
        A Moon below the horizon gives no light.
    extinction : float, mag per airmass

    Returns
    -------
    ndarray, nL

    References
    ----------
    Krisciunas & Schaefer 1991, PASP 103, 1033, eqs. 15 to 21 (DOI 10.1086/132921).
    """
    if moon_zenith >= 90 * u.deg:
        return np.zeros(np.shape(zenith))
    alpha = abs(phase_angle.to_value(u.deg))
    illuminance = 10 ** (-0.4 * (3.84 + 0.026 * alpha + 4e-9 * alpha**4))
    rho = np.maximum(from_moon.to_value(u.deg), 5.0)
    scattering = 10**5.36 * (1.06 + np.cos(np.radians(rho)) ** 2) + 10 ** (6.15 - rho / 40)
    direct = 10 ** (-0.4 * extinction * scattering_airmass(moon_zenith))
    return (
        scattering
        * illuminance
        * direct
        * (1 - 10 ** (-0.4 * extinction * scattering_airmass(zenith)))
    )


def separation(
    azimuth: u.Quantity, zenith: u.Quantity, azimuth_0: u.Quantity, zenith_0: u.Quantity
) -> u.Quantity:
    """Angle between directions and one direction, deg."""
    z, z0 = zenith.to_value(u.rad), zenith_0.to_value(u.rad)
    turn = (azimuth - azimuth_0).to_value(u.rad)
    cosine = np.cos(z) * np.cos(z0) + np.sin(z) * np.sin(z0) * np.cos(turn)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1))) * u.deg
