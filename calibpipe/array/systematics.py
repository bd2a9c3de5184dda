"""Systematic errors of relative throughputs from showers."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["RECONSTRUCTION", "TYPE_SCALE", "excess_covariance", "systematic_covariance"]

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
