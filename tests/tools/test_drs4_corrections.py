"""DRS4 corrections through the Tool: closure on simulated raw runs, and what is refused.

5000 dark events at 1 kHz: 43 readings of each capacitor, errors of 0.8 ADC of high gain.
"""

import json
import os

os.environ.setdefault("CTAPIPE_IO_ZFITS_NO_SERVICE_DATA", "1")

import numpy as np
import pytest
from ctapipe.core import run_tool
from dedicated_runs import N_PIXELS, RUNS, small_camera, small_subarray, write_run
from drs4_data import small_truth, true_noise, write_raw_run

from calibpipe.camera.drs4_pulses import corrected_waveform
from calibpipe.camera.drs4_run import CapacitorReason, Drs4Reason, RawRun
from calibpipe.camera.drs4_tables import baselines_of_table, law_of_table, sampling_of_table
from calibpipe.core.exceptions import CalibPipeError
from calibpipe.core.product_header import read_product_header
from calibpipe.core.telescope_file import read_telescope_table
from calibpipe.tools.calculate_drs4_corrections import (
    CAPACITORS_GROUP,
    LAW_GROUP,
    PIXELS_GROUP,
    POINTS_GROUP,
    SAMPLING_GROUP,
    CalculateDrs4Corrections,
)
from calibpipe.tools.verify import Verify

CONFIGURATION, MISSING, FEW = 101, 105, 106
DARK, SECOND = 112, 113
N_EVENTS = 5000
OFF = slice(0, 10)  # pixels of half a camera


class Camera:
    """A folder with raw runs."""

    def __init__(self, root, folder):
        self.root, self.folder = root, folder

    def correct(self, paths, *options, output="drs4.h5"):
        argv = [f"--site={self.root}/config/sites/CTAO-North.yaml", "--night=2024-07-10"]
        argv += [f"--config={self.root}/config/tools/calculate_drs4_corrections.yaml"]
        argv += [f"--input={path}" for path in paths]
        argv += [f"--output={output}", "--overwrite", *options]
        run_tool(CalculateDrs4Corrections(), argv=argv, cwd=self.folder, raises=True)

    def table(self, group, path="drs4.h5"):
        return read_telescope_table(self.folder / path, group, 1, "DRS4 corrections")

    def header(self, path="drs4.h5"):
        return read_product_header(self.folder / path)


