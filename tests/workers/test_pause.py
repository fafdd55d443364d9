"""While the workers are paused, nothing is claimed, and the clock only moves jobs."""

from __future__ import annotations

import pytest
from redis import Redis
from structlog.testing import capture_logs

from app.queue.model import EFFECTS, EVENTS, QueueSpec
from app.queue.pausing import pause, resume
from app.queue.transitions import JobQueue
from tests.support.places import end_lease, make_due, new, place
from tests.support.workers import NOW, impatient, worker_of
from tests.workers.runs import Runs, Time
from workers.clock import Clock
from workers.context import Context
from workers.worker import LOOK_AT_SUSPENSION, Worker


def turn(worker: Worker, clock: Time) -> int:
    """One turn, in which it looks whether it is paused."""
    clock.now += LOOK_AT_SUSPENSION
    return worker.run_once()


@pytest.fixture
def no_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that rests does not wait."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)


@pytest.mark.parametrize("spec", [EVENTS, EFFECTS], ids=lambda spec: spec.name)
def test_a_paused_worker_of_either_queue_claims_nothing(
    redis: Redis, no_sleep: None, spec: QueueSpec
) -> None:
    clock, jobs = Time(), JobQueue(redis, spec)
    worker = worker_of(redis, Runs(), queue=jobs, clock=clock)
    pause(redis, reason=None, by="ops", now=int(NOW))
    jobs.enqueue(new("job-1", n="job-1"))
    assert [turn(worker, clock) for _ in range(3)] == [0, 0, 0]
    assert redis.lrange(f"rq:queue:{spec.rq_name}", 0, -1) == [b"job-1"]
    resume(redis)
    assert turn(worker, clock) == 1


def test_a_worker_says_once_that_it_is_paused_by_whom_and_why_and_once_that_it_is_resumed(
    redis: Redis, no_sleep: None
) -> None:
    clock = Time()
    worker = impatient(worker_of(redis, Runs(), clock=clock))
    pause(redis, reason="database upgrade", by="ops@host", now=1_800_000_000, seconds=600)
    with capture_logs() as lines:
        for _ in range(3):
            turn(worker, clock)
        resume(redis)
        for _ in range(3):
            turn(worker, clock)
    begun, ended = lines
    assert (begun["event"], begun["log_level"], begun["worker"]) == (
        "paused",
        "warning",
        worker.name,
    )
    assert (begun["reason"], begun["by"]) == ("database upgrade", "ops@host")
    assert (begun["since"], begun["until"]) == ("2027-01-15T08:00:00Z", "2027-01-15T08:10:00Z")
    assert (ended["event"], ended["worker"]) == ("resumed", worker.name)


def test_a_pause_of_rqs_own_command_is_said_without_a_reason(redis: Redis, no_sleep: None) -> None:
    clock = Time()
    worker = impatient(worker_of(redis, Runs(), clock=clock))
    redis.set("rq:suspended", 1)
    with capture_logs() as lines:
        turn(worker, clock)
    assert [(line["event"], line["reason"], line["by"]) for line in lines] == [
        ("paused", None, None)
    ]


def test_a_paused_clock_puts_back_what_is_due_and_what_dead_workers_held(
    context: Context, redis: Redis
) -> None:
    pause(redis, reason=None, by="ops", now=int(NOW))
    jobs = context.stores.events
    jobs.enqueue_all([new("evt_due", n="due", delay=600), new("evt_lost", n="lost")])
    jobs.claim("token", 60, 1)
    make_due(redis, "evt_due")
    end_lease(redis, "evt_lost")
    Clock(context).run_once()
    assert (place(redis, "evt_due"), place(redis, "evt_lost")) == ("queued", "queued")


def test_a_paused_clock_leaves_the_ledger_and_stripe_alone_until_it_is_resumed(
    context: Context, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(context)
    done: list[str] = []
    for name in ("record_dead_effects", "enqueue_effects", "purge_letters", "trim_stream"):
        monkeypatch.setattr(clock, name, lambda name=name: done.append(name))
    for task in clock._tasks:
        monkeypatch.setattr(task, "begin", lambda name=task._name: done.append(name))
    pause(redis, reason=None, by="ops", now=int(NOW))
    clock.run_once()
    assert done == []
    resume(redis)
    clock.run_once()
    assert {"enqueue_effects", "expiry", "prune"} <= set(done)
