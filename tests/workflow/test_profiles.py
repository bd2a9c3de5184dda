"""What is not science: every rule has memory, run time and its place in a batch job."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CLUSTERS = ("slurm", "cluster-generic")
ALONE = {  # checkpoints: what follows is planned when they are there
    *("dl0_index", "simulated_calibration_runs", "calibration_runs_index"),
    "night_report",  # waits for both: Snakemake 9.27 loses sight of its group when one is there
    "trends",  # waits for all nights
}


def profile(name):
    """Settings of a profile."""
    return yaml.safe_load((ROOT / f"profiles/{name}/config.yaml").read_text())


@pytest.fixture(scope="module")
def rules():
    """Names of all rules that are a job: local rules gather what others make."""
    text = "\n".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    local = re.findall(r"^localrules:\n((?:    \w+,\n)+)", text, flags=re.MULTILINE)
    gathering = set(re.findall(r"\w+", "".join(local)))
    return set(re.findall(r"^(?:rule|checkpoint) (\w+):", text, flags=re.MULTILINE)) - gathering


def test_every_rule_declares_memory_and_time(rules):
    declared = profile("default")["set-resources"]
    assert set(declared) == rules
    for name, asked in declared.items():
        for resource in ("mem_mb", "runtime"):
            first, second = (eval(asked[resource], {"attempt": k}) for k in (1, 2))
            assert isinstance(first, int), name
            assert second == 2 * first, f"{name}: a retry gets twice the {resource}"


def test_memory_is_what_was_measured_and_more(rules):
    """Resident sets of the simulated night (docs/cluster.md), with what Snakemake itself takes."""
    declared = profile("default")["set-resources"]
    table = re.findall(
        r"^\| `(\w+)` \| \d+ \| (\d+) \|", (ROOT / "docs/cluster.md").read_text(), re.MULTILINE
    )
    measured = {name: int(value) for name, value in table}
    assert len(measured) > 30
    assert set(measured) <= rules
    for name, value in measured.items():
        assert eval(declared[name]["mem_mb"], {"attempt": 1}) >= 1.5 * value + 300, name


@pytest.mark.parametrize("name", CLUSTERS)
def test_every_rule_is_in_a_group(rules, name):
    assert set(profile(name)["groups"]) == rules - ALONE
    assert set(profile(name)["group-components"]) == set(profile(name)["groups"].values())


def test_clusters_have_the_same_groups():
    one, two = map(profile, CLUSTERS)
    for key in ("groups", "group-components", "retries", "latency-wait"):
        assert one[key] == two[key]


@pytest.mark.parametrize("name", CLUSTERS)
def test_no_setting_of_a_cluster_is_overruled(name):
    """Snakemake reads profiles/default in every run, and after the one that is named."""
    assert not set(profile(name)) & set(profile("default"))


def test_nothing_asks_for_variables_to_be_written_into_job_scripts():
    """`envvars:` of a Snakefile puts values, and so passwords, into scripts."""
    for path in (ROOT / "Snakefile", *(ROOT / "rules").rglob("*.smk")):
        assert not re.search(r"^\s*envvars:", path.read_text(), flags=re.MULTILINE), path
