"""Quantities of aerosols and clouds over the night, each with its errors and its verdict."""

import math
from dataclasses import dataclass

import numpy as np
from astropy.table import QTable
from numpy.typing import NDArray

from .aerosol_clouds import cell_edges
from .aerosol_night import AerosolNight, days, numbers, period, texts
from .wording import counted, listed

__all__ = [
    "ALL_SKY_REGIONS",
    "REFERENCE_WAVELENGTH",
    "Series",
    "cloud_fraction",
    "fram_depth",
    "lidar_depth",
    "lidar_less_fram",
    "lidar_status",
    "reference_wavelength",
    "runs",
    "spans",
    "transparency",
]

REFERENCE_WAVELENGTH = 440.0  # nm, of the VAOD where FRAM does not say
ALL_SKY_REGIONS = ("zenith_min", "zenith_max", "azimuth_min", "azimuth_max")
_TO_LIDAR = 3  # profiles at least to compare with


@dataclass(frozen=True)
class Series:
    """A quantity in intervals of time.

    Parameters
    ----------
    begin, end : ndarray, shape (n,)
        Days of matplotlib.
    value, stat, sys : ndarray, shape (n,)
        NaN where there is none.
    is_good : ndarray, shape (n,), bool
    label : str
    """

    begin: NDArray
    end: NDArray
    value: NDArray
    stat: NDArray
    sys: NDArray
    is_good: NDArray
    label: str

    @property
    def middle(self) -> NDArray:
        """Middle of each interval."""
        return (self.begin + self.end) / 2

    @property
    def known(self) -> NDArray:
        """Where there is a value."""
        return np.isfinite(self.value)


def reference_wavelength(night: AerosolNight) -> float:
    """Wavelength of the VAOD, nm."""
    facts = night.clear_night.facts if night.clear_night else {}
    return float(facts.get("reference_wavelength_in_nm", REFERENCE_WAVELENGTH))


def fram_depth(night: AerosolNight) -> Series | None:
    """VAOD of FRAM in windows of time; good are those that were clear."""
    if night.clear_night is None:
        return None
    table = night.clear_night.table
    rows = table[texts(table["scope"]) == "window"]
    return Series(
        days(rows["begin_utc"]) if len(rows) else np.zeros(0),
        days(rows["end_utc"]) if len(rows) else np.zeros(0),
        *(numbers(rows["vaod"]), numbers(rows["stat_error"]), numbers(rows["sys_error"])),
        np.asarray(rows["is_clear"], bool),
        "FRAM",
    )


def lidar_depth(night: AerosolNight) -> Series | None:
    r"""Depth of all that the LIDAR sees, aerosols and clouds, at the wavelength of the VAOD.

    Between two laser lines :math:`\ln\tau` is linear in :math:`\ln\lambda`; the systematic errors
    of both lines are taken as common. Outside of them the nearest line is taken as it is.
    """
    if night.lidar is None:
        return None
    table = night.lidar.table
    lines = sorted(night.lidar.facts["wavelengths_in_nm"])
    wanted = reference_wavelength(night)
    near = min(lines, key=lambda line: abs(math.log(line / wanted)))
    low, high = lines[0], lines[-1]
    if low < wanted < high:
        depth = [_top(table, line) for line in (low, high)]
        part = math.log(wanted / low) / math.log(high / low)
        positive = (depth[0][0] > 0) & (depth[1][0] > 0)
        (a, a_stat, a_sys), (b, b_stat, b_sys) = (np.where(positive, d, np.nan) for d in depth)
        value = a ** (1 - part) * b**part
        stat = value * np.hypot((1 - part) * a_stat / a, part * b_stat / b)
        sys = value * ((1 - part) * a_sys / a + part * b_sys / b)
        label = "LIDAR"
    else:
        value, stat, sys = _top(table, near)
        label = f"LIDAR, {near} nm"
    edges = cell_edges(days(table["time"]))
    return Series(*edges, value, stat, sys, np.isfinite(value), label)


def _top(table: QTable, line: int) -> NDArray:
    """Depth and its errors at the highest altitude; NaN where the light does not reach it."""
    names = ("optical_depth", "optical_depth_stat_error", "optical_depth_sys_error")
    return np.stack([numbers(table[f"{name}_{line}nm"])[:, -1] for name in names])


def lidar_status(night: AerosolNight) -> NDArray:
    """Why a profile has no value at any wavelength; empty where it has one."""
    table = night.lidar.table
    reasons = np.full(len(table), "", object)
    usable = np.zeros(len(table), bool)
    for line in night.lidar.facts["wavelengths_in_nm"]:
        status = texts(table[f"status_{line}nm"])
        usable |= np.isfinite(numbers(table[f"optical_depth_{line}nm"])).any(axis=1)
        reasons = np.where(reasons == "", status, reasons)
    return np.where(usable, "", reasons).astype(str)


def lidar_less_fram(night: AerosolNight) -> tuple[float, float, int] | None:
    """Median over the windows of FRAM of LIDAR less FRAM, its error, and their number.

    The error is that of a window, both errors of both instruments in quadrature: most of it is
    common to all windows. Only windows that were clear are compared: a cloud need not be in both
    fields.
    """
    fram, lidar = fram_depth(night), lidar_depth(night)
    if fram is None or lidar is None:
        return None
    found = []
    for k in np.flatnonzero(fram.known & fram.is_good):
        inside = (lidar.middle >= fram.begin[k]) & (lidar.middle < fram.end[k]) & lidar.known
        if np.count_nonzero(inside) < _TO_LIDAR:
            continue
        errors = (fram.stat[k], fram.sys[k], np.nanmean(lidar.sys[inside]))
        found.append((np.mean(lidar.value[inside]) - fram.value[k], math.hypot(*errors)))
    if not found:
        return None
    difference, error = np.median(np.array(found), axis=0)
    return float(difference), float(error), len(found)


def cloud_fraction(night: AerosolNight) -> Series | None:
    """Cloud fraction of the frames of the all-sky camera; good are those with a value."""
    if night.allsky is None:
        return None
    table = night.allsky.table
    names = ("cloud_fraction", "cloud_fraction_stat_error", "cloud_fraction_sys_error")
    value, stat, sys = (numbers(table[name]) for name in names)
    edges = cell_edges(days(table["time"]))
    return Series(*edges, value, stat, sys, np.isfinite(value), "all-sky camera")


def transparency(night: AerosolNight) -> Series | None:
    """Transparency coefficient of the array; good are slices inside the limits."""
    if night.transparency_coefficient is None:
        return None
    table = night.transparency_coefficient.table
    return Series(
        *(days(table["begin_utc"]), days(table["end_utc"])),
        *(numbers(table["transparency"]), numbers(table["stat_error"])),
        numbers(table["sys_error"]),
        np.asarray(table["is_good"], bool),
        "array",
    )


def runs(chosen: NDArray) -> list[tuple[int, int]]:
    """First and last index of each run of neighbours."""
    steps = np.diff(np.concatenate([[0], np.asarray(chosen, int), [0]]))
    return list(
        zip(
            np.flatnonzero(steps == 1).tolist(),
            (np.flatnonzero(steps == -1) - 1).tolist(),
            strict=True,
        )
    )


def spans(series: Series, chosen: NDArray, shown: int = 4) -> str:
    """``00:05 – 02:25 and 3 others``: times of some intervals."""
    found = [period(series.begin[a], series.end[b]) for a, b in runs(chosen)]
    more = len(found) - shown
    return listed(found[:shown] + ([counted(more, "other time")] if more > 0 else []))
