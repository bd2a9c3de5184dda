"""Reading of meteorological files: every format, every layout, every way to be wrong."""

from collections.abc import Callable
from pathlib import Path

import astropy.units as u
import eccodes
import netCDF4
import numpy as np
import pytest
from astropy.table import QTable
from astropy.time import Time

from calibpipe.core.exceptions import (
    ConfigurationError,
    CorruptedInputError,
    MissingInputError,
)
from calibpipe.core.meteo_files import PressureLevelData, read_meteo_files

LAT = np.array([28.0, 28.5, 29.0])
LON = np.array([-18.5, -18.0, -17.5, -17.0])
SITE = (28.7618 * u.deg, -17.8907 * u.deg)
# Half a step of packing: 16 bits over the range of the linear field below, rounded up to 2**E.
PACKING = 0.5 * 2.0**-6


def linear(lat, lon, offset=0.0):
    """Field that tells where each of its values belongs."""
    return offset + 100.0 * lat[:, np.newaxis] + lon[np.newaxis, :]


def message(name="t", level=500, *, lat=LAT, lon=LON, values=None, edition=1, sample=None, **keys):
    """One GRIB message; rows from north to south unless the scanning keys say otherwise."""
    values = linear(lat, lon) if values is None else values
    handle = eccodes.codes_grib_new_from_samples(sample or f"regular_ll_pl_grib{edition}")
    if sample is None:
        scan = {
            key: keys.pop(key, 0)
            for key in (
                "iScansNegatively",
                "jScansPositively",
                "jPointsAreConsecutive",
                "alternativeRowScanning",
            )
        }
        y, x = (lat if scan["jScansPositively"] else lat[::-1]), lon
        values = values if scan["jScansPositively"] else values[::-1]
        if scan["iScansNegatively"]:
            x, values = lon[::-1], values[:, ::-1]
        values = np.array(values.T if scan["jPointsAreConsecutive"] else values)
        if scan["alternativeRowScanning"]:
            values[1::2] = values[1::2, ::-1].copy()
        grid = {
            "Ni": lon.size,
            "Nj": lat.size,
            "latitudeOfFirstGridPointInDegrees": y[0],
            "latitudeOfLastGridPointInDegrees": y[-1],
            "longitudeOfFirstGridPointInDegrees": x[0] % 360 if edition == 2 else x[0],
            "longitudeOfLastGridPointInDegrees": x[-1] % 360 if edition == 2 else x[-1],
            "iDirectionIncrementInDegrees": abs(lon[-1] - lon[0]) / max(lon.size - 1, 1),
            "jDirectionIncrementInDegrees": abs(lat[-1] - lat[0]) / max(lat.size - 1, 1),
        } | {key: on for key, on in scan.items() if on or edition == 2}
    else:
        grid, values = {}, np.full(eccodes.codes_get_size(handle, "values"), 250.0)
    keys = {"dataDate": 20230710, "dataTime": 0} | keys
    defaults = {"shortName": name, "level": level}
    for key, value in {**grid, **keys, **defaults, "bitsPerValue": 16}.items():
        eccodes.codes_set(handle, key, value)
    if np.isnan(values).any():
        eccodes.codes_set(handle, "bitmapPresent", 1)
        eccodes.codes_set(handle, "missingValue", 9999)
    eccodes.codes_set_values(handle, np.nan_to_num(values, nan=9999.0).ravel())
    content = eccodes.codes_get_message(handle)
    eccodes.codes_release(handle)
    return content


def one_time(levels=(1000, 500), names=("z", "t", "q"), **keys):
    """Complete set of fields at one time."""
    return b"".join(message(name, level, **keys) for name in names for level in levels)


@pytest.fixture
def write(tmp_path) -> Callable[..., Path]:
    """Writer of a file of the test."""

    def writer(*content: bytes, name="meteo.grib") -> Path:
        path = tmp_path / name
        path.write_bytes(b"".join(content))
        return path

    return writer


# --------------------------------------------------------------------------------------- GRIB


