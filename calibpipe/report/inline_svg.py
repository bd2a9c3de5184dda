"""Figures as parts of an HTML page: colours by name, identifiers of their own, no metadata."""

import io
import re

import matplotlib as mpl
from matplotlib.figure import Figure

from .drawing import PALETTE, STYLE

__all__ = ["inline_svg"]

_NOTHING = dict.fromkeys(("Date", "Creator", "Format", "Type"))


def inline_svg(figure: Figure, name: str, description: str) -> str:
    """SVG element of a figure for an HTML page; the same figure gives the same text.

    Every colour of `PALETTE` becomes ``var(--fig-<name>)``, identifiers get the prefix `name`, so
    that several figures fit into one page.

    Parameters
    ----------
    figure : Figure
    name : str
        Letters, digits and hyphens; unique in the page.
    description : str
        Read aloud instead of the figure; must not hold HTML (it is escaped here).
    """
    stream = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(stream, format="svg", metadata=_NOTHING)
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"<svg[^>]*>", _opening(text, description), text, count=1)
    text = text.replace("xlink:href", "href")
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    text = re.sub(r"\n\s*", "\n", text)
    for role, colour in PALETTE.items():
        text = text.replace(colour, f"var(--fig-{role})")
    return text.strip()


def _opening(text: str, description: str) -> str:
    box = re.search(r'viewBox="([^"]*)"', text).group(1)
    label = (
        description.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace('"', "&quot;")
    )
    return f'<svg viewBox="{box}" role="img" aria-label="{label}">'
