"""The real client of the Climate Data Store against a local store."""

import logging
import time
import traceback
from pathlib import Path

import pytest
from servers.http_files import Fault

from calibpipe.core import cds
from calibpipe.core.download import Patience
from calibpipe.core.exceptions import (
    ConfigurationError,
    CorruptedInputError,
    IntermittentError,
    MissingInputError,
)

DATASET = "reanalysis-era5-pressure-levels"
REQUEST = {"variable": ["temperature"], "time": ["21:00"]}
CONTENT = b"GRIB" + bytes(200_000)


@pytest.fixture
def server(cds_server):
    cds_server.result_of = lambda _: CONTENT
    return cds_server


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "era5.grib"


def is_whole(path: Path) -> None:
    if path.read_bytes() != CONTENT:
        raise CorruptedInputError(f"{path} has other bytes")


def retrieve(target: Path, tell=lambda _: None, **options) -> Path:
    patience = Patience(**({"tries": 3, "backoff": 0.001, "timeout": 2.0} | options))
    return cds.retrieve(
        DATASET, REQUEST, target, check=is_whole, patience=patience, poll=0.01, tell=tell
    )


def leftovers(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir() if path != target)


def told(error: BaseException) -> str:
    """Everything that Python would print of an error."""
    return "".join(traceback.format_exception(error))


def test_a_request_goes_through_the_queue(server, target):
    lines = []
    assert retrieve(target, tell=lines.append) == target
    assert target.read_bytes() == CONTENT
    assert leftovers(target) == []
    assert [job.request for job in server.jobs.values()] == [REQUEST]
    assert server.paths("POST") == [f"POST /api/retrieve/v1/processes/{DATASET}/execution"]
    assert len(server.paths(r"GET .*/jobs/job-1$")) >= 3  # accepted, running, successful
    states = [line.rpartition(" ")[2] for line in lines if "status has been updated" in line]
    assert states == ["accepted", "running", "successful"]


def test_a_result_that_is_ready_at_once_is_not_waited_for(server, target, monkeypatch):
    server.states = ["successful"]
    monkeypatch.setattr(Patience, "pause", lambda *_: pytest.fail("a pause"))
    assert retrieve(target) == target


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_name_the_files_of_the_client(server, target, status, monkeypatch):
    if status == 401:
        monkeypatch.setenv("CDSAPI_KEY", "a-wrong-key")
    else:
        server.refusal = (403, "required licences not accepted", "please visit https://x.org/l")
    with pytest.raises(ConfigurationError, match=r"~/\.cdsapirc, or set CDSAPI_URL") as info:
        retrieve(target)
    assert info.value.exit_code == 101
    assert f"{status} Client Error" in str(info.value)
    assert ("https://x.org/l" in str(info.value)) == (status == 403)
    assert "wrong-key" not in told(info.value)
    assert leftovers(target) == []


def test_no_credentials(server, target, monkeypatch):
    monkeypatch.delenv("CDSAPI_KEY")
    with pytest.raises(ConfigurationError, match="no credentials for the Climate Data Store"):
        retrieve(target)
    assert server.hits == []


def test_an_unreadable_file_of_credentials_is_not_quoted(server, target, hermetic, monkeypatch):
    monkeypatch.delenv("CDSAPI_KEY")
    (hermetic / ".cdsapirc").write_text(f"key: {server.key}\nverify: {server.key}\n")
    with pytest.raises(ConfigurationError, match="no credentials") as info:
        retrieve(target)
    assert server.key not in told(info.value)


def test_credentials_from_the_file(server, target, hermetic, monkeypatch):
    monkeypatch.delenv("CDSAPI_KEY")
    monkeypatch.delenv("CDSAPI_URL")
    (hermetic / ".cdsapirc").write_text(f"url: {server.api}\nkey: {server.key}\n")
    retrieve(target)
    assert target.read_bytes() == CONTENT


def test_a_key_of_the_old_form(server, target, monkeypatch):
    monkeypatch.setenv("CDSAPI_KEY", "12345:old-secret")
    with pytest.raises(ConfigurationError, match="old form <number>:<key>") as info:
        retrieve(target)
    assert "old-secret" not in told(info.value)
    assert server.hits == []


