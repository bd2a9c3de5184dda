"""Excluded pixels in the workflow: decisions of operators, two nights with their history."""

import json

import jsonschema
import numpy as np
import pytest
import yaml
from workflow.test_camera_workflow import ROOT, snakemake, workflow

from calibpipe.core.product_header import read_product_header
from calibpipe.core.products import read_table
from calibpipe.core.telescope_file import read_telescope_table
from calibpipe.simulation.camera import truth_from_table
from calibpipe.tools.select_excluded_pixels import PIXELS_GROUP

__all__ = ["workflow"]

NIGHTS = ["2024-07-10", "2024-07-11"]
CONFIG = {
    "sites": ["CTAO-North"],
    "categories": ["C"],
    "nights": NIGHTS,
    "telescopes": ["LSTN-01"],
    "domains": ["camera", "archive"],
    "dl0": {"source": "simulation"},
    "meteo": {"source": "simulation"},
    "co2": {"online": False},
}
DECISION = {
    "decision": "exclude_pixels",
    "site": "CTAO-North",
    "telescope": "LSTN-01",
    "pixels": [7, 1034],
    "night": "2024-07-11",
    "until": "2024-07-31",
    "author": "A. Shifter",
    "date": "2024-07-20",
    "reason": "sparks in module 1",
}


def schema():
    return yaml.safe_load((ROOT / "config/schemas/pixel_overrides.schema.yaml").read_text())


def test_a_right_decision_is_accepted():
    open_end = {name: value for name, value in DECISION.items() if name != "until"}
    jsonschema.validate({"overrides": [DECISION, open_end]}, schema())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"decision": "exclude_pixel"}, "'exclude_pixel' is not one of"),
        ({"pixel": [3]}, "'pixel' was unexpected"),
        ({"pixels": []}, "should be non-empty"),
        ({"pixels": [7, 7]}, "has non-unique elements"),
        ({"pixels": [-1]}, "-1 is less than the minimum of 0"),
        ({"pixels": "7-9"}, "'7-9' is not of type 'array'"),
        ({"telescope": "LST-1"}, "does not match"),
        ({"night": "11.7.2024"}, "does not match"),
        ({"until": "forever"}, "does not match"),
        ({"site": "CTAO-West"}, "is not one of"),
        ({"reason": "bad"}, "is too short"),
        ({"author": None}, "None is not of type 'string'"),
    ],
)
def test_typos_are_refused(change, message):
    with pytest.raises(jsonschema.ValidationError, match=message):
        jsonschema.validate({"overrides": [DECISION | change]}, schema())


@pytest.mark.parametrize("name", ["pixels", "night", "telescope", "author", "date", "reason"])
def test_what_a_decision_needs(name):
    entry = {key: value for key, value in DECISION.items() if key != name}
    with pytest.raises(jsonschema.ValidationError, match=f"'{name}' is a required property"):
        jsonschema.validate({"overrides": [entry]}, schema())


@pytest.fixture
def decided(workflow):
    """Writes decisions into the workflow, and takes them away."""
    path = workflow / "config/pixel_overrides.yaml"
    before = path.read_text()

    def write(*entries):
        path.write_text(yaml.safe_dump({"overrides": list(entries)}))

    yield write
    path.write_text(before)


def configured(folder, **changes):
    """A folder with its configuration."""
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG | changes))
    return folder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pixel": [3]}, "'pixel' was unexpected"),
        ({"night": "2024-02-31"}, "pixel_overrides.yaml, night: there is no day '2024-02-31'"),
        ({"until": "2024-07-10"}, "ends on 2024-07-10, before it begins on 2024-07-11"),
        ({"telescope": "LSTN-09"}, "no LSTN-09 at CTAO-North; there are LSTN-01, LSTN-02"),
    ],
)
def test_the_workflow_looks_at_decisions_first(tmp_path, workflow, decided, change, message):
    decided(DECISION | change)
    code, output = snakemake(configured(tmp_path), workflow, "--dry-run", check=False)
    assert code != 0
    assert message in output


@pytest.fixture(scope="module")
def finished(workflow, tmp_path_factory):
    """Two nights in one run; one bad night is enough to exclude a pixel."""
    path = workflow / "config/tools/select_excluded_pixels.yaml"
    settings = yaml.safe_load(path.read_text())
    settings["SelectExcludedPixels"]["n_bad"] = 1
    path.write_text(yaml.safe_dump(settings))
    path = workflow / "config/tools/produce_camcalib_test_data.yaml"
    settings = yaml.safe_load(path.read_text())
    settings["ProduceCamcalibTestData"]["n_muon"] = 0
    path.write_text(yaml.safe_dump(settings))
    (workflow / "config/pixel_overrides.yaml").write_text(yaml.safe_dump({"overrides": [DECISION]}))
    folder = configured(tmp_path_factory.mktemp("nights"))
    snakemake(folder, workflow)
    return folder


def dead_pixels(folder, night):
    (path,) = (folder / f"simulation/CTAO-North/{night}/truth").rglob("*.camera_truth.ecsv")
    truth = truth_from_table(read_table(path, "simulation/camera_truth"))
    return set(np.flatnonzero(truth.gain[0] == 0).tolist())


def product(folder, night):
    return folder / f"results/CTAO-North/C/{night}/LSTN-01/camera/excluded_pixels.h5"


@pytest.mark.slow
def test_nights_of_one_run_go_in_their_order(finished):
    """The second list has the dead pixels of both nights, and those of the operator."""
    first, second = (
        set(np.flatnonzero(table["is_excluded"]).tolist())
        for table in (
            read_telescope_table(product(finished, night), PIXELS_GROUP, 1, "excluded pixels")
            for night in NIGHTS
        )
    )
    dead = [dead_pixels(finished, night) for night in NIGHTS]
    assert len(dead[0] | dead[1]) > len(dead[0])
    assert dead[0] <= first
    assert len(first - dead[0]) <= 0.002 * 1855  # of 5 sigma on 120 events
    assert first | dead[1] | {7, 1034} <= second
    header = read_product_header(product(finished, NIGHTS[1])).own
    assert header["history_of"] == NIGHTS[:1]
    assert header["n_with_reason"]["OPERATOR"] == 2


@pytest.mark.slow
def test_lists_are_certified_one_a_night(finished):
    for night in NIGHTS:
        folder = finished / f"results/CTAO-North/C/{night}/certification"
        record = json.loads((folder / "excluded_pixels.LSTN-01.json").read_text())
        assert record["refused"] == []
        (entry,) = record["certified"]
        assert entry["kind"] == "camera/excluded_pixels"
        assert entry["collection"].endswith("layer-0001")  # none is in front of another
        assert entry["validity"]["begin_utc"].startswith(f"{night}T1")


@pytest.mark.slow
def test_decisions_make_a_list_anew_that_they_change(finished, workflow, decided):
    elsewhere = DECISION | {"telescope": "LSTN-02"}
    decided(DECISION, elsewhere)
    _, output = snakemake(finished, workflow, "--dry-run")
    assert "Nothing to be done" in output
    decided(DECISION | {"pixels": [7]}, elsewhere)
    _, output = snakemake(finished, workflow, "--dry-run")
    assert "2024-07-11 LSTN-01 C: excluded pixels" in output
    assert "2024-07-10 LSTN-01 C: excluded pixels" not in output
