r"""Where the pattern of stars is in the camera: coarse search for a misalignment of some pixels.

The light at a place is estimated from the pixel and its neighbours,
:math:`M_i = \sum_j k_{ij} w_j v_j / \sum_j k_{ij}^2 w_j`. Of all displacements *d* the best has the
largest :math:`\sum_s w_s\sqrt{\min(r, 1, 3/r)}`, :math:`r = M(x_s + d)/(c\,a_s)` with the light *a*
of the catalogue: the number of stars that are there with the light they should have. A bright star,
or a planet, counts no more than others; stars too faint to be seen count less, :math:`w_s < 1`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

__all__ = ["PatternMatch", "match_pattern"]

SEEN = 5.0  # standard deviations of a star that is seen
AMBIGUOUS = 0.93  # of the best sum at another place
_CLEAR = 20.0  # standard deviations of a star that counts as one
_TOO_BRIGHT = 3.0  # times the light that is expected: another star
_STEP = 0.35  # pixels


@dataclass(frozen=True)
class PatternMatch:
    """Best displacement.

    Parameters
    ----------
    dx, dy : float, m
    n_seen : int
        Stars with light of five standard deviations there.
    rival : float
        Sum at the best place at least 1.5 pixels away over that of the best.
    is_at_edge : bool
        Whether the displacement may be larger than what was searched.
    """

    dx: float
    dy: float
    n_seen: int
    rival: float
    is_at_edge: bool

    @property
    def is_ambiguous(self) -> bool:
        """Whether another place is nearly as good."""
        return self.rival > AMBIGUOUS


def match_pattern(
    signal: NDArray,
    weight: NDArray,
    pixel_x: NDArray,
    pixel_y: NDArray,
    width: float,
    sigma: float,
    x: NDArray,
    y: NDArray,
    expected: NDArray,
    radius: float,
) -> PatternMatch:
    """Displacement of the stars in some images from where they are expected.

    Parameters
    ----------
    signal, weight : ndarray, shape (n_images, n_pixels)
        Above the smooth background, inverse variance (0: not usable).
    pixel_x, pixel_y : ndarray, shape (n_pixels,), m
    width, sigma : float, m
        Of a pixel; of the point spread function.
    x, y : ndarray, shape (n_images, n_stars), m
        Where the stars are expected, NaN for none.
    expected : ndarray, shape (n_stars,)
        Their light, in any unit.
    radius : float, m
        Largest displacement.
    """
    light, error = _light(signal, weight, pixel_x, pixel_y, width, sigma)
    n = int(np.ceil(radius / (_STEP * width)))
    grid = np.arange(-n, n + 1) * _STEP * width
    dx, dy = (part.ravel() for part in np.meshgrid(grid, grid))
    inside = np.hypot(dx, dy) <= radius + 1e-12
    dx, dy = dx[inside], dy[inside]
    tree = cKDTree(np.stack([pixel_x, pixel_y], axis=-1))
    found, noise = _at(tree, light, error, x, y, dx, dy, width)
    best = found.max(axis=-1, initial=0)
    typical = np.median(error[np.isfinite(error)]) if np.isfinite(error).any() else np.inf
    known = np.sort((best / expected)[best > SEEN * typical])
    scale = known[(known.size - 1) // 2] if known.size else 1.0  # of the median star
    counts = np.clip(scale * expected / (_CLEAR * typical), 0, 1)[:, np.newaxis]
    ratio = np.maximum(found / (scale * expected)[:, np.newaxis], 1e-9)
    total = (counts * np.sqrt(np.minimum(np.minimum(ratio, 1), _TOO_BRIGHT / ratio))).sum((0, 1))
    top = int(np.argmax(total))
    near = np.hypot(dx - dx[top], dy - dy[top]) < 0.75 * width
    # the sum is flat where all stars are bright enough; the light itself is not
    fine = (counts * np.sqrt(np.minimum(ratio, _TOO_BRIGHT))).sum((0, 1))
    share = np.where(near, (fine / fine[near].max()) ** 8, 0.0)
    far = np.hypot(dx - dx[top], dy - dy[top]) > 1.5 * width
    rival = float(total[far].max(initial=0) / total[top]) if total[top] > 0 else 1.0
    seen = np.any(found[:, :, top] > SEEN * noise[:, :, top], axis=0)
    return PatternMatch(
        dx=float(share @ dx / share.sum()),
        dy=float(share @ dy / share.sum()),
        n_seen=int(seen.sum()),
        rival=rival,
        is_at_edge=bool(np.hypot(dx[top], dy[top]) > radius - _STEP * width),
    )


def _light(
    signal: NDArray, weight: NDArray, pixel_x: NDArray, pixel_y: NDArray, width: float, sigma: float
) -> tuple[NDArray, NDArray]:
    """Light of a star in the middle of each pixel, and its error, (n_images, n_pixels)."""
    spread = sigma**2 + width**2 / 12
    places = np.stack([pixel_x, pixel_y], axis=-1)
    pairs = cKDTree(places).query_pairs(1.3 * width + 2 * sigma, output_type="ndarray")
    i, j = np.concatenate([pairs, pairs[:, ::-1], np.tile(np.arange(len(places)), (2, 1)).T]).T
    kernel = np.exp(-np.sum((places[i] - places[j]) ** 2, axis=1) / (2 * spread))
    kernel *= width**2 / (2 * np.pi * spread)  # about the share of the light
    n = len(places)
    up = np.array([np.bincount(i, kernel * (w * v)[j], n) for v, w in _pairs(signal, weight)])
    down = np.array([np.bincount(i, kernel**2 * w[j], n) for _, w in _pairs(signal, weight)])
    known = down > 0
    light, error = np.zeros_like(up), np.full_like(up, np.inf)
    light[known], error[known] = up[known] / down[known], 1 / np.sqrt(down[known])
    return light, error


def _pairs(signal: NDArray, weight: NDArray) -> list[tuple[NDArray, NDArray]]:
    return [(np.where(w > 0, v, 0), w) for v, w in zip(signal, weight, strict=True)]


def _at(
    tree: cKDTree,
    light: NDArray,
    error: NDArray,
    x: NDArray,
    y: NDArray,
    dx: NDArray,
    dy: NDArray,
    width: float,
) -> tuple[NDArray, NDArray]:
    """Light and error near displaced stars, (n_images, n_stars, n_displacements); 0 outside."""
    places = np.stack([x[..., np.newaxis] + dx, y[..., np.newaxis] + dy], axis=-1)
    distance, pixel = tree.query(np.nan_to_num(places, nan=1e3), k=3)
    image = np.arange(len(light))[:, np.newaxis, np.newaxis, np.newaxis]
    shares = np.where(distance < 0.8 * width, 1 / (distance + 0.1 * width), 0)
    norm = shares.sum(axis=-1)
    inside = norm > 0
    found = (light[image, pixel] * shares).sum(axis=-1) / np.where(inside, norm, 1)
    noise = error[image, pixel[..., :1]][..., 0]
    return np.where(inside, found, 0.0), np.where(inside, noise, np.inf)
