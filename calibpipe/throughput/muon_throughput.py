"""Throughput of a telescope from its muon rings: robust means by count and time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from astropy.table import Table
from astropy.time import Time
from numpy.typing import NDArray

from ..camera.pixel_statistics import clipped_variance_factor
from .muon_ring_table import Rings

__all__ = ["MeanThroughput", "mean_throughput", "ring_chunks", "ring_errors", "throughput_table"]

METHOD = "Muon Rings"
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
        unknown = (np.nan, np.nan, np.nan, np.nan, np.nan, np.nan)
        return MeanThroughput(*unknown, len(values), 0, np.ones(len(values), bool), nothing)
    mean, scatter, used = float(_median(values)), 0.0, np.ones(len(values), bool)
    wide = 1.4826 * _median(np.abs(values - mean)) / mean
    unit = errors**2 / values
    for iteration in range(_ITERATIONS):
        own = unit * mean
        total = own + (scatter * mean) ** 2
        limit = np.maximum(total, (wide * mean) ** 2) if iteration == 0 else total
        kept = (values - mean) ** 2 <= max_sigma**2 * limit
        if np.count_nonzero(kept) < 2:
            break
        before = mean, scatter, used
        used = kept
        weight = np.where(used, 1 / total, 0.0)
        mean = float(weight @ values / weight.sum())
        scatter = _scatter(values[used], own[used], mean, max_sigma)
        is_same = all(map(_is_close, (mean, scatter), before[:2]))
        if is_same and np.array_equal(used, before[2]):
            break
    own = unit * mean
    total = own + (scatter * mean) ** 2
    n = np.count_nonzero(used)
    chi2 = np.sum(((values - mean) ** 2 / own)[used])
    return MeanThroughput(
        mean=mean,
        stat_error=float(1 / np.sqrt(np.sum(1 / total[used]))),
        median=float(_median(values[used])),
        std=float(np.std(values[used], ddof=1)),
        scatter=scatter,
        reduced_chi2=float(chi2 / (n - 1)),
        n_rings=int(n),
        n_outliers=int(len(values) - n),
        is_used=used,
        errors=np.sqrt(total),
    )


def _median(values: NDArray) -> float:
    """Of values without NaN; for a few hundred of them cheaper than numpy's."""
    ordered = np.sort(values)
    return (ordered[(len(values) - 1) // 2] + ordered[len(values) // 2]) / 2


def _is_close(value: float, other: float) -> bool:
    return abs(value - other) <= 1e-8 + 1e-6 * abs(other)


def _scatter(values: NDArray, variance: NDArray, mean: float, max_sigma: float) -> float:
    """Relative scatter beyond the variance, by its moment estimator."""
    weight = 1 / variance
    excess = float(weight @ (values - mean) ** 2) / clipped_variance_factor(max_sigma)
    total = float(weight.sum())
    norm = total - float(weight @ weight) / total
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


def throughput_table(
    rings: Rings,
    means: Sequence[MeanThroughput],
    chunks: Sequence[slice],
    factor: float,
    sys: float,
) -> Table:
    """Throughput of chunks of rings.

    Parameters
    ----------
    rings : Rings
        In the order of time.
    means : sequence of MeanThroughput
        One a chunk.
    chunks : sequence of slice
        Of the rings.
    factor, sys : float
        Of all corrections that are applied, and relative systematic error
        (`calibpipe.throughput.muon_corrections.product_of_corrections`).

    Returns
    -------
    Table
        One row a chunk: ``mean``, ``median``, ``std``, ``sem`` of the absolute throughput with its
        corrections, ``sys_error``; ``ctapipe_mean``, ``ctapipe_sem``: what ctapipe's fit gives,
        without corrections; ``n_events`` that count, ``n_outliers``, relative ``scatter`` between
        rings, ``reduced_chi2``, ``is_valid``; ``time_start``, ``time_end``, ``method``.
    """
    table = Table({"method": [METHOD] * len(chunks)})
    for name, position in (("time_start", 0), ("time_end", -1)):
        seconds = [rings.time[chunk][position] for chunk in chunks]
        table[name] = Time(seconds, format="unix_tai", scale="tai")
    table["n_events"] = [mean.n_rings for mean in means]
    for name, of in (("mean", "mean"), ("median", "median"), ("std", "std"), ("sem", "stat_error")):
        table[name] = factor * np.array([getattr(mean, of) for mean in means])
    table["sys_error"] = sys * table["mean"]
    theirs = [
        rings.ctapipe_throughput[chunk][mean.is_used]
        for chunk, mean in zip(chunks, means, strict=True)
    ]
    table["ctapipe_mean"] = [values.mean() for values in theirs]
    table["ctapipe_sem"] = [values.std(ddof=1) / np.sqrt(len(values)) for values in theirs]
    for name in ("n_outliers", "scatter", "reduced_chi2"):
        table[name] = [getattr(mean, name) for mean in means]
    table["is_valid"] = np.isfinite(table["mean"]) & (table["sem"] > 0)
    return table


def ring_errors(rings: Rings) -> NDArray:
    """Errors of the rings; where the fit gave none, the robust scatter of all rings.

    Returns
    -------
    ndarray, shape (n_rings,)
    """
    spread = 1.4826 * np.median(np.abs(rings.throughput - np.median(rings.throughput)))
    relative = spread / np.median(rings.throughput)
    return np.where(np.isfinite(rings.stat_error), rings.stat_error, relative * rings.throughput)
