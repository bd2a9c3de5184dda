"""Metrics of the atmosphere: a column in balance, and what disturbs it."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable

from calibpipe.atmosphere.meteorology import normal_gravity
from calibpipe.verification.atmosphere import external_metrics, internal_metrics

LATITUDE = 28.76 * u.deg
DRY = 28.96546e-3 / 8.314462618  # kg K / J: M/R
TEMPERATURE = 250.0


def column(step=100.0, factor=1.0):
    """Dry isothermal air in hydrostatic balance, integrated with gravity at each height."""
    z = np.arange(0, 40_000 + step, step)
    fine = np.linspace(0, z[-1], 40 * len(z))
    g = normal_gravity(LATITUDE, fine * u.m).to_value(u.m / u.s**2)
    depth = np.concatenate([[0], np.cumsum((g[1:] + g[:-1]) / 2 * np.diff(fine))])
    p = 101325 * np.exp(-np.interp(z, fine, depth) * DRY / TEMPERATURE)
    table = QTable({"altitude": z * u.m, "pressure": p * u.Pa})
    table["temperature"] = np.full(len(z), TEMPERATURE) * u.K
    table["density"] = factor * p * DRY / TEMPERATURE * u.kg / u.m**3
    table["water_vapour_mole_fraction"] = np.zeros(len(z))
    return table


def test_balance():
    metrics = internal_metrics("atmosphere/density_profile", column(), LATITUDE)
    np.testing.assert_allclose(metrics["hydrostatic_residual"], 0, atol=2e-6)
    np.testing.assert_allclose(metrics["gas_law_residual"], 0, atol=1e-9)
    assert metrics["hydrostatic_residual"].shape == (1, 300)  # layers below 30 km


def test_wrong_density_shows_in_both():
    metrics = internal_metrics("atmosphere/density_profile", column(factor=1.01), LATITUDE)
    np.testing.assert_allclose(metrics["hydrostatic_residual"], 0.01, atol=1e-5)
    np.testing.assert_allclose(metrics["gas_law_residual"], 0.01, atol=1e-9)


def test_change_of_density():
    change = external_metrics("atmosphere/density_profile", column(factor=1.02), column())
    for values in change.values():
        np.testing.assert_allclose(values, 0.02)


def extinction(scale=1.0, exponent=4.1):
    """Optical depth of a power law at two altitudes, with its closure."""
    wavelength = np.arange(250.0, 700.0)
    total = 0.5 * (wavelength / 350) ** -exponent
    table = QTable({"wavelength": wavelength * u.nm})
    table["optical_depth"] = scale * total[:, None] * np.array([0.4, 1.0])
    table.meta["calibpipe"] = {"closure": {"hydrostatic_optical_depth_350nm": 0.5}}
    return table


@pytest.mark.parametrize("scale", [0.99, 1.0, 1.01])
def test_extinction_closes_with_the_pressure(scale):
    metrics = internal_metrics("atmosphere/rayleigh_extinction", extinction(scale), LATITUDE)
    assert metrics["hydrostatic_closure"] == pytest.approx(scale - 1, abs=1e-12)
    assert metrics["wavelength_exponent"] == pytest.approx(4.1, abs=1e-12)
    assert metrics["non_monotonic_levels"] == 0
    change = external_metrics("atmosphere/rayleigh_extinction", extinction(scale), extinction())
    assert change["optical_depth_350nm_change"] == pytest.approx(scale - 1, abs=1e-12)


def test_depth_that_falls_with_height():
    table = extinction()
    table["optical_depth"][3] = table["optical_depth"][3][::-1]
    metrics = internal_metrics("atmosphere/rayleigh_extinction", table, LATITUDE)
    assert metrics["non_monotonic_levels"] == 1


def macobac(fraction, night="2024-07-10"):
    """CO2 with an error of 0.1 %."""
    table = QTable({"co2_mole_fraction": [fraction], "stat_error": [0.0]})
    table["sys_error"] = 1e-3 * table["co2_mole_fraction"]
    table.meta["calibpipe"] = {"night": night}
    return table


def test_co2_grows():
    """424.6 ppm in the middle of 2024, 2.5 ppm a year."""
    for year in (2022, 2024, 2026):
        expected = (424.6 + 2.5 * (year - 2024)) * 1e-6
        table = macobac(expected, f"{year}-06-30")
        metrics = internal_metrics("atmosphere/macobac", table, LATITUDE)
        assert abs(metrics["co2_against_growth"]) < 2.5 / 12  # a month
        assert metrics["relative_error"] == pytest.approx(1e-3)
    change = external_metrics("atmosphere/macobac", macobac(425e-6), macobac(424e-6))
    assert change["co2_change"] == pytest.approx(1.0)
