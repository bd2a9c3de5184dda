"""Closed loop of the inversion without noise: anchors B05 and B06 of the science sheet."""

from dataclasses import fields, replace

import astropy.units as u
import numpy as np
import pytest
from lidar_sky import ALTITUDE, CO2, GREEN, NITROGEN, us_standard
from scipy.special import erf

from calibpipe.atmosphere.lidar_inversion import constrained_lidar_ratio, fernald_inversion
from calibpipe.atmosphere.lidar_molecular import molecular_signal, raman_molecular_signal
from calibpipe.atmosphere.lidar_raman import (
    angstrom_factor,
    raman_extinction,
    raman_optical_depth,
)
from calibpipe.atmosphere.lidar_rayleigh_fit import WindowSums, depth_between, rayleigh_fit
from calibpipe.core.exceptions import ConfigurationError, MissingInputError

R = np.arange(7.5, 27800.0, 7.5)  # m: to 30 km above the sea
DEPTH = 0.17  # ground layer 0.02, scale 700 m, and a cloud of 0.15, sigma 200 m, at 8 km


def aerosol_extinction(r):
    cloud = np.exp(-0.5 * ((r - 5800.0) / 200.0) ** 2) / (200.0 * np.sqrt(2.0 * np.pi))
    return 0.02 / 700.0 * np.exp(-r / 700.0) + 0.15 * cloud


def aerosol_depth(r):
    return -0.02 * np.expm1(-r / 700.0) + 0.075 * (1.0 + erf((r - 5800.0) / 200.0 / np.sqrt(2.0)))


def at(r):
    return np.array([np.searchsorted(R, r)])


@pytest.fixture(scope="module")
def molecules():
    return molecular_signal(us_standard(), R * u.m, GREEN, CO2, ALTITUDE)


@pytest.fixture(scope="module")
def signal(molecules):
    total = molecules.backscatter.value + aerosol_extinction(R) / 30.0
    return (total * np.exp(-2.0 * (molecules.optical_depth + aerosol_depth(R))))[np.newaxis]


def inverted(signal, molecules, lidar_ratio=30.0, boundary=27700.0, **more):
    bins = at(boundary)
    level = (signal / molecules.attenuated_backscatter.value)[0, bins]
    found = fernald_inversion(
        signal, 0 * signal, molecules, bins, level, 0 * level, lidar_ratio * u.sr, **more
    )
    return found, bins


def depths(found, bins):
    """Total, with the first bin's own ground, and cloud within four sigma."""
    depth = found.optical_depth[0]
    ground = aerosol_extinction(R[0]) * R[0]
    return depth[bins[0]] + ground, depth[at(6600.0)[0]] - depth[at(5000.0)[0]]


def test_molecules_are_those_of_the_science_sheet(molecules):
    assert molecules.extinction[0].value == pytest.approx(1.0591e-5, rel=1e-4)
    assert molecules.backscatter[0].value == pytest.approx(1.2465e-6, rel=1e-4)
    to_25_km = np.interp(25000.0, R, molecules.optical_depth)
    assert to_25_km == pytest.approx(0.08311, abs=1e-4)


def test_b05_right_lidar_ratio(signal, molecules):
    found, bins = inverted(signal, molecules)
    total, cloud = depths(found, bins)
    assert total == pytest.approx(DEPTH, abs=1e-4)
    assert cloud == pytest.approx(0.15, abs=1e-4)
    below = R < 7000.0
    true = aerosol_extinction(R) / 30.0
    error = found.backscatter.value[0] - true
    assert np.abs(error[below]).max() < 2e-4 * true.max()


@pytest.mark.parametrize(
    ("lidar_ratio", "cloud"), [(20, 0.1058), (25, 0.1285), (35, 0.1704), (40, 0.1898)]
)
def test_b05_wrong_lidar_ratio(signal, molecules, lidar_ratio, cloud):
    assert depths(*inverted(signal, molecules, lidar_ratio))[1] == pytest.approx(cloud, abs=1e-4)


@pytest.mark.parametrize(("scattering_ratio", "total"), [(1.02, 0.1761), (1.05, 0.1851)])
def test_b05_aerosols_at_the_boundary(signal, molecules, scattering_ratio, total):
    found = inverted(signal, molecules, scattering_ratio=scattering_ratio)
    # the boundary of the sheet is not written down: 25 instead of 28 km moves it by 2e-4
    assert depths(*found)[0] == pytest.approx(total, abs=2e-4)


