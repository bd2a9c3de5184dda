"""Light of the sky under the stars: smooth over the camera, free in each image; static pixels."""

import numpy as np
from numpy.typing import NDArray

from ..core.exceptions import InsufficientStatisticsError

__all__ = ["smooth_background", "static_spread"]

_ROUNDS = 6
_CLIP = 4.0


def smooth_background(
    image: NDArray, x: NDArray, y: NDArray, starless: NDArray
) -> tuple[NDArray, NDArray]:
    """Polynomial of second order through the pixels without stars, one for each image.

    Gradients of the Moon and of twilight are in it. Pixels above and below the rest (stars that
    no catalogue has, faults) are left out.

    Parameters
    ----------
    image : ndarray, shape (n_images, n_pixels), p.e.
        NaN where not usable.
    x, y : ndarray, shape (n_pixels,), m
    starless : ndarray of bool, shape (n_pixels,)
        Pixels that count.

    Returns
    -------
    background : ndarray, shape (n_images, n_pixels), p.e.
    used : ndarray of bool, shape (n_images, n_pixels)

    Raises
    ------
    InsufficientStatisticsError
        If an image has fewer than 30 such pixels.
    """
    size = np.hypot(x, y).max()
    a, b = x / size, y / size
    terms = np.stack([np.ones_like(a), a, b, a * a, a * b, b * b], axis=1)
    background, used = np.empty(image.shape), np.zeros(image.shape, bool)
    for k, values in enumerate(image):
        kept = starless & np.isfinite(values)
        if np.count_nonzero(kept) < 30:
            raise InsufficientStatisticsError(
                f"image {k} has {np.count_nonzero(kept)} pixels without stars, needs 30; too many "
                "are masked, or the magnitude limit is too faint"
            )
        middle = np.full(values.size, np.median(values[kept]))
        for _ in range(_ROUNDS):
            rest = values - middle
            spread = 1.4826 * np.median(np.abs(rest[kept]))
            inner = kept & (np.abs(rest) <= _CLIP * spread)
            found, *_ = np.linalg.lstsq(terms[inner], values[inner])
            middle = terms @ found
        background[k], used[k] = middle, inner
    return background, used


def static_spread(signal: NDArray, variance: NDArray, used: NDArray) -> float:
    """τ: spread over pixels of what they have too much in all images, beyond statistics, p.e.

    Parameters
    ----------
    signal, variance : ndarray, shape (n_images, n_pixels)
        Above the smooth background, and its variance.
    used : ndarray of bool, shape (n_images, n_pixels)
        Pixels without stars.
    """
    count = used.sum(axis=0)
    there = count > len(signal) / 2
    mean = np.where(used, signal, 0).sum(axis=0)[there] / count[there]
    noise = np.where(used, variance, 0).sum(axis=0)[there] / count[there] ** 2
    spread = 1.4826 * np.median(np.abs(mean - np.median(mean)))
    excess = spread**2 - np.median(noise)
    # not below what the spread itself is uncertain by: no pixel is known without limit
    return float(np.sqrt(max(excess, spread**2 / np.sqrt(there.sum()))))
