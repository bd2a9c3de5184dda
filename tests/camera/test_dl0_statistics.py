"""From DL0 to chunks of statistics: equal to ctapipe's own tools, and to the simulated truth."""

import os

os.environ.setdefault("CTAPIPE_IO_ZFITS_NO_SERVICE_DATA", "1")

from datetime import date

import astropy.units as u
import numpy as np
import pytest
from astropy.table import Table
from astropy.time import Time
from ctapipe.containers import EventType, PixelStatus
from ctapipe.core import run_tool

from calibpipe.camera import dl0_statistics
from calibpipe.camera.dl0_statistics import StatisticsSettings, observation_statistics
from calibpipe.camera.pixel_statistics import clipped_variance_factor
from calibpipe.core.dl0 import read_batches
from calibpipe.core.exceptions import ConfigurationError, InsufficientStatisticsError
from calibpipe.core.monitoring_file import write_camera_coefficients
from calibpipe.core.products import ProductMetadata, read_table
from calibpipe.core.telescope import telescope_subarray
from calibpipe.simulation.camera import truth_from_table
from calibpipe.simulation.dl0 import Dl0Observation, Dl0Writer
from calibpipe.tools.produce_camcalib_test_data import ProduceCamcalibTestData

NIGHT = "2024-07-10"
CHUNK = 30
FLOAT32 = np.finfo(np.float32).eps


@pytest.fixture(scope="module")
def simulate(root, tmp_path_factory):
    """Simulated DL0 of LSTN-01: its files, and the truth."""

    def run(*options):
        folder = tmp_path_factory.mktemp("simulated")
        argv = [
            f"--site={root}/config/sites/CTAO-North.yaml",
            f"--night={NIGHT}",
            f"--output-folder={folder}",
            "--tel-id=1",
            *options,
        ]
        run_tool(ProduceCamcalibTestData(), argv=argv, cwd=folder, raises=True)
        (truth,) = folder.glob("truth/*/*/*.camera_truth.ecsv")
        files = sorted(folder.glob("DL0/LSTN-01/**/*.fits.fz"))
        return files, truth_from_table(read_table(truth, "simulation/camera_truth"))

    return run


@pytest.fixture(scope="module")
def some(simulate):
    """90 flat fields and 60 pedestals in two streams, with 20 showers among them."""
    return simulate(
        "--n-flatfield=90",
        "--n-pedestal=60",
        "--n-shower=20",
        "--ProduceCamcalibTestData.n_streams=2",
    )[0]


def test_event_types_and_bits_are_those_of_ctapipe():
    assert EventType.FLATFIELD.value == dl0_statistics.FLATFIELD
    for name, value in dl0_statistics.PEDESTALS.items():
        assert EventType[name].value == value
    assert PixelStatus.HIGH_GAIN_STORED == dl0_statistics.HIGH_GAIN_STORED
    assert PixelStatus.LOW_GAIN_STORED == dl0_statistics.LOW_GAIN_STORED


