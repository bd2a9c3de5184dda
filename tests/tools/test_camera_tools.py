"""The Tools from DL0 to coefficients: bad input, exit codes, nothing half-written."""

import os

os.environ.setdefault("CTAPIPE_IO_ZFITS_NO_SERVICE_DATA", "1")

import shutil

import pytest
from ctapipe.core import run_tool
from ctapipe.core.tool import ToolConfigurationError

from calibpipe.core.exceptions import CalibPipeError
from calibpipe.core.monitoring_file import read_camera_coefficients
from calibpipe.core.statistics_file import read_pixel_statistics
from calibpipe.tools.calculate_camcalib_coefficients import CalculateCamcalibCoefficients
from calibpipe.tools.calculate_pixel_statistics import CalculatePixelStatistics
from calibpipe.tools.index_dl0 import IndexDl0
from calibpipe.tools.produce_camcalib_test_data import ProduceCamcalibTestData

TOOLS = {
    "index": IndexDl0,
    "statistics": CalculatePixelStatistics,
    "coefficients": CalculateCamcalibCoefficients,
    "simulate": ProduceCamcalibTestData,
}
SUFFIX = {"index": "ecsv", "statistics": "h5", "coefficients": "h5"}
BLOCK = ("--index=index.ecsv", "--dl0-root=dl0", "--telescope=LSTN-01", "--obs-id=1")
CORRUPTED, MISSING, FEW, CONFIGURATION = 104, 105, 106, 101


class Night:
    """A folder in which Tools run."""

    def __init__(self, root, folder):
        self.root = root
        self.folder = folder

    def run(self, name, *options):
        """Exit code of a Tool; its product is called after it."""
        argv = [f"--site={self.root}/config/sites/CTAO-North.yaml", "--night=2024-07-10"]
        if name != "simulate":
            argv += ["--category=B", f"--output={name}.{SUFFIX[name]}", "--overwrite"]
        return run_tool(TOOLS[name](), argv=[*argv, *options], cwd=self.folder, raises=True)

    def refused(self, name, *options):
        """Exit code of a Tool that fails, its message, and the products that are there."""
        with pytest.raises(CalibPipeError) as error:
            self.run(name, *options)
        left = sorted(p.name for p in self.folder.glob("*.*") if p.suffix != ".log")
        return error.value.exit_code, str(error.value), left


@pytest.fixture(scope="module")
def simulated(root, tmp_path_factory):
    """60 flat fields and 60 pedestals of LSTN-01 in three streams."""
    night = Night(root, tmp_path_factory.mktemp("simulated"))
    night.run(
        "simulate",
        "--tel-id=1",
        "--n-flatfield=60",
        "--n-pedestal=60",
        "--output-folder=dl0",
        "--ProduceCamcalibTestData.n_streams=3",
    )
    return night.folder / "dl0"


@pytest.fixture
def night(root, simulated, tmp_path):
    """A copy of the simulated night."""
    shutil.copytree(simulated, tmp_path / "dl0")
    return Night(root, tmp_path)


@pytest.fixture
def streams(night):
    return sorted(night.folder.glob("dl0/DL0/LSTN-01/**/*.fits.fz"))


def test_from_index_to_coefficients(night):
    assert night.run("index", "--dl0-root=dl0", "--telescopes=LSTN-01") == 0
    assert night.run("statistics", *BLOCK) == 0
    assert night.run("coefficients", "--input=statistics.h5") == 0
    table = read_camera_coefficients(night.folder / "coefficients.h5", 1)
    header = table.meta["calibpipe"]
    assert (header["kind"], header["obs_id"], header["category"]) == ("camera/coefficients", 1, "B")
    assert header["extraction"]["window_width"] == 12
    assert header["inputs"][-1]["role"] == "camera/pixel_statistics"
    assert table["is_valid"].all()


def test_telescopes_without_data_are_a_warning(night, capfd):
    assert night.run("index", "--dl0-root=dl0") == 0
    assert "no DL0 of LSTN-02, LSTN-03, LSTN-04" in capfd.readouterr().err


def test_night_without_data(night):
    code, message, left = night.refused("index", "--dl0-root=dl0", "--telescopes=LSTN-02")
    assert (code, left) == (MISSING, [])
    assert "no DL0 of LSTN-02 in the night 2024-07-10" in message


