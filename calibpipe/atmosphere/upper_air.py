r"""The air above the highest level: a measured profile continued into an upper-air model."""

import astropy.units as u
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from ..core.exceptions import CorruptedInputError
from .density_profile import MolecularProfile, exponential_integral
from .humid_air import AVOGADRO, GAS_CONSTANT
from .meteorology import normal_gravity

__all__ = ["blended_profile"]

_BOLTZMANN = GAS_CONSTANT / AVOGADRO  # J/K, consistent with the humid-air density
_LEAST_SCALE = 5 * u.km  # less would put the whole mismatch into a thin layer


def blended_profile(
    measured: MolecularProfile,
    upper: MolecularProfile,
    altitude: u.Quantity,
    latitude: u.Quantity,
    scale: u.Quantity = _LEAST_SCALE,
) -> MolecularProfile:
    r"""Measured profile continued into an upper-air model.

    Above the highest measured altitude :math:`z_t`

    .. math:: \ln\rho = \ln\rho_{up} + (\delta_0 + \delta_1 s)\,e^{-s},\quad s = (z - z_t)/L

    with :math:`\delta_0` from a continuous density and :math:`\delta_1` from a continuous pressure:
    the mass above the seam is the one that its measured pressure weighs. Pressure comes from
    integrating downward from the model's own pressure at the top, temperature from both and the
    model's mean molar mass. Nothing below the seam depends on the model.

    Parameters
    ----------
    measured, upper : MolecularProfile
        Upper must reach from below the seam to the highest of `altitude`.
    altitude : Quantity
        (n,) ascending, fine enough to be integrated (50 m).
    latitude : Quantity
        Of the site.
    scale : Quantity
        L, at least 5 km.

    Raises
    ------
    ValueError
        If `scale` is below 5 km.
    MissingInputError
        If the upper model does not reach as high or as low as needed.
    CorruptedInputError
        If density and pressure at the seam cannot both be met with \|delta_1\| < 1: measured and
        upper air contradict each other.
    """
    if scale < _LEAST_SCALE:
        raise ValueError(f"cross-fade over {scale:g}: needs at least {_LEAST_SCALE:g}")
    seam = measured.altitude[-1]
    if altitude[-1] <= seam:
        return measured.at(altitude)
    lower = measured.at(altitude[altitude <= seam])
    z = np.concatenate([seam.reshape(1), altitude[altitude > seam]])
    higher = _continuation(measured.at(seam.reshape(1)), upper.at(z), latitude, scale)
    return MolecularProfile(
        **{
            name: np.concatenate([getattr(lower, name), getattr(higher, name)[1:]])
            for name in MolecularProfile.__dataclass_fields__
        }
    )


def _continuation(
    seam: MolecularProfile, model: MolecularProfile, latitude: u.Quantity, scale: u.Quantity
) -> MolecularProfile:
    """Model from the seam (its first row) on, matched to density and pressure there."""
    z = model.altitude.to_value(u.m)
    gravity = normal_gravity(latitude, model.altitude).value
    s = (z - z[0]) / scale.to_value(u.m)
    fade = np.exp(-s)
    raw = model.density.to_value(u.kg / u.m**3)
    delta_0 = np.log(seam.density.to_value(u.kg / u.m**3)[0] / raw[0])
    top = model.pressure.to_value(u.Pa)[-1]
    weight = seam.pressure.to_value(u.Pa)[0] - top

    def density(delta_1: float) -> NDArray:
        return raw * np.exp((delta_0 + delta_1 * s) * fade)

    def excess(delta_1: float) -> float:
        return exponential_integral(density(delta_1) * gravity, z).sum() / weight - 1

    if excess(-1.0) * excess(1.0) > 0:
        raise CorruptedInputError(
            f"upper air does not join at {z[0] / 1000:.1f} km: the density there needs a "
            f"correction of {100 * np.expm1(delta_0):+.1f} % and the air above it weighs "
            f"{100 * excess(0.0):+.1f} % more than the pressure allows; use another "
            "upper-air model or check the highest levels"
        )
    rho = density(brentq(excess, -1.0, 1.0, xtol=1e-12))
    pieces = exponential_integral(rho * gravity, z)
    p = top + np.append(np.cumsum(pieces[::-1])[::-1], 0.0)
    n = rho * model.number_density.to_value(1 / u.m**3) / raw
    vapour = model.water_vapour_mole_fraction
    return MolecularProfile(
        altitude=model.altitude.to(u.m),
        pressure=(p * u.Pa).to(u.hPa),
        temperature=p / (n * _BOLTZMANN) * u.K,
        density=rho * u.kg / u.m**3,
        number_density=(n / u.m**3).to(1 / u.cm**3),
        water_vapour_mole_fraction=vapour + (seam.water_vapour_mole_fraction - vapour) * fade,
    )
