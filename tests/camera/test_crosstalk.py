"""Cross-talk of a small hexagonal camera with known matrix: both estimators, their errors."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from calibpipe.camera.crosstalk import (
    covariance_crosstalk,
    crosstalk_of,
    illumination_crosstalk,
    without_crosstalk,
)
from calibpipe.camera.crosstalk_sums import (
    PairSums,
    PixelSums,
    control_pairs,
    lit_pixel,
    neighbour_pairs,
)
from calibpipe.core.exceptions import ConfigurationError, InsufficientStatisticsError
from calibpipe.simulation.dedicated_light import crosstalk_matrix

F2, SIDE = 1.222, 14
SKY, NOISE = 3.0, 0.3  # p.e. of the night sky, of electronics


@pytest.fixture(scope="module")
def places():
    row, column = np.divmod(np.arange(SIDE**2), SIDE)
    return column + 0.5 * (row % 2), row * np.sqrt(3) / 2


@pytest.fixture(scope="module")
def neighbours(places):
    x, y = places
    distance = np.hypot(x[:, None] - x, y[:, None] - y)
    return csr_array((distance < 1.1) & (distance > 0))


@pytest.fixture(scope="module")
def true(neighbours):
    return crosstalk_matrix(neighbours, 0.01, 0.3, np.random.default_rng(1))


def charges(true, n_events, rng, *, n_pe=0.0, jitter=0.02, lit=None, shared=0.2):
    """Flat fields, pedestals (no p.e.) or events with one lit pixel; the sky leaks, too."""
    shape = 1 / (F2 - 1)
    n_pixels = true.shape[0]
    light = np.zeros((n_events, n_pixels)) + n_pe * (1 + jitter * rng.normal(size=(n_events, 1)))
    if lit is not None:
        light *= np.arange(n_pixels) == lit[:, None]

    def amplified(n):
        return np.where(n > 0, rng.gamma(np.maximum(n, 1) * shape) / shape, 0.0)

    own = amplified(rng.poisson(light)) + amplified(rng.poisson(SKY, light.shape)) - SKY
    seen = own + (true @ own.T).T
    pick_up = shared * rng.normal(size=(n_events, 1))  # of the electronics, of all pixels
    return seen + pick_up + NOISE * rng.normal(size=seen.shape)


def value_of(true, pairs):
    return np.asarray(true[pairs[0], pairs[1]]).ravel()


@pytest.fixture(scope="module")
def illuminated(true, neighbours):
    rng = np.random.default_rng(2)
    pairs = neighbour_pairs(neighbours, directed=True)
    pedestal = PixelSums()
    pedestal.add(charges(true, 4000, rng))
    sums = PairSums(pairs, pedestal.mean)
    for source in range(SIDE**2):
        lit = np.full(100, source)
        charge = charges(true, 100, rng, n_pe=100.0, lit=lit)
        found = lit_pixel(charge - pedestal.mean, np.sqrt(pedestal.variance))
        assert (found == source).all()
        sums.add(charge, found)
    return illumination_crosstalk(sums, pairs, pedestal)


def test_illumination_finds_every_direction(illuminated, true):
    pairs = illuminated.pixel, illuminated.source
    off = illuminated.crosstalk - value_of(true, pairs)
    pull = off / illuminated.stat_error
    assert np.std(pull) == pytest.approx(1, abs=4 / np.sqrt(2 * pull.size))
    # pedestals of 4000 events are common to the six pairs of a pixel
    assert np.mean(off) == pytest.approx(
        0, abs=4 * illuminated.stat_error.mean() / np.sqrt(pull.size / 6)
    )
    assert np.median(illuminated.stat_error) == pytest.approx(
        np.sqrt(F2 * SKY + NOISE**2 + 0.04) / 100 / 10, rel=0.1
    )
    assert illuminated.has_direction


def test_two_tenths_of_a_percent_absolute(illuminated, true):
    """100 p.e. in 100 events: noise 1.9 p.e. / 100 / sqrt(100) = 0.19 %."""
    pairs = illuminated.pixel, illuminated.source
    assert np.sqrt(np.mean((illuminated.crosstalk - value_of(true, pairs)) ** 2)) < 0.0022


def covariance_sums(true, places, neighbours, rng, n_events, **more):
    pairs = neighbour_pairs(neighbours, directed=False)
    control = control_pairs(*places, 2000)
    every = tuple(np.concatenate(both) for both in zip(pairs, control, strict=True))
    sums = []
    for n_pe in (80.0, 0.0):
        of_type = PixelSums(every)
        for _ in range(n_events // 500):
            of_type.add(charges(true, 500, rng, n_pe=n_pe, **more))
        sums.append(of_type)
    return *sums, pairs, control


@pytest.mark.parametrize("jitter", [0.0, 0.05])
def test_covariance_is_unbiased_under_jitter_and_night_sky(true, places, neighbours, jitter):
    rng = np.random.default_rng(3)
    n_events = 8000
    found = covariance_crosstalk(
        *covariance_sums(true, places, neighbours, rng, n_events, jitter=jitter)
    )
    expected = (
        value_of(true, (found.pixel, found.source)) + value_of(true, (found.source, found.pixel))
    ) / 2
    off = found.crosstalk - expected
    pull = off / found.stat_error
    assert np.std(pull) == pytest.approx(1, abs=4 / np.sqrt(2 * pull.size))
    error = np.hypot(found.stat_error.mean() / np.sqrt(pull.size), found.sys_error.mean())
    assert np.mean(off) == pytest.approx(0, abs=4 * error)
    assert error < 4e-4  # of the 2e-3 that are asked for
    noise = 1 + (jitter**2 * 80**2) / (F2 * 80)  # of jitter and photons, over that of photons
    assert found.stat_error == pytest.approx(0.5 * noise / np.sqrt(n_events), rel=0.15)
    assert not found.has_direction


def test_without_the_common_part_the_covariance_is_wrong(true, places, neighbours):
    rng = np.random.default_rng(4)
    flatfield, _pedestal, pairs, _ = covariance_sums(
        true, places, neighbours, rng, 2000, jitter=0.05
    )
    i, k = pairs
    naive = flatfield.covariance[: i.size] / np.sqrt(flatfield.variance[i] * flatfield.variance[k])
    assert np.mean(naive) / 2 > 0.05  # B² n/F² = 16 %, half of it less the diluted variance


def test_camera_without_crosstalk(places, neighbours):
    none = csr_array((SIDE**2, SIDE**2))
    found = covariance_crosstalk(
        *covariance_sums(none, places, neighbours, np.random.default_rng(5), 2000)
    )
    error = np.hypot(found.stat_error.mean() / np.sqrt(found.pixel.size), found.sys_error.mean())
    assert np.mean(found.crosstalk) == pytest.approx(0, abs=4 * error)


def test_images_without_crosstalk(true, illuminated):
    rng = np.random.default_rng(6)
    own = rng.uniform(0, 100, (5, SIDE**2))
    seen = own + (true @ own.T).T
    assert without_crosstalk(seen, true) == pytest.approx(own, abs=2e-5 * 100 * 6)
    assert np.abs(seen - own).max() > 1
    matrix = crosstalk_of(illuminated, SIDE**2)
    assert np.abs(without_crosstalk(seen, matrix) - own).max() < np.abs(seen - own).max()


def test_parts_in_photoelectrons_of_unequal_gains(true, neighbours):
    rng = np.random.default_rng(7)
    gain = rng.uniform(0.5, 2.0, SIDE**2)
    pairs = neighbour_pairs(neighbours, directed=True)
    pedestal = PixelSums()
    pedestal.add(gain * charges(true, 3000, rng))
    sums = PairSums(pairs, pedestal.mean)
    lit = np.repeat(np.arange(SIDE**2), 40)
    sums.add(gain * charges(true, lit.size, rng, n_pe=100.0, lit=lit), lit)
    found = illumination_crosstalk(sums, pairs, pedestal, relative_gain=gain)
    pull = (found.crosstalk - value_of(true, pairs)) / found.stat_error
    assert np.std(pull) == pytest.approx(1, abs=5 / np.sqrt(2 * pull.size))


def test_sums_in_batches_are_those_of_all_events():
    rng = np.random.default_rng(8)
    x = 1e5 + rng.normal(size=(300, 4)) @ rng.normal(size=(4, 4))
    sums = PixelSums((np.array([0, 1]), np.array([2, 3])))
    sums.add(x[:0])
    for part in np.array_split(x, 7):
        sums.add(part)
    covariance = np.cov(x.T)
    assert sums.mean == pytest.approx(x.mean(axis=0))
    assert sums.variance == pytest.approx(np.diag(covariance))
    assert sums.covariance == pytest.approx(covariance[[0, 1], [2, 3]])


def test_control_pairs_are_far_apart_and_even(places):
    first, second = control_pairs(*places, 1000)
    x, y = places
    assert first.size == 1000
    assert (np.hypot(x[first] - x[second], y[first] - y[second]) > 4).all()
    assert np.bincount(np.r_[first, second], minlength=SIDE**2).min() > 0


def test_events_with_two_lit_pixels_or_none():
    noise = np.ones(3)
    charge = np.array([[100.0, 1, 0], [100, 80, 0], [10, 1, 0], [0, 0, 50]])
    assert lit_pixel(charge, noise).tolist() == [0, -1, -1, 2]


def test_a_dead_pixel_is_never_lit():
    assert lit_pixel(np.array([[100.0, 0.0]]), np.array([0.0, 1.0])).tolist() == [-1]


@pytest.fixture
def few(true):
    sums = PixelSums((np.array([0]), np.array([1])))
    sums.add(charges(true, 10, np.random.default_rng(9), n_pe=80.0))
    return sums


@pytest.fixture
def enough(true):
    sums = PixelSums((np.array([0]), np.array([1])))
    sums.add(charges(true, 50, np.random.default_rng(9)))
    return sums


ONE = np.array([0]), np.array([1])
NONE = np.empty(0, int), np.empty(0, int)


def test_too_few_pedestals(few, enough):
    with pytest.raises(InsufficientStatisticsError, match="at least 25 pedestals, got 10"):
        illumination_crosstalk(PairSums(ONE, few.mean), ONE, few)
    with pytest.raises(InsufficientStatisticsError, match="at least 25 flat fields, got 10"):
        covariance_crosstalk(few, enough, ONE, NONE)


def test_no_lit_pixels(enough):
    with pytest.raises(InsufficientStatisticsError, match="lit alone in 20 events, at most in 0"):
        illumination_crosstalk(PairSums(ONE, enough.mean), ONE, enough)


def test_too_few_control_pairs(enough):
    with pytest.raises(ConfigurationError, match="0 pairs of lit pixels far apart"):
        covariance_crosstalk(enough, enough, ONE, NONE)


def test_a_camera_too_small_for_control_pairs():
    with pytest.raises(ConfigurationError, match="no two of 3 pixels"):
        control_pairs(np.arange(3.0), np.zeros(3), 10)
