"""Events of telescopes in memory: rows, and pairs of all of them."""

import numpy as np

from calibpipe.array.asymmetry import PairSums, add_events
from calibpipe.array.pairs import TelescopePairs


def all_pairs(n_tel):
    """Every telescope with every other one."""
    first, second = np.triu_indices(n_tel, 1)
    number = np.full((n_tel, n_tel), -1, np.int32)
    number[first, second] = number[second, first] = np.arange(len(first))
    return TelescopePairs(first, second, number)


def rows(values):
    """Rows of events (n_events, n_tel), NaN where a telescope has no data."""
    seen = np.isfinite(values)
    first = np.concatenate([[0], np.cumsum(seen.sum(axis=1))])
    return first, np.nonzero(seen)[1], values[seen]


def sums_of(values, pairs=None, **options):
    """Sums of events."""
    pairs = pairs or all_pairs(values.shape[1])
    sums = PairSums.of_pairs(len(pairs))
    add_events(sums, pairs, *rows(values), **options)
    return sums
