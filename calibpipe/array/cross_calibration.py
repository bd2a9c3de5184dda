r"""Cross-calibration: scale factors between types of telescopes.

.. math:: r_{ij} - (x_i - x_j) = s_{T(i)} - s_{T(j)}

for pairs of different types, with *x* of the inter-calibration of each type, so that it does not
matter which telescopes of a type took part how often. Weighted least squares, the reference type
has s = 0; the errors follow from the covariance of all ratios, of pairs of one type as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc

from ..core.exceptions import ConfigurationError, InsufficientStatisticsError
from .inter_calibration import InterCalibration, inter_calibration
from .pair_graph import islands

__all__ = ["CombinedThroughput", "CrossCalibration", "combined_throughput", "cross_calibration"]


@dataclass(frozen=True)
class CrossCalibration:
    """Throughputs of telescopes of several types on one scale.

    Attributes
    ----------
    types : tuple of str
        The reference is the first.
    log_scale, scale_covariance : ndarray, shape (n_types,), (n_types, n_types)
        *s*, relative to the reference.
    n_pairs : ndarray, shape (n_types,), int
        Pairs of telescopes of this type with others.
    log_throughput, covariance : ndarray, shape (n_tel,), (n_tel, n_tel)
        :math:`x_i + s_{T(i)}`; NaN for telescopes that are not in the largest island of their type.
    operator : ndarray, shape (n_tel, n_pairs)
        d (x + s) / d r for the ratios of all pairs.
    throughput_operator : ndarray, shape (n_tel, n_tel)
        The same for given throughputs x; 0 if none were given.
    chi2, n_dof, p_value : float
        Of the pairs of different types, scaled as that of the inter-calibration.
    """

    types: tuple[str, ...]
    log_scale: NDArray
    scale_covariance: NDArray
    n_pairs: NDArray
    log_throughput: NDArray
    covariance: NDArray
    operator: NDArray
    throughput_operator: NDArray
    chi2: float
    n_dof: float
    p_value: float


def cross_calibration(
    first: ArrayLike,
    second: ArrayLike,
    log_ratio: ArrayLike,
    covariance: ArrayLike,
    tel_types: Sequence[str],
    *,
    reference_type: str,
    log_throughput: ArrayLike | None = None,
    throughput_covariance: ArrayLike | None = None,
    robust: bool = False,
) -> CrossCalibration:
    """Scale factors of all types, and throughputs of all telescopes.

    Parameters
    ----------
    first, second : array_like, shape (n_pairs,), int
        Telescopes of each pair.
    log_ratio, covariance : array_like, shape (n_pairs,), (n_pairs, n_pairs)
        Of all pairs, those of one type as well.
    tel_types : sequence of str, length n_tel
    reference_type : str
    log_throughput, throughput_covariance : array_like, shape (n_tel,), (n_tel, n_tel), optional
        Of an inter-calibration with other data (images), independent of the ratios. If not given,
        that of the same ratios, whose correlation is taken into account.
    robust : bool
        For the inter-calibration of each type (`inter_calibration`).

    Raises
    ------
    ConfigurationError
        If there is no telescope of the reference type, or only one type.
    InsufficientStatisticsError
        If no chain of pairs connects a type to the reference: its scale is unknown.
    """
    first, second = np.asarray(first, int), np.asarray(second, int)
    ratio, covariance = np.asarray(log_ratio, float), np.asarray(covariance, float)
    kinds = np.asarray(tel_types)
    types = _ordered(kinds, reference_type)
    if log_throughput is None:
        x, operator, known = _of_each_type(
            first, second, ratio, covariance, kinds, types, robust=robust
        )
        more = np.zeros((len(kinds), len(kinds)))
    else:
        x = np.asarray(log_throughput, float)
        known, operator = np.isfinite(x), np.zeros((len(kinds), len(ratio)))
        more = np.nan_to_num(np.asarray(throughput_covariance, float))
    across = (kinds[first] != kinds[second]) & known[first] & known[second]
    between = np.flatnonzero(across)
    place = np.array([types.index(kind) for kind in kinds])
    _check_types(types, place[first[between]], place[second[between]])
    design = np.zeros((len(between), len(types)))
    design[np.arange(len(between)), place[first[between]]] += 1.0
    design[np.arange(len(between)), place[second[between]]] -= 1.0
    by_telescope = np.zeros((len(between), len(kinds)))
    by_telescope[np.arange(len(between)), first[between]] = 1.0
    by_telescope[np.arange(len(between)), second[between]] = -1.0
    weight = 1 / np.diag(covariance)[between]
    free = design[:, 1:]
    solve = np.linalg.solve(free.T @ (free * weight[:, None]), free.T * weight)
    solve = np.vstack([np.zeros(len(between)), solve])  # the reference has scale 0
    chosen = np.zeros((len(between), len(ratio)))
    chosen[np.arange(len(between)), between] = 1.0
    of_ratios = solve @ (chosen - by_telescope @ operator)
    of_values = -solve @ by_telescope
    rest = chosen @ ratio - by_telescope @ np.nan_to_num(x)
    scale = solve @ rest
    total = operator + of_ratios[place]
    shift = np.eye(len(kinds)) + of_values[place]
    chi2, n_dof, p_value = _chi2(
        rest, design, solve, (chosen - by_telescope @ operator) @ covariance
        @ (chosen - by_telescope @ operator).T + by_telescope @ more @ by_telescope.T, weight,
    )  # fmt: skip
    value = np.where(known, x + scale[place], np.nan)
    found = total @ covariance @ total.T + shift @ more @ shift.T
    found[~known] = found[:, ~known] = np.nan
    touching = [np.count_nonzero(np.any(place[[first[between], second[between]]] == k, axis=0))
                for k in range(len(types))]  # fmt: skip
    return CrossCalibration(
        types=types,
        log_scale=scale,
        scale_covariance=of_ratios @ covariance @ of_ratios.T + of_values @ more @ of_values.T,
        n_pairs=np.array(touching),
        log_throughput=value,
        covariance=found,
        operator=total,
        throughput_operator=shift if log_throughput is not None else 0 * shift,
        chi2=chi2,
        n_dof=n_dof,
        p_value=p_value,
    )


def _ordered(kinds: NDArray, reference: str) -> tuple[str, ...]:
    there = sorted(set(kinds.tolist()))
    if reference not in there:
        raise ConfigurationError(
            f"no telescope is of the reference type {reference!r}; there are {', '.join(there)}"
        )
    if len(there) < 2:
        raise ConfigurationError(
            f"all telescopes are of type {reference}: there is nothing to cross-calibrate"
        )
    return (reference, *(kind for kind in there if kind != reference))


def _of_each_type(
    first: NDArray,
    second: NDArray,
    ratio: NDArray,
    covariance: NDArray,
    kinds: NDArray,
    types: tuple[str, ...],
    *,
    robust: bool,
) -> tuple[NDArray, NDArray, NDArray]:
    """Inter-calibration of each type, with its operator on all pairs; which telescopes have it."""
    value, known = np.full(len(kinds), np.nan), np.zeros(len(kinds), bool)
    operator = np.zeros((len(kinds), len(ratio)))
    for kind in types:
        members = np.flatnonzero(kinds == kind)
        own = np.flatnonzero((kinds[first] == kind) & (kinds[second] == kind))
        if len(members) == 1:
            value[members], known[members] = 0.0, True
            continue
        result: InterCalibration = inter_calibration(
            len(members),
            np.searchsorted(members, first[own]),
            np.searchsorted(members, second[own]),
            ratio[own],
            covariance[np.ix_(own, own)],
            robust=robust,
        )
        largest = members[(result.islands.number == 0) & np.isfinite(result.log_throughput)]
        place = np.searchsorted(members, largest)
        value[largest], known[largest] = result.log_throughput[place], True
        operator[np.ix_(largest, own)] = result.operator[place]
    return value, operator, known


def _check_types(types: tuple[str, ...], first: NDArray, second: NDArray) -> None:
    found = islands(len(types), first, second)
    if len(found.size) > 1:
        raise InsufficientStatisticsError(
            f"no pairs with enough events connect the types {found.described(types)}: their scales "
            "cannot be compared; give more events, or leave telescopes of a type out"
        )


def _chi2(
    rest: NDArray, design: NDArray, solve: NDArray, covariance: NDArray, weight: NDArray
) -> tuple[float, float, float]:
    residual = rest - design @ (solve @ rest)
    remaining = np.eye(len(rest)) - design @ solve
    scaled = (remaining @ covariance @ remaining.T) * weight[:, None]
    expected, spread = float(np.trace(scaled)), float(np.sum(scaled * scaled.T))
    if expected < 1e-9 * len(rest):
        return 0.0, 0.0, float("nan")
    n_dof = expected**2 / spread
    chi2 = float(np.sum(weight * residual**2)) * n_dof / expected
    return chi2, n_dof, float(chdtrc(n_dof, chi2))


@dataclass(frozen=True)
class CombinedThroughput:
    """Throughputs from showers and muons together.

    Attributes
    ----------
    log_throughput, covariance : ndarray, shape (n_tel,), (n_tel, n_tel)
        Absolute; NaN where they could not be combined.
    difference, difference_error : ndarray, shape (n_tel,)
        Logarithm of muon over shower, less its mean over the telescopes.
    alarm : ndarray, shape (n_tel,), bool
        The difference is beyond the limit and beyond 2 of its errors.
    chi2, p_value : float
    n_dof : int
    is_combined : bool
        Whether both agree: no alarm, and chi2 is acceptable.
    """

    log_throughput: NDArray
    covariance: NDArray
    difference: NDArray
    difference_error: NDArray
    alarm: NDArray
    chi2: float
    n_dof: int
    p_value: float
    is_combined: bool


def combined_throughput(
    log_shower: ArrayLike,
    shower_covariance: ArrayLike,
    log_muon: ArrayLike,
    muon_covariance: ArrayLike,
    *,
    limit: float = 0.05,
    min_p_value: float = 1e-3,
) -> CombinedThroughput:
    r"""Weighted mean of relative values of showers and absolute ones of muons, if they agree.

    Showers know no level: they enter with the differences to each other only. Where one telescope
    differs by more than the limit, or chi2 is not acceptable, nothing is combined.

    Parameters
    ----------
    log_shower, log_muon : array_like, shape (n_tel,)
        NaN where there is none.
    shower_covariance, muon_covariance : array_like, shape (n_tel, n_tel)
        Statistical and systematic.
    limit : float
        Relative difference that is an alarm.
    min_p_value : float

    Raises
    ------
    InsufficientStatisticsError
        If fewer than two telescopes have both.
    ConfigurationError
        If a muon throughput has no error.
    """
    x, m = np.asarray(log_shower, float), np.asarray(log_muon, float)
    cx, cm = np.asarray(shower_covariance, float), np.asarray(muon_covariance, float)
    both = np.flatnonzero(np.isfinite(x) & np.isfinite(m))
    if len(both) < 2:
        raise InsufficientStatisticsError(
            f"{len(both)} telescopes have throughputs of muons and of showers, two are needed to "
            "compare relative ones"
        )
    if not np.all(np.diag(cm)[both] > 0):
        raise ConfigurationError("throughputs of muons need errors above 0")
    contrast = _contrasts(len(both))
    variance = cx[np.ix_(both, both)] + cm[np.ix_(both, both)]
    away = contrast @ (m - x)[both]
    chi2 = float(away @ np.linalg.solve(contrast @ variance @ contrast.T, away))
    n_dof = len(both) - 1
    p_value = float(chdtrc(n_dof, chi2))
    centre = contrast.T @ contrast  # takes the mean off
    difference, error = (np.full(len(x), np.nan) for _ in range(2))
    difference[both] = centre @ (m - x)[both]
    error[both] = np.sqrt(np.diag(centre @ variance @ centre))
    alarm = (np.abs(difference) > limit) & (np.abs(difference) > 2 * error)
    agree = bool(not alarm.any() and p_value >= min_p_value)
    value, covariance = _weighted(x, cx, m, cm) if agree else (np.full(len(x), np.nan), cx * np.nan)
    return CombinedThroughput(
        value, covariance, difference, error, alarm, chi2, n_dof, p_value, agree
    )


def _contrasts(n: int) -> NDArray:
    """Orthonormal rows whose sums are 0, shape (n - 1, n)."""
    return np.linalg.svd(np.eye(n) - 1 / n)[2][: n - 1]


def _weighted(x: NDArray, cx: NDArray, m: NDArray, cm: NDArray) -> tuple[NDArray, NDArray]:
    seen, muon = np.isfinite(x), np.isfinite(m)
    own = np.flatnonzero(seen | muon)
    normal, right = np.zeros((len(x), len(x))), np.zeros(len(x))
    index = np.flatnonzero(muon)
    inverse = np.linalg.inv(cm[np.ix_(index, index)])
    normal[np.ix_(index, index)] += inverse
    right[index] += inverse @ m[index]
    index = np.flatnonzero(seen)
    contrast = _contrasts(len(index))
    inside = contrast @ cx[np.ix_(index, index)] @ contrast.T
    inverse = contrast.T @ np.linalg.solve(inside, contrast)
    normal[np.ix_(index, index)] += inverse
    right[index] += inverse @ x[index]
    value, covariance = np.full(len(x), np.nan), np.full(cx.shape, np.nan)
    covariance[np.ix_(own, own)] = np.linalg.inv(normal[np.ix_(own, own)])
    value[own] = covariance[np.ix_(own, own)] @ right[own]
    return value, covariance
