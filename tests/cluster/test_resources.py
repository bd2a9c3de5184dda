"""Steps that need more memory or time than was declared are tried again with twice as much."""

import os

import pytest
from cluster.night import SWIFT, Night, workflow_with_script

pytestmark = [pytest.mark.slow, pytest.mark.cluster]
MACOBAC = "results/CTAO-North/C/2024-07-10/atmosphere/macobac.ecsv"
HUNGRY = """
import time

ballast = b"1" * 700_000_000  # what profiles/default declares for all of the job
time.sleep(4)
"""
SLOW = """
import time

time.sleep(0 if snakemake.resources.runtime > 1 else 600)
"""


def run_macobac(slurm, folder, script, *options):
    """States and requests of the jobs of a night whose first step has more to do."""
    workflow = workflow_with_script(folder / "workflow", "macobac", script)
    profile = f"--profile={workflow}/profiles/slurm"
    night = Night(folder / "night", (profile, *SWIFT["slurm"], *options), slurm.environment)
    night.workflow = workflow
    code, told = night.run(MACOBAC)
    assert code == 0, told
    assert (night.folder / MACOBAC).is_file()
    return slurm.jobs(night.folder)


def test_out_of_memory_is_tried_again_with_more(slurm, tmp_path):
    first, second = run_macobac(slurm, tmp_path, HUNGRY)
    assert first["state"] in ("OUT_OF_MEMORY", "FAILED")
    (log,) = (tmp_path / "night/logs/slurm").rglob(f"{first['jobid']}.log")
    assert "Exceeded job memory limit" in log.read_text()
    assert second["state"] == "COMPLETED"
    assert (first["reqmem"], second["reqmem"]) == ("700M", "1400M")


@pytest.mark.skipif(not os.environ.get("KILLS"), reason="two minutes: make test-faults runs it")
def test_out_of_time_is_tried_again_with_more(slurm, tmp_path):
    one_minute = "--set-resources=macobac:runtime=2**(attempt-1)"
    first, second = run_macobac(slurm, tmp_path, SLOW, one_minute)
    assert first["state"] == "TIMEOUT"
    assert second["state"] == "COMPLETED"
    assert (first["timelimit"], second["timelimit"]) == ("00:01:00", "00:02:00")
