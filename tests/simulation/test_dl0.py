"""DL0 streams: read back by ctapipe_io_zfits without change; complete or absent."""

import os
from dataclasses import replace
from datetime import date

os.environ.setdefault("CTAPIPE_IO_ZFITS_NO_SERVICE_DATA", "1")

import astropy.units as u
import numpy as np
import pytest
from astropy.time import Time
from ctapipe.containers import EventType, PixelStatus
from ctapipe_io_zfits import ProtozfitsTelescopeEventSource

from calibpipe.core.dl0 import read_batches
from calibpipe.core.dl0_camera import camera_configuration
from calibpipe.core.exceptions import ConfigurationError, StorageError
from calibpipe.simulation import dl0 as dl0_module
from calibpipe.simulation.dl0 import COMPRESSIONS, Dl0Observation, Dl0Writer, event_times

START = Time("2026-01-15T22:00:36.9999999", scale="tai")
N_PIXELS, N_SAMPLES = 1855, 40
SECONDS = np.arange(7) * 0.25e-6
HIGH, LOW = int(PixelStatus.HIGH_GAIN_STORED), int(PixelStatus.LOW_GAIN_STORED)
BOTH = HIGH | LOW
KINDS = [EventType.FLATFIELD, EventType.SUBARRAY, EventType.SKY_PEDESTAL] * 2 + [
    EventType.DARK_PEDESTAL
]


@pytest.fixture(scope="module")
def content():
    """Waveforms and selected channels of seven events."""
    rng = np.random.default_rng(5)
    waveform = rng.integers(0, 65536, (7, 2, N_PIXELS, N_SAMPLES), dtype=np.uint16)
    return waveform, rng.integers(0, 2, (7, N_PIXELS)).astype(np.uint8)


@pytest.fixture
def observation(tmp_path):
    return Dl0Observation(
        folder=tmp_path,
        tel_id=1,
        array_element="LSTN-01",
        subarray_id=1,
        sb_id=12,
        obs_id=34,
        evening=date(2026, 1, 15),
        start=START,
        n_pixels=N_PIXELS,
        n_samples=N_SAMPLES,
        sampling_rate=1.024 * u.GHz,
        n_streams=3,
    )


def write(observation, content, compression="raw", n=7):
    stamps = np.transpose(event_times(START, SECONDS))
    with Dl0Writer(observation, n, compression) as writer:
        for i, kind in enumerate(KINDS):
            gain = content[1][i] if kind is EventType.SUBARRAY else None
            writer.write(i + 1, *map(int, stamps[i]), kind.value, content[0][i], gain)


def assert_same(event, i, content):
    waveform, gain = content[0][i], content[1][i]
    dl0 = event.dl0.tel[1]
    assert event.index.event_id == i + 1
    assert event.index.obs_id == 34
    assert dl0.event_type is KINDS[i]
    if KINDS[i] is EventType.SUBARRAY:
        np.testing.assert_array_equal(dl0.selected_gain_channel, gain)
        expected = np.take_along_axis(waveform, gain[np.newaxis, :, np.newaxis], axis=0)
        assert (dl0.pixel_status & BOTH == np.take([HIGH, LOW], gain)).all()
    else:
        assert dl0.selected_gain_channel is None
        expected = waveform
        assert (dl0.pixel_status & BOTH == BOTH).all()
    np.testing.assert_array_equal(dl0.waveform, expected)
    seconds = (event.trigger.time - START).to_value(u.s)
    assert abs(seconds - SECONDS[i]) <= 0.125e-9 + 1e-12
    assert event.trigger.time.scale == "tai"


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_telescope_streams_are_read_back(observation, content, compression):
    write(observation, content, compression)
    with ProtozfitsTelescopeEventSource(observation.event_paths[1]) as source:
        assert (source.tel_id, source.sb_id, source.obs_id) == (1, 12, 34)
        for i, event in enumerate(source):
            assert_same(event, i, content)
            assert event.trigger.event_type is KINDS[i]
    assert i == 6


def test_folders_and_names_are_those_of_the_observatory(observation, tmp_path):
    observation = replace(observation, start=Time("2026-01-15T22:00:36.25", scale="tai"))
    ids = "SBID0000000000000000012_OBSID0000000000000000034"
    start = "20260115T215959"  # UTC is 37 s behind TAI
    assert observation.event_paths[2].relative_to(tmp_path).as_posix() == (
        "DL0/LSTN-01/ctao-n-acada/acada-adh/events/2026/01/15/"
        f"TEL001_SDH002_{start}_{ids}_TEL_SHOWER_CHUNK000.fits.fz"
    )
    assert observation.trigger_path.relative_to(tmp_path).as_posix() == (
        "DL0/ARRAY/ctao-n-acada/acada-adh/triggers/2026/01/15/"
        f"SUB001_SWAT001_{start}_{ids}_SUBARRAY_CHUNK000.fits.fz"
    )


