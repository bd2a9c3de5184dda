"""Circles through the light of muon rings: many rings at once, unbiased on arcs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "N_SECTORS",
    "PARAMETERS",
    "Circles",
    "completeness",
    "containment",
    "fitted_circles",
    "kasa_circles",
]

PARAMETERS = ("x", "y", "radius", "width", "impact_x", "impact_y", "throughput")
"""Of a ring with its light, in the order of the covariance; deg, deg, deg, deg, m, m, 1."""
N_SECTORS = 12
"""Of azimuth, in which the light's distance from the ring is told: begin at 0, 30 degrees each."""

_NEWTON_STEPS = 20


@dataclass(frozen=True)
class Circles:
    """Fitted circles.

    Parameters
    ----------
    x, y, radius : ndarray, shape (n_rings,)
        Centre and radius in the unit of the points; NaN where no circle can be determined.
    radial_variance : ndarray, shape (n_rings,)
        Weighted mean square of the distances of the points from the circle.
    covariance : ndarray, shape (n_rings, 3, 3)
        Of x, y, radius.
    """

    x: NDArray
    y: NDArray
    radius: NDArray
    radial_variance: NDArray
    covariance: NDArray


def fitted_circles(x: NDArray, y: NDArray, weights: NDArray) -> Circles:
    r"""Taubin's circles through weighted points.

    The algebraic fit that minimises
    :math:`\sum w (r^2 - R^2)^2 / \sum w\,r^2`, r being the distance from the centre. It is the root
    next to 0 of a polynomial of third order, found by Newton's method; its start, 0, is Kåsa's
    circle.

    Parameters
    ----------
    x, y : ndarray, shape (n_rings, n_points) or (n_points,)
        Points, any unit.
    weights : ndarray, shape (n_rings, n_points)
        Light of the points, not negative; 0 for those that are not of the ring. The error of a
        point is taken to be :math:`\sigma/\sqrt{w}` with a common sigma.

    Returns
    -------
    Circles
        NaN for a ring with less than four points, or points on a line.

    References
    ----------
    Taubin, G. 1991, IEEE Trans. Pattern Anal. 13, 1115. doi 10.1109/34.103273
    Chernov, N. 2010, Circular and Linear Regression, section 5.9. doi 10.1201/EBK1439835906
    """
    return _circles(x, y, weights, _NEWTON_STEPS)


def kasa_circles(x: NDArray, y: NDArray, weights: NDArray) -> Circles:
    r"""Kåsa's circles (with weights: of Chaudhuri and Kundu): too small on arcs.

    They minimise :math:`\sum w (r^2 - R^2)^2`. Parameters and result as of `fitted_circles`.

    References
    ----------
    Kåsa, I. 1976, IEEE Trans. Instrum. Meas. 25, 8. doi 10.1109/TIM.1976.6312298
    Chaudhuri, B. and Kundu, P. 1993, Pattern Recognit. Lett. 14, 1.
    doi 10.1016/0167-8655(93)90126-X
    """
    return _circles(x, y, weights, 0)


def _circles(x: NDArray, y: NDArray, weights: NDArray, steps: int) -> Circles:
    weights = np.atleast_2d(np.asarray(weights, float))
    x, y = (np.broadcast_to(np.asarray(a, float), weights.shape) for a in (x, y))
    if np.any(weights < 0):
        raise ValueError("weights of points are not negative; set those that do not count to 0")
    enough = np.count_nonzero(weights, axis=1) >= 4
    with np.errstate(invalid="ignore", divide="ignore"):
        share = weights / weights.sum(axis=1, keepdims=True)
        mean_x, mean_y = (_mean(share, a) for a in (x, y))
        u, v = x - mean_x[:, None], y - mean_y[:, None]
        u_c, v_c, square = _center(u, v, share, steps)
        radius = np.sqrt(square)
        determined = enough & np.isfinite(radius)
        circle = [np.where(determined, a, np.nan) for a in (u_c, v_c, radius)]
        variance, covariance = _errors(u, v, share, weights, *circle)
    return Circles(circle[0] + mean_x, circle[1] + mean_y, circle[2], variance, covariance)


def _mean(share: NDArray, values: NDArray) -> NDArray:
    return np.einsum("rp,rp->r", share, values)


