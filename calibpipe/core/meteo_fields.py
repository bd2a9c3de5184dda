"""One field on one pressure level, and the grid points of it that are kept."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .exceptions import MissingInputError

__all__ = ["VARIABLES", "Field", "Window", "enclosing_cell", "site_outside", "window"]

# Names of the fields in GRIB (short name) and netCDF (variable), and what they are called here.
VARIABLES = {
    "z": "geopotential",
    "gh": "geopotential height",
    "t": "temperature",
    "q": "specific humidity",
    "r": "relative humidity",
    "o3": "ozone mass mixing ratio",
    "o3mr": "ozone mass mixing ratio",
    "go3": "ozone mass mixing ratio",
}


@dataclass(frozen=True)
class Field:
    """One variable at one time on one pressure level.

    Parameters
    ----------
    variable : str
        One of the values of `VARIABLES`.
    time : numpy.datetime64
        Time of validity, UTC, seconds.
    level : float
        Pressure in hPa.
    window : Window
        Grid points that were kept.
    values : ndarray, shape (n_lat, n_lon)
        In the units of the file (m2/s2, gpm, K, kg/kg, percent); NaN where there is none.
    experiment_version : str
        ``0001`` for ERA5, ``0005`` for its preliminary release ERA5T, empty if not given.
    forecast_hours : float
        Hours between analysis and validity.
    where : str
        File and place in it, for messages.
    """

    variable: str
    time: np.datetime64
    level: float
    window: "Window"
    values: NDArray
    experiment_version: str
    forecast_hours: float
    where: str


@dataclass(frozen=True, eq=False)
class Window:
    """Grid points of a file that are kept: ascending latitudes and longitudes.

    Longitudes are in [-180, 180) degrees; those of a region across the antimeridian go on above
    180 (or start below -180, if that is closer to the site), so that they always ascend.
    """

    latitude: NDArray
    longitude: NDArray
    rows: NDArray
    columns: NDArray

    def of(self, values: NDArray) -> NDArray:
        """Kept part of a field with shape (latitudes, longitudes) of the file."""
        return values[np.ix_(self.rows, self.columns)]

    def same_grid(self, other: "Window") -> bool:
        """Whether two windows have the same points (GRIB 1 keeps thousandths of a degree)."""
        return self is other or all(
            a.shape == b.shape and np.allclose(a, b, rtol=0.0, atol=2e-3)
            for a, b in ((self.latitude, other.latitude), (self.longitude, other.longitude))
        )


def window(
    latitude: NDArray, longitude: NDArray, around: tuple[float, float] | None, where: str
) -> Window:
    """Grid points to keep: all, or the cell that encloses a site and one point more all around.

    Parameters
    ----------
    latitude, longitude : ndarray, shapes (n_lat,) and (n_lon,)
        Axes of the file in degrees, in any order and branch.
    around : tuple of float or None
        Latitude and longitude of the site in degrees.
    where : str
        File, for messages.

    Raises
    ------
    MissingInputError
        If the site is not inside a cell of the grid.
    """
    rows = np.argsort(latitude)
    if around is None:
        columns, unwrapped = _ascending_longitudes(longitude)
        return Window(latitude[rows], unwrapped, rows, columns)
    site_latitude, site_longitude = around
    relative = (longitude - site_longitude + 180.0) % 360.0 - 180.0
    columns = np.argsort(relative)
    unwrapped = site_longitude + relative[columns]
    south = enclosing_cell(latitude[rows], site_latitude)
    west = enclosing_cell(unwrapped, site_longitude)
    if south is None or west is None:
        raise site_outside(latitude, _ascending_longitudes(longitude)[1], around, where)
    rows = rows[max(south - 1, 0) : south + 3]
    kept = slice(max(west - 1, 0), west + 3)
    return Window(latitude[rows], np.round(unwrapped[kept], 9), rows, columns[kept])


def _ascending_longitudes(longitude: NDArray) -> tuple[NDArray, NDArray]:
    """Order and values that begin east of the widest gap of the circle, in [-180, 180)."""
    wrapped = np.round((longitude + 180.0) % 360.0 - 180.0, 9)
    order = np.argsort(wrapped)
    ascending = wrapped[order]
    gaps = np.diff(ascending, append=ascending[0] + 360.0)
    if gaps[-1] < gaps.max() - 1e-3:  # the region runs across the antimeridian
        first = int(np.argmax(gaps)) + 1
        order = np.roll(order, -first)
        ascending = np.roll(ascending, -first)
        ascending = np.where(ascending < ascending[0], ascending + 360.0, ascending)
    return order, ascending


def enclosing_cell(axis: NDArray, value: float) -> int | None:
    """Index i with axis[i] <= value <= axis[i + 1] on an ascending axis, None if there is none.

    The gap that a region leaves on the circle is no cell, nor is a single point.
    """
    if axis.size < 2 or not axis[0] <= value <= axis[-1]:
        return None
    index = min(int(np.searchsorted(axis, value, side="right")) - 1, axis.size - 2)
    steps = np.diff(axis)
    return index if steps[index] <= 1.5 * steps.min() else None


def site_outside(
    latitude: NDArray, longitude: NDArray, site: tuple[float, float], where: str
) -> MissingInputError:
    """Error that says which grid was found and which site it does not contain."""
    return MissingInputError(
        f"{where}: the grid of {latitude.size} x {longitude.size} points, latitude "
        f"{latitude.min():g} to {latitude.max():g}, longitude {longitude.min():g} to "
        f"{longitude.max():g} deg, cannot contain the site at latitude {site[0]:.4f}, longitude "
        f"{site[1]:.4f} deg: needs at least one grid point on every side of it; "
        "retrieve a larger area"
    )
