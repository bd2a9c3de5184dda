"""Tables of a filter scan: photon transfer of pixels, linearity by point, ratio of gains."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from astropy.table import Table

from ..core.exceptions import ConfigurationError, MissingInputError
from .gain_ratio import GainRatio
from .light_levels import LightLevels
from .light_scan import LightScan
from .linearity import Linearity, monotone_knots
from .photon_transfer import PhotonTransfer

__all__ = [
    "SCAN_COLUMNS",
    "SPE_COLUMNS",
    "SinglePhotoelectrons",
    "gain_ratio_table",
    "nominal_light",
    "points_table",
    "scan_rows",
    "spe_of_table",
    "transfer_table",
]

SCAN_COLUMNS = ("obs_id", "run_type", "transmission", "transmission_error")
_SPE = ("gain", "squared_excess_noise_factor")
_ERRORS = ("stat_error", "sys_error")
SPE_COLUMNS = (
    *("channel", "pixel_id", "outlier_mask", *_SPE),
    *(f"{name}_{error}" for name in _SPE for error in _ERRORS),
)
_OF_POINTS = {"is_used"}


@dataclass(frozen=True)
class SinglePhotoelectrons:
    """Of high gain, arrays (n_pixels,); the camera median of F² where a pixel has none.

    Parameters
    ----------
    gain, gain_error : ndarray, ADC per p.e.
        NaN where there is none; statistical and systematic error.
    squared_excess_noise_factor, squared_excess_noise_factor_error : ndarray
        F² of a pixel with both errors.
    """

    gain: np.ndarray
    gain_error: np.ndarray
    squared_excess_noise_factor: np.ndarray
    squared_excess_noise_factor_error: np.ndarray


def spe_of_table(table: Table, n_pixels: int) -> SinglePhotoelectrons:
    """Single photoelectrons of a table with one row for each channel and pixel (`SPE_COLUMNS`).

    Raises
    ------
    ConfigurationError
        If a column is missing, the camera is another one, or no pixel is usable.
    """
    missing = [name for name in SPE_COLUMNS if name not in table.colnames]
    if missing:
        raise ConfigurationError(f"single photoelectrons have no {', '.join(missing)}")
    high = table[np.asarray(table["channel"]) == 0]
    if len(high) != n_pixels:
        raise ConfigurationError(
            f"single photoelectrons are of {len(high)} pixels, the camera has {n_pixels}"
        )
    high = high[np.argsort(np.asarray(high["pixel_id"]))]
    bad = np.asarray(high["outlier_mask"], bool)
    found = []
    for name in _SPE:
        value = np.where(bad, np.nan, np.asarray(high[name], float))
        errors = (np.asarray(high[f"{name}_{error}"], float) for error in _ERRORS)
        found += [value, np.where(bad, np.nan, np.hypot(*errors))]
    if not np.isfinite(found[2]).any():
        raise ConfigurationError("no pixel has single photoelectrons; leave the product out")
    spread = np.nanstd(found[2])
    # ASSUME: a pixel without its own has that of the camera, to the spread between pixels.
    found[3] = np.where(np.isnan(found[2]), np.hypot(np.nanmedian(found[3]), spread), found[3])
    found[2] = np.where(np.isnan(found[2]), np.nanmedian(found[2]), found[2])
    return SinglePhotoelectrons(*found)


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


def transfer_table(
    found: PhotonTransfer,
    bent: Linearity,
    squared_excess_noise_factor: float | np.ndarray,
    spe: SinglePhotoelectrons | None = None,
) -> Table:
    """One row with (n_channels, n_pixels) numbers of the pixels.

    ``squared_excess_noise_factor``: F² that the gain was found with. ``relative_to_spe``: gain over
    that of single photoelectrons, of high gain, with its error; NaN without them.
    """
    columns = {f.name: getattr(found, f.name) for f in fields(found) if f.name not in _OF_POINTS}
    columns |= {name: getattr(bent, name) for name in ("range_low", "range_high", "saturation")}
    columns["squared_excess_noise_factor"] = np.broadcast_to(
        squared_excess_noise_factor, found.gain.shape
    )
    ratio, error = np.full((2, *found.gain.shape), np.nan)
    if spe is not None:
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio[0] = found.gain[0] / spe.gain
            gain = np.hypot(found.gain_stat_error[0], found.gain_sys_error[0]) / found.gain[0]
            error[0] = ratio[0] * np.hypot(gain, spe.gain_error / spe.gain)
    columns |= {"relative_to_spe": ratio, "relative_to_spe_error": error}
    return Table({name: _stored(values)[np.newaxis] for name, values in columns.items()})


def points_table(
    obs_ids: Sequence[int] | np.ndarray,
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
        "variance_error": _variance_error(scan),
        "residual": bent.residual,
        "residual_stat_error": bent.residual_stat_error,
        "knot_measured": measured,
        "knot_linear": linear,
        "is_used_in_transfer": found.is_used,
        "is_used_in_light": levels.is_used,
    }
    return Table(light | {name: _stored(values) for name, values in pixels.items()})


def _variance_error(scan: LightScan) -> np.ndarray:
    """Statistical error of the variance of the light alone, ADC²."""
    variances = (
        kurtosis * variance**2 / np.maximum(n_events, 1)
        for kurtosis, variance, n_events in (
            (scan.kurtosis, scan.total_variance, scan.n_events),
            (scan.pedestal_kurtosis, scan.pedestal_variance, scan.pedestal_n_events),
        )
    )
    return np.sqrt(sum(variances))


def gain_ratio_table(found: GainRatio) -> Table:
    """One row with (n_pixels,) numbers."""
    columns = {f.name: getattr(found, f.name) for f in fields(found)}
    return Table({name: _stored(values)[np.newaxis] for name, values in columns.items()})


def _stored(values: np.ndarray) -> np.ndarray:
    """Numbers as float32 and int32: rounded to 6e-8, their errors are 1e-4 and more."""
    kind = {"f": np.float32, "i": np.int32}.get(values.dtype.kind)
    return values if kind is None else values.astype(kind)
