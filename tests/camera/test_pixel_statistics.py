"""Statistics of chunks: hand values, ctapipe's numbers, the clipping correction, the edges."""

import tracemalloc

import numpy as np
import pytest

from calibpipe.camera.pixel_statistics import (
    CountChunks,
    TimeChunks,
    chunk_statistics,
    clipped_variance_factor,
)
from calibpipe.core.exceptions import ConfigurationError, CorruptedInputError

FLOAT32 = np.finfo(np.float32).eps


def statistics(values, **options):
    n = len(values)
    return chunk_statistics(np.arange(n), np.arange(n) * 1e-3, values, **options)


def by_ctapipe(aggregator, values, masked=None, **options):
    from astropy.table import Table
    from astropy.time import Time
    from ctapipe.monitoring import aggregator as aggregators

    n = len(values)
    table = Table(
        {
            "time": Time(1.7e9 + np.arange(n), format="unix_tai"),
            "event_id": np.arange(n),
            "image": values,
        }
    )
    row = getattr(aggregators, aggregator)(**options)(table, masked_elements_of_sample=masked)[0]
    return {name: np.asarray(row[name]) for name in ("n_events", "mean", "median", "std")}


def test_hand_computed():
    values = np.array([1.0, 2.0, 4.0, 9.0]).reshape(4, 1, 1)
    result = chunk_statistics([8, 5, 6, 7], [13.0, 10.0, 11.0, 12.0], values)
    assert (result.event_id_start, result.event_id_end) == (5, 8)
    assert (result.time_start, result.time_end) == (10.0, 13.0)
    assert result.n_events.item() == 4
    assert (result.mean.item(), result.median.item()) == (4.0, 3.0)
    assert result.std.item() == pytest.approx(np.sqrt(9.5))  # (9 + 4 + 0 + 25) / 4
    assert result.mean_error.item() == pytest.approx(np.sqrt(9.5 / 3))
    m4 = (81 + 16 + 0 + 625) / 4
    assert result.variance_error.item() == pytest.approx(np.sqrt((m4 - 9.5**2 / 3) / 4))


def masked_by_event(shape):
    mask = np.zeros(shape, bool)
    mask[::3, 0, 1] = True
    return mask


@pytest.mark.parametrize("per_event", [False, True])
@pytest.mark.parametrize("max_sigma", [None, 2, 3, 4])
def test_numbers_are_those_of_ctapipe(max_sigma, per_event):
    rng = np.random.default_rng(6)
    values = rng.normal(2000, 60, (300, 2, 50)).astype(np.float32)
    values[rng.random(values.shape) < 0.03] += 900
    mask = masked_by_event(values.shape)
    if not per_event:
        mask = np.zeros(values.shape[1:], bool)
        mask[0, 7] = mask[1, 30] = True
    full_mask = np.broadcast_to(mask, values.shape)
    kind = "PlainAggregator" if max_sigma is None else "SigmaClippingAggregator"
    options = {} if max_sigma is None else {"max_sigma": max_sigma, "iterations": 5}
    theirs = by_ctapipe(kind, values, full_mask, **options)
    mine = statistics(values, masked=mask, max_sigma=max_sigma, correct_clipping=False)
    np.testing.assert_array_equal(mine.n_events, theirs["n_events"])
    # numpy adds the 300 values of a column one after the other in float32
    for name, size in (("mean", 2000), ("median", 2000), ("std", 2000)):
        np.testing.assert_allclose(
            getattr(mine, name), theirs[name], rtol=0, atol=size * FLOAT32 * np.sqrt(300)
        )


def test_pixels_without_values_are_nan():
    values = np.ones((5, 1, 3))
    values[:, 0, 1] = np.nan
    values[1:, 0, 2] = np.inf
    result = statistics(values, masked=np.array([[True, False, False]]), max_sigma=3)
    assert result.n_events.tolist() == [[0, 0, 1]]
    assert np.isnan(result.mean[0, :2]).all()
    assert np.isnan(result.std[0, :2]).all()
    assert result.mean[0, 2] == 1
    assert np.isnan(result.mean_error).all()
    assert np.isnan(result.variance_error).all()


def test_c03_factors():
    """C03 of the scientific reference: one clipping of Gaussian data."""
    assert clipped_variance_factor(3) == pytest.approx(0.97334, abs=5e-6)
    assert clipped_variance_factor(4) == pytest.approx(0.998929, abs=5e-7)
    assert clipped_variance_factor(5) == pytest.approx(0.999985, abs=5e-7)
    # repeated clipping ends where the limit is k times the spread that it leaves
    fixed = clipped_variance_factor(3, 100)
    assert clipped_variance_factor(3 * np.sqrt(fixed)) == pytest.approx(fixed, abs=1e-12)


