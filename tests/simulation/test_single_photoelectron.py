"""Simulated charges of few photoelectrons have the moments that they are made with."""

import numpy as np
import pytest

from calibpipe.camera.sipm_spectrum import sipm_facts
from calibpipe.simulation.light import Light
from calibpipe.simulation.single_photoelectron import (
    SpeShape,
    few_photoelectron_light,
    few_photoelectrons,
    multiplied_charge,
    silicon_charge,
    spe_charge,
)

N = 400_000


def test_one_photoelectron(rng):
    """Mean 1, standard deviation the resolution."""
    charge = multiplied_charge(N, SpeShape(), rng)
    assert charge.mean() == pytest.approx(1, abs=5 * 0.5 / np.sqrt(N))
    assert charge.std() == pytest.approx(0.5, abs=5 * 0.5 / np.sqrt(N))


def test_charges_of_events_add_up(rng):
    n_pe = np.array([[0, 1], [4, 2]])
    many = np.array([few_photoelectrons(n_pe, SpeShape(), rng) for _ in range(4000)])
    assert not many[:, 0, 0].any()
    np.testing.assert_allclose(many.mean(axis=0), n_pe, atol=5 * 0.5 * 2 / np.sqrt(4000))
    np.testing.assert_allclose(many.var(axis=0), 0.25 * n_pe, rtol=0.15)


def test_poisson_light(rng):
    """Variance: pedestal, and light times (1 + R²) times the squared gain."""
    charge = spe_charge(N, 1.5, 58.0, 3.0, 15.0, SpeShape(), rng)
    variance = 15**2 + 1.5 * 1.25 * 58**2
    assert charge.mean() == pytest.approx(3 + 1.5 * 58, abs=5 * np.sqrt(variance / N))
    assert charge.var() == pytest.approx(variance, rel=0.02)


def test_silicon(rng):
    true = (50.0, 0.1, 0.2, 0.08)
    gain, _, f2 = sipm_facts(np.array(true))
    charge = silicon_charge(N, 1.2, 0.0, 6.0, true, rng)
    variance = 6**2 + 1.2 * f2 * gain**2
    assert charge.mean() == pytest.approx(1.2 * gain, abs=5 * np.sqrt(variance / N))
    assert charge.var() == pytest.approx(variance, rel=0.02)


def test_times_and_numbers_of_light_stay(rng):
    n_pe = np.array([[0, 3]])
    light = Light(n_pe, 1.0 * n_pe, np.array([[1.0, 2.0]]))
    changed = few_photoelectron_light(light, SpeShape(), rng)
    assert changed.n_pe is light.n_pe
    assert changed.time is light.time
    assert changed.charge[0, 0] == 0
    assert changed.charge[0, 1] != 3


def test_columns_of_the_truth():
    columns = SpeShape(resolution=0.45).columns(3)
    np.testing.assert_allclose(columns["resolution"], 0.45)
    np.testing.assert_allclose(columns["squared_excess_noise_factor"], 1.2025)
    np.testing.assert_allclose(columns["p_raw"], 0.42)
    np.testing.assert_allclose(columns["n"], 0.813)
