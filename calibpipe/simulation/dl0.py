"""DL0 streams of one telescope in the observatory's own format and folders (ACADA to DPPS).

::

    DL0/<array element>/<user>/acada-adh/events/YYYY/MM/DD/TEL001_SDH000_<time>_SBID..._OBSID..._TEL_SHOWER_CHUNK000.fits.fz
    DL0/ARRAY/<user>/acada-adh/triggers/YYYY/MM/DD/SUB001_SWAT001_<time>_SBID..._OBSID..._SUBARRAY_CHUNK000.fits.fz

The folders carry the date of the evening, the file names the start in UTC. Events are dealt out to
the parallel streams (SDH) in turn; `ctapipe_io_zfits` merges them again by event number. The triggers
are those of `array_triggers`.
"""  # noqa: E501

import ctypes
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Self

import astropy.units as u
import numpy as np
from astropy.time import Time
from ctapipe.containers import PixelStatus
from ctapipe.time import time_to_ctao_high_res
from numpy.typing import ArrayLike, NDArray
from protozfits import DL0v1_Telescope_pb2 as dl0_telescope
from protozfits import FlatProtobufZOFits
from protozfits.anyarray import numpy_to_any_array

from ..core.exceptions import ConfigurationError
from ..core.files import atomic_path

__all__ = ["COMPRESSIONS", "Dl0Observation", "Dl0Writer", "event_times", "zfits_file"]

COMPRESSIONS = ("raw", "zstd1", "fact")  # fastest first, smallest last
QUARTER_NANOSECONDS = 4_000_000_000  # in a second: the unit of the fraction of DL0 time stamps
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h of glibc
_ROWS_PER_TILE = 10  # 3 MB of dual-gain LST events; twice as many take twice as long to write
_HIGH_STORED = PixelStatus.DVR_0 | PixelStatus.HIGH_GAIN_STORED
_LOW_STORED = PixelStatus.DVR_0 | PixelStatus.LOW_GAIN_STORED
_GAIN_STORED = np.array([_HIGH_STORED, _LOW_STORED], np.uint8)
_BOTH_STORED = np.uint8(_HIGH_STORED | _LOW_STORED)


