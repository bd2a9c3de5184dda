"""The workflow: plans, refuses bad configuration, runs a small night, survives trouble."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from calibpipe.core.products import content_hash, read_table

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
NIGHT = "results/CTAO-North/C/2024-07-10"
SMALL = """
sites: [CTAO-North]
categories: [C]
nights: ["2024-07-10"]
meteo: {source: simulation}
co2: {online: false}
"""


def command(folder, *options):
    (folder / "small.yaml").write_text(SMALL)
    return [
        str(BIN / "snakemake"),
        f"--snakefile={ROOT}/Snakefile",
        f"--profile={ROOT}/profiles/default",
        f"--directory={folder}",
        f"--configfile={folder}/small.yaml",
        *options,
    ]


def environment():
    return os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"}


def snakemake(folder, *options, check=True):
    result = subprocess.run(
        command(folder, *options),
        check=False,
        env=environment(),
        capture_output=True,
        text=True,
    )
    if check and result.returncode:
        pytest.fail(result.stdout + result.stderr)
    return result.returncode, result.stdout + result.stderr


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
        ("categories=['D']", "'D' is not one of"),
        ("sites=['CTAO-West']", "CTAO-West"),
        ("nights=['10.7.2024']", "does not match"),
        ("domains=['camera']", "'camera' is not one of"),
    ],
)
def test_wrong_configuration_is_refused(tmp_path, option, message):
    code, output = snakemake(tmp_path, "--dry-run", "--config", option, check=False)
    assert code != 0
    assert message in output


@pytest.mark.parametrize("name", ["config", "site", "overrides"])
def test_schemas_are_closed(name):
    def closed(schema):
        if schema.get("type") == "object" and "properties" in schema:
            assert schema["additionalProperties"] is False
        for part in schema.get("properties", {}).values():
            closed(part)
        if "items" in schema:
            closed(schema["items"])

    closed(yaml.safe_load((ROOT / f"config/schemas/{name}.schema.yaml").read_text()))


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
        for rule in re.split(r"^rule ", path.read_text(), flags=re.MULTILINE)[1:]:
            for directive in ("log:", "benchmark:", "conda:", "provenance=", "message:"):
                assert directive in rule, f"{path.name}: {rule.split(':')[0]} lacks {directive}"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A night that ran through the workflow."""
    folder = tmp_path_factory.mktemp("night")
    snakemake(folder)
    return folder


def test_a_night_ends_with_its_page(finished):
    assert (finished / NIGHT / "report/index.html").stat().st_size > 10_000
    header = read_table(
        finished / NIGHT / "atmosphere/atmospheric_model.ecsv", "atmosphere/atmospheric_model"
    ).meta["calibpipe"]
    assert header["origin"] == "data"
    assert all(not Path(i["path"]).is_absolute() for i in header["inputs"] if i["role"] != "site")


def test_nothing_is_done_twice(finished):
    _, output = snakemake(finished, "--dry-run")
    assert "Nothing to be done" in output


def test_provenance_is_valid_and_lists_the_outputs(finished):
    for path in (finished / NIGHT).glob("*/*.provenance.json"):
        (activity,) = json.loads(path.read_text())
        assert activity["status"] == "completed"
        assert activity["output"], path


def test_the_log_begins_with_a_command_that_repeats_the_step(finished):
    log = finished / "logs/CTAO-North/C/2024-07-10/atmosphere/density_profile.log"
    line = log.read_text().splitlines()[0]
    product = finished / NIGHT / "atmosphere/density_profile.ecsv"
    before = content_hash(product)
    tool, rest = line.split(" ", 1)
    subprocess.run(f"{BIN / tool} {rest}", shell=True, check=True, cwd=finished)
    assert content_hash(product) == before


