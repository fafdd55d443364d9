"""Which failures are tried again, when, how often, and what is told of them."""

from __future__ import annotations

import socket

import pytest
from rq.timeouts import JobTimeoutException

from app.domain.errors import Permanent, QueueUnavailable, Transient, UnreadableEvent
from app.ledger.engine import LedgerBroken, LedgerUnavailable
from app.queue.retry_policy import MAX_ATTEMPTS, MAX_DELAY, Bury, RetryLater, decide, describe
from app.stripe.errors import StripeRefused, StripeUnavailable
from workers.time_limit import TimeLimit

TRANSIENT = [
    Transient("x"),
    QueueUnavailable("x"),
    LedgerUnavailable("x"),
    StripeUnavailable("x"),
    ConnectionError("x"),
    ConnectionResetError("x"),
    TimeoutError("x"),
]
PERMANENT = [
    Permanent("x"),
    LedgerBroken("x"),
    StripeRefused("x"),
    UnreadableEvent("x"),
    KeyError("x"),
    RecursionError("x"),
    MemoryError("x"),
]


def named(error: Exception) -> str:
    return type(error).__name__


def delays(chance: float) -> list[float]:
    """The delays of a job that never succeeds."""
    found = [decide(Transient("x"), made, chance) for made in range(MAX_ATTEMPTS - 1)]
    return [decision.delay for decision in found if isinstance(decision, RetryLater)]


@pytest.mark.parametrize("error", TRANSIENT, ids=named)
def test_what_time_mends_is_tried_again(error: Exception) -> None:
    assert decide(error, 0, 1.0) == RetryLater(2)


@pytest.mark.parametrize("error", PERMANENT, ids=named)
def test_what_time_does_not_mend_is_buried_at_once(error: Exception) -> None:
    assert decide(error, 0, 1.0) == Bury("permanent_error")


def test_the_delay_doubles_from_two_seconds_up_to_an_hour() -> None:
    found = delays(1.0)
    assert found[:5] == [2, 4, 8, 16, 32]
    assert found[10:] == [2048] + [MAX_DELAY] * 8
    assert MAX_DELAY == 3600


def test_the_delay_is_spread_over_its_upper_half() -> None:
    full = delays(1.0)
    assert delays(0.0) == [delay / 2 for delay in full]
    assert delays(0.5) == [delay * 0.75 for delay in full]


def test_the_twentieth_failure_is_the_last() -> None:
    assert MAX_ATTEMPTS == 20
    assert isinstance(decide(Transient("x"), 18, 0.5), RetryLater)
    assert decide(Transient("x"), 19, 0.5) == Bury("attempts_exhausted")
    assert decide(Transient("x"), 500, 0.5) == Bury("attempts_exhausted")


def test_twenty_attempts_take_about_nine_hours_at_most() -> None:
    assert 8.5 < sum(delays(1.0)) / 3600 < 9.5
    assert sum(delays(0.0)) / 3600 > 4


def test_a_job_over_its_time_is_tried_once_more_and_then_buried() -> None:
    assert decide(JobTimeoutException("x"), 0, 1.0) == RetryLater(2, timed_out=True)
    assert decide(JobTimeoutException("x"), 1, 1.0, timeouts=1) == Bury("timed_out")


def test_what_failed_otherwise_before_does_not_make_a_first_timeout_the_last() -> None:
    assert decide(JobTimeoutException("x"), 5, 1.0) == RetryLater(64, timed_out=True)


def test_an_earlier_timeout_does_not_count_against_what_time_mends() -> None:
    assert decide(Transient("x"), 5, 1.0, timeouts=1) == RetryLater(64)


def test_the_twentieth_attempt_is_the_last_for_a_job_over_its_time_as_well() -> None:
    assert decide(JobTimeoutException("x"), 19, 1.0) == Bury("attempts_exhausted")


def raised(raise_it: object) -> Exception:
    """The error as a worker catches it, with the place where it was raised."""
    try:
        raise_it()  # type: ignore[operator]
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def test_of_a_foreign_error_only_its_class_and_place_are_told() -> None:
    def subscriber() -> None:
        raise ValueError("Jenny Rosen, 000-00-0000")

    name, told = describe(raised(subscriber))
    assert name == "ValueError"
    assert told.startswith("raised in subscriber (tests/queue/test_retry_policy.py:")
    assert "Jenny" not in told


def test_nothing_is_told_of_the_errors_that_caused_a_foreign_one() -> None:
    def subscriber() -> None:
        try:
            raise KeyError("Jenny Rosen")
        except KeyError as error:
            raise RuntimeError("Rosen") from error

    assert "Rosen" not in " ".join(describe(raised(subscriber)))


def test_a_foreign_error_without_a_place_has_no_text_either() -> None:
    assert describe(ValueError("Jenny Rosen")) == ("ValueError", "raised")


def test_of_a_job_over_its_time_is_told_where_it_hung() -> None:
    def subscriber() -> None:
        server, client = socket.socketpair()
        with server, client, TimeLimit(0.05, JobTimeoutException):  # type: ignore[no-untyped-call]
            client.makefile().readline()  # in which the standard library waits

    name, told = describe(raised(subscriber))
    assert name == "JobTimeoutException"
    assert told.startswith(
        "took too long, and was last in subscriber (tests/queue/test_retry_policy.py:"
    )


def test_of_a_job_over_its_time_without_a_place_the_time_is_told() -> None:
    assert describe(JobTimeoutException("x")) == ("JobTimeoutException", "took too long")


def test_our_own_errors_are_told_in_their_own_words() -> None:
    error = LedgerUnavailable("the ledger is busy")
    assert describe(error) == ("LedgerUnavailable", "the ledger is busy")
