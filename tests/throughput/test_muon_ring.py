"""Circles: anchor D04, ctapipe's own fits, errors, invariants; completeness and containment."""

import astropy.units as u
import numpy as np
import pytest
from ctapipe.containers import MuonRingContainer
from ctapipe.image.muon.features import ring_completeness, ring_containment
from ctapipe.image.muon.fitting import kundu_chaudhuri_circle_fit, make_loss_function
from hypothesis import given, settings
from hypothesis import strategies as st

from calibpipe.throughput.muon_ring import (
    Circles,
    completeness,
    containment,
    fitted_circles,
    kasa_circles,
)

RADIUS, SIGMA = 1.1, 0.05
FULL, HALF, QUARTER = 2 * np.pi, np.pi, np.pi / 2


def arcs(rng, span, n_rings, n_points=200, sigma=SIGMA):
    """Points on arcs around the origin, whose middle is at azimuth 0."""
    azimuth = rng.uniform(-span / 2, span / 2, (n_rings, n_points))
    radius = RADIUS + sigma * rng.standard_normal((n_rings, n_points))
    return radius * np.cos(azimuth), radius * np.sin(azimuth)


def circles_of(x, y, radius):
    """Circles that are given."""
    values = np.broadcast_arrays(*map(np.atleast_1d, (x, y, radius)))
    return Circles(*map(np.asarray, values), np.zeros(len(values[0])), np.zeros((1, 3, 3)))


def container(circles, k):
    """A ring of ctapipe."""
    return MuonRingContainer(
        center_fov_lon=circles.x[k] * u.deg,
        center_fov_lat=circles.y[k] * u.deg,
        center_distance=np.hypot(circles.x[k], circles.y[k]) * u.deg,
        radius=circles.radius[k] * u.deg,
    )


@pytest.fixture
def rng():
    return np.random.default_rng(20240710)


@pytest.mark.parametrize(
    ("span", "radius", "centre"), [(HALF, -0.0083, 0.0150), (QUARTER, -0.190, 0.218)]
)
def test_kasa_is_too_small_on_arcs(rng, span, radius, centre):
    """D04. Half of the last digit, and the errors of its and of this mean (200 rings there)."""
    found = kasa_circles(*arcs(rng, span, 4000), np.ones((4000, 200)))
    for values, expected in ((found.radius - RADIUS, radius), (found.x, centre)):
        digit = 0.00005 if span == HALF else 0.0005
        error = values.std() * np.hypot(1 / np.sqrt(4000), 1 / np.sqrt(200))
        assert values.mean() == pytest.approx(expected, abs=digit + 3 * error)
        assert abs(expected) > 5 * (digit + error)


def test_taubin_is_not(rng):
    """D04: |dR| < 0.0015 on full and half circles; the median on a quarter, which is skew."""
    for span in (FULL, HALF, QUARTER):
        found = fitted_circles(*arcs(rng, span, 4000), np.ones((4000, 200)))
        middle = np.median if span == QUARTER else np.mean
        error = found.radius.std() / np.sqrt(4000) * (1.25 if span == QUARTER else 1)
        assert abs(middle(found.radius) - RADIUS) < 0.0015 + 3 * error
        assert 0.0015 + 3 * error < 0.0083 or span == QUARTER
        error = found.x.std() / np.sqrt(4000)
        assert abs(found.x.mean()) < 0.0015 + 3 * error


def test_full_circles_are_too_large_by_half_the_variance(rng):
    """sigma²/(2 R), the mean of r² against R²: of Kasa and Taubin."""
    x, y = arcs(rng, FULL, 10_000)
    for fit in (fitted_circles, kasa_circles):
        found = fit(x, y, np.ones_like(x)).radius
        error = found.std() / 100
        assert found.mean() - RADIUS == pytest.approx(SIGMA**2 / 2 / RADIUS, abs=4 * error)
        assert 10 * error < SIGMA**2 / 2 / RADIUS


@pytest.mark.parametrize("fit", [fitted_circles, kasa_circles])
@pytest.mark.parametrize("span", [FULL, HALF, QUARTER, 0.3])
def test_exact_without_noise(rng, fit, span):
    x, y = arcs(rng, span, 5, sigma=0.0)
    found = fit(x + 0.7, y - 2.0, rng.random(x.shape))
    np.testing.assert_allclose(found.radius, RADIUS, rtol=1e-7)
    np.testing.assert_allclose(found.x, 0.7, atol=1e-7)
    np.testing.assert_allclose(found.y, -2.0, atol=1e-7)
    np.testing.assert_allclose(found.radial_variance, 0, atol=1e-12)


