"""What the instruments say of aerosols and clouds in words: a row of a table each."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .aerosol_clouds import clouds
from .aerosol_conditions import livetimes
from .aerosol_night import NAMES, AerosolNight, numbers, texts, value_with_errors, why_not
from .aerosol_series import cloud_fraction, fram_depth, lidar_status, spans, transparency
from .aerosol_transparency import good_range
from .completeness import absent_products
from .material import NightMaterial
from .wording import counted, listed, rounded

__all__ = ["frame_status", "instrument_rows"]


def instrument_rows(material: NightMaterial, night: AerosolNight) -> list[dict[str, str]]:
    """Rows of the table of instruments: which Tool, what it saw, and what is absent."""
    absent = {entry["step"]: entry["reason"] for entry in absent_products(material)}
    rows = []
    for step in material.aerosol_steps:
        name = step.name.split("/")[1]
        product, reason = getattr(night, name), absent.get(step.name, "")
        found = material.products.get(step.products[0])
        tool = found.header.get("CTA ACTIVITY NAME", "–") if found else "–"
        told, doubt = TOLD[name](night) if product is not None else ("–", "")
        if name in night.empty:
            reason = "it has no rows: nothing was measured"
        rows.append(
            {
                "name": NAMES[name],
                "tool": tool,
                "told": told,
                "state": "bad" if reason else "warning" if doubt else "good",
                "status": reason or doubt or "complete",
            }
        )
    return rows


def _clear_night(night: AerosolNight) -> tuple[str, str]:
    facts, windows = night.clear_night.facts, fram_depth(night)
    depth, *errors = rounded(*value_with_errors(night.clear_night, "vaod"))
    told = (
        f"{facts['n_clear_windows']} of {counted(facts['n_windows'], 'window')} clear; VAOD "
        f"{depth} ± {errors[0]} ± {errors[1]} at {facts['reference_wavelength_in_nm']:g} nm, limit "
        f"{facts['limits']['max_vaod']:g}"
    )
    if facts["is_clear"]:
        return told, ""
    cloudy = spans(windows, ~windows.is_good)
    when = f" ({cloudy})" if cloudy else ""
    return told, f"not clear{when}: {listed(list(facts['reasons'].values()))}"


def _lidar(night: AerosolNight) -> tuple[str, str]:
    status = lidar_status(night)
    n, bad = len(status), np.count_nonzero(status != "")
    found = clouds(night)
    rows = set().union(*(cloud.rows for cloud in found))
    told = f"{n - bad} of {counted(n, 'profile')} usable; "
    if found:
        base = min(cloud.base for cloud in found)
        told += f"clouds in {len(rows)} of them, lowest base {base:.1f} km"
    else:
        told += "no clouds" if bad < n else "clouds are not known"
    return told, f"{bad} without depths: {why_not(status)}" if bad else ""


def frame_status(night: AerosolNight) -> NDArray:
    """Why a frame of the all-sky camera has no value; empty where it has one."""
    table = night.allsky.table
    known = np.isfinite(numbers(table["cloud_fraction"]))
    told = texts(table["status"])
    return np.where(known, "", np.where(told == "", "no value", told))


def _allsky(night: AerosolNight) -> tuple[str, str]:
    status, fraction = frame_status(night), cloud_fraction(night)
    n, bad = len(status), np.count_nonzero(status != "")
    told = f"{n - bad} of {counted(n, 'frame')} usable"
    if bad < n:
        values = fraction.value[fraction.known]
        told += f"; cloud fraction {np.median(values):z.2f} (median), up to {values.max():z.2f}"
    return told, f"{bad} without values: {why_not(status)}" if bad else ""


def _transparency(night: AerosolNight) -> tuple[str, str]:
    facts, series = night.transparency_coefficient.facts, transparency(night)
    n, good = facts["n_slices"], facts["n_good_slices"]
    low, high = good_range(night)
    mean, *errors = rounded(*value_with_errors(night.transparency_coefficient, "transparency"))
    told = (
        f"{good} of {counted(n, 'slice')} from {low:g} to {high:g}; mean of the night {mean} "
        f"± {errors[0]} ± {errors[1]}"
    )
    doubts = []
    if np.any(bad := series.known & ~series.is_good):
        doubts.append(f"outside: {spans(series, bad)}")
    if facts["n_slices_without_reference"]:
        doubts.append(f"{facts['n_slices_without_reference']} slices without a reference")
    return told, "; ".join(doubts)


def _conditions(night: AerosolNight) -> tuple[str, str]:
    hours = livetimes(night)
    told = [f"{value:.2f} h {name}" for name, value in hours.items() if value or name == "good"]
    doubt = "" if sum(hours.values()) == hours["good"] else "not all of it is good, see below"
    return listed(told), doubt


TOLD: dict[str, Callable[[AerosolNight], tuple[str, str]]] = {
    "clear_night": _clear_night,
    "lidar": _lidar,
    "allsky": _allsky,
    "transparency_coefficient": _transparency,
    "observation_conditions": _conditions,
}
