r"""Cherenkov transparency coefficient: atmospheric transparency from the rate of cosmic rays.

The rate of a telescope that triggers on hadrons follows the threshold, which falls with
transparency :math:`\eta`, optical throughput :math:`\mu_i` and gain :math:`g_i`:

.. math:: R_i = \kappa_i\,(\eta\mu_i g_i)^{a},\qquad a = \Gamma - 1 - \Delta

with :math:`\Gamma` = 2.7 of cosmic rays and a small :math:`\Delta` for what the threshold does not
describe. So :math:`t_i = R_i^{1/a}/(\mu_i g_i)` is proportional to :math:`\eta` whatever telescopes
do, and

.. math:: T = \frac{1}{N}\sum_i \frac{t_i}{k_{i,N}}

with :math:`k_{i,N}` from reference nights: T is 1 in a typical clear night, 0.8 to 1.2 are usually
accepted. The rate is that of the zenith: corrected for dead time and by :math:`\cos^{-\beta} z`.

References: Hahn et al. 2014, Astropart. Phys. 54, 25, doi:10.1016/j.astropartphys.2013.11.003.
"""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.exceptions import ConfigurationError

__all__ = [
    "RateModel",
    "Transparency",
    "dead_time_corrected_rate",
    "night_mean",
    "telescope_light",
    "transparency_coefficient",
    "zenith_exponent",
]


@dataclass(frozen=True)
class RateModel:
    """How rates follow light.

    Attributes
    ----------
    spectral_index, spectral_index_error : float
        Differential, of what triggers: 2.7 of protons.
    higher_order : float
        Delta.
    zenith_exponent, zenith_exponent_error : float
        The rate falls with the zenith angle as this power of its cosine.
    """

    spectral_index: float = 2.7
    spectral_index_error: float = 0.05
    higher_order: float = 0.0
    zenith_exponent: float = 1.0
    zenith_exponent_error: float = 0.5

    def __post_init__(self) -> None:
        if not self.exponent > 0:
            raise ConfigurationError(
                f"spectral index {self.spectral_index:g} and higher order {self.higher_order:g} "
                "give no rate that rises with light; their difference must be above 1"
            )

    @property
    def exponent(self) -> float:
        """Power of the light that the rate follows."""
        return self.spectral_index - 1 - self.higher_order


def dead_time_corrected_rate(
    n_triggers: ArrayLike,
    duration: u.Quantity,
    dead_time: u.Quantity = 0 * u.us,
    live_fraction: ArrayLike | None = None,
) -> tuple[u.Quantity, u.Quantity]:
    r"""True rate and its statistical error.

    With a live time known, :math:`R = n/(f t)`; otherwise, for a fixed dead time that triggers in
    it do not prolong, :math:`R = r/(1 - r\tau)` with :math:`r = n/t`. In both
    :math:`\sigma_R = R/\sqrt n`: the dead time makes triggers less random than Poisson's,
    :math:`\mathrm{Var}\,n = n(1 - r\tau)^2`, by as much as the correction enlarges errors.

    Parameters
    ----------
    n_triggers : array_like, any shape
        0 gives NaN: no rate that a logarithm can be taken of.
    duration : Quantity, same shape, time
    dead_time : Quantity, same shape or scalar, time
        Of each trigger.
    live_fraction : array_like, same shape, optional
        Live over elapsed time; `dead_time` is not used then. NaN gives NaN.

    Raises
    ------
    ConfigurationError
        If triggers with their dead time fill the time or more, a live fraction is not in (0, 1],
        or a duration is not above 0.

    References
    ----------
    Leo 1994, Techniques for Nuclear and Particle Physics Experiments, section 5.7.
    Müller 1974, Nucl. Instrum. Meth. 117, 401, doi:10.1016/0029-554X(74)90283-8 (variance).
    """
    n = np.asarray(n_triggers, float)
    if np.any(duration <= 0 * u.s):
        raise ConfigurationError(f"durations must be above 0, the smallest is {np.min(duration):g}")
    rate = n / duration
    relative = 1 / np.sqrt(np.where(n > 0, n, np.nan))
    if live_fraction is not None:
        live = np.asarray(live_fraction, float)
        if np.any((live <= 0) | (live > 1)):
            raise ConfigurationError(
                f"live fractions from {np.nanmin(live):g} to {np.nanmax(live):g}: must be above 0 "
                "and at most 1"
            )
    else:
        live = 1 - (rate * dead_time).to_value(u.one)
        if np.any(live <= 0):
            raise ConfigurationError(
                f"a dead time of {np.max(dead_time):g} at {np.nanmax(rate.to_value(u.Hz)):g} Hz "
                "fills the time; give the dead time of one trigger"
            )
    rate = np.where(n > 0, rate.to_value(u.Hz), np.nan) / live * u.Hz
    return rate, rate * relative


