"""What is known of a source of external light: periods of constant setting."""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.table import QTable
from astropy.time import Time
from numpy.typing import NDArray

from ..core.exceptions import ConfigurationError
from .illuminator import photons_per_pixel, systematic_errors

__all__ = ["IlluminatorSource", "illuminator_source", "map_of_pixels"]

REQUIRED = ("time", "photons", "relative_error")
# optional columns: unit, what holds without them, the columns they need
OPTIONAL = {
    "distance": (u.m, np.nan, ("distance_error", "reference_distance")),
    "distance_error": (u.m, 0.0, ("distance",)),
    "reference_distance": (u.m, np.nan, ("distance",)),
    "attenuation_length": (u.m, np.inf, ("attenuation_length_error", "distance")),
    "attenuation_length_error": (u.m, 0.0, ("attenuation_length",)),
    "angle": (u.deg, 0.0, ("angle_error",)),
    "angle_error": (u.deg, 0.0, ()),
    "map_error": (u.one, 0.0, ()),
    "jitter": (u.one, 0.0, ()),
}
POSITIVE = ("distance", "reference_distance", "attenuation_length")


@dataclass(frozen=True)
class IlluminatorSource:
    """Periods of constant setting in the order of time, arrays of one entry a period.

    Attributes
    ----------
    time : ndarray
        Start of each period, TAI seconds since 1970-01-01; it lasts until the next.
    photons : Quantity, 1/m²
        Per flash at the reference distance, or at the telescope; 0 while the source is off.
    relative_error, jitter, map_error : ndarray
        Error of the photons, rms from flash to flash, error of the mean light for the map.
    distance, distance_error, reference_distance, attenuation_length,
    attenuation_length_error, angle, angle_error : Quantity
        See `calibpipe.throughput.illuminator`; the distances are NaN if the photons are known at
        the telescope.
    """

    time: NDArray
    photons: u.Quantity
    relative_error: NDArray
    distance: u.Quantity
    distance_error: u.Quantity
    reference_distance: u.Quantity
    attenuation_length: u.Quantity
    attenuation_length_error: u.Quantity
    angle: u.Quantity
    angle_error: u.Quantity
    map_error: NDArray
    jitter: NDArray

    def period_of(self, time: NDArray) -> NDArray:
        """Period of each flash; -1 before the first and while the source is off."""
        period = np.searchsorted(self.time, time, side="right") - 1
        return np.where((period >= 0) & (self.photons[period] > 0), period, -1)

    @property
    def is_at_telescope(self) -> bool:
        """Whether the photons are those at the telescope."""
        return bool(np.isnan(self.distance).all())

    def photons_per_pixel(self, mirror_area: u.Quantity, n_pixels: int) -> NDArray:
        """Of each period, see `calibpipe.throughput.illuminator.photons_per_pixel`."""
        place = (
            {}
            if self.is_at_telescope
            else {
                "distance": self.distance,
                "reference_distance": self.reference_distance,
                "attenuation_length": self.attenuation_length,
            }
        )
        return photons_per_pixel(self.photons, mirror_area, n_pixels, angle=self.angle, **place)

    def systematic_errors(self, **others: float) -> dict[str, NDArray]:
        """Relative, of each period: those of source and beam, and `others` by name."""
        n = self.time.size
        found = systematic_errors(
            source=self.relative_error,
            distance=None if self.is_at_telescope else self.distance,
            distance_error=self.distance_error,
            attenuation_length=self.attenuation_length,
            attenuation_length_error=self.attenuation_length_error,
            angle=self.angle,
            angle_error=self.angle_error,
            map=self.map_error,
            **others,
        )
        return {name: np.broadcast_to(value, (n,)) for name, value in found.items()}


def illuminator_source(table: QTable, tel_id: int) -> IlluminatorSource:
    """Source of a table: one row for each period of constant setting.

    Parameters
    ----------
    table : QTable
        ``time`` (Time, or ISO text in TAI), ``photons`` (ph/m² or 1/m² per flash, in the band of
        the throughput), ``relative_error``; and as needed ``distance``, ``distance_error``,
        ``reference_distance``, ``attenuation_length``, ``attenuation_length_error`` (lengths),
        ``angle``, ``angle_error``, ``map_error``, ``jitter``. Rows of other telescopes are left
        out if there is a column ``tel_id``.
    tel_id : int

    Raises
    ------
    ConfigurationError
        If a column is missing or unknown, lacks its unit or its error, or a value cannot be.
    """
    if "tel_id" in table.colnames:
        table = table[np.asarray(table["tel_id"]) == tel_id]
    _check_columns(table, tel_id)
    time = _times(table["time"])
    order = np.argsort(time)
    columns = {"photons": _photons(table["photons"])} | {
        name: _column(table, name, unit, default) for name, (unit, default, _) in OPTIONAL.items()
    }
    columns["relative_error"] = _column(table, "relative_error", u.one, 0.0)
    _check_values(columns, np.diff(time[order]), set(table.colnames))
    plain = {name: value.value if value.unit == u.one else value for name, value in columns.items()}
    return IlluminatorSource(time[order], **{name: value[order] for name, value in plain.items()})