@pytest.mark.parametrize(("max_sigma", "iterations"), [(2.5, 1), (3, 1), (3, 5), (4, 5)])
def test_corrected_variance_is_unbiased(max_sigma, iterations):
    """400 pixels of 5000 Gaussian values: mean of the variances within 4 standard errors."""
    n_events, n_pixels = 5000, 400
    values = np.random.default_rng(8).normal(50, 2, (n_events, 1, n_pixels))
    result = statistics(values, max_sigma=max_sigma, iterations=iterations)
    bias = np.mean(result.std**2) / 4 - 1
    spread = np.std(result.std**2) / 4 / np.sqrt(n_pixels)
    assert abs(bias + 1 / n_events) < 4 * spread
    raw = statistics(values, max_sigma=max_sigma, iterations=iterations, correct_clipping=False)
    factor = clipped_variance_factor(max_sigma, iterations)
    np.testing.assert_allclose((raw.std / result.std) ** 2, factor)
    if max_sigma <= 3:
        assert abs(np.mean(raw.std**2) / 4 - 1) > 4 * spread


@pytest.mark.parametrize("max_sigma", [None, 4])
def test_pulls_of_the_errors_have_width_one(max_sigma):
    """Width of 4000 pulls is known to 1/sqrt(2 * 4000) = 1.1 %: 4 of these."""
    values = np.random.default_rng(9).exponential(3, (400, 2, 2000)).astype(np.float32)
    if max_sigma:
        values = np.random.default_rng(9).normal(3, 3, values.shape)
    result = statistics(values, max_sigma=max_sigma)
    limit = 4 / np.sqrt(2 * 4000)
    assert abs(np.std((result.mean - 3) / result.mean_error) - 1) < limit
    # the mean error estimate is compared: single pulls of a variance correlate with its error
    ratio = np.std(result.std**2) / np.sqrt(np.mean(result.variance_error**2))
    kurtosis_spread = 1 if max_sigma else 3
    assert abs(ratio - 1) < kurtosis_spread * limit


def blocks(lengths, times=None):
    start = 0
    for length in lengths:
        ids = np.arange(start, start + length)
        yield ids, (ids * 0.1 if times is None else times[ids]), ids.astype(np.float32)[:, None]
        start += length


def chunked(builder, stream):
    """All chunks of a stream of rows."""
    return [*(chunk for rows in stream for chunk in builder.add(rows)), *builder.rest()]


@pytest.mark.parametrize(
    ("remainder", "sizes"), [("truncate", [4, 4, 4, 3]), ("merge", [4, 4, 7]), ("skip", [4, 4, 4])]
)
@pytest.mark.parametrize("lengths", [[15], [1] * 15, [3, 0, 11, 1]])
def test_count_chunks(remainder, sizes, lengths):
    chunks = chunked(CountChunks(4, remainder=remainder), blocks(lengths))
    assert [len(c[0]) for c in chunks] == sizes
    np.testing.assert_array_equal(np.concatenate([c[0] for c in chunks]), np.arange(sum(sizes)))
    for ids, times, values in chunks:
        np.testing.assert_array_equal(ids * 0.1, times)
        np.testing.assert_array_equal(values[:, 0], ids)


@pytest.mark.parametrize("remainder", ["truncate", "merge", "skip"])
def test_no_remainder(remainder):
    chunks = chunked(CountChunks(4, remainder=remainder), blocks([8]))
    assert [c[0].tolist() for c in chunks] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert chunked(CountChunks(4, remainder=remainder), blocks([])) == []


@pytest.mark.parametrize("lengths", [[41], [1] * 41, [7, 30, 4]])
def test_time_chunks_are_half_open(lengths):
    """Events every 0.1 s in chunks of 0.7 s: rounding of neither moves an event."""
    chunks = chunked(TimeChunks(0.7), blocks(lengths))
    np.testing.assert_array_equal(np.concatenate([c[0] for c in chunks]), np.arange(41))
    for k, chunk in enumerate(chunks):
        assert np.all((chunk[1] >= k * 0.7) & (chunk[1] < (k + 1) * 0.7))


