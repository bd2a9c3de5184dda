"""Which pixels are not to be trusted, and why: one bit per reason.

References
----------
Criteria of lstchain and of the peer pipeline, with medians and robust scatter over the camera
instead of means. Scatter expected of n_pe: lstchain, filter scan of LST-1 of 2023-05-10.
"""

from dataclasses import dataclass
from enum import IntFlag

import numpy as np

from .ffactor import MIN_PEDESTAL_EVENTS, masked_median

__all__ = [
    "OutlierCriteria",
    "PixelReason",
    "chunk_verdict",
    "flatfield_reasons",
    "n_pe_reasons",
    "n_pe_standard_deviation",
    "peak_time_reasons",
    "pedestal_reasons",
    "reason_counts",
]

MAD_TO_SIGMA = 1.482602218505602  # Gaussian: 1/Phi^-1(3/4)


class PixelReason(IntFlag):
    """Why a pixel is masked. The numbers are stored in products: never reuse one."""

    NON_FINITE = 1  # a mean, deviation, gain or n_pe that is no number
    TOO_FEW_EVENTS = 2
    DEAD = 4  # no light seen
    PEDESTAL_MEAN = 8
    PEDESTAL_STD = 16
    FLATFIELD_CHARGE = 32
    FLATFIELD_STD = 64
    PEAK_TIME = 128
    N_PE = 256


@dataclass(frozen=True)
class OutlierCriteria:
    """Limits of the criteria; defaults are those of lstchain where it has one.

    Parameters
    ----------
    min_pedestal_events, min_flatfield_events : int
        Per pixel and chunk. 50 flat fields: gain to sqrt(2/50) = 20 %.
    pedestal_mean_deviation, pedestal_std_deviation, flatfield_std_deviation : float
        Distance from the camera median, in robust standard deviations of the camera.
    flatfield_charge_range : (float, float)
        Of signal/median - 1.
    dead_signal_fraction : float
        A pixel with less than this part of the median signal is dead.
    peak_time_range : (float, float)
        ns from the first sample.
    n_pe_deviation : float
        In standard deviations of `n_pe_standard_deviation`.
    relative_qe_dispersion : float
        Pixel-to-pixel spread of n_pe from quantum efficiency.
    n_pe_linear, n_pe_quadratic : per channel, (value of 1/sqrt(N), constant)
        l0, l1 and q0, q1 of `n_pe_standard_deviation`.
    max_bad_fraction : float
        A chunk with more bad pixels in a channel is invalid.
    """

    min_pedestal_events: int = MIN_PEDESTAL_EVENTS
    min_flatfield_events: int = 50
    pedestal_mean_deviation: float = 10.0
    pedestal_std_deviation: float = 10.0
    flatfield_charge_range: tuple[float, float] = (-0.5, 0.5)
    flatfield_std_deviation: float = 10.0
    dead_signal_fraction: float = 0.1
    peak_time_range: tuple[float, float] = (2.0, 38.0)
    n_pe_deviation: float = 5.0
    relative_qe_dispersion: float = 0.07
    n_pe_linear: tuple[tuple[float, float], ...] = (
        (1.79717813, 0.0231544),
        (1.72458305, -0.00162036639),
    )
    n_pe_quadratic: tuple[tuple[float, float], ...] = (
        (4.99670969e-4, 2.49034290e-5),
        (1.42218e-3, 1.207e-4),
    )
    max_bad_fraction: float = 0.1


def _flags(*conditions: tuple[PixelReason, np.ndarray]) -> np.ndarray:
    """Bits of all conditions, (n_channels, n_pixels) uint16."""
    return sum(np.where(where, reason.value, 0) for reason, where in conditions).astype(np.uint16)


def _far_from_camera(values: np.ndarray, counted: np.ndarray, deviations: float) -> np.ndarray:
    """Whether a value is further from the camera median than some robust standard deviations."""
    distance = np.abs(values - masked_median(values, counted))
    scatter = MAD_TO_SIGMA * masked_median(distance, counted)
    with np.errstate(invalid="ignore"):
        return distance > deviations * scatter


def pedestal_reasons(
    mean: np.ndarray, std: np.ndarray, n_events: np.ndarray, criteria: OutlierCriteria
) -> np.ndarray:
    """Reasons in the pedestal charge: no number, too few events, mean or noise off the camera's.

    Parameters
    ----------
    mean, std : array, (n_channels, n_pixels), ADC
    n_events : array, (n_channels, n_pixels)
    criteria : OutlierCriteria

    Returns
    -------
    array, (n_channels, n_pixels), uint16
        Bits of `PixelReason`, 0 for a good pixel.
    """
    finite = np.isfinite(mean) & np.isfinite(std)
    few = np.asarray(n_events) < criteria.min_pedestal_events
    counted = finite & ~few
    return _flags(
        (PixelReason.NON_FINITE, ~finite),
        (PixelReason.TOO_FEW_EVENTS, few),
        (
            PixelReason.PEDESTAL_MEAN,
            _far_from_camera(mean, counted, criteria.pedestal_mean_deviation),
        ),
        (PixelReason.PEDESTAL_STD, _far_from_camera(std, counted, criteria.pedestal_std_deviation)),
    )