def telescope_light(
    rate: ArrayLike,
    zenith: u.Quantity,
    throughput: ArrayLike,
    gain: ArrayLike,
    model: RateModel,
) -> NDArray:
    r"""Transparency that a rate speaks for, up to a constant of the telescope.

    .. math:: t = (R\cos^{-\beta} z)^{1/a}/(\mu g)

    Parameters
    ----------
    rate : array_like, shape (...), Hz
        Corrected for dead time.
    zenith : Quantity, shape (...), angle
    throughput, gain : array_like, shape (...)
        Optical throughput, and gain relative to any fixed value: as for the reference nights.
    model : RateModel

    Returns
    -------
    ndarray, shape (...)
        NaN where something is not finite or not above 0.
    """
    parts = [np.asarray(x, float) for x in (rate, np.cos(zenith.to_value(u.rad)), throughput, gain)]
    rate, cosine, throughput, gain = (np.where(x > 0, x, np.nan) for x in parts)
    corrected = rate * cosine**-model.zenith_exponent
    return corrected ** (1 / model.exponent) / (throughput * gain)


def zenith_exponent(
    rate: ArrayLike, error: ArrayLike, zenith: u.Quantity, group: ArrayLike
) -> tuple[float, float]:
    r"""Power of :math:`\cos z` that the rates of reference nights follow.

    Weighted least squares of ln R on ln cos z; every group has a constant of its own, so that
    differences of telescopes, nights and multiplicities do not enter. Scatter beyond the errors
    enlarges the error of the result.

    Parameters
    ----------
    rate, error : array_like, shape (n,), Hz
    zenith : Quantity, shape (n,), angle
    group : array_like, shape (n,), int
        Telescope, night and multiplicity.

    Returns
    -------
    float, float
        Exponent and error; (nan, inf) if the zenith angles of no group differ.
    """
    rate, error = np.asarray(rate, float), np.asarray(error, float)
    x = np.log(np.cos(zenith.to_value(u.rad)))
    good = np.isfinite(rate) & (rate > 0) & np.isfinite(x) & (error > 0)
    y, x, w = np.log(rate[good]), x[good], (rate[good] / error[good]) ** 2
    _, place = np.unique(np.asarray(group)[good], return_inverse=True)
    total = np.bincount(place, w)
    x = x - (np.bincount(place, w * x) / total)[place]
    y = y - (np.bincount(place, w * y) / total)[place]
    spread = np.sum(w * x**2)
    n_dof = len(y) - len(total) - 1
    if n_dof < 1 or np.sum(x**2) < 1e-12:
        return np.nan, np.inf
    slope = np.sum(w * x * y) / spread
    chi2 = np.sum(w * (y - slope * x) ** 2) / n_dof
    return float(slope), float(np.sqrt(max(chi2, 1.0) / spread))


@dataclass(frozen=True)
class Transparency:
    """Transparency coefficients; NaN where there is none.

    Attributes
    ----------
    telescope, telescope_stat_error, telescope_sys_error : ndarray, shape (n_slices, n_tel)
        The systematic errors are those of each telescope's throughput and gain.
    array, stat_error, sys_error : ndarray, shape (n_slices,)
        Mean over the telescopes; all systematic errors.
    n_telescopes : ndarray, shape (n_slices,), int
        In the mean.
    chi2 : ndarray, shape (n_slices,)
        Of the agreement of the telescopes, with n_telescopes - 1 degrees of freedom.
    """

    telescope: NDArray
    telescope_stat_error: NDArray
    telescope_sys_error: NDArray
    array: NDArray
    stat_error: NDArray
    sys_error: NDArray
    n_telescopes: NDArray
    chi2: NDArray


