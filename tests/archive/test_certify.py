"""Certification: all or nothing, no overlap, superseding, splitting (G01, G02)."""

from dataclasses import replace

import pytest
from products import OFFSET, SIGNED, SITE_KIND, at, candidate, hours, product, value_of

from calibpipe.archive.certify import certify
from calibpipe.archive.decertify import decertify
from calibpipe.archive.errors import (
    NotVerifiedError,
    NoValidProductError,
    OverlappingValidityError,
)
from calibpipe.archive.history import changes, products
from calibpipe.archive.lookup import certified, lookup
from calibpipe.core.exceptions import ConfigurationError, MissingInputError


def put(archive, tmp_path, value, begin, end, **more):
    keys = {k: more.pop(k) for k in ("telescope", "category", "kind") if k in more}
    header = product(tmp_path / "made", value, **keys)
    return certify(archive, [candidate(header, hours(begin, end))], **SIGNED, **more)


def find(archive, hour, **keys):
    found = lookup(archive, OFFSET, "CTAO-North", at(hour), **({"telescope": "LSTN-01"} | keys))
    return value_of(archive, found)


def ranges(archive, category="C"):
    layers = archive.layers("CTAO-North", category)
    return [c.validity for c in certified(archive, OFFSET, layers)]


def test_adjacent_validities_do_not_overlap(archive, tmp_path):
    """G01: [1, 10) and [10, 20) are both certified; the end is not part of the first."""
    put(archive, tmp_path, 1, 1, 10)
    put(archive, tmp_path, 2, 10, 20)
    assert [find(archive, hour) for hour in (1, 9.999999999, 10, 19.9)] == [1, 1, 2, 2]


@pytest.mark.parametrize(
    ("begin", "end"), [(0, 2), (3, 5), (9, 11), (0, 20), (1, 10), (None, None)]
)
def test_overlap_is_refused_and_names_what_is_in_the_way(archive, tmp_path, begin, end):
    put(archive, tmp_path, 1, 1, 10)
    before = changes(archive)
    with pytest.raises(OverlappingValidityError, match=r"already for a part .*T13:00:00, .*T22:00"):
        put(archive, tmp_path, 2, begin, end)
    assert changes(archive) == before
    assert ranges(archive) == [hours(1, 10)]
    assert len(products(archive, kind=OFFSET)) == 1


def test_other_telescopes_and_categories_do_not_overlap(archive, tmp_path):
    put(archive, tmp_path, 1, 1, 10)
    put(archive, tmp_path, 2, 1, 10, telescope="LSTN-02")
    put(archive, tmp_path, 3, 1, 10, category="B")
    assert find(archive, 5) == 1
    assert find(archive, 5, telescope="LSTN-02") == 2
    assert find(archive, 5, category="B") == 3


def test_decertify_splits(archive, tmp_path):
    """G01: [1, 10) without [3, 5) is [1, 3) and [5, 10)."""
    put(archive, tmp_path, 1, 1, 10)
    keys = {"category": "C", "telescope": "LSTN-01"}
    gone = decertify(archive, OFFSET, "CTAO-North", hours(3, 5), **keys, **SIGNED)
    assert [c.validity for c in gone] == [hours(1, 10)]
    assert ranges(archive) == [hours(1, 3), hours(5, 10)]
    with pytest.raises(NoValidProductError, match=r"before is .* and the nearest after is "):
        find(archive, 4)
    assert [entry["action"] for entry in changes(archive, kind=OFFSET)] == [
        "certified",
        "decertified",
    ]
    with pytest.raises(NoValidProductError, match="nothing is certified in"):
        decertify(archive, OFFSET, "CTAO-North", hours(3, 5), **keys, **SIGNED)


def test_the_same_again_changes_nothing(archive, tmp_path):
    put(archive, tmp_path, 1, 1, 10)
    before = changes(archive), products(archive), ranges(archive)
    (record,) = put(archive, tmp_path, 1, 1, 10)
    assert record["action"] == "unchanged"
    assert (changes(archive), products(archive), ranges(archive)) == before


def test_a_product_may_hold_in_several_ranges(archive, tmp_path):
    put(archive, tmp_path, 1, 1, 2)
    put(archive, tmp_path, 1, 5, 6)
    assert ranges(archive) == [hours(1, 2), hours(5, 6)]
    assert len(products(archive, kind=OFFSET)) == 1


def test_superseding_leaves_the_old_one_certified_behind(archive, tmp_path):
    """G02: the newest in front is found, where it holds; behind it the old one."""
    put(archive, tmp_path, 1, 1, 10)
    put(archive, tmp_path, 2, 3, 5, supersede=True)
    put(archive, tmp_path, 3, 4, 20, supersede=True)
    assert [find(archive, hour) for hour in (2, 3.5, 4, 12)] == [1, 2, 3, 3]
    assert hours(1, 10) in ranges(archive)
    keys = {"category": "C", "telescope": "LSTN-01", "only_front": True}
    decertify(archive, OFFSET, "CTAO-North", hours(0, 30), **keys, **SIGNED)
    assert [find(archive, hour) for hour in (2, 3.5, 6)] == [1, 2, 1]


def test_superseding_needs_as_many_layers_as_products_on_top_of_each_other(archive, tmp_path):
    for value in range(5):
        put(archive, tmp_path, value, 10 * value, 10 * value + 10, supersede=True)
    assert len(archive.layers("CTAO-North", "C")) == 1
    put(archive, tmp_path, 6, 0, 50, supersede=True)
    assert len(archive.layers("CTAO-North", "C")) == 2


TRANSFER = "camera/photon_transfer"


