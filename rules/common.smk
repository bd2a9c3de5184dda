"""Configuration, keys and every input function of the workflow."""

import fnmatch
import hashlib
import os
import re
import subprocess
import sys
from datetime import date, timedelta
from itertools import product
from pathlib import Path

import yaml
from snakemake.exceptions import WorkflowError
from snakemake.iocontainers import Wildcards
from snakemake.utils import validate

import calibpipe

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(
        threads, "1"
    )  # parallel are the jobs, not their linear algebra

# In any environment (conda, too) the jobs take the package that lies beside this workflow.
searched = [str(workflow.basedir), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, dict.fromkeys(searched))))

CONFIG = Path(workflow.basedir) / "config"
NIGHT = "results/{site}/{category}/{night}"
LOG = "logs/{site}/{category}/{night}"
SIMULATION = (
    "simulation/{site}/{night}"  # what the observatory delivers, whatever the category
)
SIMULATED_DL2 = "simulation/dl2/{site}/{night}"
ARRAY = "inter_calibration", "cross_calibration", "timing"


def package_version(*left_out):
    """Version of the package with a digest of its files: an edited method is run again."""
    folder = Path(calibpipe.__file__).parent
    content = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or "__pycache__" in name or name.startswith(left_out):
            continue  # compiled files come and go
        content.update(name.encode() + path.read_bytes())
    return f"{calibpipe.__version__}+{content.hexdigest()[:8]}"


VERSION = package_version(
    "report/", "tools/create_night_report.py", "tools/night_steps.py"
)
REPORT_VERSION = package_version()


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


def validated_yaml(name, schema):
    """Content of a YAML file of the configuration folder, checked against its closed schema."""
    content = texts(yaml.safe_load((CONFIG / name).read_text()))
    validate(content, schema=str(CONFIG / "schemas" / schema))
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
config["throughput"] = texts(config["throughput"])
config["monitoring"] = texts(config["monitoring"])
validate(config, schema=str(CONFIG / "schemas/config.schema.yaml"))
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
    name=r"(?!observation_conditions)[a-z0-9_]+",
    quantity="muon_throughput|muon_psf",
    array="|".join(ARRAY),
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


def every_array_block(name):
    """A product for every observation block with DL2 of the nights that are asked for."""
    return [
        f"{NIGHT}/{name}".format(site=site, category=category, night=night, block=block)
        for site, category, night in requested_nights()
        for block in dl2_files(site, night)
    ]


def every_array_night(name, *domains):
    """A product of every night that is asked for, with DL2."""
    if not wanted(*domains):
        return []
    return [
        f"{NIGHT}/{name}".format(site=site, category=category, night=night)
        for site, category, night in requested_nights()
        if dl2_files(site, night)
    ]


def keys_of_night(keys):
    """Site, category and night as wildcards."""
    return Wildcards(fromdict=dict(zip(("site", "category", "night"), keys)))


def every_block(name, *domains, of_night=None):
    """A product for every telescope and observation block of the nights that are asked for.

    Which they are says the night's index of DL0 files, when it is made; `of_night` are blocks of
    another kind than those with calibration events.
    """
    if not wanted(*domains):
        return []
    return [
        lambda wildcards, keys=keys: products_of_blocks(name, *keys, of_night=of_night)
        for keys in requested_nights()
        if telescopes(keys[0])
    ]


def every_telescope(name, *domains):
    """A product for every telescope of the nights that are asked for that has sound data."""
    if not wanted(*domains):
        return []
    return [
        lambda wildcards, keys=keys: products_of_telescopes(name, *keys)
        for keys in requested_nights()
        if telescopes(keys[0])
    ]


def dl0_index(site, category, night):
    """The night's index of DL0 files, when it is made."""
    from calibpipe.core.products import read_table

    made = checkpoints.dl0_index.get(site=site, category=category, night=night)
    return read_table(made.output.product, "array/dl0_index")


