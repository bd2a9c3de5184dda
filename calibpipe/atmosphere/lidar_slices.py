r"""LIDAR profiles of a slice of time as one profile on a grid of altitudes and wavelengths.

Layers whose base is high are clouds: no colour. All the rest follows Ångström's law from the laser
wavelengths on. Each profile is brought to the grid by itself; the slice is their weighted mean, and
what each differs from it by is a mode of the statistical error: noise and weather alike, with their
correlation between altitudes as it was.
"""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from .aerosol_profile import DepthProfile
from .constancy import intrinsic_scatter
from .lidar_profiles import LidarTable
from .lidar_transmission import angstrom_exponent

__all__ = ["LidarSlice", "lidar_exponent", "lidar_slice"]

_SPIKE = 5.0  # standard errors from the neighbours beyond which a profile is left out
_SMALL, _TINY = 0.01, 1e-6  # depths that are no spike; no error
_SIGNIFICANT = 3.0  # of depths that an exponent is taken from


def lidar_exponent(lidar: LidarTable) -> tuple[float, float] | None:
    """Ångström exponent of the aerosols of a night, and its error.

    From the mean columns at the shortest and the longest laser wavelength; the systematic errors
    of the two count as independent, which overestimates the error.

    Returns
    -------
    tuple of float or None
        None with one laser, or a depth of less than three errors.
    """
    both = lidar.is_complete[[0, -1]].all(axis=0)
    if len(lidar.wavelengths) < 2 or not both.any():
        return None
    mean = lidar.aerosol[:, both, -1].mean(axis=1)
    noise = np.sqrt((lidar.stat_error[:, both, -1] ** 2).sum(axis=1)) / both.sum()
    error = np.hypot(noise, lidar.sys_error[:, both, -1].mean(axis=1))
    if np.any(mean[[0, -1]] < _SIGNIFICANT * error[[0, -1]]):
        return None
    lasers = tuple(lidar.wavelengths[[0, -1]] * u.nm)
    found = angstrom_exponent(tuple(mean[[0, -1]]), tuple(error[[0, -1]]), lasers)
    return float(found[0]), float(found[1])


@dataclass(frozen=True)
class LidarSlice:
    """What the LIDAR says of a slice.

    Attributes
    ----------
    profile : DepthProfile or None
        None without a complete profile, or if too many are hidden.
    n_profiles, n_hidden : int
        Used; with a layer of unknown depth.
    scatter : float
        Of the column between profiles beyond their errors.
    cloud_base, cloud_top : float, m
        Medians over the profiles with clouds, those of unknown depth with them.
    cloud_depth, cloud_depth_error : float
        Mean over the slice.
    """

    profile: DepthProfile | None
    n_profiles: int
    n_hidden: int
    scatter: float
    cloud_base: float
    cloud_top: float
    cloud_depth: float
    cloud_depth_error: float


def lidar_slice(
    lidar: LidarTable,
    altitude: u.Quantity,
    wavelength: u.Quantity,
    exponent: tuple[float, float],
    max_hidden_fraction: float = 0.1,
) -> LidarSlice:
    r"""Profile of the slice from the profiles in it.

    .. math:: \tau_p(h,\lambda) = \tau_{a,p}(h)\,(\lambda_0/\lambda)^A + \tau_{c,p}(h)

    :math:`\lambda_0` is the logarithmic mean of the laser wavelengths with the weights of their
    columns: an exponent that is taken from the same lasers is then independent of the level.
    Hidden profiles (a layer of unknown depth) are left out, up to a part f of all; a systematic
    error f above their layers stands for what may have passed them.

    Parameters
    ----------
    lidar : LidarTable
        Profiles of the slice, any number.
    altitude : Quantity, (n_altitudes,)
    wavelength : Quantity, (n_wavelengths,)
    exponent : tuple of float
        Of aerosols, and its error.
    max_hidden_fraction : float
    """
    used, lasers = _complete(lidar)
    n_hidden = int(lidar.is_hidden.sum())
    hidden_part = n_hidden / max(n_hidden + used.sum(), 1)
    base, top = _median(np.fmin(lidar.cloud_base, lidar.hidden_from)), _median(lidar.cloud_top)
    if not used.any() or hidden_part > max_hidden_fraction:
        nothing = (np.nan, base, top, np.nan, np.nan)
        return LidarSlice(None, int(used.sum()), n_hidden, *nothing)
    first = lasers[0]
    column = lidar.aerosol[first, used, -1] + lidar.cloud[first, used, -1]
    used[used] = ~_is_spike(column, lidar.stat_error[first, used, -1])
    some = lidar.chosen(used)
    laser, ratio, share = _pivot(some, lasers, wavelength, exponent[0])
    to_pivot = laser ** exponent[0]
    aerosol = ((share * to_pivot)[:, None, None] * some.aerosol[lasers]).sum(axis=0)
    cloud = (share[:, None, None] * some.cloud[lasers]).sum(axis=0)
    colour = ratio ** exponent[0]
    each = aerosol[..., None] * colour + cloud[..., None]
    below = _below_cloud(some, altitude)
    spread = (share, to_pivot[:, None] * colour, below)
    noise = np.sqrt((_split(some.stat_error[lasers], *spread) ** 2).sum(axis=0))
    bias = _split(some.sys_error[lasers], *spread).sum(axis=0)

    pivot_noise = np.sqrt(((share[:, None] * some.stat_error[lasers][..., -1]) ** 2).sum(axis=0))
    weight, scatter = _weights(aerosol[:, -1] + cloud[:, -1], pivot_noise)
    mean = np.tensordot(weight, each, 1)
    aerosol_mean = (weight @ aerosol)[:, None] * colour
    from_base = np.nanmin(np.append(lidar.hidden_from, np.inf))
    above = (altitude.to_value(u.m) > from_base)[:, None]
    profile = DepthProfile(
        mean,
        _modes(weight, each - mean, noise),
        {
            "lidar": np.tensordot(weight, bias, 1),
            "angstrom": aerosol_mean * np.log(ratio) * exponent[1],
            "hidden": np.where(above, hidden_part, 0.0) * np.ones_like(mean),
        },
    )
    clouds = cloud[:, -1]
    mean_cloud = float(weight @ clouds)
    seen = pivot_noise * (clouds != 0)
    error = float(np.sqrt(np.sum(weight**2 * ((clouds - mean_cloud) ** 2 + seen**2))))
    return LidarSlice(profile, int(used.sum()), n_hidden, scatter, base, top, mean_cloud, error)