def test_grib1_becomes_heights_kelvin_and_ascending_axes(write):
    data = read_meteo_files(write(one_time(levels=(500, 1000))), dataset="ERA5")

    assert data.dataset == "ERA5"
    assert data.shape == (1, 2, 3, 4)
    assert list(data.pressure.to_value(u.hPa)) == [1000, 500]
    assert list(data.latitude.to_value(u.deg)) == list(LAT)
    assert list(data.longitude.to_value(u.deg)) == list(LON)
    assert data.times.isot[0] == "2023-07-10T00:00:00.000"
    np.testing.assert_allclose(data.temperature[0, 0].to_value(u.K), linear(LAT, LON), atol=PACKING)
    np.testing.assert_allclose(
        data.geopotential_height[0, 0].to_value(u.m), linear(LAT, LON) / 9.80665, atol=PACKING
    )
    assert data.humidity_kind == "specific"
    assert data.ozone is None
    assert data.forecast_hours == 0.0


def test_grib2_with_heights_relative_humidity_and_longitudes_to_360(write):
    content = one_time(names=("gh", "t", "r", "o3"), edition=2)
    data = read_meteo_files(write(content))

    assert data.dataset == "unknown"
    np.testing.assert_allclose(data.longitude.to_value(u.deg), LON)
    np.testing.assert_allclose(
        data.geopotential_height[0, 1].to_value(u.m), linear(LAT, LON), atol=PACKING
    )
    assert data.humidity_kind == "relative"  # percent in the file, a number from 0 to 1 here
    np.testing.assert_allclose(data.humidity[0, 1], linear(LAT, LON) / 100, atol=PACKING / 100)
    assert data.ozone.shape == data.shape


@pytest.mark.parametrize("alternating", [0, 1])
@pytest.mark.parametrize("columns_first", [0, 1])
@pytest.mark.parametrize("northward", [0, 1])
@pytest.mark.parametrize("westward", [0, 1])
def test_every_scanning_mode_gives_the_same_field(
    write, westward, northward, columns_first, alternating
):
    content = one_time(
        edition=2,
        names=("gh", "t", "r"),
        iScansNegatively=westward,
        jScansPositively=northward,
        jPointsAreConsecutive=columns_first,
        alternativeRowScanning=alternating,
    )
    data = read_meteo_files(write(content))
    np.testing.assert_allclose(data.latitude.to_value(u.deg), LAT)
    np.testing.assert_allclose(data.longitude.to_value(u.deg), LON)
    np.testing.assert_allclose(data.temperature[0, 0].to_value(u.K), linear(LAT, LON), atol=PACKING)


def test_levels_in_pascal_are_merged_with_levels_in_hectopascal(write):
    keys = {"edition": 2}
    extra = [
        message(name, 50, typeOfLevel="isobaricInPa", values=linear(LAT, LON, 7.0), **keys)
        for name in ("gh", "t", "r")
    ]
    data = read_meteo_files(write(one_time(names=("gh", "t", "r"), **keys), *extra))
    assert list(data.pressure.to_value(u.hPa)) == [1000, 500, 0.5]
    np.testing.assert_allclose(
        data.temperature[0, 2].to_value(u.K), linear(LAT, LON, 7.0), atol=PACKING
    )


def test_fields_packed_into_one_message_are_all_read(tmp_path):
    multi = eccodes.codes_grib_multi_new()
    for name in ("gh", "t", "r"):
        handle = eccodes.codes_new_from_message(message(name, edition=2))
        eccodes.codes_grib_multi_append(handle, 4, multi)
        eccodes.codes_release(handle)
    path = tmp_path / "multi.grib2"
    with path.open("wb") as stream:
        eccodes.codes_grib_multi_write(multi, stream)
    eccodes.codes_grib_multi_release(multi)
    eccodes.codes_grib_multi_support_off()  # writing has switched it on
    assert path.read_bytes().count(b"7777") == 1

    assert read_meteo_files(path).shape == (1, 1, 3, 4)


def test_other_level_types_variables_and_averages_are_left_out(write):
    others = [
        message("t", 2, typeOfLevel="heightAboveGround"),
        message("u", 500),
        message("t", 500, values=linear(LAT, LON, 50.0), stepType="avg", stepRange="0-6"),
    ]
    alone = read_meteo_files(write(one_time(), name="alone.grib"))
    mixed = read_meteo_files(write(one_time(), *others))
    assert mixed.shape == alone.shape
    assert np.array_equal(mixed.temperature, alone.temperature)


def test_forecast_step_counts_towards_validity(write):
    data = read_meteo_files(write(one_time(names=("gh", "t", "r"), edition=2, forecastTime=120)))
    assert data.forecast_hours == 120.0
    assert data.times.isot[0] == "2023-07-15T00:00:00.000"


