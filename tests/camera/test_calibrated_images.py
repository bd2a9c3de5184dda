"""Images of fast light from DL0: charges of simulated pulses, windows, gains, masks, rows."""

import os

os.environ.setdefault("CTAPIPE_IO_ZFITS_NO_SERVICE_DATA", "1")

from dataclasses import replace
from datetime import date

import astropy.units as u
import numpy as np
import pytest
from astropy.table import Table
from astropy.time import Time
from ctapipe.containers import EventType, PixelStatus

from calibpipe.camera import calibrated_images as module
from calibpipe.camera.calibrated_images import (
    CalibrationReport,
    ImageSettings,
    calibrated_batches,
)
from calibpipe.core.exceptions import (
    ConfigurationError,
    CorruptedInputError,
    InsufficientStatisticsError,
)
from calibpipe.core.telescope import telescope_subarray
from calibpipe.simulation.camera import CameraSpread, camera_truth
from calibpipe.simulation.dl0 import Dl0Observation, Dl0Writer
from calibpipe.simulation.light import pulsed_light
from calibpipe.simulation.waveforms import pulse_templates, selected_gain, waveforms

MUON, FLATFIELD = EventType.MUON.value, EventType.FLATFIELD.value
N, N_PIXELS = 12, 1855
START = Time("2024-07-10T22:00:00", scale="tai")
T0 = START.unix_tai
NOISE = 5.0  # ADC per sample, high gain
SETTINGS = ImageSettings()
TIME = 18.0  # ns, of the light
PHASE = 0.01  # rms, relative: part of a pulse in 12 samples, which depends on the phase of sampling
HIGH_GAIN_NOISE = NOISE / 85 * np.sqrt(12)  # p.e.


@pytest.fixture
def rng():
    return np.random.default_rng(20240710)


@pytest.fixture(scope="module")
def pulses():
    """Pulse templates of an LST, its number of samples."""
    readout = telescope_subarray(1).tel[1].camera.readout
    shape = readout.reference_pulse_shape, readout.reference_pulse_sample_width
    return pulse_templates(*shape, readout.sampling_rate), readout.n_samples


def part_in_window(templates, channel, settings=SETTINGS):
    """Mean over the phases of the part of a pulse in the window about its highest sample."""
    parts = []
    for pulse in templates.value[channel]:
        first = int(pulse.argmax()) - settings.window_shift
        parts.append(pulse[max(first, 0) : first + settings.window_width].sum())
    return np.mean(parts)


class Night:
    """Events of known charge on disk, and the coefficients that the truth gives."""

    def __init__(self, folder, pulses, rng, spread=None, time=TIME, n_pe=None):
        self.templates, self.n_samples = pulses
        self.truth = camera_truth(N_PIXELS, rng, spread)
        if n_pe is None:  # a third of the pixels have light
            n_pe = rng.poisson(np.where(rng.random((N, N_PIXELS)) < 0.3, 30.0, 0.0))
        phase = rng.uniform(-0.5, 0.5, (len(n_pe), 1))  # of the sampling, event by event
        time = time + phase + self.truth.time_offset
        self.light = pulsed_light(n_pe, time, 0.0, self.truth, rng)
        self.waveform = waveforms(
            self.light, self.truth, self.templates, self.n_samples, rng, sky=False
        )
        self.folder = folder

    def write(self, *, gain=None, seconds=None, kind=MUON, n_pixels=N_PIXELS):
        """DL0 file of the events, one a second."""
        observation = Dl0Observation(
            folder=self.folder,
            tel_id=1,
            array_element="LSTN-01",
            subarray_id=1,
            sb_id=1,
            obs_id=1,
            evening=date(2024, 7, 10),
            start=START,
            n_pixels=n_pixels,
            n_samples=self.n_samples,
            sampling_rate=1.024 * u.GHz,
        )
        seconds = range(len(self.waveform)) if seconds is None else seconds
        with Dl0Writer(observation, len(self.waveform)) as writer:
            for i, second in enumerate(seconds):
                stamp = (int(T0) + second, 0)
                chosen = None if gain is None else gain[i]
                wave = self.waveform[i][:, :n_pixels]
                writer.write(i + 1, *stamp, kind, np.ascontiguousarray(wave), chosen)
        return observation.event_paths[0]

    def coefficients(self, n_rows=1, **changes):
        """Rows that begin at T0, T0 + 5 s, ..."""
        part = np.array([part_in_window(self.templates, k) for k in (0, 1)])[:, np.newaxis]
        gain = np.where(self.truth.gain > 0, self.truth.gain, 1.0)
        offset = np.broadcast_to(self.truth.time_offset, gain.shape)
        columns = {
            "factor": 1 / (gain * part),
            "pedestal_offset": self.truth.pedestal,
            "time_shift": offset,
            "outlier_mask": self.truth.gain == 0,
        } | changes
        table = {name: np.stack([np.array(values)] * n_rows) for name, values in columns.items()}
        times = int(T0) + 5.0 * np.arange(n_rows)
        table |= {"time": Time(times, format="unix_tai", scale="tai")}
        return Table(table | {"is_valid": np.ones(n_rows, bool)})


