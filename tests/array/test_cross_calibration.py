"""Scale factors between types, and showers with muons."""

import numpy as np
import pytest
from made_pairs import all_pairs, sums_of

from calibpipe.array.asymmetry import pair_ratios
from calibpipe.array.cross_calibration import combined_throughput, cross_calibration
from calibpipe.core.exceptions import ConfigurationError, InsufficientStatisticsError

KINDS = np.array(["LST"] * 3 + ["MST"] * 4 + ["SST"] * 2)
X = np.array([0.1, 0.0, -0.1, 0.05, -0.05, 0.15, -0.15, 0.2, -0.2])
SCALE = {"LST": 0.07, "MST": 0.0, "SST": -0.12}
TRUE = X + np.array([SCALE[kind] for kind in KINDS])


def measured(rng, n=1500, true=TRUE):
    values = np.exp(true + 0.2 * rng.normal(size=(n, len(true))))
    values[rng.random(values.shape) < 0.4] = np.nan
    return pair_ratios(sums_of(values))


def test_scales_and_throughputs_with_their_errors(rng):
    pairs, scales, pulls = all_pairs(9), [], []
    for _ in range(60):
        ratios = measured(rng)
        result = cross_calibration(
            pairs.first, pairs.second, ratios.log_ratio, ratios.covariance, KINDS,
            reference_type="MST",
        )  # fmt: skip
        assert result.types == ("MST", "LST", "SST")
        true = np.array([SCALE[kind] for kind in result.types])
        error = np.sqrt(np.diag(result.scale_covariance))
        assert error[0] == 0
        scales.append((result.log_scale - true)[1:] / error[1:])
        pulls.append((result.log_throughput - TRUE) / np.sqrt(np.diag(result.covariance)))
    assert np.std(scales) == pytest.approx(1, abs=4 / np.sqrt(2 * 120))
    assert np.std(pulls) == pytest.approx(1, abs=4 / np.sqrt(2 * 60 * 8))
    np.testing.assert_array_equal(result.n_pairs, [4 * 5, 3 * 6, 2 * 7])


def test_scales_with_given_throughputs(rng):
    """Of images, independent: their errors count in the scales."""
    pairs, pulls, given = all_pairs(9), [], 0.01
    for _ in range(60):
        ratios = measured(rng)
        x = X + given * rng.normal(size=9)
        for kind in np.unique(KINDS):
            x[kind == KINDS] -= x[kind == KINDS].mean()
        centre = sum(
            np.diag(k == KINDS) - np.outer(k == KINDS, k == KINDS) / np.sum(k == KINDS)
            for k in np.unique(KINDS)
        )
        result = cross_calibration(
            pairs.first, pairs.second, ratios.log_ratio, ratios.covariance, KINDS,
            reference_type="LST", log_throughput=x, throughput_covariance=given**2 * centre,
        )  # fmt: skip
        true = TRUE - SCALE["LST"]
        pulls.append((result.log_throughput - true) / np.sqrt(np.diag(result.covariance)))
    assert np.std(pulls) == pytest.approx(1, abs=4 / np.sqrt(2 * 60 * 8))


def test_scale_of_two_telescopes_by_hand():
    result = cross_calibration([0], [1], [0.3], [[1e-4]], ["LST", "MST"], reference_type="MST")
    np.testing.assert_allclose(result.log_throughput, [0.3, 0.0])
    np.testing.assert_allclose(np.sqrt(np.diag(result.covariance)), [0.01, 0.0])
    assert np.isnan(result.p_value)


def test_telescopes_apart_from_their_type_are_left_out(rng):
    first, second = np.array([0, 3, 4, 0]), np.array([1, 4, 5, 3])
    kinds = ["LST", "LST", "LST", "MST", "MST", "MST"]
    result = cross_calibration(
        first, second, [0.1, 0.0, 0.0, 0.2], np.diag(np.full(4, 1e-4)), kinds, reference_type="LST"
    )
    np.testing.assert_array_equal(
        np.isfinite(result.log_throughput), [True, True, False] + [True] * 3
    )


def test_what_cannot_be_cross_calibrated():
    one = np.array([[1e-4]])
    with pytest.raises(ConfigurationError, match=r"reference type 'SST'.*LST, MST"):
        cross_calibration([0], [1], [0.1], one, ["LST", "MST"], reference_type="SST")
    with pytest.raises(ConfigurationError, match="nothing to cross-calibrate"):
        cross_calibration([0], [1], [0.1], one, ["LST", "LST"], reference_type="LST")
    with pytest.raises(InsufficientStatisticsError, match=r"connect the types LST \| MST"):
        cross_calibration(
            [0, 2], [1, 3], [0.1, 0.1], 1e-4 * np.eye(2), ["LST", "LST", "MST", "MST"],
            reference_type="LST",
        )  # fmt: skip


def shower_and_muons(rng, away=0.0):
    true = np.log([0.2, 0.21, 0.19, 0.2, 0.22])
    centre = np.eye(5) - 1 / 5
    shower = true - true.mean() + 0.01 * centre @ rng.normal(size=5)
    muon = true + 0.02 * rng.normal(size=5) + 0.03 * rng.normal()
    muon[0] += away
    return true, shower, 1e-4 * centre, muon, 4e-4 * np.eye(5) + 9e-4


def test_showers_and_muons_that_agree_are_combined(rng):
    pulls, chi2 = [], []
    for _ in range(400):
        true, *given = shower_and_muons(rng)
        result = combined_throughput(*given, limit=0.2)
        chi2.append(result.chi2)
        if result.is_combined:
            away = result.log_throughput - true
            pulls.append(away / np.sqrt(np.diag(result.covariance)))
    assert len(pulls) >= 395
    np.testing.assert_allclose(np.std(pulls, axis=0), 1, atol=4 / np.sqrt(800))
    assert np.mean(chi2) == pytest.approx(4, abs=4 * np.sqrt(8 / 400))
    # better than muons alone: the relative ones of showers help
    assert np.all(np.diag(result.covariance) < 13e-4)


def test_difference_beyond_the_limit_is_an_alarm_and_not_combined(rng):
    _, *given = shower_and_muons(rng, away=-0.25)
    result = combined_throughput(*given)
    assert result.alarm[0]
    assert not result.is_combined
    assert np.isnan(result.log_throughput).all()
    assert result.difference[0] == pytest.approx(-0.25 * 4 / 5, abs=4 * result.difference_error[0])
    assert result.p_value < 1e-3


def test_telescopes_without_muons_get_their_level_from_the_others(rng):
    true, shower, shower_covariance, muon, muon_covariance = shower_and_muons(rng)
    muon[3:] = np.nan
    result = combined_throughput(shower, shower_covariance, muon, muon_covariance, limit=0.2)
    error = np.sqrt(np.diag(result.covariance))
    assert np.all(np.abs(result.log_throughput - true) < 4 * error)
    assert np.isnan(result.difference[3:]).all()


def test_one_muon_throughput_is_not_enough(rng):
    _, shower, shower_covariance, muon, muon_covariance = shower_and_muons(rng)
    muon[1:] = np.nan
    with pytest.raises(InsufficientStatisticsError, match="1 telescopes have"):
        combined_throughput(shower, shower_covariance, muon, muon_covariance)
    _, shower, shower_covariance, muon, _ = shower_and_muons(rng)
    with pytest.raises(ConfigurationError, match="errors above 0"):
        combined_throughput(shower, shower_covariance, muon, np.zeros((5, 5)))
