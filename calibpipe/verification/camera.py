"""Is a calibrated camera calibrated? Coefficients applied to flat fields and pedestals.

To a chunk of the statistics the mean of the coefficients of the chunk before and the one after is
applied, not its own, with which residuals vanish by construction: they show noise, jumps and wrong
bookkeeping of times, while a steady drift drops out.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

__all__ = ["CameraStatistics", "Coefficients", "external_metrics", "internal_metrics"]

INTERNAL = {
    "pedestal_residual",
    "flat_field_residual",
    "time_residual",
    "relative_factor_error",
    "unusable_fraction",
    "invalid_fraction",
    "relative_gain",
    "flat_field_n_pe",
}
EXTERNAL = {"factor_change", "pedestal_change", "time_shift_change", "newly_unusable_fraction"}


@dataclass(frozen=True)
class Coefficients:
    """Coefficients of a camera; rows in time, each holds until the next.

    Parameters
    ----------
    time : array, (n_rows,), s
        Begin of each row, TAI.
    factor, factor_error : array, (n_rows, n_channels, n_pixels)
        Photoelectrons per ADC and its statistical error.
    pedestal_offset : array, (n_rows, n_channels, n_pixels), ADC per sample
    time_shift : array, (n_rows, n_channels, n_pixels), ns
    gain, n_pe : array, (n_rows, n_channels, n_pixels)
    masked : bool array, (n_rows, n_channels, n_pixels)
    is_valid : bool array, (n_rows,)
    """

    time: np.ndarray
    factor: np.ndarray
    factor_error: np.ndarray
    pedestal_offset: np.ndarray
    time_shift: np.ndarray
    gain: np.ndarray
    n_pe: np.ndarray
    masked: np.ndarray
    is_valid: np.ndarray

    @property
    def usable(self) -> np.ndarray:
        """Pixels that are calibrated, (n_rows, n_channels, n_pixels)."""
        return ~self.masked & self.is_valid[:, None, None]


@dataclass(frozen=True)
class CameraStatistics:
    """Chunks of pixel statistics; centre of each in s, TAI.

    Parameters
    ----------
    baseline : array, (n_channels, n_pixels), ADC per sample
        Subtracted before the charges were integrated.
    window_width : int
        Samples that a charge is the sum of.
    pedestal_time, flat_field_time : array, (n_chunks,)
    pedestal, pedestal_std, flat_field, peak_time : array, (n_chunks, n_channels, n_pixels)
        Means of charge (ADC) and peak time (ns).
    """

    baseline: np.ndarray
    window_width: int
    pedestal_time: np.ndarray
    pedestal: np.ndarray
    pedestal_std: np.ndarray
    flat_field_time: np.ndarray
    flat_field: np.ndarray
    peak_time: np.ndarray


def internal_metrics(c: Coefficients, s: CameraStatistics) -> dict[str, np.ndarray]:
    """Numbers of a camera that is consistent with itself.

    Returns
    -------
    dict of str to array, (n_chunks, n_channels * n_pixels) or (n_rows, 1)
        ``pedestal_residual`` (in units of the noise), ``flat_field_residual`` (charge of a pixel
        over the camera's median, minus 1), ``time_residual`` (ns), ``relative_factor_error``,
        ``relative_gain`` (over the camera's median), ``flat_field_n_pe``, ``unusable_fraction``
        and ``invalid_fraction``. NaN for pixels that are masked.
    """
    usable = c.usable
    with np.errstate(divide="ignore", invalid="ignore"):
        chunks, before, after = _around(c.time, s.pedestal_time)
        known = usable[before] & usable[after]
        residual = _signal(c, before, after, s.pedestal[chunks], s) / s.pedestal_std[chunks]
        metrics = {"pedestal_residual": _flat(np.where(known, residual, np.nan))}
        chunks, before, after = _around(c.time, s.flat_field_time)
        known = usable[before] & usable[after]
        signal = _signal(c, before, after, s.flat_field[chunks], s)
        charge = np.where(known, signal * _mean(c.factor, before, after), np.nan)
        metrics["flat_field_residual"] = _flat(charge / _camera_median(charge) - 1.0)
        metrics["relative_factor_error"] = _flat(
            np.where(usable, c.factor_error / c.factor, np.nan)
        )
        gain = np.where(usable, c.gain, np.nan)
        metrics["relative_gain"] = _flat(gain / _camera_median(gain))
    corrected = s.peak_time[chunks] - _mean(c.time_shift, before, after)
    arrival = np.where(known, corrected, np.nan)
    metrics["time_residual"] = _flat(arrival - _camera_median(arrival))
    metrics["flat_field_n_pe"] = _flat(np.where(usable, c.n_pe, np.nan))
    metrics["unusable_fraction"] = c.masked.mean(axis=(1, 2))[:, None]
    metrics["invalid_fraction"] = np.array([[1.0 - c.is_valid.mean()]])
    return metrics


def external_metrics(
    c: Coefficients, certified: Coefficients, noise: np.ndarray, window_width: int
) -> dict[str, np.ndarray]:
    """Change of each pixel against the certified coefficients, means over valid rows.

    Parameters
    ----------
    noise : array, (n_channels, n_pixels), ADC
        Standard deviation of the pedestal charge.
    window_width : int
        Samples that a charge is the sum of.

    Returns
    -------
    dict of str to array, (n_channels, n_pixels) or (1, 1)
        ``factor_change`` (ratio minus 1), ``pedestal_change`` (in units of the noise),
        ``time_shift_change`` (ns), ``newly_unusable_fraction``.
    """
    now, then = _mean_rows(c), _mean_rows(certified)
    with np.errstate(divide="ignore", invalid="ignore"):
        metrics = {
            "factor_change": now["factor"] / then["factor"] - 1.0,
            "pedestal_change": (now["pedestal_offset"] - then["pedestal_offset"])
            * window_width
            / noise,
            "time_shift_change": now["time_shift"] - then["time_shift"],
        }
    lost = np.isnan(now["factor"]) & np.isfinite(then["factor"])
    metrics["newly_unusable_fraction"] = np.array([[lost.mean()]])
    return metrics


def _signal(
    c: Coefficients, before: np.ndarray, after: np.ndarray, charge: np.ndarray, s: CameraStatistics
) -> np.ndarray:
    """Charge without the pedestal that the coefficients take away."""
    offset = _mean(c.pedestal_offset, before, after)
    return charge - (offset - s.baseline) * s.window_width


def _mean(values: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return (values[before].astype(float) + values[after]) / 2


def _around(
    row_time: np.ndarray, chunk_time: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Chunks with the rows that hold at the centre of the chunk before and of the one after.

    Of two chunks each has the other; one chunk has itself.
    """
    number = len(chunk_time)
    chunks = np.arange(number)[1:-1] if number > 2 else np.arange(number)
    rows = np.searchsorted(row_time, chunk_time, side="right") - 1
    rows = np.clip(rows, 0, len(row_time) - 1)
    if number > 2:
        return chunks, rows[:-2], rows[2:]
    return chunks, rows[::-1], rows[::-1]


def _camera_median(values: np.ndarray) -> np.ndarray:
    """Median over the pixels of each chunk and channel, (n_chunks, n_channels, 1)."""
    known = np.isfinite(values).any(axis=-1)
    median = np.full(known.shape, np.nan)
    median[known] = np.nanmedian(values[known], axis=-1)
    return median[..., None]


def _flat(values: np.ndarray) -> np.ndarray:
    """Channels and pixels as elements of a chunk."""
    return values.reshape(len(values), -1)


def _mean_rows(c: Coefficients) -> Mapping[str, np.ndarray]:
    usable = c.usable
    number = usable.sum(axis=0)
    means = {}
    for name in ("factor", "pedestal_offset", "time_shift"):
        total = np.where(usable, getattr(c, name), 0.0).sum(axis=0, dtype=float)
        means[name] = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    return means
