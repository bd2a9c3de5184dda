"""Are dedicated camera calibrations consistent? Photon transfer, cross-talk, exclusion, PDE."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["EXTERNAL", "INTERNAL", "external_metrics", "internal_metrics"]

TRANSFER, CROSSTALK = "camera/photon_transfer", "camera/crosstalk"
EXCLUSION, PDE = "camera/excluded_pixels", "camera/photon_detection_efficiency"
INTERNAL = {
    TRANSFER: {
        "unusable_fraction",
        "relative_gain_error",
        "camera_gain_error",
        "relative_gain",
        "relative_to_spe",
        "reduced_chi2",
        "squared_quadratic_noise",
        "linearity_residual",
        "light_pull",
        "linear_range",
        "relative_ratio_error",
        "ratio_offset",
    },
    CROSSTALK: {"crosstalk", "crosstalk_error", "mean_crosstalk", "unknown_fraction"},
    EXCLUSION: {"excluded_fraction", "operator_fraction"},
    PDE: {"peak", "relative_error"},
}
EXTERNAL = {
    TRANSFER: {"gain_change", "ratio_change", "newly_unusable_fraction"},
    CROSSTALK: {"crosstalk_change"},
    EXCLUSION: {"newly_excluded_fraction"},
    PDE: {"pde_change"},
}
_NIGHTS = 2  # of evidence that exclude a pixel
_SIGMA = 3.0  # of a change: what its errors explain is none


def internal_metrics(kind: str, tables: Mapping[str, Any]) -> dict[str, NDArray]:
    """Numbers of a calibration that is consistent with itself.

    Parameters
    ----------
    kind : str
        One of `INTERNAL`.
    tables : mapping of str to Table
        ``pixels``, ``points`` and, of two gains, ``ratio`` of a photon transfer; ``pairs`` of
        cross-talk; ``pixels`` and ``nights`` of an exclusion; ``table`` of a photon detection
        efficiency.

    Returns
    -------
    dict of str to array, (n_groups, n_elements)
        Groups are gain channels, or points of the scan. NaN for pixels with a status.
    """
    made = {TRANSFER: _transfer, CROSSTALK: _crosstalk, EXCLUSION: _exclusion, PDE: _pde}
    with np.errstate(divide="ignore", invalid="ignore"):
        found = made[kind](tables)
    return {name: np.atleast_2d(np.asarray(values, float)) for name, values in found.items()}


def external_metrics(
    kind: str, tables: Mapping[str, Any], certified: Mapping[str, Any]
) -> dict[str, NDArray]:
    """Change against a certified product of the same kind, beyond three of its errors.

    Empty if it is of another camera.
    """
    made = {
        TRANSFER: _transfer_change,
        CROSSTALK: _crosstalk_change,
        EXCLUSION: _exclusion_change,
        PDE: _pde_change,
    }
    with np.errstate(divide="ignore", invalid="ignore"):
        found = made[kind](tables, certified)
    return {name: np.atleast_2d(np.asarray(values, float)) for name, values in found.items()}


def _beyond(change: NDArray, error: NDArray) -> NDArray:
    return np.sign(change) * np.maximum(np.abs(change) - _SIGMA * error, 0.0)


def _row(table: Any, name: str) -> NDArray:
    return np.asarray(table[name][0], float)


def _usable_gain(pixels: Any) -> tuple[NDArray, NDArray]:
    """Gain of pixels without a status, and its relative statistical error."""
    gain = np.where(_row(pixels, "status") == 0, _row(pixels, "gain"), np.nan)
    return gain, _row(pixels, "gain_stat_error") / gain


def _median(values: NDArray) -> NDArray:
    """Over pixels, that axis kept; NaN without any."""
    out = np.full((*values.shape[:-1], 1), np.nan)
    known = np.isfinite(values).any(axis=-1)
    out[known, 0] = np.nanmedian(values[known], axis=-1)
    return out


def _transfer(tables: Mapping[str, Any]) -> dict[str, Any]:
    pixels, points = tables["pixels"], tables["points"]
    gain, error = _usable_gain(pixels)
    usable = np.isfinite(gain)
    residual = np.asarray(points["residual"], float)
    inside = np.asarray(points["signal"], float) <= _row(pixels, "range_high")
    found = {
        "unusable_fraction": 1 - usable.mean(axis=-1, keepdims=True),
        "relative_gain_error": error,
        "camera_gain_error": _median(error) / np.sqrt(usable.sum(axis=-1, keepdims=True)),
        "relative_gain": gain / _median(gain),
        "reduced_chi2": np.where(
            usable, _row(pixels, "chi2") / np.maximum(_row(pixels, "n_degrees"), 1), np.nan
        ),
        "squared_quadratic_noise": np.where(
            usable, _row(pixels, "squared_quadratic_noise"), np.nan
        ),
        "linearity_residual": np.where(inside & usable, residual, np.nan).reshape(len(points), -1),
        "light_pull": np.asarray(points["pull"], float)[:, np.newaxis],
        "linear_range": (np.where(usable, _row(pixels, "range_high"), np.nan) / gain)[-1],
    }
    to_spe = _row(pixels, "relative_to_spe")
    if np.isfinite(to_spe).any():  # made with single photoelectrons
        found["relative_to_spe"] = to_spe
    if "ratio" in tables:
        ratio = tables["ratio"]
        good = _row(ratio, "status") == 0
        relative = _row(ratio, "ratio_stat_error") / _row(ratio, "ratio")
        found |= {
            "relative_ratio_error": np.where(good, relative, np.nan),
            "ratio_offset": _row(ratio, "offset") / _row(ratio, "offset_error"),
        }
    return found


def _transfer_change(now: Mapping[str, Any], then: Mapping[str, Any]) -> dict[str, Any]:
    gains = [_usable_gain(tables["pixels"]) for tables in (now, then)]
    (gain, error), (old, old_error) = gains
    if gain.shape != old.shape:
        return {}
    lost = np.isnan(gain) & np.isfinite(old)
    found = {
        "gain_change": _beyond(gain / old - 1, np.hypot(error, old_error)),
        "newly_unusable_fraction": lost.mean(axis=-1, keepdims=True),
    }
    if "ratio" in now and "ratio" in then:
        ratios, errors = (
            [_row(tables["ratio"], name) for tables in (now, then)]
            for name in ("ratio", "ratio_stat_error")
        )
        relative = np.hypot(*(e / r for e, r in zip(errors, ratios, strict=True)))
        found["ratio_change"] = _beyond(ratios[0] / ratios[1] - 1, relative)
    return found


def _crosstalk(tables: Mapping[str, Any]) -> dict[str, Any]:
    value = np.asarray(tables["pairs"]["crosstalk"], float)
    known = np.isfinite(value)
    error = np.asarray(tables["pairs"]["stat_error"], float)
    return {
        "crosstalk": _beyond(value, error),
        "crosstalk_error": error,
        "mean_crosstalk": np.mean(value[known]) if known.any() else np.nan,
        "unknown_fraction": 1 - known.mean(),
    }


def _crosstalk_change(now: Mapping[str, Any], then: Mapping[str, Any]) -> dict[str, Any]:
    a, b = now["pairs"], then["pairs"]
    if len(a) != len(b) or not all(np.array_equal(a[n], b[n]) for n in ("pixel", "source")):
        return {}  # of another camera, or another estimator
    error = np.hypot(*(np.asarray(t["stat_error"], float) for t in (a, b)))
    change = np.asarray(a["crosstalk"], float) - np.asarray(b["crosstalk"], float)
    return {"crosstalk_change": _beyond(change, error)}


def _exclusion(tables: Mapping[str, Any]) -> dict[str, Any]:
    pixels = tables["pixels"]
    return {
        "excluded_fraction": np.mean(np.asarray(pixels["is_excluded"], bool)),
        "operator_fraction": np.mean(np.asarray(pixels["by_operator"]) != 0),
    }


def _exclusion_change(now: Mapping[str, Any], then: Mapping[str, Any]) -> dict[str, Any]:
    if len(then["nights"]) < _NIGHTS:
        return {}  # a first list has no history: it excludes nobody yet
    a, b = (np.asarray(tables["pixels"]["is_excluded"], bool) for tables in (now, then))
    return {"newly_excluded_fraction": np.mean(a & ~b)} if a.shape == b.shape else {}


def _pde(tables: Mapping[str, Any]) -> dict[str, Any]:
    pde, error = (np.asarray(tables["table"][name], float) for name in ("pde", "pde_error"))
    bright = pde > pde.max() / 2
    return {"peak": pde.max(), "relative_error": np.where(bright, error / pde, np.nan)}


def _pde_change(now: Mapping[str, Any], then: Mapping[str, Any]) -> dict[str, Any]:
    a, b = now["table"], then["table"]
    if len(a) != len(b) or np.any(a["wavelength"] != b["wavelength"]):
        return {}
    return {"pde_change": np.asarray(a["pde"], float) - np.asarray(b["pde"], float)}
