"""Linearity: charge against light, the range in which they are proportional, the correction.

References
----------
CTA requirement B-TEL-1390 (science sheet C5); LSST DMTN-101 (linearity of the LSST camera).
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..core.exceptions import ConfigurationError
from .light_levels import LightLevels, independent_error
from .light_scan import LightScan

__all__ = ["Linearity", "linear_charge", "linearity", "monotone_knots"]


@dataclass(frozen=True)
class Linearity:
    """Deviations from proportionality; (n_points, n_channels, n_pixels) or without points.

    Parameters
    ----------
    residual, residual_stat_error : ndarray
        S/(r L) - 1 and its error; NaN where a pixel is not measured.
    residual_sys_error : ndarray, (n_points,)
        Of the light, common to all pixels.
    range_low, range_high : ndarray, (n_channels, n_pixels), ADC
        Smallest and largest measured signal of the contiguous range within the tolerance.
    saturation : ndarray, (n_channels, n_pixels), ADC
        Signal at which the residual falls below minus the tolerance; inf if it does not.
    """

    residual: np.ndarray
    residual_stat_error: np.ndarray
    residual_sys_error: np.ndarray
    range_low: np.ndarray
    range_high: np.ndarray
    saturation: np.ndarray


def linearity(
    scan: LightScan, levels: LightLevels, *, tolerance: float = 0.02, n_sigma: float = 3.0
) -> Linearity:
    """Residuals of every pixel and gain, range of linearity, saturation.

    A point is linear whose residual is within `tolerance` and `n_sigma` of its statistical error.
    Saturation is interpolated between the last linear point and the next one, in the logarithm
    of the signal.

    Raises
    ------
    ConfigurationError
        If the tolerance is not positive.
    """
    if not tolerance > 0:
        raise ConfigurationError(
            f"tolerance of linearity is {tolerance:g}, needs more than 0; give 0.02 for 2 %"
        )
    seen = scan.is_measured & scan.is_lit & np.isfinite(levels.response)
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = levels.response * levels.level[:, np.newaxis, np.newaxis]
        residual = np.where(seen, scan.signal / expected - 1, np.nan)
        point = independent_error(scan) ** 2
        of_response = (levels.response_error / levels.response) ** 2
        # a point that counted has drawn the response towards itself
        error = np.sqrt(point + np.where(levels.is_used, -of_response, of_response))
    far = seen & (np.abs(residual) > tolerance + n_sigma * error)
    beyond = np.logical_or.accumulate(far, axis=0)
    inside = seen & ~beyond
    signal = np.where(inside, scan.signal, np.nan)
    some = inside.any(axis=0)
    low, high = (
        np.where(some, reduce(np.where(inside, scan.signal, fill), axis=0), np.nan)
        for reduce, fill in ((np.min, np.inf), (np.max, -np.inf))
    )
    return Linearity(
        residual=residual,
        residual_stat_error=np.where(seen, error, np.nan),
        residual_sys_error=levels.relative_error,
        range_low=low,
        range_high=high,
        saturation=_saturation(signal, scan.signal, residual, far, tolerance),
    )


def _saturation(
    inside: np.ndarray, signal: np.ndarray, residual: np.ndarray, far: np.ndarray, limit: float
) -> np.ndarray:
    """Signal at which the residual crosses minus the limit, at the first point that is too low."""
    saturation = np.full(signal.shape[1:], np.inf)
    first = np.argmax(far, axis=0)
    n_points = len(signal)
    for k in range(n_points):
        here = far.any(axis=0) & (first == k) & (residual[k] < 0)
        if not here.any():
            continue
        before = k - 1
        known = here & (before >= 0) & np.isfinite(inside[max(before, 0)])
        start, end = (np.maximum(-residual[j], 0.0) for j in (max(before, 0), k))
        with np.errstate(divide="ignore", invalid="ignore"):
            part = np.clip((limit - start) / (end - start), 0.0, 1.0)
            between = np.exp(np.log(signal[max(before, 0)]) * (1 - part) + np.log(signal[k]) * part)
        saturation = np.where(here, np.where(known, between, signal[k]), saturation)
    return saturation


def monotone_knots(
    scan: LightScan, levels: LightLevels, found: Linearity
) -> tuple[np.ndarray, np.ndarray]:
    """Knots of the correction: measured signal and the signal of a linear camera.

    Up to the saturation; where noise makes measured signals fall with the light, neighbours are
    pooled (their mean). Both rise strictly where they are known.

    Returns
    -------
    measured, linear : ndarray, (n_points, n_channels, n_pixels), ADC
        NaN beyond the range.
    """
    known = np.isfinite(found.residual) & (scan.signal <= found.range_high)
    linear = levels.response * levels.level[:, np.newaxis, np.newaxis]
    measured = np.where(known, scan.signal, np.nan)
    shape = measured.shape
    pooled = _pooled(
        measured.reshape(len(measured), -1), np.where(known, linear, np.nan).reshape(shape[0], -1)
    )
    of_light, of_charge = (values.reshape(shape) for values in pooled)
    return of_light, of_charge


@njit(cache=True)
def _pooled(measured: NDArray, linear: NDArray) -> tuple[NDArray, NDArray]:
    """Pool adjacent violators of each column; the first of a pool keeps the means."""
    n_points, n_columns = measured.shape
    out = np.full((2, n_points, n_columns), np.nan)
    x, y = np.empty(n_points), np.empty(n_points)
    n, place = np.empty(n_points), np.empty(n_points, np.int64)
    for column in range(n_columns):
        last = -1
        for k in range(n_points):
            if not np.isfinite(measured[k, column]):
                continue
            last += 1
            x[last], y[last], n[last] = measured[k, column], linear[k, column], 1.0
            place[last] = k
            while last > 0 and (x[last] <= x[last - 1] or y[last] <= y[last - 1]):
                total = n[last] + n[last - 1]
                x[last - 1] = (n[last] * x[last] + n[last - 1] * x[last - 1]) / total
                y[last - 1] = (n[last] * y[last] + n[last - 1] * y[last - 1]) / total
                n[last - 1] = total
                last -= 1
        for k in range(last + 1):
            out[0, place[k], column], out[1, place[k], column] = x[k], y[k]
    return out[0], out[1]


@njit(cache=True)
def linear_charge(charge: NDArray, measured: NDArray, linear: NDArray) -> NDArray:
    """Charges as of a linear camera: a smooth monotone function through 0 and the knots.

    Cubic Hermite polynomials with the slopes of Fritsch and Butland 1984, SIAM J. Sci. Stat.
    Comput. 5, 300; negative charges, which are noise, have the slope at 0.

    Parameters
    ----------
    charge : ndarray, (n_events, n_channels, n_pixels), ADC
        Above the pedestal.
    measured, linear : ndarray, (n_points, n_channels, n_pixels), ADC
        Of `monotone_knots`.

    Returns
    -------
    ndarray, as `charge`
        NaN above the last knot and for pixels without knots.
    """
    n_events, n_channels, n_pixels = charge.shape
    n_points = len(measured)
    out = np.full(charge.shape, np.nan)
    x, y, slope = np.zeros(n_points + 1), np.zeros(n_points + 1), np.zeros(n_points + 1)
    for channel in range(n_channels):
        for pixel in range(n_pixels):
            last = 0
            for k in range(n_points):
                if np.isfinite(measured[k, channel, pixel]):
                    last += 1
                    x[last], y[last] = measured[k, channel, pixel], linear[k, channel, pixel]
            if last == 0:
                continue
            _set_slopes(x, y, last, slope)
            for event in range(n_events):
                value = charge[event, channel, pixel]
                if value <= 0:
                    out[event, channel, pixel] = slope[0] * value
                    continue
                k = 1
                while k <= last and value > x[k]:
                    k += 1
                if k <= last:
                    out[event, channel, pixel] = _hermite(value, x, y, slope, k)
    return out


@njit
def _set_slopes(x: NDArray, y: NDArray, last: int, slope: NDArray) -> None:
    """Weighted harmonic means of the secants on both sides; secants at the ends."""
    slope[0] = y[1] / x[1]
    slope[last] = (y[last] - y[last - 1]) / (x[last] - x[last - 1])
    for k in range(1, last):
        before, after = x[k] - x[k - 1], x[k + 1] - x[k]
        first, second = (y[k] - y[k - 1]) / before, (y[k + 1] - y[k]) / after
        w1, w2 = 2 * after + before, after + 2 * before
        slope[k] = (w1 + w2) / (w1 / first + w2 / second)


@njit
def _hermite(value: float, x: NDArray, y: NDArray, slope: NDArray, k: int) -> float:
    h = x[k] - x[k - 1]
    t = (value - x[k - 1]) / h
    rest = 1 - t
    return (
        y[k - 1] * (1 + 2 * t) * rest**2
        + h * slope[k - 1] * t * rest**2
        + y[k] * t**2 * (3 - 2 * t)
        - h * slope[k] * t**2 * rest
    )
