"""Throughput of chunks of flashes: robust mean, errors, and whether it can be believed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.exceptions import ConfigurationError, InsufficientStatisticsError

__all__ = [
    "ChunkLimits",
    "ThroughputChunk",
    "flash_chunks",
    "require_valid_chunk",
    "throughput_chunk",
]

MAD_TO_SIGMA = 1.482602218505602  # of a Gaussian: 1 / Phi^-1(3/4)


@dataclass(frozen=True)
class ChunkLimits:
    """When a chunk of flashes is believed.

    Parameters
    ----------
    min_flashes : int
        Fewer flashes give no number.
    max_sigma : float
        Flashes further from the median are left out; in robust standard deviations of the flashes
        or in expected errors, what is larger.
    max_outlier_fraction : float
        Of the flashes; more, and the chunk is invalid.
    max_flash_chi2 : float
        Of the flashes about their mean, reduced; 4 is twice the expected scatter. The median is
        not moved by single bad flashes, nor is this: they are left out before.
    max_image_chi2 : float
        Of image and map, reduced; a flash above it is left out.
    """

    min_flashes: int = 10
    max_sigma: float = 5.0
    max_outlier_fraction: float = 0.1
    max_flash_chi2: float = 4.0
    max_image_chi2: float = 2.0


@dataclass(frozen=True)
class ThroughputChunk:
    """Throughput of a chunk of flashes; NaN if there are too few.

    Attributes
    ----------
    time_start, time_end : float
        TAI seconds since 1970-01-01 of the first and the last flash.
    n_events : int
        Flashes that the mean is of.
    n_unusable, n_deformed, n_outliers : int
        Flashes left out: without a level, unlike the map, far from the median.
    mean, median, std, sem : float
        Of the flashes that are left.
    stat_error : float
        Of the mean, from the scatter: `sem`.
    expected_error : float
        Of the mean, from the errors of the flashes.
    chi2 : float
        Of the flashes about their mean, reduced.
    image_chi2 : float
        Of image and map, median over all flashes with a level.
    is_valid : bool
    remark : str
        Why it is not valid, or empty.
    """

    time_start: float
    time_end: float
    n_events: int
    n_unusable: int
    n_deformed: int
    n_outliers: int
    mean: float
    median: float
    std: float
    sem: float
    stat_error: float
    expected_error: float
    chi2: float
    image_chi2: float
    is_valid: bool
    remark: str


def flash_chunks(
    time: NDArray, period: NDArray, *, max_flashes: int = 500, duration: float | None = None
) -> list[NDArray]:
    """Chunks of flashes, as equal as can be; none has flashes of two periods of the source.

    Parameters
    ----------
    time : ndarray, shape (n_flashes,), s
    period : ndarray, shape (n_flashes,), int
        Setting of the source; flashes of a negative one are in no chunk.
    max_flashes : int
        In a chunk.
    duration : float, optional
        s: no longer than this, from the first flash of the period on.

    Returns
    -------
    list of ndarray, int
        Flashes of each chunk in the order of time.

    Raises
    ------
    ConfigurationError
        If chunks have no flashes or no duration.
    """
    if max_flashes < 1 or (duration is not None and not duration > 0):
        raise ConfigurationError(
            f"chunks need 1 flash and a duration above 0 s, got {max_flashes} and {duration}"
        )
    chunks = []
    for key in np.unique(period[period >= 0]):
        own = np.flatnonzero(period == key)
        own = own[np.argsort(time[own], kind="stable")]
        if duration is None:
            parts = [own]
        else:
            interval = np.floor((time[own] - time[own[0]]) / duration)
            parts = np.split(own, np.flatnonzero(np.diff(interval)) + 1)
        for part in parts:
            chunks += np.array_split(part, -(-part.size // max_flashes))
    return sorted(chunks, key=lambda chunk: time[chunk[0]])


def throughput_chunk(
    time: NDArray,
    throughput: NDArray,
    error: NDArray,
    image_chi2: NDArray,
    limits: ChunkLimits | None = None,
) -> ThroughputChunk:
    """Mean throughput of flashes that are like each other and like the map.

    Parameters
    ----------
    time : ndarray, shape (n_flashes,), s
    throughput : ndarray, shape (n_flashes,)
        NaN for a flash that cannot be used.
    error : ndarray, shape (n_flashes,)
        Expected standard deviation from flash to flash: statistical, and jitter of the source.
    image_chi2 : ndarray, shape (n_flashes,)
        Reduced chi2 of image and map.
    limits : ChunkLimits, optional
    """
    limits = limits or ChunkLimits()
    is_level = np.isfinite(throughput)
    is_like = is_level & (image_chi2 <= limits.max_image_chi2)
    kept = is_like & _is_close(throughput, error, is_like, limits.max_sigma)
    n_like, n = int(np.count_nonzero(is_like)), int(np.count_nonzero(kept))
    numbers = _numbers(throughput[kept], error[kept]) if n >= max(limits.min_flashes, 2) else {}
    found: dict[str, Any] = {
        "n_events": n,
        "n_unusable": int(np.count_nonzero(~is_level)),
        "n_deformed": int(np.count_nonzero(is_level & ~is_like)),
        "n_outliers": n_like - n,
        "image_chi2": float(np.median(image_chi2[is_level])) if is_level.any() else np.nan,
        **{name: numbers.get(name, np.nan) for name in _NUMBERS},
    }
    remark = _remark(found, limits)
    return ThroughputChunk(
        float(time.min()), float(time.max()), is_valid=not remark, remark=remark, **found
    )


_NUMBERS = ("mean", "median", "std", "sem", "stat_error", "expected_error", "chi2")


def _is_close(values: NDArray, error: NDArray, among: NDArray, max_sigma: float) -> NDArray:
    """Whether values are near the median of some of them."""
    if not among.any():
        return among
    distance = np.abs(values - np.median(values[among]))
    width = max(MAD_TO_SIGMA * np.median(distance[among]), np.median(error[among]))
    return distance <= max_sigma * width


def _numbers(values: NDArray, error: NDArray) -> dict[str, float]:
    n, mean, std = values.size, values.mean(), values.std(ddof=1)
    sem = std / np.sqrt(n)
    weight = 1 / error**2
    about = values - np.sum(weight * values) / weight.sum()
    numbers = (mean, np.median(values), std, sem, sem, np.sqrt(np.sum(error**2)) / n)
    chi2 = np.sum(weight * about**2) / (n - 1)
    return dict(zip(_NUMBERS, map(float, (*numbers, chi2)), strict=True))


def _remark(found: dict[str, Any], limits: ChunkLimits) -> str:
    """Why a chunk is not valid, what that may come from; empty if it is."""
    n, n_out = found["n_events"], found["n_outliers"]
    n_like = n + n_out
    n_deformed, n_level = found["n_deformed"], n_like + found["n_deformed"]
    if n < max(limits.min_flashes, 2):
        return (
            f"needs at least {max(limits.min_flashes, 2)} flashes, got {n} ({found['n_unusable']} "
            f"saturated or with too few pixels, {n_deformed} unlike the map with a median chi2 of "
            f"{found['image_chi2']:.2f}, {n_out} outliers); give more flashes, dim the source, or "
            "look at map and beam"
        )
    if n_deformed > limits.max_outlier_fraction * n_level:
        return (
            f"{n_deformed} of {n_level} flashes are unlike the map (chi2 above "
            f"{limits.max_image_chi2:g}): a wrong map, or something in the beam"
        )
    if n_out > limits.max_outlier_fraction * n_like:
        return (
            f"{n_out} of {n_like} flashes are more than {limits.max_sigma:g} standard deviations "
            "from the median: an unstable source, or something in the beam"
        )
    if found["chi2"] > limits.max_flash_chi2:
        return (
            f"chi2 between flashes is {found['chi2']:.2f}, limit {limits.max_flash_chi2:g}: an "
            "unstable source, or its jitter is larger than its table says"
        )
    return ""


def require_valid_chunk(chunks: Sequence[ThroughputChunk], where: str) -> None:
    """Refuse chunks of which none is valid.

    Raises
    ------
    InsufficientStatisticsError
        With the reason of the first.
    """
    if not any(chunk.is_valid for chunk in chunks):
        first = chunks[0].remark if chunks else "no flash while the source was on"
        raise InsufficientStatisticsError(
            f"no valid throughput of {where} in {len(chunks)} chunks; the first: {first}"
        )
