"""Figures against altitude: backscatter by time with its clouds, median transmission."""

from collections.abc import Sequence
from typing import Any

import astropy.units as u
import matplotlib as mpl
import numpy as np
from astropy.time import Time
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from .aerosol_clouds import Cloud, cell_edges
from .drawing import (
    DEPTH_COLOURS,
    HEIGHT,
    PALETTE,
    STYLE,
    WIDTH,
    altitude_axis,
    colour_bar,
    legend_above,
    new_figure,
    night_axis,
)
from .wording import power_of_ten

__all__ = ["LEVELS", "backscatter_figure", "median_figure"]

LEVELS = np.array([1e-8, 3e-8, 1e-7, 3e-7, 1e-6, 3e-6, 1e-5, 3e-5, 1e-4])  # 1/(m sr)
CLEAR = "#fdf7d2"
COLOURS = (CLEAR, *DEPTH_COLOURS[:1], *DEPTH_COLOURS[2:9], DEPTH_COLOURS[-1])
WAVELENGTHS = {300.0: "level6", 400.0: "level5", 500.0: "level4", 600.0: "level1"}  # nm
RESOLUTION = 110  # dots per inch of the picture


def backscatter_figure(
    time: NDArray,
    altitude: NDArray,
    backscatter: NDArray,
    clouds: Sequence[Cloud],
    wavelength: int,
    elevation: u.Quantity,
    darkness: tuple[Time, Time],
) -> Figure:
    """Backscatter of aerosols and clouds by time and altitude, cloud bases and tops drawn.

    Cells are pixels of a picture inside the SVG element; each profile is as wide as the usual
    interval of profiles.

    Parameters
    ----------
    time : ndarray, shape (n_profiles,)
        Ascending, days of matplotlib.
    altitude : ndarray, shape (n_altitudes,), km
    backscatter : ndarray, shape (n_profiles, n_altitudes), 1/(m sr)
        NaN is hatched; what is not above 0 is clear.
    clouds : sequence of Cloud
    wavelength : int
        Of the layers that are drawn, nm.
    elevation : Quantity
        Of the site.
    darkness : tuple of Time
        Dusk and dawn.
    """
    begin, end = cell_edges(time)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained", dpi=RESOLUTION)
        figure.get_layout_engine().set(w_pad=4 / 72, h_pad=4 / 72)
        axes = figure.subplots()
        night_axis(axes, np.array([begin[0], end[-1]]), *darkness, is_named=False)
        altitude_axis(axes, elevation, top=float(altitude[-1]))
        axes.grid(visible=False)
        axes.add_patch(_unknown((begin[0], altitude[0]), end[-1] - begin[0], np.ptp(altitude)))
        _cells(axes, begin, end, altitude, backscatter)
        _layers(axes, begin, end, clouds, wavelength)
        names = [_level(level) for level in LEVELS]
        title = f"backscatter at {wavelength} nm (m⁻¹ sr⁻¹); hatched: not known"
        colour_bar(axes, COLOURS, names, title)
    return figure


def _unknown(corner: tuple[float, float], width: float, height: float) -> Rectangle:
    return Rectangle(
        corner, width, height, facecolor=PALETTE["shade"], edgecolor=PALETTE["faint"],
        hatch="////", linewidth=0, zorder=0.8,
    )  # fmt: skip


def _cells(
    axes: Axes, begin: NDArray, end: NDArray, altitude: NDArray, backscatter: NDArray
) -> None:
    """Cells with an empty column where profiles are apart."""
    edges, columns = [begin[0]], []
    for k, values in enumerate(backscatter):
        if begin[k] > edges[-1] + 1e-9:
            edges.append(begin[k])
            columns.append(np.full(len(altitude), np.nan))
        edges.append(max(end[k], edges[-1]))
        columns.append(values)
    middle = (altitude[1:] + altitude[:-1]) / 2
    heights = np.concatenate([altitude[:1], middle, altitude[-1:]])
    colours = ListedColormap(COLOURS[1:-1])
    colours = colours.with_extremes(under=COLOURS[0], over=COLOURS[-1], bad=(0, 0, 0, 0))
    axes.pcolormesh(
        np.array(edges), heights, np.ma.masked_invalid(np.array(columns).T),
        cmap=colours, norm=BoundaryNorm(LEVELS, colours.N), rasterized=True, antialiased=False,
        zorder=1,
    )  # fmt: skip


