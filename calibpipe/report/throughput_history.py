"""Throughput of the night beside that of the nights before: values, sentence, figures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import dates, ticker
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

QUANTITIES = {  # column: title, label
    "throughput": ("Throughput of the nights before", "optical throughput"),
    "psf_width": ("Optical point spread function of the nights before", "PSF σ (deg)"),
}
SPREAD, TONIGHT = 0.5, 2.4  # days over which telescopes of a night, of this night stand apart
CAPTION = (
    "From muon rings; on the right, shaded and larger, this night. Lines: statistical errors; "
    "broad bars: systematic ones, most of which all nights have in common. Telescopes stand side "
    "by side."
)


@dataclass(frozen=True)
class TelescopeSeries:
    """A quantity of one telescope over nights, in the order of time.

    Parameters
    ----------
    name : str
        Array element.
    rank : int
        Among the telescopes of its kind: the same colour in every figure.
    day : ndarray, shape (n_nights,)
        Evening, days of matplotlib.
    value, stat, sys : ndarray, shape (n_nights,)
        Errors may be NaN: then they are not drawn.
    """

    name: str
    rank: int
    day: NDArray
    value: NDArray
    stat: NDArray
    sys: NDArray


def history_facts(material: NightMaterial) -> dict[str, Any] | None:
    """Sentence and figures, two a kind of telescope; None where nobody asked the archive."""
    product = material.products.get(f"{HISTORY}.ecsv")
    if product is None or product.problem:
        return None
    first, last = (product.facts[f"{end}_night"] for end in ("first", "last"))
    if len(product.table) == 0:
        told = f"No earlier nights: nothing is certified from {first} to {last}."
        return {"told": told, "figures": []}
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
        for column, (title, label) in QUANTITIES.items():
            series = telescope_series(product, found, kind, column, today)
            if not series:
                continue
            name = f"throughput-history-{kind}-{column.replace('_', '-')}"
            told = title if len(kinds) == 1 else f"{title}, {kind}"
            figure = history_figure(series, label, begin, today)
            svg = inline_svg(figure, name, f"{told}. {CAPTION}")
            yield {"name": name, "title": told, "caption": CAPTION, "svg": svg}


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
    names = {name for name in (*map(str, element), *now) if name.startswith(f"{kind}-")}
    for rank, name in enumerate(sorted(names)):
        mine = (element == name) & np.isfinite(past[0])
        days, values = day[mine], past[:, mine]
        if now.get(name) is not None:
            days = np.append(days, today)
            values = np.column_stack([values, now[name]])
        if days.size:
            series.append(TelescopeSeries(name, rank, days, *values))
    return series


def _today(telescope: TelescopeMuons, column: str) -> tuple[float, float, float] | None:
    """Value of this night with its errors."""
    if column == "throughput":
        return telescope.value
    if telescope.psf is None or not telescope.psf.tables["psf"][0]["is_valid"]:
        return None
    row = telescope.psf.tables["psf"][0]
    width, stat, sys = (float(row[name]) for name in ("width", "stat_error", "sys_error"))
    return width, stat, sys


def history_figure(
    series: Sequence[TelescopeSeries],
    label: str,
    begin: float,
    today: float,
    limits: tuple[float, float] | None = None,
) -> Figure:
    """A quantity of telescopes over nights, this night apart.

    Parameters
    ----------
    series : sequence of TelescopeSeries
    label : str
        Of the vertical axis.
    begin, today : float
        First night and this one, days of matplotlib.
    limits : tuple of float, optional
        Drawn as lines.
    """
    places = np.linspace(-0.5, 0.5, len(series)) if len(series) > 1 else [0.0]
    end = today + TONIGHT + 0.6
    with mpl.rc_context(STYLE):
        figure, ((axes,),) = panelled_figure(1, 1)
        axes.axvspan(today - 0.5, end, color=PALETTE["shade"], linewidth=0, zorder=0.5)
        for limit in limits or ():
            axes.axhline(limit, color=PALETTE["warning"], linewidth=1, dashes=(5, 3))
        for one, place in zip(series, places, strict=True):
            colour, marker = KINDS[one.rank % len(KINDS)], MARKERS[one.rank % len(MARKERS)]
            now = one.day == today
            day = one.day + np.where(now, (place + 0.5) * TONIGHT, place * SPREAD)
            _draw(axes, day, one, PALETTE[colour])
            axes.plot(day, one.value, marker, color=PALETTE[colour], markersize=3.5, label=one.name)
            axes.plot(day[now], one.value[now], marker, color=PALETTE[colour], markersize=7)
        axes.set_xlim(begin - 1, end)
        axes.margins(y=0.1)
        axes.set_ylabel(label)
        axes.xaxis.set_major_locator(ticker.FixedLocator(np.arange(today, begin - 1, -7)))
        axes.xaxis.set_major_formatter(dates.DateFormatter("%d %b"))
        axes.set_xlabel("evening of the night")
        legend_above(axes)
    return figure


def _draw(axes: Axes, day: NDArray, one: TelescopeSeries, colour: str) -> None:
    """Errors of one telescope; those that are not known are not drawn."""
    for error, width, alpha in ((one.sys, 4.0, 0.22), (one.stat, 1.2, 1.0)):
        ends = np.stack([one.value - error, one.value + error, np.full(day.size, np.nan)], axis=1)
        axes.plot(
            np.repeat(day, 3), ends.ravel(), color=colour, linewidth=width, alpha=alpha,
            solid_capstyle="butt",
        )  # fmt: skip
