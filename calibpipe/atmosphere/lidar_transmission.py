r"""From optical depths along a beam to the transmission to the observatory, with errors.

:math:`T(h) = \exp[-\tau_a(h)]`, :math:`\tau_a(h)` the vertical optical depth of aerosols and
clouds between the observatory and the altitude h; molecules are another product.

References
----------
Fruck, Gaug 2015, EPJ Web of Conferences 89, 02003, doi 10.1051/epjconf/20158902003.
Ångström 1929, Geografiska Annaler 11, 156, doi 10.1080/20014422.1929.11880498.
"""

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from ..core.exceptions import ConfigurationError

__all__ = ["angstrom_exponent", "depth_to_ground", "on_altitudes", "transmission"]

LOWEST_LAYER_ERROR = 0.5  # relative: a mixed layer against one that falls with a scale of 1 km


def angstrom_exponent(
    depth: tuple[NDArray, NDArray],
    error: tuple[NDArray, NDArray],
    wavelength: tuple[u.Quantity, u.Quantity],
) -> tuple[NDArray, NDArray]:
    r"""Ångström exponent :math:`A = -\ln(\tau_1/\tau_2)/\ln(\lambda_1/\lambda_2)`.

    Parameters
    ----------
    depth, error : tuple of ndarray
        Optical depths at the two wavelengths, and their errors; any shape.
    wavelength : tuple of Quantity

    Returns
    -------
    exponent, error : ndarray
        NaN where a depth is not positive.

    Raises
    ------
    ConfigurationError
        If the wavelengths are the same.
    """
    base = np.log((wavelength[0] / wavelength[1]).to_value(u.one))
    if base == 0:
        raise ConfigurationError(
            f"an Ångström exponent needs two wavelengths, both are {wavelength[0]:g}"
        )
    first, second = (np.asarray(d, float) for d in depth)
    with np.errstate(invalid="ignore", divide="ignore"):
        positive = (first > 0) & (second > 0)
        exponent = -np.log(first / second) / base
        spread = np.hypot(error[0] / first, error[1] / second) / abs(base)
    return np.where(positive, exponent, np.nan), np.where(positive, spread, np.nan)


def depth_to_ground(extinction: NDArray, first: u.Quantity) -> tuple[NDArray, NDArray]:
    """Optical depth between the LIDAR and its first bin with a signal, and its systematic error.

    # ASSUME: extinction below the first bin is that of the lowest bins (a mixed layer); the error
    is half of it.

    Parameters
    ----------
    extinction : ndarray, (n_profiles,)
        Of aerosols in the lowest bins, 1/m; negative ones count as zero.
    first : Quantity
        Range of the first bin, scalar.
    """
    depth = np.maximum(extinction, 0.0) * first.to_value(u.m)
    return depth, LOWEST_LAYER_ERROR * depth


def on_altitudes(values: NDArray, altitude: u.Quantity, wanted: u.Quantity) -> NDArray:
    """Cumulative values of bins at other altitudes, linear between bins.

    Beyond the last finite bin of a profile its last value holds (nothing is known to scatter
    there); below the first bin the first value falls to zero at the first wanted altitude.

    Parameters
    ----------
    values : ndarray, (n_profiles, n_bins)
    altitude : Quantity, (n_bins,)
    wanted : Quantity, (n_altitudes,)
        Ascending, the first one is the observatory.
    """
    known, z = altitude.to_value(u.m), wanted.to_value(u.m)
    out = np.full((len(values), z.size), np.nan)
    for row, value in enumerate(values):
        good = np.isfinite(value)
        if good.any():
            out[row] = np.interp(z, np.append(z[0], known[good]), np.append(0.0, value[good]))
    return out


def transmission(
    depth: NDArray, stat_error: NDArray, sys_error: NDArray
) -> tuple[NDArray, NDArray, NDArray]:
    r"""Transmission :math:`e^{-\tau}` and its errors, :math:`\sigma_T = T \sigma_\tau`.

    A depth that fluctuates below zero gives a transmission above 1, which is kept: clipped values
    would bias means over a night.

    Parameters
    ----------
    depth, stat_error, sys_error : ndarray, any shape
    """
    value = np.exp(-depth)
    return value, value * stat_error, value * sys_error
