"""Throughput from simulated flashes of known light: DL0, coefficients, Tool, product."""

import os

os.environ.setdefault("CTAPIPE_IO_ZFITS_NO_SERVICE_DATA", "1")

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable
from ctapipe.core import run_tool
from ctapipe.core.tool import ToolConfigurationError
from ctapipe.io.hdf5dataformat import DL1_TEL_ILLUMINATOR_THROUGHPUT_GROUP

from calibpipe.core.exceptions import CalibPipeError
from calibpipe.core.products import read_table
from calibpipe.core.telescope import telescope_subarray
from calibpipe.core.telescope_file import read_telescope_table
from calibpipe.simulation.camera import truth_from_table
from calibpipe.tools.calculate_camcalib_coefficients import CalculateCamcalibCoefficients
from calibpipe.tools.calculate_pixel_statistics import CalculatePixelStatistics
from calibpipe.tools.calculate_throughput_illuminator import (
    FLASHES_GROUP,
    CalculateThroughputIlluminator,
)
from calibpipe.tools.index_dl0 import IndexDl0
from calibpipe.tools.produce_camcalib_test_data import ProduceCamcalibTestData

CORRUPTED, MISSING, FEW, CONFIGURATION = 104, 105, 106, 101
N_FLASHES, N_PE, PHOTONS = 60, 40.0, 400.0  # p.e. and photons of a pixel
JITTER = 0.01


def photons(times):
    """Photons on the mirror, in multiples of those there are."""
    area = telescope_subarray(1).tel[1].optics.mirror_area
    return np.array(times, float) * PHOTONS * 1855 * u.ph / area


class Night:
    """A folder with calibration (observation 1) and flashes (observation 2) of LSTN-01."""

    def __init__(self, root, folder):
        self.folder = folder
        self.site = [f"--site={root}/config/sites/CTAO-North.yaml", "--night=2024-07-10"]
        self.config = f"--config={root}/config/tools/calculate_throughput_illuminator.yaml"

    def run(self, tool, *options):
        return run_tool(tool(), argv=[*self.site, *options], cwd=self.folder, raises=True)

    def files(self, obs_id):
        paths = sorted(self.folder.glob(f"dl0/DL0/LSTN-01/**/*OBSID*{obs_id}_*.fits.fz"))
        return [f"--input={path}" for path in paths]

    def throughput(self, *options, files=None, event_type="FLATFIELD", **source):
        """Run the Tool; the source is as it should be but for what is given."""
        self.source(**source)
        given = ["--coefficients=coefficients.h5", "--source=source.ecsv"]
        given += [f"--event-type={event_type}", "--output=throughput.h5"]
        events = self.files(2) if files is None else files
        return self.run(
            CalculateThroughputIlluminator, self.config, *given, "--overwrite", *events, *options
        )

    def source(self, **changes):
        columns = {
            "time": ["2024-07-10T12:00:00"],
            "photons": photons([1]),
            "relative_error": [0.03],
            "jitter": [JITTER],
        }
        columns = {k: v for k, v in (columns | changes).items() if v is not None}
        QTable(columns).write(self.folder / "source.ecsv", overwrite=True)

    def refused(self, *options, **source):
        """Exit code and message of the Tool that fails; nothing is written."""
        (self.folder / "throughput.h5").unlink(missing_ok=True)
        with pytest.raises(CalibPipeError) as error:
            self.throughput(*options, **source)
        assert not (self.folder / "throughput.h5").exists()
        return error.value.exit_code, str(error.value)

    def table(self, group=DL1_TEL_ILLUMINATOR_THROUGHPUT_GROUP):
        return read_telescope_table(self.folder / "throughput.h5", group, 1, "throughput")


