"""The workflow: plans, refuses bad configuration, runs a small night, survives trouble."""

import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import snakemake_runs
import yaml
from workflow.test_config_schema import DECISION, FLASHES

from calibpipe.core.products import content_hash, read_table

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
NIGHT = "results/CTAO-North/C/2024-07-10"
SMALL = """
sites: [CTAO-North]
categories: [C]
nights: ["2024-07-10"]
domains: [atmosphere, report]
meteo: {source: simulation}
co2: {online: false}
"""


def arguments(folder, *options, workflow=ROOT):
    if not (folder / "small.yaml").exists():
        (folder / "small.yaml").write_text(SMALL)
    return [
        f"--snakefile={workflow}/Snakefile",
        "--cores=2",
        f"--directory={folder}",
        f"--configfile={folder}/small.yaml",
        *options,
    ]


def snakemake(folder, *options, check=True, workflow=ROOT, **more):
    code, output = snakemake_runs.run(*arguments(folder, *options, workflow=workflow), **more)
    if check and code:
        pytest.fail(output)
    return code, output


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory):
    """The whole workflow in another folder, where nobody edits it meanwhile."""
    folder = tmp_path_factory.mktemp("workflow")
    for name in ("rules", "scripts", "envs", "config", "profiles", "calibpipe"):
        shutil.copytree(ROOT / name, folder / name)  # with what numba compiled
    shutil.copy(ROOT / "Snakefile", folder)
    return folder


@pytest.fixture
def other_workflow(unchanged, tmp_path):
    """The whole workflow, to be changed."""
    return shutil.copytree(unchanged, tmp_path / "workflow")


@pytest.fixture
def night_of_before(finished, tmp_path):
    """A finished night to go on with."""
    return shutil.copytree(finished, tmp_path / "night")


def page(folder, night="2024-07-10"):
    return folder / f"results/CTAO-North/C/{night}/report/index.html"


def status(folder, night="2024-07-10"):
    return re.search(r"<strong>(.*?)</strong>", page(folder, night).read_text())[1]


def test_ten_nights_at_two_sites_are_planned(tmp_path):
    nights = 'nights={"first": "2023-12-27", "last": "2024-01-05"}'
    both = 'sites=["CTAO-North", "CTAO-South"]'
    _, output = snakemake(tmp_path, "--dry-run", "--config", nights, both)
    for rule in (
        "meteo_data",
        "macobac",
        "density_profile",
        "reference_model",
        "atmospheric_model",
        "night_report",
    ):
        assert re.search(rf"^{rule} +20$", output, flags=re.MULTILINE), output


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("catgories=['C']", "catgories"),
        ("telescopes=['LSTN-09']", "no LSTN-09 at CTAO-North; there are LSTN-01, LSTN-02"),
        ("nights=['2024-02-31']", "nights: there is no day '2024-02-31'"),
        (
            "nights={'first': '2024-07-11', 'last': '2024-07-10'}",
            "the first, 2024-07-11, comes after the last, 2024-07-10",
        ),
    ],
)
def test_wrong_configuration_is_refused(tmp_path, option, message):
    code, output = snakemake(tmp_path, "--dry-run", "--config", option, check=False)
    assert code != 0
    assert message in output


@pytest.mark.parametrize(
    ("flashes", "message"),
    [
        ([FLASHES, FLASHES], "two entries CTAO-North 2024-07-10"),
        (
            [FLASHES | {"night": "2024-02-31"}],
            "throughput, illuminator: there is no day '2024-02-31'",
        ),
    ],
)
def test_wrong_flashes_are_refused(tmp_path, flashes, message):
    asked = yaml.safe_dump({"throughput": {"illuminator": flashes}})
    (tmp_path / "small.yaml").write_text(SMALL + asked)
    code, output = snakemake(tmp_path, "--dry-run", check=False)
    assert code != 0
    assert message in output


