"""Metrics of aerosols and clouds: possible values, errors, products of bad weather."""

import numpy as np
import pytest
from astropy.table import QTable

from calibpipe.verification.aerosol import INTERNAL, conditions_metrics, internal_metrics

FRAM, LIDAR = "atmosphere/clear_night", "atmosphere/lidar"
ALLSKY, TRANSPARENCY = "atmosphere/allsky", "atmosphere/transparency_coefficient"


def product(columns, **header):
    table = QTable(columns)
    table.meta["calibpipe"] = header
    return table


def fram(vaod=(0.02, 0.01, 0.03)):
    columns = {
        "scope": ["night", "window", "window"],
        "vaod": vaod,
        "stat_error": [0.003] * 3,
        "sys_error": [0.004] * 3,
        "n_measurements": [60, 30, 30],
        "detectable": [0.002] * 3,
    }
    return product(columns, rejected_measurements={"not_finite": 15, "zenith_angle": 5})


def test_fram_by_hand():
    metrics = internal_metrics(FRAM, fram())
    assert metrics["stat_error"].tolist() == [[0.003]]
    assert metrics["sys_error"].tolist() == [[0.004]]
    assert metrics["rejected_fraction"] == pytest.approx(20 / 80)
    assert metrics["negative_depth"].tolist() == [[0, 0]]
    assert set(metrics) == INTERNAL[FRAM]


def test_negative_depth_in_units_of_the_whole_error():
    metrics = internal_metrics(FRAM, fram([0.0, -0.02, 0.01]))
    np.testing.assert_allclose(metrics["negative_depth"], [[-4, 0]])  # hypot(3, 4) = 5 per mille


def lidar(depth, error=0.01, status="measured"):
    depth = np.array(depth, float)
    n = len(depth)
    columns = {"angstrom_exponent": np.full(n, 1.1)}
    for wavelength in (355, 532):
        columns |= {
            f"status_{wavelength}nm": [status] * n,
            f"optical_depth_{wavelength}nm": depth,
            f"optical_depth_stat_error_{wavelength}nm": np.where(np.isnan(depth), np.nan, error),
            f"optical_depth_sys_error_{wavelength}nm": np.where(np.isnan(depth), np.nan, 0.0),
        }
    return product(columns, wavelengths_in_nm=[355, 532])


def test_lidar_by_hand():
    metrics = internal_metrics(LIDAR, lidar([[0, 0.1, 0.2], [0, -0.05, np.nan]]))
    assert metrics["unusable_fraction"].tolist() == [[0], [0]]
    np.testing.assert_allclose(metrics["depth_error"], 0.01)
    np.testing.assert_allclose(metrics["negative_depth"], [[0, -5]] * 2)
    np.testing.assert_allclose(metrics["depth_decrease"], [[0, 0.05]] * 2)
    np.testing.assert_allclose(metrics["angstrom_exponent"], [[1.1, 1.1]])


def test_decrease_is_that_of_the_whole_profile():
    """0.30 falls to 0.18 in three steps, over a gap."""
    metrics = internal_metrics(LIDAR, lidar([[0, 0.3, 0.25, np.nan, 0.18, 0.2]]))
    np.testing.assert_allclose(metrics["depth_decrease"], 0.12)


def test_overcast_lidar_says_only_that_it_saw_nothing():
    table = lidar(np.full((3, 4), np.nan), status="no light from above the layer")
    table["angstrom_exponent"] = np.nan
    metrics = internal_metrics(LIDAR, table)
    assert set(metrics) == {"unusable_fraction"}
    assert metrics["unusable_fraction"].tolist() == [[1], [1]]


def allsky(fraction):
    fraction = np.array(fraction, float)
    known = np.isfinite(fraction)
    stars = np.where(known[:, None], [[80, 120]], 0)
    columns = {
        "status": np.where(known, "", "Moon in the frame"),
        "cloud_fraction": fraction,
        "cloud_fraction_stat_error": np.where(known, 0.03, np.nan),
        "cloud_fraction_sys_error": np.where(known, 0.04, np.nan),
        "region_n_expected": stars,
    }
    return product(columns)


def test_allsky_by_hand():
    metrics = internal_metrics(ALLSKY, allsky([-0.1, 0.5, 1.2, np.nan]))
    np.testing.assert_allclose(metrics["unusable_fraction"], 0.25)
    np.testing.assert_allclose(metrics["fraction_error"], [[0.05, 0.05, 0.05, np.nan]])
    np.testing.assert_allclose(metrics["impossible_fraction"], [[-2, 0, 4, np.nan]])
    np.testing.assert_allclose(metrics["n_expected"], [[200, 200, 200, np.nan]])


def test_clear_frames_have_an_empty_status_in_the_file(tmp_path):
    """ECSV reads a column without any text as masked."""
    allsky([0.0, 0.5]).write(tmp_path / "allsky.ecsv")
    metrics = internal_metrics(ALLSKY, QTable.read(tmp_path / "allsky.ecsv"))
    assert metrics["unusable_fraction"] == 0


def test_transparency_by_hand():
    columns = {
        "transparency": [0.9, 1.1, np.nan],
        "stat_error": [0.01, 0.01, np.nan],
        "sys_error": [0.05, 0.05, np.nan],
        "n_telescopes": [4, 1, 0],
        "chi2": [6.0, 0.0, np.nan],
    }
    metrics = internal_metrics(TRANSPARENCY, product(columns))
    np.testing.assert_allclose(metrics["unknown_fraction"], 1 / 3)
    np.testing.assert_allclose(metrics["reduced_chi2"], [[2, np.nan, np.nan]])
    np.testing.assert_allclose(metrics["transparency"], [[0.9, 1.1, np.nan]])


def conditions(transmission):
    transmission = np.array(transmission, float)
    known = np.isfinite(transmission)
    error = np.where(known, 0.03, np.nan), np.where(known, 0.04, np.nan)
    slices = {
        "reference_transmission": transmission,
        "reference_transmission_stat_error": error[0],
        "reference_transmission_sys_error": error[1],
        "lidar_fram_pull": np.where(known, 1.5, np.nan),
    }
    factor = np.ones((len(known), 2, 3))
    factor[:, 1, 2] = 2.0  # the least known energy and zenith angle counts
    corrections = {
        f"mean_transmission{name}": factor * values[:, None, None]
        for name, values in zip(
            ("", "_stat_error", "_sys_error"), (transmission, *error), strict=True
        )
    }
    return {"slices": QTable(slices), "corrections": QTable(corrections)}


def test_conditions_by_hand():
    metrics = conditions_metrics(conditions([0.9, 1.2, np.nan]), {"fractions": {"unknown": 0.25}})
    assert metrics["unknown_fraction"] == 0.25
    np.testing.assert_allclose(metrics["transmission_error"], [[0.05, 0.05, np.nan]])
    np.testing.assert_allclose(metrics["impossible_transmission"], [[0, 4, np.nan]])
    np.testing.assert_allclose(metrics["correction_error"], [[0.1, 0.1, np.nan]])
    np.testing.assert_allclose(metrics["instrument_pull"], [[1.5, 1.5, np.nan]])


def test_conditions_of_a_night_that_nobody_knows():
    metrics = conditions_metrics(conditions([np.nan] * 2), {"fractions": {"unknown": 1.0}})
    assert set(metrics) == {"unknown_fraction"}