@pytest.mark.parametrize("span", [FULL, HALF])
def test_errors_and_their_correlation(rng, span):
    """chi² of x, y, radius with the covariance has mean 3, pulls have width 1.

    Of first order: the error of the covariance itself is that of 197 degrees of freedom, and the
    points' radii of an arc make the fit not quite linear: 3 % of the width are allowed for.
    """
    n = 4000
    found = fitted_circles(*arcs(rng, span, n), np.ones((n, 200)))
    residual = np.stack([found.x, found.y, found.radius - RADIUS], axis=1)
    residual -= residual.mean(axis=0)  # the bias is tested elsewhere
    pull = residual / np.sqrt(np.einsum("rii->ri", found.covariance))
    assert pull.std(axis=0) == pytest.approx(1, abs=0.03)
    chi2 = np.einsum("ri,rij,rj->r", residual, np.linalg.inv(found.covariance), residual)
    assert chi2.mean() == pytest.approx(3, rel=0.06)
    assert found.radial_variance.mean() == pytest.approx(
        SIGMA**2 * 197 / 200, abs=5 * SIGMA**2 * np.sqrt(2 / 200 / n)
    )


def test_errors_follow_from_the_weights(rng):
    """Points of error sigma/sqrt(w): pulls of width 1, and a smaller error than without weights."""
    n = 4000
    weight = rng.choice([1.0, 25.0], (n, 200))
    azimuth = rng.uniform(0, FULL, (n, 200))
    radius = RADIUS + SIGMA * rng.standard_normal((n, 200)) / np.sqrt(weight)
    x, y = radius * np.cos(azimuth), radius * np.sin(azimuth)
    found = fitted_circles(x, y, weight)
    error = np.sqrt(found.covariance[:, 2, 2])
    pull = (found.radius - found.radius.mean()) / error
    assert pull.std() == pytest.approx(1, abs=4 / np.sqrt(2 * n) + 0.01)
    assert found.radius.std() < 0.6 * fitted_circles(x, y, np.ones_like(x)).radius.std()


def is_least(loss, found, k, rng):
    """Whether no circle nearby has a smaller loss."""
    best = np.array([found.x[k], found.y[k], found.radius[k]])
    steps = 1e-4 * rng.standard_normal((50, 3))
    return all(loss(*circle) > loss(*best) for circle in best + steps)


def test_taubin_minimises_the_loss_of_ctapipe(rng):
    """Of its ``taubin_circle_fit`` (whose minimiser, iminuit, is not needed here).

    For equal weights: ctapipe squares weights above the fraction, and not below.
    """
    x, y = arcs(rng, HALF, 5)
    found = fitted_circles(x, y, np.ones_like(x))
    assert all(
        is_least(make_loss_function(x[k], y[k], np.ones(200)), found, k, rng) for k in range(5)
    )


def test_taubin_minimises_his_weighted_loss(rng):
    x, y = arcs(rng, HALF, 5)
    weight = rng.random(x.shape)
    found = fitted_circles(x, y, weight)

    def loss(k):
        def of(x_c, y_c, radius):
            square = (x[k] - x_c) ** 2 + (y[k] - y_c) ** 2
            return np.sum(weight[k] * (square - radius**2) ** 2) / np.sum(weight[k] * square)

        return of

    assert all(is_least(loss(k), found, k, rng) for k in range(5))


def test_kasa_is_that_of_chaudhuri_and_kundu(rng):
    x, y = arcs(rng, HALF, 20)
    weight = rng.random(x.shape)
    found = kasa_circles(x, y, weight)
    for k in range(20):
        arguments = x[k] * u.deg, y[k] * u.deg, weight[k]
        radius, x_c, y_c, *_ = kundu_chaudhuri_circle_fit(*arguments)
        theirs = [value.to_value(u.deg) for value in (radius, x_c, y_c)]
        np.testing.assert_allclose(
            [found.radius[k], found.x[k], found.y[k]], theirs, rtol=1e-8, atol=1e-9
        )


@pytest.mark.parametrize("fit", [fitted_circles, kasa_circles])
def test_no_circle(rng, fit):
    """Points on a line, in one place, fewer than four, none; a good one among them is not hurt."""
    x, y = arcs(rng, FULL, 6, n_points=50)
    weight = np.ones_like(x)
    y[0] = 0.3 * x[0] + 2
    x[1], y[1] = 0.4, 0.5
    weight[2, 3:] = 0
    weight[3] = 0
    weight[5, 4:] = 0
    found = fit(x, y, weight)
    bad = [0, 1, 2, 3]
    for values in (found.x, found.y, found.radius, found.radial_variance, found.covariance):
        assert np.isnan(values[bad]).all()
        assert np.isfinite(values[[4, 5]]).all()
    alone = fit(x[4], y[4], weight[4])
    assert alone.radius[0] == pytest.approx(found.radius[4], rel=1e-12)


def test_points_without_weight_do_not_count(rng):
    x, y = arcs(rng, HALF, 3)
    weight = np.ones_like(x)
    found = fitted_circles(x[:, :100], y[:, :100], weight[:, :100])
    x[:, 100:] += 5
    weight[:, 100:] = 0
    padded = fitted_circles(x, y, weight)
    for name in ("x", "y", "radius", "radial_variance", "covariance"):
        np.testing.assert_allclose(getattr(padded, name), getattr(found, name), rtol=1e-9)


