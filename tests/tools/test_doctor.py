"""The doctor at the command line: lines, JSON, exit codes."""

import json
import shutil
from pathlib import Path

import pytest
from ctapipe.core import run_tool

from calibpipe.tools.doctor import Doctor

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "config/demo.yaml"


@pytest.fixture
def told(hermetic, tmp_path, capsys, monkeypatch):
    """Exit code and what is written, in an empty working folder."""
    monkeypatch.delenv("SNAKEMAKE_PROFILE", raising=False)
    folder = tmp_path / "nights"
    folder.mkdir()

    def run(*options):
        code = run_tool(Doctor(), argv=list(options), cwd=folder, raises=False)
        assert list(folder.iterdir()) == []  # nothing is made, no provenance either
        return code, capsys.readouterr().out

    return run


def test_demo_needs_nothing(told):
    code, text = told(f"--configfile={DEMO}", "--enough-space-in-gb=0")
    assert code == 0
    assert "\nFAIL" not in text
    assert text.splitlines()[-1].endswith(", 0 FAIL")
    assert "OK      configuration: " in text


def test_exit_code_is_that_of_the_first_failure(told, tmp_path):
    code, text = told()  # ERA5 without an account, no data
    assert code == 101
    assert "FAIL    credentials: no credentials for the Climate Data Store" in text
    assert "-> register with the Climate Data Store" in text
    b = tmp_path / "b.yaml"
    b.write_text("categories: [B]\n")
    code, text = told(f"--configfile={b}")
    assert code == 105
    assert f"FAIL    dl0: there is no {tmp_path}/nights/data" in text


def test_json(told):
    code, text = told(f"--configfile={DEMO}", "--json")
    found = json.loads(text)
    assert code == 0
    assert {f["level"] for f in found} <= {"OK", "WARNING"}
    assert {"python", "packages", "archive", "dl0", "disk"} <= {f["area"] for f in found}


def test_a_broken_configuration_still_examines_the_machine(told, tmp_path):
    shutil.copytree(ROOT / "config", tmp_path / "checkout/config")
    (tmp_path / "checkout/config/config.yaml").write_text("nights: [")
    code, text = told(f"--workflow={tmp_path / 'checkout'}")
    assert code == 101
    assert "OK      python: " in text
    assert "config.yaml is no YAML" in text


def test_a_site_that_is_none_is_a_finding(told, tmp_path):
    """Its file is as the schema says, but 5 October belongs to two seasons."""
    shutil.copytree(ROOT / "config", tmp_path / "checkout/config")
    site = tmp_path / "checkout/config/sites/CTAO-North.yaml"
    site.write_text(site.read_text().replace("last_day: 10-04", "last_day: 10-05"))
    code, text = told(f"--workflow={tmp_path / 'checkout'}", f"--configfile={DEMO}")
    assert code == 101
    assert "OK      python: " in text
    assert "CTAO-North.yaml: 05 October belongs to 2 seasons" in text
