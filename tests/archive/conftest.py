"""An empty archive with CTAO-North, in SQLite and in PostgreSQL."""

import os
import re
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


@pytest.fixture(scope="session")
def empty_sqlite(tmp_path_factory, north):
    """An archive to be copied."""
    folder = tmp_path_factory.mktemp("empty") / "archive"
    upload_site(init_archive(folder), north, TEL_IDS)
    return folder


@pytest.fixture(scope="session")
def empty_postgresql(tmp_path_factory, north, postgresql):
    """The same, with its database."""
    folder = tmp_path_factory.mktemp("empty") / "archive"
    upload_site(init_archive(folder, postgresql.new_database("empty")), north, TEL_IDS)
    return folder


@pytest.fixture(params=["sqlite", "postgresql"])
def archive(request, tmp_path):
    """An archive that knows CTAO-North with four LSTs."""
    folder = tmp_path / "archive"
    shutil.copytree(request.getfixturevalue(f"empty_{request.param}"), folder)
    if request.param == "postgresql":
        server = request.getfixturevalue("postgresql")
        address = server.copied_database("empty", f"a{uuid.uuid4().hex}")
        settings = folder / "butler.yaml"
        text, n_found = re.subn(r"postgresql://\S+/empty\b", address, settings.read_text())
        assert n_found == 1
        settings.write_text(text)
    return open_archive(folder, writeable=True)


@pytest.fixture
def sqlite_archive(tmp_path, empty_sqlite):
    """The same, in SQLite only: for what does not depend on the database."""
    folder = tmp_path / "archive"
    shutil.copytree(empty_sqlite, folder)
    return open_archive(folder, writeable=True)
