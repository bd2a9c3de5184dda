"""The file of pixel statistics: what comes back, what ctapipe reads, what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.table import Table
from astropy.time import Time
from ctapipe.io import write_table

from calibpipe.camera.pixel_statistics import (
    COEFFICIENT_COLUMNS,
    chunk_statistics,
    chunks_of_table,
    statistics_table,
)
from calibpipe.core.exceptions import ConfigurationError, CorruptedInputError, MissingInputError
from calibpipe.core.monitoring_file import ROWS_AT_ONCE
from calibpipe.core.products import ProductMetadata
from calibpipe.core.statistics_file import (
    PIXEL_STATISTICS,
    read_pixel_statistics,
    write_pixel_statistics,
)
from calibpipe.core.telescope import telescope_subarray

T0 = 1.78e9
METADATA = ProductMetadata("camera/pixel_statistics", "test", category="B", details={"obs_id": 3})


@pytest.fixture(scope="module")
def subarray():
    return telescope_subarray(1)


@pytest.fixture(scope="module")
def chunks(subarray):
    """Two chunks of ten events for each quantity."""
    rng = np.random.default_rng(1)
    n_pixels = subarray.tel[1].camera.geometry.n_pixels

    def chunk(k):
        values = rng.normal(100, 10, (10, 2, n_pixels)).astype(np.float32)
        return chunk_statistics(np.arange(10) + 10 * k, T0 + np.arange(10) + 10 * k, values)

    return {name: [chunk(k) for k in range(2)] for name in PIXEL_STATISTICS}


@pytest.fixture(scope="module")
def written(subarray, chunks, tmp_path_factory):
    path = tmp_path_factory.mktemp("statistics") / "statistics.h5"
    tables = {name: statistics_table(of) for name, of in chunks.items()}
    baseline = np.full((2, subarray.tel[1].camera.geometry.n_pixels), 400.25)
    return write_pixel_statistics(path, subarray, 1, tables, METADATA, baseline=baseline)


def test_what_is_written_comes_back(written, chunks):
    found = read_pixel_statistics(written)
    assert found.tel_id == 1
    assert found.header["obs_id"] == 3
    assert np.all(found.baseline == 400.25)
    assert list(found.subarray.tel) == [1]
    for name, expected in chunks.items():
        back = chunks_of_table(found.tables[name])
        for a, b in zip(back, expected, strict=True):
            assert (a.time_start, a.event_id_end) == (b.time_start, b.event_id_end)
            for column in ("n_events", "common_variance"):
                np.testing.assert_array_equal(getattr(a, column), getattr(b, column))
            for column in ("mean", "median", "std", "mean_error", "variance_error"):
                rounded = getattr(b, column).astype(np.float32)
                np.testing.assert_array_equal(getattr(a, column), rounded)
            # rounding is nothing beside the statistical error
            assert np.all(np.abs(a.mean - b.mean) < 1e-5 * b.mean_error)


def test_some_columns_of_a_long_table(chunks, subarray, tmp_path):
    """More rows than are read at once; what is left out is NaN, the rest as with all columns."""
    many = [
        replace(chunks["flatfield_image"][k % 2], time_start=T0 + k, n_events=np.full((2, 1855), k))
        for k in range(ROWS_AT_ONCE + 3)
    ]
    tables = {"flatfield_image": statistics_table(many)}
    path = write_pixel_statistics(tmp_path / "long.h5", subarray, 1, tables, METADATA)
    whole = read_pixel_statistics(path).tables["flatfield_image"]
    found = read_pixel_statistics(path, columns=COEFFICIENT_COLUMNS).tables["flatfield_image"]
    assert sorted(found.colnames) == sorted(COEFFICIENT_COLUMNS)
    for name in found.colnames:
        np.testing.assert_array_equal(found[name], whole[name])
        assert type(found[name]) is type(whole[name])
    back = chunks_of_table(found)
    assert [c.n_events[0, 0] for c in back] == list(range(len(many)))
    assert [c.time_start for c in back] == [T0 + k for k in range(len(many))]
    assert np.isnan(back[0].median).all()


def test_ctapipe_finds_the_chunk_of_a_time(written, chunks, subarray):
    from ctapipe.io import HDF5MonitoringSource
    from ctapipe.io.monitoringtypes import MonitoringType

    with HDF5MonitoringSource(subarray=subarray, input_files=[written]) as source:
        time = Time(T0 + 12, format="unix_tai", scale="tai")
        for name in ("sky_pedestal_image", "flatfield_image", "flatfield_peak_time"):
            values = source.get_values(MonitoringType.PIXEL_STATISTICS, time, 1, subtype=name)
            np.testing.assert_allclose(values["mean"], chunks[name][1].mean, rtol=1e-6)


def test_statistics_of_ctapipe_are_read(written, chunks, tmp_path, subarray):
    """Without our columns; pixels that ctapipe calls outliers have no events."""
    import tables

    path = tmp_path / "ctapipe.h5"
    table = statistics_table(chunks["flatfield_image"])
    table["outlier_mask"][1, 0, 5] = True
    for name in ("n_events", "mean", "median", "std"):
        table[name] = np.array([getattr(chunk, name) for chunk in chunks["flatfield_image"]])
    table.remove_columns(["mean_error", "variance_error", "common_variance"])
    with tables.open_file(path, "w") as h5file:
        subarray.to_hdf(h5file)
        group = "/dl1/monitoring/telescope/calibration/camera/pixel_statistics/flatfield_image"
        write_table(table, h5file, f"{group}/tel_001")
    found = read_pixel_statistics(path)
    assert found.baseline is None
    assert found.header == {}
    assert list(found.tables) == ["flatfield_image"]
    _, second = chunks_of_table(found.tables["flatfield_image"])
    for column in ("mean", "std"):  # in float64, as ctapipe has them
        assert getattr(second, column).dtype == np.float64
        expected = getattr(chunks["flatfield_image"][1], column)
        np.testing.assert_array_equal(getattr(second, column), expected)
    assert second.n_events[0, 5] == 0
    assert np.count_nonzero(second.n_events == 0) == 1
    assert np.isnan(second.variance_error).all()
    assert np.isnan(second.common_variance).all()


def test_unknown_names_and_other_cameras_are_refused(subarray, chunks, tmp_path):
    table = statistics_table(chunks["flatfield_image"])
    with pytest.raises(ConfigurationError, match="no statistics called 'muon_image'"):
        write_pixel_statistics(tmp_path / "a.h5", subarray, 1, {"muon_image": table}, METADATA)
    small = Table({name: table[name][:, :, :7] for name in ("mean", "std")})
    with pytest.raises(ConfigurationError, match=r"\(2, 7\) channels and pixels"):
        write_pixel_statistics(tmp_path / "a.h5", subarray, 1, {"flatfield_image": small}, METADATA)
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_there(written, tmp_path, subarray):
    import tables

    with pytest.raises(MissingInputError, match="make the pixel statistics first"):
        read_pixel_statistics(tmp_path / "absent.h5")
    with pytest.raises(MissingInputError, match="none with number 4"):
        read_pixel_statistics(written, 4)
    cut = tmp_path / "cut.h5"
    cut.write_bytes(written.read_bytes()[:1000])
    with pytest.raises(CorruptedInputError, match="cut short"):
        read_pixel_statistics(cut)
    with tables.open_file(tmp_path / "other.h5", "w") as h5file:
        subarray.to_hdf(h5file)
    with pytest.raises(MissingInputError, match="holds no pixel statistics"):
        read_pixel_statistics(tmp_path / "other.h5")
