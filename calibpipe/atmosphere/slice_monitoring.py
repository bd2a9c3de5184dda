"""FRAM, all-sky camera and trigger rates of a night, brought to slices of time."""

from typing import Any

import numpy as np
from astropy.table import QTable
from astropy.time import Time
from numpy.typing import NDArray

from .aerosol_profile import Column
from .good_time_intervals import SliceMeans, overlap, slice_means
from .slice_quality import Measured

__all__ = ["allsky_slices", "fram_slices", "nothing", "transparency_slices"]

WINDOW = "window"
_PART = 0.1  # of the shorter one of slice and window, from which its reasons are the slice's


def nothing(n: int) -> dict[str, list[Any]]:
    """Slices without a measurement."""
    return {
        "column": [None] * n,
        "fram": [()] * n,
        "cloud_fraction": [Measured()] * n,
        "coefficient": [Measured()] * n,
    }


def fram_slices(table: QTable, edges: NDArray) -> dict[str, list[Any]]:
    """Columns and reasons of FRAM's windows in slices.

    Parameters
    ----------
    table : QTable
        Product `atmosphere/clear_night`.
    edges : ndarray, (n_slices + 1,), s
        TAI, since 1970.

    Returns
    -------
    dict
        ``column``: a Column or None each; ``fram``: names of reasons each.
    """
    windows = table[_texts(table["scope"]) == WINDOW]
    wavelength = float(table.meta["calibpipe"]["reference_wavelength_in_nm"])
    begin, end = (_seconds(windows[f"{name}_utc"]) for name in ("begin", "end"))
    seconds = overlap(edges, begin, end)
    means = slice_means(seconds, *(windows[n] for n in ("vaod", "stat_error", "sys_error")))
    needed = _PART * np.minimum(np.diff(edges)[:, None], end - begin)
    reasons = [text.split() for text in _texts(windows["reasons"])]
    return {
        "column": [
            Column(one.value, one.stat_error, one.sys_error, wavelength)
            if np.isfinite(one.value)
            else None
            for one in _measured(means)
        ],
        "fram": [
            tuple(sorted({name for k in np.flatnonzero(row) for name in reasons[k]}))
            for row in seconds > needed
        ],
    }


def allsky_slices(table: QTable, edges: NDArray) -> list[Measured]:
    """Cloud fraction in slices; frames with a status count as absent.

    Parameters
    ----------
    table : QTable
        Product `atmosphere/allsky`, one row a frame.
    edges : ndarray, (n_slices + 1,), s
    """
    good = _texts(table["status"]) == ""
    time = _seconds(table["time"])
    names = ("cloud_fraction", "cloud_fraction_stat_error", "cloud_fraction_sys_error")
    values = [np.where(good, np.asarray(table[name], float), np.nan) for name in names]
    return _measured(slice_means(overlap(edges, time, time), *values))


def transparency_slices(table: QTable, edges: NDArray) -> list[Measured]:
    """Cherenkov transparency coefficient in slices.

    Parameters
    ----------
    table : QTable
        Product `atmosphere/transparency_coefficient`.
    edges : ndarray, (n_slices + 1,), s
    """
    begin, end = (_seconds(table[f"{name}_utc"]) for name in ("begin", "end"))
    names = ("transparency", "stat_error", "sys_error")
    values = (np.asarray(table[name], float) for name in names)
    return _measured(slice_means(overlap(edges, begin, end), *values))


def _measured(means: SliceMeans) -> list[Measured]:
    columns = zip(means.value, means.stat_error, means.sys_error, strict=True)
    return [Measured(*map(float, row)) for row in columns]


def _texts(column: Any) -> NDArray:
    """Texts of a column; an empty one may come masked."""
    return np.asarray(np.ma.filled(np.ma.asarray(column), ""), str)


def _seconds(column: Any) -> NDArray:
    return Time(_texts(column), scale="utc").unix_tai
