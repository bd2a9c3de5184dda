"""Products of a release are kept beside what holds until it is accepted."""

import pytest
from products import SIGNED, at, candidate, hours, product, value_of

from calibpipe.archive.certify import certify
from calibpipe.archive.errors import NotVerifiedError, NoValidProductError
from calibpipe.archive.history import changes, products
from calibpipe.archive.lookup import lookup
from calibpipe.archive.release import accept, propose, proposed
from calibpipe.core.exceptions import ConfigurationError

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
