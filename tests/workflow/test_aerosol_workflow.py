"""Aerosols and clouds in the workflow: instruments of a night, its references, a whole night."""

import json

import numpy as np
import pytest
import yaml
from declared_products import departures
from workflow.test_camera_workflow import snakemake, workflow

from calibpipe.core.products import read_table

__all__ = ["workflow"]

NIGHT, REFERENCE = "2024-07-10", "2024-07-08"
FOLDER = f"results/CTAO-North/C/{NIGHT}"
CONFIG = {
    "sites": ["CTAO-North"],
    "categories": ["C"],
    "nights": [NIGHT],
    "domains": ["aerosol", "archive"],
    "meteo": {"source": "simulation"},
    "co2": {"online": False},
    "monitoring": {
        "source": "simulation",
        "reference_nights": {"CTAO-North": [REFERENCE]},
    },
}


def configured(folder, **changes):
    """A folder with its configuration."""
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG | changes))
    return folder


@pytest.fixture
def delivered(tmp_path):
    """Data of FRAM and LIDAR of one night, of FRAM of another, of rates of all."""
    monitoring = {"source": "files", "reference_nights": {"CTAO-North": [REFERENCE]}}
    configured(tmp_path, nights=[NIGHT, "2024-07-11", "2024-07-12"], monitoring=monitoring)
    for name in (
        f"{NIGHT}/fram_1.fits",
        f"{NIGHT}/fram_2.fits.fz",
        f"{NIGHT}/lidar/a2471022.000000",
        f"{NIGHT}/trigger_rates.ecsv",
        "2024-07-11/fram.fits",
        f"{REFERENCE}/trigger_rates.ecsv",
    ):
        path = tmp_path / "monitoring/CTAO-North" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    return tmp_path


def test_instruments_of_a_night_are_those_with_files(delivered, workflow):
    """A night without any has nothing to do, and the others go on without what is absent."""
    _, output = snakemake(delivered, workflow, "--dry-run")
    assert f"{NIGHT} CTAO-North C: clear night?" in output
    assert f"{NIGHT} CTAO-North C: LIDAR" in output
    assert "2024-07-11 CTAO-North C: clear night?" in output
    assert "2024-07-11 CTAO-North C: LIDAR" not in output
    assert "all-sky" not in output
    assert "2024-07-12" not in output
    assert output.count("C: aerosols, clouds, good time") == 2
    assert output.count("C: certify aerosols and clouds") == 2


def test_reference_night_is_made_for_the_transparency_alone(delivered, workflow):
    _, output = snakemake(delivered, workflow, "--dry-run")
    assert f"{REFERENCE} CTAO-North C: Cherenkov transparency coefficient" in output
    assert output.count(f"{REFERENCE} CTAO-North") == 1


def test_no_reference_no_transparency(delivered, workflow):
    configured(delivered, monitoring={"source": "files"})
    _, output = snakemake(delivered, workflow, "--dry-run")
    assert "transparency coefficient" not in output
    assert f"{NIGHT} CTAO-North C: aerosols, clouds, good time" in output


def test_instrument_left_out_by_decision(delivered, workflow, tmp_path):
    """The night goes on without it."""
    decision = {
        "decision": "leave_out_instrument",
        "instrument": "lidar",
        "site": "CTAO-North",
        "night": NIGHT,
        "author": "A. Shifter",
        "date": "2024-07-11",
        "reason": "the shutter of the LIDAR was closed",
    }
    overrides = workflow / "config/overrides.yaml"
    before = overrides.read_text()
    try:
        overrides.write_text(yaml.safe_dump({"overrides": [decision]}))
        _, output = snakemake(delivered, workflow, "--dry-run")
    finally:
        overrides.write_text(before)
    assert f"{NIGHT} CTAO-North C: clear night?" in output
    assert "LIDAR" not in output


@pytest.fixture(scope="module")
def finished(workflow, tmp_path_factory):
    """A simulated night."""
    folder = configured(tmp_path_factory.mktemp("night"))
    snakemake(folder, workflow)
    return folder


@pytest.mark.slow
def test_every_product_is_certified(finished):
    record = json.loads((finished / FOLDER / "certification/aerosol.json").read_text())
    assert record["refused"] == []
    assert {entry["kind"].removeprefix("atmosphere/") for entry in record["certified"]} == {
        "clear_night",
        "lidar",
        "allsky",
        "transparency_coefficient",
        "observation_conditions",
    }


@pytest.mark.slow
def test_instruments_see_the_same_night(finished):
    """The cloud of the middle third: in the air of FRAM, LIDAR and triggers."""
    folder = finished / FOLDER / "atmosphere"
    fram = read_table(folder / "clear_night.ecsv", "atmosphere/clear_night")
    assert not fram["is_clear"][0]
    rates = read_table(
        folder / "transparency_coefficient.ecsv", "atmosphere/transparency_coefficient"
    )
    true = read_table(
        finished / f"simulation/monitoring/CTAO-North/{NIGHT}/trigger_rates.truth.ecsv",
        "simulation/trigger_rates_truth",
    )
    error = np.hypot(rates["stat_error"], rates["sys_error"])
    assert np.all(np.abs(rates["transparency"] - true["transparency"]) < 3 * error)


@pytest.mark.slow
def test_nothing_is_done_twice(finished, workflow):
    _, output = snakemake(finished, workflow, "--dry-run")
    assert "Nothing to be done" in output


@pytest.mark.slow
def test_products_have_the_declared_columns(finished):
    problems, kinds = departures(finished / "results")
    assert not problems
    assert {"atmosphere/lidar", "atmosphere/allsky", "atmosphere/observation_conditions"} <= kinds
