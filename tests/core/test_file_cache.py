"""Files that are kept, found again by their request and checked."""

import json

import pytest

from calibpipe.core.file_cache import cache_path, cached, keep

REQUEST = {"variable": ["t"], "time": ["21:00"]}


@pytest.fixture
def kept(tmp_path):
    path = cache_path(tmp_path, "era5", REQUEST, ".grib")
    path.write_bytes(b"GRIB...")
    keep(path, REQUEST)
    return path


def test_the_place_depends_on_the_request_and_not_on_the_order_of_its_keys(tmp_path):
    place = cache_path(tmp_path, "era5", REQUEST, ".grib")
    assert place == cache_path(tmp_path, "era5", dict(reversed(REQUEST.items())), ".grib")
    assert place != cache_path(tmp_path, "era5", REQUEST | {"time": ["22:00"]}, ".grib")
    assert place.name.startswith("era5_")
    assert place.suffix == ".grib"


def test_a_kept_file_is_found_with_its_record(kept):
    record = cached(kept)
    assert record["request"] == REQUEST
    assert record["size"] == 7
    assert record["retrieved"].endswith("+00:00")


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b"GRIB"),
        lambda path: path.write_bytes(b"GRIB..!"),  # same length
        lambda path: path.with_name(f"{path.name}.json").unlink(),
        lambda path: path.with_name(f"{path.name}.json").write_text("{"),
        lambda path: path.with_name(f"{path.name}.json").write_text("[]"),
        lambda path: path.with_name(f"{path.name}.json").write_text(json.dumps({"size": 7})),
    ],
    ids=["no file", "shorter", "changed", "no record", "cut record", "no mapping", "no checksum"],
)
def test_anything_else_is_not_in_the_cache(kept, damage):
    damage(kept)
    assert cached(kept) is None


def test_a_file_that_was_never_kept(tmp_path):
    assert cached(tmp_path / "nothing.grib") is None
