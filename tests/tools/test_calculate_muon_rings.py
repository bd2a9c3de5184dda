"""From simulated muons to the table of rings, with the truth; files of ctapipe; refusals."""

import os

os.environ.setdefault("CTAPIPE_IO_ZFITS_NO_SERVICE_DATA", "1")

from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable
from ctapipe.core import run_tool
from ctapipe.core.tool import ToolConfigurationError
from ctapipe.instrument import OpticsDescription
from ctapipe.io import read_table as read_hdf5
from ctapipe.io.hdf5dataformat import DL1_TEL_MUON_GROUP

from calibpipe.core.exceptions import CalibPipeError, ConfigurationError
from calibpipe.core.muon_file import MUON_DETAILS_GROUP
from calibpipe.core.products import read_table
from calibpipe.core.telescope import telescope_subarray
from calibpipe.core.telescope_file import read_telescope_table
from calibpipe.simulation.camera import truth_from_table
from calibpipe.simulation.muon_photons import MuonTelescope
from calibpipe.throughput.muon_light import band_extinction
from calibpipe.throughput.muon_ring_table import rings_of_table
from calibpipe.throughput.muon_throughput import mean_throughput, ring_errors
from calibpipe.throughput.muon_width import Air, Optics, angle_at_mirror, track_moments
from calibpipe.tools.calculate_camcalib_coefficients import CalculateCamcalibCoefficients
from calibpipe.tools.calculate_muon_rings import CalculateMuonRings
from calibpipe.tools.calculate_pixel_statistics import CalculatePixelStatistics
from calibpipe.tools.muon_settings import MuonSettings
from calibpipe.tools.produce_camcalib_test_data import ProduceCamcalibTestData

CONFIGURATION, MISSING = 101, 105
N_MUONS = 200
MUONS = "simtel/lst_muons_with_true_photons.simtel.zst"


class Night:
    """A folder with calibration and muons of LSTN-01."""

    def __init__(self, root, folder):
        self.folder = folder
        self.site = [f"--site={root}/config/sites/CTAO-North.yaml", "--night=2024-07-10"]

    def run(self, tool, *options):
        return run_tool(tool(), argv=[*self.site, *options], cwd=self.folder, raises=True)

    def files(self, obs_id=1):
        paths = sorted(self.folder.glob(f"dl0/DL0/LSTN-01/**/*OBSID*{obs_id}_*.fits.fz"))
        return [f"--input={path}" for path in paths]

    def rings(self, *options, coefficients=True, obs_id=1):
        given = ["--coefficients=coefficients.h5"] if coefficients else []
        given += ["--output=rings.h5", "--overwrite", *self.files(obs_id)]
        return self.run(CalculateMuonRings, *given, *options)

    def refused(self, *options, **more):
        """Exit code and message; nothing is written."""
        (self.folder / "rings.h5").unlink(missing_ok=True)
        with pytest.raises((CalibPipeError, ToolConfigurationError)) as error:
            self.rings(*options, **more)
        assert not (self.folder / "rings.h5").exists()
        return getattr(error.value, "exit_code", None), str(error.value)

    def table(self, group=DL1_TEL_MUON_GROUP):
        return read_telescope_table(self.folder / "rings.h5", group, 1, "muon rings")


@pytest.fixture(scope="module")
def night(root, tmp_path_factory):
    """300 flat fields and pedestals make the coefficients, and 200 muons."""
    night = Night(root, tmp_path_factory.mktemp("muons"))
    both = ["--tel-id=1", "--output-folder=dl0", "--seed=3"]
    calibration = ["--n-flatfield=300", "--n-pedestal=300"]
    night.run(ProduceCamcalibTestData, *both, *calibration, f"--n-muon={N_MUONS}")
    second = ["--ProduceCamcalibTestData.obs_id=2", "--n-flatfield=5", "--n-pedestal=5"]
    night.run(ProduceCamcalibTestData, *both, *second)
    night.run(CalculatePixelStatistics, *night.files(), "--output=statistics.h5")
    options = ["--input=statistics.h5", "--output=coefficients.h5"]
    night.run(CalculateCamcalibCoefficients, *options)
    return night


@pytest.fixture(scope="module")
def truth(night):
    """Muons; throughput of the median pixel, to which the coefficients flat-field."""
    muons = read_table(
        next(night.folder.glob("dl0/truth/**/*OBSID1.muon_truth.ecsv")), "simulation/muon_truth"
    )
    camera = read_table(
        next(night.folder.glob("dl0/truth/**/*OBSID1.camera_truth.ecsv")), "simulation/camera_truth"
    )
    efficiency = np.median(truth_from_table(camera).relative_efficiency)
    return muons, muons.meta["calibpipe"]["optical_throughput"] * efficiency


