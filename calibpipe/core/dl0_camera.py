"""Configuration of the camera and of the stream, from the small tables of a DL0 file."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from .dl0_checks import check_file
from .exceptions import ConfigurationError, CorruptedInputError

__all__ = ["CameraConfiguration", "camera_configuration", "require_same_camera"]


@dataclass(frozen=True)
class CameraConfiguration:
    """What holds for all events of a file: from its tables CameraConfiguration and DataStream.

    Waveforms in ADC counts are ``stored / waveform_scale - waveform_offset``;
    `sampling_frequency` is in MHz; `pixel_id_map` (num_pixels,) has the pixel of the geometry
    for each stored position. Before and after the samples of an event others may have been read and
    left out: `num_samples_removed_start`, `num_samples_removed_end`.
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
    num_modules: int = 0
    num_samples_removed_start: int = 0
    num_samples_removed_end: int = 0


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
        require_same_camera(first, other, path, path)
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
        num_modules=camera.num_modules or 0,
        num_samples_removed_start=camera.num_samples_removed_start or 0,
        num_samples_removed_end=camera.num_samples_removed_end or 0,
    )


def require_same_camera(
    first: CameraConfiguration, other: CameraConfiguration, first_path: Path, other_path: Path
) -> None:
    """Complain about configurations of two files that differ, naming what and where."""
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
