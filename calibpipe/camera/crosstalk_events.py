"""Cross-talk from the DL0 events of a run: charges batch by batch, then one of the estimators."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import astropy.units as u
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from ..core.dl0 import StreamReport, read_batches
from ..core.dl0_camera import CameraConfiguration, camera_configuration
from ..core.dl0_events import Dl0Batch, adc_waveform
from ..core.exceptions import ConfigurationError, InsufficientStatisticsError
from .crosstalk import Crosstalk, covariance_crosstalk, illumination_crosstalk
from .crosstalk_sums import PairSums, PixelSums, control_pairs, lit_pixel, neighbour_pairs
from .extraction import fixed_window_sum

__all__ = ["CrosstalkRun", "CrosstalkSettings", "run_crosstalk"]

BATCH = 64
EVENT_TYPES = {"FLATFIELD": 0, "SINGLE_PE": 1, "OTHER_CALIBRATION": 15}  # of ctapipe
PEDESTALS = {"PEDESTAL": 2, "DARK_PEDESTAL": 3, "SKY_PEDESTAL": 5}
METHODS = ("illumination", "covariance")


@dataclass(frozen=True)
class CrosstalkSettings:
    """How events become cross-talk.

    Parameters
    ----------
    method : str
        ``illumination`` or ``covariance``.
    event_type, pedestal_type : str
        Names of ctapipe's EventType.
    window_start, window_width : int
        Fixed window of pulses and pedestals: a search for the highest sample of a pixel that has
        only cross-talk would find noise.
    channel : int
        Gain that is looked at.
    saturation : float
        ADC of a sample; events with a lit pixel (illumination), or pixels (covariance), above it
        do not count.
    min_events : int
        Of a lit pixel.
    max_saturated : float
        Part of the pixels of a flat field that may be saturated.
    """

    method: str = "illumination"
    event_type: str = "OTHER_CALIBRATION"
    pedestal_type: str = "SKY_PEDESTAL"
    window_start: int = 13
    window_width: int = 12
    channel: int = 0
    saturation: float = 4000.0
    min_events: int = 20
    max_saturated: float = 0.01


@dataclass(frozen=True)
class CrosstalkRun:
    """Cross-talk of a run, and what it was made from."""

    camera: CameraConfiguration
    crosstalk: Crosstalk
    report: StreamReport
    n_events: int
    n_pedestals: int
    n_left_out: int
    time_start: float
    time_end: float


class _Charges:
    """Charges (n, n_pixels) of one gain, and the pixels that are saturated."""

    def __init__(self, camera: CameraConfiguration, settings: CrosstalkSettings):
        self.camera, self.settings = camera, settings
        if not 0 <= settings.channel < camera.num_channels:
            raise ConfigurationError(
                f"channel is {settings.channel}, the camera has {camera.num_channels} gain channels"
            )

    def of(self, batch: Dl0Batch) -> tuple[np.ndarray, np.ndarray]:
        """Of the events of a batch."""
        if batch.waveform.shape[1] != self.camera.num_channels or not batch.is_stored.all():
            raise ConfigurationError(
                "events are gain selected or lack pixels: cross-talk needs all waveforms of one "
                "gain; give a run that stores them"
            )
        waveform = adc_waveform(batch, self.camera)[:, [self.settings.channel]]
        charge, _ = fixed_window_sum(
            waveform,
            self.camera.sampling_frequency * u.MHz,
            peak_index=self.settings.window_start,
            window_width=self.settings.window_width,
        )
        return charge[:, 0].astype(float), waveform[:, 0].max(axis=-1) > self.settings.saturation


def run_crosstalk(
    paths: Sequence[str | Path],
    neighbours: csr_array,
    positions: tuple[np.ndarray, np.ndarray],
    settings: CrosstalkSettings,
    *,
    relative_gain: np.ndarray | float = 1.0,
    progress: Callable[[int], object] | None = None,
    is_checked: bool = False,
) -> CrosstalkRun:
    """Cross-talk of all neighbours from a run of events and its pedestals.

    Illumination reads the run twice, because a lit pixel is one above the noise of pedestals.

    Parameters
    ----------
    paths : sequence of path
        DL0 files of one telescope and observation.
    neighbours : sparse array of bool, (n_pixels, n_pixels)
    positions : (x, y), (n_pixels,)
        In distances of neighbouring pixels.
    settings : CrosstalkSettings
    relative_gain : array, (n_pixels,)
        ADC per p.e., up to a factor.
    progress : callable, optional
        Told the number of events of each batch.
    is_checked : bool
        As in `calibpipe.core.dl0.read_batches`.

    Raises
    ------
    ConfigurationError
        If the method, a type of events or the channel is not known, or waveforms are not stored.
    InsufficientStatisticsError
        If there are no events or too few.
    """
    kinds = _kinds(settings)
    camera = camera_configuration(paths[0])
    charges = _Charges(camera, settings)
    report = StreamReport()

    def batches(types: set[int]) -> Iterator[Dl0Batch]:
        for batch in read_batches(
            paths, batch_size=BATCH, event_types=types, report=report, is_checked=is_checked
        ):
            yield batch
            if progress is not None:
                progress(len(batch))

    method = _illumination if settings.method == "illumination" else _covariance
    times: list[float] = []
    found, n_events, n_pedestals, n_left_out = method(
        batches, kinds, charges, neighbours, positions, settings, relative_gain, times
    )
    return CrosstalkRun(
        camera, found, report, n_events, n_pedestals, n_left_out, min(times), max(times)
    )


def _kinds(settings: CrosstalkSettings) -> tuple[int, int]:
    if settings.method not in METHODS:
        raise ConfigurationError(f"method is {settings.method!r}; give one of {', '.join(METHODS)}")
    for name, known in ((settings.event_type, EVENT_TYPES), (settings.pedestal_type, PEDESTALS)):
        if name not in known:
            raise ConfigurationError(f"there are no {name} events; give one of {', '.join(known)}")
    return EVENT_TYPES[settings.event_type], PEDESTALS[settings.pedestal_type]


def _none(name: str) -> InsufficientStatisticsError:
    return InsufficientStatisticsError(
        f"no {name} in the run: cross-talk needs light and pedestals; give a run of the right type"
    )


def _illumination(
    batches: Callable[[set[int]], Iterator[Dl0Batch]],
    kinds: tuple[int, int],
    charges: _Charges,
    neighbours: NDArray,
    positions: tuple[NDArray, NDArray],
    settings: CrosstalkSettings,
    relative_gain: NDArray | float,
    times: list[float],
) -> tuple[Crosstalk, int, int, int]:
    of_light, of_pedestal = kinds
    pedestal = PixelSums()
    for batch in batches({of_pedestal}):
        pedestal.add(charges.of(batch)[0])
    if not pedestal.n_events:
        raise _none(settings.pedestal_type)
    pairs = neighbour_pairs(neighbours, directed=True)
    sums = PairSums(pairs, pedestal.mean)
    gain = np.broadcast_to(relative_gain, pedestal.mean.shape)
    noise = np.sqrt(pedestal.variance) / gain
    n_events, n_left_out = 0, 0
    for batch in batches({of_light}):
        charge, is_saturated = charges.of(batch)
        lit = lit_pixel((charge - pedestal.mean) / gain, noise)
        lit[is_saturated[np.arange(len(lit)), lit]] = -1
        sums.add(charge, lit)
        times += [batch.time.min(), batch.time.max()]
        n_events += len(batch)
        n_left_out += int(np.count_nonzero(lit < 0))
    if not n_events:
        raise _none(settings.event_type)
    found = illumination_crosstalk(
        sums, pairs, pedestal, relative_gain=gain, min_events=settings.min_events
    )
    return found, n_events, pedestal.n_events, int(n_left_out)


def _covariance(
    batches: Callable[[set[int]], Iterator[Dl0Batch]],
    kinds: tuple[int, int],
    charges: _Charges,
    neighbours: NDArray,
    positions: tuple[NDArray, NDArray],
    settings: CrosstalkSettings,
    relative_gain: NDArray | float,
    times: list[float],
) -> tuple[Crosstalk, int, int, int]:
    of_light, of_pedestal = kinds
    pairs = neighbour_pairs(neighbours, directed=False)
    x, y = positions
    control = control_pairs(x, y, max(4 * neighbours.shape[0], pairs[0].size))
    first, second = (np.concatenate(both) for both in zip(pairs, control, strict=True))
    flatfield, pedestal = PixelSums((first, second)), PixelSums((first, second))
    n_left_out = 0
    for batch in batches({of_light, of_pedestal}):
        charge, is_saturated = charges.of(batch)
        is_light = batch.event_type == of_light
        good = is_saturated.mean(axis=1) <= settings.max_saturated
        n_left_out += int(np.count_nonzero(is_light & ~good))
        flatfield.add(charge[is_light & good])
        pedestal.add(charge[~is_light])
        times += [batch.time.min(), batch.time.max()]
    if not pedestal.n_events:
        raise _none(settings.pedestal_type)
    if not flatfield.n_events:
        raise _none(f"unsaturated {settings.event_type}")
    found = covariance_crosstalk(flatfield, pedestal, pairs, control)
    return found, flatfield.n_events, pedestal.n_events, int(n_left_out)
