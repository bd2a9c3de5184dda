"""Camera calibration coefficients as ctapipe applies them, from chunks of pixel statistics.

Pedestals, flat-field charges and peak times come in chunks that need not coincide. The
coefficients change (a *node*) whenever one of the three changes its valid chunk; every node uses
the chunks that cover it. Chunk k serves the half-open interval from its first event to that of
chunk k+1, or, before a gap, to its own last event.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from enum import IntFlag
from typing import Protocol

import numpy as np
from astropy.table import Table
from astropy.time import Time

from ..core.exceptions import ConfigurationError, InsufficientStatisticsError
from .ffactor import (
    MIN_PEDESTAL_EVENTS,
    flatfield_factor,
    masked_median,
    masked_median_error,
    photon_statistics,
)
from .outliers import (
    OutlierCriteria,
    chunk_verdict,
    flatfield_reasons,
    n_pe_reasons,
    peak_time_reasons,
    pedestal_reasons,
)
from .timing import time_shift, time_shift_error

__all__ = [
    "CameraCoefficients",
    "Chunk",
    "CoefficientSettings",
    "InvalidReason",
    "camera_coefficients",
    "coefficient_nodes",
    "coefficients_table",
    "common_quadratic_noise",
    "fill_missing_channel",
]

NODES_AT_ONCE = 8  # about 0.2 MB for each quantity of an LST: they stay in the cache
SERIES = ("pedestal", "flat-field charge", "flat-field peak time")


class Chunk(Protocol):
    """What is needed of the statistics of one chunk; times in TAI seconds since 1970."""

    time_start: float
    time_end: float
    n_events: np.ndarray  # (n_channels, n_pixels)
    mean: np.ndarray
    std: np.ndarray
    common_variance: np.ndarray  # (n_channels,), of what all pixels share, or NaN


class InvalidReason(IntFlag):
    """Why a row is invalid. The numbers are stored in products: never reuse one."""

    BAD_PIXELS = 1  # more bad pixels than allowed
    NO_PEDESTAL = 2  # no chunk covers the time
    NO_FLATFIELD = 4
    NO_PEAK_TIME = 8
    TOO_FEW_EVENTS = 16  # too few pedestal events in every pixel


@dataclass(frozen=True)
class CoefficientSettings:
    """Parameters of the method.

    Parameters
    ----------
    window_width : int
        Samples of the integration window of pedestals and flat fields.
    squared_excess_noise_factor, squared_excess_noise_factor_error : float or array
        F² and its systematic error, broadcastable to (n_channels, n_pixels).
    squared_quadratic_noise : float or array or None
        B² of a filter scan; None: what the pixels of the flat fields have in common, chunk by
        chunk (`common_quadratic_noise`).
    squared_quadratic_noise_error : float or array
        Its error.
    criteria : OutlierCriteria
    max_gap : float
        s between the end of a chunk and the next start that are no gap.
    fill_missing_channel : bool
        Whether the channel that gain-selected data lack may be taken from the other.
    where : str
        Telescope and observation, for messages.
    """

    window_width: int = 12
    squared_excess_noise_factor: float | np.ndarray = 1.222
    squared_excess_noise_factor_error: float | np.ndarray = 0.0
    squared_quadratic_noise: float | np.ndarray | None = 0.0
    squared_quadratic_noise_error: float | np.ndarray = 0.0
    criteria: OutlierCriteria = field(default_factory=OutlierCriteria)
    max_gap: float = 1.0
    fill_missing_channel: bool = False
    where: str = "this telescope"


@dataclass(frozen=True)
class CameraCoefficients:
    """Coefficients of one camera; (n_rows, n_channels, n_pixels) float32 unless said otherwise.

    ctapipe's image is extract(waveform - pedestal_offset) x factor, its peak time is reduced by
    time_shift. A row with ``is_valid=False`` repeats the last valid one, because ctapipe applies
    whatever row it finds.
    """

    time: np.ndarray  # (n_rows,) float64, TAI seconds since 1970, ascending
    time_end: np.ndarray  # (n_rows,), of the next row, or of the last chunk
    factor: np.ndarray  # flat-fielded p.e. per ADC, 0 where masked
    factor_stat_error: np.ndarray
    factor_sys_error: np.ndarray
    pedestal_offset: np.ndarray  # ADC per sample
    pedestal_offset_stat_error: np.ndarray
    time_shift: np.ndarray  # ns
    time_shift_stat_error: np.ndarray
    outlier_mask: np.ndarray  # bool, the same in both channels
    extrapolated_channel_mask: np.ndarray  # bool, taken from the other channel
    reasons: np.ndarray  # uint16, bits of PixelReason, per channel
    gain: np.ndarray  # ADC per p.e., NaN where there is none
    gain_stat_error: np.ndarray
    gain_sys_error: np.ndarray
    n_pe: np.ndarray  # p.e., NaN where there is none
    n_pe_stat_error: np.ndarray
    n_pe_sys_error: np.ndarray
    is_valid: np.ndarray  # (n_rows,) bool
    invalid_reason: np.ndarray  # (n_rows,) uint8, bits of InvalidReason
    remarks: tuple[str, ...]  # (n_rows,), empty for a valid row

    def columns(self) -> dict[str, np.ndarray]:
        """All arrays by name, the rows along the first axis."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "remarks"}


