"""Likelihood of charge spectra: exact probabilities, gradients, the minimum of others."""

import numpy as np
import pytest
from charge_spectra import run
from numpy.testing import assert_allclose
from scipy.optimize import minimize
from scipy.signal import fftconvolve
from scipy.stats import norm

from calibpipe.camera.spe_fit import FitSettings, fitted_spectra
from calibpipe.camera.spe_likelihood import DARK, Spectrum, bin_probabilities, deviance
from calibpipe.camera.spe_model import component_function, photoelectron_shape
from calibpipe.simulation.single_photoelectron import SpeShape, spe_charge

SHAPE = photoelectron_shape(0.42, 0.5, 0.813)
TRUE = np.array([1.0, 0.0, 15.0, 70.0, SHAPE.p, SHAPE.low_width, SHAPE.high_width])
LOW, N_BINS = np.array([-80.5]), 600


def probabilities(parameters, low=LOW, width=1.0, n_bins=N_BINS):
    return bin_probabilities(
        np.atleast_2d(parameters), low, np.array([width]), n_bins, component_function
    )


def test_gaussian_photoelectrons_are_a_sum_of_gaussians():
    """p = 0: every term of the sum over photoelectrons is a Gaussian, integrated over the bins."""
    light, width = 1.3, 0.35 * 70
    parameters = [light, 3.0, 15.0, 70.0, 0.0, 0.4, 0.35]
    edges = LOW + np.arange(901)
    expected = np.zeros(900)
    term = np.exp(-light)
    for k in range(40):
        cumulative = norm.cdf(edges, 3.0 + 70 * k, np.hypot(15, width * np.sqrt(k)))
        expected += term * np.diff(cumulative)
        term *= light / (k + 1)
    assert_allclose(probabilities(parameters, n_bins=900)[0, 0], expected, atol=2e-14)


def test_no_light_is_the_pedestal():
    found = probabilities(TRUE * (np.arange(7) > 0))[0, 0]
    assert_allclose(found, np.diff(norm.cdf(LOW + np.arange(601), 0, 15)), atol=1e-14)


def test_narrow_pedestals_are_exact_too():
    """Bins wider than the pedestal: sums of finer ones."""
    narrow = TRUE.copy()
    narrow[2] = 0.5
    fine = probabilities(narrow, width=0.25, n_bins=2400)[0, 0]
    assert_allclose(probabilities(narrow)[0, 0], fine.reshape(600, 4).sum(axis=1), atol=1e-13)


def test_simulated_charges_are_distributed_so():
    n = 1_000_000
    rng = np.random.default_rng(1)
    charge = spe_charge(n, 1.0, 70 * SHAPE.gain, 0.0, 15.0, SpeShape(), rng)
    counts = np.histogram(charge, N_BINS, (LOW[0], LOW[0] + N_BINS))[0]
    expected = n * probabilities(TRUE)[0, 0]
    many = expected > 20
    chi2 = np.sum((counts - expected)[many] ** 2 / expected[many])
    assert abs(chi2 - many.sum()) < 5 * np.sqrt(2 * many.sum())


def test_derivatives():
    found = probabilities(TRUE)
    for k in range(7):
        step = 1e-5 * max(abs(TRUE[k]), 1.0) * (np.arange(7) == k)
        numeric = (probabilities(TRUE + step)[0] - probabilities(TRUE - step)[0]) / (2 * step[k])
        assert_allclose(found[1 + k], numeric, atol=1e-7 * np.abs(numeric).max())


@pytest.fixture(scope="module")
def two_runs():
    rng = np.random.default_rng(2)
    charge = run(rng, [59.0], with_dark=True)
    runs = (charge.charge, range(7)), (charge.dark, (DARK, *range(1, 7)))
    return [Spectrum(h.counts, h.low_edge, h.bin_width, tuple(index)) for h, index in runs]


def test_gradient_of_the_deviance(two_runs):
    found = deviance(TRUE[np.newaxis], two_runs, component_function)
    for k in range(7):
        step = 1e-5 * max(abs(TRUE[k]), 1.0) * (np.arange(7) == k)
        up, down = (
            deviance((TRUE + s)[np.newaxis], two_runs, component_function).value[0]
            for s in (step, -step)
        )
        assert found.gradient[0, k] == pytest.approx((up - down) / (4 * step[k]), rel=1e-4)


