"""Tables of the observation conditions of a night."""

from collections.abc import Sequence
from typing import Any

import astropy.units as u
import numpy as np
from astropy.table import Table
from astropy.time import Time
from numpy.typing import NDArray

from .good_time_intervals import Interval
from .median_transmission import median_transmission
from .observation_conditions import (
    ERRORS,
    Conditions,
    Grid,
    SliceConditions,
    SliceInput,
    transmission_of,
)
from .slice_quality import QUALITIES, REASONS, Measured
from .transmission_correction import MeanTransmission, mean_over_slices

__all__ = ["corrections_table", "intervals_table", "median_table", "night_details", "slices_table"]


def slices_table(
    edges: NDArray,
    inputs: Sequence[SliceInput],
    found: Sequence[SliceConditions],
    grid: Grid,
) -> Table:
    """One row a slice: quality, what each instrument measured, profile.

    Parameters
    ----------
    edges : ndarray, (n_slices + 1,), s
        TAI, since 1970.
    inputs, found : sequence of SliceInput, SliceConditions
    grid : Grid
    """
    table = Table(_span(edges[:-1], edges[1:]))
    table["quality"] = _texts([one.quality for one in found])
    table["reasons"] = _texts([" ".join(one.reasons) for one in found])
    table["status"] = _texts([one.status for one in found])
    table["sources"] = _texts([", ".join(one.sources) for one in found])
    for name, missing, unit in (
        ("n_profiles", 0, None),
        ("n_hidden", 0, None),
        ("scatter", np.nan, None),
        ("cloud_base", np.nan, u.m),
        ("cloud_top", np.nan, u.m),
        ("cloud_depth", np.nan, None),
        ("cloud_depth_error", np.nan, None),
    ):
        values = [missing if one.lidar is None else getattr(one.lidar, name) for one in inputs]
        table[f"lidar_{name}" if unit is None and "cloud" not in name else name] = values
        if unit is not None:
            table[name].unit = unit
    columns = [one.column for one in inputs]
    vaod = [
        Measured() if c is None else Measured(c.value, c.stat_error, c.sys_error) for c in columns
    ]
    _measured(table, "vaod", vaod)
    table["fram_reasons"] = _texts([" ".join(one.fram) for one in inputs])
    table["lidar_fram_pull"] = [one.pull for one in found]
    _measured(table, "cloud_fraction", [one.cloud_fraction for one in inputs])
    _measured(table, "transparency", [one.coefficient for one in inputs])
    _measured(table, "reference_transmission", [one.through for one in found])
    profiles = [transmission_of(one.profile, grid) for one in found]
    for name in profiles[0]:
        table[name] = np.stack([one[name] for one in profiles])
    return table


def corrections_table(
    edges: NDArray, means: Sequence[MeanTransmission | None], shape: tuple[int, int]
) -> Table:
    """One row a slice: mean transmission by energy and zenith angle.

    Parameters
    ----------
    edges : ndarray, (n_slices + 1,), s
    means : sequence of MeanTransmission or None
        None without a profile: NaN.
    shape : tuple of int
        Energies, zenith angles.
    """
    table = Table(_span(edges[:-1], edges[1:]))
    for name, values in _means(means, shape).items():
        table[name] = values
    table["is_valid"] = [one is not None for one in means]
    return table


def intervals_table(
    intervals: Sequence[Interval],
    means: Sequence[MeanTransmission | None],
    shape: tuple[int, int],
) -> Table:
    """One row an interval: quality, livetime, livetime-weighted mean transmission.

    An interval with a slice without a profile has no mean; its status says so.
    """
    table = Table(
        _span(np.array([i.begin for i in intervals]), np.array([i.end for i in intervals]))
    )
    table["quality"] = _texts([one.quality for one in intervals])
    table["livetime"] = [one.livetime for one in intervals] * u.s
    table["first_slice"] = [one.first for one in intervals]
    table["n_slices"] = [one.stop - one.first for one in intervals]
    rows, status = [], []
    for one in intervals:
        own = [mean for mean in means[one.first : one.stop] if mean is not None]
        lost = one.stop - one.first - len(own)
        status.append(f"{lost} of {one.stop - one.first} slices without a profile" if lost else "")
        rows.append(None if lost else mean_over_slices(own, np.ones(len(own))))
    table["status"] = _texts(status)
    for name, values in _means(rows, shape).items():
        table[name] = values
    return table


