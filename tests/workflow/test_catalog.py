"""What the Snakemake Workflow Catalog and readers of the repository look for.

Rules for standardised usage: https://github.com/snakemake/snakemake-workflow-catalog
"""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SNAKEFILE = ROOT / "workflow" / "Snakefile"
MODULE = f"""
configfile: "{ROOT}/config/config.yaml"


module calibpipe:
    snakefile: "{SNAKEFILE}"
    config: config


use rule * from calibpipe


rule mine:
    default_target: True
    input:
        rules.all.input,
"""


def planned(snakefile, folder):
    """Number of jobs by rule for the atmosphere of the demo."""
    done = subprocess.run(
        [
            BIN / "snakemake",
            f"--snakefile={snakefile}",
            f"--directory={folder}",
            f"--configfile={ROOT}/config/demo.yaml",
            "--config",
            'domains=["atmosphere","archive"]',
            "--cores=1",
            "--dry-run",
        ],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(re.findall(r"^ *([a-z]\w*) +(\d+)$", done.stdout + done.stderr, re.MULTILINE))


@pytest.mark.slow
def test_the_catalogs_snakefile_and_a_module_plan_the_same(tmp_path):
    ours = planned(ROOT / "Snakefile", tmp_path)
    assert int(ours["certified_atmosphere"]) == 2  # sites
    assert planned(ROOT / "workflow/Snakefile", tmp_path) == ours
    (tmp_path / "Snakefile").write_text(MODULE)
    module = planned(tmp_path / "Snakefile", tmp_path)
    assert module.pop("mine") == ours.pop("all")
    assert module == ours


def test_rules_of_the_catalog():
    readme = (ROOT / "README.md").read_text().lower()
    assert "snakemake" in readme
    assert "workflow" in readme
    assert list((ROOT / "rules").glob("*.smk"))
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert usage["software-stack-deployment"] == {
        "conda": "conda:" in (ROOT / "rules/atmosphere.smk").read_text(),
        "apptainer": "container:" in (ROOT / "Snakefile").read_text(),
        "apptainer+conda": False,
    }
    options = subprocess.run(
        [BIN / "snakemake", "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert usage["mandatory-flags"]["flags"] in options


def test_instructions_name_every_file_of_the_configuration():
    page = (ROOT / "config/README.md").read_text()
    there = {path.name for path in (ROOT / "config").glob("*.yaml")}
    there |= {f"schemas/{path.name}" for path in (ROOT / "config/schemas").glob("*.yaml")}
    named = set(re.findall(r"`((?:schemas/)?\w+(?:\.schema)?\.yaml)`", page))
    assert named == there
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert set(yaml.safe_load(example)) <= set(
        yaml.safe_load((ROOT / "config/config.yaml").read_text())
    )


def test_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(citation)  # required by 1.2.0
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])
    dois = [reference["doi"] for reference in citation["references"]]
    assert all(re.fullmatch(r"10\.\d{4,9}/\S+", doi) for doi in dois)


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml")), ids=lambda path: path.stem
)
def test_issue_templates(path):
    """Forms as GitHub takes them; commands that they name are ours."""
    form = yaml.safe_load(path.read_text())
    if path.stem == "config":
        assert set(form) == {"blank_issues_enabled"}
        return
    assert {"name", "description", "body"} <= set(form)
    names = [field["id"] for field in form["body"]]
    assert len(set(names)) == len(names)
    assert all(
        f["type"] in ("input", "textarea") and f["attributes"]["label"] for f in form["body"]
    )
    assert set(re.findall(r"calibpipe-[a-z-]+", path.read_text())) <= set(PROJECT["scripts"])
