"""Redis away, full, slow, killed or forgetful: what is seen, and what is left."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path

import pytest
from redis import Redis

from app.domain.errors import QueueUnavailable
from app.local.valkey import Valkey, free_port
from app.queue import connection
from app.queue.connection import open_async_redis, open_redis
from app.queue.dead_letters import DeadLetters
from app.queue.enqueuing import AsyncJobQueue
from app.queue.model import EVENTS, encode
from app.queue.transitions import JobQueue
from tests.support.places import everything, new, one_of_each, place

Enqueue = Callable[[str], str]


def enqueue_sync(url: str) -> str:
    """Enqueue one job as the backfill does."""
    with open_redis(url) as client:
        return JobQueue(client, EVENTS).enqueue(new("evt_1", client_reference_id="user_1"))


def enqueue_async(url: str) -> str:
    """Enqueue one job as the web process does."""

    async def run() -> str:
        async with aclosing(open_async_redis(url)) as client:
            job = new("evt_1", client_reference_id="user_1")
            (outcome,) = await AsyncJobQueue(client, EVENTS).enqueue_all([job])
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

    return asyncio.run(run())


def told(error: BaseException | None) -> str:
    """The text of an error and of all that caused it, as a log would show it."""
    texts = []
    while error is not None:
        texts.append(str(error))
        error = error.__cause__ or error.__context__
    return "\n".join(texts)


both = pytest.mark.parametrize("enqueue", [enqueue_sync, enqueue_async], ids=["sync", "async"])


@pytest.fixture
def private(tmp_path: Path) -> Iterator[Valkey]:
    """A server of this test alone, that it may break; what it answers is on its disk."""
    with Valkey(tmp_path, fsync="always") as server:
        yield server


@pytest.fixture
def private_redis(private: Valkey) -> Iterator[Redis]:
    """A client of it."""
    with open_redis(private.url) as client:
        yield client


# Away


@both
def test_an_absent_redis_is_named_without_its_url(enqueue: Enqueue) -> None:
    port = free_port()
    with pytest.raises(QueueUnavailable) as raised:
        enqueue(f"redis://someone:hunter2@127.0.0.1:{port}/0")
    assert raised.value.code == "connection_refused"
    assert "hunter2" not in told(raised.value)


@both
def test_a_wrong_password_is_not_told(enqueue: Enqueue, private: Valkey) -> None:
    with pytest.raises(QueueUnavailable) as raised:
        enqueue(f"redis://someone:hunter2@127.0.0.1:{private.port}/0")
    assert raised.value.code == "wrong_password"
    assert "hunter2" not in told(raised.value)


@both
def test_a_redis_that_hangs_is_given_up_within_the_timeouts(
    enqueue: Enqueue, private: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "SOCKET_TIMEOUT", 0.2)
    monkeypatch.setattr(connection, "CONNECT_TIMEOUT", 0.2)
    assert private.process is not None
    private.process.send_signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(QueueUnavailable, match="did not answer in time"):
            enqueue(private.url)
        # Connecting and answering, each tried twice, on a busy machine.
        assert time.monotonic() - began < 5
    finally:
        private.process.send_signal(signal.SIGCONT)


# Refusing

REFUSALS = {
    "full": ({"maxmemory": "1"}, "OOM"),
    "no replicas": ({"min-replicas-to-write": "1"}, "NOREPLICAS"),
    "a replica": ({"replicaof": "127.0.0.1 1"}, "READONLY"),
}


def refuse(redis: Redis, how: str) -> None:
    """Make the server refuse writes."""
    if how == "a replica":
        redis.replicaof("127.0.0.1", "1")
    else:
        for name, value in REFUSALS[how][0].items():
            redis.config_set(name, value)


@both
@pytest.mark.parametrize("how", REFUSALS)
def test_a_refusal_says_which_and_nothing_of_the_job(
    enqueue: Enqueue, how: str, private: Valkey, private_redis: Redis
) -> None:
    refuse(private_redis, how)
    with pytest.raises(QueueUnavailable) as raised:
        enqueue(private.url)
    assert f"({REFUSALS[how][1]})" in str(raised.value)
    assert "EVALSHA" not in told(raised.value)
    assert "user_1" not in told(raised.value)


def test_a_full_redis_takes_nothing_new_and_leaves_nothing_of_it_behind(
    private_redis: Redis,
) -> None:
    jobs = JobQueue(private_redis, EVENTS)
    one_of_each(jobs)
    private_redis.config_set("maxmemory", 1)
    before = everything(private_redis)
    for job in (new("evt_1"), new("evt_2", delay=60), new("failed")):
        with pytest.raises(QueueUnavailable):
            jobs.enqueue(job)
    assert everything(private_redis) == before


def test_a_full_redis_still_lets_every_job_move(private_redis: Redis) -> None:
    jobs = JobQueue(private_redis, EVENTS)
    jobs.enqueue_all([new(f"evt_{n}") for n in range(4)])
    one_of = {}
    private_redis.config_set("maxmemory", 1)
    worker = jobs.of_worker("worker")
    assert worker.claim("none", 60, 0, waits=True) == []
    assert worker.wait() is True  # as there are jobs
    for job in jobs.claim("token", 60, 4):
        one_of[job.id] = job
    assert jobs.complete("token", ["evt_0"]) == 1
    assert jobs.retry_later(one_of["evt_1"], -1, "Busy", "try again")
    assert jobs.bury(one_of["evt_2"], "permanent_error", "Broken", "it broke")
    assert jobs.release("token", ["evt_3"]) == 1
    assert jobs.promote() == 1
    assert [letter.id for letter in DeadLetters(private_redis, EVENTS)] == ["evt_2"]
    assert jobs.rewrite("evt_2", encode(EVENTS.function, [2])) is True
    assert jobs.replay(["evt_2"]) == 1
    assert [job.id for job in jobs.claim("t2", 60, 4)] == ["evt_3", "evt_1", "evt_2"]
    assert jobs.bury(one_of["evt_1"], "permanent_error", "Late", "late") is False
    assert jobs.complete("t2", ["evt_1", "evt_2", "evt_3"]) == 3


def test_an_idle_worker_of_a_full_redis_waits_its_time(private_redis: Redis) -> None:
    jobs = JobQueue(private_redis, EVENTS)
    private_redis.config_set("maxmemory", 1)
    began = time.monotonic()
    assert jobs.wait(1) is False
    assert time.monotonic() - began >= 1


def test_to_ask_whether_a_delivery_would_be_taken_writes_nothing(
    private: Valkey, private_redis: Redis
) -> None:
    async def ask() -> None:
        async with aclosing(open_async_redis(private.url)) as client:
            await AsyncJobQueue(client, EVENTS).check()

    asyncio.run(ask())
    assert private_redis.keys() == []


# Killed, restarted, forgetful


def test_after_a_kill_every_job_is_where_it_was(private: Valkey, private_redis: Redis) -> None:
    ids = one_of_each(JobQueue(private_redis, EVENTS, "worker"))
    before = everything(private_redis)
    private.kill()
    private.start()
    assert everything(private_redis) == before
    assert {id: place(private_redis, id) for id in ids} == ids


def test_a_client_outlives_a_restart_and_a_forgotten_script(
    private: Valkey, private_redis: Redis
) -> None:
    jobs = JobQueue(private_redis, EVENTS)
    jobs.enqueue_all([new(f"evt_{n}") for n in range(3)])
    assert len(jobs.claim("t0", 60, 1)) == 1
    private.kill()
    private.start()
    assert len(jobs.claim("t1", 60, 1)) == 1
    private_redis.script_flush()
    assert len(jobs.claim("t2", 60, 1)) == 1
    private_redis.script_flush()
    assert jobs.enqueue(new("evt_3")) == "enqueued"


def test_a_closed_connection_is_mended(jobs: JobQueue, redis: Redis, valkey: Valkey) -> None:
    jobs.enqueue(new("evt_1"))
    with open_redis(valkey.url) as admin:
        admin.client_kill_filter(_id=redis.client_id())
        assert jobs.enqueue(new("evt_2")) == "enqueued"
        admin.client_kill_filter(_id=redis.client_id())
        assert [job.id for job in jobs.claim("token", 60, 2)] == ["evt_1", "evt_2"]


# The web process' side


def test_the_async_side_answers_as_the_other_one(jobs: JobQueue, valkey: Valkey) -> None:
    one_of_each(jobs)
    ids = ["queued", "started", "scheduled", "finished", "failed", "absent", "absent"]

    async def run() -> Sequence[object]:
        async with aclosing(open_async_redis(valkey.url)) as client:
            queue = AsyncJobQueue(client, EVENTS)
            await queue.check()
            return [(await queue.enqueue_all([new(id, n=1)]))[0] for id in ids]

    assert asyncio.run(run()) == ["duplicate"] * 4 + ["replayed", "enqueued", "duplicate"]
    assert place(jobs.connection, "absent") == "queued"


def test_the_async_side_needs_one_round_trip_for_a_job(redis: Redis, valkey: Valkey) -> None:
    async def run() -> None:
        async with aclosing(open_async_redis(valkey.url)) as client:
            queue = AsyncJobQueue(client, EVENTS)
            await queue.enqueue_all([new("first")])  # connects, and loads the script
            redis.echo("begin")
            await queue.enqueue_all([new("second")])
            redis.echo("end")

    with open_redis(valkey.url) as watcher, watcher.monitor() as monitor:
        asyncio.run(run())
        commands = []
        for seen in monitor.listen():
            if seen["client_type"] != "lua":
                commands.append(seen["command"].split()[0])
            if seen["command"] == "ECHO end":
                break
    begin = commands.index("ECHO")
    assert commands[begin:] == ["ECHO", "EVALSHA", "ECHO"]


def test_the_async_side_tells_of_a_redis_that_is_away() -> None:
    async def run() -> None:
        url = f"redis://127.0.0.1:{free_port()}/0"
        async with aclosing(open_async_redis(url)) as client:
            await AsyncJobQueue(client, EVENTS).check()

    with pytest.raises(QueueUnavailable):
        asyncio.run(run())
