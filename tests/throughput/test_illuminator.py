"""Level of flashes, photons on the mirror, chunks: by hand, closure, pulls, invariants."""

import astropy.units as u
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from calibpipe.core.exceptions import ConfigurationError, InsufficientStatisticsError
from calibpipe.throughput.illuminator import (
    image_noise,
    light_levels,
    photons_per_pixel,
    relative_light_map,
    systematic_errors,
)
from calibpipe.throughput.illuminator_chunks import (
    ChunkLimits,
    flash_chunks,
    require_valid_chunk,
    throughput_chunk,
)

F2, NOISE = 1.222, 1.5
N_PIXELS = 400


def slope(n_pixels=N_PIXELS, depth=0.5):
    """Light that falls by a factor over the camera."""
    return relative_light_map(np.linspace(1 + depth, 1 - depth, n_pixels))


def flashes(rng, level, light, noise=NOISE):
    """Images (n_flashes, n_pixels): Poisson, gamma charges, Gaussian noise."""
    n_pe = rng.poisson(np.multiply.outer(level, light))
    charge = rng.gamma(np.maximum(n_pe, 1e-9) / (F2 - 1), F2 - 1)
    return charge + rng.normal(0, noise, charge.shape)


def levels(image, light, **options):
    return light_levels(
        image, light, **({"noise": NOISE, "squared_excess_noise_factor": F2} | options)
    )


def mean_within(values, expected, sigmas=4):
    """Mean of equal values with its own standard error."""
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    assert np.mean(values) == pytest.approx(expected, abs=sigmas * error)


# ---- level of a flash


def test_level_by_hand():
    """Two pixels, variances 2·8·m + 4: 28 and 12; the third is masked."""
    found = light_levels(
        [[14.0, 2.0, 99.0]],
        [1.5, 0.5, 1.0],
        noise=2.0,
        squared_excess_noise_factor=2.0,
        is_unusable=[False, False, True],
        min_pixels=2,
    )
    norm = 1.5**2 / 28 + 0.5**2 / 12
    level = (1.5 * 14 / 28 + 0.5 * 2 / 12) / norm
    assert found.level == pytest.approx(level, rel=1e-12)
    assert found.stat_error == pytest.approx(1 / np.sqrt(norm), rel=1e-12)
    chi2 = (14 - 1.5 * level) ** 2 / 28 + (2 - 0.5 * level) ** 2 / 12
    assert found.reduced_chi2 == pytest.approx(chi2, rel=1e-12)  # one degree of freedom
    assert (found.n_pixels, found.n_saturated) == (2, 0)
    assert found.pixel_error == 0


def test_without_noise_the_ratio_of_sums(rng):
    image, light = rng.uniform(1, 9, (3, 50)), relative_light_map(rng.uniform(0, 2, 50))
    found = levels(image, light, noise=0.0)
    np.testing.assert_allclose(found.level, image.sum(axis=1) / light.sum(), rtol=1e-12)
    np.testing.assert_allclose(found.stat_error, np.sqrt(F2 * found.level / light.sum()), rtol=1e-6)


def test_errors_of_factors_by_hand():
    """100 equal pixels with factors known to 5 % share the level to 0.5 %."""
    found = levels(np.full((1, 100), 40.0), np.ones(100), pixel_error=0.05)
    assert found.pixel_error == pytest.approx(0.005 * 40, rel=1e-12)
    assert found.stat_error == pytest.approx(np.sqrt((F2 * 40 + NOISE**2) / 100), rel=1e-12)


@pytest.fixture
def rng():
    return np.random.default_rng(20240710)


@pytest.mark.parametrize("level", [0.5, 12.0, 300.0])
@pytest.mark.parametrize("light", [np.ones(N_PIXELS), slope(), slope(depth=1.0)])
def test_levels_come_back_with_their_errors(rng, level, light):
    n = 500
    found = levels(flashes(rng, np.full(n, level), light), light)
    mean_within(found.level, level)
    pull = (found.level - level) / found.stat_error
    assert pull.std(ddof=1) == pytest.approx(1, abs=4 / np.sqrt(2 * (n - 1)))
    mean_within(found.reduced_chi2, 1)


