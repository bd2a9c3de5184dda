"""Goodness of fit of spectra: bins joined until they expect enough events."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .spe_likelihood import CharacteristicFunction, Spectrum, expected_counts

__all__ = ["grouped_chi2"]


def grouped_chi2(
    value: NDArray,
    spectra: Sequence[Spectrum],
    photoelectron: CharacteristicFunction,
    min_expected: float,
) -> tuple[NDArray, NDArray, NDArray]:
    r"""Baker-Cousins chi2 of joined bins.

    Parameters
    ----------
    value : ndarray, shape (n_pixels, n_parameters)
        Of the fit.
    spectra : sequence of Spectrum
        Runs of the same pixels.
    photoelectron : callable
        Characteristic function.
    min_expected : float
        Neighbouring bins are joined to as many expected events.

    Returns
    -------
    chi2, excess : ndarray, shape (n_pixels,)
        Excess: what its mean has more than the number of bins, :math:`\sum_j 1/6\nu_j`.
    n_groups : ndarray, shape (n_pixels,)
    """
    chi2, excess = np.zeros((2, len(value)))
    n_groups = np.zeros(len(value), int)
    for spectrum in spectra:
        expected = expected_counts(value, spectrum, photoelectron)
        for pixel in np.flatnonzero(np.isfinite(expected).all(axis=1)):
            nu, n = _joined(expected[pixel], spectrum.counts[pixel], min_expected)
            logarithm = n * np.log(np.maximum(n, 1) / nu)
            chi2[pixel] += 2 * np.sum(nu - n + logarithm)
            excess[pixel] += np.sum(1 / (6 * nu))
            n_groups[pixel] += nu.size
    return chi2, excess, n_groups


def _joined(expected: NDArray, counts: NDArray, min_expected: float) -> tuple[NDArray, NDArray]:
    """Neighbouring bins added until they expect enough; a rest goes to the last group."""
    edges = [0]
    total = 0.0
    for j, nu in enumerate(expected.tolist()):
        total += nu
        if total >= min_expected:
            edges.append(j + 1)
            total = 0.0
    if len(edges) == 1:
        edges.append(expected.size)
    edges[-1] = expected.size
    begins = edges[:-1]
    return np.add.reduceat(expected, begins), np.add.reduceat(counts.astype(float), begins)
