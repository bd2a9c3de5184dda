"""DRS4 baselines and time lapse from the DL0 events of a run of raw data, batch by batch."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntFlag
from pathlib import Path

import numpy as np

from ..core.dl0 import StreamReport, read_batches
from ..core.dl0_camera import CameraConfiguration, camera_configuration
from ..core.dl0_events import Dl0Batch, adc_waveform
from ..core.exceptions import ConfigurationError, InsufficientStatisticsError
from .drs4 import RING, CapacitorBaseline
from .drs4_readout import CapacitorClock, first_capacitors, is_read_besides
from .drs4_time_lapse import TimeLapse, TimeLapseSums, fit_time_lapse, time_lapse_corrected

__all__ = [
    "CapacitorReason",
    "Drs4Reason",
    "Drs4Run",
    "Drs4Settings",
    "RawRun",
    "Readings",
    "drs4_corrections",
]

BATCH = 64
DARK_PEDESTAL = 3  # of ctapipe's EventType


class Drs4Reason(IntFlag):
    """Why a pixel of a gain has no baselines to rely on."""

    NO_NOISE = 1
    TOO_FEW_READINGS = 2
    STRANGE_NOISE = 4


class CapacitorReason(IntFlag):
    """Why a capacitor has none."""

    TOO_FEW_READINGS = 1
    NOISY = 2


@dataclass(frozen=True)
class Drs4Settings:
    """How events become corrections.

    Parameters
    ----------
    n_skipped : int
        Samples at both ends of the readout that do not count: they are noisy.
    min_entries : int
        Readings of a capacitor.
    rest : float
        ms after which a capacitor has forgotten that it was read.
    law : TimeLapse or None
        Known law; None: it is fitted.
    min_known : float
        Part of the capacitors of a pixel that need a baseline.
    noise_range : (float, float)
        Of the noise of a pixel, over the median of its gain.
    max_noise : float
        Of a capacitor, over the noise of its pixel.
    """

    n_skipped: int = 2
    min_entries: int = 10
    rest: float = 100.0
    law: TimeLapse | None = None
    min_known: float = 0.9
    noise_range: tuple[float, float] = (0.5, 2.0)
    max_noise: float = 3.0


@dataclass(frozen=True)
class Readings:
    """Events of a batch: only the samples that count.

    Parameters
    ----------
    batch : Dl0Batch
    waveform : ndarray, (n_events, n_channels, n_pixels, n_samples), ADC
    first : ndarray, (n_events, n_channels, n_pixels)
        Capacitor of the first of these samples.
    first_read : ndarray, same shape
        Capacitor that was read first: sampling times are by its number.
    elapsed : ndarray, shape of the waveforms, ms
        Since the capacitor was read before; NaN if it was not, or if the pixel is not stored.
    """

    batch: Dl0Batch
    waveform: np.ndarray
    first: np.ndarray
    first_read: np.ndarray
    elapsed: np.ndarray


class RawRun:
    """A run of raw data, which can be read again and again.

    Parameters
    ----------
    paths : sequence of path
        DL0 files of one telescope and observation.
    event_types : set of int or None
        Values of ctapipe's EventType; all when None.
    n_skipped : int
        As in `Drs4Settings`.
    progress : callable, optional
        Told the number of events of each batch.
    is_checked : bool
        As in `calibpipe.core.dl0.read_batches`.
    """

    def __init__(
        self,
        paths: Sequence[str | Path],
        event_types: set[int] | None,
        *,
        n_skipped: int = 2,
        progress: Callable[[int], object] | None = None,
        is_checked: bool = False,
    ):
        self.camera = camera_configuration(paths[0])
        self.report = StreamReport()
        self.times = (np.inf, -np.inf)
        self._paths, self._types, self._skip = list(paths), event_types, n_skipped
        self._progress, self._is_checked = progress, is_checked

    @property
    def shape(self) -> tuple[int, int]:
        """Gains and pixels."""
        return self.camera.num_channels, len(is_read_besides(self.camera))

    def readings(self) -> Iterator[Readings]:
        """All events from the first one on, in the order of time."""
        camera, self.report = self.camera, StreamReport()
        clock = CapacitorClock(camera.num_channels, is_read_besides(camera))
        batches = read_batches(
            self._paths,
            batch_size=BATCH,
            event_types=self._types,
            report=self.report,
            is_checked=self._is_checked,
            with_first_cells=True,
        )
        for batch in batches:
            if batch.waveform.shape[1] != camera.num_channels:
                raise ConfigurationError(
                    f"events of observation {camera.obs_id} are gain selected, needed are "
                    f"{camera.num_channels} gains; give a run of raw data"
                )
            self.times = min(self.times[0], batch.time.min()), max(self.times[1], batch.time.max())
            yield self._readings(batch, clock)
            self._is_checked = True
            if self._progress is not None:
                self._progress(len(batch))

    def _readings(self, batch: Dl0Batch, clock: CapacitorClock) -> Readings:
        before, after = (
            self.camera.num_samples_removed_start,
            self.camera.num_samples_removed_end,
        )
        n_samples = batch.waveform.shape[-1]
        first = first_capacitors(batch.first_cell, self.camera)
        elapsed = clock.elapsed(
            first, batch.time_s, batch.time_qns, n_samples, n_before=before, n_after=after
        )
        skip = max(self._skip - before, 0)
        kept = slice(skip, n_samples - max(self._skip - after, 0))
        elapsed = elapsed[..., kept]
        if not (is_stored := batch.is_stored).all():
            event, pixel = np.nonzero(~is_stored)
            elapsed[event, :, pixel] = np.nan
        waveform = adc_waveform(batch, self.camera)[..., kept]
        return Readings(batch, waveform, (first + before + skip) % RING, first, elapsed)


@dataclass(frozen=True)
class Drs4Run:
    """Corrections of a camera, and what they were made from.

    Parameters
    ----------
    baseline, stat_error : ndarray, (n_channels, n_pixels, n_capacitors), ADC
        NaN with too few readings.
    n_entries : ndarray, same shape
    capacitor_status : ndarray, same shape, uint8
        Bits of `CapacitorReason`.
    noise : ndarray, (n_channels, n_pixels), ADC
        Median of the standard deviations of the capacitors, after the correction.
    sys_error : ndarray, (n_channels, n_pixels), ADC
        Of all baselines of a pixel: difference between the mean baselines of rested capacitors
        and of all readings with the law, not less than the statistical error of it.
    status : ndarray, (n_channels, n_pixels), uint8
        Bits of `Drs4Reason`.
    law : TimeLapse
    time, excess, excess_error : ndarray, (n_channels, n_bins)
        ms, ADC; empty if the law was given.
    n_readings : ndarray, (n_channels, n_bins)
    camera : CameraConfiguration
    report : StreamReport
    time_start, time_end : float
        unix_tai.
    """

    baseline: np.ndarray
    stat_error: np.ndarray
    n_entries: np.ndarray
    capacitor_status: np.ndarray
    noise: np.ndarray
    sys_error: np.ndarray
    status: np.ndarray
    law: TimeLapse
    camera: CameraConfiguration
    report: StreamReport
    time_start: float
    time_end: float
    time: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    excess: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    excess_error: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    n_readings: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))


def drs4_corrections(run: RawRun, settings: Drs4Settings) -> Drs4Run:
    """Baselines of all capacitors and the time lapse, from dark events at random times.

    The run is read three times: baselines of capacitors that were not read for a while (`rest`);
    excess over them by the time since the last reading, of all pixels together, which gives the
    law; baselines of all readings, the law subtracted. Twice if the law is given.

    Parameters
    ----------
    run : RawRun
        Of dark pedestals.
    settings : Drs4Settings

    Raises
    ------
    MissingInputError
        If there are no numbers of first capacitors.
    ConfigurationError
        If they are not those of DRS4 chips, or the law does not fit.
    InsufficientStatisticsError
        If there are no dark events, or too few for baselines or for the law.
    """
    rested = CapacitorBaseline(*run.shape)
    for readings in run.readings():
        rested.add(readings.waveform, readings.first, readings.elapsed >= settings.rest)
    law, points = settings.law, {}
    if law is None:
        law, points = _fitted_law(run, rested, settings)
    every = CapacitorBaseline(*run.shape)
    for readings in run.readings():
        corrected = time_lapse_corrected(readings.waveform, readings.elapsed, law)
        every.add(corrected, readings.first, np.isfinite(readings.elapsed))
    return Drs4Run(
        **_capacitors(every, rested, run, settings),
        law=law,
        camera=run.camera,
        report=run.report,
        time_start=run.times[0],
        time_end=run.times[1],
        **points,
    )


def _fitted_law(
    run: RawRun, rested: CapacitorBaseline, settings: Drs4Settings
) -> tuple[TimeLapse, dict[str, np.ndarray]]:
    """Law of all pixels, and what it was fitted to."""
    baseline, noise = rested.mean(2), _medians(rested.std(2))
    good = (_status_of_noise(noise, settings) == 0)[..., np.newaxis]
    baseline = np.where(good, baseline, np.nan)
    known = np.isfinite(baseline)
    if known.mean() < 0.1:
        raise InsufficientStatisticsError(
            f"{100 * known.mean():.1f} % of the capacitors were read twice after {settings.rest:g} "
            f"ms of rest, in {run.report.n_selected} events of observation {run.camera.obs_id}: a "
            "time-lapse law needs 10 %; give more dark events, or take the known law (time_lapse "
            "given)"
        )
    sums = TimeLapseSums(run.shape[0], max_time=settings.rest)
    for readings in run.readings():
        sums.add(readings.waveform, readings.first, readings.elapsed, baseline)
    time, excess, error = sums.points()
    n = np.maximum(rested.n_entries, 1)
    variance = np.where(known, (rested.std(2) ** 2) / n, 0.0).sum(axis=(1, 2))
    variance /= np.maximum(known.sum(axis=(1, 2)), 1) ** 2
    weight = np.nansum(1 / error**2, axis=1)
    common = np.sqrt((weight**2 * variance).sum()) / weight.sum() if weight.any() else 0.0
    law = fit_time_lapse(
        time.ravel(), excess.ravel(), error.ravel(), max_time=settings.rest, common_error=common
    )
    points = {"time": time, "excess": excess, "excess_error": error, "n_readings": sums.n_entries}
    return law, points


def _medians(values: np.ndarray) -> np.ndarray:
    """Over the last axis; NaN without a number."""
    found = np.full(values.shape[:-1], np.nan)
    for channel, of_channel in enumerate(values):
        known = np.isfinite(of_channel).any(axis=-1)
        if known.any():
            found[channel, known] = np.nanmedian(of_channel[known], axis=-1)
    return found


def _typical_noise(std: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Median over capacitors, corrected for that of chi square (Wilson and Hilferty 1931)."""
    known = np.isfinite(std)
    n_known = np.maximum(known.sum(axis=-1), 1)
    degrees = np.where(known, n, 0).sum(axis=-1) / n_known - 1
    return _medians(std) / (1 - 2 / (9 * np.maximum(degrees, 1))) ** 1.5


