"""Key numbers of the array: spreads of throughputs and time offsets, scales of types."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .array_numbers import ArrayNight, array_night
from .material import NightMaterial
from .wording import counted, listed, rounded, with_errors

__all__ = ["array_tiles", "spread"]


def array_tiles(material: NightMaterial) -> list[dict[str, Any]]:
    """Key numbers: spread of throughputs by type, scales of types, spread of time offsets."""
    night = array_night(material)
    if night is None:
        return []
    return [*_throughput_tiles(night), *_scale_tiles(night), _timing_tile(night)]


def _number(name: str, **facts: Any) -> dict[str, Any]:
    nothing = {"value": "–", "stat": "", "sys": "", "total": "", "unit": "", "notes": []}
    return {"name": name} | nothing | facts


def _throughput_tiles(night: ArrayNight) -> Iterator[dict[str, Any]]:
    title = "Spread of throughputs"
    if night.inter is None:
        yield _number(title, notes=["needs inter_calibration"])
        return
    matrix = night.inter.tables["covariance"]
    value = night.column(night.inter, "value")
    valid = night.column(night.inter, "is_valid", False).astype(bool)
    for kind in dict.fromkeys(night.kinds[valid]):
        mine = np.flatnonzero(valid & (night.kinds == kind))
        place = np.searchsorted(np.asarray(matrix["tel_id"]), night.tel_ids[mine])
        covariances = [
            np.asarray(matrix[f"{name}_covariance"])[np.ix_(place, place)]
            for name in ("stat", "sys")
        ]
        size, stat, sys = _spread_with_errors(100 * np.log(value[mine]), covariances, 1e4)
        ends = [mine[np.argmin(value[mine])], mine[np.argmax(value[mine])]]
        low, high = (f"{night.names[k]} {value[k]:.3f}" for k in ends)
        of = int(np.count_nonzero(night.kinds == kind))
        notes = [f"{len(mine)} of {counted(of, 'telescope')}", f"lowest {low}, highest {high}"]
        yield _number(f"{title}, {kind}", **with_errors(size, stat, sys), unit="%", notes=notes)


def _spread_with_errors(
    value: NDArray, covariances: Sequence[NDArray], factor: float = 1.0
) -> tuple[float, float, float]:
    size = spread(value, factor * covariances[0])[0]
    stat, sys = (spread(value, factor * covariance)[1] for covariance in covariances)
    return size, stat, sys


def _scale_tiles(night: ArrayNight) -> Iterator[dict[str, Any]]:
    if night.cross is None:
        yield _number("Scale between types", notes=["needs cross_calibration"])
        return
    for row in night.cross.tables["scales"]:
        kind, reference = str(row["tel_type"]), str(row["tel_ref"])
        if kind == reference:
            continue
        names = ("scaling_factor", "scaling_factor_uncertainty", "scaling_factor_sys_error")
        yield _number(
            f"Scale of {kind} to {reference}",
            **with_errors(*(float(row[name]) for name in names)),
            notes=[f"{counted(int(row['n_pairs']), 'pair')} with telescopes of other types"],
        )


def _timing_tile(night: ArrayNight) -> dict[str, Any]:
    name = "Spread of time offsets"
    if night.timing is None:
        return _number(name, notes=["needs timing"])
    table, facts = night.timing.tables["telescopes"], night.timing.facts
    valid = np.flatnonzero(np.asarray(table["is_valid"], bool))
    covariances = [
        np.asarray(table[f"{part}_covariance"], float)[np.ix_(valid, valid)]
        for part in ("stat", "sys")
    ]
    numbers = _spread_with_errors(np.asarray(table["offset"], float)[valid], covariances)
    largest = [rounded(facts[f"max_{part}_error_in_ns"], digits=2)[0] for part in ("stat", "sys")]
    return _number(
        name,
        **with_errors(*numbers),
        unit="ns",
        notes=[
            f"{facts['n_valid']} of {counted(facts['n_telescopes'], 'telescope')}",
            f"largest errors of one: {listed(largest)} ns (stat, sys)",
        ],
    )


def spread(value: NDArray, covariance: NDArray) -> tuple[float, float]:
    r"""Standard deviation of values and its error to first order.

    .. math:: s^2 = \frac{1}{n} \sum_i (x_i - \bar x)^2, \qquad
              \sigma_s^2 = g^T C g, \quad g_i = \frac{x_i - \bar x}{n s}

    Parameters
    ----------
    value : ndarray, shape (n,)
    covariance : ndarray, shape (n, n)

    Returns
    -------
    float, float
        NaN for fewer than two values; the error is NaN where all values are the same.
    """
    if len(value) < 2:
        return math.nan, math.nan
    away = value - value.mean()
    size = float(np.sqrt(np.mean(away**2)))
    if size == 0:
        return 0.0, math.nan
    gradient = away / (len(value) * size)
    return size, float(np.sqrt(gradient @ covariance @ gradient))
