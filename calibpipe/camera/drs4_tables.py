"""Tables of the DRS4 corrections of a camera."""

import astropy.units as u
import numpy as np
from astropy.table import QTable, Table

from .drs4_run import CapacitorReason, Drs4Run
from .drs4_time_lapse import TimeLapse
from .drs4_timing import SamplingTimes

__all__ = [
    "baselines_of_table",
    "capacitors_table",
    "law_of_table",
    "law_table",
    "pixels_table",
    "points_table",
    "remarks",
    "sampling_of_table",
    "sampling_table",
]

_CORRECTED = 3.0  # errors: less spread than this between capacitors is none
_WINDOW_ERROR = 0.01  # ns; simulated LST pulses, 12 samples: 0.007 rms (high), 0.001 (low gain)


def capacitors_table(found: Drs4Run) -> Table:
    """A row for each pixel and gain, high gain first; numbers of its capacitors."""
    n_channels, n_pixels, n_capacitors = found.baseline.shape
    channel, pixel = (part.ravel() for part in np.indices((n_channels, n_pixels)))
    shape = channel.size, n_capacitors
    return Table(
        {
            "channel": channel.astype(np.int8),
            "pixel_id": pixel.astype(np.int32),
            "baseline": found.baseline.reshape(shape),
            "stat_error": found.stat_error.reshape(shape),
            "n_entries": found.n_entries.reshape(shape).astype(np.int32),
            "status": found.capacitor_status.reshape(shape),
        }
    )


def baselines_of_table(table: Table) -> np.ndarray:
    """Baselines, (n_channels, n_pixels, n_capacitors), of a table of `capacitors_table`."""
    n_channels = int(np.max(table["channel"])) + 1
    baseline = np.asarray(table["baseline"], np.float32)
    return baseline.reshape(n_channels, -1, baseline.shape[-1])


def pixels_table(found: Drs4Run) -> QTable:
    """One row, numbers of (channel, pixel).

    ``baseline`` and ``spread`` are mean and standard deviation of the capacitors, the second
    without its statistical error.
    """
    known = np.isfinite(found.baseline)
    n = np.maximum(known.sum(axis=-1), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(known, found.baseline, 0.0).sum(axis=-1) / n
        away = np.where(known, found.baseline - mean[..., np.newaxis], 0.0)
        variance = (away**2).sum(axis=-1) / n
        error = np.where(known, found.stat_error, 0.0)
        square = (error**2).sum(axis=-1) / n
    there = known.any(axis=-1)
    noisy = (found.capacitor_status & CapacitorReason.NOISY.value) != 0

    def adc(values: np.ndarray) -> u.Quantity:
        return np.where(there, values, np.nan)[np.newaxis].astype(np.float32) * u.adu

    return QTable(
        {
            "baseline": adc(mean),
            "spread": adc(np.sqrt(np.maximum(variance - square, 0.0))),
            "stat_error": adc(np.sqrt(square)),
            "sys_error": adc(found.sys_error),
            "noise": adc(found.noise),
            "known_fraction": known.mean(axis=-1)[np.newaxis].astype(np.float32),
            "noisy_fraction": noisy.mean(axis=-1)[np.newaxis].astype(np.float32),
            "status": found.status[np.newaxis],
        }
    )


def law_table(found: Drs4Run) -> Table:
    """One row: the law with its errors; the systematic one is the scatter beyond chance, ADC."""
    law = found.law
    covariance = np.zeros((3, 3)) if law.covariance is None else law.covariance
    return Table(
        {
            "amplitude": [law.amplitude],
            "exponent": [law.exponent],
            "offset": [law.offset],
            "covariance": covariance[np.newaxis],
            "max_time": [law.max_time],
            "sys_error": [_law_sys_error(found)],
            "chi2": [law.chi2],
            "n_degrees": [law.n_degrees],
        }
    )


def _law_sys_error(found: Drs4Run) -> float:
    """Root mean square of what is left of the points, beyond their errors."""
    if not found.time.size:
        return float("nan")
    left = found.excess - found.law(found.time)
    square = left**2 - found.excess_error**2
    return float(np.sqrt(max(np.nanmean(square), 0.0)))


def law_of_table(table: Table) -> TimeLapse:
    """Law of a table of `law_table`."""
    row = table[0]
    return TimeLapse(
        *(float(row[name]) for name in ("amplitude", "exponent", "offset")),
        np.asarray(row["covariance"], float),
        *(float(row[name]) for name in ("max_time", "chi2")),
        int(row["n_degrees"]),
    )


def points_table(found: Drs4Run) -> Table:
    """A row for each bin of time and gain with enough readings."""
    known = np.isfinite(found.excess)
    channel, _ = np.nonzero(known)
    return Table(
        {
            "channel": channel.astype(np.int8),
            "time": found.time[known] * u.ms,
            "excess": found.excess[known] * u.adu,
            "error": found.excess_error[known] * u.adu,
            "n_readings": found.n_readings[known].astype(np.int64),
        }
    )


def sampling_table(times: SamplingTimes) -> QTable:
    """One row, numbers of (harmonic, channel, pixel) or (channel, pixel), ns.

    The systematic error of a coefficient is what the bins scatter beyond chance, and that of a
    window which follows the pulse in whole samples.
    """
    n_degrees = 1024 // 8 - 2 * len(times.cosine) - 1
    beyond = np.sqrt(np.maximum(times.chi2 / n_degrees - 1, 0.0))

    def ns(values: np.ndarray) -> u.Quantity:
        return values[np.newaxis].astype(np.float32) * u.ns

    return QTable(
        {
            "cosine": ns(times.cosine),
            "sine": ns(times.sine),
            "stat_error": ns(times.error),
            "sys_error": ns(np.hypot(times.error * beyond, _WINDOW_ERROR)),
            "chi2": times.chi2[np.newaxis].astype(np.float32),
            "n_degrees": [n_degrees],
            "n_pulses": times.n_events[np.newaxis].astype(np.int32),
        }
    )


def sampling_of_table(table: Table) -> SamplingTimes:
    """Sampling times of a table of `sampling_table`."""
    row = table[0]
    names = ("cosine", "sine", "stat_error", "chi2", "n_pulses")
    return SamplingTimes(*(np.asarray(getattr(row[n], "value", row[n])) for n in names))


def remarks(found: Drs4Run) -> list[str]:
    """What is not as it should be: data without differences, other events in the run."""
    told = []
    good = (found.status == 0)[..., np.newaxis] & np.isfinite(found.baseline)
    if good.any():
        mean = np.where(good, found.baseline, 0).sum(-1) / np.maximum(good.sum(-1), 1)
        away = np.where(good, found.baseline - mean[..., np.newaxis], 0)
        error = np.where(good, found.stat_error, 0)
        if (away**2).sum() < _CORRECTED * (error**2).sum():
            told.append(
                "capacitors do not differ by more than their errors: the data are corrected "
                "already, or have too few events"
            )
    others = found.report.n_events - found.report.n_selected - found.report.n_duplicated
    if others:
        told.append(
            f"{others} events of other types have read capacitors, too: times since the last "
            "reading are too long"
        )
    return told
