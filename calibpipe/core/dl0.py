"""Batched reading of DL0 telescope streams: protobuf messages in, arrays of many events out.

One telescope writes several parallel streams (``SDH001``, ``SDH002``, ...), each a sequence of
consecutive files (``CHUNK000``, ``CHUNK001``, ...). All are merged in the order of time into
batches of one shape. Pixels come in the order of the camera geometry, as ctapipe-io-zfits gives
them; memory holds one batch for each shape. What a file cannot be is said before its first event.
"""

import heapq
import re
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from .exceptions import (
    ConfigurationError,
    CorruptedInputError,
    InsufficientStatisticsError,
    MissingInputError,
)

__all__ = [
    "CameraConfiguration",
    "Dl0Batch",
    "StreamReport",
    "adc_waveform",
    "camera_configuration",
    "check_file",
    "read_batches",
    "stream_sequences",
]

EVENT_MESSAGE = "DL0v1.Telescope.Event"
FILE_NAME = re.compile(r"TEL(?P<tel_id>\d+)_(?P<stream>SDH\d+)_.*?_?CHUNK(?P<chunk>\d+)\.fits\.fz$")
# protobuf packages of the events of other data levels, by the names that protozfits knows
OTHER_LEVELS = {
    "R1": "R0 of an LST (the camera's own format, before the calibration by ACADA)",
    "ProtoR1": "R0 of an LST (the camera's own format, before the calibration by ACADA)",
    "DataModel": "R0 of a NectarCAM or DigiCam (the camera's own format)",
    "ProtoDataModel": "R0 of a NectarCAM or DigiCam (the camera's own format)",
    "R1v1": "R1",
    "CTAR1": "R1",
}
FITS_BLOCK = 2880  # bytes; FITS standard 4.0 (2018), 3.1
DVR_STATUS = 0b11  # bits of pixel_status: 0 = waveform not stored; R1/DL0 data model, PixelStatus
DVR_STORED = 0b10  # what ctapipe-io-zfits writes where ACADA left both bits at zero
QUARTER_NANOSECOND = 0.25e-9  # s
# ASSUME: an event that is stored twice follows its twin within this many events
DUPLICATE_WINDOW = 100_000


@dataclass(frozen=True)
class CameraConfiguration:
    """What holds for all events of a file: from its tables CameraConfiguration and DataStream.

    Waveforms in ADC counts are ``stored / waveform_scale - waveform_offset``;
    `sampling_frequency` is in MHz; `pixel_id_map` (num_pixels,) has the pixel of the geometry
    for each stored position.
    """

    tel_id: int
    sb_id: int
    obs_id: int
    camera_config_id: int
    num_pixels: int
    num_channels: int
    num_samples: int
    sampling_frequency: int
    waveform_scale: float
    waveform_offset: float
    pixel_id_map: np.ndarray


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
    """

    event_id: np.ndarray
    time: np.ndarray
    time_s: np.ndarray
    time_qns: np.ndarray
    event_type: np.ndarray
    waveform: np.ndarray
    pixel_status: np.ndarray

    def __len__(self) -> int:
        return len(self.event_id)

    @property
    def is_stored(self) -> np.ndarray:
        """Whether the waveform of a pixel is there, (n, n_pixels)."""
        return (self.pixel_status & DVR_STATUS) != 0


@dataclass
class StreamReport:
    """What a reading met that did not stop it; filled while the batches are read.

    `first` names file and event of the first case of each kind.
    """

    n_events: int = 0
    n_selected: int = 0
    n_out_of_order: int = 0
    n_duplicated: int = 0
    n_missing_event_ids: int = 0
    first: dict[str, str] = field(default_factory=dict)

    def remarks(self) -> list[str]:
        """Sentences about all that is not as it should be; empty if all is well."""
        texts = {
            "n_out_of_order": "events earlier than one before them in their stream",
            "n_duplicated": "events stored twice (read once)",
            "n_missing_event_ids": "event numbers absent between the first and the last",
        }
        return [
            f"{getattr(self, name)} {text}" + (f", first {where}" if where else "")
            for name, text in texts.items()
            if getattr(self, name)
            for where in [self.first.get(name)]
        ]


def check_file(path: str | Path) -> None:
    """Complain about a file that cannot be read to its end as DL0 of one telescope.

    The library that unpacks the files answers a file that lacks its end with invented events,
    so the size is compared with what the headers announce.

    Raises
    ------
    MissingInputError
        If there is no such file.
    CorruptedInputError
        If it is not FITS, not DL0 (R0 of a camera, R1, a subarray trigger stream), shorter than
        its headers say, or still being written.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingInputError(f"{path} does not exist; give an existing DL0 file")
    try:
        headers, end = _headers(path)
        size = path.stat().st_size
    except OSError as error:
        raise CorruptedInputError(
            f"{path.name} cannot be read: {error.strerror}; look at its permissions and its disk"
        ) from error
    messages = {h["EXTNAME"]: h.get("PBFHEAD") for h in headers if "EXTNAME" in h}
    if messages.get("Events") != EVENT_MESSAGE:
        found = ", ".join(f"{table} of {message}" for table, message in messages.items())
        package = str(messages.get("Events")).partition(".")[0]
        raise CorruptedInputError(
            f"{path.name} is {OTHER_LEVELS.get(package, 'something else')}, not DL0: it has the "
            f"tables {found or 'none'}, needed is Events of {EVENT_MESSAGE}; give DL0 files"
        )
    for table in ("DataStream", "CameraConfiguration"):
        if table not in messages:
            raise CorruptedInputError(
                f"{path.name} has no table {table}, without which waveforms cannot be "
                "understood; get the file again"
            )
    announced = sum(h["NAXIS2"] for h in headers if h.get("EXTNAME") == "Events")
    if end > size:
        raise CorruptedInputError(
            f"{path.name} is truncated: {size} bytes of the {end} its headers announce; "
            "copy it again, or wait until the copy is complete"
        )
    if end < size or "DATE-END" not in headers[-1]:
        raise CorruptedInputError(
            f"{path.name} is still being written: its headers announce {end} bytes and "
            f"{announced} tiles of events, it has {size} bytes; wait until it is closed"
        )


