"""A small simulated night through the workflow, and the contents of what it makes."""

import os
import shutil
import subprocess
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from calibpipe.core.product_header import read_product_header

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
SMALL = {  # of the night of the demo: the air, one camera without dedicated runs, the archive
    "sites": ["CTAO-North"],
    "telescopes": ["LSTN-01"],
    "domains": ["atmosphere", "camera", "archive"],
    "camera": {"calibration_sets": []},
}
AIR = SMALL | {"domains": ["atmosphere", "archive", "report"]}  # and the pages
WHOLE: dict = {}  # all of the demo
SETTINGS = WHOLE if os.environ.get("NIGHT") == "demo" else SMALL  # make test-cluster NIGHT=demo
SWIFT = {  # a cluster of one machine answers at once
    "slurm": (
        "--slurm-init-seconds-before-status-checks=1",
        "--max-status-checks-per-second=1",
        "--latency-wait=5",
    ),
    "cluster-generic": ("--seconds-between-status-checks=1", "--latency-wait=5"),
}


@dataclass
class Night:
    """A night in a folder of its own.

    Parameters
    ----------
    folder : Path
        Where it is calibrated.
    options : tuple of str
        Of every call of Snakemake: the profile, what is quicker in a test.
    environment : dict
        Variables of its own: where SLURM and passwords are.
    settings : dict
        Configuration over that of the demo.
    workflow : Path
        Folder of the Snakefile.
    """

    folder: Path
    options: tuple[str, ...] = ("--cores=2",)
    environment: dict[str, str] = field(default_factory=dict)
    settings: dict = field(default_factory=lambda: dict(SMALL))
    workflow: Path = ROOT

    def command(self, *more: str) -> list[str]:
        """Snakemake's command line."""
        demo = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
        self.folder.mkdir(parents=True, exist_ok=True)
        asked = self.folder / "night.yaml"
        asked.write_text(yaml.safe_dump(demo | self.settings))
        return [
            str(BIN / "snakemake"),
            f"--snakefile={self.workflow}/Snakefile",
            f"--directory={self.folder}",
            f"--configfile={asked}",
            *self.options,
            *more,
        ]

    def start(self, *more: str, log: str = "output.txt") -> subprocess.Popen:
        """Begin; the output goes to a file of the folder."""
        command = self.command(*more)
        with (self.folder / log).open("a") as stream:
            return subprocess.Popen(
                command,
                env=self.variables,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                process_group=0,
            )

    def run(self, *more: str) -> tuple[int, str]:
        """Exit code and output."""
        done = subprocess.run(
            self.command(*more), check=False, env=self.variables, capture_output=True, text=True
        )
        return done.returncode, done.stdout + done.stderr

    @property
    def variables(self) -> dict[str, str]:
        """Environment of Snakemake."""
        return os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"} | self.environment

    @property
    def is_over(self) -> bool:
        """Whether the page of the site is there, which is made last."""
        return any((self.folder / "results").glob("*/trends/index.html"))

    def take_simulation(self, other: Path) -> None:
        """What the observatory delivered, from another folder; linked where that is possible."""
        shutil.copytree(
            other / "simulation", self.folder / "simulation", copy_function=_linked_or_copied
        )

    def contents(self) -> dict[str, uuid.UUID]:
        """Identifier, which is made from the content, of every product by its path."""
        return contents(self.folder)


def workflow_with_script(folder: Path, rule: str, begin: str) -> Path:
    """The whole workflow in a folder of its own; a step does something else before its work."""
    for name in ("rules", "scripts", "envs", "config", "profiles", "calibpipe"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "Snakefile", folder)
    script = folder / f"scripts/{rule}.py"
    script.write_text(f"{begin}\n{script.read_text()}")
    return folder


def contents(folder: Path) -> dict[str, uuid.UUID]:
    """Identifier, which is made from the content, of every product by its path.

    Records of verification and certification name what was certified before, which differs.
    """
    results = folder / "results"
    found = {}
    for path in sorted(results.glob("CTAO-*/C/*/**/*")):
        name = path.relative_to(results)
        record = name.parts[3] in ("verification", "certification", "report", "simulation")
        if (
            not record
            and path.suffix in (".ecsv", ".h5", ".json")
            and "provenance" not in name.name
        ):
            found[str(name)] = read_product_header(path).product_id
    return found


def _linked_or_copied(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)
