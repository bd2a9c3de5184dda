"""Rayleigh scattering: anchors A18-A22, independent fit form, vapour, phase function."""

import time

import astropy.units as u
import numpy as np
import pytest

from calibpipe.atmosphere.humid_air import water_vapour_mole_fraction_from_relative_humidity
from calibpipe.atmosphere.rayleigh import (
    depolarisation,
    gravity_of_column,
    hydrostatic_optical_depth,
    king_factor,
    lidar_ratio,
    phase_function,
    rayleigh_cross_section,
    rayleigh_optical_depth,
    water_vapour_cross_section,
)
from calibpipe.core.exceptions import ConfigurationError

NO_VAPOUR = [0.0] / u.cm**2


def bracket(wavelength_in_um):
    """Fit form of Bodhaine et al. 1999: cross-section in 1e-28 cm2, a second way to the same."""
    s, square = wavelength_in_um**-2, wavelength_in_um**2
    return (1.0455996 - 341.29061 * s - 0.90230850 * square) / (
        1 + 0.0027059889 * s - 85.968563 * square
    )


def test_cross_section_A18():
    wavelength = [300, 350, 400, 450, 500, 550, 600] * u.nm
    expected = [56.5249, 29.2890, 16.7383, 10.2743, 6.66136, 4.51054, 3.16404]
    sigma = rayleigh_cross_section(wavelength, 360e-6)
    assert sigma.unit == u.cm**2
    np.testing.assert_allclose(sigma.value * 1e27, expected, rtol=1e-5)


@pytest.mark.parametrize(("low", "high", "agreement"), [(250, 551, 2.5e-5), (551, 851, 8.5e-5)])
def test_cross_section_agrees_with_the_fit_form(low, high, agreement):
    wavelength = np.arange(low, high) * u.nm
    ratio = rayleigh_cross_section(wavelength, 360e-6).value / (
        1e-28 * bracket(wavelength.to_value(u.um))
    )
    np.testing.assert_allclose(ratio, 1, atol=agreement)


def test_optical_depth_at_sea_level_A19():
    wavelength = [0.3, 0.35, 0.4, 0.5, 0.6] * u.um
    expected = [1.21644, 0.63031, 0.36021, 0.14335, 0.06809]
    tau = hydrostatic_optical_depth(wavelength, 1013.25 * u.hPa, 0 * u.m, 45 * u.deg, 360e-6)
    np.testing.assert_allclose(tau.value, expected, rtol=1e-4)
    np.testing.assert_allclose(tau.value, 0.0021520 * bracket(wavelength.value), rtol=1e-4)


def test_optical_depth_at_mauna_loa_A20():
    wavelength = [0.3, 0.35, 0.4, 0.5, 0.6] * u.um
    expected = [0.81868, 0.42421, 0.24243, 0.09648, 0.04583]
    tau = hydrostatic_optical_depth(wavelength, 680 * u.hPa, 3400 * u.m, 19.533 * u.deg, 360e-6)
    np.testing.assert_allclose(tau.value, expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ((788 * u.hPa, 2156 * u.m, 28.7618 * u.deg), [0.94787, 0.49115, 0.28069, 0.05306]),
        ((785 * u.hPa, 2147 * u.m, -24.6272 * u.deg), [0.94455, 0.48943, 0.27970, 0.05287]),
    ],
)
def test_optical_depth_of_the_sites(place, expected):
    wavelength = [300, 350, 400, 600] * u.nm
    tau = hydrostatic_optical_depth(wavelength, *place, 420e-6)
    np.testing.assert_allclose(tau.value, expected, rtol=1e-4)


def test_optical_depth_of_a_column_A21():
    """US Standard Atmosphere above 2156 m: 1.65797e25 molecules/cm2."""
    wavelength = [300, 350, 400, 500] * u.nm
    tau = rayleigh_optical_depth(wavelength, [1.65797e25] / u.cm**2, NO_VAPOUR, 420e-6)
    np.testing.assert_allclose(tau[:, 0].value, [0.93723, 0.48564, 0.27754, 0.11045], rtol=4e-5)


def test_king_factor_and_depolarisation_A22():
    F = king_factor([400, 532] * u.nm, 360e-6)
    np.testing.assert_allclose(F.value, [1.05126, 1.04899], atol=1e-5)
    assert depolarisation(532 * u.nm, 360e-6).value == pytest.approx(0.02842, abs=1e-5)


def test_lidar_ratio_A22():
    ratio = lidar_ratio([355, 532, 1064] * u.nm, 360e-6)
    assert ratio.unit == u.sr
    np.testing.assert_allclose(ratio.value, [8.5058, 8.4966, 8.4924], atol=1e-4)
    backward = phase_function(532 * u.nm, 180 * u.deg, 360e-6)
    assert backward.value == pytest.approx(1.4790, abs=1e-4)


def test_phase_function_is_normalised():
    """Mean over the sphere, by Gauss-Legendre in cos(theta): exact for a polynomial."""
    cosine, weight = np.polynomial.legendre.leggauss(4)
    values = phase_function(400 * u.nm, np.arccos(cosine) * u.rad, 420e-6).value
    assert np.sum(weight * values) / 2 == pytest.approx(1, rel=1e-13)


def test_phase_function_gives_back_the_depolarisation():
    """Unpolarised light scattered at 90 degrees: P(90)/P(0) = (1+3g)/(2+2g), g = rho/(2-rho)."""
    rho = depolarisation(400 * u.nm, 420e-6).value
    forward, right = phase_function(400 * u.nm, [0, 90] * u.deg, 420e-6).value
    assert right / forward == pytest.approx((1 + rho) / 2, rel=1e-13)


