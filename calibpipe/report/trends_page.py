"""The page of a site over the nights: facts, data for its script, HTML."""

import base64
import hashlib
import json
from collections.abc import Collection, Sequence
from datetime import date, datetime
from importlib.resources import files
from typing import Any

from ..archive.trends import NightVerdict, SiteTrends
from .page_templates import page_template
from .trends_calendar import STATES, calendar, calendar_svg
from .trends_figures import static_svg
from .trends_markers import MARKERS, marker_path
from .trends_overdue import category_c_facts, overdue_facts, telescope_facts
from .trends_series import Series, TrendFigure, compact, trend_figures
from .wording import counted, rounded

__all__ = ["page_script", "render_trends", "trend_facts"]

SCRIPTS = ("trends_state.js", "trends_drawing.js", "trends.js")
_STATE_WORDS = ("certified", "certified by a decision", "failed", "passed, not certified")
_LEVELS = ("good", "warning", "bad", "absent")


def trend_facts(
    trends: SiteTrends,
    pages: Collection[str] = (),
    base: str = "..",
    *,
    due_in_days: float = 28.0,
    max_points: int = 6000,
) -> dict[str, Any]:
    """What the page says, ready for the template.

    Parameters
    ----------
    trends : SiteTrends
    pages : collection of str
        Nights with a page, ``C/2024-07-10``.
    base : str
        Folder of the categories, as seen from the page.
    due_in_days : float
        After a night, for products of category C.
    max_points : int
        Nights of a figure that are shown one by one; months before them as medians.
    """
    nights = sorted({entry.night for entry in trends.verdicts})
    today = trends.now.utc.isot[:10]
    first = date.fromisoformat(nights[0] if nights else today)
    last = date.fromisoformat(nights[-1] if nights else today)
    n_nights = (last - first).days + 1
    telescopes = _telescopes(trends)
    figures = trend_figures(trends, first, max_points)
    found = calendar(trends.verdicts, first, n_nights)
    late, missing = overdue_facts(trends), category_c_facts(trends, due_in_days)
    data = {
        "first": str(first),
        "nights": n_nights,
        "telescopes": telescopes,
        "markers": MARKERS,
        "pages": sorted(pages),
        "base": base,
        "calendar": found.compact(),
        "figures": [compact(figure, telescopes) for figure in figures],
    }
    return {
        "site": trends.site,
        "today": today,
        "span": {"first": str(first), "last": str(last), "number": len(nights)},
        "status": _status(trends, late, missing),
        "overdue": late,
        "missing": missing,
        "due_in_days": due_in_days,
        "held": telescope_facts(trends),
        "calendar": {
            "svg": calendar_svg(found, n_nights) if found.kinds else "",
            "legend": [(number, told) for number, told in STATES.items()],
        },
        "telescopes": [
            {"name": name, "index": index, "marker": marker_path(index, 7, 7, 4.2)}
            for index, name in enumerate(telescopes)
        ],
        "categories": sorted({entry.category for entry in trends.verdicts}),
        "figures": [_figure_facts(figure, telescopes, first) for figure in figures],
        "newest": [row for figure in figures for row in _newest(figure, first)],
        "recent": _recent(trends.verdicts, nights, pages, base),
        "data": data,
    }


def _telescopes(trends: SiteTrends) -> list[str]:
    return sorted({value.array_element for value in trends.values if value.array_element})


