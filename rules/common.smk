"""Configuration, keys and every input function of the workflow."""

import fnmatch
import hashlib
import os
import re
import subprocess
import sys
from datetime import date, timedelta
from functools import cache
from itertools import product
from pathlib import Path

import yaml
from jsonschema import ValidationError
from snakemake.exceptions import WorkflowError
from snakemake.iocontainers import Wildcards
from snakemake.utils import validate

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(
        threads, "1"
    )  # parallel are the jobs, not their linear algebra

# Folder of the checkout, also where another Snakefile includes this workflow or takes it as module.
ROOT = Path(workflow.current_basedir.get_path_or_uri(secret_free=False)).parent
# In any environment (conda, too) jobs and rules take the package that lies beside this workflow.
searched = [str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, dict.fromkeys(searched))))
sys.path.insert(0, str(ROOT))

from calibpipe.core.code_version import code_version
from calibpipe.core.job_groups import new_groups_alone
from calibpipe.core.schema_errors import refusal

new_groups_alone()

CONFIG = ROOT / "config"
NIGHT = "results/{site}/{category}/{night}"
LOG = "logs/{site}/{category}/{night}"
SIMULATION = (
    "simulation/{site}/{night}"  # what the observatory delivers, whatever the category
)
SIMULATED_DL2 = "simulation/dl2/{site}/{night}"
SIMULATED_SETS = "simulation/calibration_sets/{site}/{night}"
ARRAY = "inter_calibration", "cross_calibration", "timing"
ARCHIVE_WRITER = int(not config["archive"]["database"])  # SQLite has one at a time


@cache
def step_version(tool, settings=None):
    """Version of a step: of the code that its Tool imports, and of the Tool's settings.

    An edit of either is run again, whatever the times of the files. The file of the settings is
    called as the Tool is, or `settings`.
    """
    content = Path(tool_config(settings or tool)).read_bytes()
    settings = hashlib.sha256(content).hexdigest()[:8]
    return f"{code_version(f'calibpipe.tools.{tool}')}+{settings}"


