"""Pedestals of simulated runs with known truth, through the Tools."""

import shutil

import astropy.units as u
import numpy as np
import pytest
from astropy.table import Table
from astropy.time import Time
from dedicated_runs import N_PIXELS, Run, small_camera, small_subarray, write_run
from tools.test_calibration_sets import CONFIGURATION, FEW, Camera, off, refused

from calibpipe.archive.candidate import Candidate
from calibpipe.archive.certify import certify
from calibpipe.archive.observatory import upload_site
from calibpipe.archive.repository import init_archive
from calibpipe.camera.pedestal import PedestalStatus
from calibpipe.core.product_header import read_product_header
from calibpipe.core.products import ProductMetadata
from calibpipe.core.telescope_file import read_telescope_table, write_telescope_tables
from calibpipe.tools.calculate_pedestal import PEDESTAL_GROUP, CalculatePedestal
from calibpipe.tools.calculate_photon_transfer import KIND as TRANSFER
from calibpipe.tools.calculate_photon_transfer import PIXELS_GROUP, SKY_GROUP

N_DARK, N_SKY = 2000, 1500
WIDTH = 12
HALF = N_PIXELS // 2
F2, F2_ERROR, GAIN_ERROR, WINDOW = 1.222, 0.02, 0.01, 1.25


class Pedestals(Camera):
    """A folder with runs of the closed and of the open camera."""

    def pedestal(self, *options, dark=101, sky=(102,)):
        given = [f"--dark=statistics.{dark}.h5", *(f"--sky=statistics.{n}.h5" for n in sky)]
        self.run(CalculatePedestal, "calculate_pedestal", *given, "--output=pedestal.h5", *options)

    def found(self):
        """Numbers of the pixels and the header."""
        path = self.folder / "pedestal.h5"
        (row,) = read_telescope_table(path, PEDESTAL_GROUP, 1, "pedestal")
        return row, read_product_header(path).own


