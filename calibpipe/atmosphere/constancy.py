r"""Is a series of noisy measurements constant? Tests with a stated size and power.

With errors :math:`e_i`, intrinsic scatter :math:`\sigma` and weights
:math:`w_i = 1/(e_i^2+\sigma^2)`

.. math:: Q(\sigma) = \sum_i w_i (x_i - \bar x)^2,\qquad \bar x = \sum_i w_i x_i / \sum_i w_i

is chi-squared distributed with the number of measurements less the number of means if the true
scatter is :math:`\sigma`. Everything here follows from that: it works for noise above the scatter
as well as below, and there is always an answer. All functions take series along the last axis,
any number of them at once; NaN is an absent measurement. Groups (filters, images) have a mean each.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, chdtri

from ..core.exceptions import ConfigurationError

__all__ = [
    "Constancy",
    "IntrinsicScatter",
    "constancy",
    "detectable_scatter",
    "fractional_variability",
    "intrinsic_scatter",
    "power_of_constancy",
]

_STEPS = 45  # of bisection: 2^-45 of the first bracket


@dataclass(frozen=True)
class IntrinsicScatter:
    """Scatter beyond the errors; arrays of the shape of the series without their last axis.

    Attributes
    ----------
    mean, error : ndarray
        Weighted mean with the scatter in its weights, and its standard error; NaN for no value.
        Of a truly constant series the error is a few percent too large: half of the estimates of
        the scatter are above 0.
    scatter, lower, upper : ndarray
        Estimate and both ends of its central confidence interval. 0 where less than the noise;
        (0, inf) where there is nothing to tell it from.
    chi2, n_dof, n : ndarray
        Of constancy without any scatter; degrees of freedom; measurements.
    """

    mean: NDArray
    error: NDArray
    scatter: NDArray
    lower: NDArray
    upper: NDArray
    chi2: NDArray
    n_dof: NDArray
    n: NDArray


@dataclass(frozen=True)
class Constancy:
    """Test of the hypothesis that the scatter is not above a tolerance.

    Attributes
    ----------
    is_constant : ndarray, bool
        Not rejected. True where there are fewer than two measurements to compare.
    p_value : ndarray
        Probability of so much variation or more at a scatter equal to the tolerance.
    detectable : ndarray
        True scatter that the test rejects with the stated power; inf where it has none.
    """

    is_constant: NDArray
    p_value: NDArray
    detectable: NDArray


class _Series:
    """Series prepared: sorted by group, absent values of weight 0."""

    def __init__(self, values: ArrayLike, errors: ArrayLike, groups: ArrayLike | None) -> None:
        values, errors = np.broadcast_arrays(
            np.asarray(values, float), np.asarray(errors, float), subok=False
        )
        if values.ndim == 0:
            raise ConfigurationError("a series of measurements is needed, got one number")
        if np.any(errors <= 0):
            raise ConfigurationError(
                f"errors must be above 0, the smallest is {np.nanmin(errors):g}; give NaN for "
                "measurements without error"
            )
        groups = np.zeros(values.shape[-1], int) if groups is None else np.asarray(groups)
        if groups.shape != values.shape[-1:]:
            raise ConfigurationError(
                f"{groups.shape} groups for series of {values.shape[-1]} measurements"
            )
        order = np.argsort(groups, kind="stable")
        self.is_good = (np.isfinite(values) & np.isfinite(errors))[..., order]
        self.x = np.where(self.is_good, values[..., order], 0.0)
        self.variance = np.where(self.is_good, errors[..., order] ** 2, 1.0)
        _, self.starts, self.group = np.unique(
            groups[order], return_index=True, return_inverse=True
        )
        self.n = self.is_good.sum(axis=-1)
        self.n_dof = self.n - (self.sums(self.is_good.astype(int)) > 0).sum(axis=-1)

    def sums(self, x: NDArray) -> NDArray:
        """Sums over each group."""
        if x.shape[-1] == 0:
            return np.zeros((*x.shape[:-1], 0), x.dtype)
        return np.add.reduceat(x, self.starts, axis=-1)

    def weights(self, square: ArrayLike) -> NDArray:
        """Inverse of error squared plus scatter squared."""
        return self.is_good / (self.variance + np.asarray(square)[..., None])

    def q(self, square: ArrayLike) -> NDArray:
        """Chi-squared about the means of the groups."""
        w = self.weights(square)
        mean = _ratio(self.sums(w * self.x), self.sums(w))
        return (w * (self.x - mean[..., self.group]) ** 2).sum(axis=-1)

    def square_of(self, target: ArrayLike) -> NDArray:
        """Scatter squared at which Q has fallen to `target`; 0 if it is below already."""
        target = np.broadcast_to(np.asarray(target, float), self.n.shape)
        plain = self.is_good.astype(float)
        mean = _ratio(self.sums(plain * self.x), self.sums(plain))
        spread = (plain * (self.x - mean[..., self.group]) ** 2).sum(axis=-1)
        low, high = np.zeros(self.n.shape), _ratio(spread, target)
        is_needed = self.q(low) > target
        if not is_needed.any():
            return low
        for _ in range(_STEPS):
            middle = (low + high) / 2
            is_above = self.q(middle) > target
            low, high = np.where(is_above, middle, low), np.where(is_above, high, middle)
        return np.where(is_needed, high, 0.0)


def intrinsic_scatter(
    values: ArrayLike,
    errors: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    confidence: float = 0.9,
) -> IntrinsicScatter:
    r"""Scatter beyond the errors, its confidence interval, and the mean.

    Estimate: :math:`Q(\sigma)` equal to its expectation, the degrees of freedom; interval: equal
    to the quantiles of chi-squared, exact for Gaussian noise.

    Parameters
    ----------
    values, errors : array_like, shape (..., n)
        NaN in either: absent.
    groups : array_like, shape (n,), optional
        Measurements with the same mean; one group if not given.
    confidence : float
        Of the central interval.

    Raises
    ------
    ConfigurationError
        If an error is not above 0 or shapes do not fit.

    References
    ----------
    Paule, Mandel 1982, J. Res. NBS 87, 377, doi:10.6028/jres.087.022.
    Viechtbauer 2007, Stat. Med. 26, 37, doi:10.1002/sim.2514.
    """
    series = _Series(values, errors, groups)
    n_dof = np.maximum(series.n_dof, 1)
    tail = (1 - confidence) / 2
    is_told = series.n_dof > 0
    square = np.where(is_told, series.square_of(n_dof), 0.0)
    lower = np.where(is_told, series.square_of(chdtri(n_dof, tail)), 0.0)
    upper = np.where(is_told, series.square_of(chdtri(n_dof, 1 - tail)), np.inf)
    w = series.weights(square)
    total = w.sum(axis=-1)
    return IntrinsicScatter(
        mean=np.where(total > 0, _ratio((w * series.x).sum(axis=-1), total), np.nan),
        error=np.where(total > 0, np.sqrt(_ratio(1.0, total)), np.nan),
        scatter=np.sqrt(square),
        lower=np.sqrt(lower),
        upper=np.sqrt(upper),
        chi2=series.q(np.zeros(series.n.shape)),
        n_dof=series.n_dof,
        n=series.n,
    )


def constancy(
    values: ArrayLike,
    errors: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    tolerance: float = 0.0,
    size: float = 0.01,
    power: float = 0.9,
) -> Constancy:
    r"""Test whether the scatter is at most a tolerance.

    Rejected if :math:`Q(\mathrm{tolerance})` is above the quantile :math:`1-\mathrm{size}` of
    chi-squared. A series that is truly constant, or varies by less than the tolerance, is rejected
    with a probability of `size` at most; the price is told as `detectable`.

    Parameters
    ----------
    values, errors, groups
        As for `intrinsic_scatter`.
    tolerance : float
        Scatter that does not matter, same unit as the values.
    size : float
        Probability to reject a scatter equal to the tolerance.
    power : float
        For `detectable`.

    Raises
    ------
    ConfigurationError
        If an error is not above 0, shapes do not fit, or a probability is not between 0 and 1.
    """
    _check_probabilities(size, power)
    series = _Series(values, errors, groups)
    n_dof = np.maximum(series.n_dof, 1)
    is_told = series.n_dof > 0
    q = series.q(np.full(series.n.shape, tolerance**2))
    p_value = np.where(is_told, chdtrc(n_dof, q), 1.0)
    return Constancy(
        is_constant=p_value >= size,
        p_value=p_value,
        detectable=_detectable(series, tolerance, size, power),
    )


def power_of_constancy(
    errors: ArrayLike,
    scatter: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    tolerance: float = 0.0,
    size: float = 0.01,
) -> NDArray:
    """Probability that the test rejects a series with Gaussian scatter.

    Exact for equal errors; for others Q is taken as chi-squared with the right mean and variance.

    Parameters
    ----------
    errors : array_like, shape (..., n)
        NaN: absent.
    scatter : array_like, shape (...)
    groups, tolerance, size
        As for `constancy`.

    References
    ----------
    Satterthwaite 1946, Biometrics Bull. 2, 110, doi:10.2307/3002019.
    """
    _check_probabilities(size)
    return _power(_Series(errors, errors, groups), np.square(scatter), tolerance, size)


def detectable_scatter(
    errors: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    tolerance: float = 0.0,
    size: float = 0.01,
    power: float = 0.9,
) -> NDArray:
    """Scatter that the test rejects with probability `power`; inf for fewer than two measurements.

    Parameters
    ----------
    errors, groups, tolerance, size
        As for `power_of_constancy`.
    power : float
    """
    _check_probabilities(size, power)
    return _detectable(_Series(errors, errors, groups), tolerance, size, power)


def _detectable(series: _Series, tolerance: float, size: float, power: float) -> NDArray:
    largest = np.where(series.is_good, series.variance, 0.0).max(axis=-1, initial=0.0)
    low = np.full(series.n.shape, -30.0)  # logarithms of scatter squared over the scale
    high = np.full(series.n.shape, 30.0)
    scale = np.where(largest > 0, largest, 1.0) + tolerance**2
    for _ in range(_STEPS):
        middle = (low + high) / 2
        is_enough = _power(series, scale * np.exp(middle), tolerance, size) >= power
        low, high = np.where(is_enough, low, middle), np.where(is_enough, middle, high)
    return np.where(series.n_dof > 0, np.sqrt(scale * np.exp(high)), np.inf)


def _power(series: _Series, square: ArrayLike, tolerance: float, size: float) -> NDArray:
    w = series.weights(np.full(series.n.shape, tolerance**2))
    variance = series.variance + np.asarray(square, float)[..., None]
    total = series.sums(w)
    w2v = series.sums(w**2 * variance)
    mean = (w * variance).sum(axis=-1) - _ratio(w2v, total).sum(axis=-1)
    spread = 2 * (
        (w**2 * variance**2).sum(axis=-1)
        - 2 * _ratio(series.sums(w**3 * variance**2), total).sum(axis=-1)
        + (_ratio(w2v, total) ** 2).sum(axis=-1)
    )
    is_told = series.n_dof > 0
    mean, spread = np.where(is_told, mean, 1.0), np.where(is_told, spread, 2.0)
    critical = chdtri(np.maximum(series.n_dof, 1), size)
    beyond = chdtrc(2 * mean**2 / spread, critical * 2 * mean / spread)
    return np.where(is_told, beyond, 0.0)


def fractional_variability(
    values: ArrayLike, errors: ArrayLike
) -> tuple[NDArray, NDArray, NDArray]:
    r"""Normalised excess variance with its error, and the fractional variability.

    .. math::
        F^2 = \frac{S^2 - \langle e^2\rangle}{\bar x^2},\quad
        \sigma(F^2)^2 = \frac{2}{N}\left(\frac{\langle e^2\rangle}{\bar x^2}\right)^2
        + \frac{4}{N}\frac{\langle e^2\rangle}{\bar x^2}F_\mathrm{var}^2

    Parameters
    ----------
    values, errors : array_like, shape (..., n)
        NaN in either: absent.

    Returns
    -------
    ndarray, ndarray, ndarray, shape (...)
        :math:`F^2` (negative where the scatter is below the errors), its error, and
        :math:`F_\mathrm{var}=\sqrt{\max(F^2, 0)}`. NaN for fewer than two values or mean 0.

    References
    ----------
    Vaughan et al. 2003, MNRAS 345, 1271, doi:10.1046/j.1365-2966.2003.07042.x.
    """
    series = _Series(values, errors, None)
    n = series.n
    mean = _ratio(series.x.sum(axis=-1), n)
    noise = _ratio((series.is_good * series.variance).sum(axis=-1), n)
    spread = series.is_good * (series.x - mean[..., None]) ** 2
    excess = _ratio(spread.sum(axis=-1), n - 1) - noise
    is_told = (n > 1) & (mean != 0)
    square = np.where(is_told, _ratio(excess, mean**2), np.nan)
    relative = np.where(is_told, _ratio(noise, mean**2), np.nan)
    positive = np.where(square < 0, 0.0, square)
    error = np.sqrt((2 * relative**2 + 4 * relative * positive) / np.maximum(n, 1))
    return square, error, np.sqrt(positive)


def _check_probabilities(*values: float) -> None:
    for value in values:
        if not 0 < value < 1:
            raise ConfigurationError(f"a probability must be between 0 and 1, got {value:g}")


def _ratio(numerator: ArrayLike, denominator: ArrayLike) -> NDArray:
    """Quotient, 0 where there is nothing to divide by."""
    numerator, denominator = np.broadcast_arrays(
        np.asarray(numerator, float), np.asarray(denominator, float)
    )
    out = np.zeros(numerator.shape)
    return np.divide(numerator, denominator, out=out, where=denominator > 0)
