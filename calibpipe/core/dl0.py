"""Batched reading of the DL0 of one telescope: all its parallel streams and files by time.

One telescope writes several parallel streams (``SDH001``, ``SDH002``, ...), each a sequence of
consecutive files (``CHUNK000``, ``CHUNK001``, ...). All are merged in the order of time into
batches of one shape; memory holds one batch for each shape.
"""

import heapq
import re
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .dl0_camera import CameraConfiguration, camera_configuration, require_same_camera
from .dl0_checks import check_file
from .dl0_events import BatchBuffer, Dl0Batch, StoredEvent, stream_events
from .exceptions import ConfigurationError, InsufficientStatisticsError, MissingInputError

__all__ = ["StreamReport", "read_batches", "stream_sequences"]

FILE_NAME = re.compile(r"TEL(?P<tel_id>\d+)_(?P<stream>SDH\d+)_.*?_?CHUNK(?P<chunk>\d+)\.fits\.fz$")
# ASSUME: an event that is stored twice follows its twin within this many events
DUPLICATE_WINDOW = 100_000


@dataclass
class StreamReport:
    """What a reading met that did not stop it; filled while the batches are read.

    `first` names file and event of the first case of each kind. Event numbers are those of the
    array: `n_missing_event_ids` counts events of other telescopes, too, and is no remark.
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
        }
        return [
            f"{getattr(self, name)} {text}" + (f", first {where}" if where else "")
            for name, text in texts.items()
            if getattr(self, name)
            for where in [self.first.get(name)]
        ]


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


def read_batches(
    paths: str | Path | Sequence[str | Path],
    *,
    batch_size: int = 100,
    event_types: Collection[int] | None = None,
    tel_id: int | None = None,
    report: StreamReport | None = None,
    is_checked: bool = False,
    with_first_cells: bool = False,
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
    is_checked: bool
        Whether `check_file` has found the checksums of the events right, as in the index of the
        night; they are added up first when not.
    with_first_cells: bool
        Whether the numbers of the capacitors that were read first are wanted.

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
    if not is_checked:
        for path in files:
            check_file(path, with_events=True)
    camera = _common_configuration([p for chunks in streams.values() for p in chunks])
    if tel_id is not None and camera.tel_id != tel_id:
        raise ConfigurationError(
            f"{files[0].name} is of telescope {camera.tel_id}, wanted is {tel_id}; "
            "give the files of the wanted telescope"
        )
    report = StreamReport() if report is None else report
    wanted = None if event_types is None else frozenset(map(int, event_types))
    return _batches(streams, camera, batch_size, wanted, report, with_first_cells)


def _common_configuration(files: list[Path]) -> CameraConfiguration:
    """Configuration of all files, which must be the same."""
    first = camera_configuration(files[0])
    for path in files[1:]:
        require_same_camera(first, camera_configuration(path), files[0], path)
    return first


def _batches(
    streams: dict[str, list[Path]],
    camera: CameraConfiguration,
    batch_size: int,
    wanted: frozenset[int] | None,
    report: StreamReport,
    with_first_cells: bool,
) -> Iterator[Dl0Batch]:
    buffers: dict[tuple[int, ...], BatchBuffer] = {}
    merged = heapq.merge(*(stream_events(files, camera.tel_id) for files in streams.values()))
    others = set()
    for event in _counted(merged, report):
        message = event.message
        if wanted is not None and message.event_type not in wanted:
            others.add(int(message.event_type))
            continue
        report.n_selected += 1
        key = (message.num_channels, message.num_samples, message.waveform.type)
        if key not in buffers:
            buffers[key] = BatchBuffer(camera, batch_size, event, with_first_cells=with_first_cells)
        buffer = buffers[key]
        buffer.add(event)
        if buffer.n == batch_size:
            yield buffer.batch()
            del buffers[key]
    if not report.n_selected:
        first = next(iter(streams.values()))[0].name
        asked = "" if wanted is None else f"{_type_names(wanted)} "
        there = f", but {_type_names(others)}: a run of another type?" if others else ""
        raise InsufficientStatisticsError(
            f"no {asked}event among {report.n_events} of {first} and its parallel files{there}; "
            "give files that have some"
        )
    for buffer in buffers.values():
        yield buffer.batch()


def _type_names(values: Collection[int]) -> str:
    """Names of types of events."""
    from ctapipe.containers import EventType

    known = {kind.value: kind.name for kind in EventType}
    return " or ".join(known.get(value, str(value)) for value in sorted(values))


def _counted(events: Iterator[StoredEvent], report: StreamReport) -> Iterator[StoredEvent]:
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
