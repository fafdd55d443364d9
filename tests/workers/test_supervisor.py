"""The supervisor, and `python -m workers` as a whole."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from app.local.valkey import Valkey, free_port
from app.queue.connection import open_redis
from app.queue.model import EVENTS
from app.queue.transitions import JobQueue
from tests.support.places import counts, places
from tests.support.waiting import eventually
from tests.support.workers import event_job
from tests.workers.process import Told, started
from tests.workers.runs import registered
from workers.supervisor import Child, Supervisor


def events(told: Told, name: str) -> list[dict[str, Any]]:
    """The log's lines of this event."""
    lines = [json.loads(line) for line in list(told.lines) if line.startswith("{")]
    return [line for line in lines if line["event"] == name]


def children(told: Told, count: int) -> list[int]:
    """The ids of the first processes that were started."""
    eventually(lambda: len(events(told, "child started")) >= count, 30)
    return [line["pid"] for line in events(told, "child started")[:count]]


def lives(pid: int) -> bool:
    """Whether the process is there, and more than a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextmanager
def supervising(*kinds: str) -> Iterator[Told]:
    with started("-m", "tests.workers.children", *kinds) as told:
        children(told, len(kinds))
        try:
            yield told
        finally:
            told.process.send_signal(signal.SIGTERM)
            told.ended()


def test_a_child_that_was_killed_is_started_again_and_the_others_are_left_alone() -> None:
    with supervising("steady", "late") as told:
        first, other = children(told, 2)
        os.kill(first, signal.SIGKILL)
        told.await_line('"child started"', 3)
        assert [line["child"] for line in events(told, "child started")][2] == "steady"
        assert [line["exit_code"] for line in events(told, "child died")] == [-9]
        assert lives(other)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "code"), [("young", 3), ("raises", 1)])
def test_a_child_that_dies_young_is_started_again_after_doubling_delays(
    kind: str, code: int
) -> None:
    with supervising(kind) as told:
        told.await_line('"child died"', 5)
        died = events(told, "child died")
        # A tenth of 1, 2, 4, 8 seconds.
        assert [line["restart_in_seconds"] for line in died[:4]] == [0.1, 0.2, 0.4, 0.8]
        assert {line["exit_code"] for line in died} == {code}


@pytest.mark.slow
def test_a_child_that_has_lived_for_a_while_is_started_again_at_once() -> None:
    with supervising("steady") as told:
        (first,) = children(told, 1)
        time.sleep(1.2)  # a tenth of the ten seconds in which one is young
        os.kill(first, signal.SIGKILL)
        told.await_line('"child died"')
        assert events(told, "child died")[0]["restart_in_seconds"] == 0


@pytest.mark.slow
def test_a_child_that_hangs_past_its_limit_is_killed_and_started_again() -> None:
    with supervising("hangs", "late") as told:
        _, late = children(told, 2)
        told.await_line('"child hangs; killed"')
        told.await_line('"child started"', 3)
        assert {line["child"] for line in events(told, "child hangs; killed")} == {"hangs"}
        assert lives(late)


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT])
def test_a_stopping_supervisor_lets_its_children_finish(asked: signal.Signals) -> None:
    with supervising("busy", "steady") as told:
        told.await_line("steady", 2)
        told.process.send_signal(asked)
        assert told.ended() == 0
        assert "finished" in told.lines
        assert not any(lives(pid) for pid in children(told, 2))


@pytest.mark.slow
def test_a_child_that_does_not_hear_is_killed_before_the_platform_does_it() -> None:
    with supervising("stubborn") as told:
        told.await_line("steady")
        began = time.monotonic()
        told.process.send_signal(signal.SIGTERM)
        assert told.ended() == 0
        # A tenth of 22 seconds.
        assert 2 < time.monotonic() - began < 10
        assert events(told, "child did not finish; killed")
        assert not any(lives(pid) for pid in children(told, 1))


def test_children_end_when_their_supervisor_was_killed() -> None:
    with supervising("steady", "late") as told:
        told.await_line("steady", 2)
        pids = children(told, 2)
        told.process.kill()
        eventually(lambda: not any(lives(pid) for pid in pids))


def test_a_supervisor_that_fails_itself_stops_its_children_first() -> None:
    with started("-m", "tests.workers.children", "steady", "faulty") as told:
        told.await_line("steady")
        pids = children(told, 1)
        assert told.ended() == 1
        assert not any(lives(pid) for pid in pids)


# --- python -m workers ----------------------------------------------------------------------


@contextmanager
def working(redis_url: str, database_url: str, **environment: str) -> Iterator[Told]:
    """The whole, with two workers of events."""
    settings = {"REDIS_URL": redis_url, "DATABASE_URL": database_url, **environment}
    with started("-m", "workers", **settings) as told:
        yield told
        if told.process.poll() is None:
            told.process.send_signal(signal.SIGTERM)
            told.ended(30)


def test_an_event_is_applied_and_a_stop_leaves_nothing_behind(
    redis: Redis, valkey: Valkey, database_url: str
) -> None:
    with working(valkey.url, database_url) as told:
        told.await_line('"worker started"', 3)
        queues = sorted(worker.queue_names()[0] for worker in registered(redis))
        assert queues == ["identity-effects", "identity-events", "identity-events"]
        JobQueue(redis, EVENTS).enqueue(event_job("evt_1", "verified", "verified"))
        told.await_line('"event processed"')
        eventually(lambda: places(redis, "evt_1") == ["finished"])
        began = time.monotonic()
        told.process.send_signal(signal.SIGTERM)
        assert told.ended(30) == 0
        assert time.monotonic() - began < 15
        assert "Traceback" not in told.text
    assert registered(redis) == []


@pytest.mark.slow
@pytest.mark.parametrize("redis_is", ["there", "away"])
def test_no_process_outlives_a_supervisor_that_was_killed(
    tmp_path: Path, database_url: str, redis_is: str
) -> None:
    with Valkey(tmp_path / "valkey") as private, working(private.url, database_url) as told:
        told.await_line('"worker started"', 3)
        pids = children(told, 4)
        if redis_is == "away":
            private.kill()
            told.await_line('"waiting for Redis"')
        told.process.kill()
        eventually(lambda: not any(lives(pid) for pid in pids), 20)


@pytest.mark.slow
def test_a_worker_that_starts_before_redis_waits_for_it(tmp_path: Path, database_url: str) -> None:
    private = Valkey(tmp_path / "valkey", port=free_port())
    with working(private.url, database_url) as told:
        told.await_line('"waiting for Redis"')
        with private:
            told.await_line('"worker started"', 3)
            assert events(told, "child died") == []
            told.process.send_signal(signal.SIGTERM)
            assert told.ended(30) == 0


@pytest.mark.slow
def test_a_worker_that_is_killed_in_its_work_loses_nothing(
    redis: Redis, valkey: Valkey, database_url: str
) -> None:
    with working(valkey.url, database_url, LEASE_SECONDS="2") as told:
        told.await_line('"worker started"', 3)
        pids = children(told, 4)
        jobs = JobQueue(redis, EVENTS)
        ids = [f"evt_{number}" for number in range(60)]
        jobs.enqueue_all([event_job(id, at=1_700_000_000 + n) for n, id in enumerate(ids)])
        for pid in pids[:2]:
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: all(places(redis, id) == ["finished"] for id in ids), 30)
        applied = {line["event_id"] for line in events(told, "event processed")}
        assert applied <= set(ids)
    with open_redis(valkey.url) as again:
        assert not any(counts(JobQueue(again, EVENTS)).values())


def test_each_wrong_setting_is_named_on_a_line_of_its_own() -> None:
    wrong = {
        "REDIS_URL": "http://somewhere",
        "STRIPE_API_KEY": "hunter2",
        "LEASE_SECONDS": "soon",
        "EVENT_WORKERS": "0",
    }
    with started("-m", "workers", **wrong) as told:
        assert told.ended() == 2
        named = sorted(line.split()[0] for line in told.lines)
        assert named == sorted([*wrong, "DATABASE_URL"])  # which is not set
        assert "hunter2" not in told.text


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("DATABASE_URL", "sqlite:nothing:there"),
        ("DATABASE_URL", "postgresql://u:hunter2@host:port/x"),
        ("REDIS_URL", "redis://:hunter2@host:port/0"),
    ],
)
def test_an_address_that_cannot_be_read_is_a_wrong_setting(name: str, url: str) -> None:
    settings = {"DATABASE_URL": "sqlite://", name: url}
    with started("-m", "workers", **settings) as told:
        assert told.ended() == 2
        (line,) = told.lines
        assert line.startswith(name)
        assert "hunter2" not in line


def test_a_stop_signal_that_comes_with_the_start_is_heard() -> None:
    before = signal.signal(signal.SIGTERM, lambda signum, frame: None)  # as a supervisor has one
    try:
        for _ in range(10):
            child = Child("sleeper", lambda over_by: time.sleep(60))
            Supervisor([child]).run_once()
            assert child.process is not None
            child.process.terminate()
            child.process.join(10)
            assert child.process.exitcode == -signal.SIGTERM
            child.process.close()
    finally:
        signal.signal(signal.SIGTERM, before)
