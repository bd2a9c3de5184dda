"""The Tools of the all-sky camera: a night with known clouds, and every kind of bad input."""

import shutil

import numpy as np
import pytest
from allsky_nights import CLEAR, cloudy, frames
from astropy.io import fits
from astropy.time import Time
from ctapipe.core import run_tool

from calibpipe.core.allsky_file import read_allsky
from calibpipe.core.exceptions import CalibPipeError
from calibpipe.core.products import content_hash, read_table
from calibpipe.simulation.allsky_encoding import frame_hdu
from calibpipe.tools import simulate_allsky_data
from calibpipe.tools.process_allsky import KIND, ProcessAllsky
from calibpipe.tools.simulate_allsky_data import SimulateAllskyData

NIGHT = "2024-07-10"
CONFIGURATION, CORRUPTED, MISSING = 101, 104, 105
SPARSE = "--SimulateAllskyData.interval_in_min=50"
COLUMNS = [
    "time",
    "status",
    "cloud_fraction",
    "cloud_fraction_stat_error",
    "cloud_fraction_sys_error",
    "region_cloud_fraction",
    "region_stat_error",
    "region_sys_error",
    "region_n_expected",
    "region_n_detected",
    "region_sky_brightness",
]


class Allsky:
    """Frames in a folder, and the Tools on them."""

    def __init__(self, root, folder):
        self.root, self.folder = root, folder

    def run(self, tool, output, *options, site="CTAO-North", night=NIGHT):
        argv = [f"--site={self.root}/config/sites/{site}.yaml", f"--night={night}"]
        argv += [f"--output={self.folder / output}", "--overwrite", *options]
        assert run_tool(tool(), argv, cwd=self.folder, raises=True) == 0
        return self.folder / output

    def simulate(self, output, *options, **keys):
        return self.run(SimulateAllskyData, output, *options, **keys)

    def process(self, *options, **keys):
        return read_table(self.run(ProcessAllsky, "allsky.ecsv", *options, **keys), KIND)

    def refused(self, *options, **keys):
        with pytest.raises(CalibPipeError) as caught:
            self.process(*options, **keys)
        return caught.value.exit_code, str(caught.value)


@pytest.fixture
def allsky(root, tmp_path):
    return Allsky(root, tmp_path)


@pytest.fixture(scope="module")
def file(north, tmp_path_factory):
    """Two frames, clear and cloudy."""
    return write(tmp_path_factory.mktemp("allsky") / "night.fits", north, cloudy(0.0, 0.5), n=2)


def write(path, site, simulation=CLEAR, change=lambda hdus: hdus, **more):
    made = [frame_hdu(frame, site) for frame, _ in frames(site, simulation, **more)]
    fits.HDUList([fits.PrimaryHDU(), *change(made)]).writeto(path)
    return path


def own(table):
    return table.meta["calibpipe"]


@pytest.fixture(scope="module")
def made(root, tmp_path_factory):
    """A night of the simulation, its truth, the product of it; shipped configurations."""
    allsky = Allsky(root, tmp_path_factory.mktemp("night"))
    config = f"--config={root}/config/tools/"
    night = allsky.simulate("allsky.fits", f"{config}simulate_allsky_data.yaml", "--seed=3", SPARSE)
    table = allsky.process(f"--input={night}", f"{config}process_allsky.yaml")
    truth = read_table(night.with_suffix(".truth.ecsv"), simulate_allsky_data.KIND)
    return allsky, night, table, truth


