r"""Likelihood of charge spectra of few photoelectrons, with gradient and information.

.. math:: P(q) = \sum_k \frac{\lambda^k e^{-\lambda}}{k!}\,
          \mathcal{N}(q; P, \sigma_P) \otimes \rho^{*k}, \qquad
          \phi(\omega) = \exp\left[i\omega P - \sigma_P^2\omega^2/2
          + \lambda\,(\chi(\omega) - 1)\right]

All numbers of photoelectrons at once: the sum is an exponential of the characteristic function
:math:`\chi` of one photoelectron. A Fourier transform gives the integrals over the bins, exact but
for charges beyond the padded range, and for 1e-16 of the frequencies.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len

__all__ = ["DARK", "Deviance", "Spectrum", "bin_probabilities", "deviance", "expected_counts"]

DARK = -1  # index of a parameter that is zero: no light
FLOOR = 1e-13  # probability of a bin below which rounding of the transform decides
_LAST = 8.6  # exp(-x²/2) = 1e-16
_BELOW, _BEYOND = 0.125, 0.5  # of the number of bins: room in which nothing is counted

type CharacteristicFunction = Callable[[NDArray, NDArray], tuple[NDArray, NDArray]]


@dataclass(frozen=True)
class Spectrum:
    """Charge spectra of pixels in one run.

    Parameters
    ----------
    counts : ndarray, shape (n_pixels, n_bins)
        Events.
    low_edge, bin_width : ndarray, shape (n_pixels,)
        Lower edge of the first bin and width of all, ADC.
    index : tuple of int
        Where in the vector of all parameters those of this spectrum are: light, pedestal, its
        width, then the photoelectron's; `DARK` for light that is zero.
    """

    counts: NDArray
    low_edge: NDArray
    bin_width: NDArray
    index: tuple[int, ...]

    def of(self, pixels: NDArray | slice) -> "Spectrum":
        """Those of some pixels."""
        return Spectrum(
            self.counts[pixels], self.low_edge[pixels], self.bin_width[pixels], self.index
        )


@dataclass(frozen=True)
class Deviance:
    """Minus twice the logarithm of the likelihood ratio to the counts themselves, by pixel.

    Parameters
    ----------
    value : ndarray, shape (n_pixels,)
        Baker-Cousins chi2; NaN where parameters are impossible.
    gradient : ndarray, shape (n_pixels, n_parameters)
        Half of that of the value: of the negative logarithm of the likelihood.
    information : ndarray, shape (n_pixels, n_parameters, n_parameters)
        Fisher's, of the expectations.
    """

    value: NDArray
    gradient: NDArray
    information: NDArray


def bin_probabilities(
    parameters: NDArray,
    low_edge: NDArray,
    bin_width: NDArray,
    n_bins: int,
    photoelectron: CharacteristicFunction,
) -> NDArray:
    """Probabilities of bins, and their derivatives.

    Parameters
    ----------
    parameters : ndarray, shape (n_pixels, n_parameters)
        Mean number of photoelectrons, pedestal and its standard deviation (ADC), then those of the
        photoelectron.
    low_edge, bin_width : ndarray, shape (n_pixels,)
        ADC.
    n_bins : int
        Number of bins.
    photoelectron : callable
        Characteristic function of one photoelectron, with derivatives
        (`spe_model.characteristic_function`).

    Returns
    -------
    ndarray, shape (1 + n_parameters, n_pixels, n_bins)
    """
    below = int(np.ceil(_BELOW * n_bins))
    n = next_fast_len(n_bins + below + int(np.ceil(_BEYOND * n_bins)), real=True)
    n += n % 2
    pedestal_width = parameters[:, 2]
    last = int(np.ceil(np.max(_LAST * bin_width / pedestal_width) * n / (2 * np.pi)))
    phase = 2 * np.pi * np.arange(last + 1) / n
    omega = phase / bin_width[:, np.newaxis]
    start = parameters[:, 1] - low_edge + below * bin_width
    light = parameters[:, :1]
    chi, by_shape = photoelectron(parameters[:, 3:], omega)
    phi = np.exp(
        1j * (omega * start[:, np.newaxis] - phase / 2)
        - (pedestal_width[:, np.newaxis] * omega) ** 2 / 2
        + light * (chi - 1)
    ) * np.sinc(phase / (2 * np.pi))
    transforms = np.empty((1 + parameters.shape[1], *omega.shape), complex)
    transforms[0] = phi
    transforms[1] = phi * (chi - 1)
    transforms[2] = phi * 1j * omega
    transforms[3] = phi * -(pedestal_width[:, np.newaxis] * omega**2)
    np.multiply(by_shape, light * phi, out=transforms[4:])
    return irfft(_folded(transforms, n), n, axis=-1)[..., below : below + n_bins]


def _folded(transforms: NDArray, n: int) -> NDArray:
    """Conjugate amplitudes at frequencies that samples at the bins can tell apart."""
    half, size = n // 2 + 1, transforms.shape[-1]
    if size <= half:
        return np.conj(transforms)
    out = np.zeros((*transforms.shape[:-1], half), complex)
    for first in range(0, size, n):
        up = transforms[..., first : first + half]
        out[..., : up.shape[-1]] += np.conj(up)
        # frequency first + n - r is that of -r
        down = transforms[..., first + n - half + 1 : first + n][..., ::-1]
        n_down = down.shape[-1]
        out[..., half - n_down : half] += down
        if first + n < size:
            out[..., 0] += transforms[..., first + n]
    return out


def deviance(
    parameters: NDArray, spectra: Sequence[Spectrum], photoelectron: CharacteristicFunction
) -> Deviance:
    r"""Agreement of spectra with the model, all runs of a pixel together.

    .. math:: D = 2\sum_j \left[\nu_j - n_j + n_j\ln(n_j/\nu_j)\right], \qquad
              \nu_j = N\,P_j/\sum_l P_l

    Events outside the range are not counted: probabilities are those within it.

    Parameters
    ----------
    parameters : ndarray, shape (n_pixels, n_parameters)
        All parameters.
    spectra : sequence of Spectrum
        Runs, of the same pixels.
    photoelectron : callable
        See `bin_probabilities`.

    References
    ----------
    Baker & Cousins 1984, NIM 221, 437, doi:10.1016/0167-5087(84)90016-4.
    """
    n_pixels, n_parameters = parameters.shape
    value = np.zeros(n_pixels)
    gradient = np.zeros((n_pixels, n_parameters))
    information = np.zeros((n_pixels, n_parameters, n_parameters))
    for spectrum in spectra:
        own = np.array(spectrum.index)
        there = own != DARK
        expected, derivative = _expectations(parameters, spectrum, photoelectron)
        counts = spectrum.counts
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = counts / expected
            logarithm = np.where(counts > 0, counts * np.log(ratio), 0.0)
        value += 2 * np.sum(expected - counts + logarithm, axis=1)
        derivative = np.moveaxis(derivative[there], 0, 1)
        slope = np.einsum("nkj,nj->nk", derivative, 1 - ratio)
        weighted = derivative / expected[:, np.newaxis]
        square = weighted @ np.swapaxes(derivative, 1, 2)
        at = own[there]
        gradient[:, at] += slope
        information[:, at[:, np.newaxis], at] += square
    return Deviance(value, gradient, information)


def _expectations(
    parameters: NDArray, spectrum: Spectrum, photoelectron: CharacteristicFunction
) -> tuple[NDArray, NDArray]:
    """Expected counts (n_pixels, n_bins), and their derivatives to the spectrum's parameters."""
    own = np.array(spectrum.index)
    chosen = np.where(own == DARK, 0.0, parameters[:, own])
    found = bin_probabilities(
        chosen, spectrum.low_edge, spectrum.bin_width, spectrum.counts.shape[1], photoelectron
    )
    probability = np.maximum(found[0], FLOOR)
    inside = probability.sum(axis=1, keepdims=True)
    total = spectrum.counts.sum(axis=1, keepdims=True)
    expected = probability * (total / inside)
    derivative = found[1:] * (total / inside)
    derivative -= expected * (found[1:].sum(axis=-1, keepdims=True) / inside)
    return expected, derivative


def expected_counts(
    parameters: NDArray, spectrum: Spectrum, photoelectron: CharacteristicFunction
) -> NDArray:
    """Counts that parameters let expect in every bin, (n_pixels, n_bins)."""
    return _expectations(parameters, spectrum, photoelectron)[0]
