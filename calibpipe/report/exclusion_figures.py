"""Figures of excluded pixels: map by reason, evidence and exclusion over the nights."""

from collections.abc import Sequence
from datetime import date, timedelta

import matplotlib as mpl
import numpy as np
from matplotlib import dates, ticker
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..camera.pixel_exclusion import ExclusionReason
from .camera_display import panelled_figure
from .drawing import PALETTE, STYLE

__all__ = ["REASONS", "REASON_COLOURS", "exclusion_classes", "exclusion_history_figure"]

_ORDER = sorted(ExclusionReason, key=lambda reason: (reason.name != "OPERATOR", reason.value))
REASONS = {reason: reason.name.lower().replace("_", " ") for reason in _ORDER}
"""Of several reasons of a pixel the first is drawn."""
# Okabe & Ito 2008: distinct for colour-blind eyes
_COLOURS = ("#000000", "#56b4e9", "#d55e00", "#0072b2", "#009e73",
            "#cc79a7", "#f0e442", "#e69f00", "#7f3c8d")  # fmt: skip
REASON_COLOURS = {name: _COLOURS[k % len(_COLOURS)] for k, name in enumerate(REASONS.values())}
MARKERS = "osD^v<>ph"
MAX_DAYS = 6  # with a tick each
_DAY = timedelta(days=1)


def exclusion_classes(reasons: NDArray) -> NDArray:
    """Class of each pixel as `pixel_map.class_map` wants it, (n_pixels,), of `REASONS` or 0."""
    classes = np.zeros(len(reasons), int)
    for number, reason in reversed(list(enumerate(REASONS, start=1))):
        classes[np.asarray(reasons, int) & reason.value > 0] = number
    return classes


def exclusion_history_figure(
    nights: Sequence[str], evidence: NDArray, since: Sequence[str]
) -> Figure:
    """Pixels with evidence by reason in each night; below, since when the excluded ones are so.

    Parameters
    ----------
    nights : sequence of str
        In order.
    evidence : ndarray, shape (n_nights, n_pixels)
        Bits of `ExclusionReason`.
    since : sequence of str
        Night of each excluded pixel.
    """
    with mpl.rc_context(STYLE):
        figure, ((above,), (below,)) = panelled_figure(2, 1)
        days = [date.fromisoformat(night) for night in nights]
        for k, (reason, name) in enumerate(REASONS.items()):
            counts = np.count_nonzero(np.asarray(evidence, int) & reason.value, axis=1)
            if counts.any():
                above.plot(
                    days, counts, f"-{MARKERS[k % len(MARKERS)]}", label=name, markersize=5,
                    color=_line_colour(k),
                )  # fmt: skip
        above.set_ylabel("pixels with\nevidence")
        first = sorted(date.fromisoformat(night) for night in since if night)
        if first:
            known, counts = np.unique(np.array(first), return_counts=True)
            edges = [*known, max(known[-1], days[-1]) + (days[-1] - days[0] or _DAY) / 2]
            below.stairs(
                np.cumsum(counts),
                edges,
                color=PALETTE["level5"],
                fill=True,
                alpha=0.35,
                linewidth=0,
            )
            below.stairs(np.cumsum(counts), edges, baseline=0, color=PALETTE["level5"])
        below.set_ylabel("excluded now,\nby then already")
        for axes in (above, below):
            axes.set_ylim(0)
            axes.yaxis.set_major_locator(ticker.MaxNLocator(4, integer=True))
            low, high = axes.get_xlim()
            few = dates.DayLocator() if high - low < MAX_DAYS else None
            axes.xaxis.set_major_locator(few or dates.AutoDateLocator(minticks=1, maxticks=6))
            axes.xaxis.set_major_formatter(dates.DateFormatter("%Y-%m-%d"))
        above.xaxis.set_major_locator(ticker.FixedLocator(dates.date2num(days)))
        below.set_xlabel("night")
        if above.get_legend_handles_labels()[0]:
            figure.legend(loc="outside upper left", ncols=3, columnspacing=1.2)
        figure.align_ylabels([above, below])
    return figure


def _line_colour(k: int) -> str:
    names = ("ink", "level5", "level1", "level6", "level4", "summer", "level2", "winter", "faint")
    return PALETTE[names[k % len(names)]]
