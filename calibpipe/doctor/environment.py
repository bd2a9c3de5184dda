"""Python, packages, what is compiled beforehand, threads, programs of the batch system."""

import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import cache_from_source, find_spec
from pathlib import Path

import yaml
from packaging.requirements import Requirement

from ..core.exceptions import MissingInputError
from .finding import Finding, fail, ok, warning

__all__ = ["batch_system", "bytecode", "compiled_functions", "packages", "python", "threads"]

OLDEST_PYTHON = (3, 12)
_COMPILED = re.compile(r"^@numba\.\w+\(.*cache=True.*\)\ndef (\w+)\(", re.MULTILINE)
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# Programs by the executor of a profile; those of cluster-generic are in its own command.
_PROGRAMS = {"slurm": ("sbatch", "squeue", "sacct", "scancel")}


def python() -> Iterator[Finding]:
    """Version of Python."""
    there = f"Python {platform.python_version()} at {sys.executable}"
    if sys.version_info < OLDEST_PYTHON:
        yield fail(f"{there}, needs 3.12 or later", "make install PYTHON=<a newer one>, or conda")
    else:
        yield ok(there)


def packages(lock: Path | None) -> Iterator[Finding]:
    """Packages against the ranges of the installed CalibPipe, and against the lock.

    Parameters
    ----------
    lock : path or None
        ``requirements.lock``; None: CalibPipe was installed without a checkout.
    """
    needed = [Requirement(text) for text in requires("calibpipe") or ()]
    wrong = [
        problem
        for need in needed
        if (need.marker is None or need.marker.evaluate({"extra": ""}))
        and (problem := _problem(need))
    ]
    if wrong:
        yield fail("; ".join(wrong), "make install, or the environment envs/calibpipe.yaml")
        return
    if lock is None or not lock.is_file():
        yield ok(f"{len(needed)} direct dependencies in their ranges; there is no lock to compare")
        return
    pinned = locked_versions(lock.read_text())
    others = {
        name: (there, wanted)
        for name, wanted in pinned.items()
        if (there := _version(name)) not in (None, wanted)
    }
    if others:
        named = ", ".join(f"{n} {there} (lock: {w})" for n, (there, w) in sorted(others.items()))
        yield warning(
            f"{len(others)} packages are not those of the lock: {named}",
            "make install; with other versions numbers may differ in their last digits",
        )
    else:
        yield ok(f"as in {lock.name}, {len(pinned)} packages")


def locked_versions(text: str) -> dict[str, str]:
    """Version by package of a lock file, of the packages that this machine needs."""
    lines = re.findall(r"^([A-Za-z0-9][^\\\n]*==[^\\\n]*)", text, re.MULTILINE)
    found = {}
    for need in map(Requirement, lines):
        if need.marker is None or need.marker.evaluate({"extra": ""}):
            (pin,) = need.specifier
            found[need.name] = pin.version
    return found


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _problem(need: Requirement) -> str:
    """What is wrong with a direct dependency; empty if nothing is."""
    there = _version(need.name)
    if there is None:
        return f"{need.name} is not installed"
    if not need.specifier.contains(there, prereleases=True):
        return f"{need.name} is {there}, needs {need.specifier}"
    return ""


def bytecode(package: Path) -> Iterator[Finding]:
    """Whether modules are compiled: without, every job reads its Python anew.

    Parameters
    ----------
    package : path
        Folder of the package.
    """
    modules = sorted(package.rglob("*.py"))
    cold = [path for path in modules if not _is_newer(Path(cache_from_source(str(path))), path)]
    if cold:
        yield warning(
            f"{len(cold)} of {len(modules)} modules are not compiled",
            f"{sys.executable} -m compileall -q {package}",
        )
    else:
        yield ok(f"{len(modules)} modules are compiled")


def compiled_functions(package: Path) -> Iterator[Finding]:
    """Whether numba's functions are compiled: else the first jobs do so, half a minute each.

    Parameters
    ----------
    package : path
        Folder of the package. Numba keeps them beside the modules, or in ``NUMBA_CACHE_DIR``.
    """
    elsewhere = os.environ.get("NUMBA_CACHE_DIR")
    functions, cold = 0, []
    for path in sorted(package.rglob("*.py")):
        for name in _COMPILED.findall(path.read_text()):
            functions += 1
            if elsewhere:
                kept = Path(elsewhere).glob(f"*/{path.stem}.{name}-*.nbi")
            else:
                kept = (path.parent / "__pycache__").glob(f"{path.stem}.{name}-*.nbi")
            if not any(_is_newer(index, path) for index in kept):
                cold.append(f"{path.stem}.{name}")
    if cold:
        few = ", ".join(cold[:3]) + (", ..." if len(cold) > 3 else "")
        yield warning(
            f"{len(cold)} of {functions} functions are not compiled ({few})",
            f"{sys.executable} envs/warm_up.py, in the checkout; else the first night is slower",
        )
    else:
        yield ok(f"{functions} functions are compiled")


def _is_newer(compiled: Path, source: Path) -> bool:
    return compiled.is_file() and compiled.stat().st_mtime >= source.stat().st_mtime


def threads() -> Iterator[Finding]:
    """Threads of linear algebra: parallel are the jobs."""
    many = {k: v for k in _THREADS if (v := os.environ.get(k, "1")) != "1"}
    if many:
        named = ", ".join(f"{name}={value}" for name, value in many.items())
        yield warning(
            f"{named}: jobs times threads are more than the cores", f"unset {' '.join(many)}"
        )
    else:
        yield ok("one thread a job")


def batch_system(profile: Path | None) -> Iterator[Finding]:
    """Programs and plugin that a profile needs.

    Parameters
    ----------
    profile : path or None
        Folder or file of the profile; None: jobs run on this machine.

    Raises
    ------
    MissingInputError
        If there is no such profile.
    """
    if profile is None:
        yield ok("none asked for: jobs run on this machine (--profile profiles/slurm asks)")
        return
    path = profile / "config.yaml" if profile.is_dir() else profile
    if not path.is_file():
        raise MissingInputError(f"there is no profile {path}; profiles/ has those of CalibPipe")
    settings = yaml.safe_load(path.read_text()) or {}
    executor = settings.get("executor", "local")
    if executor == "local":
        yield ok(f"{path}: jobs run on this machine")
        return
    plugin = f"snakemake_executor_plugin_{executor.replace('-', '_')}"
    if find_spec(plugin) is None:
        yield fail(f"{path}: the plugin {plugin} is not installed", "make install")
    words = settings.get(f"{executor}-submit-cmd", "").split("&&")[-1].split()
    wanted = _PROGRAMS.get(executor, tuple(words[:1]))
    absent = [program for program in wanted if shutil.which(program) is None]
    if absent:
        yield fail(
            f"{path}: there is no {', '.join(absent)} in the PATH",
            "run on a machine that submits jobs, or without this profile",
        )
    else:
        yield ok(f"{executor}: {', '.join(wanted)}")
