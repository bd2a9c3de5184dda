"""Events of one DL0 stream: protobuf messages in, arrays of many events out.

Pixels come in the order of the camera geometry, as ctapipe-io-zfits gives them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from .dl0_camera import CameraConfiguration
from .exceptions import CorruptedInputError

__all__ = ["BatchBuffer", "Dl0Batch", "StoredEvent", "adc_waveform", "stream_events"]

DVR_STATUS = 0b11  # bits of pixel_status: 0 = waveform not stored; R1/DL0 data model, PixelStatus
DVR_STORED = 0b10  # what ctapipe-io-zfits writes where ACADA left both bits at zero
QUARTER_NANOSECOND = 0.25e-9  # s


@dataclass(frozen=True)
class Dl0Batch:
    """Consecutive events of one telescope and one shape.

    Attributes
    ----------
    event_id: ndarray, shape (n,), uint64
    time: ndarray, shape (n,), float64
        TAI seconds since 1970-01-01 (unix_tai), good to 0.2 µs; exactly: `time_s` and `time_qns`.
    time_s: ndarray, shape (n,), int64
    time_qns: ndarray, shape (n,), uint32
        Quarters of a nanosecond.
    event_type: ndarray, shape (n,), uint8
        Values of ctapipe's EventType.
    waveform: ndarray, shape (n, n_channels, n_pixels, n_samples)
        As stored (see `adc_waveform`), 0 where the pixel is not stored.
    pixel_status: ndarray, shape (n, n_pixels), uint8
        Bits of ctapipe's PixelStatus.
    first_cell: ndarray, shape (n, n_cells), uint16, or None
        Numbers of the capacitors that were read first, in the order of the camera's electronics
        (see `calibpipe.camera.drs4_readout`); None if they were not asked for.
    """

    event_id: np.ndarray
    time: np.ndarray
    time_s: np.ndarray
    time_qns: np.ndarray
    event_type: np.ndarray
    waveform: np.ndarray
    pixel_status: np.ndarray
    first_cell: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.event_id)

    def rows(self, which: np.ndarray) -> Self:
        """Some of the events, by their places or a mask."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{n: a[which] for n, a in arrays.items() if a is not None})

    @property
    def is_stored(self) -> np.ndarray:
        """Whether the waveform of a pixel is there, (n, n_pixels)."""
        return (self.pixel_status & DVR_STATUS) != 0


@dataclass(frozen=True)
class StoredEvent:
    """A message and where it comes from."""

    key: tuple[int, int]
    message: Any
    path: Path
    is_late: bool

    def __lt__(self, other: Self) -> bool:
        return self.key < other.key


def stream_events(paths: list[Path], tel_id: int) -> Iterator[StoredEvent]:
    """Events of one stream, file after file."""
    import protozfits
    from google.protobuf.message import DecodeError

    last = (0, 0)
    for path in paths:
        with protozfits.File(str(path), pure_protobuf=True) as file:
            table = file.Events
            for row in range(len(table)):
                try:
                    message = table[row]
                except (RuntimeError, DecodeError, ValueError) as error:
                    raise CorruptedInputError(
                        f"{path.name}: row {row + 1} of {len(table)} of Events cannot be "
                        f"unpacked ({error}); the file is damaged, get it again"
                    ) from error
                if message.tel_id != tel_id:
                    raise CorruptedInputError(
                        f"{path.name}: event {message.event_id} is of telescope "
                        f"{message.tel_id}, the file of {tel_id}; get the file again"
                    )
                key = (message.event_time_s, message.event_time_qns)
                yield StoredEvent(key, message, path, key < last)
                last = max(key, last)


