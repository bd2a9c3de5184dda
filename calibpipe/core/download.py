"""Files over HTTP(S): complete, checked and resumable, or not there at all.

A file grows beside its final name and is renamed when its length is right and the caller's check
has read it. What an interrupted run leaves behind is continued with a Range request, if the
server still has the same file. Credentials come from ``~/.netrc`` (as `requests` reads it) and
appear in no message: URLs are shown without user, password and query.
"""

import errno
import fcntl
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import requests
from tqdm import tqdm

from .exceptions import (
    CalibPipeError,
    ConfigurationError,
    CorruptedInputError,
    MissingInputError,
    StorageError,
)
from .patience import PassingError, Patience, network_errors, public_url, raise_for_passing

__all__ = ["Patience", "download", "exclusive", "public_url"]

CHUNK = 2**16  # bytes read at once: as many are lost when a connection breaks off
_STORAGE = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG}
)
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})
_WEB_PAGE = re.compile(rb"\s*<(!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_TITLE = re.compile(rb"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)


@contextmanager
def exclusive(path: str | Path, patience: Patience) -> Iterator[None]:
    """Let one process or thread at a time work on a file; the others wait.

    The lock is an empty file beside `path`; it ends with the process, however that ends.

    Raises
    ------
    IntermittentError
        If the other one has not finished before the deadline.
    StorageError
        If the folder cannot be written or its file system knows no locks.
    """
    path = Path(path)
    lock = path.with_name(f".{path.name}.lock")
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        stream = _locked(lock, path, patience)
    except OSError as error:
        remedy = "choose a folder that can be written"
        if error.errno in _NO_LOCKS:
            remedy = "its file system has no file locks: choose a folder on another one"
        raise StorageError(f"cannot lock {path}: {error.strerror or error}; {remedy}") from error
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        stream.close()


def _locked(lock: Path, path: Path, patience: Patience) -> IO:
    waiting = False
    while True:
        stream = lock.open("a")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if lock.exists() and os.path.samestat(os.fstat(stream.fileno()), lock.stat()):
                return stream
            stream.close()  # its last owner has removed it meanwhile
        except BlockingIOError:
            stream.close()
            if not waiting:
                patience.notify(f"{path}: another process works on it, waiting")
            waiting = True
            patience.pause(0.05, f"waiting for another process that works on {path}")
        except BaseException:
            stream.close()
            raise


def download(
    url: str,
    path: str | Path,
    *,
    check: Callable[[Path], object],
    patience: Patience | None = None,
    size: int | None = None,
    credentials: str = "",
) -> Path:
    """Download a file; it appears under its name when it is complete and has passed `check`.

    Parameters
    ----------
    url : str
        Where from. User and password belong into ``~/.netrc``.
    path : path
        Where to.
    check : callable
        Reads the file (under a temporary name) and raises a `CalibPipeError` if it is not good.
    patience : Patience, optional
        Tries and times.
    size : int, optional
        Length in bytes, if known from elsewhere.
    credentials : str
        What to do when the server refuses the credentials; a sentence for people.

    Raises
    ------
    MissingInputError
        The server has no such file (404, 410).
    ConfigurationError
        The server refuses (401, 403, other 4xx), its certificate is not valid, or the URL is none.
    IntermittentError
        5xx, 429, time-outs, broken connections and truncated bodies in every try, or too late.
    CorruptedInputError
        The answer is a web page, or `check` says so.
    StorageError
        The disk is full or cannot be written; nothing is left behind.
    """
    path, patience = Path(path), patience or Patience()
    what = f"download of {public_url(url)}"
    transfer = _Transfer(url, path, check, patience, size, credentials, what)
    with exclusive(transfer.part, patience), requests.Session() as session:
        return patience.attempt(what, lambda: transfer.run(session))


