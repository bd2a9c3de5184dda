"""From simulated DL2 to throughputs of all telescopes; bad input."""

import os

os.environ.setdefault("CTAPIPE_IO_ZFITS_NO_SERVICE_DATA", "1")

import json
import shutil

import numpy as np
import pytest
import tables
from ctapipe.core import run_tool
from ctapipe.core.tool import ToolConfigurationError
from ctapipe.instrument import SubarrayDescription
from ctapipe.io import TableLoader
from ctapipe.io import read_table as read_hdf5
from ctapipe.io.hdf5dataformat import (
    DL2_SUBARRAY_CROSS_CALIBRATION_GROUP,
    DL2_SUBARRAY_INTER_CALIBRATION_GROUP,
)
from scipy.stats import chi2

from calibpipe.core.array_file import read_array_product, write_array_tables
from calibpipe.core.exceptions import (
    CalibPipeError,
    ConfigurationError,
    CorruptedInputError,
    InsufficientStatisticsError,
    MissingInputError,
)
from calibpipe.core.products import ProductMetadata, read_table
from calibpipe.core.telescope_file import write_telescope_tables
from calibpipe.tools.asymmetry_tool import PAIRS_TABLE
from calibpipe.tools.cross_calibration import SCALES, CrossCalibration
from calibpipe.tools.energy_asymmetry_estimation import EnergyAsymmetryEstimation
from calibpipe.tools.image_asymmetry_estimation import ImageAsymmetryEstimation
from calibpipe.tools.inter_calibration import COVARIANCE, FITTED_PAIRS, InterCalibration
from calibpipe.tools.simulate_dl2_data import SimulateDl2Data

N_EVENTS = 12_000
CRITERIA = [["gamma-like", "RandomForestClassifier_tel_prediction > 0.5"]]
ENERGIES = "/dl2/event/telescope/energy/RandomForestRegressor"
WIDE = "--AsymmetryTool.equidistance_constant=0.4"  # the simulated energies do not mind


class Folder:
    """A folder in which Tools are run for one site and night."""

    def __init__(self, root, path, site="CTAO-North"):
        self.path = path
        self.keys = [f"--site={root}/config/sites/{site}.yaml", "--night=2024-07-10"]
        self.dl2 = path / "dl2" / site / "2024-07-10"

    def run(self, tool, *options):
        argv = [*self.keys, *options]
        return run_tool(tool(), argv=argv, cwd=self.path, raises=True)

    def criteria(self, criteria):
        """Option with a configuration file: lists of pairs cannot be given on the command line."""
        path = self.path / "criteria.json"
        path.write_text(json.dumps({"AsymmetryTool": {"quality_criteria": criteria}}))
        return f"--config={path}"

    def simulate(self, *options):
        self.run(SimulateDl2Data, f"--output-folder={self.path}", *options)
        return sorted(self.dl2.glob("*.h5"))

    def refused(self, tool, error, *options):
        """Message of the error; nothing is written."""
        output = self.path / "refused.h5"
        with pytest.raises((CalibPipeError, ToolConfigurationError)) as caught:
            self.run(tool, f"--output={output}", *options)
        assert isinstance(caught.value, error), caught.value
        assert not output.exists()
        return str(caught.value)

    def truth(self):
        return read_table(self.dl2 / "truth.ecsv", "simulation/dl2_truth")


@pytest.fixture(scope="module")
def north_night(root, tmp_path_factory):
    """Two blocks, with the asymmetries of energies and images of each."""
    night = Folder(root, tmp_path_factory.mktemp("north"))
    night.files = night.simulate(f"--n-events={N_EVENTS}", "--n-blocks=2", "--seed=4")
    for k, path in enumerate(night.files):
        options = [f"--input={path}", WIDE, night.criteria(CRITERIA)]
        night.run(
            EnergyAsymmetryEstimation, *options, "--AsymmetryTool.minimum=0.05", f"--output=e{k}.h5"
        )
        night.run(
            ImageAsymmetryEstimation,
            f"--input={path}",
            "--AsymmetryTool.equidistance_slope=0.2",
            "--AsymmetryTool.minimum=80",
            f"--output=i{k}.h5",
        )
    return night


def inputs(*names):
    return [f"--input={name}.h5" for name in names]


