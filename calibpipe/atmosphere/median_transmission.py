r"""Median transmission over an interval of time, altitude by altitude, for simulations.

References
----------
Kenney, Keeping 1962, Mathematics of Statistics, part 1, 3rd ed., sec. 7.6 (error of a median).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..core.exceptions import InsufficientStatisticsError
from .aerosol_profile import DepthProfile

__all__ = ["median_transmission"]

_MEDIAN = np.sqrt(np.pi / 2)  # of many Gaussian values, against the error of their mean


def median_transmission(profiles: Sequence[DepthProfile]) -> tuple[NDArray, NDArray, NDArray]:
    r"""Median over slices of :math:`T=e^{-\tau}` in each bin of altitude and wavelength.

    The statistical error is :math:`\sqrt{\pi/2}\,s/\sqrt n` from three slices on (for few slices a
    little too large), of the mean for fewer; s is the scatter of the slices or their statistical
    error, the larger one. A systematic mode moves all slices at once: the median of the moved
    ones is compared.

    Parameters
    ----------
    profiles : sequence of DepthProfile
        Of slices of equal length.

    Returns
    -------
    transmission, stat_error, sys_error : ndarray, (n_altitudes, n_wavelengths)

    Raises
    ------
    InsufficientStatisticsError
        If there is no profile.
    """
    n = len(profiles)
    if n == 0:
        raise InsufficientStatisticsError("a median needs a slice with a profile, got none")
    depth = np.stack([one.optical_depth for one in profiles])
    median = np.median(np.exp(-depth), axis=0)
    errors = np.stack([np.exp(-one.optical_depth) * one.stat_error for one in profiles])
    noise = np.sqrt(np.mean(errors**2, axis=0))
    scatter = np.exp(-depth).std(axis=0, ddof=1) if n > 1 else 0.0 * median
    stat = np.maximum(noise, scatter) / np.sqrt(n) * (_MEDIAN if n > 2 else 1.0)
    variance = np.zeros_like(median)
    for name in sorted({name for one in profiles for name in one.sys_modes}):
        mode = np.stack([one.sys_modes.get(name, 0 * one.optical_depth) for one in profiles])
        variance += (np.median(np.exp(-depth - mode), axis=0) - median) ** 2
    return median, stat, np.sqrt(variance)
