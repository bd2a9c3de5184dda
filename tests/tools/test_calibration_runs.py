"""Dedicated runs through all Tools: simulation, statistics, photon transfer, cross-talk, exclusion.

60 events a run: errors are large, pulls are exact.
"""

import os

os.environ.setdefault("CTAPIPE_IO_ZFITS_NO_SERVICE_DATA", "1")

import shutil

import numpy as np
import pytest
import yaml
from astropy.table import QTable, Table
from ctapipe.core import run_tool
from ctapipe.core.tool import ToolConfigurationError

from calibpipe.core.ecsv_input import read_ecsv
from calibpipe.core.exceptions import CalibPipeError
from calibpipe.core.product_header import read_product_header
from calibpipe.core.products import read_table
from calibpipe.core.telescope_file import read_telescope_table
from calibpipe.simulation.camera import truth_from_table
from calibpipe.tools.calculate_crosstalk import PAIRS_GROUP, CalculateCrosstalk
from calibpipe.tools.calculate_drs4_corrections import (
    CAPACITORS_GROUP,
    CalculateDrs4Corrections,
)
from calibpipe.tools.calculate_pedestal import PEDESTAL_GROUP, CalculatePedestal
from calibpipe.tools.calculate_photon_transfer import (
    PIXELS_GROUP,
    POINTS_GROUP,
    RATIO_GROUP,
    SKY_GROUP,
    CalculatePhotonTransfer,
)
from calibpipe.tools.calculate_pixel_statistics import CalculatePixelStatistics
from calibpipe.tools.drs4_simulation import TRUE_CAPACITORS
from calibpipe.tools.select_excluded_pixels import HISTORY_GROUP, SelectExcludedPixels
from calibpipe.tools.select_excluded_pixels import PIXELS_GROUP as EXCLUSION_GROUP
from calibpipe.tools.simulate_calibration_runs import SimulateCalibrationRuns
from calibpipe.tools.verified_products import known_metrics, product_metrics
from calibpipe.verification.criteria import criteria_of

MISSING, FEW, CONFIGURATION, CORRUPTED = 105, 106, 101, 104
TRANSMISSIONS = [0.03, 0.06, 0.12, 0.5, 1.0]
SCAN = [102, 103, 104, 105, 106]
DARK, SINGLE = 101, 107
N_EVENTS, CROSSTALK, DEAD = 60, 0.02, 0.01
LIT = [*range(900, 912)]


class Runs:
    """A folder with dedicated runs of LSTN-01."""

    def __init__(self, root, folder):
        self.root, self.folder = root, folder

    def run(self, tool, *options, night="2024-07-10"):
        argv = [f"--site={self.root}/config/sites/CTAO-North.yaml", f"--night={night}", *options]
        return run_tool(tool(), argv=argv, cwd=self.folder, raises=True)

    def simulate(self, *options, **settings):
        """Simulated runs below ``dl0``."""
        text = yaml.safe_dump({"SimulateCalibrationRuns": settings})
        (self.folder / "simulation.yaml").write_text(text)
        given = ["--config=simulation.yaml", "--tel-id=1", "--output-folder=dl0", *options]
        self.run(SimulateCalibrationRuns, *given)

    def files(self, obs_id):
        paths = sorted(self.folder.glob(f"dl0/DL0/LSTN-01/**/*OBSID*{obs_id}_*.fits.fz"))
        return [f"--input={path}" for path in paths]

    def statistics(self, obs_id, *options):
        config = f"--config={self.root}/config/tools/calculate_pixel_statistics.yaml"
        more = "--CalculatePixelStatistics"
        given = [f"--output=statistics.{obs_id}.h5", "--overwrite", *self.files(obs_id), *options]
        self.run(CalculatePixelStatistics, config, f"{more}.flatfield_window_start=13", *given)

    def transfer(self, *options, obs_ids=SCAN, dark=True, runs="runs.ecsv"):
        config = f"--config={self.root}/config/tools/calculate_photon_transfer.yaml"
        given = [f"--input=statistics.{n}.h5" for n in obs_ids]
        given += [f"--runs={runs}", "--output=transfer.h5", "--overwrite"]
        given += [f"--dark=statistics.{DARK}.h5"] if dark else []
        self.run(CalculatePhotonTransfer, config, *given, *options)

    def crosstalk(self, *options, obs_id=SINGLE):
        config = f"--config={self.root}/config/tools/calculate_crosstalk.yaml"
        given = ["--output=crosstalk.h5", "--overwrite", *self.files(obs_id), *options]
        self.run(CalculateCrosstalk, config, *given)

    def exclude(self, *options, night="2024-07-10", output="exclusion.h5"):
        config = f"--config={self.root}/config/tools/select_excluded_pixels.yaml"
        given = [f"--output={output}", "--overwrite", *options]
        self.run(SelectExcludedPixels, config, *given, night=night)

    def table(self, group, path="transfer.h5"):
        return read_telescope_table(self.folder / path, group, 1, "a product")

    def truth(self, obs_id=102):
        (path,) = self.folder.glob(f"dl0/truth/**/*OBSID{obs_id}.camera_truth.ecsv")
        return truth_from_table(read_table(path, "simulation/camera_truth"))


