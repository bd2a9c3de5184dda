"""What a product of array timing says: of all blocks together, of each one, and in its header."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from astropy.table import Table, vstack
from astropy.time import Time
from numpy.typing import NDArray

from ..core.exceptions import InsufficientStatisticsError
from .graph import ALONE
from .timing_blocks import ArrayTiming, array_timing
from .timing_residuals import ImpactResiduals, front_scatter
from .timing_tables import TimedBlock, offsets_table

__all__ = ["night_and_blocks", "timing_details"]


def night_and_blocks(
    blocks: Sequence[TimedBlock],
    tel_ids: NDArray,
    names: Sequence[str],
    types: Sequence[str],
    *,
    direction_offset: float,
    curvature_offset: float,
    height_error: float,
    reference: int | None,
    min_common: int,
    min_events: int,
    max_jump: float,
) -> tuple[ArrayTiming, Table, Table, ImpactResiduals]:
    """Offsets over all blocks, and of each block.

    Parameters
    ----------
    blocks : sequence of TimedBlock
    tel_ids, names, types : sequences
        Of the telescopes.
    direction_offset : float, deg
    curvature_offset : float
        Widths of what all events have in common.
    height_error, reference, min_common, min_events, max_jump
        As `array_timing`.

    Returns
    -------
    timing : ArrayTiming
        Of all blocks.
    offsets : Table
        One row a telescope.
    by_block : Table
        One row for each block and telescope.
    residuals : ImpactResiduals

    Raises
    ------
    InsufficientStatisticsError, ConfigurationError
        As `array_timing`, of all blocks. A block without a valid offset has rows that say so.
    """
    angle = np.radians(direction_offset)
    prior = np.array([angle, angle, curvature_offset])
    settings: dict[str, Any] = {
        "names": names,
        "height_error": height_error,
        "min_common": min_common,
    }
    residuals = sum((b.residuals for b in blocks[1:]), blocks[0].residuals)
    night = array_timing(
        [block.equations for block in blocks],
        prior,
        scatter=front_scatter(residuals),
        reference=reference,
        min_events=min_events,
        max_jump=max_jump,
        **settings,
    )
    table = offsets_table(night, tel_ids, names, types)
    errors = np.array([block.errors.telescope for block in blocks])
    n = np.array([sum(p.n_of_telescope for p in block.equations) for block in blocks])
    mean = np.sum(n * errors**2, axis=0) / np.where(n.sum(axis=0) > 0, n.sum(axis=0), np.nan)
    table["time_error"] = np.sqrt(mean)
    table["time_error"].unit = "ns"
    rows = [
        _block_rows(block, prior, tel_ids, names, types, reference, min_events, settings)
        for block in blocks
    ]
    return night, table, vstack(rows), residuals


def _block_rows(
    block: TimedBlock,
    prior: NDArray,
    tel_ids: NDArray,
    names: Sequence[str],
    types: Sequence[str],
    reference: int | None,
    min_events: int,
    settings: Mapping[str, Any],
) -> Table:
    """Rows of one block; without numbers if it has none."""
    scatter = front_scatter(block.residuals)
    n_tel = len(tel_ids)
    try:
        timing = array_timing(
            [block.equations], prior, scatter=scatter, reference=reference, min_events=min_events,
            **settings,
        )  # fmt: skip
        table = offsets_table(timing, tel_ids, names, types)
        table.remove_columns(["stat_covariance", "sys_covariance"])
    except InsufficientStatisticsError as error:
        n = np.sum([part.n_of_telescope for part in block.equations], axis=0)
        none = np.full(n_tel, np.nan)
        nothing = ArrayTiming(
            offset=none, stat_error=none, sys_error=none,
            stat_covariance=np.diag(none), sys_covariance=np.diag(none),
            island=np.full(n_tel, ALONE), is_valid=np.zeros(n_tel, bool),
            reason=[str(error)[:120]] * n_tel, n_events=n, n_outliers=np.zeros_like(n),
            n_by_azimuth=np.zeros(1, int), common=none[:3], common_error=none[:3],
            chi2=np.nan, ndf=0,
        )  # fmt: skip
        table = offsets_table(nothing, tel_ids, names, types)
        table.remove_columns(["stat_covariance", "sys_covariance"])
    table["time_error"] = block.errors.telescope
    table["time_error"].unit = "ns"
    table.add_column(np.full(n_tel, block.obs_id, np.int64), name="obs_id", index=0)
    for name, seconds in (("time_start", block.begin), ("time_end", block.end)):
        table[name] = Time(np.full(n_tel, float(seconds)), format="unix_tai", scale="tai")
    return table


def timing_details(
    timing: ArrayTiming,
    blocks: Sequence[TimedBlock],
    names: Sequence[str],
    left_out: Mapping[int, str],
    reference: int | None,
) -> dict[str, Any]:
    """What the header of the product says of the night."""
    islands = [
        [names[int(k)] for k in np.flatnonzero(timing.island == number)]
        for number in range(timing.island.max(initial=ALONE) + 1)
    ]
    valid = timing.is_valid
    return {
        "n_telescopes": len(names),
        "n_valid": int(valid.sum()),
        "n_events": int(sum(p.n_events for block in blocks for p in block.equations)),
        "gauge": "mean of the valid telescopes" if reference is None else f"telescope {reference}",
        "islands": islands,
        "alone": [names[int(k)] for k in np.flatnonzero(timing.island == ALONE)],
        "not_valid": {n: r for n, r in zip(names, timing.reason, strict=True) if r},
        "max_stat_error_in_ns": float(timing.stat_error[valid].max()),
        "max_sys_error_in_ns": float(timing.sys_error[valid].max()),
        "spread_in_ns": float(np.std(timing.offset[valid])),
        "outlier_fraction": float(timing.n_outliers.sum() / max(timing.n_events.sum(), 1)),
        "chi2": timing.chi2,
        "ndf": timing.ndf,
        "direction_offset_in_deg": np.degrees(timing.common[:2]).tolist(),
        "direction_offset_error_in_deg": np.degrees(timing.common_error[:2]).tolist(),
        "curvature_scale": float(np.exp(timing.common[2])),
        "curvature_scale_error": float(np.exp(timing.common[2]) * timing.common_error[2]),
        "direction_error_in_deg": [float(np.degrees(b.errors.direction)) for b in blocks],
        "n_by_azimuth": timing.n_by_azimuth.tolist(),
        "observations": [block.obs_id for block in blocks],
        "not_converged": [block.obs_id for block in blocks if not block.is_converged],
        "left_out": {str(obs_id): why for obs_id, why in left_out.items()},
    }
