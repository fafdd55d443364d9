"""The worker claims, runs and completes jobs; what fails is deferred or buried."""

from __future__ import annotations

import time
from typing import Any

import pytest
from redis import Redis

from app.domain.errors import Permanent, Transient
from app.queue.dead_letters import DeadLetters
from app.queue.model import EVENTS, Call
from app.queue.transitions import JobQueue
from tests.support.ledger import count_events
from tests.support.places import STARTED, end_lease, field, make_due, place, queued
from tests.support.workers import event_job, worker_of
from tests.workers.runs import TEN, Runs, Time, enqueue, fails
from workers.context import Context


def test_jobs_are_claimed_run_in_their_order_and_completed(jobs: JobQueue, redis: Redis) -> None:
    enqueue(jobs, *TEN)
    runs = Runs()
    assert worker_of(redis, runs).run_once() == 10
    assert runs.ids == TEN
    assert {place(redis, id) for id in TEN} == {"finished"}


def test_a_claim_takes_a_hundred_jobs_and_leaves_the_rest_to_others(
    jobs: JobQueue, redis: Redis
) -> None:
    enqueue(jobs, *[f"evt_{number}" for number in range(102)])
    worker = worker_of(redis, Runs())
    assert [worker.run_once(), worker.run_once()] == [100, 2]


def test_what_time_mends_is_deferred(jobs: JobQueue, redis: Redis) -> None:
    enqueue(jobs, "evt_1")
    worker_of(redis, fails("evt_1", error=Transient("out of reach"))).run_once()
    assert place(redis, "evt_1") == "scheduled"
    assert [field(redis, "evt_1", name) for name in ("attempts", "error_class", "error")] == [
        "1",
        "Transient",
        "out of reach",
    ]
    due = redis.zscore("rq:scheduled:identity-events", "evt_1")
    assert due is not None
    assert 0 < due - redis.time()[0] < 5


@pytest.mark.parametrize(
    ("error", "attempts", "reason", "told"),
    [
        (Permanent("will not do"), 0, "permanent_error", "will not do"),
        (Transient("out of reach"), 19, "attempts_exhausted", "out of reach"),
    ],
)
def test_what_time_does_not_mend_is_buried_with_its_reason(
    jobs: JobQueue, redis: Redis, error: Exception, attempts: int, reason: str, told: str
) -> None:
    enqueue(jobs, "evt_1")
    redis.hset("rq:job:evt_1", "attempts", attempts)
    worker_of(redis, fails("evt_1", error=error)).run_once()
    assert place(redis, "evt_1") == "failed"
    letter = DeadLetters(redis, EVENTS).find("evt_1")
    assert letter is not None
    assert (letter.reason, letter.error, letter.attempts) == (reason, told, attempts + 1)


def test_nothing_of_a_foreign_errors_text_comes_into_redis(jobs: JobQueue, redis: Redis) -> None:
    enqueue(jobs, "evt_1")
    worker_of(redis, fails("evt_1", error=ValueError("Jenny Rosen"))).run_once()
    assert field(redis, "evt_1", "error_class") == "ValueError"
    assert "Jenny" not in repr(redis.hgetall("rq:job:evt_1"))


def test_a_job_that_fails_does_not_hold_up_the_rest_of_its_batch(
    jobs: JobQueue, redis: Redis
) -> None:
    enqueue(jobs, "evt_1", "evt_2", "evt_3")
    runs = fails("evt_1", "evt_2", error=Permanent("no"))
    worker_of(redis, runs).run_once()
    assert runs.ids == ["evt_1", "evt_2", "evt_3"]
    assert place(redis, "evt_3") == "finished"


def test_a_job_over_its_time_is_deferred_once_and_then_buried(jobs: JobQueue, redis: Redis) -> None:
    enqueue(jobs, "evt_1")
    told: list[float] = []
    # A lease of two seconds leaves one for a job.
    worker = worker_of(redis, Runs(lambda job: time.sleep(10)), lease=2, progress=told.append)
    began = time.monotonic()
    worker.run_once()
    assert time.monotonic() - began < 8
    assert (place(redis, "evt_1"), field(redis, "evt_1", "error_class")) == (
        "scheduled",
        "JobTimeoutException",
    )
    make_due(redis, "evt_1")
    jobs.promote()
    worker.run_once()
    letter = DeadLetters(redis, EVENTS).find("evt_1")
    assert letter is not None
    assert (letter.reason, letter.attempts) == ("timed_out", 2)
    assert told == [1, 0, 1, 0]


def test_an_earlier_deferral_does_not_make_the_first_timeout_fatal(
    jobs: JobQueue, redis: Redis
) -> None:
    enqueue(jobs, "evt_1")
    redis.hset("rq:job:evt_1", "attempts", 3)
    worker_of(redis, Runs(lambda job: time.sleep(10)), lease=2).run_once()
    assert (place(redis, "evt_1"), field(redis, "evt_1", "attempts")) == ("scheduled", "4")
    assert jobs.timeouts_of("evt_1") == 1


def test_a_job_may_take_half_a_lease_and_twenty_seconds_at_most(redis: Redis) -> None:
    found = [worker_of(redis, Runs(), lease=lease).time_limit for lease in (2, 10, 60, 3600)]
    assert found == [1, 5, 20, 20]


def test_jobs_that_could_not_end_within_the_lease_are_given_back(
    jobs: JobQueue, redis: Redis
) -> None:
    clock = Time()

    def slow(id: str) -> None:
        clock.now += 15

    enqueue(jobs, *TEN)
    runs = Runs(slow)
    worker = worker_of(redis, runs, lease=60, clock=clock)
    # The last may begin at 40 of 60 seconds, as it may take 20.
    assert worker.run_once() == 3
    assert runs.ids == TEN[:3]
    assert queued(redis) == TEN[3:]
    assert redis.zcard(STARTED) == 0
    assert field(redis, TEN[3], "attempts") is None


# --- a lease that was lost ------------------------------------------------------------------


@pytest.mark.parametrize("error", [None, Transient("x"), Permanent("x")], ids=repr)
def test_a_worker_that_lost_its_lease_changes_nothing(
    context: Context, redis: Redis, error: Exception | None
) -> None:
    context.stores.events.enqueue(event_job("evt_1", "verified", "verified"))
    other = worker_of(redis, context)

    def late(calls: list[Call]) -> None:
        end_lease(redis, "evt_1")
        assert context.stores.events.rescue().expired == 1
        assert other.run_once() == 1
        if error is not None:
            raise error
        run(calls)

    worker: Any = worker_of(redis, context)
    run, worker._run_calls = worker._run_calls, late
    assert worker.run_once() == 1
    assert place(redis, "evt_1") == "finished"
    assert field(redis, "evt_1", "attempts") is None
    assert count_events(context.stores.engine) == 1
    record = context.stores.ledger.read_reference("user-1", livemode=False)
    assert record is not None
    assert len(record.timeline) == 1


def test_a_late_worker_does_not_disturb_the_one_that_has_the_job_now(
    jobs: JobQueue, redis: Redis
) -> None:
    enqueue(jobs, "evt_1")

    def late(id: str) -> None:
        end_lease(redis, id)
        jobs.rescue()
        assert [job.id for job in jobs.claim("another", 60, 1)] == [id]

    worker_of(redis, Runs(late)).run_once()
    assert place(redis, "evt_1") == "started"
    assert jobs.complete("another", ["evt_1"]) == 1