@pytest.fixture(scope="module")
def found(night):
    """Rings with the noise of the pedestals."""
    assert night.rings("--statistics=statistics.h5") == 0
    return night.table(), night.table(MUON_DETAILS_GROUP)


@pytest.fixture(scope="module")
def fits(found, truth):
    """Rings that count, their muons, and their angles at the mirror (camera sharp at infinity)."""
    table, muons = QTable(found[0]), truth[0]
    order = np.argsort(muons["event_id"])
    good = np.asarray(table["rejection"]) == 0
    event_id = np.asarray(table["event_id"])[good]
    muons = muons[order[np.searchsorted(muons["event_id"][order], event_id)]]
    telescope = MuonTelescope()
    air = Air(telescope.refractivity, 0.0, 0 * u.kg / u.m**3, telescope.scale_height * u.m)
    optics = Optics(telescope.mirror_radius * u.m, np.inf * u.m, 0 * u.deg**2)
    rings = table[good]
    track = track_moments(rings["muonefficiency_impact"], optics)
    radius = rings["muonring_radius"].to(u.deg)
    angle = angle_at_mirror(radius, track, optics, air)
    distance = track.level * optics.mirror_radius / angle.to_value(u.rad)
    wavelength = np.linspace(300, 600, 61) * u.nm
    extinction = telescope.extinction * (400 * u.nm / wavelength) ** 4 / u.m
    depth = (band_extinction(wavelength, extinction) * distance).to_value(u.one)
    return rings, muons, angle, depth


def test_every_muon_has_a_row(found, truth):
    table, details = found
    assert len(table) == len(details) == N_MUONS
    np.testing.assert_array_equal(np.sort(table["event_id"]), np.sort(truth[0]["event_id"]))


def test_good_rings_are_those_of_the_cuts(found, truth):
    """All that are bright, inside and well contained are found; nothing else is a good one."""
    table = found[0]
    good = np.asarray(table["event_id"])[np.asarray(table["rejection"]) == 0]
    muons = truth[0]
    impact = muons["impact"].to_value(u.m) / 11.1
    off_axis = np.hypot(muons["fov_lon"], muons["fov_lat"]).to_value(u.deg)
    angle = muons["cherenkov_angle"].to_value(u.deg)
    # cuts of impact at 0.1 and 0.9: half a metre and more inside of them
    sure = (impact > 0.2) & (impact < 0.85) & (angle > 1.0) & (off_axis < 0.5)
    assert sure.any()
    assert np.isin(muons["event_id"][sure], good).all()
    assert not np.isin(muons["event_id"][(impact > 1.0) | (angle < 0.6)], good).any()


def test_throughput(fits, truth):
    """Within 3 errors of the true one, times the air that is not corrected.

    Photons are those of the angle at the mirror. Systematic: p.e. of the camera are known to
    0.5 % (300 flat fields, F²). Slow muons are scattered: more scatter than the rings' errors.
    """
    table, _, angle, depth = fits
    rings = rings_of_table([table])
    photons = np.sin(2 * angle) / np.sin(2 * table["muonring_radius"])
    ratio = rings.throughput / truth[1] / photons.to_value(u.one) * np.exp(depth)
    mean = mean_throughput(ratio, ring_errors(rings) / rings.throughput * ratio)
    error = np.hypot(mean.stat_error, 0.005)
    assert mean.mean == pytest.approx(1, abs=3 * error)
    assert error < 0.008
    assert mean.reduced_chi2 > 1 - 3 * np.sqrt(2 / (len(rings) - 1))