@dataclass
class _Transfer:
    """One file on its way; `part` and `state` survive an interrupted run."""

    url: str
    path: Path
    check: Callable[[Path], object]
    patience: Patience
    size: int | None
    credentials: str
    what: str

    @property
    def part(self) -> Path:
        return self.path.with_name(f".{self.path.name}.part")

    @property
    def state(self) -> Path:
        return self.path.with_name(f".{self.path.name}.part.json")

    def run(self, session: requests.Session) -> Path:
        """One try."""
        try:
            begin, total = self.receive(session)
            self.inspect(begin, total)
            self.part.replace(self.path)
            self.state.unlink(missing_ok=True)
        except OSError as error:
            if error.errno not in _STORAGE:
                raise
            self.discard()
            raise StorageError(
                f"cannot write {self.path}: {error.strerror}. Nothing was left half-written; free "
                "space or choose another folder and run the same command again"
            ) from error
        return self.path

    def receive(self, session: requests.Session) -> tuple[int, int | None]:
        """First byte of this transfer and length of the file; the bytes are in `part`."""
        earlier = self.earlier()
        headers = {"Accept-Encoding": "identity"}
        if earlier["done"]:
            headers |= {"Range": f"bytes={earlier['done']}-", "If-Range": earlier["validator"]}
        with (
            network_errors(self.patience),
            session.get(
                self.url,
                headers=headers,
                stream=True,
                timeout=self.patience.allowed(self.what),
            ) as response,
        ):
            self.judge(response)
            begin, total = self.extent(response, earlier)
            self.write(response, begin, total)
        return begin, total

    def earlier(self) -> dict[str, Any]:
        """What an earlier run left: bytes done, length of the file, validator for `If-Range`."""
        nothing = {"done": 0, "total": None, "validator": ""}
        try:
            state = json.loads(self.state.read_text())
            state["done"] = self.part.stat().st_size
            complete = state["total"] is not None and state["done"] >= state["total"]
            usable = state["url"] == public_url(self.url) and state["validator"] and not complete
        except (OSError, ValueError, KeyError, TypeError):
            return nothing
        return state if usable else nothing

    def judge(self, response: requests.Response) -> None:
        """Raise what a status or a content type means."""
        raise_for_passing(response)
        status = f"{self.what}: the server answers {response.status_code} {response.reason}"
        if response.status_code in (404, 410):
            raise MissingInputError(f"{status}; it has no such file (yet)")
        if response.status_code in (401, 403, 407):
            host = urlsplit(response.url).hostname
            remedy = self.credentials or f"put a login for {host} into ~/.netrc"
            raise ConfigurationError(f"{status}: it does not accept the credentials; {remedy}")
        if response.status_code == 416:  # what is there does not fit the file of today
            self.discard()
            raise PassingError("what an earlier run left does not fit, starting anew", wait=0.0)
        if 400 <= response.status_code < 500:
            raise ConfigurationError(f"{status}: it does not accept the request; check the URL")
        if response.status_code not in (200, 206):
            raise CorruptedInputError(f"{status}, needs 200 or 206; check the URL")
        if response.headers.get("Content-Type", "").lower().startswith("text/html"):
            raise self.web_page(next(response.iter_content(4096), b""))

    def web_page(self, start: bytes) -> CorruptedInputError:
        title = _TITLE.search(start)
        name = f" ({title[1].decode(errors='replace').strip()[:80]})" if title else ""
        return CorruptedInputError(
            f"{self.what}: the server sent a web page{name} instead of data, with status 200; "
            "open the URL in a browser: it may ask for a login or be under maintenance"
        )

    def extent(
        self, response: requests.Response, earlier: dict[str, Any]
    ) -> tuple[int, int | None]:
        """First byte and total length that a response announces; notes them for a later run."""
        begin, total = 0, response.headers.get("Content-Length", self.size)
        validator = _validator(response)
        if response.status_code == 206:
            content_range = response.headers.get("Content-Range", "")
            found = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", content_range)
            begin, total = map(int, found.groups()) if found else (-1, None)
            same = begin == earlier["done"] and earlier["total"] in (None, total)
            if not same or validator not in ("", earlier["validator"]):
                self.discard()
                raise PassingError("the server continues with another file, anew", wait=0.0)
        total = None if total is None else int(total)
        if self.size is not None and total != self.size:
            raise PassingError(f"the server offers {total} bytes, needs {self.size}")
        if response.status_code == 200:
            self.part.unlink(missing_ok=True)  # the state below is not that of older bytes
            state = {"url": public_url(self.url), "total": total, "validator": validator}
            self.state.write_text(json.dumps(state))
        return begin, total

    def write(self, response: requests.Response, begin: int, total: int | None) -> None:
        disable = os.environ.get("TQDM_DISABLE", "") not in ("", "0") or None  # None: no terminal
        with (
            self.part.open("ab") as stream,
            tqdm(
                desc=self.path.name,
                total=total,
                initial=begin,
                unit="B",
                unit_scale=True,
                leave=False,
                disable=disable,
            ) as bar,
        ):
            for chunk in response.iter_content(CHUNK):
                if stream.tell() == 0 and _WEB_PAGE.match(chunk):
                    self.discard()
                    raise self.web_page(chunk)
                stream.write(chunk)
                bar.update(len(chunk))
                self.patience.allowed(self.what)
            stream.flush()
            os.fsync(stream.fileno())

    def inspect(self, begin: int, total: int | None) -> None:
        """Length and content of what has arrived."""
        length = self.part.stat().st_size
        if total is not None and length != total:
            if length > total:
                self.discard()
            raise PassingError(f"{length} of {total} bytes arrived")
        try:
            self.check(self.part)
        except CalibPipeError as error:
            self.discard()
            reason = str(error).replace(str(self.part), self.path.name)
            if begin > 0 or total is None:  # pieces that do not fit, or an unnoticed end
                raise PassingError(reason) from None
            raise type(error)(f"{self.what}: {reason}") from error

    def discard(self) -> None:
        self.part.unlink(missing_ok=True)
        self.state.unlink(missing_ok=True)


def _validator(response: requests.Response) -> str:
    """What `If-Range` may compare: a strong entity tag, or else a date; empty if neither."""
    etag = response.headers.get("ETag", "")
    return etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")
