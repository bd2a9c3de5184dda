"""An empty archive with CTAO-North, in SQLite and in PostgreSQL."""

import os
import shutil
import sys
import uuid
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # products

from products import TEL_IDS
from servers.postgresql import PostgreSQL, programs

from calibpipe.archive.observatory import upload_site
from calibpipe.archive.repository import init_archive, open_archive


@pytest.fixture(scope="session")
def postgresql():
    """A server; where PostgreSQL is not installed its tests are skipped, in CI they fail."""
    found = programs()
    if found is None:
        reason = "no PostgreSQL: install Debian's package postgresql"
        if os.environ.get("CI"):
            pytest.fail(f"{reason}; in CI that is a failure")
        pytest.skip(reason)
    server = PostgreSQL(found)
    yield server
    server.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request):
    """Address of an empty database; empty for SQLite."""
    if request.param == "sqlite":
        return ""
    server = request.getfixturevalue("postgresql")
    return server.new_database(f"a{uuid.uuid4().hex}")


@pytest.fixture(scope="session")
def empty_sqlite(tmp_path_factory, north):
    """An archive to be copied."""
    folder = tmp_path_factory.mktemp("empty") / "archive"
    upload_site(init_archive(folder), north, TEL_IDS)
    return folder


@pytest.fixture
def archive(database, tmp_path, north, empty_sqlite):
    """An archive that knows CTAO-North with four LSTs."""
    folder = tmp_path / "archive"
    if not database:
        shutil.copytree(empty_sqlite, folder)
        return open_archive(folder, writeable=True)
    archive = init_archive(folder, database)
    upload_site(archive, north, TEL_IDS)
    return archive


@pytest.fixture
def sqlite_archive(tmp_path, empty_sqlite):
    """The same, in SQLite only: for what does not depend on the database."""
    folder = tmp_path / "archive"
    shutil.copytree(empty_sqlite, folder)
    return open_archive(folder, writeable=True)