def agree(value, error, truth):
    """Whether values scatter around the truth with their errors, one degree taken by a gauge."""
    square = np.sum(((value - truth) / error) ** 2)
    return chi2.sf(square, len(value) - 1) > 1e-4 and chi2.cdf(square, len(value) - 1) > 1e-4


def test_simulated_files_are_read_by_ctapipe(north_night):
    with TableLoader(north_night.files[0]) as loader:
        events = loader.read_subarray_events(dl2=True)
        assert len(events) == N_EVENTS
        assert {"lst", "mst"} == {
            loader.subarray.tel[i].type.name.lower() for i in loader.subarray.tel
        }
    truth = north_night.truth()
    assert truth.meta["calibpipe"]["blocks"][1]["azimuth_in_deg"] == 180
    assert set(truth["array_element"]) >= {"LSTN-01", "MSTN-09"}


def test_the_truth_is_that_of_the_seed_in_every_night(north_night, root, tmp_path):
    other = Folder(root, tmp_path)
    other.keys[1] = "--night=2024-07-11"
    other.dl2 = tmp_path / "dl2/CTAO-North/2024-07-11"
    (path,) = other.simulate("--n-events=50", "--n-blocks=1", "--seed=4")
    np.testing.assert_array_equal(other.truth()["throughput"], north_night.truth()["throughput"])
    first = read_hdf5(north_night.files[0], f"{ENERGIES}/tel_001")[:10]
    again = read_hdf5(path, f"{ENERGIES}/tel_001")[:10]
    name = "RandomForestRegressor_tel_energy"
    assert not np.isin(np.asarray(again[name]), np.asarray(first[name])).any()


def test_product_of_a_block(north_night):
    header, found = read_array_product(
        north_night.path / "e0.h5", "array/energy_asymmetry", [PAIRS_TABLE]
    )
    assert header["observations"] == [1]
    assert header["counts"]["not_finite"] > 0
    pairs = found[PAIRS_TABLE]
    kinds = set(zip(pairs["tel_type_1"], pairs["tel_type_2"], strict=True))
    assert kinds == {("LST", "LST"), ("LST", "MST"), ("MST", "MST")}
    _, found = read_array_product(
        north_night.path / "i0.h5", "array/image_asymmetry", [PAIRS_TABLE]
    )
    assert np.all(found[PAIRS_TABLE]["tel_type_1"] == found[PAIRS_TABLE]["tel_type_2"])
    assert len(SubarrayDescription.from_hdf(north_night.path / "e0.h5").tel) == 13


@pytest.mark.parametrize("names", [("e0", "e1"), ("i0", "i1")])
@pytest.mark.parametrize("estimator", ["log_ratio", "median"])
def test_throughputs_of_each_type_are_the_true_ones(north_night, names, estimator):
    output = f"inter_{names[0]}_{estimator}.h5"
    north_night.run(
        InterCalibration, *inputs(*names), f"--estimator={estimator}", f"--output={output}"
    )
    table = read_hdf5(north_night.path / output, DL2_SUBARRAY_INTER_CALIBRATION_GROUP)
    truth = north_night.truth()
    np.testing.assert_array_equal(table["tel_id"], truth["tel_id"])
    assert table["is_valid"].all()
    assert not table["is_outlier"].any()
    for kind in ("LST", "MST"):
        own = np.asarray(table["tel_type"] == kind)
        true = np.log(truth["throughput"][own])
        relative = (table["error"] / table["value"])[own]
        assert agree(np.log(table["value"][own]), relative, true - true.mean())
        assert np.log(table["value"][own]).sum() == pytest.approx(0, abs=1e-12)
    assert np.all(table["sys_error"] > 0)
    header, found = read_array_product(
        north_night.path / output, "array/inter_calibration", [FITTED_PAIRS, COVARIANCE]
    )
    assert header["observations"] == [1, 2]
    assert header["fits"]["LST"]["p_value"] > 1e-4
    assert header["fits"]["MST"]["n_islands"] == 1
    variance = np.diag(found[COVARIANCE]["stat_covariance"])
    np.testing.assert_allclose(np.sqrt(variance), table["error"] / table["value"])