def _center(u: NDArray, v: NDArray, share: NDArray, steps: int) -> tuple[NDArray, NDArray, NDArray]:
    """Centre relative to the centroid, and squared radius."""
    z = u * u + v * v
    uu, vv, uv = (_mean(share, a) for a in (u * u, v * v, u * v))
    uz, vz, zz = (_mean(share, a) for a in (u * z, v * z, z * z))
    size = uu + vv
    flat = uu * vv - uv**2
    # Coefficients of the characteristic polynomial, Chernov's section 5.9
    a3 = 4 * size
    a2 = -3 * size**2 - zz
    a1 = zz * size + 4 * flat * size - uz**2 - vz**2 - size**3
    a0 = uz**2 * vv + vz**2 * uu - zz * flat - 2 * uz * vz * uv + size**2 * flat
    eta = np.zeros_like(size)
    for _ in range(steps):
        value = a0 + eta * (a1 + eta * (a2 + eta * a3))
        slope = a1 + eta * (2 * a2 + 3 * eta * a3)
        eta = np.where(value == 0, eta, eta - value / slope)
    determinant = eta**2 - eta * size + flat
    determinant = np.where(flat > 1e-12 * size**2, determinant, np.nan)  # points on a line
    u_c = (uz * (vv - eta) - vz * uv) / determinant / 2
    v_c = (vz * (uu - eta) - uz * uv) / determinant / 2
    return u_c, v_c, u_c**2 + v_c**2 + size


def _errors(
    u: NDArray,
    v: NDArray,
    share: NDArray,
    weights: NDArray,
    u_c: NDArray,
    v_c: NDArray,
    radius: NDArray,
) -> tuple[NDArray, NDArray]:
    """Mean square of the residuals, and the covariance by propagation of the points' errors."""
    du, dv = u - u_c[:, None], v - v_c[:, None]
    distance = np.hypot(du, dv)
    variance = _mean(share, (distance - radius[:, None]) ** 2)
    slopes = np.stack([du / distance, dv / distance, np.ones_like(distance)], axis=-1)
    slopes = np.where(weights[..., None] > 0, slopes, 0.0)
    information = np.einsum("rp,rpi,rpj->rij", weights, slopes, slopes)
    n_points = np.count_nonzero(weights, axis=1)
    # sigma^2 of weight 1 from the residuals, three parameters taken off
    unit = variance * weights.sum(axis=1) / np.maximum(n_points - 3, 1)
    good = np.isfinite(radius)
    covariance = np.full((len(radius), 3, 3), np.nan)
    covariance[good] = np.linalg.inv(information[good]) * unit[good, None, None]
    return variance, covariance


def completeness(
    x: NDArray, y: NDArray, light: NDArray, circles: Circles, *, threshold: float, n_bins: int = 30
) -> NDArray:
    """Fraction of the azimuth bins of a ring that hold more light than a threshold.

    Parameters
    ----------
    x, y : ndarray, shape (n_points,) or (n_rings, n_points)
        Pixels.
    light : ndarray, shape (n_rings, n_points)
        Of the pixels that are of the ring, 0 elsewhere.
    threshold : float
        Light in a bin, unit of `light`.

    Returns
    -------
    ndarray, shape (n_rings,)
        NaN where there is no circle.
    """
    light = np.atleast_2d(light)
    x, y = (np.broadcast_to(a, light.shape) for a in (x, y))
    azimuth = np.arctan2(y - circles.y[:, None], x - circles.x[:, None])
    known = np.isfinite(circles.radius)
    number = np.where(known[:, None], (azimuth / (2 * np.pi) + 0.5) * n_bins, 0).astype(int)
    place = np.minimum(number, n_bins - 1) + n_bins * np.arange(len(light))[:, None]
    bins = np.bincount(place.ravel(), light.ravel(), minlength=n_bins * len(light))
    filled = (bins.reshape(len(light), n_bins) > threshold).mean(axis=1)
    return np.where(known, filled, np.nan)


def containment(circles: Circles, camera_radius: float) -> NDArray:
    """Fraction of a circle that lies inside a round camera around the origin.

    Parameters
    ----------
    circles : Circles
        In coordinates of the camera.
    camera_radius : float
        Same unit.

    Returns
    -------
    ndarray, shape (n_rings,)
        From the law of cosines; NaN where there is no circle.
    """
    offset, radius = np.hypot(circles.x, circles.y), circles.radius
    with np.errstate(invalid="ignore", divide="ignore"):
        cosine = (camera_radius**2 - offset**2 - radius**2) / (2 * offset * radius)
        partly = 1 - np.arccos(np.clip(cosine, -1, 1)) / np.pi
    concentric = np.where(radius <= camera_radius, 1.0, 0.0)
    inside = np.where(offset > 0, partly, concentric)
    return np.where(np.isfinite(radius), inside, np.nan)
