"""Throughput of a telescope from its muon rings: robust means by count and time."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..camera.pixel_statistics import clipped_variance_factor

__all__ = ["MeanThroughput", "mean_throughput", "ring_chunks"]

_ITERATIONS = 20


@dataclass(frozen=True)
class MeanThroughput:
    """Mean over rings.

    Parameters
    ----------
    mean, stat_error : float
        NaN for fewer than two rings.
    median, std : float
        Of the rings that count.
    scatter : float
        Relative standard deviation between rings beyond their errors.
    reduced_chi2 : float
        With the rings' own errors, without `scatter`.
    n_rings, n_outliers : int
        That count, and that are left out.
    is_used : ndarray, shape (n_rings,), bool
    errors : ndarray, shape (n_rings,)
        Of the rings at the mean throughput, with the scatter.
    """

    mean: float
    stat_error: float
    median: float
    std: float
    scatter: float
    reduced_chi2: float
    n_rings: int
    n_outliers: int
    is_used: NDArray
    errors: NDArray


def mean_throughput(values: NDArray, errors: NDArray, *, max_sigma: float = 4.0) -> MeanThroughput:
    r"""Robust weighted mean of the throughput of rings.

    .. math:: m = \frac{\sum w_i \epsilon_i}{\sum w_i}, \quad
              w_i^{-1} = \sigma_i^2\,\frac{m}{\epsilon_i} + \tau^2 m^2

    The variance of a ring is proportional to its light: taken at the mean *m* instead of at the
    ring's own :math:`\epsilon_i`, rings that fluctuate downwards get no larger weight.
    :math:`\tau` is what makes chi2 equal to the number of degrees of freedom, 0 if that is smaller;
    rings beyond `max_sigma` are left out.

    Parameters
    ----------
    values, errors : ndarray, shape (n_rings,)
        Throughput of the rings, positive and finite.
    max_sigma : float

    Returns
    -------
    MeanThroughput

    References
    ----------
    DerSimonian, R. and Laird, N. 1986, Control. Clin. Trials 7, 177 (the scatter).
    doi 10.1016/0197-2456(86)90046-2
    """
    values, errors = np.asarray(values, float), np.asarray(errors, float)
    if len(values) < 2:
        nothing = np.full(len(values), np.nan)
        return MeanThroughput(*[np.nan] * 6, len(values), 0, np.ones(len(values), bool), nothing)
    mean, scatter, used = float(np.median(values)), 0.0, np.ones(len(values), bool)
    wide = 1.4826 * np.median(np.abs(values - mean)) / mean
    for iteration in range(_ITERATIONS):
        own = errors**2 * mean / values
        total = own + (scatter * mean) ** 2
        limit = np.maximum(total, (wide * mean) ** 2) if iteration == 0 else total
        kept = (values - mean) ** 2 <= max_sigma**2 * limit
        if np.count_nonzero(kept) < 2:
            break
        before = mean, scatter, used
        used = kept
        weight = np.where(used, 1 / total, 0.0)
        mean = float(np.average(values, weights=weight))
        scatter = _scatter(values[used], own[used], mean, max_sigma)
        if np.array_equal(used, before[2]) and np.allclose((mean, scatter), before[:2], rtol=1e-6):
            break
    own = errors**2 * mean / values
    total = own + (scatter * mean) ** 2
    n = np.count_nonzero(used)
    chi2 = np.sum(((values - mean) ** 2 / own)[used])
    return MeanThroughput(
        mean=mean,
        stat_error=float(1 / np.sqrt(np.sum(1 / total[used]))),
        median=float(np.median(values[used])),
        std=float(np.std(values[used], ddof=1)),
        scatter=scatter,
        reduced_chi2=float(chi2 / (n - 1)),
        n_rings=int(n),
        n_outliers=int(len(values) - n),
        is_used=used,
        errors=np.sqrt(total),
    )


def _scatter(values: NDArray, variance: NDArray, mean: float, max_sigma: float) -> float:
    """Relative scatter beyond the variance, by its moment estimator."""
    weight = 1 / variance
    excess = np.sum(weight * (values - mean) ** 2) / clipped_variance_factor(max_sigma)
    norm = np.sum(weight) - np.sum(weight**2) / np.sum(weight)
    return float(np.sqrt(max((excess - (len(values) - 1)) / norm, 0.0)) / mean)


def ring_chunks(
    time: NDArray, *, size: int | None = None, duration: float | None = None
) -> Iterator[slice]:
    """Chunks of rings in the order of time.

    Parameters
    ----------
    time : ndarray, shape (n_rings,), s
        Ascending.
    size : int, optional
        Rings in a chunk; what is left after the last full one is joined to it.
    duration : float, optional, s
        Longest chunk, counted from the first ring of the observation.

    Yields
    ------
    slice
    """
    if not len(time):
        return
    duration = np.inf if duration is None else duration
    period = np.floor((time - time[0]) / duration)
    edges = [0, *(np.flatnonzero(np.diff(period)) + 1), len(time)]
    for begin, end in pairwise(edges):
        n_chunks = max((end - begin) // (size or end - begin), 1)
        for k in range(n_chunks):
            first = begin + k * (size or 0)
            yield slice(first, end if k == n_chunks - 1 else first + size)
