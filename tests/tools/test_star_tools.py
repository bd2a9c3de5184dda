"""From DL0 of an LST with stars to its pointing and point spread function."""

import os

os.environ.setdefault("CTAPIPE_IO_ZFITS_NO_SERVICE_DATA", "1")

import json
import shutil

import astropy.units as u
import numpy as np
import pytest
import tables
from astropy.table import QTable, Table
from astropy.time import Time
from ctapipe.core import run_tool

from calibpipe.archive.candidate import Candidate
from calibpipe.archive.certify import certify
from calibpipe.archive.observatory import upload_site
from calibpipe.archive.repository import init_archive
from calibpipe.camera.photon_transfer import PhotonTransferReason
from calibpipe.core.ctapipe_groups import DL1_TEL_OPTICAL_PSF_GROUP, DL1_TEL_STAR_TRACKING_GROUP
from calibpipe.core.exceptions import ConfigurationError, MissingInputError
from calibpipe.core.product_header import read_product_header
from calibpipe.core.products import ProductMetadata, read_table
from calibpipe.core.telescope import telescope_subarray
from calibpipe.core.telescope_file import read_telescope_table, write_telescope_tables
from calibpipe.simulation.camera import truth_from_table
from calibpipe.tools.calculate_camcalib_coefficients import CalculateCamcalibCoefficients
from calibpipe.tools.calculate_photon_transfer import PIXELS_GROUP
from calibpipe.tools.calculate_pixel_statistics import CalculatePixelStatistics
from calibpipe.tools.calculate_psf_stars import PROFILE_GROUP, CalculatePsfStars
from calibpipe.tools.produce_camcalib_test_data import ProduceCamcalibTestData
from calibpipe.tools.star_tracking import SPOTS_GROUP, STARS_GROUP, StarTracking

NIGHT = "2024-07-10"
OWN = "--StarImagesTool."


class Night:
    """A simulated observation of four minutes and what follows from it."""

    def __init__(self, root, folder):
        self.folder = folder
        self.keys = [f"--site={root}/config/sites/CTAO-North.yaml", f"--night={NIGHT}", "--quiet"]
        self.run(
            ProduceCamcalibTestData,
            *("--tel-id=1", "--n-flatfield=600", "--n-pedestal=1200", "--n-shower=0", "--seed=3"),
            "--ProduceCamcalibTestData.stars=True",
            "--ProduceCamcalibTestData.star_magnitude_limit=8",
            "--ProduceCamcalibTestData.rate_in_hertz=7.5",
            f"--output-folder={folder}",
        )
        self.events = [f"--input={p}" for p in folder.glob("DL0/LSTN-01/**/*.fits.fz")]
        self.statistics, self.coefficients = folder / "statistics.h5", folder / "coefficients.h5"
        self.run(CalculatePixelStatistics, *self.events, f"--output={self.statistics}")
        self.run(
            CalculateCamcalibCoefficients,
            f"--input={self.statistics}",
            f"--output={self.coefficients}",
        )
        (self.pointing,) = folder.glob("monitoring/**/*.pointing.h5")
        (truth,) = folder.glob("truth/**/*.star_truth.ecsv")
        self.truth = read_table(truth, "simulation/star_truth").meta["calibpipe"]

    def run(self, tool, *options):
        log = f"--provenance-log={self.folder}/provenance.log"
        argv = [*self.keys, log, *map(str, options), "--overwrite"]
        run_tool(tool(), argv=argv, cwd=self.folder, raises=True)

    def air(self):
        names = ("pressure_in_hpa", "temperature_in_deg_c", "relative_humidity")
        return [f"{OWN}{name}={self.truth[name]}" for name in names]

    def track(self, *options, tool=StarTracking, output="tracking.h5", source=None, drive=None):
        path = self.folder / output
        self.run(
            tool,
            *(self.events if source is None else source),
            f"--coefficients={self.coefficients}",
            f"--pointing={drive or self.pointing}",
            *options,
            f"--output={path}",
        )
        return path


@pytest.fixture(scope="module")
def night(root, tmp_path_factory):
    return Night(root, tmp_path_factory.mktemp("night"))


