"""What a worker in a process of its own does at a signal, and at RQ's commands."""

from __future__ import annotations

import signal
import time

import pytest
from redis import Redis
from rq.command import send_kill_horse_command, send_shutdown_command, send_stop_job_command
from rq.serializers import JSONSerializer

from app.local.valkey import Valkey
from app.queue.transitions import JobQueue
from tests.support.places import STARTED, place, places, queued
from tests.support.waiting import eventually
from tests.workers.process import working
from tests.workers.runs import enqueue, registered


def test_an_idle_worker_ends_at_once_when_asked_to(redis: Redis, valkey: Valkey) -> None:
    with working(valkey.url) as told:
        eventually(lambda: redis.info("clients")["blocked_clients"])
        waited = told.lines.count("waited")
        told.process.send_signal(signal.SIGTERM)
        assert told.ended() == 0
        assert told.lines.count("waited") == waited
        assert "left" in told.lines
    assert registered(redis) == []


def test_an_idle_worker_holds_nothing_that_its_death_could_lose(
    jobs: JobQueue, redis: Redis, valkey: Valkey
) -> None:
    with working(valkey.url) as told:
        eventually(lambda: redis.info("clients")["blocked_clients"])
        told.process.send_signal(signal.SIGSTOP)
        enqueue(jobs, "evt_1")
        told.process.kill()
    assert place(redis, "evt_1") == "queued"


@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGINT], [signal.SIGTERM] * 3])
def test_a_signal_lets_the_job_at_hand_finish_and_gives_the_rest_back(
    jobs: JobQueue, redis: Redis, valkey: Valkey, signals: list[signal.Signals]
) -> None:
    enqueue(jobs, "evt_1", "evt_2", "evt_3", seconds=0.5)
    with working(valkey.url) as told:
        told.await_line("begin evt_1")
        for each in signals:
            told.process.send_signal(each)
            time.sleep(0.05)
        assert told.ended() == 0
        assert [line for line in told.lines if line[:3] in ("beg", "end")] == [
            "begin evt_1",
            "end evt_1",
        ]
    assert place(redis, "evt_1") == "finished"
    assert queued(redis) == ["evt_2", "evt_3"]
    assert redis.zcard(STARTED) == 0


def test_rqs_shutdown_command_stops_the_worker(
    jobs: JobQueue, redis: Redis, valkey: Valkey
) -> None:
    enqueue(jobs, "evt_1", "evt_2", seconds=0.5)
    with working(valkey.url) as told:
        told.await_line("begin evt_1")
        send_shutdown_command(redis, registered(redis)[0].name)
        assert told.ended() == 0
    assert place(redis, "evt_1") == "finished"
    assert place(redis, "evt_2") == "queued"


def test_rqs_other_commands_do_no_harm(jobs: JobQueue, redis: Redis, valkey: Valkey) -> None:
    enqueue(jobs, "evt_1", seconds=1)
    with working(valkey.url) as told:
        told.await_line("begin evt_1")
        (worker,) = registered(redis)
        send_kill_horse_command(redis, worker.name)
        send_stop_job_command(redis, "evt_1", serializer=JSONSerializer)
        told.await_line("end evt_1")
        eventually(lambda: places(redis, "evt_1") == ["finished"])
        # It still listens.
        send_shutdown_command(redis, worker.name)
        assert told.ended() == 0
