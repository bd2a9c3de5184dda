import errno
import hashlib
import subprocess

import pytest

from calibpipe.core.exceptions import StorageError
from calibpipe.core.files import atomic_path, sha256


def test_file_appears_when_the_block_succeeds(tmp_path):
    target = tmp_path / "new" / "a.txt"
    with atomic_path(target) as temporary:
        assert temporary.parent == target.parent
        assert temporary.suffix == ".txt"
        temporary.write_text("all")
        assert not target.exists()
    assert target.read_text() == "all"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_and_the_old_file_stays_when_it_fails(tmp_path, error):
    target = tmp_path / "a.txt"
    target.write_text("old")

    def half_written():
        with atomic_path(target) as temporary:
            temporary.write_text("ha")
            raise error

    with pytest.raises(error):
        half_written()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of 64 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small tmpfs (root)")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_full_disk_leaves_the_old_file_and_says_what_to_do(small_disk):
    target = small_disk / "a.bin"
    target.write_bytes(b"old")

    def too_much():
        with atomic_path(target) as temporary:
            temporary.write_bytes(bytes(1_000_000))

    with pytest.raises(StorageError, match=r"No space left on device.*free space"):
        too_much()
    assert target.read_bytes() == b"old"
    assert list(small_disk.iterdir()) == [target]


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StorageError, match="cannot write"),
        atomic_path(tmp_path / "file" / "a.txt"),
    ):
        pass


def test_other_errors_are_not_disguised(tmp_path):
    with pytest.raises(OSError, match="strange") as caught, atomic_path(tmp_path / "a"):
        raise OSError(errno.EIO, "strange")
    assert not isinstance(caught.value, StorageError)


def test_checksum(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc" * 1000)
    assert sha256(path) == hashlib.sha256(b"abc" * 1000).hexdigest()
