"""Files of LIDARs: what is written is read again, damaged files are refused with a reason."""

import astropy.units as u
import numpy as np
import pytest
from astropy.time import Time
from netCDF4 import Dataset

from calibpipe.core.exceptions import CorruptedInputError, MissingInputError
from calibpipe.core.lidar_files import (
    LidarData,
    LidarSignal,
    emitted_wavelength,
    read_lidar_files,
)
from calibpipe.simulation.lidar_encoding import licel_bytes, write_earlinet


@pytest.fixture
def data():
    rng = np.random.default_rng(1)
    distance = (np.arange(500) + 0.5) * 7.5 * u.m
    signals = [
        LidarSignal(
            name,
            532 * u.nm,
            received * u.nm,
            mode,
            distance,
            rng.poisson(1000, (3, 500)).astype(float),
            np.full(3, 600.0),
        )
        for name, received, mode in (
            ("532.analog", 532, "analog"),
            ("607.photon_counting", 607, "photon_counting"),
        )
    ]
    return LidarData(
        times=Time("2024-07-10T23:30:30", scale="utc") + np.arange(3) * 60 * u.s,
        duration=np.full(3, 60.0) * u.s,
        altitude=2158 * u.m,
        latitude=28.761795 * u.deg,
        longitude=-17.890701 * u.deg,
        zenith=np.array([0.0, 0.0, 30.0]) * u.deg,
        channels=tuple(signals),
    )


@pytest.fixture
def earlinet(data, tmp_path):
    write_earlinet(tmp_path / "lidar.nc", data)
    return tmp_path / "lidar.nc"


@pytest.fixture
def licel(data, tmp_path):
    paths = [tmp_path / f"a{i}" for i in range(3)]
    for i, path in enumerate(paths):
        path.write_bytes(licel_bytes(data, i, "La Palma", path.name))
    return paths


def same(found, data):
    np.testing.assert_allclose(found.times.unix, data.times.unix, atol=1e-3)
    np.testing.assert_allclose(found.duration.value, data.duration.value)
    np.testing.assert_allclose(found.zenith.value, data.zenith.value)
    assert abs(found.longitude - data.longitude) < 1e-5 * u.deg
    assert abs(found.altitude - data.altitude) < 1 * u.m
    for one, other in zip(found.channels, data.channels, strict=True):
        assert (one.mode, one.emitted, one.received) == (other.mode, other.emitted, other.received)
        np.testing.assert_array_equal(one.values, other.values)
        np.testing.assert_array_equal(one.shots, other.shots)
        np.testing.assert_allclose(one.distance.value, other.distance.value)


def test_earlinet_is_read_as_written(earlinet, data):
    same(read_lidar_files([earlinet]), data)


def test_licel_is_read_as_written_in_order_of_time(licel, data):
    same(read_lidar_files([licel[2], licel[0], licel[1]]), data)


def test_a_licel_header_by_hand(tmp_path):
    header = (
        " b2471023.303000\r\n"
        " La Palma 10/07/2024 23:30:00 10/07/2024 23:31:00 2158 -017.8907 0028.7618 25\r\n"
        " 0000600 0010 0000000 0000 02\r\n"
        " 1 0 1 00003 1 0850 7.50 00532.o 0 0 00 000 12 000600 0.500 BT0\r\n"
        " 0 1 1 00002 1 0850 7.50 00607.o 0 0 00 000 00 000600 3.174 BC1\r\n\r\n"
    )
    body = np.array([1, 2, 300], "<i4").tobytes() + b"\r\n" + bytes(8) + b"\r\n"
    path = tmp_path / "b2471023.303000"
    path.write_bytes(header.encode() + body)
    found = read_lidar_files([path])
    assert found.times.isot[0] == "2024-07-10T23:30:30.000"
    assert found.zenith[0] == 25 * u.deg
    (channel,) = found.channels  # the second data set is not active
    np.testing.assert_array_equal(channel.values, [[1, 2, 300]])
    np.testing.assert_allclose(channel.distance.value, [3.75, 11.25, 18.75])
    assert channel.is_elastic


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c[:-100], "cut off"),
        (lambda c: c + b"more", "cut off or damaged"),
        (lambda c: c.replace(b"\r\n\r\n", b"", 1), "no empty line"),
        (lambda c: c.replace(b"0000 02\r\n", b"0000 03\r\n", 1), "announces 3 data sets"),
        (lambda c: c.replace(b"2024 23:3", b"2024 77:3", 1), "header is damaged"),
        (lambda c: c.replace(b"00607.o", b"00999.o", 1), "no laser line belongs to 999 nm"),
        (lambda c: c.replace(b" 1 0 1 00500", b" 1 7 1 00500", 1), "needs 0 or 1"),
        (lambda c: c.replace(b"000600 0.500", b"000000 0.500", 1), "has no shots"),
        (lambda c: b"", "no empty line"),
    ],
)
def test_damaged_licel(licel, change, message):
    content = licel[0].read_bytes()
    assert change(content) != content
    licel[0].write_bytes(change(content))
    with pytest.raises(CorruptedInputError, match=message):
        read_lidar_files(licel[:1])


def test_counts_cannot_be_negative(data, tmp_path):
    data.channels[1].values[0, 7] = -5
    (tmp_path / "a").write_bytes(licel_bytes(data, 0, "La Palma", "a"))
    with pytest.raises(CorruptedInputError, match="-5 counts"):
        read_lidar_files([tmp_path / "a"])


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("Raw_Data_Stop_Time", 0, "ends before it starts"),
        ("Raw_Data_Range_Resolution", -1.0, "range resolution"),
        ("Acquisition_Mode", 7, "needs 0"),
        ("Laser_Shots", 0, "has no shots"),
        ("Detected_Wavelength", 999.0, "no laser line"),
        ("Raw_Lidar_Data", np.nan, "has no finite value"),
    ],
)
def test_wrong_values_in_netcdf(earlinet, name, value, message):
    with Dataset(earlinet, "a") as out:
        out[name][:] = value
    with pytest.raises(CorruptedInputError, match=message):
        read_lidar_files([earlinet])


def test_damaged_netcdf(earlinet, tmp_path):
    content = earlinet.read_bytes()
    earlinet.write_bytes(content[: len(content) // 2])
    with pytest.raises(CorruptedInputError, match="no readable LIDAR netCDF"):
        read_lidar_files([earlinet])
    with Dataset(tmp_path / "other.nc", "w") as out:
        out.createVariable("temperature", "f8", ())
    with pytest.raises(CorruptedInputError, match="its variables: temperature"):
        read_lidar_files([tmp_path / "other.nc"])


def test_files_that_do_not_belong_together(earlinet, licel, tmp_path, data):
    with pytest.raises(CorruptedInputError, match="overlap in time"):
        read_lidar_files([licel[0], licel[0]])
    with pytest.raises(CorruptedInputError, match="do not belong together"):
        read_lidar_files([earlinet, licel[0]])
    with pytest.raises(MissingInputError, match="no LIDAR file"):
        read_lidar_files([])
    with pytest.raises(MissingInputError, match="does not exist"):
        read_lidar_files([tmp_path / "nothing"])


def test_laser_lines():
    lines = [emitted_wavelength(w, "test") for w in (355, 387, 408, 532, 607, 1064)]
    assert lines == [355, 355, 355, 532, 532, 1064]
