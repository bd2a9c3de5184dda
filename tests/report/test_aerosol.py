"""Aerosols and clouds on the page: numbers, clouds, doubts, and what is absent or empty."""

import re
import shutil

import numpy as np
import pytest
import tables as pytables
from matplotlib import dates
from report.made_aerosol import (
    CLOUD,
    CTC,
    DEPTH_STAT,
    DEPTH_SYS,
    EXPONENT,
    GROUND,
    LINES,
    add_aerosol,
    add_allsky,
    add_clear_night,
    add_conditions,
    add_lidar,
    add_transparency,
)
from report.made_night import MadeNight, failure, write_failure
from report.test_throughput import material

from calibpipe.core.observation_conditions_file import NODES
from calibpipe.report.aerosol_clouds import cell_edges, cloud_rows, clouds
from calibpipe.report.aerosol_conditions import (
    interval_rows,
    median_curves,
    quality_of,
    reference_transmission,
)
from calibpipe.report.aerosol_night import (
    AEROSOL_PRODUCTS,
    aerosol_night,
    aerosol_steps,
    clock,
    telescope_names,
    why_not,
)
from calibpipe.report.aerosol_numbers import instrument_rows
from calibpipe.report.aerosol_page import aerosol_facts
from calibpipe.report.aerosol_remarks import aerosol_remarks
from calibpipe.report.aerosol_series import lidar_depth, lidar_less_fram, runs
from calibpipe.report.aerosol_tiles import aerosol_tiles
from calibpipe.report.aerosol_transparency import deviations, telescope_transparency
from calibpipe.report.completeness import absent_products
from calibpipe.report.night_page import night_facts
from calibpipe.report.remarks import night_remarks
from calibpipe.tools.night_steps import AEROSOL

ALL = [f"--aerosol={name}" for name in AEROSOL_PRODUCTS]


@pytest.fixture(scope="module")
def cloudy_night(tmp_path_factory, north):
    """Night with all products and a cloud in its middle; tests only read it."""
    return add_aerosol(MadeNight(tmp_path_factory.mktemp("aerosol") / "night", north))


@pytest.fixture
def quick_figures(monkeypatch):
    """Figures are made but not written out: for tests of everything else."""
    monkeypatch.setattr("calibpipe.report.aerosol_page.inline_svg", lambda *_: "")


def tiles(night, *more):
    return {tile["name"]: tile for tile in aerosol_tiles(material(night, *more))}


def remarks(night, *more):
    return {title: (level, text) for level, title, text in aerosol_remarks(material(night, *more))}


def instruments(night, *more):
    found = material(night, *more)
    return {row["name"]: row for row in instrument_rows(found, aerosol_night(found))}


def numbers_of(tile):
    return [tile[name] for name in ("value", "stat", "sys")]


def test_option_and_report_know_the_same_products():
    assert tuple(AEROSOL_PRODUCTS) == AEROSOL


def test_steps_come_in_the_order_of_need():
    found = aerosol_steps(["observation_conditions", "lidar", "clear_night"])
    assert [(step.name, step.needs) for step in found] == [
        ("atmosphere/clear_night", ()),
        ("atmosphere/lidar", ("atmosphere/density_profile",)),
        (
            "atmosphere/observation_conditions",
            ("atmosphere/clear_night", "atmosphere/lidar"),
        ),
    ]


