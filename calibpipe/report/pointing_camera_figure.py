"""Stars on the camera: their tracks over an observation block, and how far they are off the fit."""

from collections.abc import Sequence
from dataclasses import dataclass

import astropy.units as u
import matplotlib as mpl
import numpy as np
from astropy.table import Table
from ctapipe.coordinates import TelescopeFrame
from ctapipe.instrument import CameraGeometry
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Ellipse, Polygon
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from .drawing import HEIGHT, PALETTE, STYLE, WIDTH
from .placement import apart
from .pointing_night import arcsec

__all__ = ["MAX_PANELS", "StarPanel", "StarTrack", "bar_length", "star_figure", "star_panel"]

MAX_PANELS, COLUMNS = 6, 3
REACH = 0.2  # of the camera's radius, that the longest vector has
LEAST = 5.0  # arcsec, of the longest vector: noise is not to look like a fault
UNLIKELY = 1e-3  # chance of the residual of a star, below which it is red
NAMED = 1.36  # width over height of a panel with names
LINE = 14  # units between names
KEY = 34  # units below the panels, for the scale bar


@dataclass(frozen=True)
class StarTrack:
    """One star as the camera saw it.

    Parameters
    ----------
    name : str
    lon, lat : ndarray, shape (n,)
        Azimuth and altitude in the camera, deg, in the order of time.
    residual : ndarray, shape (2,)
        Mean displacement from the fit, azimuth and altitude, arcsec; NaN if it was not used.
    covariance : ndarray, shape (2, 2)
        Of it, arcsec².
    is_likely : bool
        Whether the residual is one of chance.
    """

    name: str
    lon: NDArray
    lat: NDArray
    residual: NDArray
    covariance: NDArray
    is_likely: bool = True

    @property
    def is_used(self) -> bool:
        """Whether it has a residual with its errors."""
        return bool(np.isfinite(self.residual).all() and np.isfinite(self.covariance).all())


@dataclass(frozen=True)
class StarPanel:
    """Stars of an observation block.

    Parameters
    ----------
    title : str
    outline : ndarray, shape (n, 2)
        Of the camera: azimuth and altitude, deg.
    tracks : sequence of StarTrack
    """

    title: str
    outline: NDArray
    tracks: Sequence[StarTrack]

    @property
    def longest(self) -> float:
        """Longest residual, arcsec."""
        return max((float(np.hypot(*t.residual)) for t in self.tracks if t.is_used), default=0.0)

    @property
    def usual_error(self) -> float:
        """Median over the stars of the long axis of the error, arcsec."""
        known = [np.linalg.eigvalsh(t.covariance)[-1] for t in self.tracks if t.is_used]
        return float(np.sqrt(np.median(known))) if known else 0.0

    @property
    def radius(self) -> float:
        """Of the camera, deg."""
        return float(np.hypot(*self.outline.T).max())


def star_panel(title: str, spots: Table, stars: Table, geometry: CameraGeometry) -> StarPanel:
    """Stars of the tables of star tracking.

    ``CameraFrame`` has x along altitude and y along azimuth.

    Parameters
    ----------
    title : str
    spots, stars : Table
        ``spots`` and ``stars`` of the product.
    geometry : CameraGeometry
        In m, with its focal length.
    """
    lon, lat = _angles(spots, geometry) if len(spots) else np.empty((2, 0))
    keys = [(int(row["field"]), str(row["star"])) for row in spots]
    rows = {(int(row["field"]), str(row["star"])): k for k, row in enumerate(stars)}
    used = {key for key, k in rows.items() if stars["is_used"][k]}
    tracks = []
    for key in dict.fromkeys(keys):
        mine = np.array([k for k, other in enumerate(keys) if other == key])
        mine = mine[np.argsort(spots["time"][mine].tai.mjd, kind="stable")]
        if key in used:
            tracks.append(StarTrack(key[1], lon[mine], lat[mine], *_residual(stars, rows[key])))
    return StarPanel(title, _outline(geometry), tracks)


