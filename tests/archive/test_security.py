"""Hostile names, passwords, wrong repositories, a database that is gone."""

import logging

import pytest
from lsst.daf.butler import Butler
from products import OFFSET, SIGNED, TEL_IDS, at, candidate, hours, product

from calibpipe.archive.certify import certify
from calibpipe.archive.history import changes, products
from calibpipe.archive.lookup import lookup
from calibpipe.archive.observatory import upload_site
from calibpipe.archive.repository import init_archive, open_archive, without_password
from calibpipe.archive.validity import moment
from calibpipe.core.exceptions import ConfigurationError, MissingInputError, StorageError

HOSTILE = [
    "../../etc",
    "/etc/passwd",
    "a'; DROP TABLE site; --",
    'a" OR "1"="1',
    "a\nb",
    "a\x00b",
    "x" * 10_000,
    "LSTN 01",
    "Ⅼ",
    "",
    ".",
    "..",
    "a..b",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_refused(sqlite_archive, tmp_path, name):
    files = set(tmp_path.rglob("*"))
    header = product(tmp_path / "made", 1)
    for keys in ({"site": name}, {"array_element": name}, {"night": name}, {"kind": name}):
        if name == "" and "night" in keys:
            continue  # a product that is not of one night
        wrong = type(header)(**(header.__dict__ | keys))
        with pytest.raises(ConfigurationError) as error:
            certify(sqlite_archive, [candidate(wrong, hours(1, 2))], **SIGNED)
        assert len(str(error.value)) < 1500
    for keys in (
        {"site": name, "telescope": "LSTN-01"},
        {"site": "CTAO-North", "telescope": name},
    ):
        with pytest.raises(ConfigurationError):
            lookup(sqlite_archive, OFFSET, time=at(1), **keys)
    with pytest.raises(ConfigurationError):
        lookup(sqlite_archive, name, "CTAO-North", at(1))
    with pytest.raises(ConfigurationError):
        lookup(
            sqlite_archive, OFFSET, "CTAO-North", at(1), telescope="LSTN-01", category=name or "A"
        )
    assert not [p for p in products(sqlite_archive) if p["kind"] == OFFSET]
    made = set((tmp_path / "made").rglob("*")) | {tmp_path / "made"}
    lock = {sqlite_archive.location / ".writer.lock"}
    journal = {p for p in tmp_path.rglob("*") if "sqlite3-" in p.name}
    assert set(tmp_path.rglob("*")) - files <= made | lock | journal


@pytest.mark.parametrize("text", ["", "  ", "x" * 10_000, "two\nlines", "a\x00b"])
def test_author_and_reason_are_lines(sqlite_archive, tmp_path, text):
    wanted = [candidate(product(tmp_path, 1), hours(1, 2))]
    for name in SIGNED:
        with pytest.raises(ConfigurationError, match=name):
            certify(sqlite_archive, wanted, **(SIGNED | {name: text}))


def test_any_text_is_only_text(archive, tmp_path):
    """Quotes and statements in a reason are kept word for word."""
    reason = 'it\'s "1"; DROP TABLE certification; -- \\ % :kind Ω'
    certify(
        archive, [candidate(product(tmp_path, 1), hours(1, 2))], author="O'Brien", reason=reason
    )
    (entry,) = changes(archive, kind=OFFSET)
    assert (entry["author"], entry["reason"]) == ("O'Brien", reason)
    assert changes(archive, author="O'Brien") == [entry]
    assert changes(archive, author="x' OR '1'='1") == []


@pytest.mark.parametrize("text", ["yesterday", "2024-13-01", "1" * 10_000, "2024-07-10T25:00"])
def test_what_is_no_time(text):
    with pytest.raises(ConfigurationError, match="is no time") as error:
        moment(text)
    assert len(str(error.value)) < 200


def test_without_password():
    hidden = without_password("cannot reach postgresql://me:s3cret@db:5432/x password=s3cret")
    assert "s3cret" not in hidden
    assert "postgresql://me:***@db:5432/x" in hidden
    assert without_password("postgresql://me@db/x") == "postgresql://me@db/x"


def test_a_password_in_the_address_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="holds a password") as error:
        init_archive(tmp_path / "a", "postgresql://me:s3cret@127.0.0.1:1/x")
    assert "s3cret" not in str(error.value)
    assert not (tmp_path / "a").exists()


