"""Star catalogues that come with ctapipe: Hipparcos and Yale, no download."""

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import as_file, files

import numpy as np
from numpy.typing import NDArray

from .exceptions import ConfigurationError, MissingInputError

__all__ = ["CATALOGUES", "CatalogueStars", "read_star_catalogue"]

# file, epoch, limit of V, one standard deviation of a position at the epoch in arcsec
CATALOGUES = {
    "hipparcos": ("hipparcos_star_catalog.fits.gz", 1991.25, 8.0, 0.001),
    "yale": ("yale_bright_star_catalog.fits.gz", 2000.0, 8.0, 0.5),  # rounded to 0.1 s and 1 arcsec
}


@dataclass(frozen=True)
class CatalogueStars:
    """Stars of a catalogue with a position, as plain columns of length n.

    Parameters
    ----------
    number : ndarray, int
        HIP or HR.
    ra, dec : ndarray, rad
        ICRS at the epoch.
    motion_ra, motion_dec : ndarray, rad/yr
        Proper motion, that of right ascension with cos(dec).
    magnitude : ndarray, mag
        Johnson V.
    blue_magnitude : ndarray, mag
        Tycho B_T; NaN if unknown.
    epoch : float
        Julian year.
    position_error : float
        arcsec: standard deviation at the epoch, each direction.
    n_without_position : int
        Stars of the catalogue that are left out (double stars without astrometric solution).
    """

    number: NDArray
    ra: NDArray
    dec: NDArray
    motion_ra: NDArray
    motion_dec: NDArray
    magnitude: NDArray
    blue_magnitude: NDArray
    epoch: float
    position_error: float
    n_without_position: int


@lru_cache(maxsize=len(CATALOGUES))
def read_star_catalogue(name: str) -> CatalogueStars:
    """Stars to V = 8 of a catalogue, read once in a process (3 MB).

    Raises
    ------
    ConfigurationError
        If there is no such catalogue.
    MissingInputError
        If the installed ctapipe does not bring it along.
    """
    if name not in CATALOGUES:
        raise ConfigurationError(
            f"unknown star catalogue {name!r}; there are {', '.join(CATALOGUES)}"
        )
    from astropy.io import fits

    file_name, epoch, _, error = CATALOGUES[name]
    try:
        with (
            as_file(files("ctapipe").joinpath("resources", file_name)) as path,
            fits.open(path, memmap=False) as hdus,
        ):
            rows = hdus[1].data
            columns = _hipparcos(rows) if name == "hipparcos" else _yale(rows)
    except FileNotFoundError as problem:
        raise MissingInputError(
            f"ctapipe has no {file_name}: install ctapipe 0.32, which brings it along"
        ) from problem
    there = np.isfinite(columns[1]) & np.isfinite(columns[2])
    kept = [np.ascontiguousarray(column[there]) for column in columns]
    for column in kept:
        column.flags.writeable = False  # shared by all who ask
    number, ra, dec, motion_ra, motion_dec, magnitude, blue = kept
    return CatalogueStars(
        *(number, ra, dec, motion_ra, motion_dec, magnitude, blue),
        *(epoch, error, int(np.count_nonzero(~there))),
    )


def _hipparcos(rows: NDArray) -> list[NDArray]:
    milliarcsecond = np.deg2rad(1 / 3.6e6)
    number, v, bt = (np.array(rows[n]) for n in ("HIP", "Vmag", "BTmag"))
    place = [np.deg2rad(np.array(rows[n], float)) for n in ("RAICRS", "DEICRS")]
    motion = [milliarcsecond * np.array(rows[n], float) for n in ("pmRA", "pmDE")]
    return [number.astype(np.int64), *place, *motion, v.astype(float), bt.astype(float)]


def _yale(rows: NDArray) -> list[NDArray]:
    arcsecond = np.deg2rad(1 / 3600)
    ra = 15 * _sexagesimal(rows["RAJ2000"])
    dec = _sexagesimal(rows["DEJ2000"])
    motion = [arcsecond * np.array(rows[n], float) for n in ("pmRA", "pmDE")]
    v = np.array(rows["Vmag"], float)
    number = np.array(rows["HR"], np.int64)
    return [number, np.deg2rad(ra), np.deg2rad(dec), *motion, v, np.full(v.size, np.nan)]


def _sexagesimal(texts: NDArray) -> NDArray:
    """Numbers of texts such as ``-05 42 27``; NaN of an empty one."""
    value = np.full(len(texts), np.nan)
    for i, text in enumerate(texts):
        parts = text.split()
        if len(parts) == 3:
            whole, minutes, seconds = (float(part) for part in parts)
            size = abs(whole) + minutes / 60 + seconds / 3600
            value[i] = -size if parts[0].startswith("-") else size
    return value
