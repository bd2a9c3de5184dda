"""High over low gain of every pixel, and both gains in one charge.

Both gains digitise the same photoelectrons. What fluctuates with the light, its jitter included,
moves a point along the line S_high = R S_low and does not count as scatter; only the noise of the
two electronics does.

References
----------
York, Evensen, Lopez Martinez & De Basabe Delgado 2004, Am. J. Phys. 72, 367 (errors on both axes).
"""

from dataclasses import dataclass
from enum import IntFlag

import numpy as np
from scipy.special import gammaincc

from ..core.exceptions import ConfigurationError
from .light_scan import LightScan

__all__ = ["CombinedCharge", "GainRatio", "GainRatioReason", "combined_charge", "gain_ratio"]

ROUNDS = 30
MIN_POINTS = 2


class GainRatioReason(IntFlag):
    """Why a ratio is absent or not to be trusted. Never reuse a number."""

    TOO_FEW_POINTS = 1  # in which both gains are linear
    SWAPPED = 2  # below 1
    OFFSET = 4  # the line misses the pedestals
    BAD_FIT = 8


@dataclass(frozen=True)
class GainRatio:
    """Ratios, arrays (n_pixels,); NaN where there is none.

    Parameters
    ----------
    ratio, ratio_stat_error : ndarray
        Of the line through the pedestals.
    ratio_sys_error : ndarray
        What the scatter of the points beyond their errors allows: bends of either gain.
    offset, offset_error : ndarray, ADC of high gain
        At no light, of a line that is free; 0 if the pedestals are right.
    chi2, n_points : ndarray
        Of the line through the pedestals, with `n_points` - 1 degrees of freedom.
    status : ndarray, uint8
        Bits of `GainRatioReason`.
    """

    ratio: np.ndarray
    ratio_stat_error: np.ndarray
    ratio_sys_error: np.ndarray
    offset: np.ndarray
    offset_error: np.ndarray
    chi2: np.ndarray
    n_points: np.ndarray
    status: np.ndarray