@pytest.fixture(scope="module")
def tracking(night):
    return night.track(*night.air())


def header(path):
    with tables.open_file(path) as h5file:
        return json.loads(h5file.root._v_attrs["calibpipe"])


def product_id(path):
    with tables.open_file(path) as h5file:
        return h5file.root._v_attrs["CTA PRODUCT ID"]


def true_offset(night, table):
    """dlon and dlat of the simulation, arcsec."""
    sag = night.truth["flexure_in_arcsec"] * np.cos(np.deg2rad(np.asarray(table["altitude"])))
    return night.truth["dlon_in_arcsec"], night.truth["dlat_in_arcsec"] + sag


def test_pointing_is_that_of_the_simulation(night, tracking):
    table = read_telescope_table(tracking, DL1_TEL_STAR_TRACKING_GROUP, 1, "star tracking")
    assert 3 <= len(table) <= 6
    assert np.all(table["is_valid"])
    for name, true in zip(("dlon", "dlat"), true_offset(night, table), strict=True):
        found = u.Quantity(table[name], u.deg).to_value("arcsec")
        stat, sys = (
            u.Quantity(table[f"{name}_{kind}_error"], u.deg).to_value("arcsec")
            for kind in ("stat", "sys")
        )
        assert np.all(np.abs(found - true) < 4 * np.hypot(stat, sys))
        assert np.all(stat < 14)
    assert [str(text) for text in table["status"]] == ["valid"] * len(table)


def test_headers_and_tables(night, tracking):
    own = header(tracking)
    assert own["kind"] == "pointing/star_tracking"
    assert own["status"] == "COMPLETE"
    assert own["array_element"] == "LSTN-01"
    assert own["tel_id"] == 1
    assert own["n_blocks"] == own["n_valid_blocks"]
    error = np.hypot(own["rotation_stat_error_in_arcmin"], own["rotation_sys_error_in_arcmin"])
    assert abs(own["rotation_in_arcmin"] - night.truth["rotation_in_arcmin"]) < 4 * error
    error = np.hypot(own["plate_scale_stat_error"], own["plate_scale_sys_error"])
    assert abs(own["plate_scale"] - night.truth["plate_scale"]) < 4 * error
    assert own["air"]["pressure_in_hpa"] == pytest.approx(night.truth["pressure_in_hpa"])
    assert set(own["systematics_in_arcsec"]) == {
        *("response", "psf", "catalogue", "neighbours", "refraction", "time", "plate_scale")
    }
    stars = read_telescope_table(tracking, STARS_GROUP, 1, "stars")
    spots = read_telescope_table(tracking, SPOTS_GROUP, 1, "spots")
    assert own["n_stars"] == stars["is_used"].sum() >= 2
    assert set(map(str, spots["star"])) <= set(map(str, stars["star"]))


def test_same_input_same_product(night, tracking):
    """The identifier follows from the content."""
    again = night.track(*night.air(), output="again.h5")
    assert product_id(again) == product_id(tracking)


def test_statistics_of_short_chunks_instead_of_events(night):
    short = night.folder / "short.h5"
    size = "--CalculatePixelStatistics.pedestal_chunk_size=100"
    night.run(CalculatePixelStatistics, *night.events, size, f"--output={short}")
    path = night.track(*night.air(), source=[f"--statistics={short}"], output="short_tracking.h5")
    table = read_telescope_table(path, DL1_TEL_STAR_TRACKING_GROUP, 1, "star tracking")
    good = table[np.asarray(table["is_valid"], bool)]
    assert len(good) >= 3
    for name, true in zip(("dlon", "dlat"), true_offset(night, good), strict=True):
        off = np.asarray(good[name]) * 3600 - true
        error = 3600 * np.hypot(good[f"{name}_stat_error"], good[f"{name}_sys_error"])
        assert np.all(np.abs(off) < 4 * error)
    assert header(path)["obs_id"] == 1


