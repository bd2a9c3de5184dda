"""Array timing from DL2 files of ctapipe: Tool, product, aggregation, refusals."""

import os

os.environ.setdefault("CTAPIPE_IO_ZFITS_NO_SERVICE_DATA", "1")

from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
import tables
from astropy.table import Table
from ctapipe.core import run_tool
from ctapipe.core.tool import ToolConfigurationError
from ctapipe.io import write_table
from numpy.testing import assert_allclose
from timed_showers import positions, showers, subarray_at, write_dl2

from calibpipe.array.dl2_times import read_times, relative_times
from calibpipe.array.shower_front import SPEED_OF_LIGHT
from calibpipe.core.array_file import read_array_product
from calibpipe.core.exceptions import CalibPipeError
from calibpipe.tools.calculate_array_timing import (
    BLOCKS,
    EQUATIONS,
    KIND,
    OFFSETS,
    RESIDUALS,
    CalculateArrayTiming,
)
from calibpipe.tools.simulate_dl2_data import SimulateDl2Data

CORRUPTED, MISSING, FEW, CONFIGURATION = 104, 105, 106, 101
N_TEL = 5


@pytest.fixture(scope="module")
def layout():
    """Positions, true offsets, subarray."""
    rng = np.random.default_rng(1)
    position = positions(rng, N_TEL)
    offset = rng.normal(0, 10, N_TEL)
    return position, offset - offset.mean(), subarray_at(position)


class Night:
    """A folder with DL2 files."""

    def __init__(self, root, folder, layout):
        self.folder = folder
        self.position, self.offset, self.subarray = layout
        self.options = [
            f"--site={root}/config/sites/CTAO-North.yaml",
            "--night=2024-07-10",
            "--CalculateArrayTiming.refractivity=0",
            "--CalculateArrayTiming.core_error_in_m=0",
            "--CalculateArrayTiming.height_error_in_m=0",
            "--overwrite",
        ]

    def made(self, seed, n_events=400, **settings):
        rng = np.random.default_rng(seed)
        given = {"position": self.position, "offset": self.offset} | settings
        return showers(rng, n_events, N_TEL, **given)

    def write(self, name, made, **settings):
        return write_dl2(self.folder / name, self.subarray, made, **settings)

    def run(self, *inputs, output="timing.h5"):
        options = [i if str(i).startswith("--") else f"--input={i}" for i in inputs]
        argv = [*self.options, *options, f"--output={output}"]
        run_tool(CalculateArrayTiming(), argv=argv, cwd=self.folder, raises=True)
        return self.table(OFFSETS, output)

    def table(self, node, output="timing.h5"):
        header, found = read_array_product(self.folder / output, KIND, [node])
        found[node].meta["calibpipe"] = header
        return found[node]

    def refused(self, *inputs):
        with pytest.raises(CalibPipeError) as error:
            self.run(*inputs, output="refused.h5")
        assert not (self.folder / "refused.h5").exists()
        return error.value.exit_code, str(error.value)


@pytest.fixture
def night(root, tmp_path, layout):
    return Night(root, tmp_path, layout)


def is_true(table, offset):
    """Whether offsets are the true ones within five errors."""
    error = np.hypot(table["stat_error"].data, table["sys_error"].data)
    return np.all(np.abs(table["offset"].data - offset) < 5 * error)


