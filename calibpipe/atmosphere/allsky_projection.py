r"""Projection of a fisheye lens: directions over the site to pixels and back.

The angle to the optical axis :math:`\theta` becomes a radius

.. math:: r = f\,R(\theta)\,(1 + r_1\theta^2 + r_2\theta^4 + r_3\theta^6)

with :math:`R = \theta` (equidistant), :math:`2\sin(\theta/2)` (equisolid),
:math:`2\tan(\theta/2)` (stereographic) or :math:`\sin\theta` (orthographic).
"""

from collections.abc import Callable

import astropy.units as u
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.allsky_file import AllskyCamera

__all__ = ["angle_to_axis", "direction", "pixel", "pixel_solid_angle", "vignetting"]

WIDEST = np.radians(100.0)  # beyond it no lens is asked
_ANGLES = np.linspace(0.0, WIDEST, 4001)
_RADII: dict[str, Callable[[NDArray], NDArray]] = {
    "equidistant": lambda t: t,
    "equisolid": lambda t: 2 * np.sin(t / 2),
    "stereographic": lambda t: 2 * np.tan(t / 2),
    "orthographic": np.sin,
}


def pixel(camera: AllskyCamera, azimuth: u.Quantity, zenith: u.Quantity) -> tuple[NDArray, NDArray]:
    """Pixels x, y of (apparent) directions; NaN further than 100 degrees from the axis.

    Parameters
    ----------
    camera : AllskyCamera
    azimuth, zenith : Quantity, any shape, angle

    Returns
    -------
    x, y : ndarray
        The centre of the first pixel is 0.
    """
    around, off_axis = _to_axis(camera, azimuth.to_value(u.rad), zenith.to_value(u.rad))
    radius = _radius(camera, np.where(off_axis <= WIDEST, off_axis, np.nan))
    turned = around + np.radians(camera.rotation)
    return (
        camera.x_center - camera.parity * radius * np.sin(turned),
        camera.y_center + radius * np.cos(turned),
    )


def direction(camera: AllskyCamera, x: ArrayLike, y: ArrayLike) -> tuple[u.Quantity, u.Quantity]:
    """Azimuth and zenith angle (deg) of pixels; NaN where the lens shows no sky.

    Parameters
    ----------
    camera : AllskyCamera
    x, y : array_like, any shape
    """
    dx = -camera.parity * (np.asarray(x, float) - camera.x_center)
    dy = np.asarray(y, float) - camera.y_center
    off_axis = _inverse_radius(camera, np.hypot(dx, dy))
    around = np.arctan2(dx, dy) - np.radians(camera.rotation)
    vectors = np.stack(
        [
            np.sin(off_axis) * np.cos(around),
            np.sin(off_axis) * np.sin(around),
            np.cos(off_axis),
        ],
        axis=-1,
    )
    north, east, up = np.moveaxis(vectors @ _axis_rotation(camera), -1, 0)
    azimuth = np.degrees(np.arctan2(east, north)) % 360
    return azimuth * u.deg, np.degrees(np.arctan2(np.hypot(north, east), up)) * u.deg


def angle_to_axis(camera: AllskyCamera, azimuth: u.Quantity, zenith: u.Quantity) -> NDArray:
    """Angle between directions and the optical axis, rad."""
    return _to_axis(camera, azimuth.to_value(u.rad), zenith.to_value(u.rad))[1]


def pixel_solid_angle(camera: AllskyCamera, off_axis: ArrayLike) -> u.Quantity:
    r"""Solid angle of a pixel, :math:`\sin\theta / (r\,dr/d\theta)`.

    Parameters
    ----------
    camera : AllskyCamera
    off_axis : array_like, rad
        Angle to the optical axis.

    Returns
    -------
    Quantity, sr
    """
    theta = np.maximum(np.asarray(off_axis, float), 1e-4)
    step = 1e-5
    slope = (_radius(camera, theta + step) - _radius(camera, theta - step)) / (2 * step)
    return np.sin(theta) / (_radius(camera, theta) * slope) * u.sr


def vignetting(camera: AllskyCamera, off_axis: ArrayLike) -> NDArray:
    """Light of a star relative to the optical axis, at angles to it (rad); not below 0."""
    square = np.asarray(off_axis, float) ** 2
    return np.maximum(1 + camera.vignetting_1 * square + camera.vignetting_2 * square**2, 0.0)


def _radius(camera: AllskyCamera, theta: NDArray) -> NDArray:
    square = theta**2
    polynomial = 1 + square * (
        camera.radial_1 + square * (camera.radial_2 + square * camera.radial_3)
    )
    return camera.focal_length * _RADII[camera.projection](theta) * polynomial


def _inverse_radius(camera: AllskyCamera, radius: NDArray) -> NDArray:
    """Angle of a radius by interpolation in a table, within 1e-7 rad; NaN beyond its maximum."""
    table = _radius(camera, _ANGLES)
    falling = np.flatnonzero(np.diff(table) <= 0)
    end = falling[0] + 1 if falling.size else len(table)
    return np.interp(radius, table[:end], _ANGLES[:end], right=np.nan)


def _to_axis(camera: AllskyCamera, azimuth: NDArray, zenith: NDArray) -> tuple[NDArray, NDArray]:
    """Azimuth around and angle to the optical axis."""
    vectors = np.stack(
        [np.sin(zenith) * np.cos(azimuth), np.sin(zenith) * np.sin(azimuth), np.cos(zenith)], -1
    )
    north, east, along = np.moveaxis(vectors @ _axis_rotation(camera).T, -1, 0)
    return np.arctan2(east, north), np.arctan2(np.hypot(north, east), along)


def _axis_rotation(camera: AllskyCamera) -> NDArray:
    """Shortest rotation (north, east, up) that takes the optical axis to the zenith."""
    north, east = np.sin(np.radians([camera.tilt_north, camera.tilt_east]))
    up = np.sqrt(1 - north**2 - east**2)
    cross = np.array([[0, 0, -north], [0, 0, -east], [north, east, 0]])
    return np.eye(3) + cross + cross @ cross / (1 + up)
