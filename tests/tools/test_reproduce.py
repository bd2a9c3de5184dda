"""Products made again from what they say of themselves."""

import json

import numpy as np
import pytest
from ctapipe.core import ToolConfigurationError, run_tool

from calibpipe.archive.reproduction import Source, located, settings
from calibpipe.core.exceptions import MissingInputError
from calibpipe.core.product_header import read_product_header
from calibpipe.core.products import ProductMetadata, write_json
from calibpipe.tools.calculate_macobac import CalculateMacobac
from calibpipe.tools.reproduce import Reproduce
from calibpipe.tools.verify import Verify


def record(base=400.0):
    """Monthly CO2 in NOAA's layout."""
    lines = ["year,month,decimal date,average,deseasonalized,ndays,sdev,unc"]
    for i, month in enumerate(np.datetime64("2020-01", "M") + np.arange(42)):
        year, name = str(month).split("-")
        lines.append(f"{year},{name},2020.0,{base + i:.2f},{base + i:.2f},25,0.5,0.2")
    return "\n".join(lines) + "\n"


@pytest.fixture
def folder(root, tmp_path):
    """A folder in which a product was made with relative paths."""
    folder = tmp_path / "first"
    (folder / "input").mkdir(parents=True)
    (folder / "input/co2.csv").write_text(record())
    site = root / "config/sites/CTAO-North.yaml"
    argv = [f"--site={site}", "--night=2023-06-20", "--output=macobac.ecsv"]
    argv += ["--input=input/co2.csv", "--CalculateMacobac.tries=3"]
    assert run_tool(CalculateMacobac(), argv, cwd=folder) == 0
    return folder


def reproduced(folder, *options, raises=True, product="macobac.ecsv"):
    """Exit code and answer."""
    answer = folder.parent / "answer.json"
    argv = [str(folder / product), f"--output-folder={folder.parent}/again"]
    code = run_tool(
        Reproduce(), [*argv, f"--record={answer}", "--overwrite", *options], raises=raises
    )
    return code, json.loads(answer.read_text())


def test_a_product_says_how_it_was_made(folder):
    run = read_product_header(folder / "macobac.ecsv").own["run"]
    assert run["tool"] == "calibpipe-calculate-macobac"
    assert run["command"].startswith("calibpipe-calculate-macobac --site=")
    assert run["directory"] == str(folder)
    assert run["outputs"] == ["output"]
    settings = json.loads(run["configuration"])["CalculateMacobac"]
    assert settings["input_file"] == "input/co2.csv"  # relative: the folder may move
    assert settings["night"] == "2023-06-20"
    assert set(run["environment"]) <= {"CTAPIPE_IO_ZFITS_NO_SERVICE_DATA", "CTAPIPE_SVC_PATH"}


def test_same_content(folder):
    before = (folder / "macobac.ecsv").read_bytes()
    code, answer = reproduced(folder)
    assert (code, answer["level"], answer["remarks"]) == (0, "same content", [])
    assert (folder / "macobac.ecsv").read_bytes() == before
    assert answer["made"].startswith(str(folder.parent / "again"))


def test_one_of_several_verdicts_in_a_folder(folder, root):
    (folder / "other.ecsv").write_bytes((folder / "macobac.ecsv").read_bytes())
    argv = [f"--site={root / 'config/sites/CTAO-North.yaml'}", "--night=2023-06-20"]
    argv += [f"--criteria={root / 'config/criteria.yaml'}", "--output-folder=verdicts"]
    argv += ["--product=macobac.ecsv", "--product=other.ecsv"]
    assert run_tool(Verify(), argv, cwd=folder, raises=True) == 0
    code, answer = reproduced(folder, product="verdicts/macobac.json")
    assert (code, answer["level"]) == (0, "same content")
    assert answer["made"].endswith("verdicts/macobac.json")


def test_in_another_place(folder, root, tmp_path):
    moved = folder.rename(tmp_path / "moved")
    with pytest.raises(MissingInputError, match="which is not there: say with --root"):
        reproduced(moved)
    assert reproduced(moved, f"--root={moved}")[0] == 0
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(MissingInputError, match=r"monthly_co2: .*elsewhere/input/co2.csv is not"):
        reproduced(moved, f"--root={tmp_path / 'elsewhere'}")
    (moved / "input").rename(tmp_path / "elsewhere/other")
    options = f"--root={tmp_path / 'elsewhere'}", "--replace=input=other"
    assert reproduced(moved, *options)[0] == 0


def test_an_input_that_changed(folder):
    (folder / "input/co2.csv").write_text(record(base=410.0))
    with pytest.raises(MissingInputError, match=r"1 of 2 inputs .*needs sha256 [0-9a-f]{12}\."):
        reproduced(folder)
    code, answer = reproduced(folder, "--any-inputs", raises=False)
    assert (code, answer["level"]) == (1, "different")
    (co2,) = (c for c in answer["columns"] if c["column"] == "co2_mole_fraction")
    assert co2["max_absolute"] == pytest.approx(10e-6)
    assert answer["remarks"] == ["input monthly_co2: changed"]


def test_other_code_is_told(folder):
    path = folder / "macobac.ecsv"
    code = read_product_header(path).own["run"]["code"]
    path.write_text(path.read_text().replace(code, "0.0.9+00000000"))
    _, answer = reproduced(folder)
    assert answer["remarks"] == [f"code of the Tool: 0.0.9+00000000 then, {code} now"]


def test_what_cannot_be_reproduced_says_why(folder, tmp_path):
    foreign = write_json(tmp_path / "x.json", {}, ProductMetadata("observatory/site", "a test"))
    with pytest.raises(MissingInputError, match="does not say how it was made"):
        run_tool(Reproduce(), [str(foreign)], cwd=tmp_path)
    with pytest.raises(ToolConfigurationError, match="say of which --archive"):
        run_tool(Reproduce(), ["3f9a1d0e-0000-0000-0000-000000000000"], cwd=tmp_path)
    with pytest.raises(ToolConfigurationError, match="OLD=NEW"):
        reproduced(folder, "--replace=nonsense")


def test_beginnings_of_paths(tmp_path):
    replaced = {"/old/": "/new", "results": "elsewhere"}
    assert str(located("/old/x/y", tmp_path, replaced)) == "/new/x/y"
    assert str(located("/older/x", tmp_path, replaced)) == "/older/x"
    assert located("results/x", tmp_path, replaced) == tmp_path / "elsewhere/x"
    assert located("results2/x", tmp_path, replaced) == tmp_path / "results2/x"


def test_an_input_without_a_folder_in_its_name_is_taken_from_where_it_is_found(tmp_path):
    """From the archive here: the file of that name has changed since."""
    (tmp_path / "co2.csv").write_text("changed")
    kept = tmp_path / "archive/co2.csv"
    found = [Source("monthly_co2", "co2.csv", kept, "1", "1", "from the archive")]
    own = {"input_file": "co2.csv", "night": "2023-06-20", "others": ["co2.csv", "", "x/y"]}
    run = {"configuration": {"CalculateMacobac": own}, "outputs": []}
    (made,) = settings(run, found, tmp_path, {"2023-06-20": "z", "x": "z"}, tmp_path).values()
    assert made == {
        "input_file": str(kept),
        "night": "2023-06-20",
        "others": [str(kept), "", "z/y"],
    }
