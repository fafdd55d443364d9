"""The worker as RQ's own tools see it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from redis import Redis
from rq.suspension import resume, suspend

from app.domain.errors import Permanent
from app.local.valkey import Valkey
from app.queue.transitions import JobQueue
from tests.support.places import place
from tests.support.workers import impatient, worker_of
from tests.workers.runs import Runs, Time, enqueue, fails, registered
from workers.worker import HEARTBEAT, LOOK_AT_SUSPENSION


def rq_command(valkey: Valkey, *arguments: str) -> str:
    """What RQ's own command prints."""
    command = [str(Path(sys.executable).with_name("rq")), *arguments, "--url", valkey.url]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def test_a_worker_is_seen_by_rq_with_what_it_has_done(jobs: JobQueue, redis: Redis) -> None:
    enqueue(jobs, "evt_1", "evt_2", "evt_3")
    worker = worker_of(redis, fails("evt_2", error=Permanent("no")))
    worker.run_once()
    (seen,) = registered(redis)
    assert (seen.name, seen.queue_names()) == (worker.name, ["identity-events"])
    assert (seen.successful_job_count, seen.failed_job_count) == (2, 1)


def test_a_worker_is_busy_while_it_works(jobs: JobQueue, redis: Redis) -> None:
    enqueue(jobs, "evt_1")
    states: list[str] = []
    worker_of(redis, Runs(lambda job: states.append(registered(redis)[0].get_state()))).run_once()
    assert states == ["busy"]


def test_a_worker_is_idle_when_it_finds_no_more_work(
    jobs: JobQueue, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueue(jobs, "evt_1")
    worker = impatient(worker_of(redis, Runs()))
    worker.run_once()
    monkeypatch.setattr(worker, "set_state", None)  # it takes no call of its own
    worker.run_once()
    assert registered(redis)[0].get_state() == "idle"


def test_rq_info_shows_the_worker_and_its_queue(
    jobs: JobQueue, redis: Redis, valkey: Valkey
) -> None:
    enqueue(jobs, "evt_1", "evt_2")
    worker = worker_of(redis, Runs())
    told = rq_command(valkey, "info", "--raw")
    assert "queue identity-events 2" in told
    assert worker.name in told


def test_rq_info_takes_nothing_from_a_worker_that_is_busy(
    jobs: JobQueue, redis: Redis, valkey: Valkey
) -> None:
    enqueue(jobs, "evt_1")
    worker_of(redis, Runs(lambda job: rq_command(valkey, "info") and None)).run_once()
    assert place(redis, "evt_1") == "finished"


def test_a_suspended_worker_takes_nothing_until_it_is_resumed(jobs: JobQueue, redis: Redis) -> None:
    clock = Time()
    enqueue(jobs, "evt_1")
    worker = worker_of(redis, Runs(), clock=clock)
    suspend(redis)
    assert worker.run_once() == 0
    assert place(redis, "evt_1") == "queued"
    assert registered(redis)[0].get_state() == "suspended"
    resume(redis)
    clock.now += LOOK_AT_SUSPENSION
    assert worker.run_once() == 1


def test_a_worker_that_rq_has_forgotten_registers_again(jobs: JobQueue, redis: Redis) -> None:
    clock = Time()
    worker = impatient(worker_of(redis, Runs(), clock=clock))
    worker.run_once()
    redis.flushall()
    assert registered(redis) == []
    clock.now += HEARTBEAT
    worker.run_once()
    (seen,) = registered(redis)
    assert (seen.name, seen.get_state()) == (worker.name, "idle")
    assert redis.ttl(worker.key) > 60


def test_a_claim_does_not_bring_a_forgotten_worker_back_as_half_a_hash(
    jobs: JobQueue, redis: Redis
) -> None:
    worker = worker_of(redis, Runs(), clock=Time())
    worker.run_once()
    redis.flushall()
    enqueue(jobs, "evt_1")
    worker.run_once()
    assert not redis.exists(worker.key)
    assert place(redis, "evt_1") == "finished"