@pytest.fixture(scope="module")
def night(root, tmp_path_factory):
    """300 flat fields of 80 p.e. make the coefficients, 60 of 40 p.e. are the flashes."""
    night = Night(root, tmp_path_factory.mktemp("illuminator"))
    both = ["--tel-id=1", "--output-folder=dl0", "--seed=3"]
    more = "--ProduceCamcalibTestData"
    night.run(ProduceCamcalibTestData, *both, "--n-flatfield=300", "--n-pedestal=300")
    night.run(
        ProduceCamcalibTestData,
        *both,
        f"--n-flatfield={N_FLASHES}",
        "--n-pedestal=40",
        f"{more}.obs_id=2",
        f"{more}.flatfield_n_pe={N_PE}",
        f"{more}.intensity_jitter={JITTER}",
    )
    night.run(CalculatePixelStatistics, *night.files(1), "--output=statistics.h5")
    coefficients = ["--input=statistics.h5", "--output=coefficients.h5"]
    night.run(CalculateCamcalibCoefficients, *coefficients)
    return night


@pytest.fixture(scope="module")
def efficiency(night):
    """Of the median pixel, to which the coefficients flat-field."""
    path = next(night.folder.glob("dl0/truth/**/*OBSID2.camera_truth.ecsv"))
    truth = truth_from_table(read_table(path, "simulation/camera_truth"))
    return np.median(truth.relative_efficiency)


def errors(row):
    """Of what the simulation does not know: statistics of flashes and of coefficients."""
    names = ("stat_error", "calibration_sys_error", "flatfield_sys_error")
    return np.sqrt(sum(row[name] ** 2 for name in names))


def test_throughput_is_photoelectrons_over_photons(night, efficiency):
    assert night.throughput() == 0
    (row,) = night.table()
    true = N_PE * efficiency / PHOTONS
    assert row["mean"] == pytest.approx(true, abs=3 * errors(row))
    assert errors(row) < 0.005 * true  # calibration 0.26 %, jitter 1 % / sqrt(60)
    expected = N_PE * efficiency * 1.222 / 1855  # without noise of the sky
    expected = np.sqrt(expected / N_PE**2 + JITTER**2) * row["mean"]
    assert row["expected_error"] == pytest.approx(expected / np.sqrt(N_FLASHES), rel=0.02)
    assert row["chi2"] == pytest.approx(1, abs=4 * np.sqrt(2 / (N_FLASHES - 1)))
    # median of 60 flashes with 1854 degrees of freedom, noise of 40 pedestals known to 11 %
    assert row["image_chi2"] == pytest.approx(1, abs=4 * np.sqrt(2 / 1854))


def test_product_tells_what_it_is(night):
    night.throughput()
    table = night.table()
    header = table.meta["calibpipe"]
    assert header["kind"] == "throughput/illuminator_throughput"
    assert (header["tel_id"], header["array_element"], header["obs_id"]) == (1, "LSTN-01", 2)
    assert (header["n_flashes"], header["n_valid_chunks"]) == (N_FLASHES, 1)
    assert header["remarks"] == []
    assert header["pixel_gaps"] == "included"
    assert header["pixel_fill_factor"] == pytest.approx(1, abs=1e-3)
    way = ["source", "distance", "transmission", "angle", "map"]
    names = [*way, "gain", "calibration", "flatfield"]
    assert sorted(header["systematics"]) == sorted(names)
    assert header["systematics"]["source"] == 0.03
    # F² = 1.222 +- 0.02; B² adds to it in quadrature
    assert 0.02 / 1.222 < header["systematics"]["gain"] < 0.018
    roles = [entry["role"] for entry in header["inputs"]]
    assert roles[1:3] == ["throughput/illuminator_source", "camera/coefficients"]
    (row,) = table
    assert (row["method"], row["obs_id"], row["n_events"]) == ("Illuminator", 2, N_FLASHES)
    total = np.sqrt(sum(row[f"{name}_sys_error"] ** 2 for name in names))
    assert row["sys_error"] == pytest.approx(total, rel=1e-9)
    assert row["stat_error"] == row["sem"] == pytest.approx(row["std"] / np.sqrt(N_FLASHES))
    assert row["is_valid"]


def test_flashes_are_in_the_product(night):
    night.throughput()
    flashes, (row,) = night.table(FLASHES_GROUP), night.table()
    assert len(flashes) == np.unique(flashes["event_id"]).size == N_FLASHES
    assert np.mean(flashes["throughput"]) == pytest.approx(row["mean"], rel=1e-12)
    assert set(flashes["n_pixels"]) == {1855}
    assert (flashes["time"] >= row["time_start"]).all()


