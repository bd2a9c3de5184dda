"""The page: well-formed, alone in the world, escaped, the same for the same night."""

import dataclasses
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from importlib.resources import files

import pytest
from report.made_night import NUMBER_15KM, failure

from calibpipe.core.night import AstronomicalNight
from calibpipe.report.drawing import PALETTE
from calibpipe.report.night_figures import night_figures
from calibpipe.report.night_page import darkness_facts, night_facts, render, site_facts

MADE = datetime(2024, 7, 20, 8, 30, tzinfo=UTC)
VOID = {"meta", "br", "wbr", "link", "img", "hr", "input"}


class Page(HTMLParser):
    """Text and attributes of a page; raises where tags do not match."""

    def __init__(self, html):
        super().__init__()
        self.open, self.attributes, self.parts = [], [], []
        self.feed(html)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, *attribute) for attribute in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.attributes += [(tag, *attribute) for attribute in attrs]

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing at {self.getpos()}"
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}> at {self.getpos()}"
        self.open.pop()

    def handle_data(self, data):
        if "style" not in self.open:
            self.parts.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.parts)).replace("\N{NO-BREAK SPACE}", " ")


def html(material, made=MADE):
    return render(night_facts(material, night_figures(material)), made, "1.2.3")


@pytest.fixture(scope="module")
def whole_html(whole_material):
    return html(whole_material)


def test_whole_page_is_well_formed_and_says_the_night(whole_html):
    text = Page(whole_html).text
    for expected in (
        "CTAO-North · 2024-07-10",
        "category C, final",
        "21:45 – 04:48, 7.06 h",
        "22:45 – 05:48",  # local time of the Canary Islands in summer
        "Complete 8 products",
        f"{NUMBER_15KM / 1e18:.3f} × 10¹⁸ cm⁻³",
        "733.0 g/cm²",
        "ATMLAY   4.0000000E+05".replace("   ", " "),
        "CalibPipe 1.2.3",
        "page made 2024-07-20 08:30 UTC",
    ):
        assert expected in text


def test_six_figures_with_units(whole_html):
    page = Page(whole_html)
    assert sum(tag == "svg" and name == "role" for tag, name, _ in page.attributes) == 6
    for label in (
        "altitude above sea level (km)",
        "wavelength (nm)",
        "time (UTC)",
        "temperature (K)",
        "relative error of n − 1 (%)",
    ):
        assert label in page.text
    assert "is not drawn" not in page.text


def test_identifiers_are_unique(whole_html):
    identifiers = [value for _, name, value in Page(whole_html).attributes if name == "id"]
    assert len(set(identifiers)) == len(identifiers)


def test_nothing_is_taken_from_the_network(whole_html):
    page = Page(whole_html)
    for tag, name, value in page.attributes:
        if name in ("src", "href", "xlink:href", "action", "data", "srcset"):
            assert not re.match(r"[a-z]+:|//", value), (tag, name, value)
    assert not any(tag in ("script", "link", "img", "iframe") for tag, *_ in page.attributes)
    assert "<script" not in whole_html
    assert "http" not in whole_html.replace("http-equiv", "")
    assert "@import" not in whole_html


def test_size_stays_below_two_megabytes(whole_html):
    assert len(whole_html.encode()) < 2e6


def test_same_night_same_page(whole_night, whole_html):
    again = html(whole_night.material())
    assert again == whole_html
    later = html(whole_night.material(), datetime(2025, 1, 1, tzinfo=UTC))
    without_time = re.compile(r"<time.*?</time>", re.DOTALL)
    assert later != whole_html
    assert without_time.sub("", later) == without_time.sub("", whole_html)


def test_a_failed_night_says_what_to_do(made_night):
    made_night.meteo_data()
    made_night.macobac()
    record = failure("atmosphere/density_profile", message="level 500 hPa is missing; get it again")
    text = Page(html(made_night.material(failures=[record]))).text
    for expected in (
        "1 step failed",
        "level 500 hPa is missing; get it again",
        "exit code 105: an input is missing or does not cover the night",
        "calibpipe-density_profile --night=2024-07-10",
        "not made, because it needs atmosphere/density_profile, which failed",
        "Density over the night is not drawn: it needs density_profile.",
        "424.00 ppm",
    ):
        assert expected in text
    assert "Traceback" not in text


def test_an_empty_night_is_a_page_too(made_night):
    text = Page(html(made_night.material())).text
    assert "Incomplete" in text
    assert text.count("is not drawn") == 6


def test_fallback_by_date_is_in_the_status_and_in_the_remarks(made_night):
    made_night.make()
    made_night.atmospheric_model(top=0.0)
    made_night.reference_model(method="date", margin=float("nan"), reason="no data will ever come")
    for name in ("meteo_data.json", "density_profile.ecsv"):
        made_night[name].unlink()
    text = Page(html(made_night.material())).text
    assert "Complete, look twice Reference model intermediate was chosen by date" in text
    assert "No data will ever come." in text
    assert "reference model intermediate alone" in text


def test_night_without_darkness(made_night):
    made_night.make()
    material = dataclasses.replace(made_night.material(), darkness=None)
    text = Page(html(material)).text
    assert "none: the Sun stays above −18°" in text
    assert "the night has no astronomical darkness" in text


def test_everything_that_comes_from_data_is_escaped(made_night):
    evil = "<script>alert('x')</script>"
    made_night.make()
    made_night.reference_model(reason=evil, method="date", margin=float("nan"))
    material = made_night.material(
        failures=[failure(message=evil, command=evil, error=evil)], log_warnings=[(evil, evil)]
    )
    page = html(material)
    assert "<script" not in page
    assert Page(page).text.count(evil) == 6


def test_pool_models_are_drawn_beside_the_chosen_one(whole_night):
    from report.made_night import reference_table

    models = {"winter": reference_table("winter"), "summer": reference_table("summer")}
    figure = night_figures(whole_night.material(models=models))[0]
    for label in ("winter", "summer", "intermediate (chosen)"):
        assert f">{label}</text>" in figure["svg"]


def test_pool_alone_serves_when_no_model_is_chosen(made_night):
    from report.made_night import reference_table

    made_night.meteo_data()
    made_night.macobac()
    made_night.density_profile()
    lacking = night_figures(made_night.material())[0]
    assert lacking["absent"] == "it needs reference_model, or the pool of the site."
    drawn = night_figures(made_night.material(models={"winter": reference_table("winter")}))[0]
    assert drawn["caption"].startswith("No model is chosen yet.")
    assert ">winter</text>" in drawn["svg"]


def test_style_sheet_has_every_colour_for_light_and_dark():
    css = (files("calibpipe.report") / "templates/night.css").read_text()
    for role in PALETTE:
        assert css.count(f"--fig-{role}:") == 2, role


def test_place_of_a_southern_site(south, north):
    assert site_facts(south)["place"] == "24.627° S, 70.404° W"
    assert site_facts(north)["elevation"] == "2158 m"


def test_local_time_belongs_to_the_site(whole_material):
    facts = darkness_facts(whole_material)
    assert isinstance(whole_material.darkness, AstronomicalNight)
    assert (facts["dusk"], facts["dusk_local"]) == ("21:45", "22:45")


def test_every_table_that_scrolls_is_reached_by_keyboard():
    template = (files("calibpipe.report") / "templates/night.html.j2").read_text()
    opened = re.findall(r'<div class="scroll"[^>]*>', template)
    assert len(opened) > 15
    assert all('tabindex="0"' in tag for tag in opened)
