"""Figures as parts of an HTML page: colours by name, identifiers of their own, no metadata."""

import io
import re
from html import escape

import matplotlib as mpl
from matplotlib.figure import Figure

from .drawing import PALETTE, STYLE

__all__ = ["inline_svg"]

_LONG = re.compile(r"-?\d+\.\d{3,}")
_NOTHING = dict.fromkeys(("Date", "Creator", "Format", "Type"))


def inline_svg(figure: Figure, name: str, description: str) -> str:
    """SVG element of a figure for an HTML page; the same figure gives the same text.

    Every colour of `PALETTE` becomes ``var(--fig-<name>)``, identifiers get the prefix `name`, so
    that several figures fit into one page. Coordinates of paths are rounded to 0.01 units, of which
    a figure is 480 wide.

    Parameters
    ----------
    figure : Figure
    name : str
        Letters, digits and hyphens; unique in the page.
    description : str
        Read aloud instead of the figure; any text, it is escaped here.
    """
    stream = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(stream, format="svg", metadata=_NOTHING)
    opening, body = re.fullmatch(
        r".*?(<svg[^>]*>)(.*)", stream.getvalue(), flags=re.DOTALL
    ).groups()
    body = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = body.replace("xlink:href", "href")
    for reference in (r'\bid="', 'href="#', r"url\(#"):
        body = re.sub(f"({reference})", rf"\g<1>{name}-", body)
    body = re.sub(r"\n\s*", "\n", body)
    body = re.sub(r'\bd="[^"]*"', lambda path: _LONG.sub(_short, path[0]), body)
    for role, colour in PALETTE.items():
        body = body.replace(colour, f"var(--fig-{role})")
    box = re.search(r'viewBox="([^"]*)"', opening).group(1)
    return f'<svg viewBox="{box}" role="img" aria-label="{escape(description)}">{body.strip()}'


def _short(number: re.Match[str]) -> str:
    """Number with two decimals at most."""
    return f"{float(number[0]):z.2f}".rstrip("0").rstrip(".")
