"""Do the spectra of single photoelectrons hold together? Pixels, fits, gains, other runs."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..camera.spe_status import FATAL, SpeStatus

__all__ = ["EXTERNAL", "INTERNAL", "external_metrics", "internal_metrics"]

SPE = "camera/single_photoelectron"
INTERNAL = {
    SPE: {
        "unusable_fraction",
        "not_converged_fraction",
        "p_value",
        "relative_gain",
        "relative_gain_error",
        "relative_sys_error",
        "resolution",
        "light",
        "free_gain_pull",
        "model_difference",
    }
}
EXTERNAL = {SPE: {"gain_change", "resolution_change", "newly_unusable_fraction"}}
_SIGMA = 3.0  # of a change: what its errors explain is none


def internal_metrics(
    kind: str, tables: Mapping[str, Any], header: Mapping[str, Any]
) -> dict[str, NDArray]:
    """Numbers of a camera whose spectra are understood.

    Of high gain: photoelectrons of low gain are usually not seen.

    Parameters
    ----------
    kind : str
        One of `INTERNAL`.
    tables : mapping of str to Table
        ``pixels``.
    header : mapping
        Header of the product.

    Returns
    -------
    dict of str to array, shape (1, n_pixels) or (1, 1)
        NaN for pixels that are masked. ``not_converged_fraction`` is of the pixels that were
        fitted, ``free_gain_pull`` the difference to the gain without a model over its error.
    """
    pixels = _high_gain(tables["pixels"])
    usable = ~pixels["outlier_mask"].astype(bool)
    status = pixels["status"].astype(int)
    failed = (status & SpeStatus.NOT_CONVERGED) != 0
    fitted = ((status & FATAL) & ~SpeStatus.NOT_CONVERGED) == 0
    gain = np.where(usable, pixels["gain"], np.nan)
    free, error = pixels["model_independent_gain"], pixels["model_independent_gain_stat_error"]
    with np.errstate(invalid="ignore", divide="ignore"):
        found = {
            "unusable_fraction": 1 - usable.mean(),
            "not_converged_fraction": failed.sum() / max(int(fitted.sum()), 1),
            "p_value": np.where(fitted, pixels["p_value"], np.nan),
            "relative_gain": gain / _median(gain),
            "relative_gain_error": pixels["gain_stat_error"] / gain,
            "relative_sys_error": pixels["gain_sys_error"] / gain,
            "resolution": np.where(usable, pixels["resolution"], np.nan),
            "light": np.where(usable, pixels["light"], np.nan),
            "free_gain_pull": (free - gain) / error,
            "model_difference": header["model_difference"][0],
        }
    return {name: np.atleast_2d(np.asarray(values, float)) for name, values in found.items()}


def external_metrics(
    kind: str, tables: Mapping[str, Any], certified: Mapping[str, Any]
) -> dict[str, NDArray]:
    r"""Change of pixels against the certified ones, beyond three of its errors.

    .. math:: d' = \mathrm{sign}(d)\,\max(|d| - 3\sigma_d, 0), \qquad d = g/g_c - 1

    Parameters
    ----------
    kind, tables
        As of `internal_metrics`.
    certified : mapping of str to Table
        Tables of the certified product.

    Returns
    -------
    dict of str to array, shape (1, n_pixels) or (1, 1)
        Empty if the cameras have different numbers of pixels.
    """
    now, then = _high_gain(tables["pixels"]), _high_gain(certified["pixels"])
    if len(now["gain"]) != len(then["gain"]):
        return {}
    usable = [~part["outlier_mask"].astype(bool) for part in (now, then)]
    both = usable[0] & usable[1]
    found = {}
    for name in ("gain", "resolution"):
        with np.errstate(invalid="ignore", divide="ignore"):
            change = now[name] / then[name] - 1
            errors = (part[f"{name}_stat_error"] / part[name] for part in (now, then))
            beyond = np.maximum(np.abs(change) - _SIGMA * np.hypot(*errors), 0.0)
        found[f"{name}_change"] = np.where(both, np.sign(change) * beyond, np.nan)
    found["newly_unusable_fraction"] = np.mean(~usable[0] & usable[1])
    return {name: np.atleast_2d(np.asarray(values, float)) for name, values in found.items()}


def _high_gain(table: Any) -> dict[str, NDArray]:
    """Columns of the first channel as plain numbers."""
    rows = np.asarray(table["channel"]) == 0
    return {name: np.asarray(table[name])[rows] for name in table.colnames}


def _median(values: NDArray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else np.nan
