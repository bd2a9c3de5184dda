r"""Coma of muon rings: where the light of an azimuth of the ring is, and how wide.

Third-order coma displaces the light of a point :math:`\vec p` of the mirror (in its radii), that
comes from the field angle :math:`\vec F`, by (`calibpipe.pointing.coma_psf`)

.. math:: c\,[(3u^2 + h^2 - 1) F_e + 2 u h F_\perp] \quad\text{outwards and}\quad
          c\,[(u^2 + 3h^2 - 1) F_\perp + 2 u h F_e] \quad\text{along the ring,}

with the components of both vectors along the ring's direction :math:`\vec e` and across it:
:math:`\vec p = u\,\vec e + h\,\vec e_\perp`. All light of one azimuth is from one chord of the
mirror: h is constant, u uniform along the chord. For a muon through the centre of the mirror and
along its axis that is :math:`c\theta(3u^2 - 1)`, purely radial, with the variance
:math:`0.8\,(c\theta)^2`; a star at the same place has :math:`0.5\,(c\theta)^2`.
"""

from math import sqrt

import numba
from numpy.typing import NDArray

__all__ = ["INDEX_GRADIENT", "coma_of_azimuth", "coma_with_stretch", "drift_per_radius"]

# 1/m, of n - 1 with height. # ASSUME: air at 2 km; `muon_width` corrects for that of the night
INDEX_GRADIENT = 2.2e-8
_STEP = 1e-3  # rad, of a difference


@numba.njit(cache=True, nogil=True)
def coma_of_azimuth(
    bx: float, by: float, c: float, s: float, x0: float, y0: float, theta: float, hole: float
) -> tuple[float, float, float, float]:
    """Mean displacement, variance, covariance with the place of the light of an azimuth, for c = 1.

    Parameters
    ----------
    bx, by : float
        Impact point in radii of the mirror, towards the brightest part of the ring.
    c, s : float
        Cosine and sine of the azimuth on the ring.
    x0, y0, theta : float
        Centre of the ring in the field, and its radius.
    hole : float
        Radius of the shadow, in radii of the mirror.

    Returns
    -------
    outwards, variance, with_place, along : float
        Unit of `theta`, its square, unit of `theta` twice. ``with_place``: covariance of the
        displacement outwards and the distance t from the impact point. 0 where no light is.
    """
    distance, h = bx * c + by * s, by * c - bx * s
    if h * h >= 1.0:
        return 0.0, 0.0, 0.0, 0.0
    half = sqrt(1.0 - h * h)
    low, high = -half, min(half, distance)  # light flies from u = distance downwards
    if high <= low:
        return 0.0, 0.0, 0.0, 0.0
    s0, s1, s2 = high - low, (high**2 - low**2) / 2, (high**3 - low**3) / 3
    s3, s4 = (high**4 - low**4) / 4, (high**5 - low**5) / 5
    if hole > abs(h):
        inner = sqrt(hole * hole - h * h)
        low, high = max(low, -inner), min(high, inner)
        if high > low:
            s0, s1, s2 = s0 - high + low, s1 - (high**2 - low**2) / 2, s2 - (high**3 - low**3) / 3
            s3, s4 = s3 - (high**4 - low**4) / 4, s4 - (high**5 - low**5) / 5
    if s0 < 1e-9:
        return 0.0, 0.0, 0.0, 0.0
    u1, u2, u3, u4 = s1 / s0, s2 / s0, s3 / s0, s4 / s0
    along_e, across_e = theta + x0 * c + y0 * s, y0 * c - x0 * s
    first, second = 3.0 * along_e, 2.0 * h * across_e  # of u² and of u
    variance = first**2 * (u4 - u2**2) + second**2 * (u2 - u1**2)
    variance += 2.0 * first * second * (u3 - u1 * u2)
    outwards = (3.0 * u2 + h * h - 1.0) * along_e + 2.0 * u1 * h * across_e
    along = (u2 + 3.0 * h * h - 1.0) * across_e + 2.0 * u1 * h * along_e
    with_place = -first * (u3 - u1 * u2) - second * (u2 - u1**2)
    return outwards, max(variance, 0.0), with_place, along


@numba.njit(cache=True, nogil=True)
def coma_with_stretch(
    bx: float, by: float, c: float, s: float, x0: float, y0: float, theta: float, hole: float
) -> tuple[float, float, float, float, float]:
    """`coma_of_azimuth`, and the slope of ``along`` with the azimuth (rad); 0 next to no light."""
    outwards, variance, with_place, along = coma_of_azimuth(bx, by, c, s, x0, y0, theta, hole)
    norm = sqrt(1 + _STEP * _STEP)
    turned_c, turned_s = (c - _STEP * s) / norm, (s + _STEP * c) / norm
    _, is_lit, _, beside = coma_of_azimuth(bx, by, turned_c, turned_s, x0, y0, theta, hole)
    stretch = (beside - along) / _STEP if variance > 0.0 and is_lit > 0.0 else 0.0
    return outwards, variance, with_place, along, stretch


@numba.njit(cache=True, nogil=True)
def drift_per_radius(theta: float | NDArray, radius: float, vergence: float) -> float | NDArray:
    """Decrease of the angle of the light from the impact point to a mirror's radius beside it, rad.

    Parameters
    ----------
    theta : float or ndarray
        rad, of the ring.
    radius : float
        m, of the mirror.
    vergence : float
        1/m, 1 over the distance that is sharp in the camera.
    """
    return radius * (INDEX_GRADIENT / theta**2 + vergence)