def test_key_numbers(cloudy_night):
    """Four of twelve windows 0.2 above 0.02; 64 of 240 frame tenths are 0.8."""
    found = tiles(cloudy_night)
    tile = found["Aerosol, VAOD at 440\N{NO-BREAK SPACE}nm"]
    assert numbers_of(tile) == ["0.0867", "0.0010", "0.0080"]
    assert tile["notes"] == [
        "not clear: 8 of 12 windows, limit 0.04",
        "clear windows: 0.020 to 0.020",
    ]
    tile = found["Lowest cloud base"]
    assert (tile["value"], tile["unit"]) == ("9.0", "km a.s.l.")
    assert tile["notes"][1] == "optical depth up to 0.20 at 532 nm"
    tile = found["Cloud fraction of the sky"]  # (8 * 0.05 + 2 * 0.8) / 10, 0.02 / sqrt(10)
    assert numbers_of(tile) == ["0.2000", "0.0063", "0.0300"]
    tile = found["Cherenkov transparency (CTC)"]
    assert numbers_of(tile) == ["0.8733", "0.0010", "0.0110"]
    assert tile["notes"][0] == "8 of 12 slices good, 0.8 to 1.2"


def test_absent_products_are_tiles_without_a_number(made_night):
    found = tiles(made_night, *ALL)
    assert {tile["value"] for tile in found.values()} == {"–"}
    assert [tile["notes"] for tile in found.values()] == [
        ["needs observation_conditions"],
        ["needs clear_night"],
        ["needs lidar"],
        ["needs allsky"],
        ["needs transparency_coefficient"],
    ]


def test_night_without_a_trace_has_no_section(made_night):
    found = material(made_night)
    assert aerosol_facts(found) is None
    assert aerosol_tiles(found) == []
    assert list(aerosol_remarks(found)) == []


def test_only_what_is_expected_is_missed(made_night):
    found = material(made_night, "--aerosol=lidar", "--aerosol=clear_night")
    absent = {e["path"]: e["reason"] for e in absent_products(found) if "lidar" in e["path"]}
    assert absent == {
        "atmosphere/lidar.ecsv": "not made, because it needs atmosphere/meteo_data, "
        "atmosphere/macobac and atmosphere/density_profile, which is absent, too"
    }
    assert [step.name for step in found.aerosol_steps] == [
        "atmosphere/clear_night",
        "atmosphere/lidar",
    ]


def test_failure_alone_makes_the_product_known(made_night):
    write_failure(made_night.folder.parent / "logs", failure("atmosphere/allsky"))
    row = instruments(made_night)["All-sky camera"]
    assert (row["state"], row["status"]) == ("bad", "its step failed, see above")


def test_damaged_product_is_named(made_night):
    made_night["lidar.ecsv"].parent.mkdir(parents=True)
    made_night["lidar.ecsv"].write_text("not a table")
    row = instruments(made_night)["LIDAR"]
    assert "is no product of CalibPipe" in row["status"]


def test_instruments_say_what_they_saw(cloudy_night):
    found = instruments(cloudy_night)
    assert found["LIDAR"]["told"] == (
        "24 of 24 profiles usable; clouds in 8 of them, lowest base 9.0 km"
    )
    assert found["LIDAR"]["status"] == "complete"
    assert found["All-sky camera"]["told"] == (
        "10 of 10 frames usable; cloud fraction 0.05 (median), up to 0.80"
    )
    assert found["Clear night (FRAM)"]["status"].startswith("not clear (00:07 – 02:28): mean VAOD")
    assert found["Cherenkov transparency"]["status"] == "outside: 00:07 – 02:28"


def test_verdict_is_that_of_the_stars(made_night):
    """Where nobody said what all instruments say together."""
    add_clear_night(made_night)
    add_lidar(made_night)
    facts = aerosol_facts(material(made_night))
    assert (facts["verdict"]["level"], facts["verdict"]["word"]) == ("warning", "Not clear")
    told = facts["verdict"]["sentence"].split("; ")
    assert told[:2] == ["clear only 21:45 – 00:07 and 02:28 – 04:49", "1 cloud above the LIDAR"]
    made_night["lidar.ecsv"].unlink()
    made_night["clear_night.ecsv"].unlink()
    add_clear_night(made_night, cloudy=None)
    add_transparency(made_night, cloudy=None)
    verdict = aerosol_facts(material(made_night))["verdict"]
    assert verdict == {
        "level": "complete",
        "word": "Clear",
        "sentence": "transparency in range all the time",
    }


