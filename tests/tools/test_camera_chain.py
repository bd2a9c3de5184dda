"""From simulated DL0 to coefficients that ctapipe-process applies: accuracy of the chain."""

import os

os.environ.setdefault("CTAPIPE_IO_ZFITS_NO_SERVICE_DATA", "1")

from types import SimpleNamespace

import numpy as np
import pytest
from ctapipe.core import run_tool

from calibpipe.core.monitoring_file import read_camera_coefficients
from calibpipe.core.products import read_table
from calibpipe.core.telescope import telescope_subarray
from calibpipe.simulation.camera import truth_from_table
from calibpipe.simulation.waveforms import pulse_templates
from calibpipe.tools.calculate_camcalib_coefficients import CalculateCamcalibCoefficients
from calibpipe.tools.calculate_pixel_statistics import CalculatePixelStatistics
from calibpipe.tools.index_dl0 import IndexDl0
from calibpipe.tools.produce_camcalib_test_data import ProduceCamcalibTestData

NIGHT = "2024-07-10"
N_EVENTS, N_SHOWERS = 1500, 300  # of each kind
N_PE = 80.0
WINDOW, SHIFT = 12, 5
SOME = "--max-events=200"  # of both kinds, where images are compared pixel by pixel
FAULTS = {"dead": 0.005, "hot": 0.005, "noisy": 0.005, "flickering": 0.005}


@pytest.fixture(scope="module")
def chain(root, tmp_path_factory):
    """Folder, truth, coefficients and showers of one telescope."""
    folder = tmp_path_factory.mktemp("chain")
    (folder / "simulation.yaml").write_text(
        f"ProduceCamcalibTestData: {{spread: {FAULTS}, compression: raw, n_streams: 2, "
        "gain_selection_threshold: 1500.0}"
    )

    def run(tool, *options):
        night = [f"--site={root}/config/sites/CTAO-North.yaml", f"--night={NIGHT}"]
        run_tool(tool(), argv=[*night, *options], cwd=folder, raises=True)

    def config(name):
        return f"--config={root}/config/tools/{name}.yaml"

    run(
        ProduceCamcalibTestData,
        "--config=simulation.yaml",
        "--tel-id=1",
        f"--n-flatfield={N_EVENTS}",
        f"--n-pedestal={N_EVENTS}",
        f"--n-shower={N_SHOWERS}",
        "--output-folder=simulated",
        "--seed=3",
    )
    run(
        IndexDl0,
        "--dl0-root=simulated",
        "--category=B",
        "--telescopes=LSTN-01",
        "--output=index.ecsv",
    )
    run(
        CalculatePixelStatistics,
        config("calculate_pixel_statistics"),
        f"--CalculatePixelStatistics.flatfield_chunk_size={N_EVENTS}",
        f"--CalculatePixelStatistics.pedestal_chunk_size={N_EVENTS}",
        "--index=index.ecsv",
        "--dl0-root=simulated",
        "--telescope=LSTN-01",
        "--obs-id=1",
        "--category=B",
        "--output=statistics.h5",
    )
    run(
        CalculateCamcalibCoefficients,
        config("calculate_camcalib_coefficients"),
        "--input=statistics.h5",
        "--category=B",
        "--output=coefficients.h5",
    )
    truths = {
        kind: read_table(
            next(folder.glob(f"simulated/truth/*/*/*.{kind}_truth.ecsv")),
            f"simulation/{kind}_truth",
        )
        for kind in ("camera", "shower")
    }
    truth = truth_from_table(truths["camera"])
    coefficients = read_camera_coefficients(folder / "coefficients.h5", 1)
    return SimpleNamespace(
        folder=folder,
        dl0=next(folder.glob("simulated/DL0/LSTN-01/**/*_SDH000_*.fits.fz")),
        truth=truth,
        showers=truths["shower"],
        coefficients=coefficients,
        row=coefficients[-1],
        good=(truth.status == 0) & ~coefficients["outlier_mask"][-1, 0],
    )