def test_one_night_needs_no_list_and_no_quotes(tmp_path):
    (tmp_path / "small.yaml").write_text(SMALL.replace('["2024-07-10"]', "2024-07-11"))
    _, output = snakemake(tmp_path, "--dry-run")
    assert "2024-07-11 CTAO-North C: report" in output


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({}, "two entries reference_model_by_date CTAO-North 2024-07-10"),
        ({"night": "2024-02-31"}, "overrides.yaml, night: there is no day '2024-02-31'"),
        ({"date": "2024-06-31"}, "overrides.yaml, date: there is no day '2024-06-31'"),
    ],
)
def test_wrong_decision_is_refused(tmp_path, other_workflow, second, message):
    entries = [DECISION, DECISION | second]
    (other_workflow / "config/overrides.yaml").write_text(yaml.safe_dump({"overrides": entries}))
    code, output = snakemake(tmp_path, "--dry-run", workflow=other_workflow, check=False)
    assert code != 0
    assert message in output


def test_conda_environment_is_pinned_like_the_lock():
    lock = dict(
        re.findall(
            r"^([\w.-]+)==([^ \\;]+)", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE
        )
    )
    environment = yaml.safe_load((ROOT / "envs/calibpipe.yaml").read_text())
    pins = environment["dependencies"][-1]["pip"]
    assert len(pins) > 10
    for pin in pins:
        name, version = pin.split("==")
        assert lock[name] == version


def test_every_rule_has_log_benchmark_and_environment():
    for path in (ROOT / "rules").glob("*.smk"):
        for rule in re.split(r"^(?:rule|checkpoint) ", path.read_text(), flags=re.MULTILINE)[1:]:
            if "output:" not in rule:  # a list of what is wanted
                assert "script:" not in rule
                continue
            for directive in ("log:", "benchmark:", "conda:", "provenance=", "message:"):
                assert directive in rule, f"{path.name}: {rule.split(':')[0]} lacks {directive}"


@pytest.fixture(scope="module")
def finished(tmp_path_factory, unchanged):
    """A night that ran through the workflow."""
    folder = tmp_path_factory.mktemp("night")
    snakemake(folder, workflow=unchanged)
    return folder


def test_a_night_ends_with_its_page(finished):
    assert (finished / NIGHT / "report/index.html").stat().st_size > 10_000
    header = read_table(
        finished / NIGHT / "atmosphere/atmospheric_model.ecsv", "atmosphere/atmospheric_model"
    ).meta["calibpipe"]
    assert header["origin"] == "data"
    assert all(not Path(i["path"]).is_absolute() for i in header["inputs"] if i["role"] != "site")


def test_nothing_is_done_twice(finished, unchanged):
    _, output = snakemake(finished, "--dry-run", workflow=unchanged)
    assert "Nothing to be done" in output


def test_provenance_is_valid_and_lists_the_outputs(finished):
    for path in (finished / NIGHT).glob("*/*.provenance.json"):
        (activity,) = json.loads(path.read_text())
        assert activity["status"] == "completed"
        assert activity["output"], path


def test_the_log_begins_with_a_command_that_repeats_the_step(night_of_before):
    log = night_of_before / "logs/CTAO-North/C/2024-07-10/atmosphere/density_profile.log"
    line = log.read_text().splitlines()[0]
    product = night_of_before / NIGHT / "atmosphere/density_profile.ecsv"
    before = content_hash(product)
    tool, rest = line.split(" ", 1)
    subprocess.run(f"{BIN / tool} {rest}", shell=True, check=True, cwd=night_of_before)
    assert content_hash(product) == before


@pytest.fixture(scope="module")
def another_processor():
    """Environment in which numpy, BLAS and the C library take other ways through the processor."""
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    if not found:
        return {}  # nothing beyond numpy's baseline to do without
    other = {"NPY_DISABLE_CPU_FEATURES": " ".join(found)}
    if platform.machine() == "x86_64":
        other["OPENBLAS_CORETYPE"] = "Nehalem"
        other["GLIBC_TUNABLES"] = "glibc.cpu.hwcaps=-AVX512F,-AVX2,-FMA"
    return other


