"""Knock-on electrons: their number, their tracks and their light against closed forms."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.constants import alpha

from calibpipe.simulation import knock_on
from calibpipe.simulation.knock_on import knock_on_electrons, knock_on_photons, largest_transfer
from calibpipe.simulation.muon_photons import MuonTelescope, muon_photons
from calibpipe.throughput.muon_corrections import knock_on_correction

EVEN = MuonTelescope(
    psf=0.0,
    mirror_radius=1e6,
    hole_radius=0.0,
    refractivity=2.238e-4,
    is_dispersive=False,
    scale_height=1e12,
    extinction=0.0,
    field=(0.0, 0.0),
)


def test_largest_transfer_by_hand():
    """15 GeV: gamma 141.96, 2 x 0.511 MeV x 20152 / (1 + 1.3732 + 2.3e-5) = 8.678 GeV."""
    assert largest_transfer(15.0) == pytest.approx(8.678, rel=1e-3)
    assert largest_transfer(1e6) == pytest.approx(1e6, rel=0.03)  # all of it
    assert largest_transfer(0.10566) < 1e-7


@pytest.mark.parametrize(("lowest", "expected"), [(0.024, 3.134), (0.1, 0.7197), (1.0, 0.05004)])
def test_number_of_electrons_by_hand(lowest, expected):
    """Of 15 GeV in 1000 g/cm²: the integral of 0.0766 MeV cm²/g (1/T² - 1/(T Tmax) + 1/2E²).

    Above 1 GeV 0.07665 GeV x (1 - 0.1152 - ln(8.678)/8.678 + 7.678/450 per GeV) = 0.05004.
    """
    rng, n = np.random.default_rng(1), 4000
    found = np.array([knock_on_electrons(15.0, 1000.0, rng, lowest=lowest).size for _ in range(n)])
    largest, rate = 8.678, 0.076646
    whole = 1 / lowest - 1 / largest - np.log(largest / lowest) / largest
    whole = rate * (whole + (largest - lowest) / (2 * 15.0**2))
    assert whole == pytest.approx(expected, rel=1e-3)
    assert found.mean() == pytest.approx(whole, abs=4 * np.sqrt(whole / n))
    assert found.var() == pytest.approx(whole, rel=5 * np.sqrt(2 / n + 1 / whole / n))


def test_no_electrons_of_a_slow_muon(rng):
    assert knock_on_electrons(0.2, 1000.0, rng).size == 0
    assert knock_on_photons(0.2, (0.0, 0.0), (0.0, 0.0), EVEN, rng).x.size == 0


@pytest.mark.parametrize("kinetic", [0.04, 0.2])
def test_light_of_an_electron(rng, kinetic):
    """The integral of 2 (n-1) (1 - (Eth/E)²) over E/a: 2 (n-1)/a (E - 2 Eth + Eth²/E)."""
    n, depth = 400, 120.0
    per_metre = 0.1 * 366.2 / EVEN.radiation_length
    tracks = knock_on._tracks(
        15.0, np.full(n, kinetic), np.full(n, depth), per_metre, EVEN, rng, False
    )
    photons = knock_on._light(*tracks, (0.0, 0.0), (0.0, 0.0), EVEN, rng, 0.2)
    energy, threshold = kinetic + 0.000511, 0.000511 / np.sqrt(1 - 1.0002238**-2)
    column = (energy - 2 * threshold + threshold**2 / energy) / 0.0022  # g/cm²
    yield_ = 0.2 * 2e9 * np.pi * alpha.value * (1 / 300 - 1 / 600) * (1 - 1.0002238**-2)
    expected = n * yield_ * column / per_metre
    # steps of 1/80 of the energy: 2nd order
    assert photons.x.size == pytest.approx(expected, rel=4 / np.sqrt(expected) + 2e-3)
    spent = knock_on._tracks(
        15.0, np.full(n, kinetic), np.full(n, depth), per_metre, EVEN, rng, True
    )
    fewer = knock_on._light(*spent, (0.0, 0.0), (0.0, 0.0), EVEN, rng, 0.2)
    assert fewer.x.size < photons.x.size


def test_angle_of_two_bodies(rng):
    """sqrt(2 m/T) for T far below the largest: 100 MeV at 0.101."""
    n = 2000
    kinetic = np.full(n, 0.1)
    air = replace(EVEN, radiation_length=378.0)
    _, _, _, slope, _ = knock_on._tracks(20.0, kinetic, np.full(n, 50.0), 0.097, air, rng, False)
    first = np.hypot(*slope[:, :n])
    # scattering in the first step, 0.44 g/cm², widens it: 0.0136/0.1 sqrt(0.0120) in both axes
    expected = np.sqrt(2 * 0.511e-3 / 0.1 + 2 * (0.136**2) * 0.455 / 36.62)
    assert np.sqrt(np.mean(first**2)) == pytest.approx(expected, rel=0.02)


def test_light_in_the_ring_is_little(rng):
    """Within 0.1 deg of rings of 15 GeV in the air of La Palma: as the correction has it.

    Its error is that of the model; most of the light is of a few electrons.
    """
    air, n = MuonTelescope(), 600
    ring, muon = np.zeros(n), 0
    for k in range(n):
        impact = 10.0 * np.sqrt(rng.random()), 0.0
        light = knock_on_photons(15.0, impact, (0.0, 0.0), air, rng, fraction=0.2)
        ring[k] = (np.abs(np.hypot(light.fov_lon, light.fov_lat) - 1.12) < 0.1).sum()
    for _ in range(20):
        impact = 10.0 * np.sqrt(rng.random()), 0.0
        muon += muon_photons(15.0, impact, (0.0, 0.0), air, rng, fraction=0.2).x.size / 20
    error = ring.std() / np.sqrt(n) / muon
    share = ring.mean() / muon
    correction = knock_on_correction()
    expected = 1 / correction.factor - 1
    assert share == pytest.approx(expected, abs=np.hypot(correction.error, 3 * error))
