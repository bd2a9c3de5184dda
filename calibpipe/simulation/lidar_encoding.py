"""Simulated LIDAR profiles as files: EARLINET raw netCDF, Licel binary."""

from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.time import Time
from netCDF4 import Dataset

from ..core.exceptions import ConfigurationError
from ..core.lidar_files import PHOTON_COUNTING, LidarData

__all__ = ["licel_bytes", "write_earlinet"]

_LARGEST = 2.0**31


def licel_bytes(data: LidarData, profile: int, site: str, name: str) -> bytes:
    """Licel file of one profile.

    Parameters
    ----------
    data : LidarData
    profile : int
        Index of the profile.
    site : str
        Name of the place.
    name : str
        Of the file.

    Raises
    ------
    ConfigurationError
        If a value does not fit into 32 bits.
    """
    half = data.duration[profile] / 2.0
    stamps = [
        (data.times[profile] + side * half).utc.strftime("%d/%m/%Y %H:%M:%S") for side in (-1, 1)
    ]
    shots = int(data.channels[0].shots[profile])
    rate = round(shots / data.duration[profile].to_value(u.s))
    lines = [
        f" {name}",
        f" {site} {stamps[0]} {stamps[1]} {data.altitude.to_value(u.m):04.0f} "
        f"{data.longitude.to_value(u.deg):011.6f} {data.latitude.to_value(u.deg):010.6f} "
        f"{data.zenith[profile].to_value(u.deg):02.0f}",
        f" {shots:07d} {rate:04d} 0000000 0000 {len(data.channels):02d}",
    ]
    blocks = []
    for number, channel in enumerate(data.channels):
        counting = channel.mode == PHOTON_COUNTING
        width = (channel.distance[1] - channel.distance[0]).to_value(u.m)
        lines.append(
            f" 1 {int(counting)} 1 {channel.distance.size:05d} 1 0850 {width:.2f} "
            f"{channel.received.to_value(u.nm):05.0f}.o 0 0 00 000 "
            f"{0 if counting else 12:02d} {int(channel.shots[profile]):06d} "
            f"{3.1746 if counting else 0.5:.3f} {'BC' if counting else 'BT'}{number:X}"
        )
        largest = np.max(np.abs(channel.values[profile]))
        if not largest < _LARGEST:
            raise ConfigurationError(
                f"channel {channel.name!r} holds {largest:g}, a Licel file holds whole numbers "
                f"below {_LARGEST:g}; simulate less light or fewer shots"
            )
        blocks.append(channel.values[profile].astype("<i4").tobytes() + b"\r\n")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + b"".join(blocks)


def write_earlinet(path: str | Path, data: LidarData) -> None:
    """Write raw profiles in the layout of EARLINET's Single Calculus Chain; channels of one length.

    Times are whole seconds in this format.
    """
    n_bins = {channel.distance.size for channel in data.channels}.pop()
    begin = data.times[0] - data.duration[0] / 2.0
    zero = np.floor(begin.unix)
    with Dataset(path, "w", format="NETCDF4") as out:
        out.createDimension("time", None)
        out.createDimension("channels", len(data.channels))
        out.createDimension("points", n_bins)
        out.createDimension("nb_of_time_scales", 1)
        angles, index = np.unique(data.zenith.to_value(u.deg), return_inverse=True)
        out.createDimension("scan_angles", len(angles))
        stamp = Time(zero, format="unix", scale="utc")
        out.RawData_Start_Date = stamp.strftime("%Y%m%d")
        out.RawData_Start_Time_UT = stamp.strftime("%H%M%S")
        out.RawData_Stop_Time_UT = (data.times[-1] + data.duration[-1] / 2.0).strftime("%H%M%S")
        out.Measurement_ID = stamp.strftime("%Y%m%dsim%H%M")
        out.Altitude_meter_asl = data.altitude.to_value(u.m)
        out.Latitude_degrees_north = data.latitude.to_value(u.deg)
        out.Longitude_degrees_east = data.longitude.to_value(u.deg)
        seconds = data.times.unix - zero
        half = data.duration.to_value(u.s) / 2.0
        scale = ("time", "nb_of_time_scales")
        for name, kind, dimensions, values in (
            ("Raw_Data_Start_Time", "i4", scale, np.rint(seconds - half)[:, np.newaxis]),
            ("Raw_Data_Stop_Time", "i4", scale, np.rint(seconds + half)[:, np.newaxis]),
            ("Laser_Pointing_Angle", "f8", ("scan_angles",), angles),
            ("Laser_Pointing_Angle_of_Profiles", "i4", scale, index[:, np.newaxis]),
            (
                "Laser_Shots",
                "i4",
                ("time", "channels"),
                np.array([c.shots for c in data.channels]).T,
            ),
            (
                "Raw_Data_Range_Resolution",
                "f8",
                ("channels",),
                [(c.distance[1] - c.distance[0]).to_value(u.m) for c in data.channels],
            ),
            (
                "Emitted_Wavelength",
                "f8",
                ("channels",),
                [c.emitted.to_value(u.nm) for c in data.channels],
            ),
            (
                "Detected_Wavelength",
                "f8",
                ("channels",),
                [c.received.to_value(u.nm) for c in data.channels],
            ),
            (
                "Acquisition_Mode",
                "i4",
                ("channels",),
                [int(c.mode == PHOTON_COUNTING) for c in data.channels],
            ),
            ("channel_ID", "i4", ("channels",), np.arange(len(data.channels))),
        ):
            out.createVariable(name, kind, dimensions)[:] = values
        raw = out.createVariable(
            "Raw_Lidar_Data", "f8", ("time", "channels", "points"), zlib=True, complevel=1
        )
        for i, channel in enumerate(data.channels):
            raw[:, i] = channel.values
