"""The index of a night's DL0 files: what is there, what cannot be read, what follows from it."""

import errno
from datetime import date
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.time import Time

from calibpipe.core.dl0_checks import check_file
from calibpipe.core.dl0_files import block_files, blocks, index_of_night, named_block
from calibpipe.core.exceptions import ConfigurationError, CorruptedInputError, MissingInputError
from calibpipe.simulation.dl0 import Dl0Observation, Dl0Writer

NIGHT = date(2024, 7, 10)
N_PIXELS, N_SAMPLES = 14, 8


def observe(root, tel_id=1, obs_id=1, evening=NIGHT, element=None, n_streams=2):
    """Six events of a small camera; the paths of the streams."""
    observation = Dl0Observation(
        folder=root,
        tel_id=tel_id,
        array_element=element or f"LSTN-{tel_id:02d}",
        subarray_id=1,
        sb_id=7,
        obs_id=obs_id,
        evening=evening,
        start=Time("2024-07-10T22:00:00", scale="tai"),
        n_pixels=N_PIXELS,
        n_samples=N_SAMPLES,
        sampling_rate=1 * u.GHz,
        n_streams=n_streams,
    )
    waveform = np.zeros((2, N_PIXELS, N_SAMPLES), np.uint16)
    with Dl0Writer(observation, 6) as writer:
        for i in range(6):
            writer.write(i + 1, 1_720_648_800 + i, 0, 0, waveform)
    return observation.event_paths


def problems(index):
    return {str(row["path"]).rpartition("/")[2]: str(row["problem"]) for row in index}


def test_rows_are_the_files_of_the_night_sorted(tmp_path):
    two = observe(tmp_path, tel_id=2)
    observe(tmp_path, obs_id=10)
    observe(tmp_path, obs_id=9)
    observe(tmp_path, obs_id=8, evening=date(2024, 7, 9))
    observe(tmp_path, tel_id=3)
    index = index_of_night(tmp_path, NIGHT, ["LSTN-02", "LSTN-01", "LSTN-04"])
    assert blocks(index) == [("LSTN-01", 9), ("LSTN-01", 10), ("LSTN-02", 1)]
    assert [(row["obs_id"], row["stream"]) for row in index] == [
        *((9, "SDH000"), (9, "SDH001"), (10, "SDH000"), (10, "SDH001")),
        *((1, "SDH000"), (1, "SDH001")),
    ]
    assert set(index["sb_id"]) == {7}
    assert set(index["chunk"]) == {0}
    assert set(index["problem"]) == {""}
    assert list(index["size"][-2:]) == [path.stat().st_size for path in two]
    assert block_files(index, tmp_path, "LSTN-02", 1) == list(two)


def test_other_blocks_than_those_that_are_taken_are_not_opened(tmp_path, monkeypatch):
    """They may be being written."""
    observe(tmp_path, obs_id=9)
    observe(tmp_path, obs_id=10)
    observe(tmp_path, tel_id=2, obs_id=9)
    opened = []

    def check(path, **options):
        opened.append(path.name)
        check_file(path, **options)

    monkeypatch.setattr("calibpipe.core.dl0_files.check_file", check)
    index = index_of_night(tmp_path, NIGHT, ["LSTN-01", "LSTN-02"], [("LSTN-01", 9)])
    assert blocks(index) == [("LSTN-01", 9)]
    assert len(opened) == len(index) == 2
    assert all(name.startswith("TEL001") and "OBSID10" not in name for name in opened)
    with pytest.raises(MissingInputError, match=r"of the blocks LSTN-01 11: .* dl0\.blocks"):
        index_of_night(tmp_path, NIGHT, ["LSTN-01"], [("LSTN-01", 11)])


@pytest.mark.parametrize("text", ["LSTN-01", "LSTN-01/3", "LSTN-01/OBSID", "LSTN-01/OBSID3 "])
def test_names_of_blocks(text):
    assert named_block("MSTN-05/OBSID12") == ("MSTN-05", 12)
    with pytest.raises(ConfigurationError, match="write it as LSTN-01/OBSID3"):
        named_block(text)


def test_content_does_not_depend_on_the_place(tmp_path):
    """Same rows from a copy of the tree, whatever the order of the folder."""
    observe(tmp_path / "a")
    observe(tmp_path / "b", tel_id=2)
    observe(tmp_path / "b")
    one, other = (index_of_night(tmp_path / name, NIGHT, ["LSTN-01"]) for name in "ab")
    assert one["path"].tolist() == other["path"].tolist()
    assert not one["path"][0].startswith("/")


def test_a_truncated_file_stops_its_observation_only(tmp_path):
    bad, _ = observe(tmp_path)
    observe(tmp_path, obs_id=2)
    bad.write_bytes(bad.read_bytes()[:-2880])
    index = index_of_night(tmp_path, NIGHT, ["LSTN-01"])
    assert "truncated" in problems(index)[bad.name]
    assert blocks(index) == [("LSTN-01", 1), ("LSTN-01", 2)]  # by the number in its name
    with pytest.raises(CorruptedInputError, match=r"observation 1 of LSTN-01.*truncated"):
        block_files(index, tmp_path, "LSTN-01", 1)
    assert len(block_files(index, tmp_path, "LSTN-01", 2)) == 2


def dangle(path):
    path.unlink()
    path.symlink_to("nowhere")


