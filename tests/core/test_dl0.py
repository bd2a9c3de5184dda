"""DL0 files are read as ctapipe-io-zfits reads them, or refused with file and event."""

import multiprocessing
import os
import tracemalloc
from datetime import date
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.time import Time

from calibpipe.core.dl0 import StreamReport, read_batches
from calibpipe.core.dl0_camera import camera_configuration
from calibpipe.core.dl0_checks import FITS_BLOCK, check_file
from calibpipe.core.dl0_events import adc_waveform
from calibpipe.core.exceptions import (
    ConfigurationError,
    CorruptedInputError,
    InsufficientStatisticsError,
    MissingInputError,
)
from calibpipe.simulation.dl0 import Dl0Observation, Dl0Writer

os.environ.setdefault("CTAPIPE_IO_ZFITS_NO_SERVICE_DATA", "1")

N_PIXELS = 19
START = 1_768_514_400
FLAT_FIELD, PEDESTAL, SHOWER = 0, 2, 32
BOTH_GAINS, HIGH_GAIN, LOW_GAIN = 0b1100, 0b0100, 0b1000
STORED = 0b01


def name(stream=0, chunk=0, tel_id=1):
    return (
        f"TEL{tel_id:03d}_SDH{stream:03d}_20260115T220000_SBID0000000002000000001"
        f"_OBSID0000000002000000001_SUBARRAY_CHUNK{chunk:03d}.fits.fz"
    )


def event(number, n_channels=2, n_pixels=N_PIXELS, n_samples=8, **changes):
    """Event at `number` ms whose samples tell event, channel, pixel and sample."""
    index = np.arange(n_channels * n_pixels * n_samples).reshape(n_channels, n_pixels, n_samples)
    status = np.full(n_pixels, STORED | (BOTH_GAINS if n_channels == 2 else HIGH_GAIN), np.uint8)
    return {
        "event_id": number,
        "tel_id": 1,
        "event_type": FLAT_FIELD if n_channels == 2 else SHOWER,
        "event_time_s": START + number // 1000,
        "event_time_qns": number % 1000 * 4_000_000,
        "pixel_status": status,
        "waveform": (index + 1000 * number).astype(np.uint16),
        "num_channels": n_channels,
        "num_samples": n_samples,
        "num_pixels_survived": n_pixels,
    } | changes


def write(path: Path, events, camera=(), stream=(), pixel_id_map=None, close=True):
    """DL0 file with events; `camera` and `stream` change one configuration each."""
    from protozfits import FlatProtobufZOFits
    from protozfits.anyarray import numpy_to_any_array
    from protozfits.DL0v1_Telescope_pb2 import CameraConfiguration, DataStream, Event

    n_pixels = len(events[0]["pixel_status"]) if events else N_PIXELS
    pixels = np.arange(n_pixels, dtype=np.uint16) if pixel_id_map is None else pixel_id_map
    sb = {"tel_id": 1, "sb_id": 2000000001, "obs_id": 2000000001, "sb_creator_id": 2}
    scaling = {"waveform_scale": 1.0, "waveform_offset": 0.0}
    cam = {
        "tel_id": 1,
        "camera_config_id": 7,
        "num_pixels": n_pixels,
        "num_channels": 2,
        "num_samples_nominal": 8,
        "sampling_frequency": 1024,
        "pixel_id_map": pixels,
        "num_modules": 1,
        "module_id_map": np.zeros(1, np.uint16),
    }

    def message(kind, content):
        arrays = {
            k: numpy_to_any_array(v) if isinstance(v, np.ndarray) else v for k, v in content.items()
        }
        return kind(**arrays)

    file = FlatProtobufZOFits(n_tiles=200, rows_per_tile=10, compression_block_size_kb=4096)
    file.open(str(path))
    file.move_to_new_table("DataStream")
    file.write_message(message(DataStream, sb | scaling | dict(stream)))
    file.move_to_new_table("CameraConfiguration")
    cameras = camera if isinstance(camera, list) else [camera]
    for changes in cameras:
        file.write_message(message(CameraConfiguration, cam | dict(changes)))
    file.move_to_new_table("Events")
    for content in events:
        file.write_message(message(Event, content))
    if close:
        file.close()
    return file if not close else path


def read(paths, **options):
    return list(read_batches(paths, **options))


def ids(batches):
    return [int(i) for batch in batches for i in batch.event_id]


