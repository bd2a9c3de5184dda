"""Calibration sets in the workflow: from the table of the runs to certified products."""

import json
import shutil
from datetime import date, timedelta
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
import snakemake_runs
import yaml
from astropy.table import QTable
from declared_products import departures
from dedicated_runs import NIGHT, RUNS, Run, describe, runs_table, scan_run, write_set
from drs4_data import write_raw_run
from workflow.test_camera_workflow import ROOT

from calibpipe.archive.lookup import lookup
from calibpipe.archive.repository import open_archive
from calibpipe.core.product_header import read_product_header

FIRST, SECOND = str(NIGHT), str(NIGHT + timedelta(days=1))
SET = {
    "site": "CTAO-North",
    "night": FIRST,
    "telescopes": ["LSTN-01"],
    "mode": "PEDESTAL_FLAT_SCAN_SPE",
    "runs": "runs.ecsv",
}
EFFICIENCY = {
    "site": "CTAO-North",
    "night": FIRST,
    "telescope": "LSTN-01",
    "table": "pde.ecsv",
    "origin": "a laboratory",
    "measured": "2015-03-01",
}
RAW = {112: Run("drs4", {}), 113: Run("drs4_flat", {})}
CONFIG = {
    "sites": ["CTAO-North"],
    "categories": ["C"],
    "nights": [FIRST],
    "telescopes": ["LSTN-01", "LSTN-02"],
    "domains": ["camera", "archive"],
    "data_roots": {"dl0": "data"},
    "co2": {"online": False},
}


def configured(folder, *sets, pde=(), runs=RUNS, **changes):
    """A folder with its configuration and table of runs."""
    folder.mkdir(exist_ok=True)
    camera = {"calibration_sets": list(sets), "pde": list(pde)}
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG | {"camera": camera} | changes))
    runs_table(runs).write(folder / "runs.ecsv", overwrite=True)
    return folder


def snakemake(folder, *options, check=True, root=ROOT, **environment):
    """Exit code and output of a run in a folder."""
    code, output = snakemake_runs.run(
        f"--snakefile={root}/Snakefile",
        f"--profile={root}/profiles/default",
        f"--directory={folder}",
        "--cores=2",
        *options,
        f"--configfile={folder}/config.yaml",
        **environment,
    )
    if check and code:
        pytest.fail(output)
    return code, output


def planned(output):
    """Number of jobs by rule."""
    rows = [line.split() for line in output.splitlines()]
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}


@pytest.mark.parametrize(
    ("mode", "products", "n_runs"),
    [
        ("PEDESTAL", {"pedestal"}, 2),
        ("PEDESTAL_FLAT", {"pedestal"}, 2),
        ("PEDESTAL_FLAT_SCAN", {"photon_transfer", "pedestal", "crosstalk"}, 6),
        (
            "PEDESTAL_FLAT_SCAN_SPE",
            {"single_photoelectron", "photon_transfer", "pedestal", "crosstalk"},
            6,
        ),
        ("DRS4", {"drs4"}, 0),
    ],
)
def test_a_mode_says_what_is_made(tmp_path, mode, products, n_runs):
    runs = RUNS | RAW if mode == "DRS4" else RUNS
    configured(tmp_path, SET | {"mode": mode}, runs=runs, pde=[EFFICIENCY])
    _, output = snakemake(tmp_path, "--dry-run")
    jobs = planned(output)
    possible = {"single_photoelectron", "photon_transfer", "pedestal", "crosstalk", "drs4"}
    assert possible & set(jobs) == products
    assert jobs.get("run_statistics", 0) == n_runs
    assert jobs["verified_calibration_set"] == len(products) + 1  # the efficiency
    assert jobs["certified_calibration_set"] == len(products) + 1
    assert jobs["pde"] == 1


