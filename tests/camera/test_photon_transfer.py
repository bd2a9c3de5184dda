"""Gain, noise and turn-off of scans with known truth."""

from dataclasses import replace

import numpy as np
import pytest
from light_scans import F2, LEVELS, Truth, run, scan, truth

from calibpipe.camera.light_levels import light_levels
from calibpipe.camera.light_scan import combined_chunks, light_scan
from calibpipe.camera.linearity import linearity
from calibpipe.camera.photon_transfer import (
    PhotonTransferReason,
    TransferSettings,
    photon_transfer,
)
from calibpipe.camera.pixel_statistics import chunk_statistics
from calibpipe.camera.transfer_tables import points_table, transfer_table
from calibpipe.core.exceptions import ConfigurationError, InsufficientStatisticsError

N_PIXELS, N_EVENTS = 150, 2000
GAINS = np.broadcast_to([[85.0], [5.0]], (2, 400))


@pytest.fixture(scope="module")
def camera():
    return truth(N_PIXELS, np.random.default_rng(1))


@pytest.fixture(scope="module")
def measured(camera):
    return scan(camera, np.random.default_rng(2), n_events=N_EVENTS)


def pull_width(values):
    return np.std(values[np.isfinite(values)]), 4 / np.sqrt(2 * np.isfinite(values).sum())


def test_gain_and_quadratic_noise_come_back(camera, measured):
    found = photon_transfer(measured)
    assert not found.status.any()
    for channel in (0, 1):
        pull = (found.gain - camera.gain)[channel] / found.gain_stat_error[channel]
        # B is common to all pixels of an event: its fluctuations, sqrt(2/N) of it, move all gains
        shift = np.mean(found.gain[channel] / camera.gain[channel] - 1)
        assert abs(shift) < 0.005
        width, tolerance = pull_width(pull)
        assert width == pytest.approx(1, abs=tolerance)
    B2 = found.squared_quadratic_noise
    assert np.mean(B2) == pytest.approx(
        camera.jitter**2,
        abs=4 * camera.jitter**2 * np.sqrt(2 / N_EVENTS)
        + 4 * np.mean(found.squared_quadratic_noise_error) / np.sqrt(B2.size),
    )


def test_pulls_without_common_jitter():
    rng = np.random.default_rng(8)
    camera = truth(300, rng, jitter=0.0)
    found = photon_transfer(scan(camera, rng, n_events=1000))
    for values, true, error in (
        (found.gain, camera.gain, found.gain_stat_error),
        (found.squared_quadratic_noise, 0.0, found.squared_quadratic_noise_error),
    ):
        pull = ((values - true) / error).ravel()
        width, tolerance = pull_width(pull)
        assert width == pytest.approx(1, abs=tolerance)
        assert np.mean(pull) == pytest.approx(0, abs=4 / np.sqrt(pull.size))
    assert np.mean(found.chi2 / found.n_degrees) == pytest.approx(
        1, abs=4 * np.sqrt(2 / 7 / found.chi2.size)
    )


def test_read_noise_is_that_of_pedestals(camera, measured):
    found = photon_transfer(measured)
    sky = F2 * camera.sky * camera.gain**2
    true = np.sqrt(np.array(camera.noise)[:, None] ** 2 + sky)
    pull = (found.read_noise - true) / found.read_noise_error
    for channel in pull:  # both see the same sky
        width, tolerance = pull_width(channel)
        assert width == pytest.approx(1, abs=tolerance)
        assert np.mean(channel) == pytest.approx(0, abs=4 / np.sqrt(channel.size))


def test_common_noise_of_the_camera_instead_of_the_fit(camera, measured):
    found = photon_transfer(measured, TransferSettings(quadratic_noise="common"))
    free = photon_transfer(measured)
    assert (found.gain_stat_error < free.gain_stat_error).all()
    pull = (found.gain - camera.gain) / found.gain_stat_error
    for channel in pull:
        width, tolerance = pull_width(channel)
        assert width == pytest.approx(1, abs=tolerance)
        assert np.mean(channel) == pytest.approx(0, abs=5 / np.sqrt(channel.size))
    assert (found.squared_quadratic_noise_error == 0).all()


