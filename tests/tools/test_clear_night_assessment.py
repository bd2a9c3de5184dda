"""The Tool for clear nights on simulated FRAM data: closure, windows, every kind of bad input."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable
from astropy.time import Time
from ctapipe.core import run_tool

from calibpipe.core.exceptions import CalibPipeError
from calibpipe.core.night import astronomical_night
from calibpipe.core.products import content_hash, read_table
from calibpipe.simulation.fram import FramCamera, FramSky, fram_hdus, simulated_fram
from calibpipe.tools.clear_night_assessment import KIND, ClearNightAssessment
from calibpipe.tools.simulate_fram_data import SimulateFramData

NIGHT = "2024-07-10"
CONFIGURATION, CORRUPTED, MISSING, FEW = 101, 104, 105, 106
SKY, CAMERA = FramSky(), FramCamera(interval=5 * u.min, n_stars=40)


class Fram:
    """Simulated data of a night in a folder, and the Tool on them."""

    def __init__(self, root, folder, site):
        self.root, self.folder, self.site = root, folder, site
        self.night = astronomical_night(NIGHT, site)

    def simulate(self, sky=SKY, camera=CAMERA, seed=1, **changes):
        measured, truth = simulated_fram(
            self.site, self.night, sky, camera, np.random.default_rng(seed)
        )
        for name, value in changes.items():
            object.__setattr__(measured, name, value(getattr(measured, name)))
        fram_hdus(measured).writeto(self.folder / "fram.fits", overwrite=True)
        return truth

    def run(self, *options, site="CTAO-North", night=NIGHT):
        argv = [f"--site={self.root}/config/sites/{site}.yaml", f"--night={night}"]
        argv += [f"--config={self.root}/config/tools/clear_night_assessment.yaml"]
        argv += [f"--input={self.folder}/fram.fits", f"--output={self.folder}/clear.ecsv"]
        tool = ClearNightAssessment()
        run_tool(tool, argv=[*argv, "--overwrite", *options], cwd=self.folder, raises=True)
        return read_table(self.folder / "clear.ecsv", KIND)

    def refused(self, *options, **keys):
        with pytest.raises(CalibPipeError) as caught:
            self.run(*options, **keys)
        return caught.value.exit_code, str(caught.value)


@pytest.fixture
def fram(root, tmp_path, north):
    return Fram(root, tmp_path, north)


def own(table):
    return table.meta["calibpipe"]


class TestClosure:
    def test_clear_night(self, fram):
        fram.simulate()
        table = fram.run()
        header, night = own(table), table[0]
        assert header["is_clear"]
        assert header["reasons"] == {}
        assert header["n_clear_windows"] == header["n_windows"] == len(table) - 1
        airmass = header["systematic_errors"]["airmass"]
        assert abs(night["vaod"] - 0.02) < 3.3 * night["stat_error"] + airmass
        assert 0.008 < night["sys_error"] < 0.01
        assert night["detectable"] < 0.01
        assert header["season"] == "summer"
        assert header["limits"]["max_vaod"] == 0.04
        assert night["begin_utc"] == fram.night.dusk.utc.isot

    def test_cloud_in_a_quarter_of_the_night(self, fram):
        truth = fram.simulate(FramSky(cloud=0.2))
        table = fram.run()
        assert {"variable", "drifting", "aerosol"} <= set(own(table)["reasons"])
        windows = table[table["scope"] == "window"]
        begin = Time(windows["begin_utc"].tolist()).unix_tai
        end = Time(windows["end_utc"].tolist()).unix_tai
        time = Time(truth["time"].tolist()).unix_tai
        for k in range(len(windows)):
            cloudy = truth["cloud"][(time >= begin[k]) & (time < end[k])] > 0
            assert bool(windows["is_clear"][k]) == (not cloudy.any())
        assert 0 < np.sum(windows["is_clear"]) < len(windows)

    def test_dust(self, fram):
        fram.simulate(FramSky(vaod=0.3, angstrom_exponent=0.2))
        assert set(own(fram.run())["reasons"]) == {"aerosol"}

    def test_patchy_sky(self, fram):
        fram.simulate(FramSky(patchiness=0.03))
        assert set(own(fram.run())["reasons"]) == {"patchy"}

    def test_exponent_from_the_filters(self, fram):
        """Enough aerosol that the calibration of the filters does not matter."""
        camera = FramCamera(interval=5 * u.min, filters=[440, 550, 650] * u.nm)
        fram.simulate(FramSky(vaod=0.2, angstrom_exponent=1.6), camera)
        header = own(fram.run())
        assert header["angstrom_exponent_source"] == "filters"
        assert abs(header["angstrom_exponent"] - 1.6) < 3.3 * header["angstrom_exponent_error"]
        assert set(header["reasons"]) == {"aerosol"}
        fram.simulate(FramSky(vaod=0.02, angstrom_exponent=1.6), camera)
        table = fram.run()
        assert own(table)["angstrom_exponent_source"] == "configured"
        assert own(table)["is_clear"]
        assert abs(table["vaod"][0] - 0.02) < 3.3 * table["stat_error"][0] + table["sys_error"][0]

    def test_pull_over_nights(self, fram):
        """The airmass of the simulation, so that errors are statistical alone."""
        pulls = []
        few = FramCamera(interval=20 * u.min, n_stars=20)
        for seed in range(12):
            fram.simulate(FramSky(stratosphere=0.0), few, seed)
            layer = "--ClearNightAssessment.airmass=layer"
            table = fram.run(layer, "--ClearNightAssessment.stratospheric_optical_depth=0")
            pulls.append((table["vaod"][0] - 0.02) / table["stat_error"][0])
        assert abs(np.mean(pulls)) < 3.3 / np.sqrt(12)
        assert 0.9 - 3.3 / np.sqrt(24) < np.std(pulls) < 1 + 3.3 / np.sqrt(24)

    def test_same_input_gives_the_same_content(self, fram):
        fram.simulate()
        fram.run()
        first = content_hash(fram.folder / "clear.ecsv")
        fram.run()
        assert content_hash(fram.folder / "clear.ecsv") == first


class TestFewAndBad:
    def test_one_image(self, fram):
        fram.simulate(camera=FramCamera(interval=fram.night.duration, n_stars=40))
        table = fram.run()
        assert set(own(table)["reasons"]) == {"few", "insensitive"}
        assert np.isfinite(table["vaod"]).all()
        assert np.isinf(table["detectable"]).all()

    def test_nan_and_bad_errors_are_counted(self, fram):
        fram.simulate(
            aod=lambda aod: np.where(np.arange(len(aod)) % 10 == 0, np.nan, aod),
            aod_error=lambda error: np.where(np.arange(len(error)) % 10 == 1, 0.0, error),
        )
        table = fram.run("--ClearNightAssessment.max_zenith_in_deg=50")
        rejected = own(table)["rejected_measurements"]
        n = rejected["not_finite"]
        assert n == rejected["error_not_positive"] > 0
        assert rejected["zenith_angle"] > 0
        assert int(table["n_measurements"][0]) + sum(rejected.values()) == 10 * n
        assert own(table)["is_clear"]

    def test_nothing_but_nan(self, fram):
        fram.simulate(aod=lambda aod: np.full(len(aod), np.nan))
        code, message = fram.refused()
        assert code == FEW
        assert "none of" in message

    def test_other_night(self, fram):
        fram.simulate()
        code, message = fram.refused(night="2024-07-20")
        assert code == MISSING
        assert "lies in the night 2024-07-20" in message

    def test_part_of_the_images_in_daylight(self, fram):
        fram.simulate(time=lambda time: Time(time + 2 * u.h))
        header = own(fram.run())
        assert header["n_images_outside_night"] == pytest.approx(24, abs=1)

    def test_other_site(self, fram):
        fram.simulate()
        code, message = fram.refused(site="CTAO-South")
        assert code == CONFIGURATION
        assert "FRAM data are of CTAO-North, the site is CTAO-South" in message
        fram.simulate(sites=lambda _: ())  # the file does not say: the sky does
        code, message = fram.refused(site="CTAO-South")
        assert code == CORRUPTED
        assert "below the horizon of CTAO-South" in message

    def test_limits_of_no_site(self, fram):
        fram.simulate()
        (fram.folder / "limits.yaml").write_text("ClearNightAssessment: {limits: {Elsewhere: {}}}")
        code, message = fram.refused(f"--config={fram.folder}/limits.yaml")
        assert code == CONFIGURATION
        assert "no limits for clear nights at CTAO-North" in message

    def test_no_file(self, fram):
        code, message = fram.refused()
        assert code == MISSING
        assert "fram.fits does not exist" in message


def test_simulated_truth(north):
    """The table of truth is that of the sky."""
    sky = FramSky(vaod=0.03, drift=0.02, cloud=0.1)
    night = astronomical_night(NIGHT, north)
    camera = FramCamera(filters=[440, 880] * u.nm)
    measured, truth = simulated_fram(north, night, sky, camera, np.random.default_rng(1))
    assert isinstance(truth, QTable)
    assert len(truth) == len(measured.time) == round(night.duration.to_value(u.min) / 2)
    clear = truth["cloud"] == 0
    assert truth["vaod_reference"][0] == pytest.approx(0.03, abs=2e-4)
    assert truth["vaod_reference"][-1] == pytest.approx(0.05, abs=2e-4)
    red = truth["wavelength"] == 880 * u.nm
    ratio = truth["vaod"][clear & red] / truth["vaod_reference"][clear & red]
    assert ratio == pytest.approx(0.5**1.2)


class TestSimulationTool:
    def simulate(self, root, folder, *options):
        argv = [f"--site={root}/config/sites/CTAO-North.yaml", f"--night={NIGHT}", "--overwrite"]
        argv += [f"--config={root}/config/tools/simulate_fram_data.yaml", "--seed=3"]
        argv += [f"--output={folder}/fram.fits", *options]
        run_tool(SimulateFramData(), argv=argv, cwd=folder, raises=True)
        truth = read_table(folder / "fram.truth.ecsv", "simulation/fram_truth")
        return (folder / "fram.fits").read_bytes(), truth

    def test_night_of_the_simulation(self, root, tmp_path, fram):
        """A third of the night under a cloud, as asked."""
        _, truth = self.simulate(root, tmp_path, "--SimulateFramData.cloud=0.3")
        assert np.mean(truth["cloud"] > 0) == pytest.approx(1 / 3, abs=0.01)
        table = fram.run()
        assert not own(table)["is_clear"]
        error = np.hypot(table["stat_error"][0], table["sys_error"][0])
        assert abs(table["vaod"][0] - np.mean(truth["vaod_reference"])) < 3.3 * error

    def test_same_seed_same_data(self, root, tmp_path):
        first, _ = self.simulate(root, tmp_path)
        assert self.simulate(root, tmp_path)[0] == first