def test_a_pedestal_alone_waits_for_the_gains_of_the_night_before(tmp_path):
    """Without a photon transfer of its own; its sky is that of the flat fields."""
    runs = {obs_id: run for obs_id, run in RUNS.items() if run.kind != "pedestal"}
    sets = [SET, SET | {"night": SECOND, "mode": "PEDESTAL_FLAT"}]
    configured(tmp_path, *sets, runs=runs, nights=[FIRST, SECOND])
    results = "results/CTAO-North/C/{}/LSTN-01/camera/pedestal.h5"
    jobs = planned(snakemake(tmp_path, "--dry-run", results.format(SECOND))[1])
    assert jobs["certified_calibration_set"] == jobs["photon_transfer"] == 1
    assert jobs["pedestal"] == jobs["pixel_statistics"] == 1
    jobs = planned(snakemake(tmp_path, "--dry-run", results.format(FIRST))[1])
    assert jobs["photon_transfer"] == jobs["pedestal"] == 1
    assert not {"certified_calibration_set", "pixel_statistics"} & set(jobs)


def test_simulated_runs_come_first(tmp_path):
    simulated = {name: value for name, value in SET.items() if name != "runs"}
    simulated["mode"] = "PEDESTAL_FLAT_SCAN"
    configured(tmp_path, simulated, dl0={"source": "simulation"})
    _, output = snakemake(tmp_path, "--dry-run")
    assert planned(output)["simulated_calibration_runs"] == 1
    configured(tmp_path, simulated | {"mode": "PEDESTAL_FLAT"}, dl0={"source": "simulation"})
    code, output = snakemake(tmp_path, "--dry-run", check=False)
    assert code != 0
    assert "runs of mode PEDESTAL_FLAT are not simulated; take PEDESTAL_FLAT_SCAN" in output


def test_a_run_that_is_left_out_is_in_no_product(tmp_path):
    """Without single pixels no cross-talk; without photoelectrons the mode cannot be."""
    root = tmp_path / "workflow"
    for name in ("rules", "scripts", "envs", "config", "profiles"):
        shutil.copytree(ROOT / name, root / name)
    shutil.copy(ROOT / "Snakefile", root)
    (root / "calibpipe").symlink_to(ROOT / "calibpipe")
    decision = {
        "decision": "leave_out_block",
        "site": "CTAO-North",
        "night": FIRST,
        "telescope": "LSTN-01",
        "author": "the shift",
        "date": "2024-07-12",
        "reason": "the lid was open",
    }
    folder = configured(tmp_path / "night", SET)

    def without(obs_id, **more):
        entries = {"overrides": [decision | {"obs_id": obs_id}]}
        (root / "config/overrides.yaml").write_text(yaml.safe_dump(entries))
        return snakemake(folder, "--dry-run", root=root, **more)

    made = planned(without(110)[1])
    assert "crosstalk" not in made
    assert made["single_photoelectron"] == 1
    code, output = without(108, check=False)
    assert code != 0
    assert "runs.ecsv without [108] (leave_out_block)" in output
    assert "single_pe" in output


def test_stars_of_the_next_night_wait_for_the_gains(tmp_path):
    domains = [*CONFIG["domains"], "atmosphere", "pointing"]
    folder = configured(tmp_path, SET, nights=[FIRST, SECOND], domains=domains)
    results = f"results/CTAO-North/C/{SECOND}"
    jobs = planned(
        snakemake(folder, "--dry-run", f"{results}/LSTN-01/pointing/star_tracking.OBSID1.h5")[1]
    )
    assert jobs["certified_calibration_set"] == jobs["photon_transfer"] == 1
    assert "crosstalk" not in jobs
    other = f"{results}/LSTN-02/pointing/star_tracking.OBSID1.h5"
    assert "photon_transfer" not in planned(snakemake(folder, "--dry-run", other)[1])


LASER = RUNS | {111: Run("laser", {})}


@pytest.mark.parametrize(
    ("sets", "runs", "message"),
    [
        ([SET, SET], RUNS, "CTAO-North 2024-07-10: two entries of LSTN-01; keep one"),
        ([{k: v for k, v in SET.items() if k != "runs"}], RUNS, "name it in `runs`"),
        ([SET], LASER, "observation 111 is a run 'laser', needs one of dark, "),
    ],
)
def test_wrong_sets_are_refused_before_anything_runs(tmp_path, sets, runs, message):
    configured(tmp_path, *sets, runs=runs)
    code, output = snakemake(tmp_path, "--dry-run", check=False)
    assert code != 0
    assert message in output


