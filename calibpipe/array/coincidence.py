r"""Time offset of a free-running partner instrument, from coincident events.

Two instruments that see the same showers but trigger and are timed on their own, such as LST-1 and
MAGIC, have events in common at a constant difference of their times; all other pairs of events are
spread evenly over differences. The offset is where the differences pile up.

Times are numbers in ns from one origin, ascending. As integers they are exact; as floats they are,
within a day of the origin, to 0.02 ns.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.exceptions import ConfigurationError, InsufficientStatisticsError
from .shower_front import SPEED_OF_LIGHT, shower_axis
from .significance import lima_significance, significance_after_trials

__all__ = [
    "Coincidences",
    "baseline_delay",
    "centred_window",
    "checked_times",
    "coincident_events",
    "expected_random",
    "find_offset",
    "offset_scan",
]

_PAIRS_AT_ONCE = 2_000_000
_MAX_ITERATIONS = 50
_SIDEBAND = 5.0  # half widths of the window that the background is counted in, on each side


@dataclass(frozen=True)
class Coincidences:
    """What was found at one offset.

    Attributes
    ----------
    offset : float, ns
        Time of the partner's events minus that of ours.
    stat_error : float, ns
    sys_error : float, ns
        Difference between the window and half of it beyond its statistical error: differences with
        a tail to one side.
    half_width : float, ns
    n_pairs : int
        Pairs within the window.
    n_random : float
        Expected of them by chance, from the sidebands.
    n_random_error : float
    spread : float, ns
        Standard deviation of the true coincidences' differences.
    significance : float
        In standard deviations, for this offset.
    significance_after_trials : float
        For the windows that were looked at.
    """

    offset: float
    stat_error: float
    sys_error: float
    half_width: float
    n_pairs: int
    n_random: float
    n_random_error: float
    spread: float
    significance: float
    significance_after_trials: float


def _differences(
    times: NDArray, partner: NDArray, low: float, high: float
) -> Iterator[tuple[NDArray, NDArray, NDArray]]:
    """Differences in [low, high], a bounded number at once: indices of both, differences in ns."""
    first = np.searchsorted(partner, times + _as_step(times, low), side="left")
    last = np.searchsorted(partner, times + _as_step(times, high), side="right")
    n_pairs = np.cumsum(last - first)
    begin = 0
    while begin < len(times):
        done = n_pairs[begin - 1] if begin else 0
        end = int(np.searchsorted(n_pairs, done + _PAIRS_AT_ONCE, side="right"))
        end = max(end, begin + 1)
        count = (last - first)[begin:end]
        own = np.repeat(np.arange(begin, end), count)
        start = np.repeat(first[begin:end] - (np.cumsum(count) - count), count)
        other = start + np.arange(len(own))
        yield own, other, (partner[other] - times[own]).astype(float)
        begin = end


def _as_step(times: NDArray, value: float) -> float | int:
    """A difference that leaves integer times integers."""
    return round(value) if times.dtype.kind == "i" else value


def offset_scan(
    times: ArrayLike, partner: ArrayLike, search: tuple[float, float], bin_width: float
) -> tuple[NDArray, NDArray]:
    """Histogram of the differences of times of all pairs.

    Parameters
    ----------
    times, partner : array_like, shape (n,), (m,), ns
        Ascending.
    search : tuple of float, ns
        Smallest and largest difference, partner minus ours.
    bin_width : float, ns

    Returns
    -------
    edges : ndarray, shape (n_bins + 1,), ns
    counts : ndarray, shape (n_bins,), int

    Raises
    ------
    ConfigurationError
        If times are not ascending, or the range is empty.
    InsufficientStatisticsError
        If an instrument has no events.
    """
    times, partner = checked_times(times, partner)
    low, high = search
    if not (high > low and bin_width > 0):
        raise ConfigurationError(
            f"offsets from {low:g} to {high:g} ns in steps of {bin_width:g} ns: needs an ascending "
            "range and a positive step"
        )
    n_bins = int(np.ceil((high - low) / bin_width))
    counts = np.zeros(n_bins, np.int64)
    for _, _, difference in _differences(times, partner, low, low + n_bins * bin_width):
        place = np.floor((difference - low) / bin_width).astype(np.int64)
        counts += np.bincount(np.clip(place, 0, n_bins - 1), minlength=n_bins)
    return low + bin_width * np.arange(n_bins + 1), counts


def expected_random(times: ArrayLike, partner: ArrayLike, width: float) -> float:
    """Pairs within a window by chance, from the rates while both instruments ran.

    Parameters
    ----------
    times, partner : array_like, ns
        Ascending.
    width : float, ns
        Of the whole window.

    Returns
    -------
    float
        0 if they did not run at the same time.
    """
    times, partner = checked_times(times, partner)
    begin, end = max(times[0], partner[0]), min(times[-1], partner[-1])
    if end <= begin:
        return 0.0
    own, other = (
        np.searchsorted(t, end, side="right") - np.searchsorted(t, begin) for t in (times, partner)
    )
    return float(own) * float(other) * width / float(end - begin)


def find_offset(
    times: ArrayLike,
    partner: ArrayLike,
    search: tuple[float, float],
    *,
    half_width: float = 300.0,
    min_significance: float = 5.0,
    max_pairs: int = 50_000_000,
) -> Coincidences:
    r"""Offset of the partner's times, the mean difference within a window around it.

    The fullest window of `half_width` in the range of `search` is centred on the mean of its
    differences until it stays. Chance pairs are as many on both sides and do not move the mean:

    .. math:: \sigma^2 = \frac{S s^2 + B w^2/3}{S^2}

    with *S* true coincidences of spread *s* and *B* chance pairs in a window of half width *w*.

    Parameters
    ----------
    times, partner : array_like, shape (n,), (m,), ns
        Ascending.
    search : tuple of float, ns
        Smallest and largest offset.
    half_width : float, ns
    min_significance : float
        After trials.
    max_pairs : int
        Pairs that the search looks at: of wider ranges it takes part of the events, from the
        middle of the time that both ran. The offset itself is from all events.

    Returns
    -------
    Coincidences

    Raises
    ------
    ConfigurationError
        If times are not ascending, or the range is empty.
    InsufficientStatisticsError
        If an instrument has no events, or no offset is significant.

    References
    ----------
    Li, T.-P. and Ma, Y.-Q. 1983, ApJ 272, 317 (significance). doi 10.1086/161295
    """
    times, partner = checked_times(times, partner)
    low, high = search
    part = _part(times, partner, high - low, max_pairs)
    step = half_width / 10
    edges, counts = offset_scan(part, partner, (low - half_width, high + half_width), step)
    in_window = np.convolve(counts, np.ones(20, np.int64), mode="valid")
    best = int(np.argmax(in_window))
    centre = float(edges[best] + half_width)
    trials = max((high - low) / (2 * half_width), 1.0)
    of_part = centred_window(part, partner, centre, half_width, trials)
    if not of_part.significance_after_trials >= min_significance:
        raise InsufficientStatisticsError(
            f"no significant offset between {low:g} and {high:g} ns: the best, "
            f"{of_part.offset:.1f} ns, has {of_part.n_pairs} pairs for {of_part.n_random:.1f} by "
            f"chance, {of_part.significance_after_trials:.1f} standard deviations after "
            f"{trials:.0f} trials, needs {min_significance:g}; search elsewhere, or longer"
        )
    if len(part) == len(times):
        return of_part
    return centred_window(times, partner, of_part.offset, half_width, trials)


def _part(times: NDArray, partner: NDArray, width: float, max_pairs: int) -> NDArray:
    """Events for the search: no more than `max_pairs` pairs."""
    begin, end = max(times[0], partner[0]), min(times[-1], partner[-1])
    if end <= begin:
        return times
    pairs = expected_random(times, partner, width)
    if pairs <= max_pairs:
        return times
    n = max(int(len(times) * max_pairs / pairs), 1)
    first, last = np.searchsorted(times, [begin, end])
    middle = (first + last) // 2
    return times[max(middle - n // 2, 0) : middle + n // 2 + 1]


def centred_window(
    times: NDArray, partner: NDArray, centre: float, half_width: float, trials: float
) -> Coincidences:
    """Coincidences with the window around the mean of the differences in it.

    Parameters
    ----------
    times, partner : ndarray, ns
        As `checked_times` gives them.
    centre, half_width : float, ns
        Of the window to begin with.
    trials : float
        Windows that were looked at to find this one.
    """
    reach = (2 + _SIDEBAND) * half_width
    pieces = [d for _, _, d in _differences(times, partner, centre - reach, centre + reach)]
    difference = np.sort(np.concatenate([np.empty(0), *pieces]))
    for _ in range(_MAX_ITERATIONS):
        inside = difference[np.abs(difference - centre) <= half_width]
        if len(inside) == 0:
            break
        moved = float(inside.mean())
        if abs(moved - centre) < 1e-3:
            break
        centre = moved
    distance = np.abs(difference - centre)
    n_on = int(np.count_nonzero(distance <= half_width))
    beside = (distance > 1.5 * half_width) & (distance <= _SIDEBAND * half_width)
    n_off = int(np.count_nonzero(beside))
    alpha = 1 / (_SIDEBAND - 1.5)
    random, signal = alpha * n_off, n_on - alpha * n_off
    inside = difference[distance <= half_width]
    square = float(np.sum((inside - centre) ** 2)) if n_on else 0.0
    own = max(square - random * half_width**2 / 3, 0.0)
    positive = signal > 0
    significance = lima_significance(n_on, n_off, alpha)
    stat_error = float(np.sqrt(square) / signal) if positive else np.nan
    return Coincidences(
        offset=centre,
        stat_error=stat_error,
        sys_error=_asymmetry(inside, centre, half_width, random, stat_error),
        half_width=half_width,
        n_pairs=n_on,
        n_random=random,
        n_random_error=float(alpha * np.sqrt(n_off)),
        spread=float(np.sqrt(own / signal)) if positive else np.nan,
        significance=significance,
        significance_after_trials=significance_after_trials(significance, trials),
    )


def _asymmetry(
    inside: NDArray, centre: float, half_width: float, random: float, stat_error: float
) -> float:
    """What half of the window changes the mean by, beyond the errors of both."""
    core = inside[np.abs(inside - centre) <= half_width / 2]
    signal = len(core) - random / 2
    if not (signal > 0 and stat_error > 0):
        return np.nan
    # of both windows; the truncation at the old centre pulls the mean back, by less than its error
    variance = np.sum((core - centre) ** 2) / signal**2 + stat_error**2
    return float(np.sqrt(max((np.sum(core - centre) / signal) ** 2 - variance, 0.0)))


def baseline_delay(baseline: ArrayLike, alt: ArrayLike, az: ArrayLike) -> NDArray:
    r"""Delay of a plane front at the partner after us, :math:`-\hat n\vec b/c`.

    The offset found in events of one pointing contains it: subtract it before offsets of different
    pointings are compared.

    Parameters
    ----------
    baseline : array_like, shape (3,), m
        From us to the partner: north, west, up.
    alt, az : array_like, shape (n,), rad
        Where the showers come from.

    Returns
    -------
    ndarray, shape (n,), ns
    """
    axis, _, _ = shower_axis(np.atleast_1d(alt), np.atleast_1d(az))
    return -axis @ np.asarray(baseline, float) / SPEED_OF_LIGHT


def coincident_events(
    times: ArrayLike, partner: ArrayLike, offset: float, half_width: float = 300.0
) -> tuple[NDArray, NDArray]:
    """Pairs of events, each in one pair at most: the nearest of both.

    Parameters
    ----------
    times, partner : array_like, shape (n,), (m,), ns
        Ascending.
    offset, half_width : float, ns

    Returns
    -------
    own, other : ndarray, shape (n_pairs,), int
        Indices of the events, ascending.
    """
    times, partner = checked_times(times, partner)
    parts = ([np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0)])
    low, high = offset - half_width, offset + half_width
    for a, b, difference in _differences(times, partner, low, high):
        near = np.abs(difference - offset) <= half_width
        parts[0].append(a[near])
        parts[1].append(b[near])
        parts[2].append(np.abs(difference[near] - offset))
    own, other, distance = (np.concatenate(part) for part in parts)
    nearest = _is_nearest(own, distance) & _is_nearest(other, distance)
    return own[nearest], other[nearest]


def _is_nearest(event: NDArray, distance: NDArray) -> NDArray:
    """Whether a pair is the nearest (the first of equal ones) of its event."""
    order = np.lexsort((distance, event))
    first = np.ones(len(event), bool)
    first[1:] = np.diff(event[order]) > 0
    result = np.empty(len(event), bool)
    result[order] = first
    return result


def checked_times(times: ArrayLike, partner: ArrayLike) -> tuple[NDArray, NDArray]:
    """Both as arrays of signed numbers.

    Raises
    ------
    InsufficientStatisticsError
        If one is empty.
    ConfigurationError
        If one has NaN, or does not ascend.
    """
    return _one_checked("own", times), _one_checked("partner", partner)


def _one_checked(name: str, given: ArrayLike) -> NDArray:
    values = np.asarray(given)
    if values.size == 0:
        raise InsufficientStatisticsError(f"the {name} instrument has no events")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        bad = np.count_nonzero(~np.isfinite(values))
        raise ConfigurationError(f"{bad} of the {name} times are not finite; leave them out")
    if values.dtype.kind == "u":
        values = values.astype(np.int64)
    if np.any(values[1:] < values[:-1]):
        place = int(np.argmax(values[1:] < values[:-1])) + 1
        raise ConfigurationError(f"{name} times are not ascending at event {place}; sort them")
    return values
