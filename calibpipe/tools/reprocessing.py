"""A folder in which nights are calibrated again, beginning with what there was."""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["begun_with", "is_locked", "lonely", "months", "planned_jobs", "run_workflow"]

LEFT_OUT = ("certification", "report")  # what the run says of itself: made anew
NEVER_SHARED = ("results", "logs", ".snakemake", "reproduced", "reprocessing", "quick_look")
_PROGRESS = re.compile(r"(\d+) of (\d+) steps")


def months(nights: list[str]) -> list[list[str]]:
    """Nights by calendar month.

    >>> months(["2024-01-31", "2024-02-01", "2024-02-02"])
    [['2024-01-31'], ['2024-02-01', '2024-02-02']]
    """
    found: dict[str, list[str]] = {}
    for night in nights:
        found.setdefault(night[:7], []).append(night)
    return list(found.values())


@contextmanager
def lonely(folder: Path, what: str = "reprocessing") -> Iterator[int]:
    """Refuse a second one of the same in the same folder.

    Gives the descriptor of the lock, for `run_workflow`: it is held until the last process that
    has it ends.
    """
    from ..core.exceptions import StorageError

    with (folder / f".{what.replace(' ', '_')}").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StorageError(
                f"another {what} is running in {folder}: wait for it, or take another folder"
            ) from error
        yield stream.fileno()


def begun_with(old: Path, new: Path, folders: list[str]) -> None:
    """The new folder with the results, simulations and records of the old one, once.

    Files are linked, not copied: steps put new files in the place of old ones, which stay as they
    are. Snakemake's records (settings, code and inputs of each file) are copied. Everything else
    at the top (raw data, caches, the archive) is the same, by symbolic link.
    """
    done = new / ".snakemake/begun_with"
    done.mkdir(parents=True, exist_ok=True)
    for path in sorted(old.iterdir()):
        there = new / path.name
        if path.name == "simulation":
            _linked(path, there, done / "simulation", ())
        elif path.is_dir() and path.name not in NEVER_SHARED and not there.exists():
            there.symlink_to(path.resolve())
    for name in folders:
        left_out = LEFT_OUT if name != "results/archive" else ()
        _linked(old / name, new / name, done / name.replace("/", "-"), left_out)
    records = old / ".snakemake/metadata"
    if records.is_dir() and not (done / "metadata").exists():
        shutil.copytree(records, new / ".snakemake/metadata", dirs_exist_ok=True)
        (done / "metadata").touch()


def _linked(old: Path, new: Path, marker: Path, left_out: tuple[str, ...]) -> None:
    """Files of a folder; not again when that was done, some may have been replaced since."""
    if marker.exists() or not old.is_dir():
        return
    for path in sorted(old.rglob("*")):
        name = path.relative_to(old)
        if path.is_dir() or any(part in left_out for part in name.parts):
            continue
        there = new / name
        there.parent.mkdir(parents=True, exist_ok=True)
        if not there.exists():
            try:
                os.link(path, there)
            except OSError:  # another file system
                shutil.copy2(path, there)
    for path in sorted(old.rglob("*/"), reverse=True):  # a folder that is an input has its time
        there = new / path.relative_to(old)
        if there.is_dir():
            shutil.copystat(path, there)
    marker.touch()


def is_locked(folder: Path) -> bool:
    """Whether Snakemake runs in a folder, or was killed there."""
    return any((folder / ".snakemake/locks").glob("*"))


def planned_jobs(options: list[str], folder: Path, log: Path) -> dict[str, int] | None:
    """Number of jobs by rule that Snakemake would run in a folder; None if it cannot tell.

    Several may plan in a folder at the same time. What Snakemake says goes to a log.
    """
    command = [sys.executable, "-m", "snakemake", f"--directory={folder}", *options]
    command += ["--dry-run", "--nolock", "--quiet", "rules", "reason", "host"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(done.stdout + done.stderr)
    if done.returncode:
        return None
    lines = [line.split() for line in log.read_text().splitlines()]
    jobs = {row[0]: int(row[1]) for row in lines if len(row) == 2 and row[1].isdigit()}
    jobs.pop("total", None)
    return jobs


def run_workflow(
    options: list[str],
    folder: Path,
    log: Path,
    tell: Callable[[int, int, float], None],
    *,
    is_alone: bool = True,
    lock: int | None = None,
) -> int:
    """Exit code of Snakemake in a folder; its output goes to a log.

    Parameters
    ----------
    options : list of str
        Of Snakemake.
    folder, log : Path
    tell : callable
        Called with jobs that are done, all jobs, and seconds since the begin.
    is_alone : bool
        Whether nobody else may run Snakemake in the folder: its locks are of a run that was killed,
        and are removed.
    lock : int, optional
        Of `lonely`. Snakemake holds it, too: when only this process is killed, no other one begins
        before Snakemake has ended.
    """
    command = [sys.executable, "-m", "snakemake", f"--directory={folder}", *options]
    held = () if lock is None else (lock,)
    if is_alone and is_locked(folder):
        subprocess.run([*command, "--unlock"], check=False, capture_output=True, pass_fds=held)
    log.parent.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    }
    with (
        log.open("w") as stream,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            pass_fds=held,
        ) as process,
    ):
        for line in process.stdout or ():
            stream.write(line)
            stream.flush()
            if match := _PROGRESS.search(line):
                tell(int(match[1]), int(match[2]), time.monotonic() - begin)
    return process.returncode
