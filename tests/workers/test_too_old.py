"""A later release migrates the ledger to a schema that the running workers are too old for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from unittest.mock import patch

import pytest
from redis import Redis
from structlog.testing import capture_logs

from app.ledger.engine import LedgerBroken, LedgerTooNew, LedgerUnavailable
from app.ledger.schema import refuse_too_new
from app.queue.model import EVENTS
from app.queue.transitions import JobQueue
from tests.support.ledger import count_events
from tests.support.places import STARTED, field, place, queued
from tests.support.stores import come_back, leave_as_later
from tests.support.workers import event_job, impatient, running_all, worker_of
from tests.workers.runs import Runs, Time, enqueue, fails
from workers.context import Context
from workers.worker import LOOK_AT_SCHEMA, Worker

AWAY = LedgerUnavailable("the ledger does not answer")
TOO_NEW = LedgerTooNew("the schema is too new", "too_new")


@pytest.fixture
def beat() -> Time:
    """The worker's clock."""
    return Time()


@pytest.fixture
def worker(context: Context, redis: Redis, beat: Time) -> Worker:
    """A worker that has looked at the ledger's schema, which was its own."""
    check = partial(refuse_too_new, context.stores.engine)
    worker = worker_of(redis, context, check_schema=check, clock=beat)
    turn(worker)
    return worker


def turn(worker: Worker) -> int:
    """One turn of a worker that does not sleep."""
    with patch("time.sleep"):
        return impatient(worker).run_once()


def test_a_worker_claims_nothing_any_more_and_says_why(
    context: Context, redis: Redis, database_url: str, worker: Worker, beat: Time
) -> None:
    leave_as_later(database_url, since="9999")
    context.stores.events.enqueue(event_job("evt_1", "verified", "verified"))
    beat.now += LOOK_AT_SCHEMA
    with capture_logs() as logs:
        assert [turn(worker) for _ in range(3)] == [0, 0, 0]
    assert queued(redis) == ["evt_1"]
    assert field(redis, "evt_1", "attempts") is None
    (line,) = logs
    assert (line["event"], line["code"]) == ("the ledger is away", "too_new")
    assert "has a schema that this release is too old for (revision 9999)" in line["error"]


def test_it_goes_on_where_the_ledger_is_restored(
    context: Context, database_url: str, worker: Worker, beat: Time
) -> None:
    leave_as_later(database_url, since="9999")
    beat.now += LOOK_AT_SCHEMA
    context.stores.events.enqueue(event_job("evt_1", "verified", "verified"))
    assert turn(worker) == 0
    come_back(database_url)
    assert turn(worker) == 1
    assert count_events(context.stores.engine) == 1


def test_a_later_schema_that_may_be_worked_on_is(
    context: Context, database_url: str, worker: Worker, beat: Time
) -> None:
    leave_as_later(database_url, since="0001")
    beat.now += LOOK_AT_SCHEMA
    context.stores.events.enqueue(event_job("evt_1", "verified", "verified"))
    assert turn(worker) == 1


@pytest.mark.parametrize(
    "gone",
    [
        LedgerUnavailable("the ledger is not migrated", "not_migrated"),
        LedgerBroken("the ledger refused a statement", "statement_refused"),
    ],
    ids=["a column is gone", "a column has to be given"],
)
def test_a_job_that_fails_by_the_new_schema_before_the_look_is_put_back_as_it_was(
    jobs: JobQueue, redis: Redis, context: Context, database_url: str, gone: Exception
) -> None:
    enqueue(jobs, "evt_1")
    worker = worker_of(
        redis,
        fails("evt_1", error=gone),
        clock=Time(),
        check_schema=partial(refuse_too_new, context.stores.engine),
    )
    worker._next_schema_look += LOOK_AT_SCHEMA
    leave_as_later(database_url, since="9999")
    assert turn(worker) == 0
    assert place(redis, "evt_1") == "queued"
    assert field(redis, "evt_1", "attempts") is None


def test_what_was_claimed_ahead_is_put_back(redis: Redis) -> None:
    pairs, beat = JobQueue(redis, replace(EVENTS, batch=2)), Time()
    looks: Iterator[Exception | None] = iter([None, TOO_NEW])

    def look() -> None:
        if (found := next(looks)) is not None:
            raise found

    enqueue(pairs, "evt_1", "evt_2", "evt_3", "evt_4")
    worker = running_all(worker_of(redis, Runs(), queue=pairs, check_schema=look, clock=beat))
    assert turn(worker) == 2
    beat.now += LOOK_AT_SCHEMA
    with patch.object(worker._outage, "lasts", return_value=True):
        assert turn(worker) == 0
    assert redis.zcard(STARTED) == 0
    assert queued(redis) == ["evt_3", "evt_4"]


def test_a_look_that_is_not_answered_stops_nobody(jobs: JobQueue, redis: Redis) -> None:
    def away() -> None:
        raise AWAY

    enqueue(jobs, "evt_1")
    assert turn(worker_of(redis, Runs(), check_schema=away)) == 1
    assert place(redis, "evt_1") == "finished"
