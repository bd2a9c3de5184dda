"""Labels that do not cover each other."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibpipe.report.placement import apart


def test_values_that_are_apart_stay():
    assert apart([10.0, 0.0, 5.0], 2.0) == [10.0, 0.0, 5.0]


def test_neighbours_are_spread_about_their_mean():
    assert apart([1.0, 1.2, 9.0], 1.0) == pytest.approx([0.6, 1.6, 9.0])


def test_spreading_one_pair_may_push_the_next():
    assert apart([0.0, 0.1, 1.0], 1.0) == pytest.approx([1.1 / 3 - 1, 1.1 / 3, 1.1 / 3 + 1])


@given(
    st.lists(st.floats(-100, 100), max_size=7, unique=True),
    st.floats(0.01, 50),
)
def test_distance_order_and_mean(values, least):
    placed = apart(values, least)
    ranked = sorted(placed)
    assert all(b - a >= least * (1 - 1e-9) - 1e-9 for a, b in pairwise(ranked))
    assert sorted(range(len(values)), key=values.__getitem__) == sorted(
        range(len(placed)), key=placed.__getitem__
    )
    assert sum(placed) == pytest.approx(sum(values), abs=1e-6)
