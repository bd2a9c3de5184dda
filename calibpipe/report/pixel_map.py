"""Maps of a camera: a number of each pixel, or one of a few classes."""

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
from ctapipe.instrument import CameraGeometry
from ctapipe.visualization import CameraDisplay
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .camera_display import camera_display, panelled_figure
from .drawing import PALETTE, STYLE

__all__ = ["class_map", "pixel_map"]

UNKNOWN = "#8d96a0"  # of a pixel without a number
USUAL = "#c9cfd6"  # of a pixel of no class
MAX_OUTLINES = 200  # more are a picture


def pixel_map(geometry: CameraGeometry, values: NDArray, label: str) -> Figure:
    """Map of a number; colours run from its 1 to its 99 % quantile, grey where there is none.

    Parameters
    ----------
    geometry : CameraGeometry
    values : ndarray, shape (n_pixels,)
    label : str
        With unit.
    """
    known = values[np.isfinite(values)]
    low, high = np.quantile(known, (0.01, 0.99)) if known.size else (0.0, 1.0)
    if not high > low:
        low, high = low - 0.5, low + 0.5
    with mpl.rc_context(STYLE):
        figure, ((axes,),) = panelled_figure(1, 1)
        colours = mpl.colormaps["cividis"].with_extremes(bad=UNKNOWN)
        display = camera_display(
            axes, geometry, np.ma.masked_invalid(values), colours, (float(low), float(high))
        )
        ends = {(False, False): "neither", (True, False): "min", (False, True): "max"}
        beyond = bool(np.any(known < low)), bool(np.any(known > high))
        bar = figure.colorbar(
            display.pixels, ax=axes, extend=ends.get(beyond, "both"), fraction=0.05, pad=0.01
        )
        bar.solids.set_rasterized(True)
        bar.set_label(label)
        bar.outline.set_visible(False)
    return figure


def class_map(
    geometry: CameraGeometry,
    classes: NDArray,
    colours: Mapping[str, str],
    outlined: NDArray | None = None,
    outline: str = "",
) -> Figure:
    """Map of classes with a legend that counts them.

    Parameters
    ----------
    geometry : CameraGeometry
    classes : ndarray, shape (n_pixels,), int
        0: none, which is light grey; k: the k-th of `colours`.
    colours : mapping of str to str
        Name of a class to its colour.
    outlined : bool ndarray, shape (n_pixels,), optional
        Pixels with a red outline.
    outline : str
        What it means.
    """
    scale = ListedColormap([USUAL, *colours.values()])
    with mpl.rc_context(STYLE):
        figure, ((axes,),) = panelled_figure(1, 1)
        display = camera_display(axes, geometry, classes, scale, (0, scale.N))
        display.pixels.set_norm(BoundaryNorm(np.arange(scale.N + 1) - 0.5, scale.N))
        for number, (name, colour) in enumerate(colours.items(), start=1):
            if n := int(np.count_nonzero(classes == number)):
                axes.scatter(
                    [], [], facecolor=colour, edgecolor=PALETTE["faint"], linewidth=0.6, marker="h",
                    s=45, label=f"{name} ({n})",
                )  # fmt: skip
        if outlined is not None and np.any(outlined):
            _outline(axes, display, np.flatnonzero(outlined))
            axes.scatter(
                [], [], facecolor="none", edgecolor=PALETTE["warning"], marker="h", s=45,
                label=f"{outline} ({np.count_nonzero(outlined)})",
            )  # fmt: skip
        if axes.get_legend_handles_labels()[0]:
            figure.legend(loc="outside upper left", ncols=3, handletextpad=0.2, columnspacing=1.2)
    return figure


def _outline(axes: Axes, display: CameraDisplay, pixels: NDArray) -> None:
    paths = display.pixels.get_paths()
    if len(paths) <= pixels.max():
        return
    outlines = PathCollection(
        [paths[i] for i in pixels],
        facecolors="none",
        edgecolors=PALETTE["warning"],
        linewidths=1.3,
        rasterized=len(pixels) > MAX_OUTLINES,
    )
    axes.add_collection(outlines, autolim=False)
