"""From chunks to coefficients: validity in time, closure under drift, masks, missing channels."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from calibpipe.camera.coefficients import (
    CoefficientSettings,
    InvalidReason,
    camera_coefficients,
    coefficient_nodes,
    common_quadratic_noise,
    fill_missing_channel,
)
from calibpipe.camera.medians import masked_median_error
from calibpipe.camera.outliers import OutlierCriteria, PixelReason
from calibpipe.camera.pixel_statistics import chunk_statistics
from calibpipe.core.exceptions import ConfigurationError, InsufficientStatisticsError

F2, WIDTH, N_PIXELS = 1.222, 12, 60
GAIN = np.array([[58.0], [3.4]]) * np.linspace(0.95, 1.05, N_PIXELS)
NOISE = np.array([[60.0], [10.0]])  # ADC in the window
T0 = 1.8e9
SETTINGS = CoefficientSettings(
    window_width=WIDTH,
    squared_excess_noise_factor=F2,
    criteria=OutlierCriteria(max_bad_fraction=0.2),
    where="LSTN-01",
)


@dataclass(frozen=True)
class Statistics:
    """Chunk of one quantity; times in seconds after T0."""

    time_start: float
    time_end: float
    mean: np.ndarray
    std: np.ndarray
    n_events: np.ndarray
    common_variance: np.ndarray


def chunk(start, end, mean, std, n_events=2500, common_variance=(np.nan, np.nan)):
    """Of a true standard deviation; that of a chunk has the divisor n_events."""
    std = np.asarray(std) * np.sqrt(1 - 1 / n_events)
    shape = (2, N_PIXELS)
    mean, std = np.broadcast_to(mean, shape).copy(), np.broadcast_to(std, shape).copy()
    common = np.array(common_variance)
    return Statistics(T0 + start, T0 + end, mean, std, np.full(shape, n_events), common)


def pedestal(start, end, offset=400.0, **changes):
    return chunk(start, end, WIDTH * offset, NOISE, **changes)


def flatfield(start, end, n_pe=80.0, gain=1.0, offset=400.0, **changes):
    g = GAIN * gain
    std = np.sqrt(NOISE**2 + F2 * g**2 * n_pe)
    return chunk(start, end, WIDTH * offset + g * n_pe, std, **changes)


def peak_time(start, end, late=0.0, **changes):
    return chunk(start, end, 18.0 + np.linspace(-1, 1, N_PIXELS) + late, 0.5, **changes)


def steady(n=1, length=25.0):
    """Chunks of a camera that does not change."""
    edges = [(k * length, (k + 1) * length - 0.01) for k in range(n)]
    return [[kind(*e) for e in edges] for kind in (pedestal, flatfield, peak_time)]


def with_pixel(statistics, channel, pixel, **values):
    """Copy of a chunk with other numbers in one pixel."""
    arrays = {name: getattr(statistics, name).copy() for name in values}
    for name, value in values.items():
        arrays[name][channel, pixel] = value
    return replace(statistics, **arrays)


def test_one_chunk_hand_computed():
    found = camera_coefficients(*steady(), SETTINGS)
    assert found.time.tolist() == [T0]
    assert found.time_end.tolist() == [T0 + 24.99]
    assert found.is_valid.tolist() == [True]
    np.testing.assert_allclose(found.n_pe[0], 80.0, rtol=1e-6)
    np.testing.assert_allclose(found.gain[0], GAIN, rtol=1e-6)
    np.testing.assert_allclose(found.factor[0], 1 / GAIN, rtol=1e-6)
    np.testing.assert_allclose(found.pedestal_offset[0], 400.0)
    np.testing.assert_allclose(
        found.pedestal_offset_stat_error[0, :, 0], [0.1, 10 / 600], rtol=1e-6
    )
    np.testing.assert_allclose(found.time_shift[0, 1], np.linspace(-1, 1, N_PIXELS), atol=1e-6)
    assert not found.outlier_mask.any()
    assert not found.extrapolated_channel_mask.any()


def test_jitter_that_all_pixels_share_is_taken_from_the_data():
    """Source jitter B = 2 %: variance B² S², of which common noise of the pedestals is no part."""
    signal = GAIN * 80.0
    median = np.median(signal, axis=1)
    ped = pedestal(0, 25, common_variance=[4.0, 1.0])
    ff = flatfield(0, 25, common_variance=(0.02 * median) ** 2 + np.array([4.0, 1.0]))
    ff = replace(ff, std=np.sqrt(ff.std**2 + (0.02 * signal) ** 2 * (1 - 1 / 2500)))
    np.testing.assert_allclose(common_quadratic_noise(ped, ff), 0.02**2, rtol=1e-9)
    settings = replace(SETTINGS, squared_quadratic_noise=None)
    found = camera_coefficients([ped], [ff], [peak_time(0, 25)], settings)
    np.testing.assert_allclose(found.gain[0], GAIN, rtol=1e-5)
    uncorrected = camera_coefficients([ped], [ff], [peak_time(0, 25)], SETTINGS)
    np.testing.assert_allclose(uncorrected.gain[0] / GAIN, 1 + 0.02**2 * 80 / F2, rtol=1e-5)


def test_without_knowledge_of_common_noise_there_is_none():
    assert common_quadratic_noise(pedestal(0, 25), flatfield(0, 25)).tolist() == [[0.0], [0.0]]


def test_jitter_of_the_light_source_is_no_error_of_time_shifts():
    """0.5 ns of which 0.4 ns are common: 0.3 ns of the pixel's own, and of the camera median."""
    times = peak_time(0, 25, common_variance=np.full(2, 0.4**2 * (1 - 1 / 2500)))
    found = camera_coefficients([pedestal(0, 25)], [flatfield(0, 25)], [times], SETTINGS)
    own = np.full((2, N_PIXELS), 0.3 / np.sqrt(2500))
    of_median = masked_median_error(times.mean, own, np.ones((2, N_PIXELS), bool))
    expected = np.hypot(own, of_median)
    np.testing.assert_allclose(found.time_shift_stat_error[0], expected, rtol=1e-5)


