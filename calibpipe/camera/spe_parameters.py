"""What is fitted of a photoelectron: parameters, starts, bounds, and the facts that follow."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .sipm_spectrum import SIPM_PARAMETERS, avalanche_function, sipm_facts
from .spe_likelihood import CharacteristicFunction
from .spe_model import (
    COMPONENTS,
    component_function,
    component_jacobian,
    components_of_shape,
    fixed_shape_function,
    photoelectron_facts,
    photoelectron_shape,
)

__all__ = ["PhotoelectronModel", "fixed_shape", "free_shape", "silicon"]

_LIKELY = (0.35, 0.52)  # resolutions to begin with: estimates without a pedestal are too large
_WIDE = (0.8, 0.9)  # p_raw and n of a large and wide half-normal part
_RESOLUTIONS = (0.2, 0.74)  # of photomultipliers; above 0.756 p_max is 1


@dataclass(frozen=True)
class PhotoelectronModel:
    """A photoelectron in a fit; the first parameter is its charge, the others have no unit.

    Parameters
    ----------
    names : tuple of str
        Parameters.
    function : callable
        Characteristic function, see `spe_likelihood.bin_probabilities`.
    start : callable
        Parameters (n_pixels, n) of gain and resolution (n_pixels,).
    lower, upper : tuple of float
        Bounds; those of the first in units of its start.
    facts : callable
        From parameters (n, n_pixels) to reported numbers (n_facts, n_pixels).
    fact_names : tuple of str
        Of the reported numbers: ``gain``, ``resolution``, ``squared_excess_noise_factor`` first.
    second_start : callable, optional
        Where another minimum may be found: the deeper one is taken.
    """

    names: tuple[str, ...]
    function: CharacteristicFunction
    start: Callable[[NDArray, NDArray], NDArray]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    facts: Callable[[NDArray], NDArray]
    fact_names: tuple[str, ...]
    second_start: Callable[[NDArray, NDArray], NDArray] | None = None

    def reported(self, value: NDArray, covariance: NDArray) -> tuple[NDArray, NDArray]:
        """Reported numbers and their errors.

        Parameters
        ----------
        value : ndarray, shape (n_pixels, n)
        covariance : ndarray, shape (n_pixels, n, n)

        Returns
        -------
        facts, errors : ndarray, shape (n_facts, n_pixels)
        """
        jacobian = component_jacobian(self.facts, value.T)
        variance = np.einsum("nri,nij,nrj->rn", jacobian, covariance, jacobian)
        return self.facts(value.T), np.sqrt(np.maximum(variance, 0.0))


_FACTS = ("gain", "resolution", "squared_excess_noise_factor", "p_raw", "n", *COMPONENTS)


def _with_components(components: NDArray) -> NDArray:
    return np.concatenate([photoelectron_facts(components), components])


def free_shape(p_raw: float = 0.42, n: float = 0.813) -> PhotoelectronModel:
    """Photomultiplier, all components free; `p_raw` and `n` are where the fit begins.

    A small narrow and a large wide half-normal part can look alike: both are tried.
    """

    def beginning(p_raw: float, n: float) -> Callable[[NDArray, NDArray], NDArray]:
        def start(gain: NDArray, resolution: NDArray) -> NDArray:
            shape = photoelectron_shape(p_raw, np.clip(resolution, *_LIKELY), n)
            return np.stack([gain / shape.gain, shape.p, shape.low_width, shape.high_width], -1)

        return start

    return PhotoelectronModel(
        COMPONENTS,
        component_function,
        beginning(p_raw, n),
        (0.2, 0.002, 0.02, 0.05),
        (4.0, 0.8, 2.0, 1.0),
        _with_components,
        _FACTS,
        beginning(*_WIDE),
    )


def fixed_shape(p_raw: float = 0.42, n: float = 0.813) -> PhotoelectronModel:
    """Photomultiplier, mean and resolution alone are free."""

    def start(gain: NDArray, resolution: NDArray) -> NDArray:
        resolution = np.clip(resolution, 0.3, 0.7)
        return np.stack([gain / photoelectron_shape(p_raw, resolution, n).gain, resolution], -1)

    def facts(shape: NDArray) -> NDArray:
        return _with_components(components_of_shape(shape, p_raw, n))

    return PhotoelectronModel(
        ("mu", "resolution"),
        fixed_shape_function(p_raw, n),
        start,
        (0.2, _RESOLUTIONS[0]),
        (4.0, _RESOLUTIONS[1]),
        facts,
        _FACTS,
    )


def silicon(recovery_ratio: float = 1.0) -> PhotoelectronModel:
    """Silicon photomultiplier: distance and width of peaks, cross-talk, after-pulses."""

    def start(gain: NDArray, resolution: NDArray) -> NDArray:
        square = np.clip(np.nan_to_num(resolution, nan=0.4), 0.2, 0.7) ** 2
        cross_talk = square / (1 + square)
        ones = np.ones_like(gain)
        return np.stack([gain * (1 - cross_talk), 0.08 * ones, cross_talk, 0.02 * ones], axis=-1)

    def facts(parameters: NDArray) -> NDArray:
        return np.concatenate([sipm_facts(parameters, recovery_ratio), parameters])

    return PhotoelectronModel(
        SIPM_PARAMETERS,
        avalanche_function(recovery_ratio),
        start,
        (0.5, 0.005, 0.0, 0.0),
        (2.0, 0.5, 0.7, 0.5),
        facts,
        ("gain", "resolution", "squared_excess_noise_factor", *SIPM_PARAMETERS),
    )
