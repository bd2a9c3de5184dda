"""Accounts and archives that are absent, malformed or locked; secrets that are not shown."""

import os

import pytest
from servers.http_files import FileServer
from servers.postgresql import PostgreSQL, programs

from calibpipe.archive.repository import init_archive
from calibpipe.core.exceptions import ConfigurationError, StorageError
from calibpipe.doctor.finding import Level
from calibpipe.doctor.services import archive, credentials, reachable

KEY = "01234567-89ab-cdef-0123-456789abcdef"
URL = "url: https://cds.climate.copernicus.eu/api\n"


def only(findings):
    (found,) = findings
    return found


@pytest.fixture
def rc(hermetic):
    """File of the account."""
    return hermetic / ".cdsapirc"


def test_no_account(config, rc):
    with pytest.raises(ConfigurationError, match="no credentials for the Climate Data Store"):
        list(credentials(config))
    config["categories"] = ["B"]
    assert only(credentials(config)).level is Level.OK


@pytest.mark.parametrize("key", [f"12345:{KEY}", ""])
def test_key_of_the_old_form_or_empty(config, rc, key):
    rc.write_text(f"{URL}key: {key}\n")
    if key:
        with pytest.raises(ConfigurationError, match="old form") as error:
            list(credentials(config))
        assert KEY not in str(error.value)
    else:
        assert "has 0 characters" in only(credentials(config)).what


def test_a_key_is_never_shown(config, rc):
    rc.write_text(f"{URL}key: {KEY}\n")
    rc.chmod(0o644)
    found = only(credentials(config))
    assert (found.level, found.remedy) == (Level.WARNING, f"chmod 600 {rc}")
    rc.chmod(0o600)
    good = only(credentials(config))
    rc.write_text(f"{URL}key: {KEY}x\n")
    malformed = only(credentials(config))
    assert (good.level, malformed.level) == (Level.OK, Level.WARNING)
    assert not any(KEY in str(f) for f in (found, good, malformed))


def test_archive_of_sqlite(config, tmp_path):
    def told():
        return only(archive(config, tmp_path, ["CTAO-North"], online=False))

    assert "the first night makes it" in told().what
    init_archive(tmp_path / "calibration_archive")
    assert told().what.endswith("opens, sites none yet; CTAO-North will be added")
    (tmp_path / "calibration_archive/gen3.sqlite3").write_text("no database at all, " * 100)
    with pytest.raises(StorageError, match="cannot be used"):
        told()
    config["domains"] = ["atmosphere"]
    assert told().what == "not asked for"


def test_database_elsewhere_is_not_asked(config, tmp_path):
    config["archive"]["database"] = "postgresql://me@db.invalid/calib"
    found = only(archive(config, tmp_path, [], online=False))
    assert (found.level, "--online asks" in found.what) == (Level.OK, True)


def test_password_of_postgresql(config, tmp_path, monkeypatch, hermetic):
    found = programs()
    if found is None:
        reason = "no PostgreSQL: install Debian's package postgresql"
        if os.environ.get("CI"):
            pytest.fail(f"{reason}; in CI that is a failure")
        pytest.skip(reason)
    server = PostgreSQL(found, password="s3cret")
    try:
        address = f"postgresql://calibpipe@127.0.0.1:{server.port}/postgres"
        config["archive"]["database"] = address
        monkeypatch.setenv("PGPASSWORD", "wr0ng")
        refused = only(archive(config, tmp_path, [], online=False))
        assert (refused.level, refused.exit_code) == (Level.FAIL, 102)
        assert "password authentication failed" in refused.what
        assert "wr0ng" not in str(refused)
        monkeypatch.setenv("PGPASSWORD", "s3cret")
        assert only(archive(config, tmp_path, [], online=False)).level is Level.OK
        server.stop()
        stopped = only(archive(config, tmp_path, [], online=False))
        assert (stopped.level, "refused" in stopped.what) == (Level.FAIL, True)
    finally:
        server.close()


def test_servers_that_answer_and_do_not(hermetic):
    server = FileServer()
    try:
        there = only(reachable({"files": server.url}))
    finally:
        server.close()
    gone = only(reachable({"files": server.url}))
    assert there.level is Level.OK
    assert (gone.level, gone.exit_code) == (Level.FAIL, 100)
    assert "does not answer (ConnectionError)" in gone.what
