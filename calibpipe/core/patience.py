"""Patience with remote services: tries, pauses, a deadline; and what may be said of them.

Errors of `requests` become ours here. Their own texts may hold user, password or query of a URL
and are left out; URLs are shown without these.
"""

import math
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import requests
import urllib3.exceptions

from .exceptions import ConfigurationError, IntermittentError

__all__ = [
    "PassingError",
    "Patience",
    "network_errors",
    "public_url",
    "raise_for_passing",
    "without_secrets",
]

T = TypeVar("T")


class PassingError(Exception):
    """Something that may go well when it is tried again; never leaves `Patience.attempt`."""

    def __init__(self, reason: str, wait: float | None = None):
        super().__init__(reason)
        self.wait = wait


def _silent(message: str) -> None:
    """Report to nobody."""


@dataclass
class Patience:
    """How often and how long a remote service is asked.

    Parameters
    ----------
    tries : int
        Number of tries of one request.
    backoff : float
        Seconds before the second try; doubles with every further one. A server's ``Retry-After``
        goes before.
    timeout : float
        Seconds without an answer, or without a byte, after which a try has failed.
    deadline : float
        Seconds for everything together, counted from the making of this object.
    notify : callable
        Called with a line of text when something is tried again.
    """

    tries: int = 5
    backoff: float = 2.0
    timeout: float = 60.0
    deadline: float = math.inf
    notify: Callable[[str], object] = _silent
    _begin: float = field(default_factory=time.monotonic)

    @property
    def remaining(self) -> float:
        """Seconds until the deadline."""
        return self._begin + self.deadline - time.monotonic()

    def allowed(self, what: str) -> float:
        """Seconds that one answer may take.

        Raises
        ------
        IntermittentError
            If the deadline has passed.
        """
        if self.remaining <= 0.0:
            raise self._too_late(what)
        return min(self.timeout, self.remaining)

    def pause(self, seconds: float, what: str) -> None:
        """Sleep, unless the deadline would pass meanwhile.

        Raises
        ------
        IntermittentError
            If it would.
        """
        if seconds >= self.remaining:
            raise self._too_late(what)
        time.sleep(seconds)

    def attempt(self, what: str, action: Callable[[], T]) -> T:
        """Result of `action`, which is tried again after a `PassingError`.

        Raises
        ------
        IntermittentError
            If every try failed, or the next one would begin after the deadline.
        """
        for number in range(1, self.tries + 1):
            try:
                return action()
            except PassingError as error:
                reason, wait = str(error), error.wait
            if wait is None:
                wait = self.backoff * 2.0 ** (number - 1)
            if number < self.tries:
                self.notify(f"{what}: {reason}; try {number + 1} of {self.tries} in {wait:g} s")
                self.pause(wait, f"{what}: {reason}")
        raise IntermittentError(
            f"{what}: {reason}; gave up after {self.tries} tries; run the same command again later"
        )

    def _too_late(self, what: str) -> IntermittentError:
        return IntermittentError(
            f"{what}: not done within {self.deadline:g} s, the deadline of this run; run the same "
            "command again later (it continues where this one stopped) or allow more time"
        )


def public_url(url: str) -> str:
    """URL without user, password, query and fragment: fit for messages and products."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def without_secrets(text: str, *secrets: str) -> str:
    """Text of a server on one line, with public URLs and no secrets."""
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    text = re.sub(r"\w+://[^\s'\"<>]+", lambda match: public_url(match[0]), text)
    text = " ".join(text.split())
    return text if len(text) <= 600 else f"{text[:600]}..."


def raise_for_passing(response: requests.Response) -> None:
    """Raise a `PassingError` for a status that may pass: 408, 429 and 5xx."""
    if response.status_code in (408, 429) or response.status_code >= 500:
        reason = f"the server answers {response.status_code} {response.reason}"
        raise PassingError(reason, _retry_after(response.headers.get("Retry-After")))


def _retry_after(value: str | None) -> float | None:
    """Seconds of a Retry-After header, which is a number or a date; None if it is neither."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


@contextmanager
def network_errors(patience: Patience) -> Iterator[None]:
    """Turn what `requests` raises into a `PassingError` or an error of ours.

    The original text is left out: it may hold user, password or query of a URL.
    """
    limit = min(patience.timeout, patience.remaining)
    try:
        yield
    except requests.exceptions.SSLError:
        raise ConfigurationError(
            "the certificate of the server is not valid here; check the URL, the clock and "
            "REQUESTS_CA_BUNDLE"
        ) from None
    except (requests.Timeout, requests.ConnectionError) as error:
        raise PassingError(_connection_reason(error, limit)) from None
    except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError):
        raise PassingError("the connection broke off in the middle") from None
    except requests.TooManyRedirects:
        raise ConfigurationError("the server redirects in a circle; check the URL") from None
    except (
        requests.exceptions.InvalidURL,
        requests.exceptions.InvalidSchema,
        requests.exceptions.MissingSchema,
    ):
        raise ConfigurationError("this is no URL of an HTTP server; check it") from None


def _connection_reason(error: Exception, limit: float) -> str:
    causes: list[Any] = [error, *error.args]
    causes += [getattr(cause, "reason", None) for cause in causes]

    def is_any(*kinds: type) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    if is_any(urllib3.exceptions.NameResolutionError):
        return "its name is not known (no network?)"
    if is_any(urllib3.exceptions.NewConnectionError):  # counts as a time-out in urllib3
        return "no connection"
    if is_any(requests.Timeout, urllib3.exceptions.TimeoutError):
        return f"no answer within {limit:.3g} s"
    return "the connection broke off"