def test_clean_air_has_no_aerosols(molecules):
    clean = molecules.attenuated_backscatter.value[np.newaxis]
    found, bins = inverted(clean, molecules, 50.0)
    inside = slice(0, bins[0] + 1)
    assert np.abs(found.backscatter.value[0, inside]).max() < 1e-5 * 1.2e-6
    assert np.abs(found.optical_depth[0, inside]).max() < 1e-5


def test_klett_without_molecules_gives_the_extinction(molecules):
    """A fog of constant extinction a in thin air, X = (a/S) exp(-2 a r): R = 2 at the boundary."""
    a, lidar_ratio, bins = 1e-4, 20.0, at(9000.0)
    weak = 1e-3
    thin = replace(
        molecules,
        backscatter=molecules.backscatter * weak,
        optical_depth=molecules.optical_depth * weak,
        attenuated_backscatter=molecules.attenuated_backscatter * weak,
    )
    total = thin.backscatter.value.copy()
    total[: bins[0]] += a / lidar_ratio
    total[bins[0]] *= 2.0
    depth = a * np.minimum(R, R[bins[0]])
    fog = (total * np.exp(-2.0 * (thin.optical_depth + depth)))[np.newaxis]
    level = fog[0, bins] / thin.attenuated_backscatter.value[bins]
    zero = np.zeros(1)
    found = fernald_inversion(
        fog, 0 * fog, thin, bins, level, zero, lidar_ratio * u.sr, scattering_ratio=2.0
    )
    inside = R < 8900.0
    np.testing.assert_allclose(found.extinction.value[0, inside], a, rtol=0.02)


def test_constrained_ratio_is_the_true_one(signal, molecules):
    bins = at(20000.0)
    level = (signal / molecules.attenuated_backscatter.value)[0, bins]
    found = constrained_lidar_ratio(
        signal, molecules, bins, level, at(4800.0), at(6800.0), np.array([0.15]), 30 * u.sr
    )
    assert found[0].value == pytest.approx(30.0, abs=0.02)
    impossible = constrained_lidar_ratio(
        signal, molecules, bins, level, at(4800.0), at(6800.0), np.array([3.0]), 30 * u.sr
    )
    assert np.isnan(impossible[0])


def sums_of(ratio, molecules):
    weight = molecules.attenuated_backscatter.value / R**2
    return WindowSums(ratio, 1e-4 * ratio**2, weight, R / 1e3)


@pytest.mark.parametrize("ground", [0.0, 1.0])
def test_b06_ratio_method(molecules, ground):
    """Aerosols in the air below add half of their part of the backscatter: 0.1501 for the truth."""
    haze = ground * 0.02 / 700.0 * np.exp(-R / 700.0)
    haze_depth = -ground * 0.02 * np.expm1(-R / 700.0)
    cloud = aerosol_extinction(R) - 0.02 / 700.0 * np.exp(-R / 700.0)
    cloud_depth = aerosol_depth(R) + 0.02 * np.expm1(-R / 700.0)
    part = 1.0 + (cloud + haze) / 30.0 / molecules.backscatter.value
    sums = sums_of((part * np.exp(-2.0 * (cloud_depth + haze_depth)))[np.newaxis], molecules)
    below = sums.of_profiles(at(4700.0), at(4800.0))
    above = sums.of_profiles(at(6800.0), at(8800.0))
    depth, _ = depth_between(below["mean"], 0.0, above["mean"], 0.0)
    k = at(4750.0)
    expected = 0.15 + 0.5 * np.log(part[k]) + 0.02 * ground * np.exp(-R[k] / 700.0)
    assert depth[0] == pytest.approx(expected[0], abs=1e-4)
    assert abs(depth[0] - 0.15) < (1e-3 if ground else 1e-5)


def test_b06_absolute_calibration(signal, molecules):
    ratio = signal / molecules.attenuated_backscatter.value
    clear = sums_of(ratio, molecules).of_profiles(at(3300.0), at(4800.0))
    absolute, _ = depth_between(np.ones(1), 0.0, clear["mean"], 0.0)
    part = aerosol_extinction(4000.0) / 30.0 / molecules.backscatter.value[at(4000.0)[0]]
    assert absolute[0] == pytest.approx(0.02, abs=part)


def test_b06_raman(molecules):
    raman = raman_molecular_signal(us_standard(), R * u.m, GREEN, NITROGEN, CO2, ALTITUDE)
    true = angstrom_factor(GREEN, NITROGEN, 1.0)
    ratio = np.exp(-true * aerosol_depth(R))[np.newaxis]
    sums = sums_of(ratio, raman)
    windows = (at(4790.0), at(4800.0)), (at(6800.0), at(6810.0))
    expected = {1.0: 0.1500, 0.0: 0.15 * (1.0 - 0.062)}
    for exponent, value in expected.items():
        factor = angstrom_factor(GREEN, NITROGEN, exponent)
        depth, _ = raman_optical_depth(sums, *windows, factor, R[windows[0][0]] / 1e3)
        assert depth[0] == pytest.approx(value, abs=1e-4)
    extinction, _ = raman_extinction(
        ratio, 1e-8 * ratio, raman.attenuated_backscatter.value / R**2, R * u.m, 3, true
    )
    error = np.abs(extinction.value[0] - aerosol_extinction(R))
    assert np.nanmax(error[R > 300.0]) < 4e-7


