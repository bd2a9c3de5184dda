"""The Tool that simulates LIDAR profiles, and the retrieval of its truth with two wavelengths."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable
from ctapipe.core import run_tool
from lidar_sky import us_standard

from calibpipe.atmosphere.profile_table import profile_table
from calibpipe.core.lidar_files import read_lidar_files
from calibpipe.core.products import ProductMetadata, read_table, write_table
from calibpipe.tools.process_lidar import ProcessLidar
from calibpipe.tools.simulate_lidar_data import KIND, SimulateLidarData

NIGHT = "2024-07-10"


@pytest.fixture
def run(root, tmp_path):
    density = tmp_path / "density_profile.ecsv"
    metadata = ProductMetadata(
        "atmosphere/density_profile", "test", details={"co2_mole_fraction": 420e-6}
    )
    write_table(density, QTable(profile_table(us_standard())), metadata)

    def with_tool(tool, output, *options):
        argv = [
            f"--site={root}/config/sites/CTAO-North.yaml",
            f"--night={NIGHT}",
            f"--density-profile={density}",
            f"--output={tmp_path / output}",
            *options,
        ]
        assert run_tool(tool(), argv, cwd=tmp_path, raises=True) == 0
        return tmp_path / output

    return with_tool


def test_truth_is_found_again_with_its_angstrom_exponent(run):
    depth = "--SimulateLidarData.aerosol_optical_depth=0.2"
    path = run(SimulateLidarData, "lidar.nc", "--SimulateLidarData.interval_in_s=1800", depth)
    truth = read_table(path.with_suffix(".truth.ecsv"), KIND)
    product = run(ProcessLidar, "lidar.ecsv", f"--input={path}", "--ProcessLidar.dead_time_in_ns=2")
    table = read_table(product, "atmosphere/lidar")
    assert len(table) == len(truth) > 8
    for wavelength in (355, 532):
        found, true = (t[f"optical_depth_{wavelength}nm"] for t in (table, truth))
        error = np.hypot(
            table[f"optical_depth_stat_error_{wavelength}nm"][:, -1],
            table[f"optical_depth_sys_error_{wavelength}nm"][:, -1],
        )
        assert (np.abs(found[:, -1] - true) < 4.0 * error).all()
        assert np.sqrt(np.mean((found[:, -1] - true) ** 2)) < 0.03
    clear = ~np.asarray(truth["is_cloudy"])
    expected = -np.log(truth["optical_depth_355nm"] / truth["optical_depth_532nm"])
    expected = (expected / np.log(355 / 532))[clear]
    exponent = table["angstrom_exponent"][clear]
    assert np.sqrt(np.mean((exponent - expected) ** 2)) < 0.3  # B07


def test_licel_folder_holds_the_same_profiles(run):
    long = "--SimulateLidarData.interval_in_s=9000"
    netcdf = read_lidar_files([run(SimulateLidarData, "lidar.nc", long)])
    folder = run(SimulateLidarData, "licel", long, "--licel")
    licel = read_lidar_files(sorted(folder.iterdir()))
    np.testing.assert_allclose(licel.times.unix, netcdf.times.unix, atol=1e-3)
    for one, other in zip(licel.channels, netcdf.channels, strict=True):
        assert one.received == other.received
        np.testing.assert_array_equal(one.values, other.values)


def test_shipped_configuration_holds_the_defaults(run, root):
    config = f"--config={root}/config/tools/simulate_lidar_data.yaml"
    long = "--SimulateLidarData.interval_in_s=9000"
    first = read_lidar_files([run(SimulateLidarData, "a.nc", long)])
    second = read_lidar_files([run(SimulateLidarData, "b.nc", config, long)])
    np.testing.assert_array_equal(first.channels[0].values, second.channels[0].values)
    assert first.altitude == 2158 * u.m
