"""Pixels of the simulated camera: what they are drawn from, faults, drifts, tables."""

import numpy as np
import pytest

from calibpipe.core.exceptions import ConfigurationError
from calibpipe.simulation.camera import (
    CameraSpread,
    PixelFault,
    camera_truth,
    truth_from_table,
    truth_table,
)


def test_faulty_pixels_are_as_many_as_asked_and_none_twice(rng):
    spread = CameraSpread(dead=0.02, hot=0.01, noisy=0.03, flickering=0.04)
    status = camera_truth(1000, rng, spread).status
    assert [(status == fault).sum() for fault in PixelFault] == [20, 10, 30, 40]
    assert (status == 0).sum() == 900


@pytest.mark.parametrize(
    ("spread", "message"),
    [
        ({"dead": 0.7, "hot": 0.4}, r"add up to 1\.1, needs at most 1"),
        ({"squared_excess_noise_factor": 1.0}, "is 1, needs more than 1"),
    ],
)
def test_impossible_cameras_are_refused(rng, spread, message):
    with pytest.raises(ConfigurationError, match=message):
        camera_truth(10, rng, CameraSpread(**spread))


def test_truth_survives_its_table(rng):
    truth = camera_truth(7, rng, CameraSpread(dead=0.2, gain_drift=0.01, pedestal_drift=0.5))
    again = truth_from_table(truth_table(truth))
    for name, value in vars(truth).items():
        np.testing.assert_array_equal(getattr(again, name), value)


def test_one_channel_is_the_high_gain_of_two(rng):
    spread = CameraSpread(electronic_noise=(3.0,), dead=0.1, gain_drift=0.1)
    truth = camera_truth(2000, rng, spread, n_channels=1)
    assert truth.gain.shape == truth.pedestal.shape == truth.electronic_noise.shape == (1, 2000)
    assert truth.gain_at([0, 1]).shape == (2, 1, 2000)
    assert (truth.gain[:, truth.status == PixelFault.DEAD] == 0).all()
    good = truth.gain[:, truth.status == 0]
    assert good.mean() == pytest.approx(85, abs=5 * 0.05 * 85 / np.sqrt(good.size))
    again = truth_from_table(truth_table(truth))
    for name, value in vars(truth).items():
        np.testing.assert_array_equal(getattr(again, name), value)


@pytest.mark.parametrize(
    ("n_channels", "message"),
    [
        (3, "has 3 gain channels, needs 1 or 2"),
        (1, "`electronic_noise` has 2 values, needs 1"),
    ],
)
def test_other_numbers_of_channels_are_refused(rng, n_channels, message):
    with pytest.raises(ConfigurationError, match=message):
        camera_truth(10, rng, n_channels=n_channels)