@pytest.fixture(scope="module")
def fraction():
    """Part of the charge of a pulse in the window, mean over the phases of its arrival."""
    readout = telescope_subarray(1).tel[1].camera.readout
    templates = pulse_templates(
        readout.reference_pulse_shape, readout.reference_pulse_sample_width, readout.sampling_rate
    )

    def in_window(template):
        first = template.argmax() - SHIFT
        return template[max(first, 0) : first + WINDOW].sum(dtype=float)

    return np.array([[np.mean([in_window(t) for t in channel])] for channel in templates.value])


def test_all_rows_are_valid(chain):
    assert chain.coefficients["is_valid"].all()
    details = chain.coefficients.meta["calibpipe"]
    assert (details["array_element"], details["obs_id"]) == ("LSTN-01", 1)


def test_faulty_pixels_are_found_and_good_ones_kept(chain):
    masked = chain.row["outlier_mask"][0]
    faulty = chain.truth.status != 0
    assert masked[faulty].mean() >= 0.99
    assert masked[~faulty].mean() <= 0.001


@pytest.mark.parametrize("channel", [0, 1])
def test_gain(chain, fraction, channel):
    """Bias below 0.3 %, errors that are the scatter.

    The gain is that of the charge in the window. In it a pulse moves: 0.2 % at 80 p.e., in the
    systematic error.
    """
    expected = (chain.truth.gain * fraction)[channel, chain.good]
    gain = chain.row["gain"][channel, chain.good].astype(float)
    ratio = gain / expected
    assert abs(ratio.mean() - 1) < 0.003 + ratio.std() / np.sqrt(ratio.size)
    pulls = (gain - expected * ratio.mean()) / chain.row["gain_stat_error"][channel, chain.good]
    assert pulls.std() == pytest.approx(1, abs=0.05)
    systematic = chain.row["gain_sys_error"][channel, chain.good] / gain
    assert np.all(systematic > abs(ratio.mean() - 1))


@pytest.mark.parametrize("channel", [0, 1])
def test_pedestal(chain, channel):
    difference = (chain.row["pedestal_offset"] - chain.truth.pedestal)[channel, chain.good]
    pulls = difference / chain.row["pedestal_offset_stat_error"][channel, chain.good]
    assert pulls.mean() == pytest.approx(0, abs=3 / np.sqrt(pulls.size))
    assert pulls.std() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("channel", [0, 1])
def test_time_offsets(chain, channel):
    offset = chain.truth.time_offset[chain.good]
    difference = chain.row["time_shift"][channel, chain.good] - (offset - np.median(offset))
    assert np.abs(difference).max() < 0.05
    assert difference.std() < 0.01
    pulls = difference / chain.row["time_shift_stat_error"][channel, chain.good]
    assert 0.75 < pulls.std() < 1.05  # an upper bound: some jitter of the source is left in it


def test_photoelectrons(chain):
    """80 p.e. times the efficiency of the pixel, within the systematic error of F²."""
    expected = N_PE * chain.truth.relative_efficiency[chain.good]
    for channel in (0, 1):
        n_pe = chain.row["n_pe"][channel, chain.good].astype(float)
        assert np.mean(n_pe / expected) == pytest.approx(1, abs=0.004)


def processed(chain, event_type, coefficients="coefficients.h5", *options):
    """Images of all events of a type, by ctapipe-process."""
    from ctapipe.io import read_table as read_hdf5
    from ctapipe.tools.process import ProcessorTool

    output = chain.folder / f"{event_type}.dl1.h5"
    argv = [
        f"--input={chain.dl0}",
        f"--output={output}",
        "--monitoring-source=HDF5MonitoringSource",
        f"--HDF5MonitoringSource.input_files={chain.folder / coefficients}",
        "--CameraCalibrator.image_extractor_type=LocalPeakWindowSum",
        f"--LocalPeakWindowSum.window_width={WINDOW}",
        f"--LocalPeakWindowSum.window_shift={SHIFT}",
        "--LocalPeakWindowSum.apply_integration_correction=False",
        f"--EventTypeFilter.allowed_types={event_type}",
        "--write-images",
        "--no-write-parameters",
        "--quiet",
        "--overwrite",
        f"--provenance-log={output.with_suffix('.provenance.log')}",
        *options,
    ]
    run_tool(ProcessorTool(), argv=argv, cwd=chain.folder, raises=True)
    return read_hdf5(output, "/dl1/event/telescope/images/tel_001")


