"""Share of a star's light in each pixel: its image integrated over hexagons and squares.

The Gaussian is integrated over a pixel once, on a grid (a table in the distance of star and pixel);
coma is a sum of it over the rays of the mirror. Lengths are all of one unit: metres in the camera,
or degrees.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import astropy.units as u
import numba
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import spline_filter
from scipy.special import ndtr

from ..core.exceptions import ConfigurationError
from .coma_psf import rays_of

if TYPE_CHECKING:
    from ctapipe.instrument import CameraGeometry

__all__ = ["PixelShape", "PixelTable", "pixel_shape", "pixel_table", "star_light"]

_STEPS_PER_SIGMA = 5
_REACH = 5.0  # σ beyond the pixel


@dataclass(frozen=True)
class PixelShape:
    """A pixel: ``hexagon`` or ``square``, its width from side to side and its rotation (rad).

    At rotation 0 the sides that the width is between are left and right (along y).
    """

    kind: str
    width: float
    rotation: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in ("hexagon", "square") or not self.width > 0:
            raise ConfigurationError(
                f"pixel is a {self.kind} of width {self.width:g}; hexagons and squares are known"
            )

    @property
    def area(self) -> float:
        """Of the pixel, squared unit of the width."""
        return self.width**2 * (np.sqrt(3) / 2 if self.kind == "hexagon" else 1.0)

    @property
    def variance(self) -> float:
        """Of a place in the pixel, per axis, squared unit of the width: 5/72 and 1/12 w²."""
        return self.width**2 * (5 / 72 if self.kind == "hexagon" else 1 / 12)


@dataclass(frozen=True)
class PixelTable:
    """Integral of a Gaussian over a pixel against their distance, as a cubic spline.

    Parameters
    ----------
    spline : ndarray, shape (n, n)
        Coefficients; first index along the width of the pixel.
    step : float
        Of the grid, whose middle is the middle of the pixel.
    shape : PixelShape
    sigma : float
    """

    spline: NDArray
    step: float
    shape: PixelShape
    sigma: float


def pixel_shape(geometry: "CameraGeometry") -> PixelShape:
    """Shape of the pixels of a camera in metres; gaps between them see nothing.

    Raises
    ------
    ConfigurationError
        If pixels are neither hexagons nor squares.
    """
    kind = geometry.pix_type.value
    area = float(np.median(geometry.pix_area.to_value(u.m**2)))
    factor = {"hexagon": np.sqrt(3) / 2, "square": 1.0}.get(kind)
    if factor is None:
        raise ConfigurationError(
            f"pixels of {geometry.name} are {kind}s: hexagons and squares are known"
        )
    name = "hexagon" if kind == "hexagon" else "square"
    return PixelShape(name, np.sqrt(area / factor), geometry.pix_rotation.to_value(u.rad))


def pixel_table(shape: PixelShape, sigma: float) -> PixelTable:
    """Table for one σ, in the unit of the pixel's width; accurate to 1e-4 of the largest share."""
    if not sigma > 0:
        raise ConfigurationError(
            f"sigma of the point spread function is {sigma:g}, needs more than 0"
        )
    step = sigma / _STEPS_PER_SIGMA
    half = int(np.ceil((shape.width / np.sqrt(3) + _REACH * sigma) / step)) + 3
    if half > 1500:
        raise ConfigurationError(
            f"sigma {sigma:g} is {shape.width / sigma:.0f} times smaller than a pixel of "
            f"{shape.width:g}; no point spread function is that sharp"
        )
    grid = step * np.arange(-half, half + 1)
    edge = shape.width / 2
    if shape.kind == "square":
        profile = ndtr((grid + edge) / sigma) - ndtr((grid - edge) / sigma)
        return PixelTable(spline_filter(np.outer(profile, profile)), step, shape, sigma)
    # strips along y: the hexagon's corners are up and down
    n_nodes = 12 + int(4 * shape.width / sigma)
    node, weight = np.polynomial.legendre.leggauss(n_nodes)
    strip = edge * (node + 1) / 2
    top = (2 * edge - strip) / np.sqrt(3)
    column = (
        ndtr((grid + top[:, np.newaxis]) / sigma) - ndtr((grid - top[:, np.newaxis]) / sigma)
    ).T
    gauss = sum(np.exp(-(((grid[:, np.newaxis] + s * strip) / sigma) ** 2) / 2) for s in (1, -1))
    gauss *= weight * edge / 2 / (np.sqrt(2 * np.pi) * sigma)
    return PixelTable(spline_filter(gauss @ column.T), step, shape, sigma)


