"""Is the throughput one? Its errors, chunks and rings against the whole, and other nights."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["EXTERNAL", "INTERNAL", "external_metrics", "internal_metrics"]

MUON, PSF = "throughput/muon_throughput", "throughput/muon_psf"
ILLUMINATOR = "throughput/illuminator_throughput"
INTERNAL = {
    MUON: {
        "throughput",
        "relative_stat_error",
        "relative_sys_error",
        "chunk_residual",
        "ring_residual",
        "scatter",
        "outlier_fraction",
        "n_rings",
    },
    PSF: {
        "width",
        "relative_stat_error",
        "relative_sys_error",
        "profile_pull",
        "reduced_chi2",
        "misaligned_sectors",
    },
    ILLUMINATOR: {"relative_stat_error", "relative_sys_error", "flash_chi2", "invalid_fraction"},
}
EXTERNAL = {MUON: {"throughput_change"}, PSF: {"width_change"}, ILLUMINATOR: {"throughput_change"}}
_BINS = 5  # of rings by impact, radius and inclination, equally full


def internal_metrics(
    kind: str, tables: Mapping[str, Any], header: Mapping[str, Any], rings: Any = None
) -> dict[str, NDArray]:
    """Numbers of a throughput that is consistent with itself.

    Parameters
    ----------
    kind : str
        One of `INTERNAL`.
    tables : mapping of str to Table
        ``chunks`` and ``night`` of muons; ``night``, ``profile`` and, where there are any,
        ``sectors`` of a point spread function; ``chunks`` of an illuminator.
    header : mapping
        Header of the product.
    rings : Rings, optional
        That the throughput was made from.

    Returns
    -------
    dict of str to array, (n_groups, n_elements)
    """
    found = {MUON: _muon, PSF: _psf, ILLUMINATOR: _illuminator}[kind](tables, header, rings)
    return {name: np.atleast_2d(np.asarray(values, float)) for name, values in found.items()}


def external_metrics(
    kind: str, tables: Mapping[str, Any], certified: Mapping[str, Any]
) -> dict[str, NDArray]:
    """Relative change against a certified product of the same kind.

    Parameters
    ----------
    tables, certified : mapping of str to Table
        As for `internal_metrics`.
    """
    name, column = {
        MUON: ("throughput_change", "mean"),
        PSF: ("width_change", "width"),
        ILLUMINATOR: ("throughput_change", "mean"),
    }[kind]
    now, then = (_mean(entry, column) for entry in (tables, certified))
    return {name: np.atleast_2d(now / then - 1)}


def _mean(tables: Mapping[str, Any], column: str) -> float:
    table = tables["night"] if "night" in tables else tables["chunks"]
    return float(np.nanmean(np.asarray(table[column], float)))


def _muon(tables: Mapping[str, Any], header: Mapping[str, Any], rings: Any) -> dict[str, Any]:
    night, chunks = tables["night"], tables["chunks"]
    mean = float(night["mean"][0])
    counted = np.asarray(chunks["n_events"], float)
    metrics = {
        "throughput": mean,
        "relative_stat_error": night["sem"][0] / mean,
        "relative_sys_error": night["sys_error"][0] / mean,
        "chunk_residual": np.asarray(chunks["mean"])[:, np.newaxis] / mean - 1,
        "scatter": np.asarray(chunks["scatter"])[:, np.newaxis],
        "outlier_fraction": (chunks["n_outliers"] / (counted + chunks["n_outliers"]))[
            :, np.newaxis
        ],
        "n_rings": night["n_events"][0],
    }
    if rings is not None:
        metrics["ring_residual"] = _ring_residual(rings)
    return metrics


def _ring_residual(rings: Any) -> NDArray:
    """Median of rings in bins of impact, radius and inclination, over that of all, minus 1."""
    middle = np.median(rings.throughput)
    found = []
    for values in (rings.impact, rings.radius, rings.inclination):
        parts = np.array_split(np.argsort(values, kind="stable"), _BINS)
        found.append([np.median(rings.throughput[part]) / middle - 1 for part in parts])
    return np.array(found)


def _psf(tables: Mapping[str, Any], header: Mapping[str, Any], rings: Any) -> dict[str, Any]:
    night, profile = tables["night"], tables["profile"]
    width = float(night["width"][0])
    enough = np.asarray(profile["n_rings"]) > 1
    off = np.asarray(profile["optical"], float) - float(night["variance"][0])
    with np.errstate(invalid="ignore", divide="ignore"):
        pull = off / np.asarray(profile["squared_width_error"], float)
    sectors = tables.get("sectors")
    return {
        "width": width,
        "relative_stat_error": float(night["stat_error"][0]) / width,
        "relative_sys_error": float(night["sys_error"][0]) / width,
        "profile_pull": np.where(enough, pull, np.nan),
        "reduced_chi2": night["reduced_chi2"][0],
        "misaligned_sectors": np.nan if sectors is None else np.sum(sectors["is_significant"]),
    }


def _illuminator(
    tables: Mapping[str, Any], header: Mapping[str, Any], rings: Any
) -> dict[str, Any]:
    chunks = tables["chunks"]
    mean = np.asarray(chunks["mean"], float)[:, np.newaxis]
    return {
        "relative_stat_error": np.asarray(chunks["stat_error"], float)[:, np.newaxis] / mean,
        "relative_sys_error": np.asarray(chunks["sys_error"], float)[:, np.newaxis] / mean,
        "flash_chi2": np.asarray(chunks["chi2"], float)[:, np.newaxis],
        "invalid_fraction": 1 - np.mean(np.asarray(chunks["is_valid"], float)),
    }