def run_until(job, sent, folder, workflow, **more):
    """Exit code and output of a run whose process group gets a signal when a job has begun."""
    written = folder / f"until {job}.txt"
    in_terminal = ["env", "--default-signal=INT"]
    with written.open("w") as stream:
        process = subprocess.Popen(
            [*in_terminal, BIN / "snakemake", *arguments(folder, workflow=workflow)],
            env=os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"} | more,
            stdout=stream,
            stderr=stream,
            process_group=0,
        )
        while process.poll() is None and job not in written.read_text():
            time.sleep(0.1)
        if process.poll() is None:
            os.killpg(process.pid, sent)
        code = process.wait(timeout=600)
    told = written.read_text()
    assert job in told, told
    return code, told


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory, unchanged, another_processor):
    """A night on another processor: Ctrl-C, the same again, killed, unlocked, the same again."""
    folder = tmp_path_factory.mktemp("interrupted")

    def files():
        return {path.name for path in (folder / NIGHT / "atmosphere").iterdir()}

    where = folder, unchanged
    stopped = run_until("C: molecular density profile", signal.SIGINT, *where, **another_processor)
    after_stop = files()
    killed = run_until("C: atmospheric model", signal.SIGKILL, *where, **another_processor)
    after_kill = files()
    snakemake(folder, "--unlock", workflow=unchanged)
    _, last = snakemake(folder, workflow=unchanged, **another_processor)
    return folder, stopped, after_stop, killed, after_kill, last


def test_ctrl_c_and_the_same_command_again(interrupted):
    """What a terminal sends goes to the whole process group; nothing has to be unlocked."""
    _, (code, _), there, (_, again), _, _ = interrupted
    assert code != 0
    assert "meteo_data.json" in there
    assert "atmospheric_model.ecsv" not in there
    assert "C: reference atmosphere" in again  # the messages of the rules are there
    assert "simulate meteorological data" not in again


def test_killed_night_goes_on(interrupted, finished):
    folder, _, _, (code, _), there, again = interrupted
    assert code == -signal.SIGKILL
    assert "reference_model.ecsv" in there
    assert "atmospheric_model.ecsv" not in there
    assert "C: atmospheric model" in again
    assert "C: reference atmosphere" not in again
    assert status(folder) == status(finished)


def test_another_machine_gets_the_same_numbers(finished, interrupted, another_processor):
    """The last bits differ, what is hashed and what is written as text does not."""
    other = interrupted[0]
    one, two = (
        read_table(folder / NIGHT / "atmosphere/density_profile.ecsv", "atmosphere/density_profile")
        for folder in (finished, other)
    )
    assert one.meta["CTA PRODUCT ID"] == two.meta["CTA PRODUCT ID"]
    products = sorted((finished / NIGHT / "atmosphere").glob("*.ecsv"))
    assert len(products) == 5
    for product in products:
        assert content_hash(product) == content_hash(other / product.relative_to(finished))
    for name in ("atmprof.dat", "atm_trans.dat"):
        same, again = (folder / NIGHT / "atmosphere" / name for folder in (finished, other))
        assert same.read_bytes() == again.read_bytes()
    if not another_processor:
        pytest.skip("this processor has no features beyond numpy's baseline to do without")
    assert any((one[name] != two[name]).any() for name in one.colnames)


def test_a_killed_job_is_on_the_page(night_of_before, other_workflow):
    """No record of a failure (kill -9, out of memory), the product of before is gone."""
    script = other_workflow / "scripts/macobac.py"
    script.write_text("import os, signal\n\nos.kill(os.getpid(), signal.SIGKILL)\n")
    code, output = snakemake(night_of_before, workflow=other_workflow, check=False)
    assert code == 1
    assert status(night_of_before) == "Incomplete"
    assert "not made, and no failure is recorded" in page(night_of_before).read_text()
    assert f"Page of CTAO-North C 2024-07-10: {page(night_of_before)}" in output


