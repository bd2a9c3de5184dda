"""Where the light of a track hits a mirror, and where its image is; axes as in `muon_photons`."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..pointing.coma_psf import coma_displacement

if TYPE_CHECKING:
    from .muon_photons import MuonTelescope

__all__ = ["camera_image", "landing", "track_axes"]


def landing(
    slope: NDArray, offset: NDArray, distance: NDArray, place: NDArray, axes: NDArray
) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Where photons hit the plane of the mirror.

    Parameters
    ----------
    slope : ndarray, shape (2, n)
        Of where they come from, transverse to the muon.
    offset : ndarray, shape (2, n)
        m: of their origin from the straight line of the muon.
    distance : ndarray, shape (n,)
        m: of their origin from the telescope along the muon.
    place : ndarray, shape (2,)
        m: where the muon crosses the plane of the mirror.
    axes : ndarray, shape (3, 3)
        `track_axes`.

    Returns
    -------
    x, y : ndarray, shape (n,)
        m.
    source : ndarray, shape (3, n)
        Unit vectors of where they come from.
    path : ndarray, shape (n,)
        m.
    """
    axis, transverse = axes[0, :, np.newaxis], axes[1:].T
    source = axis + transverse @ slope
    begin = axis * distance + transverse @ offset
    steps = begin[2] / source[2]
    x, y = place[:, np.newaxis] + begin[:2] - steps * source[:2]
    norm = np.sqrt(1 + slope[0] ** 2 + slope[1] ** 2)
    return x, y, source / norm, steps * norm


def track_axes(fov_lon: float, fov_lat: float) -> NDArray:
    """Direction the muon comes from, and two unit vectors transverse to it, near x and y."""
    off_axis = np.deg2rad(np.hypot(fov_lon, fov_lat))
    polar = np.arctan2(fov_lat, fov_lon)
    sine = np.sin(off_axis)
    axis = np.array([sine * np.cos(polar), sine * np.sin(polar), np.cos(off_axis)])
    first = np.array([axis[2], 0.0, -axis[0]]) / np.hypot(axis[0], axis[2])
    return np.stack([axis, first, np.cross(axis, first)])


def camera_image(
    x: NDArray, y: NDArray, source: NDArray, telescope: "MuonTelescope", rng: Generator
) -> NDArray:
    """Images (2, n) in the ``TelescopeFrame``, deg, of photons of some direction at (x, y)."""
    sine = np.hypot(source[0], source[1])
    # the angle to the axis over its tangent is 1 on the axis
    stretch = np.arctan2(sine, source[2]) / np.where(sine > 0, sine, 1.0)
    fov = np.rad2deg(stretch * source[:2])
    if telescope.coma > 0:
        mirror = np.stack([x, y]) / telescope.mirror_radius
        fov += coma_displacement(mirror, fov, telescope.coma)
    sector = telescope.misaligned
    if sector is not None:
        azimuth = (np.arctan2(y, x) - sector.begin) % (2 * np.pi)
        direction = np.array([[np.cos(sector.direction)], [np.sin(sector.direction)]])
        fov += np.where(azimuth < sector.end - sector.begin, sector.shift, 0.0) * direction
    return fov + rng.normal(0.0, telescope.psf, fov.shape)
