"""Tables of muon rings, of our files and of ctapipe's."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from calibpipe.core.muon_file import matching_rows

PAIRS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), max_size=12)


def columns(pairs):
    """obs_id and event_id, as different files have them."""
    obs_id, event_id = np.array(pairs, np.int64).reshape(-1, 2).T
    return obs_id, event_id.astype(np.uint64)


def test_rows_of_events():
    """Of two observations, in any order; an event that is not there has none."""
    told = columns([(1, 7), (2, 7), (1, 5)])
    wanted = columns([(1, 5), (2, 7), (2, 5), (1, 7)])
    np.testing.assert_array_equal(matching_rows(*told, *wanted), [2, 1, -1, 0])


@given(told=PAIRS, wanted=PAIRS)
def test_rows_are_those_of_a_dictionary(told, wanted):
    place = {pair: row for row, pair in enumerate(told)}  # the last of several
    expected = [place.get(pair, -1) for pair in wanted]
    np.testing.assert_array_equal(matching_rows(*columns(told), *columns(wanted)), expected)