def test_an_edited_method_is_run_again(finished, unchanged):
    """The density profile after a change of what it imports; other changes leave it alone."""

    def planned():
        options = ("--rerun-triggers", "params", "--dry-run")
        _, output = snakemake(finished, *options, workflow=unchanged)
        return [step for step in ("C: molecular density profile", "C: report") if step in output]

    names = ("report/wording.py", "atmosphere/clear_night.py", "atmosphere/density_profile.py")
    paths = [unchanged / "calibpipe" / name for name in names]
    before = [path.read_bytes() for path in paths]
    plans = [planned()]
    try:
        for path, content in zip(paths, before, strict=True):
            path.write_bytes(content + b"\n# edited\n")
            plans.append(planned())
    finally:
        for path, content in zip(paths, before, strict=True):
            path.write_bytes(content)
    page = ["C: report"]
    assert plans == [[], page, page, ["C: molecular density profile", *page]]


def test_another_setting_counts_whatever_the_time_of_its_file(finished, other_workflow):
    """As after the checkout of an older release: what follows from it is made again, no more."""
    path = other_workflow / "config/tools/calculate_macobac.yaml"
    settings = yaml.safe_load(path.read_text())
    settings["CalculateMacobac"]["tries"] = 7
    path.write_text(yaml.safe_dump(settings))
    os.utime(path, (0, 0))
    options = ("--rerun-triggers", "params", "--dry-run")
    _, output = snakemake(finished, *options, workflow=other_workflow)
    assert "C: CO2 concentration" in output
    assert "C: molecular density profile" in output
    assert "C: meteorological data" not in output
    assert "C: simulate" not in output


def test_jobs_import_the_package_of_their_checkout(tmp_path, other_workflow):
    """Whatever is installed in the environment."""
    package = other_workflow / "calibpipe/__init__.py"
    package.write_text(re.sub(r'__version__ = ".*"', '__version__ = "9.9.9"', package.read_text()))
    snakemake(tmp_path, f"{NIGHT}/atmosphere/macobac.ecsv", workflow=other_workflow)
    header = read_table(tmp_path / NIGHT / "atmosphere/macobac.ecsv", "atmosphere/macobac").meta
    assert header["calibpipe"]["software"]["calibpipe"] == "9.9.9"
    profile = yaml.safe_load((ROOT / "profiles/default/config.yaml").read_text())
    assert profile["conda-not-block-search-path-envvars"] is True  # else conda hides the checkout


def test_each_reference_model_is_an_input(finished, unchanged):
    """Not their folder, whose time says nothing of their content."""
    _, output = snakemake(finished, "--detailed-summary", workflow=unchanged)
    pool = unchanged / "config/reference_models/CTAO-North"
    (inputs,) = re.findall(
        rf"^{NIGHT}/atmosphere/reference_model.ecsv\t.*", output, flags=re.MULTILINE
    )
    assert str(pool / "winter_v1.ecsv") in inputs
    assert not re.search(rf"{pool}(?!/)", inputs)


WAITING = """
import sys, time
from pathlib import Path

begin = time.monotonic()
time.sleep(3)
Path(f"waited-{snakemake.wildcards.night}").write_text(
    f"{begin} {time.monotonic()} {snakemake.resources.runtime}"
)
sys.exit(1)
"""


def test_requests_wait_for_the_archive_one_at_a_time(tmp_path, other_workflow):
    """Of two cores one goes on with other work; a job may wait as long as the Tool does."""
    (other_workflow / "scripts/meteo_data.py").write_text(WAITING)
    options = ("--config", 'nights=["2024-07-10", "2024-07-11"]', "meteo={'source': 'archive'}")
    snakemake(tmp_path, *options, "domains=['atmosphere']", workflow=other_workflow, check=False)
    waits = sorted(
        [float(x) for x in path.read_text().split()] for path in tmp_path.glob("waited-*")
    )
    (_, end, _), (begin, _, runtime) = waits
    assert begin > end
    tool = yaml.safe_load((ROOT / "config/tools/retrieve_meteo_data.yaml").read_text())
    assert 60 * runtime > tool["RetrieveMeteoData"]["deadline_in_s"]
    assert (tmp_path / "results/CTAO-North/C/2024-07-11/atmosphere/macobac.ecsv").exists()


