"""Gain and photo-electrons from photon statistics: the F-factor method with quadratic noise.

The variance of the charge Q of light pulses with S = <Q> - <Q_ped> is

    var(Q) = var(Q_ped) + F² g S + B² S²

(F² the squared excess noise factor, g the gain in ADC per p.e., B the relative noise that grows
with the charge: sampling jitter of the readout, jitter of the light source).

References
----------
Mirzoyan 1997, Proc. 25th ICRC, 7, 265. Kobayashi et al. 2021, PoS(ICRC2021) 720,
arXiv:2108.05035.
"""

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from ..core.exceptions import ConfigurationError, InsufficientStatisticsError
from .medians import masked_median

__all__ = [
    "MIN_PEDESTAL_EVENTS",
    "PhotonStatistics",
    "QuadraticNoiseFit",
    "fit_quadratic_noise",
    "flatfield_factor",
    "photon_statistics",
]

# rms/sqrt(N) <= 20 % of rms, requirement B-TEL-1370 as implemented by nectarchain (C08)
MIN_PEDESTAL_EVENTS = 25

REWEIGHTINGS = 3  # leaves less than 0.03 errors at 100 events a filter, 2e-5 at 10 000


@dataclass(frozen=True)
class PhotonStatistics:
    """Results of the F-factor method, arrays (n_channels, n_pixels); NaN where there is none.

    ``signal`` in ADC, ``gain`` in ADC per p.e., ``n_pe`` in p.e. Statistical errors are
    independent between pixels; systematic errors move all pixels together.
    """

    signal: np.ndarray
    signal_stat_error: np.ndarray
    gain: np.ndarray
    gain_stat_error: np.ndarray
    gain_sys_error: np.ndarray
    n_pe: np.ndarray
    n_pe_stat_error: np.ndarray
    n_pe_sys_error: np.ndarray


def photon_statistics(
    flatfield_mean: np.ndarray,
    flatfield_std: np.ndarray,
    flatfield_n_events: np.ndarray,
    pedestal_mean: np.ndarray,
    pedestal_std: np.ndarray,
    pedestal_n_events: np.ndarray,
    *,
    squared_excess_noise_factor: float | np.ndarray,
    squared_excess_noise_factor_error: float | np.ndarray = 0.0,
    squared_quadratic_noise: float | np.ndarray = 0.0,
    squared_quadratic_noise_error: float | np.ndarray = 0.0,
    where: str = "this chunk",
) -> PhotonStatistics:
    """Signal, gain and photo-electrons with their errors.

    g = [var_FF - var_ped]/(F² S) - B² S/F²,  S = mean_FF - mean_ped,  n_pe = S/g.

    Means, not medians: the charge is skewed, and at 80 p.e. a median makes the gain 0.33 % too
    large. The statistical errors propagate those of mean and variance with their covariance,
    sigma_g/g = sqrt(2/N) in leading order.

    Parameters
    ----------
    flatfield_mean, flatfield_std : array, (n_channels, n_pixels), ADC
        Of the charge; the deviation with divisor N as in ctapipe, Bessel's N/(N-1) is applied here.
    pedestal_mean, pedestal_std : array, (n_channels, n_pixels), ADC
        Of the charge integrated over the same window.
    flatfield_n_events, pedestal_n_events : array, broadcastable
        Events behind each number.
    squared_excess_noise_factor, squared_excess_noise_factor_error : float or array
        F² >= 1 and its (systematic) error.
    squared_quadratic_noise, squared_quadratic_noise_error : float or array
        B² and its error. B² fitted from a filter scan may be slightly negative.
    where : str
        Chunk and telescope, for the message of an error.

    Returns
    -------
    PhotonStatistics
        NaN where a pixel has fewer than 25 pedestal or 2 flat-field events, a mean or deviation
        that is not finite, no signal or no positive gain.

    Raises
    ------
    InsufficientStatisticsError
        If no pixel has 25 pedestal events.
    ConfigurationError
        If F² < 1 or an error is negative.
    """
    F2 = np.asarray(squared_excess_noise_factor, dtype=float)
    check_noise(F2, squared_excess_noise_factor_error, squared_quadratic_noise_error)
    _check_pedestal_events(np.asarray(pedestal_n_events), where)
    numbers = np.broadcast_arrays(
        flatfield_mean,
        flatfield_std,
        flatfield_n_events,
        pedestal_mean,
        pedestal_std,
        pedestal_n_events,
        F2,
        squared_excess_noise_factor_error,
        squared_quadratic_noise,
        squared_quadratic_noise_error,
    )
    shape = numbers[0].shape
    found = np.empty((8, numbers[0].size))
    photon_statistics_of_channel(found, *(np.array(a, float).ravel() for a in numbers))
    return PhotonStatistics(*found.reshape(-1, *shape))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def photon_statistics_of_channel(
    out: NDArray, mean: NDArray, std: NDArray, N: NDArray, mean_ped: NDArray, std_ped: NDArray,
    N_ped: NDArray, F2: NDArray, F2_error: NDArray, B2: NDArray, B2_error: NDArray,
) -> None:  # fmt: skip
    """As `photon_statistics`, of pixels (n,); `out` (8, n) has the fields in order."""
    for i in range(len(mean)):
        found = _photon_statistics_of_pixel(
            *(mean[i], std[i], N[i], mean_ped[i], std_ped[i], N_ped[i]),
            *(F2[i], F2_error[i], B2[i], B2_error[i]),
        )
        for k in range(8):  # one array: of eight the compiler does not know that they differ
            out[k, i] = found[k]