class TestNight:
    def test_layout(self, made):
        """What the consumers of the product rely on."""
        _, _, table, truth = made
        assert set(COLUMNS) <= set(table.colnames)
        assert table["time"].tolist() == truth["time"].tolist()
        header = own(table)
        edges = header["regions"]
        assert list(edges) == [
            f"{angle}_{end}_in_deg" for angle in ("azimuth", "zenith") for end in ("max", "min")
        ]
        assert {len(values) for values in edges.values()} == {37}
        for name in COLUMNS[5:]:
            assert table[name].shape == (len(table), 37)
        assert header["n_frames"] == header["n_used"] == len(table) == 9
        assert header["median_cloud_fraction"] == np.median(table["cloud_fraction"])
        assert header["validity"]["begin_utc"] < table["time"][0]
        assert table["time"][-1] < header["validity"]["end_utc"]

    def test_closure(self, made):
        _, _, table, truth = made
        away = table["cloud_fraction"] - truth["cloud_fraction"]
        error = np.hypot(table["cloud_fraction_stat_error"], table["cloud_fraction_sys_error"])
        assert np.abs(away / error).max() < 3.5
        assert truth["cloud_fraction"].max() > 0.3
        assert truth["cloud_fraction"][0] == 0

    def test_same_input_gives_the_same_content(self, made):
        allsky, night, _, _ = made
        first, content = content_hash(allsky.folder / "allsky.ecsv"), night.read_bytes()
        allsky.simulate("allsky.fits", "--seed=3", SPARSE)
        assert night.read_bytes() == content
        allsky.process(f"--input={night}")
        assert content_hash(allsky.folder / "allsky.ecsv") == first

    def test_folder_with_a_file_a_frame(self, made):
        allsky, _, table, _ = made
        long = "--SimulateAllskyData.interval_in_min=200"
        folder = allsky.simulate("frames", "--seed=3", "--folder", long)
        assert len(list(folder.iterdir())) == 3
        again = allsky.process(f"--input={folder}")
        assert again["time"][0] == table["time"][0]
        assert again["cloud_fraction"][0] == table["cloud_fraction"][0]


class TestBadInput:
    def test_frame_that_cannot_be_used_is_a_row_with_a_reason(self, allsky, north):
        """Full Moon, in the night of 2024-07-20."""
        path = write(allsky.folder / "a.fits", north, begin=Time("2024-07-20T23:00:00"), n=1)
        table = allsky.process(f"--input={path}", night="2024-07-20")
        assert table["status"][0].startswith("Moon in the frame")
        assert np.isnan(table["cloud_fraction"][0])
        assert np.isnan(table["region_cloud_fraction"]).all()
        assert own(table)["n_used"] == 0
        assert own(table)["reasons"] == {"Moon in the frame": 1}
        assert own(table)["median_cloud_fraction"] is None

    def test_other_night(self, allsky, file):
        code, message = allsky.refused(f"--input={file}", night="2024-07-12")
        assert code == MISSING
        assert "none of 2 all-sky frames from 2024-07-10T23:40:15.000" in message
        assert "lies in the night 2024-07-12" in message

    def test_frames_of_other_nights_are_left_out_and_counted(self, allsky, file, north):
        path = write(allsky.folder / "later.fits", north, begin=Time("2024-07-11T23:40:00"))
        table = allsky.process(f"--input={file}", f"--input={path}")
        assert len(table) == 2
        assert own(table)["n_frames_outside_night"] == 1

    def test_other_site(self, allsky, file):
        code, message = allsky.refused(f"--input={file}", site="CTAO-South")
        assert code == CONFIGURATION
        assert "the site CTAO-South at -24.627 deg" in message

    def test_damaged_file_among_good_ones(self, allsky, file):
        (allsky.folder / "cut.fits").write_bytes(file.read_bytes()[:5000])
        table = allsky.process(f"--input={file}", f"--input={allsky.folder}/cut.fits")
        assert len(table) == 2
        assert list(own(table)["unreadable"]) == ["cut.fits"]

    def test_nothing_but_damaged_files(self, allsky, file):
        (allsky.folder / "cut.fits").write_bytes(file.read_bytes()[:5000])
        code, message = allsky.refused(f"--input={allsky.folder}/cut.fits")
        assert code == CORRUPTED
        assert message.startswith("none of 1 files is readable, the first: cut.fits")

    def test_frame_given_twice(self, allsky, file):
        shutil.copy(file, allsky.folder / "copy.fits")
        code, message = allsky.refused(f"--input={file}", f"--input={allsky.folder}/copy.fits")
        assert code == CORRUPTED
        assert "2 of 4 all-sky frames are there twice, the first at 2024-07-10T23:40:15" in message

    def test_no_file(self, allsky):
        code, message = allsky.refused(f"--input={allsky.folder}/none.fits")
        assert code == MISSING
        assert "none.fits does not exist" in message

    def test_values_of_the_camera_from_the_configuration(self, allsky, file, north):
        """A wrong zero point by a magnitude: stars look fainter than they should."""
        (allsky.folder / "c.yaml").write_text("ProcessAllsky: {camera: {zero_point: 12.2}}")
        table = allsky.process(f"--input={file}", f"--config={allsky.folder}/c.yaml")
        assert table["cloud_fraction"][0] > 0.9
        (frame, *_) = read_allsky(file, north)
        assert frame.camera.zero_point == 11.2
