"""Jobs of a group that a checkpoint replaced do not come back (snakemake #1217, #4202)."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

WORKFLOW = """
rule all:
    input:
        "cross", "verified", "first", lambda wildcards: checkpoints.second.get().output

checkpoint first:
    output: "first"
    shell: "touch {output}"

rule simulation:
    output: "simulation"
    shell: "sleep 1; touch {output}"

checkpoint second:
    input: "simulation"
    output: "second"
    shell: "touch {output}"

def of_both(wildcards):
    checkpoints.first.get()
    checkpoints.second.get()
    return "second"

rule asymmetry:
    input: "second"
    output: "asymmetry{block}"
    group: "night"
    shell: "touch {output}"

rule cross:
    input: "asymmetry1", of_both
    output: "cross"
    group: "night"
    shell: "echo once >> cross.log; touch {output}"

rule inter:
    input: "asymmetry2"
    output: "inter"
    group: "night"
    shell: "touch {output}"

rule verified:
    input: "cross", "inter"
    output: "verified"
    group: "night"
    shell: "touch {output}"
"""
MENDED = "from calibpipe.core.job_groups import new_groups_alone\nnew_groups_alone()\n"
SUBMIT = """#!/bin/sh
place=$(mktemp -d {folder}/job.XXXXXX)
( sh "$1" > $place/log 2>&1; echo $? > $place/code ) > /dev/null 2>&1 < /dev/null &
echo $place
"""
STATUS = """#!/bin/sh
[ -f $1/code ] || { echo running; exit; }
[ $(cat $1/code) = 0 ] && echo success || echo failed
"""


def steps(folder, begin):
    """Steps that were counted, steps that there are, in a batch system of two scripts."""
    folder.mkdir()
    (folder / "Snakefile").write_text(begin + WORKFLOW)
    for name, text in (("submit", SUBMIT.format(folder=folder)), ("status", STATUS)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--executor=cluster-generic"]
        + [f"--cluster-generic-{name}-cmd={folder / name}" for name in ("submit", "status")]
        + ["--jobs=10", "--cores=1", "--local-cores=1", "--group-components", "night=100"]
        + ["--seconds-between-status-checks=1", "--max-status-checks-per-second=10"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return re.findall(r"(\d+) of (\d+) steps", done.stderr)[-1]


def test_every_step_of_a_group_is_run_once(tmp_path):
    assert steps(tmp_path / "mended", MENDED) == ("9", "9")
    assert (tmp_path / "mended/cross.log").read_text() == "once\n"


def test_snakemake_alone_still_counts_a_step_twice(tmp_path):
    if steps(tmp_path / "alone", "") == ("9", "9"):
        pytest.fail("Snakemake counts right: calibpipe/core/job_groups.py is not needed any more")
