"""Are DRS4 corrections consistent? Capacitors, time lapse and sampling times."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["EXTERNAL", "INTERNAL", "external_metrics", "internal_metrics"]

KIND = "camera/drs4"
INTERNAL = {
    KIND: {
        "unusable_fraction",
        "unknown_capacitors",
        "noisy_capacitors",
        "baseline_error",
        "baseline_sys_error",
        "noise",
        "lapse_at_1_ms",
        "lapse_at_10_ms",
        "lapse_at_100_ms",
        "lapse_error",
        "lapse_residual",
        "sampling_amplitude",
        "sampling_error",
    }
}
EXTERNAL = {
    KIND: {"baseline_change", "lapse_change", "sampling_change", "newly_unusable_fraction"},
}
_SIGMA = 3.0  # of a change: what its errors explain is none
_CAPACITORS = 4096


def internal_metrics(tables: Mapping[str, Any]) -> dict[str, NDArray]:
    """Numbers of corrections that are consistent with themselves.

    Parameters
    ----------
    tables : mapping of str to Table
        ``pixels`` and ``law``; ``points`` if the law was fitted, ``sampling`` of a run of pulses.

    Returns
    -------
    dict of str to array, (n_groups, n_elements)
        Groups are gain channels. NaN for pixels with a status.
    """
    from ..camera.drs4_tables import law_of_table

    pixels, law = tables["pixels"], law_of_table(tables["law"])
    usable = _row(pixels, "status") == 0

    def of_usable(values: NDArray) -> NDArray:
        return np.where(usable, values, np.nan)

    found = {
        "unusable_fraction": 1 - usable.mean(axis=-1, keepdims=True),
        "unknown_capacitors": of_usable(1 - _row(pixels, "known_fraction")),
        "noisy_capacitors": of_usable(_row(pixels, "noisy_fraction")),
        "baseline_error": of_usable(_row(pixels, "stat_error")),
        "baseline_sys_error": of_usable(_row(pixels, "sys_error")),
        "noise": of_usable(_row(pixels, "noise")),
        "lapse_at_1_ms": law(1.0),
        "lapse_at_10_ms": law(10.0),
        # of the formula: the law itself is zero from there on
        "lapse_at_100_ms": law.amplitude * 100.0**-law.exponent - law.offset,
    }
    if "points" in tables:
        points = tables["points"]
        left = _plain(points["excess"]) - law(_plain(points["time"]))
        found["lapse_residual"] = _beyond(left, _plain(points["error"]))
        found["lapse_error"] = law.error(np.array([0.1, 1.0, 10.0]))
    if "sampling" in tables:
        sampling = tables["sampling"]
        found["sampling_amplitude"] = of_usable(_amplitude(*_series(sampling)))
        found["sampling_error"] = of_usable(_row(sampling, "stat_error"))
    return {name: np.atleast_2d(np.asarray(value, float)) for name, value in found.items()}


def external_metrics(tables: Mapping[str, Any], certified: Mapping[str, Any]) -> dict[str, NDArray]:
    """Change against certified corrections, beyond three of its errors.

    Empty if they are of another camera.
    """
    from ..camera.drs4_tables import law_of_table

    pixels, then = tables["pixels"], certified["pixels"]
    if _row(pixels, "status").shape != _row(then, "status").shape:
        return {}
    usable = [_row(table, "status") == 0 for table in (pixels, then)]
    errors = [
        np.hypot(_row(table, "stat_error") / np.sqrt(_CAPACITORS), _row(table, "sys_error"))
        for table in (pixels, then)
    ]
    change = np.where(
        usable[0] & usable[1], _row(pixels, "baseline") - _row(then, "baseline"), np.nan
    )
    laws = [law_of_table(of["law"]) for of in (tables, certified)]
    at = np.array([0.1, 1.0, 10.0])
    found = {
        "baseline_change": _beyond(change, np.hypot(*errors)),
        "lapse_change": _beyond(laws[0](at) - laws[1](at), np.hypot(*(w.error(at) for w in laws))),
        "newly_unusable_fraction": (~usable[0] & usable[1]).mean(axis=-1, keepdims=True),
    }
    if "sampling" in tables and "sampling" in certified:
        series = [_series(of["sampling"]) for of in (tables, certified)]
        if series[0][0].shape == series[1][0].shape:
            differences = [a - b for a, b in zip(*series, strict=True)]
            found["sampling_change"] = np.where(
                usable[0] & usable[1], _amplitude(*differences), np.nan
            )
    return {name: np.atleast_2d(np.asarray(value, float)) for name, value in found.items()}


def _plain(column: Any) -> NDArray:
    return np.asarray(getattr(column, "value", column), float)


def _row(table: Any, name: str) -> NDArray:
    return _plain(table[name][0])


def _series(sampling: Any) -> tuple[NDArray, NDArray]:
    return _row(sampling, "cosine"), _row(sampling, "sine")


def _amplitude(cosine: NDArray, sine: NDArray) -> NDArray:
    """Root mean square of a series over the capacitors."""
    return np.sqrt((cosine**2 + sine**2).sum(axis=0) / 2)


def _beyond(change: NDArray, error: NDArray) -> NDArray:
    return np.sign(change) * np.maximum(np.abs(change) - _SIGMA * error, 0.0)
