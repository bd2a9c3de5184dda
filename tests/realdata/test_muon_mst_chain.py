"""NectarCAM and FlashCam of full simulations: from simulated muons to throughput and width."""

from types import SimpleNamespace

import astropy.units as u
import numpy as np
import pytest
from ctapipe.core import run_tool
from ctapipe.instrument import SubarrayDescription
from ctapipe.io.hdf5dataformat import DL1_TEL_MUON_GROUP
from night_chain import Night

from calibpipe.core.exceptions import ConfigurationError, InsufficientStatisticsError
from calibpipe.core.products import read_table
from calibpipe.core.telescope_file import read_telescope_table
from calibpipe.simulation.camera import truth_from_table
from calibpipe.tools.calculate_camcalib_coefficients import CalculateCamcalibCoefficients
from calibpipe.tools.calculate_muon_rings import CalculateMuonRings
from calibpipe.tools.calculate_pixel_statistics import CalculatePixelStatistics
from calibpipe.tools.calculate_psf_muon import CalculatePsfMuon
from calibpipe.tools.calculate_throughput_muon import NIGHT_GROUP, CalculateThroughputMuon
from calibpipe.tools.muon_settings import MuonSettings
from calibpipe.tools.produce_camcalib_test_data import ProduceCamcalibTestData

pytestmark = [pytest.mark.realdata, pytest.mark.filterwarnings("ignore")]  # of old simulations
NIGHT = "2024-07-10"
N_EVENTS, N_MUONS, N_FEW = 1000, 400, 30
NECTARCAM = "proton_run000001_za20deg_north_6.0.2.simtel.zst"
FLASHCAM = "calib_true_pe.simtel.zst"
SEVEN_CAMERAS = "calib_events.simtel.gz"
CAMERAS = {  # file; light: arrival and its jitter; window: samples, those before the maximum, begin
    "NectarCam": ("CTAO-North", 5, "MSTN-01", NECTARCAM, (18, 0.5), (16, 6, 12)),
    # light arrives anywhere between two samples, 4 ns apart
    "FlashCam": ("CTAO-South", 105, "MSTS-01", FLASHCAM, (24, 1.2), (18, 5, 5)),
}