@pytest.fixture(scope="module")
def by_ctapipe(some, tmp_path_factory):
    """Table by ctapipe-process and ctapipe-calculate-pixel-statistics of a type of events.

    The baseline is subtracted by means of a file of coefficients that do nothing else.
    """
    from ctapipe.io import read_table as read_hdf5
    from ctapipe.tools.calculate_pixel_stats import PixelStatisticsCalculatorTool
    from ctapipe.tools.process import ProcessorTool

    folder = tmp_path_factory.mktemp("ctapipe")
    baseline = observation_statistics(some).baseline.mean
    rows = (1, *baseline.shape)
    start = next(read_batches(some)).time[:1]
    table = Table(
        {
            "time": Time(start, format="unix_tai", scale="tai"),
            "factor": np.ones(rows, np.float32),
            "pedestal_offset": baseline[np.newaxis],
            "time_shift": np.zeros(rows, np.float32),
            "outlier_mask": np.zeros(rows, bool),
            "is_valid": [True],
        }
    )
    metadata = ProductMetadata("camera/coefficients", "baseline", category="B")
    write_camera_coefficients(folder / "baseline.h5", telescope_subarray(1), {1: table}, metadata)

    def run(tool, *options):
        run_tool(tool(), argv=[*options, "--overwrite", "--quiet"], cwd=folder, raises=True)

    def statistics(event_type, extractor, column, *options):
        dl1 = folder / f"{event_type}_{extractor}.dl1.h5"
        if not dl1.exists():
            run(
                ProcessorTool,
                f"--input={some[0]}",
                f"--output={dl1}",
                "--monitoring-source=HDF5MonitoringSource",
                f"--HDF5MonitoringSource.input_files={folder / 'baseline.h5'}",
                f"--CameraCalibrator.image_extractor_type={extractor}",
                *(f"--{extractor}.{option}" for option in options),
                f"--EventTypeFilter.allowed_types={event_type}",
                "--write-images",
                "--no-write-parameters",
            )
        found = folder / f"{event_type}_{extractor}_{column}.h5"
        run(
            PixelStatisticsCalculatorTool,
            f"--input_url={dl1}",
            f"--output_path={found}",
            f"--PixelStatisticsCalculatorTool.input_column_name={column}",
            "--PixelStatisticsCalculator.stats_aggregator_type=SigmaClippingAggregator",
            f"--SizeChunking.chunk_size={CHUNK}",
        )
        group = "/dl1/monitoring/telescope/calibration/camera/pixel_statistics"
        return read_hdf5(found, f"{group}/{event_type.lower()}_{column}/tel_001")

    return statistics


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (
            "pedestal_charge",
            (
                *("SKY_PEDESTAL", "FixedWindowSum", "image", "peak_index=18", "window_shift=6"),
                *("window_width=12", "apply_integration_correction=False"),
            ),
        ),
        ("pedestal_variance", ("SKY_PEDESTAL", "VarianceExtractor", "image")),
        *(
            (
                name,
                (
                    *("FLATFIELD", "LocalPeakWindowSum", column, "window_shift=5"),
                    *("window_width=12", "apply_integration_correction=False"),
                ),
            )
            for name, column in (
                ("flatfield_charge", "image"),
                ("flatfield_peak_time", "peak_time"),
            )
        ),
    ],
)
def test_equal_to_the_tools_of_ctapipe(some, by_ctapipe, ours, theirs):
    """Chunk by chunk: same events, and the same numbers to float32 rounding."""
    settings = StatisticsSettings(
        flatfield_chunk_size=CHUNK, pedestal_chunk_size=CHUNK, max_sigma=4.0
    )
    chunks = getattr(observation_statistics(some, settings), ours)
    table = by_ctapipe(*theirs)
    assert len(chunks) == len(table) == (3 if "flatfield" in ours else 2)
    for chunk, row in zip(chunks, table, strict=True):
        assert chunk.time_start == pytest.approx(row["time_start"].unix_tai, abs=1e-6)
        assert chunk.time_end == pytest.approx(row["time_end"].unix_tai, abs=1e-6)
        assert chunk.event_id_start == row["event_id_start"]
        assert chunk.event_id_end == row["event_id_end"]
        assert (chunk.n_events != row["n_events"]).mean() < 1e-3  # a value on the limit
        same = chunk.n_events == row["n_events"]
        scale = np.abs(row["mean"]) + row["std"]
        clipping = clipped_variance_factor(4.0, 5) ** 0.5
        for name, factor in (("mean", 1.0), ("median", 1.0), ("std", clipping)):
            difference = np.abs(getattr(chunk, name) * factor - row[name])
            assert np.all((difference < 20 * FLOAT32 * scale)[same]), name


QUANTITIES = ("pedestal_charge", "pedestal_variance", "flatfield_charge", "flatfield_peak_time")


@pytest.fixture
def rewritten(some, tmp_path):
    """The same events written again in another order, or gain selected: path of the file."""
    (batch,) = [b for b in read_batches(some, batch_size=200) if b.waveform.shape[1] == 2]

    def write(rows, selected_gain=None, event_type=None):
        observation = Dl0Observation(
            folder=tmp_path,
            tel_id=1,
            array_element="LSTN-01",
            subarray_id=1,
            sb_id=1,
            obs_id=1,
            evening=date(2024, 7, 10),
            start=Time(batch.time[0], format="unix_tai", scale="tai"),
            n_pixels=batch.waveform.shape[2],
            n_samples=batch.waveform.shape[3],
            sampling_rate=1.024 * u.GHz,
        )
        types = batch.event_type if event_type is None else event_type
        with Dl0Writer(observation, len(rows)) as writer:
            for i, row in enumerate(rows):
                writer.write(
                    i + 1,
                    int(batch.time_s[0]) + i,
                    0,
                    int(types[row]),
                    batch.waveform[row],
                    selected_gain,
                )
        return observation.event_paths[0]

    return batch, write