def test_a_pedestal_off_the_camera_is_seen_below_its_baseline():
    """The baseline of a pixel hides its pedestal from the charges, not from the criterion."""
    rng = np.random.default_rng(4)
    baseline = np.full((2, N_PIXELS), 400.0) + rng.normal(0, 2, (2, N_PIXELS))
    baseline[:, 7] += 100.0
    found = camera_coefficients(
        [pedestal(0, 25, offset=0.0)],
        [flatfield(0, 25, offset=0.0)],
        [peak_time(0, 25)],
        SETTINGS,
        baseline=baseline,
    )
    assert np.flatnonzero(found.outlier_mask[0, 0]).tolist() == [7]
    assert np.all(found.reasons[0, :, 7] == PixelReason.PEDESTAL_MEAN)
    np.testing.assert_allclose(found.pedestal_offset[0], baseline, rtol=1e-6)


def test_nodes_are_where_the_valid_chunks_change():
    """Pedestals every 20 s, flat fields every 30 s: an event gets the chunks that hold it."""
    pedestals = [pedestal(20 * k, 20 * k + 19.9) for k in range(3)]
    flatfields = [flatfield(30 * k, 30 * k + 29.9) for k in range(2)]
    times = [peak_time(30 * k, 30 * k + 29.9) for k in range(2)]
    nodes = coefficient_nodes(pedestals[::-1], flatfields, times[::-1])
    assert [time - T0 for time, _ in nodes] == [0, 20, 30, 40]
    used = [(pedestals.index(p), flatfields.index(f), times.index(t)) for _, (p, f, t) in nodes]
    assert used == [(0, 0, 0), (1, 0, 0), (1, 1, 1), (2, 1, 1)]


def test_a_chunk_serves_from_its_first_event_on_and_no_longer_at_the_next_start():
    pedestals = [pedestal(0, 10), pedestal(10, 20)]  # they touch
    _, flatfields, times = steady()
    nodes = coefficient_nodes(pedestals, flatfields, times)
    assert [(t - T0, p is pedestals[1]) for t, (p, _, _) in nodes] == [(0, False), (10, True)]


def test_of_overlapping_chunks_the_later_start_wins():
    """The last chunk of a size-chunked run reaches back into the one before."""
    pedestals = [pedestal(0, 20), pedestal(12, 30)]
    _, flatfields, times = steady()
    nodes = coefficient_nodes(pedestals, flatfields, times)
    assert [(t - T0, pedestals.index(p)) for t, (p, _, _) in nodes] == [(0, 0), (12, 1)]