def test_layers_of_both_wavelengths_are_one_cloud(cloudy_night):
    (row,) = cloud_rows(aerosol_night(material(cloudy_night)))
    assert (row["time"], row["profiles"]) == ("00:07 – 02:28", 8)
    assert (row["base"], row["top"], row["status"]) == ("9.0", "10.0", "measured")
    # eight profiles of error 0.001
    assert [depth["value"] for depth in row["depths"]] == ["0.20000"] * 2
    assert [depth["stat"] for depth in row["depths"]] == ["0.00035"] * 2


@pytest.mark.parametrize(
    ("second", "number"),
    [
        ((9, 9500.0, 11000.0), 1),  # overlaps
        ((9, 10500.0, 11000.0), 2),  # above
        ((20, 9000.0, 10000.0), 2),  # much later
        ((11, 9000.0, 10000.0), 1),  # unseen for two profiles
        ((9, 9500.0, None), 1),  # open top
        ((9, 8000.0, None), 1),  # everything above its base
        ((9, 10500.0, None), 2),
    ],
)
def test_which_layers_are_one_cloud(made_night, second, number):
    row, base, top = second
    layers = {
        "row": [8, row],
        "wavelength_in_nm": [532, 532],
        "base_in_m": [9000.0, base],
        "top_in_m": [10000.0, top],
        "depth": [0.2, None],
        "stat_error": [0.01, None],
        "status": ["measured", "top above the range of the signal"],
    }
    add_lidar(made_night, layers=layers)
    assert len(clouds(aerosol_night(material(made_night)))) == number


def test_layer_between_two_clouds_makes_them_one(made_night):
    layers = {
        "row": [8, 8, 9],
        "wavelength_in_nm": [532] * 3,
        "base_in_m": [5000.0, 8000.0, 5500.0],
        "top_in_m": [6000.0, 9000.0, 8500.0],
        "depth": [0.1, 0.2, 0.3],
        "stat_error": [0.01] * 3,
        "status": ["measured"] * 3,
    }
    add_lidar(made_night, layers=layers)
    (cloud,) = clouds(aerosol_night(material(made_night)))
    assert (cloud.base, cloud.top, cloud.rows) == (5.0, 9.0, {8, 9})


def test_opaque_cloud_has_neither_top_nor_depth(made_night):
    add_lidar(made_night, opaque=True)
    (row,) = cloud_rows(aerosol_night(material(made_night)))
    assert (row["top"], row["depths"][0]["value"]) == ("not seen", "–")
    assert (row["state"], row["status"]) == ("warning", "no light from above the layer")


def test_profiles_are_no_wider_than_their_interval():
    begin, end = cell_edges(np.array([0.0, 1.0, 2.0, 10.0]))
    assert begin == pytest.approx([-0.5, 0.5, 1.5, 9.5])
    assert end == pytest.approx([0.5, 1.5, 2.5, 10.5])
    begin, end = cell_edges(np.array([3.0]))
    assert end - begin == pytest.approx([10 / 1440])


def test_lidar_at_the_wavelength_of_the_stars(cloudy_night):
    """Depth of the ground layer follows its exponent, that of the cloud is the same in colours."""
    series = lidar_depth(aerosol_night(material(cloudy_night)))
    clear = GROUND * (440 / LINES[1]) ** -EXPONENT
    assert series.value[0] == pytest.approx(clear, rel=1e-6)
    part = np.log(440 / 355) / np.log(532 / 355)
    low, high = GROUND * 532 / 355, GROUND
    relative = np.hypot((1 - part) * DEPTH_STAT / low, part * DEPTH_STAT / high)
    assert series.stat[0] == pytest.approx(clear * relative)
    common = (1 - part) * DEPTH_SYS / low + part * DEPTH_SYS / high
    assert series.sys[0] == pytest.approx(clear * common)
    assert CLOUD < series.value[10] - clear < 1.01 * CLOUD + 0.01


