r"""Linear fit of offsets on the sky with correlated errors and scatter beyond them.

.. math:: \delta_i = X_i p + \epsilon_i, \qquad
          \mathrm{cov}(\epsilon_i) = C_i + \mathrm{diag}(s_\mathrm{lon}^2, s_\mathrm{lat}^2)

The scatter of each axis is found by restricted maximum likelihood, which counts the parameters:
without it errors are too small where a model misses something, with plain maximum likelihood where
measurements are few.

References
----------
Patterson, H. D. and Thompson, R. 1971, Biometrika 58, 545. doi 10.1093/biomet/58.3.545
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .pointing_terms import scaled_condition

__all__ = ["OffsetFit", "fitted_offsets", "quadratic_form"]

_STEPS = 60
_HALVINGS = 30
_CONVERGED = 1e-8
_FLOOR = 1e-13  # of the largest eigenvalue: what is below is not determined


@dataclass(frozen=True)
class OffsetFit:
    """Result of `fitted_offsets`; n measurements, p parameters.

    Attributes
    ----------
    value : ndarray, shape (p,)
    covariance : ndarray, shape (p, p)
        Statistical, with the scatter.
    operator : ndarray, shape (p, n, 2)
        d value / d offset.
    scatter_variance, scatter_variance_error : ndarray, shape (2,)
        Squared scatter of dlon and dlat, 0 if the errors explain all, and its error.
    residual : ndarray, shape (n, 2)
    residual_covariance : ndarray, shape (n, 2, 2)
        Of each residual after the fit.
    log_likelihood : float
        Of the parameters and the scatter (not restricted), without constants.
    chi2 : float
        Without the scatter.
    n_dof : int
    condition : float
        Of the scaled, weighted design matrix.
    """

    value: NDArray
    covariance: NDArray
    operator: NDArray
    scatter_variance: NDArray
    scatter_variance_error: NDArray
    residual: NDArray
    residual_covariance: NDArray
    log_likelihood: float
    chi2: float
    n_dof: int
    condition: float

    @property
    def error(self) -> NDArray:
        """Statistical, shape (p,)."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def scatter(self) -> NDArray:
        """Standard deviation of each axis beyond the errors, shape (2,)."""
        return np.sqrt(self.scatter_variance)


def fitted_offsets(
    design: NDArray,
    offset: NDArray,
    covariance: NDArray,
    *,
    scatter: bool = True,
    restricted: bool = True,
) -> OffsetFit:
    r"""Parameters, scatter and what is left.

    .. math:: p = (X^T W X)^{-1} X^T W \delta, \qquad W = (C + S)^{-1}

    Parameters
    ----------
    design : ndarray, shape (n, 2, p)
    offset : ndarray, shape (n, 2)
    covariance : ndarray, shape (n, 2, 2)
        Positive definite.
    scatter : bool
        Find it; 0 otherwise.
    restricted : bool
        Restricted likelihood; plain otherwise, to compare models of different parameters.

    Returns
    -------
    OffsetFit
        Directions of the parameters that are not determined have errors above 1e6 times those of
        the best.
    """
    variance = np.zeros(2)
    error = np.full(2, np.nan)
    if scatter:
        variance, error = _scatter_variance(design, offset, covariance, restricted)
    weight = np.linalg.inv(covariance + np.diag(variance))
    value, after, solver = _solution(design, offset, weight)
    residual = offset - design @ value
    whole = covariance + np.diag(variance)
    return OffsetFit(
        value=value,
        covariance=after,
        operator=np.moveaxis(solver, 2, 0),
        scatter_variance=variance,
        scatter_variance_error=error,
        residual=residual,
        residual_covariance=whole - design @ after @ np.swapaxes(design, 1, 2),
        log_likelihood=_log_likelihood(design, offset, covariance, variance, restricted=False),
        chi2=float(np.sum(quadratic_form(residual, covariance))),
        n_dof=2 * len(offset) - design.shape[2],
        condition=scaled_condition(design, np.swapaxes(np.linalg.cholesky(weight), 1, 2)),
    )