def _serving(
    chunks: Sequence[Chunk], starts: np.ndarray, ends: np.ndarray, time: float
) -> Chunk | None:
    """Chunk with the latest start <= time that still serves it; the first one serves before."""
    k = max(int(np.searchsorted(starts, time, side="right")) - 1, 0)
    return chunks[k] if time < ends[k] else None


def _ends_of_service(chunks: Sequence[Chunk], max_gap: float, last: float) -> np.ndarray:
    """End of the half-open interval that each chunk serves; `last` is the end of all data."""
    starts = np.array([c.time_start for c in chunks])
    own = np.array([c.time_end for c in chunks])
    following = np.append(starts[1:], last)
    allowed = np.full(len(chunks), max_gap)
    # ASSUME: the events after the last chunk are the rest of a run, too few for one more chunk
    allowed[-1] = max(max_gap, own[-1] - starts[-1])
    ends = np.where(following - own > allowed, own, following)
    ends[-1] = np.inf if ends[-1] == last else ends[-1]
    return ends


def _sorted(chunks: Sequence[Chunk], name: str, where: str) -> list[Chunk]:
    if not chunks:
        raise InsufficientStatisticsError(
            f"no {name} chunk of {where}: calibration needs pedestals and flat fields; "
            "look at the event types of the DL0 files"
        )
    return sorted(chunks, key=lambda c: c.time_start)


def coefficient_nodes(
    pedestals: Sequence[Chunk],
    flatfields: Sequence[Chunk],
    peak_times: Sequence[Chunk],
    *,
    max_gap: float = 1.0,
    where: str = "this telescope",
) -> list[tuple[float, tuple[Chunk | None, Chunk | None, Chunk | None]]]:
    """Times at which a chunk becomes valid or ends before a gap, and the chunks that then serve.

    Parameters
    ----------
    pedestals, flatfields, peak_times : sequence of Chunk
        In any order; overlapping chunks of a kind are allowed, the later start wins.
    max_gap : float, s
        A longer break between chunks of a kind is a gap: no chunk serves it. The first chunk of
        a kind also serves up to `max_gap` before its start, where the others have begun; the last
        one as long again as it lasted, where the others go on.

    Returns
    -------
    list of (time, (pedestal, flat field, peak time))
        Ascending. None in a gap. Times before all three kinds have begun are left out.

    Raises
    ------
    InsufficientStatisticsError
        If there is no chunk of a kind.
    """
    series = [
        _sorted(chunks, name, where)
        for chunks, name in zip((pedestals, flatfields, peak_times), SERIES, strict=True)
    ]
    starts = [np.array([c.time_start for c in chunks]) for chunks in series]
    last = max(c.time_end for chunks in series for c in chunks)
    ends = [_ends_of_service(chunks, max_gap, last) for chunks in series]
    begins = [start[0] for start in starts]
    begin = min(b for b in begins if max(begins) - b <= max_gap)
    times = np.unique(np.concatenate([*starts, *(end[np.isfinite(end)] for end in ends)]))
    together = list(zip(series, starts, ends, strict=True))
    return [
        (float(time), tuple(_serving(*kind, time) for kind in together))
        for time in times[times >= begin]
    ]


