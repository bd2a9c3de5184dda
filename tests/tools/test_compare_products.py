"""Products compared: bytes, content, numbers; exit codes; every format."""

import json

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable, Table
from astropy.time import Time
from ctapipe.core import run_tool

from calibpipe.core.array_file import write_array_tables
from calibpipe.core.products import ProductMetadata, content_hash, write_json, write_table
from calibpipe.tools.compare_products import CompareProducts

TIMES = Time("2024-07-10T22:00:00", scale="tai") + np.arange(3) * u.s


def metadata(**more):
    return ProductMetadata("made/coefficients", "a test", site="CTAO-North", **more)


def ecsv(path, shift=0.0, **more):
    columns = {"time": TIMES, "vaod": [0.1, 0.2, 0.3 + shift], "stat_error": [0.01] * 3}
    return write_table(path, QTable(columns), metadata(**more))


def hdf5(path, shift=0.0, **more):
    values = np.ones((3, 2, 5), np.float32)
    values[1, 0, 3] += shift
    error = np.full_like(values, 0.5)
    table = Table({"time": TIMES, "gain": values, "gain_stat_error": error})
    node = "/dl1/monitoring/telescope/x/tel_001"
    return write_array_tables(path, None, {node: table}, metadata(**more))


def document(path, shift=0.0, **more):
    return write_json(path, {"rows": [{"value": 1.5 + shift, "error": 0.5}]}, metadata(**more))


FORMATS = {"x.ecsv": ecsv, "x.h5": hdf5, "x.json": document}


@pytest.fixture(params=FORMATS)
def pair(request, tmp_path):
    """Two paths and the function that writes there."""
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    name = request.param
    return FORMATS[name], tmp_path / "one" / name, tmp_path / "other" / name


def compared(first, second, *options):
    return run_tool(CompareProducts(), [str(first), str(second), *map(str, options)], raises=False)


def test_made_twice_with_other_contact_and_later_is_the_same(pair, capsys):
    write, one, other = pair
    write(one)
    write(other, contact={"name": "somebody else"})
    assert one.read_bytes() != other.read_bytes()
    assert content_hash(one) == content_hash(other)
    assert compared(one, other) == 0
    assert "same content" in capsys.readouterr().out
    assert compared(one, one) == 0
    assert "same bytes" in capsys.readouterr().out


def test_another_number_is_different(pair, capsys):
    write, one, other = pair
    write(one)
    write(other, shift=1.0)
    assert content_hash(one) != content_hash(other)
    assert compared(one, other) == 1
    told = capsys.readouterr().out
    assert told.startswith("different")
    assert "1 of " in told
    assert "at most 1" in told


def test_another_input_is_different_with_the_same_numbers(pair, tmp_path, capsys):
    write, one, other = pair
    write(one, details={"limit": 1})
    write(other, details={"limit": 2})
    assert compared(one, other) == 1
    told = capsys.readouterr().out
    assert told.startswith("same numbers")
    assert "calibpipe.limit: 1 -> 2" in told


def test_errors_of_the_first_product_are_the_scale(tmp_path):
    report = tmp_path / "differences.json"
    compared(hdf5(tmp_path / "a.h5"), hdf5(tmp_path / "b.h5", 1.0), f"--output={report}")
    (found,) = json.loads(report.read_text())
    (column,) = found["columns"]
    assert found["level"] == "different"
    assert column["column"] == "gain"
    assert column["table"] == "/dl1/monitoring/telescope/x/tel_001"
    assert (column["max_absolute"], column["max_pull"]) == (1, 2)
    assert column["rms_pull"] == pytest.approx(2 / np.sqrt(30))


def test_identifier_of_an_hdf5_product_is_of_the_inputs_content(tmp_path):
    """An input product that was made again has other bytes and the same identifier."""
    found = []
    for n in range(2):
        source = ecsv(tmp_path / f"{n}.ecsv", contact={"name": f"person {n}"})
        path = hdf5(tmp_path / f"{n}.h5", inputs=(("air", source),))
        found.append((source.read_bytes(), content_hash(path)))
    assert found[0][0] != found[1][0]
    assert found[0][1] == found[1][1]


def test_folders_by_relative_path(tmp_path, capsys):
    for name in ("one", "other"):
        folder = tmp_path / name / "atmosphere"
        ecsv(folder / "same.ecsv", contact={"name": name})
        document(folder / "other.json", shift=float(name == "other"))
        (folder / "atmprof.dat").write_text("same")
        (folder / "same.provenance.json").write_text(name)  # a record of the run
        (tmp_path / name / "report").mkdir()
        (tmp_path / name / "report/index.html").write_text(name)
    hdf5(tmp_path / "one/atmosphere/gone.h5")
    table = tmp_path / "d.ecsv"
    assert compared(tmp_path / "one", tmp_path / "other", f"--output={table}") == 1
    told = capsys.readouterr().out
    assert "missing       atmosphere/gone.h5" in told
    assert told.splitlines()[-1] == "1 same bytes, 1 missing, 1 different, 1 same content"
    rows = QTable.read(table)
    assert set(rows["product"]) == {"atmosphere/gone.h5", "atmosphere/other.json"}
    assert set(rows["kind"]) == {"made/coefficients"}


def test_trouble_is_not_a_difference(tmp_path):
    one = ecsv(tmp_path / "x.ecsv")
    assert compared(one, tmp_path / "absent.ecsv") == 2
    assert compared(one, tmp_path) == 2
    assert run_tool(CompareProducts(), [str(one)], raises=False) == 2
    (tmp_path / "y.ecsv").write_text("# %ECSV 1.0\n")
    assert compared(one, tmp_path / "y.ecsv") == 104