def joined(batches):
    """All events of some batches."""
    found = list(batches)
    names = ("event_id", "time", "image", "is_unusable", "is_saturated", "peak_time")
    return module.ImageBatch(*(np.concatenate([getattr(b, n) for b in found]) for n in names))


def images(path, coefficients, settings=None, kind=MUON, **more):
    return joined(calibrated_batches(path, coefficients, settings, event_types=[kind], **more))


def assert_charges(found, expected, noise=HIGH_GAIN_NOISE):
    """Found is the true charge: noise of 12 samples, and the phase of each of the events."""
    difference = found - expected
    dark = expected == 0
    assert abs(difference[dark].mean()) < 4 * noise / np.sqrt(np.count_nonzero(dark))
    phase = 4 * PHASE / np.sqrt(len(found)) * expected[~dark].mean()
    error = difference[~dark].std() / np.sqrt(np.count_nonzero(~dark))
    assert abs(difference[~dark].mean()) < 4 * error + phase
    scatter = np.hypot(1.25 * noise, 2 * PHASE * expected)  # shifts are rounded to samples
    assert np.sqrt(np.mean((difference / scatter) ** 2)) < 1
    assert np.abs(difference / scatter).max() < 6
    assert difference[dark].std() == pytest.approx(noise, rel=0.1)


@pytest.fixture
def night(tmp_path, pulses, rng):
    return Night(tmp_path, pulses, rng, CameraSpread(electronic_noise=(NOISE, 1.5)))


def test_bits_are_those_of_ctapipe():
    assert PixelStatus.HIGH_GAIN_STORED == module.HIGH_GAIN_STORED
    assert PixelStatus.LOW_GAIN_STORED == module.LOW_GAIN_STORED


def test_images_are_the_charges(night):
    """Of every pixel, lit or not; dark ones have no bias, whatever their own highest sample."""
    found = images(night.write(), night.coefficients())
    assert len(found) == N
    np.testing.assert_array_equal(found.event_id, np.arange(1, N + 1))
    np.testing.assert_allclose(found.time, int(T0) + np.arange(N))
    assert_charges(found.image, night.light.charge)
    assert not found.is_unusable.any()
    assert not found.is_saturated.any()
    assert found.image.dtype == np.float32
    # the sample that holds the maximum, of the sum of all phases: within one sample
    assert np.abs(found.peak_time - TIME).max() < 1.5


def test_images_of_gain_selected_events(night):
    """Low gain in a third of the pixels: the same charges, less precise."""
    gain = np.zeros((N, N_PIXELS), np.uint8)
    gain[:, ::3] = 1
    found = images(night.write(gain=gain), night.coefficients())
    high = np.arange(N_PIXELS) % 3 != 0
    assert_charges(found.image[:, high], night.light.charge[:, high])
    low = 1.5 / (85 / 17.4) * np.sqrt(12)
    assert_charges(found.image[:, ~high], night.light.charge[:, ~high], low)


@pytest.mark.parametrize("select", [False, True])
def test_bright_pixels_are_taken_from_low_gain(tmp_path, pulses, rng, select):
    """600 p.e. saturate high gain (4095 ADC); 20 000 saturate low gain, too."""
    n_pe = rng.poisson(np.where(rng.random((N, N_PIXELS)) < 0.3, 600.0, 5.0))
    n_pe[:, 7] = 20_000
    night = Night(tmp_path, pulses, rng, n_pe=n_pe)
    gain = selected_gain(night.waveform, 4000.0) if select else None
    found = images(night.write(gain=gain), night.coefficients())
    saturated = found.is_saturated
    assert saturated[:, 7].all()
    assert not np.delete(saturated, 7, axis=1).any()
    bright = (n_pe > 300) & ~saturated
    ratio = found.image[bright] / night.light.charge[bright]
    assert ratio.mean() == pytest.approx(1, abs=4 * PHASE / np.sqrt(N))
    assert ratio.std() < 2 * PHASE
    assert not found.is_unusable.any()


