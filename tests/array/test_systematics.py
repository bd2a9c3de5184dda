"""Systematic errors of throughputs from showers, by hand."""

import numpy as np
import pytest

from calibpipe.array.systematics import bias_of_pairs, muon_covariance, scale_sys_error

TYPES = np.array(["LST_a", "LST_a", "MST_b", "MST_b"])
FIRST, SECOND = np.array([0, 2, 0, 1]), np.array([1, 3, 2, 3])
STD = np.array([0.2, 0.4, 1.0, 1.0])  # of pairs of types nothing is taken from it


@pytest.mark.parametrize(
    ("resolution", "expected"),
    [
        (None, 1.7 * (0.02 - 0.08) / 2),
        ({"LST": 0.1, "MST": 0.3}, 1.7 * (0.9 * 0.02 - 0.1 * 0.08)),
        ({"LST": 0.02**0.5, "MST": 0.08**0.5}, 0.0),  # weighted as it scatters
    ],
)
def test_bias_of_a_threshold(resolution, expected):
    """Variances of 0.2²/2 and 0.4²/2; none in pairs of one type."""
    found = bias_of_pairs(
        TYPES, FIRST, SECOND, STD, np.full(4, 9), np.ones(4), slope=1.7, resolution=resolution
    )
    np.testing.assert_allclose(found, [0, 0, expected, expected], atol=1e-15)


def test_a_type_without_pairs_of_its_own():
    found = bias_of_pairs(TYPES, FIRST, SECOND, STD, np.full(4, 9), [1, 0, 1, 1], slope=1.7)
    np.testing.assert_array_equal(found, 0)


def test_resolution_is_weighted_with_events():
    """(1 x 0.04 + 3 x 0.16)/4/2 = 0.065 of both LSTs; MST 0.08."""
    types, first, second = np.array(["L", "L", "L", "M", "M"]), [0, 1, 3, 0], [1, 2, 4, 3]
    n = [1, 3, 1, 1]
    found = bias_of_pairs(types, first, second, [0.2, 0.4, 0.4, 1.0], n, np.ones(4), slope=2.0)
    assert found[3] == pytest.approx(2.0 * (0.065 - 0.08) / 2)


def test_muons_have_a_part_of_their_error_in_common():
    """3 % in common of 5 % if 4 % are own; all of it is own where it is less."""
    found = muon_covariance([0.01, 0.0, 0.0], [0.05, 0.05, 0.03], own_error=0.04)
    expected = [
        [0.01**2 + 0.05**2, 0.03**2, 0.0],
        [0.03**2, 0.05**2, 0.0],
        [0.0, 0.0, 0.04**2],
    ]
    np.testing.assert_allclose(found, expected, atol=1e-18)


def test_scales_have_the_error_of_the_reference_as_well():
    np.testing.assert_allclose(scale_sys_error(3, of_type=0.03), [0, 0.0424264, 0.0424264], 1e-6)
