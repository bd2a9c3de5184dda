"""Products of a release are kept beside what holds until it is accepted."""

import json

import pytest
from ctapipe.core import run_tool
from products import SIGNED, at, candidate, hours, product, value_of

from calibpipe.archive.certify import certify
from calibpipe.archive.errors import NotVerifiedError, NoValidProductError
from calibpipe.archive.history import changes, products
from calibpipe.archive.lookup import lookup
from calibpipe.archive.release import accept, propose, proposed
from calibpipe.core.exceptions import ConfigurationError
from calibpipe.tools.certify import Certify

KIND = "timing/array_offset"


def now(archive, hour=1, telescope="LSTN-01"):
    found = lookup(archive, KIND, "CTAO-North", at(hour), telescope=telescope)
    return value_of(archive, found)


@pytest.fixture
def nights(archive, tmp_path):
    """An archive in which two products hold, and those made again."""
    old = [product(tmp_path, n, telescope=f"LSTN-0{n}") for n in (1, 2)]
    certify(archive, [candidate(header, hours(0, 4)) for header in old], **SIGNED)
    new = [product(tmp_path, value, telescope="LSTN-01") for value in (11, 12)]
    return archive, old, new


def test_nothing_changes_before_the_acceptance_and_all_at_once_then(nights):
    archive, old, new = nights
    both = [candidate(new[0], hours(0, 4)), candidate(old[1], hours(0, 4))]
    records = propose(archive, both, "r2", **SIGNED)
    assert [record["action"] for record in records] == ["proposed", "proposed"]
    assert now(archive) == 1
    assert len(products(archive)) == 3  # stored
    accepted = accept(archive, "r2", author="a head", reason="differences understood")
    assert sorted(record["action"] for record in accepted) == ["certified", "unchanged"]
    assert now(archive) == 11
    assert now(archive, telescope="LSTN-02") == 2
    reasons = {row["reason"] for row in changes(archive) if row["author"] == "a head"}
    assert reasons == {"release r2 accepted: differences understood"}
    again = accept(archive, "r2", author="a head", reason="twice")
    assert {record["action"] for record in again} == {"unchanged"}


def test_what_was_certified_stays_behind(nights):
    archive, _, new = nights
    propose(archive, [candidate(new[0], hours(1, 2))], "r2", **SIGNED)
    accept(archive, "r2", **SIGNED)
    assert [now(archive, hour) for hour in (0.5, 1.5, 2.5)] == [1, 11, 1]


def test_the_newest_proposal_for_a_time_counts_and_none_is_made_twice(nights):
    archive, _, new = nights
    propose(archive, [candidate(new[0], hours(0, 4))], "r2", **SIGNED)
    (again,) = propose(archive, [candidate(new[0], hours(0, 4))], "r2", **SIGNED)
    assert again["action"] == "unchanged"
    propose(archive, [candidate(new[1], hours(0, 4))], "r2", **SIGNED)
    propose(archive, [candidate(new[0], hours(0, 4))], "another", **SIGNED)
    (row,) = proposed(archive, "r2")
    assert row["product_id"] == str(new[1].product_id)
    accept(archive, "r2", **SIGNED)
    assert now(archive) == 12


def test_what_is_proposed_again_is_the_newest(nights):
    """First A, then B, then A again, as after a setting that was tried and taken back."""
    archive, _, (a, b) = nights
    for header in (a, b, a):
        (record,) = propose(archive, [candidate(header, hours(0, 4))], "r2", **SIGNED)
        assert record["action"] == "proposed"
    (row,) = proposed(archive, "r2")
    assert row["product_id"] == str(a.product_id)
    accept(archive, "r2", **SIGNED)
    assert now(archive) == 11


def test_a_product_that_fails_withdraws_what_it_would_have_replaced(nights, tmp_path):
    archive, old, (a, b) = nights
    for header in (a, b, old[1]):  # the last one of another telescope
        propose(archive, [candidate(header, hours(0, 4))], "r2", **SIGNED)
    failed = [candidate(product(tmp_path, 13), hours(1, 2), verdict="FAIL")]
    (withdrawn,) = propose(archive, [], "r2", refused=failed, **SIGNED)
    assert (withdrawn["action"], withdrawn["product_id"]) == ("withdrawn", str(b.product_id))
    (row,) = changes(archive, action="withdrawn")
    assert row["verdict"] == "FAIL"
    assert row["reason"].startswith(f"product {failed[0].header.product_id} has the verdict FAIL")
    (left,) = proposed(archive, "r2")  # a, in whose place b came, does not come back
    assert left["product_id"] == str(old[1].product_id)
    assert propose(archive, [], "r2", refused=failed, **SIGNED) == []
    (again,) = propose(archive, [candidate(a, hours(0, 4))], "r2", **SIGNED)
    assert again["action"] == "proposed"
    accept(archive, "r2", **SIGNED)
    assert now(archive) == 11


