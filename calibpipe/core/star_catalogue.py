"""The catalogue of stars that ctapipe brings along; nothing is downloaded."""

import gzip
from dataclasses import dataclass
from importlib.resources import files

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.time import Time
from numpy.typing import NDArray

__all__ = ["Stars", "catalogue_stars"]

_FILE = "resources/hipparcos_star_catalog.fits.gz"  # ESA 1997, Hipparcos, I/239, V < 8
_EPOCH = Time(1991.25, format="jyear", scale="tt")


@dataclass(frozen=True)
class Stars:
    """Stars, brightest first.

    Attributes
    ----------
    ra, dec : Quantity, shape (n,), deg
        ICRS, at the time asked for.
    magnitude : ndarray, shape (n,), mag
        Johnson V.
    """

    ra: u.Quantity
    dec: u.Quantity
    magnitude: NDArray


def catalogue_stars(time: Time, faintest: float = 8.0) -> Stars:
    """Stars of the Hipparcos catalogue in ctapipe (V < 8, 41057 with a position), brightest first.

    `ctapipe.utils.get_bright_stars` reads the same file; it moves 17 stars without a position,
    which numpy warns of, and needs ten times as long.

    # ASSUME: proper motion along a straight line in right ascension and declination: below
    0.1 arcsec in 50 years up to 80 deg of declination.

    Parameters
    ----------
    time : Time, scalar
        Proper motion is applied up to it.
    faintest : float, mag
    """
    with files("ctapipe").joinpath(_FILE).open("rb") as packed, gzip.open(packed) as stream:
        table = fits.getdata(stream, 1)
    values = {
        name: np.asarray(table[name], float)
        for name in ("RAICRS", "DEICRS", "pmRA", "pmDE", "Vmag")
    }
    complete = np.all([np.isfinite(column) for column in values.values()], axis=0)
    order = np.flatnonzero(complete & (values["Vmag"] <= faintest))
    order = order[np.argsort(values["Vmag"][order], kind="stable")]
    ra, dec, pm_ra, pm_dec, magnitude = (column[order] for column in values.values())
    years = (time.tt.jyear - _EPOCH.jyear) / 3.6e6  # mas to deg
    return Stars(
        ra=(ra + pm_ra * years / np.cos(np.radians(dec))) % 360 * u.deg,
        dec=(dec + pm_dec * years) * u.deg,
        magnitude=magnitude,
    )
