r"""Time offsets of the telescopes of an array, from the arrival times of showers.

The offset :math:`\delta_j` is what the clock of telescope *j* reads too late, in a gauge: only
differences between telescopes of one island (`calibpipe.array.graph`) can be known. Offsets that
grow linearly across the array look like showers from another direction. What shifts all
reconstructed directions the same way on the sky is therefore fitted, too: over all azimuths it
moves the array's tilt around a circle and tells itself from it; in a narrow range of azimuth only
its assumed size limits the tilt, and the systematic errors show that.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.exceptions import ConfigurationError, InsufficientStatisticsError
from .normal_equations import NormalEquations
from .shower_front import SPEED_OF_LIGHT
from .shower_times import N_COMMON

__all__ = ["ArrayOffsets", "array_offsets", "in_gauge", "survey_covariance"]


@dataclass(frozen=True)
class ArrayOffsets:
    """Offsets of the telescopes of one island.

    Attributes
    ----------
    offset : ndarray, shape (n_tel,), ns
        NaN for telescopes that are not of the island, as their covariances.
    stat_covariance, sys_covariance : ndarray, shape (n_tel, n_tel), ns^2
        Of timing and direction errors of single events; of what all events have in common.
    common : ndarray, shape (3,)
        True minus reconstructed direction (rad) and curvature (logarithm), in the mean.
    common_error : ndarray, shape (3,)
    chi2 : float
    ndf : int
    """

    offset: NDArray
    stat_covariance: NDArray
    sys_covariance: NDArray
    common: NDArray
    common_error: NDArray
    chi2: float
    ndf: int

    @property
    def stat_error(self) -> NDArray:
        """Statistical error, ns."""
        return np.sqrt(np.diag(self.stat_covariance))

    @property
    def sys_error(self) -> NDArray:
        """Systematic error, ns."""
        return np.sqrt(np.diag(self.sys_covariance))


def array_offsets(equations: NormalEquations, members: NDArray, prior: NDArray) -> ArrayOffsets:
    """Offsets of one island, the mean of its telescopes being 0.

    The statistical covariance is that for the common parameters known; what they add, as far as
    the events and `prior` determine them, is systematic.

    Parameters
    ----------
    equations : NormalEquations
    members : ndarray, shape (n_tel,), bool
        Telescopes of the island.
    prior : ndarray, shape (3,)
        Widths of the common parameters: direction along altitude and azimuth (rad), logarithm of
        the curvature; 0 keeps one at 0, inf leaves it to the events.

    Raises
    ------
    InsufficientStatisticsError
        If the telescopes are less than two, or the events do not determine the offsets.
    """
    n_tel, which = equations.n_tel, np.flatnonzero(members)
    if len(which) < 2:
        raise InsufficientStatisticsError(
            f"offsets need at least 2 telescopes with common events, got {len(which)}"
        )
    free = np.flatnonzero(prior > 0)
    point = equations.point.copy()
    point[n_tel + np.flatnonzero(prior == 0)] = 0.0
    here = equations.at(point)
    rows = np.concatenate([which, n_tel + free])
    k = len(which)
    matrix = here.matrix[np.ix_(rows, rows)]
    tied = matrix[:k, :k].copy()
    level = np.mean(np.diag(tied))  # of the mean of the telescopes, which no event fixes
    if level <= 0:
        raise InsufficientStatisticsError("no events are left for the offsets of these telescopes")
    tied += level
    weight = prior[free] ** -2.0
    matrix[:k, :k] = tied
    matrix[k:, k:] += np.diag(weight)
    vector = here.vector[rows].copy()
    vector[k:] -= weight * point[n_tel + free]
    fixed, covariance = _inverse(tied), _inverse(matrix)
    step = covariance @ vector
    gauge = np.full((k, k), 1 / (level * k**2))
    stat, whole = fixed - gauge, covariance[:k, :k] - gauge
    values = point.copy()
    values[rows] += step
    offset = np.full(n_tel, np.nan)
    offset[which] = values[which] - values[which].mean()
    common_error = np.zeros(N_COMMON)
    common_error[free] = np.sqrt(np.diag(covariance)[k:])
    chi2 = here.chi2 + weight @ point[n_tel + free] ** 2 - vector @ step
    return ArrayOffsets(
        offset=offset,
        stat_covariance=_spread(stat, which, n_tel),
        sys_covariance=_spread(whole - stat, which, n_tel),
        common=values[n_tel:],
        common_error=common_error,
        chi2=float(chi2),
        ndf=int(equations.ndf - (k - 1)),
    )


def _inverse(matrix: NDArray) -> NDArray:
    """Inverse of a symmetric matrix, which must be positive."""
    scale = np.sqrt(np.diag(matrix))
    if not np.all(scale > 0):
        raise InsufficientStatisticsError("a telescope has no events that count; leave it out")
    scaled = matrix / np.outer(scale, scale)
    if np.linalg.eigvalsh(scaled)[0] < 1e-12:
        raise InsufficientStatisticsError(
            "the events do not determine the offsets: telescopes are not tied to each other, or a "
            "tilt of the array cannot be told from a common error of the directions; give showers "
            "of more azimuths, or limit that error"
        )
    return np.linalg.inv(scaled) / np.outer(scale, scale)


def _spread(covariance: NDArray, which: NDArray, n_tel: int) -> NDArray:
    result = np.full((n_tel, n_tel), np.nan)
    result[np.ix_(which, which)] = covariance
    return result


def in_gauge(offsets: ArrayOffsets, weight: NDArray) -> ArrayOffsets:
    r"""The same offsets with another level: :math:`\sum_j w_j\delta_j = 0`.

    Parameters
    ----------
    offsets : ArrayOffsets
    weight : ndarray, shape (n_tel,)
        Not negative, 0 outside the island: 1 for a reference telescope only, or for those that
        the mean is taken of. The errors of the weighted ones become part of all others'.

    Raises
    ------
    ConfigurationError
        If no telescope of the island has a weight.
    """
    there = np.isfinite(offsets.offset)
    weight = np.where(there, weight, 0.0)
    if not weight.sum() > 0:
        raise ConfigurationError("no telescope of this island is there to set the level by")
    which = np.flatnonzero(there)
    weight = weight / weight.sum()
    transform = np.eye(len(which)) - weight[which]
    n_tel = len(weight)

    def moved(covariance: NDArray) -> NDArray:
        inner = covariance[np.ix_(which, which)]
        return _spread(transform @ inner @ transform.T, which, n_tel)

    level = weight[which] @ offsets.offset[which]
    return ArrayOffsets(
        offset=offsets.offset - level,
        stat_covariance=moved(offsets.stat_covariance),
        sys_covariance=moved(offsets.sys_covariance),
        common=offsets.common,
        common_error=offsets.common_error,
        chi2=offsets.chi2,
        ndf=offsets.ndf,
    )


def survey_covariance(n_tel: int, height_error: float, sin_alt: float) -> NDArray:
    r"""What the surveyed heights of the telescopes add: :math:`(\sigma_z\sin a/c)^2`, ns^2.

    Errors along the ground turn with the azimuth and cancel; a telescope that stands higher than
    was surveyed sees all showers early. In the gauge of no telescope (`in_gauge` sets it).

    Parameters
    ----------
    n_tel : int
    height_error : float, m
        Of each telescope.
    sin_alt : float
        Mean sine of the altitude of the showers.
    """
    return np.eye(n_tel) * (height_error * sin_alt / SPEED_OF_LIGHT) ** 2
