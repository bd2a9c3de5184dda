"""Pointing and point spread function from stars: known well enough, and the same as before."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["EXTERNAL", "INTERNAL", "external_metrics", "internal_metrics"]

TRACKING, PSF = "pointing/star_tracking", "pointing/star_psf"
INTERNAL = {
    TRACKING: {
        "total_error",
        "invalid_fraction",
        "n_stars",
        "plate_scale",
        "rotation_error",
        "reduced_chi2",
    },
    PSF: {
        "width",
        "relative_stat_error",
        "relative_sys_error",
        "n_stars",
        "reduced_chi2",
        "muon_pull",
    },
}
EXTERNAL = {TRACKING: {"rotation_change"}, PSF: {"width_change"}}
_ARCSEC = 3600.0  # in a degree


def internal_metrics(kind: str, table: Any, header: Mapping[str, Any]) -> dict[str, NDArray]:
    """Numbers of star tracking, or of a point spread function.

    Parameters
    ----------
    kind : str
        One of `INTERNAL`.
    table : Table
        Blocks of star tracking; the one row of a point spread function.
    header : mapping
        Header of the product.

    Returns
    -------
    dict of str to array, shape (1, n_elements)
        NaN for blocks that are not valid. Absent: a comparison with muons that was not made.
    """
    found = {TRACKING: _tracking, PSF: _psf}[kind](table, header)
    return {name: np.atleast_2d(np.asarray(values, float)) for name, values in found.items()}


def external_metrics(
    kind: str, table: Any, header: Mapping[str, Any], certified: Any, then: Mapping[str, Any]
) -> dict[str, NDArray]:
    """Changes against a certified product of the same kind: turn of the camera, relative width."""
    if kind == TRACKING:
        change = header["rotation_in_arcmin"] - then["rotation_in_arcmin"]
        return {"rotation_change": np.atleast_2d(change)}
    widths = (_values(t, "width")[0] for t in (table, certified))
    return {"width_change": np.atleast_2d(next(widths) / next(widths) - 1)}


def _values(table: Any, name: str) -> NDArray:
    return np.asarray(getattr(table[name], "value", table[name]), float)


def _tracking(table: Any, header: Mapping[str, Any]) -> dict[str, Any]:
    errors = [_values(table, f"{a}_{b}_error") for a in ("dlon", "dlat") for b in ("stat", "sys")]
    valid = np.asarray(table["is_valid"], bool)
    return {
        "total_error": _ARCSEC * np.sqrt(sum(error**2 for error in errors)),
        "invalid_fraction": np.mean(~valid),
        "n_stars": np.where(valid, _values(table, "n_stars"), np.nan),
        "plate_scale": header["plate_scale"],
        "rotation_error": np.hypot(
            header["rotation_stat_error_in_arcmin"], header["rotation_sys_error_in_arcmin"]
        ),
        "reduced_chi2": header["chi2"] / max(header["n_degrees"], 1),
    }


def _psf(table: Any, header: Mapping[str, Any]) -> dict[str, Any]:
    width = _values(table, "width")
    found = {
        "width": width,
        "relative_stat_error": _values(table, "stat_error") / width,
        "relative_sys_error": _values(table, "sys_error") / width,
        "n_stars": _values(table, "n_stars"),
        "reduced_chi2": _values(table, "reduced_chi2"),
    }
    muons = header["muon_comparison"]
    return found if muons is None else found | {"muon_pull": muons["z_score"]}
