"""A scan of light intensities: charge above the pedestal, its variance and errors at each point."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..core.exceptions import ConfigurationError, InsufficientStatisticsError
from .pixel_statistics import ChunkStatistics

__all__ = ["CombinedChunks", "LightScan", "camera_median", "combined_chunks", "light_scan"]

MIN_POINTS = 3
MIN_EVENTS = 4  # below it the error of a variance is not known
GAUSSIAN = 2.0  # N var(variance)/variance² of Gaussian data
LIT = 0.8  # quantile of the pixels that stands for the camera: half of it may be off


@dataclass(frozen=True)
class CombinedChunks:
    """All chunks of one quantity in one run; arrays (n_channels, n_pixels).

    Parameters
    ----------
    n_events : ndarray
    mean, variance : ndarray, ADC and ADC²
        Unbiased variance within the chunks: a drift from chunk to chunk is not in it.
    variance_error : ndarray, ADC²
        NaN where the statistics do not know it (those of ctapipe).
    common_variance : ndarray, (n_channels,), ADC²
        Of what all pixels share; NaN if not known.
    """

    n_events: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    variance_error: np.ndarray
    common_variance: np.ndarray


def combined_chunks(
    chunks: Sequence[ChunkStatistics], *, variance_factor: float = 1.0
) -> CombinedChunks:
    """Mean and variance of a run from those of its chunks, weighted by events.

    Parameters
    ----------
    chunks : sequence of ChunkStatistics
        Not empty.
    variance_factor : float
        What clipping has left of the variance (`clipped_variance_factor`: 0.998929 for 4 sigma),
        if the statistics are not corrected for it, as those of ctapipe.
    """
    n = np.array([c.n_events for c in chunks], float)
    weight = np.where(n >= 2, n, 0.0)
    total = weight.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.where(total > 0, weight / total, np.nan)
        unbiased = n / (n - 1) / variance_factor
        std = np.array([c.std for c in chunks], float)
        error = np.array([c.variance_error for c in chunks], float)
        share = n.sum(axis=-1)
        share = np.where(share.sum(axis=0) > 0, share / share.sum(axis=0), np.nan)
    common = np.array([c.common_variance for c in chunks], float)
    means = np.array([c.mean for c in chunks], float)
    return CombinedChunks(
        n_events=total,
        mean=_weighted(means, weight),
        variance=_weighted(std**2 * unbiased, weight),
        variance_error=np.sqrt(_weighted((error * unbiased) ** 2, weight**2)),
        common_variance=_weighted(common, share),
    )


def _weighted(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Sum over chunks; a chunk of weight 0 may be no number."""
    return np.where(weight == 0, 0.0, values * weight).sum(axis=0)


@dataclass(frozen=True)
class LightScan:
    """Points of a scan, the darkest first; arrays (n_points, n_channels, n_pixels).

    Parameters
    ----------
    order : ndarray, (n_points,)
        Place of each point among those given.
    signal, signal_error : ndarray, ADC
        S, the mean charge above the pedestal of the same run.
    variance : ndarray, ADC²
        Of the charge, without that of the pedestal.
    total_variance, pedestal_variance : ndarray, ADC²
    kurtosis, pedestal_kurtosis : ndarray, (n_points, n_channels, 1)
        N var(V)/V², camera median: 2 for Gaussian data. Of the camera, because that of one pixel
        is known no better than its variance, and weights must not follow a pixel's fluctuations.
    n_events, pedestal_n_events : ndarray
    common_noise : ndarray, (n_points, n_channels)
        B² of the camera: variance over events of the mean charge of all pixels, less that of the
        pedestal, over its mean squared; NaN if not known.
    is_lit : ndarray
        Whether the signal is significant.
    """

    order: np.ndarray
    signal: np.ndarray
    signal_error: np.ndarray
    variance: np.ndarray
    total_variance: np.ndarray
    pedestal_variance: np.ndarray
    kurtosis: np.ndarray
    pedestal_kurtosis: np.ndarray
    n_events: np.ndarray
    pedestal_n_events: np.ndarray
    common_noise: np.ndarray
    is_lit: np.ndarray

    @property
    def is_measured(self) -> np.ndarray:
        """Whether a pixel has light and its fluctuations at a point."""
        known = np.isfinite(self.signal) & np.isfinite(self.variance) & (self.signal > 0)
        return known & (self.n_events >= MIN_EVENTS) & (self.pedestal_n_events >= MIN_EVENTS)


