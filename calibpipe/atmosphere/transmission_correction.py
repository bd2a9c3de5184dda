r"""Mean transmission of the light of showers, and what it corrects.

.. math:: \bar t(E, z) = \frac{\int\varepsilon(h,\lambda)\,w(\lambda)\,T_z\,dh\,d\lambda}
                              {\int\varepsilon(h,\lambda)\,w(\lambda)\,dh\,d\lambda},

.. math:: E = E_\mathrm{est}/\bar t, \qquad A_\mathrm{eff}(E) \to A_\mathrm{eff}(\bar t\,E)

:math:`T_z` along the shower axis; :math:`w\propto\lambda^{-2}` times the response of telescopes.
Without aerosols it is exactly 1.

References
----------
Fruck, Gaug 2015, EPJ Web of Conferences 89, 02003, doi 10.1051/epjconf/20158902003.
Schmuckermaier et al. 2023, A&A 673, A2, doi 10.1051/0004-6361/202245787.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import astropy.units as u
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.exceptions import ConfigurationError
from .aerosol_profile import DepthProfile
from .emission_profile import layer_slant

__all__ = [
    "MeanTransmission",
    "ShowerLight",
    "mean_over_slices",
    "mean_transmission",
    "shower_light",
    "wavelength_weights",
]


def wavelength_weights(
    wavelength: u.Quantity,
    response_wavelength: u.Quantity,
    response: ArrayLike,
) -> NDArray:
    r"""Weights of an integral over wavelengths: Cherenkov spectrum times response.

    Parameters
    ----------
    wavelength : Quantity, (n_wavelengths,)
        Ascending, at least two.
    response_wavelength : Quantity, (n,)
        Ascending; no response outside.
    response : array_like, (n,)
        Detected part of the light, any unit.

    Raises
    ------
    ConfigurationError
        If wavelengths do not ascend, a response is negative, or none lies on the grid.
    """
    grid, known = wavelength.to_value(u.nm), response_wavelength.to_value(u.nm)
    response = np.asarray(response, float)
    for name, values in (("the product", grid), ("the response", known)):
        if len(values) < 2 or not np.all(np.diff(values) > 0):
            raise ConfigurationError(f"wavelengths of {name} must ascend, at least two: {values}")
    if not np.all(response >= 0):
        raise ConfigurationError(f"response {response.min():g}: must be finite and not below 0")
    step = np.gradient(grid)
    step[[0, -1]] /= 2.0
    weight = step * np.interp(grid, known, response, left=0, right=0) / grid**2
    if not weight.any():
        raise ConfigurationError(
            f"no response between {grid[0]:g} and {grid[-1]:g} nm, the wavelengths of the product; "
            f"it reaches from {known[0]:g} to {known[-1]:g} nm"
        )
    return weight / weight.sum()


@dataclass(frozen=True)
class ShowerLight:
    """Light of showers by energy and zenith angle, and how depths of the grid act on it.

    Attributes
    ----------
    weight : ndarray, (n_energies, n_zeniths, n_fine, n_wavelengths)
    slant : ndarray, (n_zeniths, n_fine, n_altitudes)
        Depth along the axis up to each fine altitude, from the vertical depths of the grid.
    """

    weight: NDArray
    slant: NDArray


def shower_light(
    emission: NDArray,
    fine: u.Quantity,
    altitude: u.Quantity,
    zenith: u.Quantity,
    weights: NDArray,
) -> ShowerLight:
    """Weights of altitudes and wavelengths in the mean transmission.

    Depths are linear between the altitudes of the grid and constant above.

    Parameters
    ----------
    emission : ndarray, (n_energies, n_zeniths, n_fine, n_wavelengths)
        Per metre.
    fine : Quantity, (n_fine,)
        Altitudes of the emission.
    altitude : Quantity, (n_altitudes,)
        Of the optical depths; the first one is the observatory, and of both.
    zenith : Quantity, (n_zeniths,)
    weights : ndarray, (n_wavelengths,)
    """
    z, grid = fine.to_value(u.m), altitude.to_value(u.m)
    step = np.gradient(z)
    step[[0, -1]] /= 2.0
    at = np.stack([np.interp(z, grid, one) for one in np.eye(grid.size)], axis=1)
    middle = (z[1:] + z[:-1]) / 2 - grid[0]
    slant = []
    for angle in zenith:
        pieces = layer_slant(middle * u.m, angle)[:, None] * np.diff(at, axis=0)
        slant.append(np.concatenate([at[:1], at[0] + np.cumsum(pieces, axis=0)]))
    return ShowerLight(emission * step[:, None] * weights, np.stack(slant))


@dataclass(frozen=True)
class MeanTransmission:
    """Mean transmission by energy and zenith angle with errors.

    Attributes
    ----------
    value, stat_error : ndarray, (n_energies, n_zeniths)
    sys_modes : dict of str to ndarray, (n_energies, n_zeniths)
        Signed, by source: the same deviation in every slice.
    """

    value: NDArray
    stat_error: NDArray
    sys_modes: dict[str, NDArray]

    @property
    def sys_error(self) -> NDArray:
        """Systematic error, (n_energies, n_zeniths)."""
        return np.sqrt(sum((mode**2 for mode in self.sys_modes.values()), 0 * self.value))


def _mean(light: ShowerLight, depth: NDArray) -> NDArray:
    through = np.exp(-np.einsum("zfa,al->zfl", light.slant, depth))
    total = light.weight.sum(axis=(2, 3))
    return np.sum(light.weight * through, axis=(2, 3)) / total


def mean_transmission(
    light: ShowerLight, profile: DepthProfile, shifted: Mapping[str, ShowerLight] | None = None
) -> MeanTransmission:
    r"""Mean transmission of a slice, errors with all covariances of the profile.

    :math:`\delta\bar t = -\sum w\,T\,\delta\tau` for each mode.

    Parameters
    ----------
    light : ShowerLight
    profile : DepthProfile
    shifted : mapping of str to ShowerLight, optional
        Emission as it might be too, by source: the difference is a systematic mode.
    """
    depth = profile.optical_depth
    through = np.exp(-np.einsum("zfa,al->zfl", light.slant, depth))
    total = light.weight.sum(axis=(2, 3))
    value = np.sum(light.weight * through, axis=(2, 3)) / total
    gradient = -np.einsum("ezfl,zfl,zfa->ezal", light.weight, through, light.slant, optimize=True)
    gradient /= total[..., None, None]
    stat = np.einsum("ezal,mal->mez", gradient, profile.stat_modes, optimize=True)
    modes = {
        name: np.einsum("ezal,al->ez", gradient, mode) for name, mode in profile.sys_modes.items()
    }
    modes |= {name: _mean(other, depth) - value for name, other in (shifted or {}).items()}
    return MeanTransmission(value, np.sqrt(np.sum(stat**2, axis=0)), modes)


def mean_over_slices(slices: Sequence[MeanTransmission], livetime: ArrayLike) -> MeanTransmission:
    """Livetime-weighted mean; statistical errors are independent, systematic ones common.

    Parameters
    ----------
    slices : sequence of MeanTransmission
    livetime : array_like, (n_slices,)
        Above 0 in sum.

    Raises
    ------
    ConfigurationError
        If there is no livetime.
    """
    weight = np.asarray(livetime, float)
    if not weight.sum() > 0:
        raise ConfigurationError(f"mean over {len(slices)} slices without livetime; give slices")
    weight = (weight / weight.sum())[:, None, None]
    names = sorted({name for one in slices for name in one.sys_modes})
    none = np.zeros_like(slices[0].value)
    return MeanTransmission(
        sum(w * one.value for w, one in zip(weight, slices, strict=True)),
        np.sqrt(sum((w * one.stat_error) ** 2 for w, one in zip(weight, slices, strict=True))),
        {
            name: sum(
                w * one.sys_modes.get(name, none) for w, one in zip(weight, slices, strict=True)
            )
            for name in names
        },
    )