def test_optimal_weights_beat_the_ratio_of_sums(rng):
    """A quarter of the camera is lit, and weakly: the rest would only add noise."""
    light = relative_light_map(np.where(np.arange(N_PIXELS) < 100, 1.0, 0.01))
    image = flashes(rng, np.full(500, 2.0), light)
    found = levels(image, light)
    mean_within(found.level, 2.0)
    ratio = image.sum(axis=1) / light.sum()
    # variances: of sums 2 F² m̄ + s² over n, ours 1 / sum(m²/V)
    expected = np.sqrt((F2 * 2 + NOISE**2) / N_PIXELS / np.mean(found.stat_error**2))
    assert expected > 1.2
    error = expected / np.sqrt(500)  # of a ratio of two standard deviations
    assert ratio.std() / found.level.std() == pytest.approx(expected, abs=4 * error)


def test_wrong_map_is_seen(rng):
    """chi2 has the mean square of the deviation over the variance: by hand."""
    level, light = 50.0, slope(depth=0.5)
    found = levels(flashes(rng, np.full(200, level), light), np.ones(N_PIXELS))
    variance = F2 * level + NOISE**2  # of the uniform map
    own = F2 * level * light + NOISE**2  # of the light there is
    expected = np.sum(own + (level * (light - 1)) ** 2) / variance / (N_PIXELS - 1)
    expected -= 1 / (N_PIXELS - 1)  # the level is fitted
    assert expected > 4
    # chi2 uses the level found, which scatters
    mean_within(found.reduced_chi2, expected, sigmas=5)


def test_obstacle_in_the_beam_is_seen(rng):
    image = flashes(rng, np.full(50, 50.0), np.ones(N_PIXELS))
    image[:, :40] *= 0.3
    assert np.all(levels(image, np.ones(N_PIXELS)).reduced_chi2 > 1 + 5 * np.sqrt(2 / 399))


def test_pixels_that_cannot_be_used_do_not_count(rng):
    light = slope()
    image = flashes(rng, np.full(20, 50.0), light)
    rest = light[4:].mean()
    expected = levels(image[:, 4:], light[4:] / rest).level / rest
    spoilt, saturated, unusable = image.copy(), np.zeros_like(image, bool), np.zeros(400, bool)
    spoilt[:, 0], saturated[:, 1], unusable[2] = np.nan, True, True
    spoilt[:, 1:3] = 1e5
    noise = np.where(np.arange(400) == 3, np.nan, NOISE)
    found = levels(spoilt, light, noise=noise, is_saturated=saturated, is_unusable=unusable)
    np.testing.assert_allclose(found.level, expected, rtol=1e-12)
    assert set(found.n_pixels) == {396}
    assert set(found.n_saturated) == {1}


def test_saturation_beyond_its_limit_gives_no_number(rng):
    image = flashes(rng, np.full(2, 50.0), np.ones(N_PIXELS))
    saturated = np.zeros((2, N_PIXELS), bool)
    saturated[0, :4], saturated[1, :5] = True, True
    found = levels(image, np.ones(N_PIXELS), is_saturated=saturated)
    assert np.isfinite(found.level).tolist() == [True, False]
    assert list(found.n_saturated) == [4, 5]
    everything = levels(image, np.ones(N_PIXELS), is_saturated=True)
    assert np.isnan(everything.level).all()
    assert np.isnan(everything.reduced_chi2).all()


def test_bias_of_saturated_pixels_is_as_documented(rng):
    """The upper 1 % of Gaussian pixels takes 0.027 standard deviations off the mean."""
    level, n = 1000.0, 4000
    image = flashes(rng, np.full(200, level), np.ones(n))
    saturated = image > np.quantile(image, 0.99)
    found = levels(image, np.ones(n), is_saturated=saturated, max_saturated_fraction=0.1)
    bias = -0.02665 / 0.99 * np.sqrt(F2 * level + NOISE**2)
    # the gamma tail is a little longer than the Gaussian: 5 % of the bias
    assert found.level.mean() - level == pytest.approx(
        bias, abs=4 * found.level.std() / np.sqrt(200) + 0.05 * abs(bias)
    )


