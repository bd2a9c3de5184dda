"""A night without a calibration set against the dedicated calibrations that are certified."""

import json
import shutil

import astropy.units as u
import numpy as np
import pytest
from ctapipe.core import run_tool
from tools.test_calibration_runs import Runs, spe_product, width

from calibpipe.archive.candidate import Candidate
from calibpipe.archive.certify import certify
from calibpipe.archive.observatory import upload_site
from calibpipe.archive.repository import init_archive
from calibpipe.archive.validity import Interval
from calibpipe.core.monitoring_file import read_camera_coefficients
from calibpipe.core.product_header import read_product_header
from calibpipe.tools.calculate_camcalib_coefficients import CalculateCamcalibCoefficients
from calibpipe.tools.verified_products import product_metrics
from calibpipe.tools.verify import Verify

TRANSFER, SPE = "camera/photon_transfer", "camera/single_photoelectron"
DARK, SCAN, NIGHT = 101, [102, 103, 104], 105  # the last run of the scan is our night
OTHER_PIXELS = [*range(20, 230)]  # 11 % of the camera
pytestmark = pytest.mark.slow  # seven Tools on five simulated runs
DEDICATED = [f"CAM-4{n}" for n in range(1, 9)]


@pytest.fixture(scope="module")
def made(root, tmp_path_factory):
    """Photon transfer of three runs, coefficients of a fourth one with 72 p.e."""
    runs = Runs(root, tmp_path_factory.mktemp("runs"))
    n = [f"--n-{name}=60" for name in ("flatfield", "pedestal", "dark-pedestal")]
    options = ["--seed=4", *n, "--n-single-pixel=0"]
    runs.simulate(*options, transmissions=[0.04, 0.12, 0.3, 0.12], spread={"dead": 0.01})
    for obs_id in (*SCAN, NIGHT):
        runs.statistics(obs_id)
    closed = "--CalculatePixelStatistics"
    runs.statistics(DARK, f"{closed}.pedestals_only=True", f"{closed}.pedestal_type=DARK_PEDESTAL")
    shutil.copy(runs.folder / "dl0/calibration_runs.2024-07-10.ecsv", runs.folder / "runs.ecsv")
    # 60 events: B² of each pixel would take too much of the gain's precision
    options = ("allow_missing_points=True", "quadratic_noise=common")
    runs.transfer(*(f"--CalculatePhotonTransfer.{option}" for option in options), obs_ids=SCAN)
    config = f"--config={root}/config/tools/calculate_camcalib_coefficients.yaml"
    given = [f"--input=statistics.{NIGHT}.h5", "--output=coefficients.h5", "--overwrite"]
    runs.run(CalculateCamcalibCoefficients, config, *given, night="2024-07-11")
    table = read_camera_coefficients(runs.folder / "coefficients.h5", 1)
    gain = np.nan_to_num(np.asarray(table["gain"])[0, 0], nan=1.0)
    spe_product(runs, gain)
    return runs


def metrics(runs, **dedicated):
    path = runs.folder / "coefficients.h5"
    data = [runs.folder / f"statistics.{NIGHT}.h5"]
    given = {kind: runs.folder / file for kind, file in dedicated.items()}
    header = read_product_header(path)
    return product_metrics(path, header, data, {}, None, given)[1]["dedicated"]


def test_gains_of_the_same_camera_agree_within_their_errors(made):
    found = metrics(made, **{TRANSFER: "transfer.h5"})
    for pull, ratio in zip(found["transfer_pull"], found["gain_to_transfer"][:, 0], strict=True):
        # gains to 19 % and 13 % a pixel; 1 % is what the window at the maximum has less or more
        error = 1.25 * np.hypot(0.19, 0.13) / np.sqrt(np.isfinite(pull).sum())
        assert ratio == pytest.approx(1, abs=4 * error + 0.01)
        spread, tolerance = width(pull)
        assert spread == pytest.approx(1, abs=tolerance)
    assert np.max(found["transfer_disagreement"]) < 0.02
    # the sky in high gain: 25 and more p.e.² in the window against 0.6 p.e.² of the electronics
    assert np.nanmin(found["noise_to_dark"][0]) > 3
    assert np.nanmedian(np.abs(found["pedestal_to_dark"])) < 0.2  # AC coupled