@pytest.fixture(scope="module", autouse=True)
def _described():
    """The Tools know the small camera."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("calibpipe.core.telescope.telescope_subarray", lambda _: small_subarray())
        yield


def photon_transfer(folder, *, window=True, shape=None):
    """True gains with 1 % of error, of a window with 1/1.25 of the pulse; one pixel has none."""
    gain = small_camera().gain / WINDOW
    gain = gain if shape is None else np.ones(shape)
    status = np.zeros(gain.shape, int)
    status[:, 3] = 8
    columns = {
        "gain": gain,
        "gain_stat_error": GAIN_ERROR * gain,
        "gain_sys_error": gain * F2_ERROR / F2,
        "squared_excess_noise_factor": np.full(gain.shape, F2),
        "status": status,
    }
    sky = {
        "window_factor": np.full(gain.shape, WINDOW),
        "window_factor_sys_error": np.zeros(gain.shape),
    }
    tables = {PIXELS_GROUP: columns} | ({SKY_GROUP: sky} if window else {})
    begin = Time("2024-07-01T23:00:00", scale="tai")
    metadata = ProductMetadata(
        TRANSFER,
        "photon transfer of some days before",
        site="CTAO-North",
        night="2024-07-01",
        category="C",
        validity=(begin, begin + 30 * u.day),
        details={"array_element": "LSTN-01", "tel_id": 1},
    )
    rows = {
        group: Table({name: values[np.newaxis] for name, values in table.items()})
        for group, table in tables.items()
    }
    path = folder / "transfer.h5"
    return write_telescope_tables(path, small_subarray(), 1, rows, metadata)


@pytest.fixture(scope="module")
def made(root, tmp_path_factory, _described):
    """Both runs, their statistics, gains, and the pedestal."""
    camera = Pedestals(root, tmp_path_factory.mktemp("pedestal"))
    for obs_id, run in (
        (101, Run("dark", {"DARK_PEDESTAL": N_DARK})),
        (102, Run("pedestal", {"SKY_PEDESTAL": N_SKY})),
    ):
        write_run(camera.folder, obs_id, run, small_camera())
        camera.statistics(obs_id)
    photon_transfer(camera.folder)
    camera.pedestal("--photon-transfer=transfer.h5")
    return camera


@pytest.fixture
def camera(made, root, tmp_path):
    """The same folder, products and runs may be changed."""
    for path in made.folder.glob("*.*"):
        shutil.copy(path, tmp_path)
    return Pedestals(root, tmp_path)


def check_pull(values, error, truth):
    pull = ((values - truth) / error).ravel()
    assert np.std(pull) == pytest.approx(1, abs=4 / np.sqrt(2 * pull.size))
    assert np.mean(pull) == pytest.approx(0, abs=4 / np.sqrt(pull.size))


def test_baseline_and_noise_come_back_with_their_errors(made):
    (row, header), truth = made.found(), small_camera()
    rms = np.sqrt(truth.electronic_noise**2 + 1 / 12)
    known = {
        "dark_mean": truth.pedestal,
        "dark_window_mean": WIDTH * truth.pedestal,
        "dark_sample_rms": rms,
        "dark_window_rms": rms * np.sqrt(WIDTH),
        "sky_mean": truth.pedestal,  # AC coupled
    }
    for name, true in known.items():
        check_pull(row[name], row[f"{name}_stat_error"], true)
    assert (row["status"] == 0).all()
    assert (row["dark_n_events"] > 0.99 * N_DARK).all()
    assert header["obs_id"] == 101
    assert header["sky_obs_ids"] == [102]


def test_rate_of_the_sky_comes_back(made):
    """Of the other pixel there is no gain. 2 * 1 % of the gain and F² once."""
    (row, header), truth = made.found(), small_camera()
    known = np.arange(N_PIXELS) != 3
    assert np.isnan(row["nsb_rate"][:, 3]).all()
    rate, error = row["nsb_rate"][:, known], row["nsb_rate_stat_error"][:, known]
    check_pull(rate[0], np.hypot(error[0], 1e-3 * rate[0]), truth.nsb_rate[known])
    sys_error = row["nsb_rate_sys_error"][:, known] / rate
    assert sys_error == pytest.approx(np.hypot(2 * GAIN_ERROR, F2_ERROR / F2), rel=1e-4)
    assert header["no_nsb_rate"] == ""
    assert header["remarks"] == []
    assert "camera/photon_transfer" in [entry["role"] for entry in header["inputs"]]


def test_chunks_that_differ_no_more_than_their_errors_have_small_systematic_errors(made):
    """Four chunks: χ² of 3 degrees is below 3, so s² below σ², with a chance of 0.608."""
    row, _ = made.found()
    chunk_error = 2 * row["dark_mean_stat_error"]
    is_zero, chance = row["dark_mean_sys_error"] == 0, 0.608
    error = np.sqrt(chance * (1 - chance) / is_zero.size)
    assert np.mean(is_zero) == pytest.approx(chance, abs=4 * error)
    assert (row["dark_mean_sys_error"] < 2.5 * chunk_error).all()


def test_it_is_verified_and_holds_for_a_month(made):
    verdict = made.verdict("pedestal.h5")
    assert (verdict["because"], verdict["verdict"]) == ([], "PASS")
    begin, end = read_product_header(made.folder / "pedestal.h5").validity
    assert (end - begin).to_value("day") == pytest.approx(30)
    assert begin.utc.isot.startswith("2024-07-10T22:00:00")


def test_without_sky_or_gain_the_header_says_why(camera, made):
    before, _ = made.found()
    camera.pedestal(sky=())
    row, header = camera.found()
    assert header["no_nsb_rate"] == "no sky pedestals are given"
    assert np.isnan(row["sky_window_rms"]).all()
    assert row["dark_mean"].tolist() == before["dark_mean"].tolist()
    assert camera.verdict("pedestal.h5")["verdict"] == "PASS"
    camera.pedestal()
    row, header = camera.found()
    assert header["no_nsb_rate"] == "no gain is known: no photon transfer is given"
    assert f"no rate of the night sky: {header['no_nsb_rate']}" in header["remarks"]
    assert np.isnan(row["nsb_rate"]).all()
    assert row["sky_window_rms"].tolist() == before["sky_window_rms"].tolist()
    photon_transfer(camera.folder, window=False)
    camera.pedestal("--photon-transfer=transfer.h5")
    assert "has no correction of its window; make it with" in camera.found()[1]["no_nsb_rate"]


def test_certified_gains_of_the_nights_before(camera, made, north):
    """As those of a file, if they are not too old."""
    archive = init_archive(camera.folder / "archive")
    upload_site(archive, north, {f"LSTN-0{n}": n for n in range(1, 5)})
    given = Candidate(read_product_header(camera.folder / "transfer.h5"), verdict="PASS")
    certify(archive, [given], author="me", reason="a test")
    camera.pedestal("--archive=archive")
    (row, _), (before, _) = camera.found(), made.found()
    assert np.array_equal(row["nsb_rate"], before["nsb_rate"], equal_nan=True)
    camera.pedestal("--archive=archive", "--CalculatePedestal.gains_age_in_days=5")
    reason = "no gain is known: no photon transfer is given, none certified in the 5 days before"
    assert camera.found()[1]["no_nsb_rate"] == reason


def test_half_a_camera_off_is_not_certified(camera):
    camera.write(101, Run("dark", {"DARK_PEDESTAL": N_DARK}), change=off)
    camera.statistics(101)
    camera.pedestal()
    row, header = camera.found()
    assert (row["status"][:, HALF:] & PedestalStatus.NO_NOISE != 0).all()
    assert np.isnan(row["dark_mean"][:, HALF:]).all()
    assert (row["status"][:, :HALF] == 0).all()
    assert header["n_pixels_with_status"] == [N_PIXELS - HALF] * 2
    verdict = camera.verdict("pedestal.h5")
    assert verdict["verdict"] == "FAIL"
    assert any("PED-01 unusable_fraction" in text for text in verdict["because"])


def test_half_a_camera_without_high_voltage_sees_no_sky(camera):
    def blind(waveform):
        rng = np.random.default_rng(1)
        closed = rng.normal(400, 5, waveform[:, :, HALF:].shape)
        waveform[:, :, HALF:] = np.round(closed)

    camera.write(102, Run("pedestal", {"SKY_PEDESTAL": 300}), change=blind)
    camera.statistics(102)
    camera.pedestal()
    because = camera.verdict("pedestal.h5")["because"]
    assert any("PED-08 blind_fraction" in text for text in because)


def test_a_dark_run_that_is_none(camera):
    code, message = refused(lambda: camera.pedestal(dark=102))
    assert code == CONFIGURATION
    assert "statistics.102.h5 is made of SKY_PEDESTAL, needs DARK_PEDESTAL" in message
    code, message = refused(lambda: camera.pedestal(sky=(101,)))
    assert (code, "is made of DARK_PEDESTAL, needs SKY" in message) == (CONFIGURATION, True)


def test_a_camera_that_is_off(camera):
    def off_all(waveform):
        waveform[:] = 0

    camera.write(101, Run("dark", {"DARK_PEDESTAL": 100}), change=off_all)
    camera.statistics(101)
    code, message = refused(camera.pedestal)
    assert code == FEW
    assert "no pixel has 25 events of the closed camera that fluctuate; give a longer" in message


def test_gains_of_another_camera(camera):
    photon_transfer(camera.folder, shape=(1, 8))
    code, message = refused(lambda: camera.pedestal("--photon-transfer=transfer.h5"))
    assert code == CONFIGURATION
    assert "gains are of (1, 8) channels and pixels, the pedestals of (2, 19)" in message
