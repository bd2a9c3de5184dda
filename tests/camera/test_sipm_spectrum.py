"""Cross-talk and after-pulses: generalised Poisson law, moments, closure on simulated cascades."""

import numpy as np
import pytest
from charge_spectra import histograms
from numpy.testing import assert_allclose
from scipy.special import gammaln

from calibpipe.camera.single_photoelectron import single_photoelectrons
from calibpipe.camera.sipm_spectrum import avalanche_function, sipm_facts
from calibpipe.camera.spe_likelihood import bin_probabilities
from calibpipe.camera.spe_spectra import Spectra, SpeSettings
from calibpipe.core.exceptions import ConfigurationError
from calibpipe.simulation.single_photoelectron import silicon_charge

TRUE = (50.0, 0.1, 0.2, 0.08)


def test_generalised_poisson_law():
    """Peaks apart: each holds lambda (lambda + k xi)^(k-1) exp(-lambda - k xi) / k!."""
    light, xi = 1.2, 0.2
    parameters = np.array([[light, 0.0, 2.0, 50.0, 0.01, xi, 0.0]])
    p = bin_probabilities(
        parameters, np.array([-25.0]), np.array([1.0]), 1000, avalanche_function()
    )[0, 0]
    k = np.arange(10)
    law = np.log(light) + (k - 1) * np.log(light + k * xi) - light - k * xi - gammaln(k + 1)
    assert_allclose(p[:500].reshape(10, 50).sum(axis=1), np.exp(law), rtol=1e-6)


def test_excess_noise_of_cross_talk():
    """F² = 1/(1 + ln(1 - P)), P the probability of any cross-talk."""
    chance = 0.2
    gain, _, f2 = sipm_facts(np.array([50.0, 0.0, -np.log(1 - chance), 0.0]))
    assert f2 == pytest.approx(1 / (1 + np.log(1 - chance)))
    assert gain == pytest.approx(50 * f2)


def test_recovery_of_after_pulses():
    """Mean recovered part of a Beta(1, ratio) law is 1/(1 + ratio)."""
    gain, *_ = sipm_facts(np.array([50.0, 0.0, 0.0, 0.1]), recovery_ratio=3.0)
    assert gain == pytest.approx(50 * (1 + 0.1 / 4))


def test_derivatives():
    function = avalanche_function()
    at, omega = np.array([TRUE]), np.linspace(0, 0.5, 40)[np.newaxis]
    _, derivatives = function(at, omega)
    for k in range(4):
        step = 1e-6 * at[0, k] * (np.arange(4) == k)
        up, down = (function(at + s, omega)[0] for s in (step, -step))
        assert_allclose(derivatives[k], (up - down) / (2 * step[k]), atol=2e-7)


def test_closure(assert_pulls):
    rng = np.random.default_rng(4)
    charges = [silicon_charge(35_000, 1.2, 0.0, 6.0, TRUE, rng) for _ in range(60)]
    dark = [rng.normal(0, 6.0, 35_000) for _ in charges]
    bins = {"low": -60.5, "n_bins": 900}
    spectra = Spectra(histograms(charges, **bins), histograms(dark, **bins))
    found = single_photoelectrons(spectra, settings=SpeSettings(sensor="sipm"))
    assert not found.status.any()
    true = [*sipm_facts(np.array(TRUE)), *TRUE]
    for name, value in zip(found.names[3:], true, strict=True):
        if name not in ("relative_width", "after_pulse"):  # not normal: near their bounds
            assert_pulls((found[name] - value) / found.error(name))
    assert np.std(found["peak_distance"] / 50 - 1) < 0.002


def test_no_high_voltage_of_silicon():
    rng = np.random.default_rng(4)
    one = Spectra(histograms([silicon_charge(3000, 1.2, 0.0, 6.0, TRUE, rng)]))
    with pytest.raises(ConfigurationError, match="cannot be fitted with 1 of a sipm"):
        single_photoelectrons(one, one, SpeSettings(sensor="sipm"))
