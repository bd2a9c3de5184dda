"""Fitted spectra to look at: components by hand, residuals of joined bins."""

import numpy as np
import pytest
from charge_spectra import run
from scipy.stats import norm, poisson

from calibpipe.camera.single_photoelectron import single_photoelectrons
from calibpipe.camera.spe_curve import SpeCurve, fitted_curve, joined_residuals
from calibpipe.camera.spe_table import spe_table, spectra_table

LIGHT, PEDESTAL, WIDTH, MU, HIGH = 0.8, 12.0, 15.0, 60.0, 0.3
LOW, BIN, N_BINS = -100.0, 2.0, 400


def gaussian_pixel(**more):
    """Photoelectron without half-normal part: n of them are a Gaussian."""
    names = ("light", "pedestal", "pedestal_width", "gain", "mu", "p", "low_width", "high_width")
    values = (LIGHT, PEDESTAL, WIDTH, MU, MU, 1e-12, 0.2, HIGH)
    return dict(zip(names, values, strict=True)) | more


def spectrum(counts, run="nominal"):
    return {f"{run}_counts": counts, f"{run}_low_edge": LOW, f"{run}_bin_width": BIN}


def of_photoelectrons(k, scale=1.0):
    """Expected parts of events in the bins with k photoelectrons."""
    edges = LOW + BIN * np.arange(N_BINS + 1)
    spread = np.sqrt(WIDTH**2 + k * (HIGH * MU * scale) ** 2)
    return poisson.pmf(k, LIGHT) * np.diff(norm.cdf(edges, PEDESTAL + k * MU * scale, spread))


def test_components_are_the_gaussians():
    curve = fitted_curve(gaussian_pixel(), spectrum(np.full(N_BINS, 25)))
    parts = [of_photoelectrons(k) for k in range(30)]
    scale = 25 * N_BINS / np.sum(parts)
    wanted = [parts[0], parts[1], np.sum(parts[2:], axis=0)]
    assert curve.components == pytest.approx(scale * np.array(wanted), abs=1e-5)
    assert curve.expected == pytest.approx(curve.components.sum(axis=0), abs=1e-6)
    assert curve.expected.sum() == pytest.approx(25 * N_BINS)
    assert (curve.pedestal, curve.gain) == (PEDESTAL, MU)
    assert curve.edges[[0, -1]].tolist() == [LOW, LOW + BIN * N_BINS]


def test_high_voltage_stretches_the_charge():
    high = {"high_light": LIGHT, "high_pedestal": PEDESTAL, "high_pedestal_width": WIDTH}
    pixel = gaussian_pixel(high_gain=2 * MU, **high)
    curve = fitted_curve(pixel, spectrum(np.full(N_BINS, 25), "high_voltage"), "high_voltage")
    part = of_photoelectrons(1, 2.0)
    assert curve.components[1] == pytest.approx(
        part * curve.components[0].max() / of_photoelectrons(0).max(), abs=1e-4
    )
    assert curve.gain == 2 * MU


def test_pixel_without_a_fit_has_its_spectrum_alone():
    curve = fitted_curve(gaussian_pixel(light=np.nan), spectrum(np.full(N_BINS, 25)))
    assert np.isnan(curve.expected).all()
    assert curve.counts.sum() == 25 * N_BINS


def test_silicon_has_its_own_components():
    names = ("light", "pedestal", "pedestal_width", "gain")
    names += ("peak_distance", "relative_width", "cross_talk", "after_pulse")
    values = (LIGHT, PEDESTAL, 5.0, MU, MU, 0.08, 0.0, 0.0)
    pixel = dict(zip(names, values, strict=True))
    curve = fitted_curve(pixel, spectrum(np.full(N_BINS, 25)))
    peak = curve.edges[np.argmax(curve.components[1])] + BIN / 2
    assert peak == pytest.approx(PEDESTAL + MU, abs=BIN)
    share = curve.components.sum(axis=1) / curve.expected.sum()
    assert share[:2] == pytest.approx(poisson.pmf([0, 1], LIGHT), abs=1e-4)


def test_residuals_of_joined_bins():
    expected = np.array([4.0, 4, 4, 20, 2, 9, 3])
    counts = np.array([2.0, 2, 2, 20, 5, 15, 0])
    nothing = np.zeros((3, 7))
    edges, residuals = joined_residuals(SpeCurve(np.arange(8.0), counts, expected, nothing, 0, 1))
    assert edges.tolist() == [0, 3, 4, 6]  # the rest expects too few
    chi2 = [2 * (12 - 6 + 6 * np.log(0.5)), 0.0, 2 * (11 - 20 + 20 * np.log(20 / 11))]
    assert residuals == pytest.approx([-np.sqrt(chi2[0]), 0, np.sqrt(chi2[2])], abs=1e-6)


def test_residuals_of_a_real_fit_are_chance():
    """Residuals of spectra that the model made scatter by 1."""
    rng = np.random.default_rng(2)
    spectra = run(rng, np.full(8, 58.0), n_events=20_000)
    found = single_photoelectrons(spectra)
    pixels = spe_table(found, found.status, spectra.charge.n_events, np.zeros(1))
    histograms = spectra.charge
    reshaped = type(histograms)(
        **{name: getattr(histograms, name)[np.newaxis] for name in histograms.__annotations__}
    )
    table = spectra_table({"nominal": reshaped})
    values = np.concatenate(
        [
            joined_residuals(fitted_curve(pixel, row))[1]
            for pixel, row in zip(pixels, table, strict=True)
        ]
    )
    assert values.size > 500
    assert np.std(values) == pytest.approx(1, abs=4 / np.sqrt(2 * values.size))
    assert np.mean(values) == pytest.approx(0, abs=4 / np.sqrt(values.size))
