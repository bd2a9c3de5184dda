"""LIDAR profiles out of netCDF: raw data as EARLINET has them, products of PollyXT.

EARLINET: the raw format of the Single Calculus Chain (D'Amico et al. 2015, doi
10.5194/amt-8-4891-2015). PollyXT: attenuated backscatter (Engelmann et al. 2016, doi
10.5194/amt-9-1767-2016).
"""

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from astropy.time import Time

from .exceptions import CorruptedInputError
from .lidar_files import (
    ANALOG,
    CALIBRATED,
    PHOTON_COUNTING,
    LidarData,
    LidarSignal,
    checked_signal,
    emitted_wavelength,
)

__all__ = ["read_lidar_netcdf"]

_CALIBRATED_NAME = re.compile(r"attenuated_backscatter_(\d+)nm")
_BAD_QUALITY = (2, 3, 4)  # depolarisation calibration, shutter, fog. 1 is low signal: kept
_SCC_VARIABLES = (
    "Raw_Data_Start_Time",
    "Raw_Data_Stop_Time",
    "Raw_Data_Range_Resolution",
    "Laser_Shots",
    "Laser_Pointing_Angle",
    "Laser_Pointing_Angle_of_Profiles",
    "Emitted_Wavelength",
    "Detected_Wavelength",
    "Acquisition_Mode",
)
_SCC_ATTRIBUTES = (
    "RawData_Start_Date",
    "Altitude_meter_asl",
    "Latitude_degrees_north",
    "Longitude_degrees_east",
)


def read_lidar_netcdf(path: str | Path) -> LidarData:
    """Profiles of a netCDF file of EARLINET (raw) or PollyXT (attenuated backscatter).

    Raises
    ------
    CorruptedInputError
        If the file is cut off, of another layout, or its values cannot be a LIDAR's.
    """
    from netCDF4 import Dataset

    path = Path(path)
    try:
        with Dataset(path) as data:
            if "Raw_Lidar_Data" in data.variables:
                return _earlinet(path, data)
            names = {
                int(m[1]): m[0] for v in data.variables if (m := _CALIBRATED_NAME.fullmatch(v))
            }
            if names:
                return _pollyxt(path, data, names)
            found = ", ".join(sorted(data.variables)) or "none"
    except (OSError, RuntimeError, IndexError, KeyError, ValueError) as error:
        raise CorruptedInputError(
            f"{path} is no readable LIDAR netCDF file: {type(error).__name__}: {error}"
        ) from error
    raise CorruptedInputError(
        f"{path} has neither Raw_Lidar_Data (EARLINET) nor attenuated_backscatter_…nm (PollyXT); "
        f"its variables: {found}"
    )


def _filled(variable: Any) -> np.ndarray:
    """Values with NaN for what is masked."""
    return np.ma.filled(np.ma.asarray(variable[:]).astype(float), np.nan)


def _require(path: Path, names: tuple[str, ...], present: Any, what: str) -> None:
    missing = [name for name in names if name not in present]
    if missing:
        raise CorruptedInputError(f"{path} lacks the {what} {', '.join(missing)}")