def star_light(
    table: PixelTable,
    pixel_x: NDArray,
    pixel_y: NDArray,
    star_x: NDArray,
    star_y: NDArray,
    coma: float,
    obscuration: float = 0.0,
) -> NDArray:
    """Share of each star's light in each pixel, and its derivatives.

    Parameters
    ----------
    table : PixelTable
    pixel_x, pixel_y : ndarray, shape (n_pixels,)
        Middles of the pixels.
    star_x, star_y : ndarray, shape (n_stars,)
        Centroids, from the optical axis at (0, 0). NaN: no light anywhere.
    coma : float
        c of `ComaPsf`.
    obscuration : float

    Returns
    -------
    ndarray, shape (5, n_stars, n_pixels)
        Share; its derivatives to ``star_x``, ``star_y``, σ² and the coma c.
    """
    star_x, star_y = (
        np.atleast_1d(np.asarray(star_x, float)),
        np.atleast_1d(np.asarray(star_y, float)),
    )
    pixel_x, pixel_y = np.asarray(pixel_x, float), np.asarray(pixel_y, float)
    out = np.zeros((star_x.size, pixel_x.size, 5))
    turn = table.shape.rotation
    radius = np.hypot(star_x, star_y)
    for star in np.flatnonzero(np.isfinite(radius)):
        d = radius[star]
        rays = rays_of(coma * d, table.sigma, obscuration)
        direction = (star_x[star] / d, star_y[star] / d) if d > 0 else (1.0, 0.0)
        _add_light(
            table.spline,
            1 / table.step,
            np.cos(turn),
            np.sin(turn),
            pixel_x,
            pixel_y,
            star_x[star],
            star_y[star],
            direction[0],
            direction[1],
            d,
            coma,
            rays,
            out[star],
        )
    return np.moveaxis(out, -1, 0)


@numba.njit(cache=True, nogil=True)
def _add_light(
    spline: NDArray,
    per_step: float,
    cosine: float,
    sine: float,
    pixel_x: NDArray,
    pixel_y: NDArray,
    x: float,
    y: float,
    dir_x: float,
    dir_y: float,
    d: float,
    coma: float,
    rays: NDArray,
    out: NDArray,
) -> None:
    half = spline.shape[0] // 2
    limit = half - 2.0
    scale = coma * d
    far = np.sqrt(2.0) * limit / per_step + 2.1 * scale
    wx, wy, gx, gy = np.empty(4), np.empty(4), np.empty(4), np.empty(4)
    hx, hy = np.empty(4), np.empty(4)
    for pixel in range(pixel_x.size):
        px, py = pixel_x[pixel] - x, pixel_y[pixel] - y
        if px * px + py * py > far * far:
            continue
        share = sx = sy = laplace = by_coma_x = by_coma_y = 0.0
        by_turn = 0.0
        for ray in range(rays.shape[1]):
            along, across, weight = rays[0, ray], rays[1, ray], rays[2, ray]
            ox, oy = along * dir_x - across * dir_y, along * dir_y + across * dir_x
            qx, qy = px - scale * ox, py - scale * oy
            a = (qx * cosine + qy * sine) * per_step
            b = (qy * cosine - qx * sine) * per_step
            if abs(a) >= limit or abs(b) >= limit:
                continue
            i, j = int(np.floor(a)), int(np.floor(b))
            _weights(a - i, wx, gx, hx)
            _weights(b - j, wy, gy, hy)
            value = da = db = lap = 0.0
            for k in range(4):
                row = spline[half + i - 1 + k]
                s0 = s1 = s2 = 0.0
                for m in range(4):
                    c = row[half + j - 1 + m]
                    s0 += wy[m] * c
                    s1 += gy[m] * c
                    s2 += hy[m] * c
                value += wx[k] * s0
                da += gx[k] * s0
                db += wx[k] * s1
                lap += hx[k] * s0 + wx[k] * s2
            slope_x = (da * cosine - db * sine) * per_step
            slope_y = (da * sine + db * cosine) * per_step
            share += weight * value
            sx -= weight * slope_x
            sy -= weight * slope_y
            laplace += weight * lap * per_step * per_step
            by_coma_x -= weight * ox * slope_x
            by_coma_y -= weight * oy * slope_y
            # the kernel turns with the star's azimuth in the camera
            by_turn -= weight * coma * (-oy * slope_x + ox * slope_y)
        by_coma = by_coma_x + by_coma_y
        out[pixel, 0] = share
        out[pixel, 1] = sx + coma * by_coma * dir_x - by_turn * dir_y
        out[pixel, 2] = sy + coma * by_coma * dir_y + by_turn * dir_x
        out[pixel, 3] = laplace / 2
        out[pixel, 4] = d * by_coma


@numba.njit(cache=True, nogil=True)
def _weights(t: float, value: NDArray, slope: NDArray, curve: NDArray) -> None:
    """Cubic B-splines at the four nodes around t in [0, 1), and two derivatives."""
    r = 1.0 - t
    value[0], value[3] = r * r * r / 6, t * t * t / 6
    value[1] = (4 - 6 * t * t + 3 * t * t * t) / 6
    value[2] = (4 - 6 * r * r + 3 * r * r * r) / 6
    slope[0], slope[3] = -r * r / 2, t * t / 2
    slope[1], slope[2] = t * (1.5 * t - 2), -r * (1.5 * r - 2)
    curve[0], curve[3] = r, t
    curve[1], curve[2] = 3 * t - 2, 3 * r - 2
