"""The array on the page: steps, numbers, doubts, and what is absent."""

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import tables as pytables
from report.made_array import (
    NAMES,
    add_array,
    add_asymmetries,
    add_cross,
    add_inter,
    add_timing,
)
from report.made_night import MadeNight, failure, write_failure
from report.test_throughput import material

from calibpipe.report.array_numbers import (
    array_night,
    step_rows,
    telescope_rows,
)
from calibpipe.report.array_page import array_facts
from calibpipe.report.array_remarks import array_remarks
from calibpipe.report.array_tiles import array_tiles, spread
from calibpipe.report.completeness import absent_products
from calibpipe.report.material import array_steps
from calibpipe.report.night_page import night_facts


@pytest.fixture(scope="module")
def good_night(tmp_path_factory, north):
    """Night with all products of the array; tests only read it."""
    return add_array(MadeNight(tmp_path_factory.mktemp("array") / "night", north))


@pytest.fixture
def quick_figures(monkeypatch):
    """Figures are made but not written out: for tests of everything else."""
    monkeypatch.setattr("calibpipe.report.array_page.inline_svg", lambda *_: "")


def rows(night, *more):
    return {row["name"]: row for row in telescope_rows(array_night(material(night, *more)))}


def steps(night, *more):
    found = material(night, *more)
    return {row["name"]: row for row in step_rows(found, array_night(found))}


def remarks(night, *more):
    return {title: (level, text) for level, title, text in array_remarks(material(night, *more))}


def test_steps_come_in_the_order_of_need():
    muons = ("LSTN-01/throughput/muon_throughput",)
    found = array_steps({"energy": ["OBSID1", "OBSID2"], "image": ["OBSID1"]}, muons=muons)
    energies = tuple(f"array/energy_asymmetry.OBSID{n}" for n in (1, 2))
    assert [(step.name, step.needs) for step in found] == [
        (energies[0], ()),
        (energies[1], ()),
        ("array/image_asymmetry.OBSID1", ()),
        ("array/inter_calibration", ("array/image_asymmetry.OBSID1",)),
        ("array/cross_calibration", (*energies, *muons)),
        ("array/timing", ()),
    ]
    assert found[0].products == ("array/energy_asymmetry.OBSID1.h5",)


def test_without_images_the_inter_calibration_needs_energies():
    (_, inter) = array_steps({"energy": ["OBSID1"]}, ("inter_calibration",))
    assert inter.needs == ("array/energy_asymmetry.OBSID1",)


def test_key_numbers(good_night):
    """Four LSTs at exp(-0.1) and exp(0.1): spread 10 %, its errors half of one's."""
    found = {tile["name"]: tile for tile in array_tiles(material(good_night))}
    tile = found["Spread of throughputs, LST"]
    assert [tile[name] for name in ("value", "stat", "sys")] == ["10.00", "0.10", "0.50"]
    assert tile["notes"][0] == "4 of 4 telescopes"
    assert tile["notes"][1] in {
        f"lowest LSTN-0{low} 0.905, highest LSTN-0{high} 1.105" for low in (1, 3) for high in (2, 4)
    }
    tile = found["Scale of LST to MST"]
    assert [tile[name] for name in ("value", "stat", "sys")] == ["0.9500", "0.0040", "0.0400"]
    tile = found["Spread of time offsets"]
    assert float(tile["value"]) == pytest.approx(4 * np.sqrt(12 / 13), abs=1e-3)
    # twelve gradients of 4 / (13 s), equal errors: 0.01 ns / sqrt(13)
    assert float(tile["stat"]) == pytest.approx(0.01 / np.sqrt(13), abs=1e-4)
    assert tile["unit"] == "ns"
    assert "largest errors of one: 0.010 and 0.060 ns (stat, sys)" in tile["notes"]


def test_error_of_the_spread_is_its_scatter():
    rng = np.random.default_rng(3)
    value = rng.normal(0.0, 1.0, 8)
    matrix = rng.normal(0.0, 0.02, (8, 8))
    covariance = matrix @ matrix.T
    size, error = spread(value, covariance)
    n = 4000
    draws = rng.multivariate_normal(value, covariance, n)
    scatter = np.std([spread(draw, covariance)[0] for draw in draws])
    assert size == pytest.approx(np.std(value))
    assert scatter == pytest.approx(error, rel=4 / np.sqrt(2 * n))


def test_spread_of_one_and_of_equal_values():
    assert np.isnan(spread(np.ones(1), np.eye(1))).all()
    size, error = spread(np.ones(3), np.eye(3))
    assert size == 0
    assert np.isnan(error)