@pytest.mark.parametrize("spoil", ["cut", "absent", "grown"])
def test_files_that_cannot_be_read(night, streams, spoil, capfd):
    """The index is made with a warning, the observation is refused, nothing is left."""
    if spoil == "cut":
        streams[1].write_bytes(streams[1].read_bytes()[: -100 * 2880])
    elif spoil == "absent":
        streams[1].unlink()
    else:
        with streams[1].open("ab") as stream:
            stream.write(bytes(2880))
    assert night.run("index", "--dl0-root=dl0", "--telescopes=LSTN-01") == 0
    told = {"cut": "truncated", "absent": "missing stream", "grown": "still being written"}[spoil]
    assert told in capfd.readouterr().err
    code, message, left = night.refused("statistics", *BLOCK)
    assert (code, left) == (CORRUPTED, ["index.ecsv"])
    assert "observation 1 of LSTN-01 cannot be read" in message
    assert told in message


def test_file_that_changes_after_the_index(night, streams):
    night.run("index", "--dl0-root=dl0", "--telescopes=LSTN-01")
    streams[0].write_bytes(streams[0].read_bytes()[:-2880])
    code, message, left = night.refused("statistics", *BLOCK)
    assert (code, left) == (CORRUPTED, ["index.ecsv"])
    assert "index again" in message


def test_wrong_telescope(night, streams):
    files = [f"--input={path}" for path in streams]
    code, message, left = night.refused("statistics", *files, "--telescope=LSTN-02")
    assert (code, left) == (CONFIGURATION, [])
    assert "the files of LSTN-02 are of telescope 1, LSTN-01" in message


@pytest.mark.parametrize("options", [(), BLOCK[:3], (*BLOCK, "--input=a.fits.fz")])
def test_index_or_files(night, options):
    code, message, left = night.refused("statistics", *options)
    assert (code, left) == (CONFIGURATION, [])
    assert "needs either --input or all of --index" in message


def test_fewer_than_25_pedestals(night, streams):
    """Chunks of 20 pedestals: the statistics are made, coefficients are refused."""
    chunks = "--CalculatePixelStatistics.pedestal_chunk_size=20"
    night.run("statistics", *(f"--input={path}" for path in streams), chunks)
    code, message, left = night.refused("coefficients", "--input=statistics.h5")
    assert (code, left) == (FEW, ["statistics.h5"])
    assert "needs at least 25 pedestal events, got 20" in message
    assert "LSTN-01, observation 1" in message


def test_all_pixels_dead(root, tmp_path):
    night = Night(root, tmp_path)
    (tmp_path / "dead.yaml").write_text("ProduceCamcalibTestData: {spread: {dead: 1.0}}")
    options = ("--n-flatfield=60", "--n-pedestal=60", "--output-folder=dl0", "--tel-id=1")
    night.run("simulate", "--config=dead.yaml", *options)
    night.run("index", "--dl0-root=dl0", "--telescopes=LSTN-01")
    night.run("statistics", *BLOCK)
    code, message, left = night.refused("coefficients", "--input=statistics.h5")
    assert (code, left) == (FEW, ["dead.yaml", "index.ecsv", "statistics.h5"])
    assert "no valid coefficients of LSTN-01, observation 1" in message
    assert "of the pixels are bad" in message


def test_statistics_that_do_not_say_their_window(night, streams):
    """As those of ctapipe's tools."""
    import tables

    night.run("statistics", *(f"--input={path}" for path in streams))
    with tables.open_file(night.folder / "statistics.h5", "a") as h5file:
        del h5file.root._v_attrs["calibpipe"]
    code, message, _ = night.refused("coefficients", "--input=statistics.h5")
    assert code == CONFIGURATION
    assert "over how many samples" in message
    width = "--CalculateCamcalibCoefficients.window_width=12"
    assert night.run("coefficients", "--input=statistics.h5", width) == 0


def test_unknown_criteria(night, streams):
    night.run("statistics", *(f"--input={path}" for path in streams))
    (night.folder / "criteria.yaml").write_text(
        "CalculateCamcalibCoefficients: {criteria: {max_bad: 1}}"
    )
    options = ("--input=statistics.h5", "--config=criteria.yaml")
    code, message, _ = night.refused("coefficients", *options)
    assert code == CONFIGURATION
    assert "unknown entries ['max_bad']" in message


def test_same_data_same_identifier(night, streams):
    """What was read is the same: so are the numbers, and the identifier of the product."""
    files = [f"--input={path}" for path in streams]
    identifiers = set()
    for order in (files, files[::-1]):
        night.run("statistics", *order)
        found = read_pixel_statistics(night.folder / "statistics.h5")
        identifiers.add(found.tables["flatfield_image"]["mean"].tobytes())
    assert len(identifiers) == 1


@pytest.mark.parametrize("name", ["index", "statistics", "coefficients"])
def test_missing_options_are_named(tmp_path, name):
    with pytest.raises(ToolConfigurationError, match="needs --site, --night, --output"):
        run_tool(TOOLS[name](), argv=[], cwd=tmp_path, raises=True)
