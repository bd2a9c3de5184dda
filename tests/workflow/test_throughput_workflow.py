"""Throughput in the workflow: from simulated muons to certified products and the page."""

import json
import os
import re
import subprocess

import numpy as np
import pytest
import yaml
from declared_products import departures
from workflow.test_camera_workflow import BIN, snakemake, workflow

from calibpipe.core.product_header import read_product_header
from calibpipe.core.products import read_table
from calibpipe.core.telescope_file import read_telescope_table

__all__ = ["workflow"]

CONFIG = {
    "sites": ["CTAO-North"],
    "categories": ["C"],
    "nights": ["2024-07-10"],
    "telescopes": ["LSTN-01"],
    "dl0": {"source": "simulation"},
    "meteo": {"source": "simulation"},
    "co2": {"online": False},
}


@pytest.fixture(scope="module")
def finished(workflow, tmp_path_factory):
    """A night of one telescope with some hundred muons; where its products are."""
    few = workflow / "config/tools/produce_camcalib_test_data.yaml"
    settings = yaml.safe_load(few.read_text())
    settings["ProduceCamcalibTestData"] |= {"n_flatfield": 500, "n_pedestal": 500, "n_muon": 250}
    few.write_text(yaml.safe_dump(settings))
    folder = tmp_path_factory.mktemp("night")
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    snakemake(folder, workflow)
    return folder


def night(folder):
    return folder / "results/CTAO-North/C/2024-07-10"


def truth(folder):
    (path,) = folder.glob("simulation/*/*/truth/LSTN-01/*/*.muon_truth.ecsv")
    return read_table(path, "simulation/muon_truth").meta["calibpipe"]


@pytest.mark.slow
def test_throughput_and_width_are_the_true_ones(finished):
    """Within three standard errors, statistical and systematic together."""
    true = truth(finished)
    folder = night(finished) / "LSTN-01/throughput"
    group = "/calibpipe/throughput/muon_night"
    table = read_telescope_table(folder / "muon_throughput.h5", group, 1, "throughput")
    assert table.meta["calibpipe"]["pixel_gaps"] == "included"  # the simulated camera has none
    row = table[0]
    error = (row["sem"] ** 2 + row["sys_error"] ** 2) ** 0.5
    assert abs(row["mean"] - true["optical_throughput"]) < 3 * error
    assert row["n_events"] > 60
    assert row["sem"] / row["mean"] < 0.01
    group = "/dl1/monitoring/telescope/optical_psf"
    psf = read_telescope_table(folder / "muon_psf.h5", group, 1, "point spread function")
    about = psf.meta["calibpipe"]
    error = (about["stat_error_in_deg"] ** 2 + about["sys_error_in_deg"] ** 2) ** 0.5
    assert abs(about["width_in_deg"] - true["psf_in_deg"]) < 3 * error


@pytest.mark.slow
def test_verified_certified_and_on_the_page(finished):
    for name in ("muon_throughput", "muon_psf"):
        record = night(finished) / f"verification/{name}.LSTN-01.json"
        content = json.loads(record.read_text())["content"]
        assert (content["verdict"], content["because"]) == ("PASS", [])
        certified = night(finished) / f"certification/{name}.LSTN-01.json"
        assert f"throughput/{name}" in certified.read_text()
    page = (night(finished) / "report/index.html").read_text()
    assert "LSTN-01/throughput/muon_throughput.h5" in page
    assert "No earlier nights: nothing is certified from 2024-06-10 to 2024-07-09." in page


@pytest.mark.slow
def test_the_next_night_has_this_one_before_it(finished, workflow):
    """Value and errors, by way of verification and archive, are those of the products."""
    made = "results/CTAO-North/C/2024-07-11/array/throughput_history.ecsv"
    snakemake(finished, workflow, made)
    (row,) = read_table(finished / made, "array/throughput_history")
    assert (row["array_element"], row["night"]) == ("LSTN-01", "2024-07-10")
    for name, kind in (("throughput", "muon_throughput"), ("psf_width", "muon_psf")):
        header = read_product_header(night(finished) / f"LSTN-01/throughput/{kind}.h5")
        assert row[f"{name}_product"] == str(header.product_id)
    header = read_product_header(night(finished) / "LSTN-01/throughput/muon_throughput.h5")
    for name, own in (
        ("", "throughput"),
        ("_stat_error", "stat_error"),
        ("_sys_error", "sys_error"),
    ):
        assert float(row[f"throughput{name}"]) == pytest.approx(header.own[own], rel=1e-9)


@pytest.mark.slow
def test_a_block_is_left_out_by_decision(finished, workflow):
    """Nothing of it is made any more; a decision without its block is no decision."""
    decision = {
        "decision": "leave_out_block",
        "site": "CTAO-North",
        "night": "2024-07-10",
        "telescope": "LSTN-01",
        "obs_id": 1,
        "author": "the shift",
        "date": "2024-07-12",
        "reason": "dew on the mirror all night",
    }
    overrides = workflow / "config/overrides.yaml"
    before = overrides.read_text()
    try:
        again = ("--dry-run", "--forcerun", "pixel_statistics")
        assert "OBSID1" in snakemake(finished, workflow, *again)[1]
        overrides.write_text(yaml.safe_dump({"overrides": [decision]}))
        assert "OBSID1" not in snakemake(finished, workflow, *again)[1]
        del decision["obs_id"]
        overrides.write_text(yaml.safe_dump({"overrides": [decision]}))
        code, told = snakemake(finished, workflow, "--dry-run", check=False)
        assert code != 0
        assert "obs_id" in told
    finally:
        overrides.write_text(before)


@pytest.mark.slow
def test_products_have_the_declared_columns(finished):
    problems, kinds = departures(finished / "results")
    assert not problems
    assert {"camera/coefficients", "throughput/muon_psf", "throughput/muon_rings"} <= kinds


@pytest.mark.slow
def test_the_notebook_of_a_night(finished, root, tmp_path):
    """It runs on a night of these folders and finds what is true."""
    notebook = tmp_path / "night.ipynb"
    written = (root / "docs/notebooks/night.ipynb").read_text()
    assert not [cell for cell in json.loads(written)["cells"] if cell.get("outputs")]
    notebook.write_text(written)
    known = {"CALIBPIPE_DEMO": str(finished), "PYTHONPATH": str(root)}
    done = subprocess.run(
        [BIN / "jupyter-execute", "--inplace", notebook],
        env=os.environ | known,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    cells = json.loads(notebook.read_text())["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    told = "".join("".join(o["text"]) for o in outputs if o.get("name") == "stdout")
    assert "category C" in told
    assert re.search(r"certified \S+ PASS - workflow, night 2024-07-10", told)
    assert "nothing in C, B, reference is certified for 2024-09-01" in told
    value, stat, sys_error = map(
        float, re.search(r"throughput ([\d.]+) ± ([\d.]+) \(stat.\) ± ([\d.]+)", told).groups()
    )
    assert abs(value - truth(finished)["optical_throughput"]) < 3 * np.hypot(stat, sys_error)
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 3
