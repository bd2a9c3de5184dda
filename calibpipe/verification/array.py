"""Is the array one? Errors of its telescopes, pairs and blocks among themselves, other nights."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..array.systematics import RECONSTRUCTION

__all__ = ["EXTERNAL", "INTERNAL", "element_names", "external_metrics", "internal_metrics"]

INTER, CROSS = "array/inter_calibration", "array/cross_calibration"
TIMING = "array/timing"
_ARRAY, _TELESCOPE, _PAIR, _TYPE = "array", "telescope", "pair", "type"
_BLOCK, _AXIS, _DISTANCE = "block", "axis", "distance"
_INTERNAL = {  # metrics, and what their elements are
    INTER: {
        "relative_stat_error": _TELESCOPE,
        "relative_sys_error": _TELESCOPE,
        "pair_pull": _PAIR,
        "n_islands": _TYPE,
        "invalid_fraction": _ARRAY,
        "outlier_fraction": _ARRAY,
        "reduced_chi2": _TYPE,
        "p_value": _TYPE,
        "n_events": _PAIR,
    },
    CROSS: {
        "relative_stat_error": _TELESCOPE,
        "relative_sys_error": _TELESCOPE,
        "scale_factor": _TYPE,
        "scale_stat_error": _TYPE,
        "muon_alarm": _TELESCOPE,
        "muon_difference": _TELESCOPE,
        "invalid_fraction": _ARRAY,
        "reduced_chi2": _ARRAY,
        "p_value": _ARRAY,
    },
    TIMING: {
        "stat_error": _TELESCOPE,
        "sys_error": _TELESCOPE,
        "time_error": _TELESCOPE,
        "n_islands": _ARRAY,
        "invalid_fraction": _ARRAY,
        "outlier_fraction": _TELESCOPE,
        "impact_residual": _DISTANCE,
        "direction_offset": _AXIS,
        "direction_offset_error": _AXIS,
        "curvature_scale": _ARRAY,
        "not_converged": _BLOCK,
        "jumped": _TELESCOPE,
        "azimuth_sectors": _ARRAY,
        "n_events": _ARRAY,
    },
}
_EXTERNAL = {
    INTER: {"throughput_change": _TELESCOPE},
    CROSS: {"throughput_change": _TELESCOPE, "scale_change": _TYPE},
    TIMING: {"offset_change": _TELESCOPE},
}
INTERNAL = {kind: set(of) for kind, of in _INTERNAL.items()}
EXTERNAL = {kind: set(of) for kind, of in _EXTERNAL.items()}
_SIGMA = 3.0  # of a change: what its errors explain is none


def internal_metrics(
    kind: str, tables: Mapping[str, Any], header: Mapping[str, Any]
) -> dict[str, NDArray]:
    """Numbers of a calibration of the array that is consistent with itself.

    Parameters
    ----------
    kind : str
        One of `INTERNAL`.
    tables : mapping of str to Table
        ``telescopes``, one row each; ``pairs`` and ``covariance`` of an inter-calibration,
        ``types`` of a cross-calibration, ``distances`` of a timing.
    header : mapping
        Header of the product.

    Returns
    -------
    dict of str to array, shape (1, n_elements)
        Elements are telescopes, pairs, types ... (`element_names`); NaN of telescopes that are not
        valid. Absent are pulls where every pair decides alone, and muons where there are none.
    """
    found = {INTER: _inter, CROSS: _cross, TIMING: _timing}[kind](tables, header)
    return _known(found)


def external_metrics(
    kind: str,
    tables: Mapping[str, Any],
    header: Mapping[str, Any],
    certified: Mapping[str, Any],
    certified_header: Mapping[str, Any],
) -> dict[str, NDArray]:
    r"""Changes against a certified product of the same kind, beyond three of their errors.

    Levels are a matter of the gauge: throughputs change against the median of the telescopes
    that were solved together, scales against that of the reference type, offsets against that of
    all. Throughputs that have their level from muons in both products change as they are.

    .. math:: d' = \mathrm{sign}(d)\max(|d| - 3\sigma_d, 0)

    Parameters
    ----------
    tables, header, certified, certified_header
        As for `internal_metrics`.

    Returns
    -------
    dict of str to array, shape (1, n_elements)
        NaN for telescopes that are not valid in both; absent where nothing can be compared.
    """
    now, then = tables["telescopes"], _as(certified["telescopes"], tables["telescopes"])
    if kind == TIMING:
        error = [np.hypot(t["stat_error"], t["sys_error"]) for t in (now, then)]
        change = _values(now, "offset") - _values(then, "offset")
        change -= _level(change, np.zeros(len(change)))
        return _compared({"offset_change": _beyond(change, *error)})
    change = np.log(_values(now, "value")) - np.log(_values(then, "value"))
    error = [_values(t, "error") / _values(t, "value") for t in (now, then)]
    if kind == INTER:
        group = [f"{a} {b}" for a, b in zip(now["solved_with"], then["solved_with"], strict=True)]
        absolute = header["gauge"] == certified_header["gauge"] == "muon"
        relative = change if absolute else change - _level(change, group)
        return _compared({"throughput_change": _beyond(relative, *error)})
    relative = change - _level(change, now["tel_type"])
    scale, scale_errors = _scale_change(change, tables, certified, header["reference_type"])
    return _compared(
        {
            "throughput_change": _beyond(relative, *error),
            "scale_change": _beyond(scale, *scale_errors),
        }
    )


def element_names(
    kind: str, tables: Mapping[str, Any], header: Mapping[str, Any]
) -> dict[str, Sequence[str]]:
    """Names of the elements of each metric, in its order; those of the whole array have none.

    Parameters
    ----------
    kind, tables, header
        As for `internal_metrics`.
    """
    telescopes = tables["telescopes"]
    known = telescopes.colnames
    of: dict[str, Sequence[str]] = {_ARRAY: (), _AXIS: ("altitude", "azimuth")}
    of[_TELESCOPE] = [f"telescope {tel_id}" for tel_id in telescopes["tel_id"]]
    if "array_element" in known:
        of[_TELESCOPE] = [str(name) for name in telescopes["array_element"]]
    if kind == INTER:
        pairs = _used(tables["pairs"])
        both = zip(pairs["tel_id_1"], pairs["tel_id_2"], strict=True)
        of[_PAIR] = [f"telescopes {one} and {two}" for one, two in both]
        of[_TYPE] = list(header["fits"])
    elif kind == CROSS:
        of[_TYPE] = [str(name) for name in _others(tables["types"])["tel_type"]]
    else:
        of[_BLOCK] = [f"observation {obs_id}" for obs_id in header["observations"]]
        names = dict(zip(telescopes["tel_id"].tolist(), of[_TELESCOPE], strict=True))
        rows = tables["distances"]
        ends = (np.asarray(rows[f"impact_{end}"]) for end in ("low", "high"))
        of[_DISTANCE] = [
            f"{names[tel_id]} from {low:g} to {high:g} m"
            for tel_id, low, high in zip(rows["tel_id"].tolist(), *ends, strict=True)
        ]
    return {metric: of[element] for metric, element in (_INTERNAL[kind] | _EXTERNAL[kind]).items()}


def _inter(tables: Mapping[str, Any], header: Mapping[str, Any]) -> dict[str, Any]:
    table, pairs, fits = tables["telescopes"], _used(tables["pairs"]), header["fits"].values()
    valid = np.asarray(table["is_valid"])
    residual, pull = np.asarray(pairs["residual"]), np.asarray(pairs["pull"])
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.hypot(residual / pull, np.sqrt(2) * RECONSTRUCTION)
    found = _relative_errors(table) | {
        "n_islands": [_islands(table, name) for name in header["fits"]],
        "invalid_fraction": 1 - valid.sum() / len(tables["covariance"]),
        "outlier_fraction": np.mean(table["is_outlier"][valid]),
        "reduced_chi2": [_reduced(fit["chi2"], fit["expected_chi2"]) for fit in fits],
        "p_value": [np.nan if fit["p_value"] is None else fit["p_value"] for fit in fits],
        "n_events": pairs["n_events"],
    }
    tested = {"pair_pull": residual / error} if np.isfinite(error).any() else {}
    return found | tested


def _islands(table: Any, name: str) -> int:
    """Parts of several telescopes; one without a pair is none, but not valid."""
    own = table["island"][table["solved_with"] == name]
    return int(np.count_nonzero(np.bincount(np.asarray(own)) > 1))


def _cross(tables: Mapping[str, Any], header: Mapping[str, Any]) -> dict[str, Any]:
    table, types = tables["telescopes"], _others(tables["types"])
    factor = np.asarray(types["scaling_factor"])
    found = _relative_errors(table) | {
        "scale_factor": factor,
        "scale_stat_error": types["scaling_factor_uncertainty"] / factor,
        "invalid_fraction": 1 - np.mean(table["is_valid"]),
        "reduced_chi2": _reduced(header["chi2"], header["n_dof"]),
        "p_value": np.nan if header["p_value"] is None else header["p_value"],
    }
    if "difference" in table.colnames:
        compared = np.isfinite(table["difference"])
        if compared.any():
            found["muon_difference"] = table["difference"]
            found["muon_alarm"] = np.where(compared, table["is_alarm"], np.nan)
    return found


def _timing(tables: Mapping[str, Any], header: Mapping[str, Any]) -> dict[str, Any]:
    table, rows = tables["telescopes"], tables["distances"]
    enough = np.isfinite(_plain(rows["error"]))
    enough &= np.isin(rows["tel_id"], table["tel_id"][table["is_valid"]])
    counted, out = (np.asarray(table[f"n_{name}"], float) for name in ("events", "outliers"))
    return {
        "stat_error": _values(table, "stat_error"),
        "sys_error": _values(table, "sys_error"),
        "time_error": _values(table, "time_error"),
        "n_islands": len(header["islands"]),
        "invalid_fraction": 1 - np.mean(table["is_valid"]),
        "outlier_fraction": out / np.where(counted > 0, counted + out, np.nan),
        "impact_residual": np.where(enough, _plain(rows["mean"]), np.nan),
        "direction_offset": header["direction_offset_in_deg"],
        "direction_offset_error": header["direction_offset_error_in_deg"],
        "curvature_scale": header["curvature_scale"],
        "not_converged": np.isin(header["observations"], header["not_converged"]),
        # of an island, so tied to others, and yet without an offset of the night
        "jumped": (table["island"] >= 0) & np.isnan(_plain(table["offset"])),
        "azimuth_sectors": np.count_nonzero(header["n_by_azimuth"]),
        "n_events": header["n_events"],
    }


def _relative_errors(table: Any) -> dict[str, NDArray]:
    value = _values(table, "value")
    return {
        "relative_stat_error": _plain(table["error"]) / value,
        "relative_sys_error": _plain(table["sys_error"]) / value,
    }


def _reduced(chi2: float, expected: float) -> float:
    return chi2 / expected if expected > 0 else np.nan


def _used(pairs: Any) -> Any:
    return pairs[np.asarray(pairs["is_used"])]


def _others(types: Any) -> Any:
    return types[types["tel_type"] != types["tel_ref"]]


def _plain(column: Any) -> NDArray:
    """Without its unit: products have one unit for each column."""
    return np.array(getattr(column, "value", column), float)


def _values(table: Any, column: str) -> NDArray:
    """Of the valid telescopes; NaN for others."""
    return np.where(table["is_valid"], _plain(table[column]), np.nan)


def _as(table: Any, order: Any) -> dict[str, NDArray]:
    """Columns of a table in the order of another; not valid where telescopes are absent."""
    place = {tel_id: row for row, tel_id in enumerate(table["tel_id"].tolist())}
    row = np.array([place.get(tel_id, -1) for tel_id in order["tel_id"].tolist()])
    columns = {name: np.asarray(getattr(table[name], "value", table[name]))[row]
               for name in table.colnames}  # fmt: skip
    columns["is_valid"] = columns["is_valid"] & (row >= 0)
    return columns


def _level(change: NDArray, group: ArrayLike, least: int = 2) -> NDArray:
    """Median of the group of each telescope; NaN where fewer than `least` have a change."""
    group = np.asarray(group)
    level = np.full(len(change), np.nan)
    for name in np.unique(group):
        own = (group == name) & np.isfinite(change)
        if own.sum() >= least:
            level[group == name] = np.median(change[own])
    return level


def _scale_change(
    change: NDArray, tables: Mapping[str, Any], certified: Mapping[str, Any], reference: str
) -> tuple[NDArray, list[NDArray]]:
    """Median of the changes of each type less that of the reference, and the errors of both."""
    tel_types = np.asarray(tables["telescopes"]["tel_type"])
    level = dict(zip(tel_types.tolist(), _level(change, tel_types, least=1).tolist(), strict=True))
    names = _others(tables["types"])["tel_type"].tolist()
    scale = np.array([level.get(name, np.nan) for name in names]) - level.get(reference, np.nan)
    errors = []
    for types in (tables["types"], certified["types"]):
        relative = _plain(types["scaling_factor_uncertainty"]) / _plain(types["scaling_factor"])
        known = dict(zip(types["tel_type"].tolist(), relative.tolist(), strict=True))
        errors.append(np.array([known.get(name, np.nan) for name in names]))
    return scale, errors


def _beyond(change: NDArray, *errors: NDArray) -> NDArray:
    """What of a change its errors do not explain."""
    error = np.sqrt(np.sum(np.square([_plain(e) for e in errors]), axis=0))
    left = np.maximum(np.abs(change) - _SIGMA * error, 0.0)
    return np.copysign(left, change) + 0.0  # no -0


def _known(found: Mapping[str, Any]) -> dict[str, NDArray]:
    """As arrays of one group."""
    return {name: np.atleast_2d(_plain(values)) for name, values in found.items()}


def _compared(found: Mapping[str, Any]) -> dict[str, NDArray]:
    """Those that can be told of at least one element."""
    return {name: values for name, values in _known(found).items() if np.isfinite(values).any()}
