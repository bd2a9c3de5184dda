"""The benchmark runs on what the package offers today, and its own numbers hold."""

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest
from ctapipe.core import run_tool

from calibpipe.core import products
from calibpipe.core.product_header import read_product_header
from calibpipe.tools.simulate_dl2_data import SimulateDl2Data


@pytest.fixture
def benchmark(root, monkeypatch):
    monkeypatch.syspath_prepend(root / "benchmarks")
    spec = importlib.util.spec_from_file_location("bench", root / "benchmarks/atmospheric_model.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.mark.realdata
def test_our_side_of_the_atmospheric_model(benchmark, shared_data, tmp_path):
    data = shared_data / benchmark.METEO_DATA
    command = [sys.executable, "-I", benchmark.worker("our"), data, benchmark.site_file()]
    done = benchmark.run([*command, benchmark.POOL], tmp_path)
    assert done.answer["shape"] == [800, 50]
    assert done.answer["cpu"]["total"] < 1.0  # tenths of a second; the peer needs minutes
    assert done.cpu > done.answer["cpu"]["total"]

    report = {"ours": {"answer": done.answer}, "peer": {}}
    benchmark.add_hydrostatic(report, tmp_path)
    closure = done.answer["optical_depth_350nm"] / report["hydrostatic"]["ours"] - 1
    assert abs(closure) < 3e-3  # A22b


def test_a_child_that_fails_is_reported(benchmark, tmp_path):
    command = [sys.executable, "-c", "raise ValueError('no such data')"]
    with pytest.raises(SystemExit, match="no such data"):
        benchmark.run(command, tmp_path)


def test_missing_data_is_said(benchmark, tmp_path, monkeypatch):
    monkeypatch.setenv("CALIBPIPE_TEST_DATA", str(tmp_path))
    with pytest.raises(SystemExit, match="name the folder of the test data"):
        benchmark.data_folder()


def test_our_side_of_the_camera_calibration(root, tmp_path):
    """Many chunks: statistics are made, read, and give a row each."""
    worker = root / "benchmarks/our_camera_calibration.py"
    for task in (["make_chunks", "chunks.h5", "3"], ["chunks", "chunks.h5", "coefficients.h5"]):
        command = [sys.executable, "-I", str(worker), *task]
        done = subprocess.run(command, check=True, cwd=tmp_path, capture_output=True, text=True)
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["rows"] == 3
    assert answer["all"] > answer["calculation"] > 0


def test_our_side_of_the_muon_throughput(root, tmp_path):
    """Rings are made in both formats; our Tools find from them what they were made with."""
    worker = root / "benchmarks/our_muon_throughput.py"
    night = ["--site", str(root / "config/sites/CTAO-North.yaml"), "--night", "2024-07-10"]
    tasks = (
        ["make_rings", ".", "2000"],
        ["tool", "throughput_muon", *night, "--input", "ctapipe.h5", "--output", "throughput.h5"],
        ["tool", "psf_muon", *night, "--input", "ours.h5", "--output", "psf.h5"],
    )
    for task in tasks:
        command = [sys.executable, "-I", str(worker), *task]
        done = subprocess.run(command, check=True, cwd=tmp_path, capture_output=True, text=True)
    assert json.loads(done.stdout.splitlines()[-1])["cpu"] > 0
    throughput = read_product_header(tmp_path / "throughput.h5").own
    assert throughput["n_rings"] > 1950
    error = 0.04 / throughput["n_rings"] ** 0.5  # of the rings, relative
    made = 0.15
    assert throughput["ctapipe_throughput"] == pytest.approx(made, rel=4 * error)
    assert read_product_header(tmp_path / "psf.h5").own["n_rings"] > 1950


def test_our_side_of_the_array_calibration(root, tmp_path, monkeypatch):
    """Our Tools run on simulated events; what is compared with the peer is in their tables."""
    path = root / "benchmarks/our_array_calibration.py"
    spec = importlib.util.spec_from_file_location("our_array_calibration", path)
    worker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(worker)
    monkeypatch.setattr(worker, "TURNS", 2)
    monkeypatch.chdir(tmp_path)
    night = [f"--site={root}/config/sites/CTAO-North.yaml", "--night=2024-07-10"]
    simulation = ["--n-events=4000", "--n-blocks=1", "--output-folder=."]
    run_tool(SimulateDl2Data(), argv=[*night, *simulation], cwd=tmp_path, raises=True)
    (events,), (truth,) = tmp_path.glob("dl2/**/*.h5"), tmp_path.glob("dl2/**/truth.ecsv")
    (block,) = products.read_table(truth, "simulation/dl2_truth").meta["calibpipe"]["blocks"]
    assert worker.for_peer(str(events)) == {"telescope_events": block["n_telescope_events"]}
    for name, source, product in (
        ("energy_asymmetry_estimation", events, "pairs.h5"),
        ("inter_calibration", "pairs.h5", "inter.h5"),
        ("cross_calibration", "pairs.h5", "cross.h5"),
    ):
        assert worker.tool(name, *night, f"--input={source}", f"--output={product}")["cpu"] > 0
    found = worker.pairs("pairs.h5")
    header = read_product_header(tmp_path / "pairs.h5").own
    assert sum(n for n, _ in found.values()) == header["n_pair_events"]
    for kind in ("inter", "cross"):
        away = worker.away(str(truth), f"{kind}.h5", kind)
        assert away["n_tel"] == 13
        assert 0 < away["rms"] < 5 * away["error"]  # 6e-7, even if one telescope has all of it


def test_all_sky_camera(root, tmp_path):
    """Frames are read and judged; the covered part is the true one."""
    path = root / "benchmarks/our_allsky.py"
    spec = importlib.util.spec_from_file_location("our_allsky", path)
    worker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(worker)
    found = worker.processed(tmp_path, 3, 1024)
    assert found["n_frames"] == 3
    assert found["n_stars"] > 1000
    assert found["rms"] < 0.03
    assert found["cpu"]["reading"] > 0
    assert found["cpu"]["judging"] > 0


def test_our_side_of_single_photoelectrons(root, tmp_path):
    """Spectra are made and fitted; the deviances of both sides are compared."""
    path = root / "benchmarks/our_single_photoelectron.py"
    spec = importlib.util.spec_from_file_location("our_single_photoelectron", path)
    worker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(worker)
    spectra, ours, theirs = (str(tmp_path / f"{name}.npz") for name in ("spectra", "ours", "peer"))
    assert worker.make(spectra, "8") == {"n_pixels": 8}
    found = worker.fit(spectra, ours)
    assert found["good"] == 8
    assert found["cpu_per_pixel"] < 0.05  # the peer needs seconds
    assert abs(found["gain_bias"]) < 5 * found["gain_rms"] / 8**0.5
    true = np.array([[0.42, 0.5, 0.813, 1.0, 0.0, worker.WIDTH, worker.GAIN / 0.8507574]])
    np.savez(theirs, values=true, migrad=np.load(ours)["deviance"][:1])
    compared = worker.compare(spectra, ours, theirs)
    assert compared["ours"] == compared["migrad"]
    assert compared["peer"][0] > compared["ours"][0]


@pytest.mark.slow
def test_planning_counts_every_block(root):
    """Of two telescopes twice the jobs of one, beside those of the night."""

    def jobs(telescopes):
        command = [sys.executable, root / "benchmarks/planning.py", "--months=1", "--nights=1"]
        command += [f"--telescopes={telescopes}"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        name, total, *_ = done.stdout.splitlines()[-1].split()
        assert name == "sum"
        return int(total)

    one, two, three = map(jobs, (1, 2, 3))
    assert two - one == three - two >= 7 + 2 * 5  # products; five verified and certified
