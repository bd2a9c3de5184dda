"""Metrics of a camera: hand-computed residuals, drifts, jumps, changes."""

import numpy as np
import pytest

from calibpipe.verification.camera import (
    CameraStatistics,
    Coefficients,
    external_metrics,
    internal_metrics,
)

N_PIXELS, WIDTH, NOISE = 4, 12, 6.0
GAIN = np.array([50.0, 60.0, 40.0, 55.0])
LATE = np.array([0.0, 1.0, -1.0, 2.0])  # ns
N_PE = 80.0


def camera(pedestals, jump=1.0):
    """Chunks a minute apart with the pedestals (ADC a sample) that they have, all calibrated.

    `jump`: factor of the gain of pixel 0 in the second chunk.
    """
    pedestals = np.asarray(pedestals, float)
    number = len(pedestals)
    shape = number, 2, N_PIXELS
    gain = np.broadcast_to(GAIN, shape).copy()
    if number > 1:
        gain[1, :, 0] *= jump
    offset = np.broadcast_to(pedestals[:, None, None], shape)
    coefficients = Coefficients(
        time=60.0 * np.arange(number),
        factor=1 / gain,
        factor_error=0.006 / gain,
        pedestal_offset=offset,
        time_shift=np.broadcast_to(LATE - np.median(LATE), shape),
        gain=gain,
        n_pe=np.full(shape, N_PE),
        masked=np.zeros(shape, bool),
        is_valid=np.ones(number, bool),
    )
    baseline = np.full((2, N_PIXELS), 390.0)
    signal = (offset - baseline) * WIDTH
    statistics = CameraStatistics(
        baseline=baseline,
        window_width=WIDTH,
        pedestal_time=coefficients.time + 20,
        pedestal=signal,
        pedestal_std=np.full(shape, NOISE),
        flat_field_time=coefficients.time + 30,
        flat_field=signal + N_PE * gain,
        peak_time=np.broadcast_to(20.0 + LATE, shape),
    )
    return coefficients, statistics


@pytest.mark.parametrize("number", [1, 2, 3, 5])
def test_a_steady_camera_has_no_residuals(number):
    metrics = internal_metrics(*camera([400.0] * number))
    for name in ("pedestal_residual", "flat_field_residual", "time_residual"):
        np.testing.assert_allclose(metrics[name], 0, atol=1e-12)
    np.testing.assert_allclose(metrics["relative_factor_error"], 0.006)
    np.testing.assert_allclose(metrics["flat_field_n_pe"], N_PE)
    judged = {1: 1, 2: 2, 3: 1, 5: 3}  # chunks that have one before and one after
    assert metrics["pedestal_residual"].shape == (judged[number], 2 * N_PIXELS)


def test_a_steady_drift_drops_out():
    metrics = internal_metrics(*camera(400 + 0.5 * np.arange(6)))
    np.testing.assert_allclose(metrics["pedestal_residual"], 0, atol=1e-10)


def test_a_jump_shows():
    """0.1 ADC a sample over 12 samples are 1.2 ADC: 0.2 of the noise; half of it beside."""
    metrics = internal_metrics(*camera([400, 400, 400.1, 400, 400]))
    expected = np.array([-0.1, 0.2, -0.1])
    np.testing.assert_allclose(metrics["pedestal_residual"][:, 0], expected, atol=1e-10)


def test_two_chunks_have_each_other():
    metrics = internal_metrics(*camera([400, 400.1]))
    np.testing.assert_allclose(metrics["pedestal_residual"][:, 0], [-0.2, 0.2], atol=1e-10)


def test_a_gain_that_jumps():
    """Pixel 0 with 10 % more gain in the second of three chunks, calibrated with the others'."""
    metrics = internal_metrics(*camera([400] * 3, jump=1.1))
    np.testing.assert_allclose(metrics["flat_field_residual"][0, [0, 4]], 0.1)
    np.testing.assert_allclose(metrics["flat_field_residual"][0, 1:4], 0, atol=1e-12)


def test_masked_pixels_are_not_judged():
    coefficients, statistics = camera([400] * 3)
    coefficients.masked[:, :, 2] = True
    metrics = internal_metrics(coefficients, statistics)
    for name in ("pedestal_residual", "flat_field_residual", "time_residual", "relative_gain"):
        assert np.isnan(metrics[name][:, [2, 6]]).all()
        assert np.isfinite(metrics[name][:, [0, 1, 3]]).all()
    np.testing.assert_allclose(metrics["unusable_fraction"], 0.25)
    assert metrics["invalid_fraction"] == 0


def test_residuals_are_as_wide_as_their_errors():
    """Pedestal of N events: the residual is the mean minus half of two others, sqrt(3/2) wide."""
    rng = np.random.default_rng(5)
    number, n_events = 400, 25
    coefficients, statistics = camera([400.0] * number)
    scatter = rng.normal(0, NOISE / np.sqrt(n_events), statistics.pedestal.shape)
    noisy = Coefficients(
        **(
            coefficients.__dict__
            | {"pedestal_offset": coefficients.pedestal_offset + scatter / WIDTH}
        )
    )
    measured = CameraStatistics(
        **(statistics.__dict__ | {"pedestal": statistics.pedestal + scatter})
    )
    residual = internal_metrics(noisy, measured)["pedestal_residual"]
    pull = residual * np.sqrt(n_events) / np.sqrt(1.5)
    assert pull.std() == pytest.approx(1, abs=4 / np.sqrt(2 * pull.size / 2))


def test_changes_against_the_certified_camera():
    now, statistics = camera([400.5] * 3)
    then, _ = camera([400.0] * 3)
    louder = Coefficients(**(then.__dict__ | {"factor": then.factor / 1.25}))
    noise = np.full((2, N_PIXELS), NOISE)
    metrics = external_metrics(now, louder, noise, statistics.window_width)
    np.testing.assert_allclose(metrics["factor_change"], 0.25)
    np.testing.assert_allclose(metrics["pedestal_change"], 0.5 * WIDTH / NOISE)
    np.testing.assert_allclose(metrics["time_shift_change"], 0, atol=1e-12)
    assert metrics["newly_unusable_fraction"] == 0
    now.masked[:, :, 1] = True
    metrics = external_metrics(now, then, noise, WIDTH)
    assert metrics["newly_unusable_fraction"] == 0.25
    assert np.isnan(metrics["factor_change"][:, 1]).all()
