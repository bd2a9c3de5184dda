"""Downloads from a local server that keeps to HTTP, or breaks it."""

import errno
import logging
import os
import socket
import stat
import subprocess
import sys
import threading
import time
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import requests
from servers.http_files import Fault

from calibpipe.core import download as module
from calibpipe.core import patience as patience_module
from calibpipe.core.download import Patience, download, exclusive
from calibpipe.core.exceptions import (
    ConfigurationError,
    CorruptedInputError,
    IntermittentError,
    MissingInputError,
    StorageError,
)

CONTENT = bytes(range(256)) * 4096  # 1 MiB, several chunks
NAME = "/data/file.grib2"
SECRET = "hush-" * 2


@pytest.fixture
def server(file_server):
    file_server.files[NAME] = CONTENT
    return file_server


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "file.grib2"


def is_whole(path: Path) -> None:
    if path.read_bytes() != CONTENT:
        raise CorruptedInputError(f"{path} has other bytes")


def fetch(server, target: Path, **options) -> Path:
    patience = Patience(**({"tries": 3, "backoff": 0.001, "timeout": 2.0} | options))
    return download(server.url + NAME, target, check=is_whole, patience=patience)


def leftovers(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir() if path != target)


def ranges(server) -> list[str | None]:
    return [hit.headers.get("Range") for hit in server.hits]


def told(error: BaseException) -> str:
    """Everything that Python would print of an error."""
    return "".join(traceback.format_exception(error))


def break_after(monkeypatch: pytest.MonkeyPatch, n_chunks: int, error: BaseException) -> None:
    """Let the connection of one transfer end with an error after some chunks."""
    whole = requests.Response.iter_content

    def broken(self, size):
        for number, chunk in enumerate(whole(self, size)):
            if number == n_chunks:
                raise error
            yield chunk

    monkeypatch.setattr(requests.Response, "iter_content", broken)


def test_a_file_arrives_and_nothing_else_stays(server, target):
    assert fetch(server, target) == target
    assert target.read_bytes() == CONTENT
    assert leftovers(target) == []
    assert len(server.hits) == 1


def test_permissions_follow_the_umask(server, target):
    old = os.umask(0o027)
    try:
        fetch(server, target)
    finally:
        os.umask(old)
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(server, target, status):
    server.faults = [Fault("status", status), Fault("status", status)]
    fetch(server, target)
    assert len(server.hits) == 3


@pytest.mark.parametrize("status", [429, 500])
def test_what_does_not_pass_is_intermittent(server, target, status):
    server.always = Fault("status", status)
    with pytest.raises(
        IntermittentError, match=f"answers {status} .*gave up after 3 tries"
    ) as info:
        fetch(server, target)
    assert info.value.exit_code == 100
    assert len(server.hits) == 3
    assert leftovers(target) == []


@pytest.mark.parametrize("status", [400, 405, 418])
def test_other_4xx_are_not_tried_again(server, target, status):
    server.always = Fault("status", status)
    with pytest.raises(ConfigurationError, match=f"answers {status}.*does not accept the request"):
        fetch(server, target)
    assert len(server.hits) == 1


def test_no_such_file_is_missing_input(server, target):
    server.files.clear()
    with pytest.raises(
        MissingInputError, match="answers 404 Not Found; it has no such file"
    ) as info:
        fetch(server, target)
    assert info.value.exit_code == 105
    assert len(server.hits) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_say_where_they_belong(server, target, status):
    server.always = Fault("status", status)
    with pytest.raises(ConfigurationError, match=r"login for 127\.0\.0\.1 into ~/\.netrc") as info:
        fetch(server, target)
    assert info.value.exit_code == 101
    assert len(server.hits) == 1


def test_a_moved_file_without_target_is_no_data(server, target):
    server.always = Fault("status", 304)
    with pytest.raises(CorruptedInputError, match=r"answers 304 .*needs 200 or 206"):
        fetch(server, target)


def test_a_circle_of_redirects(server, target):
    server.always = Fault("status", 302, headers=(("Location", server.url + NAME),))
    with pytest.raises(ConfigurationError, match="redirects in a circle"):
        fetch(server, target)


def test_a_redirect_to_another_place_is_followed(server, target):
    server.files["/mirror/x"] = CONTENT
    server.faults = [Fault("status", 307, headers=(("Location", f"{server.url}/mirror/x"),))]
    fetch(server, target)
    assert [hit.path for hit in server.hits] == [NAME, "/mirror/x"]


