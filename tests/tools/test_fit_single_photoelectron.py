"""calibpipe-fit-single-photoelectron: from DL0 of dedicated runs to a verified product."""

import json
from dataclasses import replace

import numpy as np
import pytest
import yaml
from ctapipe.core import run_tool
from photoelectron_runs import N_PIXELS, small_camera, write_run

from calibpipe.camera.spe_status import SpeStatus
from calibpipe.core.exceptions import ConfigurationError, InsufficientStatisticsError
from calibpipe.core.product_header import read_product_header
from calibpipe.core.telescope_file import read_telescope_table
from calibpipe.tools.fit_single_photoelectron import (
    GROUP,
    KIND,
    SPECTRA_GROUP,
    FitSinglePhotoelectron,
)
from calibpipe.tools.verify import Verify

CONTAINED = 0.98  # of the pulse in the window, at least


class Camera:
    """A folder with runs and products."""

    def __init__(self, root, folder):
        self.folder = folder
        self.root = root
        self.keys = [f"--site={root}/config/sites/CTAO-North.yaml", "--night=2024-07-10"]

    def fit(self, nominal, *options, name="spe.h5", **settings):
        shipped = yaml.safe_load(
            (self.root / "config/tools/fit_single_photoelectron.yaml").read_text()
        )
        shipped["FitSinglePhotoelectron"] |= {
            "window_start": 14,
            "window_width": 24,
            "pedestal_window_start": -1,
        } | settings
        config = self.folder / "config.yaml"
        config.write_text(yaml.safe_dump(shipped))
        output = self.folder / name
        argv = [*self.keys, f"--config={config}", f"--input={nominal}", f"--output={output}"]
        run_tool(
            FitSinglePhotoelectron(), [*argv, "--overwrite", *options], cwd=self.folder, raises=True
        )
        return output

    def verdict(self, product):
        record = self.folder / "record.json"
        argv = [*self.keys, f"--product={product}", f"--output={record}", "--overwrite"]
        argv += [f"--criteria={self.root}/config/criteria.yaml"]
        run_tool(Verify(), argv, cwd=self.folder, raises=True)
        return json.loads(record.read_text())["content"]


