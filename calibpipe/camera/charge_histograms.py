"""Charge spectra of every pixel and gain channel, in one pass over the events of a run.

Charges are sums of stored samples in the same window of every event: whole numbers. Bins are whole
numbers wide, with edges between them, so that every bin holds equally many possible charges. The
range of each pixel follows from the first events.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import astropy.units as u
import numba
import numpy as np
from numpy.typing import NDArray

from ..core.dl0 import StreamReport, read_batches
from ..core.dl0_camera import CameraConfiguration, camera_configuration
from ..core.dl0_events import Dl0Batch
from ..core.exceptions import ConfigurationError
from .extraction import fixed_window_sum

__all__ = ["ChargeHistograms", "ChargeRun", "HistogramSettings", "charge_run"]

EVENT_TYPES = {  # values of ctapipe's EventType; importing it costs a second
    "FLATFIELD": 0,
    "SINGLE_PE": 1,
    "PEDESTAL": 2,
    "DARK_PEDESTAL": 3,
    "SKY_PEDESTAL": 5,
}
BATCH = 64  # events: 20 MB of a dual-gain LST
_BELOW, _ABOVE = 0.3, 0.7  # of the range of the first events: room for rarer charges


@dataclass(frozen=True)
class HistogramSettings:
    """How waveforms become spectra.

    Parameters
    ----------
    event_type : str
        Events that are used: ``SINGLE_PE``, ``FLATFIELD``, ``DARK_PEDESTAL``, ...
    window_start, window_width : int
        Samples that are summed, the same in every event: a search would find fluctuations.
    pedestal_window_start : int or None
        Window of the same width before the light, whose spectrum is that of the pedestal.
    n_bins : int
        Bins of a spectrum.
    n_range_events : int
        First events, from which the range of each pixel follows.
    saturation : int
        Stored value of a saturated sample.
    """

    event_type: str = "SINGLE_PE"
    window_start: int = 12
    window_width: int = 12
    pedestal_window_start: int | None = 0
    n_bins: int = 600
    n_range_events: int = 256
    saturation: int = 4095


@dataclass(frozen=True)
class ChargeHistograms:
    """Spectra of pixels; all arrays begin with the shape of the pixels.

    Parameters
    ----------
    counts : ndarray, shape (..., n_bins), uint32
        Events.
    low_edge, bin_width : ndarray, ADC
        Lower edge of the first bin, width of all.
    below, above : ndarray, int
        Events outside the range.
    saturated : ndarray, int
        Events with a saturated sample.
    """

    counts: NDArray
    low_edge: NDArray
    bin_width: NDArray
    below: NDArray
    above: NDArray
    saturated: NDArray

    @property
    def n_events(self) -> NDArray:
        """Events of each pixel, all of them."""
        return self.counts.sum(axis=-1, dtype=int) + self.below + self.above

    def flat(self) -> "ChargeHistograms":
        """All pixels and channels along one axis."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        n = self.low_edge.size
        return ChargeHistograms(**{k: v.reshape(n, *v.shape[2:]) for k, v in values.items()})


@dataclass
class ChargeRun:
    """Spectra of a run: of its light, and of the window before it if there is one.

    Times are unix_tai seconds.
    """

    camera: CameraConfiguration
    report: StreamReport
    charge: ChargeHistograms
    pedestal: ChargeHistograms | None
    time_start: float
    time_end: float


def charge_run(
    paths: Sequence[str | Path],
    settings: HistogramSettings | None = None,
    *,
    edges: ChargeHistograms | None = None,
    tel_id: int | None = None,
    progress: Callable[[int], object] | None = None,
    is_checked: bool = False,
) -> ChargeRun:
    """Spectra of all pixels of one run.

    Parameters
    ----------
    paths : sequence of path
        DL0 files of one telescope and observation.
    settings : HistogramSettings, optional
    edges : ChargeHistograms, optional
        Whose bins are taken, (n_channels, n_pixels); they follow from the events when not given.
    tel_id : int, optional
        Telescope that the files should be of.
    progress : callable, optional
        Told the number of events of each batch.
    is_checked : bool
        Whether the files have been checked, see `read_batches`.

    Raises
    ------
    InsufficientStatisticsError
        If there is no event of the type.
    ConfigurationError
        If a window is outside the waveforms, the type is unknown, events are gain selected, or
        the camera is another than that of the edges.
    CorruptedInputError, MissingInputError
        As `read_batches`.
    """
    settings = settings or HistogramSettings()
    if settings.event_type not in EVENT_TYPES:
        raise ConfigurationError(
            f"event_type is {settings.event_type!r}; give one of {', '.join(EVENT_TYPES)}"
        )
    report = StreamReport()
    batches = read_batches(
        paths,
        batch_size=BATCH,
        event_types={EVENT_TYPES[settings.event_type]},
        tel_id=tel_id,
        report=report,
        is_checked=is_checked,
    )
    camera = camera_configuration(paths[0])
    starts = [settings.window_start]
    if settings.pedestal_window_start is not None:
        starts.append(settings.pedestal_window_start)
    windows = [_Window(camera, start, settings) for start in starts]
    first, last = np.inf, -np.inf
    for batch in batches:
        _require_all_gains(batch, camera)
        for window in windows:
            window.add(batch)
        if windows[0].n_held >= settings.n_range_events:
            edges = _fix_edges(windows, edges, settings)
        first, last = min(first, batch.time[0]), max(last, batch.time[-1])
        if progress is not None:
            progress(len(batch))
    _fix_edges(windows, edges, settings)
    found = [window.histograms() for window in windows]
    return ChargeRun(camera, report, found[0], found[1] if found[1:] else None, first, last)


