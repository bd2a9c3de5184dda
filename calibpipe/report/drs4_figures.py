"""Figures of DRS4 corrections: time lapse, noise before and after, sampling times of a pixel."""

import matplotlib as mpl
import numpy as np
from astropy.table import Table
from matplotlib import ticker
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..camera.drs4_time_lapse import TimeLapse
from ..camera.drs4_timing import CAPACITORS, SamplingTimes
from .camera_display import panelled_figure
from .drawing import HEIGHT, PALETTE, STYLE, WIDTH, decades, legend_above

__all__ = ["joined_points", "noise_figure", "sampling_figure", "time_lapse_figure"]

CHANNELS = ("high gain", "low gain")
COLOURS = ("level5", "level1")
PER_DECADE = 6  # points that are drawn


def _plain(column: object) -> NDArray:
    return np.asarray(getattr(column, "value", column), float)


def joined_points(points: Table, law: TimeLapse, channel: int) -> tuple[NDArray, NDArray, NDArray]:
    """Time (ms), excess over the law and its error (ADC), bins joined to few in a decade.

    Within a joined bin the law changes; what is left over it does not.
    """
    own = points[np.asarray(points["channel"]) == channel]
    time, excess, error = (_plain(own[name]) for name in ("time", "excess", "error"))
    weight = 1 / error**2
    bins = np.floor(PER_DECADE * np.log10(time)).astype(int)
    bins, place = np.unique(bins, return_inverse=True)
    total = np.bincount(place, weight, bins.size)
    left = np.bincount(place, weight * (excess - law(time)), bins.size) / total
    at = np.exp(np.bincount(place, weight * np.log(time), bins.size) / total)
    return at, left, 1 / np.sqrt(total)


def time_lapse_figure(points: Table, law: TimeLapse) -> Figure:
    """Excess of readings by the time since the capacitor was read, with the law; what is left."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        figure.get_layout_engine().set(w_pad=4 / 72, h_pad=3 / 72)
        curve, residual = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        reach = 0.0
        for channel in np.unique(np.asarray(points["channel"], int)):
            time, left, error = joined_points(points, law, channel)
            style = {"fmt": "os"[channel], "markersize": 4.5, "linewidth": 1}
            style["color"] = PALETTE[COLOURS[channel]]
            if channel:  # beneath the other, where both agree
                style["markerfacecolor"] = "none"
            label = CHANNELS[channel]
            curve.errorbar(time, law(time) + left, error, label=label, **style)
            residual.errorbar(time, left, error, **style)
            known = error < 10 * error.min()
            reach = max(reach, float(np.abs(left[known]).max() + error[known].max()))
        x = np.geomspace(time.min() / 1.3, law.max_time, 200)
        curve.plot(x, law(x), color=PALETTE["faint"], linewidth=1.4, zorder=0.9, label="law")
        residual.axhline(0, color=PALETTE["faint"], linewidth=1.2)
        curve.set_xscale("log")
        decades(residual.xaxis)
        residual.set_ylim(-1.1 * reach, 1.1 * reach)
        residual.yaxis.set_major_locator(ticker.MaxNLocator(3, symmetric=True))
        curve.set_ylabel("excess (ADC)")
        residual.set_ylabel("left (ADC)")
        residual.set_xlabel("time since the capacitor was read (ms)")
        figure.legend(loc="outside upper left", ncols=3, columnspacing=1.2)
        figure.align_ylabels([curve, residual])
    return figure


def noise_figure(noise: NDArray, spread: NDArray) -> Figure:
    """Distributions over the pixels of the noise that is left, and of what was taken away.

    Parameters
    ----------
    noise, spread : ndarray, (n_channels, n_pixels), ADC
        Of a sample after the correction; standard deviation of the baselines of the capacitors.
    """
    with mpl.rc_context(STYLE):
        figure, ((axes,),) = panelled_figure(1, 1)
        every = np.concatenate([noise.ravel(), spread.ravel()])
        every = every[np.isfinite(every) & (every > 0)]
        low, high = every.min() / 1.1, every.max() * 1.1
        edges = np.geomspace(low, high, 90)
        for channel in range(len(noise)):
            colour = PALETTE[COLOURS[channel]]
            for values, what, dashes in ((noise, "noise left", None), (spread, "spread", (4, 2))):
                own = values[channel]
                own = own[np.isfinite(own)]
                counts, _ = np.histogram(own, edges)
                line = {"color": colour, "linewidth": 1.6}
                if dashes:
                    line["linestyle"] = (0, dashes)
                axes.stairs(counts, edges, label=f"{what}, {CHANNELS[channel]}", **line)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_formatter(ticker.NullFormatter())
        axes.set_xticks([t for t in (0.5, 1, 2, 5, 10, 20, 50, 100) if low <= t <= high])
        axes.set_xlabel("ADC")
        axes.set_ylabel("pixels")
        figure.legend(loc="outside upper left", ncols=2, columnspacing=1.4)
    return figure


def sampling_figure(times: SamplingTimes, pixel: int) -> Figure:
    """Sampling times of a pixel against the number of the first capacitor, with their errors."""
    capacitor = np.arange(0, CAPACITORS, 4)
    shape = capacitor.size, *times.error.shape
    late = times(np.broadcast_to(capacitor[:, np.newaxis, np.newaxis], shape))[..., pixel]
    error = times.error[:, pixel] * np.sqrt(len(times.cosine))
    with mpl.rc_context(STYLE):
        figure, ((axes,),) = panelled_figure(1, 1)
        axes.axhline(0, color=PALETTE["faint"], linewidth=1)
        for channel in range(late.shape[1]):
            colour, own = PALETTE[COLOURS[channel]], late[:, channel]
            axes.fill_between(
                capacitor, own - error[channel], own + error[channel], color=colour, alpha=0.25,
                linewidth=0,
            )  # fmt: skip
            axes.plot(capacitor, own, color=colour, linewidth=1.4, label=CHANNELS[channel])
        axes.set_xlim(0, CAPACITORS)
        axes.xaxis.set_major_locator(ticker.MultipleLocator(256))
        axes.set_xlabel("first capacitor of the chip")
        axes.set_ylabel("pulse late by (ns)")
        legend_above(axes)
    return figure