def _headers(path: Path) -> tuple[list[Any], int]:
    """All FITS headers of a file and the position of its announced end in bytes."""
    import warnings

    from astropy.io import fits

    headers, position, size = [], 0, path.stat().st_size
    with path.open("rb") as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # judged here, with the name of the file
        while position < size:
            stream.seek(position)
            try:
                header = fits.Header.fromfile(stream, endcard=True)
                data = header["NAXIS"] and header["NAXIS1"] * header["NAXIS2"] + header["PCOUNT"]
            except (OSError, EOFError, KeyError, ValueError, fits.VerifyError) as error:
                if headers and "Events" in [h.get("EXTNAME") for h in headers]:
                    break  # more bytes than the headers announce: told by the sizes
                raise CorruptedInputError(
                    f"{path.name} is no complete FITS file: no header at byte {position} of "
                    f"{size} ({str(error) or type(error).__name__}); it is still being written "
                    "or damaged: wait until it is closed, or copy it again"
                ) from error
            headers.append(header)
            position = -(-(stream.tell() + data) // FITS_BLOCK) * FITS_BLOCK
    return headers, position


def camera_configuration(path: str | Path) -> CameraConfiguration:
    """Configuration of the camera and of the stream, from one DL0 file.

    Raises
    ------
    MissingInputError
        If there is no such file.
    CorruptedInputError
        As in `check_file`; if the configuration changes within the file; or if a pixel is
        mapped twice.
    """
    path = Path(path)
    check_file(path)
    import protozfits
    from google.protobuf.message import DecodeError

    try:
        with protozfits.File(str(path)) as file:
            streams, cameras = list(file.DataStream), list(file.CameraConfiguration)
    except (RuntimeError, DecodeError, ValueError) as error:
        raise CorruptedInputError(
            f"{path.name}: DataStream or CameraConfiguration cannot be unpacked ({error}); "
            "the file is damaged, get it again"
        ) from error
    if not streams or not cameras:
        raise CorruptedInputError(f"{path.name}: DataStream or CameraConfiguration has no row")
    configurations = [_configuration(stream, cameras[0]) for stream in streams]
    configurations += [_configuration(streams[0], camera) for camera in cameras[1:]]
    first = configurations[0]
    for other in configurations[1:]:
        _require_same(first, other, path, path)
    if len(np.unique(first.pixel_id_map)) != first.num_pixels:
        raise CorruptedInputError(
            f"{path.name}: pixel_id_map has {len(np.unique(first.pixel_id_map))} different pixels "
            f"for {first.num_pixels} of the camera; the file is damaged, get it again"
        )
    return first


def _configuration(stream: Any, camera: Any) -> CameraConfiguration:
    return CameraConfiguration(
        tel_id=camera.tel_id,
        sb_id=stream.sb_id,
        obs_id=stream.obs_id,
        camera_config_id=camera.camera_config_id,
        num_pixels=camera.num_pixels,
        num_channels=camera.num_channels,
        num_samples=camera.num_samples_nominal,
        sampling_frequency=camera.sampling_frequency,
        waveform_scale=stream.waveform_scale,
        waveform_offset=stream.waveform_offset,
        pixel_id_map=np.array(camera.pixel_id_map),
    )


def _require_same(
    first: CameraConfiguration, other: CameraConfiguration, first_path: Path, other_path: Path
) -> None:
    for item in fields(CameraConfiguration):
        a, b = getattr(first, item.name), getattr(other, item.name)
        if np.array_equal(a, b):
            continue
        if item.name == "tel_id":
            raise ConfigurationError(
                f"{other_path.name} is of telescope {b}, {first_path.name} of {a}; "
                "read one telescope at a time"
            )
        values = "" if item.name == "pixel_id_map" else f" from {a} to {b}"
        raise CorruptedInputError(
            f"the camera configuration changes between {first_path.name} and {other_path.name}: "
            f"{item.name}{values}; calibrate the two parts separately"
        )


def stream_sequences(paths: Sequence[Path]) -> dict[str, list[Path]]:
    """Files of each parallel stream in the order of their chunks, complete or an error."""
    found: dict[str, dict[int, Path]] = {}
    for path in paths:
        match = FILE_NAME.match(path.name)
        if match is None:
            raise ConfigurationError(
                f"{path.name} is not the name of a finished DL0 file, which is like "
                "TEL001_SDH001_20260115T220000_SBID..._OBSID..._SUBARRAY_CHUNK000.fits.fz"
            )
        chunks = found.setdefault(match["stream"], {})
        if int(match["chunk"]) in chunks:
            raise ConfigurationError(
                f"chunk {int(match['chunk'])} of {match['stream']} is given twice: "
                f"{chunks[int(match['chunk'])].name} and {path.name}; give it once"
            )
        chunks[int(match["chunk"])] = path
    numbers = sorted(int(name.removeprefix("SDH")) for name in found)
    if absent := sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers)):
        raise MissingInputError(
            f"missing stream: SDH{absent[0]:03d} is not among {', '.join(sorted(found))}; "
            "give the files of all parallel streams"
        )
    start = min(min(chunks) for chunks in found.values())
    for name, chunks in found.items():
        if absent := sorted(set(range(start, max(chunks) + 1)) - set(chunks)):
            raise MissingInputError(
                f"missing file: chunk {absent[0]} of {name} (there are "
                f"{', '.join(map(str, sorted(chunks)))}); give all files in sequence"
            )
    return {name: [chunks[i] for i in sorted(chunks)] for name, chunks in sorted(found.items())}


