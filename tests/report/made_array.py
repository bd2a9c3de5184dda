"""Products of an array made by hand: spreads, scales, residuals and offsets are known."""

import functools
from dataclasses import replace

import numpy as np
from astropy.table import Table
from astropy.time import Time
from ctapipe.io.hdf5dataformat import (
    DL2_SUBARRAY_CROSS_CALIBRATION_GROUP,
    DL2_SUBARRAY_INTER_CALIBRATION_GROUP,
)

from calibpipe.array.timing_residuals import IMPACT_EDGES
from calibpipe.core.array_file import write_array_tables
from calibpipe.simulation.array_layout import array_subarray
from calibpipe.tools.asymmetry_tool import PAIRS_TABLE
from calibpipe.tools.calculate_array_timing import BLOCKS, OFFSETS, RESIDUALS
from calibpipe.tools.cross_calibration import SCALES
from calibpipe.tools.inter_calibration import COVARIANCE, FITTED_PAIRS

IDS = np.arange(1, 14)
KINDS = np.array(["LST"] * 4 + ["MST"] * 9)
NAMES = [f"LSTN-{k:02d}" for k in range(1, 5)] + [f"MSTN-{k:02d}" for k in range(1, 10)]
LOG = np.array([-0.1, 0.1, -0.1, 0.1, *[-0.03, 0.03] * 4, 0.0])  # spreads 10 % and 2.83 %
STAT, SYS = 0.002, 0.01
SCALE, SCALE_STAT, SCALE_SYS = 0.95, 0.004, 0.04
OFFSET = np.array([*[-4.0, 4.0] * 6, 0.0])  # ns, spread 4 sqrt(12/13)
OFFSET_STAT, OFFSET_SYS = 0.01, 0.06
PAIRS = np.array([(1, 2), (2, 3), (3, 4), (5, 6), (6, 7), (5, 7), (7, 8)])
PULLS = np.array([1.5, -0.5, np.nan, 0.1, 2.5, -3.5, np.nan])
BLOCK_STARTS = (1720648000.0 + 37, 1720655200.0 + 37)  # 21:46:40 and 23:46:40 UTC


@functools.cache
def northern(site):
    """4 LST and 9 MST."""
    return array_subarray(site)


def _write(night, name, tables, **details):
    kind = f"array/{name.split('.')[0]}"
    metadata = replace(night.metadata(kind, **details), configuration={"alarm_limit": 0.05})
    write_array_tables(night.folder / f"array/{name}.h5", northern(night.site), tables, metadata)


def add_asymmetries(night, quantity="image", block="OBSID1", n_valid=7, **more):
    """Pairs of one block, 100 events each."""
    columns = {f"tel_id_{k}": PAIRS[:, k - 1].astype(np.int16) for k in (1, 2)}
    details = {"observations": [int(block[5:])], "n_pairs": len(PAIRS), "n_valid_pairs": n_valid}
    details |= {"n_pair_events": 100 * len(PAIRS)}
    tables = {PAIRS_TABLE: Table(columns)}
    _write(night, f"{quantity}_asymmetry.{block}", tables, **details | more)


def add_inter(night, *, outlier=None, absent=None, island=None, **more):
    """Throughputs `LOG`; telescopes by number: outlier (2.5), without a value, on an island."""
    value = np.exp(LOG)
    value[outlier == IDS] = 2.5
    value[absent == IDS] = np.nan
    alone = (absent == IDS) | (island == IDS)
    table = Table(
        {
            "tel_type": KINDS,
            "tel_id": IDS.astype(np.int16),
            "value": value,
            "error": STAT * value,
            "sys_error": SYS * value,
            "island": np.where(absent == IDS, -1, np.where(island == IDS, 1, 0)).astype(np.int16),
            "is_outlier": outlier == IDS,
            "is_valid": ~alone,
        }
    )
    pairs = Table({f"tel_id_{k}": PAIRS[:, k - 1].astype(np.int16) for k in (1, 2)})
    pairs["pull"], pairs["is_used"] = PULLS, True
    unused = Table({"tel_id_1": [8], "tel_id_2": [9], "pull": [np.nan], "is_used": [False]})
    pairs = Table(np.append(pairs.as_array(), unused.as_array().astype(pairs.dtype)))
    unit = np.eye(len(IDS))
    covariance = Table({"tel_id": IDS, "stat_covariance": STAT**2 * unit})
    covariance["sys_covariance"] = SYS**2 * unit
    fits = {"LST": {"n_pairs": 3, "p_value": None}, "MST": {"n_pairs": 4, "p_value": 0.25}}
    details = {"method": "array/image_asymmetry", "observations": [1], "gauge": "mean_log"}
    details |= {"fits": fits, "n_valid": int(np.sum(~alone)), "remarks": []}
    tables = {
        DL2_SUBARRAY_INTER_CALIBRATION_GROUP: table,
        FITTED_PAIRS: pairs,
        COVARIANCE: covariance,
    }
    _write(night, "inter_calibration", tables, **details | more)


