"""Every entry point: installed, it explains itself, its exit code is that of the error."""

import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_of_every_entry_point(name, monkeypatch, capsys):
    """In this process; how an installed one starts is the same for all (below)."""
    assert (BIN / name).is_file()
    main = EntryPoint(name, SCRIPTS[name], "console_scripts").load()
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code in (0, None)
    told = capsys.readouterr().out
    assert "Options" in told
    assert any(option in told for option in ("--site", "--archive", "--output", "--workflow"))
    assert f"{name} " in told  # its examples


def test_an_installed_one_starts():
    done = subprocess.run(
        [BIN / "calibpipe-list", "--help"], check=True, capture_output=True, text=True
    )
    assert "--archive" in done.stdout


def test_exit_code_is_that_of_the_error(tmp_path):
    done = subprocess.run(
        [
            BIN / "calibpipe-create-molecular-density-profile",
            "--site=nowhere.yaml",
            "--night=2024-07-10",
            "--output=x.ecsv",
            "--meteo-data=m.json",
            "--macobac=c.ecsv",
        ],
        check=False,
        cwd=tmp_path,
        capture_output=True,
    )
    assert done.returncode == 101