def test_co2_changes_little():
    """+7.0e-5 in the cross-section from 360 to 420 ppm, +3.9e-5 in the optical depth."""
    sigma = [rayleigh_cross_section(400 * u.nm, c).value for c in (360e-6, 420e-6)]
    assert sigma[1] / sigma[0] - 1 == pytest.approx(7.0e-5, abs=1e-6)
    place = (400 * u.nm, 788 * u.hPa, 2156 * u.m, 28.76 * u.deg)
    tau = [hydrostatic_optical_depth(*place, c).value for c in (360e-6, 420e-6)]
    assert tau[1] / tau[0] - 1 == pytest.approx(3.9e-5, abs=1e-6)


def test_vapour_scatters_half_a_percent_less():
    """Saturated air of 15 degC against dry air, per molecule."""
    x = water_vapour_mole_fraction_from_relative_humidity(1.0, 1013.25 * u.hPa, 15 * u.deg_C)
    column = np.array([1e25]) / u.cm**2
    dry = rayleigh_optical_depth([400] * u.nm, column, NO_VAPOUR, 420e-6)
    wet = rayleigh_optical_depth([400] * u.nm, column * (1 - x), column * x, 420e-6)
    assert (wet / dry).value.item() - 1 == pytest.approx(-0.005, abs=0.0005)


def test_water_molecule_by_lorentz_lorenz():
    """(n-1)/N of vapour is 0.869 of that of air at 400 nm; squared, times the King factors."""
    ratio = water_vapour_cross_section(400 * u.nm) / rayleigh_cross_section(400 * u.nm, 420e-6)
    vapour = 1.022e-8 * (295.235 + 2.6422 * 6.25 - 0.03238 * 6.25**2 + 0.004028 * 6.25**3)
    # Z of the vapour from the second virial coefficient of steam, -1.2e-3 m3/mol, by hand.
    per_molecule = vapour / (1333 / (0.99934 * 1.380649e-23 * 293.15))
    air_per_molecule = 2.8276e-4 / 2.546899e25
    expected = (per_molecule / air_per_molecule) ** 2 * 1.001 / 1.05126
    assert ratio.value == pytest.approx(expected, rel=5e-4)


def test_gravity_of_column_against_a_production_table():
    """Pressure over thickness of CTAO's table of La Palma is 9.7680, 9.7646, 9.7619 m/s2.

    Bodhaine's altitude is where half of the mass lies, below the mean altitude of the mass, so
    that gravity comes out too large, by less than the 1e-3 quoted as systematic error.
    """
    g = gravity_of_column([0, 1000, 2000] * u.m, 28.762166 * u.deg)
    excess = g.to_value(u.m / u.s**2) / np.array([9.7680, 9.7646, 9.7619]) - 1
    assert np.all((excess > 0) & (excess < 1e-3))


@pytest.mark.parametrize(("latitude", "c2"), [(0, 1), (45, 0), (90, -1)])
def test_gravity_of_column_by_hand(latitude, c2):
    """cos(2 lat) is 1 at the equator, 0 at 45 deg, -1 at the pole."""
    z = 5517.56
    expected = 980.6160 * (1 - 0.0026373 * c2 + 0.0000059 * c2**2)
    expected -= (3.085462e-4 + 2.27e-7 * c2) * z
    expected += (7.254e-11 + 1e-13 * c2) * z**2 - (1.517e-17 + 6e-20 * c2) * z**3
    g = gravity_of_column(0 * u.m, latitude * u.deg)
    assert g.to_value(u.cm / u.s**2) == pytest.approx(expected, rel=1e-12)


def test_gravity_falls_with_height_and_rises_to_the_poles():
    assert np.all(np.diff(gravity_of_column(np.linspace(0, 5, 9) * u.km, 30 * u.deg)) < 0)
    assert np.all(np.diff(gravity_of_column(0 * u.m, np.linspace(0, 90, 9) * u.deg)) > 0)


def test_full_table_takes_milliseconds():
    """800 wavelengths by 50 altitudes; ctao-calibpipe needs 206 s."""
    wavelength = np.arange(200, 1000) * u.nm
    column = np.linspace(0, 1.6e25, 50) / u.cm**2
    start = time.process_time()
    tau = rayleigh_optical_depth(wavelength, 0.99 * column, 0.01 * column, 420e-6)
    assert time.process_time() - start < 0.25
    assert tau.shape == (800, 50)
    assert np.all(tau[:, 0] == 0)
    assert np.all(np.diff(tau, axis=1) > 0)
    assert np.all(np.diff(tau[:, -1]) < 0)


def test_nan_in_a_column_stays_where_it_is():
    tau = rayleigh_optical_depth([400] * u.nm, [1e25, np.nan] / u.cm**2, [0, 0] / u.cm**2, 420e-6)
    assert np.isnan(tau.value).tolist() == [[False, True]]


def test_wavelength_out_of_range_is_refused():
    with pytest.raises(ConfigurationError, match="wavelength 150 nm is outside 200-4000 nm"):
        rayleigh_cross_section(150 * u.nm, 420e-6)


def test_co2_in_ppm_is_refused():
    with pytest.raises(ConfigurationError, match="420 ppm is 420e-6"):
        king_factor(400 * u.nm, 420)
