"""Which pixels are not to be trusted, and why: one bit per reason.

References
----------
Criteria of lstchain and of the peer pipeline, with medians and robust scatter over the camera
instead of means. Scatter expected of n_pe: lstchain, filter scan of LST-1 of 2023-05-10.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntFlag
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from .ffactor import MIN_PEDESTAL_EVENTS
from .medians import good_median

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
    EXCLUDED = 512  # by the list of excluded pixels, in files for ctapipe only


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


NON_FINITE = PixelReason.NON_FINITE.value
TOO_FEW_EVENTS = PixelReason.TOO_FEW_EVENTS.value
DEAD = PixelReason.DEAD.value
PEDESTAL_MEAN = PixelReason.PEDESTAL_MEAN.value
PEDESTAL_STD = PixelReason.PEDESTAL_STD.value
FLATFIELD_CHARGE = PixelReason.FLATFIELD_CHARGE.value
FLATFIELD_STD = PixelReason.FLATFIELD_STD.value
PEAK_TIME = PixelReason.PEAK_TIME.value
N_PE = PixelReason.N_PE.value


class Limits(NamedTuple):
    """`OutlierCriteria` for compiled functions; one row of the arrays per channel."""

    min_pedestal_events: float
    min_flatfield_events: float
    pedestal_mean_deviation: float
    pedestal_std_deviation: float
    charge_low: float
    charge_high: float
    flatfield_std_deviation: float
    dead_signal_fraction: float
    peak_time_low: float
    peak_time_high: float
    n_pe_deviation: float
    relative_qe_dispersion: float
    n_pe_linear: np.ndarray
    n_pe_quadratic: np.ndarray


def limits(criteria: OutlierCriteria) -> Limits:
    """Criteria for compiled functions."""
    charge_low, charge_high = (float(limit) for limit in criteria.flatfield_charge_range)
    time_low, time_high = (float(limit) for limit in criteria.peak_time_range)
    return Limits(
        float(criteria.min_pedestal_events),
        float(criteria.min_flatfield_events),
        float(criteria.pedestal_mean_deviation),
        float(criteria.pedestal_std_deviation),
        charge_low,
        charge_high,
        float(criteria.flatfield_std_deviation),
        float(criteria.dead_signal_fraction),
        time_low,
        time_high,
        float(criteria.n_pe_deviation),
        float(criteria.relative_qe_dispersion),
        np.array(criteria.n_pe_linear, float),
        np.array(criteria.n_pe_quadratic, float),
    )


def _reasons(flag: Callable, criteria: OutlierCriteria, *arrays: np.ndarray) -> np.ndarray:
    """Bits that a compiled function sets, (..., n_channels, n_pixels) uint16."""
    shape = np.broadcast_shapes(*(np.shape(a) for a in arrays))
    rows = [np.array(np.broadcast_to(a, shape), float).reshape(-1, shape[-1]) for a in arrays]
    reasons = np.zeros(rows[0].shape, np.uint16)
    for row in range(len(reasons)):
        flag(reasons[row], *(a[row] for a in rows), limits(criteria))
    return reasons.reshape(shape)


@numba.njit(cache=True, nogil=True)
def _flag_far(
    reasons: NDArray, bit: int, values: NDArray, counted: NDArray, deviations: float
) -> None:
    """Flag values further from the camera median than some robust standard deviations."""
    distance = np.abs(values - good_median(values, counted))
    deviations *= MAD_TO_SIGMA
    if _nothing_far(distance, counted, deviations):
        return
    limit = deviations * good_median(distance, counted)
    for i in range(len(values)):
        reasons[i] |= bit if distance[i] > limit else 0


@numba.njit(cache=True, nogil=True)
def _nothing_far(distance: NDArray, counted: NDArray, deviations: float) -> bool:
    """Whether the median is surely large enough for the largest distance: no need to know it."""
    largest = 0.0
    for value in distance:
        largest = value if value > largest else largest  # NaN is not
    enough = largest / deviations * (1 + 1e-9)
    n, n_below = 0, 0
    for i in range(len(distance)):
        n += counted[i]
        n_below += counted[i] & (distance[i] < enough)
    return 2 * n_below < n - 1


@numba.njit(cache=True, nogil=True)
def _flag_uncounted(
    reasons: NDArray, values: NDArray, std: NDArray, n_events: NDArray, min_events: float
) -> NDArray:
    """Flag what is no number or of too few events; the pixels that count in medians."""
    counted = np.empty(len(values), np.bool_)
    for i in range(len(values)):
        finite = np.isfinite(values[i]) & np.isfinite(std[i])
        few = n_events[i] < min_events
        reasons[i] |= (0 if finite else NON_FINITE) | (TOO_FEW_EVENTS if few else 0)
        counted[i] = finite & ~few
    return counted


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
    return _reasons(flag_pedestals, criteria, mean, std, n_events)


@numba.njit(cache=True, nogil=True)
def flag_pedestals(
    reasons: NDArray, mean: NDArray, std: NDArray, n_events: NDArray, limits: Limits
) -> None:
    """As `pedestal_reasons`, of one channel, added to `reasons`."""
    counted = _flag_uncounted(reasons, mean, std, n_events, limits.min_pedestal_events)
    _flag_far(reasons, PEDESTAL_MEAN, mean, counted, limits.pedestal_mean_deviation)
    _flag_far(reasons, PEDESTAL_STD, std, counted, limits.pedestal_std_deviation)


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
    return _reasons(flag_flatfields, criteria, signal, std, n_events)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def flag_flatfields(
    reasons: NDArray, signal: NDArray, std: NDArray, n_events: NDArray, limits: Limits
) -> None:
    """As `flatfield_reasons`, of one channel, added to `reasons`."""
    counted = _flag_uncounted(reasons, signal, std, n_events, limits.min_flatfield_events)
    median = good_median(signal, counted)
    for i in range(len(signal)):
        relative = signal[i] / median - 1.0
        dark = (median <= 0) | (relative < limits.dead_signal_fraction - 1.0)
        off = (relative < limits.charge_low) | (relative > limits.charge_high)
        finite = np.isfinite(signal[i]) & np.isfinite(std[i])
        reasons[i] |= (DEAD if dark & finite else 0) | (FLATFIELD_CHARGE if off else 0)
    _flag_far(reasons, FLATFIELD_STD, std, counted, limits.flatfield_std_deviation)


def peak_time_reasons(peak_time: np.ndarray, criteria: OutlierCriteria) -> np.ndarray:
    """Reasons in the mean peak time (n_channels, n_pixels) in ns: no number, out of range."""
    return _reasons(flag_peak_times, criteria, peak_time)


@numba.njit(cache=True, nogil=True)
def flag_peak_times(reasons: NDArray, peak_time: NDArray, limits: Limits) -> None:
    """As `peak_time_reasons`, of one channel, added to `reasons`."""
    for i in range(len(peak_time)):
        outside = (peak_time[i] < limits.peak_time_low) | (peak_time[i] > limits.peak_time_high)
        finite = np.isfinite(peak_time[i])
        reasons[i] |= (0 if finite else NON_FINITE) | (PEAK_TIME if outside else 0)


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
    linear = np.array(criteria.n_pe_linear[:n_channels]).T[..., None]
    quadratic = np.array(criteria.n_pe_quadratic[:n_channels]).T[..., None]
    with np.errstate(divide="ignore"):
        inverse_root = 1.0 / np.sqrt(np.asarray(n_events, dtype=float))
    return _spread_of_n_pe(n, inverse_root, criteria.relative_qe_dispersion, *linear, *quadratic)


def _spread_of_n_pe(
    n: Any, inverse_root: Any, dispersion: float, l0: Any, l1: Any, q0: Any, q1: Any
) -> Any:  # numbers in compiled functions, or arrays
    return np.sqrt(
        n * inverse_root**2
        + (dispersion * n) ** 2
        + ((l0 * inverse_root + l1) * n) ** 2
        + ((q0 * inverse_root + q1) * n**2) ** 2
    )


_compiled_spread = numba.njit(cache=True, nogil=True)(_spread_of_n_pe)


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
    shape = np.broadcast_shapes(*(np.shape(a) for a in (n_pe, n_events, earlier)))
    n_pe, n_events = (np.array(np.broadcast_to(a, shape), float) for a in (n_pe, n_events))
    earlier = np.array(np.broadcast_to(earlier, shape), np.uint16)
    reasons = np.zeros(shape, np.uint16)
    for c in range(shape[-2]):
        flag_n_pe(reasons[c], n_pe[c], n_events[c], earlier[c], c, limits(criteria))
    return reasons


@numba.njit(cache=True, nogil=True, error_model="numpy")
def flag_n_pe(
    reasons: NDArray, n_pe: NDArray, n_events: NDArray, earlier: NDArray, channel: int,
    limits: Limits,
) -> tuple[float, bool]:  # fmt: skip
    """As `n_pe_reasons`, of one channel, added to `reasons`, which may be `earlier` itself.

    Returns the median, and whether all pixels that made it are kept.
    """
    counted = np.isfinite(n_pe) & (earlier == 0)
    median = good_median(n_pe, counted)
    kept_all = True
    l0, l1 = limits.n_pe_linear[channel]
    q0, q1 = limits.n_pe_quadratic[channel]
    for i in range(len(n_pe)):
        sigma = _compiled_spread(
            *(median, 1.0 / np.sqrt(n_events[i]), limits.relative_qe_dispersion, l0, l1, q0, q1)
        )
        far = np.abs(n_pe[i] - median) > limits.n_pe_deviation * sigma
        reasons[i] |= (0 if np.isfinite(n_pe[i]) else NON_FINITE) | (N_PE if far else 0)
        kept_all &= ~(far & counted[i])
    return median, kept_all


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
    counts = {str(r.name): int(np.count_nonzero(in_any & r.value)) for r in PixelReason}
    return dict(sorted(((k, v) for k, v in counts.items() if v), key=lambda kv: -kv[1]))
