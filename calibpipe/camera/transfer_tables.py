"""Tables of a filter scan: photon transfer of pixels, linearity by point, ratio of gains."""

from dataclasses import fields

import numpy as np
from astropy.table import Table

from ..core.exceptions import ConfigurationError, MissingInputError
from .gain_ratio import GainRatio
from .light_levels import LightLevels
from .light_scan import LightScan
from .linearity import Linearity, monotone_knots
from .photon_transfer import PhotonTransfer

__all__ = [
    "POINT_COLUMNS",
    "SCAN_COLUMNS",
    "gain_ratio_table",
    "nominal_light",
    "points_table",
    "scan_rows",
    "transfer_table",
]

SCAN_COLUMNS = ("obs_id", "run_type", "transmission", "transmission_error")
POINT_COLUMNS = ("obs_id", "light", "light_error", "nominal", "nominal_error", "pull")
_OF_POINTS = {"is_used"}


def scan_rows(table: Table, obs_ids: list[int], *, allow_missing: bool = False) -> Table:
    """Rows of the table of runs that belong to some observations, in their order.

    Parameters
    ----------
    table : Table
        `SCAN_COLUMNS`, and `monitor` with `monitor_error` if the light was measured.
    obs_ids : list of int
        Of the statistics that are there.
    allow_missing : bool
        Whether a filter position may lack its statistics.

    Raises
    ------
    ConfigurationError
        If a column is missing, a run is twice or not in the table, or is no run of a scan.
    MissingInputError
        If a filter position has no statistics.
    """
    missing = [name for name in SCAN_COLUMNS if name not in table.colnames]
    if missing:
        raise ConfigurationError(
            f"the table of the runs has no column {', '.join(missing)}; it has "
            f"{', '.join(table.colnames)}"
        )
    runs = [int(value) for value in table["obs_id"]]
    kinds = dict(zip(runs, (str(kind) for kind in table["run_type"]), strict=True))
    twice = sorted({n for n in obs_ids if obs_ids.count(n) > 1 or runs.count(n) > 1})
    if twice:
        raise ConfigurationError(f"observations {twice} are there twice; give each once")
    for obs_id in obs_ids:
        if kinds.get(obs_id) != "scan":
            kind = f"a run {kinds[obs_id]!r}" if obs_id in kinds else "not in the table of the runs"
            raise ConfigurationError(
                f"observation {obs_id} is {kind}, needs 'scan'; give the statistics of the scan"
            )
    absent = sorted(n for n, kind in kinds.items() if kind == "scan" and n not in obs_ids)
    if absent and not allow_missing:
        raise MissingInputError(
            f"no statistics of the filter positions of observations {absent}; make them, or set "
            "allow_missing_points to do without"
        )
    return table[[runs.index(n) for n in obs_ids]]


def nominal_light(rows: Table) -> tuple[np.ndarray, np.ndarray, str]:
    """Light of each run, its relative tolerance and where it comes from.

    That of the monitor if all runs have one; of the filters otherwise.

    Raises
    ------
    ConfigurationError
        If a run has neither.
    """
    for name, error in (("monitor", "monitor_error"), ("transmission", "transmission_error")):
        if name in rows.colnames and error in rows.colnames:
            light, tolerance = (np.asarray(rows[n], float) for n in (name, error))
            if (np.isfinite(light) & np.isfinite(tolerance)).all():
                return light, tolerance, name
    bad = [int(row["obs_id"]) for row in rows if not np.isfinite(float(row["transmission"]))]
    raise ConfigurationError(
        f"observations {bad} have no transmission and not all runs have a monitor signal; complete "
        "the table of the runs"
    )


def transfer_table(found: PhotonTransfer, bent: Linearity) -> Table:
    """One row with (n_channels, n_pixels) numbers of the pixels."""
    columns = {f.name: getattr(found, f.name) for f in fields(found) if f.name not in _OF_POINTS}
    columns |= {name: getattr(bent, name) for name in ("range_low", "range_high", "saturation")}
    return Table({name: _stored(values)[np.newaxis] for name, values in columns.items()})


def points_table(
    obs_ids: np.ndarray,
    scan: LightScan,
    found: PhotonTransfer,
    levels: LightLevels,
    bent: Linearity,
) -> Table:
    """One row a point of the scan, the darkest first; light and (n_channels, n_pixels) numbers."""
    measured, linear = monotone_knots(scan, levels, bent)
    light = {
        "obs_id": np.asarray(obs_ids)[scan.order],
        "light": levels.level,
        "light_error": levels.relative_error,
        "nominal": levels.nominal,
        "nominal_error": levels.nominal_error,
        "pull": levels.pull,
    }
    pixels = {
        "signal": scan.signal,
        "signal_error": scan.signal_error,
        "variance": scan.variance,
        "residual": bent.residual,
        "residual_stat_error": bent.residual_stat_error,
        "knot_measured": measured,
        "knot_linear": linear,
        "is_used_in_transfer": found.is_used,
        "is_used_in_light": levels.is_used,
    }
    return Table(light | {name: _stored(values) for name, values in pixels.items()})


def gain_ratio_table(found: GainRatio) -> Table:
    """One row with (n_pixels,) numbers."""
    columns = {f.name: getattr(found, f.name) for f in fields(found)}
    return Table({name: _stored(values)[np.newaxis] for name, values in columns.items()})


def _stored(values: np.ndarray) -> np.ndarray:
    """Numbers as float32 and int32: rounded to 6e-8, their errors are 1e-4 and more."""
    kind = {"f": np.float32, "i": np.int32}.get(values.dtype.kind)
    return values if kind is None else values.astype(kind)