def test_time_stamps_are_exact_and_carry_into_the_second():
    second, fraction = event_times(Time(100, 0.75, format="unix_tai"), [0, 0.25, 1.25e-9, 3600.5])
    assert second.tolist() == [100, 101, 100, 3701]
    assert fraction.tolist() == [3_000_000_000, 0, 3_000_000_005, 1_000_000_000]


def test_many_tiles_are_read_back(observation, content):
    small = replace(observation, n_pixels=7, n_streams=1)
    with Dl0Writer(small, 1000) as writer:
        for i in range(1000):
            writer.write(i + 1, i, 0, 0, content[0][i % 7, :, :7])
    from protozfits import File

    with File(str(small.event_paths[0])) as file:
        assert [event.event_id for event in file.Events] == list(range(1, 1001))


def test_files_appear_complete_or_not_at_all(observation, content, tmp_path):
    write(observation, content)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert len(before) == 3

    def interrupted():
        with Dl0Writer(observation, 7) as writer:
            writer.write(1, 0, 0, 0, content[0][0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert after == before


def test_library_prints_nothing(observation, content, capfd):
    write(observation, content, "zstd1")
    assert capfd.readouterr() == ("", "")


def test_more_events_than_announced_are_refused(observation, content):
    with pytest.raises(ConfigurationError, match="one more than the 3 announced"):
        write(observation, content, n=3)
    assert not any(path.exists() for path in observation.event_paths)


@pytest.mark.parametrize(
    "waveform",
    [np.zeros((2, N_PIXELS, N_SAMPLES), np.float32), np.zeros((1, N_PIXELS, 3), np.uint16)],
)
def test_waveforms_of_another_kind_are_refused(observation, waveform):
    def other():
        with Dl0Writer(observation, 1) as writer:
            writer.write(1, 0, 0, 0, waveform)

    with pytest.raises(ConfigurationError, match=r"needs uint16 of shape \(2, 1855, 40\)"):
        other()


def test_unknown_compression_is_refused(observation):
    with pytest.raises(ConfigurationError, match="unknown compression 'zip'"):
        Dl0Writer(observation, 1, "zip")


def test_folder_that_cannot_be_made(observation, tmp_path, content):
    (tmp_path / "DL0").write_text("a file")
    with pytest.raises(StorageError, match="cannot write"):
        write(observation, content)


def test_stream_without_events_is_refused_and_leaves_nothing(observation, tmp_path):
    with (
        pytest.raises(ConfigurationError, match=r"3 of 3 streams of .* got no event"),
        Dl0Writer(observation, 5),
    ):
        pass
    assert not list(tmp_path.rglob("*.fits.fz"))


@pytest.fixture
def flashcam(observation):
    """One channel, 1764 pixels in modules of twelve, 250 MHz."""
    return replace(
        observation,
        n_pixels=1764,
        n_samples=30,
        n_channels=1,
        pixels_per_module=12,
        sampling_rate=250 * u.MHz,
        n_streams=2,
    )


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_camera_with_one_channel_is_read_back(flashcam, content, compression):
    from protozfits import File

    waveform = content[0][:, :1, :1764, :30]
    with Dl0Writer(flashcam, 4, compression) as writer:
        for i in range(4):
            gain = np.zeros(1764, np.uint8) if i == 2 else None
            writer.write(i + 1, 1_768_514_400 + i, 0, 0, waveform[i], gain)
    camera = camera_configuration(flashcam.event_paths[0])
    assert (camera.num_channels, camera.num_pixels, camera.num_samples) == (1, 1764, 30)
    assert camera.sampling_frequency == 250
    with File(str(flashcam.event_paths[1])) as file:
        assert file.CameraConfiguration[0].num_modules == 147
        assert file.CameraConfiguration[0].module_id_map.size == 147
    (batch,) = read_batches(flashcam.event_paths)
    np.testing.assert_array_equal(batch.waveform, waveform[:4])
    assert (batch.pixel_status & BOTH == HIGH).all()


@pytest.mark.parametrize(
    ("n_pixels", "pixels_per_module", "n_modules"), [(1855, 7, 265), (1764, 12, 147), (15, 7, 3)]
)
def test_number_of_modules(observation, n_pixels, pixels_per_module, n_modules):
    camera = replace(observation, n_pixels=n_pixels, pixels_per_module=pixels_per_module)
    assert camera.n_modules == n_modules


def test_one_channel_has_no_low_gain(flashcam):
    gain = np.array([0, 1, 1] * 588, np.uint8)

    def low():
        with Dl0Writer(flashcam, 1) as writer:
            writer.write(7, 0, 0, 0, np.zeros((1, 1764, 30), np.uint16), gain)

    with pytest.raises(ConfigurationError, match="1176 pixels of event 7 of LSTN-01 select low"):
        low()


def test_c_libraries_without_mallopt_will_do(observation, content, monkeypatch):
    monkeypatch.setattr(dl0_module.ctypes, "CDLL", lambda name: object())
    write(observation, content)
    assert sum(len(batch.event_id) for batch in read_batches(observation.event_paths)) == 7
