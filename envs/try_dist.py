"""Whether wheel and sdist are whole: `make dist` runs it in an environment of the wheel alone."""

import os
import subprocess
import sys
import tarfile
from importlib.metadata import distribution
from pathlib import Path
from tempfile import TemporaryDirectory

import calibpipe
from calibpipe.tools.shell_completion import tool_of

BIN = Path(sys.executable).parent


def main(checkout: Path, sdist: Path) -> str | None:
    """What is wrong; None if nothing is."""
    installed, ours = Path(calibpipe.__file__).parent, checkout / "calibpipe"
    if installed == ours:
        return f"{installed} is the checkout: run this in the environment of the wheel"
    files = [p for p in ours.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    absent = [p for p in files if not (installed / p.relative_to(ours)).is_file()]
    if absent:
        return f"the wheel lacks {', '.join(map(str, absent))}"

    scripts = distribution("calibpipe").entry_points.select(group="console_scripts")
    for script in scripts:
        tool_of(script)()
        if not (BIN / script.name).is_file():
            return f"there is no {script.name} in {BIN}"
    with TemporaryDirectory() as name:
        with tarfile.open(sdist) as archive:
            archive.extractall(name, filter="data")
        (workflow,) = Path(name).iterdir()
        trouble = plan(workflow)
    if trouble is None:
        print(
            f"{len(files)} files, {len(scripts)} commands; the workflow of the sdist plans the demo"
        )
    return trouble


def plan(workflow: Path) -> str | None:
    """What is wrong with the workflow of an unpacked sdist; None if nothing is."""
    done = subprocess.run(
        [BIN / "snakemake", "--dry-run", "--cores=1", "--configfile=config/demo.yaml"],
        cwd=workflow,
        env=os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr if done.returncode else None


if __name__ == "__main__":
    sys.exit(main(*(Path(argument).resolve() for argument in sys.argv[1:])))
