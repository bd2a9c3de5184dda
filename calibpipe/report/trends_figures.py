"""Trends as drawings that need no script: values of all telescopes over the nights."""

from collections.abc import Sequence
from datetime import date

import matplotlib as mpl
import numpy as np
from matplotlib import dates
from matplotlib.figure import Figure

from .drawing import PALETTE, STYLE
from .inline_svg import inline_svg
from .throughput_figures import KINDS, MARKERS
from .trends_series import Series, TrendFigure, axis_label

__all__ = ["static_svg", "trend_figure"]

_MAX_POINTS = 400  # of a drawing; of more the medians of equal numbers of nights are drawn


def static_svg(figure: TrendFigure, telescopes: Sequence[str], first: date) -> str:
    """SVG element of a figure.

    Parameters
    ----------
    figure : TrendFigure
    telescopes : sequence of str
        Of the page: each has its colour and marker in every figure.
    first : date
        Night that days are counted from.
    """
    told = f"{figure.quantity.title}, night by night; the newest values are in the table below"
    drawn = trend_figure(figure, telescopes, first)
    return inline_svg(drawn, f"trend-{figure.name.replace('_', '-')}", told)


def trend_figure(figure: TrendFigure, telescopes: Sequence[str], first: date) -> Figure:
    """Values over nights, a colour and a marker each telescope; category B is hollow."""
    begin = dates.date2num(first)
    step = max(1, -(-sum(len(s.day) for s in figure.series) // _MAX_POINTS))
    with mpl.rc_context(STYLE):
        drawn = Figure(figsize=(480 / 72, 300 / 72), layout="constrained")
        axes = drawn.subplots()
        for one in figure.series:
            rank = telescopes.index(one.array_element) if one.array_element else 0
            colour = PALETTE[KINDS[rank % len(KINDS)]]
            day, value, error = _thinned(one, step)
            ends = np.stack([value - error, value + error, np.full(len(day), np.nan)], axis=1)
            axes.plot(np.repeat(begin + day, 3), ends.ravel(), color=colour, linewidth=1)
            axes.plot(
                begin + day,
                value,
                MARKERS[rank % len(MARKERS)],
                color=colour,
                markersize=4,
                markerfacecolor=colour if one.category == "C" else PALETTE["paper"],
            )
        locator = dates.AutoDateLocator(minticks=3, maxticks=7)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator, show_offset=True))
        axes.margins(x=0.03, y=0.1)
        axes.set_ylabel(axis_label(figure.quantity))
        axes.set_xlabel("evening of the night")
    return drawn


def _thinned(one: Series, step: int) -> tuple[np.ndarray, ...]:
    """Days, values, statistical errors; of several nights their medians."""
    columns = one.day, one.value, np.nan_to_num(one.stat)
    if step == 1:
        return columns
    parts = -(-len(one.day) // step)
    return tuple(
        np.array([np.median(part) for part in np.array_split(column, parts)]) for column in columns
    )