@pytest.fixture(scope="module", autouse=True)
def _described():
    """The Tools know the small camera."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("calibpipe.core.telescope.telescope_subarray", lambda _: small_subarray())
        yield


@pytest.fixture(scope="module")
def made(root, tmp_path_factory, _described):
    """Corrections of a dark run."""
    camera = Camera(root, tmp_path_factory.mktemp("drs4"))
    camera.dark = write_raw_run(camera.folder, DARK, N_EVENTS)
    camera.correct(camera.dark)
    return camera


@pytest.fixture
def camera(root, tmp_path):
    return Camera(root, tmp_path)


def verdict(camera, product="drs4.h5"):
    """Content of the record of a verification."""
    argv = [f"--site={camera.root}/config/sites/CTAO-North.yaml", "--night=2024-07-10"]
    argv += [f"--criteria={camera.root}/config/criteria.yaml", "--overwrite"]
    argv += [f"--product={product}", "--output=record.json"]
    run_tool(Verify(), argv=argv, cwd=camera.folder, raises=True)
    return json.loads((camera.folder / "record.json").read_text())["content"]


def test_verified(made):
    content = verdict(made)
    assert content["verdict"] == "PASS"
    results = {entry["id"]: entry for entry in content["criteria"]}
    assert {f"DRS-{n:02d}" for n in range(1, 12)} <= set(results)


def true_baselines():
    return small_camera().pedestal[..., np.newaxis] + small_truth().baseline


def test_baselines_of_all_capacitors(made):
    table = made.table(CAPACITORS_GROUP)
    found = baselines_of_table(table)
    n = np.asarray(table["n_entries"]).reshape(found.shape)
    assert found.shape == (2, N_PIXELS, 4096)
    assert np.isfinite(found).all()
    n_left_out = N_EVENTS * 36 * 2 * N_PIXELS - n.sum()  # first readings: times are not known
    assert 0.85 < n_left_out / found.size < 1  # some were by the noisy samples at the ends
    off = found - true_baselines()
    pull = off / (true_noise()[..., np.newaxis] / np.sqrt(n))
    assert np.std(pull) == pytest.approx(1, abs=4 / np.sqrt(2 * pull.size))
    pixels = made.table(PIXELS_GROUP)[0]
    sys_error = np.asarray(pixels["sys_error"], float)
    assert (np.abs(off.mean(axis=-1)) < 4 * sys_error).all()
    assert sys_error.max() < 0.05
    stat_error = np.asarray(table["stat_error"]).reshape(found.shape)
    assert np.mean(stat_error**2) == pytest.approx(np.mean(off**2), rel=0.02)
    assert np.asarray(pixels["noise"]) == pytest.approx(true_noise(), rel=0.02)
    spread = small_truth().baseline.std(axis=-1)
    assert np.asarray(pixels["spread"]) == pytest.approx(spread, rel=0.01)
    assert not np.asarray(pixels["status"]).any()


def test_time_lapse_comes_back(made):
    """C07."""
    law = law_of_table(made.table(LAW_GROUP))
    off = np.array([law.amplitude - 32.99, law.exponent - 0.22, law.offset - 11.9])
    assert (np.abs(off) < 4 * np.sqrt(np.diag(law.covariance))).all()
    assert law.chi2 == pytest.approx(law.n_degrees, abs=4 * np.sqrt(2 * law.n_degrees))
    for t, value in ((0.1, 42.85), (1.0, 21.09), (10.0, 7.98)):
        assert abs(float(law(t)) - value) < 4 * float(law.error(t)) + 0.005
        assert float(law.error(t)) < 0.03
    points = made.table(POINTS_GROUP)
    assert set(points["channel"]) == {0, 1}
    assert np.asarray(points["time"]).min() < 0.1
    assert made.table(LAW_GROUP)["sys_error"][0] < 0.1


def test_header(made):
    header = made.header()
    own = header.own
    assert header.kind == "camera/drs4"
    assert own["runs"] == {"dark": DARK}
    assert own["n_events"] == {"dark": N_EVENTS, "pulses": 0}
    assert own["array_element"] == "LSTN-01"
    assert own["known_fraction"] == 1.0
    assert own["remarks"] == []
    begin, end = header.validity
    assert (end - begin).to_value("d") == pytest.approx(30)


def test_a_second_run_has_the_noise_of_the_electronics_left(made, tmp_path):
    """Without the corrections it has 10 ADC of the baselines and the time lapse besides."""
    run = RawRun(write_raw_run(tmp_path, SECOND, 500), {3})
    baseline = baselines_of_table(made.table(CAPACITORS_GROUP))
    n = np.asarray(made.table(CAPACITORS_GROUP)["n_entries"]).reshape(baseline.shape)
    law = law_of_table(made.table(LAW_GROUP))
    left = [corrected_waveform(r, baseline, law) for r in run.readings()]
    raw = np.concatenate([r.waveform for r in run.readings()])
    left = np.concatenate(left)
    expected = true_noise() * np.sqrt(1 + np.mean(1 / n, axis=-1))
    n_values = left.shape[0] * left.shape[-1]
    relative = left.std(axis=(0, 3)) / expected
    # readings of an unknown time keep their time lapse: few, most of them rested
    assert relative == pytest.approx(1, abs=5 / np.sqrt(2 * n_values) + 0.01)
    assert (raw.std(axis=(0, 3)) > 10).all()


def test_known_law(made, camera):
    given = ["--time-lapse=given", "--CalculateDrs4Corrections.min_entries=5"]
    camera.correct(made.dark, *given)
    law = law_of_table(camera.table(LAW_GROUP))
    assert (law.amplitude, law.exponent, law.offset) == (32.99, 0.22, 11.9)
    wrong = ["--CalculateDrs4Corrections.known_time_lapse=" + v for v in ("27.33", "0.24", "10.4")]
    camera.correct(made.dark, *given, *wrong, output="warm.h5")
    errors = [camera.table(PIXELS_GROUP, p)[0]["sys_error"] for p in ("drs4.h5", "warm.h5")]
    assert np.median(errors[1]) > 20 * np.median(errors[0])  # a law that is not that of the data


def test_sampling_times_of_pulses(made, camera):
    """80 p.e. of high gain; low gain is below the 200 ADC, but for a lower limit."""
    pulses = write_raw_run(camera.folder, 117, 4000, event_type="FLATFIELD", n_pe=80.0)
    more = "--CalculateDrs4Corrections"
    lower = [f"{more}.min_charge_in_adc={value}" for value in (200.0, 100.0)]
    given = [f"--flatfield={path}" for path in pulses]
    camera.correct(made.dark, "--time-lapse=given", *given, *lower)
    times = sampling_of_table(camera.table(SAMPLING_GROUP))
    truth = small_truth()
    sys_error = np.asarray(camera.table(SAMPLING_GROUP)["sys_error"][0], float)
    assert np.median(times.error) < 0.01
    assert (sys_error > 0.0099).all()
    for series, true in ((times.cosine, truth.cosine), (times.sine, truth.sine)):
        pull = (series - true)[:, 1] / times.error[1]
        # between events alone and with the window, which is the systematic error
        whole, error = np.hypot(1, (sys_error / times.error)[1]).max(), 4 / np.sqrt(2 * pull.size)
        assert 1 - error < np.std(pull) < whole + error
        assert np.std((series - true) / np.hypot(times.error, sys_error)) < 1.1
        assert np.sum(series * true) / np.sum(true**2) == pytest.approx(1, abs=0.01)
    own = camera.header().own
    assert own["runs"] == {"dark": DARK, "pulses": 117}
    assert own["n_events"] == {"dark": N_EVENTS, "pulses": 4000}


def off(samples):
    samples[:, :, OFF] = 0


def refused(make, *options):
    """Exit code and message."""
    with pytest.raises(CalibPipeError) as error:
        make(*options)
    return error.value.exit_code, str(error.value)


def test_half_a_camera_off(camera):
    camera.correct(write_raw_run(camera.folder, DARK, 2500, change=off))
    pixels = camera.table(PIXELS_GROUP)[0]
    status = np.asarray(pixels["status"])
    assert (status[:, OFF] & Drs4Reason.NO_NOISE.value).all()
    assert not status[:, OFF.stop :].any()
    assert camera.header().own["n_pixels_with_status"] == [10, 10]
    content = verdict(camera)
    assert content["verdict"] == "FAIL"
    failed = [entry["id"] for entry in content["criteria"] if entry["result"] == "FAIL"]
    assert "DRS-01" in failed
    found = baselines_of_table(camera.table(CAPACITORS_GROUP))[:, OFF.stop :]
    pull = (found - true_baselines()[:, OFF.stop :]) / true_noise()[:, OFF.stop :, np.newaxis]
    assert np.nanstd(pull) < 0.5


def test_noisy_capacitors_and_those_with_few_readings(camera):
    def noisy(samples):
        rng = np.random.default_rng(len(samples))
        samples[:, 1, 15] += rng.integers(0, 60, samples[:, 1, 15].shape).astype(np.uint16)

    camera.correct(write_raw_run(camera.folder, DARK, 2500, change=noisy))
    status = np.asarray(camera.table(PIXELS_GROUP)[0]["status"])
    assert status[1, 15] == Drs4Reason.STRANGE_NOISE.value
    assert np.count_nonzero(status) == 1
    table = camera.table(CAPACITORS_GROUP)
    few = np.asarray(table["n_entries"]) < 10
    bits = np.asarray(table["status"])
    assert few.any()
    assert ((bits & CapacitorReason.TOO_FEW_READINGS.value) != 0).tolist() == few.tolist()
    assert np.isnan(np.asarray(table["baseline"])[few]).all()


def test_runs_that_are_refused(made, camera):
    def zero(cells):
        cells[:] = 0

    code, message = refused(camera.correct, write_raw_run(camera.folder, 114, 40, cells=zero))
    assert code == MISSING
    assert "first_cell_id is zero" in message
    assert "the camera server has corrected the data or does not write them" in message
    plain = write_run(camera.folder, 101, RUNS[102], small_camera())
    code, message = refused(camera.correct, [plain])
    assert code == FEW
    assert "no DARK_PEDESTAL event among 200" in message
    assert "SKY_PEDESTAL: a run of another type?" in message
    few = write_raw_run(camera.folder, 115, 300)
    code, message = refused(camera.correct, few, "--time-lapse=given")
    assert code == FEW
    assert "no pixel has 10 readings of 90 % of its capacitors in 300 dark events" in message
    code, message = refused(camera.correct, few)
    assert code == FEW
    assert "a time-lapse law needs 10 %; give more dark events" in message
    code, message = refused(
        camera.correct, few, f"--flatfield={made.dark[0]}", "--time-lapse=given"
    )
    assert code == FEW


def test_slow_events_have_no_time_lapse(camera):
    slow = write_raw_run(camera.folder, 116, 2500, rate=0.2)
    code, message = refused(camera.correct, slow)
    assert code == FEW
    assert "at least 4 times below 100 ms" in message
    camera.correct(slow, "--time-lapse=given")
    assert not np.asarray(camera.table(PIXELS_GROUP)[0]["status"]).any()