def test_statistical_errors_of_the_inversion_are_those_of_repetitions(molecules, signal):
    rng = np.random.default_rng(5)
    n = 300
    part = slice(0, 1500)
    cut = type(molecules)(**{f.name: getattr(molecules, f.name)[part] for f in fields(molecules)})
    sigma = 0.02 * signal[:, part]
    noisy = signal[:, part] + sigma * rng.standard_normal((n, 1500))
    bins = np.full(n, 1400)
    level = float(signal[0, 1400] / cut.attenuated_backscatter.value[1400])
    levels = level * (1.0 + 0.01 * rng.standard_normal(n))
    found = fernald_inversion(
        noisy,
        np.broadcast_to(sigma**2, noisy.shape),
        cut,
        bins,
        levels,
        np.full(n, 0.01 * level),
        30 * u.sr,
    )
    tolerance = 4.0 / np.sqrt(2.0 * n)  # four standard errors of a standard deviation
    for k in (100, 700, 1000, 1300):
        spread = found.backscatter.value[:, k].std()
        assert found.backscatter_stat_error.value[:, k].mean() == pytest.approx(
            spread, rel=tolerance
        )
        depth = found.optical_depth[:, k].std()
        assert found.optical_depth_stat_error[:, k].mean() == pytest.approx(depth, rel=tolerance)


def test_rayleigh_fit_finds_the_clear_air_above_the_cloud(signal, molecules):
    rng = np.random.default_rng(2)
    ratio = np.repeat(signal / molecules.attenuated_backscatter.value, 50, axis=0)
    ratio = ratio * (1.0 + 0.05 * rng.standard_normal(ratio.shape))
    weight = molecules.attenuated_backscatter.value / R**2
    sums = WindowSums(ratio, (0.05 * ratio.mean(axis=0)) ** 2 + 0 * ratio, weight, R / 1e3)
    found = rayleigh_fit(sums, (int(at(2000.0)[0]), int(at(15000.0)[0])), 260)
    assert (found.status == "clear").all()
    assert (R[found.first] > 6500.0).all()
    pull = (found.level - np.exp(-2.0 * DEPTH)) / found.level_error
    # the lowest of several windows is taken: the mean of a minimum lies below
    assert -2.0 < pull.mean() < 4.0 / np.sqrt(50.0)
    weak = WindowSums(ratio, 400.0 + 0 * ratio, weight, R / 1e3)
    nothing = rayleigh_fit(weak, (int(at(2000.0)[0]), int(at(15000.0)[0])), 260)
    assert (nothing.first == -1).all()
    assert (nothing.status == "signal too weak for a Rayleigh fit").all()


def test_wrong_input_is_refused(signal, molecules):
    with pytest.raises(ConfigurationError, match=r"0.5 to 0.5 sr, needs 1 to 200"):
        inverted(signal, molecules, 0.5)
    with pytest.raises(ConfigurationError, match=r"boundary is 0.9, needs 1 to 2"):
        inverted(signal, molecules, scattering_ratio=0.9)
    with pytest.raises(ConfigurationError, match="Stokes line"):
        angstrom_factor(NITROGEN, GREEN, 1.0)
    with pytest.raises(MissingInputError, match="asked of a profile"):
        molecular_signal(us_standard(), [70] * u.km, GREEN, CO2, ALTITUDE)
    with pytest.raises(ConfigurationError, match="above the horizon"):
        molecular_signal(us_standard(), [1] * u.km, GREEN, CO2, ALTITUDE, 2 * u.deg)


def test_nan_and_missing_boundary_give_no_numbers(signal, molecules):
    broken = signal.copy()
    broken[0, 300] = np.nan
    found, bins = inverted(broken, molecules)
    assert np.isnan(found.backscatter.value[0, :301]).all()
    assert np.isfinite(found.backscatter.value[0, 301 : bins[0]]).all()
    nowhere = fernald_inversion(
        signal, 0 * signal, molecules, np.array([-1]), np.array([np.nan]), np.zeros(1), 30 * u.sr
    )
    assert np.isnan(nowhere.optical_depth).all()
    assert not nowhere.diverged.any()
