import json
import uuid

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable
from astropy.time import Time
from ctapipe.io.metadata import Reference

from calibpipe.core import products
from calibpipe.core.exceptions import ConfigurationError, CorruptedInputError, MissingInputError
from calibpipe.core.products import (
    ProductMetadata,
    content_hash,
    digest,
    read_json,
    read_table,
    write_json,
    write_table,
)

KIND = "atmosphere/test"


def table():
    return QTable({"altitude": [1.0, 2.0] * u.km, "value": np.array([[1, 2], [3, 4]])})


def metadata(**more):
    values = {
        "site": "CTAO-North",
        "night": "2024-07-10",
        "category": "C",
        "validity": (Time("2024-07-10T22:00:00"), Time("2024-07-11T04:00:00")),
        "configuration": {"a": 1},
    }
    return ProductMetadata(KIND, "a test", **(values | more))


def test_what_is_written_is_read_back(tmp_path):
    path = write_table(tmp_path / "p.ecsv", table(), metadata(details={"more": [1, 2]}))
    back = read_table(path, KIND)
    assert back["altitude"].unit == u.km
    np.testing.assert_array_equal(back["value"], table()["value"])
    header = back.meta["calibpipe"]
    assert header["more"] == [1, 2]
    assert header["status"] == "COMPLETE"


def test_validity_is_written_in_tai_and_utc(tmp_path):
    path = write_table(tmp_path / "p.ecsv", table(), metadata())
    validity = read_table(path, KIND).meta["calibpipe"]["validity"]
    assert validity["begin_utc"] == "2024-07-10T22:00:00.000"
    assert validity["begin_tai"] == "2024-07-10T22:00:37.000"  # 37 leap seconds since 2017


def test_ctapipe_reads_the_reference_metadata(tmp_path):
    path = write_table(tmp_path / "p.ecsv", table(), metadata())
    reference = Reference.from_dict(dict(QTable.read(path).meta))
    assert reference.product.data_category == "C"
    assert reference.instrument.site == "CTAO-North"
    assert reference.activity.software_name == "calibpipe"
    again = reference.to_dict()
    written = {k: v for k, v in QTable.read(path).meta.items() if k.startswith("CTA ")}
    assert set(again) == set(written)


def test_same_content_has_the_same_hash_and_identifier(tmp_path):
    one = write_table(tmp_path / "1.ecsv", table(), metadata(activity={"id": "x"}))
    two = write_table(tmp_path / "2.ecsv", table(), metadata(activity={"id": "y"}))
    assert content_hash(one) == content_hash(two)
    identifiers = {read_table(p, KIND).meta["CTA PRODUCT ID"] for p in (one, two)}
    assert len(identifiers) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"configuration": {"a": 2}},
        {"night": "2024-07-11"},
        {"details": {"x": 1}},
        {"status": "COMPLETE, but"},
    ],
)
def test_other_content_has_another_hash(tmp_path, other):
    one = write_table(tmp_path / "1.ecsv", table(), metadata())
    two = write_table(tmp_path / "2.ecsv", table(), metadata(**other))
    assert content_hash(one) != content_hash(two)


def test_one_changed_value_changes_the_hash(tmp_path):
    changed = table()
    changed["value"][1, 1] += 1
    one = write_table(tmp_path / "1.ecsv", table(), metadata())
    assert content_hash(one) != content_hash(write_table(tmp_path / "2.ecsv", changed, metadata()))


