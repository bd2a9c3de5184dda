"""Lookup: one product, or an error that says what there is."""

import csv

import pytest
from astropy.time import Time, TimeDelta
from products import OFFSET, SIGNED, at, candidate, hours, product, value_of

from calibpipe.archive.certify import certify
from calibpipe.archive.errors import (
    AmbiguousValidityError,
    MissingTimeError,
    NoValidProductError,
)
from calibpipe.archive.lookup import applicable, lookup
from calibpipe.archive.validity import Interval, moment
from calibpipe.core.exceptions import ConfigurationError

WHO = {"telescope": "LSTN-01"}
NS = TimeDelta(1e-9, format="sec")


@pytest.fixture
def two(archive, tmp_path):
    """Validities [1, 3) and [5, 8)."""
    made = [
        candidate(product(tmp_path / "made", 1), hours(1, 3)),
        candidate(product(tmp_path / "made", 2), hours(5, 8)),
    ]
    certify(archive, made, **SIGNED)
    return archive


def test_no_time_is_an_error(two):
    with pytest.raises(MissingTimeError, match="valid at a time: give one"):
        lookup(two, OFFSET, "CTAO-North", None, **WHO)


@pytest.mark.parametrize(
    ("hour", "told"),
    [
        (0, r"the nearest after is \[2024-07-10T13:00:00, 2024-07-10T15:00:00\)"),
        (4, r"before is \[2024-07-10T13.* and the nearest after is \[2024-07-10T17"),
        (9, r"the nearest before is \[2024-07-10T17:00:00, 2024-07-10T20:00:00\)"),
    ],
)
def test_gap_names_the_nearest_validities(two, hour, told):
    with pytest.raises(NoValidProductError, match=told):
        lookup(two, OFFSET, "CTAO-North", at(hour), **WHO)


def test_nothing_at_all(two):
    with pytest.raises(NoValidProductError, match="nothing is certified at any time"):
        lookup(two, OFFSET, "CTAO-North", at(2), telescope="LSTN-02")


@pytest.mark.parametrize(("begin", "end"), [(2, 6), (0, 2), (2, 4), (7, 9)])
def test_straddling_is_ambiguous(two, begin, end):
    with pytest.raises(AmbiguousValidityError, match="no one product holds over all of"):
        lookup(two, OFFSET, "CTAO-North", (at(begin), at(end)), **WHO)


def test_straddling_from_a_layer_to_the_one_behind(two, tmp_path):
    front = candidate(product(tmp_path / "made", 3), hours(2, 6))
    certify(two, [front], **SIGNED, supersede=True)
    with pytest.raises(AmbiguousValidityError):
        lookup(two, OFFSET, "CTAO-North", (at(1.5), at(2.5)), **WHO)
    inside = lookup(two, OFFSET, "CTAO-North", (at(2), at(6)), **WHO)
    assert value_of(two, inside) == 3


def test_every_calibration_of_a_moment(two):
    found = applicable(two, "CTAO-North", at(2), **WHO)
    assert value_of(two, found[OFFSET]) == 1
    assert "nothing" in found["camera/coefficients"]
    assert OFFSET not in applicable(two, "CTAO-North", at(2))


def test_a_telescope_has_to_be_given(two):
    with pytest.raises(ConfigurationError, match="kept for each telescope: say which"):
        lookup(two, OFFSET, "CTAO-North", at(2))


def test_utc_and_tai_differ_by_37_seconds(two):
    utc, tai = moment("2024-07-10T12:59:23", "utc"), moment("2024-07-10T13:00:00", "tai")
    assert abs((utc - tai).to_value("s")) < 1e-9
    assert moment("2024-07-10T12:59:23Z", "tai") == utc
    assert lookup(two, OFFSET, "CTAO-North", utc, **WHO).validity == hours(1, 3)
    with pytest.raises(NoValidProductError):
        lookup(two, OFFSET, "CTAO-North", utc - NS, **WHO)


@pytest.mark.realdata
def test_offsets_of_lst1_and_magic(archive, tmp_path, shared_data):
    """Every boundary of the published validities to the nanosecond, and every gap (F04)."""
    path = shared_data / "validity/lst1_magic_time_offset.csv"
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    rows = list(csv.DictReader(lines))
    ends = [[Time(r[n], scale="utc").tai if r[n] else None for n in ("begin", "end")] for r in rows]
    made = [
        candidate(product(tmp_path / "made", float(r["offset_us"])), Interval.of(*span))
        for r, span in zip(rows, ends, strict=True)
    ]
    assert len({m.header.product_id for m in made}) == 8
    certify(archive, made, **SIGNED)
    gaps = 0
    for row, (begin, end) in zip(rows, ends, strict=True):
        inside = [t for t in (begin, end and end - NS) if t is not None]
        for time in inside:
            found = lookup(archive, OFFSET, "CTAO-North", time, **WHO)
            assert value_of(archive, found) == float(row["offset_us"])
        outside = [t for t in (begin and begin - NS, end) if t is not None]
        for time in outside:
            holds = any((b is None or b <= time) and (e is None or time < e) for b, e in ends)
            if holds:
                found = lookup(archive, OFFSET, "CTAO-North", time, **WHO)
                assert value_of(archive, found) != float(row["offset_us"])
            else:
                gaps += 1
                with pytest.raises(NoValidProductError, match=r"nearest before .* nearest after"):
                    lookup(archive, OFFSET, "CTAO-North", time, **WHO)
    assert gaps == 6  # three gaps, each seen from both sides