def test_a_gap_is_a_node_that_no_chunk_covers():
    pedestals = [pedestal(0, 10), pedestal(40, 60)]
    _, flatfields, times = steady(length=60.0)
    nodes = coefficient_nodes(pedestals, flatfields, times)
    assert [(t - T0, p is None) for t, (p, _, _) in nodes] == [(0, False), (10, True), (40, False)]
    assert len(coefficient_nodes(pedestals, flatfields, times, max_gap=30.0)) == 2


def test_a_kind_that_ends_early_leaves_a_gap():
    _, flatfields, times = steady(4)
    rest = coefficient_nodes([pedestal(0, 60)], flatfields, times)
    assert all(p is not None for _, (p, _, _) in rest)  # 40 s more: the rest of a run
    nodes = coefficient_nodes([pedestal(0, 40)], flatfields, times)
    assert [(t - T0, p is None) for t, (p, _, _) in nodes] == [
        (0, False),
        (25, False),
        (40, True),
        (50, True),
        (75, True),
    ]


def test_kinds_begin_within_the_tolerance_or_the_rows_wait():
    _, flatfields, times = steady()
    assert coefficient_nodes([pedestal(0.4, 25)], flatfields, times)[0][0] == T0
    assert coefficient_nodes([pedestal(5.0, 25)], flatfields, times)[0][0] == T0 + 5.0


def drifting(t):
    """Pedestal per sample and relative gain t seconds after the start."""
    return 400.0 + 0.02 * t, 1.0 + 2e-4 * t


def test_closure_with_drifting_pedestal_and_gain():
    """Events get the chunk that holds them; one chunk late (the peer) would be found out."""
    length_ped, length_ff, total = 20.0, 30.0, 600.0
    pedestals = []
    for start in np.arange(0, total, length_ped):
        offset, _ = drifting(start + length_ped / 2)
        pedestals.append(pedestal(start, start + length_ped - 0.01, offset))
    flatfields, times = [], []
    for start in np.arange(0, total, length_ff):
        offset, gain = drifting(start + length_ff / 2)
        flatfields.append(flatfield(start, start + length_ff - 0.01, gain=gain, offset=offset))
        times.append(peak_time(start, start + length_ff - 0.01))
    found = camera_coefficients(pedestals, flatfields, times, SETTINGS)
    assert found.is_valid.all()

    events = np.random.default_rng(2).uniform(0, total, 4000)
    row = np.searchsorted(found.time, T0 + events, side="right") - 1  # as ctapipe
    offset, gain = drifting(events)
    pedestal_error = found.pedestal_offset[row, 0, 0] - offset
    half_chunk = 0.02 * length_ped / 2
    assert np.abs(pedestal_error).max() < half_chunk * 1.001
    assert abs(pedestal_error.mean()) < 4 * pedestal_error.std() / np.sqrt(events.size)
    late = found.pedestal_offset[np.maximum(row - 1, 0), 0, 0] - offset
    assert late.mean() < -half_chunk / 2  # a delay is no small thing

    # the charge of 80 p.e. comes out right, but for the drift inside a flat-field chunk and that
    # of the pedestal between the chunks of the two kinds (here at most 0.02 * 15 s * 12 samples)
    expected = 80.0 * gain * GAIN[0, 0]
    charge = (expected + WIDTH * (offset - found.pedestal_offset[row, 0, 0])) * found.factor[
        row, 0, 0
    ]
    limit = 80.0 * 2e-4 * length_ff / 2 + 2 * WIDTH * 0.02 * 25.0 / GAIN[0, 0]
    assert np.abs(charge - 80.0).max() < limit
    wrong = expected * found.factor[0, 0, 0]  # the first row for ever
    assert np.abs(wrong - 80.0).max() > 5 * limit


def test_masks_of_both_channels_are_their_or_and_numbers_are_finite():
    pedestals, flatfields, times = steady()
    flatfields = [with_pixel(flatfields[0], 1, 7, mean=4800.5)]
    times = [with_pixel(times[0], 0, 9, mean=np.nan)]
    pedestals = [with_pixel(pedestals[0], 0, 11, mean=np.nan, n_events=0)]
    found = camera_coefficients(pedestals, flatfields, times, SETTINGS)
    expected = np.isin(np.arange(N_PIXELS), [7, 9, 11])
    np.testing.assert_array_equal(found.outlier_mask[0], [expected, expected])
    np.testing.assert_array_equal(found.factor[0] == 0, [expected, expected])
    for name in ("factor", "pedestal_offset", "time_shift"):
        assert np.isfinite(getattr(found, name)).all(), name
    assert PixelReason.DEAD & int(found.reasons[0, 1, 7])
    assert found.reasons[0, 0, 7] == 0
    assert found.reasons[0, 0, 9] == PixelReason.NON_FINITE


