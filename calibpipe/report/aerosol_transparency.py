"""Cherenkov transparency: telescopes over the night, the array over nights."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from astropy.time import Time
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .aerosol_figures import draw_series
from .aerosol_night import AerosolNight, days, numbers, telescope_names
from .aerosol_series import Series
from .array_figures import kind_colours
from .drawing import PALETTE, STYLE, legend_above, new_figure, night_axis
from .placement import apart

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "TelescopeTransparency",
    "deviations",
    "good_range",
    "telescope_transparency",
    "telescopes_figure",
]

MAX_NAMED = 8


@dataclass(frozen=True)
class TelescopeTransparency:
    """Transparency that each telescope tells of.

    Parameters
    ----------
    names : list of str
    middle : ndarray, shape (n_slices,)
        Days of matplotlib.
    value, stat, sys : ndarray, shape (n_slices, n_tel)
        NaN where there is none.
    """

    names: list[str]
    middle: NDArray
    value: NDArray
    stat: NDArray
    sys: NDArray

    @property
    def kinds(self) -> NDArray:
        """``LST``, ``MST``, ``SST``."""
        return np.array([name[:3] if "-" in name else "telescopes" for name in self.names])


def good_range(night: AerosolNight) -> tuple[float, float]:
    """Limits of good slices, of the configuration of the product."""
    configuration = night.transparency_coefficient.facts["configuration"]
    low, high = (float(configuration[f"{end}_transparency"]) for end in ("min", "max"))
    return low, high


def telescope_transparency(night: AerosolNight) -> TelescopeTransparency:
    """Columns of the telescopes that have a value in some slice."""
    product = night.transparency_coefficient
    table = product.table
    middle = (days(table["begin_utc"]) + days(table["end_utc"])) / 2
    names = ("transparency", "stat_error", "sys_error")
    columns = [numbers(table[f"telescope_{name}"]).reshape(len(table), -1) for name in names]
    some = np.isfinite(columns[0]).any(axis=0)
    known = telescope_names(np.array(product.facts["tel_ids"])[some])
    return TelescopeTransparency(known, middle, *(column[:, some] for column in columns))


def deviations(found: TelescopeTransparency) -> NDArray:
    """Median over the slices of each telescope over the median of all, less 1, shape (n_tel,)."""
    if found.value.size == 0:
        return np.zeros(0)
    several = np.isfinite(found.value).sum(axis=1) > 1
    if not several.any():
        return np.full(found.value.shape[1], np.nan)
    ratio = found.value[several] / np.nanmedian(found.value[several], axis=1, keepdims=True)
    away = np.full(found.value.shape[1], np.nan)
    some = np.isfinite(ratio).any(axis=0)
    away[some] = np.nanmedian(ratio[:, some], axis=0) - 1
    return away


def telescopes_figure(
    found: TelescopeTransparency,
    array: Series,
    limits: tuple[float, float],
    darkness: tuple[Time, Time],
) -> Figure:
    """Lines of telescopes with statistical errors, the array with its systematic error.

    Parameters
    ----------
    found : TelescopeTransparency
    array : Series
    limits : tuple of float
        Of good slices.
    darkness : tuple of Time
        Dusk and dawn.
    """
    with mpl.rc_context(STYLE):
        figure, (axes,) = new_figure()
        axes.axhline(1.0, color=PALETTE["faint"], linewidth=0.8)
        axes.axhspan(*limits, color=PALETTE["level4"], alpha=0.12, linewidth=0)
        for limit in limits:
            axes.axhline(limit, color=PALETTE["warning"], linewidth=1, dashes=(5, 3))
        for kind, colour in kind_colours(found.kinds).items():
            mine = found.kinds == kind
            values, gap = found.value[:, mine].T, np.full((np.count_nonzero(mine), 1), np.nan)
            errors = np.nan_to_num(found.stat[:, mine].T)
            x = np.broadcast_to(found.middle, values.shape)
            line = [np.append(one, gap, axis=1).ravel() for one in (x, values)]
            axes.plot(*line, color=colour, linewidth=1.1, alpha=0.7, label=kind)
            ends = np.stack([values - errors, values + errors, np.full(values.shape, np.nan)], -1)
            axes.plot(np.repeat(x.ravel(), 3), ends.ravel(), color=colour, linewidth=0.9)
        array_colour = PALETTE["ink"]
        draw_series(axes, array, array_colour)
        night_axis(axes, np.array([array.begin.min(), array.end.max()]), *darkness, is_named=False)
        known = np.append(found.value[np.isfinite(found.value)], array.value[array.known])
        shown = [*limits, *known.tolist()]
        pad = 0.05 * (max(shown) - min(shown))
        axes.set_ylim(min(shown) - pad, max(shown) + pad)
        _name_lines(axes, found)
        axes.set_ylabel("Cherenkov transparency coefficient")
        legend_above(axes)
    return figure


def _name_lines(axes: "Axes", found: TelescopeTransparency) -> None:
    """Names at the right: of all telescopes if there are few, else of the two outermost."""
    last = np.array(
        [column[np.isfinite(column)][-1] for column in found.value.T], float
    )  # every telescope has a value
    chosen = np.arange(len(last))
    if len(last) > MAX_NAMED:
        order = np.argsort(last, kind="stable")
        chosen = order[[0, -1]]
    low, high = axes.get_ylim()
    colours = kind_colours(found.kinds)
    for place, k in zip(apart(last[chosen].tolist(), 0.05 * (high - low)), chosen, strict=True):
        axes.annotate(
            found.names[k], (1.0, place), xycoords=("axes fraction", "data"), xytext=(5, 0),
            textcoords="offset points", va="center", size=9.5,
            color=colours[str(found.kinds[k])],
        )  # fmt: skip