def _angles(spots: Table, geometry: CameraGeometry) -> NDArray:
    """Positions of spots, (azimuth, altitude) in the camera, deg."""
    from astropy.coordinates import SkyCoord

    place = (u.Quantity(spots[f"camera_{axis}"], u.m) for axis in "xy")
    there = SkyCoord(*place, frame=geometry.frame).transform_to(TelescopeFrame())
    return np.array([there.fov_lon.to_value(u.deg), there.fov_lat.to_value(u.deg)])


def _residual(stars: Table, k: int) -> tuple[NDArray, NDArray, bool]:
    """Residual of a star along azimuth and altitude, its covariance, whether it is likely."""
    names = ("residual_y", "residual_x")
    mean, error = (
        np.array([arcsec(stars[f"{name}{suffix}"])[k] for name in names])
        for suffix in ("", "_error")
    )
    correlation = float(stars["residual_correlation"][k])
    covariance = np.outer(error, error) * [[1, correlation], [correlation, 1]]
    return mean, covariance, not float(stars["p_value"][k]) < UNLIKELY


def _outline(geometry: CameraGeometry) -> NDArray:
    """Convex hull of the pixels in azimuth and altitude, deg."""
    on_sky = geometry.transform_to(TelescopeFrame())
    place = np.stack([on_sky.pix_x.to_value(u.deg), on_sky.pix_y.to_value(u.deg)], axis=1)
    corner = np.radians(np.arange(15, 360, 30))
    half = on_sky.pixel_width.to_value(u.deg)[:, np.newaxis, np.newaxis] / 2
    rim = place[:, np.newaxis] + half * np.stack([np.cos(corner), np.sin(corner)], axis=1)
    rim = rim.reshape(-1, 2)
    return rim[ConvexHull(rim).vertices]


def bar_length(longest: float) -> float:
    """Length of a scale bar, arcsec: 1, 2 or 5 times a power of ten, not above the longest."""
    power = 10.0 ** np.floor(np.log10(longest))
    return float(max(step * power for step in (1, 2, 5) if step * power <= longest * (1 + 1e-9)))


def star_figure(panels: Sequence[StarPanel]) -> Figure:
    """Panels of observation blocks with one scale of the vectors; names where there is one panel.

    Parameters
    ----------
    panels : sequence of StarPanel
        `MAX_PANELS` at most.
    """
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    radius = max(panel.radius for panel in panels)
    longest = max(LEAST, *(max(panel.longest, panel.usual_error) for panel in panels))
    stretch = REACH * radius / longest  # deg an arcsec
    height = {1: HEIGHT, 2: 0.78 * HEIGHT}.get(columns, HEIGHT if rows > 1 else 0.6 * HEIGHT)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height))
        panelled = figure.subplots(
            rows, columns, squeeze=False,
            gridspec_kw={
                "left": 0.01, "right": 0.99, "top": 1 - 22 / (72 * height),
                "bottom": (KEY + 4) / (72 * height), "wspace": 0.04, "hspace": 0.16,
            },
        ).ravel()  # fmt: skip
        for axes in panelled[len(panels) :]:
            axes.set_axis_off()
        for axes, panel in zip(panelled, panels, strict=False):
            _panel(axes, panel, radius, stretch, is_named=len(panels) == 1)
        _key(figure, panelled[0], stretch, longest)
    return figure


def _panel(axes: Axes, panel: StarPanel, radius: float, stretch: float, *, is_named: bool) -> None:
    axes.set_aspect("equal")
    wide = 1.04 * radius * (NAMED if is_named else 1.0)
    axes.set_xlim(-wide, wide)
    axes.set_ylim(-1.04 * radius, 1.04 * radius)
    axes.set_axis_off()
    axes.add_patch(
        Polygon(panel.outline, facecolor=PALETTE["shade"], edgecolor=PALETTE["faint"], lw=1.0)
    )
    for angle in np.arange(1.0, radius, 1.0):
        axes.add_patch(
            Circle((0, 0), angle, fill=False, edgecolor=PALETTE["faint"], lw=0.6, ls=(0, (4, 4)))
        )
        axes.text(
            0, -angle, f"{angle:g}°", size=9.5, color=PALETTE["faint"], ha="center", va="center",
            bbox={"facecolor": PALETTE["shade"], "edgecolor": "none", "pad": 1.0},
        )  # fmt: skip
    axes.plot(0, 0, "+", color=PALETTE["faint"], markersize=7)
    for track in panel.tracks:
        _track(axes, track, stretch)
    if is_named:
        _names(axes, panel.tracks, radius)
    axes.set_title(panel.title, size=10, pad=6)


