"""The file for ctapipe-process: certified coefficients with excluded pixels masked."""

import json
from pathlib import Path

import numpy as np
import pytest
import tables
from astropy.table import Table
from astropy.time import Time
from ctapipe.core import run_tool
from products import SIGNED, candidate, hours

from calibpipe.archive.certify import certify
from calibpipe.archive.history import calibrations_of
from calibpipe.archive.reproduction import recipe
from calibpipe.camera.outliers import PixelReason
from calibpipe.core.exceptions import ConfigurationError, CorruptedInputError, MissingInputError
from calibpipe.core.monitoring_file import read_camera_coefficients, write_camera_coefficients
from calibpipe.core.product_header import read_product_header
from calibpipe.core.products import ProductMetadata
from calibpipe.core.telescope import telescope_subarray
from calibpipe.core.telescope_file import write_telescope_tables
from calibpipe.tools.export import Export
from calibpipe.tools.select_excluded_pixels import KIND, PIXELS_GROUP

N_ROWS, N_PIXELS = 20, 1855  # more rows than are read at once
TIME, LATER = "2024-07-10T14:00:00", "2024-07-10T20:00:00"  # 2 and 8 hours after T0
DEAD, EXCLUDED = 7, [7, 100, 1854]
KEYS = {"site": "CTAO-North", "night": "2024-07-10", "category": "C"}
DETAILS = {"array_element": "LSTN-01", "tel_id": 1}


@pytest.fixture(scope="module")
def subarray():
    return telescope_subarray(1)


def coefficients(folder, subarray):
    """Coefficients with one pixel that is masked in all rows, and one in the first."""
    shape = N_ROWS, 2, N_PIXELS
    mask = np.zeros(shape, bool)
    mask[:, :, DEAD] = True
    mask[0, :, 100] = True
    begin = Time("2024-07-10T12:00:00", scale="tai")
    table = Table(
        {
            "time": Time(begin.unix_tai + np.arange(N_ROWS), format="unix_tai", scale="tai"),
            "factor": np.where(mask, 0, 0.02).astype(np.float32),
            "pedestal_offset": np.full(shape, 400, np.float32),
            "time_shift": np.zeros(shape, np.float32),
            "outlier_mask": mask,
            "is_valid": np.ones(N_ROWS, bool),
            "reasons": np.where(mask, PixelReason.DEAD.value, 0).astype(np.uint16),
        }
    )
    run = {"tool": "calibpipe-calculate-camcalib-coefficients", "configuration": "{}"}
    metadata = ProductMetadata("camera/coefficients", "a camera", **KEYS, details=DETAILS, run=run)
    path = write_camera_coefficients(folder / "coefficients.h5", subarray, {1: table}, metadata)
    return read_product_header(path)


def exclusion(folder, subarray, n_pixels=N_PIXELS):
    is_excluded = np.isin(np.arange(n_pixels), EXCLUDED)
    rows = Table({"pixel_id": np.arange(n_pixels), "is_excluded": is_excluded})
    metadata = ProductMetadata(KIND, "excluded pixels", **KEYS, details=DETAILS)
    path = folder / "excluded_pixels.h5"
    write_telescope_tables(path, subarray, 1, {PIXELS_GROUP: rows}, metadata)
    return read_product_header(path)


@pytest.fixture
def two(sqlite_archive, tmp_path, subarray):
    """Archive and headers; the list of excluded pixels holds for five hours of ten."""
    found = coefficients(tmp_path, subarray), exclusion(tmp_path, subarray)
    for header, end in zip(found, (10, 5), strict=True):
        certify(sqlite_archive, [candidate(header, hours(0, end))], **SIGNED)
    return sqlite_archive, *found


def export(archive, folder, time=TIME, *options):
    """Exported file, and the answer."""
    output = folder / f"monitoring.{len(list(folder.glob('monitoring*')))}.h5"
    argv = [
        f"--archive={archive.location}",
        "--site=CTAO-North",
        "--telescope=LSTN-01",
        f"--time={time}",
        f"--output={output}",
        f"--record={folder / 'answer.json'}",
        *options,
    ]
    run_tool(Export(), argv, cwd=folder, raises=True)
    return output, json.loads((folder / "answer.json").read_text())


