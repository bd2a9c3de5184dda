"""Cross-talk between pixels: part of the charge of one that another one sees.

    Q_i = q_i + sum_k e_ik q_k,   q the charge of a pixel's own photoelectrons

Two estimators. **Illumination** of single pixels: e_ki = <Q_k>/<Q_i> with light in i only; it has
a direction, and 1000 events of 100 p.e. give 0.1 %. **Covariance** of the photon noise in flat
fields: cov(Q_i, Q_k)/sqrt(V_i V_k) = e_ik + e_ki + (E E^T)_ik, of pairs alone without direction;
its error is 1/(2 sqrt(N)), 0.2 % need 62 500 events (of a camera's mean: a hundred).

References
----------
Downing et al. 2006, Proc. SPIE 6276, 627609 (covariances of photon noise); Astier et al. 2019,
A&A 629, A36 (covariances of flat fields).
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.sparse import csr_array

from ..core.exceptions import ConfigurationError, InsufficientStatisticsError
from .ffactor import MIN_PEDESTAL_EVENTS

__all__ = [
    "Crosstalk",
    "covariance_crosstalk",
    "crosstalk_of",
    "illumination_crosstalk",
    "without_crosstalk",
]


class Sums(Protocol):
    """Sums over events of charges less a reference, of `calibpipe.camera.crosstalk_sums`."""

    @property
    def n_events(self) -> int | np.ndarray: ...
    @property
    def mean(self) -> np.ndarray: ...
    @property
    def variance(self) -> np.ndarray: ...
    @property
    def covariance(self) -> np.ndarray: ...


@dataclass(frozen=True)
class Crosstalk:
    """Cross-talk of pairs of pixels, arrays (n_pairs,).

    Parameters
    ----------
    pixel, source : ndarray, int
        Pixel that sees a part of the charge of the source.
    crosstalk, stat_error, sys_error : ndarray
        NaN where there is none. The systematic errors of all pairs are correlated.
    n_events : ndarray, int
    has_direction : bool
        Otherwise a pair has the mean of both directions.
    """

    pixel: np.ndarray
    source: np.ndarray
    crosstalk: np.ndarray
    stat_error: np.ndarray
    sys_error: np.ndarray
    n_events: np.ndarray
    has_direction: bool


def crosstalk_of(found: Crosstalk, n_pixels: int) -> csr_array:
    """Matrix E, rows: pixels that see, columns: sources; 0 for what is not known."""
    known = np.isfinite(found.crosstalk)
    at = found.pixel[known], found.source[known]
    return csr_array((found.crosstalk[known], at), shape=(n_pixels, n_pixels))


def without_crosstalk(charge: np.ndarray, crosstalk: csr_array) -> np.ndarray:
    """Charges of the pixels' own light: (1 + E)^-1 Q, to third order in E.

    Parameters
    ----------
    charge : array, (n_events, n_pixels)
        In the units of the cross-talk (flat-fielded photoelectrons).
    crosstalk : sparse array, (n_pixels, n_pixels)
    """
    first = crosstalk @ charge.T
    second = crosstalk @ first
    return (charge.T - first + second - crosstalk @ second).T


def illumination_crosstalk(
    lit: Sums,
    pairs: tuple[np.ndarray, np.ndarray],
    pedestal: Sums,
    *,
    relative_gain: np.ndarray | float = 1.0,
    min_events: int = 20,
) -> Crosstalk:
    """Cross-talk from events in which the source alone is lit.

    e = g_s (<Q_p> - <ped_p>)/(g_p (<Q_s> - <ped_s>)), a ratio of means: the fluctuations of the
    light cancel, the night sky is in the pedestal.

    Parameters
    ----------
    lit : PairSums
        ``mean``, ``variance`` (2, n_pairs) of pixel and source in events of that source,
        ``covariance`` and ``n_events`` (n_pairs,).
    pairs : (pixel, source), (n_pairs,)
    pedestal : PixelSums
        ``mean``, ``variance`` (n_pixels,) of the same window; ``n_events``.
    relative_gain : array, (n_pixels,)
        ADC per p.e., up to a factor; 1 gives the part in ADC.
    min_events : int
        Of a source; with fewer there is no number.

    Raises
    ------
    InsufficientStatisticsError
        If there are fewer than 25 pedestals, or no source has enough events.
    """
    _check_pedestals(pedestal)
    pixel, source = pairs
    n = np.asarray(lit.n_events)
    enough = n >= min_events
    if not enough.any():
        raise InsufficientStatisticsError(
            f"no pixel is lit alone in {min_events} events, at most in {n.max(initial=0)}; give "
            "more events, or lower min_events"
        )
    gain = np.broadcast_to(np.asarray(relative_gain, float), pedestal.mean.shape)
    ratio = gain[source] / gain[pixel]
    with np.errstate(divide="ignore", invalid="ignore"):
        own = lit.mean[1] - pedestal.mean[source]
        part = (lit.mean[0] - pedestal.mean[pixel]) / own
        scatter = lit.variance[0] + part**2 * lit.variance[1] - 2 * part * lit.covariance
        of_pedestal = pedestal.variance[pixel] + part**2 * pedestal.variance[source]
        variance = (scatter / n + of_pedestal / pedestal.n_events) / own**2
    good = enough & (own > 0)
    return Crosstalk(
        pixel,
        source,
        np.where(good, ratio * part, np.nan),
        np.where(good, ratio * np.sqrt(np.maximum(variance, 0.0)), np.nan),
        np.where(good, 0.0, np.nan),
        n,
        has_direction=True,
    )


def covariance_crosstalk(
    flatfield: Sums,
    pedestal: Sums,
    pairs: tuple[np.ndarray, np.ndarray],
    control: tuple[np.ndarray, np.ndarray],
) -> Crosstalk:
    """Mean cross-talk of both directions from the covariance of flat-field charges.

    (e_ik + e_ki)/2 = [cov_FF - cov_ped - B² S_i S_k]/(2 sqrt(V_i V_k)) - (E E)_ik/2 with the
    photon noise V = var_FF - var_ped - B² S². B², what all pixels have in common (jitter of the
    light, its drift), is that of the control pairs, which are too far apart for cross-talk. The
    night sky and noise that the electronics share cancel in the difference.

    Parameters
    ----------
    flatfield, pedestal : PixelSums
        ``mean``, ``variance`` (n_pixels,), ``covariance`` (n_pairs + n_control,) of the same
        window; ``n_events``.
    pairs, control : (first, second)
        Neighbours and pairs far apart, each pair once.

    Raises
    ------
    InsufficientStatisticsError
        If there are fewer than 25 pedestals or flat fields.
    ConfigurationError
        If there are fewer control pairs than 100, or none of them is lit.
    """
    _check_pedestals(pedestal)
    if flatfield.n_events < MIN_PEDESTAL_EVENTS:
        raise InsufficientStatisticsError(
            f"needs at least {MIN_PEDESTAL_EVENTS} flat fields, got {flatfield.n_events}; give more"
        )
    first, second = (np.concatenate(both) for both in zip(pairs, control, strict=True))
    S = flatfield.mean - pedestal.mean
    photons = flatfield.variance - pedestal.variance
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = (flatfield.covariance - pedestal.covariance) / (S[first] * S[second])
        squared = sum(
            sums.variance[first] * sums.variance[second] / sums.n_events
            for sums in (flatfield, pedestal)
        )
        weight = (S[first] * S[second]) ** 2 / squared
    is_control = np.arange(first.size) >= pairs[0].size
    lit = is_control & (photons[first] > 0) & (photons[second] > 0) & np.isfinite(excess)
    if np.count_nonzero(lit) < 100:
        raise ConfigurationError(
            f"{np.count_nonzero(lit)} pairs of lit pixels far apart, needs 100 to know what all "
            "pixels have in common; give flat fields of the whole camera"
        )
    common = np.average(excess[lit], weights=weight[lit])
    common_error = weight[lit].sum() ** -0.5
    V = photons - common * S**2
    i, k = pairs
    n_pairs = i.size
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.sqrt(np.where((V[i] > 0) & (V[k] > 0), V[i] * V[k], np.nan))
        light = S[i] * S[k] / scale
        both = (excess[:n_pairs] - common) * light
        error = np.sqrt(squared[:n_pairs]) / scale / 2
    half = np.nan_to_num(both) / 2
    E = csr_array((np.r_[half, half], (np.r_[i, k], np.r_[k, i])), shape=(S.size, S.size))
    two_steps = np.asarray((E @ E)[i, k]).ravel() / 2  # by way of a third pixel
    return Crosstalk(
        i,
        k,
        both / 2 - two_steps,
        error,
        common_error * light / 2 + np.abs(two_steps) / 2,
        np.full(n_pairs, flatfield.n_events),
        has_direction=False,
    )


def _check_pedestals(pedestal: Sums) -> None:
    if pedestal.n_events < MIN_PEDESTAL_EVENTS:
        raise InsufficientStatisticsError(
            f"needs at least {MIN_PEDESTAL_EVENTS} pedestals, got {pedestal.n_events}; give a run "
            "that has pedestals"
        )
