"""What ctapipe 0.32 does with our coefficients: the contract, and its silent traps.

The first part processes DL0 files with ctapipe's own tool. Each test of the second part states
what ctapipe does today and, in a comment, what we do about it: if one fails after an update of
ctapipe, look whether our precaution is still right.
"""

import os
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import tables
from astropy.table import Table
from astropy.time import Time, TimeDelta

from calibpipe.camera.coefficients import (
    CoefficientSettings,
    camera_coefficients,
    coefficients_table,
)
from calibpipe.core.monitoring_file import write_camera_coefficients
from calibpipe.core.products import ProductMetadata

T0 = Time("2026-01-15T22:00:00", scale="tai")
METADATA = ProductMetadata("camera/coefficients", "test of the contract", category="B")
N_EVENTS, STEP = 20, 0.5  # events at T0 + k * STEP s, even: flat field, odd: shower
SECOND_ROW = 5.0  # s after T0
BRIGHT = 100  # pixel in low gain in the shower events
PULSE = np.array([5, 20, 80, 200, 120, 60, 30, 10, 4, 1])
FIRST_SAMPLE = 14
PEDESTAL = np.array([400, 300])  # ADC per sample of the two channels
LOW_GAIN = 0.1


def seconds(value):
    return TimeDelta(value, format="sec")


@pytest.fixture(scope="module")
def subarray():
    """LST-1 with the real camera, as the reader of DL0 has it."""
    os.environ.setdefault("CTAPIPE_IO_ZFITS_NO_SERVICE_DATA", "1")
    from ctapipe_io_zfits.instrument import build_subarray_description

    return build_subarray_description(1)


def waveform(n_pixels):
    """(2, n_pixels, 40) ADC: the same pulse in every pixel on the pedestals of the channels."""
    out = np.zeros((2, n_pixels, 40))
    out[:, :, FIRST_SAMPLE : FIRST_SAMPLE + len(PULSE)] = PULSE
    out[1] = np.round(out[1] * LOW_GAIN)
    return (out + PEDESTAL[:, None, None]).astype(np.uint16)


def charge(channel):
    """ADC of the pulse without pedestal."""
    return PULSE.sum() if channel == 0 else np.round(PULSE * LOW_GAIN).sum()


@pytest.fixture(scope="module")
def dl0_file(subarray, tmp_path_factory):
    """DL0 of dual-gain flat fields and gain-selected showers in turn."""
    from ctapipe.containers import EventType, PixelStatus
    from ctapipe.time import time_to_ctao_high_res
    from protozfits import FlatProtobufZOFits
    from protozfits.anyarray import numpy_to_any_array
    from protozfits.DL0v1_Telescope_pb2 import CameraConfiguration, DataStream, Event

    n_pixels = subarray.tel[1].camera.geometry.n_pixels
    path = tmp_path_factory.mktemp("dl0") / (
        "TEL001_SDH000_20260115T220000_SBID0000000002000000001_OBSID0000000002000000001"
        "_SUBARRAY_CHUNK000.fits.fz"
    )
    dual = waveform(n_pixels)
    both = PixelStatus.DVR_0 | PixelStatus.HIGH_GAIN_STORED | PixelStatus.LOW_GAIN_STORED
    selected = dual[:1].copy()
    selected[0, BRIGHT] = dual[1, BRIGHT]
    status = np.full(n_pixels, PixelStatus.DVR_0 | PixelStatus.HIGH_GAIN_STORED, np.uint8)
    status[BRIGHT] = PixelStatus.DVR_0 | PixelStatus.LOW_GAIN_STORED
    kinds = (
        (EventType.FLATFIELD, dual, np.full(n_pixels, both, np.uint8)),
        (EventType.SUBARRAY, selected, status),
    )
    with FlatProtobufZOFits(n_tiles=5, rows_per_tile=20, compression_block_size_kb=65536) as f:
        f.open(str(path))
        f.move_to_new_table("DataStream")
        f.write_message(
            DataStream(tel_id=1, sb_id=1, obs_id=1, waveform_scale=1.0, waveform_offset=0.0)
        )
        f.move_to_new_table("CameraConfiguration")
        f.write_message(
            CameraConfiguration(
                tel_id=1,
                local_run_id=1,
                config_time_s=T0.unix_tai,
                camera_config_id=1,
                num_pixels=n_pixels,
                num_modules=265,
                num_channels=2,
                pixel_id_map=numpy_to_any_array(np.arange(n_pixels, dtype=np.uint16)),
                module_id_map=numpy_to_any_array(np.arange(265, dtype=np.uint16)),
                num_samples_nominal=40,
                num_samples_long=0,
                sampling_frequency=1024,
            )
        )
        f.move_to_new_table("Events")
        for k in range(N_EVENTS):
            event_type, stored, pixel_status = kinds[k % 2]
            s, qns = time_to_ctao_high_res(T0 + seconds(k * STEP)).ravel()
            f.write_message(
                Event(
                    event_id=k + 1,
                    tel_id=1,
                    event_type=event_type.value,
                    event_time_s=int(s),
                    event_time_qns=int(qns),
                    pixel_status=numpy_to_any_array(pixel_status),
                    waveform=numpy_to_any_array(stored),
                    num_channels=len(stored),
                    num_samples=40,
                    num_pixels_survived=n_pixels,
                )
            )
    return path