def all_blocks(site, category, night):
    """Telescope and observation block of a night, but those that are left out by decision."""
    from calibpipe.core.dl0_files import blocks

    return [
        block
        for block in blocks(dl0_index(site, category, night))
        if ("leave_out_block", site, night, *block) not in OVERRIDES
    ]


def blocks_of_night(site, category, night):
    """Blocks with calibration events: flashes of a run may need the coefficients of another."""
    runs = runs_of_night(site, night)
    return [
        (tel, obs_id)
        for tel, obs_id in all_blocks(site, category, night)
        if obs_id not in runs or runs[obs_id]["coefficients_from"] == obs_id
    ]


def muon_blocks(site, category, night):
    """Blocks with muons: none while an illuminator flashes."""
    runs = runs_of_night(site, night)
    return [b for b in blocks_of_night(site, category, night) if b[1] not in runs]


def illuminator_blocks(site, category, night):
    """Blocks with flashes of known light.

    An observation that no telescope has is asked of all of them: its step says what there is.
    """
    there = all_blocks(site, category, night)
    found = []
    for obs_id in runs_of_night(site, night):
        asked = dict.fromkeys((tel, obs_id) for tel, _ in there)
        found += [block for block in asked if block in there] or [
            block
            for block in asked
            if ("leave_out_block", site, night, *block) not in OVERRIDES
        ]
    return found


def runs_of_night(site, night):
    """Runs of an illuminator by number of their observation; there may be none."""
    return {
        key[2]: run for key, run in ILLUMINATOR_RUNS.items() if key[:2] == (site, night)
    }


def products_of_blocks(name, site, category, night, of_night=None):
    """A product for every telescope and observation block of a night."""
    folder = NIGHT.format(site=site, category=category, night=night)
    return [
        f"{folder}/{name.format(tel=tel, block=f'OBSID{obs_id}')}"
        for tel, obs_id in (of_night or blocks_of_night)(site, category, night)
    ]


def products_of_telescopes(name, site, category, night):
    """A product for every telescope of a night with a block that can be read."""
    folder = NIGHT.format(site=site, category=category, night=night)
    there = dict.fromkeys(tel for tel, _ in sound_blocks(site, category, night))
    return [f"{folder}/{name.format(tel=tel)}" for tel in there]


def sound_blocks(site, category, night):
    """Blocks with muons of a night whose files have no problem."""
    index = dl0_index(site, category, night)
    damaged = {
        (str(row["array_element"]), int(row["obs_id"]))
        for row in index
        if row["problem"]
    }
    return [b for b in muon_blocks(site, category, night) if b not in damaged]


def muon_rings_of_night(wildcards):
    """Muon rings of a telescope: of all blocks that can be read."""
    keys = wildcards.site, wildcards.category, wildcards.night
    return [
        f"{NIGHT}/{{tel}}/throughput/muon_rings.OBSID{obs_id}.h5".format(**wildcards)
        for tel, obs_id in sound_blocks(*keys)
        if tel == wildcards.tel
    ]


def illuminator_run(wildcards):
    """What the configuration says of the flashes of an observation."""
    key = wildcards.site, wildcards.night, int(wildcards.block.removeprefix("OBSID"))
    if key not in ILLUMINATOR_RUNS:
        raise WorkflowError(
            f"throughput, illuminator: no entry {' '.join(map(str, key))} in the configuration"
        )
    return ILLUMINATOR_RUNS[key]


def illuminator_source(wildcards):
    """Table of the light source, if it is there: one that is not is told by the step."""
    source = illuminator_run(wildcards)["source"]
    return source if Path(source).is_file() else []


def illuminator_coefficients(wildcards):
    """Coefficients for the flashes: of the same observation or of another one of the night."""
    obs_id = illuminator_run(wildcards)["coefficients_from"]
    return f"{NIGHT}/{{tel}}/camera/coefficients.OBSID{obs_id}.h5".format(**wildcards)