def flatfield_reasons(
    signal: np.ndarray, std: np.ndarray, n_events: np.ndarray, criteria: OutlierCriteria
) -> np.ndarray:
    """Reasons in the flat-field charge: no number, few events, dead, charge or spread off.

    Parameters
    ----------
    signal : array, (n_channels, n_pixels), ADC
        Mean charge above the pedestal. If the camera median is not positive, every pixel is dead.
    std : array, (n_channels, n_pixels), ADC
    n_events : array, (n_channels, n_pixels)
    criteria : OutlierCriteria

    Returns
    -------
    array, (n_channels, n_pixels), uint16
        Bits of `PixelReason`.
    """
    finite = np.isfinite(signal) & np.isfinite(std)
    few = np.asarray(n_events) < criteria.min_flatfield_events
    counted = finite & ~few
    median = masked_median(signal, counted)
    low, high = criteria.flatfield_charge_range
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = signal / median - 1.0
        no_light = (median <= 0) | (relative < criteria.dead_signal_fraction - 1.0)
        off = (relative < low) | (relative > high)
    return _flags(
        (PixelReason.NON_FINITE, ~finite),
        (PixelReason.TOO_FEW_EVENTS, few),
        (PixelReason.DEAD, no_light & finite),
        (PixelReason.FLATFIELD_CHARGE, off),
        (
            PixelReason.FLATFIELD_STD,
            _far_from_camera(std, counted, criteria.flatfield_std_deviation),
        ),
    )


def peak_time_reasons(peak_time: np.ndarray, criteria: OutlierCriteria) -> np.ndarray:
    """Reasons in the mean peak time (n_channels, n_pixels) in ns: no number, out of range."""
    low, high = criteria.peak_time_range
    with np.errstate(invalid="ignore"):
        outside = (peak_time < low) | (peak_time > high)
    return _flags(
        (PixelReason.NON_FINITE, ~np.isfinite(peak_time)), (PixelReason.PEAK_TIME, outside)
    )


def n_pe_standard_deviation(
    median: np.ndarray, n_events: np.ndarray, criteria: OutlierCriteria
) -> np.ndarray:
    """Spread of n_pe over the camera that photon statistics and quantum efficiency explain.

    σ² = n/N + (q n)² + [(l0/√N + l1) n]² + [(q0/√N + q1) n²]².

    Parameters
    ----------
    median : array, (..., n_channels, 1), p.e.
        Camera median n.
    n_events : array, broadcastable
        N; 0 gives inf, so that nothing is cut without events.
    criteria : OutlierCriteria
        One row of `n_pe_linear` and `n_pe_quadratic` per channel.

    Returns
    -------
    array, (n_channels, ...), p.e.
    """
    n = np.asarray(median, dtype=float)
    n_channels = n.shape[-2]
    l0, l1 = np.array(criteria.n_pe_linear[:n_channels]).T[..., None]
    q0, q1 = np.array(criteria.n_pe_quadratic[:n_channels]).T[..., None]
    with np.errstate(divide="ignore"):
        inverse_root = 1.0 / np.sqrt(np.asarray(n_events, dtype=float))
    return np.sqrt(
        n * inverse_root**2
        + (criteria.relative_qe_dispersion * n) ** 2
        + ((l0 * inverse_root + l1) * n) ** 2
        + ((q0 * inverse_root + q1) * n**2) ** 2
    )


def n_pe_reasons(
    n_pe: np.ndarray, n_events: np.ndarray, earlier: np.ndarray, criteria: OutlierCriteria
) -> np.ndarray:
    """Reasons in the number of photo-electrons: no number, or too far from the camera median.

    Parameters
    ----------
    n_pe : array, (n_channels, n_pixels), p.e.
    n_events : array, (n_channels, n_pixels)
        Flat-field events.
    earlier : array, (n_channels, n_pixels)
        Reasons found before: these pixels do not count in the median.
    criteria : OutlierCriteria

    Returns
    -------
    array, (n_channels, n_pixels), uint16
        Bits of `PixelReason`.
    """
    finite = np.isfinite(n_pe)
    median = masked_median(n_pe, finite & (np.asarray(earlier) == 0))
    sigma = n_pe_standard_deviation(median, n_events, criteria)
    with np.errstate(invalid="ignore"):
        far = np.abs(n_pe - median) > criteria.n_pe_deviation * sigma
    return _flags((PixelReason.NON_FINITE, ~finite), (PixelReason.N_PE, far))


def chunk_verdict(reasons: np.ndarray, criteria: OutlierCriteria) -> tuple[bool, str]:
    """Whether few enough pixels are bad, and the reason if not.

    Parameters
    ----------
    reasons : array, (n_channels, n_pixels)
        Bits of `PixelReason` of the measured channels. A pixel is bad that is bad in any of them.
    criteria : OutlierCriteria

    Returns
    -------
    is_valid : bool
    reason : str
        Empty for a valid chunk.
    """
    fraction = np.mean(np.any(reasons != 0, axis=0))
    if fraction <= criteria.max_bad_fraction:
        return True, ""
    counts = ", ".join(f"{name} {n}" for name, n in reason_counts(reasons).items())
    return False, (
        f"{fraction:.1%} of the pixels are bad, limit {criteria.max_bad_fraction:.1%} ({counts})"
    )


def reason_counts(reasons: np.ndarray) -> dict[str, int]:
    """Number of pixels with each reason in any channel, the most frequent first."""
    in_any = np.bitwise_or.reduce(np.asarray(reasons), axis=0)
    counts = {r.name: int(np.count_nonzero(in_any & r.value)) for r in PixelReason}
    return dict(sorted(((k, v) for k, v in counts.items() if v), key=lambda kv: -kv[1]))