def test_table_of_telescopes(good_night):
    found = rows(good_night)
    assert list(found) == NAMES
    row = found["LSTN-01"]
    assert row["throughput"] == {"value": "0.9048", "stat": "0.0018", "sys": "0.0090"}
    assert row["scaled"] == {"value": "0.8596", "stat": "0.0043", "sys": "0.0172"}
    assert row["offset"] == {"value": "−4.000", "stat": "0.010", "sys": "0.060"}
    assert row["muons"] == "+3.0 ± 2.0"
    assert found["MSTN-01"]["muons"] == "–"
    assert {row["status"] for row in found.values()} == {"valid"}


def test_what_is_wrong_with_telescopes(made_night):
    add_inter(made_night, outlier=6, absent=8, island=9)
    add_cross(made_night, has_muons=True, alarm=2)
    add_timing(made_night, jumps=3)
    found = {name: (row["state"], row["status"]) for name, row in rows(made_night).items()}
    assert found["LSTN-01"] == ("good", "valid")
    assert found["LSTN-02"] == ("warning", "muons and showers differ")
    assert found["LSTN-03"] == ("bad", "time offset: differs between blocks by up to 3 ns")
    assert found["MSTN-02"] == ("warning", "throughput far from the others")
    assert found["MSTN-04"] == ("bad", "no throughput")
    assert found["MSTN-05"] == ("bad", "throughput relative to a part of the array")


def test_table_of_steps(made_night):
    add_array(made_night)
    add_asymmetries(made_night, "image", "OBSID2", n_valid=5)
    found = steps(made_night)
    told = {name: row["told"] for name, row in found.items()}
    assert told == {
        "Asymmetries of energies": "7 of 7 pairs have enough events; 700 in all",
        "Asymmetries of image sizes": "5 to 7 of 7 pairs have enough events; 1400 in all",
        "Inter-calibration": "13 of 13 telescopes from image sizes; LST: 3 pairs, none to spare; "
        "MST: 4 pairs, p = 0.25",
        "Cross-calibration": "13 of 13 telescopes on the scale of MST; p = 0.6",
        "Timing": "13 of 13 telescopes from 1000 showers; χ² 2010 for 2000 degrees of freedom",
    }
    row = found["Asymmetries of image sizes"]
    assert (row["tool"], row["observations"]) == ("calibpipe-make-image_asymmetry", "1, 2")
    assert {row["status"] for row in found.values()} == {"complete"}


def test_failed_and_absent_steps_are_told(made_night):
    add_asymmetries(made_night, "image", "OBSID1")
    write_failure(made_night.folder.parent / "logs", failure("array/image_asymmetry.OBSID2"))
    found = steps(made_night, "--array")
    row = found["Asymmetries of image sizes"]
    assert (row["state"], row["status"]) == ("bad", "OBSID2: its step failed, see above")
    assert (
        "needs array/image_asymmetry.OBSID2, which failed" in found["Inter-calibration"]["status"]
    )
    assert found["Asymmetries of energies"]["status"].startswith("OBSID1: not made")
    assert found["Timing"]["tool"] == "–"
    notes = [tile["notes"] for tile in array_tiles(material(made_night, "--array"))]
    assert notes == [["needs inter_calibration"], ["needs cross_calibration"], ["needs timing"]]


def test_products_are_missed_only_if_expected(made_night):
    add_timing(made_night.make())
    assert absent_products(material(made_night)) == []
    lacking = [entry["path"] for entry in absent_products(material(made_night, "--array"))]
    assert lacking == ["array/inter_calibration.h5", "array/cross_calibration.h5"]


def test_night_without_array_has_no_section(made_night):
    found = material(made_night)
    assert found.array_steps == ()
    assert night_facts(found, [])["array"] is None
    assert array_tiles(found) == []


def test_page_with_an_array(made_night):
    from tools.test_create_night_report import report, status

    html = report(add_array(made_night.make()), "--array")
    assert status(html)[0] == "Complete"
    for part in ("throughput", "pairs", "scale", "offset", "residual", "blocks"):
        assert html.count(f'<figure id="array-{part}"') == 1
    identifiers = re.findall(r'\bid="([^"]*)"', html)
    assert len(set(identifiers)) == len(identifiers)
    assert "13 telescopes: 13 without remark, 0 in doubt, 0 not valid" in html
    assert "<details open>" in html
    assert "Spread of time offsets" in html
    assert 'href="../array/timing.h5"' in html


