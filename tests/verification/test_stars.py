"""Metrics of star tracking and of the point spread function of stars."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable

from calibpipe.verification.stars import EXTERNAL, INTERNAL, external_metrics, internal_metrics

TRACKING, PSF = "pointing/star_tracking", "pointing/star_psf"
ALIGNMENT = {
    "plate_scale": 1.0005,
    "rotation_in_arcmin": 4.0,
    "rotation_stat_error_in_arcmin": 0.3,
    "rotation_sys_error_in_arcmin": 0.4,
    "chi2": 50.0,
    "n_degrees": 25,
}


def blocks():
    """Errors of 1, 2, 4 and 10 arcsec: 11 in all. The second block is not valid."""
    known = np.array([1.0, np.nan])
    errors = {"dlon_stat_error": 1, "dlat_stat_error": 2, "dlon_sys_error": 4, "dlat_sys_error": 10}
    columns = {name: known * error * u.arcsec.to(u.deg) for name, error in errors.items()}
    return QTable(columns | {"is_valid": [True, False], "n_stars": [6, 1]})


def test_tracking_by_hand():
    metrics = internal_metrics(TRACKING, blocks(), ALIGNMENT)
    np.testing.assert_allclose(metrics["total_error"], [[11, np.nan]])
    np.testing.assert_allclose(metrics["n_stars"], [[6, np.nan]])
    assert metrics["invalid_fraction"] == 0.5
    assert metrics["rotation_error"] == pytest.approx(0.5)
    assert metrics["reduced_chi2"] == 2
    assert metrics["plate_scale"] == 1.0005
    assert set(metrics) == INTERNAL[TRACKING]


def test_camera_that_was_turned():
    then = ALIGNMENT | {"rotation_in_arcmin": 1.5}
    change = external_metrics(TRACKING, blocks(), ALIGNMENT, blocks(), then)
    assert change["rotation_change"].tolist() == [[2.5]]
    assert set(change) == EXTERNAL[TRACKING]


def psf(width=0.05):
    columns = {"width": [width], "stat_error": [0.001], "sys_error": [0.002]}
    return QTable(columns | {"n_stars": [8], "reduced_chi2": [1.2]})


def test_psf_by_hand():
    metrics = internal_metrics(PSF, psf(), {"muon_comparison": {"z_score": -1.5}})
    assert metrics["relative_stat_error"] == pytest.approx(0.02)
    assert metrics["relative_sys_error"] == pytest.approx(0.04)
    assert metrics["muon_pull"] == -1.5
    assert set(metrics) == INTERNAL[PSF]


def test_no_muons_no_comparison():
    metrics = internal_metrics(PSF, psf(), {"muon_comparison": None})
    assert set(metrics) == INTERNAL[PSF] - {"muon_pull"}


def test_change_of_width():
    change = external_metrics(PSF, psf(0.055), {}, psf(0.05), {})
    np.testing.assert_allclose(change["width_change"], 0.1)
