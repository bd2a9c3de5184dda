"""Files that appear complete or not at all, and their checksums."""

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .exceptions import StorageError

__all__ = ["atomic_path", "is_disk_full", "sha256", "storage_error"]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Temporary path in the folder of `path`, renamed to it when the block succeeds.

    The file is flushed to disk before it is renamed. If the block fails or is interrupted, the
    temporary file is removed and whatever stood at `path` before is untouched.

    Raises
    ------
    StorageError
        If the folder cannot be made, or the disk is full, read-only or over quota.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{path.stem}.", suffix=f".part{path.suffix}", dir=path.parent
        )
        os.close(handle)
    except OSError as error:
        raise storage_error(path, error) from error
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        if is_disk_full(error) or error.errno == errno.EACCES:
            raise storage_error(path, error) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def is_disk_full(error: BaseException) -> bool:
    """Whether an error says that the disk is full, over quota or read-only."""
    return isinstance(error, OSError) and error.errno in _FULL


def storage_error(path: str | Path, error: OSError) -> StorageError:
    """What cannot be written, why, and what to do."""
    return StorageError(
        f"cannot write {path}: {error.strerror or error}. Nothing was left half-written; "
        "free space or choose another folder and run the same command again"
    )


def sha256(path: str | Path) -> str:
    """Hexadecimal SHA-256 of the content of a file."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