def test_a_wrong_address_is_missing_input(server, target, monkeypatch):
    monkeypatch.setenv("CDSAPI_URL", f"{server.url}/api/v2")
    with pytest.raises(MissingInputError, match=r"404 .*check the night and the URL") as info:
        retrieve(target)
    assert info.value.exit_code == 105
    assert server.paths("POST") == []


def test_data_that_are_not_there_yet(server, target):
    reason = "None of the data you have requested is available yet. Latest date: 2026-09-15"
    server.refusal = (400, "invalid request", reason)
    with pytest.raises(MissingInputError, match=r"available yet\. Latest date: 2026-09-15"):
        retrieve(target)
    assert len(server.paths("POST")) == 1


def test_a_rejected_job_gives_the_reason_and_is_not_asked_again(server, target):
    server.states = ["accepted", "rejected"]
    server.reason = "cost limits exceeded"
    with pytest.raises(MissingInputError, match=r"rejected: .*cost limits exceeded; asking again"):
        retrieve(target)
    assert len(server.paths("POST")) == 1
    assert leftovers(target) == []


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("The job failed with: MultiAdaptorNoDataError", MissingInputError),
        ("None of the data you have requested is available yet", MissingInputError),
        ("The worker was restarted", IntermittentError),
        ("MARS server lost the connection", IntermittentError),
    ],
)
def test_a_failed_job_may_be_asked_again_unless_there_are_no_data(server, target, reason, expected):
    server.states = ["running", "failed"]
    server.reason = reason
    with pytest.raises(expected, match=f"the job is failed: .*{reason}"):
        retrieve(target)
    assert leftovers(target) == []  # the job is forgotten: the next run submits a new one


@pytest.mark.parametrize("state", ["dismissed", "deleted", "on holiday"])
def test_a_job_that_went_away_may_be_asked_again(server, target, state):
    server.states = [state]
    with pytest.raises(IntermittentError, match=f"{state}"):
        retrieve(target)
    assert leftovers(target) == []


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_may_pass_is_tried_again(server, target, status):
    server.faults = [Fault("status", status), Fault("status", status)]
    retrieve(target)
    assert target.read_bytes() == CONTENT


def test_a_failure_in_the_middle_of_the_queue_is_tried_again(server, target):
    lines = []
    server.states = ["running", "successful"]
    server.faults = [*([None] * 3), Fault("status", 502), Fault("hang")]
    retrieve(target, timeout=0.1, notify=lines.append)
    assert target.read_bytes() == CONTENT
    assert len(server.paths("POST")) == 1
    assert len(lines) == 2


@pytest.mark.parametrize("status", [429, 500])
def test_what_does_not_pass_is_intermittent(server, target, status):
    server.always = Fault("status", status)
    with pytest.raises(
        IntermittentError, match=f"answers {status} .*gave up after 3 tries"
    ) as info:
        retrieve(target)
    assert info.value.exit_code == 100
    assert len(server.hits) == 3  # the client's first request; it is not allowed another


def test_a_store_that_never_answers(server, target):
    server.always = Fault("hang")
    begin = time.monotonic()
    with pytest.raises(IntermittentError, match=r"no answer within 0\.1 s; gave up after 2 tries"):
        retrieve(target, tries=2, timeout=0.1)
    assert time.monotonic() - begin < 2.0


def test_nobody_listens(server, target):
    server.server_close()
    with pytest.raises(IntermittentError, match="no connection"):
        retrieve(target, tries=2)


def test_a_web_page_instead_of_the_store(server, target):
    server.always = Fault("html")
    with pytest.raises(CorruptedInputError, match="not that of a Climate Data Store") as info:
        retrieve(target)
    assert info.value.exit_code == 104


def test_a_web_page_instead_of_the_result(server, target):
    server.asset_faults = [Fault("html")]
    with pytest.raises(CorruptedInputError, match="a web page"):
        retrieve(target)
    assert leftovers(target) == []
    assert not target.exists()


