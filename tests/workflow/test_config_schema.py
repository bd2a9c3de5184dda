"""What the schema of the configuration refuses; that Snakemake asks it, test_workflow.py tests."""

import re
from pathlib import Path

import pytest
import yaml
from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config, validate

CONFIG = Path(__file__).parents[2] / "config"
FLASHES = {"site": "CTAO-North", "night": "2024-07-10", "obs_id": 2, "source": "light.ecsv"}
SET = {"site": "CTAO-North", "night": "2024-07-10", "mode": "PEDESTAL_FLAT", "runs": "runs.ecsv"}
EFFICIENCY = {
    "site": "CTAO-North",
    "night": "2024-07-10",
    "telescope": "LSTN-01",
    "table": "pde.ecsv",
    "origin": "a laboratory",
    "measured": "2015-03-01",
}
DECISION = {
    "decision": "reference_model_by_date",
    "site": "CTAO-North",
    "night": "2024-07-10",
    "author": "A. Shifter",
    "date": "2024-07-20",
    "reason": "no ERA5 for this night, ever",
}


def check(change):
    """The shipped configuration with a change, as Snakemake merges and validates it."""
    config = yaml.safe_load((CONFIG / "config.yaml").read_text())
    update_config(config, change)
    validate(config, schema=str(CONFIG / "schemas/config.schema.yaml"))


def refused(change, message):
    with pytest.raises(WorkflowError, match=re.escape(message)):
        check(change)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"nights": {"first": "2024-07-10", "last": "2024-07-12"}},
        {"nights": "2024-07-10"},
        {"dl0": {"blocks": ["LSTN-01/OBSID3"]}, "meteo": {"source": "none"}},
        {"throughput": {"illuminator": [FLASHES]}},
        {"camera": {"calibration_sets": [SET | {"telescopes": ["LSTN-01"]}], "pde": [EFFICIENCY]}},
        {"monitoring": {"reference_nights": {"CTAO-North": ["2024-07-08"]}}},
        {"pointing": {"model_nights": {"CTAO-North": ["2024-07-31"]}}},
    ],
)
def test_what_is_right_passes(change):
    check(change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"catgories": ["C"]}, "'catgories' was unexpected"),
        ({"categories": ["D"]}, "'D' is not one of"),
        ({"sites": ["CTAO-West"]}, "'CTAO-West' is not one of"),
        ({"nights": ["10.7.2024"]}, "'10.7.2024' does not match"),
        ({"nights": []}, "[] should be non-empty"),
        ({"nights": {"first": "2024-07-10"}}, "'last' is a required property"),
        (
            {"nights": {"first": "2024-07-10", "lst": "2024-07-10"}},
            "'lst' was unexpected",
        ),
        ({"domains": ["cameras"]}, "'cameras' is not one of"),
        ({"telescopes": ["LST1"]}, "'LST1' does not match"),
        ({"dl0": {"blocks": ["LSTN-01 3"]}}, "'LSTN-01 3' does not match"),
        ({"meteo": {"files": "{nigth}/*"}}, "'{nigth}/*' does not match"),
    ],
)
def test_keys_nights_and_domains(change, message):
    refused(change, message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"obs": 2}, "'obs' was unexpected"),
        ({"obs_id": 0}, "0 is less than the minimum of 1"),
    ],
)
def test_flashes(change, message):
    refused({"throughput": {"illuminator": [FLASHES | change]}}, message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mode": "FLAT"}, "'FLAT' is not one of ['PEDESTAL'"),
        ({"run": "x"}, "'run' was unexpected"),
        ({"telescopes": ["LST1"]}, "'LST1' does not match"),
        ({"telescopes": []}, "[] should be non-empty"),
    ],
)
def test_calibration_sets(change, message):
    refused({"camera": {"calibration_sets": [SET | change]}}, message)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"origin": ""}, "'' should be non-empty"), ({"sample": "12"}, "'sample' was unexpected")],
)
def test_detection_efficiencies(change, message):
    refused({"camera": {"pde": [EFFICIENCY | change]}}, message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"instruments": {"CTAO-North": ["webcam"]}}, "'webcam' is not one of"),
        ({"instruments": {"Paranal": ["fram"]}}, "Paranal"),
        ({"reference_nights": {"CTAO-North": ["10 July"]}}, "'10 July' does not match"),
        ({"files": {"fram": "{run}/x"}}, "'{run}/x' does not match"),
        ({"drive": "/absolute/{tel}.h5"}, "'/absolute/{tel}.h5' does not match"),
        ({"drive": "{telescope}.h5"}, "'{telescope}.h5' does not match"),
    ],
)
def test_monitoring(change, message):
    refused({"monitoring": change}, message)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"CTAO-North": ["July"]}, "'July' does not match"), ({"Paranal": []}, "Paranal")],
)
def test_nights_of_pointing_models(change, message):
    refused({"pointing": {"model_nights": change}}, message)


@pytest.mark.parametrize("files", ["{site}/*.h5", "/{obs_id}.h5", "{night}/{run}/{obs_id}.h5"])
def test_files_of_dl2(files):
    refused({"dl2": {"source": "files", "files": files}}, "does not match")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"site": "CTAO-West"}, "'CTAO-West' is not one of"),
        ({"resaon": "none"}, "'resaon' was unexpected"),
        ({"reason": ""}, "'' is too short"),
    ],
)
def test_forced_decisions(change, message):
    schema = str(CONFIG / "schemas/overrides.schema.yaml")
    validate({"overrides": [DECISION]}, schema=schema)
    with pytest.raises(WorkflowError, match=re.escape(message)):
        validate({"overrides": [DECISION | change]}, schema=schema)


@pytest.mark.parametrize("name", ["config", "site", "overrides", "pixel_overrides"])
def test_schemas_are_closed(name):
    def closed(schema):
        if "object" in schema.get("type", "") and "properties" in schema:
            assert schema["additionalProperties"] is False
        for part in schema.get("properties", {}).values():
            closed(part)
        if "items" in schema:
            closed(schema["items"])

    closed(yaml.safe_load((CONFIG / f"schemas/{name}.schema.yaml").read_text()))
