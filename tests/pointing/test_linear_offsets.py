"""Linear fit with scatter: hand-computed values, pulls of one, likelihood."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from pointing_offsets import TERMS, TRUE, made

from calibpipe.pointing import linear_offsets
from calibpipe.pointing.linear_offsets import fitted_offsets, quadratic_form
from calibpipe.pointing.pointing_terms import design_matrix

N_TOYS = 300


def test_weighted_mean():
    """E02: 100 measurements with 0.001 and 100 with 0.05 deg error give +- 0.0001, not 0.0032."""
    error = np.repeat([3.6, 180.0], 100)
    offset = np.full((200, 2), 36.0)
    covariance = error[:, None, None] ** 2 * np.eye(2)
    design = np.broadcast_to(np.eye(2), (200, 2, 2))
    fit = fitted_offsets(design, offset, covariance, scatter=False)
    assert_allclose(fit.value, 36.0)
    assert_allclose(fit.error, 1 / np.sqrt(np.sum(1 / error**2)))
    assert fit.error[0] == pytest.approx(0.36, rel=1e-3)
    assert fit.chi2 == pytest.approx(0, abs=1e-18)
    assert fit.n_dof == 398


def test_correlated_axes_share_their_parameter():
    """One parameter in dlon only: dlat tells of the error of dlon, var = s2 (1 - r2)."""
    design = np.array([[[1.0], [0.0]]])
    covariance = np.array([[[4.0, 3.0], [3.0, 9.0]]])
    fit = fitted_offsets(design, np.array([[5.0, 2.0]]), covariance, scatter=False)
    assert fit.covariance[0, 0] == pytest.approx(4 * (1 - 0.25))
    assert fit.value[0] == pytest.approx(5 - 3 / 9 * 2)
    assert fit.chi2 == pytest.approx(4 / 9)


def test_scatter_of_a_mean_is_the_sample_variance():
    """Restricted: divided by n - 1; plain likelihood: by n."""
    x = np.array([1.0, 4.0, 7.0, -3.0, 11.0])
    offset = np.stack([x, 2 * x], axis=1)
    design = np.broadcast_to(np.eye(2), (5, 2, 2))
    tiny = np.full((5, 1, 1), 1e-6) * np.eye(2)
    fit = fitted_offsets(design, offset, tiny)
    assert_allclose(fit.scatter_variance, [np.var(x, ddof=1), 4 * np.var(x, ddof=1)], rtol=1e-5)
    assert_allclose(fit.scatter_variance_error, fit.scatter_variance * np.sqrt(2 / 4), rtol=1e-5)
    plain = fitted_offsets(design, offset, tiny, restricted=False)
    assert_allclose(plain.scatter_variance, [np.var(x), 4 * np.var(x)], rtol=1e-5)


@pytest.mark.parametrize("restricted", [True, False])
def test_slope_of_the_likelihood(rng, restricted):
    m = made(rng, 40, correlation=0.4, scatter=(6, 3))
    design = design_matrix(TERMS, m.azimuth, m.altitude)
    at = np.array([20.0, 5.0])
    given = design, m.offset, m.covariance
    slope, _ = linear_offsets._score(*given, at, restricted)
    step = 1e-3 * np.eye(2)
    numeric = [
        (
            linear_offsets._log_likelihood(*given, at + h, restricted)
            - linear_offsets._log_likelihood(*given, at - h, restricted)
        )
        / 2e-3
        for h in step
    ]
    assert_allclose(slope, numeric, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("correlation", "scatter", "n"), [(0.0, (0, 0), 80), (0.6, (0, 0), 80), (-0.5, (12, 7), 30)]
)
def test_pulls_of_every_term(rng, correlation, scatter, n):
    pulls, found = [], []
    for _ in range(N_TOYS):
        m = made(rng, n, noise=(5.0, 4.0), correlation=correlation, scatter=scatter)
        design = design_matrix(TERMS, m.azimuth, m.altitude)
        fit = fitted_offsets(design, m.offset, m.covariance)
        pulls.append((fit.value - TRUE) / fit.error)
        found.append(fit.scatter_variance)
    pulls = np.array(pulls)
    # the scatter is estimated: Student's t with the degrees of freedom of an axis
    expected = 1.0 if scatter[0] == 0 else np.sqrt((n - 3) / (n - 5))
    assert_allclose(pulls.std(axis=0), expected, atol=4 / np.sqrt(2 * N_TOYS) + 0.02)
    assert np.abs(pulls.mean(axis=0)).max() < 4 / np.sqrt(N_TOYS)
    if scatter[0]:
        error = np.std(found, axis=0) / np.sqrt(N_TOYS)
        assert np.all(np.abs(np.mean(found, axis=0) - np.square(scatter)) < 4 * error)


def test_errors_without_scatter_are_too_small(rng):
    pulls = []
    for _ in range(60):
        m = made(rng, scatter=(10, 10))
        design = design_matrix(TERMS, m.azimuth, m.altitude)
        fit = fitted_offsets(design, m.offset, m.covariance, scatter=False)
        pulls.append((fit.value - TRUE) / fit.error)
    assert np.std(pulls) > 2


def test_residuals_have_their_covariance(rng):
    squares = []
    for _ in range(50):
        m = made(rng, 20, correlation=0.5)
        design = design_matrix(TERMS, m.azimuth, m.altitude)
        fit = fitted_offsets(design, m.offset, m.covariance, scatter=False)
        squares.append(quadratic_form(fit.residual, fit.residual_covariance))
        assert_allclose(fit.operator.reshape(7, -1) @ m.offset.ravel(), fit.value)
    assert np.mean(squares) == pytest.approx(2, abs=4 * 2 / np.sqrt(50 * 20))


def test_what_is_not_determined_has_a_huge_error():
    design = np.ones((10, 2, 2))
    covariance = np.broadcast_to(np.eye(2), (10, 2, 2))
    fit = fitted_offsets(design, np.ones((10, 2)), covariance, scatter=False)
    assert np.all(fit.error > 1e5)
    assert_allclose(fit.residual, 0, atol=1e-3)  # the precision that is left
