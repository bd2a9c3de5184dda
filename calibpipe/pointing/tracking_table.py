"""From star tracking of nights to the measurements of a pointing model."""

from collections.abc import Mapping, Sequence
from typing import Any

import astropy.units as u
import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ..core.exceptions import ConfigurationError, CorruptedInputError
from .measurements import PointingMeasurements

__all__ = ["TRACKING_COLUMNS", "tracked_offsets"]

TRACKING_COLUMNS = (
    "time",
    "azimuth",
    "altitude",
    "dlon",
    "dlat",
    "dlon_stat_error",
    "dlat_stat_error",
    "offset_correlation",
    "dlon_sys_error",
    "dlat_sys_error",
    "is_valid",
)
_SAME = ("site", "tel_id", "array_element")


def tracked_offsets(
    tables: Sequence[Table], headers: Sequence[Mapping[str, Any]]
) -> tuple[PointingMeasurements, NDArray]:
    """Offsets of several nights, in the order of time whatever that of the tables.

    Parameters
    ----------
    tables : sequence of Table
        Star tracking: ``time``; ``azimuth``, ``altitude``, ``dlon``, ``dlat`` and their errors
        ``..._stat_error``, ``..._sys_error`` with a unit of angle; ``offset_correlation``;
        ``is_valid``.
    headers : sequence of mapping
        ``site``, ``tel_id``, ``array_element``, ``night`` of each.

    Returns
    -------
    measurements : PointingMeasurements
        All of them, those that are not valid, too.
    is_valid : ndarray, shape (n,), bool

    Raises
    ------
    CorruptedInputError
        If a column is absent or has no unit of angle.
    ConfigurationError
        If tables are of several telescopes, or measurements are given twice.
    """
    for name in _SAME:
        there = sorted({str(header[name]) for header in headers})
        if len(there) > 1:
            raise ConfigurationError(
                f"star tracking of several telescopes ({name}: {', '.join(there)}): a pointing "
                "model is of one; give its files only"
            )
    nights = tuple(sorted({str(header["night"]) for header in headers}))
    columns = [_columns(*both, nights) for both in zip(tables, headers, strict=True)]
    joined = {name: np.concatenate([part[name] for part in columns]) for name in columns[0]}
    order = np.lexsort((joined["azimuth"], joined["time"], joined["night"]))
    joined = {name: values[order] for name, values in joined.items()}
    twice = np.diff(joined["time"]) == 0
    if twice.any():
        night = nights[joined["night"][int(np.argmax(twice))]]
        raise ConfigurationError(
            f"{np.count_nonzero(twice)} measurements of night {night} are given twice; give each "
            "file once"
        )
    is_valid = joined.pop("is_valid")
    return PointingMeasurements(**joined, nights=nights), is_valid


def _columns(table: Table, header: Mapping[str, Any], nights: tuple[str, ...]) -> dict[str, Any]:
    night = str(header["night"])
    missing = [name for name in TRACKING_COLUMNS if name not in table.colnames]
    if missing:
        raise CorruptedInputError(
            f"star tracking of night {night} has no column {', '.join(missing)}; make it again"
        )
    correlation = np.asarray(table["offset_correlation"], float)
    sigma = _pair(table, "{}_stat_error", night)
    covariance = sigma[:, :, None] * sigma[:, None, :]
    covariance[:, 0, 1] *= correlation
    covariance[:, 1, 0] *= correlation
    return {
        "time": np.asarray(table["time"].unix_tai, float),
        "azimuth": _angle(table, "azimuth", u.deg, night),
        "altitude": _angle(table, "altitude", u.deg, night),
        "offset": _pair(table, "{}", night),
        "covariance": covariance,
        "sys_error": _pair(table, "{}_sys_error", night),
        "night": np.full(len(table), nights.index(night)),
        "is_valid": np.asarray(table["is_valid"], bool),
    }


def _pair(table: Table, name: str, night: str) -> NDArray:
    """Columns of dlon and dlat in arcsec, shape (n, 2)."""
    pair = [_angle(table, name.format(of), u.arcsec, night) for of in ("dlon", "dlat")]
    return np.stack(pair, axis=1)


def _angle(table: Table, name: str, unit: u.UnitBase, night: str) -> NDArray:
    try:
        return np.asarray(u.Quantity(table[name]).to_value(unit), float)
    except u.UnitConversionError as error:
        raise CorruptedInputError(
            f"star tracking of night {night}: column {name} has no unit of angle; make it again"
        ) from error
