"""Write envs/calibpipe.yaml: the direct dependencies at the versions of requirements.lock."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEADER = """# Conda environment of every rule. Written by `make lock`: do not edit.
# calibpipe is not in it: jobs import the package of this checkout (PYTHONPATH, common.smk).
name: calibpipe
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python=3.12
  - pip
  - pip:
"""


def pinned() -> list[str]:
    """``name==version`` of each direct dependency, sorted."""
    lock = (ROOT / "requirements.lock").read_text()
    versions = dict(re.findall(r"^([a-z0-9][a-z0-9._-]*)==([^ \\;]+)", lock, flags=re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.match(r"[A-Za-z0-9._-]+", text)[0].lower() for text in project["dependencies"]}
    return sorted(f"{name}=={versions[name]}" for name in names)


if __name__ == "__main__":
    lines = [f"      - {pin}\n" for pin in pinned()]
    (ROOT / "envs/calibpipe.yaml").write_text(HEADER + "".join(lines))