def test_statistical_errors_are_the_scatter_of_repeated_chunks():
    rng = np.random.default_rng(9)
    n_events, n_chunks = 2500, 400
    kinds = []
    for k in range(n_chunks):
        p, f, t = pedestal(k, k + 0.9), flatfield(k, k + 0.9), peak_time(k, k + 0.9)
        drawn = []
        for c in (p, f, t):
            chi2 = rng.chisquare(n_events - 1, c.std.shape) / (n_events - 1)
            mean = rng.normal(c.mean, c.std / np.sqrt(n_events))
            drawn.append(replace(c, mean=mean, std=c.std * np.sqrt(chi2)))
        kinds.append(drawn)
    found = camera_coefficients(*zip(*kinds, strict=True), SETTINGS)
    assert not found.outlier_mask.any()
    for name in ("pedestal_offset", "factor"):
        values = getattr(found, name).astype(float)
        error = getattr(found, f"{name}_stat_error")
        pull = (values - values.mean(axis=0)) / error
        # 1/n_pixels: the camera median moves all pixels of a chunk together
        allowed = 4 / np.sqrt(2 * n_chunks * N_PIXELS) + 1 / N_PIXELS
        assert abs(pull.std() - 1) < allowed, name


def test_closure_from_charges_of_events():
    """Charges of events -> statistics of chunks -> coefficients: the truth comes back."""
    rng = np.random.default_rng(20261121)
    n_events, shape = 1000, (1000, 2, N_PIXELS)
    efficiency = np.linspace(0.9, 1.1, N_PIXELS)
    offsets = np.linspace(-1.0, 1.0, N_PIXELS)
    n_pe = rng.poisson(80.0 * efficiency, shape)
    amplitude = rng.gamma(n_pe / (F2 - 1.0), F2 - 1.0)
    time = T0 + np.arange(n_events) * 0.01
    ped = WIDTH * 400.0 + NOISE * rng.standard_normal(shape)
    charge = GAIN * amplitude + WIDTH * 400.0 + NOISE * rng.standard_normal(shape)
    peak = 18.0 + offsets + 0.5 * rng.standard_normal(shape)
    chunks = [[chunk_statistics(np.arange(n_events), time, x)] for x in (ped, charge, peak)]
    found = camera_coefficients(*chunks, SETTINGS)
    assert not found.outlier_mask.any()
    reference = np.median(80.0 * efficiency)
    for name, truth in (
        ("gain", GAIN),
        ("n_pe", 80.0 * efficiency),
        ("factor", reference / (GAIN * 80.0 * efficiency)),
        ("pedestal_offset", 400.0),
        ("time_shift", offsets - np.median(offsets)),
    ):
        pull = (getattr(found, name)[0] - truth) / getattr(found, f"{name}_stat_error")[0]
        # of one channel: both see the same light, their errors are not independent
        if name in ("factor", "time_shift"):  # the camera median moves all pixels together
            assert np.abs(pull[0]).max() < 5, name
        else:
            assert abs(pull[0].mean()) < 4 / np.sqrt(N_PIXELS), name
            assert abs(pull[0].std() - 1) < 4 / np.sqrt(2 * N_PIXELS), name


def test_systematic_error_of_the_factor_is_that_of_the_excess_noise():
    settings = replace(SETTINGS, squared_excess_noise_factor_error=0.05 * F2)
    found = camera_coefficients(*steady(), settings)
    np.testing.assert_allclose(found.factor_sys_error / found.factor, 0.05, rtol=1e-5)


def test_pedestal_subtracted_before_extraction_comes_back():
    pedestals, flatfields, times = (
        [pedestal(0, 25, offset=0.5)],
        [flatfield(0, 25, offset=0.5)],
        steady()[2],
    )
    found = camera_coefficients(pedestals, flatfields, times, SETTINGS, baseline=399.5)
    np.testing.assert_allclose(found.pedestal_offset, 400.0)
    np.testing.assert_allclose(found.factor[0], 1 / GAIN, rtol=1e-6)


