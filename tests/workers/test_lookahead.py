"""While a full batch runs, the next one is claimed and the last one completed."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest
from redis import Redis
from rq.suspension import suspend

from app.domain.errors import QueueUnavailable, Transient
from app.queue.model import EFFECTS, EVENTS, Call
from app.queue.transitions import JobQueue
from tests.support.places import STARTED, place, queued
from tests.support.waiting import eventually
from tests.support.workers import impatient, running_all, worker_of
from tests.workers.runs import TEN, Runs, Time, enqueue
from workers.worker import LOOK_AT_SUSPENSION, Worker

PAIRS = replace(EVENTS, batch=2)


@pytest.fixture
def pairs(redis: Redis) -> JobQueue:
    """The queue of events, of which a worker claims two at once."""
    return JobQueue(redis, PAIRS)


def taking(pairs: JobQueue, **options: Any) -> Worker:
    """A worker that runs its pairs of jobs together, and does not wait if there is none."""
    return impatient(running_all(worker_of(pairs.connection, Runs(), queue=pairs, **options)))


def started(redis: Redis) -> int:
    return redis.zcard(STARTED)


def leases(redis: Redis) -> set[str]:
    """The tokens of the leases that are held."""
    members = cast(list[bytes], redis.zrange(STARTED, 0, -1))
    return {member.decode().rpartition(":")[2] for member in members}


def test_the_next_batch_is_claimed_while_a_full_one_runs(pairs: JobQueue, redis: Redis) -> None:
    enqueue(pairs, *TEN)
    worker = taking(pairs)
    claimed = threading.Event()

    def run(calls: Sequence[Call]) -> None:
        eventually(lambda: started(redis) == 4)
        claimed.set()

    running_all(worker, run).run_once()
    assert claimed.is_set()


def test_all_of_a_long_queue_is_run_once_and_completed(pairs: JobQueue, redis: Redis) -> None:
    enqueue(pairs, *TEN)
    worker = taking(pairs)
    ran: list[str] = []
    running_all(worker, lambda calls: ran.extend(call.arguments[0]["n"] for call in calls))
    while worker.run_once():
        pass
    assert ran == TEN
    assert {place(redis, id) for id in TEN} == {"finished"}


def test_a_batch_that_is_not_full_has_none_claimed_after_it(pairs: JobQueue, redis: Redis) -> None:
    enqueue(pairs, "evt_1")
    worker = taking(pairs)
    running_all(worker, lambda calls: enqueue(pairs, "evt_2")).run_once()
    assert queued(redis) == ["evt_2"]
    assert place(redis, "evt_1") == "finished", "it is completed at once"


def test_an_effect_is_never_claimed_ahead_of_its_turn(redis: Redis) -> None:
    effects = JobQueue(redis, EFFECTS)
    enqueue(effects, "one", "two")
    seen: list[int] = []
    runs = Runs(lambda job: seen.append(redis.llen("rq:queue:identity-effects")))
    worker_of(redis, runs, queue=effects).run_once()
    assert seen == [1]


def test_a_worker_that_stops_gives_back_what_it_claimed_ahead(
    pairs: JobQueue, redis: Redis
) -> None:
    enqueue(pairs, *TEN)
    worker = taking(pairs)
    worker.run_once()
    worker._leave()  # the end of `work`
    assert queued(redis) == TEN[2:]
    assert [place(redis, id) for id in TEN[:2]] == ["finished"] * 2


def test_a_suspended_worker_gives_back_what_it_claimed_ahead(pairs: JobQueue, redis: Redis) -> None:
    enqueue(pairs, *TEN)
    clock = Time()
    worker: Any = taking(pairs, clock=clock)
    worker._pause = lambda seconds: None
    worker.run_once()
    suspend(redis)
    clock.now += LOOK_AT_SUSPENSION
    assert worker.run_once() == 0
    assert queued(redis) == TEN[2:]
    assert [place(redis, id) for id in TEN[:2]] == ["finished"] * 2


def test_what_was_claimed_ahead_is_given_back_before_a_batch_is_run_one_by_one(
    pairs: JobQueue, redis: Redis
) -> None:
    """One by one may take longer than the lease of those that wait."""
    enqueue(pairs, *TEN)
    worker = taking(pairs)
    found: list[int] = []

    def run(calls: Sequence[Call]) -> None:
        if len(calls) > 1:
            raise Transient("not together")
        found.append(started(redis))

    assert running_all(worker, run).run_once() == 2
    assert found == [2, 2]
    assert queued(redis) == TEN[2:]


def test_a_batch_that_waited_for_half_of_its_lease_is_given_back_and_claimed_anew(
    pairs: JobQueue, redis: Redis
) -> None:
    enqueue(pairs, *TEN)
    clock = Time()
    worker = taking(pairs, clock=clock, lease=60)

    def run(calls: Sequence[Call]) -> None:
        eventually(lambda: started(redis) == 4)
        clock.now += 31

    running_all(worker, run).run_once()
    eventually(lambda: leases(redis) == {"lease2"})
    ran: list[str] = []
    running_all(worker, lambda calls: ran.extend(call.arguments[0]["n"] for call in calls))
    assert worker.run_once() == 2
    assert ran == TEN[2:4], "in its turn"
    assert "lease2" not in leases(redis)


def test_a_completion_that_fails_is_told_and_its_jobs_are_found_when_their_lease_ends(
    pairs: JobQueue, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueue(pairs, *TEN)
    worker = taking(pairs)
    complete = JobQueue.complete
    failures = iter([QueueUnavailable("away")])

    def fails_once(self: JobQueue, *told: Any) -> int:
        for failure in failures:
            raise failure
        return complete(self, *told)

    monkeypatch.setattr(JobQueue, "complete", fails_once)
    worker.run_once()
    with pytest.raises(QueueUnavailable, match="away"):
        worker.run_once()
    while worker.run_once():
        pass
    assert [place(redis, id) for id in TEN] == ["started"] * 2 + ["finished"] * 8
