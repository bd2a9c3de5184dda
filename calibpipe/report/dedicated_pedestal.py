"""Pedestal of a camera on the page: numbers, reasons, figures."""

import math
from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import ticker
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..camera.pedestal import PedestalStatus
from .camera_display import panelled_figure
from .dedicated_night import PEDESTAL, DedicatedCamera
from .dedicated_numbers import (
    CHANNELS,
    NOTHING,
    camera_median,
    measured,
    pixels_scatter,
    reason_rows,
)
from .drawing import PALETTE, STYLE, legend_above
from .pixel_map import pixel_map
from .wording import counted

__all__ = [
    "noise_figure",
    "pedestal_figures",
    "pedestal_left_out",
    "pedestal_median",
    "pedestal_numbers",
]

REASONS = {
    PedestalStatus.TOO_FEW_EVENTS: "too few events of the closed camera",
    PedestalStatus.NO_NOISE: "no noise: off, or stuck",
    PedestalStatus.NO_SKY: "no events under the sky",
    PedestalStatus.SKY_BELOW_DARK: "quieter under the sky",
}
KINDS = {"dark": "closed camera", "sky": "night sky"}


def pedestal_median(
    camera: DedicatedCamera, name: str, channel: int = 0
) -> tuple[float, float, float]:
    """Of a channel, over the pixels with a number; systematic error NaN where no pixel has one."""
    found = [camera.of_pedestal(f"{name}{e}") for e in ("", "_stat_error", "_sys_error")]
    if found[0] is None or channel >= len(found[0]):
        return NOTHING
    value, stat, sys = (values[channel] for values in found)
    if not np.isfinite(sys[np.isfinite(value)]).any():
        return *camera_median(value, stat, np.zeros(len(value)))[:2], math.nan
    return camera_median(value, stat, sys)


def pedestal_numbers(camera: DedicatedCamera) -> list[dict[str, Any]]:
    """Numbers of closed camera and night sky by gain channel, of what there is."""
    level = camera.of_pedestal("dark_mean")
    if level is None:
        return []
    rows = []
    for channel, gain in enumerate(CHANNELS[: len(level)]):
        known = np.isfinite(level[channel])
        notes = [f"{known.sum()} of {counted(known.size, 'pixel')}", "per sample"]
        rows += measured(
            f"Baseline, {gain}", pedestal_median(camera, "dark_mean", channel), "ADC", notes
        )
        for kind, title in KINDS.items():
            sample = pedestal_median(camera, f"{kind}_sample_rms", channel)[0]
            rms = camera.of_pedestal(f"{kind}_window_rms")[channel]
            numbers = pedestal_median(camera, f"{kind}_window_rms", channel)
            notes = ["in the window", f"samples {sample:.3g} ADC", *pixels_scatter(rms)]
            rows += measured(f"Pedestal rms, {title}, {gain}", numbers, "ADC", notes)
        rate = camera.of_pedestal("nsb_rate")[channel]
        rows += measured(
            f"Night sky, {gain}",
            pedestal_median(camera, "nsb_rate", channel),
            "p.e./ns",
            [f"{np.isfinite(rate).sum()} of {counted(rate.size, 'pixel')}", *pixels_scatter(rate)],
        )
    return rows


def pedestal_left_out(camera: DedicatedCamera) -> list[dict[str, str]]:
    """Rows of the table of pixels with a fault."""
    status = camera.of_pedestal("status")
    return [] if status is None else reason_rows("pedestal", REASONS, list(status.astype(int)))


def pedestal_figures(camera: DedicatedCamera) -> Iterator[tuple[str, str, str, Figure]]:
    """Name, title, caption, figure; of what there is."""
    level = camera.of_pedestal("dark_mean")
    if level is None or not np.isfinite(level).any():
        return
    geometry = camera.products[PEDESTAL].geometry
    noise = {kind: camera.of_pedestal(f"{kind}_window_rms") for kind in KINDS}
    yield (
        "pedestal-noise",
        "Noise of the pedestal",
        "Rms of the charge in the window, pixel by pixel. Pixels beyond the axes are counted in "
        "the outermost bins. Good: one narrow peak of the closed camera, the night sky well above "
        "it in high gain. Pixels of the night sky at the closed camera: no high voltage.",
        noise_figure(noise),
    )
    if np.isfinite(level[0]).any():
        yield (
            "pedestal-map",
            "Baseline of the closed camera",
            "High gain, mean per sample. Grey: pixels with a fault. Good: some ADC from pixel to "
            "pixel; a step from module to module: offsets are to be set anew.",
            pixel_map(geometry, level[0], "baseline (ADC)"),
        )
    rate = camera.of_pedestal("nsb_rate")[0]
    if np.isfinite(rate).any():
        yield (
            "nsb-map",
            "Night sky",
            "From the variances of open and closed camera, high gain. Grey: no gain, or a fault. "
            "Good: smooth; single bright pixels are stars.",
            pixel_map(geometry, rate, "night sky (p.e./ns)"),
        )


def noise_figure(noise: dict[str, NDArray]) -> Figure:
    """Distributions over the pixels of the rms in the window, a panel for each gain.

    Parameters
    ----------
    noise : dict of str to ndarray, shape (n_channels, n_pixels)
        ADC, by `KINDS`; what is NaN is not drawn.
    """
    n_channels = len(noise["dark"])
    with mpl.rc_context(STYLE):
        figure, (panels,) = panelled_figure(1, n_channels)
        for channel, axes in enumerate(panels):
            values = {kind: of[channel][np.isfinite(of[channel])] for kind, of in noise.items()}
            every = np.concatenate(list(values.values()))
            low, high = np.quantile(every, (0.002, 0.998)) if every.size else (1.0, 10.0)
            edges = np.geomspace(low / 1.6, 1.6 * high, 101)  # one labelled tick at least
            for (kind, found), colour in zip(values.items(), ("level3", "level5"), strict=True):
                if found.size:
                    axes.hist(
                        np.clip(found, edges[0], edges[-1]), edges, histtype="step",
                        color=PALETTE[colour], linewidth=1.8, label=KINDS[kind],
                    )  # fmt: skip
            axes.set_xlabel(f"rms, {CHANNELS[channel]} (ADC)")
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
            axes.xaxis.set_minor_formatter(ticker.NullFormatter())
        panels[0].set_ylabel("pixels")
        legend_above(panels[0])
    return figure
