"""The standard against its own printed tables and against hydrostatics."""

import astropy.units as u
import numpy as np
import pytest
from scipy.integrate import simpson

from calibpipe.atmosphere.standard_atmosphere import EARTH_RADIUS, standard_atmosphere
from calibpipe.core.exceptions import MissingInputError


@pytest.mark.parametrize(
    ("altitude", "temperature", "pressure", "density"),
    [  # km, K, hPa, kg/m3; the last digit printed is good to half a unit
        (0, 288.150, 1013.25, 1.22500),
        (5, 255.676, 540.483, 0.736428),
        (15, 216.65, 121.118, 0.194755),
        (30, 226.509, 11.9703, 0.0184102),
        (50, 270.65, 0.797791, 1.02688e-3),
        (80, 198.639, 0.0105247, 1.84580e-5),
    ],
)
def test_a12_below_86_km(altitude, temperature, pressure, density):
    air = standard_atmosphere(altitude * u.km)
    assert air.temperature.to_value(u.K) == pytest.approx(temperature, rel=3e-6)
    assert air.pressure.to_value(u.hPa) == pytest.approx(pressure, rel=5e-6)
    assert air.density.to_value(u.kg / u.m**3) == pytest.approx(density, rel=5e-6)


@pytest.mark.parametrize(
    ("altitude", "temperature", "pressure", "density"),
    [  # table I of the standard, km, K, mb, kg/m3: rows between those the module holds
        (87, 186.87, 3.1259e-3, 5.824e-6),
        (91, 186.87, 1.5381e-3, 2.860e-6),
        (95, 188.42, 7.5966e-4, 1.393e-6),
        (101, 197.16, 2.7192e-4, 4.695e-7),
        (105, 208.84, 1.4477e-4, 2.325e-7),
        (111, 252.00, 6.2614e-5, 8.111e-8),
        (115, 300.00, 4.0096e-5, 4.289e-8),
        (119, 348.00, 2.7615e-5, 2.509e-8),
    ],
)
def test_printed_rows_between_the_tabulated_ones(altitude, temperature, pressure, density):
    air = standard_atmosphere(altitude * u.km)
    assert air.temperature.to_value(u.K) == pytest.approx(temperature, abs=0.01)
    assert air.pressure.to_value(u.hPa) == pytest.approx(pressure, rel=1e-3)
    assert air.density.to_value(u.kg / u.m**3) == pytest.approx(density, rel=3e-3)


def test_a13_column_and_number_density():
    z = np.arange(0.0, 120_001.0, 50.0)
    rho = standard_atmosphere(z * u.m).density.to_value(u.g / u.cm**3)
    above_120_km = 2.5382e-3 / 9.45 / 10.0  # g/cm2: pressure in Pa over gravity up there
    for altitude, column in ((0, 1035.616), (2200, 793.080), (10_000, 271.623), (40_000, 2.972)):
        above = z >= altitude
        mass = simpson(rho[above], x=z[above] * 100.0) + above_120_km
        assert mass == pytest.approx(column, rel=2e-4)
    number = standard_atmosphere(15 * u.km).number_density
    assert number.to_value(1 / u.cm**3) == pytest.approx(4.04925e18, rel=1e-5)


def test_pressure_is_the_weight_of_the_air_above():
    z = np.linspace(-4.9e3, 119e3, 401)
    step = 1.0  # m
    higher, lower = (standard_atmosphere((z + d) * u.m).pressure.si.value for d in (step, -step))
    gravity = 9.80665 * (EARTH_RADIUS / (EARTH_RADIUS + z)) ** 2
    density = standard_atmosphere(z * u.m).density.si.value
    ratio = (lower - higher) / (2 * step) / (density * gravity)
    np.testing.assert_allclose(ratio[z < 85.9e3], 1.0, rtol=1e-6)
    # Above, the air of the standard itself is not quite at rest: its printed rows at 98, 99,
    # 100 km have (p98 - p100)/(rho g) = 1.015, Simpson's rule for the density.
    np.testing.assert_allclose(ratio[z > 86.1e3], 1.0, rtol=2e-2)


def test_continuous_at_86_km_and_at_every_layer():
    edges = np.array([11.019, 20.063, 32.162, 47.350, 51.413, 71.802, 86.0, 91.0, 110.0])
    below, above = (standard_atmosphere((edges + d) * u.km) for d in (-1e-6, 1e-6))
    for name in ("temperature", "pressure", "density", "number_density"):
        np.testing.assert_allclose(
            getattr(below, name).value, getattr(above, name).value, rtol=5e-5, err_msg=name
        )


def test_shape_and_unit_of_the_altitude_are_free():
    z = np.array([[0.0, 10_000.0], [50_000.0, 100_000.0]]) * u.m
    assert standard_atmosphere(z).pressure.shape == (2, 2)
    assert standard_atmosphere(10 * u.km).pressure == standard_atmosphere(z).pressure[0, 1]


@pytest.mark.parametrize("altitude", [-5.1, 120.1, np.nan])
def test_outside_the_standard(altitude):
    with pytest.raises(MissingInputError, match=rf"from -5 to 120 km, asked at {altitude} km"):
        standard_atmosphere([10.0, altitude] * u.km)


def test_a16_logarithmic_interpolation_between_era5_levels():
    """ln rho, linear between the 37 levels of ERA5, meets the density at 15 km within 1e-5."""
    hpa = [1, 2, 3, 5, 7, 10, 20, 30, 50, 70, *range(100, 251, 25), *range(300, 751, 50)]
    hpa += list(range(775, 1001, 25))
    fine = np.arange(-500.0, 60_000.0, 5.0)
    log_p = np.log(standard_atmosphere(fine * u.m).pressure.to_value(u.hPa))
    levels = np.sort(np.interp(-np.log(hpa), -log_p, fine))
    assert len(levels) == 37

    def log_density(z):
        return np.log(standard_atmosphere(z * u.m).density.si.value)

    z = np.append(np.arange(2200.0, 30_000.0, 100.0), 15_000.0)
    error = np.interp(z, levels, log_density(levels)) - log_density(z)
    assert abs(error[-1]) < 1e-5
    assert np.max(np.abs(error)) < 2e-3
