"""While the ledger is away nothing is claimed, and what waits comes back with it at once."""

from __future__ import annotations

import time
from typing import Any
from unittest.mock import patch

import pytest
from redis import Redis
from structlog.testing import capture_logs

from app.ledger.engine import LedgerUnavailable
from app.queue.model import EFFECTS, effect_job
from app.queue.transitions import JobQueue
from tests.support.ledger import count_events
from tests.support.places import STARTED, counts, field, place, queued
from tests.support.workers import event_job, worker_of
from tests.workers.asked import asked
from tests.workers.runs import TEN, enqueue, fails
from workers.context import Context
from workers.outage import Outage
from workers.worker import Worker

AWAY = LedgerUnavailable("the ledger does not answer")


class TakenAway:
    """A ledger whose tables are there or not, as during a migration or a restore."""

    def __init__(self, context: Context) -> None:
        self._engine = context.stores.engine

    def leave(self) -> None:
        self._rename("{0}", "{0}_away")

    def come_back(self) -> None:
        self._rename("{0}_away", "{0}")

    def _rename(self, old: str, new: str) -> None:
        with self._engine.begin() as connection:
            for table in ("events", "effects", "cursors"):
                connection.exec_driver_sql(
                    f"ALTER TABLE {old.format(table)} RENAME TO {new.format(table)}"
                )


@pytest.fixture
def tables(context: Context) -> TakenAway:
    """The ledger, to be taken away."""
    return TakenAway(context)


def turn(worker: Worker) -> int:
    """One turn of a worker that does not sleep."""
    with patch("time.sleep"):
        return worker.run_once()


def enqueue_events(context: Context) -> None:
    """Ten, each of a session of its own."""
    context.stores.events.enqueue_all(
        [event_job(id, "verified", "verified", session=f"vs_{id}", reference=id) for id in TEN]
    )


def test_what_a_worker_has_claimed_is_put_back_as_it_was(
    context: Context, redis: Redis, tables: TakenAway
) -> None:
    enqueue_events(context)
    tables.leave()
    assert turn(worker_of(redis, context)) == 0
    assert queued(redis) == TEN
    assert redis.zcard(STARTED) == 0
    assert {field(redis, id, "attempts") for id in TEN} == {None}


def test_nothing_is_claimed_until_the_ledger_is_back_and_then_all_at_once(
    context: Context, redis: Redis, tables: TakenAway
) -> None:
    enqueue_events(context)
    tables.leave()
    worker = worker_of(redis, context)
    turn(worker)
    with patch.object(worker._batches, "next_batch") as claims:
        assert [turn(worker) for _ in range(3)] == [0, 0, 0]
    assert not claims.called
    tables.come_back()
    with capture_logs() as logs:
        assert turn(worker) == 10
    assert count_events(context.stores.engine) == 10
    assert "the ledger is back" in [line["event"] for line in logs]


def test_an_effect_makes_no_attempt_while_the_ledger_is_away(
    context: Context, redis: Redis, tables: TakenAway
) -> None:
    effect = asked(context, "recheck", "vs_1")
    context.stores.effects.enqueue(effect_job(effect, context.now()))
    tables.leave()
    worker = worker_of(redis, context, queue=JobQueue(redis, EFFECTS))
    turn(worker)
    assert counts(context.stores.effects)["queued"] == 1
    assert field(redis, effect.id, "attempts") is None
    tables.come_back()
    assert turn(worker) == 1
    assert context.stores.ledger.effect_status(effect.id) == "dropped"


def test_jobs_done_before_the_ledger_went_are_completed(jobs: JobQueue, redis: Redis) -> None:
    def away() -> None:
        raise AWAY

    enqueue(jobs, "evt_1", "evt_2", "evt_3")
    worker = worker_of(redis, fails("evt_2", error=AWAY), check_ledger=away)
    assert turn(worker) == 1
    assert place(redis, "evt_1") == "finished"
    assert queued(redis) == ["evt_2", "evt_3"]


def test_a_job_that_the_ledger_cannot_take_while_it_answers_is_deferred_alone(
    jobs: JobQueue, redis: Redis
) -> None:
    enqueue(jobs, "evt_1", "evt_2")
    worker = worker_of(redis, fails("evt_1", error=AWAY), check_ledger=lambda: None)
    assert turn(worker) == 2
    assert (place(redis, "evt_1"), field(redis, "evt_1", "attempts")) == ("scheduled", "1")
    assert place(redis, "evt_2") == "finished"


def test_the_ledger_is_not_asked_about_what_other_errors_say() -> None:
    outage = Outage(lambda: pytest.fail("asked"), 1.0)
    assert not outage.explains(ValueError("x"))
    assert not outage.lasts()


def test_a_ledger_that_does_not_answer_in_time_is_away() -> None:
    outage = Outage(lambda: time.sleep(10), 0.05)
    assert outage.explains(AWAY)


def test_the_looks_at_an_absent_ledger_are_half_a_second_to_five_apart() -> None:
    answers: Any = iter([AWAY, None, AWAY])

    def check() -> None:
        answer = next(answers)
        if answer is not None:
            raise answer

    outage = Outage(check, 1.0)
    assert outage.explains(AWAY)
    assert [outage.next_wait() for _ in range(6)] == [0.5, 1, 2, 4, 5, 5]
    assert not outage.lasts()
    assert outage.explains(AWAY)
    assert outage.next_wait() == 0.5
