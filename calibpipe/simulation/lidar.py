r"""Simulated LIDAR profiles with known aerosols and clouds.

Photoelectrons follow Poisson's law about
:math:`N = C\,O(r)\,r^{-2}\,\beta\,e^{-\tau(\lambda_0)-\tau(\lambda_R)}`, plus a background that
is constant in range. A counter then loses pulses in its dead time; a digitiser adds noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import astropy.units as u
import numpy as np
from astropy.constants import c as speed_of_light
from numpy.typing import NDArray
from scipy.special import ndtr

from ..atmosphere.density_profile import MolecularProfile
from ..atmosphere.lidar_molecular import molecular_signal, raman_molecular_signal
from ..core.lidar_files import ANALOG, PHOTON_COUNTING, LidarSignal

__all__ = [
    "AerosolLayer",
    "Aerosols",
    "LidarChannel",
    "expected_photons",
    "passing_cloud",
    "raman_lidar",
    "simulated_channel",
    "simulated_counts",
]

REFERENCE_WAVELENGTH = 532 * u.nm


@dataclass(frozen=True)
class AerosolLayer:
    """A layer of aerosols or a cloud, vertical.

    Parameters
    ----------
    optical_depth : float
        Vertical, at 532 nm.
    base, top : Quantity
        Above the sea. A ground layer has an exponential scale instead: see `scale`.
    lidar_ratio : Quantity
        sr, at every wavelength.
    angstrom_exponent : float
        0 for clouds.
    scale : Quantity or None
        Falls exponentially from the base on; None: constant between base and top.
    """

    optical_depth: float
    base: u.Quantity
    top: u.Quantity
    lidar_ratio: u.Quantity = 30 * u.sr
    angstrom_exponent: float = 0.0
    scale: u.Quantity | None = None

    def depth_below(self, altitude: u.Quantity, wavelength: u.Quantity) -> NDArray:
        """Vertical optical depth of this layer below altitudes."""
        z = np.clip((altitude - self.base).to_value(u.m), 0.0, None)
        thickness = (self.top - self.base).to_value(u.m)
        inside = np.minimum(z, thickness)
        if self.scale is None:
            part = inside / thickness
        else:
            length = self.scale.to_value(u.m)
            part = np.expm1(-inside / length) / np.expm1(-thickness / length)
        ratio = (wavelength / REFERENCE_WAVELENGTH).to_value(u.one)
        return self.optical_depth * ratio**-self.angstrom_exponent * part


@dataclass(frozen=True)
class Aerosols:
    """All layers above a site."""

    layers: tuple[AerosolLayer, ...] = ()

    def optical_depth(self, altitude: u.Quantity, wavelength: u.Quantity) -> NDArray:
        """Vertical optical depth below altitudes, of all layers."""
        none = np.zeros(np.shape(altitude))
        return sum((layer.depth_below(altitude, wavelength) for layer in self.layers), none)

    def backscatter(
        self, altitude: u.Quantity, edges: u.Quantity, wavelength: u.Quantity
    ) -> u.Quantity:
        """Mean backscatter of each bin between edges, 1/(m sr)."""
        total = np.zeros(len(altitude))
        thickness = np.diff(edges.to_value(u.m))
        for layer in self.layers:
            depth = np.diff(layer.depth_below(edges, wavelength))
            total += depth / thickness / layer.lidar_ratio.to_value(u.sr)
        return total << 1 / u.m / u.sr


@dataclass(frozen=True)
class LidarChannel:
    """A channel of the simulated instrument.

    Parameters
    ----------
    emitted, received : Quantity
        Wavelengths; equal for an elastic channel.
    photons : float
        Expected photoelectrons a shot and bin, times m3 sr: C of the equation.
    background : float
        Photoelectrons of background a shot and bin.
    analog : bool
        Digitised current instead of counted photons.
    dead_time : Quantity
        Of the counter.
    photoelectron : float
        ADC counts of one, analog only.
    electronic_noise : float
        ADC counts rms a shot and bin, analog only.
    """

    emitted: u.Quantity
    received: u.Quantity
    photons: float
    background: float = 1e-3
    analog: bool = False
    dead_time: u.Quantity = 0 * u.ns
    photoelectron: float = 0.5
    electronic_noise: float = 0.25


def overlap_function(distance: u.Quantity, full_overlap: u.Quantity) -> NDArray:
    """Overlap of laser and field of view: a normal distribution that is 0.999 at full overlap."""
    x = (distance / full_overlap).to_value(u.one)
    return np.where(x >= 1, 1.0, ndtr(3.09 * (2.0 * x - 1.0)))


def expected_photons(
    profile: MolecularProfile,
    aerosols: Aerosols,
    channel: LidarChannel,
    distance: u.Quantity,
    co2: float,
    altitude: u.Quantity,
    elevation: u.Quantity = 90 * u.deg,
    full_overlap: u.Quantity = 300 * u.m,
) -> NDArray:
    """Photoelectrons a shot in each bin without background, (n_bins,).

    Parameters
    ----------
    profile : MolecularProfile
    aerosols : Aerosols
    channel : LidarChannel
    distance : Quantity, (n_bins,)
        Middles of bins of equal width.
    co2, altitude, elevation
        As in `calibpipe.atmosphere.lidar_molecular.molecular_signal`.
    full_overlap : Quantity
    """
    sine = float(np.sin(elevation))
    height = altitude + distance * sine
    half = (distance[1] - distance[0]) / 2.0
    edges = altitude + np.append(distance - half, distance[-1:] + half) * sine
    where = (co2, altitude, elevation)
    base = aerosols.optical_depth(altitude.reshape(1), channel.emitted)
    depth = (aerosols.optical_depth(height, channel.emitted) - base) / sine
    if channel.received == channel.emitted:
        molecules = molecular_signal(profile, distance, channel.emitted, *where)
        aerosol = aerosols.backscatter(height, edges, channel.emitted)
        scattering = (molecules.backscatter + aerosol).to_value(1 / u.m / u.sr)
        signal = scattering * np.exp(-2.0 * (molecules.optical_depth + depth))
    else:
        base = aerosols.optical_depth(altitude.reshape(1), channel.received)
        back = (aerosols.optical_depth(height, channel.received) - base) / sine
        molecules = raman_molecular_signal(
            profile, distance, channel.emitted, channel.received, *where
        )
        signal = molecules.attenuated_backscatter.to_value(1 / u.m / u.sr)
        signal = signal * np.exp(-depth - back)
    width = 2.0 * half.to_value(u.m)
    return (
        channel.photons
        * width
        * overlap_function(distance, full_overlap)
        * signal
        / distance.to_value(u.m) ** 2
    )


def simulated_counts(
    expected: NDArray,
    channel: LidarChannel,
    shots: int,
    n_profiles: int,
    bin_duration: u.Quantity,
    rng: np.random.Generator,
) -> NDArray:
    """Raw values of profiles, summed over the shots: counts, or ADC counts of an analog channel.

    Parameters
    ----------
    expected : ndarray, (n_bins,) or (n_profiles, n_bins)
        Photoelectrons a shot without background.
    channel : LidarChannel
    shots, n_profiles : int
    bin_duration : Quantity
    rng : numpy Generator

    Returns
    -------
    ndarray of int, (n_profiles, n_bins)
    """
    shape = (n_profiles, np.shape(expected)[-1])
    rate = np.broadcast_to(expected + channel.background, shape)
    if channel.analog:
        photoelectrons = rng.poisson(rate * shots)
        noise = rng.normal(0.0, channel.electronic_noise * np.sqrt(shots), shape)
        return np.rint(channel.photoelectron * photoelectrons + noise).astype(np.int64)
    # ASSUME: n/(1 + n tau) of a non-paralysable counter keeps Poisson's law at small losses
    lost = (channel.dead_time / bin_duration).to_value(u.one)
    return rng.poisson(rate / (1.0 + rate * lost) * shots)


def passing_cloud(n_profiles: int, ground: AerosolLayer, cloud: AerosolLayer) -> list[Aerosols]:
    """Aerosols of every profile: the ground layer, and a cloud in the middle third."""
    first, stop = n_profiles // 3, n_profiles - n_profiles // 3
    return [
        Aerosols((ground, cloud) if first <= i < stop else (ground,)) for i in range(n_profiles)
    ]


def simulated_channel(
    name: str,
    channel: LidarChannel,
    aerosols: Sequence[Aerosols],
    profile: MolecularProfile,
    distance: u.Quantity,
    shots: int,
    rng: np.random.Generator,
    **where: Any,
) -> LidarSignal:
    """Raw profiles of a channel, one for each entry of `aerosols`.

    Parameters
    ----------
    name : str
    channel : LidarChannel
    aerosols : sequence of Aerosols
    profile, distance
        As in `expected_photons`, and `where` its place and direction.
    shots : int
    rng : numpy Generator
    """
    known = {sky: expected_photons(profile, sky, channel, distance, **where) for sky in aerosols}
    expected = np.array([known[sky] for sky in aerosols])
    duration = 2.0 * (distance[1] - distance[0]) / speed_of_light
    values = simulated_counts(expected, channel, shots, len(aerosols), duration, rng)
    return LidarSignal(
        name,
        channel.emitted,
        channel.received,
        ANALOG if channel.analog else PHOTON_COUNTING,
        distance,
        values.astype(float),
        np.full(len(aerosols), float(shots)),
    )


def raman_lidar(dead_time: u.Quantity = 2 * u.ns) -> dict[str, LidarChannel]:
    """Channels of a Raman LIDAR with Nd:YAG laser: 355 and 532 nm, each with its nitrogen line.

    Light as of a 1 m mirror and some 10 mJ a shot: 17 photoelectrons of 532 nm a shot and bin of
    7.5 m from 10 km, a few thousandths of one in the nitrogen channels.
    """
    channels = {}
    for emitted, received in ((355, 387), (532, 607)):
        laser, stokes = emitted * u.nm, received * u.nm
        channels[f"{emitted}.analog"] = LidarChannel(
            laser, laser, photons=7.9e14 * (emitted / 532) ** 4, background=0.2, analog=True
        )
        channels[f"{received}.photon_counting"] = LidarChannel(
            laser,
            stokes,
            photons=2.6e11 * (emitted / 532) ** 4,
            background=2e-4,
            dead_time=dead_time,
        )
    return channels