def event_files(wildcards):
    """DL0 event files of a telescope and observation block, whatever is wrong with them.

    One that is not there (a link to nowhere) is told by the step.
    """
    index = dl0_index(wildcards.site, wildcards.category, wildcards.night)
    block = wildcards.tel, int(wildcards.block.removeprefix("OBSID"))
    root = Path(dl0_root(wildcards))
    return [
        str(root / row["path"])
        for row in index
        if (row["array_element"], row["obs_id"]) == block
        and (root / row["path"]).is_file()
    ]


def telescopes(site):
    """Array elements of a site that are asked for."""
    if not {"camera", "throughput"} & set(config["domains"]):
        return []
    there = SITES[site]["telescopes"]
    return [
        tel for tel in there if tel in config["telescopes"] or not config["telescopes"]
    ]


def camera_products(name):
    """Input function: a product for every telescope and observation block of the rule's night."""
    return products_of_night(name, "camera", products_of_blocks)


def throughput_products(name):
    """Input function: a product for every telescope of the rule's night that has sound data."""
    return products_of_night(name, "throughput", products_of_telescopes)


def illuminator_products(name):
    """Input function: a product for every block with flashes of the rule's night."""

    def of_night(name, *keys):
        return products_of_blocks(name, *keys, of_night=illuminator_blocks)

    return products_of_night(name, "throughput", of_night)


def products_of_night(name, domain, of_night):
    """Input function: products of a domain of the rule's night, if they are wanted."""

    def products(wildcards):
        if not (wanted(domain) and telescopes(wildcards.site)):
            return []
        return of_night(name, wildcards.site, wildcards.category, wildcards.night)

    return products


def certification_records(wildcards):
    """What was certified of a night, if something is."""
    if not wanted("archive"):
        return []
    cameras = camera_products("certification/camera_coefficients.{tel}.{block}.json")
    throughputs = [
        throughput_products(f"certification/{name}.{{tel}}.json")
        for name in ("muon_throughput", "muon_psf")
    ]
    flashes = illuminator_products(
        "certification/illuminator_throughput.{tel}.{block}.json"
    )
    array = dl2_files(wildcards.site, wildcards.night)
    aerosol = aerosol_names(wildcards)
    return [
        f"{NIGHT}/certification/atmosphere.json".format(**wildcards),
        *[f"{NIGHT}/certification/aerosol.json".format(**wildcards)] * bool(aerosol),
        *[f"{NIGHT}/certification/array.json".format(**wildcards)] * bool(array),
        *cameras(wildcards),
        *flashes(wildcards),
        *sum((products(wildcards) for products in throughputs), []),
    ]


def throughput_history(wildcards):
    """Throughput of the nights before, if it is certified."""
    if not (wanted("throughput", "archive") and telescopes(wildcards.site)):
        return []
    return f"{NIGHT}/array/throughput_history.ecsv".format(**wildcards)


def dl2_files(site, night):
    """DL2 files of a night that there are, or will be, by observation block."""
    if not wanted("array"):
        return {}
    if config["dl2"]["source"] == "simulation":
        folder = SIMULATED_DL2.format(site=site, night=night)
        return {
            f"OBSID{block}": [f"{folder}/events.OBSID{block:05d}.dl2.h5"]
            for block in SIMULATED_BLOCKS
        }
    root = Path(config["data_roots"]["dl2"])
    pattern = config["dl2"]["files"].format(site=site, night=night, obs_id="OBSNUMBER")
    named = fnmatch.translate(pattern).replace("OBSNUMBER", r"(?P<number>\d+)", 1)
    named = named.replace("OBSNUMBER", "(?P=number)")
    found = {}
    searched = re.sub(r"OBSNUMBER\*?", "[0-9]*", pattern)
    for path in sorted(root.glob(searched)):
        if match := re.match(named, path.relative_to(root).as_posix()):
            found.setdefault(f"OBSID{int(match['number'])}", []).append(str(path))
    return found


def dl2_of_block(wildcards):
    """DL2 files of an observation block."""
    found = dl2_files(wildcards.site, wildcards.night)
    if wildcards.block not in found:
        raise WorkflowError(
            f"no DL2 of {wildcards.block} in the night {wildcards.night} at {wildcards.site}; "
            f"there are {', '.join(found) or 'none'}"
        )
    return found[wildcards.block]