def gain_ratio(
    scan: LightScan,
    used: np.ndarray,
    electronic_variance: np.ndarray,
    *,
    n_sigma: float = 5.0,
    min_p_value: float = 1e-6,
) -> GainRatio:
    """Ratio of the gains by regression with errors on both axes over the points both can see.

    Least squares of (S_high - R S_low)²/(σ_high² + R² σ_low²), σ² = v (1/N + 1/N_ped) with the
    variance v of a charge from electronics alone. With the variance of sky pedestals for v the
    errors are too large, because the night sky is common to both gains.

    Parameters
    ----------
    scan : LightScan
        With two channels, high gain first.
    used : bool array, (n_points, 2, n_pixels)
        Points at which a gain is linear (`LightLevels.is_used`).
    electronic_variance : array, (2, n_pixels), ADC²
        v: of dark pedestals.
    n_sigma : float
        Distance of the offset from 0, in its errors, that is told.
    min_p_value : float
        Of chi2, below which a fit is bad.

    Raises
    ------
    ConfigurationError
        If there are not two channels, or more than half of the pixels have a ratio below 1.
    """
    if scan.signal.shape[1] != 2:
        raise ConfigurationError(
            f"a ratio of gains needs 2 channels, the camera has {scan.signal.shape[1]}"
        )
    both = (used & scan.is_measured & scan.is_lit).all(axis=1)
    v = np.asarray(electronic_variance, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = v * (1.0 / scan.n_events + 1.0 / scan.pedestal_n_events)
    high, low = (np.where(both, scan.signal[:, c], 0.0) for c in (0, 1))
    var_high, var_low = (np.where(both, error[:, c], 1.0) for c in (0, 1))
    n_points = both.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio, ratio_error, chi2 = _through_origin(high, low, var_high, var_low, both)
        offset, offset_error = _free_offset(high, low, var_high, var_low, both, ratio)
        excess = np.sqrt(np.maximum(chi2 / np.maximum(n_points - 1, 1) - 1, 0.0))
    few = n_points < MIN_POINTS
    status = _status(few, ratio, offset / offset_error, chi2, n_points - 1, n_sigma, min_p_value)
    swapped = (status & GainRatioReason.SWAPPED) > 0
    if np.count_nonzero(swapped) > 0.5 * max(int(np.count_nonzero(~few)), 1):
        raise ConfigurationError(
            f"gains are swapped: {np.count_nonzero(swapped)} of {np.count_nonzero(~few)} pixels "
            "have less signal in high gain than in low gain; mend the description of the camera"
        )

    def or_nan(values: np.ndarray) -> np.ndarray:
        return np.where(few, np.nan, values)

    return GainRatio(
        ratio=or_nan(ratio),
        ratio_stat_error=or_nan(ratio_error),
        ratio_sys_error=or_nan(excess * ratio_error),
        offset=np.where(n_points < 3, np.nan, offset),
        offset_error=np.where(n_points < 3, np.nan, offset_error),
        chi2=or_nan(chi2),
        n_points=n_points,
        status=status.astype(np.uint8),
    )


def _through_origin(
    high: np.ndarray, low: np.ndarray, var_high: np.ndarray, var_low: np.ndarray, used: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slope, its error and chi2: d/dR of the sum of squares vanishes (York without intercept)."""
    ratio = (high * low).sum(axis=0) / (low * low).sum(axis=0)
    for _ in range(ROUNDS):
        weight = used / (var_high + ratio**2 * var_low)
        # abscissae on the line, as low and high gain together say
        true = weight * (low * var_high + ratio * high * var_low)
        ratio = (weight * true * high).sum(axis=0) / (weight * true * low).sum(axis=0)
    error = (weight * true**2).sum(axis=0) ** -0.5
    return ratio, error, (weight * (high - ratio * low) ** 2).sum(axis=0)


def _free_offset(
    high: np.ndarray,
    low: np.ndarray,
    var_high: np.ndarray,
    var_low: np.ndarray,
    used: np.ndarray,
    ratio: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Intercept of a line with errors on both axes, and its error (York 2004)."""
    slope = ratio.copy()
    for _ in range(ROUNDS):
        weight = used / (var_high + slope**2 * var_low)
        total = weight.sum(axis=0)
        mean_low, mean_high = ((weight * x).sum(axis=0) / total for x in (low, high))
        U, V = low - mean_low, high - mean_high
        beta = weight * (U * var_high + slope * V * var_low)
        slope = (weight * beta * V).sum(axis=0) / (weight * beta * U).sum(axis=0)
    adjusted = mean_low + np.where(used, beta, 0.0)
    centre = (weight * adjusted).sum(axis=0) / total
    var_slope = 1.0 / (weight * (adjusted - centre) ** 2).sum(axis=0)
    return mean_high - slope * mean_low, np.sqrt(1.0 / total + centre**2 * var_slope)


def _status(
    few: np.ndarray,
    ratio: np.ndarray,
    offset_pull: np.ndarray,
    chi2: np.ndarray,
    n_degrees: np.ndarray,
    n_sigma: float,
    min_p_value: float,
) -> np.ndarray:
    reason = GainRatioReason
    with np.errstate(invalid="ignore"):
        bad = gammaincc(np.maximum(n_degrees, 1) / 2, chi2 / 2) < min_p_value
        conditions = (
            (few, reason.TOO_FEW_POINTS),
            (~few & (ratio < 1), reason.SWAPPED),
            (~few & (n_degrees >= 2) & (np.abs(offset_pull) > n_sigma), reason.OFFSET),
            (~few & bad, reason.BAD_FIT),
        )
    return np.sum([np.where(condition, bit.value, 0) for condition, bit in conditions], axis=0)


@dataclass(frozen=True)
class CombinedCharge:
    """Both gains in one charge, ADC of high gain, arrays as the charges.

    `weight` is that of high gain; `stat_error` of the electronics' noise, `sys_error` of the ratio.
    """

    charge: np.ndarray
    weight: np.ndarray
    stat_error: np.ndarray
    sys_error: np.ndarray


def combined_charge(
    high: np.ndarray,
    low: np.ndarray,
    found: GainRatio,
    electronic_variance: np.ndarray,
    *,
    switch_over: tuple[float, float],
) -> CombinedCharge:
    """Charge of both gains, weighted by the inverse of their noise, up to the switch-over.

    From the first to the second signal of `switch_over` (ADC of high gain, as low gain tells it)
    the weight of high gain falls to zero in a straight line: no step, and no dependence on the
    fluctuations of high gain itself.

    Parameters
    ----------
    high, low : array, (..., n_pixels), ADC above the pedestal
    found : GainRatio
    electronic_variance : array, (2, n_pixels), ADC²
    switch_over : (float, float), ADC
        Below the range of linearity of high gain.

    Raises
    ------
    ConfigurationError
        If the switch-over is not an ascending pair.
    """
    begin, end = switch_over
    if not 0 <= begin < end:
        raise ConfigurationError(
            f"switch_over from {begin:g} to {end:g} ADC: give two ascending signals of high gain"
        )
    v_high, v_low = np.asarray(electronic_variance, float)
    scaled = found.ratio * low
    best = found.ratio**2 * v_low / (v_high + found.ratio**2 * v_low)
    weight = best * np.clip((end - scaled) / (end - begin), 0.0, 1.0)
    noise = weight**2 * v_high + (1 - weight) ** 2 * found.ratio**2 * v_low
    ratio_error = np.hypot(found.ratio_stat_error, found.ratio_sys_error)
    # high gain is not looked at where it has no weight: it may be saturated
    charge = np.where(weight > 0, weight * high, 0.0) + (1 - weight) * scaled
    return CombinedCharge(charge, weight, np.sqrt(noise), (1 - weight) * np.abs(low) * ratio_error)
