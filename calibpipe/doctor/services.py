"""Accounts, archive, and servers that nights need."""

import os
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..core.exceptions import IntermittentError, StorageError
from .finding import Finding, fail, ok, warning

__all__ = ["archive", "credentials", "reachable"]

_LOCAL = ("", "localhost", "127.0.0.1", "::1")
_SECONDS = 10.0  # that a server may take to answer


def credentials(config: Mapping[str, Any]) -> Iterator[Finding]:
    """Account of the Climate Data Store: there and well-formed. It is never shown.

    Raises
    ------
    ConfigurationError
        If there is none, or one of the old form.
    """
    if config["meteo"]["source"] != "archive" or "C" not in config["categories"]:
        yield ok("Climate Data Store: not needed (ERA5 is not asked for)")
        return
    from ..core.cds import credentials_key

    key = credentials_key()
    path = Path(os.environ.get("CDSAPI_RC", "~/.cdsapirc")).expanduser()
    if not _is_uuid(key):
        yield warning(
            f"Climate Data Store: the key has {len(key)} characters and is no UUID",
            "copy it once more from your profile on the store's page",
        )
    elif path.is_file() and path.stat().st_mode & 0o077:
        yield warning(f"{path} can be read by others", f"chmod 600 {path}")
    else:
        yield ok("Climate Data Store: a key is there (whether it is accepted, the store says)")


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def archive(
    config: Mapping[str, Any], base: Path, sites: Sequence[str], *, online: bool
) -> Iterator[Finding]:
    """The archive: it opens, knows the sites; a database of other machines only if `online`.

    Raises
    ------
    ConfigurationError, StorageError
        As `calibpipe.archive.repository.open_archive`.
    """
    if "archive" not in config["domains"]:
        yield ok("not asked for")
        return
    location = base / config["archive"]["location"]
    if not (location / "butler.yaml").is_file():
        yield from _new_archive(config["archive"]["database"], location, online=online)
        return
    database = _database(location)
    if not online and not _is_local(database):
        yield ok(f"{location}: its database is on {urlsplit(database).hostname} (--online asks it)")
        return
    from ..archive.repository import open_archive

    there = open_archive(location).sites
    new = sorted(set(sites) - set(there))
    more = f"; {', '.join(new)} will be added" if new else ""
    yield ok(f"{location} opens, sites {', '.join(there) or 'none yet'}{more}")


def _new_archive(database: str, location: Path, *, online: bool) -> Iterator[Finding]:
    if not database:
        yield ok(f"{location}: not there, the first night makes it")
    elif not online and not _is_local(database):
        host = urlsplit(database).hostname
        yield ok(f"{location}: the first night makes it in {host} (--online asks that database)")
    else:
        yield _answer_of_database(database, location)


def _answer_of_database(database: str, location: Path) -> Finding:
    """Whether PostgreSQL lets us in, before there is an archive."""
    import psycopg2

    from ..archive.repository import without_password

    shown = without_password(database)
    try:
        psycopg2.connect(database, connect_timeout=int(_SECONDS)).close()
    except psycopg2.Error as error:
        reason = (without_password(str(error)).strip().splitlines() or ["no answer"])[0]
        return fail(
            f"{shown} does not let us in: {reason}",
            "start it; the password belongs into ~/.pgpass or PGPASSWORD (docs/archive.md)",
            StorageError,
        )
    return ok(f"{shown} answers; the first night makes {location}")


def _database(location: Path) -> str:
    """Address of an archive's database; empty for SQLite."""
    found = re.search(r"^\s*db:\s*['\"]?(postgresql\S*?)['\"]?\s*$", _text(location), re.MULTILINE)
    return found[1] if found else ""


def _text(location: Path) -> str:
    try:
        return (location / "butler.yaml").read_text()
    except OSError as error:
        raise StorageError(
            f"cannot read {location}/butler.yaml: {error.strerror}; change its rights"
        ) from error


def _is_local(database: str) -> bool:
    """Whether a database is a file, or on this machine."""
    return (urlsplit(database).hostname or "") in _LOCAL


def reachable(addresses: Mapping[str, str]) -> Iterator[Finding]:
    """Whether servers answer at all.

    Parameters
    ----------
    addresses : mapping
        URL by name.
    """
    import requests

    for name, url in addresses.items():
        try:
            with requests.get(url, timeout=_SECONDS, stream=True) as answer:
                status = answer.status_code
        except requests.RequestException as error:
            reason = type(error).__name__
        else:
            reason = f"status {status}" if status >= 500 else ""
        host = urlsplit(url).hostname
        if reason:
            yield fail(
                f"{name} at {host} does not answer ({reason})",
                "try later; behind a proxy set HTTPS_PROXY",
                IntermittentError,
            )
        else:
            yield ok(f"{name} at {host} answers")
