"""Level of the flasher event of a full LST simulation: 12.0 p.e. in every pixel."""

import numpy as np
import pytest
from ctapipe.image.extractor import FixedWindowSum
from ctapipe.io import EventSource

from calibpipe.camera.extraction import fixed_window_sum
from calibpipe.throughput.illuminator import light_levels, relative_light_map

pytestmark = pytest.mark.realdata
NAME = "simtel/lst_flasher_run000010_north_7.0.0.simtel.zst"
WINDOW = {"window_width": 12, "window_shift": 5}
F2 = 1.222  # LST


@pytest.fixture
def flasher(shared_data):
    """Image, noise, true p.e. of every pixel, its place across the camera."""
    options = {"skip_calibration_events": False, "focal_length_choice": "EQUIVALENT"}
    with EventSource(shared_data / NAME, **options) as source:
        (event,) = source
    ((tel_id, r1),) = event.r1.tel.items()
    camera = source.subarray.tel[tel_id].camera
    block = r1.waveform[np.newaxis].astype(np.float32)
    peak = int(r1.waveform[0].mean(axis=0).argmax())  # of the camera's sum

    def charge(peak_index):
        rate = camera.readout.sampling_rate
        return fixed_window_sum(block, rate, peak_index=peak_index, **WINDOW)[0][0, 0].astype(float)

    # ctapipe's part of the pulse in the window, which coefficients contain
    whole = FixedWindowSum(subarray=source.subarray, peak_index=peak, **WINDOW)
    arguments = (tel_id, r1.selected_gain_channel, np.zeros(r1.waveform.shape[:2], bool))
    fraction = np.median(charge(peak) / np.squeeze(whole(r1.waveform, *arguments).image))
    assert 0.9 < fraction < 1.0
    noise = charge(33).std() / fraction  # the last twelve samples, after the pulse
    x = camera.geometry.pix_x
    return charge(peak) / fraction, noise, event.simulation.tel[tel_id].true_image, x


@pytest.mark.filterwarnings("ignore")
def test_flasher_has_its_level(flasher):
    image, noise, true, _ = flasher
    options = {"noise": noise, "squared_excess_noise_factor": F2}
    found = light_levels(image, np.ones(image.size), **options)
    assert found.n_pixels == 1855
    assert found.level == pytest.approx(12.0, abs=3 * found.stat_error[0])
    assert found.stat_error < 0.01 * 12.0
    # the photoelectrons of this event, whose Poisson fluctuation is known
    own = np.sqrt(found.stat_error[0] ** 2 - true.mean() / true.size)
    assert found.level == pytest.approx(true.mean(), abs=3 * own)
    # 1854 degrees of freedom; F² of this simulation is not exactly ours: 1 %
    assert found.reduced_chi2 == pytest.approx(1, abs=4 * np.sqrt(2 / 1854) + 0.01)


@pytest.mark.filterwarnings("ignore")
def test_map_that_falls_over_the_camera_is_refuted(flasher):
    """40 % at the edges: as much as the photoelectron statistics of a pixel."""
    image, noise, _, x = flasher
    light = relative_light_map(1 + 0.4 * (x / np.abs(x).max()).value)
    options = {"noise": noise, "squared_excess_noise_factor": F2}
    flat = light_levels(image, np.ones(image.size), **options).reduced_chi2
    sloped = light_levels(image, light, **options).reduced_chi2
    expected = 12.0**2 * light.var() / (F2 * 12.0 + noise**2)
    # twice the deviation times the noise of the pixels is what the difference scatters by
    assert sloped - flat == pytest.approx(expected, abs=4 * 2 * np.sqrt(expected / 1854))
    assert expected > 3 * np.sqrt(2 / 1854)
