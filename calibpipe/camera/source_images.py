"""Images of muon rings from any file that ctapipe reads: full simulations, R1, DL0, DL1."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..core.exceptions import CorruptedInputError, MissingInputError
from .calibrated_images import BATCH, ImageBatch

if TYPE_CHECKING:
    from ctapipe.instrument import SubarrayDescription
    from ctapipe.io import EventSource

__all__ = ["SourceImages", "source_images"]


@dataclass(frozen=True)
class SourceImages:
    """A file of events, opened for one telescope.

    Parameters
    ----------
    subarray : SubarrayDescription
        All telescopes of the file.
    tel_id, obs_id : int
    focal_length : str
        ``effective`` or, where the file does not know that, ``equivalent``.
    batches : iterator of ImageBatch
        Images of all events that the telescope has.
    """

    subarray: "SubarrayDescription"
    tel_id: int
    obs_id: int
    focal_length: str
    batches: Iterator[ImageBatch]


def source_images(
    path: str | Path, tel_id: int, *, window_width: int = 12, window_shift: int = 5
) -> SourceImages:
    """Images of one telescope, calibrated by ctapipe with one window for all pixels.

    Images that are in the file already (DL1) are taken as they are: they must come from an
    extraction that does not look for the highest sample of each pixel.

    Parameters
    ----------
    path : path
    tel_id : int
        0: the only one of the file.
    window_width, window_shift : int
        Samples about the peak of the camera's mean waveform; what of the pulse is outside is
        corrected (``GlobalPeakWindowSum``).

    Raises
    ------
    MissingInputError
        If there is no such file or telescope.
    CorruptedInputError
        If ctapipe cannot read it.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingInputError(f"{path} does not exist; give a file of events that ctapipe reads")
    source, focal_length = _opened(path)
    there = sorted(source.subarray.tel)
    if tel_id == 0 and len(there) == 1:
        tel_id = there[0]
    if tel_id not in there:
        raise MissingInputError(
            f"{path} has the telescopes {', '.join(map(str, there))}, not {tel_id}; say which one"
        )
    batches = _batches(source, tel_id, window_width, window_shift)
    obs_id = int(next(iter(source.obs_ids), 0))
    return SourceImages(source.subarray, tel_id, obs_id, focal_length, batches)


def _opened(path: Path) -> tuple["EventSource", str]:
    """Source of events, and which focal length it has."""
    from ctapipe.io import EventSource

    problem: Exception
    known: dict = {"skip_calibration_events": False} if "simtel" in path.name else {}
    for choice in ("EFFECTIVE", "EQUIVALENT"):
        try:
            source = EventSource(path, focal_length_choice=choice, **known)
            return source, choice.lower()
        except RuntimeError as error:  # no effective focal length in the file
            problem = error
        except Exception as error:  # whatever the reader of a damaged file raises
            problem = error
            break
    raise CorruptedInputError(
        f"{path} cannot be read by ctapipe: {type(problem).__name__}: {problem}"
    ) from problem


def _batches(source: "EventSource", tel_id: int, width: int, shift: int) -> Iterator[ImageBatch]:
    from ctapipe.calib import CameraCalibrator
    from ctapipe.image.extractor import GlobalPeakWindowSum

    extractor = GlobalPeakWindowSum(
        source.subarray,
        window_width=[("type", "*", width)],
        window_shift=[("type", "*", shift)],
    )
    calibrator = CameraCalibrator(source.subarray, image_extractor=extractor)
    rows = []
    with source:
        for event in source:
            if tel_id not in event.trigger.tels_with_trigger:
                continue
            calibrator(event)
            dl1 = event.dl1.tel[tel_id]
            if dl1.image is None:
                continue
            unusable = ~np.isfinite(dl1.image)
            coefficients = event.monitoring.tel[tel_id].camera.coefficients
            if coefficients is not None and coefficients.outlier_mask is not None:
                unusable |= np.atleast_2d(coefficients.outlier_mask).any(axis=0)
            time = event.trigger.tel[tel_id].time or event.trigger.time
            rows.append((event.index.event_id, time.unix_tai, dl1.image, unusable))
            if len(rows) == BATCH:
                yield _batch(rows)
                rows = []
    if rows:
        yield _batch(rows)


def _batch(rows: list[tuple]) -> ImageBatch:
    event_id, time, image, unusable = (np.array(column) for column in zip(*rows, strict=True))
    return ImageBatch(
        event_id=event_id,
        time=time,
        image=np.where(unusable, 0, image).astype(np.float32),
        is_unusable=unusable,
        is_saturated=np.zeros_like(unusable),
        peak_time=np.full(len(event_id), np.nan, np.float32),
    )
