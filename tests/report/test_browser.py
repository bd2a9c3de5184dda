"""Pages in a real browser: quiet, without network, on any width, by keyboard, for everybody."""

from datetime import UTC, datetime

import pytest
from browsers import Visit
from report.made_aerosol import add_aerosol
from report.made_array import add_array
from report.made_camera import add_cameras
from report.made_dedicated import add_dedicated
from report.made_muons import add_muons
from report.made_night import MadeNight
from report.made_pointing import add_pointing
from report.made_trends import made_trends
from report.test_night_page import html

from calibpipe.report.trends_page import render_trends, trend_facts

MADE = datetime(2024, 7, 12, 12, tzinfo=UTC)
FIGURE = "#optical-throughput .drawing"
PAGES = [("trends", 375, "dark"), ("trends", 1440, "light"), ("night", 375, "light")]


@pytest.fixture(scope="module")
def pages(tmp_path_factory, whole_material):
    """Paths of a page of a night and of one of trends."""
    folder = tmp_path_factory.mktemp("pages")
    trends = render_trends(trend_facts(made_trends(), {"C/2024-06-20"}), MADE, "1.2.3")
    for name, text in (("night", html(whole_material)), ("trends", trends)):
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def trends(browser, pages):
    """The page of trends, wide."""
    with Visit(browser, pages / "trends.html") as visit:
        says(visit, "2024-06-01")
        yield visit


@pytest.mark.parametrize(("name", "width", "scheme"), PAGES)
def test_page_is_quiet_fits_and_is_for_everybody(browser, pages, name, width, scheme):
    with Visit(browser, pages / f"{name}.html", width, color_scheme=scheme) as visit:
        assert visit.overflow == 0
        assert visit.serious() == []
        assert sorted(visit.focusable()) == sorted(visit.reached_by_keyboard())
        assert visit.complaints == []
        assert visit.requests == [visit.address]


@pytest.mark.slow
@pytest.mark.parametrize("width", [375, 1440])
def test_page_of_a_night_with_every_section(browser, tmp_path, north, width):
    night = MadeNight(tmp_path / "night", north).make()
    for add in (add_cameras, add_dedicated, add_muons, add_pointing, add_aerosol, add_array):
        add(night)
    (tmp_path / "night.html").write_text(html(night.material()), encoding="utf-8")
    for scheme in ("light", "dark"):
        with Visit(browser, tmp_path / "night.html", width, color_scheme=scheme) as visit:
            assert visit.overflow == 0
            assert visit.serious() == []
            assert visit.complaints == []
            assert visit.requests == [visit.address]


def series(visit):
    """Series of a drawing, and its outlines of markers."""
    return visit.page.locator(f"{FIGURE} .series").count()


def lines(tip):
    """What the box beside a value says."""
    return tip.locator("strong, p").all_inner_texts()


def says(visit, begin):
    """Wait until the page says the range, which it draws with the next frame."""
    visit.until(f"document.getElementById('range-told').textContent.startsWith('{begin}')")


def test_filters_of_telescopes_and_categories(trends):
    page = trends.page
    assert series(trends) == 8  # four telescopes in two categories
    page.get_by_label("LSTN-02").uncheck()
    says(trends, "2024-06-01 to 2024-07-10, 3 of 4 telescopes")
    assert series(trends) == 6
    page.get_by_label("category B").uncheck()
    trends.until("document.querySelectorAll('#gain .series').length === 3")
    assert series(trends) == 3
    page.get_by_role("button", name="none").click()
    trends.until("document.querySelectorAll('#gain .series').length === 0")
    assert "no value in this range" in page.locator(FIGURE).inner_text()
    assert page.locator("#number-density-15km .series").count() == 1  # of the site
    page.get_by_role("button", name="all telescopes").click()
    trends.until("document.querySelectorAll('#gain .series').length === 4")


