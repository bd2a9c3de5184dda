"""Time offset of a free-running partner instrument in the course of a night."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import pdtrc

from ..core.exceptions import ConfigurationError
from .coincidence import Coincidences, centred_window, checked_times

__all__ = ["OffsetDrift", "offset_drift"]


@dataclass(frozen=True)
class OffsetDrift:
    """Offset by time, and the straight line through it.

    Attributes
    ----------
    time : ndarray, shape (n_slices,), ns
        Middle of each slice.
    offset, stat_error : ndarray, shape (n_slices,), ns
        NaN for slices without a significant offset.
    n_pairs : ndarray, shape (n_slices,), int
    n_random : ndarray, shape (n_slices,)
    slope, slope_error : float
        ns per ns, dimensionless. NaN for less than two slices with an offset.
    chi2_constant, chi2_line : float
    n_used : int
        Slices with an offset.
    """

    time: NDArray
    offset: NDArray
    stat_error: NDArray
    n_pairs: NDArray
    n_random: NDArray
    slope: float
    slope_error: float
    chi2_constant: float
    chi2_line: float
    n_used: int


def offset_drift(
    times: ArrayLike,
    partner: ArrayLike,
    offset: float,
    *,
    slice_length: float,
    half_width: float = 300.0,
    max_chance: float = 1e-6,
) -> OffsetDrift:
    """Offset in slices of time, each window starting from the slice before.

    Parameters
    ----------
    times, partner : array_like, shape (n,), (m,), ns
        Ascending.
    offset : float, ns
        In the first slice, within the window.
    slice_length : float, ns
    half_width : float, ns
        Larger than the drift from slice to slice.
    max_chance : float
        Largest probability that the pairs of a slice are there by chance.

    Raises
    ------
    ConfigurationError
        If the length is not positive or times are not ascending.
    """
    times, partner = checked_times(times, partner)
    if not slice_length > 0:
        raise ConfigurationError(f"slices of {slice_length:g} ns: give a positive length")
    n_slices = max(int(np.ceil(float(times[-1] - times[0]) / slice_length)), 1)
    begins = times[0] + np.arange(n_slices) * slice_length
    bounds = np.append(np.searchsorted(times, begins), len(times))
    found, centre = [], offset
    unknown = (np.nan, np.nan, np.nan)
    nothing = Coincidences(*unknown, half_width, 0, 0.0, 0.0, *unknown)
    for first, last in pairwise(bounds):
        own = times[first:last]
        here = centred_window(own, partner, centre, half_width, 1.0) if len(own) else None
        if here is not None and _is_there(here, max_chance):
            centre = here.offset
            found.append(here)
        else:
            found.append(nothing)
    middle = begins + slice_length / 2
    values, errors = (np.array([getattr(f, n) for f in found]) for n in ("offset", "stat_error"))
    good = np.isfinite(values) & (errors > 0)
    line = _line(np.asarray(middle, float)[good], values[good], errors[good])
    return OffsetDrift(
        time=middle,
        offset=values,
        stat_error=errors,
        n_pairs=np.array([f.n_pairs for f in found]),
        n_random=np.array([f.n_random for f in found]),
        slope=line[0],
        slope_error=line[1],
        chi2_constant=line[2],
        chi2_line=line[3],
        n_used=int(good.sum()),
    )


def _is_there(found: Coincidences, max_chance: float) -> bool:
    return found.n_pairs > 0 and pdtrc(found.n_pairs - 1, found.n_random) < max_chance


def _line(x: NDArray, y: NDArray, error: NDArray) -> tuple[float, float, float, float]:
    """Slope, its error, chi2 of the constant and of the line; NaN for less than two points."""
    if len(x) < 2:
        return (np.nan,) * 4
    weight = error**-2.0
    dx, dy = x - weight @ x / weight.sum(), y - weight @ y / weight.sum()
    information = weight @ dx**2
    slope = weight @ (dx * dy) / information
    return (
        float(slope),
        float(information**-0.5),
        float(weight @ dy**2),
        float(weight @ (dy - slope * dx) ** 2),
    )
