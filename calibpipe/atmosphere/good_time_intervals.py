"""Slices of a night, what lies in them, and good-time intervals.

Slices are of equal length; neighbours of the same quality make an interval.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.exceptions import ConfigurationError

__all__ = ["Interval", "SliceMeans", "good_time_intervals", "overlap", "slice_means", "time_slices"]


def time_slices(begin: float, end: float, length: float) -> NDArray:
    """Edges of equal slices of about a length, (n_slices + 1,).

    Parameters
    ----------
    begin, end, length : float
        s.

    Raises
    ------
    ConfigurationError
        If the end is not after the begin or the length not above 0.
    """
    if not end > begin or not length > 0:
        raise ConfigurationError(
            f"slices of {length:g} s between {begin:.0f} and {end:.0f} s: the end must be after "
            "the begin, the length above 0"
        )
    number = max(1, round((end - begin) / length))
    return np.linspace(begin, end, number + 1)


def overlap(edges: NDArray, begin: ArrayLike, end: ArrayLike) -> NDArray:
    """Seconds that slices and rows of a table have in common, (n_slices, n_rows).

    A moment (begin equal to end) counts as one second of the slice that it lies in.

    Parameters
    ----------
    edges : ndarray, (n_slices + 1,)
    begin, end : array_like, (n_rows,), s
    """
    begin, end = np.asarray(begin, float), np.asarray(end, float)
    first, last = edges[:-1, None], edges[1:, None]
    common = np.clip(np.minimum(last, end) - np.maximum(first, begin), 0.0, None)
    inside = (begin >= first) & (begin < last) & (begin == end)
    return np.where(inside, 1.0, common)


@dataclass(frozen=True)
class SliceMeans:
    """Means of a measurement in slices; each (n_slices,), NaN without a measurement.

    Attributes
    ----------
    value, stat_error, sys_error : ndarray
        The statistical error is that of the mean, by errors or by scatter, the larger one.
    n : ndarray of int
        Rows in the slice.
    """

    value: NDArray
    stat_error: NDArray
    sys_error: NDArray
    n: NDArray


def slice_means(
    seconds: NDArray, value: ArrayLike, stat_error: ArrayLike, sys_error: ArrayLike
) -> SliceMeans:
    """Means weighted with the time in common.

    Parameters
    ----------
    seconds : ndarray, (n_slices, n_rows)
        Of `overlap`.
    value, stat_error, sys_error : array_like, (n_rows,)
        A row with a NaN in any counts as absent. Systematic errors are common to all rows.
    """
    value, stat, sys = (np.asarray(x, float) for x in (value, stat_error, sys_error))
    known = np.isfinite(value) & np.isfinite(stat) & np.isfinite(sys)
    value, stat, sys = (np.where(known, x, 0.0) for x in (value, stat, sys))
    weight = seconds * known
    total = weight.sum(axis=1)
    n = (weight > 0).sum(axis=1)
    weight = weight / np.where(total > 0, total, 1.0)[:, None]
    mean = weight @ value
    by_error = (weight * stat) ** 2 @ np.ones_like(value)
    by_scatter = (weight**2 * (value - mean[:, None]) ** 2).sum(axis=1) * n / np.maximum(n - 1, 1)
    error = np.sqrt(np.maximum(by_error, by_scatter))
    mean, error, sys = (np.where(total > 0, x, np.nan) for x in (mean, error, weight @ sys))
    return SliceMeans(mean, error, sys, n)


@dataclass(frozen=True)
class Interval:
    """Adjacent slices of one quality.

    Attributes
    ----------
    quality : str
    first, stop : int
        Slices [first, stop).
    begin, end : float, s
    """

    quality: str
    first: int
    stop: int
    begin: float
    end: float

    @property
    def livetime(self) -> float:
        """Seconds. # ASSUME: data are taken all the time; dead time is the array's own matter."""
        return self.end - self.begin


def good_time_intervals(edges: NDArray, quality: Sequence[str]) -> list[Interval]:
    """Intervals of all qualities, ascending in time; together they are the whole night.

    Parameters
    ----------
    edges : ndarray, (n_slices + 1,), s
    quality : sequence of str, (n_slices,)

    Raises
    ------
    ConfigurationError
        If there are not as many qualities as slices, or none.
    """
    if len(quality) != len(edges) - 1 or not len(quality):
        raise ConfigurationError(
            f"{len(quality)} qualities of {len(edges) - 1} slices: give one a slice"
        )
    starts = [k for k in range(len(quality)) if k == 0 or quality[k] != quality[k - 1]]
    return [
        Interval(quality[k], k, stop, float(edges[k]), float(edges[stop]))
        for k, stop in zip(starts, [*starts[1:], len(quality)], strict=True)
    ]
