"""Systematic errors of relative throughputs from showers."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .pairs import threshold_bias

__all__ = [
    "RECONSTRUCTION",
    "TYPE_SCALE",
    "bias_of_pairs",
    "excess_covariance",
    "muon_covariance",
    "scale_sys_error",
    "systematic_covariance",
]

# ASSUME: a few percent (Mitchell et al. 2016): what one telescope's place in the array, the range
# of its impact distances and the air in front of it do to its energies or images; own to each.
RECONSTRUCTION = 0.01
# ASSUME: energies of different types come from different look-up tables, made with the nominal
# throughputs of each type; own to each type.
TYPE_SCALE = 0.03


def systematic_covariance(
    operator: NDArray,
    first: ArrayLike,
    second: ArrayLike,
    tel_types: Sequence[str],
    *,
    of_telescope: float = RECONSTRUCTION,
    of_type: float = 0.0,
    bias_of_pair: ArrayLike = 0.0,
) -> tuple[NDArray, Mapping[str, NDArray]]:
    """Covariance of log throughputs from errors of telescopes, of types, and of pairs.

    Errors of telescopes move the ratios of all their pairs, which move the result as the method
    does it (its operator): in every gauge, and without what a gauge takes out.

    Parameters
    ----------
    operator : ndarray, shape (n_tel, n_pairs)
        d x / d r of the method.
    first, second : array_like, shape (n_pairs,), int
    tel_types : sequence of str, length n_tel
    of_telescope, of_type : float
        Relative.
    bias_of_pair : array_like, shape (n_pairs,)
        Estimated bias of each ratio that was not corrected, e.g. `pairs.threshold_bias`: one cause,
        all signs as they are.

    Returns
    -------
    covariance : ndarray, shape (n_tel, n_tel)
    parts : mapping of str to ndarray, shape (n_tel,)
        Error by name.
    """
    first, second = np.asarray(first, int), np.asarray(second, int)
    n_tel, n_pairs = operator.shape
    design = np.zeros((n_pairs, n_tel))
    design[np.arange(n_pairs), first], design[np.arange(n_pairs), second] = 1.0, -1.0
    response = operator @ design
    kinds = np.asarray(tel_types)
    by_type = np.stack([kinds == kind for kind in sorted(set(kinds.tolist()))], axis=1)
    parts = {
        "reconstruction": of_telescope**2 * response @ response.T,
        "type_scale": of_type**2 * (response @ by_type) @ (response @ by_type).T,
    }
    bias = operator @ np.broadcast_to(np.asarray(bias_of_pair, float), n_pairs)
    parts["threshold"] = np.outer(bias, bias)
    errors = {name: np.sqrt(np.clip(np.diag(part), 0, None)) for name, part in parts.items()}
    return sum(parts.values()), errors


def excess_covariance(covariance: NDArray, chi2: float, expected_chi2: float) -> NDArray:
    """What the residuals scatter beyond the statistical errors (Birge 1932), 0 if they do not.

    References
    ----------
    Birge, R. T. 1932, Phys. Rev. 40, 207. doi 10.1103/PhysRev.40.207
    """
    excess = chi2 / expected_chi2 - 1 if expected_chi2 > 0 else 0.0
    return max(excess, 0.0) * covariance


def bias_of_pairs(
    tel_types: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    std: ArrayLike,
    n: ArrayLike,
    is_valid: ArrayLike,
    *,
    slope: float,
    resolution: Mapping[str, float] | None = None,
) -> NDArray:
    """Bias of ratios by a threshold on the mean of the pair, with the resolutions that are seen.

    Half of the variance of the ratios of pairs of one type is that of the type's logarithms.

    Parameters
    ----------
    tel_types : array_like of str, shape (n_tel,)
    first, second : array_like, shape (n_pairs,), int
    std, n, is_valid : array_like, shape (n_pairs,)
        Standard deviation of the logarithms of the ratios, events; which count.
    slope : float
        Spectral index less 1.
    resolution : mapping of str to float, optional
        By size of telescope, that the mean of the pair was weighted with; half and half without.

    Returns
    -------
    ndarray, shape (n_pairs,)
        0 in pairs of one type, and where a type has no pairs of its own.
    """
    kinds, std = np.asarray(tel_types), np.asarray(std, float)
    n, valid = np.asarray(n, float), np.asarray(is_valid, bool)
    one, two = kinds[np.asarray(first, int)], kinds[np.asarray(second, int)]
    variance = {}
    for kind in np.unique(kinds):
        own = (one == kind) & (two == kind) & valid
        if own.any():
            variance[kind] = np.average(std[own] ** 2, weights=n[own]) / 2
    bias = np.zeros(len(std))
    for k in np.flatnonzero(valid & (one != two)):
        if one[k] in variance and two[k] in variance:
            weight = 0.5
            if resolution:
                s1, s2 = (resolution[kind.split("_")[0]] ** 2 for kind in (one[k], two[k]))
                weight = s2 / (s1 + s2)
            bias[k] = threshold_bias(slope, variance[one[k]], variance[two[k]], weight)
    return bias


def muon_covariance(stat_error: ArrayLike, sys_error: ArrayLike, *, own_error: float) -> NDArray:
    """Covariance of the logarithms of muon throughputs: part of the systematic error is common.

    Parameters
    ----------
    stat_error, sys_error : array_like, shape (n_tel,)
        Relative.
    own_error : float
        Part of the systematic error that is own to each telescope, relative.

    Returns
    -------
    ndarray, shape (n_tel, n_tel)
    """
    stat, sys = np.asarray(stat_error, float), np.asarray(sys_error, float)
    common = np.sqrt(np.clip(sys**2 - own_error**2, 0.0, None))
    return np.diag(stat**2 + own_error**2) + np.outer(common, common)


def scale_sys_error(n_types: int, *, of_type: float) -> NDArray:
    """Relative systematic error of scale factors to the first type: its own and that of the first.

    Returns
    -------
    ndarray, shape (n_types,)
        0 for the first type.
    """
    error = np.full(n_types, np.sqrt(2) * of_type)
    error[0] = 0.0
    return error