@pytest.mark.parametrize(("version", "preliminary"), [("0001", False), ("0005", True)])
def test_preliminary_era5_is_told_from_the_final_one(write, version, preliminary):
    keys = {"centre": "ecmf", "setLocalDefinition": 1, "experimentVersionNumber": version}
    data = read_meteo_files(write(one_time(**keys)))
    assert data.experiment_version == version
    assert data.is_preliminary is preliminary


def test_specific_humidity_is_preferred_unless_relative_has_more_levels(write):
    both = one_time(names=("z", "t", "q", "r"))
    assert read_meteo_files(write(both)).humidity_kind == "specific"
    partly = one_time(names=("z", "t", "r")) + message("q", 500)
    assert read_meteo_files(write(partly)).humidity_kind == "relative"


def test_several_files_are_merged_by_time_and_equal_fields_count_once(write):
    late = write(one_time(dataTime=600), name="late.grib")
    early = write(one_time(dataTime=0), one_time(dataTime=600), name="early.grib")
    data = read_meteo_files([late, early])
    assert list(data.times.isot) == ["2023-07-10T00:00:00.000", "2023-07-10T06:00:00.000"]


def test_equal_fields_with_equal_holes_count_once(write):
    holed = linear(LAT, LON)
    holed[0, 0] = np.nan
    humidity = message("r", 500, values=holed)
    data = read_meteo_files(write(one_time(names=("z", "t")), humidity, humidity))
    assert np.count_nonzero(np.isnan(data.humidity[0, 1])) == 1


def test_files_are_left_as_they_were(write, tmp_path):
    path = write(one_time())
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    tmp_path.chmod(0o555)
    try:
        read_meteo_files(path)
    finally:
        tmp_path.chmod(0o755)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


# ----------------------------------------------------------------------- around a site, seams


def test_around_a_site_the_cell_and_one_point_more_are_kept(write):
    lat, lon = np.arange(20.0, 41.0), np.arange(-30.0, -9.0)
    data = read_meteo_files(write(one_time(lat=lat, lon=lon)), around=SITE)
    assert list(data.latitude.to_value(u.deg)) == [27, 28, 29, 30]
    assert list(data.longitude.to_value(u.deg)) == [-19, -18, -17, -16]
    kept = linear(lat[7:11], lon[11:15])
    quantum = 0.5 * 2.0**-4  # 16 bits over a range of 2020
    np.testing.assert_allclose(data.temperature[0, 0].to_value(u.K), kept, atol=quantum)


@pytest.mark.parametrize(
    ("site_longitude", "expected"),
    [
        (-17.89, [-40, -20, 0, 20]),
        (0.0, [-20, 0, 20, 40]),
        (-0.5, [-40, -20, 0, 20]),
        (179.9, [140, 160, 180, 200]),
        (-179.9, [-200, -180, -160, -140]),
        (180.0, [160, 180, 200, 220]),
    ],
)
def test_global_file_has_no_seam(write, site_longitude, expected):
    lat, lon = np.arange(-90.0, 91.0, 20.0), np.arange(0.0, 360.0, 20.0)
    content = one_time(lat=lat, lon=lon, names=("gh", "t", "r"), edition=2)
    data = read_meteo_files(write(content), around=(15 * u.deg, site_longitude * u.deg))
    np.testing.assert_allclose(data.longitude.to_value(u.deg), expected)
    values = linear(data.latitude.value, data.longitude.value % 360)
    quantum = 0.5 * 2.0**-1  # 16 bits over a range of 18340
    np.testing.assert_allclose(data.temperature[0, 0].to_value(u.K), values, atol=quantum)
    data.require_site(15 * u.deg, site_longitude * u.deg)


def test_global_file_without_site_begins_at_minus_180(write):
    lat, lon = np.arange(-80.0, 81.0, 20.0), np.arange(0.0, 360.0, 20.0)
    data = read_meteo_files(write(one_time(lat=lat, lon=lon, names=("gh", "t", "r"), edition=2)))
    np.testing.assert_allclose(data.longitude.to_value(u.deg), np.arange(-180.0, 180.0, 20.0))