def test_files_of_the_index_give_the_same(night):
    night.throughput()
    expected = night.table()["mean"][0]
    night.run(
        IndexDl0,
        "--dl0-root=dl0",
        "--telescopes=LSTN-01",
        "--output=index.ecsv",
        "--overwrite",
    )
    block = ["--index=index.ecsv", "--dl0-root=dl0", "--telescope=LSTN-01", "--obs-id=2"]
    assert night.throughput(files=block) == 0
    assert night.table()["mean"][0] == expected


def test_distance_and_air(night):
    """Twice the distance: four times the throughput, the errors of the way are told."""
    night.throughput()
    near = night.table()[0]
    night.throughput(
        reference_distance=[1000] * u.m,
        distance=[2] * u.km,
        distance_error=[10] * u.m,
        attenuation_length=[10] * u.km,
        attenuation_length_error=[1] * u.km,
    )
    far = night.table()[0]
    assert far["mean"] == pytest.approx(4 * near["mean"] * np.exp(0.2), rel=1e-9)
    assert far["distance_sys_error"] / far["mean"] == pytest.approx((2 + 0.2) * 0.005)
    assert far["transmission_sys_error"] / far["mean"] == pytest.approx(0.02)


def test_periods_of_the_source(night):
    """Off at first, then known, later said to be twice as bright: two chunks, half the value."""
    night.throughput()
    time = night.table(FLASHES_GROUP)["time"]
    edges = [time[0] - 1 * u.s, time[9] + 5 * u.ms, time[34] + 5 * u.ms]
    night.throughput(
        time=[edge.isot for edge in edges],
        photons=photons([0, 1, 2]),
        relative_error=[0.03, 0.02, 0.04],
        jitter=[JITTER] * 3,
    )
    table = night.table()
    assert list(table["n_events"]) == [25, 25]
    ratio = table["mean"][0] / table["mean"][1]
    error = np.hypot(*(table["stat_error"] / table["mean"])) * 2
    assert ratio == pytest.approx(2, abs=4 * error)
    assert table.meta["calibpipe"]["systematics"]["source"] == 0.04
    assert "10 flashes while the source was off" in table.meta["calibpipe"]["remarks"][0]


def write_map(night, light):
    table = QTable({"pixel_id": np.arange(len(light)), "relative_light": light})
    table.write(night.folder / "map.ecsv", overwrite=True)


def test_map_of_the_light(night, efficiency):
    """A flat map of half the camera is the same light; the level is of the pixels known."""
    write_map(night, np.full(900, 7.0))
    night.throughput("--map=map.ecsv")
    (row,) = night.table()
    assert set(night.table(FLASHES_GROUP)["n_pixels"]) == {900}
    assert row["mean"] == pytest.approx(N_PE * efficiency / PHOTONS, abs=3 * errors(row))


def test_wrong_map(night):
    write_map(night, np.linspace(0.2, 1.8, 1855))
    code, message = night.refused("--map=map.ecsv")
    assert code == FEW
    assert "no valid throughput of LSTN-01, observation 2 in 1 chunks" in message
    assert "60 unlike the map" in message


def test_jitter_that_is_not_told(night):
    """1 % of jitter against 0.4 % of photoelectron statistics."""
    limit = "--CalculateThroughputIlluminator.max_flash_chi2=3"
    code, message = night.refused(limit, jitter=[0.0])
    assert code == FEW
    assert "unstable source, or its jitter is larger" in message


def test_all_saturated(night):
    limit = "--CalculateThroughputIlluminator.saturation_in_adc=300"  # below the pedestal
    code, message = night.refused(limit)
    assert code == FEW
    assert "got 0 (60 saturated" in message


def test_too_few_flashes(night):
    limit = "--CalculateThroughputIlluminator.min_flashes=61"
    code, message = night.refused(limit)
    assert code == FEW
    assert "needs at least 61 flashes, got 60" in message


