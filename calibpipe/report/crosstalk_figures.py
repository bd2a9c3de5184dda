"""Figures of cross-talk and of the photon detection efficiency."""

import astropy.units as u
import matplotlib as mpl
import numpy as np
from astropy.table import Table
from matplotlib import ticker
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .camera_display import panelled_figure
from .drawing import PALETTE, STYLE, legend_above

__all__ = ["crosstalk_sums", "efficiency_figure", "pair_figure"]

MAX_ANGLES = 5


def crosstalk_sums(pairs: Table, n_pixels: int, *, has_direction: bool = True) -> NDArray:
    """Part of the charge of each pixel that all its neighbours see, (n_pixels,).

    NaN of a pixel of which not all pairs are known. Without direction a pair is there once, and
    counts for both its pixels.
    """
    value = np.asarray(pairs["crosstalk"], float)
    source = np.asarray(pairs["source"], int)
    if not has_direction:
        source = np.concatenate([source, np.asarray(pairs["pixel"], int)])
        value = np.tile(value, 2)
    is_source = np.bincount(source, minlength=n_pixels) > 0
    return np.bincount(source, value, n_pixels) + np.where(is_source, 0.0, np.nan)


def pair_figure(value: NDArray, error: NDArray) -> Figure:
    """Distribution of the cross-talk of pairs of neighbours, and what errors alone would give.

    Parameters
    ----------
    value, error : ndarray, shape (n_pairs,)
        Parts of the charge.
    """
    known = np.isfinite(value) & np.isfinite(error)
    value, error = 100 * value[known], 100 * error[known]
    mean, spread = float(value.mean()), float(np.sqrt(np.mean(error**2)))
    low, high = np.quantile(value, (0.001, 0.999))
    reach = max(high - mean, mean - low, 4 * spread)
    edges = np.linspace(mean - 1.1 * reach, mean + 1.1 * reach, 51)
    middle, width = (edges[1:] + edges[:-1]) / 2, edges[1] - edges[0]
    chance = np.exp(-0.5 * ((middle - mean) / spread) ** 2) / (spread * np.sqrt(2 * np.pi))
    with mpl.rc_context(STYLE):
        figure, ((axes,),) = panelled_figure(1, 1)
        axes.hist(
            np.clip(value, edges[0], edges[-1]), edges, histtype="step", color=PALETTE["level5"],
            linewidth=1.8, label=f"{value.size} pairs",
        )  # fmt: skip
        axes.plot(
            middle, value.size * width * chance, color=PALETTE["faint"], linewidth=1.3,
            dashes=(4, 3), label="errors alone, about the mean",
        )  # fmt: skip
        axes.axvline(0, color=PALETTE["faint"], linewidth=1)
        axes.axvline(mean, color=PALETTE["level1"], linewidth=1.4, label=f"mean {mean:.2f} %")
        axes.set_yscale("log")
        axes.set_ylim(0.7)
        axes.yaxis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
        axes.set_xlabel("cross-talk of a pair (% of the charge)")
        axes.set_ylabel("pairs")
        legend_above(axes)
    return figure


def efficiency_figure(table: Table) -> Figure:
    """Photon detection efficiency against wavelength, a line for each angle of incidence.

    Parameters
    ----------
    table : Table
        Of `calibpipe.camera.photon_detection_efficiency`; of more than five angles those that are
        evenly apart.
    """
    wavelength = u.Quantity(table["wavelength"]).to_value(u.nm)
    angle = u.Quantity(table["incidence_angle"]).to_value(u.deg)
    pde, error = (100 * u.Quantity(table[n]).to_value(u.one) for n in ("pde", "pde_error"))
    angles = np.unique(angle)
    shown = angles[
        np.unique(np.linspace(0, len(angles) - 1, min(len(angles), MAX_ANGLES)).astype(int))
    ]
    colours = ("level5", "level4", "level2", "level1", "level6")
    with mpl.rc_context(STYLE):
        figure, ((axes,),) = panelled_figure(1, 1)
        for value, colour in zip(shown, colours, strict=False):
            mine = angle == value
            x, y, e = wavelength[mine], pde[mine], error[mine]
            axes.fill_between(x, y - e, y + e, color=PALETTE[colour], alpha=0.2, linewidth=0)
            axes.plot(x, y, color=PALETTE[colour], label=f"{value:g}°")
        axes.set_ylim(0)
        axes.set_xlim(wavelength.min(), wavelength.max())
        axes.set_xlabel("wavelength (nm)")
        axes.set_ylabel("photon detection efficiency (%)")
        legend_above(axes)
    return figure
