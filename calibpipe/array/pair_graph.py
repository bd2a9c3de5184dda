"""The graph of telescopes and pairs: which telescopes hang together."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

__all__ = ["Islands", "islands"]


@dataclass(frozen=True)
class Islands:
    """Connected parts of the array, the largest first.

    Attributes
    ----------
    number : ndarray, shape (n_tel,), int
        Of each telescope's island, from 0.
    size : ndarray, shape (n_islands,), int
    """

    number: NDArray
    size: NDArray

    def described(self, tel_ids: ArrayLike) -> str:
        """``1, 2, 3 | 4, 5``."""
        tel_ids = np.asarray(tel_ids)
        parts = (tel_ids[self.number == k] for k in range(len(self.size)))
        return " | ".join(", ".join(map(str, part)) for part in parts)


def islands(n_tel: int, first: ArrayLike, second: ArrayLike) -> Islands:
    """Islands of telescopes that pairs connect.

    Between two islands no level can be told: their coefficients are never solved together.

    Parameters
    ----------
    n_tel : int
    first, second : array_like, shape (n_pairs,), int
        Telescopes of each pair.
    """
    first, second = np.asarray(first, int), np.asarray(second, int)
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(n_tel, n_tel))
    n, labels = connected_components(graph, directed=False)
    size = np.bincount(labels, minlength=n)
    order = np.argsort(-size, kind="stable")
    rank = np.empty(n, int)
    rank[order] = np.arange(n)
    return Islands(rank[labels], size[order])