def test_no_flash_of_the_type(night):
    code, message = night.refused(event_type="OTHER_CALIBRATION")
    assert code == FEW
    assert "no OTHER_CALIBRATION event among" in message


def test_source_that_is_off(night):
    code, message = night.refused(photons=photons([0]))
    assert code == FEW
    assert "no flash while the source was on" in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"photons": None}, "no column photons"),
        ({"photons": [1.0] * u.m}, "photons has the unit m, needs ph / m2"),
        ({"brightness": [1.0]}, "unknown columns brightness"),
        ({"distance": [1.0] * u.m}, "distance needs a column distance_error, reference_distance"),
        ({"angle": [10.0] * u.m, "angle_error": [1] * u.deg}, "angle has the unit m, needs deg"),
        ({"angle": [90.0] * u.deg, "angle_error": [1] * u.deg}, "must be below 90 deg"),
        ({"relative_error": [-0.1]}, "relative_error is -0.1, must be finite and not negative"),
        ({"time": ["yesterday"]}, "time is neither a Time nor ISO text"),
        ({"tel_id": [2]}, "no row of telescope 1"),
    ],
)
def test_bad_source(night, change, message):
    code, told = night.refused(**change)
    assert code == CONFIGURATION
    assert message in told


def test_bad_map(night):
    write_map(night, np.ones(1856))
    assert night.refused("--map=map.ecsv") == (
        CONFIGURATION,
        "map of the light: pixel_id must be from 0 to 1854, each once",
    )


@pytest.mark.parametrize(("text", "expected"), [(None, MISSING), ("no table", CORRUPTED)])
def test_map_that_cannot_be_read(night, text, expected):
    path = night.folder / "bad.ecsv"
    path.unlink(missing_ok=True)
    if text:
        path.write_text(text)
    code, message = night.refused("--map=bad.ecsv")
    assert code == expected
    assert "map of the light" in message


def test_telescope_without_mirror_area(night, monkeypatch):
    from calibpipe.core import telescope

    subarray = telescope.telescope_subarray(1)
    monkeypatch.setattr(subarray.tel[1].optics, "mirror_area", np.nan * u.m**2)
    monkeypatch.setattr(telescope, "telescope_subarray", lambda tel_id: subarray)
    night.source()
    (night.folder / "throughput.h5").unlink(missing_ok=True)
    with pytest.raises(CalibPipeError, match="LSTN-01 has no mirror area") as error:
        night.run(
            CalculateThroughputIlluminator,
            *night.files(2),
            "--coefficients=coefficients.h5",
            "--source=source.ecsv",
            "--output=throughput.h5",
        )
    assert error.value.exit_code == CONFIGURATION


def test_flashes_without_pedestals(night, root, tmp_path):
    """The noise has to come from somewhere."""
    bare = Night(root, tmp_path)
    more = "--ProduceCamcalibTestData"
    bare.run(
        ProduceCamcalibTestData,
        *("--tel-id=1", "--output-folder=dl0", "--seed=3", f"{more}.obs_id=2"),
        *("--n-flatfield=20", "--n-pedestal=0", f"{more}.flatfield_n_pe={N_PE}"),
    )
    (tmp_path / "coefficients.h5").symlink_to(night.folder / "coefficients.h5")
    code, message = bare.refused()
    assert code == FEW
    assert "at least 25 pedestal events for the noise of images, got 0" in message
    assert bare.throughput("--CalculateThroughputIlluminator.pedestal_noise_in_pe=2.0") == 0


def test_wrong_telescope(night):
    code, message = night.refused("--telescope=LSTN-02")
    assert code == CONFIGURATION
    assert "the files of LSTN-02 are of telescope 1, LSTN-01" in message


def test_missing_options_are_named(tmp_path):
    with pytest.raises(ToolConfigurationError, match=r"needs --site.*--coefficients, --source"):
        run_tool(CalculateThroughputIlluminator(), argv=[], cwd=tmp_path, raises=True)


def test_help(tmp_path, capsys):
    assert run_tool(CalculateThroughputIlluminator(), argv=["--help"], cwd=tmp_path) == 0
    assert "--source" in capsys.readouterr().out
