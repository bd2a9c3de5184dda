"""Exact medians over the good pixels of a camera, and their errors."""

from collections.abc import Callable

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["good_median", "good_median_error", "masked_median", "masked_median_error"]

FEW = 32  # values that are sorted


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
def _medians(values: NDArray, good: NDArray) -> NDArray:
    out = np.empty(len(values))
    for row in range(len(values)):
        out[row] = good_median(values[row], good[row])
    return out


@numba.njit(cache=True, nogil=True)
def _median_errors(values: NDArray, errors: NDArray, good: NDArray) -> NDArray:
    out = np.empty(len(values))
    for row in range(len(values)):
        out[row] = good_median_error(values[row], errors[row], good[row])
    return out


@numba.njit(cache=True, nogil=True)
def good_median(values: NDArray, good: NDArray) -> float:
    """Median of the good ones of finite values (n,), or NaN."""
    kept = np.empty(len(values))
    n = 0
    for i in range(len(values)):
        kept[n] = values[i]
        n += good[i]
    if n == 0:
        return np.nan
    low, high = _neighbours(kept, n, n // 2)
    return high if n % 2 else (low + high) / 2.0


@numba.njit(cache=True, nogil=True)
def _neighbours(values: NDArray, n: int, rank: int) -> tuple[float, float]:
    """The values of ranks `rank` - 1 and `rank` of the first n, which are overwritten.

    Halved by a pivot until few are left, without branches in the loops over the values.
    """
    below = -np.inf
    while n > FEW:
        pivot = _pivot(values, n)
        n_low = 0
        for i in range(n):
            n_low += values[i] <= pivot
        if n_low == n:  # many are the same
            break
        n_kept = 0
        if rank < n_low:
            for i in range(n):
                value = values[i]
                values[n_kept] = value
                n_kept += value <= pivot
        else:
            for i in range(n):
                value = values[i]
                values[n_kept] = value
                n_kept += value > pivot
            below = pivot
            rank -= n_low
        n = n_kept
    left = np.sort(values[:n])
    return left[rank - 1] if rank else below, left[rank]


@numba.njit(forceinline=True)
def _pivot(values: NDArray, n: int) -> float:
    """Median of the medians of three times three values, from all over the n."""
    step = n // 9
    medians = (
        _middle(values[0], values[step], values[2 * step]),
        _middle(values[3 * step], values[4 * step], values[5 * step]),
        _middle(values[6 * step], values[7 * step], values[8 * step]),
    )
    return _middle(medians[0], medians[1], medians[2])


@numba.njit(forceinline=True)
def _middle(a: float, b: float, c: float) -> float:
    return max(min(a, b), min(max(a, b), c))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def good_median_error(values: NDArray, errors: NDArray, good: NDArray) -> float:
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
