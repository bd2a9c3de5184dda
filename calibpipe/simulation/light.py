"""Light of blocks of events: photoelectrons, charge and time of the pulse in each pixel.

Times are nanoseconds after the centre of the first sample. All randomness comes from one generator.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import astropy.units as u
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from .camera import CameraTruth

__all__ = ["Light", "flat_field_light", "interleaved", "no_light", "pulsed_light", "shower_light"]


@dataclass(frozen=True)
class Light:
    """Light of a block of events, one pulse in each pixel.

    Parameters
    ----------
    n_pe : ndarray, shape (n_events, n_pixels), int
        Photoelectrons.
    charge : ndarray, shape (n_events, n_pixels)
        Their charge after multiplication, in mean photoelectrons.
    time : ndarray, shape (n_events, n_pixels)
        ns: when the maximum of the pulse arrives, with the time offset of the pixel.
    """

    n_pe: NDArray
    charge: NDArray = field(repr=False)
    time: NDArray = field(repr=False)


def no_light(n_events: int, truth: CameraTruth) -> Light:
    """Events without a pulse: pedestals."""
    shape = (n_events, truth.n_pixels)
    return Light(np.zeros(shape, int), np.zeros(shape), np.zeros(shape))


@u.quantity_input
def flat_field_light(
    n_events: int,
    truth: CameraTruth,
    rng: Generator,
    *,
    n_pe: float,
    intensity_jitter: float,
    time: u.Quantity[u.ns],
    time_jitter: u.Quantity[u.ns],
    transit_time_spread: u.Quantity[u.ns],
) -> Light:
    r"""Light of a pulsed source that lights all pixels alike.

    Pixel *i* gets :math:`n \sim \mathrm{Poisson}(I\,\epsilon_i\,N)` photoelectrons,
    :math:`I \sim \mathcal{N}(1, B)` being common to all pixels of an event (never below 0).

    Parameters
    ----------
    n_events : int
        Events.
    truth : CameraTruth
        Camera.
    rng : Generator
        Source of all randomness.
    n_pe : float
        *N*, mean photoelectrons in a pixel of efficiency 1.
    intensity_jitter : float
        *B*, relative standard deviation of the source from event to event.
    time, time_jitter : Quantity
        Mean and standard deviation, over events, of the arrival time at a pixel without offset.
    transit_time_spread : Quantity
        Standard deviation of the arrival time of one photoelectron; the pulse of *n* of them
        scatters by it over :math:`\sqrt{n}`.
    """
    intensity = np.maximum(rng.normal(1.0, intensity_jitter, (n_events, 1)), 0.0)
    start = rng.normal(time.to_value(u.ns), time_jitter.to_value(u.ns), (n_events, 1))
    expected = n_pe * intensity * truth.relative_efficiency
    return _detected(expected, start, transit_time_spread.to_value(u.ns), truth, rng)


@u.quantity_input
def shower_light(
    n_events: int,
    truth: CameraTruth,
    rng: Generator,
    *,
    pixel_x: u.Quantity[u.m],
    pixel_y: u.Quantity[u.m],
    time: u.Quantity[u.ns],
    transit_time_spread: u.Quantity[u.ns],
) -> Light:
    """Light of shower-like images: elliptical Gaussians with a linear gradient of time.

    # ASSUME: size 100 to 30 000 p.e. with dN/dsize ~ size^-2, centroid uniform in the inner 70 % of
    the camera's radius, length 0.08 to 0.25 m, width 0.3 to 0.6 of it, gradient within 15 ns/m.

    Parameters
    ----------
    n_events : int
        Events.
    truth : CameraTruth
        Camera.
    rng : Generator
        Source of all randomness.
    pixel_x, pixel_y : Quantity, shape (n_pixels,)
        Positions in the camera.
    time : Quantity
        Arrival time at the centroid of the image.
    transit_time_spread : Quantity
        As in `flat_field_light`.
    """
    x, y = pixel_x.to_value(u.m), pixel_y.to_value(u.m)
    column = (n_events, 1)
    size = 100.0 / (1.0 - rng.uniform(0.0, 1.0 - 100.0 / 30_000.0, column))
    radius = 0.7 * np.hypot(x, y).max() * np.sqrt(rng.uniform(0.0, 1.0, column))
    polar, psi = rng.uniform(0.0, 2 * np.pi, (2, *column))
    length = rng.uniform(0.08, 0.25, column)
    width = length * rng.uniform(0.3, 0.6, column)
    gradient = rng.uniform(-15.0, 15.0, column)
    dx, dy = x - radius * np.cos(polar), y - radius * np.sin(polar)
    along = dx * np.cos(psi) + dy * np.sin(psi)
    across = dy * np.cos(psi) - dx * np.sin(psi)
    image = np.exp(-0.5 * ((along / length) ** 2 + (across / width) ** 2))
    image *= size / image.sum(axis=1, keepdims=True)
    start = time.to_value(u.ns) + gradient * along
    expected = image * truth.relative_efficiency
    return _detected(expected, start, transit_time_spread.to_value(u.ns), truth, rng)


def _detected(
    expected: NDArray, start: NDArray, transit_spread: float, truth: CameraTruth, rng: Generator
) -> Light:
    return pulsed_light(rng.poisson(expected), start, transit_spread, truth, rng)


def pulsed_light(
    n_pe: NDArray, start: NDArray, transit_spread: float, truth: CameraTruth, rng: Generator
) -> Light:
    """Light of given photoelectrons: their charge (a sum of gamma deviates is one), their pulse.

    Parameters
    ----------
    n_pe : ndarray, shape (n_events, n_pixels), int
        Photoelectrons.
    start : ndarray, broadcastable to that of `n_pe`
        ns: mean arrival time of the photons in a pixel.
    transit_spread : float
        ns: standard deviation of the time of one photoelectron.
    truth : CameraTruth
        Camera.
    rng : Generator
        Source of all randomness.
    """
    some = np.maximum(n_pe, 1)
    shape = 1.0 / (truth.squared_excess_noise_factor - 1.0)
    charge = np.where(n_pe > 0, rng.standard_gamma(some * shape) / shape, 0.0)
    scatter = transit_spread * rng.standard_normal(n_pe.shape) / np.sqrt(some)
    return Light(n_pe, charge, start + truth.time_offset + scatter)


def interleaved(counts: Sequence[int]) -> NDArray:
    """Type of each event when the events of every type are spread evenly over all.

    Parameters
    ----------
    counts : sequence of int
        Events of each type.

    Returns
    -------
    ndarray, shape (sum of counts,), int
        Index into `counts`.
    """
    place = [(np.arange(n) + 0.5) / n for n in counts if n]
    index = np.repeat(np.arange(len(counts)), counts)
    return index[np.argsort(np.concatenate(place), kind="stable")] if place else index
