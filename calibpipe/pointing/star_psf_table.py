"""Tables of the point spread function of stars: one row, by field angle, star by star."""

import astropy.units as u
import numpy as np
from astropy.table import QTable
from astropy.time import Time

from .optical_psf import StarPsf, containment

__all__ = ["profile_table", "psf_table", "star_width_table"]

METHOD = "Stars"


def psf_table(psf: StarPsf, begin: float, end: float) -> QTable:
    """One row with the columns that the point spread function of muon rings has, and the coma.

    ``width`` is σ per axis without coma, ``theta80`` the *radius* around the centroid of a star on
    the axis that holds 80 % of the light, ``theta80_diameter`` twice that.

    Parameters
    ----------
    psf : StarPsf
    begin, end : float, s
        First and last image, TAI since 1970-01-01.
    """
    stat, sys = psf.sigma_errors
    radius, radius_stat, radius_sys = containment(psf, [0] * u.deg)
    table = QTable({"method": [METHOD]})
    for name, seconds in (("time_start", begin), ("time_end", end)):
        table[name] = Time([seconds], format="unix_tai", scale="tai")
    table["width"] = u.Quantity([psf.psf.sigma]).to(u.deg)
    table["stat_error"], table["sys_error"] = u.Quantity([stat]), u.Quantity([sys])
    table["theta80"] = radius
    table["theta80_stat_error"], table["theta80_sys_error"] = radius_stat, radius_sys
    table["theta80_diameter"] = 2 * radius
    table["coma"] = [psf.psf.coma]
    table["coma_stat_error"] = [np.sqrt(psf.covariance[1, 1])]
    table["coma_sys_error"] = [np.sqrt(psf.systematic_covariance[1, 1])]
    table["reduced_chi2"] = [psf.chi2 / max(len(psf.names) - 1, 1)]
    table["n_stars"] = [len(psf.names)]
    table["is_valid"] = [True]
    return table


def profile_table(psf: StarPsf, field_angle: u.Quantity) -> QTable:
    """θ₈₀ against field angle, one row an angle."""
    radius, stat, sys = containment(psf, field_angle)
    return QTable(
        {
            "field_angle": field_angle,
            "theta80": radius,
            "theta80_stat_error": stat,
            "theta80_sys_error": sys,
            "theta80_diameter": 2 * radius,
        }
    )


def star_width_table(psf: StarPsf) -> QTable:
    """σ of each star, with the coma of all."""
    return QTable(
        {
            "star": np.array(psf.names),
            "field_angle": psf.field_angle,
            "width": psf.sigma,
            "stat_error": psf.sigma_error,
        }
    )
