"""Variance images: scale, scatter, blocks, smooth sky, channels and masks of the camera."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.table import Table

from calibpipe.camera.outliers import PixelReason
from calibpipe.camera.pixel_statistics import ChunkStatistics
from calibpipe.core.exceptions import (
    ConfigurationError,
    CorruptedInputError,
    InsufficientStatisticsError,
)
from calibpipe.core.telescope import subarray_of
from calibpipe.pointing.camera_images import images_of_chunks, low_gain_scale
from calibpipe.pointing.pixel_gains import combined_gains, mean_gain, shrunk_gains
from calibpipe.pointing.smooth_background import smooth_background, static_spread
from calibpipe.pointing.variance_images import (
    VarianceImages,
    image_blocks,
    photoelectron_variance,
    shot_noise,
)
from calibpipe.simulation.camera import CameraSpread, camera_truth
from calibpipe.simulation.light import no_light
from calibpipe.simulation.variance_images import charge_window
from calibpipe.simulation.waveforms import pulse_templates, waveforms


def images(image, n_events=100.0, step=10.0):
    n = len(image)
    times = step * (np.arange(n) + 0.5)
    return VarianceImages(
        times,
        np.full(n, step),
        image,
        np.full(n, n_events),
        np.zeros(image.shape[1]),
        np.zeros(image.shape[1]),
    )


def test_photoelectrons_by_hand():
    """Var(Q) = g² F² ε n, f = 1/(g ε): n photoelectrons."""
    gain, efficiency, n = np.array([80.0, 90.0]), np.array([1.1, 0.9]), np.array([2.0, 7.0])
    variance = gain**2 * 1.222 * efficiency * n
    none = np.zeros(2, bool)
    found = photoelectron_variance(variance, 1 / (gain * efficiency), gain, 1.222, none)
    assert found == pytest.approx(n)
    bad = photoelectron_variance(variance, np.array([0.0, 1.0]), gain, 1.222, ~none & [False, True])
    assert np.isnan(bad).all()
    with pytest.raises(ConfigurationError, match="squared_excess_noise_factor is 0"):
        photoelectron_variance(variance, gain, gain, 0.9, none)
    with pytest.raises(ConfigurationError, match="variances have 2 pixels, the coefficients 3"):
        photoelectron_variance(variance, np.ones(3), np.ones(3), 1.2, np.zeros(3, bool))


@pytest.mark.parametrize("rate", [0.5, 3.0])
def test_shot_noise_of_poisson_charges(rate):
    """Poisson: κ₄ = κ₂, so β = 1 for variances in the unit of the charge."""
    rng = np.random.default_rng(7)
    charge = rng.poisson(rate, (60, 100, 400))
    found = shot_noise(images(charge.var(axis=1, ddof=1)))
    # 60 × 400 squares, each good to √2 and correlated with its neighbour
    scatter = (2 * rate + 1) * np.sqrt(3 / (60 * 400))
    assert found == pytest.approx(1.0, abs=5 * scatter)


def test_too_few_images():
    with pytest.raises(InsufficientStatisticsError, match="at least 2 variance images"):
        shot_noise(images(np.ones((1, 3))))
    with pytest.raises(InsufficientStatisticsError, match="at least 9"):
        shot_noise(images(np.ones((3, 3)), n_events=9))


def test_blocks_are_means_and_nodes():
    image = np.arange(14.0)[:, None] * np.ones(3) + 1
    image[0:4, 1] = np.nan  # in 4 of 6 images of the first block
    image[6, 2] = np.nan
    blocks = image_blocks(images(image, 101.0), 60.0, 3)
    assert blocks.time == pytest.approx([30, 90, 130])
    assert blocks.duration == pytest.approx([60, 60, 20])
    assert blocks.image[:, 0] == pytest.approx([3.5, 9.5, 13.5])
    assert np.isnan(blocks.image[0, 1])
    assert blocks.image[1, 2] == pytest.approx(10.0)
    assert blocks.n_events == pytest.approx([600, 600, 200])
    for block in range(3):
        own = blocks.node_block == block
        assert blocks.node_weight[own].sum() == pytest.approx(1)
        assert blocks.node_weight[own] @ blocks.node_time[own] == pytest.approx(blocks.time[block])
    with pytest.raises(ConfigurationError, match="duration of a block"):
        image_blocks(images(image), 0.0, 3)


def test_smooth_sky_and_static_pixels():
    """Gradient of the Moon, stars left out though nobody told where they are."""
    rng = np.random.default_rng(8)
    x, y = rng.uniform(-1, 1, (2, 900))
    sky = 5 + 2 * x - y + 0.5 * x * y
    pixels = 0.03 * rng.standard_normal(900)
    noise = 0.05
    image = sky + pixels + noise * rng.standard_normal((20, 900))
    image[:, :40] += 10
    image[3, 50] = np.nan
    found, used = smooth_background(image, x, y, np.ones(900, bool))
    assert found.mean(axis=0) == pytest.approx(sky, abs=5 * 0.03 * np.sqrt(6 / 860) * 3)
    assert not used[:, :40].any()
    assert not used[3, 50]
    spread = static_spread(image - found, np.full(image.shape, noise**2), used)
    assert spread == pytest.approx(0.03, rel=4 / np.sqrt(2 * 860) * 1.5)
    with pytest.raises(InsufficientStatisticsError, match="image 0 has 20 pixels"):
        smooth_background(image, x, y, np.arange(900) >= 880)


def chunk(std, n=101, start=0.0):
    std = np.asarray(std, float)
    full = np.full(std.shape, float(n))
    nan = np.full(std.shape, np.nan)
    return ChunkStatistics(
        start, start + 9, 1, n, full, nan, nan, std, nan, nan, np.full(2, np.nan)
    )


def coefficients(n_pixels, **changes):
    """One row, two channels of gain 80 and 5."""
    gain = np.array([[[80.0], [5.0]]]) * np.ones((1, 2, n_pixels))
    columns = {
        "is_valid": np.array([True]),
        "outlier_mask": np.zeros((1, 2, n_pixels), bool),
        "factor": 1 / gain,
        "gain": gain,
        "gain_stat_error": 0.02 * gain,
        "n_pe": np.full((1, 2, n_pixels), 80.0),
        "reasons": np.zeros((1, 2, n_pixels), np.uint16),
    }
    return Table(columns | changes)


def test_bright_pixels_are_those_of_low_gain():
    """High gain is clipped above 10 p.e.; low gain has 1.16 of the light, and 0.6 p.e. of noise.

    Three pixels of 4, 5 and 6 p.e. say so.
    """
    light = np.array([*(9 * [1.5]), 4.0, 5.0, 6.0, 60.0])
    seen = np.array([*light[:-1], 30.0])
    scale = np.sqrt(1.222 * 100 / 101)
    std = [80 * np.sqrt(seen) * scale, 5 * np.sqrt(1.16 * light + 0.6) * scale]
    found = images_of_chunks([chunk(std), chunk(std, start=10.0)], coefficients(13), 1.222)
    assert found.image == pytest.approx(np.tile(light, (2, 1)))
    assert found.response_error == pytest.approx(np.full(13, 0.02))
    assert found.low_gain_error == pytest.approx(np.zeros(13), abs=1e-9)
    assert found.time == pytest.approx([4.5, 14.5])
    assert found.n_events == pytest.approx([101, 101])


def test_scale_of_low_gain_by_hand():
    """Light of 2.5, 3.5 and 4.5 above the sky: 3.0, 4.2 and 6.3 in low gain are 1.2857.

    A noisy pixel, 900 p.e. in low gain, does not count.
    """
    high = np.array([[*(7 * [1.5]), 4.0, 5.0, 6.0, 40.0, 4.5]])
    low = np.array([[*(7 * [2.0]), 5.0, 6.2, 8.3, 99.0, 900.0]])
    ratio, error, offset = low_gain_scale(high, low)
    assert ratio == pytest.approx(13.5 / 10.5)
    rest = np.array([3.0, 4.2, 6.3]) - ratio * np.array([2.5, 3.5, 4.5])
    assert error == pytest.approx(np.sqrt(np.sum(rest**2) * 3 / 2) / 10.5)
    assert offset == pytest.approx(2.0 - 1.5 * ratio)


@pytest.mark.parametrize("lit", [[], [4.0, 5.0], [2.0, 5.0, 9.0, 4.0]])
def test_bright_pixels_without_a_scale_are_not_known(lit):
    """No pixels that tell, too few, or such that disagree."""
    light = np.array([*(9 * [1.5]), *lit, 60.0])
    low = light + 0.6
    if len(lit) == 4:
        low[9:13] *= [3, 1, 0.5, 1.5]
    scale = np.sqrt(1.222 * 100 / 101)
    std = [80 * np.sqrt(light) * scale, 5 * np.sqrt(low) * scale]
    found = images_of_chunks([chunk(std)], coefficients(light.size), 1.222)
    assert np.isnan(found.image[0, -1])
    assert found.image[0, :-1] == pytest.approx(light[:-1])
    assert not found.low_gain_error.any()


def test_scale_of_low_gain_of_waveforms():
    """A window of 8 ns has 1.16 times the light in low gain of an LST; images are linear in it."""
    readout = subarray_of([1])[1].tel[1].camera.readout
    pulse = readout.reference_pulse_shape, readout.reference_pulse_sample_width
    templates = pulse_templates(*pulse, readout.sampling_rate)
    rng = np.random.default_rng(21)
    truth = camera_truth(400, rng, CameraSpread())
    star = np.zeros(400)
    star[:40], star[40:80] = np.linspace(0.3, 1.5, 40), 8.0
    lit = replace(truth, nsb_rate=truth.nsb_rate + star * truth.relative_efficiency)
    chunks = []
    for start in 10.0 * np.arange(15):
        waves = waveforms(no_light(100, lit), lit, templates, 30, rng)
        chunks.append(chunk(waves[..., 14:22].sum(axis=-1).std(axis=0), n=100, start=start))
    table = coefficients(400)
    table["gain"] = truth.gain[np.newaxis]
    table["factor"] = 1 / (truth.gain * truth.relative_efficiency)[np.newaxis]
    second = [charge_window(templates, 8, channel).second for channel in (0, 1)]
    found = images_of_chunks(chunks, table, truth.squared_excess_noise_factor)
    light = found.image.mean(axis=0) - np.median(found.image[:, 80:])
    bright, expected = light[40:80], 8.0 * second[0]
    statistics = np.std(bright) / np.sqrt(40)
    error = found.low_gain_error[40]
    assert 0 < error < 0.02
    assert np.mean(bright) == pytest.approx(
        expected, abs=4 * np.hypot(statistics, error * expected)
    )
    assert np.hypot(statistics / expected, error) < 0.03  # of 0.16
    assert second[1] / second[0] == pytest.approx(1.164, abs=2e-3)


def test_error_of_the_mean_of_gains(rng):
    """Rows in pairs of the same flat fields, as pedestals begin beside them: three numbers."""
    error = np.full((6, 2000), 5.0)
    own = rng.normal(80, 5, (3, 2000))
    pairs = np.repeat(own, 2, axis=0) + rng.normal(0, 0.5, (6, 2000))
    mean, of_mean = mean_gain(pairs, error)
    assert mean == pytest.approx(pairs.mean(axis=0))
    assert of_mean == pytest.approx(np.full(2000, 5 / np.sqrt(3)))
    assert of_mean.mean() == pytest.approx(mean.std(), rel=5 / np.sqrt(4000))
    single = rng.normal(80, 5, (6, 2000))
    assert mean_gain(single, error)[1] == pytest.approx(np.full(2000, 5 / np.sqrt(6)))
    assert mean_gain(single[:1], error[:1])[1] == pytest.approx(error[0])


@pytest.mark.parametrize("error", [0.036, 0.08])
@pytest.mark.parametrize("light_yield", [0.0, 0.04])
def test_shrunk_gains_are_nearer_to_the_truth(rng, error, light_yield):
    """Gains of 5 %, with signals of gain and 4 % of light yield: 3.1 % are left about the line.

    Error below both, and true (to the 3 % by which products are not normal).
    """
    n = 20_000
    true = rng.normal(80, 4, n)
    signal = true * (1 + light_yield * rng.standard_normal(n)) if light_yield else np.ones(n)
    gain = true * (1 + error * rng.standard_normal(n))
    found, left = shrunk_gains(gain, error * true, signal, np.ones(n, bool))
    spread = 0.05 * (light_yield / np.hypot(0.05, light_yield) if light_yield else 1)
    expected = error * spread / np.hypot(error, spread)
    # the squared median deviation is 1.65 times less certain than a variance
    statistics = 1.65 * np.sqrt(2 / n) * (error / spread) ** 2 / 2
    assert np.median(left) == pytest.approx(expected, rel=0.02 + 4 * statistics)
    assert np.median(left) < min(error, spread) * (1 + 4 * statistics)
    pulls = (found / true - 1) / left
    assert abs(np.mean(pulls)) < 0.08
    assert np.std(pulls) == pytest.approx(1, abs=0.03 + 4 * statistics)


def test_gains_that_are_not_shrunk(rng):
    """Few pixels; a pixel of half the gain; no number. Equal gains may differ."""
    gain, error, signal = rng.normal(80, 4, 2000), np.full(2000, 2.4), np.ones(2000)
    few, left = shrunk_gains(gain[:99], error[:99], signal[:99], np.ones(99, bool))
    assert (few == gain[:99]).all()
    assert left == pytest.approx(error[:99] / gain[:99])
    gain[0], gain[1] = 40.0, np.nan
    found, left = shrunk_gains(gain, error, signal, np.ones(2000, bool))
    assert found[0] == 40
    assert left[0] == pytest.approx(2.4 / 40)
    assert np.isnan(found[1])
    same, left = shrunk_gains(np.full(2000, 80.0), error, signal, np.ones(2000, bool))
    spread2 = (np.sqrt(2 / 2000) + 0.1) * 0.03**2
    assert same == pytest.approx(80)
    assert left == pytest.approx(0.03 * np.sqrt(spread2 / (spread2 + 0.03**2)))


@pytest.mark.parametrize("drift", [0.0, 0.02])
def test_gains_of_another_time_count_by_what_has_changed(rng, drift):
    """Own ones of 4 %, others of 0.5 % on a scale of 1.3: the mean has its error."""
    n = 20_000
    true = rng.normal(80, 4, n)
    own = true * (1 + 0.04 * rng.standard_normal(n))
    other = 1.3 * true * (1 + np.hypot(0.005, drift) * rng.standard_normal(n))
    own[0], other[1], other[2] = np.nan, np.nan, -1.0
    error, its_error = 0.04 * true, 0.005 * 1.3 * true
    found, left = combined_gains(own, error, other, its_error, np.ones(n, bool))
    # what cannot be told from drift is 10 % of the noise, squared, and what 20 000 pixels say
    floor = np.sqrt((0.1 + np.sqrt(2 / n)) * (0.04**2 + 0.005**2 + drift**2))
    changed = np.hypot(0.005, max(drift, floor))
    assert np.median(left / true) == pytest.approx(1 / np.hypot(1 / 0.04, 1 / changed), rel=0.1)
    pulls = (found / true - 1)[3:] / (left / true)[3:]
    assert 0.3 < np.std(pulls) < 1.05
    if drift:
        assert np.std(pulls) == pytest.approx(1, abs=0.1)
    assert found[0] == pytest.approx(true[0], rel=6 * changed)
    assert found[1] == own[1]
    assert found[2] == own[2]
    few = combined_gains(own[:99], error[:99], other[:99], its_error[:99], np.ones(99, bool))
    np.testing.assert_array_equal(few[0], own[:99])


def test_a_gain_that_was_another_one_does_not_replace_a_good_one(rng):
    """One of 5000 is 30 % low, to 0.5 %: no spread of the camera shows it."""
    true = rng.normal(80, 4, 5000)
    own = true * (1 + 0.04 * rng.standard_normal(5000))
    other = true * (1 + 0.005 * rng.standard_normal(5000))
    other[7] *= 0.7
    every = np.ones(5000, bool)
    found, left = combined_gains(own, 0.04 * true, other, 0.005 * true, every)
    assert found[7] == pytest.approx(own[7])
    assert left[7] == pytest.approx(0.04 * true[7])


def test_images_have_shrunk_gains(rng):
    """Half of the variance of measured gains is error: half the way to the mean."""
    table = coefficients(4000)
    true = 80 * (1 + 0.05 * rng.standard_normal(4000))
    table["gain"][0, 0] = true * (1 + 0.05 * rng.standard_normal(4000))
    table["gain_stat_error"][0, 0] = 0.05 * table["gain"][0, 0]
    std = np.tile([[80.0], [5.0]], 4000) * np.sqrt(3 * 1.222)
    std[0] = np.sqrt(3 * 1.222 * 80 * true)
    found = images_of_chunks([chunk(std)], table, 1.222)
    assert np.median(found.response_error) == pytest.approx(0.05 / np.sqrt(2), rel=0.05)
    off = found.image[0] / 3 / (101 / 100) - 1
    assert off.std() == pytest.approx(0.05 / np.sqrt(2), rel=0.05)
    other = np.array([true, true / 16]), np.array([0.001 * true, 0.001 * true])
    better = images_of_chunks([chunk(std)], table, 1.222, others=[other])
    assert np.median(better.response_error) < 0.55 * np.median(found.response_error)
    off = better.image[0] / 3 / (101 / 100) - 1
    assert off.std() < np.median(better.response_error)


def test_pixels_masked_for_their_stars_are_used():
    """The camera's calibration masks what scatters; dead and flickering pixels stay masked.

    So do those whose flat fields alone scatter.
    """
    table = coefficients(6)
    table["outlier_mask"][0, :, 1:] = True
    table["factor"][0, :, 1:] = 0
    star = PixelReason.PEDESTAL_STD | PixelReason.FLATFIELD_STD | PixelReason.N_PE
    table["reasons"][0, :, 1] = PixelReason.PEDESTAL_STD
    table["reasons"][0, :, 2] = star | PixelReason.DEAD
    table["reasons"][0, :, 3] = star
    table["reasons"][0, :, 4:] = PixelReason.FLATFIELD_STD
    table["reasons"][0, :, 5] = star
    table["n_pe"][0, :, 5] = 10.0
    std = np.array([[100.0] * 6, [6.0] * 6])
    found = images_of_chunks([chunk(std)], table, 1.222).image[0]
    assert np.isfinite(found).tolist() == [True, True, False, True, False, False]
    assert found[1] == found[3] == pytest.approx(found[0])
    # one channel cannot tell noise from light
    table["gain"] = table["gain"][:, :1]
    for name in ("outlier_mask", "factor", "gain_stat_error", "n_pe", "reasons"):
        table[name] = table[name][:, :1]
    found = images_of_chunks([chunk(std[:1])], table, 1.222).image[0]
    assert np.isfinite(found).tolist() == [True, True, False, False, False, False]


def test_noise_of_the_electronics_is_no_light():
    """A noisy pixel has 11 p.e. too much in high gain, 300 in low gain; a star the same in both."""
    light = np.array([*(9 * [1.5]), 4.0, 5.0, 6.0, 60.0, 12.5])
    seen = [light, np.array([*(1.16 * light[:-1] + 0.6), 300.0])]
    scale = np.sqrt(1.222 * 100 / 101)
    std = [80 * np.sqrt(seen[0]) * scale, 5 * np.sqrt(seen[1]) * scale]
    found = images_of_chunks([chunk(std), chunk(std, start=10.0)], coefficients(14), 1.222)
    assert np.isnan(found.image[:, -1]).all()
    assert found.image[:, :-1] == pytest.approx(np.tile(light[:-1], (2, 1)))


def test_what_coefficients_must_have():
    std = np.ones((2, 4))
    table = coefficients(4)
    table.remove_column("gain_stat_error")
    with pytest.raises(CorruptedInputError, match="no column gain_stat_error"):
        images_of_chunks([chunk(std)], table, 1.2, "LSTN-01")
    with pytest.raises(ConfigurationError, match="pedestals of LSTN-01 have 4 pixels"):
        images_of_chunks([chunk(std)], coefficients(5), 1.2, "LSTN-01")
    with pytest.raises(InsufficientStatisticsError, match="0 chunks of pedestals"):
        images_of_chunks([], coefficients(4), 1.2)
    with pytest.raises(InsufficientStatisticsError, match="0 valid rows"):
        images_of_chunks([chunk(std)], coefficients(4, is_valid=np.array([False])), 1.2)
