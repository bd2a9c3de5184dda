"""Record of a drive: round trip, ctapipe reads it, refusals."""

import os

os.environ.setdefault("CTAPIPE_IO_ZFITS_NO_SERVICE_DATA", "1")

import astropy.units as u
import numpy as np
import pytest
import tables
from astropy.time import Time
from ctapipe.io import HDF5MonitoringSource, read_table
from ctapipe.monitoring import PointingInterpolator

from calibpipe.core.exceptions import ConfigurationError, CorruptedInputError, MissingInputError
from calibpipe.core.pointing_file import DrivePointing, read_pointing, write_pointing
from calibpipe.core.products import ProductMetadata
from calibpipe.core.telescope import subarray_of

START = Time("2024-07-10T23:00:00", scale="tai")
NODE = "/dl0/monitoring/telescope/pointing/tel_001"


@pytest.fixture(scope="module")
def subarray():
    return subarray_of([1])[1].select_subarray([1])


def drive():
    """Through North: azimuths of 358 to 367 deg."""
    seconds = np.arange(10.0)
    return DrivePointing(START + seconds * u.s, (358 + seconds) * u.deg, (70 - seconds) * u.deg)


def metadata(category="B"):
    return ProductMetadata(
        kind="simulation/pointing",
        description="test",
        site="CTAO-North",
        night="2024-07-10",
        category=category,
        activity={"name": "test", "id": "1", "start": "2024-07-11 00:00:00"},
        configuration={},
        inputs=(),
        contact={"name": "n", "email": "e", "organization": "o"},
        validity=(START, START + 10 * u.s),
        details={},
    )


@pytest.fixture
def path(tmp_path, subarray):
    return write_pointing(tmp_path / "drive.h5", subarray, {1: drive()}, metadata())


def test_there_and_back(path):
    found = read_pointing(path, 1)
    np.testing.assert_allclose(found.azimuth.to_value(u.deg), drive().azimuth.value)
    np.testing.assert_allclose(found.altitude.to_value(u.deg), drive().altitude.value)
    assert np.abs((found.times - drive().times).to_value(u.s)).max() < 1e-8
    azimuth, altitude = found.at(START.utc + [2.5, 4] * u.s)
    np.testing.assert_allclose(azimuth.to_value(u.deg), [360.5, 362])
    np.testing.assert_allclose(altitude.to_value(u.deg), [67.5, 66])


def test_ctapipe_reads_it(path, subarray):
    with HDF5MonitoringSource(subarray=subarray, input_files=[path]) as source:
        assert source.has_pointings
    interpolator = PointingInterpolator()
    interpolator.add_table(1, read_table(path, NODE))
    altitude, azimuth = interpolator(tel_id=1, time=START + 2.5 * u.s)
    assert azimuth.to_value(u.deg) == pytest.approx(360.5)
    assert altitude.to_value(u.deg) == pytest.approx(67.5)


def test_outside_of_the_record(path):
    found = read_pointing(path, 1)
    with pytest.raises(MissingInputError, match=r"1 of 2 times are outside by up to 28\.0 s"):
        found.at(START + [3, 37] * u.s)


def test_same_content_same_identifier(tmp_path, subarray):
    paths = [
        write_pointing(tmp_path / f"{k}.h5", subarray, {1: drive()}, metadata()) for k in range(2)
    ]
    found = []
    for path in paths:
        with tables.open_file(path) as h5file:
            found.append((h5file.root._v_attrs["CTA PRODUCT ID"], h5file.get_node(NODE).read()))
    assert found[0][0] == found[1][0]
    assert found[0][1].tobytes() == found[1][1].tobytes()


def change(path, **columns):
    with tables.open_file(path, "a") as h5file:
        node = h5file.get_node(NODE)
        rows = node.read()
        for name, values in columns.items():
            rows[name] = values(rows[name])
        node.modify_rows(0, len(rows), rows=rows)


def test_bad_files(path, tmp_path):
    with pytest.raises(MissingInputError, match="does not exist: make the record of the drive"):
        read_pointing(tmp_path / "absent.h5", 1)
    with pytest.raises(MissingInputError, match="no pointing of telescope 2"):
        read_pointing(path, 2)
    change(path, altitude=lambda values: np.where(np.arange(10) == 3, np.nan, values))
    with pytest.raises(CorruptedInputError, match="1 values of altitude are no numbers"):
        read_pointing(path, 1)
    change(path, altitude=np.ones_like, time=lambda values: values[::-1])
    with pytest.raises(CorruptedInputError, match="time of row 1"):
        read_pointing(path, 1)
    with tables.open_file(path, "a") as h5file:
        h5file.get_node(NODE).remove_rows(1, 10)
    with pytest.raises(MissingInputError, match="has 1 rows"):
        read_pointing(path, 1)


def test_refusals(tmp_path, subarray):
    with pytest.raises(ConfigurationError, match="pointing of category None"):
        write_pointing(tmp_path / "a.h5", subarray, {1: drive()}, metadata(None))
    with pytest.raises(ConfigurationError, match=r"telescopes \[7\] are not in subarray"):
        write_pointing(tmp_path / "a.h5", subarray, {7: drive()}, metadata())
    assert not list(tmp_path.iterdir())