def refused(make, *options, **more):
    """Exit code and message."""
    with pytest.raises(CalibPipeError) as error:
        make(*options, **more)
    return error.value.exit_code, str(error.value)


@pytest.fixture(scope="module")
def made(root, tmp_path_factory):
    """Simulated runs and their statistics."""
    runs = Runs(root, tmp_path_factory.mktemp("runs"))
    runs.simulate(
        "--seed=2",
        f"--n-flatfield={N_EVENTS}",
        f"--n-pedestal={N_EVENTS}",
        f"--n-dark-pedestal={N_EVENTS}",
        "--n-single-pixel=30",
        transmissions=TRANSMISSIONS,
        lit_pixels=LIT,
        spread={"dead": DEAD},
    )
    for obs_id in SCAN:
        runs.statistics(obs_id)
    closed = "--CalculatePixelStatistics"
    runs.statistics(DARK, f"{closed}.pedestals_only=True", f"{closed}.pedestal_type=DARK_PEDESTAL")
    shutil.copy(runs.folder / "dl0/calibration_runs.2024-07-10.ecsv", runs.folder / "runs.ecsv")
    runs.transfer()
    return runs


@pytest.fixture
def runs(made, root, tmp_path):
    """The same folder, products may be changed."""
    for path in made.folder.glob("*.*"):
        shutil.copy(path, tmp_path)
    (tmp_path / "dl0").symlink_to(made.folder / "dl0")
    return Runs(root, tmp_path)


def width(pull):
    pull = pull[np.isfinite(pull)]
    return np.std(pull), 4 / np.sqrt(2 * pull.size)


def test_gains_come_back_with_their_errors(made):
    (row,), (sky,) = made.table(PIXELS_GROUP), made.table(SKY_GROUP)
    truth = made.truth()
    good = row["status"] == 0
    assert good.mean() > 0.97
    gain = row["gain"] * sky["window_factor"]
    for channel in (0, 1):
        use = good[channel] & (truth.gain[channel] > 0)
        pull = (gain[channel] - truth.gain[channel])[use] / row["gain_stat_error"][channel][use]
        # few events: the quadratic term is a correction with large errors, the pull is skewed
        assert np.std(pull) == pytest.approx(1, abs=0.25)
        error = np.median(row["gain_stat_error"][channel][use]) / np.sqrt(use.sum())
        mean = np.median((gain[channel] - truth.gain[channel])[use])
        common = 0.02 * gain[channel][use].mean()  # of the window and of errors of 15 % a pixel
        assert mean == pytest.approx(0, abs=5 * error + common)


def test_dead_pixels_have_a_status_and_no_gain(made):
    (row,) = made.table(PIXELS_GROUP)
    dead = made.truth().gain[0] == 0
    assert dead.sum() == round(DEAD * 1855)
    assert (row["status"][:, dead] != 0).all()
    assert np.isnan(row["gain"][:, dead]).all()


def test_light_is_that_of_the_runs(made):
    points = made.table(POINTS_GROUP)
    assert points["obs_id"].tolist() == SCAN
    (path,) = made.folder.glob("dl0/truth/*.calibration_runs.ecsv")
    runs = read_table(path, "simulation/calibration_runs")
    light = np.asarray(runs["light"])[[list(runs["obs_id"]).index(n) for n in SCAN]]
    pull = np.log(np.asarray(points["light"]) / light) / np.asarray(points["light_error"])
    assert np.abs(pull).max() < 4
    assert (np.asarray(points["light_error"]) < 0.0011).all()  # of the monitor
    header = points.meta["calibpipe"]
    assert header["light_from"] == "monitor"
    assert header["obs_ids"] == SCAN


