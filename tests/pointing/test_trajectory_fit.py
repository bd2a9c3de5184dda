"""Weighted fit of displacements: by hand, systematic errors, residuals of single stars."""

import numpy as np
import pytest

from calibpipe.pointing.trajectory_fit import Prior, SpotGroup, fit_trajectories, star_residuals


def translation(offset, error):
    """Displacements (n, 2) that are dlon and dlat themselves, no rotation."""
    n = len(offset)
    return SpotGroup(
        offset=offset.ravel(),
        covariance=np.diag(np.repeat(error**2, 2)),
        design=np.tile(np.eye(2), (n, 1)),
        common_design=np.zeros((2 * n, 2)),
        systematics={},
    )


NO_CAMERA = Prior(np.zeros(2), np.ones(2))


def test_precise_points_decide():
    """E02: 100 points of 0.001 and 100 of 0.05 deg give 0.01 +- 0.0001, not their mean."""
    rng = np.random.default_rng(0)
    error = np.repeat([0.001, 0.05], 100)
    offset = 0.01 + rng.standard_normal((200, 2)) * error[:, None]
    fit = fit_trajectories([translation(offset, error)], NO_CAMERA)
    weight = error**-2
    assert fit.own[0] == pytest.approx(weight @ offset / weight.sum(), rel=1e-9)
    assert np.sqrt(np.diag(fit.own_covariance[0])) == pytest.approx([1e-4, 1e-4], rel=1e-3)
    assert np.abs(fit.own[0] - 0.01).max() < 4e-4
    assert fit.n_degrees == 398
    assert abs(fit.chi2 - 398) < 5 * np.sqrt(2 * 398)


def four_stars(rng, shift, rotation, scale, error, wrong=None):
    """Stars at the corners of a square of 1 m, f = 1 m."""
    place = np.array([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
    design = np.tile(np.eye(2), (4, 1))
    common = np.stack([np.stack([place[:, 1], -place[:, 0]], axis=1).ravel(), place.ravel()], -1)
    offset = design @ shift + common @ [rotation, scale] + error * rng.standard_normal(8)
    if wrong is not None:
        offset[:2] += wrong
    covariance = error**2 * np.eye(8)
    return SpotGroup(offset, covariance, design, common, {})


def test_pulls_of_all_numbers_of_two_groups():
    truth = np.array([0.3, -0.2]), np.array([-0.1, 0.4]), 0.01, 0.02
    pulls = []
    rng = np.random.default_rng(3)
    for _ in range(400):
        groups = [four_stars(rng, truth[i], *truth[2:], 0.05 * (1 + i)) for i in range(2)]
        fit = fit_trajectories(groups)
        found = np.concatenate([*fit.own, fit.common])
        errors = np.concatenate([np.diag(c) for c in (*fit.own_covariance, fit.common_covariance)])
        pulls.append((found - [0.3, -0.2, -0.1, 0.4, 0.01, 0.02]) / np.sqrt(errors))
    pulls = np.array(pulls)
    assert np.abs(pulls.mean(axis=0)).max() < 4 / np.sqrt(400)
    assert np.abs(pulls.std(axis=0) - 1).max() < 4 / np.sqrt(800)


def test_systematic_error_is_that_of_the_weighted_mean():
    """Two stars of equal error: an error 0.1 of one of them moves the mean by 0.05."""
    group = translation(np.zeros((2, 2)), np.array([0.01, 0.01]))
    causes = {"one": np.array([[0.1], [0], [0], [0]]), "all": 0.02 * np.ones((4, 1))}
    group = SpotGroup(*list(vars(group).values())[:4], causes)
    fit = fit_trajectories([group], NO_CAMERA)
    assert fit.own_systematics[0]["one"] == pytest.approx([0.05, 0])
    assert fit.own_systematics[0]["all"] == pytest.approx([0.02, 0.02])
    assert fit.own_systematics[0]["plate_scale"] == pytest.approx([0, 0], abs=1e-12)


def test_star_that_is_not_well_known_counts_less():
    """An error of 0.03 of a star beside statistics of 0.01 gives it a tenth of the weight."""
    offset = np.array([[0.0, 0], [1, 1]])
    group = translation(offset, np.array([0.01, 0.01]))
    cause = np.zeros((4, 2))
    cause[2, 0] = cause[3, 1] = 0.03
    group = SpotGroup(*list(vars(group).values())[:4], {"star": cause}, ("star",))
    fit = fit_trajectories([group], NO_CAMERA)
    assert fit.own[0] == pytest.approx([1 / 11, 1 / 11])
    # statistical error of that mean, from the events alone
    expected = 0.01 * np.sqrt(100 + 1) / 11
    assert np.sqrt(np.diag(fit.own_covariance[0])) == pytest.approx([expected] * 2)


def test_wrong_star_is_told_from_the_others():
    rng = np.random.default_rng(5)
    star = np.arange(4)
    for wrong in (None, [0.5, 0.3]):
        group = four_stars(rng, np.array([0.1, 0.1]), 0.0, 0.0, 0.05, wrong)
        fit = fit_trajectories([group], Prior(np.zeros(2), np.full(2, 0.02)))
        found = star_residuals(group, star, fit.residual[0], fit.residual_covariance[0])
        chances = [found[k].p_value for k in range(4)]
        if wrong is None:
            assert min(chances) > 1e-3
        else:
            assert np.argmin(chances) == 0
            assert chances[0] < 1e-6


def test_single_star_cannot_be_wrong():
    """One star decides the translation: its residual is 0 and says nothing."""
    group = translation(np.array([[0.3, 0.1]]), np.array([0.01]))
    fit = fit_trajectories([group], NO_CAMERA)
    found = star_residuals(group, np.array([0]), fit.residual[0], fit.residual_covariance[0])
    assert found[0].p_value == 1
    assert found[0].mean == pytest.approx([0, 0], abs=1e-12)
