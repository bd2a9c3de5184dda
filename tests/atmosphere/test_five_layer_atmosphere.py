"""Linsley's atmosphere by its published numbers; fits of real and of known profiles."""

import time

import astropy.units as u
import numpy as np
import pymsis
import pytest

from calibpipe.atmosphere.corsika_table import CORSIKA_ALTITUDES
from calibpipe.atmosphere.five_layer_atmosphere import (
    LINSLEY_US_STANDARD,
    FiveLayerAtmosphere,
    fit_five_layers,
)
from calibpipe.atmosphere.standard_atmosphere import standard_atmosphere
from calibpipe.core.exceptions import CorruptedInputError, MissingInputError

G_CM2 = u.g / u.cm**2


def table(density_of):
    """Thickness on CORSIKA's rows of a density [g/cm3] given as a function of altitude [km]."""
    z = np.arange(0.0, 120.001, 0.02)
    rho = density_of(z)
    layers = np.diff(z) * 1e5 * np.diff(rho) / np.diff(np.log(rho))  # exponential in between
    above = np.append(np.cumsum(layers[::-1])[::-1], 0.0)
    return np.interp(CORSIKA_ALTITUDES.value, z, above) * G_CM2


def standard():
    return table(lambda z: standard_atmosphere(z * u.km).density.to_value(u.g / u.cm**3))


def nrlmsise(site, date):
    z = np.arange(0.0, 120.001, 0.5)
    latitude, longitude = site.latitude.to_value(u.deg), site.longitude.to_value(u.deg)
    run = pymsis.calculate(
        np.datetime64(date), longitude, latitude, z, 150.0, 150.0, [[4.0] * 7], version=0
    )
    log_density = np.log(run[0, 0, 0, :, pymsis.Variable.MASS_DENSITY] * 1e-3)
    return table(lambda fine: np.exp(np.interp(fine, z, log_density)))


def test_a14_linsley():
    T = LINSLEY_US_STANDARD.thickness([0, 2.156, 5, 10, 15, 20, 40] * u.km).to_value(G_CM2)
    published = [1036.101, 797.73, 552.96, 271.70, 124.14, 56.90, 3.0395]
    half_digit = np.array([5e-4, *[5e-3] * 5, 5e-5])
    assert np.all(np.abs(T - published) <= half_digit)
    density = LINSLEY_US_STANDARD.density([0.0, 9.9999999, 10.0] * u.km)
    np.testing.assert_allclose(
        density.to_value(u.g / u.cm**3), [1.22981e-3, 4.1749e-4, 4.2614e-4], atol=5e-9
    )


def test_a14_linsley_is_continuous():
    boundaries = LINSLEY_US_STANDARD.boundaries[1:]
    jump = LINSLEY_US_STANDARD.thickness(boundaries) - LINSLEY_US_STANDARD.thickness(
        boundaries * (1 - 1e-14)
    )
    assert np.all(np.abs(jump) < 1e-3 * G_CM2)


def test_density_is_the_derivative_of_the_thickness():
    z = np.array([0.5, 7.0, 25.0, 60.0, 105.0]) * u.km
    step = 1 * u.m
    for atmosphere in (
        LINSLEY_US_STANDARD,
        fit_five_layers(CORSIKA_ALTITUDES, standard()).atmosphere,
    ):
        slope = (atmosphere.thickness(z - step) - atmosphere.thickness(z + step)) / (2 * step)
        np.testing.assert_allclose(atmosphere.density(z).cgs.value, slope.cgs.value, rtol=1e-6)


def test_nothing_above_the_top():
    assert LINSLEY_US_STANDARD.top.to_value(u.km) == pytest.approx(112.8292, rel=1e-9)
    assert LINSLEY_US_STANDARD.thickness(113 * u.km) == 0 * G_CM2
    assert LINSLEY_US_STANDARD.density(113 * u.km) == 0 * u.g / u.cm**3


def test_fit_recovers_linsley():
    fit = fit_five_layers(CORSIKA_ALTITUDES, LINSLEY_US_STANDARD.thickness(CORSIKA_ALTITUDES))
    assert fit.largest_thickness_residual < 1e-6
    assert fit.largest_density_residual < 1e-5
    atmosphere = fit.atmosphere
    np.testing.assert_allclose(atmosphere.c[:4].cgs, LINSLEY_US_STANDARD.c[:4].cgs, rtol=1e-5)
    np.testing.assert_allclose(
        atmosphere.b[:4].cgs.value, LINSLEY_US_STANDARD.b[:4].cgs.value, rtol=1e-4
    )


def test_fit_recovers_other_layers():
    """Boundaries far from every start of the search; built so that thickness is continuous."""
    edges = np.array([0.0, 11.3, 18.4, 30.5, 98.0]) * 1e5
    c = np.array([9.6e5, 6.8e5, 6.2e5, 7.5e5])
    at_edges = [1033.0, 228.0, 79.0, 12.2, 1.1e-3]
    a, b = [], []
    for low, high, upper, lower, scale in zip(
        edges, edges[1:], at_edges, at_edges[1:], c, strict=False
    ):
        b.append((upper - lower) / (np.exp(-low / scale) - np.exp(-high / scale)))
        a.append(upper - b[-1] * np.exp(-low / scale))
    top_scale = (112.8292e5 - edges[4]) / at_edges[4]
    truth = FiveLayerAtmosphere(
        edges * u.cm,
        np.append(a, 112.8292e5 / top_scale) * G_CM2,
        np.append(b, 1.0) * G_CM2,
        np.append(c, top_scale) * u.cm,
    )
    fit = fit_five_layers(CORSIKA_ALTITUDES, truth.thickness(CORSIKA_ALTITUDES))
    assert fit.largest_thickness_residual < 1e-4
    # Within an interval of 1 km a boundary can hide, not farther.
    np.testing.assert_allclose(fit.atmosphere.boundaries[:3], edges[:3] * u.cm, atol=1 * u.km)


