r"""Front of the Cherenkov light of an air shower: when it reaches each telescope.

Light comes from one point of the shower's axis, at the slant distance *H* above the core:

.. math:: t_j = t_0 + \frac{\bar n}{c}\left(|\vec r_j - \vec P| - H\right),\qquad
          \vec P = \vec r_\mathrm{core} + H\hat n

With the curvature :math:`\kappa = 1/H` and :math:`\vec s = \vec r_j - \vec r_\mathrm{core}` this is

.. math:: \bar n\,\frac{\kappa s^2 - 2\hat n\vec s}{c\,(1 + q)},\qquad
          q = \sqrt{1 - 2\kappa\,\hat n\vec s + \kappa^2 s^2}

which loses no digits and holds for the plane front, :math:`\kappa = 0`, too. Frame: ctapipe's
ground frame, x to the north, y to the west, z up; azimuth from north to east.
"""

import numpy as np
from astropy.constants import c
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "emission_curvature",
    "front_delay",
    "front_gradient",
    "nearest_telescope",
    "shower_axis",
]

SPEED_OF_LIGHT = c.to_value("m / ns")


def shower_axis(alt: ArrayLike, az: ArrayLike) -> tuple[NDArray, NDArray, NDArray]:
    """Unit vectors to where a shower comes from, and along growing altitude and azimuth.

    Parameters
    ----------
    alt, az : array_like, shape (n_events,), rad

    Returns
    -------
    tuple of ndarray, shape (n_events, 3)
        Axis, and both directions on the sky across it.
    """
    alt, az = np.asarray(alt, float), np.asarray(az, float)
    sin_alt, cos_alt, sin_az, cos_az = np.sin(alt), np.cos(alt), np.sin(az), np.cos(az)
    axis = np.stack([cos_alt * cos_az, -cos_alt * sin_az, sin_alt], axis=-1)
    along_alt = np.stack([-sin_alt * cos_az, sin_alt * sin_az, cos_alt], axis=-1)
    along_az = np.stack([-sin_az, -cos_az, np.zeros_like(az)], axis=-1)
    return axis, along_alt, along_az


def emission_curvature(
    height: ArrayLike, alt: ArrayLike, *, site_height: float, default_height: float
) -> NDArray:
    """Curvature of the front of showers, the inverse of the slant distance of their maximum.

    Parameters
    ----------
    height : array_like, shape (n_events,), m
        Of the shower maximum above the sea. Taken from `default_height` where it is NaN or less
        than 1 km above the site: light of such a maximum does not come from a point.
    alt : array_like, shape (n_events,), rad
        Altitude of the axis.
    site_height, default_height : float, m
        Above the sea.

    Returns
    -------
    ndarray, shape (n_events,), 1/m
    """
    above = np.asarray(height, float) - site_height
    above = np.where(above >= 1000.0, above, default_height - site_height)
    return np.sin(alt) / above


def front_delay(
    position: ArrayLike,
    core: ArrayLike,
    axis: ArrayLike,
    curvature: ArrayLike,
    *,
    refractivity: float = 0.0,
) -> NDArray:
    """Delay of the front at each telescope, after the core.

    Parameters
    ----------
    position : array_like, shape (n_tel, 3), m
    core : array_like, shape (n_events, 3), m
    axis : array_like, shape (n_events, 3)
        Unit vectors to where the showers come from.
    curvature : array_like, shape (n_events,), 1/m
        0 for a plane front.
    refractivity : float
        Mean *n* - 1 along the light's way.

    Returns
    -------
    ndarray, shape (n_events, n_tel), ns
    """
    along, square, q, curvature = _geometry(position, core, axis, curvature)
    return _per_metre(refractivity) * _path(along, square, q, curvature)


def front_gradient(
    position: ArrayLike,
    core: ArrayLike,
    axes: tuple[ArrayLike, ArrayLike, ArrayLike],
    curvature: ArrayLike,
    *,
    refractivity: float = 0.0,
) -> NDArray:
    r"""Derivatives of the arrival times with respect to what is not known of a shower.

    A core that is wrong by *d* has the same effect as a direction that is wrong by
    :math:`\kappa d`: both move the point of emission.

    Parameters
    ----------
    position, core, curvature, refractivity
        As `front_delay`.
    axes : tuple of array_like, shape (n_events, 3)
        Axis, directions of altitude and azimuth (`shower_axis`).

    Returns
    -------
    ndarray, shape (n_events, n_tel, 4), ns
        With respect to: time of the shower in ns; direction along altitude and azimuth in rad;
        logarithm of the curvature.
    """
    axis, along_alt, along_az = axes
    along, square, q, curvature = _geometry(position, core, axis, curvature)
    s = np.asarray(position, float) - np.asarray(core, float)[:, None, :]
    result = np.empty((*along.shape, 4))
    for k, direction in enumerate((along_alt, along_az), start=1):
        result[..., k] = -np.einsum("etx,ex->et", s, np.asarray(direction)) / q
    result[..., 3] = (curvature * square - along) / q - _path(along, square, q, curvature)
    result[..., 1:] *= _per_metre(refractivity)
    result[..., 0] = 1.0
    return result


def _geometry(
    position: ArrayLike, core: ArrayLike, axis: ArrayLike, curvature: ArrayLike
) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Along the axis, square of the distance from the core, q, curvature by event."""
    s = np.asarray(position, float) - np.asarray(core, float)[:, None, :]
    along = np.einsum("etx,ex->et", s, np.asarray(axis, float))
    square = np.einsum("etx,etx->et", s, s)
    curvature = np.asarray(curvature, float)[:, None]
    q = np.sqrt(1 - 2 * curvature * along + curvature**2 * square)
    return along, square, q, curvature


def _path(along: NDArray, square: NDArray, q: NDArray, curvature: NDArray) -> NDArray:
    return (curvature * square - 2 * along) / (1 + q)


def _per_metre(refractivity: float) -> float:
    return (1 + refractivity) / SPEED_OF_LIGHT


def nearest_telescope(
    core_x: ArrayLike, core_y: ArrayLike, position: NDArray, has_time: NDArray
) -> NDArray:
    """Distance on the ground of the core of showers from the nearest telescope that has a time.

    Parameters
    ----------
    core_x, core_y : array_like, shape (n_events,), m
    position : ndarray, shape (n_tel, 3), m
    has_time : ndarray, shape (n_events, n_tel), bool

    Returns
    -------
    ndarray, shape (n_events,), m
        Infinite where no telescope has a time.
    """
    x, y = (np.asarray(place, float)[:, np.newaxis] for place in (core_x, core_y))
    distance = np.hypot(x - position[:, 0], y - position[:, 1])
    return np.min(np.where(has_time, distance, np.inf), axis=1)
