"""Figure of the night in one strip: quality, aerosols, clouds and transparency on one time axis."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from astropy.time import Time
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .aerosol_series import Series
from .drawing import HEIGHT, PALETTE, STYLE, WIDTH, night_axis

__all__ = ["QUALITIES", "Quality", "draw_series", "strip_figure"]

QUALITIES = {  # colour and height of its bar: told apart without colours, too
    "good": ("level4", 1.0),
    "correctable": ("level2", 0.72),
    "bad": ("warning", 0.44),
    "unknown": ("faint", 0.16),
}
LEFT, RIGHT, TOP, BOTTOM, GAP = 62.0, 12.0, 30.0, 40.0, 20.0  # units about the panels
QUALITY, LANE, PANEL = 26.0, 23.0, (92.0, 140.0)  # units: of the bar, a reason, a quantity
TOUCH = 1 / 86400  # day: intervals that are nearer touch
MANY = 80  # intervals that are drawn as one line
MAX_DEPTH = 8.0  # limits of the VAOD that its axis reaches at most
SERIES = {"FRAM": "level5", "array": "level5", "all-sky camera": "level6"}


@dataclass(frozen=True)
class Quality:
    """Quality of slices of time.

    Parameters
    ----------
    begin, end : ndarray, shape (n,)
        Days of matplotlib.
    quality : ndarray, shape (n,), str
        Keys of `QUALITIES`.
    reasons : dict
        In words, to where each holds, shape (n,), bool.
    """

    begin: NDArray
    end: NDArray
    quality: NDArray
    reasons: dict[str, NDArray]


def strip_figure(
    darkness: tuple[Time, Time],
    *,
    quality: Quality | None = None,
    depths: Sequence[Series] = (),
    depth_label: str = "VAOD",
    depth_limit: float | None = None,
    cloud: Series | None = None,
    transparency: Series | None = None,
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Panels of what there is, one below the other, on the time axis of the night.

    Parameters
    ----------
    darkness : tuple of Time
        Dusk and dawn.
    quality : Quality, optional
    depths : sequence of Series
        Vertical aerosol optical depths.
    depth_label : str
    depth_limit : float, optional
        Of a clear night.
    cloud, transparency : Series, optional
    limits : tuple of float, optional
        Of the transparency coefficient of good slices.
    """
    depths = [one for one in depths if one.known.any()]
    has = quality is not None, bool(depths), cloud is not None, transparency is not None
    bar = [QUALITY + LANE * len(quality.reasons)] if quality is not None else []
    n_panels = sum(has[1:])
    free = 72 * HEIGHT - TOP - BOTTOM - sum(bar) - GAP * (n_panels + len(bar) - 1)
    panel = float(np.clip(free / max(n_panels, 1), *PANEL))
    with mpl.rc_context(STYLE):
        figure, panels = _panels([*bar, *[panel] * n_panels])
        rest = iter(panels)
        if quality is not None:
            _quality(next(rest), quality)
        if depths:
            _depths(next(rest), depths, depth_label, depth_limit)
        if cloud is not None:
            _cloud(next(rest), cloud)
        if transparency is not None:
            _transparency(next(rest), transparency, limits)
        span = _span([quality, *depths, cloud, transparency])
        for axes in panels:
            is_last = axes is panels[-1]
            night_axis(axes, span, *darkness, is_named=axes is panels[0])
            axes.tick_params(axis="x", labelbottom=is_last)
            axes.set_xlabel("time (UTC)" if is_last else "")
            axes.yaxis.set_label_coords(-44 / (72 * WIDTH - LEFT - RIGHT), 0.5)
    return figure


def _panels(heights: Sequence[float]) -> tuple[Figure, list[Axes]]:
    """Axes one below the other with these heights in units; nothing is measured."""
    whole = TOP + sum(heights) + GAP * (len(heights) - 1) + BOTTOM
    figure, width = Figure(figsize=(WIDTH, whole / 72)), 72 * WIDTH
    panels, upper = [], whole - TOP
    for height in heights:
        box = LEFT / width, (upper - height) / whole, 1 - (LEFT + RIGHT) / width, height / whole
        panels.append(figure.add_axes(box))
        upper -= height + GAP
    return figure, panels


def _span(parts: Sequence[Quality | Series | None]) -> NDArray:
    """First begin and last end."""
    ends = [np.append(part.begin, part.end) for part in parts if part is not None]
    every = np.concatenate(ends)
    return np.array([every.min(), every.max()])


def _quality(axes: Axes, quality: Quality) -> None:
    """Bars of the quality, and below them each reason with the time that it holds."""
    width = quality.end - quality.begin
    for name, (colour, height) in QUALITIES.items():
        mine = quality.quality == name
        if mine.any():
            axes.broken_barh(
                _merged(quality.begin[mine], width[mine]), (0, QUALITY * height),
                facecolor=PALETTE[colour], linewidth=0, label=name,
            )  # fmt: skip
    colours = {name: PALETTE[colour] for name, (colour, _) in QUALITIES.items()}
    for lane, (reason, holds) in enumerate(quality.reasons.items(), start=1):
        for name, colour in colours.items():
            mine = holds & (quality.quality == name)
            if mine.any():
                axes.broken_barh(
                    _merged(quality.begin[mine], width[mine]), (-LANE * lane, 7),
                    facecolor=colour, linewidth=0,
                )  # fmt: skip
        axes.text(
            0.0, -LANE * lane + 8.5, reason, transform=axes.get_yaxis_transform(), size=9.5,
            ha="left", va="bottom",
        )  # fmt: skip
    axes.set_ylim(-LANE * len(quality.reasons), QUALITY)
    axes.yaxis.set_major_locator(ticker.NullLocator())
    axes.grid(visible=False)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.text(
        -6 / (72 * WIDTH - LEFT - RIGHT), QUALITY / 2, "quality", size=10, ha="right",
        va="center", transform=axes.get_yaxis_transform(),
    )  # fmt: skip
    axes.legend(
        loc="lower center", bbox_to_anchor=(0, 1, 1, 0), ncols=4, borderaxespad=0.2,
        columnspacing=1.2, handlelength=1.0,
    )  # fmt: skip


