"""Star tracking in the workflow: drives, pointing models, a simulated night with its stars."""

import json

import numpy as np
import pytest
import yaml
from declared_products import departures
from workflow.test_camera_workflow import snakemake, workflow

from calibpipe.core.ctapipe_groups import DL1_TEL_OPTICAL_PSF_GROUP, DL1_TEL_STAR_TRACKING_GROUP
from calibpipe.core.products import read_table
from calibpipe.core.telescope_file import read_telescope_table

__all__ = ["workflow"]

NIGHT = "2024-07-10"
FOLDER = f"results/CTAO-North/C/{NIGHT}"
CONFIG = {
    "sites": ["CTAO-North"],
    "categories": ["C"],
    "nights": [NIGHT],
    "telescopes": ["LSTN-01"],
    "domains": ["camera", "pointing", "archive"],
    "dl0": {"source": "simulation"},
    "meteo": {"source": "simulation"},
    "co2": {"online": False},
}


def configured(folder, **changes):
    """A folder with its configuration."""
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG | changes))
    return folder


@pytest.fixture(scope="module")
def finished(workflow, tmp_path_factory):
    """A simulated block of twenty minutes."""
    many = workflow / "config/tools/produce_camcalib_test_data.yaml"
    settings = yaml.safe_load(many.read_text())
    settings["ProduceCamcalibTestData"] |= {"n_pedestal": 1500, "n_flatfield": 1500, "n_muon": 0}
    many.write_text(yaml.safe_dump(settings))
    folder = configured(tmp_path_factory.mktemp("night"))
    snakemake(folder, workflow)
    return folder


def truth(folder):
    (path,) = (folder / f"simulation/CTAO-North/{NIGHT}/truth").rglob("*.star_truth.ecsv")
    return read_table(path, "simulation/star_truth").meta["calibpipe"]


@pytest.mark.slow
def test_offsets_are_the_true_ones(finished):
    """The camera's misalignment and the sag of the structure, block by block."""
    own = truth(finished)
    path = finished / FOLDER / "LSTN-01/pointing/star_tracking.OBSID1.h5"
    table = read_telescope_table(path, DL1_TEL_STAR_TRACKING_GROUP, 1, "star tracking")
    valid = np.asarray(table["is_valid"], bool)
    assert valid.mean() > 0.5
    cosine = np.cos(np.radians(np.asarray(table["altitude"])[valid]))
    true = {
        "dlon": own["dlon_in_arcsec"] + 0 * cosine,
        "dlat": own["dlat_in_arcsec"] + own["flexure_in_arcsec"] * cosine,
    }
    for name, expected in true.items():
        found, stat, sys = (
            3600 * np.asarray(table[column], float)[valid]
            for column in (name, f"{name}_stat_error", f"{name}_sys_error")
        )
        mean_error = np.hypot(np.mean(stat) / np.sqrt(valid.sum()), np.mean(sys))
        assert abs(np.mean(found - expected)) < 4 * mean_error
        assert mean_error < 5


@pytest.mark.slow
def test_width_is_the_true_one(finished):
    path = finished / FOLDER / "LSTN-01/pointing/star_psf.OBSID1.h5"
    row = read_telescope_table(path, DL1_TEL_OPTICAL_PSF_GROUP, 1, "star PSF")[0]
    error = np.hypot(row["stat_error"], row["sys_error"])
    assert abs(row["width"] - truth(finished)["psf_in_deg"]) < 4 * error


@pytest.mark.slow
@pytest.mark.parametrize("name", ["star_tracking", "star_psf"])
def test_verified_and_certified(finished, name):
    path = finished / FOLDER / f"certification/{name}.LSTN-01.OBSID1.json"
    record = json.loads(path.read_text())
    assert record["refused"] == []
    assert [entry["kind"] for entry in record["certified"]] == [f"pointing/{name}"]


@pytest.mark.slow
def test_nothing_is_done_twice(finished, workflow):
    _, output = snakemake(finished, workflow, "--dry-run")
    assert "Nothing to be done" in output


@pytest.mark.slow
def test_a_drive_without_a_record_fails_alone(finished, workflow, tmp_path):
    """The same events as files of the observatory, whose drive wrote nothing."""
    configured(
        tmp_path,
        domains=["camera", "pointing"],
        dl0={"source": "files"},
        data_roots={"dl0": str(finished / f"simulation/CTAO-North/{NIGHT}")},
    )
    code, output = snakemake(tmp_path, workflow, check=False)
    assert code != 0
    assert "OBSID1.pointing.h5" in output
    folder = tmp_path / FOLDER / "LSTN-01"
    assert (folder / "camera/coefficients.OBSID1.h5").is_file()
    assert not list(folder.glob("pointing/*.h5"))


@pytest.mark.slow
def test_products_have_the_declared_columns(finished):
    problems, kinds = departures(finished / "results")
    assert not problems
    assert {"pointing/star_tracking", "pointing/star_psf"} <= kinds
