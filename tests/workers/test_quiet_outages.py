"""Workers and the clock tell of an outage in a line a minute, and go on by themselves."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from redis import Redis
from starlette.datastructures import Secret
from structlog.testing import capture_logs

from app.configuration.settings import Settings
from app.local.valkey import Valkey, free_port
from app.queue.connection import open_redis
from tests.support.waiting import eventually
from tests.support.workers import offline, worker_of
from tests.workers.runs import Runs, Time
from tests.workers.test_supervisor import events, working
from workers.clock import Clock
from workers.context import Context
from workers.worker import Worker

pytestmark = pytest.mark.slow

MINUTES = 5
EVENTS = ["waiting for Redis", *["still waiting for Redis"] * MINUTES, "Redis is back"]


@pytest.fixture
def private(tmp_path: Path) -> Iterator[Valkey]:
    """A server of this test alone, that it may stop."""
    with Valkey(tmp_path / "valkey", fsync="no") as server:
        yield server


def outage_of(lines: list[Any]) -> list[str]:
    """The names of the warnings, and of what says that it is over."""
    levels = ("warning", "error", "critical")
    return [
        line["event"]
        for line in lines
        if line["log_level"] in levels or line["event"].endswith(" back")
    ]


def test_an_idle_worker_tells_of_an_absent_redis_in_a_line_a_minute(
    private: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Time()
    began = clock.now
    with open_redis(private.url) as redis:
        worker = worker_of(redis, Runs(), clock=clock)

        def pause(seconds: float) -> None:
            """Let time pass; after some minutes Redis comes back."""
            clock.now += seconds
            if clock.now - began > 60 * MINUTES + 30 and private.process is None:
                private.start()

        def wait(seconds: float = 0) -> bool:
            worker._stop_requested = True
            return False

        private.stop()
        private.process = None
        with (
            capture_logs() as lines,
            caplog.at_level(logging.WARNING),
            patch.object(Worker, "_pause", lambda self, seconds: pause(seconds)),
            patch.object(Worker, "bootstrap"),
            patch.object(worker.jobs, "wait", wait),
            patch("signal.signal"),
        ):
            worker.work()
    assert outage_of(lines) == EVENTS
    assert caplog.records == []  # RQ's own


def test_rqs_listener_writes_no_lines_of_its_own(
    private: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        open_redis(private.url) as redis,
        patch("workers.registration.LISTEN_AGAIN", 0.01),
        caplog.at_level(logging.WARNING),
        capture_logs() as lines,
    ):
        worker = worker_of(redis, Runs())
        worker.subscribe()
        assert worker.pubsub is not None
        private.stop()
        heard = worker.pubsub.get_message
        with patch.object(worker.pubsub, "get_message", wraps=heard) as listening:
            eventually(lambda: listening.call_count > 3)
        private.start()
        eventually(lambda: redis.pubsub_numsub(worker.pubsub_channel_name)[0][1] == 1)
        worker.unsubscribe()
    assert (outage_of(lines), caplog.records) == ([], [])


def test_a_clock_tells_of_an_absent_redis_in_a_line_a_minute(
    private: Valkey, database_url: str
) -> None:
    settings = Settings(redis_url=Secret(private.url), database_url=Secret(database_url))
    context, time = offline(Context.of(settings)), Time()
    clock = Clock(context, time)
    private.stop()
    with capture_logs() as lines:
        for _ in range(60 * MINUTES // 5 + 1):
            clock.run_once()
            time.now += 5
        private.start()
        clock.run_once()
    context.stores.close()
    assert outage_of(lines) == EVENTS


def test_a_clock_tells_of_an_absent_ledger_in_a_line_a_minute(redis: Redis, valkey: Valkey) -> None:
    away = f"postgresql://me@127.0.0.1:{free_port()}/ledger"
    settings = Settings(redis_url=Secret(valkey.url), database_url=Secret(away))
    context, time = offline(Context.of(settings)), Time()
    clock = Clock(context, time)
    with capture_logs() as lines:
        for _ in range(9):
            clock.run_once()
            for task in clock._tasks:
                assert task.join(10)
            time.now += 15
    context.stores.close()
    assert outage_of(lines) == ["the ledger is away", *["the ledger is still away"] * 2]


def test_workers_whose_user_has_no_right_wait_for_it_in_one_line(
    redis: Redis, valkey: Valkey, database_url: str
) -> None:
    redis.acl_setuser(
        "poor", enabled=True, passwords=["+PLANTED"], keys=["*"], channels=["*"], commands=["+ping"]
    )
    try:
        url = valkey.url.replace("redis://", "redis://poor:PLANTED@")
        with working(url, database_url) as told:
            told.await_line("run EVALSHA (NOPERM)", seconds=60)
            redis.acl_setuser("poor", enabled=True, commands=["+@all"])
            told.await_line('"worker started"', 3, seconds=60)
            told.await_line('"Redis is back"', seconds=60)
            assert len(events(told, "waiting for Redis")) == 1
            assert events(told, "child died") == []
            assert "Traceback" not in told.text
            assert "PLANTED" not in told.text
    finally:
        redis.acl_deluser("poor")
