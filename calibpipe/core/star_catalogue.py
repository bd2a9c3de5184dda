"""Bright stars in a field: position at the epoch of observation, magnitude, colour."""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from .exceptions import ConfigurationError
from .star_files import CATALOGUES, CatalogueStars, read_star_catalogue

__all__ = ["MEAN_COLOUR", "Stars", "bright_stars", "catalogue_stars", "colour_from_tycho"]

# B_T - V_T = (B - V)/0.850 and V = V_T - 0.090 (B_T - V_T): ESA (1997), The Hipparcos and Tycho
# Catalogues (SP-1200), vol. 1, sect. 1.3
TYCHO_COLOUR = 0.850 / 1.090
# mean and standard deviation of B - V over the 15 404 Hipparcos stars brighter than V = 7
MEAN_COLOUR, COLOUR_SPREAD = 0.65, 0.60
COLOUR_ERROR, RED_COLOUR_ERROR = 0.03, 0.1  # mag, of the linear relation; RED: beyond B-V = 1.4


@dataclass(frozen=True)
class Stars:
    """Stars, one entry each; ``stars[mask]`` selects.

    Parameters
    ----------
    number : ndarray, shape (n,), int
        In the catalogue: HIP or HR.
    ra, dec : Quantity, shape (n,), deg
        Barycentric ICRS direction at the epoch of observation.
    magnitude : ndarray, shape (n,), mag
        Johnson V.
    colour, colour_error : ndarray, shape (n,), mag
        Johnson B-V; where the catalogue has none, mean and standard deviation of all stars.
    position_error : Quantity, shape (n,), arcsec
        Standard deviation in each direction.
    catalogue : str
    """

    number: NDArray
    ra: u.Quantity
    dec: u.Quantity
    magnitude: NDArray
    colour: NDArray
    colour_error: NDArray
    position_error: u.Quantity
    catalogue: str

    def __len__(self) -> int:
        return self.number.size

    def __getitem__(self, chosen: NDArray) -> "Stars":
        parts = {name: value[chosen] for name, value in vars(self).items() if name != "catalogue"}
        return Stars(**parts, catalogue=self.catalogue)

    @property
    def names(self) -> list[str]:
        """``HIP 25336`` or ``HR 1790``."""
        letters = "HIP" if self.catalogue == "hipparcos" else "HR"
        return [f"{letters} {number}" for number in self.number]


def colour_from_tycho(blue_magnitude: NDArray, magnitude: NDArray) -> NDArray:
    """B-V from Tycho B_T and Johnson V: 0.850/1.090 (B_T - V). NaN gives NaN."""
    return TYCHO_COLOUR * (np.asarray(blue_magnitude) - np.asarray(magnitude))


@u.quantity_input
def bright_stars(
    time: Time,
    ra: u.Quantity[u.deg],
    dec: u.Quantity[u.deg],
    radius: u.Quantity[u.deg],
    magnitude_limit: float = 7.0,
    catalogue: str = "hipparcos",
) -> Stars:
    """Stars within a radius, brightest first.

    # ASSUME: no parallax (0.75 arcsec for alpha Centauri, below 0.1 arcsec beyond 10 pc),
    no orbits of double stars, no radial velocity.

    Parameters
    ----------
    time : Time, scalar
        Proper motion is applied to it.
    ra, dec : Quantity, scalar
        ICRS direction of the middle of the field.
    radius : Quantity, scalar
        Of the field.
    magnitude_limit : float
        Faintest V; the catalogues end at 8, Hipparcos is complete to 7.3.
    catalogue : str
        ``hipparcos`` (positions to milliarcseconds, colours) or ``yale`` (0.5 arcsec, none).

    Raises
    ------
    ConfigurationError
        If there is no such catalogue, it ends before the limit, or the radius is not positive.
    """
    every = read_star_catalogue(catalogue)
    deepest = CATALOGUES[catalogue][2]
    if not magnitude_limit <= deepest:
        raise ConfigurationError(
            f"magnitude_limit is {magnitude_limit:g}, the catalogue {catalogue} ends at "
            f"{deepest:g}; lower the limit"
        )
    if not 0 < radius.to_value(u.deg) <= 180:
        raise ConfigurationError(f"radius of the field is {radius:g}, needs more than 0 deg")
    bright = np.flatnonzero(every.magnitude <= magnitude_limit)
    years = time.tdb.jyear - every.epoch
    direction = _moved(every, bright, years)
    a, d = ra.to_value(u.rad), dec.to_value(u.rad)
    middle = np.array([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)])
    near = direction @ middle >= np.cos(radius.to_value(u.rad))
    x, y, z = direction[near].T
    chosen = bright[near]
    v = every.magnitude[chosen]
    colour = colour_from_tycho(every.blue_magnitude[chosen], v)
    known = np.isfinite(colour)
    stars = Stars(
        every.number[chosen],
        (np.rad2deg(np.arctan2(y, x)) % 360) * u.deg,
        np.rad2deg(np.arcsin(z)) * u.deg,
        v,
        np.where(known, colour, MEAN_COLOUR),
        np.where(known, np.where(colour > 1.4, RED_COLOUR_ERROR, COLOUR_ERROR), COLOUR_SPREAD),
        np.hypot(every.position_error, 0.001 * years) * np.ones(v.size) * u.arcsec,
        catalogue,
    )
    return stars[np.lexsort((stars.number, v))]


def catalogue_stars(time: Time, faintest: float = 8.0) -> Stars:
    """Stars of the whole sky (Hipparcos, V < 8: 41057 with a position), brightest first."""
    return bright_stars(time, 0 * u.deg, 90 * u.deg, 180 * u.deg, faintest)


def _moved(every: CatalogueStars, chosen: NDArray, years: float) -> NDArray:
    """Unit vectors (n, 3) after so many years of uniform motion in space."""
    ra, dec = every.ra[chosen], every.dec[chosen]
    sin_a, cos_a, sin_d, cos_d = np.sin(ra), np.cos(ra), np.sin(dec), np.cos(dec)
    east = np.stack([-sin_a, cos_a, np.zeros_like(ra)], axis=-1)
    north = np.stack([-sin_d * cos_a, -sin_d * sin_a, cos_d], axis=-1)
    direction = np.stack([cos_d * cos_a, cos_d * sin_a, sin_d], axis=-1)
    direction += years * (every.motion_ra[chosen, None] * east)
    direction += years * (every.motion_dec[chosen, None] * north)
    return direction / np.linalg.norm(direction, axis=-1, keepdims=True)