def add_cross(night, *, has_muons=False, alarm=None, **more):
    """LSTs at `SCALE`; muons 3 % above the showers in the odd LSTs and below in the even ones."""
    value = np.exp(LOG) * np.where(KINDS == "LST", SCALE, 1.0)
    table = Table({"tel_type": KINDS, "tel_id": IDS.astype(np.int16), "value": value})
    table["error"], table["sys_error"] = 0.005 * value, 0.02 * value
    table["is_valid"] = True
    if has_muons:
        table["difference"] = np.where(KINDS == "LST", np.where(IDS % 2, 0.03, -0.03), np.nan)
        table["difference"][alarm == IDS] = 0.12
        table["difference_error"] = np.where(KINDS == "LST", 0.02, np.nan)
        table["is_alarm"] = alarm == IDS
    scales = Table(
        {
            "tel_type": ["MST", "LST"],
            "tel_ref": ["MST", "MST"],
            "scaling_factor": [1.0, SCALE],
            "scaling_factor_uncertainty": [0.0, SCALE_STAT],
            "scaling_factor_sys_error": [0.0, SCALE_SYS],
            "n_pairs": [14, 14],
        }
    )
    details = {"reference_type": "MST", "observations": [1], "n_valid": 13, "p_value": 0.6}
    tables = {DL2_SUBARRAY_CROSS_CALIBRATION_GROUP: table, SCALES: scales}
    _write(night, "cross_calibration", tables, **details | {"remarks": []} | more)


def add_timing(night, *, jumps=None, by=3.0, n_blocks=2, **more):
    """Offsets `OFFSET`; in blocks 0.1 ns above and below; a telescope that jumps has none."""
    jumped = jumps == IDS
    reason = f"differs between blocks by up to {by:g} ns"
    offsets = Table({"tel_id": IDS.astype(np.int16), "array_element": NAMES, "tel_type": KINDS})
    offsets["offset"] = np.where(jumped, np.nan, OFFSET)
    for name, error in (("stat", OFFSET_STAT), ("sys", OFFSET_SYS)):
        offsets[f"{name}_error"] = np.where(jumped, np.nan, error)
        offsets[f"{name}_covariance"] = error**2 * np.eye(len(IDS))
    offsets["is_valid"], offsets["reason"] = ~jumped, np.where(jumped, reason, "")
    rows = []
    for k in range(n_blocks):
        change = 0.1 * (-1) ** (k + IDS) + np.where(jumped, by * (k == n_blocks - 1), 0.0)
        block = Table({"obs_id": np.full(len(IDS), k + 1), "tel_id": IDS.astype(np.int16)})
        block["offset"] = OFFSET + change
        block["stat_error"], block["sys_error"] = 0.02, 0.2
        block["time_start"] = np.full(len(IDS), BLOCK_STARTS[k % 2])
        rows.append(block)
    blocks = Table(np.concatenate([np.asarray(rows[k]) for k in range(n_blocks)]))
    seconds = np.asarray(blocks["time_start"])
    blocks["time_start"] = Time(seconds, format="unix_tai", scale="tai")
    invalid = {NAMES[jumps - 1]: reason} if jumps else {}
    details = {"n_valid": int(np.sum(~jumped)), "n_telescopes": 13, "n_events": 1000}
    details |= {"gauge": "mean of the valid telescopes", "observations": [*range(1, n_blocks + 1)]}
    details |= {"chi2": 2010.0, "ndf": 2000, "not_valid": invalid, "left_out": {}}
    details |= {"max_stat_error_in_ns": OFFSET_STAT, "max_sys_error_in_ns": OFFSET_SYS}
    for table in (offsets, blocks):
        for name in {"offset", "stat_error", "sys_error"} & set(table.colnames):
            table[name].unit = "ns"
    offsets["stat_covariance"].unit = offsets["sys_covariance"].unit = "ns2"
    tables = {OFFSETS: offsets, BLOCKS: blocks, RESIDUALS: residuals()}
    _write(night, "timing", tables, **details | {"not_converged": []} | more)


def residuals():
    """LSTs 0.05 ns late near the axis and 0.05 ns early far from it, MSTs at 0; rms 1 ns.

    Nothing beyond 500 m; the last telescope was seen 10 times in each bin.
    """
    n_bins = len(IMPACT_EDGES) - 1
    n = np.full((len(IDS), n_bins), 400)
    n[:, -1], n[-1, :-1] = 0, 10
    mean = np.zeros(n.shape)
    mean[:4, :3], mean[:4, 3:] = 0.05, -0.05
    known = np.where(n >= 20, n, np.nan)
    table = Table(
        {
            "tel_id": np.repeat(IDS.astype(np.int16), n_bins),
            "impact_low": np.tile(IMPACT_EDGES[:-1], len(IDS)),
            "impact_high": np.tile(IMPACT_EDGES[1:], len(IDS)),
            "n": n.ravel(),
            "total": (n * mean).ravel(),
            "square": (n * (1 + mean**2)).ravel(),
            "mean": np.where(n > 0, mean, np.nan).ravel(),
            "error": (1 / np.sqrt(known - 1)).ravel(),
        }
    )
    units = {"impact_low": "m", "impact_high": "m", "square": "ns2"}
    units |= dict.fromkeys(("total", "mean", "error"), "ns")
    for name, unit in units.items():
        table[name].unit = unit
    return table


def add_array(night):
    """All products of a good night: one block, its images and energies, and what follows."""
    for quantity in ("energy", "image"):
        add_asymmetries(night, quantity)
    add_inter(night)
    add_cross(night, has_muons=True)
    add_timing(night)
    return night
