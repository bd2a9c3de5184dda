"""Nodes: the times at which other chunks of pixel statistics become valid.

Pedestals, flat-field charges and peak times come in chunks that need not coincide. The
coefficients change (a *node*) whenever one of the three changes its valid chunk; every node uses
the chunks that cover it. Chunk k serves the half-open interval from its first event to that of
chunk k+1, or, before a gap, to its own last event.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from ..core.exceptions import InsufficientStatisticsError

__all__ = ["SERIES", "Chunk", "coefficient_nodes"]

SERIES = ("pedestal", "flat-field charge", "flat-field peak time")


class Chunk(Protocol):
    """What is needed of the statistics of one chunk; times in TAI seconds since 1970."""

    @property
    def time_start(self) -> float:
        """Time of the first event."""

    @property
    def time_end(self) -> float:
        """Time of the last event."""

    @property
    def n_events(self) -> np.ndarray:
        """(n_channels, n_pixels), as mean and standard deviation."""

    @property
    def mean(self) -> np.ndarray:
        """(n_channels, n_pixels)."""

    @property
    def std(self) -> np.ndarray:
        """(n_channels, n_pixels)."""

    @property
    def common_variance(self) -> np.ndarray:
        """(n_channels,), of what all pixels share, or NaN."""


def _serving(
    chunks: Sequence[Chunk], starts: np.ndarray, ends: np.ndarray, time: float
) -> Chunk | None:
    """Chunk with the latest start <= time that still serves it; the first one serves before."""
    k = max(int(np.searchsorted(starts, time, side="right")) - 1, 0)
    return chunks[k] if time < ends[k] else None


def _ends_of_service(chunks: Sequence[Chunk], max_gap: float, last: float) -> np.ndarray:
    """End of the half-open interval that each chunk serves; `last` is the end of all data."""
    starts = np.array([c.time_start for c in chunks])
    own = np.array([c.time_end for c in chunks])
    following = np.append(starts[1:], last)
    allowed = np.full(len(chunks), max_gap)
    # ASSUME: the events after the last chunk are the rest of a run, too few for one more chunk
    allowed[-1] = max(max_gap, own[-1] - starts[-1])
    ends = np.where(following - own > allowed, own, following)
    ends[-1] = np.inf if ends[-1] == last else ends[-1]
    return ends


def _sorted(chunks: Sequence[Chunk], name: str, where: str) -> list[Chunk]:
    if not chunks:
        raise InsufficientStatisticsError(
            f"no {name} chunk of {where}: calibration needs pedestals and flat fields; "
            "look at the event types of the DL0 files"
        )
    return sorted(chunks, key=lambda c: c.time_start)


def coefficient_nodes(
    pedestals: Sequence[Chunk],
    flatfields: Sequence[Chunk],
    peak_times: Sequence[Chunk],
    *,
    max_gap: float = 1.0,
    where: str = "this telescope",
) -> list[tuple[float, tuple[Chunk | None, Chunk | None, Chunk | None]]]:
    """Times at which a chunk becomes valid or ends before a gap, and the chunks that then serve.

    Parameters
    ----------
    pedestals, flatfields, peak_times : sequence of Chunk
        In any order; overlapping chunks of a kind are allowed, the later start wins.
    max_gap : float, s
        A longer break between chunks of a kind is a gap: no chunk serves it. The first chunk of
        a kind also serves up to `max_gap` before its start, where the others have begun; the last
        one as long again as it lasted, where the others go on.

    Returns
    -------
    list of (time, (pedestal, flat field, peak time))
        Ascending. None in a gap. Times before all three kinds have begun are left out.

    Raises
    ------
    InsufficientStatisticsError
        If there is no chunk of a kind.
    """
    series = [
        _sorted(chunks, name, where)
        for chunks, name in zip((pedestals, flatfields, peak_times), SERIES, strict=True)
    ]
    starts = [np.array([c.time_start for c in chunks]) for chunks in series]
    last = max(c.time_end for chunks in series for c in chunks)
    ends = [_ends_of_service(chunks, max_gap, last) for chunks in series]
    begins = [start[0] for start in starts]
    begin = min(b for b in begins if max(begins) - b <= max_gap)
    times = np.unique(np.concatenate([*starts, *(end[np.isfinite(end)] for end in ends)]))
    together = list(zip(series, starts, ends, strict=True))
    return [
        (float(time), (pedestal, flatfield, peak_time))
        for time in times[times >= begin]
        for pedestal, flatfield, peak_time in [[_serving(*kind, time) for kind in together]]
    ]