def test_region_across_the_antimeridian_stays_in_one_piece(write):
    lon = np.array([179.0, 179.5, 180.0, 180.5])
    data = read_meteo_files(write(one_time(lon=lon, names=("gh", "t", "r"), edition=2)))
    np.testing.assert_allclose(data.longitude.to_value(u.deg), lon)
    data.require_site(28.7 * u.deg, -179.8 * u.deg)
    with pytest.raises(MissingInputError, match="cannot contain the site"):
        data.require_site(28.7 * u.deg, 0 * u.deg)


@pytest.mark.parametrize(
    ("lat", "lon"),
    [(27.9, -18.0), (29.1, -18.0), (28.2, -18.6), (28.2, -16.9), (28.2, 162.0), (-28.2, -18.0)],
)
def test_site_outside_the_box_is_refused(write, lat, lon):
    path = write(one_time())
    limits = r"3 x 4 points, latitude 28 to 29, longitude -18\.5 to -17 deg, cannot contain"
    with pytest.raises(MissingInputError, match=rf"meteo\.grib.*{limits}.*larger area"):
        read_meteo_files(path, around=(lat * u.deg, lon * u.deg))
    with pytest.raises(MissingInputError, match=f"unknown data: the grid of {limits}"):
        read_meteo_files(path).require_site(lat * u.deg, lon * u.deg)


@pytest.mark.parametrize(("lat", "lon"), [(28.0, -18.5), (29.0, -17.0), (28.5, -18.0)])
def test_site_on_a_grid_point_is_inside(write, lat, lon):
    path = write(one_time())
    read_meteo_files(path, around=(lat * u.deg, lon * u.deg)).require_site(lat * u.deg, lon * u.deg)


def test_single_point_is_no_grid(write):
    path = write(one_time(lat=LAT[:1], lon=LON[:1]))
    assert read_meteo_files(path).shape == (1, 2, 1, 1)
    with pytest.raises(MissingInputError, match=r"1 x 1 points.*at least one grid point on every"):
        read_meteo_files(path, around=(28.0 * u.deg, -18.5 * u.deg))


# ----------------------------------------------------------------------------- incomplete data


def test_humidity_and_ozone_may_lack_levels(write):
    content = one_time(names=("z", "t")) + message("r", 500) + message("o3", 1000)
    data = read_meteo_files(write(content))
    assert np.isnan(data.humidity[0, 0]).all()
    assert np.isfinite(data.humidity[0, 1]).all()
    assert np.isfinite(data.ozone[0, 0]).all()
    assert np.isnan(data.ozone[0, 1]).all()


def test_holes_in_humidity_are_not_a_number(write):
    holed = linear(LAT, LON)
    holed[1, 2] = np.nan
    content = one_time(names=("z", "t")) + message("r", 500, values=holed)
    data = read_meteo_files(write(content))
    assert list(np.argwhere(np.isnan(data.humidity[0, 1]))[0]) == [1, 2]
    assert np.count_nonzero(np.isnan(data.humidity[0, 1])) == 1


@pytest.mark.parametrize(("name", "spelled"), [("t", "temperature"), ("z", "geopotential")])
def test_holes_in_temperature_and_height_are_refused(write, name, spelled):
    holed = linear(LAT, LON)
    holed[1, 1:3] = np.nan
    content = one_time() + message(name, 700, values=holed)
    content += message("z" if name == "t" else "t", 700)
    expected = rf"message 7 at byte \d+: {spelled} at 700 hPa, 2023-07-10T00:00:00 has no value"
    with pytest.raises(CorruptedInputError, match=f"{expected} at 2 of 12 grid points"):
        read_meteo_files(write(content))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("z", "q"), "no temperature on pressure levels; found geopotential, specific humidity"),
        (("t", "q"), "no geopotential or geopotential height on pressure levels"),
        (("t", "z"), "no specific humidity or relative humidity on pressure levels"),
        (("u",), "found none of the known variables; retrieve it with geopotential"),
    ],
)
def test_missing_variable_is_named(write, names, expected):
    with pytest.raises(MissingInputError, match=rf"meteo\.grib: .*{expected}"):
        read_meteo_files(write(one_time(names=names)))


@pytest.mark.parametrize("name", ["z", "t"])
def test_level_missing_at_one_time_is_named(write, name):
    second = [
        message(n, level, dataTime=600)
        for n in ("z", "t", "q")
        for level in (1000, 500)
        if (n, level) != (name, 1000)
    ]
    with pytest.raises(
        MissingInputError,
        match=r"is missing at 1000 hPa, 2023-07-10T06:00:00, and at 0 more of 4 combinations",
    ):
        read_meteo_files(write(one_time(), *second))