def dl2_of_night(wildcards):
    """DL2 files of all observation blocks."""
    return sum(dl2_files(wildcards.site, wildcards.night).values(), [])


def asymmetries_of_night(quantity):
    """Input function: asymmetries of all observation blocks."""

    def asymmetries(wildcards):
        blocks = dl2_files(wildcards.site, wildcards.night)
        name = f"{NIGHT}/array/{quantity}_asymmetry".format(**wildcards)
        return [f"{name}.{block}.h5" for block in blocks]

    return asymmetries


def array_products(wildcards):
    """Products of the array that are certified, if there is DL2."""
    there = dl2_files(wildcards.site, wildcards.night)
    return [f"{NIGHT}/array/{name}.h5".format(**wildcards) for name in ARRAY if there]


def array_verification(wildcards):
    """Their verification records."""
    return [
        f"{NIGHT}/verification/array_{name}.json".format(**wildcards) for name in ARRAY
    ]


def simulated_throughput(wildcards):
    """Truth of the simulated telescopes, which the array sees, too."""
    simulated = config["dl0"]["source"] == "simulation" and telescopes(wildcards.site)
    if wildcards.night not in config["nights"]:
        return []  # a reference night of the transparency: DL0 of it is not asked for
    return f"{SIMULATION}/truth".format(**wildcards) if simulated else []


def dl0_root(wildcards):
    """Folder that contains DL0."""
    if config["dl0"]["source"] == "simulation":
        return SIMULATION.format(**wildcards)
    return config["data_roots"]["dl0"]


def dl0_folders(wildcards):
    """Folders of the night's DL0: their time changes when a file comes or goes.

    Those that have to be simulated first, or those of the observatory that are there.
    """
    of_night = telescopes(wildcards.site)
    if config["dl0"]["source"] == "simulation":
        return [f"{SIMULATION}/DL0".format(**wildcards)] if of_night else []
    day = wildcards.night.replace("-", "/")
    root = Path(config["data_roots"]["dl0"])
    return sorted(
        str(folder)
        for tel in of_night
        for folder in root.glob(f"DL0/{tel}/*/acada-adh/events/{day}")
    )


def site_file(wildcards):
    """Description of the site."""
    return str(CONFIG / "sites" / f"{wildcards.site}.yaml")


def tool_config(name):
    """Configuration of a Tool."""
    return str(CONFIG / "tools" / f"{name}.yaml")


def reference_pool(site):
    """Folder of the site's reference atmospheres."""
    return str(Path(config["reference_models"] or CONFIG / "reference_models") / site)


def reference_models(wildcards):
    """The site's reference atmospheres: one that is added or changed makes nights anew."""
    return sorted(map(str, Path(reference_pool(wildcards.site)).glob("*.ecsv")))


def override(site, night, decision):
    """Reason of a forced decision about a night, or an empty text."""
    entry = OVERRIDES.get((decision, site, night))
    if entry is None:
        return ""
    return f"{entry['reason']} (decided by {entry['author']} on {entry['date']})"


def certification_override(wildcards):
    """Options for products of a night that are certified although they failed."""
    key = "certify_despite_verdict", wildcards.site, wildcards.night
    entry = OVERRIDES.get(key)
    if entry is None:
        return {}
    names = {"override": "reason", "author": "author", "override_date": "date"}
    return {option: entry[name] for option, name in names.items()}


def archive_location(wildcards):
    """Folder of the calibration archive; empty if nothing is to be certified."""
    return config["archive"]["location"] if wanted("archive") else ""


def archive_of_site(wildcards):
    """Record of the archive with the site in it, if something is to be certified."""
    made = "results/archive/{site}/observatory_data.json".format(**wildcards)
    return made if wanted("archive") else []