@pytest.fixture(scope="module", params=CAMERAS)
def camera(request, root, shared_data, tmp_path_factory):
    """Folder and rings of the telescope in the air of its night; blocks of many and few muons."""
    site, tel_id, element, file, light, (width, shift, begin) = CAMERAS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    Night(folder, site).all()
    config = root / "config/tools/calculate_muon_rings.yaml"
    (folder / "light.yaml").write_text(
        f"ProduceCamcalibTestData: {{arrival_time_in_ns: {light[0]}, "
        f"time_jitter_in_ns: {light[1]}, gain_selection_threshold: 2000.0}}"
    )

    def run(tool, *options):
        patch.delenv("CTAPIPE_IO_ZFITS_NO_SERVICE_DATA", raising=False)  # Tools set it
        night = [f"--site={root}/config/sites/{site}.yaml", f"--night={NIGHT}"]
        run_tool(tool(), argv=[*night, *options], cwd=folder, raises=True)

    def files(obs_id):
        paths = sorted(folder.glob(f"sim/DL0/{element}/**/*OBSID*{obs_id}_*.fits.fz"))
        return [f"--input={path}" for path in paths]

    def produce(obs_id, n_calibration, n_muon):
        run(
            ProduceCamcalibTestData,
            *("--config=light.yaml", "--output-folder=sim", f"--tel-id={tel_id}", "--overwrite"),
            *(f"--ProduceCamcalibTestData.obs_id={obs_id}", f"--n-flatfield={n_calibration}"),
            *(f"--n-pedestal={n_calibration}", f"--n-muon={n_muon}"),
            f"--camera-description={shared_data / 'simtel' / file}",
        )

    with pytest.MonkeyPatch.context() as patch:
        produce(2, 0, N_FEW)
        produce(1, N_EVENTS, N_MUONS)
        patch.setenv("CTAPIPE_SVC_PATH", str(folder / "sim/service_data"))
        run(
            CalculatePixelStatistics,
            *files(1),
            f"--CalculatePixelStatistics.window_width={width}",
            f"--CalculatePixelStatistics.flatfield_window_shift={shift}",
            f"--CalculatePixelStatistics.pedestal_window_start={begin}",
            *(f"--CalculatePixelStatistics.{k}_chunk_size=1000" for k in ("flatfield", "pedestal")),
            "--output=statistics.h5",
        )
        run(CalculateCamcalibCoefficients, "--input=statistics.h5", "--output=coefficients.h5")
        for obs_id, name in ((1, "rings.h5"), (2, "few.h5")):
            run(
                CalculateMuonRings,
                *(f"--config={config}", *files(obs_id), "--coefficients=coefficients.h5"),
                *("--statistics=statistics.h5", "--extinction=rayleigh_extinction.ecsv"),
                f"--output={name}",
            )

        def truth(kind):
            (path,) = folder.glob(f"sim/truth/{element}/*/*OBSID1.{kind}_truth.ecsv")
            return read_table(path, f"simulation/{kind}_truth")

        efficiency = np.median(truth_from_table(truth("camera")).relative_efficiency)
        rings = read_telescope_table(folder / "rings.h5", DL1_TEL_MUON_GROUP, tel_id, "rings")
        muons = truth("muon")
        order = np.argsort(muons["event_id"])
        place = order[np.searchsorted(muons["event_id"][order], rings["event_id"])]
        yield SimpleNamespace(
            folder=folder,
            tel_id=tel_id,
            run=run,
            rings=rings,
            good=np.asarray(rings["rejection"]) == 0,
            muons=muons[place],
            about=muons.meta["calibpipe"],
            # of the median pixel, to which coefficients flat-field
            throughput=muons.meta["calibpipe"]["optical_throughput"] * efficiency,
        )


def difference(camera, found, true):
    """Mean difference over rings that count, and its standard error."""
    values = (camera.rings[found] - camera.muons[true]).to_value(camera.muons[true].unit)
    values = values[camera.good]
    return values.mean(), values.std() / np.sqrt(len(values))


@pytest.mark.slow
def test_rings_are_those_of_the_muons(camera):
    """Nine in ten of the good ones count; impact, centre, radius and light are the true ones."""
    radius = camera.about["mirror_radius_in_m"]
    assert camera.about["hole_radius_in_m"] == 1.64
    header = camera.rings.meta["calibpipe"]
    assert (header["hole_radius_in_m"], header["mirror_radius_in_m"]) == (1.64, radius)
    impact = camera.muons["impact"].to_value(u.m) / radius
    expected = (impact > 0.5) & (impact < 0.85) & (camera.muons["energy"] > 10 * u.GeV)
    assert expected.sum() > 0.2 * N_MUONS
    assert camera.good[expected].mean() > 0.9
    mean, error = difference(camera, "muonefficiency_impact", "impact")
    assert error < 0.02
    assert mean == pytest.approx(0, abs=3.5 * error)
    for ours, theirs in (("lon", "fov_lon"), ("lat", "fov_lat")):
        mean, error = difference(camera, f"muonring_center_fov_{ours}", theirs)
        assert error < 0.006
        assert mean == pytest.approx(0, abs=3.5 * error)
    radii = (camera.rings["muonring_radius"] / camera.muons["cherenkov_angle"]).to_value(u.one)
    assert np.median(radii[camera.good]) == pytest.approx(0.994, abs=0.004)  # height of emission
    light = (np.asarray(camera.rings["light"]) / camera.muons["n_pe"])[camera.good]
    assert light.mean() == pytest.approx(
        1, abs=0.015
    )  # systematic error of the coefficients: 1.7 %
    reduced = np.asarray(camera.rings["chi2"]) / (np.asarray(camera.rings["n_fitted"]) - 7)
    assert 0.95 < reduced[camera.good].mean() < 1.15  # slow muons are no circles