def test_rings_are_those_of_the_muons(fits):
    """Centre, impact and light against the truth of each event; angle and n - 1 to 0.2 %."""
    table, muons, angle, _ = fits
    n = len(table)
    for ours, theirs in (("lon", "fov_lon"), ("lat", "fov_lat")):
        difference = (table[f"muonring_center_fov_{ours}"] - muons[theirs]).to_value(u.deg)
        assert abs(np.median(difference)) < 4 * 1.25 * difference.std() / np.sqrt(n)
        # multiple scattering of the slowest, 8 GeV, from the height that the light comes from
        height = 11.1 * u.m / np.tan(muons["cherenkov_angle"].min())
        scattering = 13.6e-3 / 8 * np.sqrt((height / (378 * u.m)).to_value(u.one)) * u.rad
        assert difference.std() < scattering.to_value(u.deg)
    impact = (table["muonefficiency_impact"] - muons["impact"]).to_value(u.m)
    assert abs(np.median(impact)) < 4 * 1.25 * impact.std() / np.sqrt(n)
    phi = np.arctan2(table["muonefficiency_impact_y"], table["muonefficiency_impact_x"]).value
    turned = np.angle(np.exp(1j * (phi - muons["impact_phi"].to_value(u.rad))))
    assert np.mean(np.cos(turned)) > 5 / np.sqrt(2 * n)  # by chance 0 +- 1/sqrt(2 n)
    assert abs(turned.mean()) < 4 * turned.std() / np.sqrt(n)
    ratio = (angle / muons["cherenkov_angle"]).to_value(u.one)
    assert ratio.mean() == pytest.approx(1, abs=np.hypot(4 * ratio.std() / np.sqrt(n), 0.002))
    light = table["light"] / muons["n_pe"]  # relative efficiency of the median pixel: 0.5 %
    error = np.hypot(light.std() / np.sqrt(n), 0.005)
    assert light.mean() == pytest.approx(1, abs=3 * error)


def test_product_tells_what_it_is(found):
    header = found[0].meta["calibpipe"]
    assert header["obs_id"] == 1
    assert header["array_element"] == "LSTN-01"
    assert header["n_images"] == N_MUONS
    assert header["n_rings"] == np.count_nonzero(found[0]["rejection"] == 0)
    assert header["rejected"]["good"] == header["n_rings"]
    assert header["area_ratio"] == pytest.approx(0.9549, abs=1e-4)
    assert header["mirror_radius_in_m"] == pytest.approx(11.095, abs=0.001)
    assert header["hole_radius_in_m"] == 0.74
    assert header["band_in_nm"] == pytest.approx([300, 600])
    assert header["focal_length"] in ("effective", "equivalent")
    assert 0 < header["camera_gain_error"] < 0.05


def test_noise_of_the_image_is_as_good(night, found):
    """Without statistics: the same throughput to a tenth of an error."""
    night.rings()
    ours, theirs = (rings_of_table([t]) for t in (night.table(), found[0]))
    assert abs(len(ours) - len(theirs)) <= 2
    change = ours.throughput.mean() / theirs.throughput.mean() - 1
    assert abs(change) < 0.1 * 0.025 / np.sqrt(len(ours)) + 1e-3


def test_ctapipe_reads_the_table(night, found):
    night.rings("--statistics=statistics.h5")
    table = read_hdf5(night.folder / "rings.h5", f"{DL1_TEL_MUON_GROUP}/tel_001")
    assert len(table) == N_MUONS
    assert "muonefficiency_optical_efficiency" in table.colnames


def test_no_muons(night):
    """A table without rows, with a remark."""
    assert night.rings(obs_id=2) == 0
    table = night.table()
    assert len(table) == 0
    assert "no MUON events" in table.meta["calibpipe"]["remarks"]
    assert table.meta["calibpipe"]["n_rings"] == 0


def test_window_of_the_coefficients(night, found):
    """Given by hand it is the same; another one has other light."""
    night.rings("--statistics=statistics.h5", "--CalculateMuonRings.window_width=12")
    np.testing.assert_array_equal(night.table()["throughput"], found[0]["throughput"])
    night.rings("--statistics=statistics.h5", "--CalculateMuonRings.window_width=8")
    narrow = rings_of_table([night.table()])
    assert narrow.throughput.mean() < 0.9 * rings_of_table([found[0]]).throughput.mean()


def test_cuts_by_configuration(night):
    night.rings("--MuonSettings.max_impact=0.5")
    rings = rings_of_table([night.table()])
    assert len(rings) > 10
    assert rings.impact.max() < 0.5 * 11.1


def test_wrong_telescope(night):
    code, text = night.refused("--telescope=LSTN-02")
    assert code == CONFIGURATION
    assert "the files of LSTN-02 are of telescope 1, LSTN-01" in text


def test_coefficients_are_needed(night):
    code, text = night.refused(coefficients=False)
    assert code == CONFIGURATION
    assert "needs --coefficients for DL0" in text


def test_coefficients_that_are_not_there(night):
    code, _ = night.refused("--coefficients=absent.h5", coefficients=False)
    assert code == MISSING


def test_files_or_images(night):
    code, text = night.refused("--images=some.simtel.zst", coefficients=False)
    assert code == CONFIGURATION
    assert "takes --images or DL0 (--input, --index), not both" in text


