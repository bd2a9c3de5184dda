"""Disks that are full or read-only, locks left behind, clocks that differ: a night survives."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from calibpipe.core.products import content_hash

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
NIGHT = "results/CTAO-North/C/2024-07-10"
SMALL = """
sites: [CTAO-North]
categories: [C]
nights: ["2024-07-10"]
domains: [atmosphere]
meteo: {source: simulation}
co2: {online: false}
"""
PRODUCT = f"{NIGHT}/atmosphere/density_profile.ecsv"

pytestmark = pytest.mark.slow


def command(folder, *options):
    (folder / "small.yaml").write_text(SMALL)
    return [
        str(BIN / "snakemake"),
        f"--snakefile={ROOT}/Snakefile",
        f"--directory={folder}",
        f"--configfile={folder}/small.yaml",
        "--cores=2",
        *options,
    ]


def environment():
    return os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"}


def snakemake(folder, *options):
    done = subprocess.run(
        command(folder, *options), check=False, env=environment(), capture_output=True, text=True
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A night that nothing happened to, up to its density profile."""
    folder = tmp_path_factory.mktemp("undisturbed")
    code, told = snakemake(folder, PRODUCT)
    assert code == 0, told
    return folder


@pytest.fixture
def small_disk(tmp_path):
    """A disk of its own for results; it can be mounted anew with other options."""
    disk = tmp_path / "night/results"
    disk.mkdir(parents=True)

    def mount(options):
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", disk], check=False, capture_output=True
        )
        if done.returncode:
            pytest.skip(f"mount is not allowed here: {done.stderr.decode().strip()}")

    mount("ro,size=16k")
    yield lambda options: mount(f"remount,{options}")
    subprocess.run(["umount", "--lazy", disk], check=True)


def test_read_only_and_full_disks_are_told_and_the_night_goes_on(finished, small_disk, tmp_path):
    folder = tmp_path / "night"
    for options, message in (
        ("ro,size=16k", "Read-only file system"),
        ("rw,size=16k", "No space left on device"),
    ):
        small_disk(options)
        code, told = snakemake(folder, PRODUCT)
        assert code == 1
        assert message in told
        assert not (folder / PRODUCT).exists()
    small_disk("size=64m")
    code, told = snakemake(folder, PRODUCT)
    assert code == 0, told
    assert content_hash(folder / PRODUCT) == content_hash(finished / PRODUCT)


def test_lock_that_was_left_behind_is_told_with_the_remedy(finished, tmp_path):
    with (tmp_path / "output.txt").open("w") as stream:
        process = subprocess.Popen(
            command(tmp_path, PRODUCT), env=environment(), stderr=stream, process_group=0
        )
        last = time.monotonic() + 300
        while not list(tmp_path.glob(".snakemake/locks/*")) and time.monotonic() < last:
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    code, told = snakemake(tmp_path, PRODUCT)
    assert code == 1
    assert "cannot be locked" in told
    assert "--unlock" in told
    assert snakemake(tmp_path, "--unlock")[0] == 0
    code, told = snakemake(tmp_path, PRODUCT)
    assert code == 0, told
    assert content_hash(tmp_path / PRODUCT) == content_hash(finished / PRODUCT)


def planned(folder):
    """What would be done."""
    code, told = snakemake(folder, PRODUCT, "--dry-run")
    assert code == 0, told
    return told


@pytest.fixture
def other_clock(finished):
    """Function that gives a file of the night the time of a node with another clock."""
    before = {}

    def skew(name, hours, more=b""):
        path = finished / NIGHT / "atmosphere" / name
        before[path] = path.read_bytes(), path.stat()
        path.write_bytes(before[path][0] + more)
        os.utime(path, (time.time() + 3600 * hours,) * 2)

    yield skew
    for path, (content, was) in before.items():
        path.write_bytes(content)
        os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))


def test_clock_ahead_repeats_nothing(finished, other_clock):
    """The file seems newer than what was made of it; its checksum is what it was."""
    other_clock("meteo_data.json", 30)
    assert "Nothing to be done" in planned(finished)


def test_clock_behind_repeats_one_step_at_most(finished, other_clock):
    """The file seems older than what it was made from: its own step, and nothing after it."""
    other_clock("meteo_data.json", -30)
    told = planned(finished)
    assert re.search(r"^meteo_data +1$", told, flags=re.MULTILINE)
    assert not re.search(r"^simulated_meteo_data", told, flags=re.MULTILINE)


def test_change_with_a_time_of_the_future_is_refused(finished, other_clock):
    """Nothing is made that would count as older than its input; the message names the clocks."""
    other_clock("macobac.ecsv", 1, more=b"\n")
    assert "molecular density profile" in planned(finished)
    code, told = snakemake(finished, PRODUCT)
    assert code == 1
    assert "clock skew" in told
    assert not (finished / PRODUCT).exists()