class BatchBuffer:
    """Rows of a batch that is being filled."""

    def __init__(
        self,
        camera: CameraConfiguration,
        size: int,
        event: StoredEvent,
        *,
        with_first_cells: bool = False,
    ):
        self.camera = camera
        self.pixels = camera.pixel_id_map.astype(np.intp)
        self.n_pixels = max(camera.num_pixels, int(self.pixels.max()) + 1)
        self.is_plain = np.array_equal(self.pixels, np.arange(self.n_pixels))
        message = event.message
        dtype = _array(message.waveform, event, "waveform").dtype
        self.shape = (message.num_channels, self.n_pixels, message.num_samples)
        self.n = 0
        self.event_id = np.empty(size, np.uint64)
        self.time_s = np.empty(size, np.int64)
        self.time_qns = np.empty(size, np.uint32)
        self.event_type = np.empty(size, np.uint8)
        self.pixel_status = np.zeros((size, self.n_pixels), np.uint8)
        self.waveform = np.empty((size, *self.shape), dtype)
        self.first_cell = None
        if with_first_cells:
            self.first_cell = np.empty((size, _first_cells(event).size), np.uint16)

    def add(self, event: StoredEvent) -> None:
        """Fill the next row."""
        message, i = event.message, self.n
        n_channels, _, n_samples = self.shape
        n_stored = message.num_pixels_survived
        status = _array(message.pixel_status, event, "pixel_status")
        waveform = _array(message.waveform, event, "waveform")
        _require_size(status, self.camera.num_pixels, event, "pixel_status")
        _require_size(waveform, n_channels * n_stored * n_samples, event, "waveform")
        stored = (status & DVR_STATUS) != 0
        # as ctapipe-io-zfits: without volume reduction ACADA leaves the bits at zero
        if n_stored == self.camera.num_pixels and not stored.any():
            status = status | DVR_STORED
            stored = np.ones(len(status), bool)
        if np.count_nonzero(stored) != n_stored:
            raise CorruptedInputError(
                f"{event.path.name}: event {message.event_id} has waveforms of {n_stored} pixels "
                f"but {np.count_nonzero(stored)} marked as stored; the file is damaged"
            )
        waveform = waveform.reshape(n_channels, n_stored, n_samples)
        if self.is_plain and n_stored == self.n_pixels:
            self.waveform[i] = waveform
        else:
            self.waveform[i] = 0
            self.waveform[i][:, self.pixels[stored]] = waveform
        self.pixel_status[i, self.pixels] = status
        self.event_id[i] = message.event_id
        self.time_s[i], self.time_qns[i] = event.key
        self.event_type[i] = message.event_type
        if self.first_cell is not None:
            cells = _first_cells(event)
            _require_size(cells, self.first_cell.shape[1], event, "first_cell_id")
            self.first_cell[i] = cells
        self.n += 1

    def batch(self) -> Dl0Batch:
        """All rows filled so far, sorted by time."""
        rows = slice(0, self.n)
        batch = Dl0Batch(
            event_id=self.event_id[rows],
            time=self.time_s[rows] + self.time_qns[rows] * QUARTER_NANOSECOND,
            time_s=self.time_s[rows],
            time_qns=self.time_qns[rows],
            event_type=self.event_type[rows],
            waveform=self.waveform[rows],
            pixel_status=self.pixel_status[rows],
            first_cell=None if self.first_cell is None else self.first_cell[rows],
        )
        order = np.lexsort((batch.time_qns, batch.time_s))
        if np.array_equal(order, np.arange(self.n)):
            return batch
        return batch.rows(order)


def _array(array: Any, event: StoredEvent, name: str) -> np.ndarray:
    from protozfits.anyarray import ANY_ARRAY_TYPE_TO_NUMPY_TYPE

    dtype = np.dtype(ANY_ARRAY_TYPE_TO_NUMPY_TYPE[array.type])
    data = array.data  # each access copies
    if not dtype.itemsize or len(data) % dtype.itemsize:
        raise CorruptedInputError(
            f"{event.path.name}: {name} of event {event.message.event_id} has {len(data)} bytes, "
            f"no multiple of the {dtype.itemsize} bytes of its type; the file is damaged"
        )
    return np.frombuffer(data, dtype)


def _first_cells(event: StoredEvent) -> np.ndarray:
    """Of an event; empty if the camera server writes none."""
    if not event.message.first_cell_id.data:
        return np.zeros(0, np.uint16)
    return _array(event.message.first_cell_id, event, "first_cell_id")


def _require_size(array: np.ndarray, size: int, event: StoredEvent, name: str) -> None:
    if array.size != size:
        raise CorruptedInputError(
            f"{event.path.name}: {name} of event {event.message.event_id} has {array.size} "
            f"values, needed are {size} for its channels, pixels and samples; the file is damaged"
        )


def adc_waveform(batch: Dl0Batch, camera: CameraConfiguration) -> np.ndarray:
    """Waveforms in ADC counts, float32 (n, n_channels, n_pixels, n_samples).

    ``stored / scale - offset``; 0 where a pixel is not stored, as in ctapipe-io-zfits.
    """
    waveform = batch.waveform.astype(np.float32)
    if camera.waveform_scale != 1:
        waveform /= np.float32(camera.waveform_scale)
    if camera.waveform_offset != 0:
        waveform -= np.float32(camera.waveform_offset)
        if not (is_stored := batch.is_stored).all():
            event, pixel = np.nonzero(~is_stored)
            waveform[event, :, pixel] = 0
    return waveform
