"""Trends of a site: what counts, how much is shown, states of nights, what is overdue, the page."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pytest
from astropy.time import Time
from report.made_trends import MUON, PROFILE, made_trends, values_of, verdict
from report.test_night_page import Page

from calibpipe.report.trends_calendar import BAD, GOOD, PARTLY, WAITING, calendar, shown_state
from calibpipe.report.trends_markers import marker_path
from calibpipe.report.trends_overdue import category_c_facts, overdue_facts, telescope_facts
from calibpipe.report.trends_page import render_trends, trend_facts
from calibpipe.report.trends_series import first_single_night, trend_figures

FIRST = date(2024, 6, 1)
MADE = datetime(2024, 7, 12, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def forty():
    return made_trends()


@pytest.fixture(scope="module")
def page(forty):
    return render_trends(trend_facts(forty, {"C/2024-06-05", "C/2024-06-15"}), MADE, "1.2.3")


def only(trends, *products):
    """The same site with a few products."""
    values = [value for product in products for value in values_of(product)]
    return replace(trends, verdicts=list(products), values=values)


def test_a_series_for_each_telescope_and_category(forty):
    throughput = trend_figures(forty, FIRST, 6000)[0]
    assert throughput.name == "optical_throughput"
    assert [(s.array_element, s.category, len(s.day)) for s in throughput.series] == [
        (f"LSTN-0{n}", category, count)
        for n in (1, 2, 3, 4)
        for category, count in (("B", 40), ("C", 20))
    ]
    newest = throughput.series[0]
    assert newest.day[-1] == pytest.approx(39 + 10 / 24, abs=1e-4)  # 10 July, 22:00 UTC
    assert (newest.value[-1], newest.stat[-1], newest.sys[-1]) == (0.202, 0.001, 0.003)
    assert throughput.limits == (0.05, 0.203)
    assert throughput.nights_from == ""


def test_units_of_the_page(forty):
    figures = {figure.name: figure for figure in trend_figures(forty, FIRST, 6000)}
    density = figures["number_density_15km"]
    assert density.series[0].value[0] == pytest.approx(4.6)  # 1e18 per cm3
    assert density.series[0].stat[0] == pytest.approx(0.02)
    assert density.quantity.unit == "10¹⁸ cm⁻³"
    assert np.isnan(figures["pedestal"].series[0].sys).all()


def test_states_of_values(forty):
    products = [
        verdict(FIRST, MUON, "LSTN-01"),
        verdict(FIRST, MUON, "LSTN-02", result="FAIL", is_certified=True),
        verdict(FIRST, MUON, "LSTN-03", result="FAIL"),
        verdict(FIRST, MUON, "LSTN-04", is_certified=False),
    ]
    figure = trend_figures(only(forty, *products), FIRST, 6000)[0]
    assert [int(one.state[0]) for one in figure.series] == [0, 1, 2, 3]


def test_months_before_the_newest_values():
    """A year of a telescope, 365 values of which 100 may be shown: July to 9 April, so May on."""
    year = made_trends(365, telescopes=["LSTN-01"])
    values = [v for v in year.values if v.product.category == "B" and v.quantity == "gain"]
    assert first_single_night(values, 365) == ""
    assert first_single_night(values, 100) == "2024-05-01"
    assert first_single_night(values, 5) == "2024-07-01"  # the newest month is always shown
    figure = trend_figures(replace(year, values=values), date(2023, 7, 12), 100)[0]
    (series,) = figure.series
    assert figure.nights_from == "2024-05-01"
    assert series.number.tolist() == [20, 31, 30, 31, 30, 31, 31, 29, 31, 30, *[1] * 71]
    april = slice(9, 10)  # 30 nights of a value that repeats after seven
    assert series.value[april] == pytest.approx(80.5 + 0.5 * 3 / 7)
    assert series.stat[april] == pytest.approx(0.5 * (5 - 1) / 7 / 2)


def test_a_month_of_one_value_is_that_value():
    """A telescope that ends in the part of months; its one value failed."""
    year = made_trends(365, telescopes=["LSTN-01"])
    values = [v for v in year.values if v.product.category == "B" and v.quantity == "gain"]
    product = replace(verdict("2023-09-03", MUON, "LSTN-04", result="FAIL"), category="B")
    one = replace(values[60], product=product, array_element="LSTN-04")
    figure = trend_figures(replace(year, values=[*values, one]), date(2023, 7, 12), 100)[0]
    (series,) = (series for series in figure.series if series.array_element == "LSTN-04")
    assert (series.number.tolist(), series.state.tolist()) == ([1], [2])
    assert series.stat.tolist() == [figure.quantity.scale * one.stat_error]


def test_a_quantity_that_the_page_does_not_know_is_shown(forty):
    product = verdict(FIRST, MUON, "LSTN-01")
    value = replace(values_of(product)[0], quantity="mirror_temperature", unit="K")
    (figure,) = trend_figures(replace(forty, values=[value]), FIRST, 6000)
    assert (figure.quantity.title, figure.quantity.unit) == ("Mirror temperature", "K")


def test_states_of_nights():
    def state(*products):
        found = calendar(products, FIRST, 1)
        return shown_state(found, MUON, 0), found.told.get((MUON, "C", 0), "")

    good = verdict(FIRST, MUON, "LSTN-01")
    failed = verdict(FIRST, MUON, "LSTN-02", result="FAIL")
    decided = replace(failed, is_certified=True)
    waiting = replace(good, is_certified=False)
    assert state(good) == (GOOD, "")
    assert state(good, failed) == (PARTLY, "LSTN-02 failed MUO-04 chunk_residual")
    assert state(decided)[0] == PARTLY
    assert state(decided)[1].endswith("certified by a decision")
    assert state(failed)[0] == BAD
    assert state(waiting) == (WAITING, "LSTN-01 passed, is not certified")


def test_category_b_is_shown_where_c_has_nothing():
    products = [verdict(FIRST, MUON, category="B"), verdict("2024-06-02", MUON, category="B")]
    products.append(verdict(FIRST, MUON, result="FAIL"))
    found = calendar(products, FIRST, 3)
    assert [shown_state(found, MUON, day) for day in range(3)] == [BAD, GOOD, 0]


def test_kinds_and_telescopes_that_are_overdue(forty):
    assert overdue_facts(forty) == [
        {
            "kind": "throughput: muon throughput",
            "whose": "LSTN-02 and LSTN-03",
            **{"cadence": "nightly", "ended": "2024-07-11", "days": 3},
        }
    ]
    held = telescope_facts(forty)
    told = {row["name"]: row["cells"][0]["told"] for row in held["rows"]}
    assert told == {
        "LSTN-01": "newest ended 1 day ago",
        "LSTN-02": "ended 2 days ago",
        "LSTN-03": "ended 3 days ago",
    }
    assert held["never"] == "LSTN-04: nothing was ever certified."


def test_nights_without_category_c_with_the_command(forty):
    products = [verdict(FIRST, MUON, "LSTN-01"), verdict("2024-06-02", MUON, "LSTN-01", "B")]
    facts = category_c_facts(only(forty, *products), 28)
    (night,) = facts["nights"]
    assert (night["night"], night["days"]) == ("2024-06-02", 40)
    assert night["what"] == ["throughput: muon throughput of LSTN-01: not made"]
    assert """'categories=["C"]' 'nights=["2024-06-02"]'""" in night["command"]
    many = [replace(products[1], night=f"2023-{month:02}-01") for month in range(1, 13)]
    many += [replace(entry, night=f"{entry.night[:8]}{day}") for entry in many for day in (11, 12)]
    facts = category_c_facts(only(forty, products[0], *many), 28)
    assert (len(facts["nights"]), facts["more"], facts["number"]) == (30, 6, 36)
    assert facts["nights"][0]["night"] == "2023-12-12"  # newest first


def test_page_is_well_formed_and_says_the_state(page):
    text = Page(page).text
    for expected in (
        "CTAO-North",
        "40, 2024-06-01 to 2024-07-10",
        "Overdue 1 kind of products older than their cadence allows; 1 night without all of",
        "2024-06-01 41 days ago throughput: muon throughput of LSTN-02: failed MUO-04",
        "Optical throughput from muon rings",
        "LSTN-04: nothing was ever certified.",
        "CalibPipe 1.2.3",
    ):
        assert expected in text
    identifiers = re.findall(r'\bid="([^"]+)"', page)
    assert len(identifiers) == len(set(identifiers))
    assert 'href="../C/2024-06-15/report/index.html"' in page
    assert 'href="../C/2024-06-05/report/index.html"' not in page  # older than the 30 that are told


def test_policy_allows_this_script_and_nothing_else(page):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    script = re.search(r"<script>(.*?)</script>", page, flags=re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert not re.search(r"\son[a-z]+=", page.split("<script")[0])
    assert not re.search(r"https?://", re.sub(r"http://www.w3.org/\S+", "", page))


def test_text_of_data_ends_no_script(forty):
    product = verdict(FIRST, MUON, "</script><b>", failed=("</script>",), result="FAIL")
    page = render_trends(trend_facts(only(forty, product)), MADE, "1")
    block = re.search(r'id="trends-data">(.*?)</script>', page, flags=re.DOTALL)[1]
    assert json.loads(block)["telescopes"] == ["</script><b>"]
    assert "<b>" not in page


def test_markers_of_telescopes(page):
    assert marker_path(2, 10, 10, 4) == "M10 5L15 10L10 15L5 10Z"
    assert (
        marker_path(0, 7, 7, 4) == marker_path(7, 7, 7, 4) == "M3 7a4 4 0 1 0 8 0a4 4 0 1 0 -8 0Z"
    )
    assert len({marker_path(rank, 7, 7, 4) for rank in range(7)}) == 7
    assert page.count(f'<path d="{marker_path(3, 7, 7, 4.2)}"/>') == 2  # controls, legend


def test_nothing_there_is_a_page(forty):
    empty = replace(forty, verdicts=[], values=[], ages=[], limits={})
    facts = trend_facts(empty)
    assert facts["status"]["word"] == "No nights"
    assert "No nights" in Page(render_trends(facts, MADE, "1")).text
    fresh = replace(only(forty, verdict("2024-07-12", PROFILE)), ages=[])
    assert trend_facts(fresh)["status"]["word"] == "Up to date"


def test_size_is_bounded():
    """Of 2000 nights the last months are told night by night, and it shows in the size."""
    nights = made_trends(2000, telescopes=["LSTN-01"])
    whole, bounded = (
        len(json.dumps(trend_facts(nights, max_points=points)["data"])) for points in (10**6, 100)
    )
    assert bounded < whole / 5


def test_newest_values_of_the_table(forty):
    rows = trend_facts(forty)["newest"]
    row = next(
        r for r in rows if (r["quantity"], r["array_element"]) == ("Gain of the cameras", "LSTN-03")
    )
    assert (row["value"], row["stat"], row["sys"]) == ("81.50", "0.20", "0.60")
    assert (row["night"], row["category"], row["told"]) == ("2024-07-10", "B", "certified")
    later = replace(forty, now=Time("2024-08-01"))
    assert trend_facts(later)["today"] == "2024-08-01"
