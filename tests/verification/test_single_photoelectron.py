"""Metrics of single photoelectrons: hand-computed numbers, changes beyond their errors."""

import numpy as np
import pytest
from astropy.table import Table
from numpy.testing import assert_allclose

from calibpipe.camera.spe_status import SpeStatus
from calibpipe.tools.verified_products import known_metrics
from calibpipe.verification.single_photoelectron import (
    EXTERNAL,
    INTERNAL,
    SPE,
    external_metrics,
    internal_metrics,
)

HEADER = {"model_difference": [0.013, 0.0]}


def pixels(**changed):
    """Four pixels of high gain, the last without a fit; one of low gain, never looked at."""
    columns = {
        "channel": [0, 0, 0, 0, 1],
        "status": [0, 0, 0, int(SpeStatus.NOT_CONVERGED), int(SpeStatus.NO_SIGNAL)],
        "outlier_mask": [False, False, False, True, True],
        "gain": [50.0, 60.0, 40.0, np.nan, np.nan],
        "gain_stat_error": [0.5, 0.6, 0.4, np.nan, np.nan],
        "gain_sys_error": [1.0, 1.2, 0.8, np.nan, np.nan],
        "resolution": [0.5, 0.5, 0.4, np.nan, np.nan],
        "resolution_stat_error": [0.01, 0.01, 0.01, np.nan, np.nan],
        "light": [1.0, 1.1, 0.9, np.nan, np.nan],
        "p_value": [0.5, 0.1, 0.9, np.nan, np.nan],
        "model_independent_gain": [51.0, 60.0, 39.0, 50.0, np.nan],
        "model_independent_gain_stat_error": [1.0, 1.0, 1.0, 1.0, np.nan],
    }
    return {"pixels": Table(columns | changed)}


def test_numbers_of_a_camera():
    found = internal_metrics(SPE, pixels(), HEADER)
    assert set(found) == INTERNAL[SPE]
    nan = np.nan
    for name, values in {
        "unusable_fraction": [0.25],
        "not_converged_fraction": [0.25],
        "p_value": [0.5, 0.1, 0.9, nan],
        "relative_gain": [1.0, 1.2, 0.8, nan],
        "relative_gain_error": [0.01, 0.01, 0.01, nan],
        "relative_sys_error": [0.02, 0.02, 0.02, nan],
        "resolution": [0.5, 0.5, 0.4, nan],
        "free_gain_pull": [1.0, 0.0, -1.0, nan],
        "model_difference": [0.013],
    }.items():
        assert_allclose(found[name], [values])


def test_changes_beyond_three_errors():
    gain = [50.0, 60.0 * 1.1, 40.0, np.nan, np.nan]
    later = pixels(gain=gain, outlier_mask=[False, False, True, True, True])
    found = external_metrics(SPE, later, pixels())
    assert set(found) == EXTERNAL[SPE]
    beyond = 0.1 - 3 * np.hypot(0.6 / 66, 0.01)
    assert_allclose(found["gain_change"], [[0.0, beyond, np.nan, np.nan]])
    assert_allclose(found["resolution_change"], [[0.0, 0.0, np.nan, np.nan]])
    assert found["newly_unusable_fraction"] == pytest.approx(0.25)


def test_another_camera_cannot_be_compared():
    fewer = {"pixels": pixels()["pixels"][1:]}
    assert external_metrics(SPE, pixels(), fewer) == {}


def test_known_metrics():
    known = known_metrics()
    assert known[f"{SPE} internal"] == INTERNAL[SPE]
    assert known[f"{SPE} external"] == EXTERNAL[SPE]
