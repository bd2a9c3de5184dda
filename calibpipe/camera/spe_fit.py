"""Maximum likelihood of many pixels at once: Fisher scoring within bounds, damped where needed.

In directions that the counts hardly determine the expected information may be less than half the
observed one, and scoring runs to and fro: pixels that are not at their end after some steps go on
with the observed information (Newton). Every pixel has its own damping and its own end; all are
moved together, so that the transforms and the matrices of a batch are one call each.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2 as chi2_distribution

from .spe_goodness import grouped_chi2
from .spe_likelihood import CharacteristicFunction, Deviance, Spectrum, deviance

__all__ = ["FitResult", "FitSettings", "fitted_spectra"]

BATCH = 64  # pixels: 20 MB of transforms
_DAMPING, _LESS, _MORE, _MOST = 1e-3, 0.2, 8.0, 1e9
_SCORING_STEPS = 24  # then Newton's
_CURVATURE_STEP = 0.02  # of an error, for the differences of gradients
_SMALLEST = 1e-10  # eigenvalue of an information that is scaled to a unit diagonal
_EDGE = 1e-9  # of the range of a parameter: nearer is at the bound


@dataclass(frozen=True)
class FitSettings:
    """When a fit is at its end.

    Parameters
    ----------
    tolerance : float
        Expected distance to the minimum in the negative logarithm of the likelihood; an error is
        a distance of 0.5.
    max_iterations : int
    min_expected : float
        Bins are joined to as many expected events for the goodness of fit.
    """

    tolerance: float = 1e-6
    max_iterations: int = 200
    min_expected: float = 20.0


@dataclass(frozen=True)
class FitResult:
    """Parameters of pixels.

    Parameters
    ----------
    value, error : ndarray, shape (n_pixels, n_parameters)
        Error: from the observed information, 0 of fixed parameters, NaN at a bound.
    covariance : ndarray, shape (n_pixels, n_parameters, n_parameters)
        0 for parameters that are fixed or at a bound.
    at_bound : ndarray of bool, shape (n_pixels, n_parameters)
    deviance : ndarray, shape (n_pixels,)
        Over all bins.
    chi2, n_dof, p_value : ndarray, shape (n_pixels,)
        Of bins that are joined; chi2 is Baker and Cousins', its mean a little above `n_dof`, which
        the chance allows for.
    converged : ndarray of bool, shape (n_pixels,)
    n_iterations : ndarray, shape (n_pixels,)
    """

    value: NDArray
    error: NDArray
    covariance: NDArray
    at_bound: NDArray
    deviance: NDArray
    chi2: NDArray
    n_dof: NDArray
    p_value: NDArray
    converged: NDArray
    n_iterations: NDArray


def fitted_spectra(
    start: NDArray,
    bounds: tuple[NDArray, NDArray],
    spectra: Sequence[Spectrum],
    photoelectron: CharacteristicFunction,
    settings: FitSettings | None = None,
) -> FitResult:
    """Parameters of largest likelihood, pixel by pixel.

    Parameters
    ----------
    start : ndarray, shape (n_pixels, n_parameters)
        Taken into the bounds.
    bounds : tuple of ndarray, each shape (n_pixels, n_parameters)
        Lower and upper; a parameter with equal bounds is fixed.
    spectra : sequence of Spectrum
        Runs, each with the spectra of the same pixels.
    photoelectron : callable
        Characteristic function (`spe_model.characteristic_function`).
    settings : FitSettings, optional

    Returns
    -------
    FitResult
        Of a pixel that does not converge the last parameters, and errors NaN.
    """
    settings = settings or FitSettings()
    parts = []
    for first in range(0, len(start), BATCH):
        pixels = slice(first, first + BATCH)
        part = [spectrum.of(pixels) for spectrum in spectra]
        box = (bounds[0][pixels], bounds[1][pixels])
        parts.append(_fitted_batch(start[pixels], box, part, photoelectron, settings))
    names = FitResult.__dataclass_fields__
    return FitResult(**{n: np.concatenate([getattr(p, n) for p in parts]) for n in names})


def _fitted_batch(
    start: NDArray,
    bounds: tuple[NDArray, NDArray],
    spectra: list[Spectrum],
    photoelectron: CharacteristicFunction,
    settings: FitSettings,
) -> FitResult:
    lower, upper = bounds
    value = np.clip(start, lower, upper)
    now = deviance(value, spectra, photoelectron)
    n_pixels = len(value)
    damping = np.full(n_pixels, _DAMPING)
    converged = np.zeros(n_pixels, bool)
    n_iterations = np.zeros(n_pixels, int)
    active = np.flatnonzero(np.isfinite(now.value))
    for iteration in range(settings.max_iterations):
        if not active.size:
            break
        part = [s.of(active) for s in spectra]
        here = _of(now, active)
        box = lower[active], upper[active]
        free = _free(value[active], here.gradient, *box)
        if iteration >= _SCORING_STEPS:
            here = _with_observed(value[active], here, free, part, photoelectron)
        proposed = np.clip(value[active] + _step(here, free, damping[active]), *box)
        # what the quadratic form leaves to gain, undamped
        undamped = _step(here, free, np.zeros(active.size))
        distance = -0.5 * np.sum(np.where(free, undamped * here.gradient, 0.0), axis=1)
        reached = (distance < settings.tolerance) & (distance >= 0)
        trial = deviance(proposed, part, photoelectron)
        better = trial.value <= here.value
        n_iterations[active] += 1
        taken = active[better]
        value[taken] = proposed[better]
        _put(now, taken, trial, better)
        damping[active] *= np.where(better, _LESS, _MORE)
        converged[active[reached]] = True
        active = active[~reached & (damping[active] < _MOST)]
    return _result(value, now, bounds, spectra, photoelectron, settings, converged, n_iterations)


def _of(found: Deviance, pixels: NDArray) -> Deviance:
    return Deviance(found.value[pixels], found.gradient[pixels], found.information[pixels])


def _put(found: Deviance, pixels: NDArray, new: Deviance, rows: NDArray) -> None:
    found.value[pixels] = new.value[rows]
    found.gradient[pixels] = new.gradient[rows]
    found.information[pixels] = new.information[rows]


def _free(value: NDArray, gradient: NDArray, lower: NDArray, upper: NDArray) -> NDArray:
    """Parameters that are neither fixed nor pressed against a bound."""
    edge = _EDGE * (upper - lower)
    pressed = ((value <= lower + edge) & (gradient > 0)) | (
        (value >= upper - edge) & (gradient < 0)
    )
    return (upper > lower) & ~pressed


def _step(found: Deviance, free: NDArray, damping: NDArray) -> NDArray:
    """Step of the free parameters, the diagonal of the information enlarged by the damping."""
    matrix, scale = _scaled(found.information, free)
    n = matrix.shape[-1]
    matrix[:, np.arange(n), np.arange(n)] += damping[:, np.newaxis] + _SMALLEST
    right = np.where(free, -found.gradient, 0.0) / scale
    return np.linalg.solve(matrix, right[..., np.newaxis])[..., 0] / scale


def _scaled(matrix: NDArray, free: NDArray) -> tuple[NDArray, NDArray]:
    """Matrix with a unit diagonal, of parameters that are not free that of the unit matrix."""
    both = free[:, :, np.newaxis] & free[:, np.newaxis, :]
    diagonal = np.einsum("nii->ni", matrix)
    scale = np.sqrt(np.where(free & (diagonal > 0), diagonal, 1.0))
    scaled = np.where(both, matrix, 0.0) / (scale[:, :, np.newaxis] * scale[:, np.newaxis, :])
    n = matrix.shape[-1]
    scaled[:, np.arange(n), np.arange(n)] = 1.0
    return scaled, scale


def _result(
    value: NDArray,
    now: Deviance,
    bounds: tuple[NDArray, NDArray],
    spectra: list[Spectrum],
    photoelectron: CharacteristicFunction,
    settings: FitSettings,
    converged: NDArray,
    n_iterations: NDArray,
) -> FitResult:
    lower, upper = bounds
    movable = upper > lower
    edge = _EDGE * (upper - lower)
    at_bound = movable & ((value <= lower + edge) | (value >= upper - edge))
    free = movable & ~at_bound
    covariance = _covariance(value, now, free, spectra, photoelectron)
    variance = np.einsum("nii->ni", covariance)
    is_minimum = np.all(np.where(free, variance > 0, True), axis=1)
    covariance[~is_minimum] = np.nan
    with np.errstate(invalid="ignore"):
        error = np.where(at_bound, np.nan, np.sqrt(np.einsum("nii->ni", covariance)))
    chi2, excess, n_groups = grouped_chi2(value, spectra, photoelectron, settings.min_expected)
    n_dof = n_groups - len(spectra) - np.count_nonzero(free, axis=1)
    return FitResult(
        value=value,
        error=error,
        covariance=covariance,
        at_bound=at_bound,
        deviance=now.value,
        chi2=chi2,
        n_dof=n_dof,
        p_value=np.where(
            n_dof > 0, chi2_distribution.sf(chi2 - excess, np.maximum(n_dof, 1)), np.nan
        ),
        converged=converged & is_minimum,
        n_iterations=n_iterations,
    )


def _covariance(
    value: NDArray,
    now: Deviance,
    free: NDArray,
    spectra: list[Spectrum],
    photoelectron: CharacteristicFunction,
) -> NDArray:
    """Inverse of the observed information; NaN where it is not positive definite."""
    observed = _observed_information(value, now, free, spectra, photoelectron)
    scaled, scale = _scaled(observed, free)
    definite = _is_definite(scaled)
    covariance = np.full_like(scaled, np.nan)
    covariance[definite] = np.linalg.inv(scaled[definite])
    both = free[:, :, np.newaxis] & free[:, np.newaxis, :]
    product = scale[:, :, np.newaxis] * scale[:, np.newaxis, :]
    return np.where(both, covariance / product, np.where(definite[:, None, None], 0.0, np.nan))


def _with_observed(
    value: NDArray,
    now: Deviance,
    free: NDArray,
    spectra: list[Spectrum],
    photoelectron: CharacteristicFunction,
) -> Deviance:
    """The same with the observed information where it is positive definite."""
    observed = _observed_information(value, now, free, spectra, photoelectron)
    definite = _is_definite(_scaled(observed, free)[0])
    information = np.where(definite[:, np.newaxis, np.newaxis], observed, now.information)
    return Deviance(now.value, now.gradient, information)


def _is_definite(scaled: NDArray) -> NDArray:
    finite = np.isfinite(scaled).all(axis=(1, 2))
    safe = np.where(finite[:, np.newaxis, np.newaxis], scaled, 0.0)
    return finite & (np.linalg.eigvalsh(safe)[:, 0] > _SMALLEST)


def _observed_information(
    value: NDArray,
    now: Deviance,
    free: NDArray,
    spectra: list[Spectrum],
    photoelectron: CharacteristicFunction,
) -> NDArray:
    """Second derivatives: differences of the analytic gradient over a fraction of an error."""
    n = value.shape[1]
    expected, scale = _scaled(now.information, free)
    expected[:, np.arange(n), np.arange(n)] += _SMALLEST
    inverse = np.einsum("nii->ni", np.linalg.inv(expected))
    step = _CURVATURE_STEP * np.sqrt(np.abs(inverse)) / scale
    step = np.minimum(step, _CURVATURE_STEP * np.maximum(np.abs(value), 1e-3))
    observed = np.zeros_like(now.information)
    for k in range(n):
        if not free[:, k].any():
            continue
        h = np.where(free[:, k], step[:, k], 0.0)
        shift = h[:, np.newaxis] * (np.arange(n) == k)
        up = deviance(value + shift, spectra, photoelectron).gradient
        down = deviance(value - shift, spectra, photoelectron).gradient
        observed[:, k] = (up - down) / np.where(h > 0, 2 * h, 1.0)[:, np.newaxis]
    return (observed + np.swapaxes(observed, 1, 2)) / 2
