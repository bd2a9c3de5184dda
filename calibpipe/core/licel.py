r"""Licel binary files: one profile of several channels, text header, 32-bit integers.

Line 1 the file's name, line 2 place, times and zenith angle, line 3 shots and number of data
sets, then a line a data set; an empty line; the data sets, each followed by CR LF (Licel GmbH,
"Programming and File Format" of its transient recorders).
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.time import Time

from .exceptions import CorruptedInputError
from .lidar_files import (
    ANALOG,
    PHOTON_COUNTING,
    LidarData,
    LidarSignal,
    checked_signal,
    emitted_wavelength,
)

__all__ = ["read_licel"]

_STAMP = r"\d\d/\d\d/\d{4} \d\d:\d\d:\d\d"
_NUMBER = r"[-+]?\d+\.?\d*"
_PLACE = re.compile(
    rf"\s*(?P<site>.*?)\s*(?P<start>{_STAMP}) (?P<stop>{_STAMP})\s+(?P<altitude>{_NUMBER})"
    rf"\s+(?P<longitude>{_NUMBER})\s+(?P<latitude>{_NUMBER})\s+(?P<zenith>{_NUMBER})"
)
_FIELDS = 16  # of the line of a data set
_LARGEST_HEADER = 100_000  # bytes; 100 data sets need 8000


@dataclass(frozen=True)
class _DataSet:
    active: bool
    counting: bool
    n_bins: int
    bin_width: float
    wavelength: float
    shots: int
    name: str


def read_licel(path: str | Path) -> LidarData:
    """Profile of a Licel file; values are sums over shots, as recorded. Times are UTC.

    Raises
    ------
    CorruptedInputError
        If the header cannot be understood, or data are missing or too many.
    """
    path = Path(path)
    content = path.read_bytes()
    end = content.find(b"\r\n\r\n", 0, _LARGEST_HEADER)
    if end < 0:
        raise CorruptedInputError(f"{path} is no Licel file: no empty line (CR LF) ends a header")
    try:
        lines = content[:end].decode("ascii").split("\r\n")
        place = _place(lines[1])
        sets = [_data_set(line) for line in lines[3:]]
        announced = int(lines[2].split()[4])
    except (UnicodeDecodeError, IndexError, ValueError) as error:
        raise CorruptedInputError(f"{path}: Licel header is damaged: {error}") from error
    if announced != len(sets):
        raise CorruptedInputError(
            f"{path}: Licel header announces {announced} data sets and describes {len(sets)}"
        )
    needed = end + 4 + sum(4 * s.n_bins + 2 for s in sets)
    if len(content) != needed:
        raise CorruptedInputError(
            f"{path} has {len(content)} bytes, its header needs {needed}; the file is cut off or "
            "damaged, copy it again"
        )
    channels, offset = [], end + 4
    for entry in sets:
        values = np.frombuffer(content, "<i4", entry.n_bins, offset).astype(float)
        offset += 4 * entry.n_bins
        if content[offset : offset + 2] != b"\r\n":
            raise CorruptedInputError(f"{path}: data set {entry.name} does not end with CR LF")
        offset += 2
        if entry.active:
            channels.append(_signal(path, entry, values))
    start, stop, altitude, longitude, latitude, zenith = place
    if not stop > start:
        raise CorruptedInputError(f"{path}: the profile ends before it starts")
    if not 0.0 <= zenith <= 90.0:
        raise CorruptedInputError(
            f"{path}: zenith angle is {zenith:g} deg, needs 0 (up) to 90; some recorders count "
            "from the horizon: correct the header"
        )
    return LidarData(
        times=Time([(start + stop) / 2.0], format="unix", scale="utc"),
        duration=[stop - start] * u.s,
        altitude=altitude * u.m,
        latitude=latitude * u.deg,
        longitude=longitude * u.deg,
        zenith=[zenith] * u.deg,
        channels=tuple(channels),
    )


def _place(line: str) -> tuple[float, ...]:
    found = _PLACE.match(line)
    if not found:
        raise ValueError(f"line 2 {line!r} has no place and times")

    def seconds(text: str) -> float:
        moment = datetime.strptime(text, "%d/%m/%Y %H:%M:%S").replace(tzinfo=UTC)
        return moment.timestamp()

    numbers = (float(found[name]) for name in ("altitude", "longitude", "latitude", "zenith"))
    return (seconds(found["start"]), seconds(found["stop"]), *numbers)


def _data_set(line: str) -> _DataSet:
    fields = line.split()
    if len(fields) < _FIELDS:
        raise ValueError(f"data set {line!r} has {len(fields)} fields, needs {_FIELDS}")
    if fields[1] not in ("0", "1"):
        raise ValueError(f"data set {line!r} is of kind {fields[1]!r}, needs 0 or 1")
    entry = _DataSet(
        active=fields[0] == "1",
        counting=fields[1] == "1",
        n_bins=int(fields[3]),
        bin_width=float(fields[6]),
        wavelength=float(fields[7].split(".")[0]),
        shots=int(fields[13]),
        name=f"{fields[7]}.{fields[15]}",
    )
    if entry.n_bins < 2 or not entry.bin_width > 0:
        raise ValueError(f"data set {line!r} has {entry.n_bins} bins of {entry.bin_width:g} m")
    return entry


def _signal(path: Path, entry: _DataSet, values: np.ndarray) -> LidarSignal:
    where = f"{path}, data set {entry.name}"
    return checked_signal(
        LidarSignal(
            entry.name,
            emitted_wavelength(entry.wavelength, where) * u.nm,
            entry.wavelength * u.nm,
            PHOTON_COUNTING if entry.counting else ANALOG,
            (np.arange(entry.n_bins) + 0.5) * entry.bin_width * u.m,
            values[np.newaxis],
            np.array([float(entry.shots)]),
        ),
        where,
    )