def _layers(
    axes: Axes, begin: NDArray, end: NDArray, clouds: Sequence[Cloud], wavelength: int
) -> None:
    """Bases as lines, tops as dashes, each on a broader line of paper."""
    for column, style in ((2, "-"), (3, (0, (2.5, 1.8)))):
        lines = [_edge(begin, end, cloud, wavelength, column) for cloud in clouds]
        x, y = (np.concatenate([line[k] for line in lines] or [[]]) for k in (0, 1))
        axes.plot(x, y, color=PALETTE["paper"], linewidth=3.4, solid_capstyle="butt", zorder=3)
        axes.plot(
            x, y, color=PALETTE["ink"], linewidth=1.6, linestyle=style, solid_capstyle="butt",
            zorder=4,
        )  # fmt: skip


def _edge(
    begin: NDArray, end: NDArray, cloud: Cloud, wavelength: int, column: int
) -> tuple[list[float], list[float]]:
    """Bases or tops of a cloud as a line of steps; apart where profiles are, or layers several."""
    entries = [entry for entry in cloud.entries if entry[1] == wavelength]
    is_single = len({entry[0] for entry in entries}) == len(entries)
    x: list[float] = []
    y: list[float] = []
    for entry in entries:
        row, height = entry[0], entry[column]
        if x and not (is_single and begin[row] - x[-1] < 1e-9):
            x.append(np.nan)
            y.append(np.nan)
        x += [begin[row], end[row]]
        y += [height, height]
    return [*x, np.nan], [*y, np.nan]


def _level(level: float) -> str:
    """``10⁻⁷`` at powers of ten, ``3`` between."""
    exponent = np.log10(level)
    is_whole = abs(exponent - round(exponent)) < 1e-6
    return power_of_ten(round(exponent)) if is_whole else f"{level / 10 ** np.floor(exponent):.0f}"


def median_figure(
    curves: Sequence[dict[str, Any]], wavelength: NDArray, elevation: u.Quantity
) -> Figure:
    """Median transmission down to the observatory against altitude, by wavelength.

    Parameters
    ----------
    curves : sequence of dict
        Of intervals, the longest first: bold and with its errors. ``altitude`` (km),
        ``transmission`` and ``error``, (n_altitudes, n_wavelengths).
    wavelength : ndarray, shape (n_wavelengths,), nm
    elevation : Quantity
        Of the site.
    """
    columns: dict[int, str] = {}
    for wanted, colour in WAVELENGTHS.items():
        columns.setdefault(int(np.argmin(np.abs(wavelength - wanted))), colour)
    with mpl.rc_context(STYLE):
        figure, (axes,) = new_figure()
        ends = [1.0]
        for number, curve in enumerate(curves):
            z = curve["altitude"]
            for column, colour in columns.items():
                value, error = (curve[name][:, column] for name in ("transmission", "error"))
                bold = number == 0
                axes.plot(
                    value, z, color=PALETTE[colour], linewidth=2.2 if bold else 1.0,
                    alpha=1.0 if bold else 0.6,
                    label=f"{wavelength[column]:g} nm" if bold else None,
                )  # fmt: skip
                if bold:
                    axes.fill_betweenx(
                        z, value - error, value + error, color=PALETTE[colour], alpha=0.2, lw=0
                    )
                    ends.append(np.nanmin(value - error))
                ends.append(np.nanmin(value))
        altitude_axis(axes, elevation, top=float(curves[0]["altitude"][-1]))
        axes.set_xlim(min(ends) - 0.02, 1.01)
        axes.set_xlabel("vertical transmission of aerosols and clouds to the observatory")
        legend_above(axes)
    return figure
