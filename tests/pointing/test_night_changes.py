"""Nights, drift, hysteresis: found when they are there, not when they are not."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pointing_offsets import TERMS, made

from calibpipe.pointing.night_changes import (
    drift_test,
    drive_direction,
    enough_of_night,
    hysteresis_test,
    night_columns,
    night_offsets,
    night_test,
)
from calibpipe.pointing.pointing_terms import design_matrix

TESTS = {
    "nights": lambda m: night_test(m, TERMS)[0],
    "drift": lambda m: drift_test(m, TERMS),
    "hysteresis": lambda m: hysteresis_test(m, TERMS),
}
N_DOF = {"nights": 6, "drift": 2, "hysteresis": 2}


@pytest.mark.parametrize("name", TESTS)
def test_chances_are_uniform_when_there_is_nothing(rng, name):
    found = [TESTS[name](made(rng, 120, nights=4, scatter=(3, 3))) for _ in range(100)]
    assert {test.n_dof for test in found} == {N_DOF[name]}
    p_values = [test.p_value for test in found]
    assert np.mean(p_values) == pytest.approx(0.5, abs=4 / np.sqrt(12 * 100))
    assert np.mean(np.array(p_values) < 0.1) < 0.1 + 4 * np.sqrt(0.09 / 100)


def test_nights_that_differ(rng):
    """An IE of a night that is 15 arcsec off; its own value comes back."""
    changes = np.array([[0, 0], [0, 15.0], [0, 0], [0, 0]])
    m = made(rng, 120, nights=4, night_offset=changes)
    test, nights = night_test(m, TERMS)
    assert test.p_value < 1e-10
    assert nights.nights == m.nights
    away = nights.value - (changes - changes.mean(axis=0))
    assert np.all(np.abs(away) < 4 * nights.error)
    assert nights.scatter[1] == pytest.approx(7.5, abs=2)  # of 0, 15, 0, 0
    assert_allclose(nights.value.sum(axis=0), 0, atol=1e-9)


def test_scatter_of_nights_by_hand():
    """Values 3, -1, -2 of errors 1: sum of squares 14, less trace 2 (three contrasts), over 2."""
    m = made(np.random.default_rng(0), 30, nights=3)
    covariance = np.zeros((4, 4))
    # variances 1 of independent nights about their mean
    covariance[:2, :2] = covariance[2:, 2:] = np.eye(2) - 1 / 3
    found = night_offsets(m, np.ones(30, bool), np.array([3.0, -1.0, 0.5, 0.5]), covariance)
    assert_allclose(found.value, [[3, 0.5], [-1, 0.5], [-2, -1]])
    assert_allclose(found.error, np.sqrt(2 / 3))
    assert_allclose(found.scatter, [np.sqrt(6), 0])


def test_columns_of_nights():
    m = made(np.random.default_rng(0), 30, nights=3)
    columns = night_columns(m, np.ones(30, bool))
    assert columns.shape == (30, 2, 4)
    index = design_matrix(("IA", "IE"), m.azimuth, m.altitude)
    assert_allclose(columns[:10] @ [2, 0, 0, 5.0], index[:10] @ [2, 0])
    assert_allclose(columns[20:] @ [2, 0, 0, 5.0], index[20:] @ [-2, -5])
    one = made(np.random.default_rng(0), 30)
    assert night_columns(one, np.ones(30, bool)).shape == (30, 2, 0)
    test, nights = night_test(one, TERMS)
    assert test.n_dof == 0
    assert np.isnan(test.p_value)
    assert_allclose(nights.value, 0)


def test_a_night_with_four_measurements_has_none_of_its_own():
    m = made(np.random.default_rng(0), 44, nights=4)
    m = replace(m, night=np.repeat([0, 1, 2, 3], [20, 10, 10, 4]))
    assert_array_equal(enough_of_night(m), m.night < 3)
    assert night_test(m, TERMS)[1].nights == m.nights[:3]


def test_drift_of_the_elevation_index(rng):
    m = made(rng, 150, nights=10)
    days = (m.time - m.time[0]) / 86400
    test = drift_test(replace(m, offset=m.offset + np.outer(2 * days, [0, 1])), TERMS)
    assert test.p_value < 1e-10
    assert abs(test.value[1] - 2) < 4 * test.error[1]
    assert abs(test.value[0]) < 4 * test.error[0]
    at_once = drift_test(replace(m, time=np.full(150, 5.0)), TERMS)
    assert at_once.n_dof == 0


def test_directions_of_the_drive():
    m = made(np.random.default_rng(0), 6, nights=2)
    m = replace(
        m,
        azimuth=np.array([350.0, 10.0, 5.0, 5.0, 100.0, 290.0]),
        altitude=np.array([30.0, 40.0, 40.0, 20.0, 10.0, 30.0]),
    )
    # the first of each night is not known; 100 to 290 deg is 170 deg backwards
    expected = [[0, 0], [1, 1], [-1, 0], [0, 0], [1, -1], [-1, 1]]
    assert_array_equal(drive_direction(m), expected)
    order = np.array([3, 1, 5, 0, 2, 4])
    assert_array_equal(drive_direction(m.chosen(order)), np.array(expected)[order])


def test_hysteresis_of_the_drive(rng):
    """3 arcsec in azimuth, -4 in altitude, by the way in which the drive came."""
    m = made(rng, 200)
    moved = drive_direction(m) * [3.0, -4.0]
    moved[:, 0] *= np.cos(np.radians(m.altitude))
    test = hysteresis_test(replace(m, offset=m.offset + moved), TERMS)
    assert test.p_value < 1e-6
    assert np.all(np.abs(test.value - [3, -4]) < 4 * test.error)


def test_a_drive_that_only_turns_one_way(rng):
    m = made(rng, 60)
    m = replace(m, altitude=np.full(60, 50.0))
    found = hysteresis_test(m, ("IE", "CA", "AN", "AW"))
    assert found.n_dof == 1
    assert np.isnan(found.value[1])


def test_own_nights_in_the_model_hide_no_hysteresis(rng):
    m = made(rng, 200, nights=4, night_offset=rng.normal(0, 20, (4, 2)))
    moved = drive_direction(m) * [0.0, 4.0]
    changed = replace(m, offset=m.offset + moved)
    more = night_columns(m, np.ones(200, bool))
    assert hysteresis_test(changed, TERMS, more).p_value < 1e-6
    assert hysteresis_test(m, TERMS, more).p_value > 1e-4