def test_a_truncated_result_is_resumed(server, target):
    server.asset_faults = [Fault("truncate", n_bytes=150_000)]
    retrieve(target)
    assert target.read_bytes() == CONTENT
    ranges = [hit.headers["Range"] for hit in server.hits if hit.path.startswith("/cache")]
    assert ranges == [None, "bytes=131072-"]


def test_a_queue_longer_than_the_deadline_is_continued_by_the_next_run(server, target):
    server.states = ["running"]
    with pytest.raises(IntermittentError, match="not done within 1 s"):
        retrieve(target, deadline=1.0)
    assert leftovers(target) == [".era5.grib.job"]
    server.jobs["job-1"].states = ["successful"]
    retrieve(target)
    assert target.read_bytes() == CONTENT
    assert len(server.paths("POST")) == 1
    assert leftovers(target) == []


@pytest.fixture
def interrupted(server, target, monkeypatch):
    """A run that was interrupted while its job was in the queue."""
    server.states = ["running", "successful"]

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Patience, "pause", interrupt)
        with pytest.raises(KeyboardInterrupt):
            retrieve(target)


@pytest.mark.usefixtures("interrupted")
def test_an_interrupt_in_the_queue_is_continued_by_the_next_run(server, target):
    assert leftovers(target) == [".era5.grib.job"]
    retrieve(target)
    assert target.read_bytes() == CONTENT
    assert len(server.paths("POST")) == 1


@pytest.mark.usefixtures("interrupted")
@pytest.mark.parametrize("fate", ["forgotten", "failed", "expired"])
def test_a_job_of_an_earlier_run_that_is_gone_is_submitted_anew(server, target, fate):
    server.states = ["successful"]
    if fate == "forgotten":
        del server.jobs["job-1"]
        server.jobs["other"] = None  # keeps the numbers of jobs going
    elif fate == "failed":
        server.jobs["job-1"].states = ["failed"]
    else:
        server.jobs["job-1"].states = ["successful"]
        server.expired = True
    retrieve(target)
    assert target.read_bytes() == CONTENT
    assert len(server.paths("POST")) == 2


def test_a_result_that_is_gone_at_once_is_missing_input(server, target):
    server.expired = True
    with pytest.raises(MissingInputError, match="answers 404"):
        retrieve(target)
    assert len(server.paths("POST")) == 1
    assert leftovers(target) == []


@pytest.mark.parametrize(
    "fault", [None, "status", "html", "hang", "truncate", "refusal", "failed", "userinfo"]
)
def test_the_key_appears_nowhere(server, target, fault, request):
    caplog, capfd, monkeypatch = map(request.getfixturevalue, ("caplog", "capfd", "monkeypatch"))
    caplog.set_level(logging.DEBUG)
    lines = []
    server.states = ["successful"]
    if fault in ("status", "hang"):
        server.always = Fault(fault)
    elif fault in ("html", "truncate"):
        server.asset_faults = [Fault(fault)] * 2
    elif fault == "refusal":  # a server that quotes what it was sent
        server.refusal = (403, f"the key {server.key} is not known", f"PRIVATE-TOKEN {server.key}")
    elif fault == "failed":
        server.states, server.reason = ["failed"], f"no data for {server.key}"
    elif fault == "userinfo":
        address = server.api.removeprefix("http://")
        monkeypatch.setenv("CDSAPI_URL", f"http://observer:{server.key}@{address}/wrong")
    error = None
    try:
        retrieve(target, tell=lines.append, notify=lines.append, tries=2, timeout=0.1)
    except Exception as raised:  # whatever it is, it must not tell
        error = told(raised)
    assert (error is None) == (fault is None)
    streams = capfd.readouterr()
    everything = f"{error} {lines} {caplog.text} {streams.out} {streams.err}"
    assert server.key not in everything
    kept = b"".join(path.read_bytes() for path in target.parent.glob(".*") if path.is_file())
    assert server.key.encode() not in kept
    assert b"Signature" not in kept
