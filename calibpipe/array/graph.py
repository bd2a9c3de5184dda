"""Which telescopes of an array are tied together by common events."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

from . import pair_graph

__all__ = ["ALONE", "common_events", "islands", "spanning_tree"]

ALONE = -1


def common_events(seen: ArrayLike) -> NDArray:
    """Events that two telescopes have in common.

    Parameters
    ----------
    seen : array_like, shape (n_events, n_tel), bool
        Whether a telescope saw an event.

    Returns
    -------
    ndarray, shape (n_tel, n_tel), int
        Symmetric; on the diagonal the events of one telescope.
    """
    seen = np.asarray(seen, float)  # float64: BLAS, and exact up to 2^53 events
    return np.rint(seen.T @ seen).astype(np.int64)


def islands(n_common: ArrayLike, min_common: int = 1) -> NDArray:
    """Number of the island that a telescope is on.

    Two telescopes are tied if they have `min_common` events in common; islands are those of
    `calibpipe.array.pair_graph`, with which telescopes must not be solved together.

    Parameters
    ----------
    n_common : array_like, shape (n_tel, n_tel)
        Symmetric; the diagonal does not count.
    min_common : int
        Positive.

    Returns
    -------
    ndarray, shape (n_tel,), int
        0 for the island of most telescopes, of equal ones that of the first; 1, 2, ... for others;
        `ALONE` for a telescope that is tied to none.
    """
    n_common = _pairs(n_common)
    first, second = np.nonzero(np.triu(n_common) >= max(min_common, 1))
    found = pair_graph.islands(len(n_common), first, second)
    return np.where(found.size[found.number] > 1, found.number, ALONE)


def spanning_tree(n_common: ArrayLike, first: int) -> list[tuple[int, int]]:
    """Ties that reach every telescope of the island of `first`, by the most common events.

    Parameters
    ----------
    n_common : array_like, shape (n_tel, n_tel)
        Symmetric; 0 for pairs that are not tied.
    first : int
        Telescope at the root.

    Returns
    -------
    list of (int, int)
        A telescope already reached, and the next one.
    """
    n_common = _pairs(n_common)
    cost = np.where(n_common > 0, 1.0 / np.maximum(n_common, 1), 0.0)
    tree = minimum_spanning_tree(csr_array(cost))
    order, parent = breadth_first_order(tree, first, directed=False)
    return [(int(parent[tel]), int(tel)) for tel in order[1:]]


def _pairs(n_common: ArrayLike) -> NDArray:
    n_common = np.array(n_common)
    np.fill_diagonal(n_common, 0)
    return n_common