def test_interval_without_events_and_origin():
    times = np.array([10.0, 10.5, 14.9, 15.0])
    chunks = chunked(TimeChunks(1.0, origin=9.0), blocks([4], times))
    assert [c[1].tolist() for c in chunks] == [[10.0, 10.5], [14.9], [15.0]]


@pytest.mark.parametrize("lengths", [[23], [1] * 23, [2, 20, 1]])
def test_intervals_of_many_events_are_split(lengths):
    """Events every 0.1 s in chunks of 1 s, never more than 4."""
    chunks = chunked(TimeChunks(1.0, max_size=4), blocks(lengths))
    assert [len(c[0]) for c in chunks] == [4, 4, 2, 4, 4, 2, 3]
    np.testing.assert_array_equal(np.concatenate([c[0] for c in chunks]), np.arange(23))


def test_disorder_within_a_chunk_is_no_matter_beyond_is_an_error():
    times = np.array([0.0, 0.4, 0.2, 1.1, 1.05, 0.9])
    chunks = chunked(TimeChunks(1.0), blocks([2, 3], times))
    assert [c[0].tolist() for c in chunks] == [[0, 1, 2], [3, 4]]
    with pytest.raises(CorruptedInputError, match=r"event 5 is 0\.1 s earlier"):
        chunked(TimeChunks(1.0), blocks([5, 1], times))


def test_memory_is_of_one_chunk():
    """40 chunks of 2 MB each pass through, never more than 4 of them at a time."""
    chunk_bytes = 100 * 5000 * 4

    def stream():
        for start in range(0, 4000, 50):
            ids = np.arange(start, start + 50)
            yield ids, ids * 1.0, np.ones((50, 1, 5000), np.float32)

    statistics(np.ones((4, 1, 1), np.float32))  # compiled
    tracemalloc.start()
    chunks = CountChunks(100)
    n = sum(
        chunk_statistics(*c, max_sigma=4).n_events[0, 0]
        for rows in stream()
        for c in chunks.add(rows)
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n == 4000
    assert peak < 4 * chunk_bytes


def test_refusals():
    with pytest.raises(ConfigurationError, match="at least one event"):
        statistics(np.ones((0, 2, 3)))
    with pytest.raises(ConfigurationError, match=r"\(2,\) event numbers"):
        chunk_statistics([1, 2], [1.0], np.ones((1, 1, 1)))
    with pytest.raises(ConfigurationError, match=r"mask has the shape \(3,\)"):
        statistics(np.ones((4, 1, 3)), masked=np.ones(3, bool))
    with pytest.raises(ConfigurationError, match="positive max_sigma"):
        statistics(np.ones((4, 1, 3)), max_sigma=0)
    with pytest.raises(ConfigurationError, match="at least 1 iteration"):
        clipped_variance_factor(3, 0)
    with pytest.raises(ConfigurationError, match="'overlap'"):
        CountChunks(10, remainder="overlap")
    with pytest.raises(ConfigurationError, match="size of at least 1"):
        CountChunks(0)
    with pytest.raises(ConfigurationError, match="must be positive, got 0"):
        TimeChunks(0)


@pytest.mark.parametrize("max_sigma", [None, 5])
def test_common_variance_is_what_pixels_share(max_sigma):
    """A jitter of 3 common to all, noise of 10 of each; pixels flickering, absent, masked."""
    rng = np.random.default_rng(8)
    n_events, jitter, noise = 4000, 3.0, 10.0
    values = rng.normal(0, noise, (n_events, 2, 100)) + 500 * np.arange(100)
    values[:, 0] += rng.normal(0, jitter, (n_events, 1))
    values[:, :, 7] *= rng.choice([0.5, 1.0], (n_events, 2))
    values[:, :, 8] = np.nan
    values[:, :, 9] *= rng.normal(1, 10, (n_events, 2))
    masked = np.zeros((2, 100), bool)
    masked[:, 9] = True
    found = statistics(
        values.astype(np.float32), max_sigma=max_sigma, masked=masked
    ).common_variance
    # halves of 49 pixels: jitter, own noise, and a pixel that flickers between 1750 and 3500
    half = jitter**2 + noise**2 / 49 + (875 / 49) ** 2
    error = half * np.sqrt(2 / n_events)
    assert found[0] == pytest.approx(jitter**2, abs=3 * error)
    assert found[1] == pytest.approx(0, abs=3 * error)


def test_common_variance_needs_two_halves():
    assert np.isnan(statistics(np.ones((5, 2, 1), np.float32)).common_variance).all()