def test_two_streams_of_two_chunks_come_in_the_order_of_time(tmp_path):
    files = [
        write(tmp_path / name(1, 0), [event(i) for i in (1, 3, 4)]),
        write(tmp_path / name(1, 1), [event(i) for i in (7, 8)]),
        write(tmp_path / name(2, 0), [event(i) for i in (2, 5, 6)]),
    ]
    report = StreamReport()
    batches = read(files[::-1], batch_size=3, report=report)
    assert ids(batches) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [len(b) for b in batches] == [3, 3, 2]
    assert report == StreamReport(n_events=8, n_selected=8)
    assert report.remarks() == []


def test_content_of_an_event(tmp_path):
    sent = event(1234, event_type=PEDESTAL)
    (batch,) = read(write(tmp_path / name(), [sent]))
    assert batch.waveform.dtype == np.uint16
    np.testing.assert_array_equal(batch.waveform[0], sent["waveform"])
    np.testing.assert_array_equal(batch.pixel_status[0], sent["pixel_status"])
    assert batch.event_type.tolist() == [PEDESTAL]
    assert (batch.time_s[0], batch.time_qns[0]) == (START + 1, 234 * 4_000_000)
    assert batch.time[0] == pytest.approx(START + 1.234, abs=3e-7)  # float64 at 1.8e9 s


def test_first_capacitors_come_in_the_order_of_time_if_asked_for(tmp_path):
    from protozfits.anyarray import numpy_to_any_array

    def cells(number):
        return numpy_to_any_array(np.array([number, 4095], np.uint16))

    first = write(tmp_path / name(0), [event(n, first_cell_id=cells(n)) for n in (1, 3)])
    second = write(tmp_path / name(1), [event(2, first_cell_id=cells(2))])
    (batch,) = read_batches([first, second], with_first_cells=True)
    assert batch.first_cell.tolist() == [[1, 4095], [2, 4095], [3, 4095]]
    (batch,) = read_batches([first, second])
    assert batch.first_cell is None
    without = write(tmp_path / name(tel_id=2), [event(1, tel_id=2)], camera={"tel_id": 2})
    (batch,) = read_batches(without, with_first_cells=True)
    assert batch.first_cell.shape == (1, 0)
    changed = [event(1, first_cell_id=cells(1)), event(2)]
    mixed = write(tmp_path / name(chunk=5), changed)
    with pytest.raises(CorruptedInputError, match="first_cell_id of event 2 has 0 values, needed"):
        list(read_batches(mixed, with_first_cells=True))


def test_one_batch_has_one_shape_and_wanted_types(tmp_path):
    kinds = [event(i, n_channels=1 if i % 3 else 2) for i in range(1, 10)]
    path = write(tmp_path / name(), kinds)
    batches = read(path, batch_size=4)
    assert {b.waveform.shape[1:] for b in batches} == {(1, N_PIXELS, 8), (2, N_PIXELS, 8)}
    assert ids(b for b in batches if b.waveform.shape[1] == 2) == [3, 6, 9]
    assert ids(b for b in batches if b.waveform.shape[1] == 1) == [1, 2, 4, 5, 7, 8]
    report = StreamReport()
    assert ids(read(path, event_types={FLAT_FIELD}, report=report)) == [3, 6, 9]
    assert (report.n_events, report.n_selected) == (9, 3)


def test_pixels_that_are_not_stored_are_zero_and_marked(tmp_path):
    order = np.random.default_rng(1).permutation(N_PIXELS).astype(np.uint16)
    status = np.full(N_PIXELS, HIGH_GAIN, np.uint8)
    status[[2, 5, 11]] |= STORED
    samples = np.arange(100, 124, dtype=np.uint16)
    sent = event(1, n_channels=1, pixel_status=status, waveform=samples, num_pixels_survived=3)
    path = write(tmp_path / name(), [sent], stream={"waveform_offset": 50.0}, pixel_id_map=order)
    (batch,) = read(path)
    stored = np.sort(order[[2, 5, 11]])
    np.testing.assert_array_equal(np.flatnonzero(batch.is_stored[0]), stored)
    waveform = adc_waveform(batch, camera_configuration(path))[0, 0]
    np.testing.assert_array_equal(waveform[order[5]], samples[8:16] - 50.0)
    assert not waveform[~batch.is_stored[0]].any()


def test_without_volume_reduction_unset_bits_mean_stored(tmp_path):
    sent = event(1, pixel_status=np.full(N_PIXELS, BOTH_GAINS, np.uint8))
    (batch,) = read(write(tmp_path / name(), [sent]))
    assert batch.is_stored.all()


