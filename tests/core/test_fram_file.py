"""FITS tables of FRAM: what is read, and every kind of wrong file."""

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.time import Time
from numpy.testing import assert_allclose

from calibpipe.core.exceptions import CorruptedInputError, MissingInputError
from calibpipe.core.fram_file import read_fram
from calibpipe.core.night import astronomical_night
from calibpipe.simulation.fram import FramCamera, FramSky, fram_hdus, simulated_fram


@pytest.fixture
def measured(north):
    """Five images."""
    night = astronomical_night("2024-07-10", north)
    camera = FramCamera(interval=night.duration / 5, n_stars=5, filters=[440, 550] * u.nm)
    return simulated_fram(north, night, FramSky(), camera, np.random.default_rng(1))[0]


@pytest.fixture
def hdus(measured):
    return fram_hdus(measured)


@pytest.fixture
def read(tmp_path):
    def read_it(hdus):
        hdus.writeto(tmp_path / "fram.fits", overwrite=True)
        return read_fram([tmp_path / "fram.fits"])

    return read_it


def changed(hdus, name, **more):
    """The same table with another column of this name; None: without."""
    columns = [c for c in hdus[1].columns if c.name != name]
    columns += [fits.Column(name, **more)] if more else []
    table = fits.BinTableHDU.from_columns(columns)
    table.header["TIMESYS"] = "UTC"
    return fits.HDUList([fits.PrimaryHDU(), table])


def test_what_is_written_is_read(read, hdus, measured):
    found = read(hdus)
    assert_allclose(found.time.unix_tai, measured.time.unix_tai, atol=1e-6, rtol=0)
    assert found.sites == ("CTAO-North",)
    for name in ("aod", "aod_error", "image", "zero_point"):
        assert_allclose(getattr(found, name), getattr(measured, name), rtol=1e-12)
    for name in ("ra", "dec", "wavelength"):
        assert_allclose(getattr(found, name).value, getattr(measured, name).value, rtol=1e-12)
    assert found.img_id.tolist() == measured.img_id.tolist()


def test_lists_of_different_length(read, hdus, measured):
    """The second image has three stars, the third none."""
    keep = np.isin(measured.image, [0, 3, 4]) | ((measured.image == 1) & (np.arange(25) % 5 < 3))
    rows = np.split(measured.aod[keep], np.searchsorted(measured.image[keep], [1, 2, 3, 4]))
    table = hdus[1].columns
    columns = [c for c in table if c.name not in ("ra", "dec", "aod", "aod_err")]
    lists = np.empty(5, object)
    lists[:] = rows
    columns += [fits.Column(n, "PD()", array=lists) for n in ("ra", "dec", "aod", "aod_err")]
    found = read(fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns)]))
    assert np.bincount(found.image, minlength=5).tolist() == [5, 3, 0, 5, 5]
    assert_allclose(found.aod, measured.aod[keep])


@pytest.mark.parametrize("unit", ["d", "s"])
def test_times_as_numbers(read, hdus, measured, unit):
    """MJD, and seconds of UTC since 1970 (no leap seconds)."""
    values = measured.time.utc.mjd if unit == "d" else measured.time.utc.unix
    found = read(changed(hdus, "timestamp", format="D", unit=unit, array=values))
    assert_allclose(found.time.unix_tai, measured.time.unix_tai, atol=1e-5, rtol=0)


def test_scale_of_times(read, hdus, measured):
    hdus[1].header["TIMESYS"] = "TAI"
    found = read(hdus)
    assert_allclose(found.time.unix_tai, measured.time.unix_tai - 37, atol=1e-6, rtol=0)


def test_depths_in_magnitudes(read, hdus, measured):
    for column in hdus[1].columns:
        if column.name in ("aod", "aod_err"):
            column.unit = "mag"
    assert_allclose(read(hdus).aod, measured.aod * 0.4 * np.log(10), rtol=1e-12)


