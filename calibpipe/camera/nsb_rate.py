"""Night-sky background of every pixel from the variance of pedestals.

Photoelectrons of the sky come at random times at the rate λ. A charge that sums part f(t) of a
pulse at t has the variance (Campbell)

    var_sky - var_dark = λ g² F² A,    A = ∫ f(t)² dt

The mean says nothing: cameras are AC coupled.
"""

from dataclasses import dataclass

import astropy.units as u
import numpy as np

from ..core.exceptions import ConfigurationError
from .ffactor import check_noise
from .integration_window import PulseShape

__all__ = [
    "NsbRate",
    "nsb_rate",
    "pulse_gain",
    "sample_variance_response",
    "window_response",
]

N_STEPS = 50  # of an integral over time, in a sample


@dataclass(frozen=True)
class NsbRate:
    """Rates, arrays (n_channels, n_pixels), photoelectrons per ns.

    `stat_error` of the variances, `sys_error` of gain and F². NaN without a gain. A rate is not
    bounded by zero, so that means over pixels are not biased.
    """

    rate: np.ndarray
    stat_error: np.ndarray
    sys_error: np.ndarray


@u.quantity_input
def window_response(
    pulse: PulseShape, sampling_rate: u.Quantity[u.GHz], width: int
) -> u.Quantity[u.ns]:
    """A = ∫ f² dt of a window of `width` samples, (n_channels,); width 1: of a sample.

    Raises
    ------
    ConfigurationError
        If the window has no sample.
    """
    if width < 1:
        raise ConfigurationError(f"needs a window of at least 1 sample, got {width}")
    step = 1 / sampling_rate.to_value(u.GHz)
    fine = step / N_STEPS
    reach = np.abs(pulse.time).max() + fine
    t = np.arange(-reach, width * step + reach, fine)
    parts = [pulse.contained(c, -t, width * step - t) for c in range(len(pulse.time))]
    return np.sum(np.square(parts), axis=1) * fine * u.ns


@u.quantity_input
def sample_variance_response(
    pulse: PulseShape, sampling_rate: u.Quantity[u.GHz], n_samples: int
) -> u.Quantity[u.ns]:
    """A of the variance within a waveform: of a sample, less that of the waveform's mean.

    As of ``sky_pedestal_variance`` (divisor n): A = A_1 - A_n / n².
    """
    one, all_of_them = (window_response(pulse, sampling_rate, n) for n in (1, n_samples))
    return one - all_of_them / n_samples**2


def pulse_gain(
    gain: np.ndarray, stat_error: np.ndarray, factor: np.ndarray, factor_sys_error: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Gain of the whole pulse, ADC per p.e., and its error without that of F².

    Parameters
    ----------
    gain, stat_error : array, (n_channels, n_pixels), ADC per p.e.
        Of the charge in a window.
    factor, factor_sys_error : array, (n_channels, n_pixels)
        Correction of that window (`WindowCorrection`).
    """
    return gain * factor, np.hypot(stat_error * factor, gain * factor_sys_error)


@u.quantity_input
def nsb_rate(
    sky_variance: np.ndarray,
    sky_variance_error: np.ndarray,
    dark_variance: np.ndarray,
    dark_variance_error: np.ndarray,
    gain: np.ndarray,
    response: u.Quantity[u.ns],
    *,
    gain_error: np.ndarray | float = 0.0,
    squared_excess_noise_factor: np.ndarray | float = 1.222,
    squared_excess_noise_factor_error: np.ndarray | float = 0.0,
) -> NsbRate:
    """Rate of the night sky from the variances of open and closed camera.

    Parameters
    ----------
    sky_variance, dark_variance, and their errors : array, (n_channels, n_pixels), ADC²
        Of charges over the same window, or both within waveforms.
    gain, gain_error : array, (n_channels, n_pixels), ADC per p.e.
        Of the whole pulse (`integration_window`).
    response : Quantity, (n_channels,)
        A of `window_response` or `sample_variance_response`.
    squared_excess_noise_factor, squared_excess_noise_factor_error : array or float
        F². From a gain by photon statistics, which is 1/F², its error enters once, not three
        times: give a `gain_error` without it.

    Raises
    ------
    ConfigurationError
        If F² < 1 or an error is negative.
    """
    F2 = np.asarray(squared_excess_noise_factor, float)
    check_noise(F2, squared_excess_noise_factor_error)
    per_rate = gain**2 * F2 * response.to_value(u.ns)[:, np.newaxis]
    with np.errstate(divide="ignore", invalid="ignore"):
        per_rate = np.where(per_rate > 0, per_rate, np.nan)
        rate = (sky_variance - dark_variance) / per_rate
        stat = np.hypot(sky_variance_error, dark_variance_error) / per_rate
        relative = np.hypot(2 * gain_error / gain, squared_excess_noise_factor_error / F2)
    return NsbRate(rate, stat, np.abs(rate) * relative)
