"""A worker's wait for a job."""

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


class Waiter(threading.Thread):
    """Waits for a job with a connection of its own."""

    def __init__(self, url: str, seconds: int) -> None:
        super().__init__(daemon=True)
        self.url, self.seconds = url, seconds
        self.woken: bool | None = None

    def run(self) -> None:
        with open_redis(self.url) as client:
            self.woken = JobQueue(client, EVENTS).wait(self.seconds)


def until_blocked(redis: Redis, clients: int) -> None:
    """Wait until so many clients wait in the server."""
    deadline = time.monotonic() + 10
    while redis.info("clients")["blocked_clients"] < clients:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_wait_ends_at_once_where_a_job_is_queued_and_takes_nothing(
    jobs: JobQueue, redis: Redis
) -> None:
    jobs.enqueue_all([new("evt_1"), new("evt_2")])
    before = everything(redis)
    assert jobs.wait() is True
    assert everything(redis) == before


def test_a_wait_for_nothing_ends(jobs: JobQueue, redis: Redis) -> None:
    assert jobs.wait(1) is False
    assert everything(redis) == {}


@pytest.mark.parametrize("come", ["enqueue", "rescue", "replay", "release"])
def test_every_waiter_is_woken_when_a_job_comes(
    jobs: JobQueue, redis: Redis, valkey: Valkey, come: str
) -> None:
    jobs.enqueue_all([new("evt_1"), new("evt_2")])
    first, second = jobs.claim("token", 60, 2)
    if come == "rescue":
        end_lease(redis, "evt_1")
    elif come == "replay":
        jobs.bury(first, "permanent_error", "Broken", "it broke")
    waiters = [Waiter(valkey.url, 4) for _ in range(3)]
    for waiter in waiters:
        waiter.start()
    until_blocked(redis, 3)
    began = time.monotonic()
    moves: dict[str, Callable[[], object]] = {
        "enqueue": lambda: jobs.enqueue(new("evt_3")),
        "rescue": jobs.rescue,
        "replay": lambda: jobs.replay(["evt_1"]),
        "release": lambda: jobs.release("token", ["evt_1"]),
    }
    moves[come]()
    for waiter in waiters:
        waiter.join(10)
    assert time.monotonic() - began < 3
    assert [waiter.woken for waiter in waiters] == [True] * 3
    assert queued(redis) == ["evt_3" if come == "enqueue" else "evt_1"]
    assert jobs.complete("token", [second.id]) == 1