def test_reference_telescopes(north_night):
    references = ["--gauge=reference", "--reference-telescopes=1", "--reference-telescopes=5"]
    north_night.run(InterCalibration, *inputs("e0"), *references, "--output=reference.h5")
    table = read_hdf5(north_night.path / "reference.h5", DL2_SUBARRAY_INTER_CALIBRATION_GROUP)
    reference = np.isin(table["tel_id"], [1, 5])
    np.testing.assert_array_equal(table["is_reference"], reference)
    np.testing.assert_array_equal(table["value"][reference], 1)
    np.testing.assert_array_equal(table["error"][reference], 0)
    assert np.all(table["error"][~reference] > 0)


def test_scale_of_the_types(north_night):
    north_night.run(CrossCalibration, *inputs("e0", "e1"), "--output=cross.h5")
    scales = read_hdf5(north_night.path / "cross.h5", SCALES)
    truth = north_night.truth()
    x = np.log(truth["throughput"])
    expected = x[:4].mean() - x[4:].mean()
    lst = scales[scales["tel_type"] == "LST"][0]
    relative = lst["scaling_factor_uncertainty"] / lst["scaling_factor"]
    assert abs(np.log(lst["scaling_factor"]) - expected) < 4 * relative
    assert lst["scaling_factor_sys_error"] > 0
    table = read_hdf5(north_night.path / "cross.h5", DL2_SUBARRAY_CROSS_CALIBRATION_GROUP)
    assert agree(np.log(table["value"]), table["error"] / table["value"], x - x[4:].mean())


def test_inter_calibration_of_the_same_energies_is_not_given(north_night):
    north_night.run(InterCalibration, *inputs("e0"), "--output=of_energies.h5")
    message = north_night.refused(
        CrossCalibration, ConfigurationError, *inputs("e0"), "--inter-calibration=of_energies.h5"
    )
    assert "leave it out" in message


def test_scale_with_the_inter_calibration_of_images(north_night):
    north_night.run(InterCalibration, *inputs("i0", "i1"), "--output=images.h5")
    north_night.run(
        CrossCalibration, *inputs("e0", "e1"), "--inter-calibration=images.h5", "--output=both.h5"
    )
    table = read_hdf5(north_night.path / "both.h5", DL2_SUBARRAY_CROSS_CALIBRATION_GROUP)
    x = np.log(north_night.truth()["throughput"])
    assert agree(np.log(table["value"]), table["error"] / table["value"], x - x[4:].mean())


@pytest.fixture(scope="module")
def muons(north_night):
    """Muon throughputs of the LSTs, nominal 0.2: true ones with 1 % errors; one that is not."""
    from astropy.table import Table

    subarray = SubarrayDescription.from_hdf(north_night.files[0])
    rng = np.random.default_rng(5)

    def written(tel_id, factor=1.0):
        value = 0.2 * north_night.truth()["throughput"][tel_id - 1] * rng.normal(1, 0.01) * factor
        path = north_night.path / f"muon_{tel_id}_{factor}.h5"
        details = {
            "tel_id": tel_id,
            "throughput": value,
            "stat_error": 0.01 * value,
            "sys_error": 0.03 * value,
        }
        metadata = ProductMetadata("throughput/muon_throughput", "made", details=details)
        table = Table({"mean": [value]})
        groups = {"/calibpipe/throughput/muon_night": table}
        write_telescope_tables(path, subarray, tel_id, groups, metadata)
        return path

    return [written(k) for k in (1, 2, 3, 4)], written(2, 0.7)


def test_muons_give_the_level(north_night, muons):
    given = [f"--muon={path}" for path in muons[0]]
    north_night.run(
        InterCalibration,
        *inputs("e0", "e1"),
        "--gauge=muon",
        *given,
        "--output=level.h5",
        "--PairFitTool.nominal_throughput=LST=0.2",
        "--PairFitTool.nominal_throughput=MST=0.2",
        "--InterCalibration.per_type=False",
    )
    table = read_hdf5(north_night.path / "level.h5", DL2_SUBARRAY_INTER_CALIBRATION_GROUP)
    away = np.log(table["value"]) - np.log(north_night.truth()["throughput"])
    error = table["error"] / table["value"]
    assert np.all(np.abs(away) < 4 * error)
    assert np.all(error > 0.01)  # common errors of muons
    message = north_night.refused(
        InterCalibration, InsufficientStatisticsError, *inputs("e0"), "--gauge=muon", *given
    )
    assert "no telescope of island 0" in message  # no MST has muons


