"""One pass over a camera gives what the functions give one by one, with pixels bad in all ways."""

import numpy as np
import pytest

from calibpipe.camera.ffactor import flatfield_factor, photon_statistics
from calibpipe.camera.medians import masked_median_error
from calibpipe.camera.node_columns import (
    Measured,
    MeasuredChunk,
    NodeColumns,
    Noise,
    calculate_node,
)
from calibpipe.camera.outliers import (
    MAD_TO_SIGMA,
    OutlierCriteria,
    PixelReason,
    flatfield_reasons,
    limits,
    n_pe_reasons,
    peak_time_reasons,
    pedestal_reasons,
)
from calibpipe.camera.timing import time_shift, time_shift_error

N_PIXELS, WIDTH, BASELINE = 1855, 12, 3.0
CRITERIA = OutlierCriteria()
NOISE = (1.222, 0.02, 2e-4, 5e-5)
COMMON = np.array([0.01, np.nan])


def spoiled(rng, chunk):
    """The chunk with five pixels in each of the ways in which statistics go wrong."""
    n_events, mean, std, common = (values.copy() for values in chunk)

    def some():
        return rng.integers(0, 2, 5), rng.integers(0, N_PIXELS, 5)

    mean[some()] = np.nan
    mean[some()] = np.inf
    mean[some()] *= rng.uniform(-1, 3)
    std[some()] *= rng.uniform(1, 30)
    std[some()] = np.nan
    std[some()] = 0.0
    for n in (0, 1, 2, 25, 49):
        n_events[some()] = n
    return MeasuredChunk(n_events, mean, std, common)


@pytest.fixture(params=range(4))
def node(request):
    rng = np.random.default_rng(request.param)
    shape = (2, N_PIXELS)
    gain = np.array([[58.0], [3.4]]) * rng.normal(1, 0.05, shape)
    spread = np.sqrt(3600 + 1.222 * gain**2 * 80)

    def chunk(mean, std):
        mean = rng.normal(mean, std / 50)
        return spoiled(rng, MeasuredChunk(np.full(shape, 2500.0), mean, std, COMMON))

    return Measured(
        chunk(np.full(shape, 100.0), np.full(shape, 60.0)),
        chunk(100 + 80 * gain, spread),
        chunk(np.full(shape, 18.0), np.full(shape, 0.5)),
    )


def calculated(node):
    shape = (2, N_PIXELS)
    types = {"reasons": np.uint16, "outlier_mask": bool}
    row = NodeColumns(*(np.empty(shape, types.get(f, np.float32)) for f in NodeColumns._fields))
    n_bad = calculate_node(
        row,
        node,
        Noise(*(np.full(shape, value) for value in NOISE)),
        np.full(shape, BASELINE),
        WIDTH,
        limits(CRITERIA),
        np.ones(2, bool),
    )
    return row, n_bad


def of_functions(ped, flat, peak):
    """The columns of a row, and the pixels that are good in their channel."""
    photons = photon_statistics(
        *(flat.mean, flat.std, flat.n_events, ped.mean, ped.std, ped.n_events),
        squared_excess_noise_factor=NOISE[0],
        squared_excess_noise_factor_error=NOISE[1],
        squared_quadratic_noise=NOISE[2],
        squared_quadratic_noise_error=NOISE[3],
    )
    offset = BASELINE + ped.mean / WIDTH
    reasons = (
        pedestal_reasons(offset, ped.std, ped.n_events, CRITERIA)
        | flatfield_reasons(flat.mean - ped.mean, flat.std, flat.n_events, CRITERIA)
        | peak_time_reasons(peak.mean, CRITERIA)
    )
    reasons |= n_pe_reasons(photons.n_pe, flat.n_events, reasons, CRITERIA)
    good = reasons == 0
    factor, median = flatfield_factor(photons.n_pe, photons.signal, good)
    of_median = masked_median_error(photons.n_pe, photons.n_pe_stat_error, good) / median
    own = np.sqrt(np.maximum(peak.std**2 - np.nan_to_num(COMMON)[:, None], 0))
    with_light = ("gain", "gain_stat_error", "gain_sys_error")
    with_light += ("n_pe", "n_pe_stat_error", "n_pe_sys_error")
    signal_error = photons.signal_stat_error / photons.signal
    return {
        "factor": factor,
        "factor_stat_error": factor * np.hypot(signal_error, of_median),
        "factor_sys_error": factor * photons.n_pe_sys_error / photons.n_pe,
        "pedestal_offset": offset,
        "pedestal_offset_stat_error": ped.std / np.sqrt(ped.n_events - 1) / WIDTH,
        "time_shift": time_shift(peak.mean, good),
        "time_shift_stat_error": time_shift_error(peak.mean, own, peak.n_events, good),
        "reasons": reasons,
        **{name: getattr(photons, name) for name in with_light},
    }


def test_one_pass_is_the_functions_one_by_one(node):
    row, n_bad = calculated(node)
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = of_functions(*node)
    mask = (expected["reasons"] != 0).any(axis=0)
    assert n_bad == mask.sum()
    assert 50 < n_bad < 200
    np.testing.assert_array_equal(row.outlier_mask, [mask, mask])
    for name in ("factor", "time_shift"):
        expected[name] = np.where(mask, 0.0, expected[name])
    for name in ("factor", "pedestal_offset", "time_shift"):
        expected[name] = np.where(np.isfinite(expected[name]), expected[name], 0.0)
    for name, values in expected.items():
        np.testing.assert_allclose(getattr(row, name), values, rtol=1.5e-7, err_msg=name)


def test_scatter_is_known_wherever_a_pixel_may_be_far():
    """The criterion of the formula, also at its limit, where the scatter need not be known."""
    rng = np.random.default_rng(1)
    std, n_events = np.ones((1, N_PIXELS)), np.full((1, N_PIXELS), 100)
    n_flagged = 0
    for limit in np.linspace(0.9, 1.1, 41):
        mean = rng.normal(size=(1, N_PIXELS))
        distance = np.abs(mean - np.median(mean))
        scatter = MAD_TO_SIGMA * np.median(distance)
        criteria = OutlierCriteria(pedestal_mean_deviation=limit * distance.max() / scatter)
        found = pedestal_reasons(mean, std, n_events, criteria) & PixelReason.PEDESTAL_MEAN != 0
        far = distance > criteria.pedestal_mean_deviation * scatter
        if abs(limit - 1) > 1e-9:  # at 1 rounding decides
            np.testing.assert_array_equal(found, far)
            n_flagged += far.any()
    assert n_flagged == 20
