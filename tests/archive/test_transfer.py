"""From archive to archive: same answers there, and nothing that was tampered with."""

import json

import pytest
from products import OFFSET, SIGNED, at, candidate, hours, product, value_of

from calibpipe.archive.certify import certify
from calibpipe.archive.decertify import decertify
from calibpipe.archive.errors import NoValidProductError, OverlappingValidityError
from calibpipe.archive.history import changes, product_record, products
from calibpipe.archive.lookup import certified, lookup
from calibpipe.archive.repository import init_archive
from calibpipe.archive.transfer import export_products, import_products
from calibpipe.core.exceptions import (
    ConfigurationError,
    CorruptedInputError,
    MissingInputError,
)

WHO = {"telescope": "LSTN-01"}


@pytest.fixture
def exported(sqlite_archive, tmp_path):
    """Folder with two products on top of each other and one beside."""
    made = [
        (product(tmp_path / "made", 1), hours(1, 10)),
        (product(tmp_path / "made", 2), hours(3, 5)),
        (product(tmp_path / "made", 3, telescope="LSTN-02"), hours(None)),
    ]
    for header, interval in made:
        certify(sqlite_archive, [candidate(header, interval)], **SIGNED, supersede=True)
    layers = sqlite_archive.layers("CTAO-North", None)
    export_products(sqlite_archive, certified(sqlite_archive, OFFSET, layers), tmp_path / "export")
    return tmp_path / "export"


@pytest.fixture
def other(tmp_path):
    """An empty archive that knows no site."""
    return init_archive(tmp_path / "other")


def edit(folder, change):
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def test_the_same_answers_in_both(sqlite_archive, exported, other):
    import_products(other, exported, author="me", reason="moved")
    for archive in (sqlite_archive, other):
        values = [
            value_of(archive, lookup(archive, OFFSET, "CTAO-North", at(hour), **WHO))
            for hour in (2, 3, 4.9, 5)
        ]
        assert values == [1, 2, 2, 1]
        with pytest.raises(NoValidProductError):
            lookup(archive, OFFSET, "CTAO-North", at(11), **WHO)
    records = [product_record(a, products(a)[0]["id"]) for a in (sqlite_archive, other)]
    same = ("id", "kind", "run", "sha256", "configuration_digest", "software", "inputs")
    assert [records[0][n] for n in same] == [records[1][n] for n in same]
    here = [h for h in changes(other, kind=OFFSET) if h["reason"] == "a test"]
    assert here == changes(sqlite_archive, kind=OFFSET)


def test_a_validity_that_was_split(sqlite_archive, other, tmp_path):
    header = product(tmp_path / "made", 1)
    certify(sqlite_archive, [candidate(header, hours(1, 10))], **SIGNED)
    keys = {"category": "C", "telescope": "LSTN-01"}
    decertify(sqlite_archive, OFFSET, "CTAO-North", hours(3, 5), **keys, **SIGNED)
    rows = certified(sqlite_archive, OFFSET, sqlite_archive.layers("CTAO-North", "C"))
    export_products(sqlite_archive, rows, tmp_path / "export")
    import_products(other, tmp_path / "export", author="me", reason="moved")
    there = certified(other, OFFSET, other.layers("CTAO-North", "C"))
    assert [c.validity for c in there] == [hours(1, 3), hours(5, 10)]
    assert {c.product_id for c in there} == {header.product_id}


def test_import_twice_changes_nothing(exported, other):
    import_products(other, exported, author="me", reason="moved")
    before = changes(other), products(other)
    records = import_products(other, exported, author="me", reason="moved again")
    assert {r["action"] for r in records} == {"unchanged"}
    assert (changes(other), products(other)) == before


