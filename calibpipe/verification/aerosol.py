"""Aerosols and clouds of a night: possible, and known well enough.

The weather is no matter of verification: a cloudy night that was measured well passes.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["CONDITIONS", "EXTERNAL", "INTERNAL", "conditions_metrics", "internal_metrics"]

FRAM, LIDAR = "atmosphere/clear_night", "atmosphere/lidar"
ALLSKY, TRANSPARENCY = "atmosphere/allsky", "atmosphere/transparency_coefficient"
CONDITIONS = "atmosphere/observation_conditions"
INTERNAL = {
    FRAM: {
        "stat_error",
        "sys_error",
        "negative_depth",
        "rejected_fraction",
        "detectable",
    },
    LIDAR: {
        "unusable_fraction",
        "depth_error",
        "negative_depth",
        "depth_decrease",
        "angstrom_exponent",
    },
    ALLSKY: {"unusable_fraction", "fraction_error", "impossible_fraction", "n_expected"},
    TRANSPARENCY: {
        "unknown_fraction",
        "transparency",
        "stat_error",
        "sys_error",
        "reduced_chi2",
    },
    CONDITIONS: {
        "unknown_fraction",
        "transmission_error",
        "impossible_transmission",
        "correction_error",
        "instrument_pull",
    },
}
EXTERNAL: dict[str, set[str]] = {kind: set() for kind in INTERNAL}
MEASURED = "measured"


def internal_metrics(kind: str, table: Any) -> dict[str, NDArray]:
    """Numbers of aerosols and clouds that are possible.

    Parameters
    ----------
    kind : str
        One of `INTERNAL`.
    table : QTable
        Content of the product with its header.

    Returns
    -------
    dict of str to array, (n_groups, n_elements)
        Elements are windows, profiles (groups: wavelengths), frames, slices; those that the product
        has no number for are NaN. A metric without any number is absent: a product of an overcast
        night is judged by what it says.
    """
    columns = {name: _plain(table[name]) for name in table.colnames}
    measure = {FRAM: _fram, LIDAR: _lidar, ALLSKY: _allsky, TRANSPARENCY: _transparency}[kind]
    return _known(measure(columns, table.meta["calibpipe"]))


def _plain(column: Any) -> NDArray:
    """Numbers with NaN and texts with nothing where ECSV has nothing."""
    values = np.ma.asarray(getattr(column, "value", column))
    return values.filled("" if values.dtype.kind in "US" else np.nan)


def conditions_metrics(tables: Mapping[str, Any], header: Mapping[str, Any]) -> dict[str, NDArray]:
    """Numbers of observation conditions.

    Parameters
    ----------
    tables : mapping of str to Table
        ``slices`` and ``corrections``.
    header : mapping
        Header of the product.

    Returns
    -------
    dict of str to array, (1, n_slices)
        NaN for slices without a profile; a metric without any number is absent.
    """
    slices, corrections = tables["slices"], tables["corrections"]
    transmission, error = _with_error(slices, "reference_transmission")
    _, correction_error = _with_error(corrections, "mean_transmission")
    return _known(
        {
            "unknown_fraction": header["fractions"]["unknown"],
            "transmission_error": error,
            "impossible_transmission": _beyond(transmission, error, 0.0, 1.0),
            "correction_error": correction_error.max(axis=(1, 2)),
            "instrument_pull": np.asarray(slices["lidar_fram_pull"], float),
        }
    )


def _with_error(table: Any, name: str) -> tuple[NDArray, NDArray]:
    value, stat, sys = (
        np.asarray(table[f"{name}{suffix}"], float) for suffix in ("", "_stat_error", "_sys_error")
    )
    return value, np.hypot(stat, sys)


def _known(found: Mapping[str, ArrayLike]) -> dict[str, NDArray]:
    metrics = {name: np.atleast_2d(np.asarray(values, float)) for name, values in found.items()}
    return {name: values for name, values in metrics.items() if np.isfinite(values).any()}


def _beyond(value: ArrayLike, error: ArrayLike, low: float, high: float = np.inf) -> NDArray:
    """How many errors a value lies outside of what is possible; 0 inside, negative below."""
    value, error = np.asarray(value, float), np.asarray(error, float)
    outside = np.minimum(value - low, 0) + np.maximum(value - high, 0)
    return np.divide(outside, error, out=np.full(outside.shape, np.nan), where=error > 0)


def _fram(columns: Mapping[str, NDArray], header: Mapping[str, Any]) -> dict[str, Any]:
    """Optical depth of the night and its windows."""
    night = columns["scope"] == "night"
    error = np.hypot(columns["stat_error"], columns["sys_error"])
    rejected = sum(header["rejected_measurements"].values())
    used = int(columns["n_measurements"][night].sum())
    return {
        "stat_error": columns["stat_error"][night],
        "sys_error": columns["sys_error"][night],
        "negative_depth": _beyond(columns["vaod"], error, 0.0)[~night],
        "rejected_fraction": rejected / max(rejected + used, 1),
        "detectable": columns["detectable"][night],
    }


def _lidar(columns: Mapping[str, NDArray], header: Mapping[str, Any]) -> dict[str, Any]:
    """Optical depth at the highest altitude where a profile knows it, of each wavelength."""
    found: dict[str, list[Any]] = {name: [] for name in INTERNAL[LIDAR]}
    for wavelength in header["wavelengths_in_nm"]:
        depth, stat, sys = (
            columns[f"optical_depth{name}_{wavelength}nm"]
            for name in ("", "_stat_error", "_sys_error")
        )
        error = np.hypot(_highest(stat), _highest(sys))
        found["unusable_fraction"].append([np.mean(columns[f"status_{wavelength}nm"] != MEASURED)])
        found["depth_error"].append(error)
        found["negative_depth"].append(_beyond(_highest(depth), error, 0.0))
        found["depth_decrease"].append(_decrease(depth))
    if "angstrom_exponent" in columns:
        found["angstrom_exponent"] = [columns["angstrom_exponent"]]
    return {name: values for name, values in found.items() if values}


def _highest(values: NDArray) -> NDArray:
    """Last finite value of each row; NaN where there is none."""
    known = np.isfinite(values)
    last = values.shape[1] - 1 - np.argmax(known[:, ::-1], axis=1)
    return values[np.arange(len(values)), last]


def _decrease(depth: NDArray) -> NDArray:
    """Largest decrease of the depth with altitude, anywhere in a profile.

    An optical depth from the ground on cannot fall; noise makes it.
    """
    known = np.isfinite(depth)
    highest = np.maximum.accumulate(np.where(known, depth, -np.inf), axis=1)
    lost = np.where(known, highest - depth, -np.inf).max(axis=1)
    return np.where(known.any(axis=1), lost, np.nan)


def _allsky(columns: Mapping[str, NDArray], header: Mapping[str, Any]) -> dict[str, Any]:
    """Clouded part of the sky in each frame."""
    fraction = columns["cloud_fraction"]
    error = np.hypot(columns["cloud_fraction_stat_error"], columns["cloud_fraction_sys_error"])
    stars = np.sum(columns["region_n_expected"], axis=1, dtype=float)
    return {
        "unusable_fraction": np.mean(columns["status"] != ""),
        "fraction_error": error,
        "impossible_fraction": _beyond(fraction, error, 0.0, 1.0),
        "n_expected": np.where(np.isfinite(fraction), stars, np.nan),
    }


def _transparency(columns: Mapping[str, NDArray], header: Mapping[str, Any]) -> dict[str, Any]:
    """Transparency of each slice, and whether the telescopes agree."""
    n_dof = columns["n_telescopes"] - 1
    return {
        "unknown_fraction": np.mean(columns["n_telescopes"] == 0),
        "transparency": columns["transparency"],
        "stat_error": columns["stat_error"],
        "sys_error": columns["sys_error"],
        "reduced_chi2": np.where(n_dof > 0, columns["chi2"] / np.maximum(n_dof, 1), np.nan),
    }
