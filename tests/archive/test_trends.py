"""All nights of a site from the archive: which product counts, what is due, what has ended."""

import pytest
from astropy.time import Time
from products import SIGNED, candidate, product

from calibpipe.archive.certify import certify
from calibpipe.archive.history import overdue
from calibpipe.archive.kinds import Kind, kinds
from calibpipe.archive.metrics import VALUE, store_metrics
from calibpipe.archive.trends import site_trends, uncertified_nights
from calibpipe.archive.validity import Interval
from calibpipe.core.exceptions import ConfigurationError
from calibpipe.core.night import night_span

MUON, PROFILE = "throughput/muon_throughput", "atmosphere/density_profile"
SITE = "CTAO-North"


@pytest.fixture
def night(sqlite_archive, tmp_path, north):
    """Store a product of a night as the workflow does: metrics, and certified if it passed."""

    def stored(
        name, value, telescope="LSTN-01", *, kind=MUON, category="C", verdict="PASS", **more
    ):
        certified = more.pop("certified", verdict == "PASS")
        details = {"array_element": telescope} if telescope else {}
        made = product(
            tmp_path / name, value, kind, telescope, category=category, night=name, details=details
        )
        keys = {"site": SITE, "category": category, "night": name, "kind": kind}
        keys |= {"array_element": telescope or None, "product_id": str(made.product_id)}
        keys |= {"begin_utc": f"{name}T22:00:00", "begin_tai": f"{name}T22:00:37"}
        keys |= {"verdict": verdict}
        criterion = {"criterion": "MUO-01", "mode": "internal", "metric": "throughput"}
        criterion |= {"low": 0.05, "high": 0.5, "result": verdict, "informative": False}
        number = {"criterion": "", "mode": VALUE, "metric": "optical_throughput", "value": value}
        number |= {"stat_error": 0.01, "sys_error": None, "unit": ""}
        store_metrics(sqlite_archive, [keys | criterion, keys | number])
        if certified:
            given = more.pop("override", "" if verdict == "PASS" else "seen by eye")
            span = Interval.of(*night_span(name, north))
            wanted = candidate(made, span, verdict, override=given)
            certify(sqlite_archive, [wanted], supersede=True, **SIGNED)
        return str(made.product_id)

    return stored


def trends(archive, now="2024-07-12T12:00:00"):
    return site_trends(archive, SITE, Time(now))


def test_values_and_verdicts_in_the_order_of_time(night, sqlite_archive):
    night("2024-07-10", 0.21)
    night("2024-07-09", 0.20, verdict="FAIL")
    night("2024-07-09", 0.22, "LSTN-02", verdict="FAIL", certified=True)
    found = trends(sqlite_archive)
    told = [
        (v.product.night, v.array_element, v.value, v.stat_error, v.sys_error) for v in found.values
    ]
    assert told == [
        ("2024-07-09", "LSTN-01", 0.20, 0.01, None),
        ("2024-07-09", "LSTN-02", 0.22, 0.01, None),
        ("2024-07-10", "LSTN-01", 0.21, 0.01, None),
    ]
    assert [(v.verdict, v.is_certified, v.failed) for v in found.verdicts] == [
        ("FAIL", False, ("MUO-01 throughput",)),
        ("FAIL", True, ("MUO-01 throughput",)),
        ("PASS", True, ()),
    ]
    assert found.limits == {(MUON, "throughput"): (0.05, 0.5)}
    assert found.telescopes == ["LSTN-01", "LSTN-02", "LSTN-03", "LSTN-04"]


def test_of_a_night_that_was_made_again_the_last_counts(night, sqlite_archive):
    night("2024-07-10", 0.20)
    last = night("2024-07-10", 0.21)
    night("2024-07-10", 0.19, category="B")
    found = trends(sqlite_archive)
    assert [(v.product.category, v.value) for v in found.values] == [("B", 0.19), ("C", 0.21)]
    assert found.verdicts[1].product_id == last


def test_what_is_certified_counts_before_what_is_not(night, sqlite_archive):
    """Stored later, but proposed for a release only, or failed; stored before, and failed."""
    night("2024-07-10", 0.19, verdict="FAIL")
    holds = night("2024-07-10", 0.20)
    night("2024-07-10", 0.21, certified=False)
    night("2024-07-10", 0.22, verdict="FAIL")
    found = trends(sqlite_archive)
    (verdict,) = found.verdicts
    assert (verdict.product_id, verdict.is_certified, verdict.verdict) == (holds, True, "PASS")
    assert [value.value for value in found.values] == [0.20]


def test_category_c_that_is_due(night, sqlite_archive):
    """LSTN-02 failed, LSTN-03 was not made, LSTN-04 is not due; profiles are never made in C."""
    for telescope in ("LSTN-01", "LSTN-02", "LSTN-03"):
        night("2024-06-01", 0.20, telescope, category="B")
    night("2024-06-01", 0.201)
    night("2024-06-01", 0.202, "LSTN-02", verdict="FAIL")
    night("2024-06-01", 0.203, "", kind=PROFILE, category="B")
    night("2024-07-10", 0.204, "LSTN-04", category="B")
    late = uncertified_nights(trends(sqlite_archive), 28)
    assert [(e.night, e.kind, e.array_elements, e.reason, e.days) for e in late] == [
        ("2024-06-01", MUON, ("LSTN-02",), "failed MUO-01 throughput", 41),
        ("2024-06-01", MUON, ("LSTN-03",), "not made", 41),
    ]
    assert uncertified_nights(trends(sqlite_archive), 41) == []
    assert len(uncertified_nights(trends(sqlite_archive), 1)) == 3


def test_when_calibrations_ended(night, sqlite_archive):
    """A night ends at noon of La Palma, 13:00 in summer time: 12:00 UTC."""
    night("2024-07-08", 0.20)
    night("2024-07-10", 0.21)
    ages = trends(sqlite_archive, "2024-07-13T12:00:00").ages
    assert [(e["kind"], e["data_id"]["telescope"], e["is_overdue"]) for e in ages] == [
        (MUON, "LSTN-01", True)
    ]
    assert ages[0]["days"] == pytest.approx(2, abs=0.1)
    assert trends(sqlite_archive, "2024-07-10T22:00:00").ages[0]["days"] < 0  # valid
    for hour, is_late in (("2024-07-12T00:00:00", False), ("2024-07-13T00:00:00", True)):
        assert trends(sqlite_archive, hour).ages[0]["is_overdue"] is is_late
        assert bool(overdue(sqlite_archive, SITE, Time(hour))) is is_late


def test_archives_that_are_older_than_a_kind(night, sqlite_archive, monkeypatch):
    """A new version reads an archive of before, in which no product of a new kind can be."""
    night("2024-07-10", 0.2)
    new = Kind("camera/temperature", ("site", "telescope"), "file", "nightly")
    monkeypatch.setitem(kinds(), new.name, new)
    assert len(trends(sqlite_archive).ages) == 1
    assert overdue(sqlite_archive, SITE, Time("2024-07-20"))[0]["kind"] == MUON


def test_nothing_there(sqlite_archive):
    found = trends(sqlite_archive)
    assert (found.values, found.verdicts, found.limits, found.ages) == ([], [], {}, [])
    with pytest.raises(ConfigurationError, match="no site CTAO-South"):
        site_trends(sqlite_archive, "CTAO-South", Time("2024-07-12"))