def misname(path):
    """A header that cannot be parsed: XTENSION without the apostrophe at its end."""
    path.write_bytes(path.read_bytes().replace(b"'BINTABLE'", b"'BINTABLE ", 1))


def scramble(start):
    """Damage 200 bytes: of the table's header (5760) or of its data (8640)."""

    def damage(path):
        content = bytearray(path.read_bytes())
        content[start : start + 200] = bytes(byte ^ 0xFF for byte in content[start : start + 200])
        path.write_bytes(content)

    return damage


@pytest.mark.filterwarnings("ignore::astropy.io.fits.verify.VerifyWarning")
@pytest.mark.filterwarnings("ignore:non-ASCII characters")
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (dangle, "does not exist"),
        (misname, "damaged"),
        (scramble(5760), "damaged"),
        (scramble(8640), "damaged"),
    ],
)
def test_a_damaged_file_stops_its_observation_only(tmp_path, damage, message):
    bad, _ = observe(tmp_path)
    observe(tmp_path, obs_id=2)
    damage(bad)
    index = index_of_night(tmp_path, NIGHT, ["LSTN-01"])
    assert message in problems(index)[bad.name]
    assert str(tmp_path) not in problems(index)[bad.name]
    with pytest.raises(CorruptedInputError, match=message):
        block_files(index, tmp_path, "LSTN-01", 1)
    assert len(block_files(index, tmp_path, "LSTN-01", 2)) == 2


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    """The tests may run as root, to whom no permission is denied: `open` refuses instead."""
    bad, _ = observe(tmp_path)
    original = Path.open

    def refuse(path, *args, **kwargs):
        if path == bad:
            raise PermissionError(errno.EACCES, "Permission denied")
        return original(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refuse)
    index = index_of_night(tmp_path, NIGHT, ["LSTN-01"])
    assert "cannot be read: Permission denied" in problems(index)[bad.name]


def test_a_missing_stream_is_told_by_all_the_others(tmp_path):
    paths = observe(tmp_path, n_streams=3)
    paths[1].unlink()
    index = index_of_night(tmp_path, NIGHT, ["LSTN-01"])
    assert all("missing stream: SDH001" in text for text in problems(index).values())
    with pytest.raises(CorruptedInputError, match="missing stream: SDH001"):
        block_files(index, tmp_path, "LSTN-01", 1)


def test_a_file_that_is_not_finished(tmp_path):
    path, _ = observe(tmp_path)
    path.rename(path.with_name(f"{path.name}.part"))
    index = index_of_night(tmp_path, NIGHT, ["LSTN-01"])
    assert "not the name of a finished DL0 file" in problems(index)[f"{path.name}.part"]
    with pytest.raises(CorruptedInputError, match="not the name of a finished"):
        block_files(index, tmp_path, "LSTN-01", 1)


def test_a_file_of_no_observation(tmp_path):
    path, _ = observe(tmp_path)
    path.with_name("TEL001.tmp").write_bytes(b"")
    index = index_of_night(tmp_path, NIGHT, ["LSTN-01"])
    assert blocks(index) == [("LSTN-01", 1)]
    assert "not the name of a finished DL0 file" in problems(index)["TEL001.tmp"]
    assert len(block_files(index, tmp_path, "LSTN-01", 1)) == 2


def test_a_file_in_the_folder_of_another_telescope(tmp_path):
    observe(tmp_path, tel_id=2, element="LSTN-01")
    index = index_of_night(tmp_path, NIGHT, ["LSTN-01"])
    assert all("is of telescope 2, but lies in the folder" in t for t in problems(index).values())


def test_numbers_are_those_of_the_array_elements(tmp_path):
    """MSTN-01 is telescope 5, LSTS-01 is 101."""
    observe(tmp_path, tel_id=5, element="MSTN-01")
    observe(tmp_path, tel_id=101, element="LSTS-01")
    observe(tmp_path, tel_id=5, element="MSTN-05")
    observe(tmp_path, tel_id=99, element="LSTN-04")
    index = index_of_night(tmp_path, NIGHT, ["MSTN-01", "LSTS-01"])
    assert set(problems(index).values()) == {""}
    for problem in index_of_night(tmp_path, NIGHT, ["MSTN-05"])["problem"]:
        assert "is of telescope 5, but lies in the folder of MSTN-05" in problem
    for problem in index_of_night(tmp_path, NIGHT, ["LSTN-04"])["problem"]:
        assert "no array element 99" in problem


def test_a_night_without_files(tmp_path):
    observe(tmp_path, evening=date(2024, 7, 9))
    with pytest.raises(MissingInputError, match=r"no DL0 of LSTN-01, LSTN-02 .* 2024-07-10"):
        index_of_night(tmp_path, NIGHT, ["LSTN-01", "LSTN-02"])


def test_what_the_index_has_not(tmp_path):
    observe(tmp_path)
    index = index_of_night(tmp_path, NIGHT, ["LSTN-01"])
    with pytest.raises(MissingInputError, match="no observation 5 of LSTN-01, only LSTN-01 1"):
        block_files(index, tmp_path, "LSTN-01", 5)


def test_files_that_changed_since(tmp_path):
    grown, gone = observe(tmp_path)
    index = index_of_night(tmp_path, NIGHT, ["LSTN-01"])
    grown.write_bytes(grown.read_bytes() + b"more")
    gone.unlink()
    with pytest.raises(CorruptedInputError, match=r"bytes now.*is not there any more"):
        block_files(index, tmp_path, "LSTN-01", 1)