def coefficients(n_pixels, starts=(0.0,), factors=(1.0,), shifts=(0.0,)):
    """Rows at T0 + starts, factor times (1, 1/LOW_GAIN) for the two channels."""
    shape = (len(starts), 2, n_pixels)

    def rows(values):
        return np.broadcast_to(np.reshape(values, (-1, 1, 1)), shape).astype(np.float32)

    return Table(
        {
            "time": T0 + seconds(np.array(starts)),
            "factor": rows(factors) * np.array([[1.0], [1.0 / LOW_GAIN]], np.float32),
            "pedestal_offset": rows(0.0) + PEDESTAL[:, None].astype(np.float32),
            "time_shift": rows(shifts),
            "outlier_mask": np.zeros(shape, bool),
            "is_valid": np.ones(shape[0], bool),
        }
    )


@pytest.fixture(scope="module")
def n_pixels(subarray):
    return subarray.tel[1].camera.geometry.n_pixels


@pytest.fixture
def write(tmp_path, subarray):
    """Write a coefficients file with our writer."""

    def writer(table, name="coefficients.h5"):
        return write_camera_coefficients(tmp_path / name, subarray, {1: table}, METADATA)

    return writer


@pytest.fixture
def process(tmp_path, dl0_file, write):
    """Images of the events of one type, by ctapipe-process with coefficients."""

    def processor(table, event_type):
        from ctapipe.core import Provenance, run_tool
        from ctapipe.io import read_table
        from ctapipe.tools.process import ProcessorTool

        Provenance().clear()
        output = tmp_path / f"{event_type}.dl1.h5"
        arguments = [
            f"--input={dl0_file}",
            f"--output={output}",
            "--quiet",
            "--write-images",
            "--no-write-parameters",
            f"--EventTypeFilter.allowed_types={event_type}",
            "--CameraCalibrator.image_extractor_type=LocalPeakWindowSum",
            "--LocalPeakWindowSum.apply_integration_correction=False",
            "--LocalPeakWindowSum.window_width=12",
            "--LocalPeakWindowSum.window_shift=5",
            "--monitoring-source=HDF5MonitoringSource",
            f"--HDF5MonitoringSource.input_files={write(table)}",
        ]
        assert run_tool(ProcessorTool(), arguments, cwd=tmp_path, raises=True) == 0
        return read_table(output, "/dl1/event/telescope/images/tel_001")

    return processor


# ------------------------------------------------------------------------------- the contract


