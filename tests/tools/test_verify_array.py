"""The array from events to the archive: verified, certified, looked up; a damaged second night."""

import os

os.environ.setdefault("CTAPIPE_IO_ZFITS_NO_SERVICE_DATA", "1")

import json
import shutil

import numpy as np
import pytest
import tables
from ctapipe.core import run_tool

from calibpipe.archive.metrics import metrics
from calibpipe.archive.observatory import upload_site
from calibpipe.archive.repository import init_archive
from calibpipe.tools.calculate_array_timing import CalculateArrayTiming
from calibpipe.tools.certify import Certify
from calibpipe.tools.cross_calibration import CrossCalibration
from calibpipe.tools.energy_asymmetry_estimation import EnergyAsymmetryEstimation
from calibpipe.tools.history import History
from calibpipe.tools.inter_calibration import InterCalibration
from calibpipe.tools.lookup import Lookup
from calibpipe.tools.simulate_dl2_data import SimulateDl2Data
from calibpipe.tools.verify import Verify

FIRST, SECOND = "2024-07-10", "2024-07-11"
ENERGY = "/dl2/event/telescope/energy/RandomForestRegressor"
KINDS = ("inter_calibration", "cross_calibration", "timing")
MADE_BY = {"inter_calibration": InterCalibration, "cross_calibration": CrossCalibration}
WIDE = "--AsymmetryTool.equidistance_constant=0.4"  # the simulated energies do not mind
LOST, LATE = 2, 3  # telescopes of the damaged night


class Array:
    """Nights of the array at CTAO-North, in one folder, with an archive."""

    def __init__(self, root, folder, site):
        self.root, self.folder = root, folder
        self.archive = init_archive(folder / "archive")
        upload_site(self.archive, site, {f"LSTN-0{n}": n for n in range(1, 5)})

    def run(self, tool, night, *options):
        keys = [f"--site={self.root}/config/sites/CTAO-North.yaml", f"--night={night}"]
        run_tool(tool(), argv=[*keys, *options], cwd=self.folder, raises=True)

    def simulate(self, night):
        """DL2 of a block; truth is that of the seed in every night."""
        events = ["--n-events=5000", "--n-blocks=1", "--seed=4", "--SimulateDl2Data.resolution=0.1"]
        self.run(SimulateDl2Data, night, *events, f"--output-folder={self.folder}")
        (path,) = (self.folder / "dl2/CTAO-North" / night).glob("*.h5")
        return path

    def calibrate(self, night, path, *pairs):
        """Products of a night; `pairs`: more options of the asymmetries."""
        where = self.folder / f"{night}.{path.stem}"
        where.mkdir()
        options = ["--category=C", "--overwrite"]
        asymmetry = f"{where}/asymmetry.h5"
        given = [f"--input={path}", WIDE, "--AsymmetryTool.minimum=0.05", *pairs]
        self.run(EnergyAsymmetryEstimation, night, *options, *given, f"--output={asymmetry}")
        for name, tool in MADE_BY.items():
            self.run(tool, night, *options, f"--input={asymmetry}", f"--output={where}/{name}.h5")
        config = f"--config={self.root}/config/tools/calculate_array_timing.yaml"
        given = [f"--input={path}", config]
        self.run(CalculateArrayTiming, night, *options, *given, f"--output={where}/timing.h5")
        return where

    def verify(self, night, product):
        """Record, and results by number."""
        output = product.with_suffix(".json")
        options = [
            "--category=C",
            f"--criteria={self.root}/config/criteria.yaml",
            f"--archive={self.archive.location}",
            f"--product={product}",
            f"--output={output}",
            "--overwrite",
        ]
        self.run(Verify, night, *options)
        content = json.loads(output.read_text())["content"]
        return content, {entry["id"]: entry for entry in content["criteria"]}

    def ask(self, tool, *options):
        """Answer of a Tool of the archive."""
        answer = self.folder / "answer.json"
        argv = [f"--archive={self.archive.location}", f"--record={answer}", *options]
        run_tool(tool(), argv=argv, cwd=self.folder, raises=True)
        return json.loads(answer.read_text())


@pytest.fixture(scope="module")
def array(root, north, tmp_path_factory):
    """The first night, verified and certified."""
    made = Array(root, tmp_path_factory.mktemp("array"), north)
    path = made.simulate(FIRST)
    made.first = made.calibrate(FIRST, path)
    made.verified = {kind: made.verify(FIRST, made.first / f"{kind}.h5") for kind in KINDS}
    given = [f"--product={made.first / kind}.h5" for kind in KINDS]
    given += [f"--verification={made.first / kind}.json" for kind in KINDS]
    made.certified = made.ask(Certify, *given, "--author=me", "--reason=a test")
    return made


@pytest.fixture(scope="module")
def second(array):
    """Events of the night after."""
    return array.simulate(SECOND)