def _status_of_noise(noise: np.ndarray, settings: Drs4Settings) -> np.ndarray:
    status = np.zeros(noise.shape, np.uint8)
    status[noise == 0] |= Drs4Reason.NO_NOISE.value
    status[np.isnan(noise)] |= Drs4Reason.TOO_FEW_READINGS.value
    low, high = settings.noise_range
    usual = _medians(np.where(noise > 0, noise, np.nan))[:, np.newaxis]
    with np.errstate(invalid="ignore"):
        strange = (noise > 0) & ((noise < low * usual) | (noise > high * usual))
    status[strange] |= Drs4Reason.STRANGE_NOISE.value
    return status


def _capacitors(
    every: CapacitorBaseline, rested: CapacitorBaseline, run: RawRun, settings: Drs4Settings
) -> dict[str, np.ndarray]:
    """Baselines with errors and status."""
    n = every.n_entries
    baseline, std = every.mean(settings.min_entries), every.std(settings.min_entries)
    known = np.isfinite(baseline)
    noise = _typical_noise(std, n)
    # of those that are the same always, the law alone would make a noise
    noise[_medians(rested.std(2)) == 0] = 0.0
    status = _status_of_noise(noise, settings)
    status[known.mean(axis=-1) < settings.min_known] |= Drs4Reason.TOO_FEW_READINGS.value
    if (status & Drs4Reason.TOO_FEW_READINGS.value).all():
        per_event = n.sum() / max(run.report.n_selected, 1) / n.size
        raise InsufficientStatisticsError(
            f"no pixel has {settings.min_entries} readings of {100 * settings.min_known:g} % of "
            f"its capacitors in {run.report.n_selected} dark events of observation "
            f"{run.camera.obs_id}; give {_events_needed(settings, per_event)}"
        )
    capacitor_status = np.where(known, 0, CapacitorReason.TOO_FEW_READINGS.value).astype(np.uint8)
    with np.errstate(invalid="ignore"):
        noisy = std > settings.max_noise * noise[..., np.newaxis]
    capacitor_status[noisy] |= CapacitorReason.NOISY.value
    return {
        "baseline": baseline.astype(np.float32),
        "stat_error": (std / np.sqrt(np.maximum(n, 1))).astype(np.float32),
        "n_entries": n,
        "capacitor_status": capacitor_status,
        "noise": noise,
        "sys_error": _difference(every, rested, settings),
        "status": status,
    }


def _events_needed(settings: Drs4Settings, per_event: float) -> str:
    if not per_event:
        return "more events"
    usual = settings.min_entries / per_event
    return f"{np.ceil((usual + 4 * np.sqrt(settings.min_entries) / per_event) / 100) * 100:.0f}"


def _difference(
    every: CapacitorBaseline, rested: CapacitorBaseline, settings: Drs4Settings
) -> np.ndarray:
    """Mean difference between baselines of all readings and of rested capacitors, (ch, pixels)."""
    least = min(2, settings.min_entries)
    both = np.isfinite(rested.mean(least)) & np.isfinite(every.mean(least))
    change = np.where(both, every.mean(least) - rested.mean(least), 0.0)
    n, m = (np.maximum(of.n_entries, 1) for of in (every, rested))
    variance = np.where(both, every.std(least) ** 2 * np.maximum(1 / m - 1 / n, 0.0), 0.0)
    n_both = both.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.abs(change.sum(axis=-1)) / n_both
        error = np.sqrt(variance.sum(axis=-1)) / n_both
    return np.where(n_both > 0, np.maximum(found, error), np.nan)