def test_too_few_pixels_give_no_number():
    dark = relative_light_map(np.where(np.arange(40) < 9, 1.0, 0.0))
    assert np.isnan(levels(np.ones((1, 40)), dark).level).all()
    assert np.isfinite(levels(np.ones((1, 40)), dark, min_pixels=9).level).all()


@given(
    st.floats(0.1, 10),
    arrays(float, (2, 30), elements=st.floats(1, 100)),
    arrays(float, 30, elements=st.floats(0.1, 10)),
)
def test_more_light_more_level(factor, image, light):
    """Light, noise and map scaled: level scaled, chi2 scaled like p.e."""
    light = relative_light_map(light)
    one = levels(image, light, noise=0.0)
    more = levels(factor * image, light, noise=0.0)
    np.testing.assert_allclose(more.level, factor * one.level, rtol=1e-9)
    np.testing.assert_allclose(more.stat_error, np.sqrt(factor) * one.stat_error, rtol=1e-9)


@given(
    arrays(float, (2, 30), elements=st.floats(-5, 100)),
    arrays(float, 30, elements=st.floats(0.1, 10)),
    st.permutations(range(30)),
)
def test_order_of_pixels_does_not_matter(image, light, order):
    light, noise = relative_light_map(light), np.linspace(1, 2, 30)
    one = levels(image, light, noise=noise)
    other = levels(image[:, order], light[order], noise=noise[order])
    np.testing.assert_allclose(other.level, one.level, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(other.reduced_chi2, one.reduced_chi2, rtol=1e-9, atol=1e-9)


def test_map_is_normalised_over_the_pixels_that_are_known():
    np.testing.assert_allclose(relative_light_map([2.0, np.nan, 6.0]), [0.5, np.nan, 1.5])


@pytest.mark.parametrize("light", [[1, -1], [0, 0], [np.nan], [], [1, np.inf]])
def test_impossible_map(light):
    with pytest.raises(ConfigurationError, match="needs finite values, none negative"):
        relative_light_map(light)


def test_map_that_is_not_normalised():
    with pytest.raises(ConfigurationError, match="mean of 1 over the camera, got 2"):
        levels(np.ones((1, 20)), np.full(20, 2.0))


def test_impossible_excess_noise():
    with pytest.raises(ConfigurationError, match="cannot be below 1"):
        levels(np.ones((1, 20)), np.ones(20), squared_excess_noise_factor=0.9)


def test_noise_of_pedestals(rng):
    image = rng.normal(3, NOISE, (500, 20))
    unusable = np.zeros_like(image, bool)
    unusable[:, 0], unusable[30:, 1] = True, True
    image[0, 2] = np.nan
    found = image_noise(image, unusable)
    assert np.isnan(found[0])
    np.testing.assert_allclose(found[1], image[:30, 1].std(ddof=1))
    np.testing.assert_allclose(found[2], image[1:, 2].std(ddof=1))
    np.testing.assert_allclose(found[3:], image[:, 3:].std(axis=0, ddof=1))


def test_too_few_pedestals():
    with pytest.raises(InsufficientStatisticsError, match=r"at least 25 pedestal events.*got 24"):
        image_noise(np.ones((24, 3)), np.zeros((24, 3), bool))


# ---- photons and systematic errors


def test_photons_by_hand():
    """1000/m² at 10 m, mirror 100 m², 500 m away, 60 deg, 5 km of attenuation, 200 pixels."""
    found = photons_per_pixel(
        1000 / u.m**2,
        100 * u.m**2,
        200,
        distance=500 * u.m,
        reference_distance=10 * u.m,
        attenuation_length=5 * u.km,
        angle=60 * u.deg,
    )
    assert found == pytest.approx(1000 * 100 * 0.5 / 200 / 2500 * np.exp(-0.1), rel=1e-12)
    assert photons_per_pixel(1000 / u.m**2, 100 * u.m**2, 200) == pytest.approx(500)


def test_inverse_square():
    distance = [100, 200, 300] * u.m
    light = photons_per_pixel(
        1 / u.m**2, 1 * u.m**2, 1, distance=distance, reference_distance=100 * u.m
    )
    np.testing.assert_allclose(light, [1, 1 / 4, 1 / 9])


def test_impossible_places_give_nan():
    options = {"reference_distance": 1 * u.m}
    one = (1 / u.m**2, 1 * u.m**2, 1)
    assert np.isnan(photons_per_pixel(*one, distance=0 * u.m, **options))
    assert np.isnan(photons_per_pixel(*one, angle=95 * u.deg))
    far = {"distance": 1 * u.m, "attenuation_length": -1 * u.km}
    assert np.isnan(photons_per_pixel(*one, **far, **options))


PLACE = {
    "distance": 500 * u.m,
    "attenuation_length": 5 * u.km,
    "angle": 10 * u.deg,
}
ERRORS = {
    "distance_error": 0.5 * u.m,
    "attenuation_length_error": 20 * u.m,
    "angle_error": 0.2 * u.deg,
}


def test_systematic_errors_are_those_of_the_photons():
    """Each is the change of the photons when its cause is one error off."""

    def photons(place):
        one = (1 / u.m**2, 1 * u.m**2, 1)
        return photons_per_pixel(*one, reference_distance=1 * u.m, **place)

    small = {name: 1e-3 * error for name, error in ERRORS.items()}  # the second order is gone
    found = systematic_errors(source=0.03, gain=0.016, **PLACE, **small)
    names = {"distance": "distance", "attenuation_length": "transmission", "angle": "angle"}
    for cause, name in names.items():
        moved = PLACE | {cause: PLACE[cause] + small[f"{cause}_error"]}
        assert found[name] == pytest.approx(abs(photons(moved) / photons(PLACE) - 1), rel=1e-5)
    assert (found["source"], found["gain"]) == (0.03, 0.016)


def test_systematic_errors_by_hand():
    found = systematic_errors(source=0.0, **PLACE, **ERRORS)
    assert found["distance"] == pytest.approx((2 / 500 + 1 / 5000) * 0.5, rel=1e-12)
    assert found["transmission"] == pytest.approx(500 * 20 / 5000**2, rel=1e-12)
    a, e = np.deg2rad([10, 0.2])
    assert found["angle"] == pytest.approx(1 - np.cos(a + e) / np.cos(a), rel=1e-12)
    known_here = systematic_errors(source=0.02)
    assert known_here == {"source": 0.02, "distance": 0, "transmission": 0, "angle": 0}


# ---- chunks


def chunk(values, error=0.01, chi2=1.0, **limits):
    values = np.asarray(values, float)
    ones = np.ones(values.size)
    return throughput_chunk(
        np.arange(values.size), values, error * ones, chi2 * ones, ChunkLimits(**limits)
    )


def test_chunk_by_hand():
    found = chunk([0.1, 0.3, 0.2], error=0.1, min_flashes=3)
    assert (found.mean, found.median) == pytest.approx((0.2, 0.2))
    assert (found.std, found.sem) == pytest.approx((0.1, 0.1 / np.sqrt(3)))
    assert found.expected_error == pytest.approx(0.1 / np.sqrt(3))
    assert (found.chi2, found.n_events) == (pytest.approx(1.0), 3)
    assert (found.time_start, found.time_end) == (0, 2)
    assert found.is_valid
    assert found.remark == ""


def test_chunks_come_back_with_their_errors(rng):
    """Mean of 50 flashes with a jitter of 1 %: a t distribution of 49 degrees of freedom."""
    n, size, error = 400, 50, 0.0012
    values = rng.normal(0.1, error, (n, size))
    found = [chunk(row, error=error) for row in values]
    pull = np.array([(c.mean - 0.1) / c.stat_error for c in found])
    assert pull.mean() == pytest.approx(0, abs=4 / np.sqrt(n))
    width = np.sqrt((size - 1) / (size - 3))
    assert pull.std(ddof=1) == pytest.approx(width, abs=4 * width / np.sqrt(2 * n))
    mean_within([c.chi2 for c in found], 1)
    assert all(c.is_valid for c in found)


def test_single_bad_flashes_are_left_out(rng):
    values = rng.normal(0.1, 0.001, 100)
    spoilt = np.concatenate([values, [0.2, 0.0, np.nan]])
    found, good = chunk(spoilt, error=0.001), chunk(values, error=0.001)
    assert (found.mean, found.std) == (good.mean, good.std)
    assert (found.n_events, found.n_outliers, found.n_unusable) == (100, 2, 1)
    assert found.is_valid


def test_too_few_flashes():
    found = chunk([0.1] * 9 + [np.nan] * 5)
    assert not found.is_valid
    assert np.isnan([found.mean, found.stat_error, found.chi2]).all()
    assert "needs at least 10 flashes, got 9 (5 saturated" in found.remark


def test_all_saturated():
    found = chunk([np.nan] * 20)
    assert "got 0 (20 saturated" in found.remark
    with pytest.raises(InsufficientStatisticsError, match=r"LSTN-01 in 1 chunks.*got 0 \(20 sat"):
        require_valid_chunk([found], "LSTN-01")


def test_no_chunk_at_all():
    with pytest.raises(InsufficientStatisticsError, match="no flash while the source was on"):
        require_valid_chunk([], "LSTN-01")


def test_unstable_source(rng):
    """Scatter of three times the errors: chi2 is 9."""
    found = chunk(rng.normal(0.1, 0.003, 200), error=0.001)
    assert found.chi2 == pytest.approx(9, abs=4 * 9 * np.sqrt(2 / 199))
    assert not found.is_valid
    assert "unstable source, or its jitter is larger" in found.remark


def test_source_with_two_levels(rng):
    values = rng.normal(0.1, 0.001, 100) * np.where(np.arange(100) < 20, 0.8, 1.0)
    found = chunk(values, error=0.001)
    assert not found.is_valid
    assert "20 of 100 flashes are more than 5 standard deviations" in found.remark


def test_flashes_unlike_the_map(rng):
    values = rng.normal(0.1, 0.001, 100)
    some = throughput_chunk(
        np.arange(100), values, np.full(100, 0.001), np.where(np.arange(100) < 20, 3.0, 1.0)
    )
    assert not some.is_valid
    assert "20 of 100 flashes are unlike the map (chi2 above 2)" in some.remark
    assert some.mean == chunk(values[20:], error=0.001).mean
    none = chunk(values, chi2=3.0)
    assert "100 unlike the map with a median chi2 of 3.00" in none.remark
    assert none.image_chi2 == 3.0


def test_chunks_are_equal_and_keep_to_a_period():
    time, period = np.arange(25.0)[::-1], np.repeat([1, 0, -1], [12, 10, 3])
    found = flash_chunks(time, period, max_flashes=5)
    assert [c.size for c in found] == [5, 5, 4, 4, 4]
    assert [set(period[c]) for c in found] == [{0}, {0}, {1}, {1}, {1}]
    order = np.concatenate([time[c] for c in found])
    np.testing.assert_array_equal(order, np.arange(3.0, 25.0))


def test_chunks_by_time():
    time = np.array([0, 1, 9.9, 10, 35, 36, 37])
    found = flash_chunks(time, np.zeros(7, int), max_flashes=2, duration=10)
    assert [time[c].tolist() for c in found] == [[0, 1], [9.9], [10], [35, 36], [37]]


@pytest.mark.parametrize("options", [{"max_flashes": 0}, {"duration": 0.0}])
def test_impossible_chunks(options):
    with pytest.raises(ConfigurationError, match="chunks need 1 flash and a duration"):
        flash_chunks(np.arange(3.0), np.zeros(3, int), **options)
