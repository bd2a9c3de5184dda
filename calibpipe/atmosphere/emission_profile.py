r"""Where the Cherenkov light of a gamma-ray shower comes from, in the night's own air.

Electrons of the mean shower against slant depth X (Greisen), with :math:`\beta=\ln(E/E_c)`,
:math:`t=X/X_0` and the age :math:`s=3t/(t+2\beta)`:

.. math:: N(t) = \frac{0.31}{\sqrt\beta}\,e^{t\,(1-\frac32\ln s)}

Their energies (Nerling et al.), :math:`f(E_e, s)\propto E_e/[(E_e+a_1)(E_e+a_2)^s]` per unit of
:math:`\ln E_e`, each with the light of its speed, :math:`1-1/(n\beta_e)^2` above the threshold. The
light that a height adds is that of all electrons, times the path through it; what arrives at the
ground has passed the molecules.

References
----------
Greisen 1956, Prog. Cosmic Ray Physics 3, 1; Lipari 2009, Phys. Rev. D 79, 063001,
doi 10.1103/PhysRevD.79.063001 (longitudinal development).
Nerling et al. 2006, Astropart. Phys. 24, 421, doi 10.1016/j.astropartphys.2005.09.002 (energies).
Hillas 1982, J. Phys. G 8, 1461, doi 10.1088/0305-4616/8/10/016 (light of electrons).
Frank, Tamm 1937, Dokl. Akad. Nauk SSSR 14, 109 (light of a charge).
"""

import astropy.units as u
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.exceptions import ConfigurationError, MissingInputError
from .density_profile import MolecularProfile, exponential_integral
from .fram import EARTH_RADIUS
from .lidar_molecular import molecular_extinction
from .refractivity import refractivity

__all__ = [
    "cherenkov_yield",
    "emission_profile",
    "layer_slant",
    "shower_size",
    "slant_depth",
]

RADIATION_LENGTH = 36.62  # g/cm2, dry air, Particle Data Group 2022
CRITICAL_ENERGY = 81.0  # MeV, electrons in air, as Greisen's formula has it (Lipari 2009)
ELECTRON_MASS = 0.51099895  # MeV, CODATA 2018
LOWEST_ELECTRON = 1.0  # MeV, of the spectra of Nerling et al.
REFRACTION_WAVELENGTH = 400 * u.nm
_GRAVITY = 9.80665  # m/s2, at the sea
_ENERGIES_PER_E = 12  # steps of the spectrum in a factor e


def layer_slant(height: u.Quantity, zenith: u.Quantity) -> NDArray:
    r"""Path of a shower axis in a layer over the layer's thickness, on a round Earth.

    .. math:: m(h) = \left[1-\left(\frac{R\sin z}{R+h}\right)^2\right]^{-1/2}

    Parameters
    ----------
    height : Quantity, (n_altitudes,)
        Above the observatory.
    zenith : Quantity, scalar
        At the observatory.
    """
    sine = np.sin(zenith) / (1 + (height / EARTH_RADIUS).to_value(u.one))
    return 1 / np.sqrt(1 - np.asarray(sine) ** 2)


def slant_depth(profile: MolecularProfile, zenith: u.Quantity) -> NDArray:
    """Slant depth of air above each altitude of a profile, g/cm2.

    Above the highest altitude it is the pressure there over gravity.

    Parameters
    ----------
    profile : MolecularProfile
        Its lowest altitude is the observatory.
    zenith : Quantity, scalar
    """
    height = profile.altitude - profile.altitude[0]
    path = layer_slant(height, zenith)
    density = profile.density.to_value(u.g / u.cm**3) * path
    pieces = exponential_integral(density, profile.altitude.to_value(u.cm))
    radius = EARTH_RADIUS / (EARTH_RADIUS + profile.altitude[-1])
    gravity = _GRAVITY * radius.to_value(u.one) ** 2 * u.m / u.s**2
    above = (profile.pressure[-1] / gravity).to_value(u.g / u.cm**2) * path[-1]
    return above + np.append(np.cumsum(pieces[::-1])[::-1], 0.0)


def shower_size(depth: ArrayLike, energy: ArrayLike) -> tuple[NDArray, NDArray]:
    """Electrons of a mean gamma-ray shower and their age (Greisen).

    Parameters
    ----------
    depth : array_like, broadcastable
        Slant depth, g/cm2. 0 gives 0 electrons.
    energy : array_like, broadcastable
        Of the gamma ray, MeV.

    Returns
    -------
    size, age : ndarray

    Raises
    ------
    ConfigurationError
        If an energy is below 1 GeV, where there is no shower.
    """
    energy = np.asarray(energy, float)
    if not np.all(energy >= 1e3):
        raise ConfigurationError(
            f"a shower of {np.min(energy):g} MeV: the development holds above 1000 MeV; raise the "
            "energies"
        )
    beta = np.log(energy / CRITICAL_ENERGY)
    t = np.maximum(np.asarray(depth, float) / RADIATION_LENGTH, 0.0)
    age = 3 * t / (t + 2 * beta)
    with np.errstate(divide="ignore", invalid="ignore"):
        size = 0.31 / np.sqrt(beta) * np.exp(t * (1 - 1.5 * np.log(age)))
    return np.where(t > 0, size, 0.0), age


