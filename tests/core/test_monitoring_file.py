"""The coefficients file: what is written comes back, what ctapipe would swallow is refused."""

from dataclasses import replace

import numpy as np
import pytest
import tables
from astropy.table import Table
from astropy.time import Time, TimeDelta

from calibpipe.core.exceptions import ConfigurationError, CorruptedInputError, MissingInputError
from calibpipe.core.monitoring_file import (
    fingerprint,
    read_camera_coefficients,
    write_camera_coefficients,
)
from calibpipe.core.products import ProductMetadata

N_PIXELS = 7
METADATA = ProductMetadata("camera/coefficients", "test coefficients", category="B")


@pytest.fixture(scope="module")
def subarray():
    """Two telescopes with seven pixels and two gains."""
    import astropy.units as u
    from astropy.coordinates import EarthLocation
    from ctapipe.coordinates import CameraFrame
    from ctapipe.instrument import (
        CameraDescription,
        CameraGeometry,
        CameraReadout,
        OpticsDescription,
        SubarrayDescription,
        TelescopeDescription,
    )

    angle = np.arange(6) * np.pi / 3
    geometry = CameraGeometry(
        "SevenCam",
        np.arange(N_PIXELS),
        np.append(0.0, np.cos(angle)) * u.m,
        np.append(0.0, np.sin(angle)) * u.m,
        np.full(N_PIXELS, np.sqrt(3) / 2) * u.m**2,
        "hexagon",
        frame=CameraFrame(focal_length=28 * u.m),
    )
    readout = CameraReadout("SevenCam", 1 * u.GHz, np.ones((2, 10)), 1 * u.ns, 2, N_PIXELS, 40)
    optics = OpticsDescription(
        "LST", "LST", 1, 28 * u.m, 29.3 * u.m, 386 * u.m**2, 198, "PARABOLIC"
    )
    camera = CameraDescription("SevenCam", geometry, readout)
    telescope = TelescopeDescription("LST", optics, camera)
    positions = {1: [0, 0, 0] * u.m, 2: [100, 0, 0] * u.m}
    place = EarthLocation(lon=-17.892 * u.deg, lat=28.762 * u.deg, height=2147 * u.m)
    return SubarrayDescription("two", positions, dict.fromkeys(positions, telescope), place)


def table(n_rows=3):
    shape = (n_rows, 2, N_PIXELS)
    numbers = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    times = Time("2026-01-15T22:00:00.123456789", scale="tai") + TimeDelta(
        np.arange(n_rows) * 60.0, format="sec"
    )
    return Table(
        {
            "time": times,
            "factor": numbers + 1,
            "pedestal_offset": numbers * 2,
            "time_shift": numbers * 3,
            "outlier_mask": np.zeros(shape, bool),
            "is_valid": np.ones(n_rows, bool),
            "gain": np.where(numbers == 5, np.float32(np.nan), numbers),
        }
    )


def both(changed=None):
    return {1: table() if changed is None else changed, 2: table(1)}


def test_what_is_written_comes_back(tmp_path, subarray):
    path = write_camera_coefficients(tmp_path / "c.h5", subarray, both(), METADATA)
    found, expected = read_camera_coefficients(path, 1), table()
    assert found.colnames == expected.colnames
    for name in expected.colnames[1:]:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
        assert found[name].dtype == expected[name].dtype
    assert found["time"].scale == "tai"
    assert abs((found["time"] - expected["time"]).to_value("ns")).max() <= 0.25
    assert found.meta["calibpipe"]["kind"] == "camera/coefficients"
    assert len(read_camera_coefficients(path, 2)) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_long_table_is_written_in_pieces(tmp_path, subarray):
    coefficients = {1: table(250), 2: table(1)}
    path = write_camera_coefficients(tmp_path / "c.h5", subarray, coefficients, METADATA)
    found = read_camera_coefficients(path, 1)
    np.testing.assert_array_equal(found["factor"], coefficients[1]["factor"])
    assert np.all(np.diff((found["time"] - found["time"][0]).to_value("s")) > 0)


def test_utc_is_stored_as_tai(tmp_path, subarray):
    changed = table()
    changed["time"] = changed["time"].utc
    path = write_camera_coefficients(tmp_path / "c.h5", subarray, both(changed), METADATA)
    found = read_camera_coefficients(path, 1)["time"]
    assert found.scale == "tai"
    assert abs((found - table()["time"]).to_value("ns")).max() <= 0.25


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint16, bool])
def test_fingerprint_sees_every_change(dtype):
    rng = np.random.default_rng(1)
    values = rng.normal(size=(9, 2, 1855)).astype(dtype)
    found = fingerprint(values)
    assert found == fingerprint(values.copy())
    assert found == fingerprint(np.asfortranarray(values))
    assert len(found) < values.nbytes / 32
    for _ in range(200):
        changed = values.copy()
        bits = changed.reshape(-1).view(np.uint8)
        for place in rng.integers(0, bits.size, rng.integers(1, 3)):
            bits[place] ^= 1 if dtype is bool else 1 << rng.integers(0, 8)
        assert (fingerprint(changed) == found) == (changed.tobytes() == values.tobytes())


def test_fingerprint_sees_signs_and_order():
    """Signs are the highest bits: in sums of whole words those of two numbers would cancel."""
    values = np.random.default_rng(2).normal(size=1855 * 2).astype(np.float32)
    found = fingerprint(values)
    for pair in ([0, 1], [3, 7], [4, 10]):
        changed = values.copy()
        changed[pair] *= -1
        assert fingerprint(changed) != found
        changed[pair] = values[pair[::-1]]
        assert fingerprint(changed) != found
    assert fingerprint(values[:0]) == b""


