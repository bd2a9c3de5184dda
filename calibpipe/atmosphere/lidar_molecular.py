r"""What a LIDAR would see of the molecules alone, from the night's own density profile.

.. math:: \beta_m^{att}(r) = \beta_m(r)\,e^{-2\tau_m(r)},\qquad \beta_m = \alpha_m/S_m.

Density on a grid of bins is logarithmic between the profile's levels; optical depths are integrals
of exponentials.

References
----------
Bodhaine et al. 1999, doi 10.1175/1520-0426(1999)016<1854:ORODC>2.0.CO;2 (cross-section).
Ansmann et al. 1990, Optics Letters 15, 746, doi 10.1364/OL.15.000746 (Raman signal).
"""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from ..core.exceptions import ConfigurationError
from .density_profile import MolecularProfile, exponential_integral
from .rayleigh import lidar_ratio, rayleigh_cross_section, water_vapour_cross_section

__all__ = ["MolecularSignal", "molecular_extinction", "molecular_signal", "raman_molecular_signal"]

_LOWEST_ELEVATION = 5 * u.deg  # below, the Earth is no longer flat: 10 m at 25 deg and 35 km range


@dataclass(frozen=True)
class MolecularSignal:
    """Molecules along a beam; every array (n_bins,).

    Parameters
    ----------
    distance : Quantity
        Range from the LIDAR, m.
    altitude : Quantity
        Above the sea, m.
    extinction : Quantity
        At the emitted wavelength, 1/m.
    backscatter : Quantity
        At the emitted wavelength, 1/(m sr).
    optical_depth : ndarray
        From the LIDAR along the beam, one way, emitted wavelength.
    attenuated_backscatter : Quantity
        What the range-corrected signal is proportional to in clean air, 1/(m sr).
    """

    distance: u.Quantity
    altitude: u.Quantity
    extinction: u.Quantity
    backscatter: u.Quantity
    optical_depth: np.ndarray
    attenuated_backscatter: u.Quantity


def molecular_extinction(
    profile: MolecularProfile, altitude: u.Quantity, wavelength: u.Quantity, co2: float
) -> u.Quantity:
    """Rayleigh extinction of the air at altitudes, 1/m: σ_dry n_dry + σ_H2O n_H2O.

    Parameters
    ----------
    profile : MolecularProfile
        Of the night.
    altitude : Quantity, (n,)
    wavelength : Quantity
        Scalar, 200-4000 nm in vacuum.
    co2 : float
        Mole fraction of dry air.

    Raises
    ------
    MissingInputError
        If an altitude is outside the profile.
    ConfigurationError
        If the wavelength or the CO2 mole fraction is out of range.
    """
    air = profile.at(altitude)
    vapour = air.water_vapour_mole_fraction
    mean = (1.0 - vapour) * rayleigh_cross_section(wavelength, co2)
    mean = mean + vapour * water_vapour_cross_section(wavelength)
    return (mean * air.number_density).to(1 / u.m)


def molecular_signal(
    profile: MolecularProfile,
    distance: u.Quantity,
    wavelength: u.Quantity,
    co2: float,
    altitude: u.Quantity,
    elevation: u.Quantity = 90 * u.deg,
) -> MolecularSignal:
    """Molecular attenuated backscatter along a beam.

    Parameters
    ----------
    profile : MolecularProfile
        Of the night; it covers the altitudes of all bins.
    distance : Quantity, (n_bins,)
        Range from the LIDAR, ascending, above 0.
    wavelength : Quantity
        Emitted and received.
    co2 : float
        Mole fraction.
    altitude : Quantity
        Of the LIDAR above the sea.
    elevation : Quantity
        Of the beam above the horizon, 5 to 90 degrees. # ASSUME: a flat Earth.

    Raises
    ------
    MissingInputError
        If a bin lies outside the profile.
    ConfigurationError
        If the elevation or the wavelength is out of range.
    """
    height, extinction, depth = _beam(profile, distance, wavelength, co2, altitude, elevation)
    ratio = lidar_ratio(wavelength, co2)
    backscatter = (extinction / ratio).to(1 / u.m / u.sr)
    return MolecularSignal(
        distance.to(u.m), height, extinction, backscatter, depth, backscatter * np.exp(-2.0 * depth)
    )


def raman_molecular_signal(
    profile: MolecularProfile,
    distance: u.Quantity,
    emitted: u.Quantity,
    received: u.Quantity,
    co2: float,
    altitude: u.Quantity,
    elevation: u.Quantity = 90 * u.deg,
) -> MolecularSignal:
    r"""Molecular signal of a Raman channel: :math:`n(r)\,e^{-\tau_m(\lambda_0)-\tau_m(\lambda_R)}`.

    As `molecular_signal`; scattering is proportional to the density (the fraction of nitrogen is
    constant), in the scale of the Rayleigh backscatter at the emitted wavelength. Extinction and
    optical depth are those of the emitted wavelength. The temperature dependence of the
    vibrational band is left out: below 1 % with filters of 1 nm or wider.
    """
    height, extinction, there = _beam(profile, distance, emitted, co2, altitude, elevation)
    back = _beam(profile, distance, received, co2, altitude, elevation)[2]
    backscatter = (extinction / lidar_ratio(emitted, co2)).to(1 / u.m / u.sr)
    signal = backscatter * np.exp(-there - back)
    return MolecularSignal(distance.to(u.m), height, extinction, backscatter, there, signal)


def _beam(
    profile: MolecularProfile,
    distance: u.Quantity,
    wavelength: u.Quantity,
    co2: float,
    altitude: u.Quantity,
    elevation: u.Quantity,
) -> tuple[u.Quantity, u.Quantity, NDArray]:
    """Altitude, extinction, and optical depth from the LIDAR to each bin."""
    if not _LOWEST_ELEVATION <= elevation <= 90 * u.deg:
        raise ConfigurationError(
            f"the beam stands {elevation.to(u.deg):.1f} above the horizon, needs 5 to 90 deg; "
            "leave horizontal measurements out"
        )
    r = np.append(0.0, distance.to_value(u.m))
    if not np.all(np.diff(r) > 0):
        raise ConfigurationError("ranges of a LIDAR must ascend from above 0")
    height = (altitude + r * u.m * np.sin(elevation)).to(u.m)
    extinction = molecular_extinction(profile, height, wavelength, co2)
    depth = np.cumsum(exponential_integral(extinction.to_value(1 / u.m), r))
    return height[1:], extinction[1:], depth