@pytest.fixture(scope="module")
def flat_fields(chain):
    """Processed with the coefficients as they are."""
    return processed(chain, "FLATFIELD")


def test_flat_fields_come_out_in_photoelectrons_and_aligned(chain, flat_fields):
    """The same number of true p.e. in every good pixel of both channels, at the same time."""
    images = flat_fields
    charge = images["image"][:, :, chain.good].mean(axis=0)
    expected = N_PE * np.median(chain.truth.relative_efficiency[chain.good])
    # the median over pixels of n_pe, of which each is known to sqrt(2/N)
    error = np.sqrt(np.pi / 2 * 2 / N_EVENTS / np.count_nonzero(chain.good))
    np.testing.assert_allclose(charge.mean(axis=1), expected, rtol=0.003 + 3 * error)
    # the calibration is made of these events: pixels agree but for the clipped ones
    assert np.all(charge.std(axis=1) / charge.mean(axis=1) < 2e-3)
    time = images["peak_time"][:, :, chain.good].mean(axis=0)
    assert np.all(np.ptp(time, axis=1) < 0.05)


def test_showers_come_out_in_photoelectrons_and_aligned(chain):
    """Gain-selected images against true p.e. and times, independent of the calibration events."""
    images = processed(chain, "SUBARRAY")
    order = np.argsort(images["event_id"])
    np.testing.assert_array_equal(images["event_id"][order], chain.showers["event_id"])
    true = chain.showers["n_pe"][:, chain.good].astype(float)
    efficiency = chain.truth.relative_efficiency[chain.good]
    image = images["image"][order][:, chain.good] * efficiency / np.median(efficiency)
    is_low_gain = chain.showers["selected_gain_channel"][:, chain.good] == 1
    offset = chain.truth.time_offset[chain.good] - np.median(chain.truth.time_offset[chain.good])
    aligned = chain.showers["time"].to_value("ns")[:, chain.good] - offset
    times = images["peak_time"][order][:, chain.good]
    # far from the 60 p.e. or so where the gain is selected, which goes by the measured pulse
    for low_gain, bright in enumerate([(true > 15) & (true < 35), true > 90]):
        assert bright.sum() > 50
        assert np.mean(is_low_gain[bright]) == low_gain
        # of a pixel: excess noise, night sky in the window, electronics
        spread = np.sqrt(0.222 * true[bright] + 1.222 * 0.25 * WINDOW + 20)
        error = np.sqrt(np.sum(spread**2)) / true[bright].sum()
        assert error < 0.02
        ratio = image[bright].sum() / true[bright].sum()
        assert ratio == pytest.approx(1, abs=0.004 + 3 * error)
        # a constant is free: times are those of the centroid, true ones those of the maximum
        late = times[bright] - aligned[bright]
        assert late.std() < (0.1 if low_gain else 0.3)


def test_processed_file_is_traced_to_what_is_certified(chain, flat_fields, tmp_path, north):
    """Certified, exported, applied by ctapipe-process: its file leads back to the product."""
    from calibpipe.archive.candidate import Candidate
    from calibpipe.archive.certify import certify
    from calibpipe.archive.history import calibrations_of
    from calibpipe.archive.lookup import lookup
    from calibpipe.archive.monitoring import export_monitoring
    from calibpipe.archive.observatory import upload_site
    from calibpipe.archive.repository import init_archive
    from calibpipe.core.product_header import read_product_header

    archive = init_archive(tmp_path / "archive")
    upload_site(archive, north, {f"LSTN-0{n}": n for n in range(1, 5)})
    header = read_product_header(chain.folder / "coefficients.h5")
    certify(archive, [Candidate(header, verdict="PASS")], author="me", reason="a test")
    keys = {"telescope": "LSTN-01", "category": header.category}
    found = lookup(archive, header.kind, "CTAO-North", header.validity[0], **keys)
    export_monitoring(archive, found, chain.folder / "monitoring.h5")
    images = processed(chain, "FLATFIELD", "monitoring.h5", SOME)
    assert len(images) > 50
    np.testing.assert_array_equal(images["image"], flat_fields["image"][: len(images)])
    made = chain.folder / "FLATFIELD.dl1.h5"
    used = calibrations_of(archive, made, made.with_suffix(".provenance.log"))
    assert [entry["id"] for entry in used] == [str(header.product_id)]
    statistics = calibrations_of(archive, chain.folder / "coefficients.h5")
    assert statistics == []  # pixel statistics are an input, but not in this archive


