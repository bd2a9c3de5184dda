"""Configuration, keys and every input function of the workflow."""

import os
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import yaml
from snakemake.utils import validate

import calibpipe

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(
        threads, "1"
    )  # parallel are the jobs, not their linear algebra

CONFIG = Path(workflow.basedir) / "config"
NIGHT = "results/{site}/{category}/{night}"
LOG = "logs/{site}/{category}/{night}"


def days(nights):
    """Names of nights: one or a list as it is, {first, last} both included."""
    if isinstance(nights, dict):
        first, last = (
            date.fromisoformat(str(nights[end])) for end in ("first", "last")
        )
        return [str(first + timedelta(days=k)) for k in range((last - first).days + 1)]
    return [str(night) for night in (nights if isinstance(nights, list) else [nights])]


def validated_yaml(name, schema):
    """Content of a YAML file of the configuration folder, checked against its closed schema."""
    content = yaml.safe_load((CONFIG / name).read_text())
    validate(content, schema=str(CONFIG / "schemas" / schema))
    return content


config["nights"] = days(config["nights"])
validate(config, schema=str(CONFIG / "schemas/config.schema.yaml"))
for site in config["sites"]:
    validated_yaml(f"sites/{site}.yaml", "site.schema.yaml")
OVERRIDES = validated_yaml("overrides.yaml", "overrides.schema.yaml")["overrides"]


wildcard_constraints:
    site="|".join(config["sites"]),
    category="[BC]",
    night=r"\d{4}-\d{2}-\d{2}",


def every_night(product, unless=None):
    """A product for every site, category and night that is asked for.

    `unless` names a forced decision that makes a night do without it.
    """
    if Path(product).parts[0] not in config["domains"]:
        return []
    return [
        f"results/{site}/{category}/{night}/{product}"
        for site in config["sites"]
        for category in config["categories"]
        for night in config["nights"]
        if not (unless and override(site, night, unless))
    ]


def site_file(wildcards):
    """Description of the site."""
    return str(CONFIG / "sites" / f"{wildcards.site}.yaml")


def tool_config(name):
    """Configuration of a Tool."""
    return str(CONFIG / "tools" / f"{name}.yaml")


def reference_pool(site):
    """Folder of the site's reference atmospheres."""
    return str(Path(config["reference_models"] or CONFIG / "reference_models") / site)


def override(site, night, decision):
    """Reason of a forced decision about a night (config/overrides.yaml), or an empty text."""
    for entry in OVERRIDES:
        if (entry["site"], entry["night"], entry["decision"]) == (
            site,
            night,
            decision,
        ):
            return (
                f"{entry['reason']} (decided by {entry['author']} on {entry['date']})"
            )
    return ""


def meteo_files(wildcards):
    """Meteorological files that are already there; none when they come from the archive."""
    if config["meteo"]["source"] == "simulation":
        return f"{NIGHT}/simulation/meteo.grib".format(**wildcards)
    if config["meteo"]["source"] == "files":
        pattern = config["meteo"]["files"].format(**wildcards)
        found = sorted(map(str, Path(config["data_roots"]["meteo"]).glob(pattern)))
        return found or str(Path(config["data_roots"]["meteo"]) / pattern)
    return []


def density_profile(wildcards):
    """The night's density profile, unless the date was forced to decide."""
    if override(wildcards.site, wildcards.night, "reference_model_by_date"):
        return []
    return f"{NIGHT}/atmosphere/density_profile.ecsv".format(**wildcards)


def meteo_data(wildcards):
    """The list of the night's meteorological files, unless it has to do without."""
    if override(wildcards.site, wildcards.night, "reference_model_by_date"):
        return []
    return f"{NIGHT}/atmosphere/meteo_data.json".format(**wildcards)


def report_what_failed():
    """After a failure: the page of each night with a failed step, from what there is."""
    for record in sorted(
        {path.parents[1] for path in Path("logs").glob("*/*/*/*/*.failure.json")}
    ):
        site, category, night = record.parts[1:4]
        folder = Path("results") / site / category / night
        options = {
            "site": CONFIG / f"sites/{site}.yaml",
            "night": night,
            "category": category,
            "pool": reference_pool(site),
            "night-folder": folder,
            "log-folder": record,
            "output": folder / "report/index.html",
            "provenance-log": record / "report/report.provenance.json",
        }
        command = [
            sys.executable,
            "-m",
            "calibpipe.tools.create_night_report",
            "--overwrite",
        ]
        command += [
            "--quiet",
            *(f"--{name}={value}" for name, value in options.items()),
        ]
        subprocess.run(command, check=False)
