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
    shown = np.where(np.isfinite(error), mean, np.nan)
    last = np.flatnonzero(np.isfinite(shown).any(axis=0)).max(initial=0) + 1
    end = high[0, last - 1]
    edges = np.append(low[0, :last], end if np.isfinite(end) else low[0, last - 1] + LAST)
    middle = (edges[1:] + edges[:-1]) / 2
    shown, error, n, total, square = (x[:, :last] for x in (shown, error, n, total, square))
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
        single = np.abs(shown[np.isfinite(shown)])
        marks.append(np.quantile(single, 0.9, keepdims=True) if single.size else np.zeros(1))
        reach = 1.1 * np.nanmax(np.abs(np.append(np.concatenate(marks), 0.01)))
        axes.set_ylim(-reach, reach)
        axes.set_xlim(edges[0], edges[-1])
        is_open = not np.isfinite(high[0, last - 1])
        labels = [f"{edge:.0f}" for edge in edges[:-1]] + ["∞" if is_open else f"{edges[-1]:.0f}"]
        axes.xaxis.set_major_locator(ticker.FixedLocator(edges))
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
    rank = np.cumsum(np.isfinite(value).any(axis=0)) - 1  # telescopes without values take no place
    apart = SHARE * (rank / max(rank[-1], 1) - 0.5) if rank[-1] > 0 else np.zeros(n_tel)
    place = np.arange(n_blocks)[:, None] + apart
    many = n_blocks * n_tel > 60
    reach = _reach(value, np.hypot(stat, sys), marked)
    drawn = np.clip(value, -reach, reach)
    with mpl.rc_context(STYLE):
        figure, (axes,) = new_figure()
        for block in range(1, n_blocks, 2):
            axes.axvspan(block - 0.5, block + 0.5, color=PALETTE["shade"], linewidth=0, zorder=0.5)
        axes.axhline(0, color=PALETTE["faint"], linewidth=1)
        for kind, colour in kind_colours(first.kinds).items():
            mine = (first.kinds == kind) & np.isfinite(value)
            x, y = place[mine], drawn[mine]
            for error, width, alpha in (
                (sys[mine], 2.0 if many else 5.0, 0.25),
                (stat[mine], 1.2, 1),
            ):
                axes.vlines(x, y - error, y + error, color=colour, linewidth=width, alpha=alpha)
            axes.plot(x, y, "o", color=colour, markersize=2.6 if many else 4.5, label=kind)
        axes.plot(
            place[marked], drawn[marked], "D", color=PALETTE["warning"], markersize=6, zorder=4
        )
        _named(axes, place, value, drawn, marked, first.names)
        axes.set_xlim(-0.5, n_blocks - 0.5)
        axes.set_ylim(-1.1 * reach, 1.1 * reach)
        step = -(-n_blocks // MAX_TICKS)
        axes.xaxis.set_major_locator(ticker.FixedLocator(np.arange(0, n_blocks, step)))
        axes.xaxis.set_major_formatter(ticker.FixedFormatter(list(labels)[::step]))
        axes.grid(visible=False, axis="x")
        axes.set_xlabel("observation block, beginning (UTC)")
        axes.set_ylabel(axis_label)
        legend_above(axes)
    return figure


def _reach(value: NDArray, error: NDArray, marked: NDArray) -> float:
    """Half height of the axis: all that is not marked, marked ones up to six times as far."""
    size = np.abs(value) + np.nan_to_num(error)
    others = np.nanmax(np.append(size[~marked], 0.0))
    farthest = np.nanmax(np.append(np.abs(value[marked]), 0.0))
    return float(max(others, min(farthest, 6 * others) if others > 0 else farthest) or 1.0)


def _named(
    axes: Axes, place: NDArray, value: NDArray, drawn: NDArray, marked: NDArray, names: NDArray
) -> None:
    """Names and values of the marked telescopes that are farthest off, each once."""
    distance = np.where(marked & np.isfinite(value), np.abs(value), -1.0)
    worst = np.argmax(distance, axis=0)
    reach = distance[worst, np.arange(len(names))]
    for tel in np.argsort(-reach)[:MAX_NAMED]:
        if reach[tel] >= 0:
            x, y = place[worst[tel], tel], drawn[worst[tel], tel]
            right = x < len(place) / 2 - 0.5
            number = f"{value[worst[tel], tel]:+.3g}".replace("-", "\N{MINUS SIGN}")
            axes.annotate(
                f"{names[tel]} {number}", (x, y), xytext=(7 if right else -7, 0),
                textcoords="offset points", ha="left" if right else "right", va="center", size=9.5,
            )  # fmt: skip
