"""Tables are read as ctapipe reads them."""

import subprocess
import sys

import astropy.units as u
import numpy as np
import pytest
import tables
from astropy.table import QTable, Table
from astropy.time import Time
from ctapipe.io import hdf5dataformat, read_table, write_table

from calibpipe.core import ctapipe_groups
from calibpipe.core.hdf5_tables import described_telescopes, read_columns, read_hdf5_table
from calibpipe.core.telescope import telescope_subarray


@pytest.fixture
def h5file(tmp_path):
    with tables.open_file(tmp_path / "some.h5", "w") as h5file:
        yield h5file


@pytest.fixture
def table():
    """Every kind of column that ctapipe writes."""
    time = Time("2024-07-10T22:00:00", scale="tai") + np.arange(3) * 1.5 * u.ns
    table = QTable(
        {
            "time": time,
            "event_id": np.array([2**53 + 1, 2, 3]),
            "radius": [1.0, np.nan, 1.2] * u.deg,
            "offset": np.arange(6.0).reshape(3, 2) * u.ns,
            "name": np.array(["a", "ring", "\u00b5\u207a"]),
            "is_valid": [True, False, True],
            "plain": np.arange(12, dtype=np.float32).reshape(3, 2, 2),
        }
    )
    table["radius"].info.description = "of the ring"
    table.meta["origin"] = "a test"
    table.meta["number"] = 3
    return table


def assert_same(ours, theirs):
    assert ours.colnames == theirs.colnames
    assert ours.meta == theirs.meta
    for name in ours.colnames:
        a, b = ours[name], theirs[name]
        assert type(a) is type(b)
        assert getattr(a, "unit", None) == getattr(b, "unit", None)
        assert a.info.description == (b.info.description or None)
        if isinstance(a, Time):
            assert a.scale == b.scale
            np.testing.assert_array_equal((a - b).to_value(u.ns), 0)
        else:
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_as_ctapipe(h5file, table):
    write_table(table, h5file, "/some/table")
    found = read_hdf5_table(h5file, "/some/table")
    assert_same(found, read_table(h5file, "/some/table"))
    assert found["event_id"][0] == 2**53 + 1
    np.testing.assert_allclose((found["time"] - table["time"]).to_value(u.ns), 0, atol=0.3)


def test_times_as_numbers(h5file, table):
    write_table(table, h5file, "/some/table", time_format="mjd")
    assert_same(read_hdf5_table(h5file, "/some/table"), read_table(h5file, "/some/table"))


def test_what_is_not_known_is_left_to_ctapipe(h5file):
    """Numbers of fixed point: scaled."""
    table = Table({"image": np.arange(4, dtype=np.int16)})
    write_table(table, h5file, "/some/table")
    attributes = h5file.root.some.table.attrs
    attributes.CTAFIELD_0_TRANSFORM = "fixed_point"
    attributes.CTAFIELD_0_TRANSFORM_SCALE = 10.0
    attributes.CTAFIELD_0_TRANSFORM_DTYPE = "float32"
    found = read_hdf5_table(h5file, "/some/table")
    np.testing.assert_allclose(found["image"], [0, 0.1, 0.2, 0.3], rtol=1e-6)


def test_some_columns(h5file, table, monkeypatch):
    """By way of a buffer that holds two rows."""
    write_table(table, h5file, "/some/table")
    node = h5file.root.some.table
    monkeypatch.setattr("calibpipe.core.hdf5_tables.BUFFER", 2 * node.dtype.itemsize)
    found = read_columns(node, ["time", "plain", "absent"])
    assert found.colnames == ["time", "plain"]
    np.testing.assert_array_equal(found["plain"], table["plain"])
    np.testing.assert_allclose((found["time"] - table["time"]).to_value(u.ns), 0, atol=0.3)


def test_telescopes_of_a_file(h5file):
    assert described_telescopes(h5file) == []
    telescope_subarray(1).to_hdf(h5file)
    assert described_telescopes(h5file) == [1]


def test_groups_are_those_of_ctapipe():
    names = [name for name in vars(ctapipe_groups) if name.startswith(("DL0_", "DL1_", "DL2_"))]
    assert len(names) > 5
    for name in names:
        assert getattr(ctapipe_groups, name) == getattr(hdf5dataformat, name)


def test_reading_imports_no_telescopes():
    """What takes seconds: `ctapipe.io`, `ctapipe.instrument`."""
    code = (
        "import sys, calibpipe.core.array_file, calibpipe.core.muon_file, "
        "calibpipe.core.statistics_file, calibpipe.verification.array, "
        "calibpipe.core.telescope_file, calibpipe.throughput.muon_ring_table; "
        "print(*sorted(sys.modules))"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    imported = set(process.stdout.split())
    assert "astropy.table" in imported
    assert not imported & {"ctapipe.io", "ctapipe.instrument", "numba", "scipy.integrate"}


def test_table_without_rows_keeps_its_columns(tmp_path):
    table = QTable({"name": np.array([], "U5"), "angle": [] * u.deg})
    with tables.open_file(tmp_path / "empty.h5", "w") as h5file:
        write_table(table, h5file, "/empty")
        found = read_hdf5_table(h5file, "/empty")
    assert (len(found), found.colnames) == (0, ["name", "angle"])
    assert found["name"].dtype.kind == "U"