def _track(axes: Axes, track: StarTrack, stretch: float) -> None:
    """Way of a star, a point at its end; residual from its middle with the ellipse of its error."""
    blue = PALETTE["level5"]
    axes.plot(track.lon, track.lat, color=blue, linewidth=2.0)
    axes.plot(track.lon[-1], track.lat[-1], "o", color=blue, markersize=4.5)
    if not track.is_used:
        return
    colour = PALETTE["level1" if track.is_likely else "warning"]
    start = np.array([np.mean(track.lon), np.mean(track.lat)])
    end = start + stretch * track.residual
    size, turn = np.linalg.eigh(track.covariance)
    width, height = 2 * stretch * np.sqrt(np.maximum(size, 0))
    angle = np.degrees(np.arctan2(turn[1, 0], turn[0, 0]))
    axes.add_patch(
        Ellipse(end, width, height, angle=angle, facecolor=colour, alpha=0.22, linewidth=0)
    )
    axes.annotate(
        "", end, start,
        arrowprops={
            "arrowstyle": "->,head_width=0.18,head_length=0.3", "color": colour, "shrinkA": 0,
            "shrinkB": 0, "linewidth": 2.2 if not track.is_likely else 1.6,
        },
    )  # fmt: skip


def _names(axes: Axes, tracks: Sequence[StarTrack], radius: float) -> None:
    """Names of the stars on both sides of the camera, with a line to each."""
    left, right = axes.get_xlim()
    step = LINE * 2.08 * radius / (72 * HEIGHT - KEY - 26)
    for is_right, edge, align in ((False, left, "left"), (True, right, "right")):
        mine = [t for t in tracks if (np.mean(t.lon) > 0) == is_right]
        places = apart([float(np.mean(t.lat)) for t in mine], step)
        for track, place in zip(mine, places, strict=True):
            axes.annotate(
                track.name, (np.mean(track.lon), np.mean(track.lat)), xytext=(edge, place),
                size=9.5, ha=align, va="center", color=PALETTE["ink"],
                arrowprops={
                    "arrowstyle": "-", "color": PALETTE["faint"], "linewidth": 0.6,
                    "relpos": (0.0 if is_right else 1.0, 0.5), "shrinkA": 1, "shrinkB": 3,
                },
            )  # fmt: skip


def _key(figure: Figure, panel: Axes, stretch: float, longest: float) -> None:
    """Scale of the vectors, in the units of a panel, and directions."""
    box = panel.get_position(original=True)
    width, height = (72 * size for size in figure.get_size_inches())
    (left, right), (low, high) = panel.get_xlim(), panel.get_ylim()
    unit = min(box.width * width / (right - left), box.height * height / (high - low))  # a degree
    bar = bar_length(longest)
    axes = figure.add_axes((0, 0, 1, KEY / height))
    axes.set_xlim(0, width)
    axes.set_ylim(0, KEY)
    axes.set_axis_off()
    axes.add_collection(
        LineCollection(
            [[(14, 14), (14 + bar * stretch * unit, 14)]], colors=PALETTE["level1"], lw=3
        )
    )
    axes.text(20 + bar * stretch * unit, 14, f"residual of {bar:g} arcsec", size=10, va="center")
    axes.text(
        width - 12, 14, "azimuth →   altitude ↑", size=10, ha="right", va="center",
        color=PALETTE["faint"],
    )  # fmt: skip
