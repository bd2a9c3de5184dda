"""Which observation blocks of a running night are complete."""

from datetime import date

import pytest

from calibpipe.core.dl0_arrival import arrivals, complete_blocks, files_of_blocks

NIGHT = date(2024, 7, 10)
SETTLE = 60.0


def name(obs_id, stream=0, chunk=0):
    return f"TEL001_SDH{stream:03d}_20240710T220000_SBID1_OBSID{obs_id}_SUBARRAY_CHUNK{chunk:03d}"


@pytest.fixture
def event_folder(tmp_path):
    folder = tmp_path / "DL0/LSTN-01/ctao/acada-adh/events/2024/07/10"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def looks(event_folder, tmp_path):
    """A function: look at a time, and the numbers of the blocks that are complete then."""
    seen = {}

    def look(now):
        nonlocal seen
        seen = arrivals(seen, files_of_blocks(tmp_path, NIGHT, ["LSTN-01", "LSTN-02"]), now)
        return [obs_id for _, obs_id in complete_blocks(seen, now, SETTLE)]

    return look


def write(folder, file, content="events", suffix=".fits.fz"):
    (folder / f"{file}{suffix}").write_text(content)


def test_a_block_is_complete_when_its_files_have_settled(event_folder, looks):
    write(event_folder, name(1))
    assert looks(1000.0) == []
    assert looks(1059.9) == []
    assert looks(1060.0) == [1]


def test_every_change_begins_the_time_again(event_folder, looks):
    write(event_folder, name(1))
    assert looks(1000.0) == []
    write(event_folder, name(1), "events and more")  # grows
    assert looks(1059.0) == []
    write(event_folder, name(1, chunk=1))  # the next file
    assert looks(1118.0) == []
    write(event_folder, name(1, stream=1))  # another stream
    assert looks(1177.0) == []
    assert looks(1236.9) == []
    assert looks(1237.0) == [1]


def test_a_later_block_ends_the_one_before(event_folder, looks):
    """But not while its last bytes come: the files are those of the look before."""
    write(event_folder, name(1))
    looks(1000.0)
    write(event_folder, name(2), "e")
    write(event_folder, name(1), "events and the last ones")
    assert looks(1001.0) == []
    assert looks(1002.0) == [1]
    assert looks(1062.0) == [1, 2]


def test_a_block_of_another_telescope_ends_none(event_folder, looks, tmp_path):
    write(event_folder, name(1))
    other = tmp_path / "DL0/LSTN-02/ctao/acada-adh/events/2024/07/10"
    other.mkdir(parents=True)
    write(other, name(2).replace("TEL001", "TEL002"))
    looks(1000.0)
    assert looks(1001.0) == []


@pytest.mark.parametrize(
    ("content", "suffix"), [("events", ".fits.fz.part"), ("", ".fits.fz"), (None, ".fits.fz")]
)
def test_what_is_not_a_finished_file_is_waited_for(event_folder, looks, content, suffix):
    write(event_folder, name(1))
    odd = event_folder / f"{name(1, chunk=1)}{suffix}"
    if content is None:
        odd.symlink_to("nowhere")
    else:
        odd.write_text(content)
    looks(1000.0)
    assert looks(2000.0) == []
    odd.unlink()
    looks(2001.0)
    assert looks(2061.0) == [1]


def test_names_without_a_block_and_other_nights_are_none(event_folder, looks, tmp_path):
    write(event_folder, "TEL001_SDH000_20240710T220000_CHUNK000")
    before = event_folder.parent / "09"
    before.mkdir()
    write(before, name(7))
    looks(1000.0)
    assert looks(2000.0) == []
