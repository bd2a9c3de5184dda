"""Pixel statistics of one telescope and observation, in one pass over its DL0 events.

Flat-field and pedestal events are taken out of the stream in batches, charges, times and variances
are extracted, and every complete chunk becomes its statistics: memory holds some batches and one
chunk of each kind, however long the observation is.

All waveforms are extracted after the subtraction of one *baseline* a pixel, the mean sample of the
first pedestal events: the centroid of a pulse on a pedestal is drawn to the middle of the window.
Whatever the baseline is, it cancels from charges (pedestals keep the rest) and is added to the
pedestal offset again.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import astropy.units as u
import numpy as np

from ..core.dl0 import StreamReport, read_batches
from ..core.dl0_camera import CameraConfiguration, camera_configuration
from ..core.dl0_events import Dl0Batch, adc_waveform
from ..core.exceptions import ConfigurationError, InsufficientStatisticsError
from .extraction import fixed_window_sum, local_peak_window_sum, waveform_variance
from .pixel_statistics import (
    ChunkStatistics,
    CountChunks,
    TimeChunks,
    chunk_statistics,
)

__all__ = ["Baseline", "ObservationStatistics", "StatisticsSettings", "observation_statistics"]

FLATFIELD = 0  # values of ctapipe's EventType; importing it costs a second
PEDESTALS = {"PEDESTAL": 2, "DARK_PEDESTAL": 3, "SKY_PEDESTAL": 5}
HIGH_GAIN_STORED, LOW_GAIN_STORED = 0b100, 0b1000  # bits of ctapipe's PixelStatus
BATCH = 64  # events: 20 MB of a dual-gain LST
MAX_HELD = 400  # flat fields that wait for a baseline: 120 MB of a dual-gain LST

type Rows = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class StatisticsSettings:
    """How waveforms become statistics; the defaults are those of LST.

    Parameters
    ----------
    window_width : int
        Samples that are integrated, of pedestals and of flat fields alike.
    flatfield_window_shift : int
        Samples of the window before the highest sample of a flat-field pulse.
    flatfield_window_start : int or None
        First sample of a fixed window of flat fields; None: about the highest sample. Of faint
        light the highest sample is often noise.
    pedestal_window_start : int
        First sample of the window of pedestals, which is fixed: a search for the highest sample
        would find upward fluctuations.
    pedestals_only : bool
        The observation has no flat fields (closed camera), and needs none.
    pedestal_type : str
        ``SKY_PEDESTAL``, ``DARK_PEDESTAL`` or ``PEDESTAL``.
    flatfield_chunk_size, pedestal_chunk_size : int
        Events in a chunk. The gain of a pixel is known to sqrt(2/size).
    chunk_duration : float or None, s
        Chunks are intervals of this length instead, split where they have more events.
    max_sigma : float
        Limit of sigma clipping; 0 for none. Below 5 the tail of the night sky's shot noise goes,
        and with it a part of the pedestal.
    clipping_iterations : int
    n_baseline_events : int
        Pedestal events that make the baseline; 0 subtracts none (flat-field times are wrong then).
    """

    window_width: int = 12
    flatfield_window_shift: int = 5
    flatfield_window_start: int | None = None
    pedestal_window_start: int = 12
    pedestals_only: bool = False
    pedestal_type: str = "SKY_PEDESTAL"
    flatfield_chunk_size: int = 1000
    pedestal_chunk_size: int = 1000
    chunk_duration: float | None = None
    max_sigma: float = 5.0
    clipping_iterations: int = 5
    n_baseline_events: int = 100


@dataclass(frozen=True)
class Baseline:
    """What was subtracted from every sample: mean of the first pedestal events, ADC.

    ``mean`` (n_channels, n_pixels), 0 where a pixel had no event; times are unix_tai seconds.
    """

    mean: np.ndarray
    n_events: int
    time_start: float
    time_end: float


@dataclass
class ObservationStatistics:
    """Chunks of an observation in the order of time; charges in ADC, times in ns.

    Charges are integrals of waveforms above the baseline, variances those over the samples of
    each pedestal waveform (ADC²).
    """

    camera: CameraConfiguration
    baseline: Baseline | None
    report: StreamReport
    pedestal_charge: list[ChunkStatistics] = field(default_factory=list)
    pedestal_variance: list[ChunkStatistics] = field(default_factory=list)
    flatfield_charge: list[ChunkStatistics] = field(default_factory=list)
    flatfield_peak_time: list[ChunkStatistics] = field(default_factory=list)


def observation_statistics(
    paths: str | Path | Sequence[str | Path],
    settings: StatisticsSettings | None = None,
    *,
    tel_id: int | None = None,
    progress: Callable[[int], object] | None = None,
    is_checked: bool = False,
) -> ObservationStatistics:
    """Statistics of pedestal charge and variance, flat-field charge and peak time.

    Parameters
    ----------
    paths : path or sequence of paths
        All DL0 files of one telescope and one observation (see `calibpipe.core.dl0`).
    settings : StatisticsSettings, optional
    tel_id : int, optional
        Telescope that the files should be of.
    progress : callable, optional
        Told the number of events of each batch.
    is_checked : bool
        Whether the index of the night has checked the files, see `read_batches`.

    Raises
    ------
    InsufficientStatisticsError
        If there are no flat-field or no pedestal events.
    ConfigurationError, CorruptedInputError, MissingInputError
        As `calibpipe.core.dl0.read_batches`; if windows or chunks cannot be.
    """
    settings = settings or StatisticsSettings()
    paths = [paths] if isinstance(paths, str | Path) else list(paths)
    pedestal_type = _pedestal_type(settings)
    report = StreamReport()
    batches = read_batches(
        paths,
        batch_size=BATCH,
        event_types={pedestal_type} if settings.pedestals_only else {FLATFIELD, pedestal_type},
        tel_id=tel_id,
        report=report,
        is_checked=is_checked,
    )
    camera = camera_configuration(paths[0])
    extraction = _Extraction(camera, settings, paths, pedestal_type)
    out = ObservationStatistics(camera, None, report)
    chunks = {
        "pedestal": _chunks(settings, settings.pedestal_chunk_size),
        "flatfield": _chunks(settings, settings.flatfield_chunk_size),
    }
    for batch in extraction.with_baseline(batches):
        for name, rows in extraction.rows(batch):
            for chunk in chunks[name].add(rows):
                _append(out, name, chunk, settings)
        if progress is not None:
            progress(len(batch))
    for name, unfinished in chunks.items():
        for chunk in unfinished.rest():
            _append(out, name, chunk, settings)
    out.baseline = extraction.baseline
    if not (out.flatfield_charge or settings.pedestals_only):
        raise _none("FLATFIELD", report, paths)
    if not out.pedestal_charge:
        raise _none(settings.pedestal_type, report, paths)
    return out


def _none(
    kind: str, report: StreamReport, paths: Sequence[str | Path]
) -> InsufficientStatisticsError:
    return InsufficientStatisticsError(
        f"no {kind} among {report.n_events} events of {Path(paths[0]).name} and its parallel "
        "files: calibration needs pedestals and flat fields; give files that have both"
    )


def _pedestal_type(settings: StatisticsSettings) -> int:
    if settings.pedestal_type not in PEDESTALS:
        raise ConfigurationError(
            f"pedestal_type is {settings.pedestal_type!r}; give one of {', '.join(PEDESTALS)}"
        )
    return PEDESTALS[settings.pedestal_type]


def _chunks(settings: StatisticsSettings, size: int) -> CountChunks | TimeChunks:
    if settings.chunk_duration is None:
        return CountChunks(size, remainder="merge")
    return TimeChunks(settings.chunk_duration, max_size=size)


def _append(
    out: ObservationStatistics, name: str, rows: Rows, settings: StatisticsSettings
) -> None:
    """Statistics of a chunk go to those of the observation."""
    kinds = {
        "pedestal": (out.pedestal_charge, out.pedestal_variance),
        "flatfield": (out.flatfield_charge, out.flatfield_peak_time),
    }[name]
    event_id, time, *quantities = rows
    for found, values in zip(kinds, quantities, strict=True):
        found.append(
            chunk_statistics(
                event_id,
                time,
                values,
                max_sigma=settings.max_sigma or None,
                iterations=settings.clipping_iterations,
            )
        )


def _selected(batch: Dl0Batch, rows: np.ndarray) -> Dl0Batch:
    return replace(batch, **{f.name: getattr(batch, f.name)[rows] for f in fields(batch)})


class _Extraction:
    """From batches of events to rows of charges, times and variances."""

    def __init__(
        self,
        camera: CameraConfiguration,
        settings: StatisticsSettings,
        paths: Sequence[str | Path],
        pedestal_type: int,
    ):
        self.camera = camera
        self.settings = settings
        self.paths = paths
        self.pedestal_type = pedestal_type
        self.sampling_rate = camera.sampling_frequency * u.MHz
        self.baseline: Baseline | None = None
        self._is_without = settings.n_baseline_events == 0

    def with_baseline(self, batches: Iterable[Dl0Batch]) -> Iterator[Dl0Batch]:
        """The same batches, the first of them when the baseline is known.

        Usually some hundred events wait for it; when no pedestals come among them, they are
        looked for further on in the files.
        """
        held: list[Dl0Batch] = []
        for batch in batches:
            held.append(batch)
            if self._is_without or self.baseline is not None:
                yield from held
                held.clear()
            elif self._n_pedestals(held) >= self.settings.n_baseline_events:
                self.baseline = self._baseline(held)
            elif sum(map(len, held)) >= MAX_HELD:
                self.baseline = self._baseline(self._pedestals_further_on())
        if held and not self._is_without:
            self.baseline = self.baseline or self._baseline(held)
        yield from held

    def _n_pedestals(self, batches: Iterable[Dl0Batch]) -> int:
        return sum(int(np.count_nonzero(b.event_type == self.pedestal_type)) for b in batches)

    def _pedestals_further_on(self) -> list[Dl0Batch]:
        found: list[Dl0Batch] = []
        n = 0
        report = StreamReport()
        wanted = {self.pedestal_type, FLATFIELD}
        again = read_batches(
            self.paths, batch_size=BATCH, event_types=wanted, report=report, is_checked=True
        )
        for batch in again:
            rows = batch.event_type == self.pedestal_type
            if rows.any():
                found.append(_selected(batch, rows))
            n += int(np.count_nonzero(rows))
            if n >= self.settings.n_baseline_events:
                break
        if not found:
            raise _none(self.settings.pedestal_type, report, self.paths)
        return found

    def _baseline(self, batches: Iterable[Dl0Batch]) -> Baseline | None:
        """Mean sample of the first pedestal events of some batches; None if there are none."""
        left = self.settings.n_baseline_events
        shape = (self.camera.num_channels, self._n_pixels(batches))
        total, count = np.zeros(shape), np.zeros(shape)
        times: list[float] = []
        for batch in batches:
            rows = np.flatnonzero(batch.event_type == self.pedestal_type)[:left]
            if not rows.size:
                continue
            left -= rows.size
            times += batch.time[rows].tolist()
            mean = adc_waveform(batch, self.camera)[rows].mean(axis=-1, dtype=np.float64)
            for channel, stored in self._stored(batch):
                value = mean[:, channel if mean.shape[1] > 1 else 0]
                total[channel] += np.where(stored[rows], value, 0.0).sum(axis=0)
                count[channel] += np.count_nonzero(stored[rows], axis=0)
        if not times:
            return None
        mean = np.divide(total, count, out=np.zeros(shape), where=count > 0)
        # float32 as the waveforms are: the same number is subtracted and added
        return Baseline(mean.astype(np.float32), len(times), min(times), max(times))

    def _n_pixels(self, batches: Iterable[Dl0Batch]) -> int:
        return next(iter(batches)).waveform.shape[2]

    def _stored(self, batch: Dl0Batch) -> Iterator[tuple[int, np.ndarray]]:
        """Each channel and whether its waveform is in the batch, (n_events, n_pixels)."""
        is_stored = batch.is_stored
        n_channels = self.camera.num_channels
        if batch.waveform.shape[1] == n_channels:
            yield from ((channel, is_stored) for channel in range(n_channels))
            return
        for channel, bit in enumerate((HIGH_GAIN_STORED, LOW_GAIN_STORED)):
            yield channel, is_stored & ((batch.pixel_status & bit) != 0)

    def rows(self, batch: Dl0Batch) -> Iterator[tuple[str, Rows]]:
        """Pedestal and flat-field rows of a batch: event number, time, quantities."""
        for name, event_type in (("pedestal", self.pedestal_type), ("flatfield", FLATFIELD)):
            of_type = batch.event_type == event_type
            if of_type.any():
                part = batch if of_type.all() else _selected(batch, of_type)
                yield name, (part.event_id, part.time, *self._quantities(part, name))

    def _quantities(self, batch: Dl0Batch, name: str) -> tuple[np.ndarray, np.ndarray]:
        waveform = batch.waveform
        if self.camera.waveform_scale != 1 or self.camera.waveform_offset != 0:
            waveform = adc_waveform(batch, self.camera)
        extract = self._pedestals if name == "pedestal" else self._flatfields
        baseline = None if self.baseline is None else self.baseline.mean
        if waveform.shape[1] == self.camera.num_channels:
            both = extract(waveform, baseline)
            if not batch.is_stored.all():
                for values in both:
                    np.copyto(values, np.nan, where=~batch.is_stored[:, np.newaxis])
            return both
        shape = (len(batch), self.camera.num_channels, waveform.shape[2])
        selected = np.full((2, *shape), np.nan, np.float32)
        for channel, stored in self._stored(batch):
            own = None if baseline is None else baseline[channel : channel + 1]
            for values, extracted in zip(selected, extract(waveform, own), strict=True):
                values[:, channel] = np.where(stored, extracted[:, 0], np.nan)
        return selected[0], selected[1]

    def _pedestals(
        self, waveform: np.ndarray, baseline: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Charge and variance of pedestals."""
        charge, _ = fixed_window_sum(
            waveform,
            self.sampling_rate,
            peak_index=self.settings.pedestal_window_start,
            window_width=self.settings.window_width,
            pedestal=baseline,
        )
        return charge, waveform_variance(waveform)

    def _flatfields(
        self, waveform: np.ndarray, baseline: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Charge and peak time (ns) of flat-field pulses."""
        if self.settings.flatfield_window_start is not None:
            charge, peak_time = fixed_window_sum(
                waveform,
                self.sampling_rate,
                peak_index=self.settings.flatfield_window_start,
                window_width=self.settings.window_width,
                pedestal=baseline,
            )
            return charge, peak_time.value
        charge, peak_time = local_peak_window_sum(
            waveform,
            self.sampling_rate,
            window_width=self.settings.window_width,
            window_shift=self.settings.flatfield_window_shift,
            pedestal=baseline,
        )
        return charge, peak_time.value
