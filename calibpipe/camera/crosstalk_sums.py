"""Sums over events that cross-talk follows from, added batch by batch."""

import itertools

import numpy as np
from scipy.sparse import csr_array

from ..core.exceptions import ConfigurationError

__all__ = ["PairSums", "PixelSums", "control_pairs", "lit_pixel", "neighbour_pairs"]

FAR = 4.0  # pixel distances: two steps of cross-talk reach half as far


def neighbour_pairs(neighbours: csr_array, *, directed: bool) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and sources of all pairs of neighbours; each pair once without direction."""
    pairs = neighbours.tocoo()
    chosen = np.ones(pairs.nnz, bool) if directed else pairs.row < pairs.col
    return pairs.row[chosen].astype(int), pairs.col[chosen].astype(int)


def control_pairs(x: np.ndarray, y: np.ndarray, n_pairs: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of pixels far apart, every pixel in about as many of them.

    Parameters
    ----------
    x, y : array, (n_pixels,)
        Positions, in distances of neighbouring pixels.
    n_pairs : int
        Wanted, at least as many as pixels for an even choice.

    Raises
    ------
    ConfigurationError
        If no pixels are 4 distances apart.
    """
    n, found = x.size, []
    pixel = np.arange(n)
    for step in range(1, n):
        other = (pixel + step * 7 % n) % n  # neighbours in number are neighbours in place
        far = np.hypot(x - x[other], y - y[other]) > FAR
        found.append(np.stack([pixel[far], other[far]]))
        if sum(pairs.shape[1] for pairs in found) >= n_pairs:
            break
    pairs = np.concatenate(found, axis=1)[:, :n_pairs]
    if not pairs.size:
        raise ConfigurationError(
            f"no two of {n} pixels are {FAR:g} pixel distances apart: the covariance that all "
            "pixels share cannot be known; light single pixels instead"
        )
    return pairs[0], pairs[1]


def lit_pixel(
    charge: np.ndarray, noise: np.ndarray, *, min_significance: float = 20.0, isolation: float = 0.5
) -> np.ndarray:
    """Pixel that alone is lit in each event, or -1.

    Parameters
    ----------
    charge : array, (n_events, n_pixels)
        Above the pedestal, of equal gain.
    noise : array, (n_pixels,)
        Standard deviation of the pedestal.
    min_significance : float
        Charge of a lit pixel in units of its noise.
    isolation : float
        The second brightest pixel has at most this part of the charge of the brightest. Far above
        any cross-talk, so that the choice does not depend on it.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(noise > 0, charge, 0.0)
    event = np.arange(len(value))
    brightest = value.argmax(axis=1)
    most = value[event, brightest]
    rest = value.copy()
    rest[event, brightest] = -np.inf
    alone = (most > min_significance * noise[brightest]) & (rest.max(axis=1) < isolation * most)
    return np.where(alone, brightest, -1)


class PixelSums:
    """Mean and variance of the charge of each pixel, covariance of some pairs.

    Parameters
    ----------
    pairs : (first, second), (n_pairs,)
        None are needed.
    """

    def __init__(self, pairs: tuple[np.ndarray, np.ndarray] | None = None):
        empty = np.empty(0, int)
        self.pairs = pairs or (empty, empty)
        self.n_events = 0
        self._reference: np.ndarray | None = None

    def add(self, charge: np.ndarray) -> None:
        """Charges (n_events, n_pixels) of a batch."""
        if not len(charge):
            return
        if self._reference is None:  # near the mean: sums of squares keep their digits
            self._reference = charge.mean(axis=0, dtype=float)
            self._sum, self._squares = np.zeros((2, charge.shape[1]))
            self._products = np.zeros(self.pairs[0].size)
        x = charge - self._reference
        self._sum += x.sum(axis=0)
        self._squares += (x**2).sum(axis=0)
        columns = np.ascontiguousarray(x.T)
        self._products += np.einsum("ij,ij->i", columns[self.pairs[0]], columns[self.pairs[1]])
        self.n_events += len(charge)

    @property
    def mean(self) -> np.ndarray:
        """(n_pixels,)."""
        assert self._reference is not None  # there were events
        return self._reference + self._sum / self.n_events

    @property
    def variance(self) -> np.ndarray:
        """Unbiased, (n_pixels,)."""
        return (self._squares - self._sum**2 / self.n_events) / (self.n_events - 1)

    @property
    def covariance(self) -> np.ndarray:
        """Unbiased, (n_pairs,)."""
        i, k = self.pairs
        product = self._sum[i] * self._sum[k] / self.n_events
        return (self._products - product) / (self.n_events - 1)


class PairSums:
    """Mean, variance and covariance of pixel and source in events in which the source is lit.

    Parameters
    ----------
    pairs : (pixel, source), (n_pairs,)
    reference : array, (n_pixels,)
        Charges near the means (pedestals): sums of squares keep their digits.
    """

    def __init__(self, pairs: tuple[np.ndarray, np.ndarray], reference: np.ndarray):
        self.pairs = pairs
        self._reference = np.asarray(reference, float)
        order = np.argsort(pairs[1], kind="stable")
        edges = np.searchsorted(pairs[1][order], np.arange(len(self._reference) + 1))
        self._of_source = [order[a:b] for a, b in itertools.pairwise(edges)]
        n_pairs = pairs[0].size
        self.n_events = np.zeros(n_pairs, int)
        self._sum, self._squares = np.zeros((2, 2, n_pairs))
        self._products = np.zeros(n_pairs)

    def add(self, charge: np.ndarray, lit: np.ndarray) -> None:
        """Charges (n_events, n_pixels) of a batch and the pixel that is lit, or -1."""
        for event in np.flatnonzero(lit >= 0):
            own = self._of_source[lit[event]]
            pixel = self.pairs[0][own]
            x = charge[event, pixel] - self._reference[pixel]
            y = charge[event, lit[event]] - self._reference[lit[event]]
            self.n_events[own] += 1
            self._sum[0, own] += x
            self._sum[1, own] += y
            self._squares[0, own] += x**2
            self._squares[1, own] += y**2
            self._products[own] += x * y

    @property
    def mean(self) -> np.ndarray:
        """Of pixel and source, (2, n_pairs)."""
        reference = self._reference[np.stack(self.pairs)]
        with np.errstate(divide="ignore", invalid="ignore"):
            return reference + self._sum / self.n_events

    @property
    def variance(self) -> np.ndarray:
        """Of pixel and source, (2, n_pairs)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return (self._squares - self._sum**2 / self.n_events) / (self.n_events - 1)

    @property
    def covariance(self) -> np.ndarray:
        """(n_pairs,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            product = self._sum[0] * self._sum[1] / self.n_events
            return (self._products - product) / (self.n_events - 1)
