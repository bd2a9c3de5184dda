r"""Fluxes and displacements of all stars of some images in one linear fit, with their covariance.

.. math:: v_{bi} = B_{bi} + c_i + \sum_s f_{sb}\,\Big(A_{si} + \frac{\partial A_{si}}
   {\partial x}\,\delta x_{sb} + \frac{\partial A_{si}}{\partial y}\,\delta y_{sb}\Big)

for block *b* and pixel *i*: smooth background *B*, share *A* of a star's light in the pixel at its
expected place, and what a pixel has too much in all blocks, :math:`c_i`, known to be 0 ± τ. Pixels
are eliminated one by one (each is in few equations), blended stars are fitted together, pixels
that are not usable have no weight.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from .pixel_light import PixelTable, star_light

__all__ = ["SpotData", "Spots", "fit_spots", "light_of_stars"]

SHARE, BY_X, BY_Y, BY_VARIANCE, BY_COMA = range(5)  # first index of the light
LEAST_LIGHT = 1e-3  # share in usable pixels of a star that is in the model


@dataclass(frozen=True)
class SpotData:
    """What is fitted.

    Parameters
    ----------
    signal, weight : ndarray, shape (n_blocks, n_pixels)
        Above the smooth background, p.e.; inverse variance, 0 where a pixel is not usable.
    information : ndarray, shape (n_pixels,)
        1/τ² of the static part of a pixel; error of its response to the stars included.
    light : ndarray, shape (5, n_stars, n_blocks, n_pixels)
        `light_of_stars`.
    response : ndarray, shape (n_pixels,), p.e.²
        How much of τ² is that.
    neighbours : ndarray, shape (n_pixels,), p.e.²
        How much of the variances that `weight` has is that of stars in no catalogue: it is no
        scatter of the images.
    """

    signal: NDArray
    weight: NDArray
    information: NDArray
    light: NDArray
    response: NDArray | float = 0.0
    neighbours: NDArray | float = 0.0


@dataclass(frozen=True)
class Spots:
    """Result of the fit.

    Parameters
    ----------
    star, block : ndarray of int, shape (n_spots,)
        What is displaced.
    offset : ndarray, shape (2 n_spots,), m
        (δx, δy) of one spot after the other.
    covariance : ndarray, shape (2 n_spots, 2 n_spots), m²
        Statistical: events, static parts of the pixels, fluxes, and what else is free. Not the
        response of the pixels and unknown stars, which are in the weights alone.
    flux, flux_error : ndarray, shape (n_stars, n_blocks), p.e.
        NaN where a star is not in the image.
    psf, psf_covariance : ndarray, shape (2,), (2, 2)
        Correction of σ² (m²) and coma; 0 where fixed.
    by_pixel : ndarray, shape (2 n_spots, n_pixels), m
        Displacements by a relative error 1 of the scale of each pixel.
    by_light : ndarray, shape (2 n_spots, n_pixels), m/p.e.
        Displacements by more light in a pixel, the same in all blocks.
    by_psf : ndarray, shape (2 n_spots, 2)
        Displacements by an error 1 of a fixed σ² and coma.
    psf_by_pixel : ndarray, shape (2, n_pixels)
        Corrections `psf` by a relative error 1 of the scale of each pixel.
    chi2 : float
    n_degrees : int
    """

    star: NDArray
    block: NDArray
    offset: NDArray
    covariance: NDArray
    flux: NDArray
    flux_error: NDArray
    psf: NDArray
    psf_covariance: NDArray
    by_pixel: NDArray
    by_light: NDArray
    by_psf: NDArray
    psf_by_pixel: NDArray
    chi2: float
    n_degrees: int


def light_of_stars(
    table: PixelTable,
    pixel_x: NDArray,
    pixel_y: NDArray,
    x: NDArray,
    y: NDArray,
    node_weight: NDArray,
    node_block: NDArray,
    coma: float,
    obscuration: float = 0.0,
) -> NDArray:
    """Mean light of stars in the images of blocks, see `star_light`.

    Parameters
    ----------
    table : PixelTable
    pixel_x, pixel_y : ndarray, shape (n_pixels,), m
    x, y : ndarray, shape (n_stars, n_nodes), m
        Centroids; NaN is no light.
    node_weight, node_block : ndarray, shape (n_nodes,)
        Of `Blocks`.

    Returns
    -------
    ndarray, shape (5, n_stars, n_blocks, n_pixels)
    """
    light = np.zeros((5, x.shape[0], node_block[-1] + 1, pixel_x.size))
    for node, (weight, block) in enumerate(zip(node_weight, node_block, strict=True)):
        light[:, :, block] += weight * star_light(
            table, pixel_x, pixel_y, x[:, node], y[:, node], coma, obscuration
        )
    return light


def fit_spots(
    data: SpotData,
    flux: NDArray,
    moves: NDArray,
    free_psf: tuple[bool, bool] = (False, False),
    largest_offset: float = 0.15,
    sensitivities: bool = False,
) -> Spots:
    """Fluxes of all stars and displacements of some.

    Parameters
    ----------
    data : SpotData
    flux : ndarray, shape (n_stars, n_blocks), p.e.
        As known so far: scales the displacements. Not used where nothing moves.
    moves : ndarray of bool, shape (n_stars, n_blocks)
        Whether a star's place is free.
    free_psf : tuple of bool
        Whether σ² and coma of all stars together are.
    largest_offset : float, m
        Displacements are 0 ± this before anything is seen.
    sensitivities : bool
        Whether `by_pixel`, `by_light` and `by_psf` are wanted; empty if not.
    """
    own = _own_columns(data, flux, moves)
    common = [_by_psf(data, flux, k) for k in np.flatnonzero(free_psf).tolist()]
    equations = _Equations(data, own, np.reshape(common, (len(common), *data.signal.shape)))
    right = equations.project(data.signal)
    rights = [right[:, np.newaxis]]
    if sensitivities:
        shine = np.einsum("sb,sbi->bi", np.nan_to_num(flux), data.light[SHARE])
        rights.append(equations.project_pixels(shine))
        for k, is_free in enumerate(free_psf):
            change = 0 * data.signal if is_free else _by_psf(data, flux, k)
            rights.append(equations.project(change)[:, np.newaxis])
    normal = equations.normal()
    n_own = own.kind.size
    normal[np.diag_indices(n_own)] += np.where(own.kind > 0, largest_offset**-2.0, 0.0)
    inverse, solution = _solved(normal, np.concatenate(rights, axis=1))
    static = np.zeros((len(inverse), 0))
    if sensitivities:
        # of the same displacements, if all pixels had the response they should, and no neighbours
        static = inverse @ equations.project_pixels(np.ones_like(data.signal))
        inverse -= inverse @ equations.scatter(np.asarray(data.neighbours)) @ inverse
        inverse -= static * data.response @ static.T
    found = solution[:, 0]
    spots, of_flux, psf = np.flatnonzero(own.kind), own.kind == 0, np.arange(n_own, found.size)
    fluxes, errors = np.full((2, *flux.shape), np.nan)
    where = own.star[of_flux], own.block[of_flux]
    fluxes[where] = found[:n_own][of_flux]
    errors[where] = np.sqrt(np.diag(inverse)[:n_own][of_flux])
    correction, psf_covariance, chosen = np.zeros(2), np.zeros((2, 2)), np.flatnonzero(free_psf)
    correction[chosen] = found[psf]
    psf_covariance[np.ix_(chosen, chosen)] = inverse[np.ix_(psf, psf)]
    n_pixels = data.signal.shape[1] if sensitivities else 0
    psf_by_pixel = np.zeros((2, n_pixels))
    psf_by_pixel[chosen] = solution[psf, 1 : 1 + n_pixels]
    return Spots(
        star=own.star[spots[::2]],
        block=own.block[spots[::2]],
        offset=found[spots],
        covariance=inverse[np.ix_(spots, spots)],
        flux=fluxes,
        flux_error=errors,
        psf=correction,
        psf_covariance=psf_covariance,
        by_pixel=solution[spots, 1 : 1 + n_pixels],
        by_light=static[spots],
        by_psf=solution[spots, 1 + n_pixels :],
        psf_by_pixel=psf_by_pixel,
        chi2=equations.chi2(data.signal) - float(found @ right),
        n_degrees=int(np.count_nonzero(data.weight)) - found.size,
    )


@dataclass(frozen=True)
class _Columns:
    """Free numbers of single blocks: derivative of the image, block, kind (0 flux, 1 x, 2 y)."""

    values: NDArray
    block: NDArray
    kind: NDArray
    star: NDArray


def _own_columns(data: SpotData, flux: NDArray, moves: NDArray) -> _Columns:
    light = data.light
    is_seen = np.einsum("sbi,bi->sb", light[SHARE], data.weight > 0) > LEAST_LIGHT
    labels = [
        (b, k, s)
        for b in range(flux.shape[1])
        for s in np.flatnonzero(is_seen[:, b])
        for k in ((SHARE, BY_X, BY_Y) if moves[s, b] else (SHARE,))
    ]
    block, kind, star = np.reshape(np.array(labels, int), (len(labels), 3)).T
    scale = np.where(kind > 0, flux[star, block], 1.0)
    return _Columns(scale[:, np.newaxis] * light[kind, star, block], block, kind, star)


def _by_psf(data: SpotData, flux: NDArray, k: int) -> NDArray:
    """Derivative of the images to σ² (0) or coma (1), (n_blocks, n_pixels)."""
    return np.einsum("sb,sbi->bi", np.nan_to_num(flux), data.light[BY_VARIANCE + k])


class _Equations:
    """Normal equations after the elimination of the static part of every pixel."""

    def __init__(self, data: SpotData, own: _Columns, common: NDArray):
        self.own = own
        self.weight = data.weight
        self.information = data.information + data.weight.sum(axis=0)
        self.weighted = data.weight * common  # (n_common, n_blocks, n_pixels)
        self.common = common
        self.sums = np.concatenate([own.values * data.weight[own.block], self.weighted.sum(axis=1)])

    def project(self, image: NDArray) -> NDArray:
        """Right side for images (n_blocks, n_pixels)."""
        n_own = self.own.kind.size
        single = np.einsum("ni,ni->n", self.sums[:n_own], image[self.own.block])
        all_of = np.einsum("gbi,bi->g", self.weighted, image)
        static = (self.weight * image).sum(axis=0) / self.information
        return np.concatenate([single, all_of]) - self.sums @ static

    def project_pixels(self, image: NDArray) -> NDArray:
        """Right sides for images of one pixel each, (n_columns, n_pixels)."""
        single = self.sums[: self.own.kind.size] * image[self.own.block]
        all_of = np.einsum("gbi,bi->gi", self.weighted, image)
        static = (self.weight * image).sum(axis=0) / self.information
        return np.concatenate([single, all_of]) - self.sums * static

    def normal(self) -> NDArray:
        """Normal matrix."""
        n_own, values, block = self.own.kind.size, self.own.values, self.own.block
        matrix = -(self.sums / self.information) @ self.sums.T
        for b in np.unique(block):
            mine = slice(*np.searchsorted(block, [b, b + 1]))
            matrix[mine, mine] += values[mine] @ self.sums[mine].T
            cross = values[mine] @ self.weighted[:, b].T
            matrix[mine, n_own:] += cross
            matrix[n_own:, mine] += cross.T
        matrix[n_own:, n_own:] += np.einsum("gbi,hbi->gh", self.weighted, self.common)
        return matrix

    def scatter(self, variance: NDArray) -> NDArray:
        """Covariance of the right side by noise of a variance (n_pixels,) in each block."""
        n_own, block = self.own.kind.size, self.own.block
        squares = self.weight**2 * variance
        static = self.sums / self.information
        matrix = (static * squares.sum(axis=0)) @ static.T
        own = self.own.values * squares[block]
        single = own @ static.T
        matrix[:n_own] -= single
        matrix[:, :n_own] -= single.T
        for b in np.unique(block):
            mine = slice(*np.searchsorted(block, [b, b + 1]))
            matrix[mine, mine] += self.own.values[mine] @ own[mine].T
            cross = own[mine] @ self.common[:, b].T
            matrix[mine, n_own:] += cross
            matrix[n_own:, mine] += cross.T
        common = np.einsum("gbi,bi->gi", self.common, squares) @ static.T
        matrix[n_own:] -= common
        matrix[:, n_own:] -= common.T
        matrix[n_own:, n_own:] += np.einsum("gbi,bi,hbi->gh", self.common, squares, self.common)
        return matrix

    def chi2(self, image: NDArray) -> float:
        """χ² of images without a star."""
        total = np.sum(self.weight * image**2)
        return float(total - np.sum((self.weight * image).sum(axis=0) ** 2 / self.information))


def _solved(normal: NDArray, right: NDArray) -> tuple[NDArray, NDArray]:
    """Inverse and solution, after scaling to a diagonal of ones."""
    scale = 1 / np.sqrt(np.maximum(np.diag(normal), np.finfo(float).tiny))
    matrix = normal * scale[:, np.newaxis] * scale
    matrix[np.diag_indices_from(matrix)] += 1e-10  # two stars at one place
    factor = cho_factor(matrix, lower=True)
    inverse = cho_solve(factor, np.eye(len(normal))) * scale[:, np.newaxis] * scale
    return inverse, scale[:, np.newaxis] * cho_solve(factor, scale[:, np.newaxis] * right)