@pytest.fixture
def changed_optics(monkeypatch):
    """A telescope with other optics."""

    def change(**changes):
        subarray = telescope_subarray(1)
        optics = subarray.tel[1].optics
        names = ("name", "size_type", "n_mirrors", "equivalent_focal_length", "mirror_area")
        names += ("effective_focal_length", "n_mirror_tiles", "reflector_shape")
        known = {name: getattr(optics, name) for name in names} | changes
        subarray.tel[1].optics = OpticsDescription(**known)
        monkeypatch.setattr("calibpipe.core.telescope.telescope_subarray", lambda _: subarray)
        return subarray

    return change


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"mirror_area": 0 * u.m**2}, "has no mirror area"),
        ({"n_mirrors": 2}, "has 2 mirrors"),
        ({"reflector_shape": "SCHWARZSCHILD_COUDER"}, "has 2 mirrors"),
    ],
)
def test_mirrors_that_are_not_understood(night, changed_optics, changes, text):
    changed_optics(**changes)
    code, message = night.refused()
    assert code == CONFIGURATION
    assert text in message


def test_settings_by_type(changed_optics):
    """Shadow of the camera: by the telescope's size, or as given."""
    subarray = changed_optics()
    assert MuonSettings(subarray=subarray).mirror(1, 0.0).hole_radius == 0.74
    given = MuonSettings(subarray=subarray, hole_radius_in_m=[("type", "LST*", 0.5)])
    assert given.mirror(1, 1e-5).hole_radius == 0.5
    assert given.mirror(1, 1e-5).extinction == 1e-5
    assert MuonSettings(subarray=subarray).spe_width(1) == pytest.approx(np.sqrt(0.222))
    cuts = MuonSettings(subarray=subarray, min_pixels=[("id", 1, 7)]).cuts(1)
    assert cuts == replace(MuonSettings(subarray=subarray).cuts(1), min_pixels=7)


def test_coma_and_focus_of_the_fit(changed_optics):
    """Coma of the focal lengths, none where one is not known, or as given."""
    subarray = changed_optics()
    optics = subarray.tel[1].optics
    expected = (1 - optics.equivalent_focal_length / optics.effective_focal_length).value
    mirror = MuonSettings(subarray=subarray).mirror(1, 0.0)
    assert (mirror.coma, mirror.focus_distance) == (pytest.approx(expected), np.inf)
    assert mirror.coma > 0.03
    given = MuonSettings(subarray=subarray, coma=0.0, focus_distance_in_m=1e4).mirror(1, 0.0)
    assert (given.coma, given.focus_distance) == (0, 1e4)
    for bad, text in (
        ({"coma": 0.6}, "coma of telescope 1"),
        ({"focus_distance_in_m": 0.0}, "is 0"),
    ):
        with pytest.raises(ConfigurationError, match=text):
            MuonSettings(subarray=subarray, **bad).mirror(1, 0.0)
    unknown = changed_optics(effective_focal_length=np.nan * u.m)
    assert MuonSettings(subarray=unknown).mirror(1, 0.0).coma == 0


def test_shadow_of_an_unknown_telescope(changed_optics):
    subarray = changed_optics(size_type="UNKNOWN")
    with pytest.raises(ConfigurationError, match="the shadow of its camera is not known"):
        MuonSettings(subarray=subarray).mirror(1, 0.0)


@pytest.mark.realdata
@pytest.mark.filterwarnings("ignore")
def test_images_of_a_simulation(night, shared_data):
    """Three muons; the file does not know the effective focal length."""
    options = [f"--images={shared_data / MUONS}", "--output=rings.h5", "--overwrite"]
    assert night.run(CalculateMuonRings, *options) == 0
    table = night.table()
    np.testing.assert_array_equal(table["event_id"], [100, 200, 300])
    remarks = table.meta["calibpipe"]["remarks"]
    assert any("equivalent one was used" in remark for remark in remarks)


@pytest.mark.realdata
@pytest.mark.filterwarnings("ignore")
def test_images_of_an_absent_telescope(night, shared_data):
    with pytest.raises(CalibPipeError, match="has the telescopes 1, not 7") as error:
        night.run(
            CalculateMuonRings, f"--images={shared_data / MUONS}", "--tel-id=7", "--output=r7.h5"
        )
    assert error.value.exit_code == MISSING


def test_images_that_are_none(night, tmp_path):
    for name, code in (("absent.h5", MISSING), ("text.simtel.zst", 104)):
        if code != MISSING:
            (tmp_path / name).write_text("no events")
        with pytest.raises(CalibPipeError) as error:
            night.run(CalculateMuonRings, f"--images={tmp_path / name}", "--output=none.h5")
        assert error.value.exit_code == code