class TestNight:
    def test_two_files_of_three_blocks(self, night):
        first = night.made(1)
        night.write("a.h5", first, obs_id=1, first_event_id=2**53 + 1)
        night.write("b.h5", night.made(2, seen=0.7), obs_id=2)
        table = night.run("a.h5", "b.h5", "--CalculateArrayTiming.chunk_size=90")
        assert table["offset"].unit == u.ns
        assert table["stat_covariance"].unit == u.ns**2
        assert table["is_valid"].all()
        assert is_true(table, night.offset)
        assert_allclose(table["offset"].data.sum(), 0, atol=1e-9)
        assert_allclose(np.sqrt(np.diag(table["stat_covariance"])), table["stat_error"])
        header = table.meta["calibpipe"]
        assert header["observations"] == [1, 2]
        assert header["n_telescopes"] == header["n_valid"] == N_TEL
        assert header["islands"] == [list(table["array_element"])]
        assert header["not_converged"] == []
        assert_allclose(table["time_error"], 1.5, rtol=0.1)
        blocks = night.table(BLOCKS)
        assert len(blocks) == 2 * N_TEL
        for obs_id in (1, 2):
            assert is_true(blocks[blocks["obs_id"] == obs_id], night.offset)
        assert np.all(blocks["stat_error"] > np.tile(table["stat_error"], 2))
        assert blocks["time_start"].scale == "tai"
        assert_allclose(blocks["time_start"].unix_tai, 1_720_000_000)
        assert_allclose(blocks["time_end"].unix_tai, 1_720_000_003)
        residuals = night.table(RESIDUALS)
        assert residuals["n"].sum() == table["n_events"].sum()
        assert len(night.table(EQUATIONS)) == 2

    def test_product_does_not_depend_on_the_chunks(self, night):
        night.write("a.h5", night.made(3))
        one = night.run("a.h5")
        many = night.run("a.h5", "--CalculateArrayTiming.chunk_size=7", output="many.h5")
        assert_allclose(one["offset"], many["offset"], atol=1e-6)
        assert_allclose(one["stat_error"], many["stat_error"], rtol=1e-6)

    def test_products_of_blocks_add_up(self, night):
        night.write("a.h5", night.made(4), obs_id=1)
        night.write("b.h5", night.made(5), obs_id=2)
        both = night.run("a.h5", "b.h5")
        night.run("a.h5", output="first.h5")
        night.run("b.h5", output="second.h5")
        added = night.run("--blocks=first.h5", "--blocks=second.h5", output="sum.h5")
        mixed = night.run("--blocks=first.h5", "b.h5", output="mixed.h5")
        for table in (added, mixed):
            for name in ("offset", "stat_error", "sys_error"):
                assert_allclose(table[name], both[name], atol=1e-7)
        code, message = night.refused("--blocks=first.h5", "a.h5")
        assert code == CONFIGURATION
        assert "observations [1] are there twice" in message

    def test_reference_telescope(self, night):
        night.write("a.h5", night.made(6))
        table = night.run("a.h5", "--reference=3")
        assert table["offset"][2] == 0
        assert is_true(table[[0, 1, 3, 4]], (night.offset - night.offset[2])[[0, 1, 3, 4]])
        code, message = night.refused("a.h5", "--reference=77")
        assert code == CONFIGURATION
        assert "telescope 77 is not in the subarray" in message

    def test_times_relative_to_the_pointing(self, night):
        """As sim_telarray writes them: without the delay of a plane front along the pointing."""
        made = night.made(7, az=30.0)
        alt, az = np.radians([70.0, 30.0])
        pointing = np.array([np.cos(alt) * np.cos(az), -np.cos(alt) * np.sin(az), np.sin(alt)])
        plane = -(1 + 2.28e-4) * night.position @ pointing / SPEED_OF_LIGHT
        relative = replace(made, times=replace(made.times, time=made.times.time - plane))
        path = night.write("sim.h5", relative)
        code, message = night.refused("sim.h5", "--time-reference=pointing")
        assert code == MISSING
        assert "fixed pointing" in message
        with tables.open_file(path, "a") as h5file:
            for tel_id in night.subarray.tel:
                names = ("telescope_pointing_altitude", "telescope_pointing_azimuth")
                values = zip(names, (alt, az), strict=True)
                table = Table({"obs_id": [1]} | {n: [v] * u.rad for n, v in values})
                write_table(table, h5file, f"/configuration/telescope/pointing/tel_{tel_id:03d}")
        assert is_true(night.run("sim.h5", "--time-reference=pointing"), night.offset)

    def test_quality_criteria(self, night):
        """Showers with a wrong geometry are left out by a criterion."""
        made = night.made(8)
        wrong = np.arange(400) < 100
        times = replace(made.times, alt=made.times.alt - np.radians(3.0) * wrong)
        night.write("a.h5", replace(made, times=times))
        (night.folder / "c.yaml").write_text(
            "CalculateArrayTiming:\n  TimingQuality:\n    quality_criteria:\n"
            "      - [altitude, 'alt > 69']\n"
        )
        table = night.run("a.h5", "--config=c.yaml")
        assert table.meta["calibpipe"]["n_events"] == 300
        assert is_true(table, night.offset)


