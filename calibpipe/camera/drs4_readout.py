"""Which capacitors of the DRS4 chips an event reads, and how long after they were read before.

An LST module has 7 pixels and 8 numbers of first capacitors: 4 of the chips of high gain and 4 of
those of low gain. A chip serves two pixels of a gain, the last one a single pixel.

References
----------
Sitarek et al. 2013, NIM A 723, 109, arXiv:1305.1007. ctapipe_io_lst: order of the chips (Dragon
version 5), capacitors that are read besides.
"""

import numpy as np
from numba import njit

from ..core.dl0_camera import CameraConfiguration
from ..core.exceptions import ConfigurationError, MissingInputError
from .drs4 import RING

__all__ = ["CapacitorClock", "chip_of_channel", "first_capacitors", "is_read_besides"]

CHIP = 1024  # capacitors
PIXELS_OF_MODULE = 7
CHIPS_OF_MODULE = 8
_CHIP_OF_PIXEL = np.array([[0, 0, 1, 1, 2, 2, 3], [4, 4, 5, 5, 6, 6, 7]])  # high, low gain
_LAST_QUARTER = 767
_BESIDES = 12  # capacitors
_NEVER = -1


def chip_of_channel(n_modules: int) -> np.ndarray:
    """Place in the numbers of first capacitors, (2, 7 n_modules), by stored position of a pixel."""
    module = np.arange(n_modules) * CHIPS_OF_MODULE
    return (module[:, np.newaxis] + _CHIP_OF_PIXEL[:, np.newaxis]).reshape(2, -1)


def is_read_besides(camera: CameraConfiguration) -> np.ndarray:
    """Pixels, (n_pixels,), with an even place in their module, where more capacitors are read."""
    found = np.zeros(_size(camera), bool)
    place = np.arange(camera.num_pixels) % PIXELS_OF_MODULE
    found[camera.pixel_id_map] = place % 2 == 0
    return found


def _size(camera: CameraConfiguration) -> int:
    return max(camera.num_pixels, int(camera.pixel_id_map.max()) + 1)


def first_capacitors(first_cell: np.ndarray, camera: CameraConfiguration) -> np.ndarray:
    """Capacitor that was read first in every pixel and gain.

    Parameters
    ----------
    first_cell : array, (n_events, n_numbers)
        As stored: 8 for each module (LST), or one for each pixel and gain, high gain first.
    camera : CameraConfiguration

    Returns
    -------
    array, (n_events, n_channels, n_pixels), int32
        Pixels in the order of the geometry.

    Raises
    ------
    MissingInputError
        If there are none, or all are zero.
    ConfigurationError
        If their number is neither of both, or one is beyond the ring.
    """
    first_cell = np.asarray(first_cell)
    if not first_cell.any():
        raise MissingInputError(
            f"no numbers of first capacitors in telescope {camera.tel_id}, observation "
            f"{camera.obs_id} (first_cell_id is {'zero' if first_cell.size else 'empty'}): the "
            "camera server has corrected the data or does not write them; give a run of raw data"
        )
    shape = camera.num_channels, camera.num_pixels
    n = first_cell.shape[1]
    n_modules = camera.num_pixels // PIXELS_OF_MODULE
    if n == np.prod(shape):
        of_position = first_cell.reshape(-1, *shape)
    elif shape == (2, n_modules * PIXELS_OF_MODULE) and n == n_modules * CHIPS_OF_MODULE:
        of_position = first_cell[:, chip_of_channel(n_modules)]
    else:
        raise ConfigurationError(
            f"{n} numbers of first capacitors for {shape[0]} gains of {shape[1]} pixels of "
            f"telescope {camera.tel_id}: needs 8 for each module of 7 pixels (LST), or "
            f"{np.prod(shape)}; is this a camera with DRS4 chips?"
        )
    if first_cell.max() >= RING:
        raise ConfigurationError(
            f"a first capacitor is {first_cell.max()}, a pixel of an LST has {RING}; is this a "
            "camera with DRS4 chips?"
        )
    found = np.zeros((len(first_cell), shape[0], _size(camera)), np.int32)
    found[:, :, camera.pixel_id_map] = of_position
    return found


class CapacitorClock:
    """Time since each capacitor was read before, of event after event in the order of time.

    An event reads the capacitors of all its samples, also of those that are not stored. Of pixels
    with an even place in their module, whose window begins in the last quarter of a chip, it reads
    12 more, one chip further on, as far as that chip goes.

    # ASSUME: every readout is in the data; after events that are lost times are too long.

    Parameters
    ----------
    n_channels : int
    is_read_besides : array of bool, (n_pixels,)
    n_capacitors : int
        Of a pixel and gain.
    """

    def __init__(self, n_channels: int, is_read_besides: np.ndarray, n_capacitors: int = RING):
        self._besides = np.asarray(is_read_besides, bool)
        self._last = np.full((n_channels, self._besides.size, n_capacitors), _NEVER, np.int32)
        self._times: list[np.ndarray] = []
        self._begin: tuple[int, int] | None = None

    def elapsed(
        self,
        first_capacitor: np.ndarray,
        time_s: np.ndarray,
        time_qns: np.ndarray,
        n_samples: int,
        *,
        n_before: int = 0,
        n_after: int = 0,
    ) -> np.ndarray:
        """Time since the capacitor of each sample was read before; NaN if it was not.

        Parameters
        ----------
        first_capacitor : array, (n_events, n_channels, n_pixels)
            Of the readout.
        time_s, time_qns : array, (n_events,)
            Seconds and quarter nanoseconds of the events, later than all before.
        n_samples : int
            Stored ones.
        n_before, n_after : int
            Samples that were read and are not stored.

        Returns
        -------
        array, (n_events, n_channels, n_pixels, n_samples), float32, ms
        """
        if self._begin is None:
            self._begin = int(time_s[0]), int(time_qns[0])
        seconds, quarters = self._begin
        now = (np.asarray(time_s, np.int64) - seconds) * 1e3
        now += (np.asarray(time_qns, np.int64) - quarters) * 0.25e-6
        n_known = sum(map(len, self._times))
        self._times = [np.concatenate([*self._times, now])]
        found = np.empty((*np.shape(first_capacitor), n_samples), np.float32)
        _elapsed(
            np.asarray(first_capacitor, np.int32),
            self._times[0],
            n_known,
            (n_before, n_before + n_samples + n_after),
            self._besides,
            self._last,
            found,
        )
        return found


@njit(cache=True)
def _elapsed(first, times, n_known, window, besides, last, found):
    n_events, n_channels, n_pixels, n_samples = found.shape
    n_before, n_read = window
    n_capacitors = last.shape[2]
    for channel in range(n_channels):
        for pixel in range(n_pixels):
            own = last[channel, pixel]
            for event in range(n_events):
                begin, now = first[event, channel, pixel], times[n_known + event]
                at = (begin + n_before) % n_capacitors
                for sample in range(n_samples):
                    before = own[at]
                    t = now - times[before] if before != _NEVER else np.nan
                    found[event, channel, pixel, sample] = t
                    at = at + 1 if at + 1 < n_capacitors else 0
                at = begin
                for _ in range(n_read):
                    own[at] = n_known + event
                    at = at + 1 if at + 1 < n_capacitors else 0
                place = begin % CHIP
                if besides[pixel] and place > _LAST_QUARTER:
                    for more in range(min(_BESIDES, CHIP - place)):
                        own[(begin + CHIP + more) % n_capacitors] = n_known + event