def light_scan(
    flatfields: Sequence[CombinedChunks],
    pedestals: Sequence[CombinedChunks],
    *,
    names: Sequence[str] = (),
    min_significance: float = 5.0,
) -> LightScan:
    """Points of a scan from flat field and pedestal of each run.

    Parameters
    ----------
    flatfields, pedestals : sequence of CombinedChunks
        One of each for every point, over the same window.
    names : sequence of str
        Of the points, for messages.
    min_significance : float
        Signal over its error that a lit pixel has. A point at which 80 % of the pixels have less
        is no flat field: the source has failed.

    Raises
    ------
    InsufficientStatisticsError
        If there are fewer than 3 points.
    ConfigurationError
        If points and pedestals do not go together, a point has no light in any channel, or two
        channels have the wrong order (gains swapped).
    """
    names = list(names) or [f"point {k}" for k in range(len(flatfields))]
    _check_number(flatfields, pedestals)
    of = {
        name: np.array([getattr(c, name) for c in flatfields])
        for name in ("n_events", "mean", "variance", "variance_error", "common_variance")
    }
    ped = {name: np.array([getattr(c, name) for c in pedestals]) for name in of}
    signal = of["mean"] - ped["mean"]
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(of["variance"] / of["n_events"] + ped["variance"] / ped["n_events"])
        relative = signal / error  # NaN of a pixel that is off
        is_lit = relative >= min_significance
    level = _camera_quantile(signal)
    significance = _camera_quantile(relative)
    for name, values in zip(names, significance, strict=True):
        if not np.nanmax(np.append(values, -np.inf)) >= min_significance:
            raise ConfigurationError(
                f"{name} has no light: the signal is {np.nanmax(np.append(values, -np.inf)):.1f} "
                f"of its errors in lit pixels, needs {min_significance:g}; leave it out, look at "
                "the light source"
            )
    _check_gains(level, names)
    order = np.argsort(_unsaturated(level), kind="stable")
    with np.errstate(divide="ignore", invalid="ignore"):
        common = (of["common_variance"] - ped["common_variance"]) / _camera_mean(signal) ** 2
    return LightScan(
        order=order,
        signal=signal[order],
        signal_error=error[order],
        variance=(of["variance"] - ped["variance"])[order],
        total_variance=of["variance"][order],
        pedestal_variance=ped["variance"][order],
        kurtosis=_kurtosis(of, is_lit)[order],
        pedestal_kurtosis=_kurtosis(ped, is_lit)[order],
        n_events=of["n_events"][order],
        pedestal_n_events=ped["n_events"][order],
        common_noise=common[order],
        is_lit=is_lit[order],
    )


def _check_number(
    flatfields: Sequence[CombinedChunks], pedestals: Sequence[CombinedChunks]
) -> None:
    if len(flatfields) != len(pedestals):
        raise ConfigurationError(
            f"{len(flatfields)} flat fields and {len(pedestals)} pedestals: a scan needs one "
            "pedestal for each flat field, of the same run"
        )
    if len(flatfields) < MIN_POINTS:
        raise InsufficientStatisticsError(
            f"a scan needs at least {MIN_POINTS} intensities, got {len(flatfields)}: two unknowns "
            "per pixel and a check; give more runs"
        )


def _check_gains(level: np.ndarray, names: Sequence[str]) -> None:
    """Refuse a scan whose low gain is the higher one."""
    if level.shape[1] != 2:
        return
    darkest = int(np.argmin(_unsaturated(level)))
    high, low = level[darkest]
    if low > high:
        raise ConfigurationError(
            f"gains are swapped: at {names[darkest]} the signal is {high:.1f} ADC in "
            f"channel 0 (high gain) and {low:.1f} ADC in channel 1 (low gain); mend the "
            "description of the camera"
        )


def _unsaturated(level: np.ndarray) -> np.ndarray:
    """Level of the lowest gain that has light, (n_points,): it saturates last."""
    of_all = np.isfinite(level).all(axis=0)
    return level[:, np.flatnonzero(of_all)[-1] if of_all.any() else 0]


def _kurtosis(of: dict[str, np.ndarray], is_lit: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = of["n_events"] * (of["variance_error"] / of["variance"]) ** 2
    values = camera_median(np.where(is_lit, ratio, np.nan))
    return np.where(np.isfinite(values), values, GAUSSIAN)


def camera_median(values: np.ndarray) -> np.ndarray:
    """Median of the finite pixels, that axis kept with length 1; NaN without any."""
    values = np.where(np.isfinite(values), values, np.nan)
    median = np.full((*values.shape[:-1], 1), np.nan)
    known = np.isfinite(values).any(axis=-1)
    median[known, 0] = np.nanmedian(values[known], axis=-1)
    return median


def _camera_quantile(values: np.ndarray) -> np.ndarray:
    """Of the finite pixels, (n_points, n_channels); NaN without any."""
    quantile = np.full(values.shape[:-1], np.nan)
    known = np.isfinite(values).any(axis=-1)
    values = np.where(np.isfinite(values), values, np.nan)
    quantile[known] = np.nanquantile(values[known], LIT, axis=-1)
    return quantile


def _camera_mean(values: np.ndarray) -> np.ndarray:
    finite = np.isfinite(values)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(finite, values, 0.0).sum(axis=-1) / finite.sum(axis=-1)