def test_high_gain_saturates_and_low_gain_does_not(made):
    (row,) = made.table(PIXELS_GROUP)
    good = (row["status"] == 0).all(axis=0)
    n_pe = row["range_high"] / row["gain"]
    assert np.nanmedian(n_pe[0, good]) < 150  # 300 p.e. at a transmission of 0.5 are too many
    assert np.nanmedian(n_pe[1, good]) > 500
    assert np.isinf(row["saturation"][1, good]).mean() > 0.98


def test_ratio_of_gains(made):
    (row,), (sky,) = made.table(RATIO_GROUP), made.table(SKY_GROUP)
    truth = made.truth()
    good = row["status"] == 0
    with np.errstate(divide="ignore", invalid="ignore"):
        true = truth.gain[0] / truth.gain[1]
    window = sky["window_fraction"][0] / sky["window_fraction"][1]
    off = (row["ratio"] / window / true - 1)[good]
    assert np.median(off) == pytest.approx(0, abs=0.005)
    # the part of the pulse in the window fluctuates from event to event in high gain
    assert np.std(off) < 3 * np.median(row["ratio_stat_error"][good] / true[good]) + 0.005


def test_night_sky(made):
    (row,) = made.table(SKY_GROUP)
    truth = made.truth()
    good = np.isfinite(row["nsb_rate"][0]) & (truth.gain[0] > 0)
    ratio = np.median(row["nsb_rate"][0][good] / truth.nsb_rate[good])
    assert ratio == pytest.approx(1, abs=0.05)
    assert np.mean(row["dark_mean"] - truth.pedestal) == pytest.approx(0, abs=0.02)


def test_pedestal_of_the_same_runs(made):
    """The closed camera is that of the photon transfer to the bit; the sky of all its runs."""
    sky = [f"--sky=statistics.{n}.h5" for n in SCAN]
    given = [f"--dark=statistics.{DARK}.h5", *sky, "--photon-transfer=transfer.h5"]
    made.run(CalculatePedestal, *given, "--output=pedestal.h5", "--overwrite")
    (row,), (before,) = made.table(PEDESTAL_GROUP, "pedestal.h5"), made.table(SKY_GROUP)
    for name in ("mean", "window_rms", "sample_rms"):
        good = row["status"] & 3 == 0
        assert row[f"dark_{name}"][good] == pytest.approx(before[f"dark_{name}"][good], rel=1e-6)
    truth = made.truth()
    good = np.isfinite(row["nsb_rate"][0]) & (truth.gain[0] > 0)
    assert good.mean() > 0.95
    ratio = np.median(row["nsb_rate"][0][good] / truth.nsb_rate[good])
    assert ratio == pytest.approx(1, abs=0.05)
    far = (row["nsb_rate"] - before["nsb_rate"])[0][good] / row["nsb_rate_stat_error"][0][good]
    assert np.abs(far).max() < 2  # of the same pedestals, in the fit weighted otherwise
    dead = (truth.gain[0] == 0) & (row["status"][0] == 0)
    excess = (row["sky_window_rms"] ** 2 - row["dark_window_rms"] ** 2)[0, dead]
    assert np.median(excess) == pytest.approx(0, abs=50)  # ADC²; of lit pixels 25 000


def test_it_holds_for_a_month(made):
    begin, end = read_product_header(made.folder / "transfer.h5").validity
    assert (end - begin).to_value("day") == pytest.approx(30)
    assert begin.utc.isot.startswith("2024-07-10T21:4")  # dusk, and the dark run before the scan


def test_statistics_without_dark_pedestals_say_so(runs):
    runs.transfer(dark=False)
    header = read_product_header(runs.folder / "transfer.h5").own
    assert any("closed camera" in remark for remark in header["remarks"])
    (row,) = runs.table(RATIO_GROUP)
    assert np.nanmedian(row["chi2"] / np.maximum(row["n_points"] - 1, 1)) < 0.9


def test_same_input_same_product(runs, made):
    runs.transfer()
    one, two = (read_product_header(f.folder / "transfer.h5") for f in (runs, made))
    assert one.product_id == two.product_id