class TestSimulatedNight:
    def test_offsets_of_the_simulation(self, root, tmp_path):
        """Blocks of calibpipe-simulate-dl2-data: no code in common but the reader's columns."""
        site = [f"--site={root}/config/sites/CTAO-North.yaml", "--night=2024-07-10"]
        made = ["--n-events=1000", "--n-blocks=4", "--seed=3", f"--output-folder={tmp_path}"]
        run_tool(SimulateDl2Data(), argv=[*site, *made], raises=True)
        folder = tmp_path / "dl2/CTAO-North/2024-07-10"
        config = f"--config={root}/config/tools/calculate_array_timing.yaml"
        inputs = [f"--input={path}" for path in sorted(folder.glob("*.h5"))]
        output = f"--output={tmp_path / 'timing.h5'}"
        run_tool(CalculateArrayTiming(), argv=[*site, config, *inputs, output], raises=True)
        header, found = read_array_product(tmp_path / "timing.h5", KIND, [OFFSETS])
        table, truth = found[OFFSETS], Table.read(folder / "truth.ecsv")
        assert table["tel_id"].tolist() == truth["tel_id"].tolist()
        assert table["is_valid"].all()
        true = truth["time_offset_in_ns"].data
        difference = table["offset"].data - (true - true.mean())
        inverse = np.linalg.pinv(table["stat_covariance"].data, rcond=1e-9)
        assert difference @ inverse @ difference < 32.9  # one in a thousand, 12 degrees of freedom
        assert_allclose(table["time_error"], 1.5, rtol=0.15)
        assert_allclose(header["direction_error_in_deg"], 0.1, rtol=0.3)
        # the simulation has no air: the Tool's refractivity looks like (n - 1) tan z
        refraction = np.degrees(1.5e-4 * np.tan(np.radians(20)))
        found, error = header["direction_offset_in_deg"], header["direction_offset_error_in_deg"]
        assert abs(found[0] - refraction) < 4 * error[0]
        assert abs(found[1]) < 4 * error[1]


class TestFlagged:
    def test_islands(self, night):
        made = night.made(10, 800)
        west = np.arange(800)[:, None] % 2 == 0
        time = np.where(west == (np.arange(N_TEL) < 3), made.times.time, np.nan)
        night.write("a.h5", replace(made, times=replace(made.times, time=time)))
        table = night.run("a.h5")
        assert table["island"].tolist() == [0, 0, 0, 1, 1]
        assert table["is_valid"].tolist() == [True] * 3 + [False] * 2
        assert "only relative to" in table["reason"][3]
        assert np.isnan(table["stat_covariance"].data[:3, 3:]).all()
        header = table.meta["calibpipe"]
        assert [len(island) for island in header["islands"]] == [3, 2]
        assert len(header["not_valid"]) == 2
        code, message = night.refused("a.h5", "--CalculateArrayTiming.min_events=401")
        assert code == FEW
        assert "no telescope has a valid offset" in message

    def test_telescope_without_events(self, night):
        made = night.made(11)
        time = made.times.time.copy()
        time[:, 1] = np.nan
        night.write("a.h5", replace(made, times=replace(made.times, time=time)))
        table = night.run("a.h5")
        assert np.isnan(table["offset"][1])
        assert table["reason"][1] == "no events that count"
        assert table["island"][1] == -1
        assert table.meta["calibpipe"]["alone"] == [table["array_element"][1]]
        code, message = night.refused("a.h5", "--reference=2")
        assert code == FEW
        assert "reference telescope" in message

    def test_block_that_is_too_short(self, night):
        night.write("a.h5", night.made(12), obs_id=1)
        night.write("b.h5", night.made(13, 5), obs_id=2)
        header = night.run("a.h5", "b.h5").meta["calibpipe"]
        assert header["observations"] == [1]
        assert "20 events in common, the most are 5" in header["left_out"]["2"]

    def test_clock_that_jumps_between_blocks(self, night):
        jumped = night.offset + 40.0 * (np.arange(N_TEL) == 4)
        night.write("a.h5", night.made(14), obs_id=1)
        night.write("b.h5", night.made(15, offset=jumped), obs_id=2)
        table = night.run("a.h5", "b.h5")
        assert table["is_valid"].tolist() == [True] * 4 + [False]
        assert np.isnan(table["offset"][4])
        assert "differs between blocks" in table["reason"][4]
        others = night.offset[:4] - night.offset[:4].mean()
        assert is_true(table[:4], others)
        by_block = night.table(BLOCKS)
        of_jumped = by_block[by_block["tel_id"] == 5]
        assert_allclose(np.diff(of_jumped["offset"])[0], 40 * 0.8, atol=1.0)  # mean gauge of 5


