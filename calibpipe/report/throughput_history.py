"""Throughput of the night beside that of the nights before: values, sentence, figures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import cycle
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import dates
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .camera_display import panelled_figure
from .drawing import PALETTE, STYLE, legend_above
from .inline_svg import inline_svg
from .material import HISTORY, FoundProduct, NightMaterial
from .throughput_figures import KINDS, MARKERS
from .throughput_numbers import TelescopeMuons, telescopes
from .wording import counted

__all__ = ["TelescopeSeries", "history_facts", "history_figure", "telescope_series"]

QUANTITIES = {"throughput": "optical throughput", "psf_width": "PSF σ (deg)"}  # columns, labels
SPREAD = 0.5  # days: over which telescopes of one night stand side by side


@dataclass(frozen=True)
class TelescopeSeries:
    """A quantity of one telescope over nights, in the order of time.

    Parameters
    ----------
    name : str
        Array element.
    day : ndarray, shape (n_nights,)
        Evening, days of matplotlib.
    value, stat, sys : ndarray, shape (n_nights,)
        Errors may be NaN: then they are not drawn.
    """

    name: str
    day: NDArray
    value: NDArray
    stat: NDArray
    sys: NDArray


def history_facts(material: NightMaterial) -> dict[str, Any] | None:
    """Sentence and figures, one a kind of telescope; None where nobody asked the archive."""
    product = material.products.get(f"{HISTORY}.ecsv")
    if product is None or product.problem:
        return None
    first, last = (product.facts[f"{end}_night"] for end in ("first", "last"))
    if len(product.table) == 0:
        return {"told": f"No earlier nights: nothing is certified from {first} to {last}."}
    n = len(set(product.table["night"]))
    told = f"{counted(n, 'earlier night')} certified from {first} to {last}."
    return {"told": told, "figures": list(_figures(material, product))}


def _figures(material: NightMaterial, product: FoundProduct) -> Iterator[dict[str, str]]:
    found = telescopes(material)
    names = {*map(str, product.table["array_element"]), *(telescope.name for telescope in found)}
    kinds = sorted({name.split("-", maxsplit=1)[0] for name in names})
    today = dates.date2num(date.fromisoformat(material.night))
    begin = dates.date2num(date.fromisoformat(product.facts["first_night"]))
    for kind in kinds:
        parts = {
            label: telescope_series(product, found, kind, column, today)
            for column, label in QUANTITIES.items()
        }
        parts = {label: series for label, series in parts.items() if series}
        if not parts:
            continue
        title = f"Nights before and this night{f', {kind}' if len(kinds) > 1 else ''}"
        caption = (
            "Muon rings of each telescope; at the right this night, larger. Lines: statistical "
            "errors; broad bars: systematic ones, which nights have in common for the most part. "
            "Telescopes of a night stand side by side."
        )
        name = f"throughput-history-{kind}"
        yield {
            "name": name,
            "title": title,
            "caption": caption,
            "svg": inline_svg(history_figure(parts, begin, today), name, f"{title}. {caption}"),
        }


def telescope_series(
    product: FoundProduct,
    found: Sequence[TelescopeMuons],
    kind: str,
    column: str,
    today: float,
) -> list[TelescopeSeries]:
    """Series of the telescopes of a kind (``LSTN``); this night, if it has a value, comes last."""
    table = product.table
    element, night = (np.asarray(table[name], str) for name in ("array_element", "night"))
    day = np.array([dates.date2num(date.fromisoformat(text)) for text in night])
    columns = (column, f"{column}_stat_error", f"{column}_sys_error")
    past = np.array([np.asarray(table[name], float) for name in columns])
    now = {telescope.name: _today(telescope, column) for telescope in found}
    series = []
    for name in sorted({*map(str, element), *now}):
        if not name.startswith(f"{kind}-"):
            continue
        mine = (element == name) & np.isfinite(past[0])
        days, values = day[mine], past[:, mine]
        if now.get(name) is not None:
            days = np.append(days, today)
            values = np.column_stack([values, now[name]])
        if days.size:
            series.append(TelescopeSeries(name, days, *values))
    return series


def _today(telescope: TelescopeMuons, column: str) -> tuple[float, float, float] | None:
    """Value of this night with its errors."""
    if column == "throughput":
        return telescope.value
    if telescope.psf is None or not telescope.psf.tables["psf"][0]["is_valid"]:
        return None
    row = telescope.psf.tables["psf"][0]
    return tuple(float(row[name]) for name in ("width", "stat_error", "sys_error"))


def history_figure(
    parts: dict[str, Sequence[TelescopeSeries]], begin: float, today: float
) -> Figure:
    """Panels of quantities, one above the other, with their telescopes over nights.

    Parameters
    ----------
    parts : dict
        Series of telescopes by the label of their axis.
    begin, today : float
        First night and this one, days of matplotlib.
    """
    names = sorted({one.name for series in parts.values() for one in series})
    looks = dict(zip(names, zip(cycle(KINDS), cycle(MARKERS), strict=False), strict=False))
    shift = np.linspace(-SPREAD / 2, SPREAD / 2, len(names)) if len(names) > 1 else [0.0]
    with mpl.rc_context(STYLE):
        figure, panels = panelled_figure(len(parts), 1)
        for axes, (label, series) in zip(panels[:, 0], parts.items(), strict=True):
            axes.axvspan(today - 0.5, today + 0.5, color=PALETTE["shade"], linewidth=0, zorder=0.5)
            for one in series:
                _draw(axes, one, today, shift[names.index(one.name)], *looks[one.name])
            axes.set_xlim(begin - 1, today + 1)
            axes.margins(y=0.1)
            axes.set_ylabel(label)
            axes.xaxis.set_major_locator(dates.DayLocator(interval=7))
            axes.tick_params(labelbottom=axes is panels[-1, 0])
        panels[-1, 0].xaxis.set_major_formatter(dates.DateFormatter("%d %b"))
        panels[-1, 0].set_xlabel("evening of the night")
        legend_above(panels[0, 0])
    return figure


def _draw(
    axes: Axes, one: TelescopeSeries, today: float, shift: float, colour: str, marker: str
) -> None:
    """Points of one telescope with their errors, this night's larger."""
    day, tint = one.day + shift, PALETTE[colour]
    for error, width, alpha in ((one.sys, 4.0, 0.22), (one.stat, 1.2, 1.0)):
        drawn = np.isfinite(error)
        ends = (one.value - error)[drawn], (one.value + error)[drawn]
        axes.vlines(day[drawn], *ends, color=tint, linewidth=width, alpha=alpha)
    axes.plot(day, one.value, marker, color=tint, markersize=3.5, label=one.name)
    now = one.day == today
    axes.plot(day[now], one.value[now], marker, color=tint, markersize=7)
