"""Product of the all-sky camera: a row a frame, and what the night says."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import astropy.units as u
import numpy as np
from astropy.table import QTable
from numpy.typing import NDArray

from .allsky_regions import SkyRegions
from .allsky_result import FrameResult

__all__ = ["allsky_table", "night_summary", "regions_of"]

_PER_REGION = ("cloud_fraction", "stat_error", "sys_error", "n_expected", "n_detected")


def allsky_table(results: Sequence[FrameResult], n_regions: int) -> QTable:
    """Table with one row a frame, in order of time; NaN where `status` gives a reason.

    Parameters
    ----------
    results : sequence of FrameResult
    n_regions : int
    """
    results = sorted(results, key=lambda result: result.time.unix)
    used = [result.fraction for result in results]

    def of_frame(name: str) -> NDArray:
        return np.array([np.nan if f is None else getattr(f, name) for f in used])

    def of_astrometry(name: str) -> list[float]:
        return [np.nan if r.astrometry is None else getattr(r.astrometry, name) for r in results]

    nothing = np.full(n_regions, np.nan)
    rows = [_region_values(result, nothing) for result in results]
    table = QTable(
        {
            "time": [result.time.utc.isot for result in results],
            "status": [result.status for result in results],
            "cloud_fraction": of_frame("total"),
            "cloud_fraction_stat_error": of_frame("total_error"),
            "cloud_fraction_sys_error": [result.sys_error for result in results],
            "used_sky_fraction": of_frame("used"),
            "transparency": [result.transparency for result in results],
            "n_astrometry": np.array(of_astrometry("n_matched"), float),
            "astrometry_rms": np.array(of_astrometry("rms"), float) * u.pix,
        }
    )
    for k, name in enumerate(_PER_REGION):
        table[f"region_{name}"] = np.array([row[k] for row in rows]).reshape(-1, n_regions)
    brightness = [nothing if r.region_brightness is None else r.region_brightness for r in results]
    table["region_sky_brightness"] = np.array(brightness) * (u.mag / u.arcsec**2)
    return table


def _region_values(result: FrameResult, nothing: NDArray) -> list[NDArray]:
    fraction = result.fraction
    if fraction is None:
        return [nothing] * len(_PER_REGION)
    return [
        fraction.region,
        fraction.region_error,
        nothing if result.region_sys_error is None else result.region_sys_error,
        fraction.n_expected,
        fraction.n_detected.astype(float),
    ]


def regions_of(regions: SkyRegions) -> dict[str, list[float]]:
    """Edges of the regions for the header."""
    return {
        f"{name}_in_deg": getattr(regions, name).tolist()
        for name in ("zenith_min", "zenith_max", "azimuth_min", "azimuth_max")
    }


def night_summary(table: QTable) -> dict[str, Any]:
    """Counts and medians of the night for the header; None without a usable frame."""
    used = table["status"] == ""
    reasons = Counter(str(status).split(":")[0] for status in table["status"][~used])

    def middle(values: NDArray) -> float | None:
        finite = values[np.isfinite(values)]
        return float(np.median(finite)) if finite.size else None

    return {
        "n_frames": len(table),
        "n_used": int(used.sum()),
        "reasons": dict(sorted(reasons.items())),
        "cloud_fraction": {
            "median": middle(np.asarray(table["cloud_fraction"])),
            "stat_error": middle(np.asarray(table["cloud_fraction_stat_error"])),
            "sys_error": middle(np.asarray(table["cloud_fraction_sys_error"])),
        },
        "median_cloud_fraction": middle(np.asarray(table["cloud_fraction"])),
        "median_sky_brightness": middle(table["region_sky_brightness"].value),
        "median_transparency": middle(np.asarray(table["transparency"])),
    }
