"""Spectra of runs: sums of windows in the right bins, ranges, faults of pixels and of requests."""

import numpy as np
import protozfits
import pytest
from photoelectron_runs import N_PIXELS, small_camera, write_run

from calibpipe.camera.charge_histograms import HistogramSettings, charge_run
from calibpipe.core.exceptions import ConfigurationError, InsufficientStatisticsError

SETTINGS = HistogramSettings(window_start=14, window_width=16, n_range_events=100)
N_EVENTS = 600


def faults(waveform):
    waveform[:, :, 1] = 400  # the same in all events
    waveform[::2, 0, 2, 20] = 4095
    waveform[150:, 0, 3, 16:24] += 3000  # after the range is known


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return write_run(folder, small_camera(), n_events=N_EVENTS, change=faults)


@pytest.fixture(scope="module")
def run(path):
    return charge_run([path], SETTINGS)


def test_counts_are_those_of_the_sums(path, run):
    with protozfits.File(str(path), pure_protobuf=True) as file:
        waves = [
            np.frombuffer(e.waveform.data, np.uint16).reshape(2, N_PIXELS, 40) for e in file.Events
        ]
    for start, found in ((14, run.charge), (0, run.pedestal)):
        charge = np.array(waves)[..., start : start + 16].sum(axis=-1)
        for channel, pixel in ((0, 0), (1, 5), (0, 3)):
            edges = found.low_edge[channel, pixel] + found.bin_width[channel, pixel] * np.arange(
                601
            )
            counts = np.histogram(charge[:, channel, pixel], edges)[0]
            np.testing.assert_array_equal(found.counts[channel, pixel], counts)
            above = np.sum(charge[:, channel, pixel] > edges[-1])
            assert found.above[channel, pixel] == above


def test_every_event_is_counted(run):
    assert run.report.n_selected == N_EVENTS
    for found in (run.charge, run.pedestal):
        assert np.all(found.n_events == N_EVENTS)
    outside = (run.charge.below + run.charge.above).ravel()
    assert np.flatnonzero(outside).tolist() == [3]
    assert outside[3] == N_EVENTS - 150


def test_bins_are_whole_numbers_between_charges(run):
    assert np.all(run.charge.low_edge % 1 == 0.5)
    assert np.all(run.charge.bin_width % 1 == 0)
    assert np.all(run.charge.bin_width >= 1)
    np.testing.assert_array_equal(run.pedestal.low_edge, run.charge.low_edge)


def test_saturated_and_constant_pixels(run):
    assert run.charge.saturated[0, 2] == N_EVENTS / 2
    assert run.charge.saturated.sum() == N_EVENTS / 2 + run.charge.saturated[0, 3]
    assert run.charge.counts[0, 1].max() == N_EVENTS


def test_given_edges(path, run):
    again = charge_run([path], SETTINGS, edges=run.charge)
    np.testing.assert_array_equal(again.charge.counts, run.charge.counts)


def test_a_range_from_all_events_of_a_short_run(path):
    settings = HistogramSettings(window_start=14, window_width=16, n_range_events=10_000)
    found = charge_run([path], settings)
    assert not (found.charge.below + found.charge.above).any()


def test_edges_of_another_camera(path, run):
    flat = run.charge.flat()
    with pytest.raises(ConfigurationError, match="give runs of one telescope"):
        charge_run([path], SETTINGS, edges=flat)


def test_unknown_type(path):
    with pytest.raises(ConfigurationError, match="event_type is 'MOON'"):
        charge_run([path], HistogramSettings(event_type="MOON"))


def test_run_of_another_type(path):
    settings = HistogramSettings(event_type="DARK_PEDESTAL")
    with pytest.raises(
        InsufficientStatisticsError,
        match=r"no DARK_PEDESTAL event among .* but SINGLE_PE: a run of another",
    ):
        charge_run([path], settings)


@pytest.mark.parametrize(
    ("start", "message"), [(30, "is longer than the 40 samples"), (50, "is outside the 40 samples")]
)
def test_window_outside(path, start, message):
    settings = HistogramSettings(window_start=start, window_width=16)
    with pytest.raises(ConfigurationError, match=message):
        charge_run([path], settings)