def test_variables_with_different_levels_are_refused(write):
    content = one_time() + message("t", 100)
    with pytest.raises(MissingInputError, match="geopotential is missing at 100 hPa"):
        read_meteo_files(write(content))


def test_required_levels(write):
    data = read_meteo_files(write(one_time()))
    data.require_levels(500, 1000.0)
    with pytest.raises(
        MissingInputError, match="lack the pressure levels 850, 10 hPa: found 2 lev"
    ):
        data.require_levels(1000, 850, 10)


# ------------------------------------------------------------------------ contradictory data


def test_contradicting_fields_are_refused(write):
    first = write(one_time(), name="first.grib")
    second = write(message("t", 500, values=linear(LAT, LON, 3.0)), name="second.grib")
    expected = (
        r"second\.grib, message 1.*temperature at 500 hPa.*first\.grib, message 4.*by up to 3"
    )
    with pytest.raises(CorruptedInputError, match=expected):
        read_meteo_files([first, second])


def test_mixed_grids_are_refused(write):
    other = write(one_time(lat=LAT + 1, dataTime=600), name="other.grib")
    expected = r"other\.grib.*another grid \(3 x 4 points, latitude 29 to 30.*latitude 28 to 29"
    with pytest.raises(ConfigurationError, match=expected):
        read_meteo_files([write(one_time()), other])


def test_other_grid_types_are_refused(write):
    content = message("t", 500, sample="reduced_gg_pl_32_grib2")
    with pytest.raises(ConfigurationError, match="temperature is on a grid of type 'reduced_gg'"):
        read_meteo_files(write(content))


# ----------------------------------------------------------------------------- damaged files


@pytest.mark.parametrize("missing_bytes", [1, 4, 60])
def test_file_cut_inside_a_message(write, missing_bytes):
    content = one_time()
    length = len(message("t", 500))
    expected = (
        rf"meteo\.grib is cut off or damaged after message 5, which ends at byte {5 * length} of "
        rf"{6 * length - missing_bytes}: .*retrieve it again"
    )
    with pytest.raises(CorruptedInputError, match=expected):
        read_meteo_files(write(content[:-missing_bytes]))


def test_file_cut_within_the_first_letters_of_a_message(write):
    length = len(message("t", 500))
    with pytest.raises(CorruptedInputError, match=r"after message 5.*: 3 bytes are left"):
        read_meteo_files(write(one_time()[: 5 * length + 3]))


def test_message_with_a_damaged_end(write):
    content = bytearray(one_time())
    content[2 * len(message("t", 500)) - 4] = 0
    with pytest.raises(CorruptedInputError, match="damaged after message 1"):
        read_meteo_files(write(bytes(content)))


def test_padding_after_the_last_message_is_no_damage(write):
    assert read_meteo_files(write(one_time(), bytes(512))).shape == (1, 2, 3, 4)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"<!DOCTYPE html><p>GRIB file not found</p>", r"begins with b'<!DOCTYPE html>"),
        (b"\n\n  quota exceeded", "begins with b'quota exceeded'"),
        (b"", r"is empty \(0 bytes\)"),
        (b"PK\x03\x04....", "is a ZIP archive: unpack it"),
    ],
)
def test_something_else_under_the_name_of_a_meteorological_file(write, content, found):
    expected = rf"meteo\.grib is no meteorological file: it {found}.*needs GRIB, netCDF"
    with pytest.raises(CorruptedInputError, match=expected):
        read_meteo_files(write(content))


def test_missing_file(tmp_path):
    with pytest.raises(MissingInputError, match=r"nowhere\.grib does not exist; retrieve it"):
        read_meteo_files(tmp_path / "nowhere.grib")


def test_no_file():
    with pytest.raises(MissingInputError, match="no meteorological file was given"):
        read_meteo_files([])


# ------------------------------------------------------------------------------------- netCDF

NETCDF_UNITS = {"z": "m**2 s**-2", "t": "K", "r": "%"}


