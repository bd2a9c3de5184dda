"""Variances of the charge of sky pedestals over short times, in one pass over DL0.

As `dl0_statistics`, for pedestals alone: no baseline is needed, a fixed window of a pixel has the
same one in all events. A channel that reaches an end of the scale of the digitiser in some events
of a chunk (bright star) has no variance there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import astropy.units as u
import numpy as np

from ..core.dl0 import StreamReport, read_batches
from ..core.dl0_camera import CameraConfiguration, camera_configuration
from ..core.dl0_events import Dl0Batch, adc_waveform
from ..core.exceptions import ConfigurationError
from .dl0_statistics import BATCH, HIGH_GAIN_STORED, PEDESTALS
from .extraction import fixed_window_sum
from .pixel_statistics import ChunkStatistics, CountChunks, chunk_statistics

__all__ = ["VarianceSettings", "pedestal_variances"]

MAX_SATURATED = 0.01  # of the events of a chunk


@dataclass(frozen=True)
class VarianceSettings:
    """How waveforms become variances.

    Parameters
    ----------
    window_start, window_width : int
        Samples that are integrated.
    pedestal_type : str
        ``SKY_PEDESTAL``, ``DARK_PEDESTAL`` or ``PEDESTAL``.
    chunk_size : int
        Events of an image.
    max_sigma : float
        Limit of clipping, 0 for none: showers in an event would be in the variance.
    lowest, highest : float
        ADC: samples at or beyond them are saturated.
    """

    window_start: int = 12
    window_width: int = 8
    pedestal_type: str = "SKY_PEDESTAL"
    chunk_size: int = 100
    max_sigma: float = 6.0
    lowest: float = 0.0
    highest: float = 4095.0


def pedestal_variances(
    paths: str | Path | Sequence[str | Path],
    settings: VarianceSettings | None = None,
    *,
    tel_id: int | None = None,
    report: StreamReport | None = None,
    progress: Callable[[int], object] | None = None,
    is_checked: bool = False,
) -> list[ChunkStatistics]:
    """Statistics of the charge of pedestals, chunk by chunk, ADC.

    Parameters
    ----------
    paths : path or sequence of paths
        All DL0 files of one telescope and one observation (see `calibpipe.core.dl0`).
    settings : VarianceSettings, optional
    tel_id : int, optional
        Telescope that the files must be of.
    report : StreamReport, optional
        Filled with what was met.
    progress : callable, optional
        Told the number of events of each batch.
    is_checked : bool
        See `read_batches`.

    Returns
    -------
    list of ChunkStatistics
        Arrays of shape (n_channels, n_pixels), of gain-selected events high gain alone; NaN where
        a pixel was saturated or not stored.

    Raises
    ------
    InsufficientStatisticsError
        If there are no pedestals.
    ConfigurationError, CorruptedInputError, MissingInputError
        As `read_batches`; if there is no such type, or the window is outside of the waveform.
    """
    settings = settings or VarianceSettings()
    if settings.pedestal_type not in PEDESTALS:
        raise ConfigurationError(
            f"pedestal_type is {settings.pedestal_type!r}; give one of {', '.join(PEDESTALS)}"
        )
    paths = [paths] if isinstance(paths, str | Path) else list(paths)
    batches = read_batches(
        paths,
        batch_size=BATCH,
        event_types={PEDESTALS[settings.pedestal_type]},
        tel_id=tel_id,
        report=report,
        is_checked=is_checked,
    )
    camera = camera_configuration(paths[0])
    chunks, found = CountChunks(settings.chunk_size, remainder="merge"), []
    for batch in batches:
        charge, saturated = _charges(batch, camera, settings)
        rows = (batch.event_id, batch.time, charge, saturated)
        found += [_statistics(chunk, settings) for chunk in chunks.add(rows)]
        if progress is not None:
            progress(len(batch))
    return found + [_statistics(chunk, settings) for chunk in chunks.rest()]


def _charges(
    batch: Dl0Batch, camera: CameraConfiguration, settings: VarianceSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Charge (n_events, n_channels, n_pixels), NaN where not stored; whether saturated."""
    is_scaled = camera.waveform_scale != 1 or camera.waveform_offset != 0
    waveform = adc_waveform(batch, camera) if is_scaled else batch.waveform
    first = settings.window_start
    charge, _ = fixed_window_sum(
        waveform,
        camera.sampling_frequency * u.MHz,
        peak_index=first,
        window_width=settings.window_width,
    )
    inside = waveform[..., first : first + settings.window_width]
    stored = batch.is_stored
    if batch.waveform.shape[1] < camera.num_channels:  # gain-selected
        stored = stored & ((batch.pixel_status & HIGH_GAIN_STORED) != 0)
    np.copyto(charge, np.nan, where=~stored[:, np.newaxis])
    beyond = (inside.min(axis=-1) <= settings.lowest) | (inside.max(axis=-1) >= settings.highest)
    return charge, beyond


def _statistics(rows: tuple[np.ndarray, ...], settings: VarianceSettings) -> ChunkStatistics:
    event_id, time, charge, saturated = rows
    return chunk_statistics(
        event_id,
        time,
        charge,
        masked=saturated.mean(axis=0) > MAX_SATURATED,
        max_sigma=settings.max_sigma or None,
    )