def test_muons_and_showers_together(north_night, muons):
    given = [f"--muon={path}" for path in muons[0]]
    nominal = "--PairFitTool.nominal_throughput=LST=0.2"
    options = [*inputs("e0", "e1"), nominal, *given]
    north_night.run(CrossCalibration, *options, "--output=combined.h5")
    table = read_hdf5(north_night.path / "combined.h5", DL2_SUBARRAY_CROSS_CALIBRATION_GROUP)
    lst = table[table["tel_type"] == "LST"]
    assert not lst["is_alarm"].any()
    true = north_night.truth()["throughput"][:4]
    assert np.all(np.abs(lst["combined_value"] - true) < 4 * lst["combined_error"])
    assert np.isnan(table[table["tel_type"] == "MST"]["combined_value"]).all()


def test_muons_that_differ_are_an_alarm(north_night, muons):
    good, bad = muons
    given = [f"--muon={path}" for path in [good[0], bad, *good[2:]]]
    north_night.run(CrossCalibration, *inputs("e0", "e1"), *given, "--output=alarm.h5")
    header, found = read_array_product(
        north_night.path / "alarm.h5",
        "array/cross_calibration",
        [DL2_SUBARRAY_CROSS_CALIBRATION_GROUP],
    )
    assert 2 in header["alarms"]
    assert any("ALARM: telescope 2" in text for text in header["remarks"])
    table = found[DL2_SUBARRAY_CROSS_CALIBRATION_GROUP]
    assert np.isnan(table["combined_value"]).all()
    assert np.isfinite(table["value"]).all()


def test_small_and_medium_telescopes_of_the_south(root, tmp_path):
    night = Folder(root, tmp_path, "CTAO-South")
    (path,) = night.simulate("--n-events=8000", "--n-blocks=1", "--seed=2")
    night.run(EnergyAsymmetryEstimation, f"--input={path}", WIDE, "--output=e.h5")
    night.run(InterCalibration, "--input=e.h5", "--output=inter.h5")
    night.run(CrossCalibration, "--input=e.h5", "--output=cross.h5")
    table = read_hdf5(tmp_path / "cross.h5", DL2_SUBARRAY_CROSS_CALIBRATION_GROUP)
    assert len(table) == 51
    x = np.log(night.truth()["throughput"])
    valid = np.asarray(table["is_valid"])
    assert valid.sum() > 45
    away = np.log(table["value"]) - (x - x[:14].mean())
    pull = (away / (table["error"] / table["value"]))[valid]
    assert np.sqrt(np.mean(pull**2)) < 1.6  # a common part of all SSTs
    assert np.all(np.abs(pull) < 5)


# bad input


@pytest.fixture
def damaged(north_night, tmp_path):
    """A copy of the first file, and a function that changes energies of a telescope."""
    path = tmp_path / "damaged.h5"
    shutil.copy(north_night.files[0], path)

    def change(tel_id, function):
        with tables.open_file(path, "a") as h5file:
            table = h5file.get_node(f"{ENERGIES}/tel_{tel_id:03d}")
            energy = table.cols.RandomForestRegressor_tel_energy
            energy[:] = function(energy[:])
            table.flush()

    return path, change


def asymmetry(folder, path, output, *options):
    folder.run(
        EnergyAsymmetryEstimation,
        f"--input={path}",
        WIDE,
        "--overwrite",
        f"--output={output}",
        *options,
    )


def test_no_events_in_common(north_night):
    message = north_night.refused(
        EnergyAsymmetryEstimation,
        InsufficientStatisticsError,
        f"--input={north_night.files[0]}",
        "--AsymmetryTool.minimum=1e6",
    )
    assert "no event has two telescopes" in message


def test_one_telescope(north_night):
    message = north_night.refused(
        EnergyAsymmetryEstimation,
        ConfigurationError,
        f"--input={north_night.files[0]}",
        *(f"--AsymmetryTool.left_out_telescopes={k}" for k in range(2, 14)),
    )
    assert "no two telescopes" in message


