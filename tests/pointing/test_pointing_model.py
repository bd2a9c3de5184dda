"""Predictions: errors that are right at any place of the sky, no silent extrapolation."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from pointing_offsets import TERMS, TRUE, made

from calibpipe.core.exceptions import MissingInputError
from calibpipe.pointing.pointing_model import PointingModel, covered_sectors, predicted_offsets
from calibpipe.pointing.pointing_model_fit import FitSettings, fitted_pointing_model
from calibpipe.pointing.pointing_terms import design_matrix

N_TOYS, N_PLACES = 100, 30


def simple(**changes):
    """IE of 10 +- 3 (stat) +- 4 (sys) arcsec, measured in the north-east."""
    values = {
        "terms": ("IE",),
        "value": np.array([10.0]),
        "stat_covariance": np.array([[9.0]]),
        "sys_covariance": np.array([[16.0]]),
        "is_fixed": np.array([False]),
        "scatter": np.array([6.0, 5.0]),
        "night_scatter": np.array([2.0, 7.0]),
        "altitude_range": (30.0, 70.0),
        "sectors": covered_sectors([10.0, 45.0]),
    }
    return PointingModel(**(values | changes))


def test_prediction_by_hand():
    found = predicted_offsets([15.0, 375.0], [60.0, 45.0], simple())
    assert_allclose(found.offset, [[0, 10], [0, 10]])
    assert_allclose(found.stat_covariance[0], [[0, 0], [0, 9]])
    # scatter and, in azimuth with the cosine of the altitude, changes between nights
    assert_allclose(found.sys_covariance[0], [[36 + 1, 0], [0, 16 + 25 + 49]])
    assert_allclose(found.error[0], np.sqrt([37, 99]))
    assert not found.is_extrapolated.any()


def test_where_a_model_was_measured():
    assert simple().covers([10, 45, 100, -5], [30, 70, 50, 50]).tolist() == [
        True,
        True,
        False,
        False,
    ]
    assert covered_sectors([0, 29.9, 359.9, 360.0, -30]).nonzero()[0].tolist() == [0, 11]
    assert covered_sectors([10, 70, 200]).nonzero()[0].tolist() == [0, 1, 2, 6]  # 1 between


def test_no_silent_extrapolation():
    with pytest.raises(
        MissingInputError, match=r"1 of 2 directions .* azimuth 10.0, altitude 80.0"
    ):
        predicted_offsets([10.0, 10.0], [50.0, 80.0], simple())
    with pytest.raises(MissingInputError, match=r"altitudes 30\.0 to 70\.0 deg in 2 of 12 sectors"):
        predicted_offsets(200.0, 50.0, simple())
    found = predicted_offsets([10.0, 10.0], [50.0, 80.0], simple(), extrapolate=True)
    assert found.is_extrapolated.tolist() == [False, True]


@pytest.mark.parametrize(("azimuth", "altitude"), [(np.nan, 50), (10, 0), (10, 91), (10, np.nan)])
def test_directions_that_are_none(azimuth, altitude):
    with pytest.raises(MissingInputError, match="no finite azimuth, or an altitude"):
        predicted_offsets(azimuth, altitude, simple(), extrapolate=True)


@pytest.mark.parametrize("nights", [1, 10])
def test_predictions_have_the_right_errors(rng, nights):
    """The model's offset with the statistical error, a new measurement with all errors."""
    of_model, of_new = [], []
    for _ in range(N_TOYS):
        changes = rng.normal(0, 6, (nights + 1, 2)) if nights > 1 else np.zeros((2, 2))
        m = made(
            rng, 40 * nights, correlation=0.3, scatter=(8, 5), nights=nights, night_offset=changes
        )
        settings = FitSettings(free_nights=nights > 1)
        model = fitted_pointing_model(m, settings).model
        azimuth = rng.uniform(0, 360, N_PLACES)
        altitude = rng.uniform(*model.altitude_range, N_PLACES)
        found = predicted_offsets(azimuth, altitude, model)
        true = design_matrix(TERMS, azimuth, altitude) @ TRUE
        stat = np.sqrt(np.diagonal(found.stat_covariance, axis1=1, axis2=2))
        of_model.append((found.offset - true)[0] / stat[0])
        new = true + rng.normal(size=(N_PLACES, 2)) * [8, 5]
        new += design_matrix(("IA", "IE"), azimuth, altitude) @ changes[-1]
        of_new.append(((found.offset - new) / found.error)[0])
    tolerance = 4 / np.sqrt(2 * 2 * N_TOYS)
    # a scatter from few degrees of freedom has tails: 33 of an axis, 9 of nights
    tails = np.sqrt(33 / 31) if nights == 1 else np.sqrt(9 / 7)
    assert 1 - tolerance < np.std(of_model) < tails + tolerance
    assert 1 - tolerance < np.std(of_new) < tails + tolerance


def test_a_fixed_term_does_not_spoil_what_was_measured(rng):
    """Narrow altitudes: terms are badly known, their sum at these altitudes is not."""
    m = made(rng, 400, altitude=(55, 60))
    model = fitted_pointing_model(m, FitSettings()).model
    assert model.is_fixed.any()
    inside, outside = (
        predicted_offsets(np.arange(5, 360, 30.0), altitude, model, extrapolate=True)
        for altitude in (57.5, 25.0)
    )
    true = design_matrix(TERMS, np.arange(5, 360, 30.0), 57.5) @ TRUE
    assert inside.error.max() < 2
    assert np.all(np.abs(inside.offset - true) < 4 * inside.error)
    assert outside.is_extrapolated.all()
    assert np.all(outside.error.min(axis=0) > 3 * inside.error.max(axis=0))