def test_single_gain_that_exceeds_the_limit_is_saturated(tmp_path, pulses, rng):
    """High gain is stored although it saturates."""
    n_pe = np.full((3, N_PIXELS), 5)
    n_pe[:, :10] = 800
    night = Night(tmp_path, pulses, rng, n_pe=n_pe)
    found = images(night.write(gain=np.zeros((3, N_PIXELS), np.uint8)), night.coefficients())
    assert found.is_saturated[:, :10].all()
    assert not found.is_saturated[:, 10:].any()


@pytest.mark.parametrize(("time", "first"), [(2.0, 0), (38.0, 28)])
def test_the_window_stays_inside(tmp_path, pulses, rng, time, first):
    """At the ends of the waveform: the first or the last twelve samples."""
    spread = CameraSpread(time_spread=0.0)
    n_pe = rng.poisson(20.0, (4, N_PIXELS))
    night = Night(tmp_path, pulses, rng, spread, time=time, n_pe=n_pe)
    table = night.coefficients()
    found = images(night.write(), table)
    wave = night.waveform[:, 0, :, first : first + 12].astype(float)
    expected = (wave - night.truth.pedestal[0, :, np.newaxis]).sum(axis=-1)
    np.testing.assert_allclose(found.image, table["factor"][0, 0] * expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(("width", "before"), [(12, 5), (7, 3), (40, 0)])
def test_windows_by_hand(night, width, before):
    """Without shifts: samples p - before ... p - before + width - 1 for all pixels."""
    zero = np.zeros((2, N_PIXELS))
    table = night.coefficients(time_shift=zero)
    found = images(night.write(), table, ImageSettings(width, before))
    wave = night.waveform[:, 0].astype(float) - night.truth.pedestal[0, :, np.newaxis]
    peak = np.argmax((wave * table["factor"][0, 0][:, np.newaxis]).sum(axis=1), axis=1)
    first = np.clip(peak - before, 0, 40 - width)
    for k in range(N):
        expected = wave[k, :, first[k] : first[k] + width].sum(axis=1) * table["factor"][0, 0]
        np.testing.assert_allclose(found.image[k], expected, rtol=1e-4, atol=2e-3)
    np.testing.assert_allclose(found.peak_time, (peak + 0.5) / 1.024, rtol=1e-6)


def test_late_pixels_have_a_late_window(tmp_path, pulses, rng):
    """Pixels that are 6 ns late, and 6 ns early: whole pulses if the shifts are known."""
    spread = CameraSpread(time_spread=0.0, electronic_noise=(NOISE, 1.5))
    n_pe = rng.poisson(np.full((4, N_PIXELS), 30.0))
    night = Night(tmp_path, pulses, rng, spread, n_pe=n_pe)
    offset = np.where(np.arange(N_PIXELS) % 2, 6.0, -6.0) * (np.arange(N_PIXELS) % 5 == 0)
    light = replace(night.light, time=night.light.time + offset)
    night.waveform = waveforms(light, night.truth, *pulses, rng, sky=False)
    path, shift = night.write(), np.stack([offset, offset])
    known = images(path, night.coefficients(time_shift=shift))
    ratio = known.image / light.charge
    moved = offset != 0
    assert ratio[:, moved].mean() == pytest.approx(ratio[:, ~moved].mean(), abs=0.01)
    lost = images(path, night.coefficients()).image / light.charge
    assert lost[:, moved].mean() < 0.9


def test_masked_pixels(night, rng):
    """Unusable, 0, and without influence on the others, whatever their coefficients are.

    The mask of any channel counts.
    """
    path, table = night.write(), night.coefficients()
    whole = images(path, table)
    bad = rng.random((1, 2, N_PIXELS)) < 0.05
    either = bad[0].any(axis=0)
    for value in (np.nan, 0.0, 1e6):
        changed = night.coefficients()
        changed["outlier_mask"] |= bad
        for name in ("factor", "pedestal_offset", "time_shift"):
            changed[name] = np.where(bad, value, changed[name])
        found = images(path, changed)
        assert (found.is_unusable == either).all()
        assert (found.image[:, either] == 0).all()
        np.testing.assert_array_equal(found.image[:, ~either], whole.image[:, ~either])
        np.testing.assert_array_equal(found.peak_time, whole.peak_time)


def test_factors_that_are_nan_without_a_mask(night):
    """Of other people's coefficients: unusable, and the window of the others stays."""
    path, table = night.write(), night.coefficients()
    whole = images(path, table)
    table["factor"][:, 0, :100] = np.nan
    table["pedestal_offset"][:, 0, 100:200] = np.nan
    found = images(path, table)
    assert found.is_unusable[:, :200].all()
    assert not found.is_unusable[:, 200:].any()
    assert (found.image[:, :200] == 0).all()
    np.testing.assert_array_equal(found.image[:, 200:], whole.image[:, 200:])


def test_pixels_that_are_not_stored(night, monkeypatch):
    """Their zeros, moved by their shifts, are no peak at the end of the waveform."""
    path, table = night.write(), night.coefficients(time_shift=np.full((2, N_PIXELS), 2.0))
    whole = images(path, table)
    gone = np.arange(N_PIXELS) % 4 != 0
    read = module.read_batches

    def reduced(*arguments, **more):
        for batch in read(*arguments, **more):
            waveform, status = batch.waveform.copy(), batch.pixel_status.copy()
            waveform[:, :, gone] = 0
            status[:, gone] &= 0b11111100
            yield replace(batch, waveform=waveform, pixel_status=status)

    monkeypatch.setattr(module, "read_batches", reduced)
    found = images(path, table)
    assert (found.is_unusable == gone).all()
    np.testing.assert_array_equal(found.image[:, ~gone], whole.image[:, ~gone])


def test_rows_of_coefficients(night):
    """Events 0 to 4 s have row 0, to 9 s row 1 (twice the factor), then row 2, not valid."""
    table = night.coefficients(3)
    table["factor"][1] *= 2
    table["is_valid"][2] = False
    report = CalibrationReport()
    path = night.write()
    whole = images(path, night.coefficients())
    found = images(path, table, report=report)
    np.testing.assert_array_equal(found.event_id, np.arange(1, 11))
    factor = np.where(np.arange(10) < 5, 1, 2)[:, np.newaxis]
    np.testing.assert_allclose(found.image, factor * whole.image[:10], rtol=1e-5)
    assert (report.n_before, report.n_invalid) == (0, 2)
    assert report.remarks() == [
        "2 events in rows of coefficients that are not valid (left out)",
    ]


def test_events_before_the_first_row(night):
    """One second of grace, as in ctapipe."""
    table = night.coefficients()
    table["time"] = Time([int(T0) + 3.0], format="unix_tai", scale="tai")
    report = CalibrationReport()
    found = images(night.write(), table, report=report)
    np.testing.assert_array_equal(found.event_id, np.arange(3, N + 1))
    assert report.n_before == 2
    assert "2 events before the first row of coefficients (left out)" in report.remarks()


def test_other_types_are_not_read(night):
    path = night.write(kind=FLATFIELD)
    assert len(images(path, night.coefficients(), kind=FLATFIELD)) == N
    with pytest.raises(InsufficientStatisticsError):
        images(path, night.coefficients())


def test_coefficients_of_another_camera(night):
    table = night.coefficients()
    for name in ("factor", "pedestal_offset", "time_shift", "outlier_mask"):
        table[name] = table[name][:, :, :1764]
    with pytest.raises(ConfigurationError, match=r"\(2, 1764\) channels and pixels, the camera"):
        images(night.write(), table)


def test_a_window_that_does_not_fit(night):
    with pytest.raises(ConfigurationError, match="41 samples does not fit into waveforms of 40"):
        images(night.write(), night.coefficients(), ImageSettings(41, 5))


def test_gain_that_nobody_tells(night, monkeypatch):
    path = night.write(gain=np.zeros((N, N_PIXELS), np.uint8))
    read = module.read_batches

    def without(*arguments, **more):
        for batch in read(*arguments, **more):
            yield replace(batch, pixel_status=batch.pixel_status & 0b11)

    monkeypatch.setattr(module, "read_batches", without)
    with pytest.raises(CorruptedInputError, match="do not say which gain is stored"):
        images(path, night.coefficients())