def test_nan_and_negative_energies_are_counted_and_left_out(north_night, damaged):
    path, change = damaged
    change(1, lambda energy: np.where(np.arange(energy.size) % 3 == 0, np.nan, energy))
    change(2, lambda energy: np.where(np.arange(energy.size) % 4 == 0, -energy, energy))
    asymmetry(north_night, path, "nan.h5")
    header, found = read_array_product(
        north_night.path / "nan.h5", "array/energy_asymmetry", [PAIRS_TABLE]
    )
    assert header["counts"]["not_finite"] > 1000
    assert header["counts"]["not_positive"] > 1000
    assert np.isfinite(found[PAIRS_TABLE]["log_ratio"]).all()
    north_night.run(InterCalibration, "--input=nan.h5", "--output=nan_inter.h5", "--overwrite")
    table = read_hdf5(north_night.path / "nan_inter.h5", DL2_SUBARRAY_INTER_CALIBRATION_GROUP)
    assert table["is_valid"].all()


def test_energies_of_a_telescope_that_are_all_bad(north_night, damaged):
    path, change = damaged
    change(3, lambda energy: energy * np.nan)
    asymmetry(north_night, path, "bad.h5")
    north_night.run(InterCalibration, "--input=bad.h5", "--output=bad_inter.h5", "--overwrite")
    table = read_hdf5(north_night.path / "bad_inter.h5", DL2_SUBARRAY_INTER_CALIBRATION_GROUP)
    row = table[table["tel_id"] == 3][0]
    assert np.isnan(row["value"])
    assert not row["is_valid"]
    assert row["n_pairs"] == 0
    assert np.all(table[table["tel_id"] != 3]["is_valid"])
    assert not np.any(table["value"] == 1)


def test_array_that_falls_apart_is_reported(north_night):
    """MSTs far from each other only: each part has its own level, the largest is valid."""
    left_out = [f"--AsymmetryTool.left_out_telescopes={k}" for k in (1, 2, 3, 4, 10, 13)]
    reach = [f"--AsymmetryTool.max_impact_in_m={kind}" for kind in ("LST=125", "MST=90")]
    asymmetry(north_night, north_night.files[0], "apart.h5", *left_out, *reach)
    north_night.run(InterCalibration, "--input=apart.h5", "--output=parts.h5", "--overwrite")
    header, found = read_array_product(
        north_night.path / "parts.h5",
        "array/inter_calibration",
        [DL2_SUBARRAY_INTER_CALIBRATION_GROUP],
    )
    table = found[DL2_SUBARRAY_INTER_CALIBRATION_GROUP]
    assert header["fits"]["MST"]["n_islands"] > 1
    assert any("no pairs connect" in text for text in header["remarks"])
    np.testing.assert_array_equal(table["is_valid"], table["island"] == 0)
    assert not np.any(table["value"] == 1)
    message = north_night.refused(
        InterCalibration,
        InsufficientStatisticsError,
        "--input=apart.h5",
        "--InterCalibration.split_array=error",
    )
    assert "their levels cannot be compared" in message


def test_pairs_of_single_events(north_night, root, tmp_path):
    few = Folder(root, tmp_path)
    (path,) = few.simulate("--n-events=2", "--n-blocks=1")
    asymmetry(few, path, "few.h5")
    _, found = read_array_product(tmp_path / "few.h5", "array/energy_asymmetry", [PAIRS_TABLE])
    assert not found[PAIRS_TABLE]["is_valid"].any()
    message = few.refused(InterCalibration, InsufficientStatisticsError, "--input=few.h5")
    assert "nothing can be calibrated" in message
    assert "has 10 events" in message


def test_duplicated_events(north_night):
    path = north_night.files[0]
    message = north_night.refused(
        EnergyAsymmetryEstimation, CorruptedInputError, f"--input={path}", f"--input={path}"
    )
    assert f"{N_EVENTS} events are there twice" in message
    message = north_night.refused(InterCalibration, ConfigurationError, *inputs("e0", "e0"))
    assert "observation 1 is in " in message
    assert "give it once" in message


