"""Throughput of the nights before: what is certified, with its errors; from archive to product."""

import astropy.units as u
import numpy as np
import pytest
from ctapipe.core import run_tool
from products import SIGNED, candidate, product

from calibpipe.archive.certify import certify
from calibpipe.archive.metrics import store_metrics
from calibpipe.archive.throughput_history import throughput_history
from calibpipe.archive.validity import Interval
from calibpipe.core.night import night_span
from calibpipe.core.products import content_hash, read_table
from calibpipe.tools.collect_throughput_history import KIND, CollectThroughputHistory

MUON, PSF = "throughput/muon_throughput", "throughput/muon_psf"
NIGHTS = ("2024-07-08", "2024-07-09")


@pytest.fixture
def stored(sqlite_archive, tmp_path, north):
    """Certify a value of a telescope in a night; with its metrics, if there are errors."""

    def add(value, night, telescope="LSTN-01", kind=MUON, errors=(0.002, 0.025), **more):
        details = {"array_element": telescope}
        supersede = more.pop("supersede", False)
        made = product(
            tmp_path / night, value, kind, telescope, night=night, details=details, **more
        )
        if errors:
            metric = {MUON: "throughput", PSF: "width"}[kind]
            metrics = {metric: value, "relative_stat_error": errors[0]}
            metrics["relative_sys_error"] = errors[1]
            store_metrics(sqlite_archive, [row(made, *entry) for entry in metrics.items()])
        span = Interval.of(*night_span(night, north))
        certify(sqlite_archive, [candidate(made, span)], supersede=supersede, **SIGNED)
        return str(made.product_id)

    return add


def row(header, metric, value):
    """A metric of a product, as its verification has it."""
    keys = {"site": header.site, "category": header.category, "night": header.night}
    keys |= {"kind": header.kind, "array_element": header.array_element, "block": None}
    keys |= {"product_id": str(header.product_id), "begin_tai": f"{header.night}T11:00:00"}
    more = {"criterion": metric, "mode": "internal", "metric": metric, "median": value}
    return keys | more | {"verdict": "PASS", "result": "PASS"}


def history(archive, north, category="C"):
    span = Interval.of(night_span(NIGHTS[0], north)[0], night_span(NIGHTS[-1], north)[1])
    return throughput_history(archive, "CTAO-North", category, NIGHTS, span)


def test_values_of_telescopes_and_nights(stored, sqlite_archive, north):
    first = stored(0.20, "2024-07-09")
    stored(0.21, "2024-07-08", "LSTN-02", errors=(0.01, 0.05))
    psf = stored(0.03, "2024-07-09", kind=PSF, errors=(0.01, 0.04))
    table = history(sqlite_archive, north)
    assert list(zip(table["array_element"], table["night"], strict=True)) == [
        ("LSTN-01", "2024-07-09"),
        ("LSTN-02", "2024-07-08"),
    ]
    np.testing.assert_allclose(table["throughput"], [0.20, 0.21])
    np.testing.assert_allclose(table["throughput_stat_error"], [0.0004, 0.0021])
    np.testing.assert_allclose(table["throughput_sys_error"], [0.005, 0.0105])
    assert table["throughput_product"][0] == first
    np.testing.assert_allclose(table["psf_width"].to_value(u.deg), [0.03, np.nan])
    np.testing.assert_allclose(table["psf_width_sys_error"].to_value(u.deg), [0.0012, np.nan])
    assert list(table["psf_width_product"]) == [psf, ""]


def test_only_what_a_lookup_would_find_in_those_nights(stored, sqlite_archive, north):
    """Not of other nights, not of the other category, not what was superseded."""
    for night in ("2024-07-07", "2024-07-10"):
        stored(0.1, night)
    stored(0.15, "2024-07-09", category="B")
    stored(0.20, "2024-07-09")
    newer = stored(0.22, "2024-07-09", supersede=True)
    table = history(sqlite_archive, north)
    assert list(table["throughput"]) == [0.22]
    assert list(table["throughput_product"]) == [newer]
    assert list(history(sqlite_archive, north, "B")["throughput"]) == [0.15]


def test_a_product_that_was_never_verified_has_no_value(stored, sqlite_archive, north):
    stored(0.2, "2024-07-09", errors=())
    assert len(history(sqlite_archive, north)) == 0


def collected(tmp_path, root, night="2024-07-10", *options):
    """Product of the Tool."""
    path = tmp_path / f"{night}.ecsv"
    argv = [f"--site={root}/config/sites/CTAO-North.yaml", f"--night={night}", "--category=C"]
    argv += [f"--archive={tmp_path / 'archive'}", f"--output={path}", "--overwrite", *options]
    assert run_tool(CollectThroughputHistory(), argv, cwd=tmp_path, raises=True) == 0
    return path


def test_product_holds_the_nights_before_only(stored, root, tmp_path):
    """Nights of the calendar, counted back; the archive may have later ones."""
    for value, night in ((0.3, "2024-06-09"), (0.2, "2024-06-10"), (0.21, "2024-07-09")):
        stored(value, night)
    path = collected(tmp_path, root)
    before = content_hash(path)
    for night in ("2024-07-10", "2024-07-11"):
        stored(0.4, night)
    assert content_hash(collected(tmp_path, root)) == before
    table = read_table(path, KIND)
    assert list(table["night"]) == ["2024-06-10", "2024-07-09"]
    header = table.meta["calibpipe"]
    assert (header["first_night"], header["last_night"]) == ("2024-06-10", "2024-07-09")
    few = collected(tmp_path, root, "2024-07-10", "--CollectThroughputHistory.n_nights=2")
    assert list(read_table(few, KIND)["throughput"]) == [0.21]


def test_an_archive_without_any_night(sqlite_archive, root, tmp_path):
    assert sqlite_archive.sites == ("CTAO-North",)
    table = read_table(collected(tmp_path, root), KIND)
    assert len(table) == 0
    assert table["psf_width"].unit == u.deg
