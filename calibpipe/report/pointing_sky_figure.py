"""What a pointing model leaves over the sky: vectors on a map with the zenith in its middle."""

from dataclasses import dataclass

import astropy.units as u
import matplotlib as mpl
import numpy as np
from astropy.table import Table
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Wedge
from numpy.typing import NDArray

from .drawing import HEIGHT, PALETTE, STYLE, WIDTH
from .pointing_camera_figure import bar_length
from .pointing_night import arcsec

__all__ = ["MAX_SINGLE", "SkyResiduals", "sky_residual_figure", "sky_residuals", "to_map"]

MAX_SINGLE = 150  # measurements that are drawn one by one; of more, means of cells
ROW = 10.0  # deg of altitude of a cell; as wide in azimuth near the horizon
REACH = 0.11  # of the map's radius, that the longest vector has
LEAST = 5.0  # arcsec, of the longest vector
QUANTILE = 0.98  # of the lengths: what one wild vector is must not hide the others
KEY = 34  # units


@dataclass(frozen=True)
class SkyResiduals:
    """Residuals of a pointing model, one by one or in the mean of cells.

    Parameters
    ----------
    azimuth, altitude : ndarray, shape (n,)
        deg
    residual : ndarray, shape (n, 2)
        dlon, dlat, arcsec.
    outlier : ndarray, shape (m, 2)
        Azimuth and altitude of measurements that were left out as outliers, deg.
    altitude_range : tuple of float
        Of the measurements, deg.
    sectors : ndarray, shape (n_sectors,), bool
        Of azimuth, which have measurements.
    n_measurements : int
    is_mean : bool
        Whether vectors are means of cells.
    """

    azimuth: NDArray
    altitude: NDArray
    residual: NDArray
    outlier: NDArray
    altitude_range: tuple[float, float]
    sectors: NDArray
    n_measurements: int
    is_mean: bool


def sky_residuals(
    table: Table, altitude_range: tuple[float, float], sectors: NDArray
) -> SkyResiduals:
    """Residuals of the table of a pointing model; of more than `MAX_SINGLE` means of cells.

    Cells are 10 deg high and, in whole numbers around the horizon circle, as wide.
    """
    used, outlier = (np.asarray(table[name], bool) for name in ("is_used", "is_outlier"))
    azimuth, altitude = (
        np.asarray(u.Quantity(table[name]).to_value(u.deg)) for name in ("azimuth", "altitude")
    )
    residual = np.stack([arcsec(table[f"{name}_residual"]) for name in ("dlon", "dlat")], axis=1)
    wild = np.stack([azimuth[outlier], altitude[outlier]], axis=1)
    azimuth, altitude, residual = azimuth[used], altitude[used], residual[used]
    n = len(azimuth)
    if n > MAX_SINGLE:
        azimuth, altitude, residual = _means(azimuth, altitude, residual)
    sectors = np.asarray(sectors, bool)
    low, high = altitude_range
    return SkyResiduals(azimuth, altitude, residual, wild, (low, high), sectors, n, n > MAX_SINGLE)


def _means(azimuth: NDArray, altitude: NDArray, residual: NDArray) -> tuple[NDArray, ...]:
    """Means over cells of directions and residuals."""
    row = np.floor(altitude / ROW).astype(int)
    middle = np.radians((row + 0.5) * ROW)
    number = np.maximum(np.round(360 * np.cos(middle) / ROW), 3).astype(int)
    cell = np.floor(np.mod(azimuth, 360) / 360 * number).astype(int)
    _, index = np.unique(1000 * row + cell, return_inverse=True)
    n = np.bincount(index)
    a = np.radians(azimuth)
    east, north, height = (
        np.bincount(index, values) / n for values in (np.sin(a), np.cos(a), altitude)
    )
    mean = np.stack([np.bincount(index, values) / n for values in residual.T], axis=1)
    return np.degrees(np.arctan2(east, north)) % 360, height, mean


def to_map(azimuth: NDArray, altitude: NDArray) -> NDArray:
    """Place on the map, shape (n, 2), deg from the zenith: north up, east to the left."""
    a, z = np.radians(azimuth), 90 - np.asarray(altitude)
    return np.stack([-z * np.sin(a), z * np.cos(a)], axis=1)


