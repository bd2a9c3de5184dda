"""LIDAR profiles of a slice: closure on known aerosols and clouds, pulls, what is left out."""

import astropy.units as u
import numpy as np
import pytest
from lidar_product import CLOUD, DUST, EXPONENT, GRID, LASERS, SITE, WAVELENGTH, product

from calibpipe.atmosphere.lidar_profiles import lidar_from_table
from calibpipe.atmosphere.lidar_slices import lidar_exponent, lidar_slice
from calibpipe.core.exceptions import CorruptedInputError
from calibpipe.simulation.lidar import AerosolLayer, Aerosols


def sliced(table, exponent=(EXPONENT, 0.1), **options):
    lidar = lidar_from_table(table, GRID, 5 * u.km)
    return lidar_slice(lidar, GRID, WAVELENGTH, exponent, **options)


def truth(*layers):
    return np.stack([Aerosols(layers).optical_depth(GRID, w) for w in WAVELENGTH], axis=1)


@pytest.mark.parametrize("lasers", [LASERS, (532,), (355,)])
def test_aerosol_has_a_colour_and_the_cloud_none(lasers):
    found = sliced(product([Aerosols((DUST, CLOUD))] * 4, lasers=lasers))
    # altitudes of the cloud's ends hold some of the aerosol: 250 m of it count as cloud
    np.testing.assert_allclose(found.profile.optical_depth, truth(DUST, CLOUD), atol=2e-4)
    np.testing.assert_allclose(found.cloud_depth, 0.2, atol=3e-4)
    assert (found.cloud_base, found.cloud_top) == (9000, 10_000)
    assert found.scatter < 1e-6


def test_low_layers_are_dust():
    low = AerosolLayer(0.3, 3 * u.km, 4 * u.km, angstrom_exponent=0.0)
    found = sliced(product([Aerosols((low,))] * 3))
    assert found.cloud_depth == 0
    assert np.isnan(found.cloud_base)
    assert found.profile.optical_depth[-1, 0] > 0.3 > found.profile.optical_depth[-1, -1]


def test_other_altitudes_than_those_of_the_lidar():
    coarse = np.append(np.arange(SITE, 15_000, 100.0), 15_000.0) * u.m
    found = sliced(product([Aerosols((DUST, CLOUD))] * 2, altitude=coarse))
    np.testing.assert_allclose(found.profile.optical_depth, truth(DUST, CLOUD), atol=2e-3)


def test_altitudes_of_another_observatory():
    table = product([Aerosols((DUST,))])
    with pytest.raises(
        CorruptedInputError, match="begin at 2158 m, the observatory stands at 2200"
    ):
        lidar_from_table(table, GRID + 42 * u.m, 5 * u.km)


def test_pulls_have_width_one():
    """Noise of 30 profiles; the errors are a few percent large where nothing varies."""
    rng = np.random.default_rng(8)
    true, n, pulls = truth(DUST), 150, []
    for _ in range(n):
        found = sliced(product([Aerosols((DUST,))] * 30, rng, noise=0.02)).profile
        pulls.append((found.optical_depth - true)[1:] / found.stat_error[1:])
    width = np.std(pulls, axis=0)[[10, 40, -1]]
    margin = 4 / np.sqrt(2 * n)
    # E max(1, s)^-1 of 30 profiles is about 0.95
    assert np.all((width > 0.95 - margin) & (width < 1.0 + margin))
    np.testing.assert_allclose(np.mean(pulls, axis=0)[[10, 40, -1]], 0, atol=4 / np.sqrt(n))


def test_one_profile_has_its_own_error():
    found = sliced(product([Aerosols((DUST,))], np.random.default_rng(1), noise=0.02)).profile
    wanted = 0.02 / np.sqrt(2)  # two lasers, brought to 532 nm with the weights of their levels
    assert 0.6 * wanted < found.stat_error[-1, 2] < 1.0 * 0.02