def test_files_of_different_subarrays(north_night, root, tmp_path):
    other = Folder(root, tmp_path)
    (path,) = other.simulate(
        "--n-events=500", "--n-blocks=1", "--SimulateDl2Data.numbers=LSTN=4",
        "--SimulateDl2Data.first_obs_id=9",
    )  # fmt: skip
    message = north_night.refused(
        EnergyAsymmetryEstimation,
        ConfigurationError,
        f"--input={north_night.files[0]}",
        f"--input={path}",
    )
    assert "another subarray" in message
    options = ["--AsymmetryTool.minimum=0.05", other.criteria(CRITERIA)]
    asymmetry(other, path, tmp_path / "e9.h5", *options)
    message = north_night.refused(
        InterCalibration, ConfigurationError, *inputs("e0"), f"--input={tmp_path}/e9.h5"
    )
    assert "different telescopes" in message


def test_missing_reconstructor(north_night):
    message = north_night.refused(
        EnergyAsymmetryEstimation,
        MissingInputError,
        f"--input={north_night.files[0]}",
        "--energy-reconstructor=ExtraTreesRegressor",
    )
    assert "energy of RandomForestRegressor" in message
    message = north_night.refused(
        EnergyAsymmetryEstimation,
        MissingInputError,
        f"--input={north_night.files[0]}",
        "--AsymmetryTool.geometry_reconstructor=HillasIntersection",
    )
    assert "impact of HillasReconstructor" in message


def test_criterion_on_the_compared_energy(north_night):
    message = north_night.refused(
        EnergyAsymmetryEstimation,
        ConfigurationError,
        f"--input={north_night.files[0]}",
        north_night.criteria([["high", "RandomForestRegressor_tel_energy > 0.05"]]),
    )
    assert "biases their ratio" in message


def test_reference_telescope_that_is_not_there(north_night):
    message = north_night.refused(
        InterCalibration,
        ConfigurationError,
        *inputs("e0"),
        "--gauge=reference",
        "--reference-telescopes=34",
    )
    assert "reference telescope 34 is not in the subarray" in message
    message = north_night.refused(
        InterCalibration,
        ConfigurationError,
        *inputs("e0"),
        "--gauge=reference",
        "--reference-telescopes=1",
    )
    assert "0 reference telescopes are of type MST" in message


def test_products_that_were_made_differently_or_of_something_else(north_night):
    message = north_night.refused(InterCalibration, ConfigurationError, *inputs("e0", "i1"))
    assert "differ in kind" in message
    message = north_night.refused(CrossCalibration, ConfigurationError, *inputs("i0"))
    assert "needs 'array/energy_asymmetry'" in message
    message = north_night.refused(
        InterCalibration, CorruptedInputError, f"--input={north_night.files[0]}"
    )
    assert "no product of CalibPipe" in message
    message = north_night.refused(InterCalibration, MissingInputError, "--input=none.h5")
    assert "does not exist" in message


def test_reference_type_that_is_not_there(north_night):
    message = north_night.refused(
        CrossCalibration, ConfigurationError, *inputs("e0"), "--reference-type=SST"
    )
    assert "there are LST, MST" in message


def test_what_has_to_be_given(north_night):
    for tool in (EnergyAsymmetryEstimation, InterCalibration, CrossCalibration):
        assert "needs --input" in north_night.refused(tool, ConfigurationError)
    for options in (["--gauge=reference"], ["--gauge=muon"], ["--reference-telescopes=1"]):
        message = north_night.refused(InterCalibration, ConfigurationError, *inputs("e0"), *options)
        assert "go together" in message


def test_incomplete_and_damaged_products(north_night, tmp_path):
    subarray = SubarrayDescription.from_hdf(north_night.path / "e0.h5")
    kind = "array/energy_asymmetry"
    write_array_tables(tmp_path / "a.h5", subarray, {}, ProductMetadata(kind, "made"))
    message = north_night.refused(InterCalibration, CorruptedInputError, f"--input={tmp_path}/a.h5")
    assert "lacks" in message
    status = ProductMetadata(kind, "made", status="FAILED: by hand")
    write_array_tables(tmp_path / "b.h5", subarray, {}, status)
    message = north_night.refused(InterCalibration, MissingInputError, f"--input={tmp_path}/b.h5")
    assert "by hand" in message
