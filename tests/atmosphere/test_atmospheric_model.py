import astropy.units as u
import numpy as np
import pytest

from calibpipe.atmosphere.atmospheric_model import (
    FINE_ALTITUDES,
    column_relative_error,
    extinction_altitudes,
    partial_columns,
    shower_atmosphere,
)
from calibpipe.atmosphere.density_profile import MolecularProfile
from calibpipe.atmosphere.rayleigh import rayleigh_optical_depth
from calibpipe.atmosphere.reference_model import us_standard_profile

GRID = np.concatenate([np.arange(0, 31), np.arange(32, 51, 2), np.arange(55, 121, 5)]) * u.km


@pytest.fixture(scope="module")
def us_standard():
    return us_standard_profile(FINE_ALTITUDES)


def test_a21_extinction_of_the_us_standard_atmosphere(us_standard):
    edges = np.array([2156.0, 10_000.0, 120_000.0]) * u.m
    dry, vapour = partial_columns(us_standard, edges)
    assert (dry + vapour)[-1].to_value(1 / u.cm**2) == pytest.approx(1.65797e25, rel=2e-5)
    tau = rayleigh_optical_depth([300, 350, 400, 500] * u.nm, dry, vapour, 420e-6)
    np.testing.assert_allclose(tau[:, -1], [0.93723, 0.48564, 0.27754, 0.11045], rtol=1e-4)
    np.testing.assert_allclose(tau[1:3, 0], [0.32022, 0.18300], rtol=1e-4)


def test_thickness_and_density_agree(us_standard):
    model = shower_atmosphere(us_standard, GRID, 400 * u.nm, 420e-6)
    assert model.thickness[-1] == 0 * u.g / u.cm**2
    np.testing.assert_allclose(
        model.thickness[[0, 10, 20]].to_value(u.g / u.cm**2), [1035.616, 271.623, 56.857], rtol=1e-4
    )
    np.testing.assert_allclose(
        model.density[[0, 5, 15]].to_value(u.kg / u.m**3), [1.2250, 0.736428, 0.194755], rtol=1e-4
    )


def test_refractivity_has_its_wavelength(us_standard):
    at_400, at_350 = (
        shower_atmosphere(us_standard, GRID, wavelength * u.nm, 420e-6).refractivity
        for wavelength in (400, 350)
    )
    np.testing.assert_allclose(at_350 / at_400, 1.0119, atol=1e-4)  # A10
    assert at_400[0] == pytest.approx(2.8276e-4, rel=2e-4)  # A09, standard air


def test_a11_production_atmosphere():
    """Three rows of CTA's La Palma winter table: density and n-1 from p, T and humidity."""
    altitude = np.array([0.0, 1.0, 2.0]) * u.km
    temperature = [291.91, 284.50, 281.43] * u.K
    pressure = [1020.49, 906.892, 804.127] * u.hPa
    vapour = np.array([1.45399e-2, 1.03318e-2, 4.46223e-3])
    from calibpipe.atmosphere.humid_air import moist_air_density, number_density

    density = moist_air_density(pressure, temperature, vapour, 415e-6)
    profile = MolecularProfile(
        altitude.to(u.m),
        pressure,
        temperature,
        density,
        number_density(pressure, temperature, vapour),
        vapour,
    )
    model = shower_atmosphere(profile, altitude, 400 * u.nm, 415e-6)
    expected = [1.21171e-3, 1.10668e-3, 9.94136e-4]
    np.testing.assert_allclose(model.density.to_value(u.g / u.cm**3), expected, rtol=2e-4)
    np.testing.assert_allclose(model.refractivity, [2.80503e-4, 2.55945e-4, 2.29611e-4], rtol=5e-4)


def test_extinction_altitudes_of_the_north_are_those_of_ctao():
    edges = extinction_altitudes(2158 * u.m).to_value(u.km)
    assert edges.size == 51
    np.testing.assert_allclose(
        edges[:11], [2.158, 2.208, 2.258, 2.358, 2.458, 2.658, 2.858, 3.158, 3.658, 4.158, 4.5]
    )
    assert edges[-1] == 120
    assert np.all(np.diff(edges) > 0)


@pytest.mark.parametrize("bad", [-1, 2500] * u.m)
def test_extinction_altitudes_of_other_sites(bad):
    with pytest.raises(ValueError, match=r"the grid is made for 0 to 2\.45 km"):
        extinction_altitudes(bad)


def test_partial_columns_add_up(us_standard):
    edges = np.array([2.158, 3.3337, 10.0, 120.0]) * u.km
    dry, _ = partial_columns(us_standard, edges)
    pieces = [
        partial_columns(us_standard, edges[k : k + 2])[0][0].to_value(u.cm**-2) for k in range(3)
    ]
    np.testing.assert_allclose(np.cumsum(pieces), dry.to_value(u.cm**-2), rtol=1e-9)


def test_error_of_a_column_is_the_weighted_mean_of_the_errors(us_standard):
    z, density = us_standard.altitude, us_standard.density
    constant = column_relative_error(z, density, np.full(z.size, 0.01), 2 * u.km, [5, 120] * u.km)
    np.testing.assert_allclose(constant, 0.01)
    upper_half = np.where(z > 5.5 * u.km, 0.02, 0.0) + 1e-12
    (half,) = column_relative_error(z, density, upper_half, 0 * u.km, [120] * u.km)
    assert half == pytest.approx(0.01, rel=0.02)  # half of the mass lies above 5.5 km