def transparency_coefficient(
    rate: ArrayLike,
    rate_error: ArrayLike,
    zenith: u.Quantity,
    throughput: ArrayLike,
    throughput_error: ArrayLike,
    gain: ArrayLike,
    gain_error: ArrayLike,
    reference: tuple[ArrayLike, ArrayLike, ArrayLike],
    model: RateModel,
    *,
    common_error: float = 0.0,
    mean_log_cos_zenith: float = 0.0,
) -> Transparency:
    """Transparency coefficients of telescopes and array.

    Parameters
    ----------
    rate, rate_error : array_like, shape (n_slices, n_tel), Hz
        Corrected for dead time; NaN for a telescope that did not take part.
    zenith : Quantity, shape (n_slices,), angle
    throughput, throughput_error, gain, gain_error : array_like, shape (n_slices, n_tel) or (n_tel,)
        Errors are absolute, constant over the night and independent between telescopes.
    reference : tuple of array_like, shape (n_slices, n_tel)
        Light, its error and efficiency, of `Normalisation.of`.
    model : RateModel
    common_error : float
        Relative, of the normalisation.
    mean_log_cos_zenith : float
        Of the reference: the error of the zenith exponent grows with the distance from it.
    """
    rate, rate_error = np.asarray(rate, float), np.asarray(rate_error, float)
    rate = np.where(rate > 0, rate, np.nan)
    log_reference, reference_error, log_efficiency = reference
    light = telescope_light(rate, zenith[:, None], throughput, gain, model)
    value = light / np.exp(log_reference)
    stat = value * np.hypot(rate_error / rate / model.exponent, reference_error)
    own = value * np.hypot(
        np.asarray(throughput_error, float) / throughput, np.asarray(gain_error, float) / gain
    )
    good = np.isfinite(value) & np.isfinite(stat) & np.isfinite(own)
    value, stat, own = (np.where(good, x, np.nan) for x in (value, stat, own))
    n = good.sum(axis=1)
    some = np.where(n > 0, n, 1)

    def total(x: NDArray) -> NDArray:
        return np.where(good, x, 0.0).sum(axis=1)

    def mean(x: NDArray) -> NDArray:
        return np.where(n > 0, total(x) / some, np.nan)

    def of_mean(x: NDArray) -> NDArray:
        return np.where(n > 0, np.sqrt(total(x**2)) / some, np.nan)

    array = mean(value)
    distance = np.log(np.cos(zenith.to_value(u.rad))) - mean_log_cos_zenith
    by_zenith = distance * model.zenith_exponent_error / model.exponent
    efficiency = np.multiply(throughput, gain)
    relative_rate = np.log(np.where(good, value * efficiency, 1.0)) - log_efficiency
    by_index = mean(relative_rate) / model.exponent * model.spectral_index_error
    weight = 1 / np.where(good, stat**2 + own**2, 1.0)
    centre = total(weight * value) / np.where(n > 0, total(weight), 1.0)
    return Transparency(
        telescope=value,
        telescope_stat_error=stat,
        telescope_sys_error=own,
        array=array,
        stat_error=of_mean(stat),
        sys_error=np.sqrt(
            of_mean(own) ** 2 + array**2 * (common_error**2 + by_zenith**2 + by_index**2)
        ),
        n_telescopes=n,
        chi2=total(weight * (value - centre[:, None]) ** 2),
    )


def night_mean(found: Transparency, duration: ArrayLike) -> tuple[float, float, float]:
    """Mean transparency of a night, statistical and systematic error.

    Slices are weighted by their length; systematic errors are the same in all of them.

    Parameters
    ----------
    found : Transparency
        Those without a telescope that has a reference do not count.
    duration : array_like, shape (n_slices,)
    """
    known = found.n_telescopes > 0
    weight = np.asarray(duration, float)[known]
    weight = weight / weight.sum()
    return (
        float(weight @ found.array[known]),
        float(np.sqrt(weight**2 @ found.stat_error[known] ** 2)),
        float(weight @ found.sys_error[known]),
    )
