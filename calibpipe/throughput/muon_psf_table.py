"""Tables of the optical point spread function: one row a night, profile against radius, sectors."""

from dataclasses import fields

import astropy.units as u
import numpy as np
from astropy.table import QTable
from astropy.time import Time

from .mirror_sectors import SectorResult
from .muon_psf import OpticalPsf, WidthProfile

__all__ = ["profile_table", "psf_table", "sector_table"]

METHOD = "Muon Rings"


def psf_table(psf: OpticalPsf, begin: float, end: float) -> QTable:
    """One row: width per axis (deg), containment, errors, how good the fit is.

    Parameters
    ----------
    psf : OpticalPsf
    begin, end : float, s
        First and last ring, TAI since 1970-01-01.
    """
    numbers = {
        "width": psf.sigma,
        "stat_error": psf.sigma_stat_error,
        "sys_error": psf.sigma_sys_error,
        "upper_limit": psf.upper_limit,
        "theta80": psf.theta80,
        "theta80_stat_error": psf.theta80_stat_error,
        "theta80_sys_error": psf.theta80_sys_error,
    }
    table = QTable({"method": [METHOD]})
    for name, seconds in (("time_start", begin), ("time_end", end)):
        table[name] = Time([seconds], format="unix_tai", scale="tai")
    for name, value in numbers.items():
        table[name] = u.Quantity([value]).to(u.deg)
    for name in ("variance", "variance_stat_error", "intrinsic_scatter"):
        table[name] = u.Quantity([getattr(psf, name)]).to(u.deg**2)
    table["scattering_amplitude"] = [psf.scattering_amplitude]
    table["scattering_amplitude_error"] = [psf.scattering_amplitude_error]
    table["reduced_chi2"] = [psf.chi2 / max(psf.n_degrees, 1)]
    for name in ("n_rings", "n_outliers", "n_unusable"):
        table[name] = [int(getattr(psf, name))]
    table["is_valid"] = [not psf.is_limit]
    return table


def profile_table(profile: WidthProfile) -> QTable:
    """One row a bin of radius."""
    table = QTable({"radius_low": profile.edges[:-1], "radius_high": profile.edges[1:]})
    for entry in fields(WidthProfile):
        if entry.name != "edges":
            table[entry.name] = getattr(profile, entry.name)
    return table


def sector_table(sectors: SectorResult) -> QTable:
    """One row a sector of azimuth on the mirror."""
    n = len(sectors.shift)
    edges = np.linspace(0, 360, n + 1) * u.deg
    return QTable(
        {
            "azimuth_low": edges[:-1],
            "azimuth_high": edges[1:],
            "shift": sectors.shift,
            "shift_error": sectors.shift_error,
            "p_value": sectors.p_values,
            "is_significant": sectors.is_significant,
            "n_rings": sectors.n_rings,
        }
    )