@pytest.fixture
def camera(root, tmp_path):
    return Camera(root, tmp_path)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Truth; runs at nominal and high voltage, and without light."""
    folder, truth = tmp_path_factory.mktemp("runs"), small_camera()
    high = replace(truth, gain=5 * truth.gain)
    return truth, {
        "nominal": write_run(folder, truth, n_events=20_000, obs_id=1),
        "high": write_run(folder, high, n_events=20_000, obs_id=2, seed=2),
        "dark": write_run(
            folder, truth, n_events=4000, n_pe=0, event_type="DARK_PEDESTAL", obs_id=3, seed=3
        ),
    }


def high_gain(path):
    table = read_telescope_table(path, GROUP, 1, "single photoelectrons")
    return table[np.asarray(table["channel"]) == 0]


def test_dedicated_runs_to_a_verified_product(camera, runs):
    truth, files = runs
    path = camera.fit(
        files["nominal"], f"--high-voltage={files['high']}", f"--dark={files['dark']}"
    )
    pixels = high_gain(path)
    assert len(pixels) == N_PIXELS
    assert not pixels["status"].any()
    gain, error = (np.asarray(pixels[name]) for name in ("gain", "gain_stat_error"))
    assert pixels["gain"].unit == "adu"
    contained = np.mean(gain / truth.gain[0])
    assert CONTAINED < contained <= 1.005
    assert np.all(np.abs(gain - contained * truth.gain[0]) < 5 * error)
    assert np.all(error / gain < 0.02)
    assert np.all(np.abs(pixels["resolution"] - 0.5) < 5 * pixels["resolution_stat_error"])
    ratio = (pixels["high_gain"] / pixels["gain"]).value
    assert np.all(np.abs(ratio - 5) < 0.25)
    assert pixels["p_value"].min() > 1e-4
    own = read_product_header(path).own
    assert own["kind"] == KIND
    assert own["runs"] == {"nominal": 1, "high_voltage": 2, "dark": 3}
    assert own["n_events"] == {"nominal": 20_000, "high_voltage": 20_000, "dark": 4000}
    assert own["channels"][0]["n_good"] == N_PIXELS
    assert own["channels"][1]["n_good"] == 0  # photoelectrons of low gain are not seen
    verdict = camera.verdict(path)
    assert verdict["verdict"] == "PASS", verdict["because"]


def test_spectra_are_in_the_product(camera, runs):
    _, files = runs
    path = camera.fit(files["nominal"], f"--high-voltage={files['high']}")
    spectra = read_telescope_table(path, SPECTRA_GROUP, 1, "spectra")
    pixels = read_telescope_table(path, GROUP, 1, "single photoelectrons")
    assert spectra["nominal_counts"].dtype == np.uint16
    assert spectra["nominal_counts"].shape == (2 * N_PIXELS, 600)
    counted = sum(
        np.asarray(column)
        for column in (
            spectra["nominal_counts"].sum(axis=1),
            spectra["nominal_below"],
            spectra["nominal_above"],
        )
    )
    np.testing.assert_array_equal(counted, pixels["n_events"])
    assert "high_voltage_counts" in spectra.colnames


def test_a_given_shape_has_a_systematic_error(camera, runs):
    truth, files = runs
    path = camera.fit(files["nominal"])
    pixels = high_gain(path)
    assert not pixels["status"].any()
    relative = (pixels["gain_sys_error"] / pixels["gain"]).value
    assert np.all((relative > 0.005) & (relative < 0.05))
    whole = np.hypot(pixels["gain_stat_error"].value, pixels["gain_sys_error"].value)
    assert np.all(np.abs(pixels["gain"].value - truth.gain[0]) < 4 * whole)
    assert read_product_header(path).own["shape"] == "given"


def test_same_runs_same_content(camera, runs):
    _, files = runs
    one, two = (camera.fit(files["nominal"], name=name) for name in ("a.h5", "b.h5"))
    assert read_product_header(one).product_id == read_product_header(two).product_id


def test_half_the_camera_off(camera, runs, tmp_path):
    truth, _ = runs

    def off(waveform):
        waveform[:, :, 8:] = 0

    path = camera.fit(write_run(tmp_path, truth, change=off))
    pixels = high_gain(path)
    assert pixels["status"].tolist() == [0] * 8 + [int(SpeStatus.EMPTY)] * 8
    assert np.isnan(pixels["gain"][8:]).all()
    verdict = camera.verdict(path)
    assert verdict["verdict"] == "FAIL"
    assert any("SPE-02" in text for text in verdict["because"])


def test_swapped_gains(camera, runs, tmp_path):
    truth, _ = runs

    def swap(waveform):
        waveform[:] = waveform[:, ::-1].copy()

    high = replace(truth, gain=5 * truth.gain)
    path = write_run(tmp_path, high, n_events=4000, change=swap)
    with pytest.raises(ConfigurationError, match="the channels are swapped"):
        camera.fit(path)


def test_light_off(camera, runs, tmp_path):
    truth, _ = runs
    path = write_run(tmp_path, truth, n_events=3000, n_pe=0)
    with pytest.raises(InsufficientStatisticsError, match="16 of 16 pixels see no photoelectrons"):
        camera.fit(path)


def test_flat_field(camera, runs, tmp_path):
    truth, _ = runs
    path = write_run(tmp_path, truth, n_events=3000, n_pe=30)
    settings = {"pedestal_window_start": 0, "window_start": 14, "window_width": 14}
    with pytest.raises(ConfigurationError, match=r"is no run of single photoelectrons: 16 of 16"):
        camera.fit(path, **settings)


def test_too_few_events(camera, runs, tmp_path):
    truth, _ = runs
    path = write_run(tmp_path, truth, n_events=300)
    with pytest.raises(InsufficientStatisticsError, match="fewer events than `min_events`"):
        camera.fit(path)


def test_voltages_the_wrong_way_round(camera, runs):
    _, files = runs
    with pytest.raises(ConfigurationError, match="swap --input and --high-voltage"):
        camera.fit(files["high"], f"--high-voltage={files['nominal']}")


def test_a_run_of_another_kind(camera, runs):
    _, files = runs
    with pytest.raises(
        InsufficientStatisticsError, match="but DARK_PEDESTAL: a run of another type"
    ):
        camera.fit(files["dark"])


def test_blocks_need_an_index(camera, runs):
    _, files = runs
    with pytest.raises(ConfigurationError, match="observation blocks need --index"):
        camera.fit(files["nominal"], "--high-voltage-obs-id=2")


def test_windows_apart(camera, runs):
    _, files = runs
    with pytest.raises(ConfigurationError, match=r"samples 0 to 23, reaches into .* begins at 14"):
        camera.fit(files["nominal"], pedestal_window_start=0)
