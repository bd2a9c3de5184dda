"""Mean throughput: errors, outliers, scatter, no bias by weights; chunks of rings."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibpipe.throughput.muon_throughput import mean_throughput, ring_chunks

TRUE = 0.2


def drawn(rng, n_sets, n_rings, *, scatter=0.0, relative=0.03):
    """Rings of different light; their errors are those of the light that was found."""
    light = rng.uniform(0.5, 2.0, (n_sets, n_rings))
    true = TRUE * (1 + scatter * rng.standard_normal((n_sets, n_rings)))
    expected = relative * TRUE / np.sqrt(light)
    values = true + expected * rng.standard_normal((n_sets, n_rings))
    return values, expected * np.sqrt(values / TRUE)


def means(values, errors):
    found = [mean_throughput(v, e) for v, e in zip(values, errors, strict=True)]
    return found, np.array([(f.mean, f.stat_error, f.scatter) for f in found]).T


def test_by_hand():
    """Equal errors: the mean; chi2 = 2 (1/0.5)² / 2 with three rings, no excess: no scatter."""
    found = mean_throughput([9.0, 10.0, 11.0], [2.0, 2.0, 2.0])
    # variances are proportional to the light: at the mean, 4 m/values
    weight = np.array([9.0, 10.0, 11.0]) / 4
    mean = np.sum(weight * [9, 10, 11]) / weight.sum()
    for _ in range(5):
        variance = 4 * mean / np.array([9.0, 10.0, 11.0])
        mean = np.average([9, 10, 11], weights=1 / variance)
    assert found.mean == pytest.approx(mean, rel=1e-6)
    assert found.stat_error == pytest.approx(1 / np.sqrt(np.sum(1 / variance)), rel=1e-6)
    chi2 = np.sum((np.array([9, 10, 11]) - mean) ** 2 / variance)
    assert found.reduced_chi2 == pytest.approx(chi2 / 2, rel=1e-6)
    assert (found.median, found.std, found.scatter) == (10.0, 1.0, 0.0)
    assert (found.n_rings, found.n_outliers) == (3, 0)
    np.testing.assert_allclose(found.errors, np.sqrt(variance), rtol=1e-6)


@pytest.mark.parametrize("scatter", [0.0, 0.05])
def test_errors_are_those_of_the_means(scatter):
    """Pulls have width 1 and no bias; the scatter between rings is found."""
    rng, n = np.random.default_rng(1), 1500
    found, (mean, error, tau) = means(*drawn(rng, n, 100, scatter=scatter))
    pull = (mean - TRUE) / error
    assert pull.mean() == pytest.approx(0, abs=4 / np.sqrt(n))
    assert pull.std() == pytest.approx(1, abs=4 / np.sqrt(2 * n))
    if scatter:
        assert tau.mean() == pytest.approx(scatter, abs=4 * tau.std() / np.sqrt(n) + 5e-4)
    else:
        assert np.median(tau) < 0.01
        reduced = np.array([f.reduced_chi2 for f in found])
        assert reduced.mean() == pytest.approx(1, abs=4 * np.sqrt(2 / 99 / n) + 0.003)
    lost = np.mean([f.n_outliers for f in found]) / 100
    assert lost < 1e-3


def test_weights_do_not_bias():
    """Rings of 12 % error: with weights from their own light the mean would be 1.4 % low."""
    rng = np.random.default_rng(2)
    values, errors = drawn(rng, 400, 200, relative=0.12)
    _, (mean, _, _) = means(values, errors)
    error = mean.std() / np.sqrt(len(mean))
    assert mean.mean() == pytest.approx(TRUE, abs=4 * error)
    naive = np.average(values, weights=1 / errors**2, axis=1).mean()
    assert naive < TRUE - 20 * error


@pytest.mark.parametrize("factor", [0.5, 1.6])
def test_outliers_are_left_out(factor):
    """A twentieth of the rings at half or 1.6 times the light: a bias below a tenth of an error."""
    rng, n = np.random.default_rng(3), 500
    values, errors = drawn(rng, n, 100)
    clean, (mean, error, _) = means(values, errors)
    values[:, :5] *= factor
    errors[:, :5] *= np.sqrt(factor)
    found, (spoiled, _, _) = means(values, errors)
    for one in found:
        assert not one.is_used[:5].any()
        assert one.n_outliers + one.n_rings == 100
    assert np.mean([f.n_outliers for f in found]) == pytest.approx(5, abs=0.1)
    change = (spoiled - mean) / error
    assert abs(change.mean()) < 0.1
    assert np.sqrt(np.mean(change**2)) < 0.5  # five rings fewer
    assert np.mean([f.n_outliers for f in clean]) < 0.1


def test_scatter_is_not_taken_for_outliers():
    """Errors three times too small: all rings stay, the scatter tells."""
    values = TRUE * (1 + 0.05 * np.random.default_rng(4).standard_normal(500))
    found = mean_throughput(values, np.full(500, 0.01 * TRUE))
    assert found.n_outliers <= 2
    assert found.scatter == pytest.approx(np.sqrt(0.05**2 - 0.01**2), rel=0.15)
    assert found.reduced_chi2 == pytest.approx(25, rel=0.2)
    assert found.stat_error == pytest.approx(0.05 * TRUE / np.sqrt(500), rel=0.15)
    np.testing.assert_allclose(found.errors, 0.05 * TRUE, rtol=0.2)


@pytest.mark.parametrize("values", [[], [0.2]])
def test_too_few_rings(values):
    """None or one: no mean."""
    found = mean_throughput(values, [0.01] * len(values))
    assert np.isnan([found.mean, found.stat_error, found.median, found.std, found.scatter]).all()
    assert (found.n_rings, found.n_outliers) == (len(values), 0)
    assert found.is_used.shape == found.errors.shape == (len(values),)


def test_two_rings():
    found = mean_throughput([0.20, 0.21], [0.01, 0.01])
    assert found.n_rings == 2
    assert found.mean == pytest.approx(0.205, abs=0.0003)
    assert found.stat_error == pytest.approx(0.01 / np.sqrt(2), rel=0.02)
    assert found.reduced_chi2 == pytest.approx(0.5, rel=0.02)


def test_two_rings_that_contradict():
    """Neither is the outlier: both stay, and the error says so."""
    found = mean_throughput([0.10, 0.30], [0.002, 0.002])
    assert found.n_rings == 2
    assert found.stat_error > 0.05


def test_equal_rings():
    """Of a noise-free simulation."""
    found = mean_throughput([TRUE] * 10, [0.01] * 10)
    assert found.mean == pytest.approx(TRUE, rel=1e-12)
    assert found.scatter == 0.0
    assert found.reduced_chi2 == pytest.approx(0, abs=1e-12)


@given(
    times=st.lists(st.floats(0, 1e5), max_size=200),
    size=st.none() | st.integers(1, 50),
    duration=st.none() | st.floats(1.0, 1e5),
)
def test_every_ring_is_in_one_chunk(times, size, duration):
    time = np.sort(times)
    chunks = list(ring_chunks(time, size=size, duration=duration))
    rows = np.concatenate([np.arange(len(time))[chunk] for chunk in chunks] or [[]])
    np.testing.assert_array_equal(rows, np.arange(len(time)))
    for chunk in chunks:
        n = chunk.stop - chunk.start
        assert n > 0
        if size is not None:
            assert n < 2 * size
        if duration is not None:
            # of the observation's periods one; a float of 1e5 s is good to 1e-11
            assert time[chunk][-1] - time[chunk][0] <= duration * (1 + 1e-9)


def test_chunks_by_count():
    """1250 rings in chunks of 500: 500 and 750."""
    chunks = list(ring_chunks(np.arange(1250.0), size=500))
    assert chunks == [slice(0, 500), slice(500, 1250)]
    assert list(ring_chunks(np.arange(499.0), size=500)) == [slice(0, 499)]


def test_chunks_by_time():
    """Periods of 10 s from the first ring; one without rings has no chunk."""
    chunks = list(ring_chunks(np.array([5.0, 6.0, 14.9, 15.1, 36.0]), duration=10.0))
    assert chunks == [slice(0, 3), slice(3, 4), slice(4, 5)]
    both = list(ring_chunks(np.array([5.0, 6.0, 14.9, 15.1, 36.0]), size=1, duration=10.0))
    assert both == [slice(k, k + 1) for k in range(5)]


def test_no_rings_no_chunks():
    assert list(ring_chunks(np.empty(0), size=5)) == []
