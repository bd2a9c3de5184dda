"""Charges of few photoelectrons with known truth: of a photomultiplier, or a SiPM.

A photoelectron has a half-normal charge with probability *p*, else a Gaussian one
(`calibpipe.camera.spe_model`); charges are in units of its mean.
"""

from dataclasses import dataclass

import numpy as np
from astropy.table import QTable
from numpy.random import Generator
from numpy.typing import NDArray

from ..camera.spe_model import photoelectron_facts, photoelectron_shape
from .light import Light

__all__ = [
    "SpeShape",
    "few_photoelectron_light",
    "few_photoelectrons",
    "multiplied_charge",
    "silicon_charge",
    "spe_charge",
]


@dataclass(frozen=True)
class SpeShape:
    """Shape of the charge of one photoelectron in a photomultiplier; the defaults are NectarCAM's.

    Parameters
    ----------
    p_raw, n : float
        Of `calibpipe.camera.spe_model.photoelectron_shape`.
    resolution : float
        Standard deviation over mean.
    """

    p_raw: float = 0.42
    resolution: float = 0.5
    n: float = 0.813

    def columns(self, n_pixels: int) -> QTable:
        """Truth of pixels: what a fit should find."""
        shape = photoelectron_shape(self.p_raw, self.resolution, self.n)
        components = np.array([1.0, shape.p, shape.low_width, shape.high_width])
        facts = photoelectron_facts(components)
        names = ("resolution", "squared_excess_noise_factor", "p_raw", "n")
        return QTable(
            {name: np.full(n_pixels, value) for name, value in zip(names, facts[1:], strict=True)}
        )


def multiplied_charge(size: int, shape: SpeShape, rng: Generator) -> NDArray:
    """Charges (size,) of single photoelectrons, mean 1; a Gaussian one may be below zero."""
    found = photoelectron_shape(shape.p_raw, shape.resolution, shape.n)
    is_low = rng.random(size) < found.p
    deviate = rng.standard_normal(size)
    charge = np.where(is_low, found.low_width * np.abs(deviate), 1 + found.high_width * deviate)
    return charge / found.gain


def few_photoelectrons(n_pe: NDArray, shape: SpeShape, rng: Generator) -> NDArray:
    """Charge of events of `n_pe` photoelectrons, same shape, in mean photoelectrons."""
    flat = np.ravel(n_pe)
    single = multiplied_charge(int(flat.sum()), shape, rng)
    owner = np.repeat(np.arange(flat.size), flat)
    return np.bincount(owner, single, flat.size).reshape(np.shape(n_pe))


def spe_charge(
    n_events: int,
    light: float,
    gain: float,
    pedestal: float,
    pedestal_width: float,
    shape: SpeShape,
    rng: Generator,
) -> NDArray:
    """Charges (n_events,) of a pixel, ADC: Poisson light of mean `light`, Gaussian pedestal."""
    charge = few_photoelectrons(rng.poisson(light, n_events), shape, rng)
    return gain * charge + rng.normal(pedestal, pedestal_width, n_events)


def silicon_charge(
    n_events: int,
    light: float,
    pedestal: float,
    pedestal_width: float,
    parameters: tuple[float, float, float, float],
    rng: Generator,
) -> NDArray:
    """Charges (n_events,) of a pixel of a SiPM, ADC; all cascades of cross-talk are followed.

    Parameters
    ----------
    n_events : int
    light, pedestal, pedestal_width : float
        Mean photoelectrons; ADC.
    parameters : tuple of float
        As `calibpipe.camera.sipm_spectrum.SIPM_PARAMETERS`; after-pulses are recovered to a part
        that is uniform (ratio of times 1).
    rng : Generator
    """
    distance, width, cross_talk, after_pulse = parameters
    fresh = rng.poisson(light, n_events)
    fired = fresh.copy()
    while fresh.any():
        fresh = rng.poisson(cross_talk * fresh)
        fired += fresh
    charge = fired + width * np.sqrt(fired) * rng.standard_normal(n_events)
    late = rng.binomial(fired, after_pulse)
    owner = np.repeat(np.arange(n_events), late)
    charge += np.bincount(owner, rng.random(owner.size), n_events)
    return distance * charge + rng.normal(pedestal, pedestal_width, n_events)


def few_photoelectron_light(light: Light, shape: SpeShape, rng: Generator) -> Light:
    """The same photoelectrons at the same times, with charges of a two-component shape."""
    charge = few_photoelectrons(light.n_pe, shape, rng)
    return Light(light.n_pe, charge, light.time)