def test_one_intensity_without_the_quadratic_term_is_2_6_percent_high():
    """C01: 80 p.e., g = 58, B = 0.02: B² n/F² = 2.62 %."""
    rng = np.random.default_rng(3)
    camera = Truth(
        np.full((1, 400), 58.0), noise=(20.0,), sky=0.0, jitter=0.02, saturation=(np.inf,)
    )
    measured = scan(camera, rng, levels=[20, 40, 80], n_events=4000)
    naive = (measured.variance / measured.signal)[2] / F2
    error = np.sqrt(2 / 4000 / 400) * 58 + 58 * 0.0262 * np.sqrt(2 / 4000)
    assert np.mean(naive) == pytest.approx(59.52, abs=4 * error)
    found = photon_transfer(measured, TransferSettings(quadratic_noise="common"))
    assert np.mean(found.gain) == pytest.approx(58.0, abs=4 * error)


def test_systematic_error_is_that_of_the_excess_noise_factor(measured):
    found = photon_transfer(measured, TransferSettings(squared_excess_noise_factor_error=0.02))
    assert found.gain_sys_error / found.gain == pytest.approx(0.02 / 1.222)
    other = photon_transfer(measured, TransferSettings(squared_excess_noise_factor=1.3))
    used = other.is_used == found.is_used
    same = used.all(axis=0)
    assert (other.gain / found.gain)[same] == pytest.approx(1.222 / 1.3, rel=1e-3)


def test_a_channel_that_saturates_is_used_up_to_its_turn_off():
    rng = np.random.default_rng(4)
    camera = truth(N_PIXELS, rng, saturation=(30_000.0, np.inf))  # 350 p.e. in high gain
    found = photon_transfer(scan(camera, rng, n_events=N_EVENTS))
    assert np.isfinite(found.turn_off[0]).all()
    assert not found.is_used[LEVELS >= 640, 0].any()
    assert found.is_used[LEVELS < 160].mean() > 0.98
    assert np.isinf(found.turn_off[1]).mean() > 0.98
    relative = found.gain[0] / camera.gain[0] - 1
    assert abs(np.mean(relative)) < 0.005


def test_largest_signal_may_be_given(measured):
    limited = photon_transfer(measured, TransferSettings(max_signal=(5000.0, np.inf)))
    assert not limited.is_used[:, 0][measured.signal[:, 0] > 5000].any()
    assert limited.is_used[:, 1].all() == photon_transfer(measured).is_used[:, 1].all()


def test_pixels_that_have_no_photon_transfer_say_why(camera):
    rng = np.random.default_rng(5)
    broken = replace(camera, gain=camera.gain.copy())
    broken.gain[:, :3] = 0.0  # dead
    measured = scan(broken, rng, n_events=500)
    measured.total_variance[:, :, 5] *= 0.2
    measured.variance[:, :, 5] = -1.0
    measured.n_events[3:, :, 6] = 0
    measured.n_events[1, :, 6] = 0
    found = photon_transfer(measured)
    assert (found.status[:, :3] != 0).all()
    assert np.isnan(found.gain[:, :3]).all()
    assert (found.status[:, 5] & PhotonTransferReason.NO_POSITIVE_GAIN).all()
    assert (found.status[:, 6] & PhotonTransferReason.TOO_FEW_POINTS).all()
    assert np.isnan(found.gain[:, 5:7]).all()
    assert not found.status[:, 7:].any()


