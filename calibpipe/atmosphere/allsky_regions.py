"""Regions of the sky: rings of zenith angle cut into sectors of azimuth."""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.exceptions import ConfigurationError

__all__ = ["SkyRegions", "even_directions", "region_index", "sky_regions"]


@dataclass(frozen=True)
class SkyRegions:
    """Regions, ring after ring from the zenith, in a ring from north over east.

    Attributes
    ----------
    zenith_min, zenith_max, azimuth_min, azimuth_max : ndarray, shape (n_regions,), deg
        Lower edges belong to a region, upper ones do not.
    """

    zenith_min: NDArray
    zenith_max: NDArray
    azimuth_min: NDArray
    azimuth_max: NDArray

    def __len__(self) -> int:
        return len(self.zenith_min)

    @property
    def solid_angle(self) -> u.Quantity:
        """Shape (n_regions,), sr."""
        rings = np.cos(np.radians(self.zenith_min)) - np.cos(np.radians(self.zenith_max))
        return rings * np.radians(self.azimuth_max - self.azimuth_min) * u.sr


def sky_regions(zenith_edges: ArrayLike, sectors: ArrayLike) -> SkyRegions:
    """Regions from the edges of rings and the number of sectors of each.

    Parameters
    ----------
    zenith_edges : array_like, shape (n_rings + 1,), deg
    sectors : array_like, shape (n_rings,), int

    Raises
    ------
    ConfigurationError
        If edges do not ascend within 0 to 85 deg, or the numbers do not fit.
    """
    edges, numbers = np.asarray(zenith_edges, float), np.asarray(sectors, int)
    if len(edges) < 2 or np.any(np.diff(edges) <= 0) or edges[0] < 0 or edges[-1] > 85:
        raise ConfigurationError(
            f"edges of rings {edges.tolist()} deg: need two or more, ascending from 0 to at most 85"
        )
    if len(numbers) != len(edges) - 1 or np.any(numbers < 1):
        raise ConfigurationError(
            f"{len(edges) - 1} rings of zenith angle but sectors {numbers.tolist()}; give one "
            "number, 1 or more, for each ring"
        )
    azimuths = [np.linspace(0, 360, n + 1) for n in numbers]
    return SkyRegions(
        zenith_min=np.repeat(edges[:-1], numbers),
        zenith_max=np.repeat(edges[1:], numbers),
        azimuth_min=np.concatenate([a[:-1] for a in azimuths]),
        azimuth_max=np.concatenate([a[1:] for a in azimuths]),
    )


def region_index(regions: SkyRegions, azimuth: u.Quantity, zenith: u.Quantity) -> NDArray:
    """Region of each direction; -1 outside of all."""
    a, z = azimuth.to_value(u.deg) % 360, zenith.to_value(u.deg)
    first = np.flatnonzero(np.diff(regions.zenith_min, prepend=-1.0))  # of each ring
    number = np.diff(first, append=len(regions))
    ring = np.searchsorted(regions.zenith_min[first], z, side="right") - 1
    inside = (ring >= 0) & (z < regions.zenith_max[-1])
    ring = np.where(inside, ring, 0)
    sector = np.minimum((a * number[ring] / 360).astype(int), number[ring] - 1)
    return np.where(inside, first[ring] + sector, -1)


def even_directions(n: int, zenith_max: float) -> tuple[u.Quantity, u.Quantity]:
    """Azimuth and zenith angle (deg) of `n` points of equal solid angle, a Fibonacci spiral.

    Parameters
    ----------
    n : int
    zenith_max : float, deg
    """
    k = np.arange(n) + 0.5
    cosine = 1 - (1 - np.cos(np.radians(zenith_max))) * k / n
    golden = np.pi * (3 - np.sqrt(5))
    return np.degrees(k * golden) % 360 * u.deg, np.degrees(np.arccos(cosine)) * u.deg
