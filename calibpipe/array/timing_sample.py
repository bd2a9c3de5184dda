"""A bounded sample of a stream of events, in which no telescope is forgotten."""

import numpy as np
from numpy.typing import NDArray

from .graph import common_events
from .shower_times import ShowerTimes

__all__ = ["EventSample"]


class EventSample:
    """Events of a block, kept while they stream by.

    Kept are the first events of every telescope, and of all events every *k*-th, where *k* doubles
    when these become too many: the sample covers the block from its begin to its end.

    Parameters
    ----------
    n_tel : int
    size : int
        Of the events that are kept for all of the block.
    of_telescope : int
        Events that are kept for each telescope.
    """

    def __init__(self, n_tel: int, size: int = 3000, of_telescope: int = 300):
        self.n_events = 0
        self.n_common = np.zeros((n_tel, n_tel), np.int64)
        self._size, self._of_telescope, self._step = size, of_telescope, 1
        self._kept: ShowerTimes | None = None
        self._number = np.empty(0, np.int64)
        self._is_first = np.empty(0, bool)

    def add(self, times: ShowerTimes) -> None:
        """Look at the next events of the block."""
        seen = np.isfinite(times.time)
        before = np.diag(self.n_common)
        count = before + np.cumsum(seen, axis=0)
        is_first = np.any(seen & (count <= self._of_telescope), axis=1)
        number = self.n_events + np.arange(len(times))
        kept = is_first | (number % self._step == 0)
        chosen = times.chosen(kept)
        self._kept = chosen if self._kept is None else self._kept.joined(chosen)
        self._number = np.concatenate([self._number, number[kept]])
        self._is_first = np.concatenate([self._is_first, is_first[kept]])
        self.n_events += len(times)
        self.n_common += common_events(seen)
        while np.count_nonzero(~self._is_first) > self._size:
            self._step *= 2
            self._keep(self._is_first | (self._number % self._step == 0))

    @property
    def times(self) -> ShowerTimes | None:
        """Events of the sample; None before any came."""
        return self._kept

    def _keep(self, which: NDArray) -> None:
        if self._kept is not None:
            self._kept = self._kept.chosen(which)
        self._number, self._is_first = self._number[which], self._is_first[which]