def test_equal_to_ctapipe_io_zfits(tmp_path):
    from ctapipe.io import EventSource

    rng = np.random.default_rng(5)
    n_pixels = 1855
    order = rng.permutation(n_pixels).astype(np.uint16)
    status = np.full(n_pixels, HIGH_GAIN, np.uint8)
    status[::3] = LOW_GAIN
    reduced = status.copy()
    reduced[100:400] |= STORED
    events = []
    for i in range(1, 13):
        n_channels = 2 if i % 2 else 1
        sent = event(i, n_channels, n_pixels, event_time_qns=int(rng.integers(4e9)))
        sent["event_time_s"] = START + i
        shape = sent["waveform"].shape
        if n_channels == 1:
            sent["pixel_status"] = reduced if i % 4 else status
            n_stored = 300 if i % 4 else n_pixels
            sent["num_pixels_survived"] = n_stored
            shape = (1, n_stored, 8)
        sent["waveform"] = rng.integers(0, 60000, shape).astype(np.uint16)
        events.append(sent)
    path = tmp_path / name()
    write(path, events, {}, {"waveform_scale": 16.0, "waveform_offset": 400.0}, order)
    camera = camera_configuration(path)
    mine = {}
    for batch in read(path, batch_size=5):
        waveform = adc_waveform(batch, camera)
        for i, number in enumerate(batch.event_id):
            mine[int(number)] = (batch, i, waveform[i])
    n = 0
    with EventSource(path) as source:
        for array_event in source:
            batch, i, waveform = mine[array_event.index.event_id]
            theirs = array_event.dl0.tel[1]
            np.testing.assert_array_equal(waveform, theirs.waveform)
            np.testing.assert_array_equal(batch.pixel_status[i], theirs.pixel_status)
            assert batch.event_type[i] == theirs.event_type.value
            time = theirs.event_time
            assert abs(batch.time[i] - time.unix_tai) < 3e-7  # float64 at 1.8e9 s
            exact = (time - type(time)(batch.time_s[i], format="unix_tai")).to_value("s")
            assert exact == pytest.approx(batch.time_qns[i] * 0.25e-9, abs=1e-10)
            n += 1
    assert n == len(mine) == 12


def test_configuration(tmp_path):
    path = write(tmp_path / name(), [event(1)], stream={"waveform_scale": 16.0})
    camera = camera_configuration(path)
    assert (camera.tel_id, camera.obs_id, camera.sb_id) == (1, 2000000001, 2000000001)
    assert (camera.num_pixels, camera.num_channels, camera.num_samples) == (N_PIXELS, 2, 8)
    assert (camera.sampling_frequency, camera.waveform_scale) == (1024, 16.0)
    np.testing.assert_array_equal(camera.pixel_id_map, np.arange(N_PIXELS))


def test_disorder_duplicates_and_absent_numbers_are_counted(tmp_path):
    path = write(tmp_path / name(), [event(i) for i in (1, 2, 4, 3, 4, 9)])
    report = StreamReport()
    assert ids(read(path, report=report)) == [1, 2, 3, 4, 9]
    assert (report.n_out_of_order, report.n_duplicated) == (1, 1)
    assert report.n_missing_event_ids == 4
    assert report.remarks() == [
        f"1 events earlier than one before them in their stream, first event 3 in {path.name}",
        f"1 events stored twice (read once), first event 4 in {path.name}",
    ]


def test_memory_is_of_some_batches(tmp_path):
    """1500 events of 74 kB read with batches of 50 (3.7 MB) stay far below their 111 MB."""
    template = event(1, 1, 1855, 20)
    events = (template | {"event_id": i, "event_time_qns": i} for i in range(1, 1500))
    path = write(tmp_path / name(), [template | {"event_id": 0, "event_time_qns": 0}, *events])
    tracemalloc.start()  # the high-water mark of the process would remember other tests
    n = sum(len(batch) for batch in read_batches(path, batch_size=50))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n == 1500
    assert 50 * 1855 * 20 * 2 < peak < 1500 * 1855 * 20 * 2 / 3


def test_truncated(tmp_path):
    path = write(tmp_path / name(), [event(i) for i in range(1, 40)])
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(CorruptedInputError, match=f"{name()} is truncated: .* bytes of the"):
        read(path)


def test_header_cut(tmp_path):
    path = write(tmp_path / name(), [event(1)])
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(CorruptedInputError, match=r"no header at byte 2880 of 5000|no complete"):
        read(path)


def test_not_fits(tmp_path):
    path = tmp_path / name()
    path.write_bytes(b"hello")
    with pytest.raises(CorruptedInputError, match="is no complete FITS file: no header at byte 0"):
        read(path)


