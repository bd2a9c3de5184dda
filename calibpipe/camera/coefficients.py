"""Camera calibration coefficients as ctapipe applies them, from chunks of pixel statistics.

When they change and from which chunks they follow is in `nodes`, what follows in `node_columns`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from enum import IntFlag

import numpy as np
from astropy.table import Table
from astropy.time import Time

from ..core.exceptions import ConfigurationError, InsufficientStatisticsError
from .ffactor import MIN_PEDESTAL_EVENTS, check_noise
from .node_columns import (
    Measured,
    NodeColumns,
    Noise,
    calculate_node,
    common_quadratic_noise,
    measured_chunk,
)
from .nodes import SERIES, Chunk, coefficient_nodes
from .outliers import OutlierCriteria, chunk_verdict, limits

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
    columns, verdicts = _calculated([chunks for _, chunks in nodes], measured, settings, baseline)
    table = columns._asdict()
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
    table = fill_missing_channel({name: values[begin:] for name, values in table.items()}, measured)
    times = np.array([time for time, _ in nodes[begin:]])
    ends = [c.time_end for c in (*pedestals, *flatfields, *peak_times)]
    return CameraCoefficients(
        time=times,
        time_end=np.append(times[1:], max(*ends, times[-1])),
        **table,
        is_valid=is_valid[begin:],
        invalid_reason=np.array([why for why, _ in verdicts[begin:]], dtype=np.uint8),
        remarks=tuple(text for _, text in verdicts[begin:]),
    )


def _calculated(
    nodes: Sequence[tuple[Chunk | None, ...]],
    measured: np.ndarray,
    settings: CoefficientSettings,
    baseline: float | np.ndarray,
) -> tuple[NodeColumns, list[tuple[InvalidReason, str]]]:
    """Columns of all nodes, and why a node is invalid (or 0), and that in words.

    Rows of nodes that lack a chunk or pedestal events are not filled.
    """
    camera = next(np.shape(chunk.mean) for chunks in nodes for chunk in chunks if chunk)
    columns, noise = _empty_columns(len(nodes), camera), _noise(settings, camera)
    zero = np.array(np.broadcast_to(baseline, camera), float)
    allowed = limits(settings.criteria)
    verdicts = [_completeness(chunks) for chunks in nodes]
    for k, chunks in enumerate(nodes):
        if verdicts[k][0]:
            continue
        if settings.squared_quadratic_noise is None:
            noise.B2[:] = common_quadratic_noise(*chunks[:2])
        row = NodeColumns(*(values[k] for values in columns))
        of_kinds = Measured(*(measured_chunk(chunk) for chunk in chunks))
        n_bad = calculate_node(row, of_kinds, noise, zero, settings.window_width, allowed, measured)
        if n_bad / zero.shape[1] > settings.criteria.max_bad_fraction:
            _, text = chunk_verdict(row.reasons[measured], settings.criteria)
            verdicts[k] = InvalidReason.BAD_PIXELS, text
    return columns, verdicts


def _empty_columns(n_nodes: int, camera: tuple[int, ...]) -> NodeColumns:
    """Columns of all nodes, to be filled."""
    types = {"reasons": np.uint16, "outlier_mask": bool}
    return NodeColumns(
        *(np.empty((n_nodes, *camera), types.get(name, np.float32)) for name in NodeColumns._fields)
    )


def _noise(settings: CoefficientSettings, camera: tuple[int, ...]) -> Noise:
    """Noise parameters of every pixel; B² is 0 where each node has its own."""
    F2 = np.asarray(settings.squared_excess_noise_factor, float)
    F2_error = settings.squared_excess_noise_factor_error
    B2 = settings.squared_quadratic_noise
    B2_error = settings.squared_quadratic_noise_error
    check_noise(F2, F2_error, B2_error)
    values = (F2, F2_error, 0.0 if B2 is None else B2, B2_error)
    return Noise(*(np.array(np.broadcast_to(value, camera), float) for value in values))


def _measured_channels(
    pedestals: Sequence[Chunk], flatfields: Sequence[Chunk], settings: CoefficientSettings
) -> np.ndarray:
    """Whether each channel has events, of both kinds, in any chunk."""
    measured = _with_events(pedestals) & _with_events(flatfields)
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


def _with_events(chunks: Sequence[Chunk]) -> np.ndarray:
    """Whether each channel has events in any chunk."""
    found = np.zeros(len(chunks[0].n_events), bool)
    for chunk in chunks:
        found |= np.any(np.asarray(chunk.n_events) > 0, axis=-1)
        if found.all():
            break
    return found


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
        With ``extrapolated_channel_mask``; new arrays if a channel is filled.
    """
    # ASSUME: the corrections on top of the on-site calibration are common to both channels.
    missing = np.flatnonzero(~measured)
    out = {name: values.copy() if missing.size else values for name, values in columns.items()}
    out["extrapolated_channel_mask"] = np.zeros(out["factor"].shape, dtype=bool)
    source = int(np.argmax(measured))
    for channel in missing:
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