def test_half_a_camera_off_leaves_the_other_half(camera):
    half = replace(camera, gain=camera.gain.copy())
    half.gain[:, : N_PIXELS // 2] = 0.0
    measured = scan(half, np.random.default_rng(6), n_events=500)
    found = photon_transfer(measured)
    assert (found.status[:, : N_PIXELS // 2] != 0).all()
    assert (found.status[:, N_PIXELS // 2 + 1 :] == 0).mean() > 0.99


def test_a_bad_fit_and_an_early_turn_off_are_told():
    rng = np.random.default_rng(12)
    camera = truth(N_PIXELS, rng, saturation=(90_000.0, np.inf))
    measured = scan(camera, rng, n_events=2000)
    off = measured.signal[:, 0, 4] > 5000
    measured.variance[off, 0, 4] *= 0.3
    measured.variance[-1, 1, 9] *= 3.0
    found = photon_transfer(measured)
    assert found.status[0, 4] == PhotonTransferReason.EARLY_TURN_OFF
    assert found.status[1, 9] & PhotonTransferReason.BAD_FIT


def test_chunks_of_a_run_count_by_their_events_without_their_drift(camera):
    rng = np.random.default_rng(7)
    number = np.arange(400)
    values = rng.normal(100.0, 5.0, (400, 2, 20))
    values[200:] += 50.0
    one, two = (
        chunk_statistics(number[part], number[part] * 1.0, values[part])
        for part in (slice(200), slice(200, 400))
    )
    both = combined_chunks([one, two])
    assert both.n_events == pytest.approx(400)
    assert both.mean == pytest.approx((one.mean + two.mean) / 2)
    assert np.mean(both.variance) == pytest.approx(25.0, rel=4 * np.sqrt(2 / 400 / 40))
    assert both.variance_error == pytest.approx(25 * np.sqrt(2 / 400), rel=0.5)
    clipped = combined_chunks([one, two], variance_factor=0.998929)
    assert clipped.variance == pytest.approx(both.variance / 0.998929)


@pytest.fixture(scope="module")
def runs(camera):
    rng = np.random.default_rng(9)
    flatfields = [run(camera, level, 100, rng) for level in (10, 40, 160)]
    return flatfields, [run(camera, 0, 100, rng) for _ in flatfields]


def test_points_are_sorted_by_light(runs):
    flatfields, pedestals = runs
    found = light_scan(flatfields[::-1], pedestals[::-1])
    assert found.order.tolist() == [2, 1, 0]
    assert (np.diff(np.median(found.signal[:, 1], axis=-1)) > 0).all()


def test_too_few_points(runs):
    with pytest.raises(InsufficientStatisticsError, match="at least 3 intensities, got 2"):
        light_scan(runs[0][:2], runs[1][:2])


def test_points_without_their_pedestal(runs):
    with pytest.raises(ConfigurationError, match="3 flat fields and 2 pedestals"):
        light_scan(runs[0], runs[1][:2])


def test_a_light_source_that_failed(runs):
    flatfields, pedestals = runs
    dark = [*flatfields, pedestals[0]]
    with pytest.raises(ConfigurationError, match="observation 9 has no light"):
        light_scan(dark, [*pedestals, pedestals[1]], names=[*"abc", "observation 9"])


def test_swapped_gains(runs):
    swapped = [
        [replace(c, **{n: getattr(c, n)[::-1] for n in ("mean", "variance")}) for c in kind]
        for kind in runs
    ]
    with pytest.raises(ConfigurationError, match="gains are swapped"):
        light_scan(*swapped)


def test_unknown_kind_of_quadratic_noise(measured):
    with pytest.raises(ConfigurationError, match="'fitted' or 'common'"):
        photon_transfer(measured, TransferSettings(quadratic_noise="cubic"))


def test_common_noise_that_is_not_known(measured):
    blind = replace(measured, common_noise=np.full_like(measured.common_noise, np.nan))
    with pytest.raises(ConfigurationError, match="in common is not in these statistics"):
        photon_transfer(blind, TransferSettings(quadratic_noise="common"))


def test_impossible_excess_noise(measured):
    with pytest.raises(ConfigurationError, match="cannot be below 1"):
        photon_transfer(measured, TransferSettings(squared_excess_noise_factor=0.9))


def test_error_of_the_variance_of_the_light():
    """Identical pixels without jitter scatter by what the table of points says."""
    n_pixels = 400
    camera = replace(truth(n_pixels, np.random.default_rng(3), jitter=0.0), gain=GAINS)
    measured = scan(camera, np.random.default_rng(4), levels=LEVELS[:5], n_events=300)
    found = photon_transfer(measured)
    levels = light_levels(measured, found.is_used, LEVELS[:5], np.full(5, 0.01))
    points = points_table(np.arange(5), measured, found, levels, linearity(measured, levels))
    pull = points["variance"] - np.mean(points["variance"], axis=-1, keepdims=True)
    width = np.std(pull / points["variance_error"], axis=-1)
    # of a point and channel; the kurtosis of the camera is known to some percent
    assert width == pytest.approx(np.ones((5, 2)), abs=4 / np.sqrt(2 * n_pixels) + 0.03)
    factor = transfer_table(found, linearity(measured, levels), F2)["squared_excess_noise_factor"]
    assert np.all(factor == np.float32(F2))
    assert factor.shape == (1, 2, n_pixels)
