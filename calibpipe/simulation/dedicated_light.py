"""Light of dedicated calibration runs: bent response, cross-talk, single pixels, filter scans."""

from dataclasses import dataclass, replace

import astropy.units as u
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.sparse import csr_array

from .camera import CameraTruth
from .light import Light, pulsed_light

__all__ = [
    "ScanTruth",
    "bent_light",
    "crosstalk_matrix",
    "leaked_light",
    "scan_truth",
    "single_pixel_light",
]


@dataclass(frozen=True)
class ScanTruth:
    """Light of the points of a scan, arrays (n_points,).

    Parameters
    ----------
    transmission : ndarray
        Nominal, of the filters.
    light : ndarray
        True, relative to the light without a filter.
    monitor : ndarray
        What a diode has measured of it.
    """

    transmission: NDArray
    light: NDArray
    monitor: NDArray


def scan_truth(
    transmission: NDArray, rng: Generator, *, tolerance: float, monitor_error: float
) -> ScanTruth:
    """Light behind filters whose transmissions are off by their tolerance.

    Parameters
    ----------
    transmission : ndarray, (n_points,)
        Nominal.
    rng : Generator
        Source of all randomness.
    tolerance, monitor_error : float
        Relative standard deviations of true transmissions and of the diode.
    """
    nominal = np.asarray(transmission, float)
    light = nominal * np.exp(tolerance * rng.standard_normal(nominal.size))
    return ScanTruth(
        nominal, light, light * np.exp(monitor_error * rng.standard_normal(nominal.size))
    )


def bent_light(light: Light, bend: float) -> Light:
    """Light of a multiplier whose charge falls behind: q/(1 + q/bend), the same in both gains.

    Parameters
    ----------
    light : Light
    bend : float
        Mean p.e. at which half of the charge is lost; 0: a straight response.
    """
    return replace(light, charge=light.charge / (1 + light.charge / bend)) if bend else light


def crosstalk_matrix(
    neighbours: csr_array, mean: float, spread: float, rng: Generator
) -> csr_array:
    """Part of the charge of pixel j that pixel i sees besides, of neighbours.

    Parameters
    ----------
    neighbours : sparse array of bool, (n_pixels, n_pixels)
    mean, spread : float
        Mean, and standard deviation relative to it; never below 0.
    rng : Generator
        Source of all randomness.

    Returns
    -------
    sparse array, (n_pixels, n_pixels)
        Rows: pixels that see it, columns: pixels that it comes from.
    """
    pairs = csr_array(neighbours, dtype=float)
    parts = mean * (1 + spread * rng.standard_normal(pairs.nnz))
    return csr_array((np.maximum(parts, 0.0), pairs.indices, pairs.indptr), shape=pairs.shape)


def leaked_light(light: Light, crosstalk: csr_array) -> Light:
    """Light with what leaks from other pixels, which comes at the time of the pixel's own pulse.

    Parameters
    ----------
    light : Light
    crosstalk : sparse array, (n_pixels, n_pixels)
        Of `crosstalk_matrix`.
    """
    return replace(light, charge=light.charge + (crosstalk @ light.charge.T).T)


@u.quantity_input
def single_pixel_light(
    lit: NDArray,
    truth: CameraTruth,
    rng: Generator,
    *,
    n_pe: float,
    time: u.Quantity[u.ns],
    transit_time_spread: u.Quantity[u.ns],
) -> Light:
    """Events in which one pixel has light.

    Parameters
    ----------
    lit : ndarray, (n_events,), int
        Pixel of each event.
    truth : CameraTruth
        Camera.
    rng : Generator
        Source of all randomness.
    n_pe : float
        Mean photoelectrons of a pixel of efficiency 1.
    time, transit_time_spread : Quantity
        As in `calibpipe.simulation.light.flat_field_light`.
    """
    n = np.zeros((lit.size, truth.n_pixels), int)
    n[np.arange(lit.size), lit] = rng.poisson(n_pe * truth.relative_efficiency[lit])
    start = np.full((lit.size, 1), time.to_value(u.ns))
    return pulsed_light(n, start, transit_time_spread.to_value(u.ns), truth, rng)