def test_inputs_have_checksums_and_paths_that_can_move(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.txt").write_text("x")
    path = write_table("p.ecsv", table(), metadata(inputs=(("role", tmp_path / "in.txt"),)))
    (entry,) = read_table(path, KIND).meta["calibpipe"]["inputs"]
    assert entry["path"] == "in.txt"
    assert len(entry["sha256"]) == 64


def test_json_product(tmp_path):
    path = write_json(tmp_path / "p.json", {"files": ["a"]}, metadata())
    assert read_json(path, KIND)["content"] == {"files": ["a"]}
    assert content_hash(path) == content_hash(
        write_json(tmp_path / "q.json", {"files": ["a"]}, metadata())
    )


def test_identifier_follows_from_the_content_hash(tmp_path):
    one = write_table(tmp_path / "1.ecsv", table(), metadata())
    two = write_json(tmp_path / "2.json", {"files": ["a"], "x": 1.5}, metadata())
    for path, header in ((one, read_table(one, KIND).meta), (two, read_json(two, KIND))):
        identifier = uuid.UUID(header["CTA PRODUCT ID"])
        assert identifier.version == 5
        assert identifier == uuid.uuid5(products._NAMESPACE, content_hash(path))


@pytest.mark.parametrize(("factor", "same"), [(1 + 1e-9, True), (1 + 1e-4, False)])
def test_floats_count_with_six_digits(tmp_path, factor, same):
    """The seventh digit may differ between processors, in columns and in headers alike."""
    for name in ("column", "header"):
        paths = []
        for f in (1.0, factor):
            column, header = (f, 1.0) if name == "column" else (1.0, f)
            values = QTable({"x": np.array([1.23456e-7, 0.0, -2.0]) * column * u.m})
            written = metadata(details={"x": {"y": [-1.23456 * header]}})
            paths.append(write_table(tmp_path / f"{name}{f}.ecsv", values, written))
        assert (content_hash(paths[0]) == content_hash(paths[1])) is same


def test_zero_has_no_sign(tmp_path):
    hashes = {
        content_hash(write_table(tmp_path / "p.ecsv", QTable({"x": [zero]}), metadata()))
        for zero in (0.0, -0.0)
    }
    assert len(hashes) == 1


def test_what_the_fit_gives_is_not_hashed(tmp_path):
    """Least squares multiply the last bit; the column that was fitted is in the hash."""
    one, two = (
        write_table(tmp_path / f"{a}.ecsv", table(), metadata(details={"five_layers": {"a": a}}))
        for a in (1.0, 1.001)
    )
    assert content_hash(one) == content_hash(two)


def test_version_of_the_software_is_not_hashed(tmp_path, monkeypatch):
    one = write_table(tmp_path / "1.ecsv", table(), metadata())
    monkeypatch.setattr(products, "__version__", "99.0")
    two = write_table(tmp_path / "2.ecsv", table(), metadata())
    assert QTable.read(two).meta["CTA ACTIVITY SOFTWARE VERSION"] == "99.0"
    assert content_hash(one) == content_hash(two)


@pytest.mark.parametrize("key", ["path", "software", "retrieved"])
def test_facts_are_hashed_whatever_they_are_called(tmp_path, key):
    one, two = (
        write_table(tmp_path / f"{value}.ecsv", table(), metadata(details={"fact": {key: value}}))
        for value in ("a", "b")
    )
    assert content_hash(one) != content_hash(two)


def test_a_file_counts_by_its_checksum_not_by_its_place(tmp_path):
    def hashed(path, checksum, retrieved):
        content = {"files": [{"path": path, "sha256": checksum}], "retrieved": retrieved}
        return content_hash(write_json(tmp_path / "p.json", content, metadata()))

    assert hashed("/a", "1", "today") == hashed("/b", "1", "tomorrow")
    assert hashed("/a", "1", "today") != hashed("/a", "2", "today")


def test_digest_ignores_the_order_alone():
    assert digest({"a": 1, "b": [1.5]}) == digest({"b": (1.5,), "a": np.int64(1)})
    assert digest({"a": 1}) != digest({"a": 2})
    assert digest({"a": 1}) != digest({"a": 1, "path": "x"})
    assert digest({"a": 1.0}) != digest({"a": 1.0 + 1e-9})


@pytest.mark.parametrize("read", [read_table, read_json])
def test_missing_product(tmp_path, read):
    with pytest.raises(MissingInputError, match="make the product 'atmosphere/test' first"):
        read(tmp_path / "none", KIND)


@pytest.mark.parametrize(("read", "text"), [(read_table, "a b\n1 2\n"), (read_json, "{}")])
def test_what_is_no_product(tmp_path, read, text):
    path = tmp_path / "p"
    path.write_text(text)
    with pytest.raises(CorruptedInputError, match="is no product of CalibPipe"):
        read(path, KIND)


def test_other_kind(tmp_path):
    path = write_table(tmp_path / "p.ecsv", table(), metadata())
    with pytest.raises(ConfigurationError, match="is a product 'atmosphere/test', needs 'other'"):
        read_table(path, "other")


def test_incomplete_product_is_not_read_as_if_it_were(tmp_path):
    path = write_json(tmp_path / "p.json", {}, metadata(status="no data"))
    with pytest.raises(MissingInputError, match="is not complete: no data"):
        read_json(path, KIND)
    assert json.loads(path.read_text())["calibpipe"]["status"] == "no data"