def netcdf(path: Path, lat=LAT[::-1], lon=LON, fields=("z", "t", "r"), **options) -> Path:
    """File in the layout of the Climate Data Store before 2024: packed, ``time``, ``level``."""
    layout = {
        "time": np.array([1_082_496, 1_082_502], "i4"),  # 2023-06-29 00 and 06 UTC
        "level": np.array([500, 1000], "i4"),
        "latitude": np.array(lat, "f4"),
        "longitude": np.array(lon, "f4"),
    }
    extra = options.get("extra", {})
    with netCDF4.Dataset(path, "w", format=options.get("format", "NETCDF3_64BIT_OFFSET")) as data:
        for name, values in (layout | extra).items():
            data.createDimension(name, len(values))
            data.createVariable(name, values.dtype, (name,))[:] = values
        data["time"].units = "hours since 1900-01-01 00:00:00.0"
        data["level"].units = options.get("level_units", "millibars")
        dimensions = options.get("dimensions", ("time", *extra, *list(layout)[1:]))
        for name in fields:
            variable = data.createVariable(name, "i2", dimensions, fill_value=-32767)
            variable.scale_factor, variable.add_offset = 2.0**-4, 2000.0
            variable.units = NETCDF_UNITS[name]
            shape = [len((layout | extra)[axis]) for axis in dimensions]
            values = np.broadcast_to(linear(np.asarray(lat), np.asarray(lon)), shape)
            variable[:] = np.ma.masked_array(values, options.get("mask", np.zeros(shape, bool)))
    return path


@pytest.mark.parametrize("file_format", ["NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF4"])
def test_packed_netcdf_of_the_old_data_store(tmp_path, file_format):
    data = read_meteo_files(netcdf(tmp_path / "era5.nc", format=file_format))
    assert data.shape == (2, 2, 3, 4)
    assert list(data.times.isot) == ["2023-06-29T00:00:00.000", "2023-06-29T06:00:00.000"]
    assert list(data.pressure.to_value(u.hPa)) == [1000, 500]
    half_step = 2.0**-5
    np.testing.assert_allclose(
        data.temperature[1, 0].to_value(u.K), linear(LAT, LON), atol=half_step
    )
    np.testing.assert_allclose(
        data.geopotential_height[1, 0].to_value(u.m), linear(LAT, LON) / 9.80665, atol=half_step
    )
    np.testing.assert_allclose(data.humidity[0, 0], linear(LAT, LON) / 100, atol=half_step / 100)


def test_netcdf_around_a_site_across_greenwich(tmp_path):
    lon = np.arange(0.0, 360.0, 20.0)
    path = netcdf(tmp_path / "global.nc", lon=lon)
    data = read_meteo_files(path, around=(28.7 * u.deg, -0.5 * u.deg))
    assert list(data.longitude.to_value(u.deg)) == [-40, -20, 0, 20]
    expected = linear(data.latitude.value, np.array([320.0, 340.0, 0.0, 20.0]))
    np.testing.assert_allclose(data.temperature[0, 0].to_value(u.K), expected, atol=2.0**-5)


def test_netcdf_merges_with_grib(write, tmp_path):
    grib = write(one_time(names=("z", "t", "r")))
    data = read_meteo_files([grib, netcdf(tmp_path / "era5.nc")])
    assert [t[:13] for t in data.times.isot] == ["2023-06-29T00", "2023-06-29T06", "2023-07-10T00"]


def test_netcdf_with_final_and_preliminary_side_by_side(tmp_path):
    extra = {"expver": np.array([1, 5], "i4")}
    mask = np.zeros((2, 2, 2, 3, 4), bool)
    mask[0, 1] = mask[1, 0] = True  # the first time is final, the second preliminary
    data = read_meteo_files(netcdf(tmp_path / "era5t.nc", extra=extra, mask=mask))
    assert data.shape == (2, 2, 3, 4)
    assert data.experiment_version == "0001,0005"
    assert data.is_preliminary


def test_netcdf_with_holes_in_temperature(tmp_path):
    mask = np.zeros((2, 2, 3, 4), bool)
    mask[1, 0, 2, 1] = True
    expected = "geopotential at 500 hPa, 2023-06-29T06:00:00 has no value at 1 of 12"
    with pytest.raises(CorruptedInputError, match=expected):
        read_meteo_files(netcdf(tmp_path / "holes.nc", mask=mask))


