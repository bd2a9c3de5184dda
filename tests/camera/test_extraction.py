"""Blocks of waveforms give what ctapipe's extractors give event by event."""

import astropy.units as u
import numpy as np
import pytest

from calibpipe.camera.extraction import fixed_window_sum, local_peak_window_sum, waveform_variance
from calibpipe.core.exceptions import ConfigurationError

SAMPLING_RATE = 1.024 * u.GHz
N_PIXELS, N_SAMPLES = 7, 40


@pytest.fixture(scope="module")
def subarray():
    from astropy.coordinates import EarthLocation
    from ctapipe.coordinates import CameraFrame
    from ctapipe.instrument import (
        CameraDescription,
        CameraGeometry,
        CameraReadout,
        OpticsDescription,
        SubarrayDescription,
        TelescopeDescription,
    )

    geometry = CameraGeometry(
        name="seven",
        pix_id=np.arange(N_PIXELS),
        pix_x=np.arange(N_PIXELS) * u.m,
        pix_y=np.zeros(N_PIXELS) * u.m,
        pix_area=np.ones(N_PIXELS) * u.m**2,
        pix_type="hexagonal",
        frame=CameraFrame(focal_length=28 * u.m),
    )
    readout = CameraReadout(
        name="seven",
        sampling_rate=SAMPLING_RATE,
        reference_pulse_shape=np.ones((2, 10)),
        reference_pulse_sample_width=1 * u.ns,
        n_channels=2,
        n_pixels=N_PIXELS,
        n_samples=N_SAMPLES,
    )
    optics = OpticsDescription(
        name="LST",
        size_type="LST",
        n_mirrors=1,
        equivalent_focal_length=28 * u.m,
        effective_focal_length=29.3 * u.m,
        mirror_area=386 * u.m**2,
        n_mirror_tiles=198,
        reflector_shape="PARABOLIC",
    )
    camera = CameraDescription("seven", geometry, readout)
    telescope = TelescopeDescription("LST", optics, camera)
    site = EarthLocation.from_geodetic(-17.9 * u.deg, 28.8 * u.deg, 2200 * u.m)
    return SubarrayDescription("one", {1: np.zeros(3) * u.m}, {1: telescope}, site)


@pytest.fixture(scope="module")
def waveform():
    """Pulses anywhere, also at the edges, on a pedestal of 400 counts."""
    rng = np.random.default_rng(3)
    block = rng.normal(400, 5, (30, 2, N_PIXELS, N_SAMPLES))
    peak = rng.integers(0, N_SAMPLES, block.shape[:3])
    np.put_along_axis(block, peak[..., None], 4000, axis=-1)
    block[0] = 400  # no peak at all
    return block.astype(np.uint16)


@pytest.fixture(scope="module")
def pedestal():
    return np.random.default_rng(4).normal(400, 3, (2, N_PIXELS)).astype(np.float32)


def by_ctapipe(extractor, waveform):
    events = [extractor(w, 1, None, np.zeros(w.shape[:2], bool)) for w in waveform]
    return events, np.array([e.image for e in events])


@pytest.mark.parametrize(("width", "shift"), [(7, 3), (12, 5), (1, 0), (60, 20)])
def test_local_peak_window_sum_is_that_of_ctapipe(subarray, waveform, pedestal, width, shift):
    from ctapipe.image import LocalPeakWindowSum

    extractor = LocalPeakWindowSum(
        subarray, window_width=width, window_shift=shift, apply_integration_correction=False
    )
    for base, samples in (
        (None, waveform.astype(np.float32)),
        (pedestal, waveform.astype(np.float32) - pedestal[..., None]),
    ):
        events, image = by_ctapipe(extractor, samples)
        charge, time = local_peak_window_sum(
            waveform, SAMPLING_RATE, window_width=width, window_shift=shift, pedestal=base
        )
        np.testing.assert_array_equal(charge, image)
        np.testing.assert_array_equal(time.value, np.array([e.peak_time for e in events]))
        assert charge.dtype == time.dtype == np.float32


@pytest.mark.parametrize(("peak", "width", "shift"), [(18, 7, 2), (0, 7, 3), (39, 12, 0)])
def test_fixed_window_sum_is_that_of_ctapipe(subarray, waveform, pedestal, peak, width, shift):
    from ctapipe.image import FixedWindowSum

    extractor = FixedWindowSum(
        subarray,
        peak_index=peak,
        window_width=width,
        window_shift=shift,
        apply_integration_correction=False,
    )
    events, image = by_ctapipe(extractor, waveform.astype(np.float32) - pedestal[..., None])
    charge, time = fixed_window_sum(
        waveform,
        SAMPLING_RATE,
        peak_index=peak,
        window_width=width,
        window_shift=shift,
        pedestal=pedestal,
    )
    np.testing.assert_array_equal(charge, image)
    np.testing.assert_array_equal(time.value, np.array([e.peak_time for e in events]))


def test_variance_is_that_of_ctapipe(subarray, waveform):
    from ctapipe.image import VarianceExtractor

    _, image = by_ctapipe(VarianceExtractor(subarray), waveform.astype(np.float32))
    # ctapipe sums 40 squares in float32
    tolerance = N_SAMPLES * np.finfo(np.float32).eps
    np.testing.assert_allclose(waveform_variance(waveform), image, rtol=tolerance, atol=1e-6)


def test_hand_computed():
    samples = np.array([1, 2, 10, 4, 1], np.uint16).reshape(1, 1, 1, 5)
    charge, time = local_peak_window_sum(samples, 2 * u.GHz, window_width=3, window_shift=1)
    assert charge.item() == 2 + 10 + 4
    assert time.to_value(u.ns).item() == pytest.approx((2 * 1 + 10 * 2 + 4 * 3) / 16 / 2)
    charge, time = fixed_window_sum(
        samples, 2 * u.GHz, peak_index=1, window_width=2, pedestal=np.full((1, 1), 3.0)
    )
    assert charge.item() == (2 - 3) + (10 - 3)
    assert time.to_value(u.ns).item() == 1.0  # only sample 2 is positive
    assert waveform_variance(samples).item() == pytest.approx(122 / 5 - 3.6**2)


def test_time_of_a_pulse_on_a_pedestal_is_drawn_to_the_middle_of_the_window():
    samples = np.array([400, 400, 430, 440, 450, 400, 400], np.uint16).reshape(1, 1, 1, 7)
    _, on_pedestal = local_peak_window_sum(samples, 1 * u.GHz)
    _, subtracted = local_peak_window_sum(samples, 1 * u.GHz, pedestal=np.full((1, 1), 400.0))
    assert subtracted.item().value == pytest.approx((30 * 2 + 40 * 3 + 50 * 4) / 120)
    assert abs(on_pedestal.item().value - 3.5) < 0.1


def test_refusals(waveform):
    with pytest.raises(ConfigurationError, match=r"got \(2, 7, 40\)"):
        local_peak_window_sum(waveform[0], SAMPLING_RATE)
    with pytest.raises(ConfigurationError, match=r"got \(3,\)"):
        waveform_variance(np.zeros(3))
    with pytest.raises(ConfigurationError, match="got 0 samples"):
        local_peak_window_sum(waveform, SAMPLING_RATE, window_width=0)
    with pytest.raises(ConfigurationError, match="pedestal has the shape"):
        local_peak_window_sum(waveform, SAMPLING_RATE, pedestal=np.zeros((1, 7)))
    with pytest.raises(ConfigurationError, match="outside the 40 samples"):
        fixed_window_sum(waveform, SAMPLING_RATE, peak_index=41)
