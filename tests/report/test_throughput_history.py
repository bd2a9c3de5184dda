"""Throughput of the nights before on the page: sentence, points, errors, this night apart."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable
from matplotlib import dates
from report.made_muons import SIGMA, SIGMA_STAT, THROUGHPUT, add_muons, add_psf, add_throughput
from report.made_night import failure, write_failure
from report.test_throughput import material

from calibpipe.core.products import write_table
from calibpipe.report.completeness import absent_products
from calibpipe.report.night_page import night_facts
from calibpipe.report.throughput_history import history_facts, history_figure, telescope_series
from calibpipe.report.throughput_numbers import telescopes

PATH = "array/throughput_history.ecsv"
TODAY = dates.datestr2num("2024-07-10")


def add_history(night, rows):
    """Nights before: telescope, night, throughput, width; their errors are 1 % and 2 %."""
    columns = [np.array(column) for column in zip(*rows, strict=True)] or [[]] * 4
    table = QTable({"array_element": np.array(columns[0], str), "night": np.array(columns[1], str)})
    for name, column in zip(("throughput", "psf_width"), columns[2:], strict=True):
        values = np.array(column, float)
        for suffix, part in (("", 1.0), ("_stat_error", 0.01), ("_sys_error", 0.02)):
            table[name + suffix] = part * values * (u.deg if name == "psf_width" else u.one)
    more = {"first_night": "2024-06-10", "last_night": "2024-07-09"}
    write_table(night.folder / PATH, table, night.metadata("array/throughput_history", **more))


ROWS = [
    ("LSTN-01", "2024-07-08", 0.19, 0.031),
    ("LSTN-01", "2024-07-09", 0.195, np.nan),
    ("LSTN-02", "2024-07-09", 0.21, 0.032),
]


def series(night, column):
    found = material(night)
    return telescope_series(found.products[PATH], telescopes(found), "LSTN", column, TODAY)


def test_this_night_comes_last(made_night):
    add_muons(made_night)
    add_history(made_night, ROWS)
    first, second = series(made_night, "throughput")
    assert (first.name, second.name) == ("LSTN-01", "LSTN-02")
    assert list(first.day - TODAY) == [-2, -1, 0]
    assert list(first.value) == [0.19, 0.195, THROUGHPUT]
    assert first.stat == pytest.approx([0.0019, 0.00195, 0.0004])
    assert first.sys == pytest.approx([0.0038, 0.0039, 0.005])
    assert list(second.value) == [0.21]  # nothing of it in this night
    width, _ = series(made_night, "psf_width")
    assert list(width.value) == [0.031, SIGMA]  # one of the nights has none
    assert width.stat == pytest.approx([0.00031, SIGMA_STAT])


def test_a_limit_is_no_value_of_this_night(made_night):
    add_throughput(made_night)
    add_psf(made_night, is_limit=True)
    add_history(made_night, ROWS[:1])
    (width,) = series(made_night, "psf_width")
    assert list(width.value) == [0.031]


def test_page_shows_both_quantities(made_night):
    from tools.test_create_night_report import report, status

    add_muons(made_night.make())
    add_history(made_night, ROWS)
    html = report(made_night)
    assert status(html)[0] == "Complete"
    assert "2 earlier nights certified from 2024-06-10 to 2024-07-09." in html
    for name in ("throughput", "psf-width"):
        assert html.count(f'<figure id="throughput-history-LSTN-{name}"') == 1
    assert f'href="../{PATH}"' in html


def test_no_earlier_nights_are_told_and_nothing_is_drawn(made_night):
    add_muons(made_night)
    add_history(made_night, [])
    found = history_facts(material(made_night))
    assert found["told"].startswith("No earlier nights: nothing is certified from 2024-06-10")
    assert found["figures"] == []


def test_without_an_archive_nothing_is_said(made_night):
    add_muons(made_night)
    found = material(made_night)
    assert night_facts(found, [])["throughput"]["history"] is None
    assert absent_products(found) == [
        entry for entry in absent_products(found) if "history" not in entry["path"]
    ]


def test_history_that_failed_is_told(made_night):
    add_muons(made_night)
    write_failure(made_night.folder.parent / "logs", failure("array/throughput_history"))
    found = material(made_night)
    assert [e["reason"] for e in absent_products(found) if e["path"] == PATH] == [
        "its step failed, see above"
    ]
    assert history_facts(found) is None


def test_points_and_errors_of_the_figure(made_night):
    """This night stands apart from the night before; errors reach as far as they should."""
    add_muons(made_night)
    add_history(made_night, ROWS)
    axes = history_figure(series(made_night, "throughput"), "throughput", TODAY - 30, TODAY).axes[0]
    sys, stat, points, tonight = axes.lines[:4]
    assert list(points.get_ydata()) == [0.19, 0.195, THROUGHPUT]
    assert list(tonight.get_ydata()) == [THROUGHPUT]
    low, high, gap = stat.get_ydata().reshape(3, 3).T
    assert high - low == pytest.approx([0.0038, 0.0039, 0.0008])
    assert np.isnan(gap).all()
    low, high, _ = sys.get_ydata().reshape(3, 3).T
    assert (high + low) / 2 == pytest.approx([0.19, 0.195, THROUGHPUT])
    ticks = axes.get_xticks()
    assert TODAY in ticks
    assert np.all(np.diff(np.sort(ticks)) == 7)
    assert axes.get_xlim()[0] == TODAY - 31
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["LSTN-01", "LSTN-02"]


def test_kinds_of_telescopes_have_figures_of_their_own(made_night):
    add_muons(made_night)
    add_history(made_night, [*ROWS, ("MSTN-01", "2024-07-09", 0.18, np.nan)])
    titles = [figure["title"] for figure in history_facts(material(made_night))["figures"]]
    assert titles == [
        "Throughput of the nights before, LSTN",
        "Optical point spread function of the nights before, LSTN",
        "Throughput of the nights before, MSTN",
    ]
