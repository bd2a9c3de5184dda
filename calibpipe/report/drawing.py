"""Looks of the figures: colours by name, sizes, axes. Altitude runs upward, in km above the sea."""

from collections.abc import Sequence

import astropy.units as u
import numpy as np
from astropy.time import Time
from matplotlib import dates, ticker
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure

from .wording import power_of_ten

__all__ = [
    "DEPTH_COLOURS",
    "PALETTE",
    "STYLE",
    "TOP_OF_LIGHT",
    "altitude_axis",
    "colour_bar",
    "decades",
    "dots",
    "legend_above",
    "new_figure",
    "night_axis",
    "note",
    "season_colour",
    "wavelength_axis",
]

# Light-scheme values; distinct, also for colour-blind eyes. The style sheet has the dark ones.
PALETTE = {
    "ink": "#1d2733",
    "faint": "#66727f",
    "grid": "#dfe4ea",
    "paper": "#fefefe",
    "shade": "#eceff3",
    "winter": "#1f6fb5",
    "intermediate": "#12876f",
    "summer": "#c8551b",
    "other": "#8a5aa8",
    "level1": "#b5470b",
    "level2": "#b98207",
    "level3": "#1b2531",
    "level4": "#16857a",
    "level5": "#2c6cb8",
    "level6": "#7a4fae",
    "warning": "#c0392c",
}
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "calibpipe",
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "axes.labelsize": 10.5,
    "axes.labelcolor": PALETTE["ink"],
    "axes.edgecolor": PALETTE["faint"],
    "axes.facecolor": "none",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.unicode_minus": True,
    "figure.facecolor": "none",
    "grid.color": PALETTE["grid"],
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "legend.handlelength": 1.6,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "text.color": PALETTE["ink"],
    "xtick.color": PALETTE["faint"],
    "xtick.labelcolor": PALETTE["ink"],
    "ytick.color": PALETTE["faint"],
    "ytick.labelcolor": PALETTE["ink"],
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "text.parse_math": False,
}
# Cividis from its light end on, darker with depth: one hue order that colour-blind eyes keep.
DEPTH_COLOURS = (
    "#fdea45", "#eed34f", "#d9bf5e", "#bcaa6b", "#9f9671", "#848476",
    "#6c7074", "#545d6f", "#38486d", "#17356a", "#00224e",
)  # fmt: skip
WIDTH, HEIGHT = 480 / 72, 400 / 72  # inches of 72 units: 480 units wide is legible on a telephone
TOP_OF_LIGHT = 30.0  # km: nearly all Cherenkov light is made below


def new_figure(columns: int = 1) -> tuple[Figure, list[Axes]]:
    """Figure with its axes side by side."""
    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    figure.get_layout_engine().set(w_pad=4 / 72, h_pad=4 / 72, wspace=0.04)
    return figure, list(figure.subplots(1, columns, squeeze=False)[0])


def altitude_axis(
    axes: Axes, elevation: u.Quantity, top: float = TOP_OF_LIGHT, bottom: float = 0.0
) -> None:
    """Vertical axis in km; what lies below the site is shaded."""
    axes.set_ylim(bottom, top)
    axes.yaxis.set_major_locator(ticker.MultipleLocator(5 if top <= TOP_OF_LIGHT else 10))
    axes.set_ylabel("altitude above sea level (km)")
    site = elevation.to_value(u.km)
    if site > bottom:
        axes.axhspan(bottom, site, color=PALETTE["shade"], zorder=0.5, linewidth=0)


def wavelength_axis(axes: Axes, wavelength: np.ndarray) -> None:
    """Logarithmic axis in nm, named at round wavelengths."""
    axes.set_xscale("log")
    axes.set_xlim(wavelength[0], wavelength[-1])
    axes.xaxis.set_major_locator(
        ticker.FixedLocator([200, 250, 300, 350, 400, 500, 600, 800, 1000])
    )
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
    axes.set_xlabel("wavelength (nm)")


