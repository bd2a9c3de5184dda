"""Cameras as ctapipe displays them, for the page.

Hexagons are pixels of a picture inside the SVG element: 1855 paths a map would be heavy.
"""

from typing import Any

import numpy as np
from ctapipe.instrument import CameraGeometry
from ctapipe.visualization import CameraDisplay
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .drawing import HEIGHT, WIDTH

__all__ = ["camera_display", "panelled_figure"]

RESOLUTION = 110  # dots per inch of the rasterised maps


def panelled_figure(rows: int, columns: int) -> tuple[Figure, np.ndarray]:
    """Figure with its axes, (rows, columns)."""
    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained", dpi=RESOLUTION)
    figure.get_layout_engine().set(w_pad=4 / 72, h_pad=4 / 72)
    return figure, figure.subplots(rows, columns, squeeze=False)


def camera_display(
    axes: Axes,
    geometry: CameraGeometry,
    values: np.ndarray,
    colours: Any,
    limits: tuple[float, float],
) -> CameraDisplay:
    """Display of ctapipe as a picture, with nothing about it."""
    display = CameraDisplay(
        geometry, ax=axes, title="", show_frame=False, autoupdate=False, cmap=colours
    )
    display.pixels.set_array(values)
    display.pixels.set_clim(*limits)
    display.pixels.set_edgecolor("face")
    display.pixels.set_linewidth(0.2)
    display.pixels.set_antialiased(False)  # fewer colours: a quarter of the size
    display.pixels.set_rasterized(True)
    display.pixel_highlighting.remove()  # 1855 invisible paths
    axes.set_axis_off()
    axes.grid(visible=False)
    return display