def test_excluded_pixels_reach_ctapipe(chain, flat_fields, tmp_path, north):
    """It takes the mean of the neighbours; the processed file leads back to both products."""
    from astropy.table import Table

    from calibpipe.archive.candidate import Candidate
    from calibpipe.archive.certify import certify
    from calibpipe.archive.history import calibrations_of
    from calibpipe.archive.lookup import lookup
    from calibpipe.archive.monitoring import excluded_pixels_at, export_monitoring
    from calibpipe.archive.observatory import upload_site
    from calibpipe.archive.repository import init_archive
    from calibpipe.core.night import night_span
    from calibpipe.core.product_header import read_product_header
    from calibpipe.core.products import ProductMetadata
    from calibpipe.core.telescope_file import write_telescope_tables
    from calibpipe.tools.select_excluded_pixels import KIND, PIXELS_GROUP

    coefficients = read_product_header(chain.folder / "coefficients.h5")
    masked = read_camera_coefficients(chain.folder / "coefficients.h5", 1)["outlier_mask"]
    neighbours = telescope_subarray(1).tel[1].camera.geometry.neighbor_matrix
    good = ~np.asarray(masked).any(axis=(0, 1))
    inside = good & (neighbours.sum(axis=1) == 6) & ~(neighbours & ~good).any(axis=1)
    pixel = int(np.flatnonzero(inside)[100])
    details = {"tel_id": 1, "array_element": "LSTN-01"}
    keys = {"site": "CTAO-North", "night": NIGHT, "category": coefficients.category}
    metadata = ProductMetadata(
        KIND, "x", **keys, validity=night_span(NIGHT, north), details=details
    )
    table = {PIXELS_GROUP: Table({"is_excluded": np.arange(good.size) == pixel})}
    write_telescope_tables(tmp_path / "list.h5", telescope_subarray(1), 1, table, metadata)
    archive = init_archive(tmp_path / "archive")
    upload_site(archive, north, {f"LSTN-0{n}": n for n in range(1, 5)})
    both = [coefficients, read_product_header(tmp_path / "list.h5")]
    for header in both:
        certify(archive, [Candidate(header, verdict="PASS")], author="me", reason="a test")
    time, who = coefficients.validity[0], {"telescope": "LSTN-01"}
    found = lookup(archive, coefficients.kind, "CTAO-North", time, **who)
    excluded = excluded_pixels_at(archive, "CTAO-North", time, **who)
    export_monitoring(archive, found, chain.folder / "merged.h5", excluded)
    image = np.asarray(processed(chain, "FLATFIELD", "merged.h5", SOME)["image"], float)
    assert len(image) > 50
    direct = np.asarray(flat_fields["image"][: len(image)], float)
    np.testing.assert_array_equal(np.delete(image, pixel, -1), np.delete(direct, pixel, -1))
    mean = direct[..., neighbours[pixel]].mean(axis=-1)
    np.testing.assert_allclose(image[..., pixel], mean, rtol=1e-4)
    made = chain.folder / "FLATFIELD.dl1.h5"
    used = calibrations_of(archive, made, made.with_suffix(".provenance.log"))
    assert [entry["id"] for entry in used] == [str(header.product_id) for header in both]
