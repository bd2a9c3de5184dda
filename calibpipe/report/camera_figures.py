"""Figures of a camera: maps, distributions, drift.

Outlines and numbers of masked pixels, axes and words are vectors with the colours of the style
sheet.
"""

import matplotlib as mpl
import numpy as np
from astropy.table import Table
from ctapipe.instrument import CameraGeometry
from ctapipe.visualization import CameraDisplay
from matplotlib import dates, ticker
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure

from .camera_display import camera_display, panelled_figure
from .camera_numbers import CHANNELS, REASONS, drift, masked_pixels, night_median, used_reasons
from .drawing import PALETTE, STYLE, legend_above
from .inline_svg import inline_svg

__all__ = ["camera_figures", "distribution_figure", "drift_figure", "map_figure", "mask_figure"]

MAX_LABELS = 15  # more masked pixels are outlined without their numbers
CHANNEL_COLOURS = ("level5", "level1")
# Okabe & Ito 2008, and grey for a good pixel: distinct for colour-blind eyes
GOOD_COLOUR = "#c9cfd6"
REASON_COLOURS = dict(
    zip(
        REASONS,
        ("#56b4e9", "#d55e00", "#0072b2", "#009e73",
         "#cc79a7", "#f0e442", "#e69f00", "#7f3c8d", "#000000"),
        strict=True,
    )
)  # fmt: skip
COLUMNS = {
    "gain": ("gain", "ADC/p.e."),
    "pedestal_offset": ("pedestal", "ADC per sample"),
    "factor": ("factor", "p.e./ADC"),
    "time_shift": ("time shift", "ns"),
    "n_pe": ("photo-electrons", "p.e."),
}


def camera_figures(table: Table, geometry: CameraGeometry, name: str) -> list[dict[str, str]]:
    """Figures of a camera: ``name``, ``title``, ``caption``, ``svg``.

    Parameters
    ----------
    table : Table
        Coefficients with at least one valid row.
    geometry : CameraGeometry
    name : str
        Prefix of the identifiers, unique in the page.
    """
    masked = "Red outline: masked in a valid row; grey: masked in all. Numbers are pixel ids."
    maps = [
        (f"{column}-{channel}", f"{title.capitalize()}, {CHANNELS[channel]}", column, channel)
        for column, (title, _) in COLUMNS.items()
        for channel in range(table["factor"].shape[1])
        if column != "n_pe" and (channel == 0 or column in ("gain", "time_shift"))
    ]
    drawn = [
        (part, title, f"{masked}", map_figure(table, geometry, column, channel))
        for part, title, column, channel in maps
    ]
    drawn.append(
        (
            "mask",
            "Masked pixels by reason",
            "In any valid row and channel; of several reasons the first of the legend is drawn, "
            "the table has all. Numbers are pixel ids.",
            mask_figure(table, geometry),
        )
    )
    drawn.append(
        (
            "distributions",
            "Distributions over the pixels",
            "Gains relative to the median of their channel. Pixels beyond the axes are counted in "
            "the outermost bins.",
            distribution_figure(table),
        )
    )
    drawn.append(
        (
            "drift",
            "Drift over the observation",
            "Change from the median of each pixel over the observation. Line: median of the good "
            "pixels; band: 16 to 84 % of them. Hatched: rows that are invalid.",
            drift_figure(table),
        )
    )
    return [
        {
            "name": f"{name}-{part}",
            "title": title,
            "caption": caption,
            "svg": inline_svg(figure, f"{name}-{part}", f"{title}. {caption}"),
        }
        for part, title, caption, figure in drawn
    ]


def map_figure(table: Table, geometry: CameraGeometry, column: str, channel: int) -> Figure:
    """Camera map of a quantity of one channel, median over the valid rows.

    Colours run from the 1 to the 99 % quantile of the good pixels, of a time shift symmetrically
    about 0.
    """
    title, unit = COLUMNS[column]
    values = night_median(table, column)[channel]
    low, high = _range(values, symmetric=column == "time_shift")
    with mpl.rc_context(STYLE):
        figure, ((axes,),) = panelled_figure(1, 1)
        colours = mpl.colormaps["PuOr" if column == "time_shift" else "cividis"].with_extremes(
            bad="#8d96a0"
        )
        display = camera_display(axes, geometry, np.ma.masked_invalid(values), colours, (low, high))
        bar = figure.colorbar(display.pixels, ax=axes, extend="both", fraction=0.05, pad=0.01)
        bar.solids.set_rasterized(True)
        bar.set_label(f"{title} ({unit})")
        bar.outline.set_visible(False)
        _mark(axes, display, geometry, table)
    return figure


def mask_figure(table: Table, geometry: CameraGeometry) -> Figure:
    """Camera map of the reasons why pixels are masked, in any valid row."""
    bits = used_reasons(table)
    kinds = np.zeros(len(bits))
    for number, reason in reversed(list(enumerate(REASONS, start=1))):
        kinds[bits & reason.value > 0] = number
    colours = ListedColormap([GOOD_COLOUR, *REASON_COLOURS.values()])
    with mpl.rc_context(STYLE):
        figure, ((axes,),) = panelled_figure(1, 1)
        display = camera_display(axes, geometry, kinds, colours, (0, colours.N))
        display.pixels.set_norm(BoundaryNorm(np.arange(colours.N + 1) - 0.5, colours.N))
        _mark(axes, display, geometry, table)
        for number, (reason, colour) in enumerate(REASON_COLOURS.items(), start=1):
            if n := int(np.count_nonzero(kinds == number)):
                axes.scatter([], [], color=colour, marker="h", label=f"{REASONS[reason]} ({n})")
        if kinds.any():
            axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), handletextpad=0.3)
    return figure