@numba.njit(error_model="numpy", forceinline=True)
def _photon_statistics_of_pixel(
    mean: float, std: float, N: float, mean_ped: float, std_ped: float, N_ped: float, F2: float,
    F2_error: float, B2: float, B2_error: float,
) -> tuple[float, ...]:  # fmt: skip
    """As `photon_statistics`, of numbers; without branches, which the compiler vectorises."""
    var = std * std * N / (N - 1.0)
    var_ped = std_ped * std_ped * N_ped / (N_ped - 1.0)
    S = mean - mean_ped
    g = (var - var_ped) / (F2 * S) - B2 * S / F2
    usable = (N_ped >= MIN_PEDESTAL_EVENTS) & (N >= 2) & (S > 0) & (g > 0)
    S, g = S if usable else np.nan, g if usable else np.nan
    n = S / g
    # derivatives with respect to the variance and to the mean of the flat field
    dg_dvar = 1.0 / (F2 * S)
    dg_dmean = -(var - var_ped) / (F2 * S * S) - B2 / F2
    covariance = _moment_covariance(var, N, var_ped, N_ped, g, n, F2)
    g_error = _propagated(dg_dvar, dg_dmean, covariance)
    n_error = _propagated(-n / g * dg_dvar, (1.0 - n * dg_dmean) / g, covariance)
    g_sys = np.sqrt((g * F2_error / F2) ** 2 + (B2_error * S / F2) ** 2)
    return S, np.sqrt(covariance[1]), g, g_error, g_sys, n, n_error, n * g_sys / g


def check_noise(F2: np.ndarray, *errors: float | np.ndarray) -> None:
    if np.any(~(F2 >= 1.0)):
        raise ConfigurationError(
            f"squared_excess_noise_factor is {np.min(F2):g}, but 1 + var/mean² of the single p.e. "
            "cannot be below 1; give the square of the factor (LST: 1.222)"
        )
    for error in errors:
        if np.any(~(np.asarray(error) >= 0.0)):
            raise ConfigurationError(
                f"the error of a noise parameter is {np.min(error):g}; give a number >= 0"
            )


def _check_pedestal_events(n_events: np.ndarray, where: str) -> None:
    most = n_events.max(initial=0)
    if most < MIN_PEDESTAL_EVENTS:
        raise InsufficientStatisticsError(
            f"needs at least {MIN_PEDESTAL_EVENTS} pedestal events, got {most:g} in {where}; "
            "make the pedestal chunks longer or give more data"
        )


@numba.njit(error_model="numpy", forceinline=True)
def _moment_covariance(
    var: float, N: float, var_ped: float, N_ped: float, g: float, n: float, F2: float
) -> tuple[float, float, float]:
    """Variance of (var_FF - var_ped), variance of S, and their covariance.

    Sample of N: var(mean) = κ2/N, var(variance) = 2 κ2²/(N-1) + κ4/N, cov = κ3/N.
    """
    # ASSUME: the charge of one p.e. is gamma distributed (its third and fourth moments follow
    # from F²), pedestals are Gaussian; both enter only below the leading term 2 var²/N.
    third = n * g * g * g * F2 * (2.0 * F2 - 1.0)
    fourth = third * g * (3.0 * F2 - 2.0)
    of_variance = 2.0 * var * var / (N - 1.0) + fourth / N + 2.0 * var_ped * var_ped / (N_ped - 1.0)
    of_mean = var / N + var_ped / N_ped
    return of_variance, of_mean, third / N


@numba.njit(error_model="numpy", forceinline=True)
def _propagated(d_variance: float, d_mean: float, moments: tuple[float, float, float]) -> float:
    of_variance, of_mean, covariance = moments
    return np.sqrt(
        d_variance**2 * of_variance + d_mean**2 * of_mean + 2.0 * d_variance * d_mean * covariance
    )


