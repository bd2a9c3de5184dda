"""Relative light of the points of a scan, from all pixels and from what is known of the filters.

    ln S_ij = ln r_i + ln L_j

for pixel and gain i, point j. All pixels see the same light: thousands of them know its ratios
better than the tolerance of filters, up to a bend that all pixels share.
"""

from dataclasses import dataclass

import numpy as np

from ..core.exceptions import ConfigurationError
from .light_scan import LightScan, camera_median

__all__ = ["LightLevels", "independent_error", "light_levels"]


@dataclass(frozen=True)
class LightLevels:
    """Light of each point, (n_points,), in the order of the scan.

    Parameters
    ----------
    level : ndarray
        L, in the unit of the nominal light.
    relative_error : ndarray
        Systematic, common to all pixels.
    nominal, nominal_error : ndarray
        Nominal light and its relative tolerance, as given.
    pull : ndarray
        Deviation of what pixels say from the nominal light in standard deviations; NaN if one of
        them is not known.
    response, response_error : ndarray, (n_channels, n_pixels), ADC per unit of light
        r; NaN for a pixel that is used at no point.
    is_used : ndarray, (n_points, n_channels, n_pixels), bool
    """

    level: np.ndarray
    relative_error: np.ndarray
    nominal: np.ndarray
    nominal_error: np.ndarray
    pull: np.ndarray
    response: np.ndarray
    response_error: np.ndarray
    is_used: np.ndarray


def independent_error(scan: LightScan) -> np.ndarray:
    """Relative error of the signals without what all pixels share, the jitter of the source."""
    with np.errstate(divide="ignore", invalid="ignore"):
        squared = (scan.signal_error / scan.signal) ** 2
        jitter = np.maximum(scan.common_noise, 0.0)[..., np.newaxis] / scan.n_events
    jitter = np.where(np.isfinite(jitter), jitter, 0.0)
    return np.sqrt(np.maximum(squared - jitter, squared / 100))


def light_levels(
    scan: LightScan,
    used: np.ndarray,
    nominal: np.ndarray,
    nominal_error: np.ndarray,
    *,
    common_bend: float = 0.01,
    max_residual: float = 0.02,
) -> LightLevels:
    """Light of the points of a scan by least squares over all pixels, gains and filters.

    A point's light is the mean of what pixels say, to `common_bend`, and of what is nominal, to
    its tolerance: a monitor diode of 0.1 % decides, filters of 5 % only set the scale. The
    brightest point of a pixel and gain does not count, and then the next one, if its signal is
    `max_residual` (and 5 errors) too small, or the median of all pixels is half of that too small:
    the gain that is not saturated decides.

    Parameters
    ----------
    scan : LightScan
    used : bool array, (n_points, n_channels, n_pixels)
        Points that count (of a photon transfer: below the turn-off).
    nominal, nominal_error : array, (n_points,)
        Light of the points in the order of the scan (transmission of a filter, charge of a
        monitor), any unit, and its relative tolerance; inf where nothing is known.
    common_bend : float
        Relative deviation from linearity that all pixels may share.

    Raises
    ------
    ConfigurationError
        If the nominal light is not positive, a tolerance is not, or nothing fixes the scale.
    """
    nominal, tolerance = np.asarray(nominal, float), np.asarray(nominal_error, float)
    _check(nominal, tolerance, len(scan.signal), common_bend)
    used = used & scan.is_measured & scan.is_lit
    error = independent_error(scan)
    with np.errstate(divide="ignore", invalid="ignore"):
        y = np.where(used, np.log(scan.signal), 0.0)
        weight = np.where(used, error**-2, 0.0)
    for _ in range(len(nominal)):
        of_pixels, log_response = _additive_fit(
            y, weight, np.log(nominal), tolerance**2 + common_bend**2
        )
        residual = y - of_pixels[:, np.newaxis, np.newaxis] - log_response
        brighter = np.logical_or.accumulate(weight[::-1] > 0, axis=0)[::-1]
        is_last = (weight > 0) & ~np.concatenate([brighter[1:], np.zeros_like(brighter[:1])])
        low = is_last & (residual < -max_residual - 5 * error)
        median = camera_median(np.where(is_last, residual, np.nan))
        low |= is_last & (median < -max_residual / 2)
        if not low.any():
            break
        weight = np.where(low, 0.0, weight)
    known = (weight > 0).any(axis=(1, 2))
    of_known, of_filter = known * common_bend**-2, tolerance**-2
    squared = of_known + of_filter
    log_level = (of_known * of_pixels + of_filter * np.log(nominal)) / squared
    with np.errstate(divide="ignore", invalid="ignore"):
        pull = (of_pixels - np.log(nominal)) / np.hypot(common_bend, tolerance)
        total = weight.sum(axis=0)
        response = np.where(total > 0, np.exp(log_response), np.nan)
        return LightLevels(
            level=np.exp(log_level),
            relative_error=squared**-0.5,
            nominal=nominal,
            nominal_error=tolerance,
            pull=np.where(known & np.isfinite(tolerance), pull, np.nan),
            response=response,
            response_error=response / np.sqrt(total),
            is_used=weight > 0,
        )


def _check(nominal: np.ndarray, tolerance: np.ndarray, n_points: int, bend: float) -> None:
    if nominal.shape != (n_points,) or tolerance.shape != (n_points,):
        raise ConfigurationError(
            f"nominal light of {nominal.size} and tolerances of {tolerance.size} points for a scan "
            f"of {n_points}; give one for each run"
        )
    if not ((nominal > 0) & np.isfinite(nominal)).all() or not (tolerance > 0).all():
        raise ConfigurationError(
            f"nominal light {nominal.tolist()} with relative tolerances {tolerance.tolist()}: both "
            "must be positive; correct the table of the scan"
        )
    if not np.isfinite(tolerance).any():
        raise ConfigurationError(
            "no point has a light that is known: nothing fixes its scale; give the transmission of "
            "a filter or a monitor signal with its tolerance"
        )
    if not bend > 0:
        raise ConfigurationError(f"common_bend is {bend:g}, needs more than 0; give 0.01")


def _additive_fit(
    y: np.ndarray, weight: np.ndarray, known: np.ndarray, known_variance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """p_j, r_i of y = p_j + r_i by least squares, with p_j known to a variance.

    The responses are eliminated: normal equations of the points alone. What is known decides
    only the common scale, and that of points which no pixel connects.
    """
    n_points = len(y)
    y, w = (values.reshape(n_points, -1) for values in (y, weight))
    total = w.sum(axis=0)
    share = np.divide(w, total, out=np.zeros_like(w), where=total > 0)
    known_weight = 1.0 / known_variance
    matrix = np.diag(w.sum(axis=1) + known_weight) - share @ w.T
    right = (w * (y - (share * y).sum(axis=0))).sum(axis=1) + known_weight * known
    level = np.linalg.solve(matrix, right)
    response = (share * (y - level[:, np.newaxis])).sum(axis=0)
    return level, response.reshape(weight.shape[1:])
