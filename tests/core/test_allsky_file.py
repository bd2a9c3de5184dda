"""FITS frames of all-sky cameras: what is written is read, and every kind of wrong file."""

from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.time import Time
from numpy.testing import assert_array_equal

from calibpipe.core.allsky_file import (
    AllskyCamera,
    AllskyFrame,
    allsky_files,
    read_allsky,
)
from calibpipe.core.exceptions import ConfigurationError, CorruptedInputError, MissingInputError
from calibpipe.simulation.allsky_encoding import frame_hdu, frame_header

CAMERA = AllskyCamera(
    "equisolid",
    31.5,
    30.0,
    20.0,
    rotation=3.0,
    parity=-1,
    tilt_north=0.1,
    radial_2=0.01,
    vignetting_1=-0.1,
    gain=1.5,
    read_noise=8.0,
    pedestal=100.0,
    saturation=60000.0,
    zero_point=11.0,
    psf_sigma=1.2,
)
COUNTS = np.random.default_rng(1).integers(80, 300, (64, 70)).astype(np.uint16)


@pytest.fixture
def frame():
    return AllskyFrame("x", COUNTS, Time("2024-07-11T01:00:00"), 30 * u.s, CAMERA)


def write(path, *hdus, **options):
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path, **options)
    return path


@pytest.fixture
def plain(tmp_path, frame, north):
    """A header to spoil, and the reading of a file with it."""
    header = frame_header(frame, north)

    def read(counts=COUNTS, camera=None):
        path = tmp_path / "frame.fits"
        fits.PrimaryHDU(counts, header).writeto(path, overwrite=True)
        return list(read_allsky(path, north, camera))

    return header, read


@pytest.mark.parametrize("name", ["a.fits", "a.fits.fz", "a.fits.gz"])
def test_what_is_written_is_read(tmp_path, frame, north, name):
    path = write(tmp_path / name, frame_hdu(frame, north, compressed=name.endswith("fz")))
    (found,) = read_allsky(path, north)
    assert found.camera == CAMERA
    assert found.time.isot == "2024-07-11T01:00:15.000"
    assert found.exposure == 30 * u.s
    assert found.name == f"{path}[1]"
    assert_array_equal(found.counts, COUNTS)


def test_one_file_of_many_frames_one_by_one(tmp_path, frame, north):
    frames = [replace(frame, begin=frame.begin + k * u.min, counts=COUNTS + k) for k in range(3)]
    path = write(tmp_path / "a.fits", *(frame_hdu(f, north) for f in frames))
    found = list(read_allsky(path, north))
    assert [f.begin.isot[14:16] for f in found] == ["00", "01", "02"]
    assert_array_equal(found[2].counts, COUNTS + 2)
    (only,) = read_allsky(path, north, only={f"{path}[2]"})
    assert_array_equal(only.counts, COUNTS + 1)
    assert not list(read_allsky(path, north, only=()))


def test_primary_header_serves_all_frames(tmp_path, frame, north):
    common = frame_header(frame, north)
    time = fits.Header({"DATE-OBS": "2024-07-11T02:00:00"})
    hdus = fits.HDUList([fits.PrimaryHDU(header=common), fits.ImageHDU(COUNTS, time)])
    hdus.writeto(tmp_path / "a.fits")
    (found,) = read_allsky(tmp_path / "a.fits", north)
    assert found.begin.isot == "2024-07-11T02:00:00.000"
    assert found.camera == CAMERA


def test_values_of_the_configuration_replace_those_of_the_header(plain):
    header, read = plain
    del header["FOCALPIX"]
    (found,) = read(camera={"focal_length": 25.0, "x_center": 33.0})
    assert found.camera == replace(CAMERA, focal_length=25.0, x_center=33.0)
    with pytest.raises(ConfigurationError, match="`camera` has no focus; it has projection, x_cen"):
        read(camera={"focus": 1, "focal_length": 1.0})


def test_scale_of_times(plain):
    header, read = plain
    header["TIMESYS"] = "TAI"
    assert read()[0].begin.isot == "2024-07-11T00:59:23.000"


