"""Figures of single photoelectrons: spectra with their fits, chances of fits, gains compared."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..camera.spe_curve import SpeCurve, joined_residuals
from .camera_display import panelled_figure
from .drawing import HEIGHT, PALETTE, STYLE, WIDTH, decades, dots, legend_above

__all__ = ["chance_figure", "gains_figure", "spectrum_figure"]

COMPONENTS = (("no p.e.", "level2"), ("1 p.e.", "level4"), ("2 p.e. and more", "level6"))
LOWEST = 0.5  # events of a bin
INSIDE = 0.9995  # of the events are in the axes
ROOM = 0.13  # of the width, that a label needs
N_CHANCES = 20


def spectrum_figure(curve: SpeCurve) -> Figure:
    """Spectrum with its fit and components above, residuals in standard deviations below."""
    first, last = _range(curve)
    low, high = curve.edges[first], curve.edges[last]
    joined = max(1, (last - first) // 130)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        figure.get_layout_engine().set(w_pad=4 / 72, h_pad=3 / 72)
        spectrum, residual = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        edges, counts = _joined(curve.edges, curve.counts, joined)
        spectrum.stairs(counts, edges, color=PALETTE["ink"], linewidth=1.1, baseline=LOWEST / 10)
        for values, (label, colour) in zip(curve.components, COMPONENTS, strict=True):
            _curve(spectrum, curve.edges, values * joined, label, colour, 1.4)
        _curve(spectrum, curve.edges, curve.expected * joined, "all", "warning", 1.8)
        spectrum.set_yscale("log")
        spectrum.set_ylim(LOWEST, 2 * max(counts.max(initial=1), 1))
        decades(spectrum.yaxis)
        width = joined * (curve.edges[1] - curve.edges[0])
        spectrum.set_ylabel(f"events / {width:.3g} ADC")
        legend_above(spectrum)
        _residuals(residual, *joined_residuals(curve))
        residual.set_xlim(low, high)
        residual.set_xlabel("charge (ADC)")
        for axes in (spectrum, residual):
            for k in (0, 1):
                place = curve.pedestal + k * curve.gain
                axes.axvline(place, color=PALETTE["faint"], linewidth=1, dashes=(4, 3), zorder=0.8)
        labels = [("pedestal", "right"), ("+ gain", "left")]
        has_room = curve.pedestal - low > ROOM * (high - low)
        for k, (label, side) in enumerate(labels):
            if k == 0 and not has_room:
                continue
            spectrum.annotate(
                label,
                (curve.pedestal + k * curve.gain, 0.02),
                xycoords=("data", "axes fraction"),
                xytext=(3 if k else -3, 0),
                textcoords="offset points",
                ha=side,
                size=9.5,
                color=PALETTE["faint"],
                bbox={"facecolor": PALETTE["paper"], "edgecolor": "none", "pad": 0.6, "alpha": 0.8},
            )
        figure.align_ylabels([spectrum, residual])
    return figure


def _range(curve: SpeCurve) -> tuple[int, int]:
    """Bins that hold nearly all events."""
    part = np.cumsum(curve.counts) / max(curve.counts.sum(), 1)
    first = int(np.searchsorted(part, (1 - INSIDE) / 2))
    last = int(np.searchsorted(part, 1 - (1 - INSIDE) / 2)) + 1
    pad = max((last - first) // 20, 1)
    return max(first - pad, 0), min(last + pad, len(curve.counts))


def _joined(edges: NDArray, counts: NDArray, n: int) -> tuple[NDArray, NDArray]:
    """Neighbouring bins added, n each; a rest is left out."""
    size = len(counts) // n
    return edges[: size * n + 1 : n], counts[: size * n].reshape(size, n).sum(axis=1)


def _curve(
    axes: Axes, edges: NDArray, values: NDArray, label: str, colour: str, width: float
) -> None:
    middle, seen = (edges[1:] + edges[:-1]) / 2, values > LOWEST / 5
    axes.plot(middle[seen], values[seen], color=PALETTE[colour], linewidth=width, label=label)


def _residuals(axes: Axes, edges: NDArray, values: NDArray) -> None:
    axes.axhspan(-2, 2, color=PALETTE["shade"], zorder=0.5, linewidth=0)
    if values.size:
        axes.stairs(np.clip(values, -6, 6), edges, color=PALETTE["level5"], fill=True, linewidth=0)
    reach = max(3.5, min(6.0, float(np.abs(values).max(initial=0)) * 1.1))
    axes.set_ylim(-reach, reach)
    axes.yaxis.set_major_locator(ticker.MultipleLocator(2))
    axes.set_ylabel("residual (σ)")


def chance_figure(p_values: NDArray, limit: float) -> Figure:
    """Distribution of p-values over the pixels, and what is expected of the right model.

    Parameters
    ----------
    p_values : ndarray
        Of all pixels that have a fit.
    limit : float
        Fits that are less likely are poor; their part is told.
    """
    known = p_values[np.isfinite(p_values)]
    edges = np.linspace(0, 1, N_CHANCES + 1)
    mean = known.size / N_CHANCES
    with mpl.rc_context(STYLE):
        figure, ((axes,),) = panelled_figure(1, 1)
        spread = np.sqrt(mean * (1 - 1 / N_CHANCES))
        axes.axhspan(mean - spread, mean + spread, color=PALETTE["shade"], linewidth=0, zorder=0.5)
        axes.axhline(mean, color=PALETTE["faint"], dashes=(4, 3), linewidth=1.2)
        axes.hist(known, edges, histtype="step", color=PALETTE["level5"], linewidth=1.8)
        axes.set_xlim(0, 1)
        axes.set_ylim(0)
        axes.set_xlabel("p-value of the fit")
        axes.set_ylabel(f"pixels / {1 / N_CHANCES:g}")
        n_poor = np.count_nonzero(known < limit)
        axes.set_title(
            f"{n_poor} of {known.size} below {limit:g}",
            size=10.5,
            loc="right",
            color=PALETTE["ink"],
        )
    return figure


def gains_figure(gain: NDArray, free_gain: NDArray, pull: NDArray) -> Figure:
    """Gain without a model against that of the fit, and distribution of their pulls.

    Parameters
    ----------
    gain, free_gain : ndarray, shape (n_pixels,)
        ADC per photoelectron.
    pull : ndarray, shape (n_pixels,)
        Difference over the error of the gain without a model.
    """
    known = np.isfinite(gain) & np.isfinite(free_gain)
    with mpl.rc_context(STYLE):
        figure, ((left, right),) = panelled_figure(1, 2)
        dots(left, gain[known], free_gain[known], PALETTE["level5"])
        ends = _ends([gain[known], free_gain[known]])
        left.plot(ends, ends, color=PALETTE["faint"], linewidth=1.2, dashes=(4, 3))
        left.set_xlim(ends)
        left.set_ylim(ends)
        left.set_xlabel("gain of the fit (ADC/p.e.)")
        left.set_ylabel("gain without a model (ADC/p.e.)")
        edges = np.linspace(-6, 6, 37)
        clipped = np.clip(pull[np.isfinite(pull)], edges[0], edges[-1])
        right.axvline(0, color=PALETTE["faint"], linewidth=1, dashes=(4, 3))
        right.hist(clipped, edges, histtype="step", color=PALETTE["level5"], linewidth=1.8)
        right.set_xlabel("difference (σ)")
        right.set_ylabel("pixels")
    return figure


def _ends(values: Sequence[NDArray]) -> tuple[float, float]:
    """Limits of axes that nearly all values are in."""
    every = np.concatenate(values)
    if not every.size:
        return 0.0, 1.0
    low, high = np.quantile(every, (0.002, 0.998))
    pad = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    return float(low - pad), float(high + pad)
