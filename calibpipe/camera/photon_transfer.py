"""Photon transfer: gain, read noise and quadratic noise from the variance of light pulses.

    var(Q) = var(Q_ped) + F² g S + B² S²,    S = <Q> - <Q_ped>

(F² the squared excess noise factor, g the gain in ADC per p.e., B noise that grows with the
charge), up to the signal at which the electronics saturate: there the variance turns off.

References
----------
Janesick 2001, Scientific Charge-Coupled Devices (photon transfer). Kobayashi et al. 2021,
PoS(ICRC2021) 720, arXiv:2108.05035 (filter scan of LST-1). Nectarchain (camera-mean B).
"""

from dataclasses import dataclass
from enum import IntFlag

import numpy as np
from scipy.special import gammaincc

from ..core.exceptions import ConfigurationError
from .ffactor import check_noise
from .light_scan import MIN_POINTS, LightScan, camera_median
from .photon_transfer_fit import CurveFit, curve_fit

__all__ = ["PhotonTransfer", "PhotonTransferReason", "TransferSettings", "photon_transfer"]

MEDIAN = np.sqrt(np.pi / 2)  # standard error of a median over that of a mean


class PhotonTransferReason(IntFlag):
    """Why a pixel has no photon transfer, or none to trust. Never reuse a number."""

    NO_SIGNAL = 1  # fewer than 3 points with light
    TOO_FEW_POINTS = 2  # below the turn-off
    NO_POSITIVE_GAIN = 4
    BAD_FIT = 8
    EARLY_TURN_OFF = 16  # far below that of the camera


@dataclass(frozen=True)
class TransferSettings:
    """Parameters of the method.

    Parameters
    ----------
    squared_excess_noise_factor, squared_excess_noise_factor_error : float or array
        F² and its error, broadcastable to (n_channels, n_pixels).
    quadratic_noise : str
        ``fitted`` per pixel, or ``common``: B² of each point is that of the camera's mean charge.
    turn_off_sigma : float
        A point whose variance is this far below what the darker ones predict ends the curve.
    max_turned_off, min_turn_off : float
        A point at which more than this fraction of the lit pixels of a channel turns off, or their
        median variance is significantly less by more than this fraction, does not count in any of
        them: in others saturation has begun unseen.
    min_p_value : float
        Of chi2, below which a fit is bad.
    early_turn_off : float
        A turn-off below this part of the camera's median is early.
    max_signal : sequence of float or None
        ADC, one a channel: points of a larger signal do not count, whatever their variance.
    """

    squared_excess_noise_factor: float | np.ndarray = 1.222
    squared_excess_noise_factor_error: float | np.ndarray = 0.0
    quadratic_noise: str = "fitted"
    turn_off_sigma: float = 3.5
    max_turned_off: float = 0.05
    min_turn_off: float = 0.02
    min_p_value: float = 1e-6
    early_turn_off: float = 0.5
    max_signal: tuple[float, ...] | None = None


@dataclass(frozen=True)
class PhotonTransfer:
    """Results, arrays (n_channels, n_pixels), NaN where there is none.

    Parameters
    ----------
    gain, gain_stat_error, gain_sys_error : ndarray, ADC per p.e.
        The systematic error is that of F²: all pixels together if F² is one number.
    squared_quadratic_noise, squared_quadratic_noise_error : ndarray
        B², not bounded by zero; of ``common`` noise the mean over the points that count.
    covariance : ndarray, ADC per p.e.
        Of gain and B².
    read_noise, read_noise_error : ndarray, ADC
        Standard deviation of the pedestal charge: electronics, and the night sky if it was seen.
    turn_off : ndarray, ADC
        Signal of the first point that the turn-off excludes; inf if there is none.
    chi2, n_degrees : ndarray
    status : ndarray, uint8
        Bits of `PhotonTransferReason`.
    is_used : ndarray, (n_points, n_channels, n_pixels), bool
    """

    gain: np.ndarray
    gain_stat_error: np.ndarray
    gain_sys_error: np.ndarray
    squared_quadratic_noise: np.ndarray
    squared_quadratic_noise_error: np.ndarray
    covariance: np.ndarray
    read_noise: np.ndarray
    read_noise_error: np.ndarray
    turn_off: np.ndarray
    chi2: np.ndarray
    n_degrees: np.ndarray
    status: np.ndarray
    is_used: np.ndarray