@pytest.mark.parametrize("kind", ["html", "disguised html"])
def test_a_web_page_is_no_data(server, target, kind):
    server.always = Fault(kind)
    with pytest.raises(CorruptedInputError, match=r"a web page \(Please log in\) instead") as info:
        fetch(server, target)
    assert info.value.exit_code == 104
    assert len(server.hits) == 1
    assert leftovers(target) == []


def test_a_truncated_body_is_resumed_where_it_ended(server, target):
    server.faults = [Fault("truncate", n_bytes=300_000), Fault("truncate", n_bytes=200_000)]
    fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert ranges(server)[0] is None
    begins = [int(text.removeprefix("bytes=").removesuffix("-")) for text in ranges(server)[1:]]
    assert 0 < begins[0] <= 300_000 < begins[1] <= 500_000
    assert server.hits[1].headers["If-Range"] == server.hits[2].headers["If-Range"]


def test_a_body_that_is_always_truncated_is_intermittent(server, target):
    server.files[NAME] = CONTENT[:1000]
    server.always = Fault("truncate", n_bytes=0)
    with pytest.raises(IntermittentError, match=r"connection broke off|0 of 1000 bytes"):
        fetch(server, target)
    assert not target.exists()


def test_a_server_that_ignores_ranges_starts_anew(server, target):
    server.faults = [Fault("truncate", n_bytes=300_000), Fault("ignore range")]
    fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert ranges(server)[1] is not None


def test_the_next_run_resumes(server, target):
    server.faults = [Fault("truncate", n_bytes=400_000)]
    with pytest.raises(IntermittentError):
        fetch(server, target, tries=1)
    assert not target.exists()
    fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert ranges(server)[1].startswith("bytes=")
    assert leftovers(target) == []


def test_a_file_that_changed_meanwhile_is_loaded_as_a_whole(server, target):
    server.files[NAME] = bytes(len(CONTENT))  # yesterday's
    server.faults = [Fault("truncate", n_bytes=400_000)]
    with pytest.raises(IntermittentError):
        fetch(server, target, tries=1)
    server.files[NAME] = CONTENT
    fetch(server, target)
    assert target.read_bytes() == CONTENT  # If-Range named yesterday's tag: the server sent all


def test_pieces_of_two_files_with_one_tag_are_found_by_the_check(server, target):
    server.etag = '"the same for ever"'
    server.files[NAME] = bytes(len(CONTENT))
    server.faults = [Fault("truncate", n_bytes=400_000)]
    with pytest.raises(IntermittentError):
        fetch(server, target, tries=1)
    server.files[NAME] = CONTENT
    fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert [text is None for text in ranges(server)] == [True, False, True]


def test_a_shorter_file_under_the_same_tag_starts_anew(server, target):
    server.etag = '"the same for ever"'
    server.files[NAME] = CONTENT + CONTENT
    server.faults = [Fault("truncate", n_bytes=len(CONTENT) + 400_000)]
    with pytest.raises(IntermittentError):
        fetch(server, target, tries=1)
    server.files[NAME] = CONTENT  # shorter than what is there: the server answers 416
    fetch(server, target)
    assert target.read_bytes() == CONTENT


def test_a_weak_tag_is_not_trusted(server, target):
    server.etag = 'W/"weak"'
    server.faults = [Fault("truncate", n_bytes=400_000)]
    fetch(server, target)
    assert ranges(server) == [None, None]


def test_damaged_leftovers_are_ignored(server, target):
    target.parent.mkdir()
    target.with_name(f".{target.name}.part").write_bytes(b"old")
    target.with_name(f".{target.name}.part.json").write_text("{")
    fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert ranges(server) == [None]


@pytest.mark.parametrize(
    "fault", [Fault("hang"), Fault("stall", n_bytes=1000)], ids=["no answer", "silence in the body"]
)
def test_a_silent_server_does_not_hold_us(server, target, fault):
    server.always = fault
    begin = time.monotonic()
    with pytest.raises(IntermittentError, match=r"no answer within 0\.1 s"):
        fetch(server, target, tries=2, timeout=0.1)
    assert time.monotonic() - begin < 2.0
    assert len(server.hits) == 2
    assert not target.exists()


def test_nobody_listens(server, target):
    server.server_close()
    with pytest.raises(IntermittentError, match="no connection"):
        fetch(server, target, tries=2)


