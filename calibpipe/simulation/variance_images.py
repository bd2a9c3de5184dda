r"""Variances of pixels over some events, drawn without waveforms: images of stars for many nights.

The charge of a window has, by Campbell's theorem, the cumulants

.. math:: \kappa_2 = n\,(\sigma_e^2 + 1/12) + g^2 F^2 \lambda T_2, \qquad
   \kappa_4 = g^4 \langle q^4\rangle\,\lambda T_4

with gain *g*, noise :math:`\sigma_e` of a sample (1/12: whole counts), rate λ of night sky and
stars, and :math:`T_k = \int w(t)^k dt` of the part *w* of a pulse in the window that begins at *t*.
The variance over N events scatters by :math:`\kappa_4/N + 2\kappa_2^2/(N-1)`: as a gamma deviate,
which is exact for Gaussian charges.

# ASSUME: no sample is clipped at 0 ADC. High gain of an LST clips above 10 photoelectrons per ns in
a pixel (a star of V = 5.5, AC coupling keeps the mean at the pedestal); low gain does not.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..core.exceptions import ConfigurationError
from .camera import FLICKER_GAIN, CameraTruth, PixelFault
from .waveforms import PulseTemplates

__all__ = ["ChargeWindow", "charge_window", "simulated_variance_images", "variance_moments"]

ROUNDING = 1 / 12  # ADC²


@dataclass(frozen=True)
class ChargeWindow:
    """A window of samples: their number, T₂ and T₄ in ns."""

    n_samples: int
    second: float
    fourth: float


def charge_window(templates: PulseTemplates, n_samples: int, channel: int = 0) -> ChargeWindow:
    """Window of pulses of a channel; T₂ is 6.0 ns for 8 samples of 1 ns of an LST."""
    pulses = templates.value[channel].astype(float)
    total = np.pad(np.cumsum(pulses, axis=1), ((0, 0), (n_samples, n_samples)))
    total[:, -n_samples:] = total[:, [-n_samples - 1]]
    part = total[:, n_samples:] - total[:, :-n_samples]
    powers = [(part**k).sum(axis=1).mean() * templates.sample_width for k in (2, 4)]
    return ChargeWindow(n_samples, *(float(power) for power in powers))


def variance_moments(
    truth: CameraTruth, star_rates: NDArray, window: ChargeWindow, channel: int = 0
) -> tuple[NDArray, NDArray]:
    """Variance (ADC²) and fourth cumulant (ADC⁴) of the charge, shape (n_images, n_pixels).

    Parameters
    ----------
    truth : CameraTruth
        Dead pixels have electronic noise alone; flickering ones have two gains in turn.
    star_rates : ndarray, shape (n_images, n_pixels)
        Photoelectrons per ns of stars in pixels of efficiency 1.
    window : ChargeWindow
    channel : int
    """
    stars = np.atleast_2d(np.asarray(star_rates, float))
    if stars.shape[1] != truth.n_pixels:
        raise ConfigurationError(
            f"rates of stars have {stars.shape[1]} pixels, the camera {truth.n_pixels}"
        )
    rate = truth.nsb_rate + stars * truth.relative_efficiency
    electronics = window.n_samples * (truth.electronic_noise[channel] ** 2 + ROUNDING)
    form = 1 / (truth.squared_excess_noise_factor - 1)  # of the gamma distribution of charges
    fourth_power = (form + 1) * (form + 2) * (form + 3) / form**3
    flickers = truth.status == PixelFault.FLICKERING
    moments = []
    for factor in (1.0, FLICKER_GAIN):
        gain = truth.gain[channel] * np.where(flickers, factor, 1.0)
        second = electronics + gain**2 * truth.squared_excess_noise_factor * rate * window.second
        fourth = gain**4 * fourth_power * rate * window.fourth
        moments.append((second, fourth + 3 * second**2))
    variance = (moments[0][0] + moments[1][0]) / 2
    return variance, (moments[0][1] + moments[1][1]) / 2 - 3 * variance**2


def simulated_variance_images(
    truth: CameraTruth,
    star_rates: NDArray,
    n_events: int,
    window: ChargeWindow,
    rng: Generator,
    channel: int = 0,
) -> NDArray:
    """Variances over `n_events` events, ADC², shape (n_images, n_pixels).

    Parameters
    ----------
    truth, star_rates, window, channel
        As in `variance_moments`.
    n_events : int
        Events of an image.
    rng : Generator

    Raises
    ------
    ConfigurationError
        With fewer than two events, or rates of another camera.
    """
    if n_events < 2:
        raise ConfigurationError(f"variance over {n_events} events, needs at least 2")
    variance, fourth = variance_moments(truth, star_rates, window, channel)
    spread = fourth / n_events + 2 * variance**2 / (n_events - 1)
    return rng.standard_gamma(variance**2 / spread) * spread / variance