def photon_transfer(scan: LightScan, settings: TransferSettings | None = None) -> PhotonTransfer:
    """Gain, read noise and quadratic noise of every pixel from a scan of intensities.

    Weighted least squares of V - V_ped = F² g S + B² S² with the effective variance of errors on
    both axes and their covariance,

        σ² = k V²/N + k_ped V_ped²/N_ped + f'² σ_S² - 2 f' κ3/N,   f' = F² g + 2 B² S,

    V of the fit itself (the measured one would pull the result low), k the measured kurtosis of
    the camera (2 for Gaussian charges). Points count from the darkest on until the variance is
    `turn_off_sigma` below the prediction of the darker ones.

    Parameters
    ----------
    scan : LightScan
        Means, not medians: at 80 p.e. medians make the gain 0.33 % too large.
    settings : TransferSettings, optional

    Returns
    -------
    PhotonTransfer
        NaN and a bit of `status` where fewer than 3 points (2 with ``common`` noise) are below the
        turn-off, or the gain is not positive.

    Raises
    ------
    ConfigurationError
        If F² < 1 or its error is negative, `quadratic_noise` is unknown, or the noise that the
        camera has in common is not known.
    """
    settings = settings or TransferSettings()
    F2 = np.asarray(settings.squared_excess_noise_factor, float)
    F2_error = np.asarray(settings.squared_excess_noise_factor_error, float)
    check_noise(F2, F2_error)
    common = _common_noise(scan, settings)
    usable = scan.is_measured
    if settings.max_signal is not None:
        usable &= scan.signal <= np.array(settings.max_signal)[:, np.newaxis]
    used, turn_off = _below_turn_off(scan, usable, F2, common, settings)
    fit = curve_fit(scan, used, F2, common)
    n_free = 2 if common is None else 1
    n_points = used.sum(axis=0)
    status = _status(scan, fit, n_points, n_points - n_free, turn_off, settings)
    bad = status & (
        PhotonTransferReason.NO_SIGNAL
        | PhotonTransferReason.TOO_FEW_POINTS
        | PhotonTransferReason.NO_POSITIVE_GAIN
    )
    gain = np.where(bad, np.nan, fit.linear / F2)
    gain_error, B2_error = (
        np.sqrt(np.where(bad, np.nan, values)) for values in (fit.inverse[0], fit.inverse[1])
    )
    read_noise, read_noise_error = _read_noise(scan)
    return PhotonTransfer(
        gain=gain,
        gain_stat_error=gain_error / F2,
        gain_sys_error=gain * F2_error / F2,
        squared_quadratic_noise=np.where(bad, np.nan, fit.quadratic),
        squared_quadratic_noise_error=B2_error,
        covariance=np.where(bad, np.nan, fit.inverse[2] / F2),
        read_noise=read_noise,
        read_noise_error=read_noise_error,
        turn_off=turn_off,
        chi2=np.where(bad, np.nan, fit.chi2),
        n_degrees=np.maximum(n_points - n_free, 0),
        status=status.astype(np.uint8),
        is_used=used,
    )


def _common_noise(scan: LightScan, settings: TransferSettings) -> np.ndarray | None:
    """B² of each point and channel, (n_points, n_channels, 1), if it is not to be fitted."""
    if settings.quadratic_noise == "fitted":
        return None
    if settings.quadratic_noise != "common":
        raise ConfigurationError(
            f"quadratic_noise is {settings.quadratic_noise!r}; give 'fitted' or 'common'"
        )
    if not np.isfinite(scan.common_noise).all():
        raise ConfigurationError(
            "the noise that all pixels have in common is not in these statistics; take those of "
            "calibpipe-calculate-pixel-statistics, or set quadratic_noise to 'fitted'"
        )
    return scan.common_noise[..., np.newaxis]