def test_an_old_set_made_again_does_not_go_in_front_of_the_newer_one(sqlite_archive, tmp_path):
    """It supersedes what it was before, until the newer one begins; a given validity is obeyed."""

    def add(value, begin, given=None):
        validity = at(begin), at(begin + 720)
        details = {"array_element": "LSTN-01"}
        made = product(tmp_path, value, kind=TRANSFER, validity=validity, details=details)
        ready = [candidate(made, given)]
        (record,) = certify(sqlite_archive, ready, **SIGNED, supersede=True)
        return record["action"]

    def values(*when):
        where = TRANSFER, "CTAO-North"
        found = [lookup(sqlite_archive, *where, at(h), telescope="LSTN-01") for h in when]
        return [value_of(sqlite_archive, one) for one in found]

    add(1, 0)
    add(2, 480)
    assert values(0, 479, 480, 800) == [1, 1, 2, 2]
    assert add(3, 0) == "certified"
    assert values(0, 479, 480, 800) == [3, 3, 2, 2]
    assert add(3, 0) == "unchanged"
    assert add(4, 0, hours(0, 500)) == "certified"
    assert values(479, 499, 500) == [4, 4, 2]


def test_category_c_is_searched_before_b(archive, tmp_path):
    put(archive, tmp_path, 1, 1, 10, category="B")
    assert find(archive, 5) == 1
    put(archive, tmp_path, 2, 1, 10, category="C")
    put(archive, tmp_path, 3, 1, 10, category="B", supersede=True)
    assert find(archive, 5) == 2


def test_all_or_none(archive, tmp_path):
    """One of three cannot be certified: nothing is stored of the others."""
    put(archive, tmp_path, 1, 1, 10)
    before = products(archive), changes(archive)
    wanted = [
        candidate(product(tmp_path / "made", 2, telescope=f"LSTN-0{n}"), hours(5, 20))
        for n in (3, 2, 1)
    ]
    with pytest.raises(OverlappingValidityError):
        certify(archive, wanted, **SIGNED)
    assert (products(archive), changes(archive)) == before
    files = (archive.location / "CTAO-North").rglob("timing_*.json")
    assert len(list(files)) == len(products(archive, kind=OFFSET))


def test_candidates_that_overlap_each_other(sqlite_archive, tmp_path):
    both = [candidate(product(tmp_path, value), hours(value, 10)) for value in (1, 2)]
    with pytest.raises(OverlappingValidityError, match=r"-1\.json .* and .*-2\.json .* overlap"):
        certify(sqlite_archive, both, **SIGNED, supersede=True)


@pytest.mark.parametrize(("verdict", "why"), [("FAIL", "failed"), ("NONE", "has no verification")])
def test_what_was_not_verified_needs_an_override(sqlite_archive, tmp_path, verdict, why):
    header = product(tmp_path, 1)
    with pytest.raises(NotVerifiedError, match=why):
        certify(sqlite_archive, [candidate(header, hours(1, 2), verdict)], **SIGNED)
    assert not sqlite_archive.layers("CTAO-North", "C")
    forced = candidate(header, hours(1, 2), verdict, override="seen by eye (by me on 2024-07-11)")
    certify(sqlite_archive, [forced], **SIGNED)
    (entry,) = changes(sqlite_archive, kind=OFFSET)
    assert entry["verdict"] == verdict
    assert entry["reason"] == "a test; override: seen by eye (by me on 2024-07-11)"


def test_incomplete_products_are_refused(sqlite_archive, tmp_path):
    header = product(tmp_path, 1)
    broken = type(header)(**{**header.__dict__, "status": "no events"})
    with pytest.raises(MissingInputError, match="not complete: no events"):
        certify(sqlite_archive, [candidate(broken, hours(1, 2))], **SIGNED)


def test_formats_that_the_archive_does_not_keep(sqlite_archive, tmp_path):
    made = product(tmp_path, 1)
    header = replace(made, path=made.path.rename(made.path.with_suffix(".txt")))
    with pytest.raises(ConfigurationError, match=r"1\.txt: the archive keeps .* \.csv, \.dat, "):
        certify(sqlite_archive, [candidate(header, hours(1, 2))], **SIGNED)


def test_a_validity_has_to_be_proposed_or_given(sqlite_archive, tmp_path):
    with pytest.raises(ConfigurationError, match="proposes no validity: give its begin and end"):
        certify(sqlite_archive, [candidate(product(tmp_path, 1), None)], **SIGNED)


def test_open_ends(archive, tmp_path):
    put(archive, tmp_path, 1, None, 10)
    put(archive, tmp_path, 2, 10, None)
    assert [find(archive, hour) for hour in (-1e5, 9.9, 10, 1e5)] == [1, 1, 2, 2]


def test_site_and_telescope_have_to_be_known(sqlite_archive, tmp_path):
    stranger = product(tmp_path, 1, telescope="LSTN-09")
    with pytest.raises(
        ConfigurationError, match="no telescope LSTN-09 at CTAO-North, only LSTN-01"
    ):
        certify(sqlite_archive, [candidate(stranger, hours(1, 2))], **SIGNED)
    elsewhere = product(tmp_path, 1, site="CTAO-South")
    with pytest.raises(ConfigurationError, match="no site CTAO-South, only CTAO-North"):
        certify(sqlite_archive, [candidate(elsewhere, hours(1, 2))], **SIGNED)


def test_kinds_of_a_site_have_no_telescope(sqlite_archive, tmp_path):
    header = product(tmp_path, 1, kind=SITE_KIND, category=None)
    certify(sqlite_archive, [candidate(header, hours(None))], **SIGNED)
    found = lookup(sqlite_archive, SITE_KIND, "CTAO-North", at(0))
    assert found.run.startswith("CTAO-North/reference/2024-07-10/")
