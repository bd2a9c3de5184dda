"""Real files of ERA5, CAMS and GFS, compared with values found by another route."""

import csv

import astropy.units as u
import eccodes
import numpy as np
import pytest

from calibpipe.core.exceptions import CorruptedInputError, MissingInputError
from calibpipe.core.meteo_files import read_meteo_files

pytestmark = pytest.mark.realdata

ERA5_LEVELS = [
    *(1000, 975, 950, 925, 900, 875, 850, 825, 800, 775, 750, 700, 650, 600, 550, 500, 450, 400),
    *(350, 300, 250, 225, 200, 175, 150, 125, 100, 70, 50, 30, 20, 10, 7, 5, 3, 2, 1),
]


@pytest.fixture(scope="module")
def paranal_path(shared_data):
    return shared_data / "meteo/era5_paranal_2023-01-20.grib"


@pytest.fixture(scope="module")
def paranal(paranal_path, south):
    return read_meteo_files(paranal_path, "ERA5", around=(south.latitude, south.longitude))


def nearest(path, latitude, longitude, **wanted):
    """Values at the nearest grid point by eccodes' own search: short name -> value."""
    values = {}
    with path.open("rb") as stream:
        while (message := eccodes.codes_grib_new_from_file(stream)) is not None:
            if all(eccodes.codes_get(message, key) == value for key, value in wanted.items()):
                point = eccodes.codes_grib_find_nearest(message, latitude, longitude)[0]
                values[eccodes.codes_get(message, "shortName")] = point["value"]
            eccodes.codes_release(message)
    return values


def test_paranal_axes(paranal):
    assert paranal.shape == (7, 37, 2, 2)
    assert [t[:16] for t in paranal.times.isot] == [f"2023-01-20T0{h}:00" for h in range(2, 9)]
    assert list(paranal.pressure.to_value(u.hPa)) == ERA5_LEVELS
    assert list(paranal.latitude.to_value(u.deg)) == [-24.75, -24.5]
    assert list(paranal.longitude.to_value(u.deg)) == [-70.5, -70.25]
    assert paranal.humidity_kind == "relative"
    assert paranal.experiment_version == "0001"
    assert not paranal.is_preliminary
    assert paranal.forecast_hours == 0.0
    paranal.require_levels(*ERA5_LEVELS)


@pytest.mark.parametrize(
    ("time", "level", "row", "column"),
    [(0, 1000, 0, 0), (3, 500, 1, 0), (5, 70, 0, 1), (6, 1, 1, 1)],
)
def test_paranal_values_are_those_eccodes_finds(paranal, paranal_path, *, time, level, row, column):
    place = (paranal.latitude.value[row], paranal.longitude.value[column])
    where = (time, ERA5_LEVELS.index(level), row, column)
    found = nearest(paranal_path, *place, dataTime=100 * (time + 2), level=level)

    assert paranal.temperature[where].to_value(u.K) == found["t"]
    assert paranal.geopotential_height[where].to_value(u.m) == pytest.approx(
        found["z"] / 9.80665, rel=1e-12
    )
    assert paranal.humidity[where].value == pytest.approx(found["r"] / 100, rel=1e-12)
    assert paranal.ozone[where].value == found["o3"]


def test_paranal_is_hydrostatic(paranal):
    """Thickness between levels is that of dry air: R T / g ln(p1/p2); moisture adds below 1 %."""
    height = paranal.geopotential_height.to_value(u.m)
    temperature = paranal.temperature.to_value(u.K)
    layers = slice(ERA5_LEVELS.index(500), ERA5_LEVELS.index(100) + 1)
    thickness = np.diff(height[:, layers], axis=1)
    mean = (temperature[:, layers][:, 1:] + temperature[:, layers][:, :-1]) / 2
    ratio = np.log(np.array(ERA5_LEVELS[layers][:-1]) / np.array(ERA5_LEVELS[layers][1:]))
    dry = 287.05 * mean / 9.80665 * ratio[:, np.newaxis, np.newaxis]
    np.testing.assert_allclose(thickness / dry, 1.0, atol=0.01)


def test_site_of_the_other_hemisphere_is_outside(paranal_path, north):
    with pytest.raises(MissingInputError, match=r"latitude -24\.75 to -24\.5.*latitude 28\.7618"):
        read_meteo_files(paranal_path, around=(north.latitude, north.longitude))


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.999])
def test_truncated_era5(paranal_path, tmp_path, fraction):
    content = paranal_path.read_bytes()
    kept = int(len(content) * fraction) // 116 * 116 + 50  # every message has 116 or 152 bytes
    path = tmp_path / "part.grib"
    path.write_bytes(content[:kept])
    expected = (
        rf"part\.grib is cut off or damaged after message \d+, which ends at byte \d+ of {kept}"
    )
    with pytest.raises(CorruptedInputError, match=expected):
        read_meteo_files(path)