def _refuse(what: str) -> None:
    raise ConfigurationError(f"table of the light source: {what}")


def _check_columns(table: QTable, tel_id: int) -> None:
    there = set(table.colnames) - {"tel_id"}
    if len(table) == 0:
        _refuse(f"no row of telescope {tel_id}")
    if missing := [name for name in REQUIRED if name not in there]:
        _refuse(f"no column {', '.join(missing)}")
    if unknown := sorted(there - set(REQUIRED) - set(OPTIONAL)):
        _refuse(f"unknown columns {', '.join(unknown)}; known are {', '.join(OPTIONAL)}")
    for name, (_, _, needs) in OPTIONAL.items():
        if name in there and (missing := [need for need in needs if need not in there]):
            _refuse(f"{name} needs a column {', '.join(missing)}, too")


def _times(column: object) -> NDArray:
    try:
        time = column if isinstance(column, Time) else Time(np.asarray(column, str), scale="tai")
    except ValueError as error:
        _refuse(f"time is neither a Time nor ISO text: {error}")
    return time.tai.unix_tai


def _photons(column: object) -> u.Quantity:
    """Per square metre, with or without the word photon in the unit."""
    unit = getattr(column, "unit", None) or u.one
    for possible in (u.ph / u.m**2, u.m**-2):
        if unit.is_equivalent(possible):
            return u.Quantity(np.asarray(u.Quantity(column).to_value(possible), float), u.m**-2)
    return _refuse(f"photons has the unit {str(unit) or 'none'}, needs ph / m2")


def _column(table: QTable, name: str, unit: u.Unit, default: float) -> u.Quantity:
    if name not in table.colnames:
        return np.full(len(table), default) * unit
    own = getattr(table[name], "unit", None) or u.one
    if not own.is_equivalent(unit):
        _refuse(f"{name} has the unit {str(own) or 'none'}, needs {str(unit) or 'none'}")
    return u.Quantity(np.asarray(u.Quantity(table[name]).to_value(unit), float), unit)


def _check_values(columns: dict[str, u.Quantity], steps: NDArray, given: set[str]) -> None:
    if not np.all(steps > 0):
        _refuse("two rows begin at the same time; give each period once")
    for name in sorted(given & set(columns)):
        value = columns[name].value
        bad = ~(value > 0) if name in POSITIVE else ~((value >= 0) & np.isfinite(value))
        if bad.any():
            kind = "above 0" if name in POSITIVE else "finite and not negative"
            _refuse(f"{name} is {value[bad][0]:g}, must be {kind}")
    if np.any(columns["angle"] >= 90 * u.deg):
        _refuse(f"angle is {columns['angle'].max():g}, must be below 90 deg")


def map_of_pixels(table: QTable, n_pixels: int) -> NDArray:
    """Light of each pixel from a table of pixels; NaN for those that are not in it.

    Parameters
    ----------
    table : QTable
        ``pixel_id``, each once, and ``relative_light`` in any unit.
    n_pixels : int
        Of the camera.

    Returns
    -------
    ndarray, shape (n_pixels,)

    Raises
    ------
    ConfigurationError
        If a column is missing, or a pixel is given twice or not of the camera.
    """
    if missing := [n for n in ("pixel_id", "relative_light") if n not in table.colnames]:
        raise ConfigurationError(f"map of the light: no column {', '.join(missing)}")
    pixel = np.asarray(table["pixel_id"])
    if np.unique(pixel).size < pixel.size or not np.all((pixel >= 0) & (pixel < n_pixels)):
        raise ConfigurationError(
            f"map of the light: pixel_id must be from 0 to {n_pixels - 1}, each once"
        )
    light = np.full(n_pixels, np.nan)
    light[pixel] = np.asarray(u.Quantity(table["relative_light"]).value, float)
    return light
