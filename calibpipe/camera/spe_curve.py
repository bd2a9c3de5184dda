"""Fitted spectra of few photoelectrons, to look at: expected events, components, residuals."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .sipm_spectrum import SIPM_PARAMETERS, avalanche_function
from .spe_likelihood import bin_probabilities
from .spe_model import COMPONENTS, component_function

__all__ = ["SpeCurve", "fitted_curve", "joined_residuals"]


@dataclass(frozen=True)
class SpeCurve:
    """Spectrum of a pixel with its fit, arrays over the bins.

    Parameters
    ----------
    edges : ndarray, shape (n_bins + 1,)
        Charge, ADC.
    counts, expected : ndarray, shape (n_bins,)
        Events.
    components : ndarray, shape (3, n_bins)
        Expected events with 0, with 1, and with 2 photoelectrons or more.
    pedestal, gain : float
        ADC, of this run.
    """

    edges: NDArray
    counts: NDArray
    expected: NDArray
    components: NDArray
    pedestal: float
    gain: float


def fitted_curve(
    pixel: Mapping[str, Any],
    spectrum: Mapping[str, Any],
    run: str = "nominal",
    recovery_ratio: float = 1.0,
) -> SpeCurve:
    r"""Spectrum of one pixel in a run, and what its fit expects.

    .. math:: P = e^{-\lambda}\left[P_0 + \lambda P_1\right] + P_{\geq 2}, \qquad
              P_1 = P_0 + \partial P/\partial\lambda\,|_{\lambda = 0}

    Parameters
    ----------
    pixel, spectrum : mapping
        Rows of the product's tables (`spe_table.spe_table`, `spe_table.spectra_table`).
    run : str
        ``nominal`` or ``high_voltage``.
    recovery_ratio : float
        Of a SiPM, as in the fit.

    Returns
    -------
    SpeCurve
        NaN in what is expected of a pixel without a fit.
    """
    counts = np.asarray(spectrum[f"{run}_counts"], float)
    low, width = (_number(spectrum[f"{run}_{name}"]) for name in ("low_edge", "bin_width"))
    prefix = "high_" if run == "high_voltage" else ""
    light, pedestal, pedestal_width, gain = (
        _number(pixel[f"{prefix}{name}"])
        for name in ("light", "pedestal", "pedestal_width", "gain")
    )
    is_silicon = SIPM_PARAMETERS[0] in _names(pixel)
    shape = [_number(pixel[name]) for name in (SIPM_PARAMETERS if is_silicon else COMPONENTS)]
    shape[0] *= gain / _number(pixel["gain"])  # voltage stretches the charge
    function = avalanche_function(recovery_ratio) if is_silicon else component_function
    edges = low + width * np.arange(counts.size + 1)
    if not np.isfinite([light, pedestal, pedestal_width, *shape]).all():
        nothing = np.full((3, counts.size), np.nan)
        return SpeCurve(edges, counts, nothing[0], nothing, pedestal, gain)

    def probabilities(mean: float) -> NDArray:
        parameters = np.array([[mean, pedestal, pedestal_width, *shape]])
        size = np.array([low]), np.array([width]), counts.size
        return bin_probabilities(parameters, *size, function)[:, 0]

    every, (none, slope) = probabilities(light)[0], probabilities(0.0)[:2]
    parts = np.exp(-light) * np.stack([none, light * (none + slope)])
    parts = np.concatenate([parts, [every - parts.sum(axis=0)]])
    scale = counts.sum() / every.sum()
    return SpeCurve(
        edges, counts, scale * np.maximum(every, 0), scale * np.maximum(parts, 0), pedestal, gain
    )


def _names(row: Mapping[str, Any]) -> list[str]:
    return list(getattr(row, "colnames", row))


def _number(value: Any) -> float:
    return float(getattr(value, "value", value))


def joined_residuals(curve: SpeCurve, min_expected: float = 10.0) -> tuple[NDArray, NDArray]:
    """Edges of joined bins, and how far their events are from the fit, in standard deviations.

    Parameters
    ----------
    curve : SpeCurve
    min_expected : float
        Neighbouring bins are joined to as many expected events.

    Returns
    -------
    edges, residuals : ndarray
        Signed roots of the Baker-Cousins chi2 of each group.
    """
    sums = np.concatenate([[0.0], np.cumsum(curve.expected)])
    places = [0]
    while sums[-1] - sums[places[-1]] >= min_expected:
        place = int(np.searchsorted(sums, sums[places[-1]] + min_expected))
        places.append(min(max(place, places[-1] + 1), curve.counts.size))
    expected = np.diff(sums[places])
    counts = np.diff(np.concatenate([[0.0], np.cumsum(curve.counts)])[places])
    logarithm = counts * np.log(np.maximum(counts, 1) / expected)
    chi2 = np.maximum(2 * (expected - counts + logarithm), 0)
    return curve.edges[places], np.sign(counts - expected) * np.sqrt(chi2)
