"""Images of fast isochronous light (muons, flashes) in photoelectrons, from DL0 and coefficients.

All pixels are integrated in one window about the peak of the camera's summed waveform, moved by
each pixel's own time shift: pixels without light are not biased, as they are when every pixel looks
for its own peak.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numba
import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ..core.dl0 import StreamReport, read_batches
from ..core.dl0_camera import CameraConfiguration, camera_configuration
from ..core.dl0_events import Dl0Batch, adc_waveform
from ..core.exceptions import ConfigurationError, CorruptedInputError

__all__ = ["CalibrationReport", "ImageBatch", "ImageSettings", "calibrated_batches"]

HIGH_GAIN_STORED, LOW_GAIN_STORED = 0b100, 0b1000  # bits of ctapipe's PixelStatus
BATCH = 64  # events: 10 MB of a gain-selected LST


@dataclass(frozen=True)
class ImageSettings:
    """How waveforms become images; the window should be that of the coefficients.

    Parameters
    ----------
    window_width : int
        Samples that are integrated.
    window_shift : int
        Of these, samples before the peak.
    saturation : float
        ADC above which high gain is not used, if low gain is stored as well; a pixel whose only
        stored waveform exceeds it is saturated.
    """

    window_width: int = 12
    window_shift: int = 5
    saturation: float = 4000.0


@dataclass(frozen=True)
class ImageBatch:
    """Calibrated images of consecutive events.

    Attributes
    ----------
    event_id : ndarray, shape (n,), uint64
    time : ndarray, shape (n,), float64
        TAI seconds since 1970-01-01.
    image : ndarray, shape (n, n_pixels), float32
        Photoelectrons; 0 where the pixel is unusable.
    is_unusable : ndarray, shape (n, n_pixels), bool
        Masked by the calibration, not stored, or not a number.
    is_saturated : ndarray, shape (n, n_pixels), bool
    peak_time : ndarray, shape (n,), float32
        ns after the first sample, of the camera's summed waveform.
    """

    event_id: np.ndarray
    time: np.ndarray
    image: np.ndarray
    is_unusable: np.ndarray
    is_saturated: np.ndarray
    peak_time: np.ndarray

    def __len__(self) -> int:
        return len(self.event_id)


@dataclass
class CalibrationReport:
    """Events that have no image because no valid row of coefficients covers them."""

    stream: StreamReport = field(default_factory=StreamReport)
    n_before: int = 0
    n_invalid: int = 0

    def remarks(self) -> list[str]:
        """Sentences about all that is not as it should be; empty if all is well."""
        texts = {
            "n_before": "events before the first row of coefficients (left out)",
            "n_invalid": "events in rows of coefficients that are not valid (left out)",
        }
        told = [
            f"{getattr(self, name)} {text}" for name, text in texts.items() if getattr(self, name)
        ]
        return self.stream.remarks() + told


def calibrated_batches(
    paths: str | Path | Sequence[str | Path],
    coefficients: Table,
    settings: ImageSettings | None = None,
    *,
    event_types: Collection[int],
    tel_id: int | None = None,
    report: CalibrationReport | None = None,
    is_checked: bool = False,
) -> Iterator[ImageBatch]:
    r"""Calibrated images of the events of some types, in batches.

    .. math:: I = f \sum_{s=p+\delta-\mathrm{shift}}^{p+\delta-\mathrm{shift}+\mathrm{width}-1}
              (w_s - P)

    with factor *f* and pedestal offset *P* of the row that holds at the time of the event,
    :math:`\delta` the pixel's time shift in whole samples, *p* the highest sample of the sum of all
    calibrated waveforms that are moved by it; masked pixels are not in the sum.

    Parameters
    ----------
    paths : path or sequence of paths
        All DL0 files of one telescope and one observation (see `calibpipe.core.dl0`).
    coefficients : Table
        Of this telescope (`calibpipe.core.monitoring_file.read_camera_coefficients`).
    settings : ImageSettings, optional
    event_types : collection of int
        Values of ctapipe's EventType.
    tel_id : int, optional
        Telescope that the files must be of.
    report : CalibrationReport, optional
        Filled with what was met.
    is_checked : bool
        Whether the index of the night has checked the files, see `read_batches`.

    Yields
    ------
    ImageBatch

    Raises
    ------
    InsufficientStatisticsError
        If there is no event of these types.
    ConfigurationError
        If the coefficients are of another camera, or the window is longer than the waveform.
    CorruptedInputError, MissingInputError
        As `read_batches`.
    """
    settings = settings or ImageSettings()
    report = report or CalibrationReport()
    paths = [paths] if isinstance(paths, str | Path) else list(paths)
    batches = read_batches(
        paths,
        batch_size=BATCH,
        event_types=event_types,
        tel_id=tel_id,
        report=report.stream,
        is_checked=is_checked,
    )
    camera = camera_configuration(paths[0])
    shape = (camera.num_channels, max(camera.num_pixels, int(camera.pixel_id_map.max()) + 1))
    if coefficients["factor"].shape[1:] != shape:
        raise ConfigurationError(
            f"coefficients have {coefficients['factor'].shape[1:]} channels and pixels, the camera "
            f"of {Path(paths[0]).name} has {shape}; give those of this telescope"
        )
    rows = _Rows(coefficients)
    for batch in batches:
        yield from _images(batch, camera, rows, settings, report)


class _Rows:
    """Columns of coefficients that images need."""

    def __init__(self, table: Table):
        self.time = table["time"].unix_tai
        self.is_valid = np.asarray(table["is_valid"], bool)
        self.pedestal = np.asarray(table["pedestal_offset"], np.float32)
        self.factor = np.asarray(table["factor"], np.float32)
        self.time_shift = np.asarray(table["time_shift"], np.float32)
        self.is_masked = np.asarray(table["outlier_mask"], bool)

    def of(self, time: np.ndarray) -> np.ndarray:
        """Row that holds at each time, -1 before the first (1 s of grace, as in ctapipe)."""
        row = np.searchsorted(self.time, time, side="right") - 1
        return np.where((row < 0) & (time >= self.time[0] - 1.0), 0, row)


def _images(
    batch: Dl0Batch,
    camera: CameraConfiguration,
    rows: _Rows,
    settings: ImageSettings,
    report: CalibrationReport,
) -> Iterator[ImageBatch]:
    """Images of the events of a batch that are covered, row by row of the coefficients."""
    row_of_event = rows.of(batch.time)
    report.n_before += int(np.count_nonzero(row_of_event < 0))
    n_samples = batch.waveform.shape[-1]
    if settings.window_width > n_samples:
        raise ConfigurationError(
            f"a window of {settings.window_width} samples does not fit into waveforms of "
            f"{n_samples}; choose a shorter one, for coefficients and images alike"
        )
    for row in np.unique(row_of_event[row_of_event >= 0]):
        own = np.flatnonzero(row_of_event == row)
        if not rows.is_valid[row]:
            report.n_invalid += own.size
            continue
        yield _calibrated(batch, own, camera, rows, row, settings)


def _calibrated(
    batch: Dl0Batch,
    events: np.ndarray,
    camera: CameraConfiguration,
    rows: _Rows,
    row: int,
    settings: ImageSettings,
) -> ImageBatch:
    waveform = batch.waveform
    if camera.waveform_scale != 1 or camera.waveform_offset != 0:
        waveform = adc_waveform(batch, camera)
    rate = camera.sampling_frequency / 1000  # GHz
    n_pixels = waveform.shape[2]
    shape = (events.size, n_pixels)
    image, peak = np.empty(shape, np.float32), np.empty(events.size, np.int64)
    is_saturated = np.empty(shape, bool)
    is_good = batch.is_stored[events] & ~rows.is_masked[row].any(axis=0)
    shift = np.nan_to_num(rows.time_shift[row]) * rate
    _image_kernel(
        waveform,
        events,
        _channel(batch, camera.num_channels)[events],
        rows.pedestal[row],
        rows.factor[row],
        np.rint(shift).astype(np.int64),
        is_good,
        settings.window_width,
        settings.window_shift,
        np.float32(settings.saturation),
        image,
        peak,
        is_saturated,
    )
    is_unusable = ~(is_good & np.isfinite(image))
    image[is_unusable] = 0
    return ImageBatch(
        event_id=batch.event_id[events],
        time=batch.time[events],
        image=image,
        is_unusable=is_unusable,
        is_saturated=is_saturated & ~is_unusable,
        peak_time=((peak + 0.5) / rate).astype(np.float32),
    )


def _channel(batch: Dl0Batch, n_channels: int) -> np.ndarray:
    """Channel of each stored waveform, (n, n_pixels) int8; -1 where all channels are stored."""
    status = batch.pixel_status
    if batch.waveform.shape[1] == n_channels:
        return np.full(status.shape, -1 if n_channels > 1 else 0, np.int8)
    if np.any(batch.is_stored & ((status & (HIGH_GAIN_STORED | LOW_GAIN_STORED)) == 0)):
        raise CorruptedInputError(
            "gain-selected events do not say which gain is stored (bits 2 and 3 of pixel_status); "
            "get the files again"
        )
    return np.where(status & LOW_GAIN_STORED, 1, 0).astype(np.int8)


@numba.njit(cache=True, nogil=True)
def _image_kernel(
    waveform: NDArray,
    events: NDArray,
    channels: NDArray,
    pedestal: NDArray,
    factor: NDArray,
    shift: NDArray,
    is_good: NDArray,
    width: int,
    before: int,
    saturation: np.float32,
    image: NDArray,
    peaks: NDArray,
    is_saturated: NDArray,
) -> None:
    _, n_stored, n_pixels, n_samples = waveform.shape
    total = np.empty(n_samples, np.float64)
    used = np.empty(n_pixels, np.int64)
    for k in range(events.size):
        event = events[k]
        total[:] = 0.0
        for pixel in range(n_pixels):
            channel = channels[k, pixel]
            place = 0  # of the waveform among the stored ones
            if channel < 0:
                channel = 0
                for i in range(n_samples):
                    if waveform[event, 0, pixel, i] > saturation:
                        channel = 1
                place = channel
            highest = np.float32(waveform[event, place, pixel, 0])
            gain, base = factor[channel, pixel], pedestal[channel, pixel]
            moved = shift[channel, pixel]
            for i in range(n_samples):
                highest = max(highest, np.float32(waveform[event, place, pixel, i]))
            used[pixel] = channel
            is_saturated[k, pixel] = highest > saturation
            if not (is_good[k, pixel] and np.isfinite(gain * base)):
                continue  # it would hide the peak of the others
            for i in range(max(0, -moved), min(n_samples, n_samples - moved)):
                total[i] += gain * (np.float32(waveform[event, place, pixel, i + moved]) - base)
        peak = np.argmax(total)
        peaks[k] = peak
        for pixel in range(n_pixels):
            channel = used[pixel]
            place = channel if n_stored > 1 else 0
            first = peak + shift[channel, pixel] - before
            first = min(max(first, 0), n_samples - width)  # the whole window, inside
            charge = np.float32(0.0)
            for i in range(first, first + width):
                charge += np.float32(waveform[event, place, pixel, i]) - pedestal[channel, pixel]
            image[k, pixel] = factor[channel, pixel] * charge
