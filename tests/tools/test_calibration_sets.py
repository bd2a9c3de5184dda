"""A calibration set through its Tools, and what is wrong with sets: what each Tool says."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from ctapipe.core import run_tool
from dedicated_runs import (
    N_PIXELS,
    RUNS,
    runs_table,
    small_camera,
    small_subarray,
    write_run,
    write_set,
)

from calibpipe.camera.calibration_set import calibration_set
from calibpipe.core.ecsv_input import read_ecsv
from calibpipe.core.exceptions import CalibPipeError
from calibpipe.core.telescope_file import read_telescope_table
from calibpipe.tools.calculate_crosstalk import CalculateCrosstalk
from calibpipe.tools.calculate_photon_transfer import PIXELS_GROUP, CalculatePhotonTransfer
from calibpipe.tools.calculate_pixel_statistics import CalculatePixelStatistics
from calibpipe.tools.fit_single_photoelectron import GROUP, FitSinglePhotoelectron
from calibpipe.tools.verify import Verify

CONFIGURATION, MISSING, FEW = 101, 105, 106
SCAN = [104, 105, 106, 107]


class Camera:
    """A folder with the runs of a set."""

    def __init__(self, root, folder):
        self.root, self.folder, self.scan = root, folder, SCAN

    def run(self, tool, config, *options):
        keys = [f"--site={self.root}/config/sites/CTAO-North.yaml", "--night=2024-07-10"]
        keys += [f"--config={self.root}/config/tools/{config}.yaml", "--overwrite"]
        run_tool(tool(), argv=[*keys, *options], cwd=self.folder, raises=True)

    def write(self, obs_id, run=None, change=None):
        """Another run instead of that of the set."""
        write_run(self.folder, obs_id, run or RUNS[obs_id], small_camera(), change=change)

    def paths(self, obs_id):
        return sorted(self.folder.rglob(f"TEL*OBSID*{obs_id}_*.fits.fz"))

    def files(self, obs_id, option="input"):
        return [f"--{option}={path}" for path in self.paths(obs_id)]

    def statistics(self, obs_id):
        config = f"calculate_pixel_statistics_{RUNS[obs_id].kind}"
        given = [*self.files(obs_id), f"--output=statistics.{obs_id}.h5"]
        self.run(CalculatePixelStatistics, config, *given)

    def photoelectrons(self, *options):
        given = [*self.files(108), *options, "--output=spe.h5"]
        self.run(FitSinglePhotoelectron, "fit_single_photoelectron", *given)

    def transfer(self, *options):
        given = [f"--input=statistics.{n}.h5" for n in self.scan]
        given += ["--dark=statistics.101.h5", "--runs=runs.ecsv", "--output=transfer.h5"]
        self.run(CalculatePhotonTransfer, "calculate_photon_transfer", *given, *options)

    def crosstalk(self, *options):
        given = [*self.files(110), *options, "--output=crosstalk.h5"]
        self.run(CalculateCrosstalk, "calculate_crosstalk", *given)

    def verdict(self, product):
        given = [f"--product={product}", "--output=record.json"]
        given += [f"--criteria={self.root}/config/criteria.yaml"]
        self.run(Verify, "verify", *given)
        return json.loads((self.folder / "record.json").read_text())["content"]


@pytest.fixture(scope="module", autouse=True)
def _described():
    """The Tools know the small camera."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("calibpipe.core.telescope.telescope_subarray", lambda _: small_subarray())
        yield


@pytest.fixture(scope="module")
def made(root, tmp_path_factory, _described):
    """All runs; statistics of those of the scan and of the closed camera."""
    camera = Camera(root, tmp_path_factory.mktemp("set"))
    write_set(camera.folder)
    runs_table().write(camera.folder / "runs.ecsv")
    for obs_id in (101, *SCAN):
        camera.statistics(obs_id)
    return camera


@pytest.fixture
def camera(made, root, tmp_path):
    """The same folder, products and runs may be changed."""
    for path in made.folder.glob("*.*"):
        shutil.copy(path, tmp_path)
    return Camera(root, tmp_path)


def refused(make, *options):
    """Exit code and message."""
    with pytest.raises(CalibPipeError) as error:
        make(*options)
    return error.value.exit_code, str(error.value)