def test_lidar_and_stars_are_compared_in_clear_windows(made_night):
    add_clear_night(made_night)
    add_lidar(made_night, n=48, cloudy=slice(16, 32))
    difference, error, number = lidar_less_fram(aerosol_night(material(made_night)))
    assert number == 8
    assert difference == pytest.approx(GROUND * 532 / 440 - 0.02)
    assert 0.0128 < error < 0.016  # 0.008 and about 0.012
    assert "LIDAR and FRAM differ by +0.040 ± 0.014" not in remarks(made_night)
    add_clear_night(made_night, cloudy=None)
    add_lidar(made_night, n=48, cloudy=slice(0, 48))
    title = next(title for title in remarks(made_night) if title.startswith("LIDAR and FRAM"))
    assert title.startswith("LIDAR and FRAM differ by +0.2")


def test_remarks_of_a_cloudy_night(made_night):
    add_clear_night(made_night)
    add_lidar(made_night)
    add_transparency(made_night)
    found = remarks(made_night)
    level, text = found["The night was not clear: 8 of 12 windows were"]
    assert level == "warning"
    assert "Not clear: 00:07 – 02:28." in text
    level, text = found["Transparency outside 0.8 to 1.2 in 4 of 12 slices"]
    assert level == "warning"
    assert "Too little light" in text
    assert found["1 cloud above the LIDAR"][0] == "note"


def test_clear_night_has_no_remark(made_night):
    add_clear_night(made_night, cloudy=None)
    add_lidar(made_night, cloudy=None)
    add_allsky(made_night, cloudy=None)
    add_transparency(made_night, cloudy=None)
    assert remarks(made_night) == {}


def test_odd_telescope_is_named(made_night):
    add_transparency(made_night, odd=2)
    found = material(made_night)
    away = deviations(telescope_transparency(aerosol_night(found)))
    assert away[2] == pytest.approx(0.8 / 1.0 - 1)
    level, text = remarks(made_night)["1 telescope sees another transparency than the others"]
    assert level == "warning"
    assert text.startswith("LSTN-03 (−20 %); limit 10 %.")


def test_slices_without_a_reference(made_night):
    add_transparency(made_night, unknown=(0, 1), cloudy=None)
    found = remarks(made_night)
    assert list(found) == ["2 slices without a transparency coefficient"]


def test_too_much_light_has_other_reasons(made_night):
    add_transparency(made_night, cloudy=slice(0, 12))
    path = made_night["transparency_coefficient.ecsv"]
    path.write_text(path.read_text().replace(" 0.7 ", " 1.3 "))
    (text,) = (text for _, text in remarks(made_night).values())
    assert "Too much light" in text


def test_simulation_is_told(made_night):
    made_night[""].mkdir(parents=True)
    simulated = made_night.folder / "simulation/fram.fits"
    simulated.parent.mkdir()
    simulated.write_text("stars")
    add_clear_night(made_night, cloudy=None)
    assert "Simulated air" not in remarks(made_night)
    path = made_night["clear_night.ecsv"]
    entry = f"{{path: {simulated}, role: fram, sha256: '0'}}"
    path.write_text(path.read_text().replace("inputs: []", f"inputs: [{entry}]"))
    assert "Simulated air" in remarks(made_night)


EVERY = range(24)


@pytest.mark.parametrize(
    ("add", "title"),
    [
        (lambda n: add_lidar(n, unusable=EVERY), "LIDAR: none of 24 profiles has a value"),
        (lambda n: add_allsky(n, unusable=EVERY), "All-sky camera: none of 10 frames has a value"),
        (
            lambda n: add_transparency(n, unknown=EVERY),
            "No transparency coefficient in 12 slices",
        ),
    ],
)
def test_nothing_but_reasons(made_night, add, title):
    """All rows without values: the page is made, says so, and draws nothing of them."""
    add(made_night)
    facts = night_facts(material(made_night), [])
    level = {remark["title"]: remark["level"] for remark in facts["remarks"]}
    assert level[title] == "warning"
    assert facts["aerosol"]["figures"] == []