def test_demo_that_was_killed_is_unlocked(tmp_path):
    """The recipe with a snakemake that only says how it was called."""
    programs = (".venv/bin/snakemake", ".venv/bin/calibpipe-lookup")
    for name in ("requirements.lock", "pyproject.toml", ".venv/.installed", *programs):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        text = "echo $* >> calls" if name == programs[0] else "true"
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
    for name in programs:
        (tmp_path / name).chmod(0o755)
    locks = tmp_path / "demo/.snakemake/locks"
    locks.mkdir(parents=True)
    make = ["make", "-f", ROOT / "Makefile", "demo"]
    subprocess.run(make, cwd=tmp_path, check=True, capture_output=True)
    (locks / "0.input.lock").write_text("")
    subprocess.run(make, cwd=tmp_path, check=True, capture_output=True)
    calls = (tmp_path / "calls").read_text().splitlines()
    # categories B and C, then the lock, B and C again
    assert ["--unlock" in call for call in calls] == [False, False, True, False, False]
    assert all("--directory demo" in call for call in calls)


def test_one_bad_night_does_not_stop_the_others(finished, tmp_path):
    """One night is whole, one damaged, of one there is nothing, one was not asked for."""
    whole = finished / NIGHT / "simulation/meteo.grib"
    for night in ("2024-07-10", "2024-07-11"):
        folder = tmp_path / "cache/meteo/CTAO-North" / night
        folder.mkdir(parents=True)
        shutil.copy(whole, folder / "era5.grib")
        (folder / "notes.txt").write_text("not meteorological")
    record = tmp_path / "logs/CTAO-North/C/2023-01-01/atmosphere/macobac.failure.json"
    record.parent.mkdir(parents=True)
    record.write_text("{}")
    bad = tmp_path / "cache/meteo/CTAO-North/2024-07-11/era5.grib"
    bad.write_bytes(bad.read_bytes()[:-1000])
    nights = 'nights=["2024-07-10", "2024-07-11", "2024-07-12"]'
    options = ("--config", nights, "meteo={'source': 'files'}")
    code, output = snakemake(tmp_path, *options, check=False)
    assert code == 1
    assert "CorruptedInputError" in output
    good, failed, missing = (page(tmp_path, f"2024-07-{d}").read_text() for d in (10, 11, 12))
    assert "CorruptedInputError" not in good
    assert "cut off or damaged" in failed
    assert "atmosphere/density_profile" in failed
    assert "no file matches &#39;cache/meteo/CTAO-North/2024-07-12/*.[gn]*&#39;" in missing
    assert "exit code 105" in missing
    assert not page(tmp_path, "2023-01-01").exists()
    for day in (11, 12):
        assert f"Page of CTAO-North C 2024-07-{day}: {page(tmp_path, f'2024-07-{day}')}" in output
    report = tmp_path / "logs/CTAO-North/C/2024-07-12/report/report.provenance.json"
    assert f"--config={ROOT}/config/tools/create_night_report.yaml" in report.read_text()


def test_forced_decision_uses_the_date(night_of_before, other_workflow):
    """After a run with data, and a failure to get them again: none of it is shown."""
    record = night_of_before / "logs/CTAO-North/C/2024-07-10/atmosphere/meteo_data.failure.json"
    record.write_text(json.dumps({"step": "atmosphere/meteo_data", "message": "no such hours"}))
    overrides = yaml.safe_dump({"overrides": [DECISION]})
    (other_workflow / "config/overrides.yaml").write_text(overrides)
    source = ("--config", "meteo={'source': 'archive'}")
    snakemake(night_of_before, *source, workflow=other_workflow)
    model = night_of_before / NIGHT / "atmosphere/atmospheric_model.ecsv"
    header = read_table(model, "atmosphere/atmospheric_model").meta["calibpipe"]
    assert header["reference_model"]["method"] == "date"
    assert (
        "no ERA5 for this night, ever (decided by A. Shifter" in header["reference_model"]["reason"]
    )
    assert all("density_profile" not in entry["path"] for entry in header["inputs"])
    assert status(night_of_before) == "Complete, look twice"
    html = page(night_of_before).read_text()
    assert "no such hours" not in html
    assert "Unused: atmosphere/meteo_data.json and atmosphere/density_profile.ecsv" in html
    assert "of the reference model, not of the night" in html
