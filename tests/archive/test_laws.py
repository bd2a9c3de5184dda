"""Laws of intervals, and the archive against a plain model of itself."""

from contextlib import suppress
from datetime import timedelta
from itertools import pairwise

import astropy.units as u
import pytest
from astropy.time import Time
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from lsst.daf.butler import Timespan
from products import OFFSET, SIGNED, at, candidate, hours, product

from calibpipe.archive.certify import certify
from calibpipe.archive.decertify import decertify
from calibpipe.archive.errors import NoValidProductError, OverlappingValidityError
from calibpipe.archive.lookup import lookup
from calibpipe.archive.validity import Interval, instant, merged
from calibpipe.core.exceptions import ConfigurationError

BOUNDS = st.integers(0, 2**60)
INTERVALS = (
    st.tuples(BOUNDS, BOUNDS).filter(lambda b: b[0] != b[1]).map(lambda b: Interval(min(b), max(b)))
)


@given(INTERVALS, INTERVALS)
def test_overlap_is_mutual(a, b):
    assert a.overlaps(b) == b.overlaps(a)
    assert a.overlaps(b) == (a.begin < b.end and b.begin < a.end)


@given(INTERVALS, INTERVALS)
def test_what_contains_overlaps(a, b):
    if a.contains(b):
        assert a.overlaps(b)
    assert a.contains(a)


@given(INTERVALS)
def test_the_end_is_not_inside(a):
    assert a.contains(Interval(a.begin, a.begin + 1))
    assert not a.overlaps(Interval(a.end, a.end + 1))
    assert not a.overlaps(Interval(a.begin - 1, a.begin))


@given(INTERVALS)
def test_times_and_back(a):
    """Nanoseconds survive astropy's two doubles."""
    assert Interval.of(*a.times) == a
    assert Interval.of_timespan(a.timespan) == a


@pytest.mark.parametrize("scale", ["tai", "utc", "tt"])
def test_times_as_butler_counts_them(scale):
    ends = [Time(2460500.25, day, format="jd", scale=scale) for day in (1 / 3, 2 / 3)]
    assert Interval.of(*ends) == Interval.of_timespan(Timespan(*ends))
    assert Interval.of(ends[0], ends[0] + 0.1 * u.ns) == instant(ends[0])


@given(st.lists(INTERVALS))
def test_merged_intervals_cover_the_same_time(intervals):
    whole = merged(intervals)
    assert all(any(span.contains(interval) for span in whole) for interval in intervals)
    assert {end for span in whole for end in (span.begin, span.end)} <= {
        end for interval in intervals for end in (interval.begin, interval.end)
    }
    assert all(first.end < second.begin for first, second in pairwise(whole))


def test_an_interval_without_time():
    with pytest.raises(ConfigurationError, match="holds at no time"):
        Interval.of(at(1), at(1))
    with pytest.raises(ConfigurationError, match="holds at no time"):
        hours(2, 1)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["certify", "supersede", "decertify"]),
        st.integers(0, 11),
        st.integers(1, 6),
    ),
    min_size=1,
    max_size=8,
)


@settings(
    max_examples=15,
    deadline=timedelta(seconds=20),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS)
@example(steps=[("certify", 1, 1), ("supersede", 0, 2), ("certify", 0, 1)])
def test_archive_against_a_plain_model(sqlite_archive, tmp_path_factory, steps):
    """Hour by hour a pile of values: certify on empty hours, supersede on top, decertify all."""
    folder = tmp_path_factory.mktemp("made")
    keys = {"category": "C", "telescope": "LSTN-01"}
    pile = {hour: [] for hour in range(24)}
    with suppress(NoValidProductError):  # of the example before
        decertify(sqlite_archive, OFFSET, "CTAO-North", hours(None), **keys, **SIGNED)
    for number, (action, begin, length) in enumerate(steps):
        span = range(begin, begin + length)
        interval = hours(begin, begin + length)
        if action == "decertify":
            if any(pile[h] for h in span):
                decertify(sqlite_archive, OFFSET, "CTAO-North", interval, **keys, **SIGNED)
            for hour in span:
                pile[hour].clear()
            continue
        made = candidate(product(folder, float(number)), interval)
        if action == "certify" and any(pile[h] for h in span):
            with pytest.raises(OverlappingValidityError):
                certify(sqlite_archive, [made], **SIGNED)
            continue
        certify(sqlite_archive, [made], **SIGNED, supersede=action == "supersede")
        for hour in span:
            pile[hour].append(made.header.product_id)
    for hour, values in pile.items():
        if values:
            found = lookup(sqlite_archive, OFFSET, "CTAO-North", at(hour + 0.5), **keys)
            assert found.product_id == values[-1]
        else:
            with pytest.raises(NoValidProductError):
                lookup(sqlite_archive, OFFSET, "CTAO-North", at(hour + 0.5), **keys)
