"""What an archive in SQLite needs beside Butler: one writer at a time, good query plans."""

import fcntl
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ..core.exceptions import StorageError

__all__ = ["expect_many_rows", "only_writer", "sqlite_file"]

_PATIENCE = 600.0  # s that a writer waits for another one
_MANY = 100_000_000


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


def expect_many_rows(location: Path) -> None:
    """Tell SQLite's planner that the tables of products are large.

    Butler compares what comes in, in a temporary table, with what is there. Without statistics
    SQLite takes both for equally large and reads all that is there, for each night anew: with
    250 000 products that takes a third of the time. Statistics that are written by hand are how
    SQLite wants its plans to be steered (its manual, "Manual control of query plans using
    SQLITE_STAT tables").
    """
    with closing(sqlite3.connect(sqlite_file(location))) as database, database:
        database.execute("ANALYZE sqlite_master")  # makes the table of statistics
        tables = database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
            " AND (name = 'dataset' OR name LIKE 'dataset\\_tags\\_%' ESCAPE '\\')"
        ).fetchall()
        rows = [(name, None, str(_MANY)) for (name,) in tables]
        database.executemany("INSERT INTO sqlite_stat1 VALUES (?, ?, ?)", rows)
