"""A worker's wait for a job, and which worker a job wakes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from redis import Redis

from app.local.valkey import Valkey
from app.queue.connection import open_redis
from app.queue.model import EVENTS
from app.queue.transitions import JobQueue
from tests.support.places import end_lease, everything, new, queued
from tests.support.waiting import eventually


class Waiter(threading.Thread):
    """A worker that has found nothing, and waits with a connection of its own."""

    def __init__(self, url: str, name: str, seconds: int) -> None:
        super().__init__(daemon=True)
        self.url, self.worker, self.seconds = url, name, seconds
        self.woken: bool | None = None

    def run(self) -> None:
        with open_redis(self.url) as client:
            jobs = JobQueue(client, EVENTS, self.worker)
            assert jobs.claim(f"{self.worker}-1", 60, 100, waits=True) == []
            self.woken = jobs.wait(self.seconds)


def until_blocked(redis: Redis, clients: int) -> None:
    """Wait until so many clients wait in the server."""
    deadline = time.monotonic() + 10
    while redis.info("clients")["blocked_clients"] != clients:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def wait_for_a_job(redis: Redis, valkey: Valkey, workers: int) -> list[Waiter]:
    """So many workers that wait for 4 seconds, those that came first first."""
    waiters = [Waiter(valkey.url, f"worker-{number}", 4) for number in range(workers)]
    for number, waiter in enumerate(waiters):
        waiter.start()
        until_blocked(redis, number + 1)
    return waiters


def woken(redis: Redis, waiters: list[Waiter], number: int = 1) -> list[str]:
    """Those that jobs have woken, once so many have been; the waits of all others end as well."""
    eventually(lambda: sum(not waiter.is_alive() for waiter in waiters) >= number)
    for client in redis.client_list():
        if client["cmd"] == "blpop":
            redis.client_unblock(int(client["id"]))
    for waiter in waiters:
        waiter.join(10)
    return [waiter.worker for waiter in waiters if waiter.woken]


def test_a_wait_for_nothing_ends(jobs: JobQueue, redis: Redis) -> None:
    assert jobs.of_worker("worker").wait(1) is False
    assert everything(redis) == {}


def test_a_job_that_comes_between_claim_and_wait_ends_the_wait_at_once(
    jobs: JobQueue, redis: Redis
) -> None:
    worker = jobs.of_worker("worker")
    worker.claim("token", 60, 100, waits=True)
    jobs.enqueue_all([new("evt_1"), new("evt_2")])
    before = everything(redis)
    assert worker.wait() is True
    assert everything(redis) == before
    assert queued(redis) == ["evt_1", "evt_2"]


@pytest.mark.parametrize("come", ["enqueue", "rescue", "replay", "release", "promote"])
def test_a_job_wakes_the_worker_that_came_last_and_no_other(
    jobs: JobQueue, redis: Redis, valkey: Valkey, come: str
) -> None:
    jobs.enqueue_all([new("evt_1"), new("evt_2")])
    first, second = jobs.claim("token", 60, 2)
    if come == "rescue":
        end_lease(redis, "evt_1")
    elif come == "replay":
        jobs.bury(first, "permanent_error", "Broken", "it broke")
    elif come == "promote":
        jobs.retry_later(first, 60, "Broken", "it broke")
    waiters = wait_for_a_job(redis, valkey, 3)
    moves: dict[str, Callable[[], object]] = {
        "enqueue": lambda: jobs.enqueue_all([new("evt_3"), new("evt_4")]),
        "rescue": jobs.rescue,
        "replay": lambda: jobs.replay(["evt_1"]),
        "release": lambda: jobs.release("token", ["evt_1"]),
        "promote": lambda: jobs.promote(["evt_1"]),
    }
    moves[come]()
    assert woken(redis, waiters) == ["worker-2"]
    assert queued(redis) == (["evt_3", "evt_4"] if come == "enqueue" else ["evt_1"])
    assert jobs.complete("token", [second.id]) == 1


def test_each_call_that_queues_a_job_wakes_another_worker(
    jobs: JobQueue, redis: Redis, valkey: Valkey
) -> None:
    waiters = wait_for_a_job(redis, valkey, 3)
    jobs.enqueue(new("evt_1"))
    jobs.enqueue(new("evt_2"))
    assert woken(redis, waiters, 2) == ["worker-1", "worker-2"]


def test_a_claim_that_leaves_jobs_wakes_another_worker(
    jobs: JobQueue, redis: Redis, valkey: Valkey
) -> None:
    waiters = wait_for_a_job(redis, valkey, 3)
    jobs.enqueue_all([new("evt_1"), new("evt_2"), new("evt_3")])
    until_blocked(redis, 2)
    worker = jobs.of_worker("worker-2")
    worker.claim("first", 60, 1)
    until_blocked(redis, 1)
    worker.claim("second", 60, 2)
    assert woken(redis, waiters, 2) == ["worker-1", "worker-2"]


def test_a_claim_that_finds_only_what_is_gone_ends_its_own_wait_at_once(
    jobs: JobQueue, redis: Redis
) -> None:
    jobs.enqueue_all([new("evt_1"), new("evt_2")])
    redis.delete("rq:job:evt_1")
    worker = jobs.of_worker("worker")
    assert worker.claim("token", 60, 1, waits=True) == []
    assert worker.wait(1) is True


def test_a_worker_that_works_is_not_woken(jobs: JobQueue) -> None:
    worker = jobs.of_worker("worker")
    worker.claim("first", 60, 100, waits=True)
    jobs.enqueue(new("evt_1"))
    assert worker.wait(1) is True
    worker.claim("second", 60, 100, waits=True)
    jobs.enqueue(new("evt_2"))
    assert worker.wait(1) is False


def test_a_worker_that_has_stopped_waiting_is_not_woken(
    jobs: JobQueue, redis: Redis, valkey: Valkey
) -> None:
    waiters = wait_for_a_job(redis, valkey, 2)
    jobs.of_worker("worker-1").stop_waiting()
    jobs.enqueue(new("evt_1"))
    assert woken(redis, waiters) == ["worker-0"]


def test_an_idle_worker_writes_nothing(jobs: JobQueue, redis: Redis) -> None:
    worker = jobs.of_worker("worker")
    worker.claim("first", 60, 100, waits=True)
    before = redis.info("persistence")["rdb_changes_since_last_save"]
    worker.claim("second", 60, 100, waits=True)
    assert worker.wait(1) is False
    assert redis.info("persistence")["rdb_changes_since_last_save"] == before


def test_a_job_is_queued_whatever_stands_under_the_key_of_those_that_wait(
    jobs: JobQueue, redis: Redis
) -> None:
    redis.hset("identity:idle:events", "not", "a list")
    assert jobs.enqueue(new("evt_1")) == "enqueued"
    worker = jobs.of_worker("worker")
    assert [job.id for job in worker.claim("first", 60, 100, waits=True)] == ["evt_1"]
    assert worker.claim("second", 60, 100, waits=True) == []
