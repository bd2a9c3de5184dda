"""Metrics of dedicated camera calibrations, by hand."""

import numpy as np
import pytest
from astropy.table import Table

from calibpipe.verification.dedicated_camera import external_metrics, internal_metrics

TRANSFER, CROSSTALK = "camera/photon_transfer", "camera/crosstalk"
EXCLUSION, PDE = "camera/excluded_pixels", "camera/photon_detection_efficiency"


def transfer(gain=(80.0, 84.0, 76.0, 10.0), status=(0, 0, 0, 8), error=0.4, ratio=17.0):
    gain = np.array([[gain]])
    pixels = {
        "gain": gain,
        "gain_stat_error": np.full(gain.shape, error),
        "status": np.array([[status]]),
        "chi2": np.full(gain.shape, 6.0),
        "n_degrees": np.full(gain.shape, 3),
        "squared_quadratic_noise": np.full(gain.shape, 1e-4),
        "range_high": np.full(gain.shape, 8000.0),
        "relative_to_spe": gain / 80.0,
    }
    signal = np.array([1000.0, 8000, 9000])[:, None, None] * np.ones((1, 4))
    points = {
        "signal": signal,
        "residual": np.array([0.001, -0.01, -0.2])[:, None, None] * np.ones((1, 4)),
        "pull": [0.1, 0.2, -7.0],
    }
    of_gains = {
        "ratio": np.full((1, 4), ratio),
        "ratio_stat_error": np.full((1, 4), 0.017),
        "status": np.zeros((1, 4), int),
        "offset": np.full((1, 4), 6.0),
        "offset_error": np.full((1, 4), 2.0),
    }
    tables = {"pixels": pixels, "points": points, "ratio": of_gains}
    return {name: Table(columns) for name, columns in tables.items()}


def test_photon_transfer():
    found = internal_metrics(TRANSFER, transfer())
    assert found["unusable_fraction"].tolist() == [[0.25]]
    assert found["relative_gain"][0, :3] == pytest.approx([1, 1.05, 0.95])
    assert np.isnan(found["relative_gain"][0, 3])
    assert found["relative_gain_error"][0, 0] == pytest.approx(0.005)
    assert found["camera_gain_error"][0, 0] == pytest.approx(0.005 / np.sqrt(3))
    assert found["reduced_chi2"][0, 0] == 2
    assert found["linearity_residual"].shape == (3, 4)
    assert np.isnan(found["linearity_residual"][2]).all()  # beyond the range
    assert found["light_pull"][:, 0].tolist() == [0.1, 0.2, -7.0]
    assert found["linear_range"][0, 0] == pytest.approx(100)
    assert found["relative_ratio_error"][0, 0] == pytest.approx(0.001)
    assert found["ratio_offset"][0, 0] == 3


def test_camera_with_one_gain_has_no_ratio():
    tables = transfer()
    del tables["ratio"]
    assert "ratio_offset" not in internal_metrics(TRANSFER, tables)


def test_without_single_photoelectrons_nothing_is_compared():
    tables = transfer()
    found = internal_metrics(TRANSFER, tables)["relative_to_spe"]
    assert found[0] == pytest.approx([1, 1.05, 0.95, 0.125])
    tables["pixels"]["relative_to_spe"] = np.nan
    assert "relative_to_spe" not in internal_metrics(TRANSFER, tables)


def test_change_of_gain_is_what_errors_do_not_explain():
    now = transfer(gain=(88.0, 84.0, 76.0, 80.0), status=(0, 0, 4, 0), ratio=17.34)
    found = external_metrics(TRANSFER, now, transfer())
    error = np.hypot(0.4 / 88, 0.4 / 80)
    assert found["gain_change"][0, 0] == pytest.approx(0.1 - 3 * error)
    assert found["gain_change"][0, 1] == 0
    assert np.isnan(found["gain_change"][0, 2:]).all()
    assert found["newly_unusable_fraction"].tolist() == [[0.25]]
    assert found["ratio_change"][0, 0] == pytest.approx(0.02 - 3 * 0.001 * np.sqrt(2), abs=1e-4)


def test_another_camera_is_not_compared():
    other = transfer(gain=(80.0,) * 5, status=(0,) * 5)
    assert external_metrics(TRANSFER, transfer(), other) == {}


def pairs(*values):
    n = len(values)
    columns = {"pixel": np.arange(n), "source": np.arange(n) + 1, "crosstalk": np.array(values)}
    return {"pairs": Table(columns | {"stat_error": np.full(n, 0.001)})}


def test_crosstalk():
    found = internal_metrics(CROSSTALK, pairs(0.01, 0.002, np.nan, -0.01))
    assert found["crosstalk"][0, [0, 1, 3]] == pytest.approx([0.007, 0, -0.007])
    assert found["mean_crosstalk"][0, 0] == pytest.approx(0.002 / 3)
    assert found["unknown_fraction"][0, 0] == 0.25
    change = external_metrics(CROSSTALK, pairs(0.02, 0.01), pairs(0.01, 0.01))
    assert change["crosstalk_change"][0] == pytest.approx([0.01 - 3e-3 * np.sqrt(2), 0])
    assert external_metrics(CROSSTALK, pairs(0.02), pairs(0.01, 0.01)) == {}


def exclusion(*excluded, n_nights=2):
    n = len(excluded)
    by_operator = np.array([1] + [0] * (n - 1))
    pixels = Table({"is_excluded": np.array(excluded), "by_operator": by_operator})
    nights = Table({"night": [f"2024-07-1{k}" for k in range(n_nights)]})
    return {"pixels": pixels, "nights": nights}


def test_exclusion():
    found = internal_metrics(EXCLUSION, exclusion(True, True, False, False))
    assert found["excluded_fraction"][0, 0] == 0.5
    assert found["operator_fraction"][0, 0] == 0.25
    now, then = exclusion(True, True, False, False), exclusion(False, True, True, False)
    assert external_metrics(EXCLUSION, now, then)["newly_excluded_fraction"][0, 0] == 0.25
    assert external_metrics(EXCLUSION, now, exclusion(True)) == {}
    first = exclusion(False, False, False, False, n_nights=1)  # excludes nobody yet
    assert external_metrics(EXCLUSION, now, first) == {}


def efficiency(*pde):
    columns = {"wavelength": np.arange(len(pde)), "pde": np.array(pde)}
    return {"table": Table(columns | {"pde_error": np.full(len(pde), 0.01)})}


def test_photon_detection_efficiency():
    found = internal_metrics(PDE, efficiency(0.4, 0.25, 0.01))
    assert found["peak"][0, 0] == 0.4
    assert found["relative_error"][0, :2] == pytest.approx([0.025, 0.04])
    assert np.isnan(found["relative_error"][0, 2])  # of little light nobody asks
    change = external_metrics(PDE, efficiency(0.4, 0.2), efficiency(0.3, 0.2))
    assert change["pde_change"][0] == pytest.approx([0.1, 0])
    assert external_metrics(PDE, efficiency(0.4), efficiency(0.3, 0.2)) == {}
