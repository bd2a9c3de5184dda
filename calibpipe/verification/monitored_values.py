"""What of a product is followed over the nights: a few numbers with their errors.

A verdict looks at residuals; whether a gain drifts is seen in the gain itself.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import astropy.units as u
import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["MONITORED", "MonitoredValue", "monitored_values"]

_DENSITY_AT = 15 * u.km
_NOTHING = float("nan")


@dataclass(frozen=True)
class MonitoredValue:
    """A number with its errors.

    Parameters
    ----------
    quantity : str
        ``optical_throughput``.
    value, stat_error, sys_error : float
        An error that the product does not tell is NaN.
    unit : str
        Empty for a pure number.
    array_element : str
        Of a product of several telescopes; empty: that of the product.
    """

    quantity: str
    value: float
    stat_error: float = _NOTHING
    sys_error: float = _NOTHING
    unit: str = ""
    array_element: str = ""

    def text(self) -> dict[str, Any]:
        """As JSON; what is not known is null."""
        numbers = {
            name: float(number) if np.isfinite(number) else None
            for name, number in (
                ("value", self.value),
                ("stat_error", self.stat_error),
                ("sys_error", self.sys_error),
            )
        }
        return {
            "quantity": self.quantity,
            **numbers,
            "unit": self.unit,
            "array_element": self.array_element or None,
        }


def monitored_values(
    kind: str, tables: Mapping[str, Any], header: Mapping[str, Any]
) -> list[MonitoredValue]:
    r"""Numbers of a product that are followed over the nights; only those with a value.

    Means over pixels, frames or blocks have the statistical error of independent ones,
    :math:`\sqrt{\sum_i \sigma_i^2} / n`, and the mean systematic error, which all have in common.
    Errors of the offsets of star tracking are those of one block (median): pixels and catalogue
    are the same in all.

    Parameters
    ----------
    kind : str
        One of `MONITORED`; another has nothing to follow.
    tables : mapping of str to Table
        ``table`` of a product with one table; ``night`` of muon rings, ``chunks`` of an
        illuminator, ``telescopes`` of the array with the names of array elements.
    header : mapping
        Header of the product.
    """
    if kind not in _OF_KIND:
        return []
    return [entry for entry in _OF_KIND[kind](tables, header) if np.isfinite(entry.value)]


def _plain(column: Any, unit: u.UnitBase | None = None) -> NDArray:
    """Numbers of a column, in a unit where it has one; NaN where there is none."""
    own = getattr(column, "unit", None)
    values = np.ma.filled(np.ma.asarray(getattr(column, "value", column), float), np.nan)
    return values if unit is None or own is None else (values * own).to_value(unit)


def _mean(values: ArrayLike, stat: ArrayLike, sys: ArrayLike) -> tuple[float, float, float]:
    """Mean of the finite values, its error of independent ones, the mean common error."""
    values, stat, sys = (np.ravel(entry) for entry in np.broadcast_arrays(values, stat, sys))
    known = np.isfinite(values)
    if not known.any():
        return (_NOTHING,) * 3
    root = np.sqrt(np.sum(stat[known] ** 2)) / known.sum()
    return float(values[known].mean()), float(root), float(sys[known].mean())


def _camera(tables: Mapping[str, Any], header: Mapping[str, Any]) -> list[MonitoredValue]:
    """Gain and pedestal of the usable pixels of the high-gain channel (0), mean of the camera."""
    table = tables["table"]
    usable = ~np.asarray(table["outlier_mask"], bool)[:, 0]
    usable &= np.asarray(table["is_valid"], bool)[:, np.newaxis]
    found = []
    for quantity, column, unit in (
        ("gain", "gain", "ADC / p.e."),
        ("pedestal", "pedestal_offset", "ADC / sample"),
    ):
        names = (column, f"{column}_stat_error", f"{column}_sys_error")
        numbers = [
            np.where(usable, _plain(table[name])[:, 0], np.nan)
            if name in table.colnames
            else np.nan
            for name in names
        ]
        value, stat, sys = _mean(*numbers)
        # ASSUME: rows may repeat one flat field: pixels are independent measurements, rows are not
        n_rows = max(int(np.count_nonzero(usable.any(axis=1))), 1)
        found.append(MonitoredValue(quantity, value, stat * np.sqrt(n_rows), sys, unit))
    return found


def _muon_throughput(tables: Mapping[str, Any], header: Mapping[str, Any]) -> list[MonitoredValue]:
    night = tables["night"]
    value, stat, sys = (float(night[name][0]) for name in ("mean", "sem", "sys_error"))
    return [MonitoredValue("optical_throughput", value, stat, sys)]


def _illuminator(tables: Mapping[str, Any], header: Mapping[str, Any]) -> list[MonitoredValue]:
    chunks = tables["chunks"]
    valid = np.asarray(chunks["is_valid"], bool)
    mean = np.where(valid, _plain(chunks["mean"]), np.nan)
    errors = (_plain(chunks[f"{of}_error"]) for of in ("stat", "sys"))
    return [MonitoredValue("illuminator_throughput", *_mean(mean, *errors))]


def _psf(quantity: str, name: str) -> Callable[..., list[MonitoredValue]]:
    def found(tables: Mapping[str, Any], header: Mapping[str, Any]) -> list[MonitoredValue]:
        table = tables[name]
        if not bool(table["is_valid"][0]):
            return []
        value, stat, sys = (
            float(_plain(table[column], u.deg)[0])
            for column in ("width", "stat_error", "sys_error")
        )
        return [MonitoredValue(quantity, value, stat, sys, "deg")]

    return found


def _star_tracking(tables: Mapping[str, Any], header: Mapping[str, Any]) -> list[MonitoredValue]:
    table = tables["table"]
    valid = np.asarray(table["is_valid"], bool)
    found = []
    for axis, name in (("dlon", "azimuth"), ("dlat", "altitude")):
        value, stat, sys = (
            _plain(table[f"{axis}{suffix}"], u.arcsec)[valid]
            for suffix in ("", "_stat_error", "_sys_error")
        )
        if len(value):
            numbers = float(np.mean(value)), float(np.median(stat)), float(np.median(sys))
            found.append(MonitoredValue(f"pointing_offset_{name}", *numbers, "arcsec"))
    return found


def _pointing_model(tables: Mapping[str, Any], header: Mapping[str, Any]) -> list[MonitoredValue]:
    return [
        MonitoredValue("pointing_model_residual", float(header["sky_rms_in_arcsec"]), unit="arcsec")
    ]


def _density(tables: Mapping[str, Any], header: Mapping[str, Any]) -> list[MonitoredValue]:
    """Number density at 15 km; its relative errors are those of the density."""
    table = tables["table"]
    altitude = _plain(table["altitude"], u.km)
    at = _DENSITY_AT.to_value(u.km)
    density = _plain(table["density"], u.kg / u.m**3)
    relative = [
        np.interp(at, altitude, _plain(table[f"density_{of}_error"], u.kg / u.m**3) / density)
        for of in ("stat", "sys")
    ]
    value = float(header["number_density_15km_in_per_cm3"])
    stat, sys = (float(value * entry) for entry in relative)
    return [MonitoredValue("number_density_15km", value, stat, sys, "1 / cm3")]


def _macobac(tables: Mapping[str, Any], header: Mapping[str, Any]) -> list[MonitoredValue]:
    row = tables["table"][0]
    value, stat, sys = (
        1e6 * float(row[name]) for name in ("co2_mole_fraction", "stat_error", "sys_error")
    )
    return [MonitoredValue("co2_mole_fraction", value, stat, sys, "ppm")]


def _clear_night(tables: Mapping[str, Any], header: Mapping[str, Any]) -> list[MonitoredValue]:
    table = tables["table"]
    night = np.asarray(table["scope"]) == "night"
    rows = [_plain(table[name])[night] for name in ("vaod", "stat_error", "sys_error")]
    if not night.any():
        return []
    value, stat, sys = (float(values[0]) for values in rows)
    return [MonitoredValue("vertical_aerosol_optical_depth", value, stat, sys)]


def _transparency(tables: Mapping[str, Any], header: Mapping[str, Any]) -> list[MonitoredValue]:
    value, stat, sys = (
        _NOTHING if header[name] is None else float(header[name])
        for name in ("transparency", "stat_error", "sys_error")
    )
    return [MonitoredValue("cherenkov_transparency_coefficient", value, stat, sys)]


def _allsky(tables: Mapping[str, Any], header: Mapping[str, Any]) -> list[MonitoredValue]:
    table = tables["table"]
    names = ("", "_stat_error", "_sys_error")
    numbers = (_plain(table[f"cloud_fraction{suffix}"]) for suffix in names)
    return [MonitoredValue("cloud_fraction", *_mean(*numbers))]


def _of_telescopes(
    quantity: str, columns: tuple[str, str, str], unit: u.UnitBase | None = None
) -> Callable[..., list[MonitoredValue]]:
    """A value of each valid telescope of the array."""

    def found(tables: Mapping[str, Any], header: Mapping[str, Any]) -> list[MonitoredValue]:
        table = tables["telescopes"]
        numbers = np.transpose([_plain(table[name], unit) for name in columns])
        name_of_unit = "" if unit is None else str(unit)
        rows = zip(table["array_element"], table["is_valid"], numbers, strict=True)
        return [
            MonitoredValue(quantity, float(value), float(stat), float(sys), name_of_unit, str(name))
            for name, is_valid, (value, stat, sys) in rows
            if is_valid
        ]

    return found


_OF_KIND = {
    "atmosphere/density_profile": _density,
    "atmosphere/macobac": _macobac,
    "atmosphere/clear_night": _clear_night,
    "atmosphere/transparency_coefficient": _transparency,
    "atmosphere/allsky": _allsky,
    "camera/coefficients": _camera,
    "throughput/muon_throughput": _muon_throughput,
    "throughput/muon_psf": _psf("muon_psf_width", "night"),
    "throughput/illuminator_throughput": _illuminator,
    "pointing/star_tracking": _star_tracking,
    "pointing/star_psf": _psf("star_psf_width", "table"),
    "pointing/pointing_model": _pointing_model,
    "array/inter_calibration": _of_telescopes(
        "relative_throughput", ("value", "error", "sys_error")
    ),
    "array/timing": _of_telescopes("time_offset", ("offset", "stat_error", "sys_error"), u.ns),
}
MONITORED = frozenset(_OF_KIND)
