"""Scatter of measurements beyond their errors, with and without outliers among them.

References
----------
Paule, R. C. and Mandel, J. 1982, J. Res. NBS 87, 377. doi 10.6028/jres.087.022
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

__all__ = ["clipped_variance", "median_scatter", "scatter_variance"]

_NEWTON_STEPS = 30
_MIDDLE_HALF = ndtri(0.75) ** 2


@cache
def clipped_variance(clip: float) -> float:
    """Variance of a standard Gaussian of which only what is within +- `clip` is left."""
    density = np.exp(-(clip**2) / 2) / np.sqrt(2 * np.pi)
    return 1 - 2 * clip * density / (2 * ndtr(clip) - 1)


def median_scatter(squares: NDArray, expected: NDArray) -> float:
    """The s >= 0 for which half of the squares are inside the middle half of a Gaussian.

    Parameters
    ----------
    squares : ndarray, shape (n,)
        Squared residuals, outliers among them.
    expected : ndarray, shape (n,)
        Their expected variances, to which s is added.
    """
    scatter = np.median(squares / _MIDDLE_HALF - expected)
    return max(float(scatter), 0.0)


def scatter_variance(
    squares: NDArray, expected: NDArray, allowed: float, start: float = 0.0
) -> float:
    """The s >= 0 for which the sum of squares/(expected + s) is what is allowed.

    Parameters
    ----------
    squares, expected : ndarray, shape (n,)
        As of `median_scatter`, outliers left out.
    allowed : float
        Degrees of freedom; the sum falls with s and is convex: Newton's steps converge.
    start : float
        First guess of s.

    Returns
    -------
    float
        0 if the sum is not above what is allowed.
    """
    s = start
    for _ in range(_NEWTON_STEPS):
        inverse = 1 / (expected + s)
        terms = squares * inverse
        excess = terms.sum() - allowed
        if s == 0 and excess <= 0:
            break
        before, s = s, max(s + float(excess / (terms @ inverse)), 0.0)
        if abs(s - before) <= 1e-6 * s:
            break
    return float(s)