def camera_coefficients(
    pedestals: Sequence[Chunk],
    flatfields: Sequence[Chunk],
    peak_times: Sequence[Chunk],
    settings: CoefficientSettings,
    *,
    baseline: float | np.ndarray = 0.0,
) -> CameraCoefficients:
    """Coefficients of a camera from chunks of pedestal charge, flat-field charge and peak time.

    signal, gain, n_pe by the F-factor method (`photon_statistics`),
    factor = median(n_pe)/signal, pedestal_offset = baseline + mean_ped/window_width,
    time_shift = t - median(t).

    Bad pixels (any reason in a measured channel) are masked in both channels, with factor 0 and
    finite numbers, as ctapipe looks at the mask of one channel only and passes NaN on. A node is
    invalid that no chunk covers or that has too many bad pixels: its row repeats the numbers of
    the last valid one and says so; before the first valid one it is left out, and ctapipe refuses
    events there.

    Parameters
    ----------
    pedestals, flatfields, peak_times : sequence of Chunk
        Charges in ADC integrated over ``settings.window_width`` samples, peak times in ns.
        A channel without any event (``n_events`` 0) was not recorded.
    settings : CoefficientSettings
    baseline : float or array, (n_channels, n_pixels), ADC per sample
        What was subtracted from *both* pedestal and flat-field waveforms before extraction.

    Raises
    ------
    InsufficientStatisticsError
        If there is no chunk of a kind, or not a single valid row.
    ConfigurationError
        If a channel is missing and may not be filled.
    """
    nodes = coefficient_nodes(
        pedestals, flatfields, peak_times, max_gap=settings.max_gap, where=settings.where
    )
    measured = _measured_channels(pedestals, flatfields, settings)
    verdicts = [_completeness(chunks) for _, chunks in nodes]
    complete = [k for k, (why, _) in enumerate(verdicts) if not why]
    table: dict[str, np.ndarray] = {}
    for first in range(0, len(complete), NODES_AT_ONCE):
        rows = complete[first : first + NODES_AT_ONCE]
        columns = _measured_columns(*_stacked([nodes[k][1] for k in rows]), settings, baseline)
        for k, reasons in zip(rows, columns["reasons"], strict=True):
            is_valid, text = chunk_verdict(reasons[measured], settings.criteria)
            verdicts[k] = InvalidReason(0) if is_valid else InvalidReason.BAD_PIXELS, text
        columns = fill_missing_channel(_masked(columns, measured), measured)
        for name, values in columns.items():
            if name not in table:
                table[name] = np.empty((len(nodes), *values.shape[1:]), values.dtype)
            table[name][rows] = values
    is_valid = np.array([not why for why, _ in verdicts])
    if not is_valid.any():
        raise InsufficientStatisticsError(
            f"no valid coefficients of {settings.where} in {len(nodes)} nodes; the first: "
            f"{verdicts[0][1]}. Look at the flat-field source, or change the outlier criteria"
        )
    begin = int(np.argmax(is_valid))
    if not is_valid[begin:].all():  # an invalid row repeats the last valid one
        last = np.maximum.accumulate(np.where(is_valid, np.arange(len(nodes)), 0))
        table = {name: values[last] for name, values in table.items()}
    times = np.array([time for time, _ in nodes[begin:]])
    ends = [c.time_end for c in (*pedestals, *flatfields, *peak_times)]
    return CameraCoefficients(
        time=times,
        time_end=np.append(times[1:], max(*ends, times[-1])),
        **{name: values[begin:] for name, values in table.items()},
        is_valid=is_valid[begin:],
        invalid_reason=np.array([why for why, _ in verdicts[begin:]], dtype=np.uint8),
        remarks=tuple(text for _, text in verdicts[begin:]),
    )


