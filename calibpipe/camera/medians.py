"""Exact medians over the good pixels of a camera, and their errors."""

from collections.abc import Callable

import numba
import numpy as np

__all__ = ["good_median", "good_median_error", "masked_median", "masked_median_error"]

SAMPLE = 101  # values from which the neighbourhood of a median is guessed
MARGIN = 13  # ranks of the sample either side: 2.6 standard deviations of the guess


def masked_median(values: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Median over the last axis of the `good` entries, that axis kept with length 1; or NaN."""
    return _of_rows(_medians, values, good)


def masked_median_error(values: np.ndarray, errors: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Statistical error of `masked_median` for pixels that stay the same, only measured again.

    σ² = arccos(τ²/(τ²+ε²)) (τ²+ε²)/n for n pixels that truly differ by τ (rms) and are measured
    with errors ε: π/2 ε²/n for equal pixels, √2 τ ε/n for precise measurements. 0 without pixels.
    """
    return _of_rows(_median_errors, values, errors, good)


def _of_rows(function: Callable, *arrays: np.ndarray) -> np.ndarray:
    """Result of a compiled function of float arrays and one of bool (n_rows, n)."""
    shape = np.broadcast_shapes(*(np.shape(a) for a in arrays))
    types = [float] * (len(arrays) - 1) + [bool]
    rows = (
        np.array(np.broadcast_to(a, shape), dtype).reshape(-1, shape[-1])
        for a, dtype in zip(arrays, types, strict=True)
    )
    return function(*rows).reshape(*shape[:-1], 1)


@numba.njit(cache=True, nogil=True)
def _medians(values, good):
    out = np.empty(len(values))
    for row in range(len(values)):
        out[row] = good_median(values[row], good[row])
    return out


@numba.njit(cache=True, nogil=True)
def _median_errors(values, errors, good):
    out = np.empty(len(values))
    for row in range(len(values)):
        out[row] = good_median_error(values[row], errors[row], good[row])
    return out


@numba.njit(cache=True, nogil=True)
def good_median(values, good):
    """Median of the good ones of finite values (n,), or NaN."""
    kept = np.empty(len(values))
    n = 0
    for i in range(len(values)):
        kept[n] = values[i]
        n += good[i]
    if n == 0:
        return np.nan
    odd = n % 2
    rank = n // 2  # of the upper one of two in the middle
    if n > 3 * SAMPLE:
        n, rank, kept = _neighbourhood(kept, n, rank)
    high = _select(kept, n, rank)
    low = high if odd else kept[:rank].max()
    return (low + high) / 2.0


@numba.njit(cache=True, nogil=True)
def _neighbourhood(values, n, rank):
    """Values between limits that enclose those of ranks `rank` - 1 and `rank`.

    Their number, the rank among them, themselves; all values if the guess of the limits fails.
    """
    sample = values[n // SAMPLE // 2 : n : n // SAMPLE][:SAMPLE].copy()
    lower = _select(sample, SAMPLE, SAMPLE // 2 - MARGIN)
    upper = _select(sample, SAMPLE, SAMPLE // 2 + MARGIN)
    inside = np.empty(n)
    below = 0
    n_inside = 0
    for i in range(n):
        value = values[i]
        below += value < lower
        inside[n_inside] = value
        n_inside += (value >= lower) & (value <= upper)
    if below < rank < below + n_inside:
        return n_inside, rank - below, inside
    return n, rank, values


@numba.njit(cache=True, nogil=True)
def _select(values, n, k):
    """The k-th smallest of the first n values; what is smaller comes to stand before it."""
    first, last = 0, n - 1
    while first < last:
        pivot = values[(first + last) // 2]
        i, j = first, last
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if k <= j:
            last = j
        elif k >= i:
            first = i
        else:
            break
    return values[k]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def good_median_error(values, errors, good):
    """As `masked_median_error`, of one row (n,)."""
    # ASSUME: differences and errors are Gaussian; then the expected number of pixels that change
    # side, n [1/4 - arcsin(τ²/(τ²+ε²))/2π], divided by the density at the median, n/√(2π(τ²+ε²)).
    n, mean, noise, total = 0, 0.0, 0.0, 0.0
    for i in range(len(values)):
        if good[i]:
            n += 1
            mean += values[i]
            noise += errors[i] * errors[i]
    if n == 0:
        return 0.0
    mean /= n
    noise /= n
    for i in range(len(values)):
        if good[i]:
            total += (values[i] - mean) ** 2
    total = max(total / n, noise)
    ratio = (total - noise) / total if total > 0 else 1.0
    return np.sqrt(np.arccos(ratio) * total / n)
