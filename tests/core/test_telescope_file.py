"""Tables of one telescope in a file: written whole, some columns read back, refusals."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable, Table
from astropy.time import Time
from ctapipe.instrument import SubarrayDescription
from ctapipe.io import read_table, write_table

from calibpipe.core import hdf5_tables
from calibpipe.core.exceptions import CorruptedInputError, MissingInputError
from calibpipe.core.products import ProductMetadata
from calibpipe.core.telescope import telescope_subarray
from calibpipe.core.telescope_file import read_telescope_table, write_telescope_tables

GROUP, OTHER = "/dl1/event/telescope/muon", "/calibpipe/made"
METADATA = ProductMetadata("made/rings", "test", category="B", details={"obs_id": 3})
N = 1000


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(1)
    return QTable(
        {
            "event_id": np.arange(N),
            "time": Time(1.78e9 + np.arange(N) / 3, format="unix_tai", scale="tai"),
            "width": rng.random(N) * u.deg,
            "matrix": rng.random((N, 3, 3)).astype(np.float32),
            "is_valid": rng.random(N) > 0.5,
        }
    )


@pytest.fixture(scope="module")
def written(table, tmp_path_factory):
    path = tmp_path_factory.mktemp("telescope") / "made.h5"
    other = Table({"value": [1.0, 2.0]})
    tables = {GROUP: table, OTHER: other}
    return write_telescope_tables(path, telescope_subarray(1), 1, tables, METADATA)


def same(found, expected):
    for name in found.colnames:
        if name == "time":
            assert found["time"].scale == "tai"
            np.testing.assert_allclose(
                found["time"].unix_tai, expected["time"].unix_tai, rtol=0, atol=1e-6
            )
        else:
            np.testing.assert_array_equal(np.asarray(found[name]), np.asarray(expected[name]))
            assert np.asarray(found[name]).dtype == np.asarray(expected[name]).dtype


@pytest.mark.parametrize("tel_id", [0, 1])
def test_all_columns_come_back(written, table, tel_id):
    found = read_telescope_table(written, GROUP, tel_id, "rings")
    assert found.colnames == table.colnames
    same(found, table)
    assert found["width"].unit == u.deg
    assert found.meta["calibpipe"]["obs_id"] == 3
    assert len(read_telescope_table(written, OTHER, tel_id, "values")) == 2


@pytest.mark.parametrize("rows_at_once", [1, 7, N, 5 * N])
def test_some_columns_by_a_small_buffer(written, table, monkeypatch, rows_at_once):
    """Whatever the number of rows that it holds; names that are not there are left out."""
    itemsize = read_telescope_table(written, GROUP, 1, "rings").as_array().dtype.itemsize
    monkeypatch.setattr(hdf5_tables, "BUFFER", itemsize * rows_at_once)
    names = ("time", "matrix", "is_valid", "width", "unheard")
    found = read_telescope_table(written, GROUP, 1, "rings", names)
    assert set(found.colnames) == set(names) - {"unheard"}
    assert len(found) == N
    same(found, table)


def test_ctapipe_reads_it(written, table):
    same(read_table(written, f"{GROUP}/tel_001"), table)
    subarray = SubarrayDescription.from_hdf(written)
    assert list(subarray.tel) == [1]


def test_what_stands_there_is_replaced_or_stays(written, table, tmp_path):
    path = tmp_path / "made.h5"
    path.write_bytes(written.read_bytes())
    arguments = telescope_subarray(1), 1
    write_telescope_tables(path, *arguments, {OTHER: Table({"value": [7.0]})}, METADATA)
    assert read_telescope_table(path, OTHER, 1, "values")["value"] == [7.0]
    before = path.read_bytes()
    bad = Table({"value": np.array([object()], dtype=object)})
    with pytest.raises((TypeError, ValueError)):
        write_telescope_tables(path, *arguments, {OTHER: bad}, METADATA)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_no_file(tmp_path):
    with pytest.raises(MissingInputError, match="absent"):
        read_telescope_table(tmp_path / "absent.h5", GROUP, 1, "rings")


def test_no_hdf5(tmp_path):
    path = tmp_path / "text.h5"
    path.write_text("no HDF5")
    with pytest.raises(CorruptedInputError, match=r"text\.h5"):
        read_telescope_table(path, GROUP, 1, "rings")


def test_another_group(written):
    with pytest.raises(CorruptedInputError, match="holds no flashes"):
        read_telescope_table(written, "/dl1/other", 1, "flashes")


def test_another_telescope(written):
    with pytest.raises(MissingInputError, match="holds rings of tel_001, not of tel_002"):
        read_telescope_table(written, GROUP, 2, "rings")


def test_a_telescope_must_be_chosen_of_two(written, table, tmp_path):
    path = tmp_path / "two.h5"
    path.write_bytes(written.read_bytes())
    write_table(Table({"a": [1]}), path, f"{GROUP}/tel_002", mode="a")
    with pytest.raises(MissingInputError, match="tel_001, tel_002, not of tel_000"):
        read_telescope_table(path, GROUP, 0, "rings")
    assert len(read_telescope_table(path, GROUP, 2, "rings")) == 1


def test_a_file_of_others(tmp_path):
    """Without our header."""
    path = tmp_path / "theirs.h5"
    write_table(Table({"a": [1]}), path, f"{GROUP}/tel_005")
    found = read_telescope_table(path, GROUP, 0, "rings")
    assert found.meta["calibpipe"] == {}


def test_a_product_that_is_not_complete(written, tmp_path):
    import json

    import tables

    path = tmp_path / "part.h5"
    path.write_bytes(written.read_bytes())
    with tables.open_file(path, "a") as h5file:
        header = json.loads(h5file.root._v_attrs.calibpipe) | {"status": "half"}
        h5file.root._v_attrs.calibpipe = json.dumps(header)
    with pytest.raises(MissingInputError, match="is not complete: half"):
        read_telescope_table(path, GROUP, 1, "rings")
