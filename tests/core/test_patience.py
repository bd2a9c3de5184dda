"""Tries, pauses, deadlines; texts without secrets."""

import pytest

from calibpipe.core import patience as module
from calibpipe.core.exceptions import IntermittentError
from calibpipe.core.patience import PassingError, Patience, public_url, without_secrets


@pytest.fixture
def pauses(monkeypatch) -> list[float]:
    """Pauses that would be made, without making them."""
    made = []
    monkeypatch.setattr(module.time, "sleep", made.append)
    return made


def failing(n_times: int, wait: float | None = None):
    """Action that goes wrong some times."""
    left = [n_times]

    def action() -> str:
        left[0] -= 1
        if left[0] >= 0:
            raise PassingError("busy", wait)
        return "done"

    return action


def test_what_goes_well_is_done_once(pauses):
    assert Patience().attempt("it", failing(0)) == "done"
    assert pauses == []


def test_pauses_double(pauses):
    assert Patience(tries=5, backoff=1.5).attempt("it", failing(3)) == "done"
    assert pauses == [1.5, 3.0, 6.0]


def test_a_wait_that_the_server_names_goes_before(pauses):
    Patience(tries=3, backoff=1.5).attempt("it", failing(2, wait=7.0))
    assert pauses == [7.0, 7.0]


def test_no_pause_after_the_last_try(pauses):
    with pytest.raises(IntermittentError, match="it: busy; gave up after 2 tries"):
        Patience(tries=2, backoff=1.0).attempt("it", failing(2))
    assert pauses == [1.0]


def test_a_pause_beyond_the_deadline_is_not_made(pauses):
    with pytest.raises(IntermittentError, match="it: busy: not done within 10 s"):
        Patience(deadline=10.0).attempt("it", failing(1, wait=11.0))
    assert pauses == []


def test_an_answer_may_take_until_the_deadline_at_most():
    assert Patience(timeout=5.0).allowed("it") == 5.0
    assert 0.0 < Patience(timeout=5.0, deadline=1.0).allowed("it") <= 1.0
    with pytest.raises(IntermittentError, match="it: not done within 0 s"):
        Patience(deadline=0.0).allowed("it")


def test_other_errors_pass_through():
    with pytest.raises(ZeroDivisionError):
        Patience().attempt("it", lambda: 1 / 0)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:pass@host.org:8443/a/b?token=x#y", "https://host.org:8443/a/b"),
        ("https://host.org/a", "https://host.org/a"),
        ("https://p@ss:w@rd@host.org/a", "https://host.org/a"),
    ],
)
def test_public_url(url, shown):
    assert public_url(url) == shown


def test_text_of_a_server_without_secrets():
    text = "401 for url: https://u:p@host/x?key=abc\nkey abc-1 is wrong"
    assert without_secrets(text, "abc-1", "") == "401 for url: https://host/x key *** is wrong"


def test_long_text_is_cut():
    assert len(without_secrets("x" * 5000)) == 603