def test_a_name_that_is_not_known(target, hermetic, monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(IntermittentError, match="its name is not known"):
        download("http://nowhere.invalid/x", target, check=is_whole, patience=Patience(tries=1))


def test_the_deadline_ends_tries_that_would_go_on(server, target):
    server.always = Fault("status", 503)
    with pytest.raises(IntermittentError, match=r"not done within 0\.3 s, the deadline"):
        fetch(server, target, tries=100, backoff=0.1, deadline=0.3)
    assert len(server.hits) < 4  # pauses of 0.1 s and 0.2 s


def test_pauses_double(server, target, monkeypatch):
    pauses = []
    monkeypatch.setattr(patience_module.time, "sleep", pauses.append)
    server.always = Fault("status", 503)
    with pytest.raises(IntermittentError):
        fetch(server, target, tries=4, backoff=1.5)
    assert pauses == [1.5, 3.0, 6.0]


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_goes_before_our_own_pause(server, target, monkeypatch, form):
    pauses = []
    monkeypatch.setattr(patience_module.time, "sleep", pauses.append)
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    value = "100" if form == "seconds" else date
    server.faults = [Fault("status", 429, headers=(("Retry-After", value),))]
    fetch(server, target, deadline=1000.0)
    assert pauses == [pytest.approx(100.0, abs=2.0)]  # dates have whole seconds


def test_retry_after_the_deadline_is_not_waited_for(server, target):
    server.faults = [Fault("status", 429, headers=(("Retry-After", "3600"),))]
    with pytest.raises(IntermittentError, match=r"429 .*not done within 5 s"):
        fetch(server, target, deadline=5.0)


def test_a_nonsensical_retry_after_is_left_out(server, target):
    server.faults = [Fault("status", 429, headers=(("Retry-After", "soon"),))]
    fetch(server, target)
    assert len(server.hits) == 2


def test_every_new_try_is_announced(server, target):
    lines = []
    server.faults = [Fault("status", 500)]
    fetch(server, target, notify=lines.append)
    assert len(lines) == 1
    assert "answers 500 Internal Server Error; try 2 of 3 in 0.001 s" in lines[0]


def test_content_that_fails_its_check_does_not_appear(server, target):
    server.files[NAME] = b"GRIB but not really"
    with pytest.raises(CorruptedInputError, match=r"file\.grib2 has other bytes") as info:
        fetch(server, target)
    assert ".part" not in str(info.value)
    assert len(server.hits) == 1
    assert leftovers(target) == []
    assert not target.exists()


def test_an_older_file_is_untouched_by_a_failure(server, target):
    target.parent.mkdir()
    target.write_bytes(b"yesterday")
    server.always = Fault("status", 500)
    with pytest.raises(IntermittentError):
        fetch(server, target)
    assert target.read_bytes() == b"yesterday"


def test_a_length_known_from_elsewhere_is_required(server, target):
    with pytest.raises(IntermittentError, match=f"offers {len(CONTENT)} bytes, needs 5"):
        download(
            server.url + NAME,
            target,
            check=is_whole,
            size=5,
            patience=Patience(tries=2, backoff=0.0),
        )


def test_an_interrupt_leaves_nothing_under_the_name_and_the_next_run_resumes(
    server, target, monkeypatch
):
    with monkeypatch.context() as patch:
        break_after(patch, 2, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            fetch(server, target)
    assert not target.exists()
    fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert ranges(server) == [None, f"bytes={2 * module.CHUNK}-"]
    assert leftovers(target) == []


def test_a_killed_process_leaves_nothing_under_the_name_and_the_next_run_resumes(server, target):
    server.faults = [Fault("stall", n_bytes=700_000)]
    code = (
        "import sys; from calibpipe.core.download import *\n"
        "download(sys.argv[1], sys.argv[2], check=lambda path: None)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, server.url + NAME, str(target)])
    part = target.with_name(f".{target.name}.part")
    limit = time.monotonic() + 10
    while not (part.exists() and part.stat().st_size >= module.CHUNK):
        assert time.monotonic() < limit, "the other process does not download"
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not target.exists()
    fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert int(ranges(server)[1].removeprefix("bytes=").removesuffix("-")) >= module.CHUNK
    assert leftovers(target) == []


def test_a_full_disk_is_a_storage_error_and_leaves_nothing(server, tmp_path):
    """On a real, tiny file system where we may make one, else on /dev/full's error number."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("no right to mount a small file system; see the test with /dev/full")
    try:
        with pytest.raises(StorageError, match="No space left on device") as info:
            fetch(server, folder / "file.grib2")
        assert list(folder.iterdir()) == []
    finally:
        subprocess.run(["umount", str(folder)], check=True)
    assert info.value.exit_code == 102


def test_a_write_error_is_a_storage_error_and_leaves_nothing(server, target, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(StorageError, match="Nothing was left half-written; free space"):
        fetch(server, target)
    assert leftovers(target) == []
    assert not target.exists()
    assert len(server.hits) == 1


def test_a_folder_that_cannot_be_made_is_a_storage_error(server, tmp_path):
    (tmp_path / "cache").write_text("a file, no folder")
    with pytest.raises(StorageError, match="choose a folder that can be written"):
        fetch(server, tmp_path / "cache" / "file.grib2")


def test_threads_on_one_file_do_not_disturb_each_other(server, target):
    errors = []

    def run():
        try:
            fetch(server, target)
        except Exception as error:  # a thread cannot fail a test by itself
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert target.read_bytes() == CONTENT
    assert leftovers(target) == []


def test_two_processes_on_one_file_do_not_disturb_each_other(server, target):
    code = (
        "import sys; from calibpipe.core.download import *\n"
        "download(sys.argv[1], sys.argv[2], check=lambda path: None)"
    )
    command = [sys.executable, "-c", code, server.url + NAME, str(target)]
    processes = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait(30) for process in processes] == [0, 0]
    assert target.read_bytes() == CONTENT
    assert leftovers(target) == []


def test_one_at_a_time(tmp_path):
    target = tmp_path / "x"
    running, most = 0, []

    def run():
        nonlocal running
        with exclusive(target, Patience()):
            running += 1
            most.append(running)
            time.sleep(0.005)
            running -= 1

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 6
    assert list(tmp_path.iterdir()) == []


def test_waiting_for_another_process_ends_at_the_deadline(tmp_path):
    lines = []
    with (
        exclusive(tmp_path / "x", Patience()),
        pytest.raises(IntermittentError, match="waiting for another process"),
        exclusive(tmp_path / "x", Patience(deadline=0.1, notify=lines.append)),
    ):
        pytest.fail("two at a time")
    assert len(lines) == 1


def test_a_file_system_without_locks_says_so(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(module.fcntl, "flock", unsupported)
    with (
        pytest.raises(StorageError, match="its file system has no file locks"),
        exclusive(tmp_path / "x", Patience()),
    ):
        pytest.fail("no lock")


def test_a_login_comes_from_netrc_and_appears_nowhere(server, target, hermetic, caplog):
    netrc = hermetic / ".netrc"
    netrc.write_text(f"machine 127.0.0.1 login observer password {SECRET}\n")
    netrc.chmod(0o600)
    caplog.set_level(logging.DEBUG)
    lines = []
    server.always = Fault("status", 503)
    with pytest.raises(IntermittentError) as info:
        fetch(server, target, notify=lines.append)
    assert server.hits[0].headers["Authorization"].startswith("Basic ")
    assert len(lines) == 2
    assert SECRET not in f"{told(info.value)} {lines} {caplog.text}"


@pytest.mark.parametrize("kind", ["status", "html", "hang", "truncate"])
def test_user_password_and_query_of_a_url_appear_in_no_message(server, target, kind, caplog):
    address = server.url.removeprefix("http://")
    server.always = Fault(kind, status=403 if kind == "status" else 500)
    lines = []
    with pytest.raises(Exception, match=r"127\.0\.0\.1:\d+/data/file\.grib2") as info:
        download(
            f"http://observer:{SECRET}@{address}{NAME}?token={SECRET}",
            target,
            check=is_whole,
            patience=Patience(tries=2, backoff=0.0, timeout=0.1, notify=lines.append),
        )
    assert SECRET not in f"{told(info.value)} {lines} {caplog.text}"


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/x", "127.0.0.1/x", "http://"])
def test_no_url_of_an_http_server(url, target, hermetic):
    with pytest.raises(ConfigurationError, match="no URL of an HTTP server"):
        download(url, target, check=is_whole)


def test_an_encrypted_connection_to_a_plain_server(server, target):
    url = server.url.replace("http:", "https:") + NAME
    with pytest.raises(ConfigurationError, match="certificate"):
        download(url, target, check=is_whole, patience=Patience(tries=1))
