"""A claim whose answer was lost is answered again, or given back: it waits for no lease."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from rq.suspension import suspend

from app.domain.errors import QueueUnavailable
from app.queue.model import EVENTS, Call
from app.queue.transitions import JobQueue
from tests.support.places import STARTED, field, place, queued
from tests.support.waiting import eventually
from tests.support.workers import impatient, running_all, worker_of
from tests.workers.runs import TEN, Runs, Time, enqueue
from workers.worker import LOOK_AT_SUSPENSION, Worker

PAIRS = replace(EVENTS, batch=2)


class Deaf(JobQueue):
    """A queue that makes each claim, and loses the answers of some."""

    def __init__(self, redis: Redis, *lost: int) -> None:
        super().__init__(redis, PAIRS)
        self.claims = 0
        self._lost = lost

    def claim(self, token: str, lease: float, most: int, *, waits: bool = False) -> Any:
        self.claims += 1
        found = super().claim(token, lease, most, waits=waits)
        if self.claims in self._lost:
            raise QueueUnavailable("the answer was lost")
        return found


def deaf(redis: Redis, *lost: int, **options: Any) -> tuple[Worker, list[str]]:
    """A worker of pairs that misses these answers, and the ids of what it ran."""
    ran: list[str] = []
    queue = JobQueue(redis, PAIRS)
    worker: Any = impatient(worker_of(redis, Runs(), queue=queue, **options))
    losing = Deaf(redis, *lost)
    losing.worker_name = worker.name
    losing._keys = worker.jobs._keys
    worker._batches._queue = losing

    def run(calls: Sequence[Call]) -> None:
        ran.extend(call.arguments[0]["n"] for call in calls)

    return running_all(worker, run), ran


def run_all(worker: Worker) -> int:
    """Run until nothing is left, as the worker's loop does; how often Redis was waited for."""
    waits = 0
    while True:
        try:
            if not worker.run_once():
                return waits
        except QueueUnavailable:
            waits += 1


@pytest.mark.parametrize("lost", [(1,), (2,), (1, 2, 3), (2, 3, 5)], ids=str)
def test_every_job_is_run_once_in_its_turn(redis: Redis, lost: tuple[int, ...]) -> None:
    enqueue(JobQueue(redis, EVENTS), *TEN)
    worker, ran = deaf(redis, *lost)
    assert run_all(worker) == len(lost)
    assert ran == TEN
    assert {place(redis, id) for id in TEN} == {"finished"}


def test_a_job_whose_claim_was_lost_has_not_lost_its_worker(redis: Redis) -> None:
    enqueue(JobQueue(redis, EVENTS), "evt_1")
    worker, ran = deaf(redis, 1)
    with pytest.raises(QueueUnavailable):
        worker.run_once()
    assert place(redis, "evt_1") == "started"
    worker._leave()  # the end of `work`
    assert (place(redis, "evt_1"), field(redis, "evt_1", "expiries")) == ("queued", None)
    assert ran == []


def test_a_suspended_worker_gives_back_a_claim_that_it_has_not_heard_of(redis: Redis) -> None:
    enqueue(JobQueue(redis, EVENTS), "evt_1")
    clock = Time()
    worker, _ = deaf(redis, 1, clock=clock)
    with pytest.raises(QueueUnavailable):
        worker.run_once()
    suspend(redis)
    clock.now += LOOK_AT_SUSPENSION
    worker._pause = lambda seconds: None  # type: ignore[method-assign]  # of this one alone
    assert worker.run_once() == 0
    assert place(redis, "evt_1") == "queued"


def test_a_claim_ahead_that_was_not_heard_of_is_given_back_before_jobs_run_one_by_one(
    redis: Redis,
) -> None:
    enqueue(JobQueue(redis, EVENTS), *TEN)
    worker, _ = deaf(redis, 2)
    found: list[int] = []

    def run(calls: Sequence[Call]) -> None:
        if len(calls) > 1:
            eventually(lambda: redis.zcard(STARTED) == 4)
            raise QueueUnavailable("not together")
        found.append(redis.zcard(STARTED))

    assert running_all(worker, run).run_once() == 2
    assert found == [2, 2]
    assert queued(redis) == TEN[2:]


def test_a_claim_answered_after_half_of_its_lease_is_given_back_and_made_anew(
    redis: Redis,
) -> None:
    enqueue(JobQueue(redis, EVENTS), "evt_1", "evt_2")
    clock = Time()
    worker, ran = deaf(redis, 1, clock=clock, lease=60)
    with pytest.raises(QueueUnavailable):
        worker.run_once()
    clock.now += 31
    assert worker.run_once() == 2
    assert ran == ["evt_1", "evt_2"]


def test_a_connection_that_breaks_after_the_claim_costs_nothing(
    jobs: JobQueue, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client makes its call once more by itself, and knows nothing of claims."""
    enqueue(jobs, *TEN)
    worker = worker_of(redis, Runs(), queue=JobQueue(redis, PAIRS))
    worker.jobs.claim("warm", 60, 1)  # so that the script is loaded
    kind: Any = redis.connection_pool.connection_class
    read, breaks = kind.read_response, iter([True])

    def broken(self: Any, *arguments: Any, **options: Any) -> Any:
        answer = read(self, *arguments, **options)
        if next(breaks, False):
            raise RedisConnectionError("broken")
        return answer

    monkeypatch.setattr(kind, "read_response", broken)
    claimed = worker.jobs.claim("token", 60, 2)
    assert [job.id for job in claimed] == TEN[1:3]
    assert next(breaks, None) is None
    assert queued(redis) == TEN[3:]