@pytest.mark.parametrize(
    "add",
    [
        lambda n: add_lidar(n, n=1, cloudy=slice(0, 1)),
        lambda n: add_allsky(n, n=1, cloudy=None),
        lambda n: add_transparency(n, n=1, cloudy=None),
        lambda n: add_clear_night(n, n=1, cloudy=None),
    ],
)
def test_one_row_is_drawn(made_night, add):
    add(made_night)
    assert aerosol_facts(material(made_night))["figures"]


@pytest.mark.parametrize("add", [add_lidar, add_allsky, add_transparency])
def test_no_row_is_no_product(made_night, add):
    """The format cannot hold columns of vectors without a row."""
    add(made_night, n=0, cloudy=None)
    facts = aerosol_facts(material(made_night))
    assert facts["figures"] == []
    assert "is no product of CalibPipe" in facts["instruments"][0]["status"]


def test_no_row_is_told(made_night):
    add_clear_night(made_night)
    path = made_night["clear_night.ecsv"]
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-13]))  # the night and its windows
    facts = aerosol_facts(material(made_night))
    assert facts["figures"] == []
    assert facts["instruments"][0]["status"] == "it has no rows: nothing was measured"
    assert list(remarks(made_night)) == ["Clear night (FRAM): no rows"]


def test_no_windows_of_the_stars(made_night):
    add_clear_night(made_night, n=0)
    assert aerosol_facts(material(made_night))["figures"] == []


def test_nights_before_lie_beside(made_night):
    add_transparency(made_night)
    for name in ("2024-06-09", "2024-06-10", "2024-07-09", "2024-07-11"):
        add_transparency(made_night, name=name, cloudy=None)
    found = material(made_night)
    assert list(found.transparency_before) == ["2024-06-10", "2024-07-09"]
    assert found.transparency_before["2024-07-09"].facts["transparency"] == pytest.approx(CTC)
    assert material(made_night, "--CreateNightReport.nights_before=0").transparency_before == {}


def test_a_damaged_night_before_is_left_out(made_night):
    add_transparency(made_night)
    add_transparency(made_night, name="2024-07-09")
    before = made_night.folder.parent / "2024-07-09/atmosphere/transparency_coefficient.ecsv"
    before.write_text("not a table")
    assert material(made_night).transparency_before == {}


@pytest.mark.usefixtures("quick_figures")
def test_page_with_everything(made_night, cloudy_night):
    from tools.test_create_night_report import report, status

    made_night.make()
    for path in cloudy_night.folder.glob("atmosphere/*"):
        shutil.copy(path, made_night.folder / "atmosphere")
    add_transparency(made_night, name="2024-07-09")
    html = report(made_night)
    assert status(html)[0] == "Complete, look twice"
    section = re.search(r'<section class="throughput" id="aerosol">.*?</section>', html, re.DOTALL)
    assert re.findall(r'<figure id="([^"]*)"', section[0]) == [
        f"aerosol-{part}"
        for part in ("strip", "backscatter", "sky", "transmission", "telescopes", "nights")
    ]
    assert 'href="../atmosphere/lidar.ecsv"' in html


def test_same_products_same_figures(cloudy_night):
    first, second = (aerosol_facts(material(cloudy_night))["figures"] for _ in range(2))
    assert [figure["svg"] for figure in first] == [figure["svg"] for figure in second]
    assert sum(len(figure["svg"]) for figure in first) < 250_000


def test_all_products_are_missed_if_expected(made_night):
    found = material(made_night, *ALL)
    paths = {entry["path"] for entry in absent_products(found)}
    assert {f"atmosphere/{file}" for file, _ in AEROSOL_PRODUCTS.values()} <= paths
    facts = night_facts(found, [])
    assert [row["state"] for row in facts["aerosol"]["instruments"]] == ["bad"] * 5
    assert facts["aerosol"]["verdict"]["word"] == "Not judged"