def _status(
    trends: SiteTrends, late: Sequence[dict[str, Any]], missing: dict[str, Any]
) -> dict[str, str]:
    """The first that applies: nothing there, something overdue, nothing to do."""
    if not trends.verdicts:
        return {
            "level": "warning",
            "word": "No nights",
            "sentence": "The archive has no verification of a night of this site yet.",
        }
    if not any(entry.is_certified for entry in trends.verdicts):
        sentence = "No product of a night of this site is certified."
        return {"level": "warning", "word": "Nothing certified", "sentence": sentence}
    parts = []
    if late:
        n_kinds = len({line["kind"] for line in late})
        parts.append(f"{counted(n_kinds, 'kind')} of products older than their cadence allows")
    if missing["number"]:
        parts.append(f"{counted(missing['number'], 'night')} without all of category C")
    if parts:
        sentence = f"{'; '.join(parts)}."
        return {"level": "warning", "word": "Overdue", "sentence": sentence}
    return {"level": "complete", "word": "Up to date", "sentence": "Nothing is overdue."}


def _figure_facts(figure: TrendFigure, telescopes: Sequence[str], first: date) -> dict[str, str]:
    caption = figure.quantity.caption
    if figure.nights_from:
        caption += (
            f" Nights from {figure.nights_from} on one by one; before, medians of calendar months, "
            "whose bars are half the width that has 68 % of the nights."
        )
    return {
        "name": figure.name.replace("_", "-"),
        "title": figure.quantity.title,
        "caption": caption,
        "svg": static_svg(figure, telescopes, first),
    }


def _newest(figure: TrendFigure, first: date) -> list[dict[str, Any]]:
    """Newest value of each telescope, for the table."""
    newest: dict[str, Series] = {}
    for one in figure.series:
        best = newest.get(one.array_element)
        if best is None or one.day[-1] >= best.day[-1]:
            newest[one.array_element] = one
    return [_newest_row(figure, one, first) for _, one in sorted(newest.items())]


def _newest_row(figure: TrendFigure, one: Series, first: date) -> dict[str, Any]:
    value, stat, sys = rounded(*(float(column[-1]) for column in (one.value, one.stat, one.sys)))
    night = str(date.fromordinal(first.toordinal() + int(one.day[-1])))
    state, told = _LEVELS[one.state[-1]], _STATE_WORDS[one.state[-1]]
    if (number := int(one.number[-1])) > 1:
        night, stat, state, told = night[:7], "", "absent", f"median of {number} values"
    return {
        "quantity": figure.quantity.title,
        "unit": figure.quantity.unit,
        "array_element": one.array_element,
        "category": one.category,
        "night": night,
        "value": value,
        "stat": stat,
        "sys": sys,
        "state": state,
        "told": told,
    }


def _recent(
    verdicts: Sequence[NightVerdict], nights: Sequence[str], pages: Collection[str], base: str
) -> list[dict[str, Any]]:
    """The newest nights with what failed; links to their pages where there are any."""
    rows = []
    for night in reversed(nights[-30:]):
        of_night = [entry for entry in verdicts if entry.night == night]
        for category in sorted({entry.category for entry in of_night}, reverse=True):
            mine = [entry for entry in of_night if entry.category == category]
            failed = [entry for entry in mine if entry.verdict != "PASS"]
            name = f"{category}/{night}"
            rows.append(
                {
                    "night": night,
                    "category": category,
                    "link": f"{base}/{name}/report/index.html" if name in pages else "",
                    "products": len(mine),
                    "certified": sum(entry.is_certified for entry in mine),
                    "failed": [
                        " ".join(
                            filter(None, (e.array_element, e.kind.split("/")[-1].replace("_", " ")))
                        )
                        for e in failed
                    ],
                }
            )
    return rows


def page_script() -> str:
    """The script of the page."""
    folder = files("calibpipe.report") / "templates"
    return "".join((folder / name).read_text() for name in SCRIPTS)


def render_trends(facts: dict[str, Any], made: datetime, version: str) -> str:
    """HTML of the page; the policy allows this script, by its hash, and nothing else."""
    script = page_script()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # of JSON in a page, only "<" could end the element
    data = json.dumps(facts["data"], separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    page = page_template("trends.html.j2")
    rendered = page.render(
        facts | {"data": data}, script=script, digest=digest, made=made, version=version
    )
    return rendered + "\n"
