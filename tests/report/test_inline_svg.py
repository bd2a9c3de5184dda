"""Figures as parts of a page: deterministic, their own identifiers, colours by name."""

import re
from html.parser import HTMLParser

import pytest

from calibpipe.report.drawing import PALETTE
from calibpipe.report.figures import density_ratio_figure, optical_depth_figure
from calibpipe.report.inline_svg import inline_svg


@pytest.fixture(scope="module")
def draw(whole_material):
    def ratio():
        return density_ratio_figure(
            whole_material.usable("density_profile").table,
            {"intermediate": whole_material.usable("reference_model").table},
            "intermediate",
            whole_material.site.elevation,
        )

    return ratio


def test_same_figure_same_text(draw):
    assert inline_svg(draw(), "a", "ratio") == inline_svg(draw(), "a", "ratio")


def test_nothing_but_one_svg_element(draw):
    text = inline_svg(draw(), "a", "ratio")
    assert text.startswith("<svg viewBox=")
    assert text.endswith("</svg>")
    assert "http" not in text
    assert "metadata" not in text


def test_colours_of_the_palette_become_variables(draw):
    text = inline_svg(draw(), "a", "ratio")
    assert not any(colour in text for colour in PALETTE.values())
    assert "var(--fig-ink)" in text
    assert "var(--fig-intermediate)" in text
    assert not re.findall(r"#[0-9a-f]{6}\b", text)  # and there are no others


def test_letters_stay_text(draw):
    assert "density of the night / density of the model" in inline_svg(draw(), "a", "ratio")


def test_identifiers_are_prefixed_and_every_reference_is_found(whole_material):
    table = whole_material.usable("rayleigh_extinction").table
    text = inline_svg(optical_depth_figure(table), "depth", "map")
    identifiers = re.findall(r'\bid="([^"]*)"', text)
    references = re.findall(r'(?:href="#|url\(#)([^")]*)', text)
    assert len(set(identifiers)) == len(identifiers)
    assert all(name.startswith("depth-") for name in identifiers)
    assert references
    assert set(references) <= set(identifiers)


def test_description_is_escaped(draw):
    labels = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag == "svg":
                labels.append(dict(attrs)["aria-label"])

    Reader().feed(inline_svg(draw(), "a", 'n < 2 & "so" on > \\1'))
    assert labels == ['n < 2 & "so" on > \\1']