def test_dual_gain_events_are_calibrated_by_the_row_of_their_time(process, n_pixels):
    table = coefficients(
        n_pixels, starts=(0.0, SECOND_ROW), factors=(0.5, 3.0), shifts=(0.0, -1.25)
    )
    images = process(table, "FLATFIELD")
    time = np.arange(0, N_EVENTS, 2) * STEP
    assert len(images) == len(time)
    assert images["image"].shape == (len(time), 2, n_pixels)
    factor = np.where(time < SECOND_ROW, 0.5, 3.0)  # a row holds from its time on
    assert SECOND_ROW in time
    for channel, scale in ((0, 1.0), (1, 1.0 / LOW_GAIN)):
        expected = charge(channel) * scale * factor
        np.testing.assert_allclose(
            images["image"][:, channel], expected[:, None] + np.zeros(n_pixels), rtol=1e-5
        )
    # the shift is subtracted: a pixel that is early (-1.25 ns) is moved later
    before, after = (
        images["peak_time"][rows].data for rows in (time < SECOND_ROW, time >= SECOND_ROW)
    )
    np.testing.assert_allclose(after - before[0], 1.25, atol=1e-5)


def test_gain_selected_events_take_the_coefficients_of_their_channel(process, n_pixels):
    table = coefficients(n_pixels, starts=(-1.0,))
    table["time_shift"][0, 1, BRIGHT] = 2.0
    images = process(table, "SUBARRAY")
    assert images["image"].shape == (N_EVENTS // 2, n_pixels)
    others = np.arange(n_pixels) != BRIGHT
    np.testing.assert_allclose(images["image"][:, others], charge(0), rtol=1e-5)
    np.testing.assert_allclose(images["image"][:, BRIGHT], charge(1) / LOW_GAIN, rtol=1e-5)
    early = images["peak_time"][:, BRIGHT] - images["peak_time"][:, BRIGHT + 1]
    # rounding of the small pulse to whole counts moves the centroid by less than 0.2 ns
    np.testing.assert_allclose(early, -2.0, atol=0.2)


def test_masked_pixel_gets_the_mean_of_its_neighbours(process, n_pixels):
    table = coefficients(n_pixels)
    table["outlier_mask"][0, :, BRIGHT] = True
    table["factor"][0, :, BRIGHT] = 0.0
    image = process(table, "SUBARRAY")["image"]
    np.testing.assert_allclose(image, charge(0), rtol=1e-5)


def test_our_coefficients_calibrate_events_of_a_drifting_pedestal(process, n_pixels):
    """Chunks of statistics -> coefficients -> file -> ctapipe-process: p.e. at any time."""
    gain = np.array([[6.0], [6.0 * LOW_GAIN]])  # the pulse is 530 ADC, 88.3 p.e.
    ones, n_events = np.ones((2, n_pixels)), np.full((2, n_pixels), 10_000)

    def chunk(start, mean, std):
        begin = T0.unix_tai + start
        return SimpleNamespace(
            time_start=begin,
            time_end=begin + SECOND_ROW - 0.01,
            n_events=n_events,
            mean=mean * ones,
            std=std * ones,
            common_variance=np.full(2, np.nan),
        )

    n_pe = PULSE.sum() / gain[0, 0]
    width, starts = 12, (0.0, SECOND_ROW)
    offsets = (PEDESTAL[:, None], PEDESTAL[:, None] + np.array([[5.0], [0.5]]))
    late = np.linspace(-1, 1, n_pixels)
    found = camera_coefficients(
        [chunk(t, width * p, 1.0) for t, p in zip(starts, offsets, strict=True)],
        [
            chunk(t, width * p + gain * n_pe, np.sqrt(1.0 + 1.222 * gain**2 * n_pe))
            for t, p in zip(starts, offsets, strict=True)
        ],
        [chunk(t, 18.0 + late, 0.5) for t in starts],
        CoefficientSettings(window_width=width),
    )
    images = process(coefficients_table(found), "SUBARRAY")
    image, time = images["image"][:, :BRIGHT], np.arange(1, N_EVENTS, 2) * STEP
    # tolerances: N/(N-1) of the variance is 1e-4. The pedestal of the waveforms does not drift:
    # the second row takes 5 ADC a sample too much
    np.testing.assert_allclose(image[time < SECOND_ROW], n_pe, rtol=2e-4)
    too_much = width * 5.0 / gain[0, 0]
    np.testing.assert_allclose(image[time >= SECOND_ROW], n_pe - too_much, rtol=3e-4)
    peak_time = images["peak_time"][0]
    np.testing.assert_allclose(
        peak_time[:BRIGHT] + late[:BRIGHT], peak_time[0] + late[0], atol=1e-4
    )


# ------------------------------------------------------------------- traps of CameraCalibrator


@pytest.fixture
def event(dl0_file):
    """Second event of the file: a shower, gain selected."""
    from ctapipe.io import EventSource

    with EventSource(dl0_file, max_events=2) as source:
        return list(source)[1]


@pytest.fixture
def calibrate(subarray):
    """Image of an event with coefficients."""

    def calibrator(event, **changes):
        from ctapipe.calib import CameraCalibrator
        from ctapipe.containers import CameraCalibrationContainer

        if changes:
            pixels = event.dl0.tel[1].waveform.shape[1]
            plain = coefficients(pixels)[0]
            names = ("factor", "pedestal_offset", "time_shift", "outlier_mask")
            given = {name: plain[name].copy() for name in names} | changes
            container = CameraCalibrationContainer(**given)
            event.monitoring.tel[1].camera.coefficients = container
        CameraCalibrator(subarray, image_extractor_type="FullWaveformSum")(event)
        return event.dl1.tel[1].image

    return calibrator


def test_a4_is_valid_is_ignored(event, calibrate, n_pixels):
    # we repeat the last valid coefficients in an invalid row
    image = calibrate(event, is_valid=False, factor=np.full((2, n_pixels), 7.0))
    np.testing.assert_allclose(np.delete(image, BRIGHT), 7.0 * charge(0), rtol=1e-4)


def test_a5_a_factor_that_is_no_number_reaches_the_image(event, calibrate, n_pixels):
    # we write factor 0 for masked pixels; write_camera_coefficients refuses NaN
    factor = np.ones((2, n_pixels))
    factor[0, 3] = np.nan
    image = calibrate(event, factor=factor)
    assert np.flatnonzero(np.isnan(image)).tolist() == [3]


def test_a11_without_coefficients_low_gain_pixels_are_taken_for_broken(event, calibrate):
    # our files always bring a mask, which replaces the one of the source
    waveforms = event.dl0.tel[1].waveform
    image = calibrate(event)
    assert image[BRIGHT] == pytest.approx(waveforms[0, BRIGHT + 1].sum())
    assert image[BRIGHT] != pytest.approx(waveforms[0, BRIGHT].sum())


@pytest.mark.parametrize(("channel", "replaced"), [(0, True), (1, False)])
def test_a12_only_the_mask_of_the_high_gain_counts(event, calibrate, n_pixels, channel, replaced):
    # BRIGHT is in low gain; we set both channels to their OR, and the writer insists on it
    mask = np.zeros((2, n_pixels), bool)
    mask[channel, BRIGHT] = True
    own = event.dl0.tel[1].waveform[0, BRIGHT].sum() - 40 * PEDESTAL[1]
    image = calibrate(event, outlier_mask=mask, factor=np.ones((2, n_pixels)))
    assert image[BRIGHT] == pytest.approx(charge(0) if replaced else own, rel=1e-4)


def test_a8_one_channel_is_not_enough(event, calibrate, n_pixels):
    # we always write both channels: fill_missing_channel
    with pytest.raises(IndexError):
        calibrate(event, factor=np.ones((1, n_pixels)))


# --------------------------------------------------------------- traps of HDF5MonitoringSource


def factor_at(path, subarray, seconds_after, scale="tai"):
    """Factor that an event gets; path may be several files."""
    from ctapipe.io import HDF5MonitoringSource

    files = path if isinstance(path, list) else [path]
    source = HDF5MonitoringSource(subarray=subarray, input_files=files)
    time = getattr(T0 + seconds(seconds_after), scale)
    return float(source.get_camera_monitoring_container(1, time).coefficients.factor[0, 0])


@pytest.fixture
def three_rows(n_pixels):
    return coefficients(n_pixels, (0.0, 10.0, 20.0), (1.0, 2.0, 3.0), (0.0, 0.0, 0.0))


def test_b1_last_row_before_the_event_and_no_expiry(write, three_rows, subarray):
    # we end a gap's coverage with an invalid row of its own and keep time_end beside it
    path = write(three_rows)
    found = [factor_at(path, subarray, t) for t in (0.0, 9.999, 10.0, 25.0, 3e7)]
    assert found == [1.0, 1.0, 2.0, 3.0, 3.0]


def test_b2_events_before_the_first_row_are_refused_after_a_second(write, three_rows, subarray):
    # rows begin with the first calibration event; invalid chunks at the start are left out
    path = write(three_rows)
    assert factor_at(path, subarray, -0.5) == 1.0
    with pytest.raises(ValueError, match="Out of bounds"):
        factor_at(path, subarray, -1.5)


def test_b3_unsorted_rows_give_the_wrong_row(tmp_path, write, three_rows, subarray):
    # write_camera_coefficients refuses unsorted rows
    from ctapipe.io import write_table
    from ctapipe.io.hdf5dataformat import DL1_CAMERA_COEFFICIENTS_GROUP

    path = write(three_rows)
    node = f"{DL1_CAMERA_COEFFICIENTS_GROUP}/tel_001"
    write_table(three_rows[[2, 0, 1]], path, node, overwrite=True)
    assert [factor_at(path, subarray, t) for t in (15.0, 25.0)] != [2.0, 3.0]


def test_b4_event_times_in_utc_are_looked_up_37_seconds_early(write, three_rows, subarray):
    # DL0 times are TAI; our rows are written in TAI whatever scale they came in
    path = write(three_rows)
    assert factor_at(path, subarray, 50.0) == 3.0
    assert factor_at(path, subarray, 50.0, scale="utc") == 2.0


def test_b5_a_second_file_replaces_the_first(write, n_pixels, subarray):
    # one file holds all rows of a period; never give ctapipe two
    first = write(coefficients(n_pixels, factors=(1.0,)), "first.h5")
    second = write(coefficients(n_pixels, factors=(9.0,)), "second.h5")
    with pytest.warns(UserWarning, match="already present"):
        assert factor_at([first, second], subarray, 5.0) == 9.0


def test_b6_every_telescope_needs_its_table(write, three_rows, subarray):
    # write_camera_coefficients asks for all telescopes of the subarray
    from ctapipe.io import HDF5MonitoringSource
    from ctapipe.io.hdf5dataformat import DL1_CAMERA_COEFFICIENTS_GROUP

    path = write(three_rows)
    with tables.open_file(path, "a") as h5file:
        h5file.rename_node(f"{DL1_CAMERA_COEFFICIENTS_GROUP}/tel_001", "tel_002")
    with pytest.raises(tables.NoSuchNodeError):
        HDF5MonitoringSource(subarray=subarray, input_files=[path])


def test_b8_of_category_sim_only_the_first_row_is_used(write, three_rows, subarray, event):
    # write_camera_coefficients refuses the category, also for simulated data
    from ctapipe.io import HDF5MonitoringSource
    from ctapipe.io.metadata import write_to_hdf5

    path = write(three_rows)
    event.trigger.time = T0 + seconds(15.0)

    def factor():
        source = HDF5MonitoringSource(subarray=subarray, input_files=[path])
        source.fill_monitoring_container(event)
        return event.monitoring.tel[1].camera.coefficients.factor[0, 0]

    assert factor() == 2.0
    with tables.open_file(path, "a") as h5file:
        write_to_hdf5({"CTA PRODUCT DATA CATEGORY": "Sim"}, h5file)
    assert factor() == 1.0


def test_b12_a_second_source_wipes_the_coefficients(write, three_rows, subarray, event):
    # nothing but coefficients is in our file, and it is the only monitoring source we document
    from ctapipe.io import HDF5MonitoringSource, write_table
    from ctapipe.io.hdf5dataformat import DL1_CAMERA_COEFFICIENTS_GROUP, DL1_FLATFIELD_IMAGE_GROUP

    path = write(three_rows)
    other = shutil.copy(path, path.with_name("statistics.h5"))
    shape = (1, 2, 3)
    statistics = Table({name: np.ones(shape) for name in ("mean", "median", "std")})
    statistics["outlier_mask"] = np.zeros(shape, bool)
    statistics["time_start"], statistics["time_end"] = T0[None], (T0 + seconds(60.0))[None]
    with tables.open_file(other, "a") as h5file:
        h5file.remove_node(DL1_CAMERA_COEFFICIENTS_GROUP, recursive=True)
        write_table(statistics, h5file, f"{DL1_FLATFIELD_IMAGE_GROUP}/tel_001")
    for file in (path, other):
        source = HDF5MonitoringSource(subarray=subarray, input_files=[file])
        source.fill_monitoring_container(event)
    assert event.monitoring.tel[1].camera.coefficients.factor is None


def test_b15_all_six_columns_are_needed(write, three_rows, subarray):
    # write_camera_coefficients asks for them
    from ctapipe.io import write_table
    from ctapipe.io.hdf5dataformat import DL1_CAMERA_COEFFICIENTS_GROUP

    path = write(three_rows)
    three_rows.remove_column("time_shift")
    node = f"{DL1_CAMERA_COEFFICIENTS_GROUP}/tel_001"
    write_table(three_rows, path, node, overwrite=True)
    with pytest.raises(KeyError, match="time_shift"):
        factor_at(path, subarray, 5.0)


@pytest.fixture
def merge(tmp_path):
    """Coefficients of a file merged by ctapipe-merge."""

    def merger(files):
        from ctapipe.core import Provenance, run_tool
        from ctapipe.io import read_table
        from ctapipe.io.hdf5dataformat import DL1_CAMERA_COEFFICIENTS_GROUP
        from ctapipe.tools.merge import MergeTool

        Provenance().clear()
        output = tmp_path / "merged.h5"
        arguments = [*map(str, files), f"--output={output}", "--merge-strategy=monitoring-only"]
        run_tool(MergeTool(), arguments, cwd=tmp_path, raises=True)
        return read_table(output, f"{DL1_CAMERA_COEFFICIENTS_GROUP}/tel_001")

    return merger


@pytest.fixture
def slices(write, n_pixels):
    """Files of two periods of one observation."""
    return [
        write(coefficients(n_pixels, starts=(start,), factors=(factor,)), f"{factor}.h5")
        for start, factor in ((0.0, 1.0), (600.0, 2.0))
    ]


def with_observation_block(path, **header):
    """Make a file look like one of ctapipe-process."""
    from ctapipe.io import write_table
    from ctapipe.io.metadata import write_to_hdf5

    with tables.open_file(path, "a") as h5file:
        block = Table({"obs_id": np.array([1], np.uint64)})
        write_table(block, h5file, "/configuration/observation/observation_block")
        write_to_hdf5(header, h5file)


def test_m1_merging_loses_the_second_time_slice(merge, slices):
    # we never merge, all rows of a period are written at once; and see the next test
    for path in slices:
        with_observation_block(path, **{"CTA PRODUCT DATA MODEL VERSION": "v7.6.0"})
    assert merge(slices)["factor"][:, 0, 0].tolist() == [1.0]


def test_m1_files_with_our_data_model_are_refused(merge, slices):
    from ctapipe.io.hdf5merger import CannotMerge

    for path in slices:
        with_observation_block(path)
    with pytest.raises(CannotMerge, match="incompatible data model version"):
        merge(slices)