def test_words():
    assert why_not(["a", "", "b", "a", "c", "d"]) == "a (2), b (1), c (1) and 1 others"
    assert runs(np.array([True, True, False, True])) == [(0, 1), (3, 3)]
    assert runs(np.zeros(3, bool)) == []
    assert clock(dates.datestr2num("2024-07-10T23:59:40")) == "00:00"
    assert telescope_names([1, 999999]) == ["LSTN-01", "telescope 999999"]


def conditions_of(night):
    return aerosol_night(material(night))


def test_good_time_is_a_key_number(cloudy_night):
    """Eight of twelve slices; 0.96, of eight errors 0.01 the median's, the common 0.02."""
    found = tiles(cloudy_night)
    hours = cloudy_night.darkness.duration.to_value("h")
    tile = found["Good time"]
    assert tile["value"] == f"{hours * 8 / 12:.2f}"
    assert tile["unit"] == f"of {hours:.2f} h"
    assert tile["notes"] == [
        f"correctable {hours * 3 / 12:.2f} h, bad {hours / 12:.2f} h",
        "21:45 – 00:07 and 02:28 – 04:49",
    ]
    tile = found["Transmission from 12.2\N{NO-BREAK SPACE}km"]
    assert numbers_of(tile) == ["0.9600", "0.0044", "0.0200"]
    assert tile["notes"][1] == "median of 8 good slices"


def test_error_of_the_median_is_its_scatter(made_night):
    n, draws = 12, 4000
    add_conditions(made_night, ["good"] * n)
    (value, stat, sys), number = reference_transmission(conditions_of(made_night))
    scatter = np.std(np.median(np.random.default_rng(2).normal(value, 0.01, (draws, n)), axis=1))
    assert number == n
    assert sys == pytest.approx(0.02)
    # for few slices a little too large: 1.16 instead of 1.25 for twelve
    assert 0.98 * scatter < stat < 1.15 * scatter


def test_verdict_is_that_of_all_instruments(cloudy_night, made_night):
    verdict = aerosol_facts(material(cloudy_night))["verdict"]
    assert (verdict["level"], verdict["word"]) == ("warning", "Good in part")
    assert verdict["sentence"].startswith(
        "4.71 of 7.06 h good (21:45 – 00:07 and 02:28 – 04:49), 1.76 h correctable, 0.59 h bad; 1 c"
    )
    for quality, level, word in (
        ("good", "complete", "Good"),
        ("correctable", "warning", "Correctable at best"),
        ("bad", "failed", "No usable time"),
        ("unknown", "failed", "No usable time"),
    ):
        add_conditions(made_night, [quality] * 3)
        verdict = aerosol_facts(material(made_night))["verdict"]
        assert (verdict["level"], verdict["word"]) == (level, word)
        made_night["observation_conditions.h5"].unlink()


def test_quality_of_slices_with_reasons_in_words(cloudy_night):
    quality = quality_of(conditions_of(cloudy_night))
    assert list(quality.quality[3:5]) == ["good", "correctable"]
    ((text, holds),) = quality.reasons.items()
    assert text == "LIDAR: mean optical depth of clouds above its limit"
    assert np.flatnonzero(holds).tolist() == [4, 5, 6, 7]
    dusk = cloudy_night.darkness.dusk.utc.plot_date
    assert quality.begin[0] == pytest.approx(dusk, abs=1e-6)  # UTC, not TAI: 37 s are 4e-4


def test_table_of_intervals(cloudy_night):
    found = interval_rows(conditions_of(cloudy_night))
    assert found["showers"] == "1 TeV, 20°"
    rows = found["rows"]
    assert [row["quality"] for row in rows] == ["good", "correctable", "bad", "good"]
    assert (rows[0]["time"], rows[0]["livetime"]) == ("21:45 – 00:07", "2.35")
    assert rows[0]["light"] == {"value": "0.9500", "stat": "0.0010", "sys": "0.0100"}
    assert rows[0]["why"] == "–"
    assert rows[1]["why"] == "LIDAR: mean optical depth of clouds above its limit"


