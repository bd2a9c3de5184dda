"""Air at the telescopes from a profile of the atmosphere."""

import astropy.units as u

from ..atmosphere.density_profile import MolecularProfile
from ..atmosphere.humid_air import saturation_vapour_pressure

__all__ = ["surface_values"]


def surface_values(
    profile: MolecularProfile, elevation: u.Quantity
) -> tuple[u.Quantity, u.Quantity, float]:
    """Pressure, temperature and relative humidity (0 to 1, over water) at an elevation.

    Raises
    ------
    MissingInputError
        If the profile does not reach it.
    """
    at = profile.at(elevation.reshape(1))
    pressure, temperature = at.pressure[0], at.temperature[0]
    saturation = saturation_vapour_pressure(temperature)
    humidity = (at.water_vapour_mole_fraction[0] * pressure / saturation).to_value(u.one)
    return pressure, temperature, float(min(max(humidity, 0.0), 1.0))