def _merged(begin: NDArray, width: NDArray) -> list[tuple[float, float]]:
    """Begin and width of intervals, those that touch in one."""
    found: list[list[float]] = []
    for first, last in zip(begin.tolist(), (begin + width).tolist(), strict=True):
        if found and first - found[-1][1] < TOUCH:
            found[-1][1] = last
        else:
            found.append([first, last])
    return [(first, last - first) for first, last in found]


def _depths(axes: Axes, depths: Sequence[Series], label: str, limit: float | None) -> None:
    for series in reversed(depths):  # the first one on top
        draw_series(axes, series, PALETTE[SERIES.get(series.label, "level2")])
    known = np.concatenate([series.value[series.known] for series in depths])
    top, bottom = 1.15 * known.max(), min(0.0, 1.15 * known.min())
    if limit is not None:
        axes.axhline(limit, color=PALETTE["warning"], linewidth=1, dashes=(5, 3))
        top = min(max(top, 1.6 * limit), MAX_DEPTH * limit)
        bottom = max(bottom, -MAX_DEPTH * limit)
        _beyond(axes, depths, top)
    axes.set_ylim(bottom, top if top > bottom else bottom + 0.1)
    axes.yaxis.set_major_locator(ticker.MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.set_ylabel(label)
    if len(depths) > 1 or limit is not None:
        if limit is not None:
            axes.plot([], [], color=PALETTE["warning"], linewidth=1, dashes=(5, 3), label="limit")
        axes.legend(
            loc="lower center", bbox_to_anchor=(0, 1, 1, 0), ncols=3, borderaxespad=0.1,
            columnspacing=1.2, handlelength=1.4,
        )  # fmt: skip


def _beyond(axes: Axes, depths: Sequence[Series], top: float) -> None:
    """Triangles at the upper end for what is beyond."""
    places = np.concatenate([one.middle[one.known & (one.value > top)] for one in depths])
    axes.plot(
        places, np.full(len(places), top), "^", color=PALETTE["warning"], markersize=5,
        clip_on=False, zorder=5,
    )  # fmt: skip


def _cloud(axes: Axes, cloud: Series) -> None:
    draw_series(axes, cloud, PALETTE[SERIES[cloud.label]])
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_locator(ticker.FixedLocator([0, 0.5, 1]))
    axes.set_ylabel("cloud fraction")


def _transparency(axes: Axes, series: Series, limits: tuple[float, float] | None) -> None:
    axes.axhline(1.0, color=PALETTE["faint"], linewidth=0.8)
    if limits is not None:
        axes.axhspan(*limits, color=PALETTE["level4"], alpha=0.12, linewidth=0)
        for limit in limits:
            axes.axhline(limit, color=PALETTE["warning"], linewidth=1, dashes=(5, 3))
    draw_series(axes, series, PALETTE[SERIES[series.label]])
    known = series.value[series.known]
    ends = [*(limits or (0.9, 1.1)), *known]
    pad = 0.08 * (max(ends) - min(ends))
    axes.set_ylim(min(ends) - pad, max(ends) + pad)
    axes.yaxis.set_major_locator(ticker.MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.set_ylabel("CTC")


def draw_series(axes: Axes, series: Series, colour: str) -> None:
    """Values over their intervals with both errors, on red where they are not good."""
    known = series.known
    if not known.any():
        return
    many = np.count_nonzero(known) > MANY
    place = series.middle[known]
    value, stat, sys = (getattr(series, name)[known] for name in ("value", "stat", "sys"))
    whole = np.nan_to_num(sys)
    if many:
        axes.plot(place, value, color=colour, linewidth=1.2, label=series.label)
        axes.fill_between(place, value - whole, value + whole, color=colour, alpha=0.2, lw=0)
    else:
        x, y, error = _steps(series.begin[known], series.end[known], value, whole)
        axes.fill_between(x, y - error, y + error, color=colour, alpha=0.22, linewidth=0)
        axes.plot(x, y, color=colour, linewidth=2, solid_capstyle="butt", label=series.label)
    size = np.nan_to_num(stat)
    ends = np.stack([value - size, value + size, np.full(place.size, np.nan)], axis=1)
    axes.plot(np.repeat(place, 3), ends.ravel(), color=colour, linewidth=1.0)
    bad = known & ~series.is_good
    if bad.any():
        x, y, _ = _steps(series.begin[bad], series.end[bad], series.value[bad], 0.0)
        axes.plot(x, y, color=PALETTE["warning"], linewidth=6, solid_capstyle="butt", zorder=1.9)


def _steps(
    begin: NDArray, end: NDArray, value: NDArray, error: NDArray | float
) -> tuple[NDArray, NDArray, NDArray]:
    """Both ends of each interval and a gap, as one line."""
    gap = np.full(len(begin), np.nan)
    x = np.stack([begin, end, end], axis=1).ravel()
    y = np.stack([value, value, gap], axis=1).ravel()
    return x, y, np.repeat(error * np.ones(len(begin)), 3)