def test_several_files(tmp_path, hdus, measured):
    for name, rows in (("a", slice(0, 2)), ("b", slice(2, None))):
        table = fits.BinTableHDU(hdus[1].data[rows], hdus[1].header)
        fits.HDUList([fits.PrimaryHDU(), table]).writeto(tmp_path / f"{name}.fits")
    found = read_fram([tmp_path / "a.fits", tmp_path / "b.fits"])
    assert_allclose(found.aod, measured.aod)
    assert found.image.tolist() == measured.image.tolist()
    with pytest.raises(CorruptedInputError, match="2 of 4 FRAM images are there twice"):
        read_fram([tmp_path / "a.fits", tmp_path / "a.fits"])


class TestWrong:
    @pytest.mark.parametrize(
        ("name", "more", "message"),
        [
            ("aod", {}, "lacks the columns aod"),
            ("peak_wavelength", {"format": "D", "array": np.full(5, 440.0)}, "unit None"),
            ("peak_wavelength", {"format": "D", "unit": "um", "array": np.full(5, 440.0)}, "200"),
            ("timestamp", {"format": "D", "array": np.full(5, 60000.0)}, "needs d"),
            ("timestamp", {"format": "D", "unit": "d", "array": np.full(5, np.nan)}, "no time"),
            ("timestamp", {"format": "10A", "array": ["yesterday"] * 5}, "ValueError"),
            ("ra", {"format": "5D", "unit": "K", "array": np.zeros((5, 5))}, "unit 'K'"),
            ("ra", {"format": "D", "unit": "deg", "array": np.zeros(5)}, "1 values of ra but 5"),
            ("aod", {"format": "5D", "unit": "m", "array": np.zeros((5, 5))}, "none, or mag"),
        ],
    )
    def test_columns(self, read, hdus, name, more, message):
        with pytest.raises(CorruptedInputError, match=message):
            read(changed(hdus, name, **more))

    def test_times_of_an_unknown_scale(self, read, hdus):
        hdus[1].header["TIMESYS"] = "LOCAL"
        with pytest.raises(CorruptedInputError, match="TIMESYS 'local'"):
            read(hdus)

    def test_no_file_no_table_no_image(self, tmp_path, read, hdus):
        with pytest.raises(MissingInputError, match="does not exist"):
            read_fram([tmp_path / "none.fits"])
        with pytest.raises(MissingInputError, match="no FRAM file"):
            read_fram([])
        with pytest.raises(CorruptedInputError, match="no binary table"):
            read(fits.HDUList([fits.PrimaryHDU()]))
        hdus[1].data = hdus[1].data[:0]
        with pytest.raises(MissingInputError, match="holds no image"):
            read(hdus)
        (tmp_path / "text.fits").write_text("no FITS at all")
        with pytest.raises(CorruptedInputError, match="no readable FITS"):
            read_fram([tmp_path / "text.fits"])

    @pytest.mark.parametrize("end", [2880 + 700, -2500])
    def test_cut_off_file(self, tmp_path, hdus, end):
        """In the header of the table, and in its data."""
        hdus.writeto(tmp_path / "whole.fits")
        content = (tmp_path / "whole.fits").read_bytes()
        (tmp_path / "cut.fits").write_bytes(content[:end])
        with pytest.raises(CorruptedInputError, match=r"cut\.fits"):
            read_fram([tmp_path / "cut.fits"])

    def test_damaged_byte(self, tmp_path, hdus):
        hdus.writeto(tmp_path / "fram.fits", checksum=True)
        content = bytearray((tmp_path / "fram.fits").read_bytes())
        place = content.rindex(np.array([15.0], ">f8").tobytes())
        content[place + 1] ^= 4
        (tmp_path / "fram.fits").write_bytes(content)
        with pytest.raises(CorruptedInputError, match="Checksum"):
            read_fram([tmp_path / "fram.fits"])


def test_time_is_tai(measured):
    assert measured.time.scale == "tai"
    assert isinstance(measured.time, Time)
