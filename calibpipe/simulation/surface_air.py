"""Air at the telescopes in a simulated night, for refraction."""

import astropy.units as u
import numpy as np
from astropy.time import Time

from ..atmosphere.humid_air import saturation_vapour_pressure
from ..core.site import Site
from ..pointing.apparent_place import SurfaceAir
from .meteorology import ALTITUDE, SimulatedAtmosphere, profiles

__all__ = ["surface_air"]


def surface_air(
    atmosphere: SimulatedAtmosphere, site: Site, time: Time, wavelength: u.Quantity
) -> SurfaceAir:
    """Pressure, temperature and humidity at the elevation of a site at a time (scalar)."""
    height = site.elevation.to_value(u.m)
    keep = slice(None, int(np.searchsorted(ALTITUDE, height + 1000)))
    found = profiles(atmosphere, site, Time([time]), keep)
    pressure, temperature, mole_fraction = (
        float(np.interp(height, ALTITUDE[keep], found[name][0]))
        for name in ("pressure", "temperature", "water_vapour_mole_fraction")
    )
    saturation = saturation_vapour_pressure(temperature * u.K).to_value(u.Pa)
    humidity = min(mole_fraction * pressure / saturation, 1.0)
    return SurfaceAir(
        (pressure * u.Pa).to(u.hPa),
        (temperature * u.K).to(u.deg_C, equivalencies=u.temperature()),
        humidity,
        wavelength,
    )