def test_no_password_anywhere(tmp_path, north, monkeypatch, caplog, capfd):
    """A server that wants a password: it works, and is in no file, log or error."""
    from servers.postgresql import PostgreSQL, programs

    found = programs()
    if found is None:
        pytest.skip("no PostgreSQL: install Debian's package postgresql")
    server = PostgreSQL(found, password="s3cret-w0rd")
    try:
        address = server.new_database("calib")
        caplog.set_level(logging.DEBUG)
        monkeypatch.setenv("PGPASSWORD", "s3cret-w0rd")
        archive = init_archive(tmp_path / "archive", address)
        upload_site(archive, north, TEL_IDS)
        certify(archive, [candidate(product(tmp_path / "made", 1), hours(1, 2))], **SIGNED)
        assert lookup(archive, OFFSET, "CTAO-North", at(1), telescope="LSTN-01")
        monkeypatch.setenv("PGPASSWORD", "wr0ng-w0rd")
        with pytest.raises(StorageError, match="cannot be used") as error:
            open_archive(tmp_path / "archive")
        told = str(error.value) + caplog.text + "".join(capfd.readouterr())
    finally:
        server.close()
    assert "w0rd" not in told
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or b"w0rd" not in path.read_bytes()


def test_database_that_is_gone(tmp_path, north):
    from servers.postgresql import PostgreSQL, programs

    found = programs()
    if found is None:
        pytest.skip("no PostgreSQL: install Debian's package postgresql")
    server = PostgreSQL(found)
    try:
        archive = init_archive(tmp_path / "archive", server.new_database("calib"))
        upload_site(archive, north, TEL_IDS)
        server.stop()
        with pytest.raises(StorageError, match="see whether it runs"):
            certify(archive, [candidate(product(tmp_path / "made", 1), hours(1, 2))], **SIGNED)
        with pytest.raises(StorageError, match="see whether it runs"):
            open_archive(tmp_path / "archive")
        server.start()
        again = open_archive(tmp_path / "archive", writeable=True)
        certify(again, [candidate(product(tmp_path / "made", 1), hours(1, 2))], **SIGNED)
    finally:
        server.close()


def test_no_archive_and_foreign_repositories(tmp_path):
    with pytest.raises(MissingInputError, match="is no archive"):
        open_archive(tmp_path)
    Butler.makeRepo(str(tmp_path / "rubin"))
    with pytest.raises(ConfigurationError, match="universe daf_butler"):
        open_archive(tmp_path / "rubin")


def test_a_new_archive_needs_an_empty_folder(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/notes").write_text("mine")
    with pytest.raises(ConfigurationError, match="is not empty"):
        init_archive(tmp_path / "full")
    assert (tmp_path / "full/notes").read_text() == "mine"
    with pytest.raises(StorageError, match="cannot make the archive"):
        init_archive(tmp_path / "full/notes/archive")
    with pytest.raises(StorageError):
        init_archive(tmp_path / "new", "postgresql://nobody@127.0.0.1:1/none")
    assert not (tmp_path / "new").exists()


def test_sites_that_changed_are_refused(sqlite_archive, north):
    from dataclasses import replace

    new = upload_site(sqlite_archive, north, TEL_IDS)
    assert new == {"site": False, "seasons": [], "telescopes": []}
    with pytest.raises(ConfigurationError, match="with other values"):
        upload_site(sqlite_archive, replace(north, elevation=2 * north.elevation), TEL_IDS)