def test_empty_file(tmp_path):
    path = tmp_path / name()
    path.touch()
    with pytest.raises(
        CorruptedInputError, match="something else, not DL0: it has the tables none"
    ):
        read(path)


@pytest.mark.parametrize("compression", ["raw", "fact"])
def test_flipped_bytes_are_an_error_and_never_other_numbers(tmp_path, compression):
    """Bytes anywhere in headers and tables; each reading is a process, as protozfits may crash."""
    rng = np.random.default_rng(12)
    observation = Dl0Observation(
        folder=tmp_path,
        tel_id=1,
        array_element="LSTN-01",
        subarray_id=1,
        sb_id=1,
        obs_id=1,
        evening=date(2024, 7, 10),
        start=Time("2024-07-10T22:00:00", scale="tai"),
        n_pixels=N_PIXELS,
        n_samples=8,
        sampling_rate=1 * u.GHz,
    )
    with Dl0Writer(observation, 40, compression) as writer:
        for i in range(40):
            samples = rng.poisson(400, observation.waveform_shape).astype(np.uint16)
            writer.write(i + 1, START + i, 0, FLAT_FIELD, samples)
    (path,) = observation.event_paths
    written = path.read_bytes()
    expected = b"".join(batch.waveform.tobytes() for batch in read(path))

    def outcome():
        try:
            found = b"".join(batch.waveform.tobytes() for batch in read_batches(path))
        except CorruptedInputError as error:
            os._exit(error.exit_code if path.name in str(error) else 1)
        os._exit(0 if found == expected else 2)

    flipped = np.linspace(0, len(written) - 1, 75, dtype=int) + rng.integers(-9, 9, 75)
    codes = {}
    for place in np.clip(flipped, 0, len(written) - 1):
        damaged = bytearray(written)
        damaged[place] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        child = multiprocessing.get_context("fork").Process(target=outcome)
        child.start()
        child.join(20)
        codes[int(place)] = child.exitcode
        child.kill()
    assert set(codes.values()) == {CorruptedInputError.exit_code}, codes


def test_sum_of_events_only_when_asked(tmp_path):
    """The small tables are always added up, the events once: by the index or by the reading."""
    path = write(tmp_path / name(), [event(i) for i in range(1, 40)])
    damaged = bytearray(path.read_bytes())
    damaged[-FITS_BLOCK] ^= 1
    path.write_bytes(damaged)
    check_file(path)
    with pytest.raises(CorruptedInputError, match=r"\(table Events\) do not fit their FITS check"):
        check_file(path, with_events=True)
    with pytest.raises(CorruptedInputError, match=f"{name()} is damaged: the bytes"):
        read(path)
    damaged[damaged.index(b"CameraConfiguration") + 1000] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(CorruptedInputError, match=r"\(table CameraConfiguration\) do not fit"):
        check_file(path)


def test_without_checksum(tmp_path):
    path = write(tmp_path / name(), [event(1)])
    path.write_bytes(path.read_bytes().replace(b"CHECKSUM= ", b"CHECKSON= "))
    with pytest.raises(CorruptedInputError, match="table PRIMARY has no CHECKSUM"):
        read(path)


def test_file_that_still_grows(tmp_path):
    path = tmp_path / name()
    writer = write(path, [event(i) for i in range(1, 60)], close=False)
    try:
        with pytest.raises(CorruptedInputError, match="still being written"):
            read(path)
    finally:
        writer.close()
    assert len(ids(read(path))) == 59


def test_bytes_after_the_end(tmp_path):
    path = write(tmp_path / name(), [event(1)])
    path.write_bytes(path.read_bytes() + bytes(2880))
    with pytest.raises(CorruptedInputError, match="still being written: its headers announce"):
        read(path)


def test_temporary_name(tmp_path):
    path = write(tmp_path / (name() + ".tmp"), [event(1)])
    with pytest.raises(ConfigurationError, match="not the name of a finished DL0 file"):
        read(path)


def test_absent_file(tmp_path):
    with pytest.raises(MissingInputError, match="does not exist"):
        read(tmp_path / name())
    with pytest.raises(MissingInputError, match="no DL0 file is given"):
        read([])


def test_missing_chunk(tmp_path):
    files = [write(tmp_path / name(1, c), [event(c + 1)]) for c in (0, 1, 3)]
    with pytest.raises(MissingInputError, match=r"missing file: chunk 2 of SDH001"):
        read(files)


