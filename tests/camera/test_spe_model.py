"""Charge of one photoelectron: anchors, limits, characteristic function against its definition."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad
from scipy.stats import norm

from calibpipe.camera.spe_model import (
    component_function,
    component_jacobian,
    components_of_shape,
    fixed_shape_function,
    largest_p,
    photoelectron_facts,
    photoelectron_shape,
)


@pytest.mark.parametrize(
    ("given", "p", "high", "low", "gain"),
    [
        ((0.42, 0.5, 0.813), 0.231163, 0.342702, 0.444154, 0.850757),
        ((0.454, 0.5, 0.713), 0.249876, 0.294305, 0.373588, 0.824607),
    ],
)
def test_anchors(given, p, high, low, gain):
    """C05."""
    shape = photoelectron_shape(*given)
    found = [shape.p, shape.high_width, shape.low_width, shape.gain]
    assert_allclose(found, [p, high, low, gain], atol=1e-6)
    assert_allclose(largest_p(0.5), 0.550388, atol=1e-6)


def test_gain_of_a_better_resolution():
    shape = photoelectron_shape(0.42, 0.45, 0.813)
    assert_allclose([shape.p, shape.gain], [0.194638, 0.872300], atol=1e-6)


def test_the_resolution_is_that_of_the_components():
    facts = photoelectron_facts(components_of_shape(np.array([70.0, 0.5]), 0.42, 0.813))
    assert_allclose(facts, [70 * 0.8507574, 0.5, 1.25, 0.42, 0.813], rtol=1e-6)


def test_gaussian_alone():
    gain, resolution, f2, p_raw, _ = photoelectron_facts(np.array([50.0, 0.0, 1.0, 0.4]))
    assert_allclose([gain, resolution, f2, p_raw], [50, 0.4, 1.16, 0])


def test_no_shape_outside():
    shape = photoelectron_shape(0.42, 0.5, 1.2)
    assert np.isnan(shape.low_width)
    assert largest_p(2.0) == 1


def density(q, mu, p, low, high):
    return p * 2 * norm.pdf(q, 0, low * mu) * (q >= 0) + (1 - p) * norm.pdf(q, mu, high * mu)


@pytest.mark.parametrize("omega", [0.0, 0.7, 4.0])
def test_characteristic_function_is_the_integral(omega):
    components = np.array([1.3, 0.23, 0.44, 0.34])
    edges = {"points": [0.0, 1.3], "limit": 200, "args": (omega,)}
    real = quad(lambda q, w: np.cos(w * q) * density(q, *components), -4, 7, **edges)[0]
    imaginary = quad(lambda q, w: np.sin(w * q) * density(q, *components), -4, 7, **edges)[0]
    value, _ = component_function(components[np.newaxis], np.array([[omega]]))
    assert_allclose(value[0, 0], real + 1j * imaginary, atol=1e-9)


@pytest.mark.parametrize(
    ("function", "at"),
    [
        (component_function, [58.0, 0.23, 0.44, 0.34]),
        (fixed_shape_function(0.42, 0.813), [58.0, 0.5]),
    ],
)
def test_derivatives(function, at):
    at, omega = np.array([at]), np.linspace(0, 0.4, 50)[np.newaxis]
    _, derivatives = function(at, omega)
    for k in range(at.size):
        step = 1e-6 * at[0, k] * (np.arange(at.size) == k)
        up, down = (function(at + s, omega)[0] for s in (step, -step))
        assert_allclose(derivatives[k], (up - down) / (2 * step[k]), atol=1e-7)


def test_jacobian_of_the_facts():
    at = np.array([[60.0], [0.23], [0.44], [0.34]])
    jacobian = component_jacobian(photoelectron_facts, at)[0]
    for k in range(4):
        step = 1e-6 * at * (np.arange(4) == k)[:, np.newaxis]
        up, down = (photoelectron_facts(at + s)[:, 0] for s in (step, -step))
        assert_allclose(jacobian[:, k], (up - down) / (2 * step[k]), rtol=1e-6)