def test_verification_reads_every_product(made, root):
    criteria_of(yaml.safe_load((root / "config/criteria.yaml").read_text()), known_metrics())
    made.crosstalk()
    evidence = ["--photon-transfer=transfer.h5", "--crosstalk=crosstalk.h5"]
    made.exclude(*evidence, night="2024-07-09", output="before.h5")
    made.exclude(*evidence, "--previous=before.h5")
    for name in ("transfer", "crosstalk", "exclusion"):
        path = made.folder / f"{name}.h5"
        header = read_product_header(path)
        internal, external, _ = product_metrics(path, header, [], {"day": path}, None)
        known = known_metrics()[f"{header.kind} internal"]
        assert set(internal) == known - {"relative_to_spe"}  # no single photoelectrons
        assert set(external["day"]) == known_metrics()[f"{header.kind} external"]
        for values in external["day"].values():
            assert np.nanmax(np.abs(values)) == 0


def write_runs(runs, **changes):
    table = QTable.read(runs.folder / "runs.ecsv")
    for name, values in changes.items():
        if values is None:
            table.remove_column(name)
        else:
            table[name] = values
    table.write(runs.folder / "runs.ecsv", overwrite=True)


def test_filters_of_five_percent_without_a_monitor(runs):
    write_runs(runs, monitor=None)
    runs.transfer()
    points = runs.table(POINTS_GROUP)
    assert points.meta["calibpipe"]["light_from"] == "transmission"
    assert (np.asarray(points["light_error"]) > 0.009).all()


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"run_type": None}, CONFIGURATION, "has no column run_type"),
        ({"obs_id": np.arange(7)}, CONFIGURATION, "observation 102 is not in the table"),
        ({"obs_id": [101, 102, 103, 104, 105, 105, 107]}, CONFIGURATION, "there twice"),
        ({"monitor": None, "transmission": np.full(7, np.nan)}, CONFIGURATION, "no transmission"),
        ({"monitor_error": np.full(7, -1.0)}, CONFIGURATION, "both must be positive"),
    ],
)
def test_wrong_tables_of_runs(runs, changes, code, message):
    write_runs(runs, **changes)
    found, text = refused(runs.transfer)
    assert (found, message in text) == (code, True), text


def test_a_missing_filter_position(runs):
    code, message = refused(runs.transfer, obs_ids=SCAN[1:])
    assert (code, "filter positions of observations [102]" in message) == (MISSING, True)
    runs.transfer("--CalculatePhotonTransfer.allow_missing_points=True", obs_ids=SCAN[1:])
    header = read_product_header(runs.folder / "transfer.h5").own
    assert "1 of 5 filter positions are missing" in header["remarks"]


def test_runs_of_the_wrong_type(runs):
    code, message = refused(runs.transfer, obs_ids=[DARK, *SCAN])
    assert (code, "observation 101 is a run 'dark'" in message) == (CONFIGURATION, True)
    table = QTable.read(runs.folder / "runs.ecsv")
    table["run_type"][0] = "scan"
    table.write(runs.folder / "runs.ecsv", overwrite=True)
    code, message = refused(runs.transfer, obs_ids=[DARK, *SCAN])
    assert (code, "a run of another type" in message) == (CONFIGURATION, True)


def test_two_runs_are_no_scan(runs):
    option = "--CalculatePhotonTransfer.allow_missing_points=True"
    code, message = refused(runs.transfer, option, obs_ids=SCAN[:2])
    assert (code, "at least 3 intensities" in message) == (FEW, True)


def test_runs_with_different_windows(runs):
    runs.statistics(102, "--CalculatePixelStatistics.window_width=10")
    code, message = refused(runs.transfer)
    assert (code, "integrated over [10, 12] samples" in message) == (CONFIGURATION, True)


def test_limits_of_another_camera(runs):
    code, message = refused(runs.transfer, "--CalculatePhotonTransfer.max_signal_in_adc=1.0")
    assert (code, "has 1 values, the camera has 2" in message) == (CONFIGURATION, True)


def test_what_has_to_be_given(runs):
    with pytest.raises(ToolConfigurationError, match="needs --input-files, --runs"):
        runs.run(CalculatePhotonTransfer, "--output=x.h5")


def test_dark_run_is_refused_by_default(runs):
    with pytest.raises(CalibPipeError, match="no FLATFIELD"):
        runs.statistics(DARK, "--CalculatePixelStatistics.pedestal_type=DARK_PEDESTAL")


