"""The version of a step follows what it imports, and nothing else."""

import shutil
import subprocess
import sys

import pytest

from calibpipe import __version__
from calibpipe.core.code_version import PACKAGE, code_version, imported_modules

STEPS = ("calculate_macobac", "process_lidar", "star_tracking", "verify", "calculate_muon_rings")


def names(step):
    found = imported_modules(PACKAGE / f"tools/{step}.py")
    return {path.relative_to(PACKAGE).as_posix() for path in found}


def test_modules_of_steps():
    macobac = names("calculate_macobac")
    assert {"atmosphere/macobac.py", "core/products.py", "core/exceptions.py"} <= macobac
    assert not any(name.startswith(("camera/", "throughput/", "report/")) for name in macobac)
    assert {"archive/kinds.yaml", "archive/universe.yaml"} <= names(
        "certify"
    )  # data beside modules
    assert "camera/coefficients.py" in names("calculate_camcalib_coefficients")  # within functions


WALK = """
import ast, importlib, importlib.util, sys
from pathlib import Path


def imports(module):
    for node in ast.walk(ast.parse(Path(module.__file__).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            name = "." * node.level + (node.module or "")
            base = importlib.util.resolve_name(name, module.__package__)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


front, seen = [sys.argv[1]], set()
while front:
    name = front.pop()
    parent = name.rpartition(".")[0]
    if name.split(".")[0] != "calibpipe" or name in seen:
        continue
    seen.add(name)
    front.append(parent)  # a package is imported with its modules
    if parent and not hasattr(importlib.import_module(parent), "__path__"):
        continue  # a function of a module
    if importlib.util.find_spec(name):
        front += imports(importlib.import_module(name))
print(*(m.__file__ for n, m in sys.modules.items() if n.split(".")[0] == "calibpipe"), sep="\\n")
"""


@pytest.mark.parametrize("step", STEPS)
def test_nothing_that_a_step_imports_is_overlooked(step):
    """Everything that Python has loaded when all imports inside functions are made, too."""
    command = [sys.executable, "-c", WALK, f"calibpipe.tools.{step}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {line.removeprefix(f"{PACKAGE}/") for line in done.stdout.split()}
    assert loaded == {name for name in names(step) if name.endswith(".py")}


def test_version_changes_with_a_method_of_the_step_only(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / PACKAGE.name)
    code = "from calibpipe.core.code_version import code_version as v\n"
    code += f"print(*(v('calibpipe.tools.' + s) for s in {STEPS}))"

    def versions():
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        return dict(zip(STEPS, done.stdout.split(), strict=True))

    before = versions()
    assert len(set(before.values())) == len(STEPS)
    method = tmp_path / PACKAGE.name / "throughput/muon_ring.py"
    method.write_text(method.read_text() + "\n")
    after = versions()
    assert {step for step in STEPS if before[step] != after[step]} == {
        "calculate_muon_rings",
        "verify",
    }


def test_code_from_elsewhere_has_the_version_of_the_package():
    assert code_version("somebody.elses_tool") == __version__
    with pytest.raises(FileNotFoundError):
        code_version("calibpipe.tools.no_such_tool")
