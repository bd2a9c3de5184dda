"""Fields on pressure levels in the formats in which the services deliver them, as bytes.

The layouts are those of the real files: ERA5 as GRIB 1 and as netCDF from the Climate Data Store,
NCEP's analyses as GRIB 2. The numbers are packed with 16 bits a value (`BITS_PER_VALUE`): what is
read back differs by at most half of 2**E, with E the binary scale factor of the message, which is
below 1/32768 of the field's range.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import astropy.units as u
import eccodes
import numpy as np
from netCDF4 import Dataset
from numpy.typing import NDArray

from ..core.meteo_files import PressureLevelData

__all__ = ["BITS_PER_VALUE", "cds_netcdf", "era5_grib", "gdas_grib"]

BITS_PER_VALUE = 16  # as ERA5's own files
STANDARD_GRAVITY = 9.80665  # m/s2, defines geopotential height

_ERA5_KEYS = {
    "centre": "ecmf",
    "setLocalDefinition": 1,
    "localDefinitionNumber": 1,
    "class": "ea",
    "type": "an",
    "stream": "oper",
}
_GDAS_KEYS = {"centre": "kwbc", "tablesVersion": 2, "typeOfGeneratingProcess": 0}


def era5_grib(specific: PressureLevelData, relative_humidity: u.Quantity) -> bytes:
    """GRIB 1 messages as the Climate Data Store delivers ERA5: z, t, q, r, o3.

    Parameters
    ----------
    specific : PressureLevelData
        Fields with specific humidity and ozone.
    relative_humidity : Quantity, shape (n_times, n_levels, n_lat, n_lon)
        Dimensionless, 1 is saturation.
    """
    keys = _ERA5_KEYS | {"experimentVersionNumber": specific.experiment_version or "0001"}
    return _grib("regular_ll_pl_grib1", keys, specific, _era5_fields(specific, relative_humidity))


def gdas_grib(relative: PressureLevelData) -> bytes:
    """GRIB 2 messages in the layout of NCEP's ds083.2: gh, t, r; longitudes 0 to 360 degrees.

    Parameters
    ----------
    relative : PressureLevelData
        Fields with relative humidity.
    """
    fields = {
        "gh": relative.geopotential_height.to_value(u.m),
        "t": relative.temperature.to_value(u.K),
        "r": relative.humidity.to_value(u.percent),
    }
    return _grib("regular_ll_pl_grib2", _GDAS_KEYS, relative, fields, eastward=True)


def cds_netcdf(specific: PressureLevelData, relative_humidity: u.Quantity) -> bytes:
    """NetCDF file as the Climate Data Store delivers ERA5 since 2024: z, t, q, r, o3.

    Parameters
    ----------
    specific, relative_humidity
        As in `era5_grib`.
    """
    axes = {
        "valid_time": specific.times.utc.unix.round().astype("int64"),
        "pressure_level": specific.pressure.to_value(u.hPa),
        "latitude": specific.latitude.to_value(u.deg)[::-1],
        "longitude": specific.longitude.to_value(u.deg),
    }
    units = {
        "valid_time": "seconds since 1970-01-01",
        "pressure_level": "hPa",
        "latitude": "degrees_north",
        "longitude": "degrees_east",
    }
    data = Dataset("era5.nc", "w", memory=1 << 20)
    for name, values in axes.items():
        data.createDimension(name, len(values))
        data.createVariable(name, values.dtype, (name,))[:] = values
        data[name].units = units[name]
    data["valid_time"].calendar = "proleptic_gregorian"
    data.createVariable("number", "i8", ())[:] = 0
    versions = data.createVariable("expver", str, ("valid_time",))
    versions[:] = np.array([specific.experiment_version] * specific.times.size, dtype=object)
    for name, values in _era5_fields(specific, relative_humidity).items():
        variable = data.createVariable(name, "f4", tuple(axes), zlib=True, fill_value=np.nan)
        variable[:] = values[:, :, ::-1]
    return bytes(data.close())


def _era5_fields(data: PressureLevelData, relative_humidity: u.Quantity) -> dict[str, NDArray]:
    assert data.ozone is not None  # simulated data have it
    return {
        "z": data.geopotential_height.to_value(u.m) * STANDARD_GRAVITY,
        "t": data.temperature.to_value(u.K),
        "q": data.humidity.to_value(u.one),
        "r": relative_humidity.to_value(u.percent),
        "o3": data.ozone.to_value(u.one),
    }


def _grib(
    sample: str,
    keys: dict[str, Any],
    data: PressureLevelData,
    fields: dict[str, NDArray],
    eastward: bool = False,
) -> bytes:
    """One message a time, variable and level, rows from north to south; NaN fields left out."""
    messages = []
    with _sample(sample) as template:
        _set(template, keys | _grid_keys(data, eastward))
        for name, cube in fields.items():
            eccodes.codes_set(template, "shortName", name)
            for i, time in enumerate(data.times.utc.datetime):
                eccodes.codes_set(template, "dataDate", int(f"{time:%Y%m%d}"))
                eccodes.codes_set(template, "dataTime", time.hour * 100 + time.minute)
                for j, level in enumerate(data.pressure.to_value(u.hPa)):
                    if np.isnan(cube[i, j]).all():
                        continue
                    eccodes.codes_set(template, "level", int(level))
                    eccodes.codes_set(template, "bitsPerValue", BITS_PER_VALUE)
                    eccodes.codes_set_values(template, cube[i, j, ::-1].ravel())
                    messages.append(eccodes.codes_get_message(template))
    return b"".join(messages)


@contextmanager
def _sample(name: str) -> Iterator[int]:
    handle = eccodes.codes_grib_new_from_samples(name)
    try:
        yield handle
    finally:
        eccodes.codes_release(handle)


def _set(handle: int, keys: dict[str, Any]) -> None:
    for key, value in keys.items():
        eccodes.codes_set(handle, key, value)


def _grid_keys(data: PressureLevelData, eastward: bool) -> dict[str, Any]:
    lat, lon = data.latitude.to_value(u.deg), data.longitude.to_value(u.deg)
    lon = lon % 360.0 if eastward else lon
    return {
        "Ni": lon.size,
        "Nj": lat.size,
        "latitudeOfFirstGridPointInDegrees": lat[-1],
        "latitudeOfLastGridPointInDegrees": lat[0],
        "longitudeOfFirstGridPointInDegrees": lon[0],
        "longitudeOfLastGridPointInDegrees": lon[-1],
        "iDirectionIncrementInDegrees": (lon[1] - lon[0]) % 360.0,
        "jDirectionIncrementInDegrees": lat[1] - lat[0],
    }
