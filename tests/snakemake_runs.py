"""Snakemake as its command line, in a process of its own.

As a program (below) it makes plans: it imports Snakemake once, and each plan is made in a fork.
"""

import atexit
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile

BIN = Path(sys.executable).parent


def run(*arguments: str | Path, **more: str) -> tuple[int, str]:
    """Exit code of `snakemake` with these arguments and variables, and all that it said.

    A plan (``--dry-run``) comes from the same function of Snakemake in a fork of a process that has
    imported Snakemake and nothing else: half of the time of a plan is this import.
    """
    words = [str(argument) for argument in arguments]
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", **more}
    if "--dry-run" in words:
        return _planned(words, environment)
    command = [str(BIN / "snakemake"), *words]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def _planned(words: list[str], environment: dict[str, str]) -> tuple[int, str]:
    planner = _planner()
    with NamedTemporaryFile() as told:
        asked = json.dumps([words, environment, str(Path.cwd()), told.name])
        print(asked, file=planner.stdin, flush=True)
        code = int(planner.stdout.readline())
        return code, Path(told.name).read_text()


@cache
def _planner() -> subprocess.Popen[str]:
    """The program, until this process ends."""
    command = [sys.executable, "-P", __file__]
    planner = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(planner.communicate)
    return planner


def _serve() -> None:
    """Exit code of each plan that is asked for, until nobody asks."""
    import snakemake.cli  # noqa: F401

    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _plan(*json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _plan(words: list[str], environment: dict[str, str], folder: str, told: str) -> None:
    """What the entry point of Snakemake does; output into a file."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    stream = os.open(told, os.O_WRONLY | os.O_APPEND)
    for standard in (1, 2):
        os.dup2(stream, standard)
    from snakemake.cli import main

    sys.argv = ["snakemake", *words]
    sys.exit(main())


if __name__ == "__main__":
    _serve()
