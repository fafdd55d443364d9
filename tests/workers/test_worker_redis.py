"""What a worker costs Redis, and what it does while Redis is away or full."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis
from rq.command import send_shutdown_command

from app.local.valkey import Valkey
from app.queue.connection import open_redis
from app.queue.model import EVENTS
from app.queue.transitions import JobQueue
from tests.support.places import end_lease, place, places
from tests.support.waiting import eventually
from tests.support.workers import impatient, running_all, worker_of
from tests.workers.process import Told, working
from tests.workers.runs import TEN, Runs, Time, enqueue, registered
from workers.worker import HEARTBEAT


@contextmanager
def watched(redis: Redis, valkey: Valkey) -> Iterator[list[str]]:
    """The commands that clients send meanwhile; what a script calls is the server's affair."""
    found: list[str] = []
    with open_redis(valkey.url) as watcher, watcher.monitor() as monitor:
        yield found
        redis.echo("that is all")
        while "that is all" not in (seen := monitor.next_command())["command"]:
            if seen["client_type"] != "lua":
                found.append(seen["command"].split()[0])


def calls(redis: Redis, *names: str) -> int:
    """How often these were called, by whomever."""
    stats = redis.info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in names)


def test_a_busy_batch_of_a_hundred_takes_two_round_trips(
    jobs: JobQueue, redis: Redis, valkey: Valkey
) -> None:
    worker = impatient(running_all(worker_of(redis, Runs(), clock=Time())))
    enqueue(jobs, *[f"evt_{number}" for number in range(100)])
    worker.run_once()  # its first: scripts are loaded, a sign of life is given
    worker.run_once()
    enqueue(jobs, *[f"evt_{number}" for number in range(100, 400)])
    with watched(redis, valkey) as commands:
        for _ in range(3):
            assert worker.run_once() == 100
        worker._batches.release()  # the claim that went ahead of the third found none
    assert commands == ["EVALSHA"] * 7


def test_signs_of_life_and_looks_at_suspension_do_not_come_with_every_batch(
    jobs: JobQueue, redis: Redis
) -> None:
    clock = Time()
    worker = impatient(worker_of(redis, Runs(), clock=clock))
    worker.run_once()
    redis.config_resetstat()
    for _ in range(300):
        worker.run_once()
        clock.now += 0.1
    # 30 seconds: two signs of life, 30 looks whether it is paused.
    assert 1 <= calls(redis, "expire") // 2 <= 3
    assert calls(redis, "evalsha") == 300
    assert 25 <= calls(redis, "get") - 300 <= 35  # each claim reads one key


# --- Redis away, or full --------------------------------------------------------------------


@pytest.fixture
def private(tmp_path: Path) -> Iterator[Valkey]:
    """A server of this test alone, that it may break; what it answers is on its disk."""
    with Valkey(tmp_path, fsync="always") as server:
        yield server


def still_listens(private: Valkey, told: Told) -> None:
    """The worker hears RQ's commands, as soon as it has subscribed anew."""
    with open_redis(private.url) as redis:

        def asked() -> bool:
            for worker in registered(redis):
                send_shutdown_command(redis, worker.name)
            return told.process.poll() is not None

        eventually(asked)
    assert told.ended() == 0


def test_redis_being_away_is_waited_out(private: Valkey) -> None:
    with working(private.url) as told:
        private.kill()
        told.await_line("waiting for Redis")
        private.start()
        with open_redis(private.url) as redis:
            enqueue(JobQueue(redis, EVENTS), "evt_1")
            told.await_line("end evt_1")
            eventually(lambda: places(redis, "evt_1") == ["finished"])
        still_listens(private, told)


def test_redis_dying_in_the_middle_of_a_job_loses_nothing(private: Valkey) -> None:
    with open_redis(private.url) as redis:
        jobs = JobQueue(redis, EVENTS)
        enqueue(jobs, "evt_1", "evt_2", seconds=0.5)
        with working(private.url) as told:
            told.await_line("begin evt_1")
            private.kill()
            told.await_line("waiting for Redis")
            private.start()
            for id in ("evt_1", "evt_2"):
                assert place(redis, id) == "started"
                end_lease(redis, id)
            assert jobs.rescue().expired == 2
            told.await_line("end evt_1", 2)
            eventually(lambda: places(redis, "evt_1") == places(redis, "evt_2") == ["finished"])


def test_a_worker_asked_to_stop_while_redis_is_away_stops(private: Valkey) -> None:
    with working(private.url) as told:
        private.kill()
        told.await_line("waiting for Redis")
        told.process.send_signal(signal.SIGTERM)
        assert told.ended() == 0
        assert "left without telling Redis" in told.text


@pytest.mark.slow
def test_redis_hanging_is_waited_out(private: Valkey) -> None:
    with working(private.url) as told:
        assert private.process is not None
        private.process.send_signal(signal.SIGSTOP)
        told.await_line("waiting for Redis", seconds=60)
        private.process.send_signal(signal.SIGCONT)
        with open_redis(private.url) as redis:
            enqueue(JobQueue(redis, EVENTS), "evt_1")
            told.await_line("end evt_1")
        still_listens(private, told)


@pytest.fixture
def full(redis: Redis) -> Iterator[Callable[[], object]]:
    """Fills the server; it is emptied again at the end."""
    yield lambda: redis.config_set("maxmemory", 1)
    redis.config_set("maxmemory", 0)


def test_a_full_redis_is_emptied_by_the_worker_though_it_takes_no_sign_of_life(
    jobs: JobQueue, redis: Redis, full: Callable[[], object]
) -> None:
    clock = Time()
    worker = impatient(worker_of(redis, Runs(), clock=clock))
    enqueue(jobs, *TEN)
    full()
    clock.now += HEARTBEAT
    assert worker.run_once() == 10
    assert {place(redis, id) for id in TEN} == {"finished"}
    assert worker.run_once() == 0


def test_a_worker_that_starts_while_redis_is_full_empties_it(
    jobs: JobQueue, redis: Redis, valkey: Valkey, full: Callable[[], object]
) -> None:
    enqueue(jobs, *TEN)
    full()
    with working(valkey.url):
        eventually(lambda: all(places(redis, id) == ["finished"] for id in TEN))
