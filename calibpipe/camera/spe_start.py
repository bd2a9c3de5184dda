r"""Pedestal, light and mean charge of a spectrum without a model of the photoelectron.

.. math:: \lambda = -\ln\frac{A}{f}, \qquad m_1 = \frac{\bar Q - \bar Q_P}{\lambda}, \qquad
          \mathrm{var}_1 = \frac{V - V_P}{\lambda} - m_1^2

with the fractions *A* and *f* of events with and without light below a cut on the left side of the
pedestal, where photoelectrons hardly reach.

References
----------
Saldanha et al. 2017, NIM A 863, 35, doi:10.1016/j.nima.2017.02.086.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.special import ndtr

from .charge_histograms import ChargeHistograms

__all__ = [
    "ModelIndependent",
    "SpectrumMoments",
    "model_independent",
    "pedestal_of_dark",
    "pedestal_peak",
    "spectrum_moments",
]

_SMOOTHING = 1.5  # bins
_FOOT, _FLANK = 0.05, 0.25  # of the highest bin
_PEAK_WITHIN = 2.6  # distances from foot to flank: 2.1 for a Gaussian


@dataclass(frozen=True)
class SpectrumMoments:
    """Numbers of spectra, shape (n_pixels,): events in range, mean (ADC), variance (ADC²)."""

    n: NDArray
    mean: NDArray
    variance: NDArray


@dataclass(frozen=True)
class ModelIndependent:
    """What spectra say without a model, shape (n_pixels,).

    Parameters
    ----------
    light, light_error : ndarray
        Mean photoelectrons of an event.
    gain, gain_error : ndarray
        Mean charge of one photoelectron, ADC.
    resolution : ndarray
        Standard deviation over mean of that charge; NaN where its variance is negative.
    cut : ndarray, int
        Bins below it are the pedestal's.
    """

    light: NDArray
    light_error: NDArray
    gain: NDArray
    gain_error: NDArray
    resolution: NDArray
    cut: NDArray


def bin_centres(histograms: ChargeHistograms) -> NDArray:
    """Centres of bins, (n_pixels, n_bins), ADC."""
    j = np.arange(histograms.counts.shape[-1]) + 0.5
    return histograms.low_edge[:, np.newaxis] + histograms.bin_width[:, np.newaxis] * j


def spectrum_moments(histograms: ChargeHistograms) -> SpectrumMoments:
    """Mean and variance of the events in range; NaN without events."""
    centre = bin_centres(histograms)
    counts = histograms.counts
    n = counts.sum(axis=1, dtype=float)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.sum(counts * centre, axis=1) / n
        variance = np.sum(counts * (centre - mean[:, np.newaxis]) ** 2, axis=1) / n
    return SpectrumMoments(n, mean, variance)


def pedestal_peak(histograms: ChargeHistograms) -> tuple[NDArray, NDArray]:
    """Position and standard deviation of the first peak of spectra.

    The rise from 5 % to 25 % of the highest bin tells how far away the top is; the width is that of
    the events on the left of it.

    Parameters
    ----------
    histograms : ChargeHistograms
        Of pixels along one axis.

    Returns
    -------
    position, width : ndarray, shape (n_pixels,)
        ADC; NaN of an empty spectrum.
    """
    counts = histograms.counts.astype(float)
    smooth = gaussian_filter1d(counts, _SMOOTHING, axis=1, mode="constant")
    highest = smooth.max(axis=1, keepdims=True)
    foot = np.argmax(smooth >= _FOOT * highest, axis=1)
    flank = np.argmax(smooth >= _FLANK * highest, axis=1)
    end = flank + np.ceil(_PEAK_WITHIN * np.maximum(flank - foot, 1)) + 1
    bins = np.arange(counts.shape[1])
    within = (bins >= foot[:, np.newaxis]) & (bins <= end[:, np.newaxis])
    peak = np.argmax(np.where(within, smooth, -1.0), axis=1)
    left = bins < peak[:, np.newaxis]
    distance = bins - peak[:, np.newaxis]
    with np.errstate(invalid="ignore", divide="ignore"):
        square = np.sum(counts * left * distance**2, axis=1) / np.sum(counts * left, axis=1)
    width = histograms.bin_width * np.sqrt(np.maximum(square, 0.25))
    position = histograms.low_edge + histograms.bin_width * (peak + 0.5)
    empty = highest[:, 0] <= 0
    return np.where(empty, np.nan, position), np.where(empty, np.nan, width)


def pedestal_of_dark(histograms: ChargeHistograms) -> tuple[NDArray, NDArray]:
    """Mean and standard deviation of spectra without light, single photoelectrons left out."""
    centre = bin_centres(histograms)
    position, width = pedestal_peak(histograms)
    for _ in range(3):
        near = np.abs(centre - position[:, np.newaxis]) < 4 * width[:, np.newaxis]
        counts = histograms.counts * near
        with np.errstate(invalid="ignore", divide="ignore"):
            n = counts.sum(axis=1)
            position = np.sum(counts * centre, axis=1) / n
            square = np.sum(counts * (centre - position[:, np.newaxis]) ** 2, axis=1) / n
        width = np.maximum(np.sqrt(square), 0.5 * histograms.bin_width)
    return position, width


def model_independent(
    histograms: ChargeHistograms,
    pedestal: NDArray,
    pedestal_width: NDArray,
    dark: ChargeHistograms | None = None,
    cut_sigma: float = 1.0,
) -> ModelIndependent:
    """Light and mean charge of one photoelectron.

    Parameters
    ----------
    histograms : ChargeHistograms
        With light, pixels along one axis.
    pedestal, pedestal_width : ndarray, shape (n_pixels,)
        ADC.
    dark : ChargeHistograms, optional
        Same bins, without light; a Gaussian pedestal without error when not given.
    cut_sigma : float
        How many standard deviations below the pedestal the cut is.

    Returns
    -------
    ModelIndependent
        NaN where no event is below the cut, or there is no light.
    """
    n_bins = histograms.counts.shape[1]
    position = (pedestal - cut_sigma * pedestal_width - histograms.low_edge) / histograms.bin_width
    cut = np.clip(np.rint(np.nan_to_num(position)), 1, n_bins).astype(int)
    below = np.arange(n_bins) < cut[:, np.newaxis]
    with_light = _Part.of(histograms, below)
    if dark is None:
        without = _Part.gaussian(histograms, pedestal, pedestal_width, cut)
    else:
        without = _Part.of(dark, below)
    with np.errstate(invalid="ignore", divide="ignore"):
        light = np.log(without.fraction / with_light.fraction)
        variance = with_light.variance_of_log + without.variance_of_log
        excess = with_light.mean - without.mean
        gain = excess / light
        # d(gain) = (dQ - dQ_P - gain dlight) / light; a fraction and the mean are of one sample
        noise = with_light.variance_of_mean + without.variance_of_mean + gain**2 * variance
        noise += 2 * gain * (with_light.covariance + without.covariance)
        resolution = np.sqrt(
            np.where(light > 0, (with_light.variance - without.variance) / light, np.nan) / gain**2
            - 1
        )
    found = np.isfinite(light) & (light > 0)
    nan = np.where(found, 1.0, np.nan)
    return ModelIndependent(
        light=light * nan,
        light_error=np.sqrt(variance) * nan,
        gain=gain * nan,
        gain_error=np.sqrt(np.maximum(noise, 0.0)) / np.where(found, light, 1.0) * nan,
        resolution=resolution * nan,
        cut=cut,
    )


@dataclass(frozen=True)
class _Part:
    """Fraction below the cut and moments of a spectrum, with their (co)variances."""

    fraction: NDArray
    mean: NDArray
    variance: NDArray
    variance_of_log: NDArray  # of the fraction
    variance_of_mean: NDArray
    covariance: NDArray  # of mean and logarithm of the fraction

    @classmethod
    def of(cls, histograms: ChargeHistograms, below: NDArray) -> "_Part":
        moments = spectrum_moments(histograms)
        lower = ChargeHistograms(
            histograms.counts * below,
            *(histograms.low_edge, histograms.bin_width),
            *(histograms.below, histograms.above, histograms.saturated),
        )
        part = spectrum_moments(lower)
        with np.errstate(invalid="ignore", divide="ignore"):
            fraction = part.n / moments.n
            return cls(
                fraction,
                moments.mean,
                moments.variance,
                (1 - fraction) / part.n,
                moments.variance / moments.n,
                (part.mean - moments.mean) / moments.n,
            )

    @classmethod
    def gaussian(
        cls, histograms: ChargeHistograms, pedestal: NDArray, width: NDArray, cut: NDArray
    ) -> "_Part":
        edge = histograms.low_edge + cut * histograms.bin_width
        zero = np.zeros_like(pedestal)
        return cls(ndtr((edge - pedestal) / width), pedestal, width**2, zero, zero, zero)