def test_era5_without_a_level_at_one_hour(paranal_path, tmp_path):
    path = tmp_path / "hole.grib"
    with paranal_path.open("rb") as source, path.open("wb") as target:
        while (message := eccodes.codes_grib_new_from_file(source)) is not None:
            keys = [eccodes.codes_get(message, key) for key in ("shortName", "level", "dataTime")]
            if keys != ["t", 500, 400]:
                eccodes.codes_write(message, target)
            eccodes.codes_release(message)
    expected = "temperature is missing at 500 hPa, 2023-01-20T04:00:00, and at 0 more of 259"
    with pytest.raises(MissingInputError, match=expected):
        read_meteo_files(path)


def test_la_palma_table(shared_data, north):
    path = shared_data / "meteo/era5_lapalma_2023-07-10.ecsv"
    data = read_meteo_files(path, "ERA5", around=(north.latitude, north.longitude))
    assert data.shape == (7, 37, 2, 2)
    assert data.times.isot[0] == "2023-07-09T22:00:00.000"
    assert data.times.isot[-1] == "2023-07-10T04:00:00.000"
    assert list(data.pressure.to_value(u.hPa)) == ERA5_LEVELS

    wanted = {
        "Latitude": "29.0",
        "Longitude": "-18.0",
        "Pressure": "500.0",
        "Timestamp.day": "10",
        "Timestamp.hour": "1",
    }
    with path.open() as stream:
        rows = csv.DictReader((line for line in stream if line[0] != "#"), delimiter=" ")
        row = next(row for row in rows if wanted.items() <= row.items())
    where = (3, ERA5_LEVELS.index(500), 1, 0)
    assert data.temperature[where].to_value(u.K) == float(row["Temperature"])
    assert data.geopotential_height[where].to_value(u.m) == pytest.approx(
        float(row["Geopotential"]) / 9.80665, rel=1e-12
    )
    assert data.humidity[where].value == pytest.approx(
        float(row["Relative humidity"]) / 100, rel=1e-12
    )
    assert data.ozone[where].value == float(row["Ozone mass mixing ratio"])


def test_global_gfs_around_the_northern_site(shared_data, north):
    path = shared_data / "meteo/gfs_global_2p5deg_2011-01-15.grib2"
    data = read_meteo_files(path, "GFS", around=(north.latitude, north.longitude))
    assert data.shape == (1, 26, 4, 4)
    assert data.times.isot[0] == "2011-01-15T12:00:00.000"
    assert data.forecast_hours == 120.0
    assert data.experiment_version == ""
    assert list(data.latitude.to_value(u.deg)) == [25, 27.5, 30, 32.5]
    assert list(data.longitude.to_value(u.deg)) == [-22.5, -20, -17.5, -15]
    assert data.pressure[0] == 1000 * u.hPa
    assert data.pressure[-1] == 10 * u.hPa

    dry = np.isnan(data.humidity).all(axis=(0, 2, 3))
    assert list(data.pressure[dry].to_value(u.hPa)) == [20]  # the only level without it
    for level, row, column in ((1000, 0, 0), (500, 1, 2), (10, 3, 3)):
        j = list(data.pressure.to_value(u.hPa)).index(level)
        place = (data.latitude.value[row], data.longitude.value[column] % 360)
        where = (0, j, row, column)
        found = nearest(path, *place, typeOfLevel="isobaricInhPa", level=level)
        assert data.temperature[where].to_value(u.K) == found["t"]
        assert data.geopotential_height[where].to_value(u.m) == found["gh"]
        assert data.humidity[where].value == pytest.approx(found["r"] / 100, rel=1e-12)


def test_truncated_gfs(shared_data, tmp_path):
    content = (shared_data / "meteo/gfs_global_2p5deg_2011-01-15.grib2").read_bytes()
    path = tmp_path / "part.grib2"
    path.write_bytes(content[: len(content) // 2])
    expected = rf"part\.grib2 is cut off or damaged after message \d+, .* of {len(content) // 2}"
    with pytest.raises(CorruptedInputError, match=expected):
        read_meteo_files(path)


def test_cams_has_a_single_point(shared_data, north):
    path = shared_data / "meteo/cams_lapalma_2023-12.grib"
    with pytest.raises(MissingInputError, match=r"grid of 1 x 1 points.*cannot contain the site"):
        read_meteo_files(path, "CAMS", around=(north.latitude, north.longitude))


def test_cams_can_be_read_without_a_site(shared_data):
    data = read_meteo_files(shared_data / "meteo/cams_lapalma_2023-12.grib", "CAMS")
    assert data.shape == (31, 25, 1, 1)
    assert data.experiment_version == "eac4"
    assert data.ozone is not None
