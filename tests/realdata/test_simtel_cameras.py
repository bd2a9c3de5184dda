"""Full simulations of seven cameras: extraction as ctapipe does it, charges in true p.e."""

import astropy.units as u
import numpy as np
import pytest
from ctapipe.image.extractor import FixedWindowSum, LocalPeakWindowSum, VarianceExtractor
from ctapipe.io import EventSource

from calibpipe.camera.extraction import (
    fixed_window_sum,
    local_peak_window_sum,
    waveform_variance,
)

pytestmark = pytest.mark.realdata
FILES = {  # number of pixels of the cameras in them
    "lst_flasher_run000010_north_7.0.0.simtel.zst": {1855},
    "extracted_pedestals.simtel.zst": {1855},
    "calib_events.simtel.gz": {1855, 1764, 2368, 2048, 1296, 11328},
    "calib_true_pe.simtel.zst": {1764},
}


def events(path):
    """Event, telescope, description of the telescope, R1 waveforms with all channels."""
    options = {"skip_calibration_events": False, "focal_length_choice": "EQUIVALENT"}
    with EventSource(path, **options) as source:
        for event in source:
            for tel_id, r1 in event.r1.tel.items():
                yield event, tel_id, source.subarray, r1


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FILES)
def test_extraction_is_that_of_ctapipe(shared_data, name):
    """Charge, peak time and variance of every camera, dual gain and single gain."""
    seen = set()
    for _, tel_id, subarray, r1 in events(shared_data / "simtel" / name):
        waveform, camera = r1.waveform, subarray.tel[tel_id].camera
        n_channels, n_pixels, n_samples = waveform.shape
        seen.add(n_pixels)
        broken = np.zeros((n_channels, n_pixels), bool)
        arguments = (tel_id, r1.selected_gain_channel, broken)
        rate = camera.readout.sampling_rate
        window = {"window_width": 6, "window_shift": 2}
        whole = {"apply_integration_correction": False}
        local = LocalPeakWindowSum(subarray=subarray, **window, **whole)(waveform, *arguments)
        fixed = FixedWindowSum(subarray=subarray, peak_index=n_samples // 2, **window, **whole)(
            waveform, *arguments
        )
        block = waveform[np.newaxis].astype(np.float32)
        ours = (
            local_peak_window_sum(block, rate, **window),
            fixed_window_sum(block, rate, peak_index=n_samples // 2, **window),
        )
        for (charge, time), theirs in zip(ours, (local, fixed), strict=True):
            np.testing.assert_allclose(charge[0], np.atleast_2d(theirs.image), rtol=1e-5, atol=1e-4)
            found, expected = time[0].to_value(u.ns), np.atleast_2d(theirs.peak_time)
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)
        variance = VarianceExtractor(subarray=subarray)(waveform, *arguments)
        np.testing.assert_allclose(
            waveform_variance(block)[0], np.atleast_2d(variance.image), rtol=1e-4, atol=1e-4
        )
    assert seen == FILES[name]


@pytest.mark.filterwarnings("ignore")
def test_flasher_comes_out_in_true_photoelectrons(shared_data):
    """R1 of sim_telarray is in p.e. a sample: the sum over the pulse is the number of p.e."""
    path = shared_data / "simtel/lst_flasher_run000010_north_7.0.0.simtel.zst"
    ((event, tel_id, subarray, r1),) = events(path)
    true = event.simulation.tel[tel_id].true_image
    rate = subarray.tel[tel_id].camera.readout.sampling_rate
    window = {"window_width": 12, "window_shift": 5}
    block = r1.waveform[np.newaxis].astype(np.float32)
    charge = local_peak_window_sum(block, rate, **window)[0][0, 0].astype(float)
    # ctapipe's part of the pulse in the window, which we leave to the gain
    corrected = LocalPeakWindowSum(subarray=subarray, **window, apply_integration_correction=True)
    whole = corrected(r1.waveform, tel_id, r1.selected_gain_channel, np.zeros_like(charge, bool))
    fraction = np.median(charge / np.squeeze(whole.image))
    assert 0.9 < fraction < 1.0
    ratio = charge / fraction
    error = (charge / fraction - true).std() / np.sqrt(true.size)
    assert ratio.mean() == pytest.approx(true.mean(), abs=3 * error)