def map_vectors(azimuth: NDArray, residual: NDArray) -> NDArray:
    """Vectors (dlon, dlat) as they lie on the map: along azimuth, and towards the zenith."""
    a = np.radians(azimuth)
    along = np.stack([-np.cos(a), -np.sin(a)], axis=1)
    up = np.stack([np.sin(a), -np.cos(a)], axis=1)
    return residual[:, :1] * along + residual[:, 1:] * up


def sky_residual_figure(found: SkyResiduals) -> Figure:
    """Map of the sky; what has no measurements is shaded."""
    lowest = min(found.altitude_range[0], 30.0)
    reach = 90 - max(0.0, 10 * np.floor(lowest / 10))
    size = np.hypot(*found.residual.T)
    longest = max(LEAST, float(np.quantile(size, QUANTILE)) if size.size else 0.0)
    stretch = REACH * reach / longest
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, HEIGHT))
        units = 72 * HEIGHT
        axes = figure.add_axes((0.02, KEY / units, 0.96, 1 - (KEY + 4) / units))
        _sky(axes, found, reach)
        start = to_map(found.azimuth, found.altitude)
        end = start + stretch * map_vectors(found.azimuth, found.residual)
        axes.add_collection(
            LineCollection(np.stack([start, end], axis=1), colors=PALETTE["level1"], lw=1.6)
        )
        axes.plot(*start.T, "o", color=PALETTE["level5"], markersize=2.8)
        if len(found.outlier):
            axes.plot(*to_map(*found.outlier.T).T, "x", color=PALETTE["warning"], markersize=6)
        unit = (units - KEY - 4) / (2.24 * reach)
        _key(figure, stretch * unit, longest)
    return figure


def _sky(axes: Axes, found: SkyResiduals, reach: float) -> None:
    axes.set_aspect("equal")
    axes.set_xlim(-1.12 * reach, 1.12 * reach)
    axes.set_ylim(-1.12 * reach, 1.12 * reach)
    axes.set_axis_off()
    width, (low, high) = 360 / len(found.sectors), found.altitude_range
    looks = {"facecolor": PALETTE["shade"], "linewidth": 0}
    for k in np.flatnonzero(~found.sectors):  # azimuth runs against the clock from north, as angles
        axes.add_patch(Wedge((0, 0), reach, 90 + k * width, 90 + (k + 1) * width, **looks))
    if 90 - low < reach:
        axes.add_patch(Wedge((0, 0), reach, 0, 360, width=reach - (90 - low), **looks))
    if high < 90:
        axes.add_patch(Circle((0, 0), 90 - high, **looks))
    for altitude in (30, 60):
        if 90 - altitude >= reach:
            continue
        axes.add_patch(
            Circle((0, 0), 90 - altitude, fill=False, edgecolor=PALETTE["grid"], linewidth=1)
        )
        axes.text(
            0, 90 - altitude, f"{altitude}°", size=9.5, color=PALETTE["faint"], ha="center",
            va="bottom",
        )  # fmt: skip
    axes.plot(0, 0, "+", color=PALETTE["faint"], markersize=7)
    axes.add_patch(Circle((0, 0), reach, fill=False, edgecolor=PALETTE["faint"], linewidth=1))
    for x, y, name in ((0, 1, "N"), (-1, 0, "E"), (0, -1, "S"), (1, 0, "W")):
        axes.text(
            1.07 * reach * x, 1.07 * reach * y, name, ha="center", va="center", size=10,
            color=PALETTE["faint"],
        )  # fmt: skip
    axes.text(
        0.76 * reach, -0.76 * reach, f"rim: altitude {90 - reach:g}°", size=9.5, ha="left",
        va="top", color=PALETTE["faint"],
    )  # fmt: skip


def _key(figure: Figure, unit: float, longest: float) -> None:
    width, bar = 72 * WIDTH, bar_length(longest)
    axes = figure.add_axes((0, 0, 1, KEY / (72 * HEIGHT)))
    axes.set_xlim(0, width)
    axes.set_ylim(0, KEY)
    axes.set_axis_off()
    axes.add_collection(
        LineCollection([[(14, 14), (14 + bar * unit, 14)]], colors=PALETTE["level1"], lw=3)
    )
    axes.text(20 + bar * unit, 14, f"residual of {bar:g} arcsec", size=10, va="center")
