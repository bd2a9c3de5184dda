"""Metrics of a pointing model: hand-computed numbers, changes beyond their errors."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.table import Table
from numpy.testing import assert_allclose

from calibpipe.pointing.pointing_model import PointingModel
from calibpipe.pointing.pointing_model_table import model_header
from calibpipe.tools.verified_products import known_metrics
from calibpipe.verification.pointing import (
    EXTERNAL,
    INTERNAL,
    MODEL,
    element_names,
    external_metrics,
    internal_metrics,
)

IE_CA = PointingModel(
    terms=("IE", "CA"),
    value=np.array([10.0, 5.0]),
    stat_covariance=np.diag([9.0, 0.0]),
    sys_covariance=np.diag([16.0, 400.0]),
    is_fixed=np.array([False, True]),
    scatter=np.array([6.0, 12.0]),
    night_scatter=np.zeros(2),
    altitude_range=(30.0, 70.0),
    sectors=np.arange(12) < 6,
)
FACTS = {
    "sky_rms_in_arcsec": 7.0,
    "condition_number": 45.0,
    "n_outliers": 2,
    "n_measurements": 80,
    "n_used": 78,
    "n_fixed_terms": 1,
    "chi2": 300.0,
    "n_dof": 150,
    "tests": {"nights": {"p_value": None}, "drift": {"p_value": 0.4}},
    "hysteresis_in_arcsec": [1.0, None],
}


def product(model=IE_CA, **facts):
    """Tables and header."""
    terms = Table(
        {
            "term": model.terms,
            "value": model.value,
            "stat_covariance": model.stat_covariance,
            "sys_covariance": model.sys_covariance,
            "is_fixed": model.is_fixed,
        }
    )
    terms["value"].unit = "arcsec"
    for name in ("stat_covariance", "sys_covariance"):
        terms[name].unit = "arcsec2"
    return {"terms": terms}, FACTS | model_header(model) | facts


def test_internal_metrics_by_hand():
    found = internal_metrics(MODEL, *product())
    assert set(found) == INTERNAL[MODEL]
    assert found["residual_rms"].tolist() == [[7.0]]
    assert found["condition_number"].tolist() == [[45.0]]
    assert_allclose(found["term_error"], [[5.0, np.nan]])  # hypot(3, 4)
    assert found["outlier_fraction"].tolist() == [[0.025]]
    assert found["scatter"].tolist() == [[6.0, 12.0]]
    assert found["reduced_chi2"].tolist() == [[2.0]]
    assert_allclose(found["night_p_value"], [[np.nan]])
    assert_allclose(found["hysteresis"], [[1.0, np.nan]])
    # dlon: 20 of CA and scatter 6; dlat: 5 of IE and 12; at 12 azimuths and 9 altitudes
    assert found["prediction_error"].shape == (1, 12 * 9)
    assert_allclose(found["prediction_error"], np.sqrt(400 + 36 + 25 + 144))


def test_elements_are_named():
    names = element_names(MODEL, *product())
    assert names["term_error"] == ("IE", "CA")
    assert names["scatter"] == ("azimuth", "altitude")
    assert names["prediction_error"][0] == "azimuth 0, altitude 30 deg"
    assert len(names["prediction_error"]) == 12 * 9


def test_a_change_counts_beyond_three_errors():
    """40 arcsec in altitude, errors of 3 in both models."""
    moved = replace(IE_CA, value=np.array([50.0, 5.0]))
    change = external_metrics(MODEL, *product(moved), *product())["offset_change"]
    assert_allclose(change, 40 - 3 * np.sqrt(18))
    near = replace(IE_CA, value=np.array([20.0, 5.0]))
    assert_allclose(external_metrics(MODEL, *product(near), *product())["offset_change"], 0)


def test_only_what_both_cover_is_compared():
    other = replace(IE_CA, altitude_range=(60.0, 80.0), sectors=np.arange(12) > 4)
    change = external_metrics(MODEL, *product(other), *product())["offset_change"]
    assert change.shape == (1, 2 * 3)  # azimuth 150 to 180, altitude 60 to 70 deg
    elsewhere = replace(IE_CA, sectors=np.arange(12) > 5)
    assert external_metrics(MODEL, *product(elsewhere), *product()) == {}


def test_metrics_are_known():
    known = known_metrics()
    assert known[f"{MODEL} internal"] == INTERNAL[MODEL]
    assert known[f"{MODEL} external"] == EXTERNAL[MODEL]


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_models_of_other_terms_are_compared(value):
    """The same predictions with one term more."""
    more = replace(
        IE_CA,
        terms=("IE", "CA", "TF"),
        value=np.array([10.0, 5.0, 60 * value]),
        stat_covariance=np.diag([9.0, 0, 0]),
        sys_covariance=np.diag([16.0, 400.0, 0]),
        is_fixed=np.array([False, True, False]),
    )
    change = external_metrics(MODEL, *product(more), *product())["offset_change"]
    expected = value * (60 * np.cos(np.radians(30)) - 3 * np.sqrt(18))
    assert change.max() == pytest.approx(expected)