def _complete(lidar: LidarTable) -> tuple[NDArray, NDArray]:
    """Profiles and lasers that are used: both lasers where they go together."""
    free = lidar.is_complete & ~lidar.is_hidden
    both = free.all(axis=0)
    if both.sum() >= 0.5 * free.sum(axis=1).max(initial=0):
        return both, np.arange(len(lidar.wavelengths))
    best = int(np.argmax(free.sum(axis=1)))
    return free[best], np.array([best])


def _pivot(
    lidar: LidarTable, lasers: NDArray, wavelength: u.Quantity, exponent: float
) -> tuple[NDArray, NDArray, NDArray]:
    """Lasers and grid over the pivot wavelength, and the share of each laser."""
    nm = lidar.wavelengths[lasers]
    n = lidar.stat_error.shape[1]
    stat = np.sqrt((lidar.stat_error[lasers, :, -1] ** 2).sum(axis=1)) / n
    variance = stat**2 + lidar.sys_error[lasers, :, -1].mean(axis=1) ** 2
    # of the level at any common wavelength
    precision = np.where(variance > 0, 1 / np.maximum(variance, 1e-12), 1e12)
    precision = precision / (nm / nm[0]) ** (2 * exponent)
    share = precision / precision.sum()
    pivot = np.exp(share @ np.log(nm))
    return nm / pivot, pivot / wavelength.to_value(u.nm), share


def _below_cloud(lidar: LidarTable, altitude: u.Quantity) -> NDArray:
    """Index of the highest altitude below the clouds of each profile."""
    z = altitude.to_value(u.m)
    base = np.where(np.isfinite(lidar.cloud_base), lidar.cloud_base, np.inf)
    return np.maximum(np.searchsorted(z, base, side="right") - 1, 0)


def _split(error: NDArray, share: NDArray, colour: NDArray, below: NDArray) -> NDArray:
    """Errors on the grid, (n_lasers, n_profiles, n_altitudes, n_wavelengths).

    That of the aerosols has their colour, what clouds add to it has none.
    """
    rows = np.arange(error.shape[1])
    until = error[:, rows, below][..., None]
    aerosol = np.where(np.arange(error.shape[2]) <= below[:, None], error, until)
    total = aerosol[..., None] * colour[:, None, None] + (error - aerosol)[..., None]
    return share[:, None, None, None] * total


def _is_spike(column: NDArray, error: NDArray) -> NDArray:
    """Single profiles off from their neighbours in time: a failed retrieval, hardly weather."""
    if len(column) < 3:
        return np.zeros(len(column), bool)
    first = np.clip(np.arange(len(column)) - 1, 0, len(column) - 3)
    window = first[:, None] + np.arange(3)
    off = np.abs(column - np.median(column[window], axis=1))
    return off > _SPIKE * np.maximum(np.sqrt((error[window] ** 2).sum(axis=1)), _SMALL)


def _weights(column: NDArray, error: NDArray) -> tuple[NDArray, float]:
    """Weights of profiles, sum 1, and their scatter beyond the errors."""
    error = np.maximum(error, _TINY)
    scatter = float(intrinsic_scatter(column, error).scatter)
    weight = 1 / (error**2 + scatter**2)
    return weight / weight.sum(), scatter


def _modes(weight: NDArray, difference: NDArray, noise: NDArray) -> NDArray:
    """Modes of the mean: each profile's difference, and what their errors say beyond it."""
    n = len(weight)
    modes = weight[:, None, None] * difference * np.sqrt(n / max(n - 1, 1))
    expected = np.tensordot(weight**2, noise**2, 1)
    missing = np.sqrt(np.maximum(expected - (modes**2).sum(axis=0), 0.0))
    return np.concatenate([modes, missing[np.newaxis]])


def _median(values: NDArray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else np.nan