def test_weather_is_part_of_the_error():
    """The dust doubles in the middle of the slice: scatter, error of the mean, its correlation."""
    thick = AerosolLayer(0.16, SITE * u.m, 9 * u.km, angstrom_exponent=EXPONENT, scale=1 * u.km)
    skies = [Aerosols((DUST,))] * 10 + [Aerosols((thick,))] * 10
    found = sliced(product(skies, lasers=(532,)))
    np.testing.assert_allclose(found.profile.optical_depth[-1, 2], 0.12, rtol=1e-3)
    np.testing.assert_allclose(found.scatter, 0.04 * np.sqrt(20 / 19), rtol=1e-2)
    np.testing.assert_allclose(found.profile.stat_error[-1, 2], 0.04 / np.sqrt(19), rtol=1e-2)


def test_systematic_errors_by_name():
    found = sliced(product([Aerosols((DUST, CLOUD))] * 5, sys=0.02, lasers=(532,))).profile
    np.testing.assert_allclose(found.sys_modes["lidar"][-1, 2], 0.02)
    aerosol = 0.08 * (532 / 300) ** EXPONENT
    np.testing.assert_allclose(
        found.sys_modes["angstrom"][-1, 0], aerosol * np.log(532 / 300) * 0.1, rtol=0.01
    )
    assert abs(found.sys_modes["angstrom"][-1, 2]) < 1e-15
    assert found.sys_modes["hidden"].max() == 0


def test_a_single_wild_profile_is_left_out():
    wild = AerosolLayer(2.0, SITE * u.m, 9 * u.km, angstrom_exponent=EXPONENT)
    skies = [Aerosols((DUST,))] * 20
    skies[7] = Aerosols((wild,))
    found = sliced(product(skies, np.random.default_rng(1), noise=0.01))
    assert abs(found.profile.optical_depth[-1, 2] - 0.08) < 0.01


def test_hidden_profiles_within_the_limit():
    found = sliced(product([Aerosols((DUST,))] * 20, opaque=(4,)), max_hidden_fraction=0.1)
    assert (found.n_profiles, found.n_hidden) == (19, 1)
    hidden = found.profile.sys_modes["hidden"]
    above = GRID.value > 9000
    np.testing.assert_allclose(hidden[above], 1 / 20)
    assert hidden[~above].max() == 0


def test_too_many_hidden_profiles():
    found = sliced(product([Aerosols((DUST,))] * 20, opaque=range(5)), max_hidden_fraction=0.1)
    assert found.profile is None
    assert (found.n_profiles, found.n_hidden, found.cloud_base) == (15, 5, 9000.0)


def test_no_profiles():
    lidar = lidar_from_table(product([Aerosols((DUST,))]), GRID, 5 * u.km)
    found = lidar_slice(lidar.chosen(np.zeros(1, bool)), GRID, WAVELENGTH, (1.2, 0.5))
    assert found.profile is None
    assert (found.n_profiles, found.n_hidden) == (0, 0)


def test_a_laser_that_fails_is_left_out():
    table = product([Aerosols((DUST,))] * 6)
    table["status_355nm"][1:] = "no clear air"
    found = sliced(table)
    assert found.n_profiles == 6
    np.testing.assert_allclose(found.profile.optical_depth, truth(DUST), atol=1e-6)


def test_exponent_of_two_lasers():
    rng = np.random.default_rng(3)
    lidar = lidar_from_table(product([Aerosols((DUST,))] * 60, rng, noise=0.01), GRID, 5 * u.km)
    value, error = lidar_exponent(lidar)
    assert abs(value - EXPONENT) < 4 * error
    assert 0.01 < error < 0.1
    faint = lidar_from_table(product([Aerosols((DUST,))] * 4, sys=0.05), GRID, 5 * u.km)
    assert lidar_exponent(faint) is None
    single = lidar_from_table(product([Aerosols((DUST,))], lasers=(532,)), GRID, 5 * u.km)
    assert lidar_exponent(single) is None