def test_median_is_that_of_good_intervals_the_longest_first(made_night):
    add_conditions(made_night, ["good"] * 3 + ["bad"] * 2 + ["good"] * 5)
    quality, (longest, other) = median_curves(conditions_of(made_night))
    assert quality == "good"
    assert longest["span"][0] > other["span"][0]
    assert longest["error"][0] == pytest.approx([0.005] * 3)  # 0.003 and 0.004
    assert longest["altitude"][1] - longest["altitude"][0] == pytest.approx(0.5)
    made_night["observation_conditions.h5"].unlink()
    add_conditions(made_night, ["bad"] * 3 + ["correctable"] * 2)
    assert median_curves(conditions_of(made_night))[0] == "correctable"
    made_night["observation_conditions.h5"].unlink()
    add_conditions(made_night, ["bad"] * 3)
    assert median_curves(conditions_of(made_night)) == ("", [])


def test_little_good_time_is_a_warning_and_its_reasons_are_notes(cloudy_night):
    found = remarks(cloudy_night)
    level, text = found["Only 4.71 of 7.06 h are good"]
    assert level == "warning"
    assert text == (
        "LIDAR: mean optical depth of clouds above its limit: 00:07 – 02:28. Correctable: divide "
        "energies by the mean transmission of the corrections. Bad: leave it out."
    )
    assert {level for level, _ in found.values()} - {level} == {"note"}
    more = "--CreateNightReport.good_time_limit_in_percent=60"
    assert "Only 4.71 of 7.06 h are good" not in remarks(cloudy_night, more)


def test_night_without_usable_time(made_night):
    add_conditions(
        made_night,
        ["unknown"] * 4,
        reasons=["no_profile"] * 4,
        has_profiles=False,
        absent={"lidar": "optical depth by altitude"},
    )
    found = remarks(made_night)
    level, text = found["None of 7.06 h can be used"]
    assert level == "warning"
    assert "mend that and run again" in text
    assert found["Observation conditions without LIDAR"] == (
        "note",
        "What is not known therefore: optical depth by altitude.",
    )
    facts = aerosol_facts(material(made_night))
    assert [figure["name"] for figure in facts["figures"]] == ["aerosol-strip"]
    (row,) = facts["intervals"]["rows"]
    assert row["light"]["value"] == "–"
    assert row["why"] == "neither LIDAR nor FRAM measured; no profile"
    tile = tiles(made_night)["Transmission from 12.2\N{NO-BREAK SPACE}km"]
    assert (tile["value"], tile["stat"], tile["notes"][1]) == ("–", "", "no good slice")


def test_conditions_without_their_tables_are_named(made_night):
    add_conditions(made_night)
    with pytables.open_file(made_night["observation_conditions.h5"], "a") as file:
        file.remove_node(NODES["slices"])
    row = instruments(made_night)["Observation conditions"]
    assert row["state"] == "bad"
    assert "make it again" in row["status"]


def test_product_of_another_night_is_no_changed_input(made_night):
    """A transparency coefficient is made from those of reference nights."""
    add_transparency(made_night, name="2024-07-09")
    before = made_night.folder.parent / "2024-07-09/atmosphere/transparency_coefficient.ecsv"
    add_transparency(made_night)
    path = made_night["transparency_coefficient.ecsv"]
    entry = f"{{path: {before}, role: reference, sha256: '0'}}"
    path.write_text(path.read_text().replace("inputs: []", f"inputs: [{entry}]"))
    found = material(made_night)
    assert found.products["atmosphere/transparency_coefficient.ecsv"].facts["inputs"]
    assert not any("was made from another" in r["title"] for r in night_remarks(found))
