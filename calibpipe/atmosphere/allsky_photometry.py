r"""Light of stars at predicted places of an all-sky frame.

A stamp around each place gives the local background, slope and median of those pixels of an
annulus that have the least light of catalogue stars (all of them would raise it by 10 % of a star
of V = 6), and the light by the matched filter :math:`\hat F = \sum P (D - B) / \sum P^2`, P the
Gaussian image of a star integrated over pixels. Pixels that are not finite or sharper than a star
are left out.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erf

from ..core.allsky_file import AllskyCamera
from .allsky_background import local_background, stamp_half

__all__ = [
    "Photometry",
    "draw_stars",
    "filter_noise",
    "good_pixels",
    "matched_filter",
    "photometry",
    "pixel_image",
    "stamps",
    "trail_factor",
]

_SHARPNESS = 1.8  # a pixel that stands out of its neighbours by this much more than a star does
_PER_STAR_NOISE = 4 / 3  # sum P^3 / (sum P^2)^2 of a Gaussian, 2 dimensions


@dataclass(frozen=True)
class Photometry:
    """Measurements at places of a frame, in electrons.

    Attributes
    ----------
    light : ndarray, shape (n,)
        By the matched filter; NaN where more than a third of its weight is on bad pixels.
    background : ndarray, shape (n,)
        Per pixel, above the pedestal; NaN without good pixels.
    noise : ndarray, shape (n,)
        Of `light`, without the photons of the star itself.
    """

    light: NDArray
    background: NDArray
    noise: NDArray


def stamps(counts: NDArray, x: ArrayLike, y: ArrayLike, half: int) -> NDArray:
    """Square parts of a frame around places; pixels outside of the frame are NaN.

    Parameters
    ----------
    counts : ndarray, shape (n_y, n_x)
    x, y : array_like, shape (n,), pixel
    half : int
        Parts have ``2 half + 1`` pixels on a side.

    Returns
    -------
    ndarray, shape (n, 2 half + 1, 2 half + 1), float32
    """
    reach = np.arange(-half, half + 1)
    columns = np.rint(np.asarray(x)).astype(int)[:, None] + reach
    rows = np.rint(np.asarray(y)).astype(int)[:, None] + reach
    size_y, size_x = counts.shape
    rows_inside, columns_inside = np.clip(rows, 0, size_y - 1), np.clip(columns, 0, size_x - 1)
    flat = rows_inside[:, :, None] * size_x + columns_inside[:, None]
    found = np.take(counts, flat).astype(np.float32)
    outside_y, outside_x = (rows < 0) | (rows >= size_y), (columns < 0) | (columns >= size_x)
    if outside_x.any() or outside_y.any():
        found[outside_y[:, :, None] | outside_x[:, None]] = np.nan
    return found


def pixel_image(offset: ArrayLike, half: int, sigma: float) -> NDArray:
    """Gaussian integrated over pixels, one dimension.

    Parameters
    ----------
    offset : array_like, shape (n,), pixel
        Of the star from the middle pixel.

    Returns
    -------
    ndarray, shape (n, 2 half + 1)
    """
    edges = np.arange(-half - 0.5, half + 1) - np.asarray(offset)[:, None]
    return np.diff(erf(edges / (np.sqrt(2) * sigma)), axis=1).astype(np.float32) / 2


def good_pixels(excess: NDArray, noise: NDArray, sigma: float) -> NDArray:
    """Pixels that can be light of the sky: finite, and not sharper than the image of a star.

    Parameters
    ----------
    excess : ndarray, shape (n, m, m)
        Stamps without background; NaN is bad.
    noise : ndarray, shape (n,)
        Of a pixel.
    sigma : float, pixel
        Of a star's image.
    """
    finite = np.isfinite(excess)
    filled = np.where(finite, excess, 0)
    padded = np.pad(filled, ((0, 0), (1, 1), (1, 1)))
    beside = (
        padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1] + padded[:, 1:-1, :-2] + padded[:, 1:-1, 2:]
    ) / 4
    centre = pixel_image([0.0], 1, sigma)[0]  # of a star in the middle of a pixel, the sharpest
    ratio = centre[1] / centre[0]
    limit = _SHARPNESS * ratio * np.maximum(beside, 0) + 5 * noise[:, None, None]
    return finite & (filled < limit)


def matched_filter(
    excess: NDArray, good: NDArray, dx: NDArray, dy: NDArray, sigma: float
) -> NDArray:
    """Light of a star at each stamp's middle plus (dx, dy); NaN if a third is bad pixels.

    Parameters
    ----------
    excess, good : ndarray, shape (n, m, m)
    dx, dy : ndarray, shape (n,), pixel
    sigma : float, pixel
    """
    half = excess.shape[1] // 2
    image = pixel_image(dy, half, sigma)[:, :, None] * pixel_image(dx, half, sigma)[:, None]
    image_good = np.where(good, image, 0)
    weight = np.einsum("nij,nij->n", image_good, image_good)
    whole = np.einsum("nij,nij->n", image, image)
    light = np.einsum("nij,nij->n", image_good, np.where(good, excess, 0)) / np.maximum(
        weight, 1e-9
    )
    return np.where(weight > whole * 2 / 3, light, np.nan)


def photometry(
    camera: AllskyCamera,
    counts: NDArray,
    x: ArrayLike,
    y: ArrayLike,
    light: ArrayLike,
    wanted: ArrayLike | None = None,
) -> Photometry:
    """Light and background at places of a frame.

    Parameters
    ----------
    camera : AllskyCamera
    counts : ndarray, shape (n_y, n_x)
    x, y : array_like, shape (n,), pixel
    light : array_like, shape (n,), electrons
        Of the stars there in a clear sky; it only says which pixels are dark.
    wanted : array_like, shape (n,), bool, optional
        Places to measure; the others are NaN. All if not given.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    starlight = np.zeros(counts.shape, np.float32)
    draw_stars(starlight, x, y, light, camera.psf_sigma)
    wanted = np.ones(x.shape, bool) if wanted is None else np.asarray(wanted)
    measured = np.full((3, *x.shape), np.nan)
    measured[:, wanted] = _measured(camera, counts, starlight, x[wanted], y[wanted])
    return Photometry(*measured)


