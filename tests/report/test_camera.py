"""Cameras on the page: steps, numbers, masked pixels, figures, status."""

import dataclasses
import warnings

import numpy as np
import pytest
from report.made_camera import (
    DEAD,
    DRIFT,
    GAIN,
    N_CHUNKS,
    NOISY,
    PIXELS,
    add_cameras,
    add_index,
    coefficients,
)

from calibpipe.camera.outliers import PixelReason
from calibpipe.report.camera_numbers import (
    bad_pixels,
    camera_numbers,
    camera_remarks,
    drift,
    nan_quantiles,
    used_reasons,
)
from calibpipe.report.material import camera_steps, is_of_cameras


@pytest.fixture(scope="module")
def table():
    return coefficients()


def numbers(table):
    return {number["name"]: number for number in camera_numbers(table)}


def test_steps_come_in_the_order_of_need():
    steps = camera_steps([("LSTN-01", 7)], ["simulation/LSTN-01"])
    assert [(step.name, step.needs) for step in steps] == [
        ("simulation/LSTN-01", ()),
        ("array/dl0_index", ("simulation/LSTN-01",)),
        ("LSTN-01/camera/pixel_statistics.OBSID7", ("array/dl0_index",)),
        ("LSTN-01/camera/coefficients.OBSID7", ("LSTN-01/camera/pixel_statistics.OBSID7",)),
    ]
    assert steps[-1].products == ("LSTN-01/camera/coefficients.OBSID7.h5",)
    assert all(is_of_cameras(step.name) for step in steps)
    assert not is_of_cameras("simulation/meteo")


def test_masked_pixels_are_those_that_were_made(table):
    found = {pixel["id"]: pixel for pixel in bad_pixels(table)}
    assert sorted(found) == sorted([*DEAD, NOISY])
    assert all("dead" in found[pixel]["reasons"] for pixel in DEAD)
    assert "pedestal noise off" in found[NOISY]["reasons"]
    assert {pixel["rows"] for pixel in found.values()} == {f"{N_CHUNKS - 1} of {N_CHUNKS - 1}"}
    assert np.flatnonzero(used_reasons(table) & PixelReason.DEAD).tolist() == list(DEAD)


def test_numbers_are_the_truth(table):
    found = numbers(table)
    assert (found["Valid rows of coefficients"]["value"], found["Usable pixels"]["value"]) == (
        str(N_CHUNKS - 1),
        str(PIXELS - 3),
    )
    assert "too many bad pixels (1)" in found["Valid rows of coefficients"]["notes"]
    assert "dead: 2" in found["Usable pixels"]["notes"]
    for channel, name in enumerate(("high gain", "low gain")):
        # the median of 5 % scatter over 1855 pixels: 1.25 x 5 % / sqrt(1855) = 0.15 %
        # medians of valid rows: row 2 of 0, 1, 2, 4, 5
        expected = GAIN[channel, 0] * (1 + DRIFT * 2 / 5)
        assert float(found[f"Median gain, {name}"]["value"]) == pytest.approx(expected, rel=0.006)


def test_drift_follows_the_gain_and_has_a_hole(table):
    low, median, high = drift(table, "gain", in_percent=True)
    assert np.isnan(median[3]).all()
    assert median[5] - median[0] == pytest.approx(100 * DRIFT, abs=0.2)
    assert np.all(low[0] <= median[0])
    assert np.all(median[0] <= high[0])
    change = drift(table, "pedestal_offset", in_percent=False)[1]
    expected = np.median(table["pedestal_offset"][5] - table["pedestal_offset"][0], axis=-1)
    assert change[5] - change[0] == pytest.approx(expected, abs=0.1)


def test_night_with_two_cameras(made_night, monkeypatch, tmp_path):
    from tools.test_create_night_report import report, status

    add_cameras(made_night.make())
    html = report(made_night, "--camera")
    (tmp_path / "page.html").write_text(html)
    assert len(html.encode()) < 3e6
    word, sentence = status(html)
    assert word == "Complete, look twice"
    assert sentence.count("1 of 6 rows of coefficients invalid") == 2
    assert html.count('<section class="camera"') == 2
    assert "LSTN-02/camera/pixel_statistics.OBSID1.h5" in html
    assert "<script" not in html


def test_cameras_are_missed_only_if_expected(made_night):
    from tools.test_create_night_report import report, status

    made_night.make()
    assert status(report(made_night))[0] == "Complete"
    html = report(made_night, "--camera", "--overwrite")
    assert status(html) == ("Incomplete", "1 product absent, no failure recorded.")


def test_a_page_of_a_night_that_is_not_over_says_so(made_night):
    steps = camera_steps([("LSTN-01", 1), ("LSTN-02", 1)])

    def remarks(**details):
        add_index(made_night, **details)
        material = made_night.material(camera_steps=steps)
        name = "array/dl0_index.ecsv"
        products = material.products | {name: made_night.found(name)}
        return list(camera_remarks(dataclasses.replace(material, products=products)))

    assert remarks() == []
    ((level, title, text),) = remarks(blocks_taken=["LSTN-01/OBSID1", "LSTN-02/OBSID1"])
    assert (level, title) == ("warning", "The night was not over")
    assert text.startswith("2 observation blocks so far. The run of the morning adds")


def test_failure_of_a_camera_is_found_a_level_deeper(made_night):
    from report.made_night import failure, write_failure
    from tools.test_create_night_report import report, status

    add_cameras(made_night.make(), telescopes=(1,))
    step = "LSTN-01/camera/coefficients.OBSID1"
    (made_night.folder / f"{step}.h5").unlink()
    write_failure(made_night.folder.parent / "logs", failure(step))
    assert status(report(made_night)) == ("1 step failed", f"{step}; 1 product not made.")


@pytest.mark.parametrize("axis", [0, 2])
def test_quantiles_are_those_of_numpy(axis):
    """With NaN among them, in some places nothing else, in others one number."""
    rng = np.random.default_rng(2)
    values = rng.normal(size=(6, 3, 50))
    values[rng.random(values.shape) < 0.3] = np.nan
    moved = np.moveaxis(values, axis, 0)
    moved[:, 0, 0] = np.nan
    moved[1:, 1, 1] = np.nan
    moved[0, 1, 1] = 7.0
    quantiles = (0.0, 0.16, 0.5, 0.84, 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of the place without numbers
        expected = np.nanquantile(values, quantiles, axis=axis)
    np.testing.assert_allclose(nan_quantiles(values, quantiles, axis), expected, rtol=1e-14)
