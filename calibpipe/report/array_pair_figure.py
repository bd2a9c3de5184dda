"""Matrix of the pairs of telescopes: what the fit leaves of each."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .drawing import HEIGHT, PALETTE, STYLE, WIDTH

__all__ = ["MAX_TOGETHER", "pair_figure"]

NO_PAIR, FULL, EMPTY = "#8d96a0", "#20262e", "#f4f6f8"  # on cells: the same in the dark scheme
RESOLUTION = 150  # dots per inch of the cells
MAX_TOGETHER = 20  # telescopes of several types in one matrix
MAX_WRITTEN = 14  # telescopes in a matrix whose cells have numbers
MAX_IN_LINE = 40  # names along an axis
SIGMAS = 3.0  # end of the colours


def pair_figure(
    names: Sequence[str], kinds: Sequence[str], first: NDArray, second: NDArray, sigma: NDArray
) -> Figure:
    """Matrix of what the fit leaves of each pair, in its errors; grey where there is no pair.

    Parameters
    ----------
    names, kinds : sequence of str, length n_tel
        Telescopes of the same type stand together.
    first, second : ndarray, shape (n_pairs,), int
        Places of the telescopes of each pair.
    sigma : ndarray, shape (n_pairs,)
        Logarithm of the ratio of first to second, less the fit, over its error; NaN where the pair
        decides alone: a point without colour.
    """
    n = len(names)
    matrix, there = np.full((n, n), np.nan), np.eye(n, dtype=bool)
    matrix[first, second], matrix[second, first] = sigma, -np.asarray(sigma)
    there[first, second] = there[second, first] = True
    colours = mpl.cm.ScalarMappable(mpl.colors.Normalize(-SIGMAS, SIGMAS), "PuOr")
    cells = colours.to_rgba(np.nan_to_num(matrix))[..., :3]
    cells[np.isnan(matrix) & there] = mpl.colors.to_rgb(EMPTY)
    cells[~there] = mpl.colors.to_rgb(NO_PAIR)
    with mpl.rc_context(STYLE):
        figure, axes, side = _matrix_axes(_room(names))
        axes.imshow(cells, interpolation="nearest")
        alone = np.isnan(sigma)
        rows = np.concatenate([first[alone], second[alone]])
        cols = np.concatenate([second[alone], first[alone]])
        axes.plot(cols, rows, ".", color=NO_PAIR, markersize=3.5)
        if n <= MAX_WRITTEN:
            _written(axes, matrix)
        edges = np.flatnonzero(np.asarray(kinds)[1:] != np.asarray(kinds)[:-1]) + 0.5
        for draw in (axes.axhline, axes.axvline):
            for edge in edges:
                draw(edge, color=FULL, linewidth=1.2)
        _telescope_axes(axes, names)
        bar = figure.colorbar(colours, cax=side, extend="both")
        bar.set_label("log ratio of row to column, less the fit (σ)")
        bar.outline.set_visible(False)
    return figure


def _matrix_axes(room: float) -> tuple[Figure, Axes, Axes]:
    """A square with room (points) for the names along it, and a bar beside."""
    figure = Figure(figsize=(WIDTH, HEIGHT), dpi=RESOLUTION)
    width, height = 72 * WIDTH, 72 * HEIGHT
    inner = min(width - room - 64, height - room - 4)
    bottom = height - inner - 4
    left = max(room, width - 64 - inner)
    axes = figure.add_axes((left / width, bottom / height, inner / width, inner / height))
    box = (left + inner + 10) / width, bottom / height, 15 / width, inner / height
    return figure, axes, figure.add_axes(box)


def _room(names: Sequence[str]) -> float:
    """Points that names take along a matrix: twice as much where every second stands farther out.

    Nothing is measured: that takes longer than the drawing.
    """
    n = len(names)
    once = 0.66 * _cell_size(n) * max(map(len, names)) + 6
    return 2 * once if n > MAX_IN_LINE else once


def _cell_size(n: int) -> float:
    """Of the names of n telescopes along a matrix."""
    return 10 if n <= MAX_WRITTEN else 9 if n <= MAX_TOGETHER else 8


def _written(axes: Axes, matrix: NDArray) -> None:
    """Numbers in the cells of a small matrix."""
    for (row, column), value in np.ndenumerate(matrix):
        if np.isfinite(value):
            text = f"{round(value, 1) + 0.0:.1f}".replace("-", "\N{MINUS SIGN}")
            colour = EMPTY if abs(value) > 0.7 * SIGMAS else FULL
            axes.text(column, row, text, ha="center", va="center", size=9, color=colour)


def _telescope_axes(axes: Axes, names: Sequence[str]) -> None:
    """Names along both axes; of many every second stands farther out."""
    places, n = np.arange(len(names)), len(names)
    crowded = n > MAX_IN_LINE
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    for name, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        axis.set_major_locator(ticker.FixedLocator(places[:: 2 if crowded else 1]))
        axis.set_major_formatter(ticker.FixedFormatter(list(names)[:: 2 if crowded else 1]))
        axis.set_minor_locator(ticker.FixedLocator(places[1::2] if crowded else []))
        axis.set_minor_formatter(ticker.FixedFormatter(list(names)[1::2] if crowded else []))
        turned = {"labelrotation": 90} if name == "x" else {}
        axes.tick_params(axis=name, which="both", length=0, labelsize=_cell_size(n), **turned)
        axes.tick_params(
            axis=name, which="minor", length=_room(names) / 2, width=0.4, color=PALETTE["faint"]
        )