def _pollyxt(path: Path, data: Any, names: dict[int, str]) -> LidarData:
    _require(
        path, ("time", "height", "altitude", "latitude", "longitude"), data.variables, "variable"
    )
    seconds = _filled(data["time"])
    if data["time"].unit != "seconds since 1970-01-01 00:00:00 UTC":
        raise CorruptedInputError(f"{path}: unit of time is {data['time'].unit!r}, needs Unix time")
    if not np.all(np.isfinite(seconds)) or not np.all(np.diff(seconds) > 0):
        raise CorruptedInputError(f"{path}: times do not ascend")
    step = float(np.median(np.diff(seconds))) if seconds.size > 1 else 30.0
    height = _filled(data["height"])
    channels = []
    for wavelength, name in sorted(names.items()):
        variable = data[name]
        if variable.unit != "sr^-1 m^-1":
            raise CorruptedInputError(
                f"{path}: unit of {name} is {variable.unit!r}, needs sr^-1 m^-1"
            )
        values = _filled(variable)
        quality = data.variables.get(f"quality_mask_{wavelength}nm")
        if quality is not None:
            values[np.isin(_filled(quality), _BAD_QUALITY)] = np.nan
        channels.append(
            checked_signal(
                LidarSignal(
                    name,
                    wavelength * u.nm,
                    wavelength * u.nm,
                    CALIBRATED,
                    height * u.m,
                    values,
                    np.ones(seconds.size),
                ),
                str(path),
            )
        )
    return LidarData(
        times=Time(seconds, format="unix", scale="utc"),
        duration=np.full(seconds.size, step) * u.s,
        altitude=float(data["altitude"][0]) * u.m,
        latitude=float(data["latitude"][0]) * u.deg,
        longitude=float(data["longitude"][0]) * u.deg,
        zenith=np.zeros(seconds.size) * u.deg,  # heights are those above the ground
        channels=tuple(channels),
    )


def _earlinet(path: Path, data: Any) -> LidarData:
    _require(path, _SCC_VARIABLES, data.variables, "variable")
    _require(path, _SCC_ATTRIBUTES, data.ncattrs(), "attribute")
    start, stop = (_filled(data[f"Raw_Data_{end}_Time"]) for end in ("Start", "Stop"))
    if start.shape[1] != 1:
        raise CorruptedInputError(
            f"{path} has {start.shape[1]} time scales, needs one; split it by time scale"
        )
    start, stop = start[:, 0], stop[:, 0]
    if not np.all(np.isfinite(start + stop)) or not np.all(stop > start):
        raise CorruptedInputError(f"{path}: a profile ends before it starts")
    begin = _scc_begin(path, data)
    raw = _filled(data["Raw_Lidar_Data"])
    shots = _filled(data["Laser_Shots"])
    resolution = _filled(data["Raw_Data_Range_Resolution"])
    modes = {0: ANALOG, 1: PHOTON_COUNTING}
    channels = []
    for i in range(raw.shape[1]):
        mode = int(data["Acquisition_Mode"][i])
        if mode not in modes:
            raise CorruptedInputError(
                f"{path}: Acquisition_Mode of channel {i} is {mode}, needs 0 (analog) or 1 (counts)"
            )
        emitted, received = (
            float(data[f"{kind}_Wavelength"][i]) for kind in ("Emitted", "Detected")
        )
        emitted_wavelength(received, f"{path}, channel {i}")
        if not resolution[i] > 0:
            raise CorruptedInputError(
                f"{path}: range resolution of channel {i} is {resolution[i]:g}"
            )
        channels.append(
            checked_signal(
                LidarSignal(
                    f"{received:g}.{modes[mode]}",
                    emitted * u.nm,
                    received * u.nm,
                    modes[mode],
                    (np.arange(raw.shape[2]) + 0.5) * resolution[i] * u.m,
                    raw[:, i],
                    shots[:, i],
                ),
                f"{path}, channel {i}",
            )
        )
    angles = _filled(data["Laser_Pointing_Angle"])
    zenith = angles[np.asarray(data["Laser_Pointing_Angle_of_Profiles"][:, 0], int)]
    return LidarData(
        times=begin + (start + stop) / 2.0 * u.s,
        duration=(stop - start) * u.s,
        altitude=float(data.Altitude_meter_asl) * u.m,
        latitude=float(data.Latitude_degrees_north) * u.deg,
        longitude=float(data.Longitude_degrees_east) * u.deg,
        zenith=zenith * u.deg,
        channels=tuple(channels),
    )


def _scc_begin(path: Path, data: Any) -> Time:
    text = f"{data.RawData_Start_Date} {getattr(data, 'RawData_Start_Time_UT', '000000')}"
    try:
        return Time(datetime.strptime(text, "%Y%m%d %H%M%S"), scale="utc")
    except ValueError as error:
        raise CorruptedInputError(f"{path}: start {text!r} is no date and time") from error
