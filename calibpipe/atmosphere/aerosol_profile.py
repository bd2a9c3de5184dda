r"""Optical depth of aerosols and clouds by altitude and wavelength, with all covariances.

A profile carries its errors as modes: changes of the whole profile by one standard error, each
independent of the others. The covariance of any two numbers is the sum over modes of their
products; that of an integral follows without a matrix. A systematic mode has a name and is the
same deviation in every slice of a night.

References
----------
Ångström 1929, Geografiska Annaler 11, 156, doi 10.1080/20014422.1929.11880498.
Kalman 1960, J. Basic Eng. 82, 35, doi 10.1115/1.3662552 (measurement of an integral).
"""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.exceptions import ConfigurationError

__all__ = [
    "Column",
    "DepthProfile",
    "column_pull",
    "exponential_profile",
    "with_column",
]


@dataclass(frozen=True)
class DepthProfile:
    """Vertical optical depth of aerosols and clouds from the observatory up to altitudes.

    Attributes
    ----------
    optical_depth : ndarray, (n_altitudes, n_wavelengths)
    stat_modes : ndarray, (n_modes, n_altitudes, n_wavelengths)
    sys_modes : dict of str to ndarray, (n_altitudes, n_wavelengths)
        By source; signed.
    """

    optical_depth: NDArray
    stat_modes: NDArray
    sys_modes: dict[str, NDArray]

    @property
    def stat_error(self) -> NDArray:
        """Statistical error, (n_altitudes, n_wavelengths)."""
        return np.sqrt(np.sum(self.stat_modes**2, axis=0))

    @property
    def sys_error(self) -> NDArray:
        """Systematic error, (n_altitudes, n_wavelengths)."""
        return np.sqrt(sum((mode**2 for mode in self.sys_modes.values()), 0 * self.optical_depth))


@dataclass(frozen=True)
class Column:
    """Optical depth of all aerosols and clouds at one wavelength, measured on its own.

    Attributes
    ----------
    value, stat_error, sys_error : float
    wavelength : float
        nm.
    """

    value: float
    stat_error: float
    sys_error: float
    wavelength: float


def exponential_profile(
    column: Column,
    altitude: u.Quantity,
    wavelength: u.Quantity,
    exponent: tuple[float, float],
    scale_height: tuple[u.Quantity, u.Quantity],
) -> DepthProfile:
    r"""Profile of a known column whose altitudes are not known.

    .. math:: \tau(h,\lambda) = V\,(1-e^{-(h-h_0)/H})\,(\lambda_V/\lambda)^A

    # ASSUME: aerosols that fall exponentially above the observatory; the error of the scale height
    stands for all other shapes of a ground layer, not for clouds and not for lofted dust.

    Parameters
    ----------
    column : Column
    altitude : Quantity, (n_altitudes,)
        The first one is the observatory.
    wavelength : Quantity, (n_wavelengths,)
    exponent : tuple of float
        Ångström exponent and its error.
    scale_height : tuple of Quantity
        And its error, below it.

    Raises
    ------
    ConfigurationError
        If the scale height is not above its error.
    """
    mean, error = (h.to_value(u.m) for h in scale_height)
    if not mean > error >= 0:
        raise ConfigurationError(
            f"scale height of aerosols {mean:g} +- {error:g} m: the error must be below it"
        )
    height = (altitude - altitude[0]).to_value(u.m)[:, None]
    ratio = column.wavelength / wavelength.to_value(u.nm)

    def shape(scale: float) -> NDArray:
        return -np.expm1(-height / scale) * ratio ** exponent[0]

    depth = column.value * shape(mean)
    return DepthProfile(
        depth,
        column.stat_error * shape(mean)[np.newaxis],
        {
            "fram": column.sys_error * shape(mean),
            "angstrom": depth * np.log(ratio) * exponent[1],
            "scale_height": column.value * (shape(mean + error) - shape(mean - error)) / 2,
        },
    )


def _top(values: NDArray, wavelength: NDArray, wanted: float) -> NDArray:
    """Values of the whole column at a wavelength, linear in its logarithm; (...,)."""
    if not wavelength[0] <= wanted <= wavelength[-1]:
        raise ConfigurationError(
            f"a column measured at {wanted:g} nm lies outside the wavelengths of the profile, "
            f"{wavelength[0]:g} to {wavelength[-1]:g} nm; widen them"
        )
    weight = np.array(
        [np.interp(np.log(wanted), np.log(wavelength), one) for one in np.eye(len(wavelength))]
    )
    return values[..., -1, :] @ weight


def column_pull(profile: DepthProfile, wavelength: ArrayLike, column: Column) -> float:
    """Difference of the profile's own column and a measured one, over the error of both.

    Parameters
    ----------
    profile : DepthProfile
    wavelength : array_like, (n_wavelengths,)
        Of the profile, nm, ascending.
    column : Column

    Raises
    ------
    ConfigurationError
        If the column was measured at a wavelength outside those of the profile.
    """
    own, variance, _, _ = _column(profile, np.asarray(wavelength, float), column)
    return (own - column.value) / np.sqrt(variance + column.stat_error**2 + column.sys_error**2)


def _column(
    profile: DepthProfile, wavelength: NDArray, column: Column
) -> tuple[float, float, NDArray, dict[str, float]]:
    """Own column, its variance, and the parts of the modes in it."""
    own = float(_top(profile.optical_depth, wavelength, column.wavelength))
    stat = _top(profile.stat_modes, wavelength, column.wavelength)
    sys = {
        name: float(_top(mode, wavelength, column.wavelength))
        for name, mode in profile.sys_modes.items()
    }
    return own, float(np.sum(stat**2)) + sum(value**2 for value in sys.values()), stat, sys


def with_column(profile: DepthProfile, wavelength: ArrayLike, column: Column) -> DepthProfile:
    r"""Profile improved by an independent measurement of its column.

    .. math:: \tau' = \tau + K\,(V-\tau_V), \qquad
              K = \mathrm{cov}(\tau,\tau_V)/(\sigma_{\tau_V}^2+\sigma_V^2)

    the best linear estimate: what the profile knows least moves most. Statistical and systematic
    errors count alike in K; afterwards each mode is what it is of the new estimate.

    Parameters and exceptions: see `column_pull`.
    """
    wavelength = np.asarray(wavelength, float)
    own, variance, stat, sys = _column(profile, wavelength, column)
    covariance = np.tensordot(stat, profile.stat_modes, 1)
    covariance = covariance + sum(sys[n] * mode for n, mode in profile.sys_modes.items())
    total = variance + column.stat_error**2 + column.sys_error**2
    if total == 0:
        return profile
    gain = covariance / total
    stat_modes = profile.stat_modes - stat[:, None, None] * gain
    return DepthProfile(
        profile.optical_depth + gain * (column.value - own),
        np.concatenate([stat_modes, column.stat_error * gain[np.newaxis]]),
        {n: mode - sys[n] * gain for n, mode in profile.sys_modes.items()}
        | {"fram": column.sys_error * gain},
    )
