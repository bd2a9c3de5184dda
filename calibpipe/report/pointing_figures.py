"""Figures of pointing over the night, and of the images of stars against the field angle."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib import dates, ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .camera_display import panelled_figure
from .drawing import HEIGHT, PALETTE, STYLE, WIDTH, legend_above
from .pointing_night import Offsets

__all__ = ["ImagePoint", "PsfCurve", "offset_figure", "psf_figure"]

AXES = ("dlon (arcsec)", "dlat (arcsec)")
COLOURS = ("level5", "level4")
DAY = 86400.0  # s
MANY = 100  # rows
MARKS = 10  # of a reference in a run: it is smooth
MAX_SPANS, LONG = 4, 0.25
NARROW = 0.12  # of the width, that every part has at least
MAX_TICKS = 7
STEPS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 240)  # minutes
GAP = 0.5  # durations between two rows that are drawn apart
DEGREE = 3600.0


def offset_figure(offsets: Offsets, reference: NDArray, name: str, limit: float) -> Figure:
    """Offsets with both errors over the night, what they are compared with, and the requirement.

    Parameters
    ----------
    offsets : Offsets
        With at least one valid row.
    reference : ndarray, shape (n, 2)
        Offsets to compare with, arcsec; NaN where there is none.
    name : str
        Of the reference.
    limit : float
        Requirement, arcsec: dashed on both sides of the reference.
    """
    spans = time_spans(offsets)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        figure.get_layout_engine().set(w_pad=4 / 72, h_pad=4 / 72)
        lengths = [end - begin for begin, end in spans]
        shares = [max(length, NARROW * sum(lengths)) for length in lengths]
        panels = figure.subplots(2, len(spans), squeeze=False, sharey="row", width_ratios=shares)
        for (k, column), axes in np.ndenumerate(panels):
            _offsets(axes, offsets, k)
            _reference(axes, offsets, reference[:, k], name, limit)
            _invalid(axes, offsets)
            axes.yaxis.set_major_locator(ticker.MaxNLocator(5, steps=[1, 2, 5, 10]))
            _time_axis(axes, *spans[column], shares[column] / sum(shares))
            axes.tick_params(labelbottom=k == 1)
            if column:
                axes.spines["left"].set_visible(False)
                axes.tick_params(left=False)
        for axes, label in zip(panels[:, 0], AXES, strict=True):
            axes.set_ylabel(label)
        figure.supxlabel("time (UTC)", size=10.5)
        figure.legend(
            *panels[0, 0].get_legend_handles_labels(), loc="outside upper left", ncols=4,
            borderaxespad=0.2, columnspacing=1.4,
        )  # fmt: skip
        figure.align_ylabels(panels[:, 0])
    return figure


def time_spans(offsets: Offsets) -> list[tuple[float, float]]:
    """Begin and end of what is drawn side by side: parts that are far from each other, 4 at most.

    Days of matplotlib. A gap is left out if it is longer than a quarter of the rest.
    """
    gaps = offsets.begin[1:] - np.maximum.accumulate(offsets.end)[:-1]
    covered = float(np.sum(offsets.end - offsets.begin))
    wide = [k for k in np.argsort(-gaps)[: MAX_SPANS - 1] if gaps[k] > LONG * covered]
    parts = np.split(np.arange(len(offsets)), np.sort(np.array(wide, int)) + 1)
    return [(float(offsets.begin[p].min()), float(offsets.end[p].max())) for p in parts]


def _offsets(axes: Axes, offsets: Offsets, k: int) -> None:
    """Points with statistical errors as lines (of many: a band), systematic ones as a band."""
    known, colour = offsets.is_valid, PALETTE[COLOURS[k]]
    begin, end = offsets.begin[known], offsets.end[known]
    value, stat, sys = (part[known, k] for part in (offsets.value, offsets.stat, offsets.sys))
    has_many = len(begin) > MANY
    ends = np.flatnonzero(begin[1:] - end[:-1] > GAP * np.median(end - begin)) + 1
    x = _apart(np.stack([begin, end], axis=1), ends)
    y = _apart(np.stack([value, value], axis=1), ends)
    for error, alpha in ((stat, 0.2), (sys, 0.28)) if has_many else ((sys, 0.25),):
        size = _apart(np.stack([error, error], axis=1), ends)
        axes.fill_between(x, y - size, y + size, color=colour, alpha=alpha, linewidth=0)
    if has_many:
        axes.plot(x, y, color=colour, linewidth=1.6, solid_capstyle="butt")
        return
    middle, gap = (begin + end) / 2, np.full(len(begin), np.nan)
    lines = np.stack([value - stat, value + stat, gap], axis=1)
    axes.plot(np.repeat(middle, 3), lines.ravel(), color=colour, linewidth=1.1)
    axes.plot(middle, value, "o", color=colour, markersize=3.5)


def _apart(both: NDArray, breaks: NDArray) -> NDArray:
    """Begin and end of rows as one line, with a gap before some of the rows."""
    return np.insert(both.ravel(), 2 * breaks, np.nan)


def _reference(axes: Axes, offsets: Offsets, reference: NDArray, name: str, limit: float) -> None:
    """Line of the reference and dashes of the requirement, with gaps where the time has some."""
    middle, red = (offsets.begin + offsets.end) / 2, PALETTE["warning"]
    usual = np.median(offsets.end - offsets.begin)
    breaks = np.flatnonzero(np.diff(middle) > (1 + GAP) * usual) + 1
    known = np.isfinite(reference)
    for k, rows in enumerate(np.split(np.arange(len(middle)), breaks)):
        part = rows[known[rows]]
        if not part.size:
            continue
        part = part[np.unique(np.linspace(0, part.size - 1, MARKS).astype(int))]
        x = np.concatenate([[offsets.begin[part[0]]], middle[part], [offsets.end[part[-1]]]])
        y = reference[part][[0, *range(part.size), -1]]
        label = {"label": name} if k == 0 else {}
        axes.plot(x, y, color=PALETTE["ink"], linewidth=1.3, zorder=1.5, **label)
        for sign in (-1, 1):
            told = {"label": f"±{limit:g} arcsec"} if k == 0 and sign == 1 else {}
            axes.plot(x, y + sign * limit, color=red, linewidth=1, dashes=(5, 3), **told)


def _invalid(axes: Axes, offsets: Offsets) -> None:
    """Bars at the foot where there is no valid offset."""
    bad = ~offsets.is_valid
    if not bad.any():
        return
    gap = np.full(np.count_nonzero(bad), np.nan)
    x = np.stack([offsets.begin[bad], offsets.end[bad], gap], axis=1).ravel()
    axes.plot(
        x, np.full(len(x), 0.015), transform=axes.get_xaxis_transform(), linewidth=5,
        color=PALETTE["warning"], solid_capstyle="butt", label="not valid",
    )  # fmt: skip


def _time_axis(axes: Axes, begin: float, end: float, share: float) -> None:
    """Full minutes, as many as a share of the width holds."""
    pad = max(0.04 * (end - begin), 5 / DAY)
    axes.set_xlim(begin - pad, end + pad)
    minutes = (end - begin + 2 * pad) * DAY / 60
    most = max(1.0, MAX_TICKS * share)
    step = next((step for step in STEPS if minutes / step <= most), STEPS[-1])
    first = np.ceil((begin - pad) * 1440 / step) * step
    axes.xaxis.set_major_locator(
        ticker.FixedLocator(np.arange(first, (end + pad) * 1440, step) / 1440)
    )
    axes.xaxis.set_major_formatter(dates.DateFormatter("%H:%M"))


@dataclass(frozen=True)
class PsfCurve:
    """Images of stars of an observation block, all in arcsec, angles in deg.

    Parameters
    ----------
    name : str
    angle, width, error : ndarray, shape (n_stars,)
        Of single stars: field angle, width per axis along the radius, statistical error.
    model_angle, model_width : ndarray
        Width along the radius of all stars together.
    theta_angle, theta, theta_stat, theta_sys : ndarray
        Radius that holds 80 % of the light.
    """

    name: str
    angle: NDArray
    width: NDArray
    error: NDArray
    model_angle: NDArray
    model_width: NDArray
    theta_angle: NDArray
    theta: NDArray
    theta_stat: NDArray
    theta_sys: NDArray


@dataclass(frozen=True)
class ImagePoint:
    """Width per axis along the radius at an angle (deg), with its whole error, arcsec."""

    angle: float
    width: float
    error: float


def psf_figure(curves: Sequence[PsfCurve], muons: ImagePoint | None = None) -> Figure:
    """Width along the radius and radius of 80 % of the light, against the field angle.

    Parameters
    ----------
    curves : sequence of PsfCurve
        At least one.
    muons : ImagePoint, optional
        Width of muon rings.
    """
    with mpl.rc_context(STYLE):
        figure, ((upper,), (lower,)) = panelled_figure(2, 1)
        for k, curve in enumerate(curves):
            _widths(upper, curve, is_named=k == 0)
            _thetas(lower, curve, is_named=k == 0)
        if muons is not None:
            upper.errorbar(
                muons.angle, muons.width, muons.error, fmt="D", color=PALETTE["level1"],
                markersize=6, elinewidth=2, label="muon rings", zorder=5,
            )  # fmt: skip
        far = max(float(np.max(curve.theta_angle)) for curve in curves)
        for axes, label in ((upper, "σ along the radius"), (lower, "θ₈₀ (radius)")):
            axes.set_xlim(-0.02 * far, 1.04 * far)
            axes.set_ylim(bottom=0)
            axes.set_ylabel(f"{label}\n(arcsec)")
            axes.yaxis.set_major_locator(ticker.MaxNLocator(5, steps=[1, 2, 5, 10]))
            _in_degrees(axes)
        upper.tick_params(labelbottom=False)
        lower.set_xlabel("field angle (deg)")
        legend_above(upper)
        figure.align_ylabels([upper, lower])
    return figure


def _widths(axes: Axes, curve: PsfCurve, *, is_named: bool) -> None:
    blue = PALETTE["level5"]
    axes.errorbar(
        curve.angle, curve.width, curve.error, fmt="o", color=blue, markersize=4, elinewidth=1.2,
        label="stars" if is_named else None,
    )  # fmt: skip
    axes.plot(
        curve.model_angle, curve.model_width, color=blue, linewidth=1.4,
        label="all stars together" if is_named else None,
    )  # fmt: skip


def _thetas(axes: Axes, curve: PsfCurve, *, is_named: bool) -> None:
    teal = PALETTE["level4"]
    whole = np.hypot(curve.theta_stat, curve.theta_sys)
    for error, alpha in ((whole, 0.18), (curve.theta_stat, 0.35)):
        axes.fill_between(
            curve.theta_angle, curve.theta - error, curve.theta + error, color=teal, alpha=alpha,
            linewidth=0,
        )  # fmt: skip
    axes.plot(
        curve.theta_angle, curve.theta, "o-", color=teal, markersize=3.5, linewidth=1.4,
        label="θ₈₀ of stars" if is_named else None,
    )  # fmt: skip


def _in_degrees(axes: Axes) -> None:
    """The same in degrees on the right."""
    right = axes.secondary_yaxis("right", functions=(lambda y: y / DEGREE, lambda y: y * DEGREE))
    right.set_ylabel("(deg)")
    right.yaxis.set_major_locator(ticker.MaxNLocator(4, steps=[1, 2, 5, 10]))
    right.spines["right"].set_visible(False)