def spe_product(runs, gain, excess=1.3, **changes):
    """A product as of calibpipe-fit-single-photoelectron."""
    from calibpipe.core.products import ProductMetadata
    from calibpipe.core.telescope import telescope_subarray
    from calibpipe.core.telescope_file import write_telescope_tables

    n = 1855
    columns = {
        "channel": np.zeros(n, np.int8),
        "pixel_id": np.arange(n),
        "outlier_mask": np.arange(n) < 5,
        "gain": gain,
        "gain_stat_error": np.full(n, 0.5),
        "gain_sys_error": np.full(n, 0.5),
        "squared_excess_noise_factor": np.full(n, excess),
        "squared_excess_noise_factor_stat_error": np.full(n, 0.01),
        "squared_excess_noise_factor_sys_error": np.full(n, 0.02),
    }
    kind = "camera/single_photoelectron"
    table = Table({k: v for k, v in (columns | changes).items() if v is not None})
    for name in ("gain", "gain_stat_error", "gain_sys_error"):
        table[name].unit = "adu"
    details = {"tel_id": 1, "array_element": "LSTN-01"}
    own = ProductMetadata(kind, "x", site="CTAO-North", category="C", details=details)
    group = {"/calibpipe/camera/single_photoelectron": table}
    write_telescope_tables(runs.folder / "spe.h5", telescope_subarray(1), 1, group, own)


def test_excess_noise_and_gain_of_single_photoelectrons(runs, made):
    (before,) = made.table(PIXELS_GROUP)
    spe_product(runs, np.where(np.isfinite(before["gain"][0]), before["gain"][0], 1.0))
    runs.transfer("--single-photoelectron=spe.h5")
    (row,) = runs.table(PIXELS_GROUP)
    same = (row["status"] == 0).all(axis=0)
    assert np.median(row["gain"][:, same] / before["gain"][:, same]) == pytest.approx(
        1.222 / 1.3, rel=0.002
    )
    assert np.nanmedian(row["relative_to_spe"][0, same]) == pytest.approx(1.222 / 1.3, rel=0.002)
    assert np.isnan(row["relative_to_spe"][0, :5]).all()
    assert np.isnan(row["relative_to_spe"][1]).all()
    relative = row["gain_sys_error"] / row["gain"]
    assert relative[0, same][10:] == pytest.approx(np.hypot(0.01, 0.02) / 1.3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"outlier_mask": None}, "have no outlier_mask"),
        ({"channel": np.ones(1855, np.int8)}, "are of 0 pixels, the camera has 1855"),
        ({"outlier_mask": np.ones(1855, bool)}, "no pixel has single photoelectrons"),
    ],
)
def test_single_photoelectrons_that_are_none(runs, changes, message):
    spe_product(runs, np.ones(1855), **changes)
    code, text = refused(runs.transfer, "--single-photoelectron=spe.h5")
    assert (code, message in text) == (CONFIGURATION, True), text


def test_raw_runs_of_an_lst(root, tmp_path):
    """First capacitors by module: a wrong order would leave the 10 ADC of the capacitors."""
    runs = Runs(root, tmp_path)
    counts = ["--n-drs4=250", "--n-drs4-flat=20", "--n-flatfield=0", "--n-pedestal=0"]
    runs.simulate(*counts, transmissions=[])
    observed = read_ecsv(tmp_path / "dl0/calibration_runs.2024-07-10.ecsv", "runs")
    assert list(observed["run_type"]) == ["drs4", "drs4_flat"]
    more = "--CalculateDrs4Corrections"
    given = ["--output=drs4.h5", "--time-lapse=given", f"{more}.min_entries=2"]
    runs.run(CalculateDrs4Corrections, *given, f"{more}.min_known=0.1", *runs.files(101))
    table = runs.table(CAPACITORS_GROUP, "drs4.h5")
    path = "dl0/truth/LSTN-01/2024-07-10/LSTN-01.drs4_truth.h5"
    chips = runs.table(TRUE_CAPACITORS, path)
    assert np.array_equal(table["pixel_id"], chips["pixel_id"])
    camera = runs.truth(101)
    true = np.asarray(chips["baseline"]) + camera.pedestal.reshape(-1, 1)
    noise = np.sqrt(camera.electronic_noise**2 + 1 / 12 + 1 / 6).reshape(-1, 1)
    n = np.asarray(table["n_entries"])
    pull = (np.asarray(table["baseline"]) - true) * np.sqrt(n) / noise
    known = np.isfinite(pull)
    assert np.std(true) > 9
    assert np.std(pull[known]) == pytest.approx(1, abs=0.005)
    assert np.mean(pull[known]) == pytest.approx(0, abs=0.005)
    header = read_product_header(tmp_path / path)
    assert header.own["time_lapse"] == [32.99, 0.22, 11.9]


