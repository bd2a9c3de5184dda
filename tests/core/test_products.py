import json

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable
from astropy.time import Time
from ctapipe.io.metadata import Reference

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


def test_digest_ignores_order_and_volatile_keys():
    assert digest({"a": 1, "b": [1.5]}) == digest({"b": (1.5,), "a": np.int64(1), "path": "x"})
    assert digest({"a": 1}) != digest({"a": 2})


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
