"""Showers as an array sees them: distances, fronts, energies."""

import numpy as np
import pytest

from calibpipe.core.exceptions import ConfigurationError
from calibpipe.simulation.array_layout import array_subarray
from calibpipe.simulation.array_showers import (
    ArrayTruth,
    ShowerModel,
    axis_distance,
    direction_vector,
    front_delay,
    simulated_showers,
)

ZENITH = np.array([[0.0, 0.0, 1.0]])


def line(*x, throughput=None):
    """Telescopes on the x axis."""
    positions = np.array([[value, 0.0, 0.0] for value in x])
    n = len(x)
    throughput = np.ones(n) if throughput is None else np.asarray(throughput)
    return ArrayTruth(
        np.arange(1, n + 1), np.full(n, "MST"), positions, throughput, np.zeros(n), 0.0
    )


def test_distance_from_a_vertical_and_an_inclined_axis():
    positions = np.array([[100.0, 0, 0], [0, 100, 0], [0, 0, 50]])
    core = np.zeros((1, 3))
    np.testing.assert_allclose(axis_distance(positions, core, ZENITH), [[100, 100, 0]])
    inclined = direction_vector(np.deg2rad([60.0]), np.array([0.0]))
    np.testing.assert_allclose(inclined, [[0.5, 0, np.sqrt(0.75)]], atol=1e-15)
    expected = [100 * np.sqrt(0.75), 100, 25]
    np.testing.assert_allclose(axis_distance(positions, core, inclined), [expected])


def test_azimuth_runs_from_north_to_east():
    east = direction_vector(np.zeros(1), np.deg2rad([90.0]))
    np.testing.assert_allclose(east, [[0, -1, 0]], atol=1e-15)  # y is west


def test_curvature_of_the_front():
    """F02: 2.08 ns at 100 m and 13.0 ns at 250 m for light from 8 km."""
    delay = front_delay(
        line(0, 100, 250), np.zeros((1, 3)), np.array([np.pi / 2]), np.zeros(1), np.array([8000.0])
    )
    np.testing.assert_allclose(delay[0] - delay[0, 0], [0, 2.08, 13.03], atol=0.01)


def test_front_of_an_inclined_shower_comes_first_where_it_comes_from():
    """114 ns in 100 m at 20 deg, in the plane limit."""
    alt, az = np.deg2rad([70.0]), np.zeros(1)
    delay = front_delay(line(-50, 50), np.zeros((1, 3)), alt, az, np.array([1e7]))
    assert delay[0, 0] - delay[0, 1] == pytest.approx(114.1, abs=0.1)


def test_energies_and_light_follow_the_throughput(rng):
    truth = line(-60, 60, throughput=[1.2, 0.8])
    model = ShowerModel(min_energy_in_tev=0.5, radius_in_m=50, invalid=0.1)
    showers = simulated_showers(20_000, truth, np.pi / 2 - 0.3, 0.0, model, rng)
    assert np.all(showers.has_data.sum(axis=1) >= 2)
    good = np.isfinite(showers.tel_energy).all(axis=1)
    assert good.mean() == pytest.approx(0.81, abs=4 * np.sqrt(0.81 * 0.19 / len(good)))
    ratio = np.log(showers.tel_energy / showers.energy[:, None])[good]
    error = 0.2 / np.sqrt(good.sum())
    np.testing.assert_allclose(ratio.mean(axis=0), np.log([1.2, 0.8]), atol=4 * error)
    np.testing.assert_allclose(ratio.std(axis=0), 0.2, rtol=4 / np.sqrt(2 * good.sum()))
    light = np.log(showers.size[:, 0] / showers.size[:, 1])
    near = (showers.impact < 110).all(axis=1)  # flat to 120 m
    assert light[near].mean() == pytest.approx(np.log(1.5), abs=4 * 0.2 * np.sqrt(2 / near.sum()))


def test_arrays_of_the_sites(north, south):
    array = array_subarray(north)
    assert [array.tel[i].name for i in array.tel][::4] == [
        "LSTN-01",
        "MSTN-01",
        "MSTN-05",
        "MSTN-09",
    ]
    array = array_subarray(south)
    kinds = [array.tel[i].type.value for i in array.tel]
    assert kinds.count("MST") == 14
    assert kinds.count("SST") == 37
    places = np.array([array.positions[i].to_value("m") for i in array.tel])
    apart = np.linalg.norm(places[:, None] - places, axis=2)[14:, 14:]
    assert apart[apart > 0].min() == pytest.approx(240)
    with pytest.raises(ConfigurationError, match="there are 4 LSTN, not 5"):
        array_subarray(north, numbers={"LSTN": 5})
