"""Weighted least squares of a photon transfer curve, all pixels at once.

The errors are those of the variance and of the signal, which are correlated: pulses of more charge
are few, and raise both.
"""

from dataclasses import dataclass

import numpy as np

from .ffactor import REWEIGHTINGS, two_term_fit
from .light_scan import LightScan

__all__ = ["CurveFit", "curve_fit"]


@dataclass(frozen=True)
class CurveFit:
    """a, b of V = a S + b S², variances of a and b and their covariance, chi2, σ² of the points."""

    linear: np.ndarray
    quadratic: np.ndarray
    inverse: tuple[np.ndarray, np.ndarray, np.ndarray]
    chi2: np.ndarray
    model: np.ndarray
    spread: np.ndarray


def curve_fit(
    scan: LightScan, used: np.ndarray, F2: np.ndarray, common: np.ndarray | None
) -> CurveFit:
    """Fit of the points that are used; model and errors of all points."""
    S = np.where(scan.is_measured, scan.signal, 1.0)
    y = np.where(scan.is_measured, scan.variance, 0.0)
    spread = np.where(scan.is_measured, scan.total_variance, 1.0) ** 2 / np.maximum(
        scan.n_events, 1
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        for _ in range(REWEIGHTINGS + 1):
            weight = np.where(used, 1.0 / spread, 0.0)
            a, b, inverse = (
                _two_terms(S, y, weight)
                if common is None
                else _one_term(S, y - common * S**2, weight, common)
            )
            b_of_point = b if common is None else common
            model = a * S + b_of_point * S**2
            spread = _effective_variance(scan, S, a, b_of_point, F2)
        chi2 = np.where(used, (y - model) ** 2 / spread, 0.0).sum(axis=0)
    return CurveFit(a, b, inverse, chi2, model, spread)


def _two_terms(S: np.ndarray, y: np.ndarray, weight: np.ndarray) -> tuple:
    a, b, (var_a, var_b) = two_term_fit(S, y, weight)
    m2, m3, m4 = ((weight * S**power).sum(axis=0) for power in (2, 3, 4))
    return a, b, (var_a, var_b, -m3 / (m2 * m4 - m3**2))


def _one_term(S: np.ndarray, y: np.ndarray, weight: np.ndarray, common: np.ndarray) -> tuple:
    m2 = (weight * S**2).sum(axis=0)
    a = (weight * S * y).sum(axis=0) / m2
    counted = (weight > 0).sum(axis=0)
    b = np.where(weight > 0, common, 0.0).sum(axis=0) / counted
    zero = np.zeros_like(a)
    return a, b, (1.0 / m2, zero, zero)


def _effective_variance(
    scan: LightScan, S: np.ndarray, a: np.ndarray, b: np.ndarray, F2: np.ndarray
) -> np.ndarray:
    """σ² of V - V_ped about the curve."""
    photons = np.maximum(a * S, 0.0)
    V = photons + np.maximum(b, 0.0) * S**2 + scan.pedestal_variance
    N, N_ped = np.maximum(scan.n_events, 1), np.maximum(scan.pedestal_n_events, 1)
    slope = a + 2 * b * S
    # ASSUME: the charge of one p.e. is gamma distributed (its third moment follows from F²),
    # pedestals are symmetric; both enter only the covariance of mean and variance, which is small.
    third = (2 * F2 - 1) * a / F2 * photons + 3 * np.maximum(b, 0.0) * S * photons
    of_pedestal = scan.pedestal_kurtosis * scan.pedestal_variance**2 / N_ped
    of_mean = V / N + scan.pedestal_variance / N_ped
    return scan.kurtosis * V**2 / N + of_pedestal + slope**2 * of_mean - 2 * slope * third / N
