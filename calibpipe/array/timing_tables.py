"""Tables of array timing, and the sums that later products are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.table import Table, vstack
from numpy.typing import NDArray

from .normal_equations import NormalEquations
from .shower_times import TimingErrors
from .timing_blocks import ArrayTiming
from .timing_residuals import IMPACT_EDGES, ImpactResiduals

__all__ = [
    "TimedBlock",
    "blocks_from_tables",
    "equations_table",
    "offsets_table",
    "residuals_table",
]

_SUMS = ("chi2", "ndf", "n_events", "sin_alt")
_ARRAYS = ("point", "matrix", "vector", "n_common", "n_outliers", "n_by_azimuth")


@dataclass(frozen=True)
class TimedBlock:
    """What an observation block adds to the timing of the array.

    Attributes
    ----------
    obs_id : int
    begin, end : int
        TAI seconds since 1970 of its first and last event.
    errors : TimingErrors
    is_converged : bool
    equations : tuple of NormalEquations
        One for each island.
    residuals : ImpactResiduals
    """

    obs_id: int
    begin: int
    end: int
    errors: TimingErrors
    is_converged: bool
    equations: tuple[NormalEquations, ...]
    residuals: ImpactResiduals


def offsets_table(
    timing: ArrayTiming, tel_ids: NDArray, names: Sequence[str], types: Sequence[str]
) -> Table:
    """One row a telescope, with the rows of the covariances.

    Covariances between telescopes of different islands are NaN.
    """
    table = Table(
        {
            "tel_id": np.asarray(tel_ids, np.int16),
            "array_element": np.asarray(names, "U32"),
            "tel_type": np.asarray(types, "U32"),
            "offset": timing.offset,
            "stat_error": timing.stat_error,
            "sys_error": timing.sys_error,
            "n_events": timing.n_events,
            "n_outliers": timing.n_outliers,
            "island": timing.island,
            "is_valid": timing.is_valid,
            "reason": np.array(timing.reason, dtype="U120"),
        }
    )
    known = np.isfinite(timing.offset)
    same = (timing.island[:, None] == timing.island) & known[:, None] & known
    table["stat_covariance"] = np.where(same, timing.stat_covariance, np.nan)
    table["sys_covariance"] = np.where(same, timing.sys_covariance, np.nan)
    for name in ("offset", "stat_error", "sys_error"):
        table[name].unit = "ns"
    for name in ("stat_covariance", "sys_covariance"):
        table[name].unit = "ns2"
    return table


def residuals_table(residuals: ImpactResiduals, tel_ids: NDArray) -> Table:
    """Mean residuals by telescope and impact distance."""
    n_tel, n_bins = residuals.n.shape
    table = Table(
        {
            "tel_id": np.repeat(np.asarray(tel_ids, np.int16), n_bins),
            "impact_low": np.tile(IMPACT_EDGES[:-1], n_tel),
            "impact_high": np.tile(IMPACT_EDGES[1:], n_tel),
            "n": residuals.n.ravel(),
            "total": residuals.total.ravel(),
            "square": residuals.square.ravel(),
            "mean": residuals.mean.ravel(),
            "error": residuals.error.ravel(),
        }
    )
    for name, unit in zip(table.colnames[1:], ("m", "m", "", "ns", "ns2", "ns", "ns"), strict=True):
        if unit:
            table[name].unit = unit
    return table


def equations_table(blocks: Sequence[TimedBlock]) -> Table:
    """Normal equations and residual sums, one row for each island of each block (ns)."""
    rows = []
    for block in blocks:
        for number, part in enumerate(block.equations):
            first = number == 0
            zero = np.zeros_like(block.residuals.total)
            rows.append(
                Table(
                    {
                        "obs_id": [block.obs_id],
                        "begin": [block.begin],
                        "end": [block.end],
                        "telescope_error": [block.errors.telescope],
                        "direction_error": [block.errors.direction],
                        "core_error": [block.errors.core],
                        "curvature_error": [block.errors.curvature],
                        "is_converged": [block.is_converged],
                        "residual_n": [block.residuals.n if first else zero.astype(np.int64)],
                        "residual_total": [block.residuals.total if first else zero],
                        "residual_square": [block.residuals.square if first else zero],
                    }
                    | {name: [getattr(part, name)] for name in (*_SUMS, *_ARRAYS)}
                )
            )
    return vstack(rows)


def blocks_from_tables(table: Table) -> list[TimedBlock]:
    """Blocks of `equations_table`, in its order."""
    blocks: dict[int, TimedBlock] = {}
    for row in table:
        values: dict[str, Any] = {name: np.array(row[name]) for name in _ARRAYS}
        part = NormalEquations(**values, **{name: row[name].item() for name in _SUMS})
        obs_id = int(row["obs_id"])
        if obs_id in blocks:
            known = blocks[obs_id]
            parts = (*known.equations, part)
            blocks[obs_id] = TimedBlock(**(vars(known) | {"equations": parts}))
            continue
        names = ("telescope_error", "direction_error", "core_error", "curvature_error")
        telescope, *others = (row[name] for name in names)
        blocks[obs_id] = TimedBlock(
            obs_id=obs_id,
            begin=int(row["begin"]),
            end=int(row["end"]),
            errors=TimingErrors(np.array(telescope), *map(float, others)),
            is_converged=bool(row["is_converged"]),
            equations=(part,),
            residuals=ImpactResiduals(
                *(np.array(row[f"residual_{name}"]) for name in ("n", "total", "square"))
            ),
        )
    return list(blocks.values())