def test_single_photoelectrons_alone(made):
    found = metrics(made, **{SPE: "spe.h5"})
    assert set(found) == {"gain_to_spe", "spe_pull", "spe_disagreement"}
    assert found["gain_to_spe"] == pytest.approx(np.array([[1.0]]))
    assert np.isnan(found["spe_pull"][0, :5]).all()


@pytest.fixture
def night(made, tmp_path, root, north):
    """Verification of the night against an archive with what is certified."""
    archive = init_archive(tmp_path / "archive")
    upload_site(archive, north, {f"LSTN-0{n}": n for n in range(1, 5)})
    scan = read_product_header(made.folder / "transfer.h5").validity[0]

    def certified(path, days=0.0):
        header = read_product_header(path)
        begin = scan - days * u.day
        interval = Interval.of(begin, begin + 1 * u.day)
        candidate = Candidate(header, validity=interval, verdict="PASS")
        certify(archive, [candidate], author="me", reason="a test")
        return str(header.product_id)

    def verified():
        argv = [
            f"--site={root}/config/sites/CTAO-North.yaml",
            "--night=2024-07-11",
            f"--criteria={root}/config/criteria.yaml",
            f"--product={made.folder}/coefficients.h5",
            f"--data={made.folder}/statistics.{NIGHT}.h5",
            f"--archive={archive.location}",
            f"--output={tmp_path}/verified.json",
            "--overwrite",
        ]
        run_tool(Verify(), argv, cwd=tmp_path, raises=True)
        content = json.loads((tmp_path / "verified.json").read_text())["content"]
        return content, {entry["id"]: entry["result"] for entry in content["criteria"]}

    return certified, verified


def test_nothing_certified_is_no_failure(night):
    _, verified = night
    content, results = verified()
    assert {results[name] for name in DEDICATED} == {"NOT APPLICABLE"}
    assert not any("CAM-4" in reason for reason in content["because"])
    assert content["compared_with"] == {}


def test_a_night_is_compared_with_what_is_certified(night, made):
    certified, verified = night
    ids = {TRANSFER: certified(made.folder / "transfer.h5")}
    ids[SPE] = certified(made.folder / "spe.h5", days=40)
    content, results = verified()
    assert content["compared_with"] == ids
    assert {results[name] for name in DEDICATED} == {"PASS"}


def test_gains_that_moved_since_fail(night, made, tmp_path, root):
    """Single photoelectrons with three times the gain in 11 % of the pixels, then 20 % in all."""
    certified, verified = night
    table = read_camera_coefficients(made.folder / "coefficients.h5", 1)
    gain = np.nan_to_num(np.asarray(table["gain"])[0, 0], nan=1.0)
    other = Runs(root, tmp_path)
    gain[OTHER_PIXELS] *= 3
    spe_product(other, gain)
    certified(tmp_path / "spe.h5", days=20)
    content, results = verified()
    assert (results["CAM-44"], results["CAM-45"]) == ("PASS", "FAIL")
    assert any(
        reason.startswith("CAM-45 spe_disagreement: 1 of 1") for reason in content["because"]
    )
    gain[:] *= 1.2
    spe_product(other, gain)
    certified(tmp_path / "spe.h5", days=10)  # the newest counts
    content, results = verified()
    assert results["CAM-44"] == "FAIL"


def test_calibrations_of_long_ago_say_nothing(night, made):
    certified, verified = night
    certified(made.folder / "spe.h5", days=62)
    content, _ = verified()
    assert content["compared_with"] == {}
