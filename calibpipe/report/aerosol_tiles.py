"""Key numbers of aerosols and clouds: good time, optical depth, clouds, transparency."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .aerosol_clouds import cell_edges, clouds
from .aerosol_conditions import good_periods, livetimes, reference_transmission
from .aerosol_night import AerosolNight, aerosol_night, days, period, value_with_errors
from .aerosol_numbers import frame_status
from .aerosol_series import cloud_fraction, fram_depth, lidar_status, spans, transparency
from .aerosol_transparency import good_range
from .material import NightMaterial
from .wording import counted, with_errors

__all__ = ["aerosol_tiles"]


def aerosol_tiles(material: NightMaterial) -> list[dict[str, Any]]:
    """Key numbers of what there is or is expected; a dash where a product is absent."""
    night = aerosol_night(material)
    if night is None:
        return []
    expected = {step.name.split("/")[1] for step in material.aerosol_steps}
    made = {
        "observation_conditions": _time_tiles,
        "clear_night": _depth_tile,
        "lidar": _cloud_tile,
        "allsky": _sky_tile,
        "transparency_coefficient": _transparency_tile,
    }
    return [tile for name, make in made.items() if name in expected for tile in make(night)]


def _number(name: str, **facts: Any) -> dict[str, Any]:
    nothing = {"value": "–", "stat": "", "sys": "", "total": "", "unit": "", "notes": []}
    return {"name": name} | nothing | facts


def _time_tiles(night: AerosolNight) -> Iterator[dict[str, Any]]:
    if night.observation_conditions is None:
        yield _number("Good time", notes=["needs observation_conditions"])
        return
    hours = livetimes(night)
    others = [f"{name} {hours[name]:.2f} h" for name in hours if name != "good" and hours[name]]
    notes = [", ".join(others) or "all of it", good_periods(night) or "at no time"]
    whole = sum(hours.values())
    yield _number("Good time", value=f"{hours['good']:.2f}", unit=f"of {whole:.2f} h", notes=notes)
    reference = night.observation_conditions.facts["reference"]
    numbers, n = reference_transmission(night)
    yield _number(
        f"Transmission from {reference['altitude_in_m'] / 1000:.1f}\N{NO-BREAK SPACE}km",
        **(with_errors(*numbers) if n else {}),
        notes=[
            f"of aerosols and clouds, {reference['wavelength_in_nm']:g} nm",
            f"median of {counted(n, 'good slice')}" if n else "no good slice",
        ],
    )


def _depth_tile(night: AerosolNight) -> Iterator[dict[str, Any]]:
    if night.clear_night is None:
        yield _number("Aerosol optical depth", notes=["needs clear_night"])
        return
    facts, windows = night.clear_night.facts, fram_depth(night)
    limit = facts["limits"]["max_vaod"]
    verdict = "clear" if facts["is_clear"] else "not clear"
    notes = [
        f"{verdict}: {facts['n_clear_windows']} of {counted(facts['n_windows'], 'window')}, limit "
        f"{limit:g}"
    ]
    if facts["n_clear_windows"] and not facts["is_clear"]:
        clear = windows.value[windows.known & windows.is_good]
        notes.append(f"clear windows: {clear.min():.3f} to {clear.max():.3f}")
    yield _number(
        f"Aerosol, VAOD at {facts['reference_wavelength_in_nm']:g}\N{NO-BREAK SPACE}nm",
        **with_errors(*value_with_errors(night.clear_night, "vaod")),
        notes=notes,
    )


def _cloud_tile(night: AerosolNight) -> Iterator[dict[str, Any]]:
    name = "Lowest cloud base"
    if night.lidar is None:
        yield _number(name, notes=["needs lidar"])
        return
    status = lidar_status(night)
    usable = np.count_nonzero(status == "")
    found = clouds(night)
    if not found:
        told = f"{usable} of {counted(len(status), 'profile')} usable"
        yield _number(name, value="no clouds" if usable else "–", notes=[told])
        return
    begin, end = cell_edges(days(night.lidar.table["time"]))
    rows = sorted(set().union(*(cloud.rows for cloud in found)))
    line = night.lidar.facts["wavelengths_in_nm"][-1]
    depths = np.concatenate([cloud.depths(line)[:, 0] for cloud in found])
    notes = [
        f"in {len(rows)} of {counted(len(status), 'profile')}, "
        f"{period(begin[rows[0]], end[rows[-1]])}"
    ]
    if depths.size:
        notes.append(f"optical depth up to {depths.max():.2f} at {line} nm")
    yield _number(name, value=f"{min(c.base for c in found):.1f}", unit="km a.s.l.", notes=notes)


def _sky_tile(night: AerosolNight) -> Iterator[dict[str, Any]]:
    name = "Cloud fraction of the sky"
    if night.allsky is None:
        yield _number(name, notes=["needs allsky"])
        return
    series, n_bad = cloud_fraction(night), int(np.count_nonzero(frame_status(night) != ""))
    n = int(np.count_nonzero(series.known))
    notes = [f"mean of {n} of {counted(n + n_bad, 'frame')}"]
    if n == 0:
        yield _number(name, notes=notes)
        return
    value, stat, sys = (getattr(series, key)[series.known] for key in ("value", "stat", "sys"))
    errors = math.sqrt(float(np.sum(stat**2))) / n, float(np.mean(sys))
    notes.append(f"from {value.min():z.2f} to {value.max():z.2f}")
    yield _number(name, **with_errors(float(value.mean()), *errors), notes=notes)


def _transparency_tile(night: AerosolNight) -> Iterator[dict[str, Any]]:
    name = "Cherenkov transparency (CTC)"
    if night.transparency_coefficient is None:
        yield _number(name, notes=["needs transparency_coefficient"])
        return
    facts, series = night.transparency_coefficient.facts, transparency(night)
    low, high = good_range(night)
    notes = [
        f"{facts['n_good_slices']} of {counted(facts['n_slices'], 'slice')} good, "
        f"{low:g} to {high:g}"
    ]
    if np.any(bad := series.known & ~series.is_good):
        notes.append(f"outside: {spans(series, bad, 2)}")
    yield _number(
        name,
        **with_errors(*value_with_errors(night.transparency_coefficient, "transparency")),
        notes=notes,
    )
