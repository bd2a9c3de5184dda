"""Snakemake as its command line, in a process of its own."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from tempfile import NamedTemporaryFile

BIN = Path(sys.executable).parent


def run(*arguments: str | Path, **more: str) -> tuple[int, str]:
    """Exit code of `snakemake` with these arguments and variables, and all that it said.

    A plan (``--dry-run``) is made by the same function of Snakemake in a process that is a fork of
    one that has imported Snakemake and nothing else: half of the time of a plan is this import.
    """
    words = [str(argument) for argument in arguments]
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", **more}
    if "--dry-run" in words:
        return _planned(words, environment)
    command = [str(BIN / "snakemake"), *words]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def _planned(words: list[str], environment: dict[str, str]) -> tuple[int, str]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["snakemake.cli"])
    with NamedTemporaryFile() as told:
        process = context.Process(target=_plan, args=(words, environment, Path.cwd(), told.name))
        process.start()
        process.join()
        code = process.exitcode
        process.close()
        return code, Path(told.name).read_text()


def _plan(words: list[str], environment: dict[str, str], folder: Path, told: str) -> None:
    """What the entry point of Snakemake does; output into a file."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    stream = os.open(told, os.O_WRONLY | os.O_APPEND)
    for standard in (1, 2):
        os.dup2(stream, standard)
    from snakemake.cli import main

    sys.argv = ["snakemake", *words]
    main()