@dataclass(frozen=True)
class _Event:
    """A message and where it comes from."""

    key: tuple[int, int]
    message: Any
    path: Path
    is_late: bool

    def __lt__(self, other: Self) -> bool:
        return self.key < other.key


def _events(paths: list[Path], tel_id: int) -> Iterator[_Event]:
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
                yield _Event(key, message, path, key < last)
                last = max(key, last)


def read_batches(
    paths: str | Path | Sequence[str | Path],
    *,
    batch_size: int = 100,
    event_types: Collection[int] | None = None,
    tel_id: int | None = None,
    report: StreamReport | None = None,
) -> Iterator[Dl0Batch]:
    """Events of one telescope in batches, from all its parallel streams and files.

    Streams are merged by time. Each batch has one shape of waveforms (dual-gain calibration
    events apart from gain-selected showers), at most `batch_size` events and is sorted by time;
    batches of one shape follow each other in time. Memory is one batch for each shape.

    Parameters
    ----------
    paths: path or sequence of paths
        All DL0 files of one telescope and one observation.
    batch_size: int
        Largest number of events in a batch.
    event_types: collection of int, optional
        Values of ctapipe's EventType wanted; all when not given.
    tel_id: int, optional
        Telescope that the files must be of.
    report: StreamReport, optional
        Filled with what was met: out-of-order and duplicated events, missing event numbers.

    Yields
    ------
    Dl0Batch

    Raises
    ------
    MissingInputError
        If a file, a chunk in the sequence or a parallel stream is missing.
    ConfigurationError
        If a file is of another telescope, given twice, or has the name of an unfinished file.
    CorruptedInputError
        If a file is not DL0, truncated, damaged, or still being written; if the configuration
        of the camera changes; or if an event contradicts it.
    InsufficientStatisticsError
        If there is no event of the types wanted.
    """
    files = [Path(p) for p in ([paths] if isinstance(paths, str | Path) else paths)]
    if batch_size < 1:
        raise ConfigurationError(f"batch_size must be at least 1, got {batch_size}")
    if not files:
        raise MissingInputError("no DL0 file is given; give all files of one telescope")
    streams = stream_sequences(files)
    camera = _common_configuration([p for chunks in streams.values() for p in chunks])
    if tel_id is not None and camera.tel_id != tel_id:
        raise ConfigurationError(
            f"{files[0].name} is of telescope {camera.tel_id}, wanted is {tel_id}; "
            "give the files of the wanted telescope"
        )
    report = StreamReport() if report is None else report
    wanted = None if event_types is None else frozenset(map(int, event_types))
    return _batches(streams, camera, batch_size, wanted, report)