class TestRefused:
    def test_options(self, night):
        with pytest.raises(ToolConfigurationError, match="needs --night"):
            run_tool(CalculateArrayTiming(), argv=["--site=a", "--output=b"], raises=True)
        code, message = night.refused()
        assert code == CONFIGURATION
        assert "needs --input" in message

    def test_no_file(self, night):
        assert night.refused("none.h5")[0] == MISSING

    def test_one_telescope(self, night):
        made = night.made(20)
        times = replace(made.times, time=made.times.time[:, :1])
        one = replace(made, times=times, position=made.position[:1])
        write_dl2(night.folder / "one.h5", subarray_at(made.position[:1]), one)
        code, message = night.refused("one.h5")
        assert code == FEW
        assert "no shower was seen by two telescopes" in message

    def test_no_event_of_two(self, night):
        made = night.made(21)
        first = np.arange(400)[:, None] % N_TEL == np.arange(N_TEL)
        time = np.where(first, made.times.time, np.nan)
        night.write("a.h5", replace(made, times=replace(made.times, time=time)))
        assert night.refused("a.h5")[0] == FEW

    def test_no_valid_geometry(self, night):
        night.write("a.h5", night.made(22), geometry__is_valid=np.zeros(400, bool))
        assert night.refused("a.h5")[0] == FEW
        night.write("b.h5", night.made(22), geometry__alt=np.full(400, np.nan) * u.deg)
        assert night.refused("b.h5")[0] == FEW

    def test_times_in_one_number(self, night):
        mjd = np.full(400, 60501.9)
        night.write("a.h5", night.made(23), trigger__time=mjd)
        code, message = night.refused("a.h5")
        assert code == CORRUPTED
        assert "exact to 0.6 us" in message

    def test_no_reconstructor(self, night):
        night.write("a.h5", night.made(24))
        code, message = night.refused("a.h5", "--reconstructor=HillasIntersection")
        assert code == MISSING
        assert "no geometry of HillasIntersection, but of HillasReconstructor" in message

    def test_file_given_twice(self, night):
        night.write("a.h5", night.made(25))
        code, message = night.refused("a.h5", "a.h5")
        assert code == CORRUPTED
        assert "400 events are there twice" in message

    def test_two_arrays(self, night):
        night.write("a.h5", night.made(26), obs_id=1)
        moved = night.position + np.array([0, 0, 1.0])
        write_dl2(night.folder / "b.h5", subarray_at(moved), night.made(27), obs_id=2)
        code, message = night.refused("a.h5", "b.h5")
        assert code == CONFIGURATION
        assert "another subarray" in message

    def test_tables_that_do_not_go_together(self, night):
        made = night.made(28)
        seen = np.isfinite(made.times.time)
        seen[17, 2] = False
        night.write("a.h5", made, tels_with_trigger=seen)
        code, message = night.refused("a.h5")
        assert code == CORRUPTED
        assert "are not those of the telescopes that the array trigger names" in message

    def test_product_of_another_kind(self, night):
        night.write("a.h5", night.made(29))
        assert night.refused("--blocks=a.h5")[0] == CORRUPTED


class TestTimes:
    def test_difference_of_integers(self):
        time = [[1_720_000_001, 3], [1_720_000_000, 0], [0, 0], [1_720_000_000, 2]]
        origin = [[1_720_000_000, 3_999_999_999], [1_720_000_001, 0], [5, 5], [0, 0]]
        found = relative_times(*(np.array(t, np.uint32) for t in (time, origin)))
        assert found[:2].tolist() == [1.0, -1e9]
        assert np.isnan(found[2:]).all()

    def test_times_are_exact_to_a_quarter_nanosecond(self, night):
        made = night.made(30)
        path = night.write("a.h5", made)
        found = np.concatenate([chunk.time for chunk in read_times([path], "HillasReconstructor")])
        # both times are rounded to quarters: 0.125 ns each
        assert np.nanmax(np.abs(found - made.times.time)) < 0.26

    def test_time_that_is_not_there(self, night):
        made = night.made(31)
        path = night.write("a.h5", made)
        with tables.open_file(path, "a") as h5file:
            node = h5file.root.dl1.event.telescope.trigger
            rows = node.read(0, 3)
            rows["time"] = 0
            node.modify_rows(0, 3, rows=rows)
        chunk = next(read_times([path], "HillasReconstructor"))
        assert np.isnan(chunk.time).sum() == 3

    def test_geometry_of_some_events_only(self, night):
        made = night.made(32)
        path = night.write("a.h5", made)
        with tables.open_file(path, "a") as h5file:
            node = h5file.root.dl2.event.subarray.geometry.HillasReconstructor
            node.remove_rows(10, 20)
        chunks = list(read_times([path], "HillasReconstructor", chunk_size=15))
        alt = np.concatenate([chunk.geometry["alt"] for chunk in chunks])
        assert np.isnan(alt).nonzero()[0].tolist() == list(range(10, 20))
        keep = np.isfinite(alt)
        assert_allclose(alt[keep], np.degrees(made.times.alt)[keep])
