"""Figures of the timing of the array: residuals by impact distance, offsets by block."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from astropy.table import Table
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .array_figures import TelescopeValues, kind_colours
from .drawing import PALETTE, STYLE, legend_above, new_figure

__all__ = ["block_figure", "residual_figure"]

LAST = 100.0  # m that the last, open bin of distances is drawn with
SHARE = 0.8  # of a block's place over which its telescopes stand apart
MAX_TICKS = 8
MAX_NAMED = 4


def residual_figure(residuals: Table, tel_ids: NDArray, kinds: NDArray) -> Figure:
    """Mean residual of arrival times against impact distance: telescopes, and their types.

    Parameters
    ----------
    residuals : Table
        One row for each telescope and bin; the last bin is open.
    tel_ids, kinds : ndarray, shape (n_tel,)
        Ascending numbers, and types.
    """
    bins = len(set(np.asarray(residuals["impact_low"]).tolist()))
    low, high, n, total, square, mean, error = (
        np.asarray(residuals[name], float).reshape(-1, bins)
        for name in ("impact_low", "impact_high", "n", "total", "square", "mean", "error")
    )
    ids = np.asarray(residuals["tel_id"]).reshape(-1, bins)[:, 0]
    of_row = kinds[np.searchsorted(tel_ids, ids)]
    edges = np.append(low[0], low[0, -1] + LAST)
    middle = (edges[1:] + edges[:-1]) / 2
    shown = np.where(np.isfinite(error), mean, np.nan)
    colours = kind_colours(kinds)
    with mpl.rc_context(STYLE):
        figure, (axes,) = new_figure()
        axes.axhline(0, color=PALETTE["faint"], linewidth=1)
        marks = []
        for k, (kind, colour) in enumerate(colours.items()):
            mine = of_row == kind
            if not mine.any():
                continue
            _lines(axes, middle, shown[mine], colour)
            own_n, own_total, own_square = (x[mine].sum(axis=0) for x in (n, total, square))
            value, size = _mean(own_n, own_total, own_square)
            place = middle + 6 * (k - (len(colours) - 1) / 2)
            axes.errorbar(
                place, value, size, fmt="o-", color=colour, markersize=5.5, linewidth=1.4,
                elinewidth=1.6, label=kind, zorder=4,
            )  # fmt: skip
            marks += [value - size, value + size]
            precise = error[mine] <= 4 * np.nanmedian(error)
            marks += [np.where(precise, shown[mine], np.nan).ravel()]
        reach = 1.1 * np.nanmax(np.abs(np.append(np.concatenate(marks), 0.01)))
        axes.set_ylim(-reach, reach)
        axes.set_xlim(edges[0], edges[-1])
        labels = [f"{edge:.0f}" for edge in edges[:-1]]
        if not np.isfinite(high[0, -1]):
            labels.append("∞")
        axes.xaxis.set_major_locator(ticker.FixedLocator(edges[: len(labels)]))
        axes.xaxis.set_major_formatter(ticker.FixedFormatter(labels))
        axes.set_xlabel("impact distance (m)")
        axes.set_ylabel("arrival time less the front's (ns)")
        legend_above(axes)
    return figure


def _lines(axes: Axes, x: NDArray, values: NDArray, colour: str) -> None:
    """One thin line a row, all of them one artist."""
    rows, gap = len(values), np.full((len(values), 1), np.nan)
    axes.plot(
        np.append(np.broadcast_to(x, values.shape), gap, axis=1).ravel(),
        np.append(values, gap, axis=1).ravel(),
        color=colour, linewidth=0.8, alpha=0.5 if rows < MAX_TICKS else 0.3,
    )  # fmt: skip


def _mean(n: NDArray, total: NDArray, square: NDArray) -> tuple[NDArray, NDArray]:
    """Mean and standard error from sums; NaN for less than 20."""
    enough = np.where(n >= 20, n, np.nan)
    mean = total / enough
    return mean, np.sqrt(np.maximum(square / enough - mean**2, 0) / (enough - 1))


def block_figure(
    blocks: Sequence[TelescopeValues], labels: Sequence[str], axis_label: str
) -> Figure:
    """A quantity of all telescopes in each observation block, telescopes side by side.

    Parameters
    ----------
    blocks : sequence of TelescopeValues
        Of the same telescopes, in the order of time; marked ones are named.
    labels : sequence of str
        Of the blocks.
    axis_label : str
        Of the vertical axis, with the unit.
    """
    first = blocks[0]
    value, stat, sys, marked = (
        np.array([getattr(block, name) for block in blocks])
        for name in ("value", "stat", "sys", "is_marked")
    )
    n_blocks, n_tel = value.shape
    apart = np.linspace(-SHARE / 2, SHARE / 2, n_tel) if n_tel > 1 else np.zeros(1)
    place = np.arange(n_blocks)[:, None] + apart
    many = n_blocks * n_tel > 60
    with mpl.rc_context(STYLE):
        figure, (axes,) = new_figure()
        for block in range(1, n_blocks, 2):
            axes.axvspan(block - 0.5, block + 0.5, color=PALETTE["shade"], linewidth=0, zorder=0.5)
        axes.axhline(0, color=PALETTE["faint"], linewidth=1)
        for kind, colour in kind_colours(first.kinds).items():
            mine = (first.kinds == kind) & np.isfinite(value)
            x, y = place[mine], value[mine]
            for error, width, alpha in (
                (sys[mine], 2.0 if many else 5.0, 0.25),
                (stat[mine], 1.2, 1),
            ):
                axes.vlines(x, y - error, y + error, color=colour, linewidth=width, alpha=alpha)
            axes.plot(x, y, "o", color=colour, markersize=2.6 if many else 4.5, label=kind)
        axes.plot(
            place[marked], value[marked], "D", color=PALETTE["warning"], markersize=6, zorder=4
        )
        _named(axes, place, value, marked, first.names)
        axes.set_xlim(-0.5, n_blocks - 0.5)
        axes.margins(y=0.1)
        step = -(-n_blocks // MAX_TICKS)
        axes.xaxis.set_major_locator(ticker.FixedLocator(np.arange(0, n_blocks, step)))
        axes.xaxis.set_major_formatter(ticker.FixedFormatter(list(labels)[::step]))
        axes.grid(visible=False, axis="x")
        axes.set_xlabel("observation block, beginning (UTC)")
        axes.set_ylabel(axis_label)
        legend_above(axes)
    return figure


def _named(axes: Axes, place: NDArray, value: NDArray, marked: NDArray, names: NDArray) -> None:
    """Names beside the marked points that are farthest off, each telescope once."""
    distance = np.where(marked & np.isfinite(value), np.abs(value), -1.0)
    worst = np.argmax(distance, axis=0)
    reach = distance[worst, np.arange(len(names))]
    for tel in np.argsort(-reach)[:MAX_NAMED]:
        if reach[tel] >= 0:
            x, y = place[worst[tel], tel], value[worst[tel], tel]
            right = x < len(place) / 2
            axes.annotate(
                str(names[tel]), (x, y), xytext=(7 if right else -7, 0),
                textcoords="offset points", ha="left" if right else "right", va="center", size=9.5,
            )  # fmt: skip