def _common_configuration(files: list[Path]) -> CameraConfiguration:
    """Configuration of all files, which must be the same."""
    first = camera_configuration(files[0])
    for path in files[1:]:
        _require_same(first, camera_configuration(path), files[0], path)
    return first


def _batches(
    streams: dict[str, list[Path]],
    camera: CameraConfiguration,
    batch_size: int,
    wanted: frozenset[int] | None,
    report: StreamReport,
) -> Iterator[Dl0Batch]:
    buffers: dict[tuple[int, ...], _Buffer] = {}
    merged = heapq.merge(*(_events(files, camera.tel_id) for files in streams.values()))
    for event in _counted(merged, report):
        message = event.message
        if wanted is not None and message.event_type not in wanted:
            continue
        report.n_selected += 1
        key = (message.num_channels, message.num_samples, message.waveform.type)
        if key not in buffers:
            buffers[key] = _Buffer(camera, batch_size, event)
        buffer = buffers[key]
        buffer.add(event)
        if buffer.n == batch_size:
            yield buffer.batch()
            del buffers[key]
    if not report.n_selected:
        first = next(iter(streams.values()))[0].name
        raise InsufficientStatisticsError(
            f"no event of {'any type' if wanted is None else f'the types {sorted(wanted)}'} among "
            f"{report.n_events} of {first} and its parallel files; give files that have some"
        )
    for buffer in buffers.values():
        yield buffer.batch()


def _counted(events: Iterator[_Event], report: StreamReport) -> Iterator[_Event]:
    """All events but duplicates; what is met is counted."""
    recent: deque[int] = deque()
    known: set[int] = set()
    lowest = highest = None
    n_unique = 0
    for event in events:
        number = event.message.event_id
        report.n_events += 1
        if event.is_late:
            report.n_out_of_order += 1
            report.first.setdefault("n_out_of_order", f"event {number} in {event.path.name}")
        if number in known:
            report.n_duplicated += 1
            report.first.setdefault("n_duplicated", f"event {number} in {event.path.name}")
            continue
        known.add(number)
        recent.append(number)
        if len(recent) > DUPLICATE_WINDOW:
            known.discard(recent.popleft())
        n_unique += 1
        lowest = number if lowest is None else min(lowest, number)
        highest = number if highest is None else max(highest, number)
        report.n_missing_event_ids = highest - lowest + 1 - n_unique
        yield event


class _Buffer:
    """Rows of a batch that is being filled."""

    def __init__(self, camera: CameraConfiguration, size: int, event: _Event):
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

    def add(self, event: _Event) -> None:
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
        )
        order = np.lexsort((batch.time_qns, batch.time_s))
        if np.array_equal(order, np.arange(self.n)):
            return batch
        return replace(batch, **{f.name: getattr(batch, f.name)[order] for f in fields(batch)})


def _array(array: Any, event: _Event, name: str) -> np.ndarray:
    from protozfits.anyarray import ANY_ARRAY_TYPE_TO_NUMPY_TYPE

    dtype = np.dtype(ANY_ARRAY_TYPE_TO_NUMPY_TYPE[array.type])
    data = array.data  # each access copies
    if not dtype.itemsize or len(data) % dtype.itemsize:
        raise CorruptedInputError(
            f"{event.path.name}: {name} of event {event.message.event_id} has {len(data)} bytes, "
            f"no multiple of the {dtype.itemsize} bytes of its type; the file is damaged"
        )
    return np.frombuffer(data, dtype)


def _require_size(array: np.ndarray, size: int, event: _Event, name: str) -> None:
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
