"""Variances of sky pedestals: those of numpy on the same events; saturated and absent pixels."""

import os

os.environ.setdefault("CTAPIPE_IO_ZFITS_NO_SERVICE_DATA", "1")

import numpy as np
import pytest
from ctapipe.core import run_tool

from calibpipe.camera.dl0_variance import VarianceSettings, pedestal_variances
from calibpipe.core.dl0 import StreamReport, read_batches
from calibpipe.core.exceptions import ConfigurationError, InsufficientStatisticsError
from calibpipe.tools.produce_camcalib_test_data import ProduceCamcalibTestData

SKY_PEDESTAL = 5


@pytest.fixture(scope="module")
def files(root, tmp_path_factory):
    """70 pedestals among 20 flat fields, with stars."""
    folder = tmp_path_factory.mktemp("simulated")
    argv = [
        f"--site={root}/config/sites/CTAO-North.yaml",
        "--night=2024-07-10",
        f"--output-folder={folder}",
        "--tel-id=1",
        *("--n-flatfield=20", "--n-pedestal=70", "--n-shower=0", "--seed=3"),
        "--ProduceCamcalibTestData.stars=True",
    ]
    run_tool(ProduceCamcalibTestData(), argv=argv, cwd=folder, raises=True)
    return sorted(folder.glob("DL0/LSTN-01/**/*.fits.fz"))


@pytest.fixture(scope="module")
def waveforms(files):
    batches = read_batches(files, event_types={SKY_PEDESTAL})
    return np.concatenate([batch.waveform for batch in batches])


def test_variances_are_those_of_the_charges(files, waveforms):
    """Three chunks, the rest in the last; high and low gain."""
    report = StreamReport()
    settings = VarianceSettings(chunk_size=20, max_sigma=0)
    found = pedestal_variances(files, settings, report=report)
    assert [int(chunk.n_events[1].max()) for chunk in found] == [20, 20, 30]
    assert report.n_selected == 70
    charge = waveforms[..., 12:20].sum(axis=-1, dtype=float)
    for chunk, events in zip(found, np.split(charge, [20, 40]), strict=True):
        good = chunk.n_events > 0
        assert chunk.std[good] == pytest.approx(events.std(axis=0)[good], rel=1e-5)
    assert np.all(np.diff([chunk.time_start for chunk in found]) > 0)


def test_pixels_at_the_end_of_the_scale_have_no_variance(files, waveforms):
    """In more than a hundredth of the events, channel by channel."""
    settings = VarianceSettings(chunk_size=70, lowest=370.0, highest=900.0)
    found = pedestal_variances(files, settings)[0]
    inside = waveforms[..., 12:20]
    at_end = (inside.min(axis=-1) <= 370) | (inside.max(axis=-1) >= 900)
    touched = at_end.mean(axis=0) > 0.01
    assert 0 < touched[0].sum() < touched[0].size
    assert np.array_equal(np.isnan(found.std), touched)
    assert np.all(found.n_events[touched] == 0)


def test_what_cannot_be(files):
    with pytest.raises(ConfigurationError, match="pedestal_type is 'SKY'"):
        pedestal_variances(files, VarianceSettings(pedestal_type="SKY"))
    with pytest.raises(ConfigurationError, match="is outside the"):
        pedestal_variances(files, VarianceSettings(window_start=500))
    with pytest.raises(InsufficientStatisticsError, match=r"no .* event among"):
        pedestal_variances(files, VarianceSettings(pedestal_type="DARK_PEDESTAL"))
