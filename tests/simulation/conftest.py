"""What the tests of camera, light and waveforms share."""

import astropy.units as u
import numpy as np
import pytest

from calibpipe.simulation.camera import CameraSpread
from calibpipe.simulation.light import flat_field_light


@pytest.fixture
def rng():
    return np.random.default_rng(20240710)


@pytest.fixture
def uniform():
    """Spread without any: every pixel is the mean pixel."""
    return CameraSpread(
        gain_spread=0,
        gain_ratio_spread=0,
        efficiency_spread=0,
        pedestal_spread=0,
        noise_spread=0,
        time_spread=0,
    )


@pytest.fixture
def flat_field():
    """Light of a flat field of 50 photoelectrons without any jitter, but for what is given."""

    def light(n_events, truth, rng, **more):
        values = {
            "n_pe": 50.0,
            "intensity_jitter": 0.0,
            "time": 18 * u.ns,
            "time_jitter": 0 * u.ns,
            "transit_time_spread": 0 * u.ns,
        }
        return flat_field_light(n_events, truth, rng, **(values | more))

    return light


@pytest.fixture
def assert_pulls():
    """Pulls are normal: mean 0 and width 1 within five standard errors of them."""

    def check(pulls):
        n = np.size(pulls)
        assert abs(np.mean(pulls)) < 5 / np.sqrt(n)
        assert abs(np.std(pulls) - 1) < 5 / np.sqrt(2 * n)

    return check