def damaged(path):
    """A copy in which a telescope has 15 % less light and another one is 5 ns late."""
    copy = path.with_name("damaged.dl2.h5")
    shutil.copy(path, copy)
    with tables.open_file(copy, "a") as h5file:
        energy = h5file.get_node(f"{ENERGY}/tel_{LOST:03d}")
        column = energy.cols.RandomForestRegressor_tel_energy
        column[:] = 0.85 * column[:]
        trigger = h5file.get_node("/dl1/event/telescope/trigger")
        time = trigger.cols.time[:]
        time[trigger.cols.tel_id[:] == LATE, 1] += 20  # quarter nanoseconds
        trigger.cols.time[:] = time
    return copy


def test_night_is_verified(array):
    for kind, (content, results) in array.verified.items():
        assert (content["verdict"], content["because"]) == ("PASS", []), kind
        told = {entry["result"] for entry in results.values() if not entry["informative"]}
        assert told <= {"PASS", "NOT APPLICABLE"}
        assert content["product"]["array_element"] is None
    _, results = array.verified["timing"]
    assert results["TIM-44"]["median"] == pytest.approx(1.5, rel=0.1)  # as simulated
    assert results["TIM-03"]["median"] == 1
    _, results = array.verified["inter_calibration"]
    assert results["ICA-02"]["n_elements"] == 13


def test_night_is_in_the_archive(array):
    assert {entry["action"] for entry in array.certified["certified"]} == {"certified"}
    assert array.certified["refused"] == []
    for kind in KINDS:
        at = ["--site=CTAO-North", f"--time={FIRST}T23:00:00", f"--kind=array/{kind}"]
        (found,) = array.ask(Lookup, *at)
        made = (array.first / f"{kind}.h5").read_bytes()
        assert (array.folder / found["path"]).read_bytes() == made
        assert found["validity"]["begin_utc"].startswith(FIRST)
    every = array.ask(Lookup, "--site=CTAO-North", f"--time={FIRST}T23:00:00")
    assert {f"array/{kind}" for kind in KINDS} <= {e["kind"] for e in every if "path" in e}


def test_trend(array, tmp_path):
    figure = tmp_path / "trend.svg"
    (row,) = array.ask(History, "--trend=TIM-02", f"--figure={figure}")
    assert row["kind"] == "array/timing"
    assert row["array_element"] is None
    assert 0 < row["median"] < 0.3
    assert figure.stat().st_size > 1000
    assert len(metrics(array.archive, criterion="ICA-01")) == 1


def test_the_night_after_has_not_changed(array, second):
    where = array.calibrate(SECOND, second)
    for kind, number in zip(KINDS, ("ICA-11", "XCA-11", "TIM-11"), strict=True):
        content, results = array.verify(SECOND, where / f"{kind}.h5")
        assert (content["verdict"], content["because"]) == ("PASS", [])
        assert list(content["compared_with"]) == ["day"]
        assert results[number]["result"] == "PASS"
        assert results[number]["n_elements"] == 13


def test_a_telescope_that_lost_light_and_one_that_is_late(array, second):
    where = array.calibrate(SECOND, damaged(second))
    loss = np.log(0.85)
    for kind, number in (("inter_calibration", "ICA-11"), ("cross_calibration", "XCA-11")):
        content, results = array.verify(SECOND, where / f"{kind}.h5")
        assert content["verdict"] == "FAIL"
        (reason,) = content["because"]
        assert reason.startswith(f"{number} throughput_change: 1 of 13 outside -0.05 to 0.05")
        (named,) = results[number]["named"]
        assert f"telescope {LOST} -" in reason
        assert loss < float(named.rsplit(" ", 1)[1]) < -0.05  # what three errors leave of it
    content, results = array.verify(SECOND, where / "timing.h5")
    assert content["verdict"] == "FAIL"
    assert content["because"][0].startswith("TIM-11 offset_change: 1 of 13 outside -1 to 1 ns")
    assert f"LSTN-0{LATE} " in content["because"][0]
    assert float(results["TIM-11"]["named"][0].split()[1]) == pytest.approx(5, abs=0.8)
    options = [f"--product={where}/timing.h5", f"--verification={where}/timing.json"]
    record = array.ask(Certify, *options, "--author=me", "--reason=a test", "--skip-failed")
    assert record["certified"] == []
    assert [entry["verdict"] for entry in record["refused"]] == ["FAIL"]


def test_islands(array, second, tmp_path):
    """MSTs of which no pair connects the two parts."""
    left_out = [f"--AsymmetryTool.left_out_telescopes={k}" for k in (1, 2, 3, 4, 6, 10, 12)]
    apart, product = tmp_path / "apart.h5", tmp_path / "parts.h5"
    given = ["--category=C", f"--input={second}", WIDE, f"--output={apart}", *left_out]
    array.run(EnergyAsymmetryEstimation, SECOND, *given)
    given = ["--category=C", f"--input={apart}", f"--output={product}"]
    array.run(InterCalibration, SECOND, *given)
    content, results = array.verify(SECOND, product)
    assert content["verdict"] == "FAIL"
    n_islands = results["ICA-04"]["maximum"]
    assert n_islands > 1
    told = [reason for reason in content["because"] if reason.startswith("ICA-04")]
    assert told[0].endswith(f": MST {n_islands:g}")
    assert results["ICA-05"]["result"] == "FAIL"  # LSTs and other parts have no throughput
