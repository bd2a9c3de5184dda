r"""Charge of one photoelectron in a silicon photomultiplier: cross-talk and after-pulses.

A photoelectron fires a cell; every avalanche fires :math:`\xi` more on average (optical
cross-talk), so that the number of avalanches is Borel distributed and that of an event is
generalised Poisson. An avalanche is followed by an after-pulse with probability :math:`\alpha`,
of a cell that has recovered to a part *x* of its charge.

.. math:: \chi = B(\zeta), \quad B = \zeta\,e^{\xi(B-1)}, \quad
          \zeta(\omega) = e^{i\omega g - (s g\omega)^2/2}
          \left[1 - \alpha + \alpha \int_0^1 \beta(1-x)^{\beta-1} e^{i\omega g x} dx\right]

# ASSUME: recovery and delay of after-pulses are exponential, :math:`\beta` is the ratio of their
times; after-pulses have no cross-talk of their own, and are all within the window.

References
----------
Vinogradov 2012, NIM A 695, 247, doi:10.1016/j.nima.2011.11.086 (generalised Poisson, Borel).
Chmill et al. 2017, NIM A 854, 70, doi:10.1016/j.nima.2017.02.049 (after-pulses).
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import roots_jacobi

__all__ = ["SIPM_PARAMETERS", "avalanche_function", "sipm_facts"]

SIPM_PARAMETERS = ("peak_distance", "relative_width", "cross_talk", "after_pulse")
_NODES = 64  # of the integral over recovered parts: exact for 100 radians
_NEWTON_STEPS = 60
_TOLERANCE = 1e-14


@cache
def _recovered(ratio: float) -> tuple[NDArray, NDArray]:
    """Recovered parts and weights of after-pulses, Gauss-Jacobi."""
    x, weight = roots_jacobi(_NODES, ratio - 1, 0.0)
    return (1 + x) / 2, weight / weight.sum()


def sipm_facts(parameters: NDArray, recovery_ratio: float = 1.0) -> NDArray:
    r"""Mean charge, resolution and squared excess noise factor of one photoelectron.

    .. math:: m_1 = \frac{a_1}{1-\xi}, \quad
              v_1 = \frac{v_a}{1-\xi} + a_1^2\frac{\xi}{(1-\xi)^3}, \quad
              R^2 = v_1/m_1^2, \quad F^2 = 1 + R^2

    with mean :math:`a_1 = g(1 + \alpha\bar x)` and variance :math:`v_a` of one avalanche. Without
    after-pulses and width :math:`F^2 = 1/(1-\xi) = 1/(1 + \ln(1-P))`, *P* the probability of any
    cross-talk.

    Parameters
    ----------
    parameters : ndarray, shape (4, ...)
        As `SIPM_PARAMETERS`.
    recovery_ratio : float
        :math:`\beta`.

    Returns
    -------
    ndarray, shape (3, ...)
    """
    distance, width, cross_talk, after_pulse = parameters
    x, weight = _recovered(recovery_ratio)
    first, second = np.sum(weight * x), np.sum(weight * x**2)
    mean = 1 + after_pulse * first
    variance = width**2 + after_pulse * second - (after_pulse * first) ** 2
    square = variance / mean**2 * (1 - cross_talk) + cross_talk / (1 - cross_talk)
    return np.stack([distance * mean / (1 - cross_talk), np.sqrt(square), 1 + square])


def avalanche_function(
    recovery_ratio: float = 1.0,
) -> Callable[[NDArray, NDArray], tuple[NDArray, NDArray]]:
    """Characteristic function of the charge of one photoelectron, with its derivatives.

    Parameters
    ----------
    recovery_ratio : float
        Time of recovery over mean delay of after-pulses.

    Returns
    -------
    callable
        Of parameters (n_pixels, 4), as `SIPM_PARAMETERS`, and frequencies (n_pixels, n): value
        (n_pixels, n) and derivatives (4, n_pixels, n).
    """
    x, weight = _recovered(recovery_ratio)

    def function(parameters: NDArray, omega: NDArray) -> tuple[NDArray, NDArray]:
        distance, width, cross_talk, after_pulse = parameters.T[..., np.newaxis]
        turn = omega * distance
        partial = np.zeros(omega.shape, complex)
        moment = np.zeros(omega.shape, complex)
        for part, share in zip(x, weight, strict=True):
            term = share * np.exp(1j * part * turn)
            partial += term
            moment += part * term
        avalanche = np.exp(1j * turn - (width * turn) ** 2 / 2)
        pulses = 1 + after_pulse * (partial - 1)
        zeta = avalanche * pulses
        by_distance = omega * (
            (1j - width**2 * turn) * zeta + avalanche * after_pulse * 1j * moment
        )
        of_single = np.stack(
            [by_distance, -width * turn**2 * zeta, np.zeros_like(zeta), avalanche * (partial - 1)]
        )
        value = _borel(zeta, cross_talk)
        # B = zeta exp(xi (B - 1)): dB (1 - xi B) = dzeta B / zeta + B (B - 1) dxi
        loop = 1 - cross_talk * value
        growth = np.exp(cross_talk * (value - 1))  # B / zeta, also where zeta is 0
        derivatives = of_single * (growth / loop)
        derivatives[2] = value * (value - 1) / loop
        return value, derivatives

    return function


def _borel(zeta: NDArray, cross_talk: NDArray) -> NDArray:
    """Generating function of the Borel distribution, by Newton's method from no cross-talk."""
    value = zeta.copy()
    for _ in range(_NEWTON_STEPS):
        grown = zeta * np.exp(cross_talk * (value - 1))
        step = (value - grown) / (1 - cross_talk * grown)
        value -= step
        if np.abs(step).max(initial=0.0) < _TOLERANCE:
            break
    return value