def cherenkov_yield(age: ArrayLike, energy: float, excess: ArrayLike) -> NDArray:
    r"""Light of a mean electron and metre of path, in units of a charge at the speed of light.

    .. math:: \int_{\ln E_t}^{\ln E} \left(1-\frac{1}{n^2\beta_e^2}\right) f(E_e, s)\,d\ln E_e,
              \qquad E_t = m_e/\sqrt{1-1/n^2}

    Parameters
    ----------
    age, excess : array_like, (n_altitudes,)
        Age s; refractivity n-1. No light where it is 0.
    energy : float
        Of the gamma ray, MeV: no electron has more.
    """
    age, excess = np.asarray(age, float)[:, None], np.asarray(excess, float)[:, None]
    span = np.log(energy / LOWEST_ELECTRON)
    log_e = np.linspace(0.0, span, 1 + int(np.ceil(_ENERGIES_PER_E * span)))
    electron = LOWEST_ELECTRON * np.exp(log_e)
    a1, a2 = 6.42522 - 1.53183 * age, 168.168 - 42.1368 * age
    # # ASSUME: universality of the spectra, found at 1e15 eV and more, holds for all gamma rays
    spectrum = electron / ((electron + a1) * (electron + a2) ** age)
    speed = 1 - (ELECTRON_MASS / electron) ** 2
    light = np.maximum(1 - 1 / ((1 + excess) ** 2 * speed), 0.0)
    return np.trapezoid(light * spectrum, log_e) / np.trapezoid(spectrum, log_e)


def emission_profile(
    air: MolecularProfile,
    energy: u.Quantity,
    zenith: u.Quantity,
    wavelength: u.Quantity,
    co2: float,
    depth_offset: float = 0.0,
) -> NDArray:
    r"""Light of gamma-ray showers by altitude, wavelength: what passes the molecules, per metre.

    .. math:: \varepsilon(h,\lambda) = N(X)\,Y(h)\,m(h)\,e^{-\tau_m(h,\lambda)}

    any unit; the spectrum of the emission itself is not in it.
    # ASSUME: all light of a shower counts, whatever its distance from the axis; the mean
    development stands for all showers of an energy; air scatters light out and not in; no ozone.

    Parameters
    ----------
    air : MolecularProfile
        Of the night, the lowest altitude is the observatory.
    energy : Quantity, (n_energies,)
    zenith : Quantity, (n_zeniths,)
        0 to 75 deg.
    wavelength : Quantity, (n_wavelengths,)
    co2 : float
        Mole fraction.
    depth_offset : float
        All showers develop deeper by it, g/cm2.

    Returns
    -------
    ndarray, (n_energies, n_zeniths, n_altitudes, n_wavelengths)

    Raises
    ------
    ConfigurationError
        If an energy is below 1 GeV or a zenith angle not between 0 and 75 deg.
    MissingInputError
        If the profile ends in the middle of the showers, below 15 km.
    """
    if not np.all((zenith >= 0 * u.deg) & (zenith <= 75 * u.deg)):
        raise ConfigurationError(
            f"zenith angles {zenith.min():g} to {zenith.max():g}: the emission of showers holds "
            "from 0 to 75 deg"
        )
    if air.altitude[-1] < 15 * u.km:
        raise MissingInputError(
            f"the density profile ends at {air.altitude[-1].to(u.km):.1f}, showers begin above: "
            "needs 15 km at least"
        )
    excess = refractivity(
        REFRACTION_WAVELENGTH,
        air.pressure,
        air.temperature,
        u.Quantity(air.water_vapour_mole_fraction),
        co2,
    ).to_value(u.one)
    z = air.altitude.to_value(u.m)
    extinction = np.stack(
        [molecular_extinction(air, air.altitude, w, co2).to_value(1 / u.m) for w in wavelength], -1
    )
    energies = energy.to_value(u.MeV)
    out = np.empty((len(energies), len(zenith), z.size, len(wavelength)))
    for j, angle in enumerate(zenith):
        path = layer_slant(air.altitude - air.altitude[0], angle)
        pieces = [exponential_integral(path * one, z) for one in extinction.T]
        depth = np.pad(np.cumsum(pieces, axis=1), ((0, 0), (1, 0))).T
        column = slant_depth(air, angle) - depth_offset
        for i, one in enumerate(energies):
            size, age = shower_size(column, one)
            light = size * cherenkov_yield(age, one, excess) * path
            out[i, j] = light[:, None] * np.exp(-depth)
    return out
