"""Figure of a quantity of all telescopes of an array with its errors.

Elements of one kind are one artist: an array has up to a hundred telescopes and thousands of pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

import matplotlib as mpl
import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .drawing import HEIGHT, PALETTE, STYLE, WIDTH

__all__ = ["TelescopeValues", "kind_colours", "telescope_figure"]

KINDS = {"LST": "level5", "MST": "level1", "SST": "level4"}
OTHERS = ("level6", "level2", "level3")
STEPS = (1, 2, 2.5, 5, 10)  # of the ticks
MAX_ROWS = 20  # telescopes in a column


@dataclass(frozen=True)
class TelescopeValues:
    """A quantity of telescopes, in the order of their numbers.

    Parameters
    ----------
    names, kinds : ndarray, shape (n_tel,), str
    value, stat, sys : ndarray, shape (n_tel,)
        NaN where there is none.
    is_valid, is_marked : ndarray, shape (n_tel,), bool
        Marked: outliers, alarms.
    """

    names: NDArray
    kinds: NDArray
    value: NDArray
    stat: NDArray
    sys: NDArray
    is_valid: NDArray
    is_marked: NDArray

    @property
    def error(self) -> NDArray:
        """Both errors in quadrature."""
        return np.hypot(self.stat, self.sys)


def kind_colours(kinds: NDArray) -> dict[str, str]:
    """Colour of each type of telescope, the same in all figures and at all sites."""
    names = sorted(set(map(str, kinds)))
    others = cycle(OTHERS)
    return {name: PALETTE[KINDS.get(name) or next(others)] for name in names}


def telescope_figure(
    values: TelescopeValues,
    label: str,
    centre: float,
    *,
    beside: TelescopeValues | None = None,
    bands: dict[str, tuple[float, float, float]] | None = None,
) -> Figure:
    """A quantity of all telescopes, types in columns: statistical errors as lines, systematic bars.

    Errors too small to be seen are drawn 10 or 100 times as long, and the axis says so.

    Parameters
    ----------
    values : TelescopeValues
    label : str
        Of the horizontal axis, with the unit.
    centre : float
        Drawn as a line.
    beside : TelescopeValues, optional
        Diamonds next to the points: another measurement.
    bands : dict, optional
        Value, statistical and systematic error of each type, drawn over the whole column.
    """
    columns = _columns(values.kinds)
    rows = max(len(column) for column in columns)
    colours = kind_colours(values.kinds)
    low, high = _limits(values, beside, bands, centre)
    factor = _enlarged(values, high - low)
    with mpl.rc_context(STYLE):
        figure, panels = _panels([max(map(len, values.names[c])) for c in columns], rows)
        for axes, column in zip(panels, columns, strict=True):
            kind = str(values.kinds[column[0]])
            axes.axvline(centre, color=PALETTE["faint"], linewidth=1)
            if bands and kind in bands:
                _band(axes, bands[kind], colours[kind])
            _points(axes, values, column, colours[kind], (low, high), factor)
            if beside is not None:
                _beside(axes, beside, column)
            _names(axes, values, column, rows)
            axes.set_xlim(low, high)
            axes.xaxis.set_major_locator(
                ticker.MaxNLocator(4 if len(columns) < 3 else 3, steps=STEPS)
            )
            axes.set_title(kind, loc="left", size=10.5, color=colours[kind])
        longer = "" if factor == 1 else f"; bars: {factor} times the errors"
        figure.text(0.5, 6 / (72 * HEIGHT), f"{label}{longer}", ha="center", va="bottom")
    return figure


def _panels(characters: Sequence[int], rows: int) -> tuple[Figure, list[Axes]]:
    """Axes side by side with room for names of so many characters; nothing is measured."""
    figure = Figure(figsize=(WIDTH, HEIGHT))
    width, height = 72 * WIDTH, 72 * HEIGHT
    room = [0.64 * _name_size(rows) * (n + 2) + 4 for n in characters]
    gap = 12.0
    inner = (width - sum(room) - gap * len(room)) / len(room)
    panels, left = [], 0.0
    for own in room:
        left += own
        box = (left / width, 44 / height, inner / width, 1 - 70 / height)
        panels.append(figure.add_axes(box))
        left += inner + gap
    return figure, panels


def _name_size(rows: int) -> float:
    return 9.5 if rows > 14 else 10.0


def _columns(kinds: NDArray) -> list[NDArray]:
    """Telescopes of each column: of one type, as many in each column of the type as can be."""
    found = []
    for kind in sorted(set(map(str, kinds))):
        members = np.flatnonzero(kinds == kind)
        found += np.array_split(members, -(-len(members) // MAX_ROWS))
    return found


def _limits(
    values: TelescopeValues,
    beside: TelescopeValues | None,
    bands: dict[str, tuple[float, float, float]] | None,
    centre: float,
) -> tuple[float, float]:
    """Of the axis: what is valid, with its errors; others may be outside."""
    marks = [np.array([centre])]
    for found in (values, beside):
        if found is not None:
            good = found.is_valid & np.isfinite(found.value)
            error = np.nan_to_num(found.error)[good]
            marks += [found.value[good] - error, found.value[good] + error]
    for value, stat, sys in (bands or {}).values():
        marks.append(value + np.hypot(stat, sys) * np.array([-1, 1]))
    ends = np.concatenate(marks)
    pad = 0.06 * np.ptp(ends) or 0.1
    return float(ends.min() - pad), float(ends.max() + pad)


def _enlarged(values: TelescopeValues, width: float) -> int:
    """How many times as long errors are drawn: a bar should not be narrower than its point."""
    error = np.nan_to_num(values.error[values.is_valid])
    if not error.size or not np.any(error > 0):
        return 1
    part = np.median(error[error > 0]) / width
    return next((factor for factor in (1, 10) if factor * part > 0.012), 100)


def _band(axes: Axes, band: tuple[float, float, float], colour: str) -> None:
    """Value of a type with its errors, behind its telescopes."""
    value, stat, sys = band
    whole = np.hypot(stat, sys)
    if whole > 0:
        axes.axvspan(value - whole, value + whole, color=colour, alpha=0.13, linewidth=0)
        axes.axvspan(value - stat, value + stat, color=colour, alpha=0.3, linewidth=0)
    axes.axvline(value, color=colour, linewidth=1.2)


def _points(
    axes: Axes,
    values: TelescopeValues,
    column: NDArray,
    colour: str,
    limits: tuple[float, float],
    factor: int,
) -> None:
    row, value = np.arange(len(column), dtype=float), values.value[column]
    inside = (value >= limits[0]) & (value <= limits[1])
    valid, marked = values.is_valid[column] & inside, values.is_marked[column]
    for error, width, alpha in ((values.sys, 5.0, 0.3), (values.stat, 1.4, 1.0)):
        size = factor * error[column]
        known = inside & np.isfinite(size)
        ends = (value - size)[known], (value + size)[known]
        axes.hlines(row[known], *ends, color=colour, linewidth=width, alpha=alpha)
    for chosen, marker, shade, size in (
        (valid & ~marked, "o", colour, 4.5),
        (valid & marked, "D", PALETTE["warning"], 6),
        (inside & ~values.is_valid[column], "x", PALETTE["warning"], 6),
    ):
        axes.plot(value[chosen], row[chosen], marker, color=shade, markersize=size, zorder=4)
    for beyond, end, marker in ((value < limits[0], 0, "<"), (value > limits[1], 1, ">")):
        axes.plot(
            np.full(np.count_nonzero(beyond), limits[end]), row[beyond], marker,
            color=PALETTE["warning"], markersize=6, clip_on=False, zorder=4,
        )  # fmt: skip


def _beside(axes: Axes, beside: TelescopeValues, column: NDArray) -> None:
    """Another measurement of the same telescopes, a little below."""
    known = np.isfinite(beside.value[column])
    row = (np.arange(len(column)) + 0.28)[known]
    chosen = column[known]
    value, error, marked = beside.value[chosen], beside.error[chosen], beside.is_marked[chosen]
    axes.hlines(row, value - error, value + error, color=PALETTE["ink"], linewidth=1.2)
    for own, colour in ((~marked, "ink"), (marked, "warning")):
        axes.plot(value[own], row[own], "D", color=PALETTE[colour], markersize=4, zorder=4)


def _names(axes: Axes, values: TelescopeValues, column: NDArray, rows: int) -> None:
    """Telescopes down the axis; those without a value say so."""
    axes.set_ylim(max(rows, 5) - 0.4, -0.6)
    absent = ~np.isfinite(values.value[column])
    labels = [f"{values.names[k]}{' –' * bool(a)}" for k, a in zip(column, absent, strict=True)]
    axes.yaxis.set_major_locator(ticker.FixedLocator(np.arange(len(column))))
    axes.yaxis.set_major_formatter(ticker.FixedFormatter(labels))
    axes.tick_params(axis="y", length=0, labelsize=_name_size(rows))
    axes.spines["left"].set_visible(False)
