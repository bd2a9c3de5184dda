"""Nights again, beside what there is: folders, progress, refusals."""

import json
import os
import subprocess
import sys
import time

import pytest
from ctapipe.core import ToolConfigurationError, run_tool

from calibpipe.core.exceptions import ConfigurationError, StorageError
from calibpipe.tools.reprocess import Reprocess
from calibpipe.tools.reprocessing import begun_with, lonely, months, run_workflow

NIGHT = "results/CTAO-North/C/2024-07-10"


@pytest.fixture
def old(tmp_path):
    """A folder with results, records of Snakemake, simulations, raw data and an archive."""
    folder = tmp_path / "old"
    for name in (
        f"{NIGHT}/atmosphere/macobac.ecsv",
        f"{NIGHT}/certification/atmosphere.json",
        f"{NIGHT}/report/index.html",
        "results/CTAO-North/C/2024-07-11/atmosphere/macobac.ecsv",
        "results/archive/archive.json",
        "simulation/CTAO-North/2024-07-10/truth.ecsv",
        ".snakemake/metadata/record",
        "data/DL0/LSTN-01/events.fits.fz",
        "calibration_archive/butler.yaml",
        "logs/CTAO-North/x.log",
        "reprocessing/summary.ecsv",
        "quick_look/CTAO-North/B/2024-07-10/2024-07-10T220000.log",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("old")
    return folder


def test_a_new_folder_begins_with_the_nights_that_are_asked_for(old, tmp_path):
    new = tmp_path / "new"
    os.utime(old / "simulation/CTAO-North/2024-07-10", (1e9, 1e9))
    begun_with(old, new, ["results/archive", NIGHT])
    product = new / f"{NIGHT}/atmosphere/macobac.ecsv"
    assert product.samefile(old / f"{NIGHT}/atmosphere/macobac.ecsv")
    assert (new / "results/archive/archive.json").is_file()
    assert not (new / f"{NIGHT}/certification").exists()  # made anew: for the release
    assert not (new / f"{NIGHT}/report").exists()
    assert not (new / "results/CTAO-North/C/2024-07-11").exists()
    for records in ("logs", "reprocessing", "quick_look"):  # of the old folder: it keeps its own
        assert not (new / records).exists()
    assert (new / "data").is_symlink()
    assert (new / "calibration_archive").resolve() == old / "calibration_archive"
    simulated = new / "simulation/CTAO-North/2024-07-10"
    assert not (new / "simulation").is_symlink()  # a step may write there
    assert simulated.stat().st_mtime == 1e9
    record = new / ".snakemake/metadata/record"
    record.write_text("new")
    assert (old / ".snakemake/metadata/record").read_text() == "old"


def test_what_was_replaced_or_removed_since_is_not_brought_back(old, tmp_path):
    new = tmp_path / "new"
    begun_with(old, new, [NIGHT])
    product = new / f"{NIGHT}/atmosphere/macobac.ecsv"
    product.unlink()
    begun_with(old, new, [NIGHT, "results/CTAO-North/C/2024-07-11"])
    assert not product.exists()
    assert (new / "results/CTAO-North/C/2024-07-11/atmosphere/macobac.ecsv").is_file()
    assert (old / f"{NIGHT}/atmosphere/macobac.ecsv").read_text() == "old"


def test_one_reprocessing_a_folder(tmp_path):
    with (
        lonely(tmp_path),
        pytest.raises(StorageError, match="another reprocessing is running"),
        lonely(tmp_path),
    ):
        pass
    with lonely(tmp_path):
        pass


SNAKEMAKE = """
import time
from pathlib import Path

Path("begun").touch()
end = time.monotonic() + 60
while not Path("over").exists() and time.monotonic() < end:
    time.sleep(0.02)
"""
PARENT = """
from pathlib import Path
from calibpipe.tools.reprocessing import lonely, run_workflow

folder = Path.cwd()
with lonely(folder) as lock:
    run_workflow([], folder, folder / "log", print, lock=lock)
"""


def wait_for(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "waited for 30 s"
        time.sleep(0.02)


def test_a_workflow_that_outlives_its_parent_keeps_the_folder(tmp_path):
    """Only the parent is killed (kill -9): its Snakemake, a script here, runs until it is over."""
    (tmp_path / "snakemake.py").write_text(SNAKEMAKE)  # what `python -m snakemake` finds first
    parent = subprocess.Popen([sys.executable, "-c", PARENT], cwd=tmp_path)
    try:
        wait_for((tmp_path / "begun").exists)
    finally:
        parent.kill()
        parent.wait()
    with pytest.raises(StorageError, match="another reprocessing is running"), lonely(tmp_path):
        pass
    (tmp_path / "over").touch()

    def is_free():
        try:
            with lonely(tmp_path):
                return True
        except StorageError:
            return False

    wait_for(is_free)


def test_the_workflow_of_a_month_holds_the_lock(tmp_path, monkeypatch):
    def held(*_, lock):
        assert os.path.samestat(os.fstat(lock), (tmp_path / "new/.reprocessing").stat())
        return 0

    monkeypatch.setattr("calibpipe.tools.reprocess.run_workflow", held)
    options = ["--release=x", "--output-folder=new", "--first=2024-01-01", "--last=2024-01-02"]
    assert run_tool(Reprocess(), options, cwd=tmp_path, raises=True) == 0


def test_a_plan_of_two_months(tmp_path):
    """Nothing runs: jobs by rule of each month, planned by the real Snakemake on the real rules."""
    configured = {
        "sites": ["CTAO-North"],
        "categories": ["C"],
        "domains": ["atmosphere"],
        "meteo": {"source": "simulation"},
        "co2": {"online": False},
    }
    (tmp_path / "nights.yaml").write_text(json.dumps(configured))
    options = ["--release=x", "--output-folder=new", "--configfile=nights.yaml", "--record=plan"]
    options += ["--first=2024-06-30", "--last=2024-07-02", "--plan"]
    assert run_tool(Reprocess(), options, cwd=tmp_path, raises=True) == 0
    plan = json.loads((tmp_path / "plan").read_text())
    assert [plan[month]["density_profile"] for month in ("2024-06", "2024-07")] == [1, 2]
    assert "certified_atmosphere" not in plan["2024-07"]
    assert not (tmp_path / "new/results").exists()


def test_months():
    nights = ["2023-12-31", "2024-01-01", "2024-01-02", "2024-03-01"]
    assert months(nights) == [nights[:1], nights[1:3], nights[3:]]


@pytest.mark.slow
def test_progress_and_a_lock_that_was_left(tmp_path):
    rules = "rule all:\n    input: 'b'\n"
    rules += "rule a:\n    output: 'a'\n    shell: 'touch a'\n"
    rules += "rule b:\n    input: 'a'\n    output: 'b'\n    shell: 'test -e allowed && touch b'\n"
    (tmp_path / "Snakefile").write_text(rules)
    (tmp_path / ".snakemake/locks").mkdir(parents=True)
    (tmp_path / ".snakemake/locks/0.output.lock").write_text("b\n")  # of a run that was killed
    told = []
    options = [f"--snakefile={tmp_path}/Snakefile", "--cores=1"]

    def run():
        return run_workflow(
            options, tmp_path, tmp_path / "log", lambda *args: told.append(args[:2])
        )

    assert run() == 1
    assert told == [(1, 3)]
    assert (tmp_path / "a").is_file()
    (tmp_path / "allowed").touch()
    assert run() == 0  # what is there stays
    assert told[-1] == (2, 2)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ([], ToolConfigurationError, "needs --release"),
        (["--release=x"], ToolConfigurationError, "needs --output-folder, --first, --last"),
        (["--release=../x"], ConfigurationError, "no name of a release"),
        (["--release=x", "--accept"], ToolConfigurationError, "needs --archive"),
        (
            ["--release=x", "--output-folder=.", "--first=2024-01-01", "--last=2024-01-02"],
            ToolConfigurationError,
            "holds the results of before",
        ),
        (
            ["--release=x", "--output-folder=n", "--first=2024-01-03", "--last=2024-01-02"],
            ToolConfigurationError,
            "--last 2024-01-02 comes before --first 2024-01-03",
        ),
        (
            ["--release=x", "--output-folder=n", "--first=2024-13-03", "--last=2024-01-02"],
            ToolConfigurationError,
            "YYYY-MM-DD",
        ),
        (
            [
                "--release=x",
                "--output-folder=n",
                "--workflow=.",
                "--first=2024-01-01",
                "--last=2024-01-02",
            ],
            ToolConfigurationError,
            "no Snakefile in .*: name the clone, --workflow",
        ),
    ],
)
def test_refusals(options, error, message, tmp_path):
    with pytest.raises(error, match=message):
        run_tool(Reprocess(), options, cwd=tmp_path)