def texts(value):
    """Dates as text, as YAML has them without quotes."""
    if isinstance(value, dict):
        return {key: texts(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [texts(entry) for entry in value]
    return value.isoformat() if isinstance(value, date) else value


def day(text, where):
    """A date that there is."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise WorkflowError(f"{where}: there is no day {text!r} ({error})") from error


def days(nights):
    """Names of nights: one or a list as it is, {first, last} both included."""
    if isinstance(nights, dict):
        first, last = (day(nights[end], f"nights, {end}") for end in ("first", "last"))
        if last < first:
            raise WorkflowError(
                f"nights: the first, {first}, comes after the last, {last}"
            )
        return [str(first + timedelta(days=k)) for k in range((last - first).days + 1)]
    named = nights if isinstance(nights, list) else [nights]
    return [str(day(night, "nights")) for night in named]


def validated(content, schema, where):
    """Let nothing pass that a closed schema refuses; defaults are filled in."""
    try:
        validate(content, schema=str(CONFIG / "schemas" / schema))
    except WorkflowError as error:
        refused = error.__context__
        if not isinstance(refused, ValidationError):
            raise
        raise WorkflowError(f"{where}: {refusal(refused)}") from None


def validated_yaml(name, schema):
    """Content of a YAML file of the configuration folder, checked against its closed schema."""
    content = texts(yaml.safe_load((CONFIG / name).read_text()))
    validated(content, schema, f"config/{name}")
    return content


def forced_decisions():
    """Each forced decision by decision, site and night (config/overrides.yaml)."""
    entries = {}
    for entry in validated_yaml("overrides.yaml", "overrides.schema.yaml")["overrides"]:
        key = tuple(entry[name] for name in ("decision", "site", "night"))
        key += tuple(
            entry[name]
            for name in ("telescope", "obs_id", "instrument")
            if name in entry
        )
        for name in ("night", "date"):
            day(entry[name], f"overrides.yaml, {name}")
        if key in entries:
            raise WorkflowError(
                f"overrides.yaml: two entries {' '.join(map(str, key))}; keep the one that holds"
            )
        entries[key] = entry
    return entries


def illuminator_runs():
    """Observations with flashes of known light by site, night and number."""
    runs = {}
    for entry in config["throughput"]["illuminator"]:
        day(entry["night"], "throughput, illuminator")
        key = entry["site"], entry["night"], entry["obs_id"]
        if key in runs:
            raise WorkflowError(
                f"throughput, illuminator: two entries {' '.join(map(str, key))}; keep one"
            )
        runs[key] = {"coefficients_from": entry["obs_id"]} | entry
    return runs


def simulated_blocks():
    """Numbers of the observation blocks of simulated DL2."""
    settings = yaml.safe_load((CONFIG / "tools/simulate_dl2_data.yaml").read_text())
    return range(1, settings["SimulateDl2Data"]["n_blocks"] + 1)


config["nights"] = texts(config["nights"])
config["camera"] = texts(config["camera"])
config["throughput"] = texts(config["throughput"])
config["monitoring"] = texts(config["monitoring"])
config["pointing"] = texts(config["pointing"])
validated(config, "config.schema.yaml", "configuration")
config["nights"] = days(config["nights"])
SITES = {
    site: validated_yaml(f"sites/{site}.yaml", "site.schema.yaml")
    for site in config["sites"]
}
unknown = set(config["telescopes"]).difference(
    *(s["telescopes"] for s in SITES.values())
)
if unknown:
    raise WorkflowError(
        f"telescopes: no {' or '.join(sorted(unknown))} at {' or '.join(SITES)}; "
        f"there are {', '.join(sum((s['telescopes'] for s in SITES.values()), []))}"
    )
validated_yaml("criteria.yaml", "criteria.schema.yaml")
OVERRIDES = forced_decisions()
SIMULATED_BLOCKS = simulated_blocks()
ILLUMINATOR_RUNS = illuminator_runs()


wildcard_constraints:
    site="|".join(config["sites"]),
    category="[BC]",
    night=r"\d{4}-\d{2}-\d{2}",
    tel=r"[A-Z]{3,4}-\d{2}",
    quantity="muon_throughput|muon_psf",
    stars="star_tracking|star_psf",
    dedicated="single_photoelectron|photon_transfer|pedestal|crosstalk|drs4|pde",
    block=r"OBSID\d+",


def requested_nights():
    """Site, category and night of everything that is asked for."""
    return product(config["sites"], config["categories"], config["nights"])


def wanted(*domains):
    """Whether products of all of these domains are asked for."""
    return set(domains) <= set(config["domains"])


def every_night(name, unless=None, domains=()):
    """A product for every site, category and night that is asked for.

    `unless` names a forced decision that makes a night do without it; `domains` those that it
    belongs to, if they are not the first part of its name.
    """
    if not wanted(*(domains or [Path(name).parts[0]])):
        return []
    return [
        f"results/{site}/{category}/{night}/{name}"
        for site, category, night in requested_nights()
        if not (unless and override(site, night, unless))
    ]


def keys_of_night(keys):
    """Site, category and night as wildcards."""
    return Wildcards(fromdict=dict(zip(("site", "category", "night"), keys)))


def site_file(wildcards):
    """Description of the site."""
    return str(CONFIG / "sites" / f"{wildcards.site}.yaml")


def tool_config(name):
    """Configuration of a Tool."""
    return str(CONFIG / "tools" / f"{name}.yaml")


def override(site, night, decision):
    """Reason of a forced decision about a night, or an empty text.

    A run without meteorological data (a night that is not over) decides by date.
    """
    if decision == "reference_model_by_date" and config["meteo"]["source"] == "none":
        return "meteo.source is none: the night's meteorological data are not asked for"
    entry = OVERRIDES.get((decision, site, night))
    if entry is None:
        return ""
    return f"{entry['reason']} (decided by {entry['author']} on {entry['date']})"


def certification_override(wildcards):
    """Options for products of a night: those that failed and are certified, those of a release."""
    key = "certify_despite_verdict", wildcards.site, wildcards.night
    entry = OVERRIDES.get(key, {})
    names = {"override": "reason", "author": "author", "override_date": "date"}
    options = {option: entry[name] for option, name in names.items() if entry}
    if config["archive"].get("release"):
        options["release"] = config["archive"]["release"]
    return options


def archive_location(wildcards):
    """Folder of the calibration archive; empty if nothing is to be certified."""
    return config["archive"]["location"] if wanted("archive") else ""


def archive_of_site(wildcards):
    """Record of the archive with the site in it, if something is to be certified."""
    made = "results/archive/{site}/observatory_data.json".format(**wildcards)
    return made if wanted("archive") else []
