"""Requests to the Copernicus Climate Data Store through its own client, `cdsapi`.

The client submits a request and asks for its state; this module adds patience (tries, back-off,
deadline), continues a job that an earlier run left in the queue, fetches the result as every
other file (`calibpipe.core.download`) and says in our errors what went wrong. The key is read by
the client (``~/.cdsapirc``, ``CDSAPI_URL`` and ``CDSAPI_KEY``) and appears nowhere.
"""

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cdsapi
import requests
from ecmwf.datastores.processing import LinkError, ProcessingFailedError

from .download import download, exclusive
from .exceptions import (
    CalibPipeError,
    ConfigurationError,
    CorruptedInputError,
    IntermittentError,
    MissingInputError,
)
from .patience import Patience, network_errors, raise_for_passing, without_secrets

__all__ = ["credentials_key", "retrieve"]


def _silent(message: str) -> None:
    """Tell nobody."""


_CREDENTIALS = (
    "register with the Climate Data Store and put `url:` and `key:` into ~/.cdsapirc, or set "
    "CDSAPI_URL and CDSAPI_KEY"
)
# What the client raises when the answers are not those of a data store.
_STRANGE = (LinkError, ValueError, KeyError, TypeError, AttributeError, AssertionError)
# What the reason of a failed job says when it would fail again.
_NO_DATA = re.compile(
    r"no\s?data|not available|available yet|no matching|not valid|invalid|outside|too large|limit",
    re.IGNORECASE,
)


def retrieve(
    dataset: str,
    request: dict[str, Any],
    path: str | Path,
    *,
    check: Callable[[Path], object],
    patience: Patience,
    poll: float = 120.0,
    tell: Callable[[str], object] = _silent,
) -> Path:
    """Retrieve a request to a file; it appears when it is complete and has passed `check`.

    Parameters
    ----------
    dataset : str
        Name of the data set in the store.
    request : dict
        Request in the store's own words.
    path : path
        Where to. The number of a job in the queue is kept beside it until the file is there.
    check : callable
        As in `calibpipe.core.download.download`.
    patience : Patience
        Tries and times; its deadline includes the time in the queue.
    poll : float
        Longest time between two questions about the job's state, in seconds.
    tell : callable
        Called with the store's messages: the state of the job, announcements.

    Raises
    ------
    ConfigurationError
        No credentials, or they are refused (401, 403), or the licence is not accepted.
    MissingInputError
        The store has no such data, or rejects the request.
    IntermittentError
        5xx, 429, time-outs and broken connections in every try, a job that failed for a reason
        that may pass, or the deadline.
    CorruptedInputError
        The answer is not that of a data store, or `check` says so.
    StorageError
        The disk is full or cannot be written.
    """
    path = Path(path)
    key = credentials_key()
    ticket = path.with_name(f".{path.name}.job")
    with exclusive(ticket, patience), _PatientSession(patience) as session:
        with _our_errors(key):
            client = _client(session, key, tell)
        while True:
            with _our_errors(key):
                job, continued = _job(client, dataset, request, ticket)
            try:
                with _our_errors(key):
                    location, size = _result(job, ticket, patience, poll)
                download(location, path, check=check, patience=patience, size=size)
            except (MissingInputError, CorruptedInputError):
                ticket.unlink(missing_ok=True)
                if not continued:  # else its result has expired meanwhile: submit it anew, once
                    raise
            else:
                ticket.unlink(missing_ok=True)
                return path


def credentials_key() -> str:
    """Key of the store's user, as the client reads it; to be shown to nobody.

    Raises
    ------
    ConfigurationError
        If there is none, or one of the old form.
    """
    try:
        _, key, _ = cdsapi.api.get_url_key_verify(None, None, None)
    except Exception:  # the client raises no narrower one; its text may quote the file
        raise ConfigurationError(
            f"no credentials for the Climate Data Store; {_CREDENTIALS}"
        ) from None
    if ":" in key:
        raise ConfigurationError(
            "the key of the Climate Data Store is of the old form <number>:<key>, which the store "
            f"no longer takes; {_CREDENTIALS}"
        )
    return key


class _PatientSession(requests.Session):
    """Session that tries again what may pass, and lets no request outlive the deadline."""

    def __init__(self, patience: Patience):
        super().__init__()
        self.patience = patience
        self.failure: CalibPipeError | None = None

    def request(  # type: ignore[override] # all options by name
        self, method: str, url: str, **options: Any
    ) -> requests.Response:
        """Response whose status will not pass by waiting."""
        if self.failure is not None:  # the client goes on after its first request has failed
            raise self.failure
        what = f"Climate Data Store at {urlsplit(url).hostname}"

        def send() -> requests.Response:
            options["timeout"] = self.patience.allowed(what)
            with network_errors(self.patience):
                response = super(_PatientSession, self).request(method, url, **options)
            raise_for_passing(response)
            return response

        try:
            return self.patience.attempt(what, send)
        except CalibPipeError as error:
            self.failure = error
            raise


