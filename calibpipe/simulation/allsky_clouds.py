"""A layer of cloud patches that the wind carries over the site."""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

__all__ = ["CloudLayer", "cloud_field", "cloud_transmission"]

_CELLS = 1024  # on a side; the field is periodic
_CELL = 0.02  # of the height of the layer


@dataclass(frozen=True)
class CloudLayer:
    """Clouds of a night.

    Attributes
    ----------
    cover : tuple of float
        Part of the layer with clouds at equal steps from dusk to dawn, linear between.
    optical_depth : float
        Vertical, inside of a cloud.
    edge : float
        Width of a cloud's edge, in standard deviations of the field: 0 is sharp.
    height : Quantity
        Above the site.
    patch : Quantity
        Size of patches.
    speed : Quantity
    toward : Quantity
        Azimuth that the wind blows to.
    brightness : float
        Of an opaque cloud relative to the clear sky behind it.
    """

    cover: tuple[float, ...] = (0.0,)
    optical_depth: float = 4.0
    edge: float = 0.3
    height: u.Quantity = 4 * u.km
    patch: u.Quantity = 4 * u.km
    speed: u.Quantity = 15 * u.m / u.s
    toward: u.Quantity = 60 * u.deg
    brightness: float = 0.8

    def cover_at(self, phase: float) -> float:
        """Cover at a part of the night."""
        return float(np.interp(phase, np.linspace(0, 1, len(self.cover)), self.cover))


def cloud_field(layer: CloudLayer, rng: np.random.Generator) -> NDArray:
    r"""Periodic Gaussian random field of variance 1; clouds are where it is high.

    Power spectrum :math:`(k^2 + k_0^2)^{-11/6}` of turbulence, k0 by the size of the patches.
    """
    k = np.fft.fftfreq(_CELLS, _CELL)
    k0 = float((layer.height / layer.patch).to_value(u.one))
    amplitude = (k[:, None] ** 2 + k[None] ** 2 + k0**2) ** (-11 / 12)
    amplitude[0, 0] = 0
    white = rng.standard_normal((_CELLS, _CELLS))
    field = np.fft.ifft2(np.fft.fft2(white) * amplitude).real
    return (field / field.std()).astype(np.float32)


def cloud_transmission(
    layer: CloudLayer,
    field: NDArray,
    azimuth: NDArray,
    zenith: NDArray,
    cover: float,
    seconds: float,
) -> NDArray:
    """Part of the light that passes the clouds in directions (rad).

    # ASSUME: a thin flat layer; the optical depth along the line of sight is vertical / cos z, up
    to 85 deg.

    Parameters
    ----------
    layer : CloudLayer
    field : ndarray
        Of `cloud_field`.
    azimuth, zenith : ndarray, any shape, rad
    cover : float
    seconds : float
        Since the begin; the wind moves the field.
    """
    if cover <= 0:
        return np.ones(np.shape(zenith), np.float32)
    cosine = np.maximum(np.cos(zenith), np.cos(np.radians(85.0)))
    if cover >= 1:
        return np.exp(-layer.optical_depth / cosine)
    tangent = np.sqrt(1 - cosine**2) / cosine
    moved = float((layer.speed / layer.height).to_value(1 / u.s)) * seconds
    wind = layer.toward.to_value(u.rad)
    north = tangent * np.cos(azimuth) - moved * np.cos(wind)
    east = tangent * np.sin(azimuth) - moved * np.sin(wind)
    values = _bilinear(field, north / _CELL, east / _CELL)
    limit = np.quantile(field[::4, ::4], 1 - cover)
    depth = np.clip((values - limit) / max(layer.edge, 1e-6) + 0.5, 0, 1) * layer.optical_depth
    return np.exp(-depth / cosine)


def _bilinear(field: NDArray, row: NDArray, column: NDArray) -> NDArray:
    """Values of a periodic field between its cells."""
    r, c = np.floor(row), np.floor(column)
    fr, fc = (row - r).astype(np.float32), (column - c).astype(np.float32)
    r0, c0 = r.astype(np.int32) % _CELLS, c.astype(np.int32) % _CELLS
    r1, c1 = (r0 + 1) % _CELLS, (c0 + 1) % _CELLS
    low = field[r0, c0] * (1 - fc) + field[r0, c1] * fc
    high = field[r1, c0] * (1 - fc) + field[r1, c1] * fc
    return low * (1 - fr) + high * fr