def _measured(
    camera: AllskyCamera, counts: NDArray, starlight: NDArray, x: NDArray, y: NDArray
) -> tuple[NDArray, NDArray, NDArray]:
    """Light, background and noise of the light."""
    half, core = stamp_half(camera), core_half(camera)
    parts = (stamps(counts, x, y, half) - camera.pedestal) * camera.gain
    background, slope, variance, n_equal = local_background(
        parts, stamps(starlight, x, y, half), camera
    )
    near = slice(half - core, half + core + 1)
    reach = np.arange(-core, core + 1, dtype=np.float32)
    excess = parts[:, near, near] - background[:, None, None].astype(np.float32)
    excess -= slope[:, :1, None] * reach + slope[:, 1:, None] * reach[:, None]
    good = good_pixels(excess, np.sqrt(variance).astype(np.float32), camera.psf_sigma)
    light = matched_filter(excess, good, x - np.rint(x), y - np.rint(y), camera.psf_sigma)
    return light, background, filter_noise(variance, 0, camera.psf_sigma, n_equal)


def draw_stars(image: NDArray, x: NDArray, y: NDArray, light: ArrayLike, sigma: float) -> None:
    """Add the images of stars to a frame; those within four widths of its border are left out.

    Parameters
    ----------
    image : ndarray, shape (n_y, n_x), float
        Changed.
    x, y : ndarray, shape (n,), pixel
    light : array_like, shape (n,)
        Sum of the pixels of each.
    sigma : float, pixel
    """
    half = int(np.ceil(4 * sigma))
    size_y, size_x = image.shape
    inside = (x > half) & (x < size_x - half - 1) & (y > half) & (y < size_y - half - 1)
    x, y, inner = x[inside], y[inside], np.asarray(light)[inside]
    column, row = np.rint(x).astype(int), np.rint(y).astype(int)
    star = (
        inner[:, None, None]
        * pixel_image(y - row, half, sigma)[:, :, None]
        * pixel_image(x - column, half, sigma)[:, None]
    )
    reach = np.arange(-half, half + 1)
    flat = (row[:, None] + reach)[:, :, None] * size_x + (column[:, None] + reach)[:, None]
    np.add.at(image.ravel(), flat.ravel(), star.astype(image.dtype).ravel())


def core_half(camera: AllskyCamera) -> int:
    """Half side of the part of a stamp that the matched filter looks at."""
    return int(np.ceil(3.5 * camera.psf_sigma)) + 1


def filter_noise(
    variance: ArrayLike, light: ArrayLike, sigma: float, n_ring: ArrayLike = 80
) -> NDArray:
    r"""Noise of the matched filter.

    .. math:: \sigma^2 = v\left(4\pi s^2 + \frac{\pi}{2 n}(4\pi s^2)^2\right) + \frac{4}{3}F

    pixels of background, the median of n of them beside the star, and the photons of the star.

    Parameters
    ----------
    variance : array_like
        Of a pixel, v.
    light : array_like
        Of the star, F, electrons.
    sigma : float, pixel
        Of its image; the pixel's own width is added.
    n_ring : array_like
        Pixels of the annulus without stars, n.
    """
    area = 4 * np.pi * (sigma**2 + 1 / 12)
    pixels = area + np.pi / 2 / np.asarray(n_ring) * area**2
    return np.sqrt(np.asarray(variance) * pixels + _PER_STAR_NOISE * np.maximum(light, 0))


def trail_factor(length: ArrayLike, sigma: float) -> NDArray:
    r"""Part of its light that the filter finds of a star that moves during the exposure.

    .. math:: \frac{2 s\sqrt\pi}{L} \mathrm{erf}\left(\frac{L}{4 s}\right)

    Parameters
    ----------
    length : array_like, pixel
        Of the trail, L.
    sigma : float, pixel
        Of the image of a star that stands, s; the pixel's own width is added.
    """
    width = np.sqrt(sigma**2 + 1 / 12)
    ratio = np.maximum(np.asarray(length, float), 1e-6) / (4 * width)
    return np.sqrt(np.pi) / 2 * erf(ratio) / ratio
