"""Whether light that falls between the pixels counts as lost in a throughput."""

from typing import TYPE_CHECKING

import astropy.units as u
import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import Delaunay

if TYPE_CHECKING:
    from ctapipe.instrument import CameraGeometry

__all__ = ["EXCLUDED", "INCLUDED", "camera_fill_factor", "muon_pixel_gaps", "pixel_fill_factor"]

INCLUDED = "included"  # photoelectrons per photon on the mirror: light between pixels is lost
EXCLUDED = "excluded"  # photoelectrons per photon that points to a pixel
_TILED = 0.995  # above it there are no gaps in the description of the camera
_LONGEST = 1.5  # median longest sides: a triangle that is longer lies along the rim


def pixel_fill_factor(x: ArrayLike, y: ArrayLike, area: ArrayLike) -> float:
    r"""Area of the pixels over the area of the camera that they share.

    .. math::
        f = \frac{A_\mathrm{pixel}}{2\,\overline{A_\triangle}}

    Between neighbouring centres there are two triangles a pixel, in hexagonal and in square
    cameras, with gaps between modules or without.

    Parameters
    ----------
    x, y : array_like, shape (n_pixels,)
        Centres of the pixels.
    area : array_like, shape (n_pixels,), unit of x squared
        As the description of the camera has it; the median is taken.

    Returns
    -------
    float
        1 where the pixels tile the plane, 0.9604 for an LST of sim_telarray (hexagons of 0.049 m
        in a lattice of 0.050 m).
    """
    centres = np.column_stack([x, y]).astype(float)
    corners = centres[Delaunay(centres).simplices]
    sides = corners - np.roll(corners, 1, axis=1)
    longest = np.hypot(sides[..., 0], sides[..., 1]).max(axis=1)
    inner = longest < _LONGEST * np.median(longest)
    first, second = sides[inner, 1], sides[inner, 2]
    triangle = np.abs(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) / 2
    return float(np.median(np.asarray(area)) / (2 * triangle.mean()))


def camera_fill_factor(geometry: "CameraGeometry") -> float:
    """`pixel_fill_factor` of a camera in its own frame (m)."""
    x, y = (position.to_value(u.m) for position in (geometry.pix_x, geometry.pix_y))
    return pixel_fill_factor(x, y, geometry.pix_area.to_value(u.m**2))


def muon_pixel_gaps(fill_factor: float) -> str:
    """Whether a throughput from muons is per photon on the mirror, gaps between pixels included.

    The fit gives a pixel the light of its area. Areas that tile the plane take all the light, so
    that what is lost in real gaps lowers the throughput; the smaller areas of sim_telarray leave
    out the light between them.
    """
    return INCLUDED if fill_factor > _TILED else EXCLUDED