def test_half_of_a_time_fails(nights, tmp_path):
    """Proposed at once with the withdrawal: it counts, and what was there before does not."""
    archive, _, (a, b) = nights
    propose(archive, [candidate(a, hours(0, 4))], "r2", **SIGNED)
    failed = [candidate(product(tmp_path, 13), hours(0, 2), verdict="FAIL")]
    propose(archive, [candidate(b, hours(2, 4))], "r2", refused=failed, **SIGNED)
    accept(archive, "r2", **SIGNED)
    assert [now(archive, hour) for hour in (1, 3)] == [1, 12]


def test_a_failure_withdraws_nothing_of_other_nights_releases_and_times(nights, tmp_path):
    archive, _, (a, _) = nights
    propose(archive, [candidate(a, hours(0, 4))], "r2", **SIGNED)
    failed = candidate(product(tmp_path, 13), hours(1, 2), verdict="FAIL")
    later = candidate(product(tmp_path, 14), hours(4, 5), verdict="FAIL")
    other = candidate(product(tmp_path, 15, night="2024-07-09"), hours(1, 2), verdict="FAIL")
    assert propose(archive, [], "r1", refused=[failed], **SIGNED) == []
    assert propose(archive, [], "r2", refused=[later, other], **SIGNED) == []
    assert [row["product_id"] for row in proposed(archive, "r2")] == [str(a.product_id)]


def test_the_tool_tells_what_was_withdrawn(sqlite_archive, tmp_path):
    archive = sqlite_archive
    a, b = (product(tmp_path, value) for value in (11, 12))
    answer = tmp_path / "answer.json"
    argv = [f"--archive={archive.location}", "--release=r2", "--author=me", "--reason=a test"]
    argv += ["--begin=2024-07-10T12:00:00", "--end=2024-07-10T16:00:00", f"--record={answer}"]
    signed = ["--override=checked by hand", "--override-date=2024-08-01"]
    run_tool(Certify(), [*argv, f"--product={a.path}", *signed], cwd=tmp_path, raises=True)
    assert [r["action"] for r in json.loads(answer.read_text())["certified"]] == ["proposed"]
    argv += ["--skip-failed", "--overwrite"]
    run_tool(Certify(), [*argv, f"--product={b.path}"], cwd=tmp_path, raises=True)
    told = json.loads(answer.read_text())
    assert (told["certified"], len(told["refused"])) == ([], 1)
    assert [row["product_id"] for row in told["withdrawn"]] == [str(a.product_id)]
    assert proposed(archive, "r2") == []
    with pytest.raises(NoValidProductError, match="nothing is left of release r2"):
        accept(archive, "r2", **SIGNED)


def test_all_calibrations_that_hold_for_a_month_are_accepted(sqlite_archive, tmp_path):
    """Each holds until the next one; of one night the newest counts."""
    archive, kind = sqlite_archive, "pointing/pointing_model"
    for value, begin, night in ((1, 0, 10), (2, 240, 20), (3, 240, 20)):
        details = {"array_element": "LSTN-01"}
        keys = {"kind": kind, "night": f"2024-07-{night}", "details": details}
        header = product(tmp_path, value, validity=(at(begin), at(begin + 720)), **keys)
        propose(archive, [candidate(header, None)], "r2", **SIGNED)
    accept(archive, "r2", **SIGNED)
    found = [
        lookup(archive, kind, "CTAO-North", at(hour), telescope="LSTN-01")
        for hour in (0, 239, 240, 959)
    ]
    assert [value_of(archive, one) for one in found] == [1, 1, 3, 3]


def test_refusals(nights):
    archive, _, new = nights
    with pytest.raises(NotVerifiedError):
        propose(archive, [candidate(new[0], hours(0, 4), verdict="FAIL")], "r2", **SIGNED)
    with pytest.raises(ConfigurationError, match="no name of a release"):
        propose(archive, [candidate(new[0], hours(0, 4))], "../r2", **SIGNED)
    propose(archive, [candidate(new[0], hours(0, 4))], "r1", **SIGNED)
    with pytest.raises(NoValidProductError, match="has no release r2, only r1"):
        accept(archive, "r2", **SIGNED)


def test_an_override_stays_with_its_reason(nights):
    archive, _, new = nights
    signed = candidate(new[0], hours(0, 4), verdict="FAIL", override="flasher was exchanged")
    propose(archive, [signed], "r2", **SIGNED)
    accept(archive, "r2", **SIGNED)
    (row,) = changes(archive, action="certified", product_id=str(new[0].product_id))
    assert row["verdict"] == "FAIL"
    assert "flasher was exchanged" in row["reason"]
    assert now(archive) == 11
