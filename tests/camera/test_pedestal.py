"""Pedestals of closed and open camera: by hand, of drifting chunks, of simulated waveforms."""

import numpy as np
import pytest

from calibpipe.camera.extraction import fixed_window_sum, waveform_variance
from calibpipe.camera.light_scan import CombinedChunks, combined_chunks
from calibpipe.camera.pedestal import (
    PedestalStatus,
    drift,
    levels_of_chunks,
    pedestal_level,
    pedestal_status,
    with_baseline,
)
from calibpipe.camera.pixel_statistics import chunk_statistics
from calibpipe.core.telescope import telescope_subarray
from calibpipe.simulation.camera import CameraSpread, camera_truth
from calibpipe.simulation.light import no_light
from calibpipe.simulation.waveforms import pulse_templates, waveforms

N_EVENTS, WIDTH, N_SAMPLES = 3000, 12, 40
SIZES = {"window_width": WIDTH, "n_samples": N_SAMPLES}


def combined(mean, variance, n_events=100, variance_error=1.0):
    of_pixels = (np.atleast_2d(v).astype(float) for v in (n_events, mean, variance, variance_error))
    return CombinedChunks(*of_pixels, common_variance=np.array([0.0]))


def test_level_by_hand():
    """Charge 24 ± 16/10 ADC in 12 samples above 400; variance 256 ± 32; within waveforms 19.5."""
    charge, samples = combined(24, 256, 100, 32), combined(19.5, 9, 100)
    found = pedestal_level(charge, samples, **SIZES, subtracted=400.0)
    assert found.mean[0] == pytest.approx([402])
    assert found.mean_error[0] == pytest.approx([1.6 / 12])
    assert found.window_rms[0] == pytest.approx([16])
    assert found.window_rms_error[0] == pytest.approx([1])
    assert found.sample_rms[0] == pytest.approx([np.sqrt(20)])  # 19.5 * 40/39
    assert found.sample_rms_error[0] == pytest.approx([np.sqrt(20) / 2 * 0.3 / 19.5])


def test_drift_is_what_errors_do_not_explain():
    """1, 3, 5: variance 4, less errors of 1: √3; without a drift 0; of one chunk not known."""
    values = np.array([[1.0, 2.0, 1.0], [3.0, 2.0, np.nan], [5.0, 2.0, np.nan]])
    found = drift(values, np.ones_like(values))
    assert found[:2] == pytest.approx([np.sqrt(3), 0])
    assert np.isnan(found[2])


def test_runs_with_other_baselines_go_together():
    """Two runs with the same pedestal, of which 400 and 402 were subtracted."""
    event = np.arange(50)
    rng = np.random.default_rng(1)
    charge = 401 * WIDTH + rng.normal(0, 10, (50, 1, 1))
    chunks = [
        with_baseline([chunk_statistics(event, event * 1.0, charge - WIDTH * off)], off, WIDTH)[0]
        for off in (400, 402)
    ]
    samples = [chunk_statistics(event, event * 1.0, np.full((50, 1, 1), 4.0))] * 2
    level, sys_error, _ = levels_of_chunks(chunks, samples, **SIZES)
    assert level.mean[0, 0] == pytest.approx(charge.mean() / WIDTH)
    assert sys_error["mean"][0, 0] == 0
    shifted = [chunks[0], with_baseline([chunks[1]], 1.0, WIDTH)[0]]
    level, sys_error, _ = levels_of_chunks(shifted, samples, **SIZES)
    expected = 0.5 - charge.var(ddof=1) / 50 / WIDTH**2  # of two values that differ by 1
    assert sys_error["mean"][0, 0] == pytest.approx(np.sqrt(expected), rel=1e-6)


@pytest.mark.parametrize("sky", [False, True])
def test_simulated_pedestals_have_pulls_of_width_one(sky):
    readout = telescope_subarray(1).tel[1].camera.readout
    camera = camera_truth(60, np.random.default_rng(1), CameraSpread(nsb_rate=0.3))
    templates = pulse_templates(
        readout.reference_pulse_shape, readout.reference_pulse_sample_width, readout.sampling_rate
    )
    rng, number = np.random.default_rng(3 + sky), np.arange(N_EVENTS)
    w = waveforms(no_light(N_EVENTS, camera), camera, templates, N_SAMPLES, rng, sky=sky)
    charge, _ = fixed_window_sum(w, readout.sampling_rate, peak_index=12, window_width=WIDTH)
    charge, samples = (
        combined_chunks([chunk_statistics(number, number * 1.0, v)])
        for v in (charge, waveform_variance(w))
    )
    found = pedestal_level(charge, samples, **SIZES)
    rms = np.sqrt(camera.electronic_noise**2 + 1 / 12)  # rounding of the ADC
    known = [(found.mean, found.mean_error, camera.pedestal)]
    if not sky:  # coupled: mean unchanged
        known += [
            (found.window_rms, found.window_rms_error, rms * np.sqrt(WIDTH)),
            (found.sample_rms, found.sample_rms_error, rms),
        ]
    for values, error, true in known:
        pull = (values - true) / error
        assert np.std(pull) == pytest.approx(1, abs=4 / np.sqrt(2 * pull.size))
        assert np.mean(pull) == pytest.approx(0, abs=4 / np.sqrt(pull.size))


def test_status_of_pixels():
    """Good; 24 events; stuck; without value; sky quieter by 5.1 and by 4.9 errors; no sky."""
    dark = combined([0] * 7, [100, 100, 0, np.nan, 100, 100, 100], [99, 24, 99, 99, 99, 99, 99], 3)
    sky = combined([0] * 7, [300, 300, 0, 300, 74.5, 75.5, 300], [99] * 6 + [0], 4)
    bad = PedestalStatus
    first = [0, bad.TOO_FEW_EVENTS, bad.NO_NOISE, bad.NO_NOISE]
    assert pedestal_status(dark).tolist() == [[*first, 0, 0, 0]]
    first[2] |= bad.NO_SKY
    assert pedestal_status(dark, sky).tolist() == [[*first, bad.SKY_BELOW_DARK, 0, bad.NO_SKY]]