def test_files_of_a_folder_by_name(tmp_path, frame, north):
    for name in ("b.fits", "a.fits.fz", ".c.part.fits", "readme.txt"):
        write(tmp_path / name, frame_hdu(frame, north))
    assert [p.name for p in allsky_files([tmp_path])] == ["a.fits.fz", "b.fits"]
    assert allsky_files([tmp_path / "readme.txt"]) == [tmp_path / "readme.txt"]


class TestWrong:
    @pytest.mark.parametrize(
        ("keyword", "value", "message"),
        [
            ("DATE-OBS", None, "DATE-OBS is None, needs the begin"),
            ("DATE-OBS", "yesterday", "DATE-OBS is 'yesterday'"),
            ("TIMESYS", "LOCAL", "TIMESYS 'local' is not UTC, TAI or TT"),
            ("EXPTIME", None, "lacks EXPTIME"),
            ("EXPTIME", 0.0, "EXPTIME is 0 s, needs more than 0"),
            ("EXPTIME", "long", "EXPTIME is 'long', needs a number"),
            ("SITELAT", None, "lacks SITELAT"),
            ("ZEROPT", None, "lacks ZEROPT; write it into the header, or give it as `camera`"),
            ("PROJECT", "mercator", "PROJECT 'mercator' is not one of equidistant"),
            ("PROJECT", None, "PROJECT '' is not one of"),
            ("PARITY", 0, "PARITY is 0, needs 1 or -1"),
            ("GAIN", -1.0, "GAIN is -1, needs more than 0"),
            ("CRPIX1", 200.0, "the optical axis at CRPIX 200, 31 lies outside of 70 x 64 pixels"),
        ],
    )
    def test_header(self, plain, keyword, value, message):
        header, read = plain
        del header[keyword]
        if value is not None:
            header[keyword] = value
        with pytest.raises(CorruptedInputError, match=message):
            read()

    def test_other_site(self, tmp_path, frame, north, south):
        path = write(tmp_path / "a.fits", frame_hdu(frame, north))
        with pytest.raises(
            ConfigurationError, match=r"stands at 28\.762 deg, -17\.891 deg, the sit"
        ):
            list(read_allsky(path, south))

    @pytest.mark.parametrize("shape", [(3, 64, 70), (5, 70)])
    def test_shape(self, plain, shape):
        with pytest.raises(CorruptedInputError, match="needs two dimensions of at least 32"):
            plain[1](np.zeros(shape, np.float32))

    def test_nothing_there(self, tmp_path, north):
        with pytest.raises(MissingInputError, match="does not exist"):
            list(read_allsky(tmp_path / "none.fits", north))
        with pytest.raises(MissingInputError, match="does not exist"):
            allsky_files([tmp_path / "none"])
        with pytest.raises(MissingInputError, match="no all-sky frame in"):
            allsky_files([tmp_path])
        with pytest.raises(MissingInputError, match="no all-sky frame in nothing"):
            allsky_files([])

    def test_no_fits_and_no_image(self, tmp_path, north):
        (tmp_path / "text.fits").write_text("no FITS at all")
        with pytest.raises(CorruptedInputError, match="no readable FITS file of an all-sky camera"):
            list(read_allsky(tmp_path / "text.fits", north))
        with pytest.raises(CorruptedInputError, match="has no image"):
            list(read_allsky(write(tmp_path / "empty.fits"), north))

    @pytest.mark.parametrize("name", ["a.fits", "a.fits.fz"])
    def test_cut_off(self, tmp_path, frame, north, name):
        path = write(tmp_path / name, frame_hdu(frame, north, compressed=name.endswith("fz")))
        path.write_bytes(path.read_bytes()[:-3000])
        with pytest.raises(CorruptedInputError, match=name):
            list(read_allsky(path, north))

    def test_damaged_byte(self, tmp_path, frame, north):
        path = write(tmp_path / "a.fits", frame_hdu(frame, north, compressed=False), checksum=True)
        content = bytearray(path.read_bytes())
        content[-2880 - 100] ^= 4
        path.write_bytes(content)
        with pytest.raises(CorruptedInputError, match="Checksum"):
            list(read_allsky(path, north))