def test_each_product_is_made_with_those_before_it(made):
    """Photoelectrons of three runs, photon transfer with them, cross-talk with that."""
    own = calibration_set(
        read_ecsv(made.folder / "runs.ecsv", "runs"), "PEDESTAL_FLAT_SCAN_SPE", "runs.ecsv"
    )
    assert own.products == ("single_photoelectron", "photon_transfer", "pedestal", "crosstalk")
    assert own.measured_runs == (101, 102, *SCAN)
    made.photoelectrons(*made.files(109, "high-voltage"), *made.files(101, "dark"))
    made.transfer("--single-photoelectron=spe.h5")
    made.crosstalk("--photon-transfer=transfer.h5")
    for product in ("spe", "crosstalk"):  # of a photon transfer more events are asked
        verdict = made.verdict(f"{product}.h5")
        assert (verdict["because"], verdict["verdict"]) == ([], "PASS")
    truth = small_camera().gain[0]
    table = read_telescope_table(made.folder / "spe.h5", GROUP, 1, "x")[:N_PIXELS]
    (row,) = read_telescope_table(made.folder / "transfer.h5", PIXELS_GROUP, 1, "x")
    gains = np.asarray(table["gain"]), row["gain"][0]
    errors = np.asarray(table["gain_stat_error"]), row["gain_stat_error"][0]
    for gain, error in zip(gains, errors, strict=True):
        contained = np.mean(gain / truth)  # of the pulse in the window
        assert 0.85 < contained < 1
        assert (np.abs(gain - contained * truth) < 5 * error).all()


def empty(waveform):
    waveform[:] = 0


def saturated(waveform):
    waveform[::2] = 4095


@pytest.mark.parametrize(
    ("change", "reason"),
    [(empty, "the same charge in all"), (saturated, "samples at the end of the ADC")],
)
def test_empty_or_saturated_spectra(camera, change, reason):
    camera.write(108, change=change)
    code, message = refused(camera.photoelectrons)
    assert code == FEW
    start = f"observation 108 of telescope 1 has no pixel with single photoelectrons: {N_PIXELS} "
    assert start in message
    assert reason in message


def test_light_source_that_fails_at_one_filter(camera):
    camera.write(106, run=replace(RUNS[106], n_pe=0.0))
    camera.statistics(106)
    code, message = refused(camera.transfer)
    assert code == CONFIGURATION
    assert "observation 106 has no light" in message
    assert "look at the light source" in message


def test_light_source_that_fails_in_the_run_of_single_photoelectrons(camera):
    camera.write(108, run=replace(RUNS[108], n_pe=0.0))
    code, message = refused(camera.photoelectrons)
    assert code == FEW
    assert f"{N_PIXELS} of {N_PIXELS} pixels see no photoelectrons" in message
    assert "is the light source off" in message


@pytest.mark.parametrize(
    ("obs_id", "other", "message"),
    [
        (101, 102, "but SKY_PEDESTAL: a run of another type?"),
        (104, 102, "no FLATFIELD among 200 events"),
        (108, 103, "but FLATFIELD or SKY_PEDESTAL: a run of another type?"),
        (110, 102, "no OTHER_CALIBRATION in the run"),
    ],
)
def test_run_of_another_type_than_the_table_says(camera, obs_id, other, message):
    camera.write(obs_id, run=replace(RUNS[other], kind=RUNS[obs_id].kind))
    step = {108: camera.photoelectrons, 110: camera.crosstalk}.get(
        obs_id, lambda: camera.statistics(obs_id)
    )
    code, text = refused(step)
    assert code == FEW
    assert message in text


def test_missing_filter_position(camera):
    code, message = refused(camera.transfer, "--input=statistics.104.h5")
    assert code == CONFIGURATION
    (camera.folder / "statistics.105.h5").unlink()
    camera.scan = [104, 106, 107]
    code, message = refused(camera.transfer)
    assert code == MISSING
    assert "no statistics of the filter positions of observations [105]; make them" in message


def swap(waveform):
    waveform[:] = waveform[:, ::-1].copy()


def test_swapped_gains(camera):
    for obs_id in SCAN:
        camera.write(obs_id, change=swap)
        camera.statistics(obs_id)
    code, message = refused(camera.transfer)
    assert code == CONFIGURATION
    assert "gains are swapped" in message
    camera.write(109, change=swap)
    (path,) = camera.paths(109)
    path.rename(path.with_name(path.name.replace("109_", "108_")))
    code, message = refused(camera.photoelectrons)
    assert code == CONFIGURATION
    assert "the channels are swapped" in message


def off(waveform):
    waveform[:, :, N_PIXELS // 2 :] = 0


def test_half_a_camera_off_is_not_certified(camera):
    for obs_id in SCAN:
        camera.write(obs_id, change=off)
        camera.statistics(obs_id)
    camera.transfer()
    (row,) = read_telescope_table(camera.folder / "transfer.h5", PIXELS_GROUP, 1, "x")
    assert np.isnan(row["gain"][:, N_PIXELS // 2 :]).all()
    assert np.isfinite(row["gain"][:, : N_PIXELS // 2]).all()
    verdict = camera.verdict("transfer.h5")
    assert verdict["verdict"] == "FAIL"
    assert any("PTC-01 unusable_fraction" in text for text in verdict["because"])