def test_import_into_an_archive_that_holds_another_product(exported, other, tmp_path):
    import_products(other, exported, author="me", reason="moved")
    second = init_archive(tmp_path / "second")
    import_products(second, exported, author="me", reason="moved")
    clash = tmp_path / "clash"
    header = product(tmp_path / "made", 4)
    certify(second, [candidate(header, hours(20, 30))], **SIGNED)
    rows = certified(second, OFFSET, second.layers("CTAO-North", "C"), within=hours(20, 30))
    export_products(second, [r for r in rows if r.product_id == header.product_id], clash)
    mine = product(tmp_path / "made", 5)
    certify(other, [candidate(mine, hours(25, 26))], **SIGNED)
    before = changes(other), products(other)
    with pytest.raises(OverlappingValidityError):
        import_products(other, clash, author="me", reason="moved")
    assert (changes(other), products(other)) == before


@pytest.mark.parametrize(
    "name",
    ["../secret.json", "/etc/passwd", "files/../../secret.json", "files/link.json", "a\x00b"],
)
def test_paths_that_lead_out_are_refused(exported, other, tmp_path, name):
    secret = tmp_path / "secret.json"
    secret.write_text("{}")
    (exported / "files/link.json").symlink_to(secret)
    edit(exported, lambda m: m["products"][0].update(file=name))
    with pytest.raises((CorruptedInputError, MissingInputError)):
        import_products(other, exported, author="me", reason="moved")
    assert not products(other)


def test_changed_files_are_refused(exported, other):
    file = next((exported / "files").glob("*.json"))
    file.write_text(file.read_text().replace('"value": ', '"value": 1'))
    with pytest.raises(CorruptedInputError, match="was changed or damaged"):
        import_products(other, exported, author="me", reason="moved")
    assert not products(other)


def test_changed_files_of_the_archive_are_not_given_away(sqlite_archive, tmp_path):
    header = product(tmp_path / "made", 1)
    certify(sqlite_archive, [candidate(header, hours(1, 10))], **SIGNED)
    (file,) = (sqlite_archive.location / "CTAO-North").rglob("timing*.json")
    file.chmod(0o644)
    file.write_text(file.read_text() + " ")
    rows = certified(sqlite_archive, OFFSET, sqlite_archive.layers("CTAO-North", "C"))
    with pytest.raises(CorruptedInputError, match="of the archive has the checksum"):
        export_products(sqlite_archive, rows, tmp_path / "export")
    assert not (tmp_path / "export").exists()


def test_other_universes_and_formats_are_refused(exported, other):
    edit(exported, lambda m: m["universe"].update(namespace="daf_butler"))
    with pytest.raises(ConfigurationError, match="comes from the universe 'daf_butler'"):
        import_products(other, exported, author="me", reason="moved")
    edit(exported, lambda m: m.update(format=99))
    with pytest.raises(ConfigurationError, match="has the format 99"):
        import_products(other, exported, author="me", reason="moved")


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m["products"][0].pop("keys"),
        lambda m: m["products"][0].update(id="no identifier"),
        lambda m: m["products"][0].update(sha256="00"),
        lambda m: m["products"][0]["validities"][0].update(layer="front"),
        lambda m: m.pop("sites"),
        lambda m: m["products"][0]["keys"].update(category="A"),
    ],
)
def test_damaged_manifests_are_refused(exported, other, change):
    edit(exported, change)
    with pytest.raises((CorruptedInputError, ConfigurationError)):
        import_products(other, exported, author="me", reason="moved")
    assert not products(other)


def test_no_export_and_nothing_to_export(sqlite_archive, other, tmp_path):
    with pytest.raises(MissingInputError, match="holds no export"):
        import_products(other, tmp_path, author="me", reason="moved")
    with pytest.raises(NoValidProductError, match="nothing to export"):
        export_products(sqlite_archive, [], tmp_path / "export")


def test_folders_are_not_overwritten(sqlite_archive, exported):
    rows = certified(sqlite_archive, OFFSET, sqlite_archive.layers("CTAO-North", "C"))
    with pytest.raises(ConfigurationError, match="exists and is not empty"):
        export_products(sqlite_archive, rows, exported)
