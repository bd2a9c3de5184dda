r"""Extinction from the Raman signal of nitrogen: no lidar ratio has to be assumed.

The ratio :math:`q_R = X_R/(n\,e^{-\tau_m(\lambda_0)-\tau_m(\lambda_R)})` falls by aerosols
alone. With :math:`\alpha_a \propto \lambda^{-k}` and :math:`f = 1 + (\lambda_0/\lambda_R)^k`,

.. math:: \tau_a(r_1, r_2) = -\frac{1}{f}\ln\frac{q_R(r_2)}{q_R(r_1)},\qquad
          \alpha_a = -\frac{1}{f}\frac{d}{dr}\ln q_R .

References
----------
Ansmann, Riebesell, Weitkamp 1990, Optics Letters 15, 746, doi 10.1364/OL.15.000746.
Ansmann et al. 1992, Applied Optics 31, 7113, doi 10.1364/AO.31.007113.
"""

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from ..core.exceptions import ConfigurationError
from .lidar_rayleigh_fit import WindowSums

__all__ = ["angstrom_factor", "raman_extinction", "raman_optical_depth"]


def angstrom_factor(emitted: u.Quantity, received: u.Quantity, exponent: float) -> float:
    r"""Two ways of aerosol extinction in units of the one at the emitted wavelength.

    :math:`f = 1 + (\lambda_0/\lambda_R)^k`, 2 for an Ångström exponent of 0.

    Raises
    ------
    ConfigurationError
        If the received wavelength is not the longer one (vibrational Stokes line).
    """
    ratio = (emitted / received).to_value(u.one)
    if not ratio < 1:
        raise ConfigurationError(
            f"Raman channel at {received:g} with a laser at {emitted:g}: the Stokes line of "
            "nitrogen is longer (355 -> 387 nm, 532 -> 607 nm)"
        )
    return 1.0 + ratio**exponent


def raman_extinction(
    ratio: NDArray,
    variance: NDArray,
    weight: NDArray,
    distance: u.Quantity,
    width: int,
    factor: float,
) -> tuple[u.Quantity, u.Quantity]:
    """Aerosol extinction as the slope of the ratio to the molecules in a sliding window.

    The slope of q over its mean in a window of `width` bins; a window in which q changes by half
    has its extinction changed by 2 %.

    Parameters
    ----------
    ratio, variance : ndarray, (n_profiles, n_bins)
    weight : ndarray, (n_bins,)
        Expected photons.
    distance : Quantity, (n_bins,)
    width : int
        Bins of a window, odd.
    factor : float
        Of `angstrom_factor`.

    Returns
    -------
    extinction, stat_error : Quantity, (n_profiles, n_bins)
        1/m at the emitted wavelength. NaN within half a window of the ends, and where the mean is
        below three of its errors.

    Raises
    ------
    ConfigurationError
        If the window is not odd, below 3 bins or longer than the profile.
    """
    n = ratio.shape[1]
    if width < 3 or width % 2 == 0 or width > n:
        raise ConfigurationError(f"window of {width} bins, needs an odd number from 3 to {n}")
    sums = WindowSums(ratio, variance, weight, distance.to_value(u.m))
    first = np.arange(n - width + 1)
    found = sums.windows(first, first + width)
    seen = (found["bins"] == width) & (found["mean"] > 3.0 * found["error"])
    extinction = np.full(ratio.shape, np.nan)
    error = np.full(ratio.shape, np.nan)
    middle = slice(width // 2, n - width // 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        extinction[:, middle] = np.where(seen, -found["slope"] / found["mean"] / factor, np.nan)
        error[:, middle] = np.where(seen, found["slope_error"] / found["mean"] / factor, np.nan)
    return extinction << 1 / u.m, error << 1 / u.m


def raman_optical_depth(
    sums: WindowSums,
    near: tuple[NDArray, NDArray],
    far: tuple[NDArray, NDArray],
    factor: float,
    near_position: NDArray,
) -> tuple[NDArray, NDArray]:
    """Optical depth of aerosols between a position and clear air, emitted wavelength.

    Parameters
    ----------
    sums : WindowSums
        Of the Raman ratio.
    near, far : tuple of ndarray of int, (n_profiles,)
        First bin and stop of each window.
    factor : float
        Of `angstrom_factor`.
    near_position : ndarray, (n_profiles,)
        Where the depth begins, in the unit of the positions of `sums`: near the LIDAR the weights
        fall so steeply that their mean is not the middle of a window; the slope leads there.

    Returns
    -------
    depth, stat_error : ndarray, (n_profiles,)
        Along the beam, one way. NaN where a level is not above three of its errors.
    """
    low, high = sums.of_profiles(*near), sums.of_profiles(*far)
    with np.errstate(invalid="ignore", divide="ignore"):
        seen = (low["mean"] > 3.0 * low["error"]) & (high["mean"] > 3.0 * high["error"])
        start = low["mean"] + low["slope"] * (near_position - low["centre"])
        depth = -np.log(high["mean"] / start) / factor
        error = np.hypot(low["error"] / low["mean"], high["error"] / high["mean"]) / factor
    return np.where(seen, depth, np.nan), np.where(seen, error, np.nan)