def test_gain_selected_events_fill_the_channel_they_have(rewritten):
    batch, write = rewritten
    selected = (np.arange(batch.waveform.shape[2]) % 3 == 0).astype(int)
    rows = np.arange(len(batch))
    dual = observation_statistics(write(rows))
    single = observation_statistics(write(rows, selected))
    there = np.stack([selected == 0, selected == 1])
    for name in QUANTITIES:
        ((whole,), (half,)) = getattr(dual, name), getattr(single, name)
        np.testing.assert_array_equal(half.n_events[there], whole.n_events[there])
        np.testing.assert_array_equal(half.mean[there], whole.mean[there])
        assert (half.n_events[~there] == 0).all()
        assert np.isnan(half.mean[~there]).all()


@pytest.mark.parametrize("max_held", [10, 1000])
def test_baseline_of_pedestals_that_come_last(rewritten, monkeypatch, max_held):
    """It is the same whether the pedestals are waited for or looked for further on."""
    monkeypatch.setattr(dl0_statistics, "MAX_HELD", max_held)
    batch, write = rewritten
    is_pedestal = batch.event_type == EventType.SKY_PEDESTAL.value
    rows = np.argsort(is_pedestal, kind="stable")
    found = observation_statistics(write(rows), StatisticsSettings(n_baseline_events=50))
    expected = batch.waveform[is_pedestal][:50].mean(axis=(0, 3), dtype=float)
    np.testing.assert_allclose(found.baseline.mean, expected, rtol=FLOAT32)
    assert found.baseline.n_events == 50
    assert found.flatfield_charge[0].n_events.max() == np.count_nonzero(~is_pedestal)


def test_without_baseline_charges_keep_the_pedestal(some):
    """Charges differ by the window times the baseline, to the float32 rounding of 5000 ADC."""
    plain = observation_statistics(some, StatisticsSettings(n_baseline_events=0))
    found = observation_statistics(some)
    assert plain.baseline is None
    ((with_it,), (without,)) = found.pedestal_charge, plain.pedestal_charge
    difference = without.mean - with_it.mean
    np.testing.assert_allclose(difference, 12 * found.baseline.mean, rtol=1e-6)


def test_chunks_by_time(some):
    """100 events a second: chunks of half a second, of at most 25 events."""
    settings = StatisticsSettings(chunk_duration=0.5, flatfield_chunk_size=25)
    found = observation_statistics(some, settings)
    starts = np.array([c.time_start for c in found.pedestal_charge])
    assert np.all(np.diff(starts) > 0.4)
    assert max(c.n_events.max() for c in found.flatfield_charge) == 25
    events = sum(c.n_events.max() for c in found.flatfield_charge)
    assert events == pytest.approx(90, abs=1)  # one may be clipped in every pixel


@pytest.mark.parametrize("kind", ["FLATFIELD", "SKY_PEDESTAL"])
def test_one_kind_alone_is_not_enough(rewritten, kind):
    batch, write = rewritten
    other = "SKY_PEDESTAL" if kind == "FLATFIELD" else "FLATFIELD"
    path = write(range(30), event_type=np.full(len(batch), EventType[other].value))
    with pytest.raises(InsufficientStatisticsError, match=f"no {kind} among 30 events"):
        observation_statistics(path)


def test_unknown_type_of_pedestals(some):
    with pytest.raises(ConfigurationError, match="PEDESTAL, DARK_PEDESTAL, SKY_PEDESTAL"):
        observation_statistics(some, StatisticsSettings(pedestal_type="FLATFIELD"))


def test_window_outside_the_waveform(some):
    with pytest.raises(ConfigurationError, match="outside the 40 samples"):
        observation_statistics(some, StatisticsSettings(pedestal_window_start=40))