@pytest.mark.parametrize("date", ["2023-01-15T01:00", "2023-07-15T01:00"])
@pytest.mark.parametrize("name", ["north", "south"])
def test_fit_of_both_sites(name, date, request):
    thickness = nrlmsise(request.getfixturevalue(name), date)
    begin = time.process_time()
    fit = fit_five_layers(CORSIKA_ALTITUDES, thickness)
    assert time.process_time() - begin < 1.0
    assert fit.largest_thickness_residual < 0.01
    assert fit.largest_density_residual < 0.05
    assert_physical(fit)


def test_fit_of_the_standard_is_better_than_its_built_in_layers():
    thickness = standard()
    fit = fit_five_layers(CORSIKA_ALTITUDES, thickness)
    built_in = LINSLEY_US_STANDARD.thickness(CORSIKA_ALTITUDES[:31]) / thickness[:31] - 1
    assert fit.largest_thickness_residual < 0.01
    assert fit.largest_thickness_residual < np.max(np.abs(built_in))
    assert_physical(fit)


@pytest.mark.realdata
@pytest.mark.parametrize("season", ["winter", "intermediate", "summer"])
def test_fit_of_a_real_profile(season, shared_data):
    from astropy.table import QTable

    path = shared_data / f"reference_models/reference_atmo_model_v0_ctao-north_{season}.ecsv"
    model = QTable.read(path)
    fit = fit_five_layers(model["altitude"], model["atmospheric_thickness"])
    assert fit.largest_thickness_residual < 0.01
    assert_physical(fit)


def assert_physical(fit):
    """Continuous, positive, with the residuals that the atmosphere itself gives."""
    atmosphere = fit.atmosphere
    z = np.linspace(0.0, 112.8, 5000) * u.km
    thickness = atmosphere.thickness(z)
    assert np.all(np.diff(thickness) < 0)
    assert np.all(atmosphere.density(z) > 0)
    edges = atmosphere.boundaries[1:]
    np.testing.assert_allclose(
        atmosphere.thickness(edges).value,
        atmosphere.thickness(edges * (1 - 1e-13)).value,
        rtol=1e-8,
    )
    assert atmosphere.top.to_value(u.km) == pytest.approx(112.8292, rel=1e-9)


def test_residuals_are_those_of_the_table():
    thickness = standard()
    fit = fit_five_layers(CORSIKA_ALTITUDES, thickness)
    fitted = fit.atmosphere.thickness(CORSIKA_ALTITUDES)
    np.testing.assert_allclose(
        fit.thickness_residual[:54], (fitted[:54] / thickness[:54]).value - 1
    )
    assert np.isnan(fit.thickness_residual[54])
    mean = -np.diff(fitted) / np.diff(CORSIKA_ALTITUDES)
    tabulated = -np.diff(thickness) / np.diff(CORSIKA_ALTITUDES)
    np.testing.assert_allclose(fit.density_residual, (mean / tabulated).value - 1)


def test_fit_is_deterministic():
    first, second = (fit_five_layers(CORSIKA_ALTITUDES, standard()).atmosphere for _ in range(2))
    for name in ("boundaries", "a", "b", "c"):
        assert np.array_equal(getattr(first, name), getattr(second, name))


def changed(row, value):
    thickness = standard()
    thickness[row] = value * G_CM2
    return thickness


@pytest.mark.parametrize(
    ("altitude", "thickness", "error", "message"),
    [
        (CORSIKA_ALTITUDES[:-1], standard(), CorruptedInputError, r"\(54,\) and thickness \(55,\)"),
        (CORSIKA_ALTITUDES, changed(7, np.nan), CorruptedInputError, "not finite in row 7"),
        (CORSIKA_ALTITUDES[::-1], standard(), CorruptedInputError, "115 km in row 1 follows 120"),
        (CORSIKA_ALTITUDES, changed(3, -1.0), CorruptedInputError, r"it is -1 g/cm2 at 3 km"),
        (CORSIKA_ALTITUDES, changed(9, 400.0), CorruptedInputError, r"400 g/cm2 at 9 km after"),
        (CORSIKA_ALTITUDES, changed(50, 0.0), CorruptedInputError, r"it is 0 g/cm2 at 100 km"),
        (CORSIKA_ALTITUDES[1:], standard()[1:], MissingInputError, "the table has 1 to 120 km"),
        (CORSIKA_ALTITUDES[:45], standard()[:45], MissingInputError, "the table has 0 to 70 km"),
        (CORSIKA_ALTITUDES[::3], standard()[::3], MissingInputError, "at least 20 rows"),
    ],
)
def test_bad_tables(altitude, thickness, error, message):
    with pytest.raises(error, match=message):
        fit_five_layers(altitude, thickness)