def _range(values: np.ndarray, symmetric: bool) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = np.quantile(finite, (0.01, 0.99))
    if symmetric:
        low, high = -max(abs(low), abs(high)), max(abs(low), abs(high))
    return (float(low), float(high)) if high > low else (low - 0.5, low + 0.5)


def _mark(axes: Axes, display: CameraDisplay, geometry: CameraGeometry, table: Table) -> None:
    """Outline masked pixels; numbers where there are few."""
    bad = masked_pixels(table)
    if not bad.size:
        return
    paths = display.pixels.get_paths()
    if len(paths) == geometry.n_pixels:
        outlines = mpl.collections.PathCollection(
            [paths[i] for i in bad],
            facecolors="none",
            edgecolors=PALETTE["warning"],
            linewidths=1.3,
            rasterized=len(bad) > 200,
        )
        axes.add_collection(outlines, autolim=False)
    if len(bad) > MAX_LABELS:
        return
    x, y = (coordinate.to_value(display.unit) for coordinate in (geometry.pix_x, geometry.pix_y))
    for pixel in bad:
        axes.annotate(
            str(pixel),
            (x[pixel], y[pixel]),
            xytext=(5, 5),
            textcoords="offset points",
            size=9,
            color=PALETTE["ink"],
            bbox={"facecolor": PALETTE["paper"], "edgecolor": "none", "pad": 0.8, "alpha": 0.85},
        )


def distribution_figure(table: Table) -> Figure:
    """Distributions of gain, pedestal, time shift and photo-electrons over the good pixels."""
    with mpl.rc_context(STYLE):
        figure, panels = panelled_figure(2, 2)
        columns = ("gain", "pedestal_offset", "time_shift", "n_pe")
        for axes, column in zip(panels.flat, columns, strict=True):
            title, unit = COLUMNS[column]
            values = night_median(table, column)
            if column == "gain":
                values = values / np.nanmedian(values, axis=1, keepdims=True)
                title, unit = "gain / median of the channel", ""
            low, high = _range(values.ravel(), symmetric=False)
            pad = 0.1 * (high - low)
            edges = np.linspace(low - pad, high + pad, 41)
            for channel, of_channel in enumerate(values):
                axes.hist(
                    np.clip(of_channel[np.isfinite(of_channel)], edges[0], edges[-1]),
                    edges,
                    histtype="step",
                    linewidth=1.6,
                    color=PALETTE[CHANNEL_COLOURS[channel]],
                    label=CHANNELS[channel],
                )
            axes.set_xlabel(f"{title} ({unit})" if unit else title)
            axes.xaxis.set_major_locator(ticker.MaxNLocator(5))
        for axes in panels[:, 0]:
            axes.set_ylabel("pixels")
        legend_above(panels[0, 0])
    return figure


def drift_figure(table: Table) -> Figure:
    """Gain, pedestal and factor of the good pixels against time (UTC)."""
    begin, end = table["time"].utc.plot_date, table["time_end"].utc.plot_date
    valid = np.asarray(table["is_valid"], bool)
    edges = np.append(begin, end[-1])
    with mpl.rc_context(STYLE):
        figure, panels = panelled_figure(3, 1)
        for axes, column in zip(panels[:, 0], ("gain", "pedestal_offset", "factor"), strict=True):
            title, _ = COLUMNS[column]
            in_percent = column != "pedestal_offset"
            quantiles = drift(table, column, in_percent=in_percent)
            unit = "%" if in_percent else "ADC"
            for channel, colour in enumerate(CHANNEL_COLOURS[: quantiles.shape[2]]):
                low, median, high = quantiles[:, :, channel]
                axes.fill_between(
                    edges,
                    np.append(low, low[-1]),
                    np.append(high, high[-1]),
                    step="post",
                    color=PALETTE[colour],
                    alpha=0.2,
                    linewidth=0,
                )
                axes.stairs(
                    median,
                    edges,
                    baseline=None,
                    color=PALETTE[colour],
                    linewidth=1.8,
                    label=CHANNELS[channel],
                )
            for row in np.flatnonzero(~valid):
                axes.axvspan(
                    begin[row], end[row], facecolor="none", edgecolor=PALETTE["warning"],
                    hatch="////", linewidth=0, alpha=0.5,
                )  # fmt: skip
            axes.set_ylabel(f"{title}\nchange ({unit})")
            axes.set_xlim(edges[0], edges[-1])
            axes.xaxis.set_major_locator(dates.AutoDateLocator(maxticks=7))
            seconds = "" if edges[-1] - edges[0] > 0.25 / 24 else ":%S"
            axes.xaxis.set_major_formatter(dates.DateFormatter(f"%H:%M{seconds}"))
            axes.tick_params(labelbottom=axes is panels[-1, 0])
        panels[-1, 0].set_xlabel("time (UTC)")
        legend_above(panels[0, 0])
    return figure
