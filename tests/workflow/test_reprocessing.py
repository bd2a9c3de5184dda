"""A night again with another setting, beside what is certified, and its acceptance."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from astropy.table import Table
from ctapipe.core import run_tool

from calibpipe.tools.compare_products import CompareProducts
from calibpipe.tools.lookup import Lookup
from calibpipe.tools.reprocess import Reprocess

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
NIGHT = "results/CTAO-North/C/2024-07-10"
CONFIG = {
    "sites": ["CTAO-North"],
    "categories": ["C"],
    "nights": ["2024-07-10"],
    "domains": ["atmosphere", "archive"],
    "meteo": {"source": "simulation"},
    "co2": {"online": False},
}


@pytest.fixture
def workflow(tmp_path):
    """The workflow, of which a setting will be changed."""
    folder = tmp_path / "workflow"
    for name in ("rules", "scripts", "envs", "config", "profiles", "calibpipe"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "Snakefile", folder)
    return folder


@pytest.fixture
def old(workflow, tmp_path):
    """A night that is certified."""
    folder = tmp_path / "old"
    folder.mkdir()
    (folder / "nights.yaml").write_text(yaml.safe_dump(CONFIG))
    options = f"--snakefile={workflow}/Snakefile", "--cores=2"
    done = subprocess.run(
        [BIN / "snakemake", *options, "--configfile=nights.yaml"],
        check=False,
        cwd=folder,
        env=os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def holding(folder, kind):
    """Identifier of what holds in the night."""
    answer = folder / "answer.json"
    options = ["--archive=calibration_archive", "--site=CTAO-North", f"--kind=atmosphere/{kind}"]
    options += ["--time=2024-07-10T23:00:00", f"--record={answer}"]
    assert run_tool(Lookup(), options, cwd=folder) == 0
    return json.loads(answer.read_text())[0]["product_id"]


@pytest.mark.slow
def test_a_release_is_made_compared_and_accepted(workflow, old, tmp_path, capsys):
    kinds = ("macobac", "density_profile", "atmospheric_model")
    before = {kind: holding(old, kind) for kind in kinds}
    untouched = {path: path.stat().st_mtime_ns for path in (old / NIGHT).rglob("*")}
    path = workflow / "config/tools/create_molecular_density_profile.yaml"
    settings = yaml.safe_load(path.read_text())
    settings["CreateMolecularDensityProfile"]["altitude_step_in_m"] = 200.0
    path.write_text(yaml.safe_dump(settings))
    os.utime(path, (0, 0))  # its time does not tell
    new = tmp_path / "new"
    options = ["--release=r2", f"--output-folder={new}", f"--workflow={workflow}"]
    options += ["--configfile=nights.yaml", "--first=2024-07-10", "--last=2024-07-10"]
    assert run_tool(Reprocess(), options, cwd=old) == 0
    told = capsys.readouterr().out
    assert "2024-07 (1 of 1): " in told
    assert " jobs, 0:" in told

    # what follows from the setting was made again, the rest is the very same file
    assert {path: path.stat().st_mtime_ns for path in (old / NIGHT).rglob("*")} == untouched
    same = {
        name: (new / NIGHT / "atmosphere" / name).samefile(old / NIGHT / "atmosphere" / name)
        for name in ("macobac.ecsv", "meteo_data.json", "density_profile.ecsv")
    }
    assert same == {"macobac.ecsv": True, "meteo_data.json": True, "density_profile.ecsv": False}
    summary = {row["kind"]: row for row in Table.read(new / "reprocessing/summary.ecsv")}
    assert summary["atmosphere/macobac"]["same_bytes"] == 1
    assert summary["atmosphere/density_profile"]["different"] == 1
    assert "altitude_step_in_m" in (new / "reprocessing/differences.ecsv").read_text()
    assert "<svg" in (new / "reprocessing/summary.html").read_text()

    # nothing holds of it, until all of it does
    assert {kind: holding(old, kind) for kind in kinds} == before
    accept = ["--release=r2", "--archive=calibration_archive", "--accept", "--reason=a test"]
    assert run_tool(Reprocess(), accept, cwd=old) == 0
    after = {kind: holding(old, kind) for kind in kinds}
    assert after["macobac"] == before["macobac"]
    assert after["density_profile"] != before["density_profile"]

    # twice, with one core, in another folder, in one go instead of on top: the same content
    again = tmp_path / "again"
    again.mkdir()
    shutil.copy(old / "nights.yaml", again)
    done = subprocess.run(
        [
            *(BIN / "snakemake", f"--snakefile={workflow}/Snakefile", "--cores=1"),
            *(f"--directory={again}", f"--configfile={again}/nights.yaml"),
            "--resources=archive_writer=1",
        ],
        check=False,
        env=os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    folders = [str(folder / NIGHT / "atmosphere") for folder in (new, again)]
    assert run_tool(CompareProducts(), [*folders, "--all"]) == 0
    assert "same content" in capsys.readouterr().out
