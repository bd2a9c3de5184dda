"""Packages, compiled code, threads and batch systems: each check with something that is broken."""

import os
import py_compile
from importlib.metadata import version

import pytest

from calibpipe.core.exceptions import MissingInputError
from calibpipe.doctor import environment
from calibpipe.doctor.environment import locked_versions
from calibpipe.doctor.finding import Level, run_checks, warning

FUNCTION = "import numba\n\n\n@numba.njit(cache=True, nogil=True)\ndef _fit(x):\n    return x\n"


def only(findings):
    (found,) = findings
    return found


def test_python_of_the_tests_is_new_enough(monkeypatch):
    assert only(environment.python()).level is Level.OK
    monkeypatch.setattr(environment.sys, "version_info", (3, 11, 9))
    old = only(environment.python())
    assert (old.level, old.exit_code) == (Level.FAIL, 101)


def test_lock_of_this_machine():
    text = (
        "astropy==8.0.2 \\\n    --hash=sha256:a\n    # via x\n"
        "colorama==0.4.6 ; sys_platform == 'win32' \\\n    --hash=sha256:b\n"
    )
    assert locked_versions(text) == {"astropy": "8.0.2"}


def test_a_package_that_is_not_that_of_the_lock(tmp_path):
    lock = tmp_path / "requirements.lock"
    lock.write_text(f"astropy=={version('astropy')}\nnumpy==1.0.0\nnot-installed==3\n")
    found = only(environment.packages(lock))
    assert found.level is Level.WARNING
    assert f"1 packages are not those of the lock: numpy {version('numpy')} (lock: 1.0.0)" in (
        found.what
    )
    lock.write_text(f"numpy=={version('numpy')}\n")
    assert only(environment.packages(lock)).level is Level.OK
    assert "no lock" in only(environment.packages(tmp_path / "none")).what


def test_a_dependency_that_is_absent_or_too_old(monkeypatch):
    monkeypatch.setattr(environment, "requires", lambda _: ["numpy>=99", "no-such-package>=1"])
    found = only(environment.packages(None))
    assert (found.level, found.exit_code) == (Level.FAIL, 101)
    assert found.what == (
        f"numpy is {version('numpy')}, needs >=99; no-such-package is not installed"
    )


def test_modules_that_are_not_compiled(tmp_path):
    source = tmp_path / "module.py"
    source.write_text("x = 1\n")
    assert "1 of 1 modules" in only(environment.bytecode(tmp_path)).what
    compiled = py_compile.compile(str(source))
    assert only(environment.bytecode(tmp_path)).level is Level.OK
    os.utime(source, (2e9, 2e9))  # edited later
    assert only(environment.bytecode(tmp_path)).level is Level.WARNING, compiled


def test_functions_that_numba_has_not_compiled(tmp_path, monkeypatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    (tmp_path / "rings.py").write_text(FUNCTION)
    found = only(environment.compiled_functions(tmp_path))
    assert found.level is Level.WARNING
    assert "1 of 1 functions are not compiled (rings._fit)" in found.what
    kept = tmp_path / "__pycache__/rings._fit-4.py312.nbi"
    kept.parent.mkdir()
    kept.touch()
    assert only(environment.compiled_functions(tmp_path)).level is Level.OK
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "elsewhere"))
    assert only(environment.compiled_functions(tmp_path)).level is Level.WARNING


def test_names_of_numba_are_those_that_are_looked_for(tmp_path, monkeypatch):
    """A function that numba itself compiles and keeps is found."""
    import importlib.util

    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    (tmp_path / "rings.py").write_text(FUNCTION)
    spec = importlib.util.spec_from_file_location("rings", tmp_path / "rings.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module._fit(2) == 2
    assert only(environment.compiled_functions(tmp_path)).what == "1 functions are compiled"


def test_threads(monkeypatch):
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    assert only(environment.threads()).level is Level.OK
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    found = only(environment.threads())
    assert (found.level, found.remedy) == (Level.WARNING, "unset OMP_NUM_THREADS")


def test_batch_system(root, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("sbatch", "squeue", "sacct"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    found = only(environment.batch_system(root / "profiles/slurm"))
    assert (found.level, found.exit_code) == (Level.FAIL, 101)
    assert "there is no scancel in the PATH" in found.what
    generic = only(environment.batch_system(root / "profiles/cluster-generic"))
    assert generic.what == "cluster-generic: sbatch"
    assert only(environment.batch_system(root / "profiles/default")).level is Level.OK
    with pytest.raises(MissingInputError, match="there is no profile"):
        list(environment.batch_system(tmp_path / "none"))


def test_a_check_that_breaks_is_a_finding_and_the_others_go_on():
    def ours():
        yield warning("slow", "wait")
        raise MissingInputError("no such folder; mount it")

    def nobodys():
        raise ZeroDivisionError("by zero")

    first, second, third = run_checks([("disk", ours), ("other", nobodys)])
    assert str(first) == "WARNING disk: slow\n        -> wait"
    assert (second.what, second.remedy, second.exit_code) == ("no such folder", "mount it", 105)
    assert (third.area, third.level, third.exit_code) == ("other", Level.FAIL, 1)