def test_excluded_pixels_are_masked(two, tmp_path):
    archive, made, excluded = two
    path, answer = export(archive, tmp_path)
    before, after = (read_camera_coefficients(p, 1) for p in (made.path, path))
    mask = np.asarray(after["outlier_mask"])
    assert np.flatnonzero(mask.all(axis=(0, 1))).tolist() == EXCLUDED
    assert not np.delete(mask, EXCLUDED, axis=2).any()
    assert (np.asarray(after["factor"])[mask] == 0).all()
    reasons = np.asarray(after["reasons"])
    assert (reasons[..., 1854] == PixelReason.EXCLUDED).all()
    assert (reasons[..., DEAD] == PixelReason.EXCLUDED | PixelReason.DEAD).all()
    kept = ~mask
    for name in ("factor", "pedestal_offset", "time_shift", "reasons"):
        np.testing.assert_array_equal(after[name][kept], before[name][kept])
    np.testing.assert_array_equal(after["is_valid"], before["is_valid"])
    assert answer["product_id"] == str(made.product_id)
    assert answer["excluded_pixels"]["product_id"] == str(excluded.product_id)
    assert answer["excluded_pixels"]["n_newly_masked"] == 2  # 7 was masked all the time
    with tables.open_file(path) as h5file:
        assert json.loads(h5file.root._v_attrs["calibpipe_archive"]).items() <= answer.items()


def test_a_merged_file_names_both_products(two, tmp_path):
    archive, made, excluded = two
    path, _ = export(archive, tmp_path)
    again, _ = export(archive, tmp_path)
    header = read_product_header(path)
    assert header.product_id == read_product_header(again).product_id
    assert header.product_id not in (made.product_id, excluded.product_id)
    used = {entry["id"] for entry in calibrations_of(archive, path)}
    assert used == {str(made.product_id), str(excluded.product_id)}


def test_a_merged_file_has_no_recipe(two, tmp_path):
    """Its coefficients have one, which would not make this file."""
    path, _ = export(two[0], tmp_path)
    assert "run" in read_product_header(two[1].path).own
    with pytest.raises(MissingInputError, match="does not say how it was made"):
        recipe(read_product_header(path))


def test_a_copy_that_was_damaged_is_refused(two, tmp_path, monkeypatch):
    def damaged(source, target):
        with Path(target).open("wb") as stream:
            stream.write(Path(source).read_bytes() + b" ")

    monkeypatch.setattr("calibpipe.archive.monitoring.shutil.copyfile", damaged)
    with pytest.raises(CorruptedInputError, match="of the archive has the checksum"):
        export(two[0], tmp_path)
    assert not list(tmp_path.glob("monitoring*"))


def test_without_a_list_the_file_is_as_certified(two, tmp_path, caplog):
    """None holds at that time, or it is not wanted."""
    archive, made, _ = two
    for time, options in ((LATER, []), (TIME, ["--Export.merge_excluded_pixels=False"])):
        path, answer = export(archive, tmp_path, time, *options)
        assert "excluded_pixels" not in answer
        assert read_product_header(path).product_id == made.product_id
        before, after = (read_camera_coefficients(p, 1) for p in (made.path, path))
        for name in ("factor", "outlier_mask", "reasons"):
            np.testing.assert_array_equal(after[name], before[name])


def test_a_list_of_another_camera_is_refused(sqlite_archive, tmp_path, subarray):
    found = coefficients(tmp_path, subarray), exclusion(tmp_path, subarray, n_pixels=1764)
    for header in found:
        certify(sqlite_archive, [candidate(header, hours(0, 10))], **SIGNED)
    with pytest.raises(ConfigurationError, match="1764 pixels are excluded or not"):
        export(sqlite_archive, tmp_path)
    assert not list(tmp_path.glob("monitoring*"))