@pytest.mark.slow
def test_throughput_is_the_true_one(camera):
    """To 1 %, and within three standard errors and the systematic one."""
    camera.run(
        CalculateThroughputMuon,
        *("--input=rings.h5", "--atmosphere=atmospheric_model.ecsv", "--output=throughput.h5"),
        "--extinction=rayleigh_extinction.ecsv",
        "--CalculateThroughputMuon.mirror_sides=0",  # a disc is simulated
    )
    path = camera.folder / "throughput.h5"
    row = read_telescope_table(path, NIGHT_GROUP, camera.tel_id, "throughput")[0]
    assert row["n_events"] > 0.3 * N_MUONS
    assert row["sem"] / row["mean"] < 0.005
    print("MEASURED", row["mean"], row["sem"], row["sys_error"], camera.throughput)
    change = row["mean"] - camera.throughput
    assert abs(change) < 3 * np.hypot(row["sem"], row["sys_error"])
    assert abs(change) / camera.throughput < 0.01 + 3 * row["sem"] / row["mean"]


@pytest.mark.slow
def test_width_is_the_true_one(camera):
    """A sixth of a pixel: within three standard errors, statistical and systematic together."""
    camera.run(
        CalculatePsfMuon,
        *("--input=rings.h5", "--atmosphere=atmospheric_model.ecsv", "--output=psf.h5"),
    )
    group = "/dl1/monitoring/telescope/optical_psf"
    psf = read_telescope_table(camera.folder / "psf.h5", group, camera.tel_id, "width")
    about = psf.meta["calibpipe"]
    assert about["psf_status"] == "measured"
    error = np.hypot(about["stat_error_in_deg"], about["sys_error_in_deg"])
    print("MEASURED", about["width_in_deg"], about["stat_error_in_deg"], about["sys_error_in_deg"])
    assert error < 0.004
    assert about["width_in_deg"] == pytest.approx(camera.about["psf_in_deg"], abs=3 * error)


@pytest.mark.slow
@pytest.mark.parametrize("tool", [CalculateThroughputMuon, CalculatePsfMuon])
def test_few_rings_give_no_number(camera, tool):
    with pytest.raises(InsufficientStatisticsError) as error:
        camera.run(tool, "--input=few.h5", "--output=none.h5")
    text = str(error.value)
    assert error.value.exit_code == 106
    assert "needs at least 20 muon rings, got" in text
    assert f"of {N_FEW} images in few.h5" in text
    assert "impact" in text  # why the others do not count
    assert not (camera.folder / "none.h5").exists()


@pytest.mark.parametrize("name", ["ASTRICam", "CHEC", "SCTCam"])
def test_telescopes_with_two_mirrors(shared_data, name):
    """SSTs, and an SCT of which the file says that it has one."""
    path = shared_data / "simtel" / SEVEN_CAMERAS
    subarray = SubarrayDescription.read(path, focal_length_choice="EQUIVALENT")
    (tel_id,) = (n for n, tel in subarray.tel.items() if tel.camera.name == name)
    with pytest.raises(ConfigurationError, match=r"has 2 mirrors: muon rings .* leave it out"):
        MuonSettings(subarray=subarray).mirror(tel_id, 0.0)


def test_settings_of_the_telescopes(shared_data):
    """By the names of sim_telarray and of service data."""
    path = shared_data / "simtel" / SEVEN_CAMERAS
    subarray = SubarrayDescription.read(path, focal_length_choice="EQUIVALENT")
    settings = MuonSettings(subarray=subarray)
    found = {
        subarray.tel[n].camera.name: (settings.mirror(n, 0.0).hole_radius, settings.cuts(n))
        for n in (1, 2, 3)
    }
    assert {name: hole for name, (hole, _) in found.items()} == {
        "LSTCam": 0.74,
        "NectarCam": 1.64,
        "FlashCam": 1.64,
    }
    assert found["NectarCam"][1] == found["FlashCam"][1] != found["LSTCam"][1]
    assert found["NectarCam"][1].impact == (0.45, 0.9)
