"""A night through verification and certification, repeated, failed and overridden."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from ctapipe.core import run_tool

from calibpipe.tools.history import History
from calibpipe.tools.lookup import Lookup
from calibpipe.tools.reproduce import Reproduce

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
NIGHT = "results/CTAO-North/C/2024-07-10"
SMALL = """
sites: [CTAO-North]
categories: [C]
nights: ["2024-07-10"]
domains: [atmosphere, archive, report]
meteo: {source: simulation}
co2: {online: false}
archive: {location: calibrations, database: ""}
"""
DECISION = {
    "decision": "certify_despite_verdict",
    "site": "CTAO-North",
    "night": "2024-07-10",
    "author": "A. Shifter",
    "date": "2024-07-20",
    "reason": "the limit of this test is nonsense",
}


@pytest.fixture(scope="module")
def workflow(tmp_path_factory):
    """The workflow with a limit that no night can keep."""
    folder = tmp_path_factory.mktemp("workflow")
    for name in ("rules", "scripts", "envs", "config", "profiles", "workflow"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "Snakefile", folder)
    criteria = yaml.safe_load((ROOT / "config/criteria.yaml").read_text())
    criteria["criteria"]["EXT-02"]["limits"] = [5.0, 6.0]
    (folder / "config/criteria.yaml").write_text(yaml.safe_dump(criteria))
    return folder


def night(workflow, folder, *options, code=0):
    """Run it; what it said."""
    (folder / "small.yaml").write_text(SMALL)
    done = subprocess.run(
        [
            BIN / "snakemake",
            f"--snakefile={workflow}/Snakefile",
            "--cores=2",
            f"--directory={folder}",
            f"--configfile={folder}/small.yaml",
            *options,
        ],
        check=False,
        env=os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def lookup(folder, kind):
    """Exit code of calibpipe-lookup, and what it found."""
    record = folder / "answer.json"
    options = ["--archive=calibrations", "--site=CTAO-North", "--time=2024-07-10T23:00:00"]
    options += [f"--kind={kind}", f"--record={record}"]
    code = run_tool(Lookup(), options, cwd=folder, raises=False)
    return code, json.loads(record.read_text()) if code == 0 else None


def reproduced(folder, product):
    """Answer of calibpipe-reproduce about a certified product."""
    argv = [product, f"--archive={folder}/calibrations", f"--output-folder={folder}/reproduced"]
    record = folder / "reproduced.json"
    assert run_tool(Reproduce(), [*argv, f"--record={record}"], cwd=folder) == 0
    return json.loads(record.read_text())


@pytest.fixture(scope="module")
def finished(workflow, tmp_path_factory):
    """A night that ran through verification and certification."""
    folder = tmp_path_factory.mktemp("night")
    night(workflow, folder)
    return folder


def test_report_of_snakemake_has_the_pages_with_captions(workflow, finished, tmp_path, monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody answers: nothing is downloaded
    night(workflow, finished, f"--report={tmp_path}/nights.zip")
    with zipfile.ZipFile(tmp_path / "nights.zip") as report:
        contents = {name: report.read(name) for name in report.namelist()}
    main = contents.pop("nights/report.html").decode()
    for page in (f"{NIGHT}/report/index.html", "results/CTAO-North/trends/index.html"):
        assert (finished / page).read_bytes() in contents.values()
        assert f'"{page}"' in main
    assert len(contents) == 2
    told = re.sub(r"\s|\\n", " ", main)
    assert "Calibration of observing nights of an array of Cherenkov telescopes" in told
    assert "Night of 2024-07-10 at CTAO-North, category C: verdicts with values" in told
    assert "CTAO-North over the nights: values with their errors" in told


def test_night_is_verified_and_certified(workflow, finished, capsys):
    record = json.loads((finished / NIGHT / "certification/atmosphere.json").read_text())
    assert [entry["kind"] for entry in record["refused"]] == ["atmosphere/rayleigh_extinction"]
    assert len(record["certified"]) == 4
    verdicts = {
        path.stem: json.loads(path.read_text())["content"]["verdict"]
        for path in (finished / NIGHT / "verification/atmosphere").glob("*.json")
    }
    assert verdicts.pop("rayleigh_extinction") == "FAIL"
    names = ("macobac", "density_profile", "reference_model", "atmospheric_model")
    assert verdicts == dict.fromkeys(names, "PASS")
    assert {entry["action"] for entry in record["certified"]} == {"certified"}
    page = (finished / NIGHT / "report/index.html").read_text()
    assert "rayleigh extinction failed its verification" in page
    assert "EXT-02 wavelength_exponent" in page
    assert '<a href="../../../trends/index.html">trends</a>' in page
    trends = (finished / "results/CTAO-North/trends/index.html").read_text()
    assert '<a href="../C/2024-07-10/report/index.html">2024-07-10</a>' in trends
    assert "failed EXT-02 wavelength_exponent" in trends
    assert "<h3>Number density at 15 km</h3>" in trends
    capsys.readouterr()
    code, _ = lookup(finished, "atmosphere/rayleigh_extinction")
    assert code == 105
    assert "nothing is certified at any time" in capsys.readouterr().err
    code, (found,) = lookup(finished, "atmosphere/atmospheric_model")
    made = (finished / NIGHT / "atmosphere/atmospheric_model.ecsv").read_bytes()
    assert (finished / found["path"]).read_bytes() == made
    answer = reproduced(finished, found["product_id"])
    assert (answer["level"], answer["remarks"]) == ("same content", [])
    profile = finished / NIGHT / "atmosphere/density_profile.ecsv"
    profile.rename(finished / "not_there")  # an input that the archive has, too
    shutil.rmtree(finished / "reproduced")
    answer = reproduced(finished, found["product_id"])
    assert answer["level"] == "same content"
    assert answer["remarks"] == ["input density_profile: from the archive"]

    # The night again with a signed decision: what was certified stays, word for word.
    overrides = workflow / "config/overrides.yaml"
    overrides.write_text(yaml.safe_dump({"overrides": [DECISION]}))
    for part in ("atmosphere", "verification", "certification"):
        shutil.rmtree(finished / NIGHT / part)
    night(workflow, finished, f"{NIGHT}/certification/atmosphere.json")
    record = json.loads((finished / NIGHT / "certification/atmosphere.json").read_text())
    actions = {entry["kind"]: entry["action"] for entry in record["certified"]}
    assert actions.pop("atmosphere/rayleigh_extinction") == "certified"
    assert set(actions.values()) == {"unchanged"}
    code, (again,) = lookup(finished, "atmosphere/atmospheric_model")
    assert again == found
    code, _ = lookup(finished, "atmosphere/rayleigh_extinction")
    assert code == 0
    capsys.readouterr()
    assert run_tool(History(), ["--archive=calibrations", "--site=CTAO-North"], cwd=finished) == 0
    history = capsys.readouterr().out
    assert "the limit of this test is nonsense (decided by A. Shifter on 2024-07-20)" in history

    # A night without any weather fails; the trends are those of the others.
    nothing = "--config", "nights=2024-07-11", "meteo={'source': 'files'}"
    told = night(workflow, finished, *nothing, code=1)
    trends = finished / "results/CTAO-North/trends/index.html"
    assert f"Trends of CTAO-North: {trends}" in told
    assert "failed EXT-02 wavelength_exponent, certified by a decision" in trends.read_text()