def test_headers_are_those_of_ctao(tmp_path, subarray):
    from ctapipe.instrument import SubarrayDescription
    from ctapipe.io.metadata import read_reference_metadata

    path = write_camera_coefficients(tmp_path / "c.h5", subarray, both(), METADATA)
    reference = read_reference_metadata(path)
    assert reference.product.data_category == "B"
    assert reference.product.format == "hdf5"
    assert reference.activity.software_name == "calibpipe"
    assert set(SubarrayDescription.from_hdf(path).tel) == {1, 2}


def test_identifier_follows_the_content(tmp_path, subarray):
    def identifier(coefficients):
        path = write_camera_coefficients(tmp_path / "c.h5", subarray, coefficients, METADATA)
        with tables.open_file(path) as h5file:
            return h5file.root._v_attrs["CTA PRODUCT ID"]

    changed = table()
    changed["factor"][2, 1, 6] += 1
    assert identifier(both()) == identifier(both())
    assert identifier(both()) != identifier(both(changed))


def nan_factor(t):
    t["factor"][1, 0, 3] = np.nan


def unsorted(t):
    t["time"] = t["time"][[0, 2, 1]]


def repeated(t):
    t["time"] = t["time"][[0, 0, 1]]


def one_channel_mask(t):
    t["outlier_mask"][2, 1, 4] = True


def masked_factor(t):
    t["outlier_mask"][2, :, 4] = True


def no_time_shift(t):
    t.remove_column("time_shift")


def one_channel(t):
    t["factor"] = t["factor"][:, :1]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (nan_factor, r"tel_001: factor is nan in row, channel, pixel \(1, 0, 3\).*factor of 0"),
        (unsorted, "time of row 2 is not after that of row 1; sort"),
        (repeated, "time of row 1 is not after that of row 0"),
        (one_channel_mask, "pixel 4 is masked in one channel only in row 2"),
        (masked_factor, "a masked pixel has a factor other than 0"),
        (no_time_shift, "no column time_shift"),
        (one_channel, r"factor has shape \(1, 7\) in a row, the camera \(2, 7\)"),
        (lambda t: t.remove_rows(slice(None)), "tel_001: no rows"),
    ],
)
def test_what_ctapipe_would_swallow_is_refused(tmp_path, subarray, spoil, message):
    spoiled = table()
    spoil(spoiled)
    with pytest.raises(ConfigurationError, match=message):
        write_camera_coefficients(tmp_path / "c.h5", subarray, both(spoiled), METADATA)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("category", ["Sim", "Other", None])
def test_only_processing_categories(tmp_path, subarray, category):
    with pytest.raises(ConfigurationError, match=f"of category {category!r}: give one of A, B, C"):
        write_camera_coefficients(
            tmp_path / "c.h5", subarray, both(), replace(METADATA, category=category)
        )


def test_every_telescope_must_be_there(tmp_path, subarray):
    with pytest.raises(ConfigurationError, match=r"no coefficients of telescopes \[2\]"):
        write_camera_coefficients(tmp_path / "c.h5", subarray, {1: table()}, METADATA)
    with pytest.raises(
        ConfigurationError, match=r"telescopes \[3\], which are not in subarray two"
    ):
        write_camera_coefficients(tmp_path / "c.h5", subarray, both() | {3: table()}, METADATA)


def test_failure_leaves_the_old_file(tmp_path, subarray):
    path = write_camera_coefficients(tmp_path / "c.h5", subarray, both(), METADATA)
    before = path.read_bytes()
    made = replace(METADATA, kind="made/coefficients")  # of which no columns are declared
    spoiled = table()
    spoiled["day"] = np.full(3, np.datetime64("2026-01-15"))  # which PyTables cannot write
    with pytest.raises(NotImplementedError, match="datetime64"):
        write_camera_coefficients(path, subarray, both(spoiled), made)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_columns_that_are_not_declared_are_not_written(tmp_path, subarray):
    odd = table()
    odd["night_sky"] = 1.0
    with pytest.raises(ValueError, match="night_sky is not declared"):
        write_camera_coefficients(tmp_path / "c.h5", subarray, both(odd), METADATA)
    assert not list(tmp_path.iterdir())


def test_reading_what_is_not_there(tmp_path, subarray):
    with pytest.raises(MissingInputError, match="does not exist: make the camera coefficients"):
        read_camera_coefficients(tmp_path / "none.h5", 1)
    path = write_camera_coefficients(tmp_path / "c.h5", subarray, both(), METADATA)
    with pytest.raises(MissingInputError, match="of telescope 7, only of tel_001, tel_002"):
        read_camera_coefficients(path, 7)


def test_reading_what_is_no_such_file(tmp_path):
    text = tmp_path / "text.h5"
    text.write_text("no HDF5")
    with pytest.raises(CorruptedInputError, match="is no HDF5 file"):
        read_camera_coefficients(text, 1)
    empty = tmp_path / "empty.h5"
    tables.open_file(empty, "w").close()
    with pytest.raises(CorruptedInputError, match="holds no camera coefficients"):
        read_camera_coefficients(empty, 1)


def test_a_file_cut_short_is_refused(tmp_path, subarray):
    path = write_camera_coefficients(tmp_path / "c.h5", subarray, both(), METADATA)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(CorruptedInputError, match="cut short"):
        read_camera_coefficients(path, 1)
