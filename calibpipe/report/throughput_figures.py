"""Figures of muon rings: one on the camera, throughput over the night and over nights, optics."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

import astropy.units as u
import matplotlib as mpl
import numpy as np
from astropy.table import Table
from astropy.time import Time
from ctapipe.coordinates import TelescopeFrame
from ctapipe.instrument import CameraGeometry
from matplotlib import dates, ticker
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from .camera_display import camera_display, panelled_figure
from .drawing import PALETTE, STYLE, legend_above

__all__ = [
    "NightValue",
    "rejection_figure",
    "residual_figure",
    "ring_figure",
    "sector_figure",
    "throughput_figure",
    "trend_figure",
    "width_figure",
]

UNUSED_COLOUR = "#8d96a0"
LIGHT_COLOUR, CIRCLE_COLOUR = "#f4f6f8", "#4b5763"  # on pixels: the same in the dark scheme
MAX_RINGS = 1500  # points of single rings; of more every n-th is drawn
MILLI = 1e3
PARTS = {  # of squared widths, from below, and their colours
    "optics": "level5",
    "chromatic": "level4",
    "drift": "level2",
    "bending": "level3",
    "scattering": "level6",
}
KINDS = ("level5", "level1", "level4", "level6", "level2", "level3")
MARKERS = ("o", "s", "D", "^", "v", "P", "X")


@dataclass(frozen=True)
class NightValue:
    """A value of one telescope in one night.

    Parameters
    ----------
    array_element : str
    time : Time
    value, stat, sys : float
        Errors may be NaN: then they are not drawn.
    """

    array_element: str
    time: Time
    value: float
    stat: float = float("nan")
    sys: float = float("nan")


def ring_figure(example: Table, geometry: CameraGeometry, mirror_radius: float) -> Figure:
    """Image of a muon, the fitted circle, and the impact point if the circle were the mirror.

    Parameters
    ----------
    example : Table
        One row: ``image``, ``is_used``, and the parameters of the fit.
    geometry : CameraGeometry
    mirror_radius : float
        m
    """
    row = example[0]
    values = np.ma.masked_where(~np.asarray(row["is_used"], bool), row["image"])
    top = float(np.quantile(values.compressed(), 0.998))
    with mpl.rc_context(STYLE):
        colours = mpl.colormaps["cividis"].with_extremes(bad=UNUSED_COLOUR)
        figure, axes = _pixels(geometry, values, colours, (0.0, top), "charge (p.e.)")
        _circle(axes, row, mirror_radius)
    return figure


def residual_figure(example: Table, geometry: CameraGeometry) -> Figure:
    """What the fit leaves of the image of a muon, p.e."""
    row = example[0]
    is_used = np.asarray(row["is_used"], bool)
    residual = np.asarray(row["image"], float) - np.asarray(row["expected"], float)
    values = np.ma.masked_where(~is_used, residual)
    top = float(np.quantile(np.abs(values.compressed()), 0.998))
    with mpl.rc_context(STYLE):
        colours = mpl.colormaps["PuOr"].with_extremes(bad=UNUSED_COLOUR)
        label = "charge less expectation (p.e.)"
        figure, axes = _pixels(geometry, values, colours, (-top, top), label)
        axes.add_patch(_ring(row, CIRCLE_COLOUR, linewidth=1.0, linestyle=(0, (4, 3))))
    return figure


def _pixels(
    geometry: CameraGeometry,
    values: np.ma.MaskedArray,
    colours: Colormap,
    limits: tuple[float, float],
    label: str,
) -> tuple[Figure, Axes]:
    """The camera in the telescope frame (deg)."""
    if not geometry.pix_x.unit.is_equivalent(u.deg):
        geometry = geometry.transform_to(TelescopeFrame())
    low, high = limits
    figure, ((axes,),) = panelled_figure(1, 1)
    display = camera_display(axes, geometry, values, colours, (low, max(high, low + 1e-3)))
    bar = figure.colorbar(
        display.pixels, ax=axes, extend="both" if low < 0 else "max", fraction=0.05, pad=0.01
    )
    bar.solids.set_rasterized(True)
    bar.set_label(label)
    bar.outline.set_visible(False)
    return figure, axes


def _ring(row: Table.Row, colour: str, **style: object) -> Circle:
    centre = float(row["x"]), float(row["y"])
    return Circle(centre, float(row["radius"]), fill=False, edgecolor=colour, **style)


def _circle(axes: Axes, row: Table.Row, mirror_radius: float) -> None:
    """Fitted circle; from its centre towards the impact point, to scale of the mirror."""
    x, y, radius = (float(row[name]) for name in ("x", "y", "radius"))
    impact = np.array([float(row["impact_x"]), float(row["impact_y"])])
    end = np.array([x, y]) + radius * impact / mirror_radius
    axes.add_patch(_ring(row, PALETTE["warning"], linewidth=1.1))
    axes.plot(x, y, "+", color=UNUSED_COLOUR, markersize=9)
    axes.annotate(
        "",
        end,
        (x, y),
        arrowprops={"arrowstyle": "->", "color": LIGHT_COLOUR, "shrinkA": 0, "shrinkB": 0},
    )
    axes.annotate(
        f"impact {np.hypot(*impact):.1f} m",
        (x, y),
        xytext=(0, -11 if end[1] >= y else 11),
        textcoords="offset points",
        ha="center",
        va="top" if end[1] >= y else "bottom",
        size=9.5,
        color=LIGHT_COLOUR,
    )


def throughput_figure(
    chunks: Table, night: Table, rings: Sequence[Table] = (), factor: float = 1.0
) -> Figure:
    """Throughput of chunks over the night, mean with its errors, single rings behind.

    Parameters
    ----------
    chunks, night : Table
        Of the product; night has one row.
    rings : sequence of Table
        ``time``, ``rejection``, ``throughput`` without corrections.
    factor : float
        Of the corrections.
    """
    row = night[0]
    mean, stat, sys = (float(row[name]) for name in ("mean", "sem", "sys_error"))
    whole = float(np.hypot(stat, sys))
    begin, end = (chunks[name].utc.plot_date for name in ("time_start", "time_end"))
    value, error = (np.asarray(chunks[name], float) for name in ("mean", "sem"))
    with mpl.rc_context(STYLE):
        figure, ((axes,),) = panelled_figure(1, 1)
        blue = PALETTE["level5"]
        shown = _single_rings(axes, rings, factor)
        axes.axhspan(mean - whole, mean + whole, color=blue, alpha=0.13, linewidth=0)
        axes.axhspan(mean - stat, mean + stat, color=blue, alpha=0.35, linewidth=0)
        axes.axhline(mean, color=blue, linewidth=1.2, label="night")
        theirs = float(row["ctapipe_mean"])
        axes.axhline(theirs, color=PALETTE["level1"], linewidth=1.2, dashes=(5, 3), label="ctapipe")
        axes.errorbar(
            (begin + end) / 2, value, error, (end - begin) / 2, fmt="o", color=PALETTE["ink"],
            markersize=4.5, elinewidth=1.3, capsize=0, label="chunk", zorder=4,
        )  # fmt: skip
        marks = [mean - whole, mean + whole, theirs, *shown]
        marks += [*(value - error), *(value + error)]
        _time_axis(axes, begin.min(), end.max())
        low, high = np.nanmin(marks), np.nanmax(marks)
        axes.set_ylim(low - 0.08 * (high - low), high + 0.08 * (high - low))
        axes.set_ylabel("optical throughput")
        legend_above(axes)
    return figure


def _single_rings(axes: Axes, rings: Sequence[Table], factor: float) -> np.ndarray:
    """Points of single rings; the 1 and 99 % quantile of their throughputs, if any."""
    good = [table[np.asarray(table["rejection"]) == 0] for table in rings]
    good = [table for table in good if len(table)]
    if not good:
        return np.empty(0)
    time = np.concatenate([table["time"].utc.plot_date for table in good])
    value = factor * np.concatenate([np.asarray(table["throughput"], float) for table in good])
    step = -(-len(time) // MAX_RINGS)
    axes.plot(
        time[::step], value[::step], ".", color=PALETTE["faint"], alpha=0.7, markersize=4.5,
        markeredgewidth=0, label="ring", zorder=1, rasterized=len(time) > 300,
    )  # fmt: skip
    return np.nanquantile(value, (0.01, 0.99))


def _time_axis(axes: Axes, begin: float, end: float) -> None:
    pad = max(0.03 * (end - begin), 1 / 86400)
    axes.set_xlim(begin - pad, end + pad)
    axes.xaxis.set_major_locator(dates.AutoDateLocator(maxticks=7))
    seconds = "" if end - begin > 0.25 / 24 else ":%S"
    axes.xaxis.set_major_formatter(dates.DateFormatter(f"%H:%M{seconds}"))
    axes.set_xlabel("time (UTC)")


def width_figure(profile: Table, psf: Table) -> Figure:
    """Squared widths of rings against their radius, and what they are made of.

    Parameters
    ----------
    profile : Table
        Bins of radius; those without rings are left out.
    psf : Table
        One row.
    """
    known = profile[np.asarray(profile["n_rings"]) > 0]
    radius = np.asarray(known["radius"], float)
    measured, error = (
        MILLI * np.asarray(known[name], float) for name in ("squared_width", "squared_width_error")
    )
    row = psf[0]
    optics = np.full(len(radius), MILLI * max(float(row["variance"]), 0.0))
    parts = [optics, *(MILLI * np.asarray(known[name], float) for name in list(PARTS)[1:])]
    with mpl.rc_context(STYLE):
        figure, ((axes,),) = panelled_figure(1, 1)
        colours = [PALETTE[name] for name in PARTS.values()]
        axes.stackplot(radius, parts, colors=colours, labels=list(PARTS), alpha=0.55, linewidth=0)
        axes.plot(radius, np.sum(parts, axis=0), color=PALETTE["ink"], linewidth=1.0)
        axes.errorbar(
            radius, measured, error, fmt="o", color=PALETTE["ink"], markersize=4.5, elinewidth=1.3,
            zorder=4,
        )  # fmt: skip
        axes.set_xlim(radius.min(), radius.max() + 0.012 * np.ptp(radius))
        top = np.nanmax(np.append(np.sum(parts, axis=0), (measured + error)[_precise(error)]))
        axes.set_ylim(0, 1.06 * top)
        axes.set_xlabel("radius of the ring (deg)")
        axes.set_ylabel("squared width (10⁻³ deg²)")
        legend_above(axes)
    return figure


def _precise(error: np.ndarray) -> np.ndarray:
    """Bins that may decide how high the axis is."""
    return error <= 3 * np.nanmedian(error)


def sector_figure(sectors: Table) -> Figure:
    """Radial shift of the light of each sector of the mirror's azimuth."""
    low, high = (np.asarray(sectors[f"azimuth_{name}"], float) for name in ("low", "high"))
    shift, error = (MILLI * np.asarray(sectors[name], float) for name in ("shift", "shift_error"))
    is_significant = np.asarray(sectors["is_significant"], bool)
    with mpl.rc_context(STYLE):
        figure, ((axes,),) = panelled_figure(1, 1)
        axes.axhline(0, color=PALETTE["faint"], linewidth=1)
        for chosen, colour, marker, label in (
            (~is_significant, "level5", "o", "aligned with the others"),
            (is_significant, "warning", "D", "significant"),
        ):
            if chosen.any():
                middle, half = ((high + low) / 2)[chosen], ((high - low) / 2)[chosen]
                axes.errorbar(
                    middle, shift[chosen], error[chosen], half, fmt=marker, markersize=6,
                    color=PALETTE[colour], elinewidth=1.6, label=label,
                )  # fmt: skip
        for begin, end in zip(low[is_significant], high[is_significant], strict=True):
            axes.axvspan(begin, end, color=PALETTE["warning"], alpha=0.12, linewidth=0)
        reach = 1.15 * np.nanmax(np.append(np.abs(shift) + error, 1.0))
        axes.set_ylim(-reach, reach)
        axes.set_xlim(0, 360)
        axes.xaxis.set_major_locator(ticker.MultipleLocator(60))
        axes.set_xlabel("azimuth on the mirror (deg)")
        axes.set_ylabel("light off the ring, outwards (10⁻³ deg)")
        legend_above(axes)
    return figure