def test_zoom_by_pointer_buttons_dates_and_keys(trends):
    page = trends.page
    whole = "2024-06-01 to 2024-07-10, 4 of 4 telescopes"
    says(trends, whole)
    page.locator(FIGURE).scroll_into_view_if_needed()
    box = page.locator(f"{FIGURE} svg").bounding_box()
    middle, y = box["x"] + 66 + (box["width"] - 80) / 2, box["y"] + 100
    page.mouse.move(middle, y)
    page.mouse.down()
    page.mouse.move(middle + 40, y, steps=3)
    page.mouse.move(box["x"] + box["width"] - 14, y)
    page.mouse.up()
    says(trends, "2024-06-21 to 2024-07-10")
    page.mouse.dblclick(middle, y)
    says(trends, whole)
    page.locator("#from").fill("2024-07-01")
    page.locator("#to").fill("2024-07-05")
    trends.until("views[1].points.length === 20")  # five nights of category B
    says(trends, "2024-07-01 to 2024-07-05")
    page.locator(FIGURE).focus()
    page.keyboard.press("0")
    says(trends, whole)
    page.keyboard.press("+")
    trends.until("state.to - state.from < 21")
    page.get_by_role("button", name="30 nights").click()
    trends.until("state.to - state.from > 30")
    says(trends, "2024-06-11 to 2024-07-10")


def test_values_by_pointer_and_by_keyboard(trends):
    page = trends.page
    place = page.evaluate("(() => {const p = views[1].points.at(-1); return [p.x, p.y];})()")
    page.locator(FIGURE).scroll_into_view_if_needed()
    box = page.locator(f"{FIGURE} svg").bounding_box()
    page.mouse.move(box["x"] + place[0], box["y"] + place[1])
    tip = page.locator(f"{FIGURE} .tip")
    assert lines(tip) == [
        "LSTN-04 · 2024-07-10 · category B",
        "0.2080 ± 0.0010 (stat) ± 0.0030 (sys)",
        "certified",
    ]
    page.mouse.move(0, 0)
    page.locator(FIGURE).focus()
    page.keyboard.press("ArrowLeft")  # the first one; then up to the telescope before it
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert lines(tip)[0] in {
        f"LSTN-0{n} · 2024-06-02 · category {category}" for n in (1, 2, 3, 4) for category in "BC"
    }
    page.keyboard.press("Escape")
    assert tip.is_hidden()


def test_nights_of_the_calendar_lead_to_their_pages(trends):
    page = trends.page
    page.locator("#calendar .drawing").focus()
    page.keyboard.press("ArrowRight")  # the newest night of the first row
    tip = page.locator("#calendar .tip")
    assert lines(tip) == [
        "atmosphere: density profile · 2024-07-10 · category B",
        "certified",
    ]
    for _ in range(20):
        page.keyboard.press("ArrowLeft")
    assert tip.inner_text().startswith("atmosphere: density profile · 2024-06-20 · category C")
    assert tip.locator("a").get_attribute("href") == "../C/2024-06-20/report/index.html"
    page.keyboard.press("ArrowUp")  # the last row: muon rings, of which LSTN-02 failed on 14 June
    for _ in range(6):
        page.keyboard.press("ArrowLeft")
    assert lines(tip)[1:] == [
        "certified in part, or by a decision",
        "LSTN-02 failed MUO-04 chunk_residual",
    ]


def test_without_script_and_on_paper(browser, pages):
    with Visit(browser, pages / "trends.html", java_script_enabled=False) as visit:
        assert visit.page.locator(".controls").is_hidden()
        assert visit.page.locator(f"{FIGURE} svg[role=img]").is_visible()
        assert visit.page.locator("#calendar svg[role=img]").is_visible()
        assert "0.2080" in visit.page.locator("#newest table").inner_text()
    with Visit(browser, pages / "trends.html") as visit:
        assert visit.page.locator(".controls").is_visible()
        visit.page.emulate_media(media="print")
        assert visit.page.locator(".controls").is_hidden()
        assert visit.page.locator(f"{FIGURE} svg").is_visible()