def test_missing_first_chunk_of_one_stream(tmp_path):
    files = [write(tmp_path / name(s, c), [event(1)]) for s, c in ((1, 0), (1, 1), (2, 1))]
    with pytest.raises(MissingInputError, match=r"missing file: chunk 0 of SDH002"):
        read(files)


def test_missing_stream(tmp_path):
    files = [write(tmp_path / name(s), [event(s)]) for s in (1, 3)]
    with pytest.raises(MissingInputError, match="SDH002 is not among SDH001, SDH003"):
        read(files)


def test_file_given_twice(tmp_path):
    path = write(tmp_path / name(), [event(1)])
    with pytest.raises(ConfigurationError, match="chunk 0 of SDH000 is given twice"):
        read([path, path])


def test_wrong_telescope(tmp_path):
    path = write(tmp_path / name(1), [event(1)])
    with pytest.raises(ConfigurationError, match="is of telescope 1, wanted is 2"):
        read(path, tel_id=2)
    other = {"tel_id": 2}
    second = write(tmp_path / name(2, tel_id=2), [event(2, tel_id=2)], other, other)
    with pytest.raises(ConfigurationError, match="read one telescope at a time"):
        read([path, second])


def test_event_of_another_telescope(tmp_path):
    path = write(tmp_path / name(), [event(1), event(2, tel_id=3)])
    with pytest.raises(CorruptedInputError, match="event 2 is of telescope 3, the file of 1"):
        read(path)


def test_configuration_that_changes_between_files(tmp_path):
    files = [
        write(tmp_path / name(0, 0), [event(1)]),
        write(tmp_path / name(0, 1), [event(2)], {"sampling_frequency": 2048}),
    ]
    with pytest.raises(CorruptedInputError, match="sampling_frequency from 1024 to 2048"):
        read(files)


def test_configuration_that_changes_within_a_file(tmp_path):
    path = write(tmp_path / name(), [event(1)], [{}, {"camera_config_id": 8}])
    with pytest.raises(CorruptedInputError, match="camera_config_id from 7 to 8"):
        read(path)


def test_pixel_mapped_twice(tmp_path):
    path = write(tmp_path / name(), [event(1)], pixel_id_map=np.zeros(N_PIXELS, np.uint16))
    with pytest.raises(CorruptedInputError, match="1 different pixels for 19"):
        read(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"waveform": np.zeros(10, np.uint16)}, "waveform of event 1 has 10 values"),
        ({"pixel_status": np.ones(3, np.uint8)}, "pixel_status of event 1 has 3 values"),
        ({"num_pixels_survived": 5, "waveform": np.zeros(80, np.uint16)}, "19 marked as stored"),
    ],
)
def test_event_that_contradicts_the_camera(tmp_path, changes, message):
    path = write(
        tmp_path / name(),
        [event(1, **changes)],
        {"num_pixels": N_PIXELS},
        pixel_id_map=np.arange(N_PIXELS, dtype=np.uint16),
    )
    with pytest.raises(CorruptedInputError, match=message):
        read(path)


def test_no_event_of_the_types_wanted(tmp_path):
    path = write(tmp_path / name(), [event(1), event(2)])
    with pytest.raises(
        InsufficientStatisticsError, match="no PEDESTAL or SUBARRAY event among 2 of TEL001"
    ):
        read(path, event_types=[SHOWER, PEDESTAL])


def test_file_closed_without_events(tmp_path):
    """Written by a process of its own: protozfits 2.13 breaks a process that does this."""
    path = tmp_path / name()
    child = multiprocessing.get_context("fork").Process(
        target=lambda: (write(path, []), os._exit(0))
    )
    child.start()
    child.join()
    with pytest.raises(CorruptedInputError, match="no complete FITS file"):
        read(path)


def test_batches_have_at_least_one_event(tmp_path):
    with pytest.raises(ConfigurationError, match="batch_size must be at least 1, got 0"):
        read_batches(tmp_path / name(), batch_size=0)


def test_subarray_stream_is_refused(tmp_path):
    from protozfits import FlatProtobufZOFits
    from protozfits.DL0v1_Subarray_pb2 import Event

    path = tmp_path / name()
    with FlatProtobufZOFits(n_tiles=5, rows_per_tile=5, compression_block_size_kb=1024) as file:
        file.open(str(path))
        file.move_to_new_table("SubarrayEvents")
        file.write_message(Event(event_id=1))
    with pytest.raises(CorruptedInputError, match=r"SubarrayEvents of DL0v1\.Subarray\.Event"):
        check_file(path)