def flatfield_factor(
    n_pe: np.ndarray, signal: np.ndarray, good: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Factor that turns ADC into flat-fielded p.e.: camera median of n_pe, divided by S.

    A flat field multiplied by it gives the same number of p.e., the camera median, in every good
    pixel.

    Parameters
    ----------
    n_pe, signal : array, (n_channels, n_pixels), p.e. and ADC
    good : bool array, (n_channels, n_pixels)
        Pixels that count; n_pe and signal must be finite there.

    Returns
    -------
    factor : array, (n_channels, n_pixels), p.e. per ADC
        0 where not `good`.
    median : array, (n_channels, 1), p.e.
        NaN for a channel without good pixels.
    """
    median = masked_median(n_pe, good)
    factor = np.divide(median, signal, out=np.zeros(np.shape(signal)), where=good)
    return factor, median


@dataclass(frozen=True)
class QuadraticNoiseFit:
    """Filter scan of every pixel, arrays (n_channels, n_pixels); NaN where it was not possible.

    ``gain`` in ADC per p.e.; ``squared_quadratic_noise`` is B², without a bound at zero, so that
    its mean over pixels is not biased. ``chi2`` has ``n_points - 2`` degrees of freedom.
    """

    gain: np.ndarray
    gain_error: np.ndarray
    squared_quadratic_noise: np.ndarray
    squared_quadratic_noise_error: np.ndarray
    chi2: np.ndarray
    n_points: np.ndarray


def fit_quadratic_noise(
    signal: np.ndarray, variance: np.ndarray, n_events: np.ndarray, pedestal_variance: np.ndarray,
    pedestal_n_events: np.ndarray, *, squared_excess_noise_factor: float | np.ndarray,
) -> QuadraticNoiseFit:  # fmt: skip
    """Gain and quadratic noise term of every pixel from light pulses of several intensities.

    Least squares of var(Q) - var(Q_ped) = F² g S + B² S², linear in g and B², all pixels at once.
    The weights are 1/(2 var²/N) with var from the fit itself (three rounds): weights from the
    measured variances would pull the result low. Errors of S need no term of their own: for
    Poisson light their effect and that of the kurtosis cancel against the covariance of mean and
    variance.

    Parameters
    ----------
    signal, variance : array, (n_points, n_channels, n_pixels), ADC and ADC²
        S and unbiased var(Q) of each filter; points that are not finite or have S <= 0 do not
        count.
    n_events, pedestal_n_events : array, broadcastable to `variance` and `pedestal_variance`
    pedestal_variance : array, (n_channels, n_pixels), ADC²
        One pedestal measurement for all filters.
    squared_excess_noise_factor : float or array
        F².

    Raises
    ------
    InsufficientStatisticsError
        If there are fewer than 3 points.
    ConfigurationError
        If F² < 1.
    """
    F2 = np.asarray(squared_excess_noise_factor, dtype=float)
    check_noise(F2)
    S, var = np.asarray(signal, float), np.asarray(variance, float)
    if len(S) < 3:
        raise InsufficientStatisticsError(
            f"a filter scan needs at least 3 intensities, got {len(S)}: two unknowns per pixel "
            "and a check; give more filters"
        )
    usable = np.isfinite(S) & np.isfinite(var) & (S > 0)
    S = np.where(usable, S, 1.0)
    y = np.where(usable, var - pedestal_variance, 0.0)
    N = np.broadcast_to(np.asarray(n_events, float), y.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.where(usable, var, 1.0) ** 2  # var², replaced by that of the fit
        for _ in range(REWEIGHTINGS):
            weight = np.where(usable, (N - 1.0) / (2.0 * spread), 0.0)
            linear, quadratic, inverse = two_term_fit(S, y, weight)
            model = linear * S + quadratic * S**2
            spread = (model + pedestal_variance) ** 2
        # one pedestal for all points: its error moves them together
        of_pedestal = 2.0 * np.square(pedestal_variance) / (np.asarray(pedestal_n_events) - 1.0)
        shift = two_term_fit(S, np.ones_like(S), weight)
        n_points = usable.sum(axis=0)
        possible = n_points >= 3

        def or_nan(values: np.ndarray) -> np.ndarray:
            return np.where(possible, values, np.nan)

        return QuadraticNoiseFit(
            gain=or_nan(linear / F2),
            gain_error=or_nan(np.sqrt(inverse[0] + shift[0] ** 2 * of_pedestal) / F2),
            squared_quadratic_noise=or_nan(quadratic),
            squared_quadratic_noise_error=or_nan(np.sqrt(inverse[1] + shift[1] ** 2 * of_pedestal)),
            chi2=or_nan((weight * (y - model) ** 2).sum(axis=0)),
            n_points=n_points,
        )


def two_term_fit(
    x: np.ndarray, y: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Coefficients of y = a x + b x² over axis 0, and their variances."""
    m2, m3, m4 = ((weight * x**power).sum(axis=0) for power in (2, 3, 4))
    v1, v2 = ((weight * x**power * y).sum(axis=0) for power in (1, 2))
    determinant = m2 * m4 - m3**2
    a, b = (m4 * v1 - m3 * v2) / determinant, (m2 * v2 - m3 * v1) / determinant
    return a, b, (m4 / determinant, m2 / determinant)
