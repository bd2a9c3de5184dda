r"""Earth's magnetic field at the sites, across the direction that a telescope points to.

A muon of momentum *p* turns with the radius :math:`p / (0.2998\,B_\perp)`, in GeV, T and m. Only
the field across its direction counts: 0 to 38.8 µT at CTAO-North as the telescope moves.
"""

from dataclasses import dataclass

import astropy.units as u
import numpy as np

from ..core.exceptions import ConfigurationError

__all__ = ["CURVATURE", "SITE_FIELDS", "GeomagneticField", "site_field", "transverse_field"]

CURVATURE = 0.299792458  # GeV/(T m) of a particle with one elementary charge


@dataclass(frozen=True)
class GeomagneticField:
    """Field at a site.

    Parameters
    ----------
    strength : Quantity, µT
    inclination : Quantity, deg
        Below the horizon.
    declination : Quantity, deg
        Of its horizontal part, from the North to the East.
    """

    strength: u.Quantity
    inclination: u.Quantity
    declination: u.Quantity


# Of the observatory's own simulations: run headers of the files of gammasim/simtools-tests
# gamma_diffuse_run000010_za20deg_north_6.0.0 and gamma_run000007_za40deg_south_lsts_7.0.0.
SITE_FIELDS = {
    "CTAO-North": GeomagneticField(38.773 * u.uT, 37.139 * u.deg, -4.317 * u.deg),
    "CTAO-South": GeomagneticField(22.586 * u.uT, -24.502 * u.deg, -4.533 * u.deg),
}


def site_field(name: str) -> GeomagneticField:
    """Field at a site.

    Raises
    ------
    ConfigurationError
        If it is not known.
    """
    if name not in SITE_FIELDS:
        raise ConfigurationError(
            f"the Earth's magnetic field at {name} is not known, only at "
            f"{', '.join(SITE_FIELDS)}; add it to SITE_FIELDS (throughput/geomagnetic_field.py)"
        )
    return SITE_FIELDS[name]


@u.quantity_input
def transverse_field(
    field: GeomagneticField, altitude: u.Quantity[u.deg], azimuth: u.Quantity[u.deg]
) -> u.Quantity[u.uT]:
    r"""Components of the field along ``fov_lon`` and ``fov_lat`` of a pointing.

    .. math::
       B_{lon} = B_E\cos A - B_N\sin A, \qquad
       B_{lat} = -(B_N\cos A + B_E\sin A)\sin h - B_D\cos h

    with the parts to the North, East and downwards.

    Parameters
    ----------
    field : GeomagneticField
    altitude, azimuth : Quantity, deg, shape (...)
        Of the optical axis, horizontal coordinates; azimuth from the North to the East.

    Returns
    -------
    Quantity, µT, shape (2, ...)
    """
    horizontal = field.strength * np.cos(field.inclination)
    down = field.strength * np.sin(field.inclination)
    north = horizontal * np.cos(field.declination)
    east = horizontal * np.sin(field.declination)
    along = north * np.cos(azimuth) + east * np.sin(azimuth)
    lon = east * np.cos(azimuth) - north * np.sin(azimuth)
    lat = -along * np.sin(altitude) - down * np.cos(altitude)
    return u.Quantity(np.broadcast_arrays(lon, lat, subok=True)).to(u.uT)
