"""Figures of photon transfer: variance against mean, linearity, ratio of gains, gains compared."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from astropy.table import Table
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .camera_display import panelled_figure
from .drawing import HEIGHT, PALETTE, STYLE, WIDTH, decades

__all__ = [
    "comparison_figure",
    "linearity_figure",
    "ratio_figure",
    "transfer_figure",
    "typical_pixel",
]

CHANNELS = ("high gain", "low gain")
COLOURS = ("level5", "level1")
QUANTILES = (0.025, 0.16, 0.5, 0.84, 0.975)
MAX_REACH = 4.0  # tolerances: what saturates is below the axes
AGREE = 0.05  # of two gains


def typical_pixel(pixels: Table) -> int | None:
    """Pixel whose gains are nearest to the medians of the camera; None without any.

    Parameters
    ----------
    pixels : Table
        The row of a photon transfer.
    """
    row = pixels[0]
    good = np.asarray(row["status"]) == 0
    gain = np.where(good, np.asarray(row["gain"], float), np.nan)
    chi2 = np.asarray(row["chi2"], float) / np.maximum(np.asarray(row["n_degrees"], float), 1)
    far = np.zeros(gain.shape[-1])
    for values, weight in ((gain, 10.0), (np.where(good, chi2, np.nan), 1.0)):
        for channel in values:
            if np.isfinite(channel).any():
                far = far + weight * np.abs(channel / np.nanmedian(channel) - 1)
    return int(np.nanargmin(far)) if np.isfinite(far).any() and np.any(good) else None


def transfer_figure(pixels: Table, points: Table, pixel: int) -> Figure:
    """Variance against mean charge of a pixel, with its fits above and their residuals below."""
    row = pixels[0]
    n_channels = np.shape(row["gain"])[0]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        figure.get_layout_engine().set(w_pad=4 / 72, h_pad=3 / 72)
        curve, residual = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        residual.axhspan(-2, 2, color=PALETTE["shade"], zorder=0.5, linewidth=0)
        largest = 0.0
        for channel in range(n_channels):
            numbers = {n: float(row[n][channel, pixel]) for n in _OF_CURVE}
            if np.isfinite(numbers["gain"]):
                part = {n: np.asarray(points[n][:, channel, pixel], float) for n in _OF_POINT}
                used = np.asarray(points["is_used_in_transfer"][:, channel, pixel], bool)
                far = _channel(curve, residual, numbers, part, used, channel)
                largest = max(largest, far)
        curve.set_yscale("log")
        residual.set_xscale("log")
        for axis in (curve.yaxis, residual.xaxis):
            decades(axis)
        curve.set_ylabel("variance of the light (ADC²)")
        residual.set_ylabel("residual (σ)")
        reach = min(max(3.5, 1.1 * largest), 8.0)
        residual.set_ylim(-reach, reach)
        residual.yaxis.set_major_locator(ticker.MultipleLocator(2))
        residual.set_xlabel("mean charge above the pedestal (ADC)")
        figure.legend(loc="outside upper left", ncols=2, columnspacing=1.4)
        figure.align_ylabels([curve, residual])
    return figure


_OF_CURVE = (
    *("gain", "squared_excess_noise_factor", "squared_quadratic_noise", "read_noise", "turn_off"),
)
_OF_POINT = ("signal", "variance", "variance_error")


def _channel(
    curve: Axes,
    residual: Axes,
    numbers: Mapping[str, float],
    points: Mapping[str, NDArray],
    used: NDArray,
    channel: int,
) -> float:
    """One channel of a pixel; largest residual of a point that counts."""
    colour = PALETTE[COLOURS[channel]]
    slope = numbers["squared_excess_noise_factor"] * numbers["gain"]
    bend = numbers["squared_quadratic_noise"]
    signal, variance, error = (points[name] for name in _OF_POINT)
    known = np.isfinite(variance) & (variance > 0) & (signal > 0)
    if not known.any():
        return 0.0
    ends = signal[known].min() / 1.6, signal[known].max() * 1.3
    x = np.geomspace(*ends, 60)
    y = slope * x + bend * x**2
    curve.plot(x[y > 0], y[y > 0], color=colour, linewidth=1.4, label=f"fit, {CHANNELS[channel]}")
    curve.axhline(
        numbers["read_noise"] ** 2, color=colour, linewidth=1, dashes=(1, 2),
        label=f"pedestal, {CHANNELS[channel]}",
    )  # fmt: skip
    for mask, face in ((known & used, colour), (known & ~used, "none")):
        style = {"color": colour, "markerfacecolor": face, "markersize": 5, "linewidth": 1}
        curve.errorbar(signal[mask], variance[mask], error[mask], fmt="o", **style)
        pull = (variance - slope * signal - bend * signal**2)[mask] / error[mask]
        residual.plot(signal[mask], np.clip(pull, -7.5, 7.5), "o", **style)
    if np.isfinite(numbers["turn_off"]):
        for axes in (curve, residual):
            axes.axvline(numbers["turn_off"], color=colour, linewidth=1, dashes=(5, 3))
    pull = (variance - slope * signal - bend * signal**2) / error
    return float(np.abs(pull[known & used]).max(initial=0.0))


def linearity_figure(pixels: Table, points: Table, tolerance: float) -> Figure:
    """Deviations from proportionality of all pixels against the light, of each channel.

    Parameters
    ----------
    pixels, points : Table
        Of a photon transfer.
    tolerance : float
        Relative deviation up to which a point is linear: dashed.
    """
    row = pixels[0]
    good = np.asarray(row["status"]) == 0
    with mpl.rc_context(STYLE):
        figure, panels = panelled_figure(len(good), 1)
        for channel, axes in enumerate(panels[:, 0]):
            x, bands = linearity_quantiles(row, points, channel)
            known = np.isfinite(bands).all(axis=0) & (x > 0)
            _bands(axes, x[known], 100 * bands[:, known], PALETTE[COLOURS[channel]])
            for sign in (-1, 1):
                axes.axhline(
                    100 * sign * tolerance, color=PALETTE["warning"], linewidth=1, dashes=(5, 3)
                )
            spread = np.median(np.abs(bands[1:4, known])) if known.any() else 0.0
            reach = 100 * tolerance * float(np.clip(2.5 * spread / tolerance, 2, MAX_REACH))
            axes.set_ylim(-reach, reach)
            axes.set_xscale("log")
            decades(axes.xaxis)
            axes.set_ylabel("S/(r L) − 1 (%)")
            axes.set_title(CHANNELS[channel], size=10.5, loc="left")
            axes.tick_params(labelbottom=channel == len(good) - 1)
        panels[-1, 0].set_xlabel("light (p.e., median of the pixels)")
        ends = [axes.get_xlim() for axes in panels[:, 0]]
        for axes in panels[:, 0]:
            axes.set_xlim(min(low for low, _ in ends), max(high for _, high in ends))
    return figure


def linearity_quantiles(row: Any, points: Table, channel: int) -> tuple[NDArray, NDArray]:
    """Light of each point in p.e., and `QUANTILES` of the residuals of the good pixels.

    Shapes (n_points,) and (5, n_points); NaN at a point that no pixel has.
    """
    good = np.asarray(row["status"])[channel] == 0
    gain = np.asarray(row["gain"], float)[channel]
    light = np.asarray(points["light"], float)
    signal, residual = (
        np.where(good, np.asarray(points[name], float)[:, channel], np.nan)
        for name in ("signal", "residual")
    )
    of_light = signal / (1 + residual) / gain / light[:, np.newaxis]
    of_light = of_light[np.isfinite(of_light)]
    bands = np.full((len(QUANTILES), len(points)), np.nan)
    for k, of_point in enumerate(residual):
        known = of_point[np.isfinite(of_point)]
        if known.size:
            bands[:, k] = np.quantile(known, QUANTILES)
    return light * (np.median(of_light) if of_light.size else np.nan), bands


def _bands(axes: Axes, x: NDArray, bands: NDArray, colour: str) -> None:
    for outer, alpha in ((0, 0.15), (1, 0.3)):
        axes.fill_between(
            x, bands[outer], bands[-1 - outer], color=colour, alpha=alpha, linewidth=0
        )
    axes.plot(x, bands[2], "o-", color=colour, markersize=4, linewidth=1.6)


def ratio_figure(ratio: NDArray, error: NDArray) -> Figure:
    """Distribution of high over low gain, and its statistical errors.

    Parameters
    ----------
    ratio, error : ndarray, shape (n_pixels,)
    """
    known = np.isfinite(ratio) & np.isfinite(error)
    with mpl.rc_context(STYLE):
        figure, ((left, right),) = panelled_figure(1, 2)
        for axes, values, label in (
            (left, ratio[known], "high gain / low gain"),
            (right, 100 * (error / ratio)[known], "statistical error (%)"),
        ):
            low, high = np.quantile(values, (0.005, 0.995)) if values.size else (0.0, 1.0)
            pad = 0.1 * (high - low) or 0.5
            edges = np.linspace(low - pad, high + pad, 41)
            axes.hist(
                np.clip(values, edges[0], edges[-1]), edges, histtype="step",
                color=PALETTE["level5"], linewidth=1.8,
            )  # fmt: skip
            axes.set_xlabel(label)
            axes.xaxis.set_major_locator(ticker.MaxNLocator(4))
        left.axvline(np.median(ratio[known]), color=PALETTE["faint"], linewidth=1, dashes=(4, 3))
        left.set_ylabel("pixels")
    return figure


def comparison_figure(ratios: Mapping[str, NDArray]) -> Figure:
    """Distributions over the pixels of ratios of gains from different methods.

    Parameters
    ----------
    ratios : mapping of str to ndarray, shape (n_pixels,)
        Three at most, by what is over what.
    """
    known = {name: values[np.isfinite(values)] for name, values in ratios.items()}
    every = np.concatenate(list(known.values()))
    low, high = np.quantile(every, (0.005, 0.995))
    reach = max(abs(low - 1), abs(high - 1), 1.6 * AGREE)
    edges = np.linspace(1 - reach, 1 + reach, 61)
    with mpl.rc_context(STYLE):
        figure, ((axes,),) = panelled_figure(1, 1)
        axes.axvspan(1 - AGREE, 1 + AGREE, color=PALETTE["shade"], linewidth=0, zorder=0.5)
        axes.axvline(1, color=PALETTE["faint"], linewidth=1, dashes=(4, 3))
        for (name, values), colour in zip(
            known.items(), ("level5", "level1", "level4"), strict=False
        ):
            axes.hist(
                np.clip(values, edges[0], edges[-1]), edges, histtype="step",
                color=PALETTE[colour], linewidth=1.8,
                label=f"{name}: median {np.median(values):.3f}",
            )  # fmt: skip
        axes.set_xlabel("ratio of gains")
        axes.set_ylabel("pixels")
        figure.legend(loc="outside upper left", ncols=1)
    return figure
