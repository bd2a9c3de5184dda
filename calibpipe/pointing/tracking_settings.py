"""How stars are tracked."""

from dataclasses import dataclass

import astropy.units as u

__all__ = ["TrackingSettings"]


@dataclass(frozen=True)
class TrackingSettings:
    """How stars are tracked.

    Parameters
    ----------
    search_radius : Quantity, angle
        Largest misalignment that is found.
    min_significance : float
        Light of a star over its error, in a block.
    min_light : float
        Share of a star's light in usable pixels.
    max_stars : int
        Brightest stars whose places count; the others are in the model.
    max_error : Quantity, angle
        Statistical error, in any direction, of a block that is valid.
    rejection : float
        Chance of a star as far off; below, it is left out.
    flux_factor : float
        Light over that of the catalogue, relative to the median of the stars, beyond which a
        star is left out.
    rotation_error, plate_scale_error : Quantity, float
        What rotation and plate scale are known to beforehand.
    free_sigma, free_coma : bool
        Whether the point spread function is fitted.
    sigma_error, coma_error : float
        Relative, of what is not fitted.
    time_error : Quantity
        Of the time stamps of events and drive.
    """

    search_radius: u.Quantity = 0.3 * u.deg
    min_significance: float = 8.0
    min_light: float = 0.6
    max_stars: int = 12
    max_error: u.Quantity = 14 * u.arcsec
    rejection: float = 1e-4
    flux_factor: float = 3.0
    rotation_error: u.Quantity = 15 * u.arcmin
    plate_scale_error: float = 2e-3
    free_sigma: bool = True
    free_coma: bool = False
    sigma_error: float = 0.1
    coma_error: float = 0.1
    time_error: u.Quantity = 1 * u.ms
