"""Light of telescopes in reference nights: what the transparency coefficient is measured against.

See `transparency`.
"""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.exceptions import InsufficientStatisticsError

__all__ = ["Normalisation", "normalisation"]


@dataclass(frozen=True)
class Normalisation:
    """Logarithms of the light of reference nights, for each telescope and multiplicity.

    Attributes
    ----------
    tel_id, n_telescopes : ndarray, shape (n,), int
        Key.
    log_light, stat_error : ndarray, shape (n,)
        Mean over nights; its error without what nights have in common.
    night_scatter : float
        Standard deviation of nights: how clear nights differ.
    common_error : float
        Of all together, from the number of nights.
    log_efficiency : ndarray, shape (n,)
        Mean logarithm of throughput and gain: where the spectral index does not matter.
    mean_log_cos_zenith : float
    nights : tuple of str
    """

    tel_id: NDArray
    n_telescopes: NDArray
    log_light: NDArray
    stat_error: NDArray
    log_efficiency: NDArray
    night_scatter: float
    common_error: float
    mean_log_cos_zenith: float
    nights: tuple[str, ...]

    def of(self, tel_id: ArrayLike, n_telescopes: ArrayLike) -> tuple[NDArray, NDArray, NDArray]:
        """Light, its error and efficiency for telescopes in slices; NaN where there are none."""
        tel_id, n_telescopes = np.broadcast_arrays(tel_id, n_telescopes)
        same = (tel_id[..., None] == self.tel_id) & (n_telescopes[..., None] == self.n_telescopes)
        place, known = same.argmax(axis=-1), same.any(axis=-1)
        columns = self.log_light, self.stat_error, self.log_efficiency
        log_light, stat, log_efficiency = (
            np.where(known, column[place], np.nan) for column in columns
        )
        return log_light, stat, log_efficiency


def normalisation(
    light: ArrayLike,
    error: ArrayLike,
    tel_id: ArrayLike,
    n_telescopes: ArrayLike,
    night: ArrayLike,
    zenith: u.Quantity,
    efficiency: ArrayLike,
    *,
    single_night_scatter: float = 0.05,
) -> Normalisation:
    """Normalisation from reference nights; each night counts the same.

    Parameters
    ----------
    light, error : array_like, shape (n,)
        Of `telescope_light`; values that are not finite are left out.
    tel_id, n_telescopes : array_like, shape (n,), int
        Telescope, and how many took part.
    night : array_like, shape (n,), str
    zenith : Quantity, shape (n,), angle
    efficiency : array_like, shape (n,)
        Throughput times gain.
    single_night_scatter : float
        Relative difference of clear nights, assumed when there is one only.

    Raises
    ------
    InsufficientStatisticsError
        If there is no finite value.
    """
    light, error = np.asarray(light, float), np.asarray(error, float)
    good = np.isfinite(light) & np.isfinite(error) & (light > 0)
    if not good.any():
        raise InsufficientStatisticsError(
            f"none of {good.size} rates of reference nights can be used; give clear nights with "
            "triggers, throughputs and gains"
        )
    y, relative = np.log(light[good]), (error / light)[good]
    key = np.stack([np.asarray(tel_id)[good], np.asarray(n_telescopes)[good]], axis=1)
    nights, of_night = np.unique(np.asarray(night, str)[good], return_inverse=True)
    keys, of_key = np.unique(key, axis=0, return_inverse=True)
    of_key = of_key.ravel()
    shape = len(keys), len(nights)
    cell = of_key * shape[1] + of_night
    n = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)

    def cells(x: NDArray) -> NDArray:
        return np.bincount(cell, x, shape[0] * shape[1]).reshape(shape)

    seen = n > 0
    mean = cells(y) / np.where(seen, n, 1)
    variance = cells(relative**2) / np.where(seen, n, 1) ** 2
    offset, level = _nights_and_keys(mean, seen)
    common = single_night_scatter
    if len(nights) > 1:
        common = float(np.std(offset, ddof=1))
    n_nights = seen.sum(axis=1)
    return Normalisation(
        tel_id=keys[:, 0],
        n_telescopes=keys[:, 1],
        log_light=level,
        stat_error=np.sqrt((variance * seen).sum(axis=1)) / n_nights,
        log_efficiency=np.bincount(of_key, np.log(np.asarray(efficiency, float)[good]))
        / np.bincount(of_key),
        night_scatter=common,
        common_error=common / np.sqrt(len(nights)),
        mean_log_cos_zenith=float(np.mean(np.log(np.cos(zenith.to_value(u.rad)[good])))),
        nights=tuple(nights.tolist()),
    )


def _nights_and_keys(mean: NDArray, seen: NDArray) -> tuple[NDArray, NDArray]:
    """Offsets of nights (mean 0) and levels of keys: least squares over the cells that are there.

    Not all telescopes are there in all nights: the mean over its own nights would carry their
    weather into the level of a telescope.
    """
    keys, nights = np.nonzero(seen)
    design = np.zeros((len(keys) + 1, sum(seen.shape)))
    rows = np.arange(len(keys))
    design[rows, keys] = 1
    design[rows, seen.shape[0] + nights] = 1
    design[-1, seen.shape[0] :] = 1  # the offsets add up to 0
    solution = np.linalg.lstsq(design, np.append(mean[seen], 0.0), rcond=None)[0]
    return solution[seen.shape[0] :], solution[: seen.shape[0]]
