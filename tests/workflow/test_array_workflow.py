"""The array in the workflow: DL2 files of a night, from events to certified calibrations."""

import json

import numpy as np
import pytest
import yaml
from declared_products import departures
from workflow.test_camera_workflow import snakemake, workflow

from calibpipe.core.array_file import read_array_product
from calibpipe.core.products import read_table

__all__ = ["workflow"]

CONFIG = {
    "sites": ["CTAO-North"],
    "categories": ["C"],
    "nights": ["2024-07-10"],
    "domains": ["array", "archive"],
    "dl2": {"source": "simulation"},
}
NIGHT = "results/CTAO-North/C/2024-07-10"


def configured(folder, **changes):
    """A folder with its configuration."""
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG | changes))
    return folder


@pytest.fixture
def delivered(tmp_path):
    """Names of DL2 files of two nights; of the second observation two parts."""
    configured(
        tmp_path,
        domains=["array"],
        nights=["2024-07-10", "2024-07-11", "2024-07-12"],
        dl2={"source": "files", "files": "{site}/{night}/*OBSID{obs_id}*.dl2.h5"},
    )
    for name in (
        "2024-07-10/events.OBSID00007.dl2.h5",
        "2024-07-10/events.OBSID00012.part1.dl2.h5",
        "2024-07-10/events.OBSID00012.part2.dl2.h5",
        "2024-07-10/events.OBSID00012.h5",
        "2024-07-11/events.OBSID2000000001.dl2.h5",
    ):
        path = tmp_path / "dl2/CTAO-North" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    return tmp_path


def test_blocks_are_those_of_the_files(delivered, workflow):
    """Every night with its own; one without files has nothing to do."""
    _, output = snakemake(delivered, workflow, "--dry-run")
    for block in ("2024-07-10 CTAO-North OBSID7", "2024-07-10 CTAO-North OBSID12"):
        assert f"{block} C: asymmetry of energies" in output
    assert "2024-07-11 CTAO-North OBSID2000000001 C: asymmetry of images" in output
    assert "2024-07-12" not in output
    assert output.count("asymmetry of energies") == 3
    assert output.count("C: array timing") == 2


def test_a_block_that_is_not_there(delivered, workflow):
    target = f"{NIGHT}/array/energy_asymmetry.OBSID9.h5"
    code, output = snakemake(delivered, workflow, "--dry-run", target, check=False)
    assert code != 0
    assert "no DL2 of OBSID9 in the night 2024-07-10 at CTAO-North; there are OBSID7, OBSID12" in (
        output
    )


@pytest.fixture(scope="module")
def finished(workflow, tmp_path_factory):
    """A night of the array, with fewer events."""
    few = workflow / "config/tools/simulate_dl2_data.yaml"
    settings = yaml.safe_load(few.read_text())
    settings["SimulateDl2Data"]["n_events"] = 6000
    few.write_text(yaml.safe_dump(settings))
    folder = configured(tmp_path_factory.mktemp("night"))
    snakemake(folder, workflow)
    return folder


@pytest.mark.slow
def test_throughputs_and_offsets_are_the_true_ones(finished):
    """Chi² of the differences, with statistical and systematic errors, within 4 of its own."""
    path = finished / "simulation/dl2/CTAO-North/2024-07-10/truth.ecsv"
    truth = read_table(path, "simulation/dl2_truth")
    folder = finished / NIGHT / "array"
    node = "/dl2/monitoring/subarray/inter_calibration"
    _, tables = read_array_product(
        folder / "inter_calibration.h5", "array/inter_calibration", [node]
    )
    for kind in np.unique(tables[node]["tel_type"]):
        rows = tables[node][tables[node]["tel_type"] == kind]
        assert rows["is_valid"].all()
        own = truth[np.isin(truth["tel_id"], rows["tel_id"])]
        true = np.log(own["throughput"]) - np.log(own["throughput"]).mean()
        error = np.hypot(rows["error"], rows["sys_error"]) / rows["value"]
        pull = (np.log(rows["value"]) - true) / error
        assert np.sum(pull**2) < len(rows) + 4 * np.sqrt(2 * len(rows))
    node = "/calibpipe/array/timing"
    _, tables = read_array_product(folder / "timing.h5", "array/timing", [node])
    rows = tables[node]
    assert rows["is_valid"].all()
    true = np.asarray(truth["time_offset_in_ns"])
    difference = rows["offset"] - (true - true.mean())
    pull = difference / np.hypot(rows["stat_error"], rows["sys_error"])
    assert np.sum(pull**2) < len(rows) + 4 * np.sqrt(2 * len(rows))


@pytest.mark.slow
def test_verified_and_certified(finished):
    record = json.loads((finished / NIGHT / "certification/array.json").read_text())
    assert record["refused"] == []
    kinds = {entry["kind"] for entry in record["certified"]}
    assert kinds == {"array/inter_calibration", "array/cross_calibration", "array/timing"}


@pytest.mark.slow
def test_nothing_is_done_twice(finished, workflow):
    _, output = snakemake(finished, workflow, "--dry-run")
    assert "Nothing to be done" in output


@pytest.mark.slow
def test_products_have_the_declared_columns(finished):
    problems, kinds = departures(finished / "results")
    assert not problems
    assert {"array/timing", "array/cross_calibration", "array/energy_asymmetry"} <= kinds
