r"""Clouds and lofted layers in LIDAR profiles: base, top, optical depth.

A layer begins where the ratio :math:`q` of the signal to the molecules rises above the air below
it, and ends where it has come back and stays on the plateau above. Its optical depth is that of the
ratio method, :math:`\tau = -\tfrac12 \ln(q_{above}/q_{below})`: no lidar ratio is needed.

References
----------
Platt 1979, J. Atmos. Sci. 36, 1130, doi 10.1175/1520-0469(1979)036<1130:RSOCCI>2.0.CO;2.
Young 1995, Applied Optics 34, 7019, doi 10.1364/AO.34.007019 (optical depth of thin clouds).
Wang, Sassen 2001, J. Appl. Meteorol. 40, 1665 (base and top).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.exceptions import ConfigurationError
from .lidar_rayleigh_fit import WindowSums, depth_between

__all__ = ["LayerSearch", "Layers", "layer_optical_depth", "layers"]

MEASURED = "measured"
OPAQUE = "no light from above the layer"
OPEN = "top above the range of the signal"
NO_AIR_BELOW = "no clear air below the layer"
_PRECISE = 2e-3  # relative: a longer window below gains 1e-3 of optical depth


@dataclass(frozen=True)
class LayerSearch:
    """How layers are searched; lengths in bins.

    Parameters
    ----------
    first, stop : int
        Bins [first, stop) of the search; `first` above the mixing layer.
    lowest : int
        First bin of full overlap.
    smoothing : int
        Odd window of the signal.
    gap, reference : int
        The air below and above is taken this far off, over this length.
    significance : float
        Standard errors that a layer rises above the air below it.
    contrast : float
        Relative rise that it needs besides.
    """

    first: int
    stop: int
    lowest: int = 0
    smoothing: int = 3
    gap: int = 3
    reference: int = 12
    significance: float = 5.0
    contrast: float = 0.15

    def __post_init__(self) -> None:
        if self.smoothing % 2 == 0 or min(self.smoothing, self.gap, self.reference) < 1:
            raise ConfigurationError(
                f"smoothing {self.smoothing} must be odd, gap {self.gap} and reference "
                f"{self.reference} at least one bin"
            )


@dataclass(frozen=True)
class Layers:
    """Layers of all profiles; every array (n_layers,), by profile, then upward.

    Parameters
    ----------
    profile : ndarray of int
    base, top : ndarray of int
        First and last bin; `top` is -1 if it was not reached.
    """

    profile: NDArray
    base: NDArray
    top: NDArray


def _window_means(sums: WindowSums, first: NDArray, stop: NDArray, n: int) -> dict[str, NDArray]:
    return sums.windows(np.clip(first, 0, n), np.clip(np.maximum(stop, first), 0, n))


def layers(sums: WindowSums, search: LayerSearch) -> Layers:
    """Bases and tops of layers, vectorised over profiles, one step a bin.

    Parameters
    ----------
    sums : WindowSums
        Of the ratio of signal to molecules.
    search : LayerSearch

    Notes
    -----
    Above a layer the plateau that ended it is the air below the next one, until a full reference
    length of clear air has passed. A layer that ends nowhere has `top` -1.
    """
    n_profiles, n = sums.shape
    bins = np.arange(n)
    half = search.smoothing // 2
    here = _window_means(sums, bins - half, bins + half + 1, n)
    below = _window_means(sums, bins - search.gap - search.reference, bins - search.gap, n)
    ahead = _window_means(sums, bins + 1, bins + 1 + search.reference, n)
    ahead_complete = bins + 1 + search.reference <= search.stop

    inside = np.zeros(n_profiles, bool)
    base = np.zeros(n_profiles, int)
    level, level_error = np.full(n_profiles, np.nan), np.full(n_profiles, np.nan)
    fresh = np.zeros(n_profiles, int)  # bin from which the air below is a window again
    found: list[NDArray] = []
    for j in range(search.first, min(search.stop, n)):
        q, e = here["mean"][:, j], here["error"][:, j]
        old = j < fresh
        reference = np.where(old, level, below["mean"][:, j])
        reference_error = np.where(old, level_error, below["error"][:, j])
        with np.errstate(invalid="ignore"):
            rises = q - reference > search.significance * np.hypot(e, reference_error)
            rises &= (q > (1.0 + search.contrast) * reference) & (reference > 3.0 * reference_error)
            plateau, plateau_error = ahead["mean"][:, j], ahead["error"][:, j]
            ceiling = (1.0 + search.contrast / 2.0) * level
            ends = (q <= ceiling + 2.0 * e) & (plateau <= ceiling + 2.0 * plateau_error)
            settled = (1.0 + search.contrast / 3.0) * plateau
            ends &= q <= settled + 2.0 * np.hypot(e, plateau_error)
        starts = ~inside & rises
        ends &= inside & ahead_complete[j]
        base = np.where(starts, j, base)
        level = np.where(starts, reference, np.where(ends, plateau, level))
        level_error = np.where(starts, reference_error, np.where(ends, plateau_error, level_error))
        if ends.any():
            rows = np.flatnonzero(ends)
            found.append(np.column_stack([rows, base[rows], np.full(rows.size, j)]))
        fresh = np.where(ends, j + search.gap + search.reference, fresh)
        inside = (inside | starts) & ~ends
    open_rows = np.flatnonzero(inside)
    found.append(np.column_stack([open_rows, base[open_rows], np.full(open_rows.size, -1)]))
    table = np.concatenate(found).astype(int)
    table = table[np.lexsort((table[:, 1], table[:, 0]))]
    return Layers(*table.T)


def _air_below(
    sums: WindowSums,
    profile: NDArray,
    stop: NDArray,
    limit: NDArray,
    above: dict[str, NDArray],
    search: LayerSearch,
    length: int,
) -> dict[str, NDArray]:
    """Clear air below: the shortest window that adds little to the error of the air above.

    Aerosols scatter in the air below a layer more than in that above: the nearer the better.
    """
    chosen: dict[str, NDArray] = {}
    size = max(search.reference // 2, 2)
    while True:
        first = np.clip(np.maximum(stop - size, limit), 0, stop - 1)
        found = sums.of_profiles(first, stop, profile)
        if not chosen:
            chosen = found
        else:
            with np.errstate(invalid="ignore"):
                wanted = np.maximum(0.3 * above["error"] / above["mean"], _PRECISE)
                enough = chosen["error"] / chosen["mean"] < wanted
            chosen = {name: np.where(enough, chosen[name], found[name]) for name in found}
        if size >= length:
            return chosen
        size = min(2 * size, length)


def layer_optical_depth(
    sums: WindowSums,
    found: Layers,
    search: LayerSearch,
    length: int,
    multiple_scattering: float = 1.0,
) -> tuple[NDArray, NDArray, NDArray]:
    r"""Optical depth of layers by the ratio of the clear air above to that below.

    The window above has `length` bins, the one below as few as the precision allows; they end at
    neighbouring layers, at full overlap and at the range of the search. A part of the light
    scattered forward stays in the field of view: the depth seen is :math:`\eta\tau`. Aerosols in
    the air below add half of their part of the backscatter to the depth. The sums of a Raman
    channel are free of that, and right as they are: clouds have no colour.

    Parameters
    ----------
    sums : WindowSums
    found : Layers
    search : LayerSearch
    length : int
        Bins of clear air below and above that are used.
    multiple_scattering : float
        :math:`\eta`, 0.5 to 1. # ASSUME: one number for all clouds; 1 for a narrow field of view.

    Returns
    -------
    depth, stat_error : ndarray, (n_layers,)
        Along the beam. NaN without light from above or without clear air below.
    status : ndarray of str, (n_layers,)

    Raises
    ------
    ConfigurationError
        If the factor of multiple scattering is not between 0.5 and 1.
    """
    if not 0.5 <= multiple_scattering <= 1.0:
        raise ConfigurationError(
            f"multiple-scattering factor is {multiple_scattering:g}, needs 0.5 to 1"
        )
    count = len(found.profile)
    same_before = np.append(False, found.profile[1:] == found.profile[:-1])[:count]
    lower_limit = np.where(same_before, np.roll(found.top, 1) + 1, search.lowest)
    same_after = np.append(found.profile[1:] == found.profile[:-1], False)[:count]
    upper_limit = np.where(same_after, np.roll(found.base, -1) - search.gap, search.stop)
    reached = found.top >= 0
    above_first = np.where(reached, found.top + 1, search.stop - 1)
    above_stop = np.maximum(np.minimum(above_first + length, upper_limit), above_first + 1)
    above = sums.of_profiles(above_first, above_stop, found.profile)
    below_stop = np.maximum(found.base - search.gap // 2, 1)
    air_below = below_stop - lower_limit >= 2
    below = _air_below(sums, found.profile, below_stop, lower_limit, above, search, length)
    with np.errstate(invalid="ignore"):
        light = above["mean"] > 3.0 * above["error"]
    depth, error = depth_between(below["mean"], below["error"], above["mean"], above["error"])
    measured = reached & air_below & light
    status = np.select([~reached, ~air_below, ~light], [OPEN, NO_AIR_BELOW, OPAQUE], MEASURED)
    depth, error = np.where(measured, depth, np.nan), np.where(measured, error, np.nan)
    return depth / multiple_scattering, error / multiple_scattering, status
