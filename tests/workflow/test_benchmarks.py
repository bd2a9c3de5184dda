"""The benchmark runs on what the package offers today, and its own numbers hold."""

import importlib.util
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


@pytest.fixture
def worker(root):
    """A worker of our side by name, whose tasks are functions; one of them runs as a process."""

    def loaded(name):
        spec = importlib.util.spec_from_file_location(name, root / f"benchmarks/{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return loaded


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


def test_our_side_of_the_camera_calibration(worker, tmp_path):
    """Many chunks: statistics are made, read, and give a row each."""
    tasks = worker("our_camera_calibration")
    tasks.make_chunks(str(tmp_path / "chunks.h5"), "3")
    answer = tasks.chunks(str(tmp_path / "chunks.h5"), str(tmp_path / "coefficients.h5"))
    assert answer["rows"] == 3
    assert answer["all"] > answer["calculation"] > 0


def test_our_side_of_the_muon_throughput(root, worker, tmp_path, monkeypatch):
    """Rings are made in both formats; our Tools find from them what they were made with."""
    monkeypatch.chdir(tmp_path)
    tasks = worker("our_muon_throughput")
    monkeypatch.setattr(tasks, "TURNS", 1)
    night = ["--site", str(root / "config/sites/CTAO-North.yaml"), "--night", "2024-07-10"]
    assert tasks.make_rings(".", "2000") == {"n_rings": 2000}
    for name, rings, product in (
        ("throughput_muon", "ctapipe.h5", "throughput.h5"),
        ("psf_muon", "ours.h5", "psf.h5"),
    ):
        assert tasks.tool(name, *night, "--input", rings, "--output", product)["cpu"] > 0
    throughput = read_product_header(tmp_path / "throughput.h5").own
    assert throughput["n_rings"] > 1950
    error = 0.04 / throughput["n_rings"] ** 0.5  # of the rings, relative
    made = 0.15
    assert throughput["ctapipe_throughput"] == pytest.approx(made, rel=4 * error)
    assert read_product_header(tmp_path / "psf.h5").own["n_rings"] > 1950


def test_our_side_of_the_array_calibration(root, worker, tmp_path, monkeypatch):
    """Our Tools run on simulated events; what is compared with the peer is in their tables."""
    tasks = worker("our_array_calibration")
    monkeypatch.setattr(tasks, "TURNS", 2)
    monkeypatch.chdir(tmp_path)
    night = [f"--site={root}/config/sites/CTAO-North.yaml", "--night=2024-07-10"]
    simulation = ["--n-events=4000", "--n-blocks=1", "--output-folder=."]
    run_tool(SimulateDl2Data(), argv=[*night, *simulation], cwd=tmp_path, raises=True)
    (events,), (truth,) = tmp_path.glob("dl2/**/*.h5"), tmp_path.glob("dl2/**/truth.ecsv")
    (block,) = products.read_table(truth, "simulation/dl2_truth").meta["calibpipe"]["blocks"]
    assert tasks.for_peer(str(events)) == {"telescope_events": block["n_telescope_events"]}
    for name, source, product in (
        ("energy_asymmetry_estimation", events, "pairs.h5"),
        ("inter_calibration", "pairs.h5", "inter.h5"),
        ("cross_calibration", "pairs.h5", "cross.h5"),
    ):
        assert tasks.tool(name, *night, f"--input={source}", f"--output={product}")["cpu"] > 0
    found = tasks.pairs("pairs.h5")
    header = read_product_header(tmp_path / "pairs.h5").own
    assert sum(n for n, _ in found.values()) == header["n_pair_events"]
    for kind in ("inter", "cross"):
        away = tasks.away(str(truth), f"{kind}.h5", kind)
        assert away["n_tel"] == 13
        assert 0 < away["rms"] < 5 * away["error"]  # 6e-7, even if one telescope has all of it


def test_all_sky_camera(worker, tmp_path):
    """Frames are read and judged; the covered part is the true one."""
    tasks = worker("our_allsky")
    found = tasks.processed(tmp_path, 3, 1024)
    assert found["n_frames"] == 3
    assert found["n_stars"] > 1000
    assert found["rms"] < 0.03
    assert found["cpu"]["reading"] > 0
    assert found["cpu"]["judging"] > 0


def test_our_side_of_single_photoelectrons(worker, tmp_path):
    """Spectra are made and fitted; the deviances of both sides are compared."""
    tasks = worker("our_single_photoelectron")
    spectra, ours, theirs = (str(tmp_path / f"{name}.npz") for name in ("spectra", "ours", "peer"))
    assert tasks.make(spectra, "8") == {"n_pixels": 8}
    found = tasks.fit(spectra, ours)
    assert found["good"] == 8
    assert found["cpu_per_pixel"] < 0.05  # the peer needs seconds
    assert abs(found["gain_bias"]) < 5 * found["gain_rms"] / 8**0.5
    true = np.array([[0.42, 0.5, 0.813, 1.0, 0.0, tasks.WIDTH, tasks.GAIN / 0.8507574]])
    np.savez(theirs, values=true, migrad=np.load(ours)["deviance"][:1])
    compared = tasks.compare(spectra, ours, theirs)
    assert compared["ours"] == compared["migrad"]
    assert compared["peer"][0] > compared["ours"][0]
