"""Are pedestals consistent? Baseline and noise of the closed camera, and under the night sky."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["EXTERNAL", "INTERNAL", "external_metrics", "internal_metrics"]

PEDESTAL = "camera/pedestal"
INTERNAL = {
    PEDESTAL: {
        "unusable_fraction",
        "baseline_offset",
        "relative_rms",
        "sample_rms",
        "relative_mean_error",
        "relative_rms_error",
        "relative_sky_rms",
        "blind_fraction",
    }
}
EXTERNAL = {PEDESTAL: {"baseline_change", "rms_change", "newly_unusable_fraction"}}
_SIGMA = 3.0  # of a change, of the night sky: what errors explain is none


def internal_metrics(kind: str, tables: Mapping[str, Any]) -> dict[str, NDArray]:
    """Numbers of a pedestal that is consistent with itself.

    Parameters
    ----------
    kind : str
        One of `INTERNAL`.
    tables : mapping of str to Table
        ``pixels``, one row.

    Returns
    -------
    dict of str to array, (n_channels, n_pixels) or (n_channels, 1)
        NaN for pixels that are not usable. ``blind_fraction``: part of the usable pixels whose
        variance in high gain the open camera does not raise by three errors. Without sky
        pedestals there are no numbers of the sky.
    """
    from ..camera.light_scan import camera_median

    row = tables["pixels"][0]
    usable = _usable(row)
    mean, rms, sample = (
        _of(row, name, usable) for name in ("dark_mean", "dark_window_rms", "dark_sample_rms")
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        found = {
            "unusable_fraction": 1 - usable.mean(axis=-1, keepdims=True),
            "baseline_offset": mean - camera_median(mean),
            "relative_rms": rms / camera_median(rms),
            "sample_rms": sample,
            "relative_mean_error": _error(row, "dark_window_mean") / rms,
            "relative_rms_error": _error(row, "dark_window_rms") / rms,
        }
        sky = _of(row, "sky_window_rms", usable)
        if np.isfinite(sky).any():
            found["relative_sky_rms"] = sky / camera_median(sky)
            found["blind_fraction"] = _blind(row, usable)
    return found


def _blind(row: Any, usable: NDArray) -> NDArray:
    """Part of the usable pixels of high gain that see no sky, (1, 1).

    The error is that of a pixel without sky: the noise of the electronics, which is Gaussian.
    """
    use = usable[:1]
    dark, error, sky, n = (
        _of(row, name, usable)[:1]
        for name in (
            "dark_window_rms",
            "dark_window_rms_stat_error",
            "sky_window_rms",
            "sky_n_events",
        )
    )
    spread = np.hypot(2 * dark * error, dark**2 * np.sqrt(2 / n))
    sees = sky**2 - dark**2 >= _SIGMA * spread
    return (use & ~sees).sum(axis=-1, keepdims=True) / use.sum()


def external_metrics(
    kind: str, tables: Mapping[str, Any], certified: Mapping[str, Any]
) -> dict[str, NDArray]:
    """Change of the closed camera against a certified product, beyond three of its errors.

    Empty if it is of another camera.
    """
    now, then = (of["pixels"][0] for of in (tables, certified))
    usable, before = (_usable(row) for row in (now, then))
    if usable.shape != before.shape:
        return {}
    both = usable & before
    (mean, mean_error), (rms, rms_error) = (
        _change(now, then, name, both) for name in ("dark_mean", "dark_window_rms")
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        old = _of(then, "dark_window_rms", both)
        return {
            "baseline_change": _beyond(mean, mean_error),
            "rms_change": _beyond(rms / old, rms_error / old),
            "newly_unusable_fraction": (before & ~usable).mean(axis=-1, keepdims=True),
        }


def _usable(row: Any) -> NDArray:
    """Pixels with a baseline and a noise of the closed camera."""
    from ..camera.pedestal import PedestalStatus

    unusable = PedestalStatus.TOO_FEW_EVENTS | PedestalStatus.NO_NOISE
    return (np.asarray(row["status"], int) & int(unusable)) == 0


def _of(row: Any, name: str, usable: NDArray) -> NDArray:
    return np.where(usable, np.asarray(row[name], float), np.nan)


def _error(row: Any, name: str) -> NDArray:
    """Both errors; a drift that is not known counts as none: the product says so."""
    stat, sys = (np.asarray(row[f"{name}_{kind}_error"], float) for kind in ("stat", "sys"))
    return np.hypot(stat, np.nan_to_num(sys))


def _change(now: Any, then: Any, name: str, both: NDArray) -> tuple[NDArray, NDArray]:
    error = np.hypot(_error(now, name), _error(then, name))
    return _of(now, name, both) - _of(then, name, both), error


def _beyond(change: NDArray, error: NDArray) -> NDArray:
    return np.sign(change) * np.maximum(np.abs(change) - _SIGMA * error, 0.0)
