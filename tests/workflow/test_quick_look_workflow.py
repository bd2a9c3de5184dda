"""A night whose files come while it is followed, and the run of the morning after it."""

import os
import re
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from ctapipe.core import run_tool
from workflow.test_camera_workflow import ROOT, snakemake

from calibpipe.core.products import read_table
from calibpipe.tools.produce_camcalib_test_data import ProduceCamcalibTestData

CONFIG = {
    "sites": ["CTAO-North"],
    "categories": ["B"],
    "nights": ["2024-07-10"],
    "telescopes": ["LSTN-01"],
    "domains": ["camera", "report"],
    "dl0": {"source": "files"},
    "data_roots": {"dl0": "data"},
}
NIGHT = "results/CTAO-North/B/2024-07-10"


@pytest.fixture(scope="module")
def delivered(tmp_path_factory):
    """DL0 of four observation blocks, wherever they come from."""
    folder = tmp_path_factory.mktemp("delivered")
    options = [f"--site={ROOT}/config/sites/CTAO-North.yaml", "--night=2024-07-10"]
    options += ["--n-flatfield=120", "--n-pedestal=120", f"--output-folder={folder}"]
    for obs_id in (1, 2, 3, 4):
        done = run_tool(
            ProduceCamcalibTestData(),
            [*options, f"--ProduceCamcalibTestData.obs_id={obs_id}", f"--seed={obs_id}"],
        )
        assert done == 0
    return folder


@pytest.mark.parametrize("source", ["none", "simulation"])
def test_without_weather_the_date_decides(tmp_path, source):
    config = CONFIG | {"domains": ["atmosphere"], "meteo": {"source": source}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    _, output = snakemake(tmp_path, ROOT, "--dry-run")
    steps = set(re.findall(r"CTAO-North B: (.*)", output))
    assert "atmospheric model and extinction" in steps
    of_weather = {"meteorological data", "molecular density profile"}
    assert steps & of_weather == (set() if source == "none" else of_weather)


def test_what_was_decided_by_date_for_want_of_weather_is_not_certified(tmp_path):
    config = CONFIG | {"domains": ["atmosphere", "archive"], "meteo": {"source": "none"}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    code, output = snakemake(tmp_path, ROOT, "--dry-run", check=False)
    assert code == 1
    assert "take archive out of domains" in output


def follower(folder):
    """The Tool at work, in a process group of its own as in a terminal."""
    until = datetime.now(UTC) + timedelta(hours=1)
    command = [sys.executable, "-m", "calibpipe.tools.follow_night", "--site=CTAO-North"]
    command += ["--night=2024-07-10", f"--until={until:%Y-%m-%dT%H:%M:%S}", f"--workflow={ROOT}"]
    command += [f"--configfile={folder}/config.yaml", f"--directory={folder}"]
    command += ["--settle-in-s=1800", "--interval-in-s=0.3"]  # later blocks end those before
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=folder, start_new_session=True
    )


@pytest.mark.slow
def test_blocks_are_calibrated_as_they_come_and_the_morning_adds_the_rest(delivered, tmp_path):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    files = {
        int(re.search(r"OBSID(\d+)", path.name)[1]): path
        for path in delivered.glob("DL0/LSTN-01/**/TEL*.fits.fz")
    }

    def come(obs_id, part=1.0):
        target = tmp_path / "data" / files[obs_id].relative_to(delivered)
        target.parent.mkdir(parents=True, exist_ok=True)
        content = files[obs_id].read_bytes()
        target.write_bytes(content[: int(part * len(content))])
        return target

    come(1)
    come(2, part=0.5)  # is being written
    with follower(tmp_path) as process:
        try:
            told = [process.stdout.readline(), process.stdout.readline()]
            index = read_table(tmp_path / NIGHT / "array/dl0_index.ecsv", "array/dl0_index")
            assert list(index["obs_id"]) == [1]
            assert not any(index["problem"])
            assert "LSTN-01/camera/coefficients.OBSID1.h5" in page(tmp_path)
            assert "1 observation block so far" in page(tmp_path)
            come(2)
            damaged = come(3, part=0.9)
            told.append(process.stdout.readline())
            unfinished = come(4, part=0.5)
            told.append(process.stdout.readline())
            os.killpg(process.pid, signal.SIGINT)
            rest = process.stdout.read()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    clock = r"\d\d:\d\d:\d\d"
    for obs_id in (1, 2):
        line = rf"LSTN-01 OBSID{obs_id}: complete {clock}, calibrated {clock} UTC: camera PASS\n"
        assert re.fullmatch(line, told[obs_id])
    assert re.fullmatch(
        rf"LSTN-01 OBSID3: complete {clock}, not calibrated: camera failed \(.*truncated.*\)\n",
        told[3],
    )
    assert "stopped by Ctrl-C" in rest
    assert "3 blocks, 1 of them with failures; not calibrated: LSTN-01 OBSID4" in rest
    assert process.returncode == 1
    assert "LSTN-01/camera/coefficients.OBSID2.h5" in page(tmp_path)

    # the morning: the damaged file was got again, the last block is over
    made = {path: path.stat().st_mtime_ns for path in made_of_blocks(tmp_path)}
    assert len(made) == 12  # statistics, coefficients, verification: each with its provenance
    shutil.copy(files[3], damaged)
    shutil.copy(files[4], unfinished)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIG | {"domains": ["camera"]}))
    _, output = snakemake(tmp_path, ROOT)
    assert {path: path.stat().st_mtime_ns for path in made} == made
    jobs = {(block, step) for block, step in re.findall(r"LSTN-01 (OBSID\d) B: ([a-z ]+)", output)}
    assert jobs == {(f"OBSID{n}", s) for n in (3, 4) for s in ("pixel statistics", "coefficients")}
    index = read_table(tmp_path / NIGHT / "array/dl0_index.ecsv", "array/dl0_index")
    assert list(index["obs_id"]) == [1, 2, 3, 4]


def page(folder):
    return (folder / NIGHT / "report/index.html").read_text()


def made_of_blocks(folder):
    """Products of the blocks that were calibrated, with provenance."""
    found = (folder / NIGHT).rglob("*OBSID*")
    return [path for path in found if "OBSID1" in path.name or "OBSID2" in path.name]