def night_axis(
    axes: Axes, days: np.ndarray, dusk: Time, dawn: Time, *, is_named: bool = True
) -> None:
    """Time axis in UTC; shade outside astronomical darkness, names at dusk and dawn."""
    ends = dusk.plot_date, dawn.plot_date
    pad = 0.03 * (ends[1] - ends[0])
    low, high = min(days[0], ends[0]) - pad, max(days[-1], ends[1]) + pad
    axes.set_xlim(low, high)
    for begin, end in ((low, ends[0]), (ends[1], high)):
        axes.axvspan(begin, end, color=PALETTE["shade"], zorder=0.5, linewidth=0)
    for moment, name in zip(ends, ("dusk", "dawn"), strict=True):
        axes.axvline(moment, color=PALETTE["faint"], linewidth=1, dashes=(4, 3))
        if not is_named:
            continue
        axes.annotate(
            name,
            (moment, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            va="bottom",
            size=9.5,
            color=PALETTE["faint"],
        )
    hours = 24 * (high - low)
    step = next(step for step in (1, 2, 3, 4, 6, 12) if hours / step <= 9)
    axes.xaxis.set_major_locator(dates.HourLocator(byhour=range(0, 24, step)))
    axes.xaxis.set_major_formatter(dates.DateFormatter("%H:%M"))
    axes.set_xlabel("time (UTC)")


def decades(axis: Axis) -> None:
    """Ticks of a logarithmic axis at powers of ten, in plain characters."""
    axis.set_major_locator(ticker.LogLocator(10, numticks=6))
    axis.set_major_formatter(
        ticker.FuncFormatter(lambda value, _: power_of_ten(round(np.log10(value))))
    )
    axis.set_minor_formatter(ticker.NullFormatter())


def dots(axes: Axes, x: np.ndarray, y: np.ndarray, colour: str, size: float = 2.2) -> None:
    """Points as one path: lines of no length with round ends, where markers would be many."""
    known = np.isfinite(x) & np.isfinite(y)
    lines = np.full((2, np.count_nonzero(known), 3), np.nan)
    lines[0, :, :2], lines[1, :, :2] = np.asarray(x)[known, None], np.asarray(y)[known, None]
    (path,) = axes.plot(
        lines[0].ravel(), lines[1].ravel(), color=colour, linewidth=size, solid_capstyle="round"
    )
    path.get_path().should_simplify = False


def colour_bar(
    axes: Axes, colours: Sequence[str], edges: Sequence[str], title: str, place: float = 1.035
) -> None:
    """Scale above axes: one box for each colour, the edges between them written above.

    Parameters
    ----------
    axes : Axes
    colours : sequence of str
    edges : sequence of str
        One less than colours; an empty text is not written.
    title : str
    place : float
        Of its lower side, in heights of the axes.
    """
    bar = axes.inset_axes((0.0, place, 1.0, 0.035))
    for index, colour in enumerate(colours):
        bar.axvspan(index, index + 1, color=colour, linewidth=0)
    bar.set_xlim(0, len(colours))
    bar.set_yticks([])
    bar.grid(visible=False)
    bar.xaxis.tick_top()
    bar.set_xticks(range(1, len(colours)), edges)
    bar.tick_params(length=0, labelsize=9.5)
    bar.set_title(title, size=10.5, loc="left")
    for spine in bar.spines.values():
        spine.set_visible(False)


def legend_above(axes: Axes) -> None:
    """Legend in a row above the axes."""
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4, borderaxespad=0.2, columnspacing=1.4
    )


def note(axes: Axes, x: float, y: float, label: str) -> None:
    """Remark above a horizontal line, beside the nearer end of the axes."""
    axes.annotate(
        label,
        (x, y),
        xycoords=("axes fraction", "data"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="left" if x < 0.5 else "right",
        va="bottom",
        size=9.5,
        color=PALETTE["faint"],
    )


def season_colour(season: str) -> str:
    """Colour of a season."""
    return PALETTE[season if season in ("winter", "intermediate", "summer") else "other"]
