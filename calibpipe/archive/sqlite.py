"""What an archive in SQLite needs beside Butler: one writer at a time."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..core.exceptions import StorageError

__all__ = ["only_writer", "sqlite_file"]

_PATIENCE = 600.0  # s that a writer waits for another one


def sqlite_file(location: Path) -> Path:
    """Database of an archive, if it is SQLite."""
    return location / "gen3.sqlite3"


@contextmanager
def only_writer(location: Path) -> Iterator[None]:
    """Hold the archive as its only writer.

    Raises
    ------
    StorageError
        If another one holds it for too long.
    """
    end = time.monotonic() + _PATIENCE
    with (location / ".writer.lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise StorageError(
                        f"{location}: another writer has held this archive for {_PATIENCE:.0f} s; "
                        "wait for it, or keep the archive in PostgreSQL (calibpipe-init-db "
                        "--database)"
                    ) from None
                time.sleep(0.05)
        yield