def _measured_channels(
    pedestals: Sequence[Chunk], flatfields: Sequence[Chunk], settings: CoefficientSettings
) -> np.ndarray:
    """Whether each channel has events, of both kinds, in any chunk."""
    with_events = [
        np.any([np.any(np.asarray(c.n_events) > 0, axis=-1) for c in chunks], axis=0)
        for chunks in (pedestals, flatfields)
    ]
    measured = with_events[0] & with_events[1]
    if not measured.any():
        raise InsufficientStatisticsError(
            f"no channel of {settings.where} has both pedestal and flat-field events"
        )
    if not measured.all() and not settings.fill_missing_channel:
        raise ConfigurationError(
            f"channel {int(np.argmin(measured))} of {settings.where} has no calibration events "
            "(gain-selected data); set fill_missing_channel if both channels are calibrated to "
            "the same scale already"
        )
    return measured


def _completeness(chunks: tuple[Chunk | None, ...]) -> tuple[InvalidReason, str]:
    """Why nothing can follow from the chunks of a node (or 0), and that in words."""
    missing = [
        (reason, name)
        for chunk, reason, name in zip(chunks, list(InvalidReason)[1:4], SERIES, strict=True)
        if chunk is None
    ]
    if missing:
        names = " and ".join(name for _, name in missing)
        return sum((r for r, _ in missing), InvalidReason(0)), f"no {names} chunk covers it"
    most = int(np.max(chunks[0].n_events))
    if most < MIN_PEDESTAL_EVENTS:
        text = f"needs at least {MIN_PEDESTAL_EVENTS} pedestal events, got {most}"
        return InvalidReason.TOO_FEW_EVENTS, text
    return InvalidReason(0), ""


@dataclass(frozen=True)
class _Stack:
    """Statistics of a kind in several nodes, (n_nodes, n_channels, n_pixels)."""

    n_events: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    common_variance: np.ndarray  # (n_nodes, n_channels)


def _stacked(nodes: Sequence[tuple[Chunk, ...]]) -> list[_Stack]:
    """Pedestal, flat field and peak time of nodes."""
    return [
        _Stack(*(np.stack([getattr(c, f.name) for c in chunks]) for f in fields(_Stack)))
        for chunks in zip(*nodes, strict=True)
    ]


def common_quadratic_noise(pedestal: Chunk | _Stack, flatfield: Chunk | _Stack) -> np.ndarray:
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


def _measured_columns(
    pedestal: _Stack,
    flatfield: _Stack,
    peak_time: _Stack,
    settings: CoefficientSettings,
    baseline: float | np.ndarray,
) -> dict[str, np.ndarray]:
    """Everything that follows from the chunks of nodes, NaN where it does not."""
    quadratic_noise = settings.squared_quadratic_noise
    if quadratic_noise is None:
        quadratic_noise = common_quadratic_noise(pedestal, flatfield)
    photons = photon_statistics(
        flatfield.mean,
        flatfield.std,
        flatfield.n_events,
        pedestal.mean,
        pedestal.std,
        pedestal.n_events,
        squared_excess_noise_factor=settings.squared_excess_noise_factor,
        squared_excess_noise_factor_error=settings.squared_excess_noise_factor_error,
        squared_quadratic_noise=quadratic_noise,
        squared_quadratic_noise_error=settings.squared_quadratic_noise_error,
        where=settings.where,
    )
    criteria = settings.criteria
    difference = np.asarray(flatfield.mean) - pedestal.mean
    offset = baseline + np.asarray(pedestal.mean) / settings.window_width
    reasons = (
        pedestal_reasons(offset, pedestal.std, pedestal.n_events, criteria)
        | flatfield_reasons(difference, flatfield.std, flatfield.n_events, criteria)
        | peak_time_reasons(peak_time.mean, criteria)
    )
    reasons |= n_pe_reasons(photons.n_pe, flatfield.n_events, reasons, criteria)
    good = reasons == 0
    factor, median = flatfield_factor(photons.n_pe, photons.signal, good)
    with np.errstate(divide="ignore", invalid="ignore"):
        of_median = masked_median_error(photons.n_pe, photons.n_pe_stat_error, good) / median
        stat = factor * photons.signal_stat_error / photons.signal
        sys = factor * photons.n_pe_sys_error / photons.n_pe
        pedestal_error = pedestal.std / np.sqrt(pedestal.n_events - 1.0) / settings.window_width
    return {
        "factor": factor,
        "factor_stat_error": np.hypot(stat, factor * of_median),
        "factor_sys_error": sys,
        "pedestal_offset": offset,
        "pedestal_offset_stat_error": pedestal_error,
        "time_shift": time_shift(peak_time.mean, good),
        "time_shift_stat_error": time_shift_error(
            peak_time.mean, _own_deviation(peak_time), peak_time.n_events, good
        ),
        "reasons": reasons,
        "gain": photons.gain,
        "gain_stat_error": photons.gain_stat_error,
        "gain_sys_error": photons.gain_sys_error,
        "n_pe": photons.n_pe,
        "n_pe_stat_error": photons.n_pe_stat_error,
        "n_pe_sys_error": photons.n_pe_sys_error,
    }


