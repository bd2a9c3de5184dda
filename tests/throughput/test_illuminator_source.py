"""Table of the source: what holds when, at which distance, how well it is known."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable
from astropy.time import Time

from calibpipe.core.exceptions import ConfigurationError
from calibpipe.throughput.illuminator_source import illuminator_source, map_of_pixels

AWAY = {
    "reference_distance": [1.0] * u.m,
    "distance": [500.0] * u.m,
    "distance_error": [1.0] * u.m,
}


def table(**columns):
    one = {"time": ["2024-07-10T22:00:00"], "photons": [7.0] / u.m**2, "relative_error": [0.03]}
    return QTable(one | columns)


def periods():
    """On, off, on again with another setting, not in order."""
    return QTable(
        {
            "time": Time(["2024-07-10T22:10", "2024-07-10T22:00", "2024-07-10T22:20"], scale="tai"),
            "photons": [0, 70, 90] * u.ph / u.m**2,
            "relative_error": [3, 1, 2] * u.percent,
        }
    )


def test_periods_are_put_in_order():
    source = illuminator_source(periods(), 1)
    np.testing.assert_array_equal(source.photons.value, [70, 0, 90])
    np.testing.assert_allclose(source.relative_error, [0.01, 0.03, 0.02])
    assert source.is_at_telescope


def test_flashes_belong_to_the_period_that_has_begun():
    source = illuminator_source(periods(), 1)
    times = source.time[0] + np.array([-0.1, 0.0, 599.9, 600.0, 1199.9, 1200.0, 9999.0])
    assert source.period_of(times).tolist() == [-1, 0, 0, -1, -1, 2, 2]


@pytest.mark.parametrize("photons", [7.0 * u.ph / u.m**2, 7e-4 / u.cm**2])
def test_text_is_tai_and_units_are_converted(photons):
    source = illuminator_source(table(photons=u.Quantity([photons])), 1)
    assert source.time[0] == Time("2024-07-10T22:00:00", scale="tai").unix_tai
    assert source.photons.to_value(u.m**-2) == pytest.approx([7])
    assert source.photons_per_pixel(10 * u.m**2, 5) == pytest.approx(14)


def test_photons_at_a_distance():
    source = illuminator_source(table(**AWAY), 1)
    assert source.photons_per_pixel(10 * u.m**2, 5) == pytest.approx(14 / 500**2)
    found = source.systematic_errors(gain=0.02)
    assert {name: error[0] for name, error in found.items()} == pytest.approx(
        {"source": 0.03, "distance": 2 / 500, "transmission": 0, "angle": 0, "map": 0, "gain": 0.02}
    )


def test_rows_of_other_telescopes_are_left_out():
    both = table(tel_id=[1])
    other = table(tel_id=[2], photons=[9.0] / u.m**2)
    rows = QTable({name: list(both[name]) + list(other[name]) for name in both.colnames})
    assert illuminator_source(rows, 2).photons.value == [9.0]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (AWAY | {"distance": [0] * u.m}, "distance is 0, must be above 0"),
        (AWAY | {"attenuation_length": [9] * u.km}, "needs a column attenuation_length_error"),
        ({"photons": [np.nan] / u.m**2}, "photons is nan, must be finite and not negative"),
        ({"photons": [1.0]}, "photons has the unit none, needs ph / m2"),
        ({"jitter": [1.0] * u.m}, "jitter has the unit m, needs none"),
    ],
)
def test_impossible_columns(columns, message):
    with pytest.raises(ConfigurationError, match=f"table of the light source: .*{message}"):
        illuminator_source(table(**columns), 1)


def test_same_period_twice():
    twice = periods()
    twice["time"] = twice["time"][0]
    with pytest.raises(ConfigurationError, match="two rows begin at the same time"):
        illuminator_source(twice, 1)


def test_map_has_the_pixels_it_names():
    light = map_of_pixels(QTable({"pixel_id": [2, 0], "relative_light": [5.0, 7.0]}), 4)
    np.testing.assert_array_equal(light, [7, np.nan, 5, np.nan])


@pytest.mark.parametrize("pixels", [[0, 0], [0, 4], [-1, 0]])
def test_pixels_of_another_camera(pixels):
    light = QTable({"pixel_id": pixels, "relative_light": [1.0, 1.0]})
    with pytest.raises(ConfigurationError, match="from 0 to 3, each once"):
        map_of_pixels(light, 4)


def test_map_without_light():
    with pytest.raises(ConfigurationError, match="no column relative_light"):
        map_of_pixels(QTable({"pixel_id": [1]}), 4)