def _require_all_gains(batch: Dl0Batch, camera: CameraConfiguration) -> None:
    n_channels = batch.waveform.shape[1]
    if n_channels != camera.num_channels:
        raise ConfigurationError(
            f"event {batch.event_id[0]} has {n_channels} of {camera.num_channels} gain channels: "
            "spectra of single photoelectrons need events without gain selection; give a run "
            "that stores all channels"
        )


def _fix_edges(
    windows: list["_Window"], edges: ChargeHistograms | None, settings: HistogramSettings
) -> ChargeHistograms | None:
    """Let windows fill the bins of given edges, or of those of their first events."""
    if not windows[0].held:
        return edges
    low, width = _range(windows, settings.n_bins) if edges is None else _stored(edges, windows[0])
    for window in windows:
        window.fill(low, width)
    return edges


def _range(windows: list["_Window"], n_bins: int) -> tuple[NDArray, NDArray]:
    """Lower edges and widths of bins that hold the charges of all windows and more."""
    charges = np.concatenate([charge for window in windows for charge, _ in window.held])
    with np.errstate(invalid="ignore"):
        unknown = np.isnan(charges).all(axis=0)
        lowest = np.nanmin(np.where(unknown, 0.0, charges), axis=0)
        highest = np.nanmax(np.where(unknown, 0.0, charges), axis=0)
    span = highest - lowest
    low = np.floor(lowest - _BELOW * np.minimum(span, n_bins))
    width = np.maximum(np.ceil((highest + _ABOVE * span - low) / n_bins), 1.0)
    return low - 0.5, width


def _stored(edges: ChargeHistograms, window: "_Window") -> tuple[NDArray, NDArray]:
    """Edges in stored units."""
    shape = window.held[0][0].shape[1:]
    if edges.low_edge.shape != shape:
        raise ConfigurationError(
            f"runs have {edges.low_edge.shape} and {shape} channels and pixels; give runs of one "
            "telescope"
        )
    return (edges.low_edge + window.offset) * window.scale, edges.bin_width * window.scale


@dataclass
class _Window:
    """Spectra of one window; charges wait until the bins are known."""

    camera: CameraConfiguration
    start: int
    settings: HistogramSettings
    held: list[tuple[NDArray, NDArray]] = field(default_factory=list)
    low: NDArray | None = None
    width: NDArray | None = None

    @property
    def scale(self) -> float:
        return self.camera.waveform_scale or 1.0

    @property
    def offset(self) -> float:
        return self.camera.waveform_offset * self.settings.window_width

    @property
    def n_held(self) -> int:
        return sum(len(charge) for charge, _ in self.held)

    def add(self, batch: Dl0Batch) -> None:
        width = self.settings.window_width
        charge, _ = fixed_window_sum(
            batch.waveform, 1 * u.GHz, peak_index=self.start, window_width=width
        )
        if self.start + width > batch.waveform.shape[-1]:
            raise ConfigurationError(
                f"the window of samples {self.start} to {self.start + width - 1} is longer than "
                f"the {batch.waveform.shape[-1]} samples; move it inside"
            )
        samples = batch.waveform[..., self.start : self.start + width]
        saturated = samples.max(axis=-1) >= self.settings.saturation
        if not (is_stored := batch.is_stored).all():
            np.copyto(charge, np.nan, where=~is_stored[:, np.newaxis])
        self.held.append((charge, saturated))
        if self.low is not None and self.width is not None:
            self.fill(self.low, self.width)

    def fill(self, low: NDArray, width: NDArray) -> None:
        if self.low is None:
            self.low, self.width = low, width
            self.counts = np.zeros((*low.shape, self.settings.n_bins), np.uint32)
            self.outside = np.zeros((2, *low.shape), np.int64)
            self.saturated = np.zeros(low.shape, np.int64)
        for charge, saturated in self.held:
            _fill(charge, low, width, self.counts, self.outside)
            self.saturated += saturated.sum(axis=0)
        self.held.clear()

    def histograms(self) -> ChargeHistograms:
        assert self.low is not None  # it was filled
        assert self.width is not None
        return ChargeHistograms(
            counts=self.counts,
            low_edge=self.low / self.scale - self.offset,
            bin_width=self.width / self.scale,
            below=self.outside[0],
            above=self.outside[1],
            saturated=self.saturated,
        )


@numba.njit(cache=True, nogil=True)
def _fill(charge: NDArray, low: NDArray, width: NDArray, counts: NDArray, outside: NDArray) -> None:
    n_events, n_channels, n_pixels = charge.shape
    n_bins = counts.shape[2]
    for event in range(n_events):
        for channel in range(n_channels):
            for pixel in range(n_pixels):
                value = charge[event, channel, pixel]
                if np.isnan(value):
                    continue
                at = np.floor((value - low[channel, pixel]) / width[channel, pixel])
                if at < 0:
                    outside[0, channel, pixel] += 1
                elif at >= n_bins:
                    outside[1, channel, pixel] += 1
                else:
                    counts[channel, pixel, int(at)] += 1