def photon_transfer(night, **table):
    """Product of a month before, from columns of shape (n_channels, n_pixels)."""
    begin = Time("2024-06-12T23:00:00", scale="tai")
    metadata = ProductMetadata(
        "camera/photon_transfer",
        "photon transfer of a month before",
        site="CTAO-North",
        night="2024-06-12",
        category="C",
        validity=(begin, begin + 40 * u.day),
        details={"array_element": "LSTN-01", "tel_id": 1},
    )
    row = Table({name: value[np.newaxis] for name, value in table.items()})
    path = night.folder / "photon_transfer.h5"
    subarray = telescope_subarray(1)
    return write_telescope_tables(path, subarray, 1, {PIXELS_GROUP: row}, metadata)


def certified_archive(night, north, path):
    """Archive in which the product is certified."""
    archive = init_archive(night.folder / "archive")
    upload_site(archive, north, {f"LSTN-0{n}": n for n in range(1, 5)})
    found = Candidate(read_product_header(path), verdict="PASS")
    certify(archive, [found], author="me", reason="a test")
    return archive.location


def test_gains_of_photon_transfer(night, tracking, north):
    """Gains of 0.5 % leave what may have changed, 2 %; the pointing stays that of the truth.

    The gains of pixels without a good fit do not count. What is certified in the archive of nights
    before is used as a file is, if it is not too old.
    """
    (path,) = night.folder.glob("truth/**/*.camera_truth.ecsv")
    camera = truth_from_table(QTable.read(path))
    rng = np.random.default_rng(2)
    gain = 1.05 * camera.gain * (1 + 0.005 * rng.standard_normal(camera.gain.shape))
    status = np.zeros(gain.shape, np.uint8)
    status[:, ::50], gain[:, ::50] = PhotonTransferReason.BAD_FIT, 40 * gain[:, ::50]
    transfer = photon_transfer(night, gain=gain, gain_stat_error=0.005 * gain, status=status)
    found = night.track(*night.air(), f"--gains={transfer}", output="gains.h5")
    before, after = (
        header(path)["systematics_in_arcsec"]["response"] for path in (tracking, found)
    )
    assert after < 0.75 * before
    archive = f"--archive={certified_archive(night, north, transfer)}"
    of_archive = night.track(*night.air(), archive, output="gains_of_archive.h5")
    assert product_id(of_archive) == product_id(found)
    age = f"{OWN}gains_age_in_days=20"
    too_old = night.track(*night.air(), archive, age, output="gains_too_old.h5")
    assert header(too_old)["systematics_in_arcsec"]["response"] == before
    other_block = night.folder / "other_coefficients.h5"
    shutil.copy(night.coefficients, other_block)
    of_block = night.track(*night.air(), f"--gains={other_block}", output="gains2.h5")
    for path in (found, of_block):
        table = read_telescope_table(path, DL1_TEL_STAR_TRACKING_GROUP, 1, "star tracking")
        for name, true in zip(("dlon", "dlat"), true_offset(night, table), strict=True):
            off = np.asarray(table[name]) * 3600 - true
            error = 3600 * np.hypot(table[f"{name}_stat_error"], table[f"{name}_sys_error"])
            assert np.all(np.abs(off) < 4 * error)
    with pytest.raises(ConfigurationError, match="leave it out of --gains"):
        night.track(*night.air(), f"--gains={night.coefficients}")


def test_point_spread_function(night):
    path = night.track(*night.air(), tool=CalculatePsfStars, output="psf.h5")
    row = read_telescope_table(path, DL1_TEL_OPTICAL_PSF_GROUP, 1, "PSF")[0]
    error = np.hypot(row["stat_error"], row["sys_error"])
    assert abs(row["width"] - night.truth["psf_in_deg"]) < 4 * error
    assert error < 0.15 * row["width"]
    profile = read_telescope_table(path, PROFILE_GROUP, 1, "profile")
    assert np.all(np.diff(np.asarray(profile["theta80"])) > 0)
    own = header(path)
    assert own["kind"] == "pointing/star_psf"
    assert own["muon_comparison"] is None


def test_what_must_be_given(night):
    with pytest.raises(ConfigurationError, match="needs --density-profile"):
        night.track()
    with pytest.raises(ConfigurationError, match="--statistics or --input, not both"):
        night.track(f"--statistics={night.statistics}", *night.air())
    with pytest.raises(MissingInputError, match="does not exist"):
        night.track(*night.air(), drive=night.folder / "none.h5")
