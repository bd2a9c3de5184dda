"""Statistics of each pixel over chunks of events: mean, median, spread and their errors."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from math import erf, exp, pi, sqrt

import numba
import numpy as np
from astropy.table import Table
from astropy.time import Time
from numpy.typing import NDArray

from calibpipe.core.exceptions import ConfigurationError, CorruptedInputError

__all__ = [
    "COEFFICIENT_COLUMNS",
    "ChunkStatistics",
    "CountChunks",
    "TimeChunks",
    "chunk_statistics",
    "chunks_of_table",
    "clipped_variance_factor",
    "statistics_table",
]

COEFFICIENT_COLUMNS = (
    *("time_start", "time_end", "event_id_start", "event_id_end", "n_events", "mean", "std"),
    *("common_variance", "outlier_mask"),
)
"""Columns of `statistics_table` from which coefficients follow."""

type Rows = tuple[np.ndarray, ...]
REMAINDERS = ("truncate", "merge", "skip")
BLOCK = 16  # pixels gathered together: one cache line of float32


@dataclass(frozen=True)
class ChunkStatistics:
    """Statistics of one quantity (charge, peak time or variance) over one chunk of events.

    Attributes
    ----------
    time_start, time_end: float
        First and last time of the chunk, TAI seconds since 1970-01-01 (unix_tai).
    event_id_start, event_id_end: int
        Event numbers at these times.
    n_events: ndarray, shape (n_channels, n_pixels), int64
        Values used: finite, not masked, not clipped.
    mean, median, std: ndarray, shape (n_channels, n_pixels), float64
        In the unit of the quantity; `std` with divisor `n_events` as in ctapipe, corrected for
        clipping if asked; NaN where `n_events` is 0.
    mean_error, variance_error: ndarray, shape (n_channels, n_pixels), float64
        Standard errors of `mean` and of ``std**2``; NaN where `n_events` is below 2 and 4.
    common_variance: ndarray, shape (n_channels,), float64
        Variance over events of what all pixels have in common (jitter of a light source or of its
        time, common noise), without that of the pixels themselves; NaN if not known.
    """

    time_start: float
    time_end: float
    event_id_start: int
    event_id_end: int
    n_events: np.ndarray
    mean: np.ndarray
    median: np.ndarray
    std: np.ndarray
    mean_error: np.ndarray
    variance_error: np.ndarray
    common_variance: np.ndarray


def statistics_table(chunks: Sequence[ChunkStatistics]) -> Table:
    """Table of chunks, one row each, as ctapipe-calculate-pixel-statistics writes it.

    ctapipe's `outlier_mask` is empty: here all values count, reasons come with the coefficients.
    Numbers of pixels are float32 and int32 (ctapipe: float64 and int64): they are rounded to 6e-8,
    their statistical errors are 1e-4 and more.
    """
    columns = {f.name: np.array([getattr(c, f.name) for c in chunks]) for f in fields(chunks[0])}
    for name in ("time_start", "time_end"):
        columns[name] = Time(columns[name], format="unix_tai", scale="tai")
    for name in ("event_id_start", "event_id_end"):
        columns[name] = columns[name].astype(np.uint64)
    for name in ("mean", "median", "std", "mean_error", "variance_error"):
        columns[name] = columns[name].astype(np.float32)
    columns["n_events"] = columns["n_events"].astype(np.int32)
    columns["outlier_mask"] = np.zeros(columns["mean"].shape, bool)
    columns["is_valid"] = np.ones(len(chunks), bool)
    return Table(columns)


def chunks_of_table(table: Table) -> list[ChunkStatistics]:
    """Chunks of such a table, of ours or of ctapipe's.

    What is not in the table (which may be read in part, `COEFFICIENT_COLUMNS`) is NaN. Pixels
    that it calls outliers have no events.
    """
    shape = table["mean"].shape
    columns: dict[str, np.ndarray] = {}
    for entry in fields(ChunkStatistics):
        name = entry.name
        if name in ("time_start", "time_end"):
            columns[name] = table[name].unix_tai.tolist()
        elif name in ("event_id_start", "event_id_end"):
            columns[name] = table[name].tolist()
        elif name in table.colnames:
            columns[name] = np.asarray(table[name])
        else:
            missing = shape[:2] if name == "common_variance" else shape
            columns[name] = np.broadcast_to(np.nan, missing)
    outlier = np.asarray(table["outlier_mask"], bool)
    if outlier.any():
        columns["n_events"] = np.where(outlier, 0, columns["n_events"])
    return [
        ChunkStatistics(**{name: values[row] for name, values in columns.items()})
        for row in range(len(table))
    ]


def clipped_variance_factor(max_sigma: float, iterations: int = 1) -> float:
    r"""Variance of Gaussian data after sigma clipping, relative to that before.

    .. math:: f(k) = 1 - \frac{2 k \varphi(k)}{\mathrm{erf}(k/\sqrt2)}, \quad
              k_1 = k, \quad k_{j+1} = k \sqrt{f(k_j)}

    The variance of a normal distribution truncated at :math:`\pm k` standard deviations; every
    further iteration cuts at the spread that the one before has left. Dividing a clipped
    variance by it removes the bias of many Gaussian data.

    Parameters
    ----------
    max_sigma: float
        Limit k in standard deviations. Below about 1.73 repeated clipping leaves nothing.
    iterations: int
        Number of times that is clipped.

    Returns
    -------
    float
        0.97334 (k = 3), 0.998929 (4), 0.999985 (5) for one iteration; 0.96992 (3) for five.

    Raises
    ------
    ConfigurationError
        If `max_sigma` or `iterations` is not positive.

    References
    ----------
    Johnson, Kotz & Balakrishnan 1994, Continuous Univariate Distributions 1, 13.10.1.
    """
    _require_clipping(max_sigma, iterations)
    factor = 1.0
    for _ in range(iterations):
        k = max_sigma * sqrt(factor)
        factor = 1 - 2 * k * exp(-k * k / 2) / sqrt(2 * pi) / erf(k / sqrt(2))
    return factor


def _require_clipping(max_sigma: float, iterations: int) -> None:
    if not (max_sigma > 0 and iterations >= 1):
        raise ConfigurationError(
            "sigma clipping needs a positive max_sigma and at least 1 iteration, got "
            f"{max_sigma} and {iterations}; correct them or switch clipping off"
        )


def chunk_statistics(
    event_id: np.ndarray,
    time: np.ndarray,
    values: np.ndarray,
    *,
    masked: np.ndarray | None = None,
    max_sigma: float | None = None,
    iterations: int = 5,
    correct_clipping: bool = True,
) -> ChunkStatistics:
    r"""Mean, median and spread of every pixel over the events of one chunk.

    Clipping is astropy's and ctapipe's: values outside mean ± `max_sigma` · std are left out, at
    most `iterations` times; the last limits are applied to all values. Errors from the central
    moments :math:`m_2, m_4` of the n values used, f the clipping correction (1 without):

    .. math:: \sigma_{mean} = \sqrt{\frac{m_2}{f (n - 1)}}, \quad
              \sigma_{m_2} = \frac{1}{f}\sqrt{\frac{m_4 - m_2^2 (n-3)/(n-1)}{n}}

    The common variance is the covariance of the mean deviations of two halves of the camera (even
    and odd pixels): noise of single pixels does not enter.

    Parameters
    ----------
    event_id: ndarray, shape (n_events,)
    time: ndarray, shape (n_events,)
        unix_tai in seconds; need not be sorted.
    values: ndarray, shape (n_events, n_channels, n_pixels)
        NaN and infinite values are left out.
    masked: ndarray of bool, shape (n_channels, n_pixels) or (n_events, n_channels, n_pixels)
        Pixels, or values of single events, to leave out.
    max_sigma: float, optional
        Limit of the clipping; no clipping when not given.
    iterations: int
        Largest number of clippings.
    correct_clipping: bool
        Divide the variance by `clipped_variance_factor`. Only right for Gaussian values.

    Returns
    -------
    ChunkStatistics

    Raises
    ------
    ConfigurationError
        If shapes do not fit, there is no event, or the clipping cannot be.

    References
    ----------
    Astropy Collaboration 2022, doi:10.3847/1538-4357/ac7c74 (sigma_clip);
    Kenney & Keeping 1951, Mathematics of Statistics 2 (variance of the variance).
    """
    shape = np.shape(values)
    if len(shape) != 3 or not shape[0] or {np.shape(event_id), np.shape(time)} != {shape[:1]}:
        raise ConfigurationError(
            "a chunk needs at least one event and values of shape (events, channels, pixels), got "
            f"{shape} for {np.shape(event_id)} event numbers and {np.shape(time)} times"
        )
    if max_sigma is not None:
        _require_clipping(max_sigma, iterations)
    mask = np.zeros(shape[1:], bool) if masked is None else np.asarray(masked, bool)
    if mask.shape not in (shape, shape[1:]):
        raise ConfigurationError(
            f"the mask has the shape {mask.shape}, the values have {shape}; give a mask of "
            "channels and pixels, with or without events"
        )
    mask = mask.reshape(-1, shape[1] * shape[2])
    n, mean, median, m2, m4, lower, upper = _moments(
        np.ascontiguousarray(values).reshape(shape[0], -1),
        mask,
        0.0 if max_sigma is None else float(max_sigma),
        0 if max_sigma is None else iterations,
    )
    common_variance = _common_variance(
        np.ascontiguousarray(values).reshape(shape[0], -1), mask, shape[1], mean, lower, upper
    )
    factor = 1.0
    if max_sigma is not None and correct_clipping:
        factor = clipped_variance_factor(max_sigma, iterations)
    few, too_few = n < 2, n < 4
    mean_error = np.sqrt(m2 / factor / np.where(few, np.nan, n - 1.0))
    spread = (m4 - m2**2 * (n - 3) / np.where(few, np.nan, n - 1.0)) / np.where(few, np.nan, n)
    variance_error = np.where(too_few, np.nan, np.sqrt(np.maximum(spread, 0))) / factor
    first, last = np.argmin(time), np.argmax(time)
    n, mean, median, std, mean_error, variance_error = (
        a.reshape(shape[1:])
        for a in (n, mean, median, np.sqrt(m2 / factor), mean_error, variance_error)
    )
    return ChunkStatistics(
        float(time[first]),
        float(time[last]),
        int(event_id[first]),
        int(event_id[last]),
        *(n, mean, median, std, mean_error, variance_error),
        common_variance,
    )


@numba.njit(cache=True, nogil=True)
def _moments(
    values: NDArray, mask: NDArray, max_sigma: float, iterations: int
) -> tuple[NDArray, ...]:
    n_events, n_columns = values.shape
    count = np.zeros(n_columns, np.int64)
    mean, median, m2, m4, lower_limit, upper_limit = np.full((6, n_columns), np.nan)
    gathered = np.empty((BLOCK, n_events))
    kept = np.empty(n_events)
    sizes = np.empty(BLOCK, np.int64)
    for start in range(0, n_columns, BLOCK):
        width = min(BLOCK, n_columns - start)
        sizes[:] = 0
        for event in range(n_events):
            row = min(event, len(mask) - 1)
            for j in range(width):
                value = values[event, start + j]
                if np.isfinite(value) and not mask[row, start + j]:
                    gathered[j, sizes[j]] = value
                    sizes[j] += 1
        for j in range(width):
            data = gathered[j, : sizes[j]]
            lower, upper = _limits(data, kept, max_sigma, iterations)
            n = 0
            for value in data:
                if lower <= value <= upper:
                    kept[n] = value
                    n += 1
            column = start + j
            count[column] = n
            lower_limit[column], upper_limit[column] = lower, upper
            if n:
                mean[column], m2[column], m4[column] = _central_moments(kept[:n])
                median[column] = np.median(kept[:n])
    return count, mean, median, m2, m4, lower_limit, upper_limit


@numba.njit(cache=True, nogil=True)
def _limits(data: NDArray, kept: NDArray, max_sigma: float, iterations: int) -> tuple[float, float]:
    """Last limits of the clipping of values, infinite without iterations."""
    lower, upper = -np.inf, np.inf
    n = len(data)
    kept[:n] = data
    for _ in range(iterations):
        if n == 0:
            break
        centre, variance, _ = _central_moments(kept[:n])
        lower = centre - max_sigma * np.sqrt(variance)
        upper = centre + max_sigma * np.sqrt(variance)
        n_left = 0
        for i in range(n):
            value = kept[i]
            if lower <= value <= upper:
                kept[n_left] = value
                n_left += 1
        if n_left == n:
            break
        n = n_left
    return lower, upper


@numba.njit(cache=True, nogil=True)
def _central_moments(data: NDArray) -> tuple[float, float, float]:
    """Mean and second and fourth central moment, of at least one value."""
    total = 0.0
    for value in data:
        total += value
    mean = total / len(data)
    second = 0.0
    fourth = 0.0
    for value in data:
        square = (value - mean) ** 2
        second += square
        fourth += square * square
    return mean, second / len(data), fourth / len(data)


@numba.njit(cache=True, nogil=True)
def _common_variance(
    values: NDArray, mask: NDArray, n_channels: int, mean: NDArray, lower: NDArray, upper: NDArray
) -> NDArray:
    """Covariance over events of the mean deviations of even and odd pixels, for each channel."""
    n_events, n_columns = values.shape
    n_pixels = n_columns // n_channels
    out = np.full(n_channels, np.nan)
    total = np.empty(2)
    n = np.empty(2)
    for channel in range(n_channels):
        n_used, sum_even, sum_odd, sum_product = 0, 0.0, 0.0, 0.0
        for event in range(n_events):
            row = min(event, len(mask) - 1)
            total[:] = 0.0
            n[:] = 0.0
            for column in range(channel * n_pixels, (channel + 1) * n_pixels):
                value = values[event, column]
                if lower[column] <= value <= upper[column] and not mask[row, column]:
                    total[column % 2] += value - mean[column]
                    n[column % 2] += 1
            if n[0] and n[1]:
                even, odd = total[0] / n[0], total[1] / n[1]
                n_used += 1
                sum_even += even
                sum_odd += odd
                sum_product += even * odd
        if n_used > 1:
            out[channel] = (sum_product - sum_even * sum_odd / n_used) / (n_used - 1)
    return out


class _RowBuffer:
    """Rows of several arrays, appended until a chunk is complete."""

    def __init__(self, capacity: int):
        self.capacity = capacity
        self.arrays: Rows | None = None
        self.n = 0

    def append(self, rows: Rows) -> None:
        n = self.n + len(rows[0])
        if self.arrays is None:
            self.capacity = max(self.capacity, n)
            self.arrays = tuple(np.empty((self.capacity, *a.shape[1:]), a.dtype) for a in rows)
        elif n > self.capacity:
            self.capacity = max(2 * self.capacity, n)
            self.arrays = tuple(_enlarged(a, self.capacity, self.n) for a in self.arrays)
        for array, new in zip(self.arrays, rows, strict=True):
            array[self.n : n] = new
        self.n = n

    def take(self, n: int | None = None) -> Rows:
        """The first `n` rows (all when not given), which leave the buffer."""
        n = self.n if n is None else n
        arrays, rest = self.arrays or (), self.n - n
        taken = tuple(a[:n] for a in arrays)
        self.arrays, self.n = None, 0
        if rest:
            self.append(tuple(a[n : n + rest] for a in arrays))
        return taken


def _enlarged(array: np.ndarray, capacity: int, n: int) -> np.ndarray:
    larger = np.empty((capacity, *array.shape[1:]), array.dtype)
    larger[:n] = array[:n]
    return larger


class CountChunks:
    """Chunks of equal numbers of events, from rows that come in pieces of any length.

    Rows are tuples of arrays (n, ...): event numbers, times and any number of quantities, in
    order. Every event is in exactly one chunk.

    Parameters
    ----------
    size: int
        Events in a chunk.
    remainder: {"truncate", "merge", "skip"}
        What is left after the last full chunk becomes a smaller chunk, is joined to the last
        full chunk, or is left out.

    Raises
    ------
    ConfigurationError
        If `size` is below 1 or `remainder` is none of the three.
    """

    def __init__(self, size: int, *, remainder: str = "truncate"):
        if size < 1 or remainder not in REMAINDERS:
            raise ConfigurationError(
                f"chunks need a size of at least 1 and a remainder of {', '.join(REMAINDERS)}; "
                f"got {size} and {remainder!r}"
            )
        self.size = size
        self.remainder = remainder
        # a chunk to merge with is held back
        self._buffer = _RowBuffer(2 * size if remainder == "merge" else size)
        self._full = self._buffer.capacity

    def add(self, rows: Rows) -> Iterator[Rows]:
        """Chunks that these rows complete."""
        start, end = 0, len(rows[0])
        while start < end:
            stop = min(end, start + self._full - self._buffer.n)
            self._buffer.append(tuple(a[start:stop] for a in rows))
            start = stop
            if self._buffer.n == self._full:
                yield self._buffer.take(self.size)

    def rest(self) -> Iterator[Rows]:
        """Chunk of what is left when no more rows come."""
        if self._buffer.n >= self.size or (self._buffer.n and self.remainder != "skip"):
            yield self._buffer.take()


class TimeChunks:
    """Chunks of equal durations, from rows that come in pieces of any length.

    Chunk k has the events with origin + k · duration <= time < origin + (k+1) · duration. Every
    event is in exactly one chunk; intervals without events give none. The last chunk is kept
    however short it is. Rows are tuples of arrays (n, ...): event numbers, times in seconds and
    any number of quantities, in the order of time within half a chunk or so: disorder inside a
    chunk does not matter.

    Parameters
    ----------
    duration: float
        Seconds.
    origin: float, optional
        Start of chunk 0; the first time when not given.
    max_size: int, optional
        An interval with more events gives several chunks, all but the last of this size: memory
        stays bounded whatever the rate is.

    Raises
    ------
    ConfigurationError
        If the duration or the size is not positive.
    CorruptedInputError
        If an event belongs to a chunk that is already complete (`add`).
    """

    def __init__(
        self, duration: float, *, origin: float | None = None, max_size: int | None = None
    ):
        if not duration > 0:
            raise ConfigurationError(f"the duration of a chunk must be positive, got {duration} s")
        if max_size is not None and max_size < 1:
            raise ConfigurationError(f"a chunk has at least 1 event, got a max_size of {max_size}")
        self.duration = duration
        self.origin = origin
        self.max_size = max_size
        self._buffer = _RowBuffer(0)
        self._current: int | None = None

    def add(self, rows: Rows) -> Iterator[Rows]:
        """Chunks that these rows complete."""
        if not len(rows[0]):
            return
        self.origin = float(rows[1][0]) if self.origin is None else self.origin
        index = _interval(rows[1], self.duration, self.origin)
        for k in np.unique(index):
            of_k = np.flatnonzero(index == k)
            if self._current is not None and k < self._current:
                late = self.origin + self._current * self.duration - rows[1][of_k[0]]
                raise CorruptedInputError(
                    f"event {rows[0][of_k[0]]} is {late:.6g} s earlier than the start of the "
                    "chunk of the event before it; sort the events by time, or use chunks by count"
                )
            if self._current is not None and k > self._current and self._buffer.n:
                yield self._buffer.take()
            self._current = int(k)
            size = self.max_size or len(of_k)
            while len(of_k):
                n = min(len(of_k), size - self._buffer.n) if self.max_size else size
                self._buffer.append(tuple(a[of_k[:n]] for a in rows))
                of_k = of_k[n:]
                if self.max_size and self._buffer.n == self.max_size:
                    yield self._buffer.take()

    def rest(self) -> Iterator[Rows]:
        """Chunk of what is left when no more rows come."""
        if self._buffer.n:
            yield self._buffer.take()


def _interval(time: np.ndarray, duration: float, origin: float) -> np.ndarray:
    """Number of the half-open interval of each time, by its edges as they are computed."""
    k = np.floor((time - origin) / duration)
    k -= time < origin + k * duration
    k += time >= origin + (k + 1) * duration
    return k.astype(np.int64)