def test_negative_weights_are_refused():
    with pytest.raises(ValueError, match="weights of points are not negative"):
        fitted_circles([0, 1, 2, 3], [0, 1, 0, 2], [[1, 1, 1, -1]])


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    span=st.floats(1.0, FULL),
    shift=st.tuples(st.floats(-5, 5), st.floats(-5, 5)),
    scale=st.floats(1e-3, 1e3),
    light=st.floats(1e-3, 1e5),
)
def test_laws_of_circles(seed, span, shift, scale, light):
    """Moved, scaled, in another order, with more light: the same circle."""
    rng = np.random.default_rng(seed)
    x, y = arcs(rng, span, 1, n_points=60)
    weight = rng.random(x.shape)
    first = fitted_circles(x, y, weight)
    order = rng.permutation(60)
    other = fitted_circles(
        (scale * (x + shift[0]))[:, order],
        (scale * (y + shift[1]))[:, order],
        (light * weight)[:, order],
    )
    assert other.radius / scale == pytest.approx(first.radius, rel=1e-7)
    assert other.x / scale - shift[0] == pytest.approx(first.x, abs=1e-7)
    assert other.y / scale - shift[1] == pytest.approx(first.y, abs=1e-7)
    np.testing.assert_allclose(other.covariance / scale**2, first.covariance, rtol=1e-5, atol=1e-12)


def test_completeness_by_hand(rng):
    """8 bins of 45 degrees: light of 10 in three of them, of 5 in another; 5 is not above 5."""
    azimuth = np.deg2rad([10, 20, 50, 100, 190])
    x, y = 0.3 + np.cos(azimuth), np.sin(azimuth) - 0.2
    light = np.array([[6, 4, 10, 10, 5]])
    ring = circles_of(0.3, -0.2, 1.0)
    for threshold, expected in ((5, 3 / 8), (4.9, 4 / 8), (9.9, 3 / 8), (10, 0)):
        found = completeness(x, y, light, ring, threshold=threshold, n_bins=8)
        assert found == [expected]


def test_completeness_is_that_of_ctapipe(rng):
    """Of two rings at once, 30 bins; no circle has none."""
    x, y = rng.uniform(-1.5, 1.5, (2, 2000))
    light = rng.exponential(size=(3, 2000))
    rings = circles_of([0.1, -0.3, np.nan], [0.2, 0.0, 0.0], [1.1, 0.8, np.nan])
    found = completeness(x, y, light, rings, threshold=65.0)
    for k in range(2):
        theirs = ring_completeness(
            x * u.deg, y * u.deg, light[k], container(rings, k), threshold=65.0, bins=30
        )
        assert found[k] == theirs
        assert 0 < theirs < 1
    assert np.isnan(found[2])


def test_containment_by_hand():
    """Camera of radius 2. In the order of the offset: inside; half and a third by triangles."""
    half = circles_of(np.sqrt(2**2 - 1), 0.0, 1.0)  # the ends of a diameter are on the rim
    assert containment(half, 2.0) == pytest.approx(0.5)
    third = circles_of(0.0, -2.0, 2.0)  # two equilateral triangles: 120 of 360 degrees
    assert containment(third, 2.0) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("offset", "radius", "expected"),
    [(0, 1, 1), (0.9, 1, 1), (3.1, 1, 0), (0, 2.1, 0), (0.5, 3, 0), (0, 2, 1), (np.nan, np.nan, 2)],
)
def test_containment_at_its_limits(offset, radius, expected):
    found = containment(circles_of(offset, 0.0, radius), 2.0)
    np.testing.assert_array_equal(found, np.nan if expected == 2 else expected)


def test_containment_counted(rng):
    """By points on the circles; ctapipe's where it is the same thing."""
    n = 200
    azimuth = rng.uniform(0, FULL, 4000)
    offset, direction, radius = (
        rng.uniform(0, 3, n),
        rng.uniform(0, FULL, n),
        rng.uniform(0.5, 2, n),
    )
    rings = circles_of(offset * np.cos(direction), offset * np.sin(direction), radius)
    x, y = (
        rings.x[:, None] + radius[:, None] * np.cos(azimuth),
        rings.y[:, None] + radius[:, None] * np.sin(azimuth),
    )
    counted = (np.hypot(x, y) < 2.0).mean(axis=1)
    found = containment(rings, 2.0)
    error = np.sqrt(np.maximum(found * (1 - found), 1e-12) / 4000)
    np.testing.assert_array_less(np.abs(counted - found), 4.5 * error + 1e-12)
    partly = (found > 0) & (found < 1)
    theirs = [ring_containment(container(rings, k), 2.0 * u.deg) for k in np.flatnonzero(partly)]
    np.testing.assert_allclose(found[partly], theirs, atol=1e-6)
    assert partly.sum() > 50