def test_crosstalk_of_lit_pixels(root, tmp_path):
    runs = Runs(root, tmp_path)
    runs.simulate(
        "--n-flatfield=1",
        "--n-pedestal=300",
        "--n-single-pixel=40",
        transmissions=[],
        crosstalk=CROSSTALK,
        lit_pixels=LIT,
        spread={"gain_spread": 0.0},
    )
    runs.crosstalk(obs_id=101)
    table = runs.table(PAIRS_GROUP, "crosstalk.h5")
    (path,) = tmp_path.glob("dl0/truth/**/*crosstalk_truth.ecsv")
    truth = read_table(path, "simulation/crosstalk_truth")
    true = {(p, s): c for p, s, c in truth.iterrows("pixel", "source", "crosstalk")}
    known = np.isfinite(table["crosstalk"])
    assert known.sum() == 6 * len(LIT)
    table = table[known]
    off = table["crosstalk"] - [true[p, s] for p, s in table.iterrows("pixel", "source")]
    pull = off / table["stat_error"]
    spread, tolerance = width(pull)
    assert spread == pytest.approx(1, abs=tolerance)
    assert np.mean(pull) == pytest.approx(0, abs=4 / np.sqrt(pull.size / 2))
    header = table.meta["calibpipe"]
    assert (header["has_direction"], header["unit"]) == (True, "ADC")
    assert header["n_events"] == 40 * len(LIT)
    begin, end = read_product_header(tmp_path / "crosstalk.h5").validity
    assert (end - begin).to_value("day") == pytest.approx(365)


def test_crosstalk_of_flat_fields_in_photoelectrons(runs):
    runs.crosstalk("--method=covariance", "--photon-transfer=transfer.h5", obs_id=104)
    table = runs.table(PAIRS_GROUP, "crosstalk.h5")
    assert len(table) == 10788 // 2
    known = np.isfinite(table["crosstalk"])
    mean = np.mean(table["crosstalk"][known])  # there is none
    error = np.mean(table["stat_error"][known]) / np.sqrt(known.sum())
    assert mean == pytest.approx(0, abs=4 * np.hypot(error, np.mean(table["sys_error"][known])))
    header = table.meta["calibpipe"]
    assert (header["has_direction"], header["unit"]) == (False, "p.e.")


def test_wrong_runs_for_crosstalk(runs):
    code, message = refused(runs.crosstalk, obs_id=104)
    assert (code, "OTHER_CALIBRATION" in message) == (FEW, True)
    code, message = refused(runs.crosstalk, "--CalculateCrosstalk.event_type=SUBARRAY")
    assert (code, "there are no SUBARRAY events" in message) == (CONFIGURATION, True)
    code, message = refused(runs.crosstalk, "--CalculateCrosstalk.channel=2")
    assert (code, "channel is 2, the camera has 2" in message) == (CONFIGURATION, True)
    code, message = refused(
        runs.crosstalk, "--CalculateCrosstalk.channel=2", "--photon-transfer=transfer.h5"
    )
    assert (code, "has 2 gain channels" in message) == (CONFIGURATION, True)


def test_runs_of_single_photoelectrons_before_dusk(root, tmp_path):
    runs = Runs(root, tmp_path)
    options = ["--n-dark-pedestal=2", "--n-single-pe=3", "--n-high-voltage=4", "--n-flatfield=0"]
    runs.simulate(*options, transmissions=[], begin_in_minutes=-30.0, high_voltage_gain=5.0)
    table = QTable.read(tmp_path / "dl0/calibration_runs.2024-07-10.ecsv")
    kinds = ["dark", "single_pe", "high_voltage"]
    assert list(zip(table["obs_id"], table["run_type"], strict=True)) == [
        (101 + k, kind) for k, kind in enumerate(kinds)
    ]
    for k, counts in enumerate([("DARK_PEDESTAL", 2), ("SINGLE_PE", 3), ("SINGLE_PE", 4)]):
        (path,) = tmp_path.glob(f"dl0/truth/**/*OBSID{101 + k}.camera_truth.ecsv")
        own = read_product_header(path).own
        assert {name: n for name, n in own["n_events"].items() if n} == dict([counts])
        assert own["reference_time_tai"].startswith(f"2024-07-10T21:1{6 + k}")  # dusk is 21:45
    ratio = runs.truth(103).gain / runs.truth(102).gain
    assert ratio == pytest.approx(5.0)