def test_information_is_the_covariance_of_the_gradient():
    """Mean of squared gradients over many spectra with the true parameters."""
    rng = np.random.default_rng(5)
    p = probabilities(TRUE)[0, 0]
    counts = rng.multinomial(10_000, np.append(p, 0) / p.sum(), 400)[:, :-1]
    spectra = [Spectrum(counts, np.full(400, LOW[0]), np.ones(400), tuple(range(7)))]
    found = deviance(np.tile(TRUE, (400, 1)), spectra, component_function)
    squares = np.mean(found.gradient**2, axis=0)
    expected = np.einsum("nii->ni", found.information).mean(axis=0)
    assert_allclose(squares / expected, 1.0, atol=5 * np.sqrt(2 / 400))


def bounds():
    lower = np.array([[1e-3, -50, 3, 20, 0.002, 0.02, 0.05]])
    return lower, np.array([[6, 50, 40, 200, 0.8, 2, 1]])


def summed_probabilities(parameters):
    """Sum over numbers of photoelectrons, each a convolution of densities on a grid of 1/4 ADC."""
    light, pedestal, width, mu, p, low, high = parameters
    step = 0.25
    q = step * np.arange(-1600, 6401)
    one = (1 - p) * norm.pdf(q, mu, high * mu) * step
    edges = np.append(q - step / 2, q[-1] + step / 2)
    one += p * np.diff(np.where(edges > 0, 2 * norm.cdf(edges, 0, low * mu) - 1, 0.0))
    term = np.exp(-light) * norm.pdf(q, pedestal, width) * step
    total = np.zeros(q.size)
    for k in range(1, 30):
        total += term
        term = light / k * fftconvolve(term, one)[1600 : 1600 + q.size]
    cumulative = np.append(0.0, np.cumsum(total))
    return np.diff(np.interp(LOW + np.arange(N_BINS + 1), edges, cumulative))


def test_the_sum_over_photoelectrons_is_the_same():
    assert_allclose(probabilities(TRUE)[0, 0], summed_probabilities(TRUE), atol=2e-6)


def test_minimum_is_that_of_a_direct_minimisation(two_runs):
    """Bounded quasi-Newton steps with the value alone, twice, from the truth."""
    fit = fitted_spectra(1.1 * TRUE[np.newaxis], bounds(), two_runs, component_function)
    assert fit.converged[0]
    scale = np.array([0.02, 0.2, 0.2, 1.0, 0.02, 0.02, 0.02])

    def function(steps):
        value = deviance((TRUE + scale * steps)[np.newaxis], two_runs, component_function).value[0]
        return value if np.isfinite(value) else 1e9

    found = minimize(function, np.zeros(7), method="Powell", options={"ftol": 1e-12})
    found = minimize(function, found.x, method="L-BFGS-B", options={"ftol": 1e-13, "gtol": 1e-5})
    assert fit.deviance[0] == pytest.approx(found.fun, abs=0.01)
    assert fit.deviance[0] < found.fun + 1e-5
    assert np.all(np.abs(fit.value[0] - TRUE - scale * found.x) < 0.3 * fit.error[0])


def test_bounds_are_respected(two_runs):
    lower, upper = bounds()
    upper[0, 4] = 0.1
    fit = fitted_spectra(TRUE[np.newaxis], (lower, upper), two_runs, component_function)
    assert fit.value[0, 4] == upper[0, 4]
    assert fit.at_bound[0].tolist() == [False] * 4 + [True, False, False]
    assert np.isnan(fit.error[0, 4])
    assert np.all(fit.error[0, [0, 1, 2, 3]] > 0)


def test_fixed_parameters_stay(two_runs):
    lower, upper = bounds()
    lower[0, 4:], upper[0, 4:] = TRUE[4:], TRUE[4:]
    fit = fitted_spectra(TRUE[np.newaxis], (lower, upper), two_runs, component_function)
    assert_allclose(fit.value[0, 4:], TRUE[4:], rtol=0)
    assert not fit.error[0, 4:].any()
    assert fit.n_dof[0] > fitted_spectra(TRUE[None], bounds(), two_runs, component_function).n_dof


def test_a_fit_that_is_stopped_has_not_converged(two_runs):
    settings = FitSettings(max_iterations=1)
    fit = fitted_spectra(1.2 * TRUE[None], bounds(), two_runs, component_function, settings)
    assert not fit.converged[0]
    assert fit.n_iterations[0] == 1