@pytest.mark.parametrize(
    ("options", "error", "expected"),
    [
        (
            {"extra": {"number": np.arange(3, dtype="i4")}},
            ConfigurationError,
            "t has 3 entries along 'number', needs one",
        ),
        ({"level_units": "1"}, CorruptedInputError, "level is in '1', needs one of hPa"),
        (
            {"dimensions": ("time", "latitude", "longitude")},
            CorruptedInputError,
            r"t has the dimensions time, latitude, longitude, needs also level; request",
        ),
    ],
)
def test_netcdf_of_another_kind(tmp_path, options, error, expected):
    with pytest.raises(error, match=rf"era5\.nc: {expected}"):
        read_meteo_files(netcdf(tmp_path / "era5.nc", fields=("t",), **options))


def test_netcdf_without_levels(tmp_path):
    path = tmp_path / "surface.nc"
    with netCDF4.Dataset(path, "w") as data:
        for name, values in {"latitude": LAT, "longitude": LON, "time": [0]}.items():
            data.createDimension(name, len(values))
            data.createVariable(name, "f8", (name,))[:] = values
    with pytest.raises(
        CorruptedInputError, match=r"no dimension pressure_level or level .*found lat"
    ):
        read_meteo_files(path)


@pytest.mark.parametrize("kept", [100, 4000])
def test_netcdf_cut_off(tmp_path, kept):
    path = netcdf(tmp_path / "era5.nc", format="NETCDF4")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CorruptedInputError, match=r"era5\.nc is cut off or damaged.*retrieve it"):
        read_meteo_files(path)


# --------------------------------------------------------------------------------------- ECSV


def ecsv(path: Path, keep=slice(None), drop=()) -> Path:
    """Table with two levels at one time, in no particular order."""
    level, lat, lon = (a.ravel() for a in np.meshgrid([500.0, 1000.0], LAT, LON, indexing="ij"))
    table = QTable(
        {
            "Latitude": lat * u.deg,
            "Longitude": lon * u.deg,
            "Timestamp": Time(["2023-07-10T03:00:00"] * lat.size),
            "Pressure": level * u.hPa,
            "Geopotential": (100 * lat + lon) * 9.80665 * u.m**2 / u.s**2,
            "Temperature": (100 * lat + lon) * u.K,
            "Relative humidity": (level / 10) * u.percent,
        }
    )
    table = table[::-1][keep]
    table.remove_columns(list(drop))
    table.write(path, format="ascii.ecsv")
    return path


def test_ecsv_table(tmp_path):
    data = read_meteo_files(ecsv(tmp_path / "table.ecsv"), around=SITE)
    assert data.shape == (1, 2, 3, 4)  # the enclosing cell, one point more where there is one
    assert data.times.isot[0] == "2023-07-10T03:00:00.000"
    np.testing.assert_allclose(data.temperature[0, 1].to_value(u.K), linear(LAT, LON))
    np.testing.assert_allclose(data.geopotential_height[0, 1].to_value(u.m), linear(LAT, LON))
    assert data.humidity_kind == "relative"
    np.testing.assert_allclose(data.humidity[0, :, 0, 0], [1.0, 0.5])
    assert data.ozone is None
    assert data.experiment_version == ""


def test_ecsv_table_with_rows_twice(tmp_path):
    twice = [*range(24), 3, 4]
    with pytest.raises(CorruptedInputError, match=r"table\.ecsv holds 2 rows twice"):
        read_meteo_files(ecsv(tmp_path / "table.ecsv", keep=twice))


def test_ecsv_table_with_a_row_missing(tmp_path):
    path = ecsv(tmp_path / "table.ecsv", keep=slice(1, None))
    with pytest.raises(CorruptedInputError, match="has no value at 1 of 12 grid points"):
        read_meteo_files(path)


def test_ecsv_table_of_something_else(tmp_path):
    path = ecsv(tmp_path / "table.ecsv", drop=("Pressure", "Timestamp"))
    expected = "no table of pressure levels: it has no column Timestamp, Pressure; found Latitude"
    with pytest.raises(CorruptedInputError, match=expected):
        read_meteo_files(path)


def test_ecsv_table_cut_off(tmp_path):
    path = ecsv(tmp_path / "table.ecsv")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(CorruptedInputError, match=r"table\.ecsv is cut off or damaged"):
        read_meteo_files(path)


# -------------------------------------------------------------------------------- invariants


def test_data_cannot_be_changed(write):
    data = read_meteo_files(write(one_time()))
    assert isinstance(data, PressureLevelData)
    with pytest.raises(AttributeError):
        data.dataset = "other"
