"""Background of an all-sky frame beside stars, where catalogue stars give the least light."""

import numpy as np
from numpy.typing import NDArray

from ..core.allsky_file import AllskyCamera

__all__ = ["local_background", "stamp_half"]

_ANNULUS = (4.0, 8.5)  # widths of the image of a star
_DARK_PART = 0.4  # of the pixels of the annulus


def stamp_half(camera: AllskyCamera) -> int:
    """Half side of a stamp with its annulus."""
    return int(np.ceil(_annulus(camera)[1]))


def _annulus(camera: AllskyCamera) -> tuple[float, float]:
    scale = max(camera.psf_sigma, 1.0)
    return _ANNULUS[0] * scale, _ANNULUS[1] * scale


def local_background(
    parts: NDArray, starlight: NDArray, camera: AllskyCamera
) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Background of the sky in the middle of stamps.

    Parameters
    ----------
    parts : ndarray, shape (n, m, m), electrons
        Stamps of a frame; NaN is bad.
    starlight : ndarray, shape (n, m, m)
        What catalogue stars give there in a clear sky.
    camera : AllskyCamera

    Returns
    -------
    background : ndarray, shape (n,)
        Median; NaN if most of the dark pixels are bad.
    slope : ndarray, shape (n, 2)
        Along x and y.
    variance : ndarray, shape (n,)
        Of a pixel.
    n_equal : ndarray, shape (n,)
        Number of pixels that would tell as much if there were no slope.
    """
    half = parts.shape[1] // 2
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float32)
    inner, outer = _annulus(camera)
    in_ring = (np.hypot(x, y) >= inner) & (np.hypot(x, y) <= outer)
    ring, starlight = parts[:, in_ring], starlight[:, in_ring]
    evenly = (np.arange(ring.shape[1]) * 0.618034 % 1 * 1e-6).astype(np.float32)  # without stars
    starlight = np.where(np.isfinite(ring), starlight + evenly, np.inf)
    n_dark = int(_DARK_PART * ring.shape[1])
    darkest = np.argpartition(starlight, n_dark, axis=1)[:, :n_dark]
    ring = np.take_along_axis(ring, darkest, axis=1)
    number = np.isfinite(ring).sum(axis=1)
    x, y = x[in_ring][darkest], y[in_ring][darkest]
    slope, n_equal = _slope(ring, x, y, number)
    ring = ring - slope[:, :1] * x - slope[:, 1:] * y
    quarter, middle = _quantiles(ring, number)
    background = np.where(number >= n_dark // 2, middle, np.nan)
    spread = (middle - quarter) / 0.6745  # the lower half: stars are in the upper one
    expected = np.maximum(background, 0) + camera.read_noise**2
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = spread**2 / expected
    finite = ratio[np.isfinite(ratio)]
    # ASSUME: photons and read-out; what else there is (compression, flat field) is a common factor
    factor = max(float(np.median(finite)), 1.0) if finite.size else 1.0
    return background, slope, expected * factor, np.maximum(n_equal, 1)


def _quantiles(values: NDArray, number: NDArray) -> tuple[NDArray, NDArray]:
    """Lower quartile and median of rows; NaN do not count."""
    ordered = np.sort(values, axis=1)  # NaN come last
    rows, last = np.arange(len(values)), np.maximum(number - 1, 0)
    return tuple(ordered[rows, (last * part).astype(int)].astype(float) for part in (0.25, 0.5))


def _slope(values: NDArray, x: NDArray, y: NDArray, number: NDArray) -> tuple[NDArray, NDArray]:
    """Slopes (n, 2) of the plane through pixels; those far from the median are drawn to it.

    Also the number of pixels whose mean is known as well as the plane is in the middle.
    """
    quarter, middle = _quantiles(values, number)
    reach = (5 * (middle - quarter) / 0.6745)[:, None]
    away = np.clip(np.nan_to_num(values - middle[:, None]), -reach, reach)
    away = np.nan_to_num(away)
    weight = np.isfinite(values)
    shape = np.stack([weight, x * weight, y * weight], axis=-1).astype(np.float32)
    normal = np.einsum("npi,npj->nij", shape, shape) + 1e-3 * np.eye(3)
    right = np.einsum("npi,np->ni", shape, away)
    inverse = np.linalg.inv(normal)
    slope = np.einsum("nij,nj->ni", inverse, right)[:, 1:]
    return slope.astype(np.float32), 1 / inverse[:, 0, 0]