def quadratic_form(vector: NDArray, covariance: NDArray) -> NDArray:
    """Squared distance of each vector in units of its covariance, shape (n,)."""
    return np.einsum("ni,ni->n", vector, np.linalg.solve(covariance, vector[..., None])[..., 0])


def _solution(
    design: NDArray, offset: NDArray, weight: NDArray
) -> tuple[NDArray, NDArray, NDArray]:
    """Parameters, their covariance, and the operator as (n, 2, p)."""
    weighted = weight @ design
    normal = np.einsum("nip,niq->pq", design, weighted)
    after = _inverse(normal)
    solver = weighted @ after
    return np.einsum("nip,ni->p", solver, offset), after, solver


def _inverse(normal: NDArray) -> NDArray:
    """Inverse of a normal matrix; what is not determined gets a large variance, not infinity."""
    length = np.sqrt(np.diag(normal))
    length = np.where(length > 0, length, 1.0)
    eigenvalue, direction = np.linalg.eigh(normal / np.outer(length, length))
    eigenvalue = np.maximum(eigenvalue, _FLOOR * max(eigenvalue[-1:], default=1.0))
    return (direction / eigenvalue) @ direction.T / np.outer(length, length)


def _log_likelihood(
    design: NDArray, offset: NDArray, covariance: NDArray, variance: NDArray, restricted: bool
) -> float:
    whole = covariance + np.diag(variance)
    weight = np.linalg.inv(whole)
    value, after, _ = _solution(design, offset, weight)
    chi2 = np.sum(quadratic_form(offset - design @ value, whole))
    loss = np.sum(np.linalg.slogdet(whole)[1]) + chi2
    if restricted:
        loss -= np.linalg.slogdet(after)[1]
    return -0.5 * float(loss)


def _scatter_variance(
    design: NDArray, offset: NDArray, covariance: NDArray, restricted: bool
) -> tuple[NDArray, NDArray]:
    """Squared scatter of both axes and its errors, by Fisher's scoring within bounds of 0."""

    def likelihood(variance: NDArray) -> float:
        return _log_likelihood(design, offset, covariance, variance, restricted)

    variance = np.zeros(2)
    best = likelihood(variance)
    for _ in range(_STEPS):
        slope, information = _score(design, offset, covariance, variance, restricted)
        free = (variance > 0) | (slope > 0)
        step = np.zeros(2)
        if free.any():
            step[free] = np.linalg.solve(information[np.ix_(free, free)], slope[free])
        for _ in range(_HALVINGS):
            trial = np.maximum(variance + step, 0.0)
            found = likelihood(trial)
            if found >= best:
                break
            step /= 2
        else:
            break
        moved, variance, best = np.abs(trial - variance), trial, found
        if np.all(moved <= _CONVERGED * (variance + np.min(np.trace(covariance.T)))):
            break
    _, information = _score(design, offset, covariance, variance, restricted)
    return variance, np.sqrt(np.diag(np.linalg.inv(information)))


def _score(
    design: NDArray, offset: NDArray, covariance: NDArray, variance: NDArray, restricted: bool
) -> tuple[NDArray, NDArray]:
    """Slope of the log-likelihood with the squared scatters, and Fisher's information."""
    weight = np.linalg.inv(covariance + np.diag(variance))
    value, after, _ = _solution(design, offset, weight)
    pull = np.einsum("nij,nj->ni", weight, offset - design @ value)
    trace = np.einsum("nkk->k", weight)
    information = np.sum(weight**2, axis=0)
    if restricted:
        weighted = weight @ design
        taken = weighted @ after @ np.swapaxes(weighted, 1, 2)
        trace = trace - np.einsum("nkk->k", taken)
        part = after @ np.einsum("nkp,nkq->kpq", weighted, weighted)
        together = np.einsum("kpq,lqp->kl", part, part)
        information = information - 2 * np.sum(weight * taken, axis=0) + together
    return 0.5 * (np.sum(pull**2, axis=0) - trace), 0.5 * information