def test_exclusion_with_history_and_decisions(runs, made):
    dead = made.truth().gain[0] == 0
    transfer = "--photon-transfer=transfer.h5"
    runs.exclude(transfer)
    first = runs.table(EXCLUSION_GROUP, "exclusion.h5")
    assert not np.asarray(first["is_excluded"]).any()  # one night is none
    decision = {
        "decision": "exclude_pixels",
        "site": "CTAO-North",
        "telescope": "LSTN-01",
        "pixels": [7],
        "night": "2024-07-11",
        "author": "N. N.",
        "date": "2024-07-12",
        "reason": "sparks",
    }
    (runs.folder / "overrides.yaml").write_text(yaml.safe_dump({"overrides": [decision]}))
    more = ["--previous=exclusion.h5", "--overrides=overrides.yaml"]
    runs.exclude(transfer, *more, night="2024-07-11", output="second.h5")
    second = runs.table(EXCLUSION_GROUP, "second.h5")
    excluded = np.asarray(second["is_excluded"], bool)
    assert excluded[dead].all()
    assert excluded[7]
    assert excluded.sum() < dead.sum() + 1 + 0.03 * 1855
    assert set(np.asarray(second["since"])[excluded]) == {"2024-07-11"}
    assert (np.asarray(second["reasons"])[dead] & 8).all()
    assert second["reasons"][7] & 128
    history = runs.table(HISTORY_GROUP, "second.h5")
    assert list(history["night"]) == ["2024-07-10", "2024-07-11"]
    header = second.meta["calibpipe"]
    assert header["n_excluded"] == excluded.sum()
    assert header["evidence_from"] == ["gain_ratio", "linearity", "photon_transfer"]


def test_evidence_of_single_photoelectrons(runs):
    spe_product(runs, np.ones(1855))
    runs.exclude("--single-photoelectron=spe.h5", "--SelectExcludedPixels.n_bad=1")
    table = runs.table(EXCLUSION_GROUP, "exclusion.h5")
    assert np.flatnonzero(table["is_excluded"]).tolist() == [0, 1, 2, 3, 4]
    assert set(np.asarray(table["reasons"])[:5]) == {4}


def test_exclusion_that_cannot_be(runs):
    code, message = refused(runs.exclude)
    assert (code, "there is no evidence; give --coefficients" in message) == (CONFIGURATION, True)
    runs.exclude("--photon-transfer=transfer.h5")
    again = ["--photon-transfer=transfer.h5", "--previous=exclusion.h5"]
    code, message = refused(runs.exclude, *again, output="x.h5")
    assert (code, "not before 2024-07-10" in message) == (CONFIGURATION, True)
    code, message = refused(runs.exclude, again[0], "--overrides=none.yaml")
    assert (code, "give the decisions of operators" in message) == (MISSING, True)
    (runs.folder / "wrong.yaml").write_text("pixels: 3")
    code, message = refused(runs.exclude, again[0], "--overrides=wrong.yaml")
    assert (code, "no YAML with an entry `overrides`" in message) == (CONFIGURATION, True)
    code, message = refused(runs.exclude, "--photon-transfer=exclusion.h5")
    assert code == CORRUPTED


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"transmissions": [0.0]}, "each is above 0 and at most 1"),
        ({"n_pedestal": 0}, "needs flat fields and pedestals behind each filter"),
        ({"n_shower": 3}, "neither showers nor muons nor stars"),
        ({"n_single_pixel": 1, "lit_pixels": [1855]}, "go up to 1855, the camera has 1855"),
    ],
)
def test_runs_that_cannot_be_simulated(root, tmp_path, settings, message):
    with pytest.raises(CalibPipeError, match=message):
        Runs(root, tmp_path).simulate(**settings)
