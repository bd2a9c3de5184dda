r"""Charge of one photoelectron in a photomultiplier: half-normal at low charge and Gaussian.

.. math:: \rho(q) = p\,2\,\mathcal{N}(q; 0, s_l)\,\theta(q) + (1 - p)\,\mathcal{N}(q; \mu, s_h)

The half-normal stands for electrons that are lost at the first dynode. Parameters are the
*components* (:math:`\mu, p, s_l/\mu, s_h/\mu`), or the *shape* (:math:`\mu, R, p_{raw}, n`): of a
resolution *R* not every *p* and :math:`s_h` are possible, and :math:`p_{raw}, n \in (0, 1)` span
those that are. At :math:`p_{raw} = 1 - 2/\pi`, where :math:`s_{min}` becomes zero, derivatives to
the shape are discontinuous: fits use the components, unless :math:`p_{raw}` and *n* are fixed.

References
----------
Caroff et al. 2019, Proc. SPIE 11119, 111191W, doi:10.1117/12.2530996; its printed p_max and c have
typographical errors, corrected here (hal-02432593).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import wofz

__all__ = [
    "COMPONENTS",
    "PhotoelectronShape",
    "component_function",
    "component_jacobian",
    "components_of_shape",
    "fixed_shape_function",
    "largest_p",
    "photoelectron_facts",
    "photoelectron_shape",
]

COMPONENTS = ("mu", "p", "low_width", "high_width")  # the widths over mu
FACTS = ("gain", "resolution", "squared_excess_noise_factor", "p_raw", "n")
_TINY = 1e-30  # of a derivative by a complex step: exact, nothing is subtracted


@dataclass(frozen=True)
class PhotoelectronShape:
    r"""Components of the charge of one photoelectron, in units of the Gaussian's mean.

    Parameters
    ----------
    p : ndarray
        Fraction of the half-normal.
    low_width, high_width : ndarray
        Scale of the half-normal and standard deviation of the Gaussian, over :math:`\mu`.
    """

    p: NDArray
    low_width: NDArray
    high_width: NDArray

    @property
    def gain(self) -> NDArray:
        r"""Mean charge over :math:`\mu`."""
        return self.p * self.low_width * np.sqrt(2 / np.pi) + 1 - self.p


def largest_p(resolution: ArrayLike) -> NDArray:
    r"""Largest fraction of the half-normal that a resolution allows.

    .. math:: p_{max} = \frac{\pi R^2}{(\pi - 2)(R^2 + 1)}

    1 where it would be larger (R above 0.756).
    """
    r2 = np.asarray(resolution) ** 2
    p_max = np.pi * r2 / ((np.pi - 2) * (r2 + 1))
    return np.where(p_max.real < 1, p_max, 1.0)


def photoelectron_shape(
    p_raw: ArrayLike, resolution: ArrayLike, n: ArrayLike
) -> PhotoelectronShape:
    r"""Components that have a resolution.

    .. math:: p = p_{raw}\,p_{max}, \quad s_h = s_{min} + n\,(s_{max} - s_{min}), \quad
              a s_l^2 + b s_l + c = 0

    with :math:`k = 1/(R^2+1)`, :math:`a = 2p^2/\pi - pk`, :math:`b = 2p(1-p)\sqrt{2/\pi}\,\mu`,
    :math:`c = (1-p)^2\mu^2 - (1-p)(s_h^2+\mu^2)k`; :math:`s_{min}` has :math:`s_l = 0` (or is 0),
    :math:`s_{max}` a discriminant of zero.

    Parameters
    ----------
    p_raw, n : array_like
        Between 0 and 1, both excluded.
    resolution : array_like
        *R*, standard deviation over mean of the charge of one photoelectron.

    Returns
    -------
    PhotoelectronShape
        NaN where the parameters are outside.
    """
    k = 1 / (np.asarray(resolution) ** 2 + 1)
    p = np.asarray(p_raw) * largest_p(resolution)
    rest = 1 - p
    a = 2 / np.pi * p**2 - p * k
    b = 2 * np.sqrt(2 / np.pi) * p * rest
    with np.errstate(invalid="ignore", divide="ignore"):
        s_min, s_max = _high_width_range(p, resolution)
        high = s_min + n * (s_max - s_min)
        discriminant = b**2 - 4 * a * (rest**2 - rest * (high**2 + 1) * k)
        low = (-b + np.sqrt(discriminant)) / (2 * a)
    return PhotoelectronShape(p, low, high)


def _high_width_range(p: NDArray, resolution: ArrayLike) -> tuple[NDArray, NDArray]:
    r"""Smallest and largest :math:`s_h/\mu` of a fraction and a resolution."""
    k = 1 / (np.asarray(resolution) ** 2 + 1)
    rest = 1 - np.asarray(p)
    a = 2 / np.pi * p**2 - p * k
    at_zero = 8 / np.pi * (p * rest) ** 2 - 4 * a * (rest**2 - rest * k)
    s_max = np.sqrt(-at_zero / (4 * a * rest * k))
    smallest = rest / k - 1
    return np.sqrt(np.where(smallest.real > 0, smallest, 0.0)), s_max


def photoelectron_facts(components: NDArray) -> NDArray:
    r"""What is reported of a photoelectron.

    .. math:: m_1 = p s_l \sqrt{2/\pi} + (1-p)\mu, \quad
              m_2 = p s_l^2 + (1-p)(s_h^2 + \mu^2), \quad
              R^2 = m_2/m_1^2 - 1, \quad F^2 = 1 + R^2

    Parameters
    ----------
    components : ndarray, shape (4, ...)
        As `COMPONENTS`.

    Returns
    -------
    ndarray, shape (5, ...)
        Gain :math:`m_1` in the unit of :math:`\mu`, resolution *R*, squared excess noise factor
        :math:`F^2`, :math:`p_{raw}` and *n*.
    """
    mu, p, low, high = components
    mean = p * low * np.sqrt(2 / np.pi) + 1 - p
    square = p * low**2 + (1 - p) * (high**2 + 1)
    resolution = np.sqrt(square / mean**2 - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        s_min, s_max = _high_width_range(p, resolution)
        n = (high - s_min) / (s_max - s_min)
    return np.stack([mu * mean, resolution, 1 + resolution**2, p / largest_p(resolution), n])


def components_of_shape(shape: NDArray, p_raw: ArrayLike, n: ArrayLike) -> NDArray:
    """Components (4, ...) of mean and resolution (2, ...), with a fixed rest of the shape."""
    mu, resolution = shape
    found = photoelectron_shape(p_raw, resolution, n)
    return np.stack([mu, found.p, found.low_width, found.high_width])


def component_jacobian(function: Callable[[NDArray], NDArray], at: NDArray) -> NDArray:
    """Derivatives of a function of parameters, by complex steps: exact.

    Parameters
    ----------
    function : callable
        From (n_parameters, n_pixels) to (n_results, n_pixels).
    at : ndarray, shape (n_parameters, n_pixels)

    Returns
    -------
    ndarray, shape (n_pixels, n_results, n_parameters)
    """
    steps = _TINY * 1j * np.eye(len(at))[:, :, np.newaxis]
    return np.stack([function(at + step).imag.T for step in steps], axis=-1) / _TINY


def component_function(parameters: NDArray, omega: NDArray) -> tuple[NDArray, NDArray]:
    r"""Characteristic function of the charge of one photoelectron, with its derivatives.

    .. math:: \chi(\omega) = p\,w(s_l\omega/\sqrt{2}) + (1-p)\,e^{i\omega\mu - s_h^2\omega^2/2}

    with the Faddeeva function *w*.

    Parameters
    ----------
    parameters : ndarray, shape (n_pixels, 4)
        As `COMPONENTS`.
    omega : ndarray, shape (n_pixels, n_frequencies)
        Per unit of :math:`\mu`.

    Returns
    -------
    value : ndarray, shape (n_pixels, n_frequencies), complex
    derivatives : ndarray, shape (4, n_pixels, n_frequencies), complex
    """
    mu, p, low, high = parameters.T[..., np.newaxis]
    at = low * mu * omega / np.sqrt(2)
    halfnormal = wofz(at)
    gaussian = np.exp(1j * omega * mu - (high * mu * omega) ** 2 / 2)
    by_low = p * (1j * 2 / np.sqrt(np.pi) - 2 * at * halfnormal) * omega / np.sqrt(2)
    by_high = (p - 1) * high * mu * omega**2 * gaussian
    derivatives = np.empty((4, *omega.shape), complex)
    derivatives[0] = (1 - p) * 1j * omega * gaussian + low * by_low + high * by_high
    derivatives[1] = halfnormal - gaussian
    derivatives[2] = mu * by_low
    derivatives[3] = mu * by_high
    return p * halfnormal + (1 - p) * gaussian, derivatives


def fixed_shape_function(
    p_raw: float, n: float
) -> Callable[[NDArray, NDArray], tuple[NDArray, NDArray]]:
    """As `component_function`, of mean and resolution alone."""

    def function(parameters: NDArray, omega: NDArray) -> tuple[NDArray, NDArray]:
        def components(shape: NDArray) -> NDArray:
            return components_of_shape(shape, p_raw, n)

        jacobian = component_jacobian(components, parameters.T)
        value, derivatives = component_function(components(parameters.T).T, omega)
        return value, np.einsum("nck,cnw->knw", jacobian, derivatives)

    return function