def rejection_figure(reasons: Sequence[tuple[str, int]], n_images: int) -> Figure:
    """Number of images by the reason why they are no rings; one may have several."""
    with mpl.rc_context(STYLE):
        figure, ((axes,),) = panelled_figure(1, 1)
        counts = [n for _, n in reasons]
        places = np.arange(len(counts))
        axes.barh(places, counts, height=0.3, color=PALETTE["level5"], alpha=0.8)
        for place, (text, n) in zip(places, reasons, strict=True):
            axes.annotate(
                text,
                (0, place - 0.15),
                xytext=(0, 2.5),
                textcoords="offset points",
                va="bottom",
                size=10,
            )
            axes.annotate(
                str(n), (n, place), xytext=(5, 0), textcoords="offset points", va="center", size=10
            )
        axes.set_ylim(max(len(counts), 5) - 0.6, -0.8)
        axes.set_xlim(0, max(n_images, 1))
        axes.yaxis.set_visible(False)
        axes.spines["left"].set_visible(False)
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_locator(ticker.MaxNLocator(6, integer=True))
        axes.set_xlabel(f"images (of {n_images})")
    return figure


def trend_figure(
    values: Sequence[NightValue],
    label: str = "optical throughput",
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Values of telescopes over nights: statistical errors as lines, systematic ones as broad bars.

    Parameters
    ----------
    values : sequence of NightValue
        In any order; what is not finite is left out.
    label : str
        Of the vertical axis.
    limits : tuple of float, optional
        Drawn as dashed lines; infinite ones are not.
    """
    known = [entry for entry in values if np.isfinite(entry.value)]
    names = sorted({entry.array_element for entry in known})
    with mpl.rc_context(STYLE):
        figure, ((axes,),) = panelled_figure(1, 1)
        for name, colour, marker in zip(names, cycle(KINDS), cycle(MARKERS), strict=False):
            mine = sorted((e for e in known if e.array_element == name), key=lambda e: e.time)
            _trend(axes, mine, PALETTE[colour], marker)
        for limit in limits or ():
            if np.isfinite(limit):
                axes.axhline(limit, color=PALETTE["warning"], linewidth=1, dashes=(5, 3))
        locator = dates.AutoDateLocator(minticks=3, maxticks=7)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator, show_offset=True))
        axes.margins(x=0.06, y=0.12)
        axes.set_xlabel("time (UTC)")
        axes.set_ylabel(label)
        if names:
            legend_above(axes)
    return figure


def _trend(axes: Axes, values: Sequence[NightValue], colour: str, marker: str) -> None:
    """Points of one telescope."""
    days = np.array([entry.time.utc.plot_date for entry in values])
    value, stat, sys = (
        np.array([getattr(entry, name) for entry in values]) for name in ("value", "stat", "sys")
    )
    axes.plot(days, value, color=colour, linewidth=0.8, alpha=0.5)
    for error, width, alpha in ((sys, 6.0, 0.22), (stat, 1.4, 1.0)):
        drawn = np.isfinite(error)
        axes.vlines(
            days[drawn], (value - error)[drawn], (value + error)[drawn], color=colour,
            linewidth=width, alpha=alpha,
        )  # fmt: skip
    axes.plot(days, value, marker, color=colour, markersize=4.5, label=values[0].array_element)