def _own_deviation(chunk: _Stack) -> np.ndarray:
    """Deviation of a pixel from the camera: without the jitter that all pixels share."""
    common = np.nan_to_num(np.asarray(chunk.common_variance, float))[..., np.newaxis]
    return np.sqrt(np.maximum(np.square(chunk.std, dtype=float) - common, 0.0))


def _masked(columns: dict[str, np.ndarray], measured: np.ndarray) -> dict[str, np.ndarray]:
    """Mask of both channels set to their OR; bad pixels with factor 0 and finite numbers."""
    bad = np.any(columns["reasons"][..., measured, :] != 0, axis=-2, keepdims=True)
    mask = np.broadcast_to(bad, columns["reasons"].shape)
    out = {
        name: values if name == "reasons" else np.asarray(values, np.float32)
        for name, values in columns.items()
    }
    for name in ("factor", "time_shift"):
        out[name] = np.where(mask, np.float32(0.0), out[name])
    for name in ("factor", "pedestal_offset", "time_shift"):
        out[name] = np.where(np.isfinite(out[name]), out[name], np.float32(0.0))
    return out | {"outlier_mask": mask}


def fill_missing_channel(
    columns: dict[str, np.ndarray], measured: np.ndarray
) -> dict[str, np.ndarray]:
    """Columns in which a channel that was not recorded is taken from the other, and flagged.

    Everything but the pedestal is copied. The pedestal is 0: gain-selected calibration events
    have passed the calibration on site, which has subtracted it and brought both channels to one
    scale.

    Parameters
    ----------
    columns : dict of array, (..., n_channels, n_pixels)
    measured : bool array, (n_channels,)

    Returns
    -------
    dict of array
        New arrays, with ``extrapolated_channel_mask``.
    """
    # ASSUME: the corrections on top of the on-site calibration are common to both channels.
    out = {name: values.copy() for name, values in columns.items()}
    out["extrapolated_channel_mask"] = np.zeros(out["factor"].shape, dtype=bool)
    source = int(np.argmax(measured))
    for channel in np.flatnonzero(~measured):
        for values in out.values():
            values[..., channel, :] = values[..., source, :]
        out["pedestal_offset"][..., channel, :] = 0.0
        out["pedestal_offset_stat_error"][..., channel, :] = np.nan
        out["extrapolated_channel_mask"][..., channel, :] = True
    return out


def coefficients_table(coefficients: CameraCoefficients) -> Table:
    """Table of the coefficients for `calibpipe.core.monitoring_file`, times in TAI.

    Columns carry no units, because ctapipe multiplies plain arrays with them; the docstring of
    `CameraCoefficients` has the units.
    """
    table = Table(coefficients.columns(), copy=False)
    for name in ("time", "time_end"):
        table[name] = Time(getattr(coefficients, name), format="unix_tai", scale="tai")
    return table
