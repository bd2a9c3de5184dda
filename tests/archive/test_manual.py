"""The commands of docs/archive.md do what the page says."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from astropy.time import Time
from ctapipe.core import Provenance

from calibpipe.core.monitoring_file import write_camera_coefficients
from calibpipe.core.products import ProductMetadata

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
SCRIPTS = PROJECT["scripts"]


def blocks(root, language):
    page = (root / "docs/archive.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)


def coefficients(path):
    """Coefficients of LSTN-01 for one hour of the night."""
    os.environ.setdefault("CTAPIPE_IO_ZFITS_NO_SERVICE_DATA", "1")
    from ctapipe_io_zfits.instrument import build_subarray_description

    subarray = build_subarray_description(1)
    shape = (2, 2, subarray.tel[1].camera.geometry.n_pixels)
    times = Time(["2024-07-10T21:30:00", "2024-07-10T22:15:00"], scale="tai")
    table = Table(
        {
            "time": times,
            "factor": np.full(shape, 0.02, np.float32),
            "pedestal_offset": np.full(shape, 400, np.float32),
            "time_shift": np.zeros(shape, np.float32),
            "outlier_mask": np.zeros(shape, bool),
            "is_valid": np.ones(2, bool),
        }
    )
    metadata = ProductMetadata(
        "camera/coefficients",
        "coefficients of the manual",
        site="CTAO-North",
        night="2024-07-10",
        category="C",
        validity=(times[0], Time("2024-07-10T23:00:00", scale="tai")),
        details={"array_element": "LSTN-01", "tel_id": 1, "obs_id": 5},
    )
    write_camera_coefficients(path, subarray, {1: table}, metadata)


def answer(program, options, capsys):
    """What the entry point of a program prints, in this process: an import takes a second each."""
    Provenance().clear()
    main = EntryPoint(program, SCRIPTS[program], "console_scripts").load()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [program, *options])
        with pytest.raises(SystemExit) as end:
            main()
    told = capsys.readouterr()
    assert end.value.code in (0, None), f"{program} {options}\n{told.out}{told.err}"
    return told.out


def test_commands_of_the_manual(root, tmp_path, monkeypatch, capsys):
    (tmp_path / "config").symlink_to(root / "config")
    coefficients(tmp_path / "coefficients.h5")
    monkeypatch.chdir(tmp_path)
    told = {}
    for command in "".join(blocks(root, "sh")).splitlines():
        program, *options = shlex.split(command)
        told[command] = answer(program, options, capsys)
    assert len(told) > 15
    here, there = (
        next(text for command, text in told.items() if command.startswith(start))
        for start in (
            "calibpipe-lookup --archive archive --site CTAO-North --telescope LSTN-01 "
            "--time 2024-07-10T22:00:00 --kind",
            "calibpipe-lookup --archive other",
        )
    )
    assert "camera/coefficients" in here
    assert here.split("OBSID5")[1].split()[0] == there.split("OBSID5")[1].split()[0]
    overdue = next(text for command, text in told.items() if "--overdue" in command)
    assert "atmosphere/macobac" in overdue
    (python,) = blocks(root, "python")
    done = subprocess.run(
        [sys.executable, "-c", python], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "camera_coefficients_CTAO-North_LSTN-01.h5" in done.stdout
    assert (tmp_path / "monitoring.h5").is_file()