@dataclass(frozen=True)
class Dl0Observation:
    """What one telescope records of an observation block, and where the files lie.

    Parameters
    ----------
    folder : Path
        Data root, the parent of ``DL0``.
    tel_id, array_element : int, str
        Telescope: 1, ``LSTN-01``.
    subarray_id, sb_id, obs_id : int
        Numbers of subarray, scheduling block and observation block: the same for all telescopes.
    evening : date
        Night.
    start : Time
        Begin of the block.
    n_pixels, n_samples : int
        Size of a waveform.
    sampling_rate : Quantity
        Of the camera.
    n_channels : int
        Gain channels of the camera: 2, or 1 (FlashCam).
    pixels_per_module : int
        7 in LST and NectarCAM, 12 in FlashCam.
    user : str
        Account of the data acquisition.
    n_streams : int
        Parallel streams (SDH).
    """

    folder: Path
    tel_id: int
    array_element: str
    subarray_id: int
    sb_id: int
    obs_id: int
    evening: date
    start: Time
    n_pixels: int
    n_samples: int
    sampling_rate: u.Quantity
    n_channels: int = 2
    pixels_per_module: int = 7
    user: str = "ctao-n-acada"
    n_streams: int = 1

    def _folder(self, element: str, kind: str) -> Path:
        day = self.evening.strftime("%Y/%m/%d")
        return Path(self.folder) / "DL0" / element / self.user / "acada-adh" / kind / day

    @property
    def _name(self) -> str:
        start = self.start.utc.strftime("%Y%m%dT%H%M%S")
        return f"{start}_SBID{self.sb_id:019d}_OBSID{self.obs_id:019d}"

    @property
    def n_modules(self) -> int:
        """Modules of the camera; the last one may have fewer pixels."""
        return -(-self.n_pixels // self.pixels_per_module)

    @property
    def waveform_shape(self) -> tuple[int, int, int]:
        """Channels, pixels and samples of an event."""
        return self.n_channels, self.n_pixels, self.n_samples

    @property
    def event_paths(self) -> tuple[Path, ...]:
        """Telescope event files, one a stream."""
        folder = self._folder(self.array_element, "events")
        return tuple(
            folder / f"TEL{self.tel_id:03d}_SDH{i:03d}_{self._name}_TEL_SHOWER_CHUNK000.fits.fz"
            for i in range(self.n_streams)
        )

    @property
    def trigger_path(self) -> Path:
        """Subarray trigger file of the block."""
        folder = self._folder("ARRAY", "triggers")
        return folder / f"SUB{self.subarray_id:03d}_SWAT001_{self._name}_SUBARRAY_CHUNK000.fits.fz"


def event_times(start: Time, seconds: ArrayLike) -> tuple[NDArray, NDArray]:
    """Time stamps of events: TAI seconds since 1970 and quarter nanoseconds.

    Parameters
    ----------
    start : Time
        Scalar.
    seconds : ndarray, shape (n,)
        Seconds after `start`, rounded to quarter nanoseconds.

    Returns
    -------
    second, quarter_nanosecond : ndarray, shape (n,), int64
    """
    first = [int(part) for part in np.ravel(time_to_ctao_high_res(start))]
    after = np.rint(np.asarray(seconds, dtype=float) * QUARTER_NANOSECONDS).astype(np.int64)
    carry, quarter_nanosecond = np.divmod(after + first[1], QUARTER_NANOSECONDS)
    return first[0] + carry, quarter_nanosecond


class Dl0Writer:
    """Writer of the streams of one telescope; they appear complete or not at all.

    Use as a context manager. If the block fails, no file is left and old ones are untouched.

    Parameters
    ----------
    observation : Dl0Observation
        What is written, and where.
    n_events : int
        How many events will be written at most: the file's index is made for them.
    compression : str
        ``raw`` (fastest), ``zstd1`` or ``fact`` (smallest).

    Raises
    ------
    ConfigurationError
        If the compression is unknown, more events come than said, one has another size, or low
        gain is selected of a camera with one channel.
    StorageError
        If a file cannot be written.
    """

    def __init__(self, observation: Dl0Observation, n_events: int, compression: str = "raw"):
        if compression not in COMPRESSIONS:
            raise ConfigurationError(
                f"unknown compression {compression!r} of DL0; choose one of {COMPRESSIONS}"
            )
        self.observation = observation
        self.n_events = n_events
        self.compression = compression
        self.n_written = 0
        stored = _BOTH_STORED if observation.n_channels > 1 else _HIGH_STORED
        self._all_stored = numpy_to_any_array(np.full(observation.n_pixels, stored, np.uint8))
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        _keep_freed_memory()
        with ExitStack() as stack:
            self._streams = [
                stack.enter_context(zfits_file(path, self.n_events))
                for path in self.observation.event_paths
            ]
            for stream in self._streams:
                self._begin_stream(stream)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> bool | None:
        # protozfits 2.13 breaks the process (stdio's list of files: segmentation fault or endless
        # loop at exit) when a table is closed without a row: an empty one gets a row, and goes
        empty = max(len(self._streams) - self.n_written, 0)
        for stream in self._streams[self.n_written :]:
            stream.write_message(dl0_telescope.Event())
        if error[0] is None and empty:
            problem = ConfigurationError(
                f"{empty} of {len(self._streams)} streams of {self.observation.array_element} got "
                f"no event ({self.n_written} written): write more events or ask for fewer streams"
            )
            self._stack.__exit__(type(problem), problem, None)
            raise problem
        return self._stack.__exit__(*error)

    def _begin_stream(self, stream: Any) -> None:
        obs = self.observation
        stream.move_to_new_table("DataStream")
        stream.write_message(
            dl0_telescope.DataStream(
                tel_id=obs.tel_id,
                sb_id=obs.sb_id,
                obs_id=obs.obs_id,
                waveform_scale=1.0,
                waveform_offset=0.0,
                sb_creator_id=2,
            )
        )
        stream.move_to_new_table("CameraConfiguration")
        stream.write_message(
            dl0_telescope.CameraConfiguration(
                tel_id=obs.tel_id,
                local_run_id=obs.obs_id,
                config_time_s=obs.start.unix_tai,
                camera_config_id=1,
                num_pixels=obs.n_pixels,
                num_modules=obs.n_modules,
                num_channels=obs.n_channels,
                pixel_id_map=numpy_to_any_array(np.arange(obs.n_pixels, dtype=np.uint16)),
                module_id_map=numpy_to_any_array(np.arange(obs.n_modules, dtype=np.uint16)),
                num_samples_nominal=obs.n_samples,
                num_samples_long=0,
                sampling_frequency=round(obs.sampling_rate.to_value(u.MHz)),
            )
        )
        stream.move_to_new_table("Events")
        if self.compression != "raw":
            with _without_chatter():
                stream.request_explicit_compression("waveform", self.compression)

    def write(
        self,
        event_id: int,
        second: int,
        quarter_nanosecond: int,
        event_type: int,
        waveform: NDArray,
        selected_gain: NDArray | None = None,
    ) -> None:
        """Append an event to its stream.

        Parameters
        ----------
        event_id : int
            Ascending from event to event.
        second, quarter_nanosecond : int
            Time stamp, TAI (`event_times`).
        event_type : int
            Value of `ctapipe.containers.EventType`.
        waveform : ndarray, shape (n_channels, n_pixels, n_samples), uint16
            ADC counts.
        selected_gain : ndarray, shape (n_pixels,), optional
            Channel kept in each pixel; without it all are stored.
        """
        obs = self.observation
        self._check(event_id, waveform, selected_gain)
        if selected_gain is None:
            status = self._all_stored
        else:
            status = numpy_to_any_array(_GAIN_STORED[selected_gain])
            low = selected_gain[:, np.newaxis]
            waveform = np.where(low, waveform[-1], waveform[0])[np.newaxis]
        message = dl0_telescope.Event(
            event_id=event_id,
            tel_id=obs.tel_id,
            event_type=event_type,
            event_time_s=second,
            event_time_qns=quarter_nanosecond,
            pixel_status=status,
            waveform=numpy_to_any_array(waveform),
            num_channels=len(waveform),
            num_samples=obs.n_samples,
            num_pixels_survived=obs.n_pixels,
        )
        self._streams[self.n_written % obs.n_streams].write_message(message)
        self.n_written += 1

    def _check(self, event_id: int, waveform: NDArray, selected_gain: NDArray | None) -> None:
        obs = self.observation
        if self.n_written >= self.n_events:
            raise ConfigurationError(
                f"event {event_id} of {obs.array_element} is one more than the {self.n_events} "
                "announced; open the writer with a larger `n_events`"
            )
        expected = obs.waveform_shape
        if waveform.shape != expected or waveform.dtype != np.uint16:
            raise ConfigurationError(
                f"waveform of event {event_id} of {obs.array_element} is {waveform.dtype} of shape "
                f"{waveform.shape}, needs uint16 of shape {expected}"
            )
        if selected_gain is not None and obs.n_channels == 1 and np.any(selected_gain):
            raise ConfigurationError(
                f"{np.count_nonzero(selected_gain)} pixels of event {event_id} of "
                f"{obs.array_element} select low gain, which a camera with one channel does not "
                "have; select channel 0"
            )


def _keep_freed_memory() -> None:
    """Have the C library keep freed memory, up to 1 GB, for what comes next.

    protozfits allocates and frees megabytes for every tile. glibc hands them back, and a third of
    the time of writing is the kernel's, giving and clearing them anew. Other C libraries have no
    such setting.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(_M_TRIM_THRESHOLD, 1 << 30)
        mallopt(_M_MMAP_THRESHOLD, 1 << 30)


@contextmanager
def zfits_file(path: Path, n_events: int) -> Iterator[Any]:
    """A new file for as many events, which appears complete or not at all.

    protozfits breaks the process when a table of it is closed without a row.
    """
    n_tiles = n_events // _ROWS_PER_TILE + 2  # fewer than written: the file cannot be read back
    with atomic_path(path) as temporary:
        temporary.unlink()  # protozfits wants to make the file itself
        with _without_chatter():
            stream = FlatProtobufZOFits(
                n_tiles=n_tiles, rows_per_tile=_ROWS_PER_TILE, compression_block_size_kb=64 * 1024
            )
            stream.open(str(temporary))
        try:
            yield stream
        finally:
            with _without_chatter():
                stream.close()


@contextmanager
def _without_chatter() -> Iterator[None]:
    """The C++ library greets and takes leave on standard output, whatever its user wants."""
    kept = os.dup(1)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        try:
            yield
        finally:
            os.dup2(kept, 1)
            os.close(kept)