def atmosphere_products(wildcards):
    """Products of the atmosphere that are certified."""
    return [
        f"{NIGHT}/atmosphere/{name}.ecsv".format(**wildcards)
        for name in atmosphere_names(wildcards)
    ]


def atmosphere_verification(wildcards):
    """Their verification records."""
    return [
        f"{NIGHT}/verification/atmosphere_{name}.json".format(**wildcards)
        for name in atmosphere_names(wildcards)
    ]


def atmosphere_names(wildcards):
    """Products of the atmosphere that a night has."""
    names = ["macobac", "reference_model", "atmospheric_model", "rayleigh_extinction"]
    by_date = override(wildcards.site, wildcards.night, "reference_model_by_date")
    return names if by_date else [*names, "density_profile"]


def meteo_pattern(wildcards):
    """Where meteorological files lie that are already there; empty when they are made."""
    if config["meteo"]["source"] != "files":
        return ""
    pattern = config["meteo"]["files"].format(**wildcards)
    return str(Path(config["data_roots"]["meteo"]) / pattern)


def meteo_files(wildcards):
    """Meteorological files that are there or simulated; none when they come from the archive.

    A night whose files are not there has none, too: its step fails, the other nights go on.
    """
    if config["meteo"]["source"] == "simulation":
        return f"{NIGHT}/simulation/meteo.grib".format(**wildcards)
    if config["meteo"]["source"] == "files":
        pattern = config["meteo"]["files"].format(**wildcards)
        return sorted(map(str, Path(config["data_roots"]["meteo"]).glob(pattern)))
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


def needs_page(site, category, night):
    """Whether something is in the folders of a night that its page does not show.

    A job that was killed leaves no record of a failure. Its product is absent; if there was one of
    an earlier run, its folder changed when that was removed.
    """
    keys = {"site": site, "category": category, "night": night}
    folder, logs = Path(NIGHT.format(**keys)), Path(LOG.format(**keys))
    if not folder.is_dir() and not logs.is_dir():
        return False  # nothing was begun
    if any(logs.rglob("*.failure.json")):
        return True
    page = folder / "report/index.html"
    parts = [path for path in folder.glob("*/") if path != page.parent]
    made = [path for part in parts for path in (part, *part.rglob("*"))]
    return not page.is_file() or any(
        path.stat().st_mtime > page.stat().st_mtime for path in made
    )


def make_page(site, category, night):
    """The page of a night from what there is, and where it is."""
    keys = {"site": site, "category": category, "night": night}
    page = Path(NIGHT.format(**keys)) / "report/index.html"
    options = {
        "config": tool_config("create_night_report"),
        "site": CONFIG / f"sites/{site}.yaml",
        "night": night,
        "category": category,
        "pool": reference_pool(site),
        "night-folder": page.parents[1],
        "log-folder": LOG.format(**keys),
        "output": page,
        "provenance-log": Path(LOG.format(**keys)) / "report/report.provenance.json",
    }
    command = [sys.executable, "-m", "calibpipe.tools.create_night_report"]
    command += ["--overwrite", "--quiet"]
    command += ["--by-date"] * bool(override(site, night, "reference_model_by_date"))
    command += ["--camera"] * bool(wanted("camera") and telescopes(site))
    command += ["--throughput"] * bool(wanted("throughput") and telescopes(site))
    command += [f"--{name}={value}" for name, value in options.items()]
    command += ["--array"] * bool(dl2_files(site, night))
    expected = expected_aerosol(keys_of_night((site, category, night)))
    command += [f"--aerosol={name}" for name in expected]
    command += [f"--illuminator={obs_id}" for obs_id in runs_of_night(site, night)]
    code = subprocess.run(command, check=False).returncode
    told = page.resolve() if code == 0 else f"not made, exit code {code}"
    print(f"Page of {site} {category} {night}: {told}", file=sys.stderr)


def report_what_failed():
    """After a failure: the page of each requested night that it concerns."""
    if "report" in config["domains"]:
        for keys in requested_nights():
            if needs_page(*keys):
                make_page(*keys)
