r"""Inter-calibration: relative throughputs of telescopes from the ratios of their pairs.

.. math:: \chi^2 = \sum_{ij} \left(\frac{r_{ij} - (x_i - x_j)}{\sigma_{ij}}\right)^2,
          \qquad x = \ln c

Linear in the logarithms: solved at once, no start values, no fit that fails to converge. Pairs have
events in common, so that their ratios are correlated: the errors of *x* follow from the full
covariance of the ratios, not from chi2. One gauge for each connected part of the array fixes the
level.

References
----------
Mitchell, A. M. W. et al. 2016, Astropart. Phys. 75, 1. doi 10.1016/j.astropartphys.2015.10.008
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc

from ..core.exceptions import (
    ConfigurationError,
    InsufficientStatisticsError,
)
from .pair_graph import Islands, islands

__all__ = [
    "InterCalibration",
    "external_gauge",
    "inter_calibration",
    "outlier_telescopes",
    "reference_gauge",
]

HUBER = 1.345  # 95 % efficient for normal errors
MAX_ITERATIONS = 200
_CONVERGED = 1e-8


@dataclass(frozen=True)
class InterCalibration:
    """Relative throughputs of telescopes.

    Attributes
    ----------
    log_throughput : ndarray, shape (n_tel,)
        *x*; NaN for a telescope without a pair.
    covariance : ndarray, shape (n_tel, n_tel)
        Statistical, of *x*; 0 between islands, NaN where *x* is.
    islands : Islands
        Levels of different islands cannot be compared.
    operator : ndarray, shape (n_tel, n_pairs)
        d x / d r: how errors of the ratios get into *x*.
    residual, pull : ndarray, shape (n_pairs,)
        :math:`r - (x_i - x_j)`, and divided by the error that it has after the fit (NaN where the
        pair decides alone).
    chi2, expected_chi2, n_dof : float
        chi2, what it is on average for right errors, and the degrees of freedom of the chi2
        distribution that chi2 times ``n_dof / expected_chi2`` has (Satterthwaite 1946,
        doi 10.2307/3002019). For pairs without common events expected_chi2 and n_dof are pairs less
        telescopes plus islands.
    gauge : str
    weights : ndarray, shape (n_pairs,)
        Of the robust fit, 1 for a pair with full weight.
    """

    log_throughput: NDArray
    covariance: NDArray
    islands: Islands
    operator: NDArray
    residual: NDArray
    pull: NDArray
    chi2: float
    expected_chi2: float
    n_dof: float
    gauge: str
    weights: NDArray

    @property
    def throughput(self) -> NDArray:
        """c, relative."""
        return np.exp(self.log_throughput)

    @property
    def error(self) -> NDArray:
        """Of `throughput`."""
        return self.throughput * np.sqrt(np.diag(self.covariance))

    @property
    def p_value(self) -> float:
        """Probability of a larger chi2; NaN without degrees of freedom."""
        if self.n_dof <= 0:
            return float("nan")
        scaled = self.chi2 * self.n_dof / self.expected_chi2
        return float(chdtrc(self.n_dof, scaled))


def inter_calibration(
    n_tel: int,
    first: ArrayLike,
    second: ArrayLike,
    log_ratio: ArrayLike,
    covariance: ArrayLike,
    *,
    robust: bool = False,
) -> InterCalibration:
    r"""Relative throughputs with the mean logarithm of each island 0.

    .. math:: x = (A^T W A)^+ A^T W r, \quad C_x = B C_r B^T, \quad W = \mathrm{diag}(C_r)^{-1}

    Parameters
    ----------
    n_tel : int
    first, second : array_like, shape (n_pairs,), int
        Telescopes of each pair.
    log_ratio : array_like, shape (n_pairs,)
        Mean of ln x_first/x_second.
    covariance : array_like, shape (n_pairs, n_pairs) or (n_pairs,)
        Of these; one dimension for variances of independent pairs.
    robust : bool
        Huber's weights, by iteration: pairs beyond 1.345 errors count less.

    Returns
    -------
    InterCalibration
        A telescope without a pair is an island of its own and has NaN.

    Raises
    ------
    ConfigurationError
        If values are not finite, or variances not positive.
    InsufficientStatisticsError
        If there are no pairs, or the iteration does not converge.

    References
    ----------
    Huber, P. J. 1964, Ann. Math. Stat. 35, 73. doi 10.1214/aoms/1177703732
    """
    first, second = np.asarray(first, int), np.asarray(second, int)
    ratio, covariance = np.asarray(log_ratio, float), np.asarray(covariance, float)
    covariance = np.diag(covariance) if covariance.ndim == 1 else covariance
    _check(ratio, covariance)
    design = np.zeros((len(ratio), n_tel))
    design[np.arange(len(ratio)), first], design[np.arange(len(ratio)), second] = 1.0, -1.0
    found = islands(n_tel, first, second)
    error = np.sqrt(np.diag(covariance))
    weights = np.ones(len(ratio))
    operator = _operator(design, weights / error**2, found)
    if robust:
        weights, operator = _huber(design, ratio, error, found, operator)
    value = operator @ ratio
    residual = ratio - design @ value
    remaining = np.eye(len(ratio)) - design @ operator
    of_residual = remaining @ covariance @ remaining.T
    scaled = of_residual * (weights / error**2)[:, None]
    expected = float(np.trace(scaled))
    spread = float(np.sum(scaled * scaled.T))  # half of the variance of chi2
    free = expected > 1e-9 * len(ratio)
    after = np.sqrt(np.clip(np.diag(of_residual), 0, None))
    covariance_x = operator @ covariance @ operator.T
    alone = found.size[found.number] == 1
    value[alone] = np.nan
    covariance_x[alone] = covariance_x[:, alone] = np.nan
    return InterCalibration(
        log_throughput=value,
        covariance=covariance_x,
        islands=found,
        operator=operator,
        residual=residual,
        pull=np.divide(
            residual, after, where=after > 1e-6 * error, out=np.full(len(ratio), np.nan)
        ),
        chi2=float(np.sum(weights * (residual / error) ** 2)),
        expected_chi2=expected if free else 0.0,
        n_dof=expected**2 / spread if free else 0.0,
        gauge="mean_log",
        weights=weights,
    )


def _check(ratio: NDArray, covariance: NDArray) -> None:
    if not len(ratio):
        raise InsufficientStatisticsError(
            "no pair of telescopes has enough events; give more events, or lower `min_events`"
        )
    bad = ~np.isfinite(ratio) | ~np.isfinite(covariance).all(axis=1)
    bad |= ~(np.diag(covariance) > 0)
    if bad.any():
        k = int(np.argmax(bad))
        raise ConfigurationError(
            f"pair {k} has ratio {ratio[k]} and variance {covariance[k, k]}: both must be finite, "
            "the variance positive; leave the pair out"
        )


def _operator(design: NDArray, weights: NDArray, found: Islands) -> NDArray:
    """Weighted pseudo-inverse, island by island."""
    operator = np.zeros(design.T.shape)
    for k in range(len(found.size)):
        own = np.flatnonzero(found.number == k)
        pairs = np.flatnonzero(design[:, own].any(axis=1))
        if not len(pairs):
            continue
        part = design[np.ix_(pairs, own)]
        normal = part.T @ (part * weights[pairs, None])
        # the level is free: a constant added to the normal matrix fixes the sum at 0
        level = np.full(normal.shape, np.mean(np.diag(normal)) / len(own))
        operator[np.ix_(own, pairs)] = np.linalg.solve(normal + level, part.T * weights[pairs])
    return operator


def _huber(
    design: NDArray, ratio: NDArray, error: NDArray, found: Islands, operator: NDArray
) -> tuple[NDArray, NDArray]:
    value = operator @ ratio
    for _ in range(MAX_ITERATIONS):
        away = np.abs(ratio - design @ value) / error
        weights = np.minimum(1.0, HUBER / np.maximum(away, 1e-12))
        operator = _operator(design, weights / error**2, found)
        before, value = value, operator @ ratio
        if np.max(np.abs(value - before)) < _CONVERGED:
            return weights, operator
    raise InsufficientStatisticsError(
        f"the robust fit did not converge in {MAX_ITERATIONS} steps (last change "
        f"{np.max(np.abs(value - before)):.2g}); use the plain fit, and look at the pairs"
    )


def reference_gauge(result: InterCalibration, telescope: int) -> InterCalibration:
    """Throughputs relative to one telescope: its noise is in all others, it has error 0.

    Other islands keep their mean logarithm.

    Parameters
    ----------
    result : InterCalibration
    telescope : int
        Its place.

    Raises
    ------
    InsufficientStatisticsError
        If it has no pair.
    """
    own = result.islands.number == result.islands.number[telescope]
    if np.count_nonzero(own) < 2:
        raise InsufficientStatisticsError(
            "the reference telescope has no pair with enough events: nothing can be relative to "
            "it; name another one"
        )
    transform = np.eye(len(own))
    transform[own, telescope] -= 1.0
    return _transformed(result, transform, np.zeros(len(own)), 0.0, "reference")


def external_gauge(
    result: InterCalibration,
    log_external: ArrayLike,
    covariance: ArrayLike,
) -> InterCalibration:
    r"""Level of every island from absolute values of telescopes, e.g. from muon rings.

    .. math:: x'_i = x_i + \sum_k w_k (y_k - x_k), \qquad w = \frac{V^{-1} 1}{1^T V^{-1} 1},
              \quad V = C_x + C_y

    Parameters
    ----------
    result : InterCalibration
    log_external : array_like, shape (n_tel,)
        *y*, logarithm of the throughputs; NaN for telescopes without one.
    covariance : array_like, shape (n_tel, n_tel) or (n_tel,)
        Of *y*; errors that all have in common belong here, too.

    Raises
    ------
    InsufficientStatisticsError
        If an island of two or more has no external value.
    ConfigurationError
        If a variance is not positive.
    """
    value = np.asarray(log_external, float)
    own = np.asarray(covariance, float)
    own = np.diag(own) if own.ndim == 1 else own
    number, n_tel = result.islands.number, len(value)
    transform, shift = np.eye(n_tel), np.zeros((n_tel, n_tel))
    for k, size in enumerate(result.islands.size):
        if size < 2:
            continue
        members = np.flatnonzero(number == k)
        known = members[np.isfinite(value[members])]
        if not len(known):
            raise InsufficientStatisticsError(
                f"no telescope of island {k} ({size} telescopes) has an external value; give one, "
                "or take the mean logarithm"
            )
        if not np.all(np.diag(own)[known] > 0):
            raise ConfigurationError("external values need errors above 0")
        both = result.covariance[np.ix_(known, known)] + own[np.ix_(known, known)]
        inverse = np.linalg.solve(both, np.ones(len(known)))
        weight = inverse / inverse.sum()
        transform[np.ix_(members, known)] -= weight
        shift[np.ix_(members, known)] += weight
    filled = np.where(np.isfinite(value), value, 0.0)
    own = np.where(np.isfinite(value)[:, None] & np.isfinite(value)[None, :], own, 0.0)
    return _transformed(result, transform, shift @ filled, shift @ own @ shift.T, "external")


def _transformed(
    result: InterCalibration,
    transform: NDArray,
    shift: NDArray,
    more: NDArray | float,
    gauge: str,
) -> InterCalibration:
    missing = np.isnan(result.log_throughput)
    value = transform @ np.nan_to_num(result.log_throughput) + shift
    covariance = transform @ np.nan_to_num(result.covariance) @ transform.T + more
    value[missing] = np.nan
    covariance[missing] = covariance[:, missing] = np.nan
    return replace(
        result,
        log_throughput=value,
        covariance=covariance,
        operator=transform @ result.operator,
        gauge=gauge,
    )


def outlier_telescopes(
    result: InterCalibration, *, deviation: float = 0.3, n_sigma: float = 5.0
) -> NDArray:
    """Telescopes far from the others of their island.

    Far is both: more than `deviation` in the logarithm from the median of the island, and more than
    `n_sigma` of its error together with the spread of the others (1.4826 times the median absolute
    deviation).

    Parameters
    ----------
    result : InterCalibration
    deviation, n_sigma : float

    Returns
    -------
    ndarray, shape (n_tel,), bool
        False where islands have less than three telescopes: of two none can be told.
    """
    found = np.zeros(len(result.log_throughput), bool)
    error = np.sqrt(np.diag(result.covariance))
    for k, size in enumerate(result.islands.size):
        own = np.flatnonzero(result.islands.number == k)
        if size < 3:
            continue
        away = result.log_throughput[own] - np.median(result.log_throughput[own])
        spread = 1.4826 * np.median(np.abs(away))
        scale = np.hypot(error[own], spread)
        found[own] = (np.abs(away) > deviation) & (np.abs(away) > n_sigma * scale)
    return found
