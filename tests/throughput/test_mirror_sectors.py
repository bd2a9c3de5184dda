"""Shifts of sectors of a mirror: size, false alarms, and what the ring's fit absorbs."""

import astropy.units as u
import numpy as np
import pytest

from calibpipe.core.exceptions import ConfigurationError, InsufficientStatisticsError
from calibpipe.throughput.mirror_sectors import sector_shifts

RADIUS = 11.1 * u.m
N_SECTORS = 12
AZIMUTH = (np.arange(N_SECTORS) + 0.5) * 2 * np.pi / N_SECTORS
CIRCLE = np.stack([np.ones(N_SECTORS), np.cos(AZIMUTH), np.sin(AZIMUTH)], axis=1)


def fitted(residual):
    """Residuals about the circle that follows them best."""
    return residual - residual @ CIRCLE @ np.linalg.pinv(CIRCLE)


def rings(rng, shift, n_rings=100, error=0.01, scatter=0.0):
    """Residuals and errors after the fit of a circle, with errors that differ."""
    errors = error * rng.uniform(0.5, 1.5, (n_rings, N_SECTORS))
    noise = rng.standard_normal(errors.shape) * np.hypot(errors, scatter)
    return fitted(shift + noise) * u.deg, errors * u.deg


def found_in(residual, error, **options):
    return sector_shifts(residual, error, np.zeros(len(residual)) * u.m, RADIUS, **options)


def test_one_sector_by_hand():
    """12 sectors, one 0.02 deg out: the circle takes 1/12 (1 + 2 cos(angle)) of it."""
    shift = np.zeros(N_SECTORS)
    shift[4] = 0.02
    residual = np.tile(fitted(shift), (25, 1)) * u.deg
    assert residual[0, 4].value == pytest.approx(0.02 * (1 - 3 / 12))
    found = found_in(residual, np.full(residual.shape, 0.01) * u.deg)
    # errors 0.01/5 of a mean and sqrt(1 + 3/9) to about 9 others; nothing remains elsewhere
    np.testing.assert_allclose(found.shift.value, shift, atol=1e-12)
    assert list(np.flatnonzero(found.is_significant)) == [4]
    assert found.chi2 == pytest.approx(0.02**2 * 0.75 / 0.002**2)
    assert found.n_degrees == 9
    variance = 0.002**2 / 0.75  # 1/(1 - leverage 3/12)
    assert found.shift_error[4].value == pytest.approx(np.sqrt(variance))


def test_size_and_errors_of_two_misaligned_sectors():
    rng = np.random.default_rng(4)
    truth = np.zeros(N_SECTORS)
    truth[[2, 7]] = 0.02, -0.015
    n_repeats = 200
    found = [found_in(*rings(rng, truth)) for _ in range(n_repeats)]
    hits = np.array([f.is_significant for f in found])
    assert hits[:, [2, 7]].all()
    pull = np.array([(f.shift.value - truth) / f.shift_error.value for f in found])
    assert np.all(np.abs(pull.mean(axis=0)) < 4 / np.sqrt(n_repeats))
    assert np.all(np.abs(pull.std(axis=0) - 1) < 4 / np.sqrt(2 * n_repeats))


@pytest.mark.parametrize("scatter", [0.0, 0.02])
def test_false_alarms_are_as_claimed(scatter):
    rng = np.random.default_rng(5)
    n_repeats, chance = 500, 0.1
    found = [
        found_in(*rings(rng, np.zeros(N_SECTORS), 60, scatter=scatter), significance=chance)
        for _ in range(n_repeats)
    ]
    alarms = np.mean([f.is_significant.any() for f in found])
    error = np.sqrt(chance * (1 - chance) / n_repeats)
    # Bonferroni of 12 independent tests claims 0.1 for 0.095; errors from 60 rings add some
    assert abs(alarms - 0.095) < 4 * error
    p_values = np.array([f.p_value for f in found])
    assert abs(p_values.mean() - 0.5) < 4 / np.sqrt(12 * n_repeats)


def test_what_a_circle_follows_is_no_misalignment():
    rng = np.random.default_rng(6)
    residual, error = rings(rng, np.zeros(N_SECTORS))
    moved = residual + (CIRCLE @ [0.02, -0.03, 0.05]) * u.deg
    first, second = found_in(residual, error), found_in(moved, error)
    np.testing.assert_allclose(second.shift.value, first.shift.value, atol=1e-12)
    difference = (second.harmonic - first.harmonic).value
    np.testing.assert_allclose(difference, [0.02, -0.03, 0.05], atol=1e-12)


def test_outliers_do_not_move_a_sector():
    rng = np.random.default_rng(7)
    residual, error = rings(rng, np.zeros(N_SECTORS), 200)
    dirty = residual.copy()
    dirty[:6, 3] = 1 * u.deg
    clean, found = found_in(residual, error), found_in(dirty, error)
    assert found.n_rings[3] == 194
    assert not found.is_significant.any()
    assert abs(found.shift[3] - clean.shift[3]) < found.shift_error[3]


def test_rings_far_out_do_not_count():
    residual, error = rings(np.random.default_rng(8), np.zeros(N_SECTORS), 60)
    impact = np.where(np.arange(60) < 30, 0.49, 0.5) * RADIUS
    impact[0] = np.nan
    found = sector_shifts(residual, error, impact, RADIUS)
    np.testing.assert_array_equal(found.n_rings, 29)


def test_a_sector_without_light_is_nan_and_the_others_are_tested():
    shift = np.zeros(N_SECTORS)
    shift[9] = 0.05
    residual, error = rings(np.random.default_rng(9), shift)
    residual[:, 1] = np.nan
    error[:81, 2] = 0 * u.deg
    found = found_in(residual, error)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(found.shift)), [1, 2])
    assert list(np.flatnonzero(found.is_significant)) == [9]
    assert found.n_degrees == N_SECTORS - 2 - 3


def test_too_few_rings_are_refused():
    residual, error = rings(np.random.default_rng(1), np.zeros(N_SECTORS), 19)
    with pytest.raises(
        InsufficientStatisticsError,
        match=r"20 rings within 0\.5 mirror radii.*got 0 such sectors of 19 rings in LSTN-01; coll",
    ):
        found_in(residual, error, where="LSTN-01")


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((30, 5), {}, "5 sectors; a mean and a first harmonic"),
        ((30, 12), {"significance": 0.0}, "significance is 0; give a chance"),
        ((30,), {}, r"need the shape \(n_rings, n_sectors\)"),
    ],
)
def test_wrong_requests_are_refused(shape, options, message):
    with pytest.raises(ConfigurationError, match=message):
        found_in(np.zeros(shape) * u.deg, np.ones(shape) * u.deg, **options)