def median_table(
    intervals: Sequence[Interval], found: Sequence[SliceConditions], grid: Grid
) -> Table:
    """One row an altitude of each interval with profiles: median over its slices.

    The optical depth is that of the median transmission, from the observatory up: what a table of
    extinction of a simulation holds, for aerosols and clouds alone.
    """
    parts = []
    for number, one in enumerate(intervals):
        profiles = [s.profile for s in found[one.first : one.stop] if s.profile is not None]
        if not profiles:
            continue
        through, stat, sys = median_transmission(profiles)
        n = len(grid.altitude)
        parts.append(
            {
                "interval": np.full(n, number),
                "n_slices": np.full(n, len(profiles)),
                "altitude": grid.altitude.to_value(u.m),
                "transmission": through,
                "transmission_stat_error": stat,
                "transmission_sys_error": sys,
                "optical_depth": -np.log(through),
            }
        )
    if not parts:
        parts = [_no_median(len(grid.wavelength))]
    table = Table({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
    table["altitude"].unit = u.m
    return table


def night_details(
    grid: Grid,
    conditions: Conditions,
    found: Sequence[SliceConditions],
    intervals: Sequence[Interval],
) -> dict[str, Any]:
    """Grids and summary of the night for the header."""
    reasons = {name for one in found for name in one.reasons}
    height, wavelength = grid.reference
    qualities = [one.quality for one in found]
    return {
        "altitude_in_m": [round(float(a), 3) for a in grid.altitude.to_value(u.m)],
        "wavelength_in_nm": grid.wavelength.to_value(u.nm).tolist(),
        "reference": {
            "altitude_in_m": round(float(grid.altitude[height].to_value(u.m)), 3),
            "wavelength_in_nm": float(grid.wavelength[wavelength].to_value(u.nm)),
        },
        "angstrom_exponent": conditions.exponent[0],
        "angstrom_exponent_error": conditions.exponent[1],
        "fractions": {name: qualities.count(name) / len(qualities) for name in QUALITIES},
        "livetime_in_s": {
            name: sum((one.livetime for one in intervals if one.quality == name), 0.0)
            for name in QUALITIES
        },
        "n_slices": len(found),
        "n_slices_with_profile": sum(one.profile is not None for one in found),
        "reasons": {name: text for name, text in REASONS.items() if name in reasons},
    }


def _no_median(n_wavelengths: int) -> dict[str, NDArray]:
    names = ("transmission", "transmission_stat_error", "transmission_sys_error", "optical_depth")
    none = {name: np.empty((0, n_wavelengths)) for name in names}
    return {
        "interval": np.empty(0, int),
        "n_slices": np.empty(0, int),
        "altitude": np.empty(0),
    } | none


def _means(means: Sequence[MeanTransmission | None], shape: tuple[int, int]) -> dict[str, NDArray]:
    nothing = np.full(shape, np.nan)
    names = ("value", "stat_error", "sys_error")
    return {
        f"mean_transmission{error}": np.stack(
            [nothing if one is None else getattr(one, name) for one in means]
        )
        for name, error in zip(names, ERRORS, strict=True)
    }


def _span(begin: NDArray, end: NDArray) -> dict[str, Time]:
    return {
        name: Time(values, format="unix_tai", scale="tai")
        for name, values in (("begin", begin), ("end", end))
    }


def _measured(table: Table, name: str, values: Sequence[Measured]) -> None:
    for part, error in zip(("value", "stat_error", "sys_error"), ERRORS, strict=True):
        table[f"{name}{error}"] = [getattr(one, part) for one in values]


def _texts(values: Sequence[str]) -> NDArray:
    return np.array(values, dtype=f"U{max(1, *map(len, values), 1)}")