def _client(session: _PatientSession, key: str, tell: Callable[[str], object]) -> Any:
    """Client of the store; its messages go to `tell`, its debug output (with the key) nowhere."""

    def pass_on(message: object, *values: object, **_: object) -> None:
        text = str(message) % values if values else str(message)
        tell(f"Climate Data Store: {without_secrets(text, key)}")

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        client = cdsapi.Client(
            quiet=True,
            progress=False,
            timeout=session.patience.timeout,
            retry_max=1,  # the session tries again, with growing pauses
            wait_until_complete=False,
            delete=False,
            session=session,
            info_callback=pass_on,
            warning_callback=pass_on,
            error_callback=pass_on,
        )
    if session.failure is not None:
        raise session.failure
    for warning in caught:
        pass_on(warning.message)
    return client


def _job(client: Any, dataset: str, request: dict[str, Any], ticket: Path) -> tuple[Any, bool]:
    """Job of this request, and whether an earlier run has submitted it."""
    if ticket.is_file():
        job = _earlier_job(client, ticket.read_text().strip())
        if job is not None:
            return job, True
    job = client.retrieve(dataset, request)
    ticket.parent.mkdir(parents=True, exist_ok=True)
    ticket.write_text(job.request_id)
    return job, False


def _earlier_job(client: Any, number: str) -> Any | None:
    """Job of an earlier run, if the store still has it and it did not fail."""
    try:
        job = client.client.get_remote(number)
        alive = job.status in ("accepted", "running", "successful")
    except requests.HTTPError as error:
        if _is_refused(error):
            raise
        return None
    return job if alive else None


def _result(job: Any, ticket: Path, patience: Patience, poll: float) -> tuple[str, int]:
    """URL and length of a job's result, after waiting for it; a failed job is forgotten."""
    wait = min(1.0, poll)
    what = f"job {job.request_id} of the Climate Data Store"
    try:
        while not job.results_ready:
            patience.pause(wait, f"{what} ({job.last_status})")
            wait = min(1.5 * wait, poll)
        results = job.get_results()
    except (requests.HTTPError, ProcessingFailedError) as error:
        if _is_refused(error) or job.last_status == "successful":
            raise
        ticket.unlink(missing_ok=True)
        raise _JobError(job.last_status or "gone", str(error)) from None
    return results.location, results.content_length


def _is_refused(error: Exception) -> bool:
    """Whether credentials or a licence are missing."""
    return isinstance(error, requests.HTTPError) and error.response.status_code in (401, 403)


class _JobError(Exception):
    """A job that did not succeed: last state and reason of the server."""

    def __init__(self, state: str, reason: str):
        super().__init__(reason)
        self.state = state


@contextmanager
def _our_errors(key: str) -> Iterator[None]:
    """Turn the client's errors into ours; their texts may quote the key, so no chaining."""
    try:
        yield
    except _JobError as error:
        raise _job_error(error, key) from None
    except requests.HTTPError as error:
        raise _http_error(error, key) from None
    except _STRANGE as error:
        raise _not_the_store(error) from None


def _job_error(error: _JobError, key: str) -> CalibPipeError:
    reason = without_secrets(str(error), key) or "no reason given"
    text = f"the Climate Data Store says that the job is {error.state}: {reason}"
    if error.state == "rejected" or _NO_DATA.search(reason):
        return MissingInputError(f"{text}; asking again will not help: change the request")
    return IntermittentError(f"{text}; run the same command again later")


def _http_error(error: requests.HTTPError, key: str) -> CalibPipeError:
    reason = without_secrets(str(error), key)
    if _is_refused(error):
        return ConfigurationError(
            f"the Climate Data Store refuses: {reason}; accept the licence of the data set on its "
            f"page if it asks for that, else {_CREDENTIALS}"
        )
    return MissingInputError(
        f"the Climate Data Store does not take the request: {reason}; check the night and the URL "
        "in ~/.cdsapirc or CDSAPI_URL"
    )


def _not_the_store(error: Exception) -> CorruptedInputError:
    return CorruptedInputError(
        f"the answer is not that of a Climate Data Store ({type(error).__name__}); check the URL "
        "in ~/.cdsapirc or CDSAPI_URL, or try later: it may be under maintenance"
    )