def test_another_machine_gets_the_same_numbers(finished, tmp_path):
    snakemake(tmp_path, "--cores", "1")
    products = sorted((finished / NIGHT / "atmosphere").glob("*.ecsv"))
    assert len(products) == 5
    for product in products:
        assert content_hash(product) == content_hash(tmp_path / product.relative_to(finished))
    for name in ("atmprof.dat", "atm_trans.dat"):
        one, two = (folder / NIGHT / "atmosphere" / name for folder in (finished, tmp_path))
        assert one.read_bytes() == two.read_bytes()


def test_interrupted_night_goes_on(finished, tmp_path):
    with (tmp_path / "output.txt").open("w") as stream:
        process = subprocess.Popen(
            command(tmp_path), env=environment(), stdout=stream, stderr=stream, process_group=0
        )
        product = tmp_path / NIGHT / "atmosphere/meteo_data.json"
        deadline = time.monotonic() + 120
        while not product.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert product.exists()
    assert not (tmp_path / NIGHT / "report/index.html").exists()
    _, output = snakemake(tmp_path, "--unlock")
    _, output = snakemake(tmp_path)
    assert (tmp_path / NIGHT / "report/index.html").exists()
    assert "rule simulated_meteo_data" not in output
    model = "atmosphere/atmospheric_model.ecsv"
    assert content_hash(tmp_path / NIGHT / model) == content_hash(finished / NIGHT / model)


def test_one_bad_night_does_not_stop_the_others(tmp_path):
    for night in ("2024-07-10", "2024-07-11"):
        folder = tmp_path / "cache/meteo/CTAO-North" / night
        folder.mkdir(parents=True)
        subprocess.run(
            [
                BIN / "calibpipe-simulate-meteo-data",
                f"--site={ROOT}/config/sites/CTAO-North.yaml",
                f"--night={night}",
                "--category=C",
                f"--output={folder}/era5.grib",
            ],
            check=True,
            cwd=tmp_path,
        )
        (folder / "era5.truth.ecsv").unlink()
    bad = tmp_path / "cache/meteo/CTAO-North/2024-07-10/era5.grib"
    bad.write_bytes(bad.read_bytes()[:-1000])
    options = ("--config", 'nights=["2024-07-10", "2024-07-11"]', "meteo={'source': 'files'}")
    code, output = snakemake(tmp_path, *options, check=False)
    assert code == 1
    assert "CorruptedInputError" in output
    good, failed = (
        (tmp_path / f"results/CTAO-North/C/2024-07-{day}/report/index.html").read_text()
        for day in (11, 10)
    )
    assert "CorruptedInputError" not in good
    assert "cut off or damaged" in failed
    assert "atmosphere/density_profile" in failed


def test_forced_decision_uses_the_date(finished, tmp_path):
    """The whole workflow folder with an override in it."""
    workflow = tmp_path / "workflow"
    for name in ("rules", "scripts", "envs", "config", "profiles"):
        shutil.copytree(ROOT / name, workflow / name)
    shutil.copy(ROOT / "Snakefile", workflow)
    (workflow / "config/overrides.yaml").write_text(
        "overrides:\n"
        "  - {decision: reference_model_by_date, site: CTAO-North, night: '2024-07-10',\n"
        "     author: A. Shifter, date: '2024-07-20', reason: 'no ERA5 for this night, ever'}\n"
    )
    run = tmp_path / "run"
    run.mkdir()
    (run / "small.yaml").write_text(SMALL.replace("simulation", "archive"))
    result = subprocess.run(
        [
            str(BIN / "snakemake"),
            f"--profile={ROOT}/profiles/default",
            f"--directory={run}",
            f"--configfile={run}/small.yaml",
        ],
        check=False,
        cwd=workflow,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    header = read_table(
        run / NIGHT / "atmosphere/atmospheric_model.ecsv", "atmosphere/atmospheric_model"
    ).meta["calibpipe"]
    assert header["reference_model"]["method"] == "date"
    assert (
        "no ERA5 for this night, ever (decided by A. Shifter" in header["reference_model"]["reason"]
    )
    assert not (run / NIGHT / "atmosphere/density_profile.ecsv").exists()
