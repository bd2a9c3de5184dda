"""DRS4 corrections on the page of a night, from tables made by hand."""

import numpy as np
import pytest
from report.made_dedicated import PIXELS, add_drs4, drs4_tables
from report.made_night import MadeNight
from report.test_throughput import material

from calibpipe.camera.drs4_time_lapse import TimeLapse
from calibpipe.report.dedicated_night import dedicated_cameras
from calibpipe.report.dedicated_numbers import left_out_rows, numbers
from calibpipe.report.dedicated_page import dedicated_facts
from calibpipe.report.dedicated_remarks import dedicated_remarks
from calibpipe.report.dedicated_tiles import dedicated_tiles
from calibpipe.report.drs4_figures import joined_points
from calibpipe.tools.calculate_drs4_corrections import (
    PIXELS_GROUP,
    POINTS_GROUP,
    SAMPLING_GROUP,
)


@pytest.fixture(scope="module")
def found(tmp_path_factory, north):
    night = MadeNight(tmp_path_factory.mktemp("drs4") / "night", north)
    add_drs4(night, remarks=["40 events of other types have read capacitors, too"])
    return material(night)


def test_numbers_of_the_product(found):
    (camera,) = dedicated_cameras(found)
    rows = {row["name"]: row for row in numbers(camera)}
    high = rows["Noise after DRS4 correction, high gain"]
    assert float(high["value"]) == pytest.approx(5.0, abs=0.02)
    assert high["notes"][0] == f"{PIXELS - 1} of {PIXELS} pixels"
    assert high["notes"][1] == "spread of the capacitors 10 ADC, taken away"
    assert float(rows["Noise after DRS4 correction, low gain"]["value"]) == pytest.approx(
        1.5, abs=0.01
    )
    lapse = rows["Time lapse at 1 ms"]
    assert float(lapse["value"]) == pytest.approx(21.09, abs=0.001)
    assert float(lapse["stat"]) == pytest.approx(np.sqrt(2e-4), rel=0.05)
    assert float(lapse["sys"]) == pytest.approx(0.002, abs=1e-4)
    assert lapse["notes"] == ["7.98 ADC at 10 ms", "fitted"]
    times = rows["DRS4 sampling times"]
    made = drs4_tables()
    good = made[PIXELS_GROUP]["status"][0] == 0
    series = np.array([made[SAMPLING_GROUP][name][0] for name in ("cosine", "sine")])
    rms = np.sqrt(np.sum(series**2, axis=(0, 1)) / 2)
    assert float(times["value"]) == pytest.approx(np.median(rms[good]), abs=0.005)


def test_faults_and_remarks(found):
    (camera,) = dedicated_cameras(found)
    assert left_out_rows(camera) == [
        {"product": "DRS4 corrections", "reason": "always the same", "pixels": "1 / 0"}
    ]
    ((level, title, _),) = dedicated_remarks(found)
    assert level == "note"
    assert title == "LSTN-01: drs4: 40 events of other types have read capacitors, too"
    assert dedicated_tiles(found) == []  # of gains, which it has none of


def test_section(found):
    facts = dedicated_facts(found)
    (camera,) = facts["cameras"]
    assert camera["runs"] == "DRS4 corrections: observations 112 and 113."
    parts = [figure["name"].removeprefix("dedicated-LSTN-01-") for figure in camera["figures"]]
    assert parts == ["drs4-lapse", "drs4-noise", "drs4-baseline", "drs4-sampling"]
    for figure in camera["figures"]:
        assert "Good:" in figure["caption"]
        assert len(figure["svg"]) < 200_000
    assert "χ² 205 for 197 degrees of freedom" in camera["figures"][0]["caption"]
    assert facts["verdict"]["word"] == "Good"
    assert "calibration set of LSTN-01" in facts["verdict"]["sentence"]


def test_known_law_without_pulses(made_night):
    add_drs4(made_night, tables=drs4_tables(fitted=False, pulses=False), runs={"dark": 112})
    night = material(made_night)
    (camera,) = dedicated_cameras(night)
    rows = {row["name"]: row for row in numbers(camera)}
    assert rows["Time lapse at 1 ms"]["notes"][1] == "known, not fitted"
    assert "DRS4 sampling times" not in rows
    (shown,) = dedicated_facts(night)["cameras"]
    assert [f["name"].rsplit("-", 1)[1] for f in shown["figures"]] == ["noise", "baseline"]


def test_joined_points_keep_what_is_left():
    points = drs4_tables()[POINTS_GROUP]
    time, left, error = joined_points(points, TimeLapse(), 0)
    assert time.size < 30
    assert np.std(left / error) == pytest.approx(1, abs=4 / np.sqrt(2 * left.size))
    assert (error < 0.2).all()
