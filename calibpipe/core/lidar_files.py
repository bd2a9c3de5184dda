"""Profiles of a LIDAR out of files: EARLINET and PollyXT netCDF, Licel binary."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from .exceptions import ConfigurationError, CorruptedInputError, MissingInputError

__all__ = ["LidarData", "LidarSignal", "emitted_wavelength", "joined", "read_lidar_files"]

PHOTON_COUNTING, ANALOG, CALIBRATED = "photon_counting", "analog", "attenuated_backscatter"
MODES = (PHOTON_COUNTING, ANALOG, CALIBRATED)
LASER_LINES = (355.0, 532.0, 1064.0)  # nm: Nd:YAG and its harmonics
_LARGEST_SHIFT = 80.0  # nm from the laser to the nitrogen or vapour line


@dataclass(frozen=True)
class LidarSignal:
    """Signals of one channel.

    Parameters
    ----------
    name : str
        Of the channel in its file.
    emitted, received : Quantity
        Wavelengths, nm.
    mode : str
        ``photon_counting`` (counts summed over shots), ``analog`` (any unit), or
        ``attenuated_backscatter`` (range-corrected and calibrated, 1/(m sr)).
    distance : Quantity, (n_bins,)
        Middles of the bins, ascending, m.
    values : ndarray, (n_profiles, n_bins)
        NaN where the file marks a bin as unusable.
    shots : ndarray, (n_profiles,)
        Laser shots; 1 if the file does not say.
    """

    name: str
    emitted: u.Quantity
    received: u.Quantity
    mode: str
    distance: u.Quantity
    values: NDArray
    shots: NDArray

    @property
    def is_elastic(self) -> bool:
        """Whether the received wavelength is the emitted one."""
        return bool(self.emitted == self.received)


@dataclass(frozen=True)
class LidarData:
    """Profiles of one instrument, ascending in time.

    Parameters
    ----------
    times : Time, (n_profiles,)
        Middles of the profiles, UTC.
    duration : Quantity, (n_profiles,)
        Seconds.
    altitude, latitude, longitude : Quantity
        Of the LIDAR.
    zenith : Quantity, (n_profiles,)
        Angle of the beam from the zenith.
    channels : tuple of LidarSignal
    """

    times: Time
    duration: u.Quantity
    altitude: u.Quantity
    latitude: u.Quantity
    longitude: u.Quantity
    zenith: u.Quantity
    channels: tuple[LidarSignal, ...]

    def select(self, rows: NDArray) -> "LidarData":
        """The profiles of an index or mask."""
        channels = tuple(
            replace(c, values=c.values[rows], shots=c.shots[rows]) for c in self.channels
        )
        return replace(
            self,
            times=self.times[rows],
            duration=self.duration[rows],
            zenith=self.zenith[rows],
            channels=channels,
        )


def emitted_wavelength(received: float, where: str) -> float:
    """Laser line in nm that a received wavelength belongs to: 387 to 355, 607 to 532.

    Raises
    ------
    CorruptedInputError
        If no line of Nd:YAG lies at it or up to 80 nm below.
    """
    lines = [line for line in LASER_LINES if -1.0 <= received - line <= _LARGEST_SHIFT]
    if not lines:
        raise CorruptedInputError(
            f"{where}: no laser line belongs to {received:g} nm (known: 355, 532, 1064 nm and "
            f"Raman lines up to {_LARGEST_SHIFT:g} nm above); the wavelength is wrong in the file"
        )
    return lines[-1]


def read_lidar_files(paths: Sequence[str | Path]) -> LidarData:
    """Profiles of files, joined in time. The format is told by the content.

    Raises
    ------
    MissingInputError
        If there is no file, or one of them is not there.
    CorruptedInputError
        If a file is damaged, or the files do not belong together.
    """
    from .licel import read_licel
    from .lidar_netcdf import read_lidar_netcdf

    if not paths:
        raise MissingInputError("no LIDAR file was given; give netCDF or Licel files")
    parts = []
    for path in map(Path, paths):
        if not path.is_file():
            raise MissingInputError(f"LIDAR file {path} does not exist")
        with path.open("rb") as stream:
            magic = stream.read(8)
        is_netcdf = magic.startswith((b"\x89HDF", b"CDF"))
        parts.append(read_lidar_netcdf(path) if is_netcdf else read_licel(path))
    return joined(parts)


def joined(parts: Sequence[LidarData]) -> LidarData:
    """Data of one instrument in one, ascending in time.

    Raises
    ------
    CorruptedInputError
        If places, channels or ranges differ, or profiles overlap in time (a file given twice).
    """
    first = parts[0]
    for other in parts[1:]:
        _require_same(first, other)
    times = Time(np.concatenate([p.times.unix for p in parts]), format="unix", scale="utc")
    order = np.argsort(times.unix)
    channels = tuple(
        replace(
            channel,
            values=np.concatenate([p.channels[i].values for p in parts])[order],
            shots=np.concatenate([p.channels[i].shots for p in parts])[order],
        )
        for i, channel in enumerate(first.channels)
    )
    data = replace(
        first,
        times=times[order],
        duration=np.concatenate([p.duration.to_value(u.s) for p in parts])[order] * u.s,
        zenith=np.concatenate([p.zenith.to_value(u.deg) for p in parts])[order] * u.deg,
        channels=channels,
    )
    gaps = np.diff(data.times.unix)
    needed = (data.duration[1:] + data.duration[:-1]).to_value(u.s) / 2.0
    overlapping = gaps < 0.5 * needed
    if overlapping.any():
        i = int(np.argmax(overlapping))
        raise CorruptedInputError(
            f"LIDAR profiles at {data.times[i].isot} and {data.times[i + 1].isot} overlap in time; "
            "a file was given twice, or its times are wrong"
        )
    return data


def _require_same(first: LidarData, other: LidarData) -> None:
    def identity(data: LidarData) -> list[tuple[object, ...]]:
        return [
            (c.name, c.mode, c.emitted.value, c.received.value, c.distance.size)
            for c in data.channels
        ]

    if identity(first) != identity(other):
        raise CorruptedInputError(
            f"LIDAR files do not belong together: channels {identity(first)} and "
            f"{identity(other)}; process files of different set-ups one by one"
        )
    for a, b in zip(first.channels, other.channels, strict=True):
        if not np.allclose(a.distance.value, b.distance.value, rtol=1e-6):
            raise CorruptedInputError(
                f"ranges of channel {a.name!r} differ between LIDAR files; process them one by one"
            )
    moved = abs(first.altitude - other.altitude) > 5 * u.m
    moved |= abs(first.latitude - other.latitude) > 0.01 * u.deg
    moved |= abs(first.longitude - other.longitude) > 0.01 * u.deg
    if moved:
        raise CorruptedInputError("LIDAR files are of different places; process them one by one")


def checked_signal(signal: LidarSignal, where: str) -> LidarSignal:
    """The same signal if it can be one.

    Raises
    ------
    CorruptedInputError
        If ranges do not ascend, nothing is finite, counts are negative or shots are missing.
    """
    r = signal.distance.to_value(u.m)
    if signal.mode not in MODES:
        raise ConfigurationError(f"{where}: unknown mode {signal.mode!r} of {signal.name!r}")
    if not np.all(np.isfinite(r)) or r.size < 2 or not np.all(np.diff(r) > 0):
        raise CorruptedInputError(f"{where}: ranges of channel {signal.name!r} do not ascend")
    steps = np.diff(r)
    if np.ptp(steps) > 0.01 * steps.mean():
        raise CorruptedInputError(
            f"{where}: bins of channel {signal.name!r} are {steps.min():g} to {steps.max():g} m "
            "wide, needs equal ones"
        )
    if not np.isfinite(signal.values).any():
        raise CorruptedInputError(f"{where}: channel {signal.name!r} has no finite value")
    if signal.mode == PHOTON_COUNTING and np.nanmin(signal.values) < 0:
        raise CorruptedInputError(
            f"{where}: channel {signal.name!r} has {np.nanmin(signal.values):g} counts; counts "
            "cannot be negative"
        )
    if not np.all(signal.shots > 0):
        raise CorruptedInputError(f"{where}: a profile of channel {signal.name!r} has no shots")
    return signal