def test_flashes_and_a_set_cannot_share_a_run(tmp_path):
    flashes = {"site": "CTAO-North", "night": FIRST, "obs_id": 103, "source": "uav.ecsv"}
    configured(tmp_path, SET, throughput={"illuminator": [flashes]})
    code, output = snakemake(tmp_path, "--dry-run", check=False)
    assert code != 0
    assert "observations [103] of CTAO-North 2024-07-10 are in a calibration set and" in output


ORDINARY = 200  # an observation that no set knows
FILTERS = {104: 0.02, 105: 0.05, 106: 0.2, 107: 0.6, 111: 0.1}  # chi2 of two degrees and more
LONG = {obs_id: scan_run(transmission, 5000) for obs_id, transmission in FILTERS.items()}
LATER = {101: RUNS[101]} | LONG


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Two nights of a camera of nineteen pixels: a set of everything, and a filter scan."""
    folder = tmp_path_factory.mktemp("night")
    ordinary = {ORDINARY: Run("", {"FLATFIELD": 200, "SKY_PEDESTAL": 200}, 80.0)}
    write_set(folder / "data", RUNS | LONG | ordinary)
    write_raw_run(folder / "data", 112, 5000)
    write_raw_run(folder / "data", 113, 4000, event_type="FLATFIELD", n_pe=200.0)
    write_set(folder / "data", LATER, date.fromisoformat(SECOND))
    describe(folder / "service_data")
    runs_table(LATER).write(folder / "later.ecsv")
    configuration = [
        SET,
        SET | {"night": SECOND, "mode": "PEDESTAL_FLAT_SCAN", "runs": "later.ecsv"},
    ]
    wavelength = [300, 400, 500, 600] * u.nm
    pde = {"wavelength": wavelength, "pde": [0.2, 0.4, 0.3, 0.1], "pde_error": np.full(4, 0.01)}
    QTable(pde).write(folder / "pde.ecsv")
    more = {"nights": [FIRST, SECOND], "telescopes": ["LSTN-01"]}
    configured(folder, *configuration, pde=[EFFICIENCY], runs=RUNS | LONG | RAW, **more)
    run(folder)
    return folder


def run(folder, *options, **more):
    """A run that knows the small camera."""
    known = {
        "CTAPIPE_SVC_PATH": str(folder / "service_data"),
        "CTAPIPE_IO_ZFITS_NO_SERVICE_DATA": "0",
    }
    return snakemake(folder, *options, **known, **more)


def of_night(folder, night=FIRST):
    return folder / f"results/CTAO-North/C/{night}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("night", "name"),
    [
        (FIRST, "single_photoelectron.h5"),
        (FIRST, "photon_transfer.h5"),
        (FIRST, "pedestal.h5"),
        (FIRST, "crosstalk.h5"),
        (FIRST, "drs4.h5"),
        (FIRST, "pde.ecsv"),
        (SECOND, "photon_transfer.h5"),
        (SECOND, "pedestal.h5"),
    ],
)
def test_verified_and_certified(finished, night, name):
    folder, stem = of_night(finished, night), Path(name).stem
    record = json.loads((folder / f"verification/{stem}.LSTN-01.json").read_text())["content"]
    assert (record["because"], record["verdict"]) == ([], "PASS")
    (entry,) = json.loads((folder / f"certification/{stem}.LSTN-01.json").read_text())["certified"]
    header = read_product_header(folder / "LSTN-01/camera" / name)
    assert entry["product_id"] == str(header.product_id)


@pytest.mark.slow
def test_each_product_is_made_with_those_before_it(finished):
    camera = of_night(finished) / "LSTN-01/camera"
    own = {
        name: read_product_header(camera / f"{name}.h5").own
        for name in ("single_photoelectron", "photon_transfer", "pedestal", "crosstalk")
    }
    assert own["single_photoelectron"]["runs"] == {
        "nominal": 108, "high_voltage": 109, "dark": 101,
    }  # fmt: skip
    roles = {name: [entry["role"] for entry in o["inputs"]] for name, o in own.items()}
    assert "camera/single_photoelectron" in roles["photon_transfer"]
    assert "camera/photon_transfer" in roles["crosstalk"]
    assert "camera/photon_transfer" in roles["pedestal"]
    assert own["pedestal"]["no_nsb_rate"] == ""
    assert own["pedestal"]["sky_obs_ids"] == [102]
    assert own["photon_transfer"]["obs_ids"] == [104, 105, 111, 106, 107]  # by light
    assert own["photon_transfer"]["extraction"]["flatfield_window_start"] == 13


@pytest.mark.slow
def test_a_new_set_goes_in_front(finished):
    """In the second night its own photon transfer holds; photoelectrons are those of the first."""
    archive = open_archive(finished / "calibration_archive")
    times = [
        read_product_header(of_night(finished, night) / "LSTN-01/camera/photon_transfer.h5")
        for night in (FIRST, SECOND)
    ]
    for night, header in zip((FIRST, SECOND), times, strict=True):
        when = header.validity[0] + 1 * u.hour
        keys = {"telescope": "LSTN-01"}
        found = lookup(archive, "camera/photon_transfer", "CTAO-North", when, **keys)
        assert found.product_id == header.product_id, night
        spe = lookup(archive, "camera/single_photoelectron", "CTAO-North", when, **keys)
        made = of_night(finished) / "LSTN-01/camera/single_photoelectron.h5"
        assert spe.product_id == read_product_header(made).product_id


@pytest.mark.slow
def test_ordinary_blocks_do_without_the_runs_of_a_set(finished):
    """But flat fields give coefficients of their time."""
    names = {path.name for path in (of_night(finished) / "LSTN-01/camera").glob("co*.h5")}
    assert names == {f"coefficients.OBSID{n}.h5" for n in (103, ORDINARY)}
    runs = {path.name for path in (of_night(finished) / "LSTN-01/camera").glob("run_*.h5")}
    assert runs == {f"run_statistics.OBSID{n}.h5" for n in (101, 102, *FILTERS)}
    assert not list((of_night(finished, SECOND) / "LSTN-01/camera").glob("co*.h5"))
    assert "Nothing to be done" in run(finished, "--dry-run")[1]


@pytest.mark.slow
def test_a_run_that_is_not_there_fails_alone(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "night")
    (gone,) = folder.glob("data/DL0/LSTN-01/**/TEL*20240710*OBSID*105_*.fits.fz")
    gone.unlink()
    camera = of_night(folder) / "LSTN-01/camera"
    asked = ("photon_transfer.h5", "single_photoelectron.h5", f"coefficients.OBSID{ORDINARY}.h5")
    targets = [camera.relative_to(folder) / name for name in asked]
    code, output = run(folder, *targets, check=False)
    assert code != 0
    assert "the index has no observation 105 of LSTN-01, only LSTN-01 101" in output
    assert not (camera / "run_statistics.OBSID105.h5").exists()
    assert (camera / "single_photoelectron.h5").is_file()
    assert (camera / f"coefficients.OBSID{ORDINARY}.h5").is_file()


@pytest.mark.slow
def test_products_have_the_declared_columns(finished):
    problems, kinds = departures(finished / "results")
    assert not problems
    assert {"camera/photon_transfer", "camera/crosstalk"} <= kinds


@pytest.mark.slow
def test_a_pedestal_with_flat_fields_and_without_gain(tmp_path):
    """It is certified; there is no rate of the night sky, and the header says why."""
    runs = {obs_id: RUNS[obs_id] for obs_id in (101, 103)}
    write_set(tmp_path / "data", runs)
    describe(tmp_path / "service_data")
    flat = SET | {"mode": "PEDESTAL_FLAT"}
    configured(tmp_path, flat, runs=runs, telescopes=["LSTN-01"])
    run(tmp_path)
    night = of_night(tmp_path)
    record = json.loads((night / "verification/pedestal.LSTN-01.json").read_text())["content"]
    assert (record["because"], record["verdict"]) == ([], "PASS")
    (entry,) = json.loads((night / "certification/pedestal.LSTN-01.json").read_text())["certified"]
    header = read_product_header(night / "LSTN-01/camera/pedestal.h5")
    assert entry["product_id"] == str(header.product_id)
    assert header.own["sky_obs_ids"] == [103]
    reason = "no photon transfer is given, none certified in the 62 days before"
    assert header.own["no_nsb_rate"] == f"no gain is known: {reason}"
