"""The benchmark runs on what the package offers today, and its own numbers hold."""

import importlib.util
import json
import subprocess
import sys

import pytest


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
