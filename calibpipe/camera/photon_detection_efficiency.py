"""Photon detection efficiency against wavelength and angle of incidence, from laboratories.

The product is imported, not made: what is checked is that it can be what it says.
"""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.table import QTable

from ..core.exceptions import CorruptedInputError

__all__ = ["PDE_COLUMNS", "PhotonDetectionEfficiency", "checked_table", "efficiency_of_table"]

PDE_COLUMNS = ("wavelength", "incidence_angle", "pde", "pde_error")
_BAND = (150.0, 1200.0)  # nm: outside no photocathode and no silicon


def checked_table(table: QTable, where: str = "the table") -> QTable:
    """Table with the columns of a PDE in nm, deg and 1, sorted by angle and wavelength.

    Parameters
    ----------
    table : QTable
        `PDE_COLUMNS`: one row for each wavelength and angle of a full grid; the error absolute.
        Without `incidence_angle` all is at 0 degrees.
    where : str
        File, for messages.

    Raises
    ------
    CorruptedInputError
        If a column or its unit is missing, a number is impossible, or the grid is not full.
    """
    missing = [n for n in PDE_COLUMNS if n not in table.colnames and n != "incidence_angle"]
    if missing:
        raise CorruptedInputError(f"{where} has no column {', '.join(missing)}; give it")
    columns = {
        name: _value(table, name, unit, where)
        for name, unit in (("wavelength", u.nm), ("pde", u.one), ("pde_error", u.one))
    }
    angle = np.zeros(len(table))
    if "incidence_angle" in table.colnames:
        angle = _value(table, "incidence_angle", u.deg, where)
    wavelength, pde, error = columns.values()
    for name, values, low, high, unit in (
        ("wavelength", wavelength, *_BAND, " nm"),
        ("incidence_angle", angle, 0.0, 90.0, " deg"),
        ("pde", pde, 0.0, 1.0, ""),
        ("pde_error", error, 0.0, 1.0, ""),
    ):
        bad = ~((values >= low) & (values <= high))
        if bad.any():
            row = int(np.argmax(bad))
            raise CorruptedInputError(
                f"{where}: {name} is {values[row]:g}{unit} in row {row}, needs {low:g} to {high:g}"
                f"{unit}; look at its unit (a PDE is a fraction, not per cent)"
            )
    order = np.lexsort([wavelength, angle])
    grid = np.unique(wavelength).size * np.unique(angle).size
    pairs = np.unique(np.stack([wavelength, angle]), axis=1).shape[1]
    if not len(table) == grid == pairs or np.unique(wavelength).size < 2:
        raise CorruptedInputError(
            f"{where}: {len(table)} rows for {np.unique(wavelength).size} wavelengths and "
            f"{np.unique(angle).size} angles; needs each pair once and 2 wavelengths or more"
        )
    return QTable(
        {
            "wavelength": wavelength[order] * u.nm,
            "incidence_angle": angle[order] * u.deg,
            "pde": pde[order],
            "pde_error": error[order],
        }
    )


def _value(table: QTable, name: str, unit: u.Unit, where: str) -> np.ndarray:
    column = u.Quantity(table[name])
    if unit != u.one and column.unit == u.one:
        raise CorruptedInputError(f"{where}: {name} has no unit; give it in {unit}")
    try:
        return np.asarray(column.to_value(unit), float)
    except u.UnitConversionError as error:
        raise CorruptedInputError(f"{where}: {name} is in {column.unit}, needs {unit}") from error


@dataclass(frozen=True)
class PhotonDetectionEfficiency:
    """Efficiency on a grid.

    Parameters
    ----------
    wavelength : ndarray, (n_wavelengths,), nm
    incidence_angle : ndarray, (n_angles,), deg
    pde, error : ndarray, (n_angles, n_wavelengths)
    """

    wavelength: np.ndarray
    incidence_angle: np.ndarray
    pde: np.ndarray
    error: np.ndarray

    @u.quantity_input
    def __call__(
        self, wavelength: u.Quantity[u.nm], incidence_angle: u.Quantity[u.deg] = 0 * u.deg
    ) -> np.ndarray:
        """Efficiency by linear interpolation; NaN outside the wavelengths and angles measured."""
        at, angle = np.broadcast_arrays(wavelength.to_value(u.nm), incidence_angle.to_value(u.deg))
        rows = np.array(
            [np.interp(at, self.wavelength, row, left=np.nan, right=np.nan) for row in self.pde]
        )
        grid = self.incidence_angle
        upper = np.clip(np.searchsorted(grid, angle), 1, max(len(grid) - 1, 1))
        lower = upper - 1
        if len(grid) == 1:
            return np.where(angle == grid[0], rows[0], np.nan)
        part = (angle - grid[lower]) / (grid[upper] - grid[lower])
        low, high = (np.take_along_axis(rows, k[np.newaxis], 0)[0] for k in (lower, upper))
        inside = (angle >= grid[0]) & (angle <= grid[-1])
        return np.where(inside, (1 - part) * low + part * high, np.nan)


def efficiency_of_table(table: QTable) -> PhotonDetectionEfficiency:
    """Efficiency of a table of `checked_table`."""
    wavelength, angle = (np.unique(table[n].value) for n in ("wavelength", "incidence_angle"))
    shape = (angle.size, wavelength.size)
    values = (np.asarray(table[n], float).reshape(shape) for n in ("pde", "pde_error"))
    return PhotonDetectionEfficiency(wavelength, angle, *values)