def test_invalid_chunk_repeats_the_last_valid_one_and_says_so():
    pedestals, flatfields, times = steady(3)
    broken = flatfields[1]
    for pixel in range(13):
        broken = with_pixel(broken, 0, pixel, mean=4800.0)
    flatfields[1] = broken
    found = camera_coefficients(pedestals, flatfields, times, SETTINGS)
    assert found.is_valid.tolist() == [True, False, True]
    assert found.invalid_reason.tolist() == [0, InvalidReason.BAD_PIXELS, 0]
    assert found.remarks[1].startswith("21.7% of the pixels are bad, limit 20.0% (NON_FINITE 13")
    np.testing.assert_array_equal(found.factor[1], found.factor[0])
    assert not found.outlier_mask.any()


def test_gap_is_an_invalid_row_with_its_reason():
    _, flatfields, times = steady(3)
    pedestals = [pedestal(0, 10), pedestal(40, 75, offset=410.0)]
    found = camera_coefficients(pedestals, flatfields, times, SETTINGS)
    assert (found.time - T0).tolist() == [0, 10, 25, 40, 50]
    assert found.is_valid.tolist() == [True, False, False, True, True]
    assert found.remarks[1] == "no pedestal chunk covers it"
    assert found.invalid_reason[1] == InvalidReason.NO_PEDESTAL
    assert found.pedestal_offset[:, 0, 0].tolist() == [400.0, 400.0, 400.0, 410.0, 410.0]


def test_invalid_start_is_left_out():
    pedestals, flatfields, times = steady(2)
    pedestals[0] = replace(pedestals[0], n_events=np.full((2, N_PIXELS), 24))
    found = camera_coefficients(pedestals, flatfields, times, SETTINGS)
    assert (found.time - T0).tolist() == [25.0]
    assert found.is_valid.tolist() == [True]


def test_nothing_valid_is_an_error():
    pedestals, flatfields, times = steady(2)
    pedestals = [replace(p, n_events=np.full((2, N_PIXELS), 24)) for p in pedestals]
    with pytest.raises(
        InsufficientStatisticsError,
        match=r"no valid coefficients of LSTN-01 in 2 nodes; the first: needs at least 25 pedestal "
        r"events, got 24\. Look",
    ):
        camera_coefficients(pedestals, flatfields, times, SETTINGS)


@pytest.mark.parametrize(
    ("kind", "name"), [(0, "pedestal"), (1, "flat-field charge"), (2, "flat-field peak time")]
)
def test_no_chunk_of_a_kind_is_an_error(kind, name):
    kinds = steady()
    kinds[kind] = []
    with pytest.raises(InsufficientStatisticsError, match=f"no {name} chunk of LSTN-01"):
        coefficient_nodes(*kinds, where="LSTN-01")


def gain_selected():
    """Only the high gain was recorded."""
    kinds = steady()
    nothing = {"mean": np.nan, "std": np.nan, "n_events": 0}
    return [[with_pixel(c, 1, slice(None), **nothing) for c in chunks] for chunks in kinds]


def test_missing_channel_is_filled_and_flagged():
    found = camera_coefficients(*gain_selected(), replace(SETTINGS, fill_missing_channel=True))
    np.testing.assert_array_equal(found.factor[0, 1], found.factor[0, 0])
    np.testing.assert_array_equal(found.time_shift[0, 1], found.time_shift[0, 0])
    np.testing.assert_array_equal(found.pedestal_offset[0, 1], 0.0)
    np.testing.assert_allclose(found.pedestal_offset[0, 0], 400.0)
    assert found.extrapolated_channel_mask[0, 1].all()
    assert not found.extrapolated_channel_mask[0, 0].any()
    assert found.is_valid.all()
    assert not found.outlier_mask.any()


def test_missing_channel_is_refused_unless_allowed():
    with pytest.raises(ConfigurationError, match="channel 1 of LSTN-01 has no calibration events"):
        camera_coefficients(*gain_selected(), SETTINGS)


def test_no_common_channel_is_an_error():
    pedestals, _, times = gain_selected()
    flatfields = [with_pixel(steady()[1][0], 0, slice(None), n_events=0)]
    with pytest.raises(InsufficientStatisticsError, match="has both pedestal and flat-field"):
        camera_coefficients(pedestals, flatfields, times, SETTINGS)


def test_filling_changes_no_input():
    columns = {
        name: np.arange(4.0).reshape(2, 2)
        for name in ("factor", "pedestal_offset", "pedestal_offset_stat_error")
    }
    fill_missing_channel(columns, np.array([False, True]))
    np.testing.assert_array_equal(columns["factor"], [[0, 1], [2, 3]])