@pytest.mark.usefixtures("quick_figures")
@pytest.mark.parametrize(
    ("product", "parts"),
    [
        ("inter_calibration", {"throughput", "pairs"}),
        ("cross_calibration", {"scale"}),
        ("timing", {"offset", "residual", "blocks"}),
    ],
)
def test_what_is_there_is_shown(made_night, good_night, product, parts):
    shutil.copytree(good_night.folder, made_night.folder)
    (made_night.folder / f"array/{product}.h5").write_bytes(b"no HDF5")
    facts = array_facts(material(made_night))
    shown = {figure["name"].removeprefix("array-") for figure in facts["figures"]}
    assert shown == {"throughput", "pairs", "scale", "offset", "residual", "blocks"} - parts
    (bad,) = [row for row in facts["steps"] if row["state"] == "bad"]
    assert "is no product of CalibPipe" in bad["status"]


def test_product_without_its_tables_is_named(made_night):
    add_timing(made_night)
    path = made_night.folder / "array/timing.h5"
    with pytables.open_file(path, "a") as h5file:
        h5file.remove_node("/calibpipe/array/timing_residuals")
    assert "lacks /calibpipe/array/timing_residuals" in steps(made_night)["Timing"]["status"]


@pytest.mark.usefixtures("quick_figures")
def test_one_block_has_no_history(made_night):
    add_timing(made_night, n_blocks=1)
    names = [figure["name"] for figure in array_facts(material(made_night))["figures"]]
    assert names == ["array-offset", "array-residual"]


def test_good_night_has_no_remark(good_night):
    assert remarks(good_night) == {}


@pytest.mark.parametrize(
    ("path", "titles"),
    [
        ("simulation/dl2/CTAO-North/2024-07-10/events.OBSID00001.dl2.h5", {"Simulated array"}),
        ("dl2/CTAO-North/2024-07-10/events.OBSID00001.dl2.h5", set()),
    ],
)
def test_events_that_are_simulated(good_night, path, titles):
    found, name = material(good_night), "array/timing.h5"
    product = found.products[name]
    entry = {"role": "dl2", "path": path, "sha256": "0"}
    header = product.header | {"calibpipe": product.facts | {"inputs": [entry]}}
    products = found.products | {name: replace(product, header=header)}
    night = replace(found, products=products)
    assert {title for _, title, _ in array_remarks(night)} == titles


def test_remarks_name_telescopes(made_night):
    told = ["MST: telescope 6 is far from the others"]
    told += ["MST: no pairs connect 5, 6, 7 | 13; each part is relative to itself, only the first "
             "is valid"]  # fmt: skip
    told += ["MST: the pairs do not fit together, chi2 50.0 where 4.0 is expected; the systematic "
             "error has the excess"]  # fmt: skip
    add_inter(made_night, remarks=told)
    alarm = "ALARM: telescope 2: muons and showers differ by -12.0 +- 2.0 %, more than 5 %"
    few = "MST: muon throughputs of two telescopes are needed to compare"
    add_cross(made_night, remarks=[alarm, few])
    found = remarks(made_night)
    assert list(found) == [
        "Inter-calibration: MST: MSTN-02 is far from the others",
        "Inter-calibration: MST: no pairs connect MSTN-01, MSTN-02 and MSTN-03 with MSTN-09; each "
        "part is relative to itself, only the first is valid",
        "Inter-calibration: MST: the pairs do not fit together, χ² 50.0 where 4.0 is expected; the "
        "systematic error has the excess",
        "Cross-calibration: LSTN-02: muons and showers differ by −12.0 ± 2.0 %, more than 5 %",
        f"Cross-calibration: {few}",
    ]
    assert [level for level, _ in found.values()] == ["warning"] * 4 + ["note"]


def test_remarks_of_the_timing(made_night):
    invalid = dict.fromkeys(NAMES[4:], "no events that count")
    invalid["LSTN-03"] = "differs between blocks by up to 3 ns"
    left_out = {"4": "12 events, needs 100"}
    add_timing(made_night, jumps=3, not_valid=invalid, left_out=left_out, not_converged=[1, 2])
    found = remarks(made_night)
    assert found == {
        "No valid time offset of MSTN-01, MSTN-02, MSTN-03, MSTN-04, MSTN-05, MSTN-06 and 4 "
        "others": (
            "warning",
            "MSTN-01, MSTN-02, MSTN-03, MSTN-04, MSTN-05, MSTN-06 and 3 others: no events that "
            "count; LSTN-03: differs between blocks by up to 3 ns. A jump is a clock, a cable or a "
            "new firmware.",
        ),
        "Timing without observation 4": ("warning", "12 events, needs 100."),
        "Timing of observation 1 and 2 did not converge": (
            "warning",
            "Time errors and directions were still changing; its offsets count nevertheless.",
        ),
    }


def test_one_reason_is_told_once(made_night):
    add_timing(made_night, not_valid=dict.fromkeys(NAMES[:2], "no events that count"))
    found = remarks(made_night)
    assert found == {
        "No valid time offset of LSTN-01 and LSTN-02": ("warning", "No events that count.")
    }
