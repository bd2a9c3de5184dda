"""The Tool that processes LIDAR profiles: closure on simulated files, status, exit codes."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable
from ctapipe.core import run_tool
from lidar_sky import lidar_data, us_standard

from calibpipe.atmosphere.profile_table import profile_table
from calibpipe.core.exceptions import (
    ConfigurationError,
    CorruptedInputError,
    InsufficientStatisticsError,
    MissingInputError,
)
from calibpipe.core.night import astronomical_night
from calibpipe.core.products import ProductMetadata, content_hash, read_table, write_table
from calibpipe.simulation.lidar import AerosolLayer, Aerosols
from calibpipe.simulation.lidar_encoding import licel_bytes, write_earlinet
from calibpipe.tools.process_lidar import KIND, ProcessLidar

NIGHT = "2024-07-10"
DEPTH, CLOUD = 0.1, 0.2


def sky(north, *, cloud=True):
    layers = [AerosolLayer(DEPTH, north.elevation, north.elevation + 2 * u.km, 40 * u.sr, 1.0)]
    if cloud:
        layers.append(AerosolLayer(CLOUD, 9 * u.km, 10 * u.km, 20 * u.sr))
    return Aerosols(tuple(layers))


@pytest.fixture(scope="module")
def begin(north):
    return astronomical_night(NIGHT, north).dusk


@pytest.fixture(scope="module")
def folder(tmp_path_factory, north, begin):
    """Density profile and two pointings: five minutes up, the last three under a cloud."""
    folder = tmp_path_factory.mktemp("lidar")
    rng = np.random.default_rng(12)
    profile = us_standard()
    metadata = ProductMetadata(
        "atmosphere/density_profile", "test", details={"co2_mole_fraction": 420e-6}
    )
    write_table(folder / "density_profile.ecsv", QTable(profile_table(profile)), metadata)
    aerosols = [sky(north, cloud=i > 1) for i in range(5)]
    up = lidar_data(aerosols, rng, profile, north, begin)
    write_earlinet(folder / "up.nc", up)
    inclined = lidar_data(aerosols[-2:], rng, profile, north, begin + 1 * u.h, zenith=40 * u.deg)
    write_earlinet(folder / "inclined.nc", inclined)
    for i in range(2):
        (folder / f"licel{i}").write_bytes(licel_bytes(up, i, "La Palma", f"licel{i}"))
    return folder


@pytest.fixture
def process(root, folder, tmp_path):
    def run(*names, night=NIGHT, site="CTAO-North", options=()):
        output = tmp_path / "lidar.ecsv"
        argv = [
            f"--site={root}/config/sites/{site}.yaml",
            f"--night={night}",
            f"--density-profile={folder / 'density_profile.ecsv'}",
            f"--output={output}",
            "--ProcessLidar.dead_time_in_ns=2.0",
            *(f"--input={folder / name}" for name in names),
            *options,
        ]
        run_tool(ProcessLidar(), argv, cwd=tmp_path, raises=True)
        return read_table(output, KIND)

    return run


def test_depths_close_on_the_truth(process, folder):
    table = process("up.nc", "inclined.nc")
    assert len(table) == 7
    assert (table["status_532nm"] == "measured").all()
    header = table.meta["calibpipe"]
    altitude = np.array(header["altitude_in_m"])
    cloudy = np.array([0, 0, 1, 1, 1, 1, 1], bool)
    np.testing.assert_allclose(table["zenith"].value, [0] * 5 + [40] * 2)
    for height, true in ((6000, DEPTH + 0 * cloudy), (14000, DEPTH + CLOUD * cloudy)):
        k = np.searchsorted(altitude, height)
        depth = table["optical_depth_532nm"][:, k]
        error = np.hypot(
            table["optical_depth_stat_error_532nm"][:, k],
            table["optical_depth_sys_error_532nm"][:, k],
        )
        assert (np.abs(depth - true) < 3.0 * error).all()
        assert (np.abs(depth - true) < 0.03).all()  # what CTAO requires of one minute
        np.testing.assert_allclose(table["transmission_532nm"][:, k], np.exp(-depth))
    assert (table["optical_depth_532nm"][:, 0] == 0).all()
    assert (table["aerosol_source_532nm"] == "raman").all()


def test_layers_are_in_the_header(process):
    layers = process("up.nc", "inclined.nc").meta["calibpipe"]["layers"]
    assert layers["row"] == [2, 3, 4, 5, 6]
    assert layers["status"] == ["measured"] * 5
    assert np.abs(np.array(layers["base_in_m"]) - 9000).max() < 300
    assert np.abs(np.array(layers["top_in_m"]) - 10000).max() < 300
    pull = (np.array(layers["depth"]) - CLOUD) / np.array(layers["stat_error"])
    assert np.abs(pull).max() < 5.0


def test_licel_gives_what_netcdf_gives(process, folder):
    licel = process("licel0", "licel1")
    netcdf = process("up.nc", options=["--overwrite"])
    for name in ("optical_depth_532nm", "optical_depth_stat_error_532nm"):
        np.testing.assert_allclose(licel[name], netcdf[name][:2], rtol=1e-4, atol=1e-6)


def test_shipped_configuration_holds_the_defaults(process, root, tmp_path):
    process("licel0")
    first = content_hash(tmp_path / "lidar.ecsv")
    process("licel0", options=[f"--config={root}/config/tools/process_lidar.yaml", "--overwrite"])
    assert content_hash(tmp_path / "lidar.ecsv") == first


@pytest.mark.parametrize(
    ("names", "keys", "error", "message"),
    [
        (["up.nc"], {"night": "2024-07-12"}, MissingInputError, "are not of night"),
        (["up.nc"], {"site": "CTAO-South"}, ConfigurationError, "the LIDAR stands at"),
        (["nothing.nc"], {}, MissingInputError, "does not exist"),
        (["density_profile.ecsv"], {}, CorruptedInputError, "no Licel file"),
        (
            ["up.nc"],
            {"options": ["--ProcessLidar.averaging_time_in_s=3600"]},
            InsufficientStatisticsError,
            "needs?|profiles to average",
        ),
    ],
)
def test_wrong_input_is_refused(process, names, keys, error, message, tmp_path):
    with pytest.raises(error, match=message):
        process(*names, **keys)
    assert not (tmp_path / "lidar.ecsv").exists()
