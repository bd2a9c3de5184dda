"""Significance of an excess of counts."""

import numpy as np
from scipy.special import log_ndtr, ndtri

__all__ = ["lima_significance", "significance_after_trials"]


def lima_significance(n_on: int, n_off: int, alpha: float) -> float:
    """Significance of an excess, equation 17 of Li and Ma (1983); negative for a deficit.

    Parameters
    ----------
    n_on, n_off : int
        Counts in the window and beside it.
    alpha : float
        Width of the window over that beside it.

    References
    ----------
    Li, T.-P. and Ma, Y.-Q. 1983, ApJ 272, 317. doi 10.1086/161295
    """
    n = n_on + n_off
    if n == 0:
        return 0.0
    on = n_on * np.log((1 + alpha) / alpha * n_on / n) if n_on else 0.0
    off = n_off * np.log((1 + alpha) * n_off / n) if n_off else 0.0
    return float(np.copysign(np.sqrt(max(2 * (on + off), 0.0)), n_on - alpha * n_off))


def significance_after_trials(significance: float, trials: float) -> float:
    r"""Standard deviations of the chance :math:`1 - (1 - p)^k`, also where *p* underflows.

    Parameters
    ----------
    significance : float
        Of one trial, one-sided.
    trials : float
        Their number *k*, at least 1.
    """
    log_p = float(log_ndtr(-significance))
    if log_p < -30.0:  # k p: find x with log p(x) = log p + log k
        target, x = log_p + np.log(trials), significance
        for _ in range(50):  # Newton; the slope of log p is -x for large x
            x += (float(log_ndtr(-x)) - target) / x
        return float(x)
    chance = -np.expm1(trials * np.log1p(-np.exp(log_p))) if log_p < 0 else 1.0
    return float(-ndtri(chance))
