"""Ciddor's refractivity: anchors A07-A11, limits, units."""

import astropy.units as u
import numpy as np
import pytest

from calibpipe.atmosphere.humid_air import water_vapour_mole_fraction_from_relative_humidity
from calibpipe.atmosphere.refractivity import (
    refractivity,
    standard_air_refractivity,
    water_vapour_refractivity,
)
from calibpipe.core.exceptions import ConfigurationError, CorruptedInputError

RED = 633 * u.nm


@pytest.mark.parametrize(
    ("celsius", "kilopascal", "expected"),
    [
        (20, 80, 21458.0),
        (20, 100, 26824.4),
        (20, 120, 32191.6),
        (10, 100, 27774.7),
        (30, 100, 25937.2),
    ],
)
def test_dry_air_A07(celsius, kilopascal, expected):
    n = refractivity(RED, kilopascal * u.kPa, celsius * u.deg_C, 0, 450e-6)
    assert n.unit == u.dimensionless_unscaled
    assert 1e8 * n.value == pytest.approx(expected, abs=0.1)


def test_nist_default_case_A08():
    place = (101325 * u.Pa, 20 * u.deg_C)
    x = water_vapour_mole_fraction_from_relative_humidity(50 * u.percent, *place)
    assert 1e8 * refractivity(RED, *place, x, 450e-6).value == pytest.approx(27137.27, abs=0.05)


def test_wavelengths_A09():
    wavelength = [300, 350, 400, 500, 633] * u.nm
    expected = [29156.86, 28611.96, 28276.18, 27897.38, 27653.02]
    n = refractivity(wavelength, 101325 * u.Pa, 15 * u.deg_C, 0, 450e-6)
    np.testing.assert_allclose(1e8 * n.value, expected, atol=0.01)


def test_wavelength_matters_A10():
    """1.2 % of Cherenkov light between a table made for 350 nm and one for 400 nm."""
    place = (101325 * u.Pa, 15 * u.deg_C, 0, 450e-6)
    ratio = refractivity(350 * u.nm, *place) / refractivity(400 * u.nm, *place)
    assert ratio.value == pytest.approx(1.0119, abs=1e-4)


@pytest.mark.parametrize(
    ("pressure", "temperature", "x", "expected"),
    [
        (1020.49, 291.91, 1.45399e-2, 2.80503e-4),
        (906.892, 284.50, 1.03318e-2, 2.55945e-4),
        (804.127, 281.43, 4.46223e-3, 2.29611e-4),
    ],
)
def test_production_table_is_made_for_400_nm_A11(pressure, temperature, x, expected):
    place = (pressure * u.hPa, temperature * u.K, x, 415e-6)
    assert refractivity(400 * u.nm, *place).value == pytest.approx(expected, rel=5e-4)
    assert refractivity(350 * u.nm, *place).value > 1.01 * expected


def test_mountain_air_with_and_without_vapour():
    place = (788 * u.hPa, 10 * u.deg_C)
    x = water_vapour_mole_fraction_from_relative_humidity(np.array([0.0, 0.2]), *place)
    n = refractivity(350 * u.nm, *place, x, 420e-6)
    np.testing.assert_allclose(1e8 * n.value, [22642.9, 22634.1], atol=0.1)


def test_reference_conditions_give_back_the_dispersion_formulas():
    wavelength = np.arange(200, 1000, 50) * u.nm
    dry = refractivity(wavelength, 101325 * u.Pa, 288.15 * u.K, 0, 420e-6)
    np.testing.assert_allclose(dry, standard_air_refractivity(wavelength, 420e-6), rtol=1e-13)
    vapour = refractivity(wavelength, 1333 * u.Pa, 293.15 * u.K, 1, 420e-6)
    np.testing.assert_allclose(vapour, water_vapour_refractivity(wavelength), rtol=1e-13)


def test_water_vapour_by_hand():
    """At 1 µm, s = 1: 1.022e-8 (295.235 + 2.6422 - 0.03238 + 0.004028)."""
    n = water_vapour_refractivity(1 * u.um)
    assert n.value == pytest.approx(1.022e-8 * 297.848848, rel=1e-12)


def test_co2_changes_little():
    """0.534 of the change of the mole fraction: -1.6e-5 from 450 to 420 ppm."""
    ratio = standard_air_refractivity(RED, 420e-6) / standard_air_refractivity(RED, 450e-6)
    assert ratio.value - 1 == pytest.approx(-1.602e-5, rel=1e-6)


def test_limits():
    p = np.array([0, 1e-3, 1e-1, 10, 1000]) * u.hPa
    n = refractivity(400 * u.nm, p, 250 * u.K, 0, 420e-6).value
    assert n[0] == 0
    assert np.all(np.diff(n) > 0)
    # Proportional to the pressure but for the compressibility, 1 - Z = 8e-6 at 10 hPa.
    np.testing.assert_allclose(n[1:4] / n[1], [1, 1e2, 1e4], rtol=1e-5)


def test_monotonic_in_wavelength_temperature_and_vapour():
    place = (800 * u.hPa, 280 * u.K, 0.005, 420e-6)
    blue_to_red = refractivity(np.arange(200, 1000) * u.nm, *place)
    assert np.all(np.diff(blue_to_red) < 0)
    warmer = refractivity(400 * u.nm, 800 * u.hPa, np.arange(250, 310) * u.K, 0.005, 420e-6)
    assert np.all(np.diff(warmer) < 0)
    wetter = refractivity(400 * u.nm, 800 * u.hPa, 280 * u.K, np.linspace(0, 0.03, 50), 420e-6)
    assert np.all(np.diff(wetter) < 0)


def test_broadcasting():
    wavelength = np.linspace(300, 600, 4)[:, np.newaxis] * u.nm
    p, T = np.linspace(100, 1000, 7) * u.hPa, np.linspace(220, 290, 7) * u.K
    table = refractivity(wavelength, p, T, 0.001, 420e-6)
    assert table.shape == (4, 7)
    assert table[2, 5] == refractivity(wavelength[2, 0], p[5], T[5], 0.001, 420e-6)


def test_nan_gives_nan():
    n = refractivity(400 * u.nm, [1000, np.nan] * u.hPa, 280 * u.K, 0, 420e-6)
    assert np.isnan(n.value).tolist() == [False, True]


@pytest.mark.parametrize("bad", [199.0, 4001.0, 0.4])
def test_wavelength_out_of_range_is_refused(bad):
    with pytest.raises(ConfigurationError, match=rf"wavelength {bad:g} nm is outside 200-4000 nm"):
        standard_air_refractivity([400, bad] * u.nm, 420e-6)


def test_co2_in_ppm_is_refused():
    with pytest.raises(ConfigurationError, match="420 ppm is 420e-6"):
        refractivity(400 * u.nm, 1000 * u.hPa, 280 * u.K, 0, 420)


def test_impossible_temperature_is_refused():
    with pytest.raises(CorruptedInputError, match="is not above 0 K"):
        refractivity(400 * u.nm, 1000 * u.hPa, 0 * u.K, 0, 420e-6)
