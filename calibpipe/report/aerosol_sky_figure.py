"""Maps of the sky: cloud fraction by region as the all-sky camera sees it, from below."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, PathPatch, Wedge
from matplotlib.path import Path
from numpy.typing import NDArray

from .drawing import DEPTH_COLOURS, HEIGHT, PALETTE, STYLE, WIDTH

__all__ = ["EDGES", "SkyMap", "colour_of", "sky_figure", "sky_maps"]

EDGES = (0.1, 0.25, 0.5, 0.75)
COLOURS = ("#fdf7d2", DEPTH_COLOURS[1], DEPTH_COLOURS[4], DEPTH_COLOURS[7], DEPTH_COLOURS[-1])
MAX_MAPS, COLUMNS = 6, 3


@dataclass(frozen=True)
class SkyMap:
    """Cloud fraction of the regions of the sky in a part of the night.

    Parameters
    ----------
    begin, end : float
        Days of matplotlib.
    fraction : ndarray, shape (n_regions,)
        Median over the frames; NaN where no frame has a value.
    n_frames : int
    """

    begin: float
    end: float
    fraction: NDArray
    n_frames: int


def sky_maps(time: NDArray, fraction: NDArray, is_usable: NDArray) -> list[SkyMap]:
    """Medians over equal parts of the time in which there are frames, six at most.

    Parameters
    ----------
    time : ndarray, shape (n_frames,)
        Days of matplotlib.
    fraction : ndarray, shape (n_frames, n_regions)
    is_usable : ndarray, shape (n_frames,), bool
        Parts without such frames are left out.
    """
    known = np.flatnonzero(is_usable)
    if known.size == 0:
        return []
    number = min(MAX_MAPS, known.size)
    first, last = time[known].min(), time[known].max()
    edges = np.linspace(first, last, number + 1)
    part = np.clip(np.searchsorted(edges, time[known], side="right") - 1, 0, number - 1)
    found = []
    for k in sorted(set(part.tolist())):
        mine = known[part == k]
        middle = np.full(fraction.shape[1], np.nan)
        seen = np.isfinite(fraction[mine]).any(axis=0)
        middle[seen] = np.nanmedian(fraction[mine][:, seen], axis=0)
        found.append(SkyMap(time[mine].min(), time[mine].max(), middle, len(mine)))
    return found


def colour_of(fraction: float) -> str:
    """Colour of a cloud fraction."""
    return COLOURS[int(np.searchsorted(EDGES, fraction, side="right"))]


def sky_figure(
    maps: Sequence[SkyMap], regions: dict[str, Sequence[float]], titles: Sequence[str]
) -> Figure:
    """Maps side by side; zenith in the middle, north up, east to the left.

    Parameters
    ----------
    maps : sequence of SkyMap
    regions : dict
        ``zenith_min_in_deg``, ``zenith_max_in_deg``, ``azimuth_min_in_deg``,
        ``azimuth_max_in_deg``, one entry a region; azimuths from north over east.
    titles : sequence of str
        Of the maps.
    """
    columns = min(COLUMNS, len(maps))
    rows = -(-len(maps) // columns)
    reach = max(regions["zenith_max_in_deg"])
    with mpl.rc_context(STYLE):
        height = HEIGHT if rows > 1 or columns < 3 else 0.62 * HEIGHT
        figure = Figure(figsize=(WIDTH, height))
        top, bottom = 30 / (72 * height), 42 / (72 * height)
        panels = figure.subplots(
            rows, columns, squeeze=False,
            gridspec_kw={
                "left": 0.03, "right": 0.97, "top": 1 - top, "bottom": bottom,
                "wspace": 0.16, "hspace": 0.22,
            },
        ).ravel()  # fmt: skip
        for axes in panels[len(maps) :]:
            axes.set_axis_off()
        for axes, one, title in zip(panels, maps, titles, strict=False):
            _map(axes, one, regions, reach)
            axes.set_title(title, size=10, pad=13)
        _key(figure, height)
    return figure


def _map(axes: Axes, one: SkyMap, regions: dict[str, Sequence[float]], reach: float) -> None:
    names = ("zenith_min", "zenith_max", "azimuth_min", "azimuth_max")
    edges = zip(*(regions[f"{name}_in_deg"] for name in names), strict=True)
    looks = {"edgecolor": PALETTE["faint"], "linewidth": 0.6}
    groups: dict[str, list[Path]] = {}
    for fraction, (inner, outer, begin, end) in zip(one.fraction, edges, strict=True):
        wedge = Wedge((0, 0), outer, 90 + begin, 90 + end, width=outer - inner)
        path = wedge.get_path().transformed(wedge.get_patch_transform())
        colour = colour_of(fraction) if np.isfinite(fraction) else PALETTE["shade"]
        groups.setdefault(colour, []).append(path)
    for colour, paths in groups.items():  # one element a colour: half the size
        hatch = "////" if colour == PALETTE["shade"] else None
        whole = Path.make_compound_path(*paths)
        axes.add_patch(PathPatch(whole, facecolor=colour, hatch=hatch, **looks))
    axes.add_patch(Circle((0, 0), reach, fill=False, edgecolor=PALETTE["faint"], linewidth=1))
    for x, y, name in ((0, 1, "N"), (-1, 0, "E"), (0, -1, "S"), (1, 0, "W")):
        axes.text(
            1.1 * reach * x, 1.1 * reach * y, name, ha="center", va="center", size=9.5,
            color=PALETTE["faint"],
        )  # fmt: skip
    axes.set_xlim(-1.18 * reach, 1.18 * reach)
    axes.set_ylim(-1.18 * reach, 1.18 * reach)
    axes.set_aspect("equal")
    axes.set_axis_off()


def _key(figure: Figure, height: float) -> None:
    """Colours of the cloud fraction, below the maps."""
    axes = figure.add_axes((0.05, 14 / (72 * height), 0.9, 11 / (72 * height)))
    names = ["clear", *(f"{edge:g}" for edge in EDGES), "1"]
    for index, colour in enumerate(COLOURS):
        axes.axvspan(index, index + 1, color=colour, linewidth=0)
    axes.set_xlim(0, len(COLOURS))
    axes.set_yticks([])
    axes.set_xticks(range(len(names)), ["0", *names[1:]])
    axes.tick_params(length=0, labelsize=9.5, pad=1.5)
    axes.grid(visible=False)
    axes.set_title("cloud fraction", size=9.5, loc="left", pad=2)
    for spine in axes.spines.values():
        spine.set_visible(False)
