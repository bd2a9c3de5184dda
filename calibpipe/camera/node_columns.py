"""What follows from the three chunks of one node, in one compiled pass over the camera.

The formulas are those of `ffactor`, `outliers`, `timing` and `medians`; here they are put together.
"""

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from .ffactor import photon_statistics_of_channel
from .medians import good_median, good_median_error, masked_median
from .nodes import Chunk
from .outliers import Limits, flag_flatfields, flag_n_pe, flag_peak_times, flag_pedestals
from .timing import shifts_of_channel

__all__ = [
    "Measured",
    "NodeColumns",
    "Noise",
    "calculate_node",
    "common_quadratic_noise",
    "measured_chunk",
]


class NodeColumns(NamedTuple):
    """Columns of `CameraCoefficients` (there with units), (n_channels, n_pixels)."""

    factor: np.ndarray
    factor_stat_error: np.ndarray
    factor_sys_error: np.ndarray
    pedestal_offset: np.ndarray
    pedestal_offset_stat_error: np.ndarray
    time_shift: np.ndarray
    time_shift_stat_error: np.ndarray
    outlier_mask: np.ndarray
    reasons: np.ndarray
    gain: np.ndarray
    gain_stat_error: np.ndarray
    gain_sys_error: np.ndarray
    n_pe: np.ndarray
    n_pe_stat_error: np.ndarray
    n_pe_sys_error: np.ndarray


class MeasuredChunk(NamedTuple):
    """Statistics of a chunk in float64, whatever its file has."""

    n_events: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    common_variance: np.ndarray


class Measured(NamedTuple):
    """The chunks of a node."""

    pedestal: MeasuredChunk
    flatfield: MeasuredChunk
    peak_time: MeasuredChunk


class Noise(NamedTuple):
    """F², B² and their errors, (n_channels, n_pixels)."""

    F2: np.ndarray
    F2_error: np.ndarray
    B2: np.ndarray
    B2_error: np.ndarray


def measured_chunk(chunk: Chunk) -> MeasuredChunk:
    """Statistics of a chunk for `calculate_node`."""
    return MeasuredChunk(
        *(np.array(getattr(chunk, name), float, order="C") for name in MeasuredChunk._fields)
    )


def common_quadratic_noise(pedestal: Chunk, flatfield: Chunk) -> np.ndarray:
    """B² of what all pixels of flat fields have in common: the jitter of the light source.

    Variance of the common charge, less that of pedestals, over the squared median signal
    (nectarchain takes the variance of the mean charge of the camera instead, which has the noise
    of the pixels in it). Noise that grows with the charge pixel by pixel is not seen.

    Returns
    -------
    array, (..., n_channels, 1)
        May be slightly negative; 0 where it is not known.
    """
    signal = np.asarray(flatfield.mean) - pedestal.mean
    median = masked_median(signal, np.isfinite(signal))[..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.asarray(flatfield.common_variance) - pedestal.common_variance
        return np.nan_to_num(variance / median**2, posinf=0.0, neginf=0.0)[..., np.newaxis]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def calculate_node(
    row: NodeColumns,
    measured: tuple[MeasuredChunk, MeasuredChunk, MeasuredChunk],
    noise: Noise,
    baseline: NDArray,
    width: float,
    limits: Limits,
    is_measured: NDArray,
) -> int:
    """Fill a row of `NodeColumns` from the chunks of a node.

    Bad pixels (any reason in a measured channel) are masked in both channels, with factor 0 and
    finite numbers; the rest is NaN where it does not follow. Returns the number of bad pixels.
    """
    n_bad = 0
    for channel in range(len(baseline)):
        _calculate_channel(row, measured, noise, baseline, width, limits, channel)
    for i in range(baseline.shape[1]):
        bad = False
        for channel in range(len(baseline)):
            bad |= is_measured[channel] & (row.reasons[channel, i] != 0)
        n_bad += bad
        for channel in range(len(baseline)):
            row.outlier_mask[channel, i] = bad
            for values, zero in (
                (row.factor, bad),
                (row.time_shift, bad),
                (row.pedestal_offset, False),
            ):
                if zero or not np.isfinite(values[channel, i]):
                    values[channel, i] = 0.0
    return n_bad


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _calculate_channel(
    row: NodeColumns,
    measured: tuple[MeasuredChunk, MeasuredChunk, MeasuredChunk],
    noise: Noise,
    baseline: NDArray,
    width: float,
    limits: Limits,
    c: int,
) -> None:
    ped, flat, peak = measured
    N, N_ped = flat.n_events[c], ped.n_events[c]
    n_pixels = baseline.shape[1]
    found = np.empty((8, n_pixels))
    S, S_error, gain, gain_error, gain_sys, n, n_error, n_sys = found
    photon_statistics_of_channel(
        *(found, flat.mean[c], flat.std[c], N, ped.mean[c], ped.std[c], N_ped),
        *(noise.F2[c], noise.F2_error[c], noise.B2[c], noise.B2_error[c]),
    )
    for i in range(n_pixels):
        row.gain[c, i] = gain[i]
        row.gain_stat_error[c, i] = gain_error[i]
        row.gain_sys_error[c, i] = gain_sys[i]
        row.n_pe[c, i] = n[i]
        row.n_pe_stat_error[c, i] = n_error[i]
        row.n_pe_sys_error[c, i] = n_sys[i]
    offset = baseline[c] + ped.mean[c] / width
    for i in range(n_pixels):
        row.pedestal_offset[c, i] = offset[i]
        row.pedestal_offset_stat_error[c, i] = ped.std[c, i] / np.sqrt(N_ped[i] - 1.0) / width
    reasons = row.reasons[c]
    reasons[:] = 0
    flag_pedestals(reasons, offset, ped.std[c], N_ped, limits)
    flag_flatfields(reasons, flat.mean[c] - ped.mean[c], flat.std[c], N, limits)
    flag_peak_times(reasons, peak.mean[c], limits)
    median, kept_all = flag_n_pe(reasons, n, N, reasons, c, limits)
    good = reasons == 0
    if not kept_all:
        median = good_median(n, good)
    of_median = good_median_error(n, n_error, good) / median
    for i in range(n_pixels):
        factor = median / S[i] if good[i] else 0.0
        stat = factor * S_error[i] / S[i]
        row.factor[c, i] = factor
        row.factor_stat_error[c, i] = np.sqrt(stat**2 + (factor * of_median) ** 2)
        row.factor_sys_error[c, i] = factor * n_sys[i] / n[i]
    shifts_of_channel(
        *(row.time_shift[c], row.time_shift_stat_error[c]),
        *(peak.mean[c], peak.std[c], peak.n_events[c], peak.common_variance[c], good),
    )
