"""Kill -9 of what a night runs on, at a random moment, and the night after it is started again."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from servers.postgresql import PostgreSQL

from .night import Night
from .processes import alive, children
from .slurm import Slurm

PATIENCE_IN_S = 900


@dataclass
class Killer:
    """Kills one thing; what was hit as text, empty if there was nothing to hit."""

    night: Night
    slurm: Slurm
    postgresql: PostgreSQL
    rng: random.Random

    def snakemake(self, process: subprocess.Popen) -> str:
        """Snakemake itself; jobs of the cluster live on."""
        for pid in (process.pid, *children(process.pid)):
            _kill(pid)
        return "Snakemake" if process.wait() == -signal.SIGKILL else ""  # it had ended by itself

    def worker(self, process: subprocess.Popen) -> str:
        """The process of a step, wherever it runs."""
        steps = _steps(self.night.folder)
        if not steps:
            return ""
        pid, name = self.rng.choice(sorted(steps))
        return f"the step {name}" if _kill(pid) else ""

    def node(self, process: subprocess.Popen) -> str:
        """A node with a running job; it comes back at once, empty."""
        busy = self.slurm.busy_nodes()
        if not busy:
            return ""
        name = self.rng.choice(busy)
        self.slurm.kill_node(name)
        self.slurm.start_node(name)
        return f"node {name}"

    def database(self, process: subprocess.Popen) -> str:
        """The archive's PostgreSQL, all of it; it is started again after some seconds."""
        self.postgresql.kill()
        time.sleep(self.rng.uniform(0, 5))
        self.postgresql.start()
        return "database"


def disturbed(kinds: list[str], killer: Killer, say: Callable[[str], None]) -> list[str]:
    """Run a night, kill each kind once, start it again whenever it has ended unfinished.

    A kill counts if the night was not over after it.

    Returns
    -------
    list of str
        Kinds that are left for another night, as this one was over before their turn.

    Raises
    ------
    AssertionError
        If it is not complete in the end, or was over before anything was killed.
    """
    night, began = killer.night, time.monotonic()
    process, left = night.start(), list(kinds)
    while left and not night.is_over:
        assert time.monotonic() < began + PATIENCE_IN_S, f"not over, nothing killed: {left[0]}"
        _wait(process, killer.rng.uniform(2, 12))
        if process.poll() is not None and not night.is_over:
            assert process.returncode, "success without the last page"
            process = _again(night, process, say)
        elif process.poll() is None and (hit := getattr(killer, left[0])(process)):
            counts = not night.is_over
            late = "" if counts else ", too late: does not count"
            say(f"{time.monotonic() - began:.0f} s: killed {hit}{late}")
            left = left[counts:]
    for _ in range(2):  # one new start is enough, two if jobs of before were in its way
        if process.wait(timeout=PATIENCE_IN_S) == 0:
            break
        process = _again(night, process, say)
    assert process.wait(timeout=PATIENCE_IN_S) == 0, (night.folder / "output.txt").read_text()
    say(f"{time.monotonic() - began:.0f} s: complete")
    killer.slurm.wait_until_idle()  # jobs that outlived their Snakemake
    assert len(left) < len(kinds), f"the night was over before a kill: {kinds[0]}"
    return left


def _again(night: Night, process: subprocess.Popen, say: Callable[[str], None]) -> subprocess.Popen:
    """The same command again, as the manual says: unlock, start."""
    say(f"exit code {process.returncode}; again")
    code, told = night.run("--unlock")
    assert code == 0, told
    return night.start()


def _wait(process: subprocess.Popen, seconds: float) -> None:
    last = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < last:
        time.sleep(0.1)


def _steps(folder: Path) -> list[tuple[int, str]]:
    """Processes that run a script of the workflow in a folder, and its name."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            here = (process / "cwd").readlink() == folder
            script = (process / "cmdline").read_text().rstrip("\0").rpartition("\0")[2]
        except OSError:
            continue  # it has ended
        if here and "/.snakemake/scripts/" in script:
            found.append((int(process.name), script.split(".")[-2]))
    return found


def _kill(pid: int) -> bool:
    """Whether there was something to kill."""
    there = alive(pid)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return there
