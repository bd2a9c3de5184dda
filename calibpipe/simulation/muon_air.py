"""Air of a simulated night as the light of muons goes through it."""

from typing import Any

import astropy.units as u
import numpy as np
from astropy.time import Time

from ..atmosphere.rayleigh import rayleigh_cross_section
from ..atmosphere.refractivity import refractivity
from ..core.site import Site
from .meteorology import ALTITUDE, SimulatedAtmosphere, profiles
from .muon_photons import CO2, REFERENCE

__all__ = ["muon_air"]

RADIATION_LENGTH = 366.2  # kg/m2, dry air (Particle Data Group 2024)


def muon_air(atmosphere: SimulatedAtmosphere, site: Site, time: Time) -> dict[str, Any]:
    """Air above the telescopes of a site.

    Parameters
    ----------
    atmosphere : SimulatedAtmosphere
    site : Site
    time : Time, scalar

    Returns
    -------
    dict
        Arguments of `calibpipe.simulation.muon_photons.MuonTelescope`: ``refractivity``,
        ``scale_height``, ``extinction``, ``radiation_length``.
    """
    height = site.elevation.to_value(u.m)
    keep = slice(None, int(np.searchsorted(ALTITUDE, height + 3000)))
    found = profiles(atmosphere, site, Time([time]), keep)
    z = ALTITUDE[keep]

    def at(name: str, altitude: float) -> float:
        return float(np.interp(altitude, z, found[name][0]))

    density = at("density", height)
    index = refractivity(
        REFERENCE * u.nm,
        at("pressure", height) * u.Pa,
        at("temperature", height) * u.K,
        at("water_vapour_mole_fraction", height),
        CO2,
    )
    cross_section = rayleigh_cross_section(REFERENCE * u.nm, CO2)
    extinction = cross_section * at("number_density", height) / u.m**3
    return {
        "refractivity": float(index),
        "scale_height": float(1000 / np.log(density / at("density", height + 1000))),
        "extinction": float(extinction.to_value(1 / u.m)),
        "radiation_length": RADIATION_LENGTH / density,
    }