def _below_turn_off(
    scan: LightScan,
    usable: np.ndarray,
    F2: np.ndarray,
    common: np.ndarray | None,
    settings: TransferSettings,
) -> tuple[np.ndarray, np.ndarray]:
    """Points before the variance turns off, and the signal at which it does."""
    n_start = MIN_POINTS if common is None else MIN_POINTS - 1
    used = usable.copy()
    turn_off = np.full(usable.shape[1:], np.inf)
    for k in range(n_start, len(usable)):
        darker = used.copy()
        darker[k:] = False
        fit = curve_fit(scan, darker, F2, common)
        S = scan.signal[k]
        var_a, var_b, covariance = fit.inverse
        with np.errstate(divide="ignore", invalid="ignore"):
            prediction = S**2 * var_a + S**4 * var_b + 2 * S**3 * covariance
            missing = fit.model[k] - scan.variance[k]
            pull = missing / np.sqrt(fit.spread[k] + prediction)
            V = fit.model[k] + scan.pedestal_variance[k]
            # of the noise that all pixels have in common the fluctuations are common, too
            in_common = np.sqrt(2 / scan.n_events[k]) * np.maximum(1 - fit.linear * S / V, 0.0)
        known = used[k] & (darker.sum(axis=0) >= n_start) & (fit.linear > 0)
        is_off = known & (pull > settings.turn_off_sigma)
        lit = known & scan.is_lit[k]
        n_lit = lit.sum(axis=-1, keepdims=True)
        many = (is_off & lit).sum(axis=-1, keepdims=True) > settings.max_turned_off * n_lit
        median, part, common_part = (
            camera_median(np.where(lit, values, np.nan))
            for values in (pull, missing / V, in_common)
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            many |= (median > settings.turn_off_sigma * MEDIAN / np.sqrt(n_lit)) & (
                part > settings.min_turn_off + settings.turn_off_sigma * common_part
            )
        is_off |= used[k] & many
        turn_off = np.where(is_off, np.minimum(turn_off, S), turn_off)
        used[k:] &= ~is_off
    return used, turn_off


def _read_noise(scan: LightScan) -> tuple[np.ndarray, np.ndarray]:
    """Mean over the runs, weighted by pedestal events, and its error."""
    known = np.isfinite(scan.pedestal_variance) & (scan.pedestal_n_events > 0)
    weight = np.where(known, scan.pedestal_n_events, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        total = weight.sum(axis=0)
        variance = np.where(known, weight * scan.pedestal_variance, 0.0).sum(axis=0) / total
        kurtosis = (weight * scan.pedestal_kurtosis).sum(axis=0) / total
        noise = np.sqrt(variance)
        return noise, noise / 2 * np.sqrt(kurtosis / total)


def _status(
    scan: LightScan,
    fit: CurveFit,
    n_points: np.ndarray,
    n_degrees: np.ndarray,
    turn_off: np.ndarray,
    settings: TransferSettings,
) -> np.ndarray:
    reason = PhotonTransferReason
    dark = (scan.is_measured & scan.is_lit).sum(axis=0) < MIN_POINTS
    few = n_degrees < 1
    with np.errstate(invalid="ignore"):
        no_gain = ~few & ~(fit.linear > 0)
        bad = ~few & (gammaincc(np.maximum(n_degrees, 1) / 2, fit.chi2 / 2) < settings.min_p_value)
        usual = np.array([np.median(channel[~np.isnan(channel)]) for channel in turn_off])
        early = turn_off < settings.early_turn_off * usual[:, np.newaxis]
    early &= np.isfinite(usual)[:, np.newaxis]
    bits = np.zeros(n_points.shape, int)
    for condition, bit in (
        (dark, reason.NO_SIGNAL),
        (few, reason.TOO_FEW_POINTS),
        (no_gain, reason.NO_POSITIVE_GAIN),
        (bad, reason.BAD_FIT),
        (early, reason.EARLY_TURN_OFF),
    ):
        bits |= np.where(condition, bit.value, 0)
    return bits
