"""Residuals of arrival times by the distance from the shower's axis: how far it is a sphere."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .shower_front import shower_axis
from .shower_times import ShowerTimes

__all__ = ["IMPACT_EDGES", "ImpactResiduals", "front_scatter", "impact_residuals"]

IMPACT_EDGES = np.array([0.0, 50.0, 100.0, 150.0, 200.0, 300.0, 500.0, np.inf])  # m
_MIN_EVENTS = 20  # of a bin: its error comes from its scatter


@dataclass(frozen=True)
class ImpactResiduals:
    """Sums over times, by telescope and impact distance.

    Attributes
    ----------
    n, total, square : ndarray, shape (n_tel, n_bins)
        Number, sum (ns) and sum of squares (ns^2) of the residuals.
    """

    n: NDArray
    total: NDArray
    square: NDArray

    def __add__(self, other: "ImpactResiduals") -> "ImpactResiduals":
        return ImpactResiduals(
            self.n + other.n, self.total + other.total, self.square + other.square
        )

    @property
    def mean(self) -> NDArray:
        """Mean residual, ns; NaN without times."""
        return self.total / np.where(self.n > 0, self.n, np.nan)

    @property
    def error(self) -> NDArray:
        """Standard error of the mean, ns; NaN for less than 20 times."""
        n = np.where(self.n >= _MIN_EVENTS, self.n, np.nan)
        return np.sqrt(np.maximum(self.square / n - self.mean**2, 0.0) / (n - 1))


def impact_residuals(
    times: ShowerTimes, position: NDArray, residual: NDArray, counts: NDArray | None
) -> ImpactResiduals:
    """Sums of the residuals of some events.

    Parameters
    ----------
    times : ShowerTimes
    position : ndarray, shape (n_tel, 3), m
    residual : ndarray, shape (n_events, n_tel), ns
    counts : ndarray, shape (n_events, n_tel), bool, or None
        Times that count; None for none.
    """
    n_tel, n_bins = residual.shape[1], len(IMPACT_EDGES) - 1
    if counts is None:
        nothing = np.zeros((n_tel, n_bins))
        return ImpactResiduals(nothing.astype(np.int64), nothing, nothing)
    axis, _, _ = shower_axis(times.alt, times.az)
    s = position - times.core[:, None, :]
    along = np.einsum("etx,ex->et", s, axis)
    impact = np.sqrt(np.maximum(np.einsum("etx,etx->et", s, s) - along**2, 0.0))
    column = np.searchsorted(IMPACT_EDGES, impact, side="right") - 1
    cell = (column + n_bins * np.arange(n_tel))[counts]
    values = residual[counts]

    def sums(weight: NDArray | None) -> NDArray:
        return np.bincount(cell, weight, n_tel * n_bins).reshape(n_tel, n_bins)

    return ImpactResiduals(sums(None), sums(values), sums(values**2))


def front_scatter(residuals: ImpactResiduals) -> NDArray:
    r"""Scatter of the mean residuals between impact distances beyond their errors, by telescope.

    What is left of the true front and of the trigger's dependence on light after the fit: a
    systematic error of the offset. The moment estimator of a variance between groups.

    Returns
    -------
    ndarray, shape (n_tel,), ns
        0 for less than two distances with enough times.

    References
    ----------
    DerSimonian, R. and Laird, N. 1986, Control. Clin. Trials 7, 177.
    doi 10.1016/0197-2456(86)90046-2
    """
    error = residuals.error
    good = np.isfinite(error) & (error > 0)
    weight = np.where(good, error, np.inf) ** -2.0
    mean = np.where(good, residuals.mean, 0.0)
    sum_of_weights = weight.sum(axis=1)
    enough = good.sum(axis=1) >= 2
    norm = np.where(enough, sum_of_weights, 1.0)
    centre = np.sum(weight * mean, axis=1) / norm
    excess = np.sum(weight * (mean - centre[:, None]) ** 2, axis=1) - (good.sum(axis=1) - 1)
    scale = np.where(enough, norm - np.sum(weight**2, axis=1) / norm, 1.0)
    return np.where(enough, np.sqrt(np.maximum(excess, 0.0) / scale), 0.0)
