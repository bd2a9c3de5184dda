"""The cameras in the workflow: discovery of DL0, one bad file, the same numbers in B and C."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import snakemake_runs
import yaml

from calibpipe.core.monitoring_file import read_camera_coefficients
from calibpipe.core.products import content_hash

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
FOLDERS = ("rules", "scripts", "envs", "config", "profiles")
CONFIG = {
    "sites": ["CTAO-North"],
    "categories": ["C"],
    "nights": ["2024-07-10"],
    "telescopes": ["LSTN-01", "LSTN-02"],
    "domains": ["camera", "report"],
    "dl0": {"source": "simulation"},
    "meteo": {"source": "none"},  # the page needs an atmosphere, of the date is enough
    "co2": {"online": False},
}


def snakemake(folder, workflow, *options, check=True):
    """Exit code and output of a run in a folder."""
    code, output = snakemake_runs.run(
        f"--snakefile={workflow}/Snakefile",
        "--cores=2",
        f"--directory={folder}",
        f"--configfile={folder}/config.yaml",
        *options,
    )
    if check and code:
        pytest.fail(output)
    return code, output


@pytest.fixture(scope="module")
def workflow(tmp_path_factory):
    """The workflow with fewer events."""
    folder = tmp_path_factory.mktemp("workflow")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name)
    (folder / "calibpipe").symlink_to(ROOT / "calibpipe")  # with what numba compiled
    shutil.copy(ROOT / "Snakefile", folder)
    few = folder / "config/tools/produce_camcalib_test_data.yaml"
    settings = yaml.safe_load(few.read_text())
    settings["ProduceCamcalibTestData"] |= {
        "n_flatfield": 120,
        "n_pedestal": 120,
        "n_muon": 10,
        "spread": {"dead": 0.005},
    }
    few.write_text(yaml.safe_dump(settings))
    return folder


EARLY = [f"results/CTAO-North/B/2024-07-10/LSTN-0{n}/camera/coefficients.OBSID1.h5" for n in (1, 2)]


@pytest.fixture(scope="module")
def finished(workflow, tmp_path_factory):
    """A night of two telescopes in category C, and their coefficients in B."""
    folder = tmp_path_factory.mktemp("night")
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    snakemake(folder, workflow, "all", *EARLY)
    return folder


def night(folder, category="C"):
    return folder / f"results/CTAO-North/{category}/2024-07-10"


def test_coefficients_of_every_telescope_the_same_in_both_categories(finished):
    for tel_id in (1, 2):
        name = f"LSTN-{tel_id:02d}/camera/coefficients.OBSID1.h5"
        early, final = (read_camera_coefficients(night(finished, c) / name, tel_id) for c in "BC")
        assert early["is_valid"].all()
        for column in ("factor", "pedestal_offset", "time_shift", "outlier_mask"):
            np.testing.assert_array_equal(early[column], final[column])
        header = final.meta["calibpipe"]
        assert header["array_element"] == f"LSTN-{tel_id:02d}"
        assert header["category"] == "C"
        assert [i["role"] for i in header["inputs"]] == ["site", "camera/pixel_statistics"]


def test_the_page_shows_both_telescopes(finished):
    page = (night(finished) / "report/index.html").read_text()
    for tel_id in (1, 2):
        assert f"LSTN-{tel_id:02d}/camera/coefficients.OBSID1.h5" in page
        assert f"<h2>Camera of LSTN-{tel_id:02d}, observation 1" in page


def test_nothing_is_done_twice(finished, workflow):
    _, output = snakemake(finished, workflow, "all", *EARLY, "--dry-run")
    assert "Nothing to be done" in output


def test_the_log_begins_with_a_command_that_repeats_the_step(finished, tmp_path):
    name = "LSTN-01/camera/coefficients.OBSID1"
    log = finished / f"logs/CTAO-North/C/2024-07-10/{name}.log"
    tool, rest = log.read_text().splitlines()[0].split(" ", 1)
    product = night(finished) / f"{name}.h5"
    again = tmp_path / "again.h5"
    rest = rest.replace(f"--output=results/CTAO-North/C/2024-07-10/{name}.h5", f"--output={again}")
    subprocess.run(f"{BIN / tool} {rest}", shell=True, check=True, cwd=finished)
    one, other = (read_camera_coefficients(path, 1) for path in (product, again))
    np.testing.assert_array_equal(one["gain"], other["gain"])


@pytest.fixture
def archive(finished, tmp_path):
    """The same DL0 as files of the observatory."""
    (tmp_path / "config.yaml").write_text(
        yaml.safe_dump(
            CONFIG
            | {
                "domains": ["atmosphere", "camera", "report"],
                "dl0": {"source": "files"},
                "data_roots": {"dl0": "data", "meteo": "cache/meteo", "co2": "cache/co2"},
            }
        )
    )
    shutil.copytree(finished / "simulation/CTAO-North/2024-07-10/DL0", tmp_path / "data/DL0")
    return tmp_path


def test_one_bad_file_does_not_stop_the_other_telescope(archive, workflow):
    (bad,) = archive.glob("data/DL0/LSTN-02/**/TEL*.fits.fz")
    bad.write_bytes(bad.read_bytes()[: -50 * 2880])
    code, output = snakemake(archive, workflow, check=False)
    assert code != 0
    assert "is truncated" in output
    folder = night(archive)
    assert (folder / "LSTN-01/camera/coefficients.OBSID1.h5").is_file()
    assert not list((folder / "LSTN-02/camera").glob("*.h5"))
    assert (folder / "atmosphere/atmospheric_model.ecsv").is_file()
    page = (folder / "report/index.html").read_text()
    assert "LSTN-02/camera/pixel_statistics.OBSID1" in page
    assert "is truncated" in page


def test_a_night_without_dl0_has_its_atmosphere(archive, workflow):
    shutil.rmtree(archive / "data/DL0")
    code, output = snakemake(archive, workflow, check=False)
    assert code != 0
    assert "no DL0 of LSTN-01, LSTN-02 in the night 2024-07-10" in output
    assert (night(archive) / "atmosphere/atmospheric_model.ecsv").is_file()
    page = (night(archive) / "report/index.html").read_text()
    assert "no DL0 of LSTN-01" in page


def test_an_observation_that_comes_later_is_calibrated(archive, workflow, finished):
    """Its file comes into the folder of the night: the index is made again, the rest stays.

    Another folder, another root of DL0, another order of steps: the content is the same.
    """
    settings = yaml.safe_load((archive / "config.yaml").read_text()) | {"domains": ["camera"]}
    (archive / "config.yaml").write_text(yaml.safe_dump(settings))
    (second,) = archive.glob("data/DL0/LSTN-02/**/TEL*.fits.fz")
    folder, away = second.parent, archive / second.name
    second.rename(away)
    until = ("--omit-from", "excluded_pixels")
    snakemake(archive, workflow, *until)
    first = night(archive) / "LSTN-01/camera/pixel_statistics.OBSID1.h5"
    before = first.stat().st_mtime_ns
    assert not (night(archive) / "LSTN-02").exists()
    away.rename(folder / second.name)
    snakemake(archive, workflow, *until)
    assert (night(archive) / "LSTN-02/camera/coefficients.OBSID1.h5").is_file()
    assert first.stat().st_mtime_ns == before
    for name in ("pixel_statistics", "coefficients"):
        path = f"LSTN-02/camera/{name}.OBSID1.h5"
        one, other = night(finished) / path, night(archive) / path
        assert one.read_bytes() != other.read_bytes()  # the times of the runs
        assert content_hash(one) == content_hash(other)
