"""The primary changes behind the same name: every client recovers on its next command."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import aclosing

import pytest

from app.domain.errors import QueueUnavailable
from app.queue import confirming
from app.queue.connection import open_async_redis, open_redis
from app.queue.enqueuing import AsyncJobQueue
from app.queue.model import EVENTS
from app.queue.transitions import JobQueue
from tests.queue.enqueuing import enqueuing
from tests.support.places import new, place
from tests.support.replication import Pair, replicated
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """A primary and a replica for all tests of this module: each leaves two such behind."""
    with replicated(tmp_path_factory.mktemp("servers")) as pair:
        yield pair


@pytest.fixture
def pair(servers: Pair) -> Pair:
    """The two, empty, with the name at the primary."""
    servers.move_name()
    with open_redis(servers.primary.url) as client:
        client.flushall()
    return servers


def test_a_busy_worker_goes_on_at_the_new_primary_with_its_next_command(pair: Pair) -> None:
    with open_redis(pair.name.url) as client:
        jobs = JobQueue(client, EVENTS)
        jobs.enqueue_all([new("evt_1"), new("evt_2")])
        assert [job.id for job in jobs.claim("t1", 60, 1)] == ["evt_1"]
        pair.fail_over()
        assert jobs.complete("t1", ["evt_1"]) == 1
        assert [job.id for job in jobs.claim("t2", 60, 1)] == ["evt_2"]


def test_the_web_process_enqueues_at_the_new_primary_with_its_next_call(pair: Pair) -> None:
    async def run() -> None:
        async with aclosing(open_async_redis(pair.name.url)) as client:
            queue = AsyncJobQueue(client, EVENTS)
            assert await queue.enqueue_all([new("evt_1")]) == ["enqueued"]
            await asyncio.to_thread(pair.fail_over)
            assert await queue.enqueue_all([new("evt_1"), new("evt_2")]) == [
                "duplicate",
                "enqueued",
            ]

    asyncio.run(run())
    with open_redis(pair.primary.url) as client:
        assert place(client, "evt_2") == "queued"


def test_an_idle_worker_waits_on_at_the_new_primary(pair: Pair) -> None:
    woken: list[bool] = []

    def wait() -> None:
        with open_redis(pair.name.url) as client:
            worker = JobQueue(client, EVENTS, "worker")
            worker.claim("token", 60, 100, waits=True)
            woken.append(worker.wait(4))

    def waits_at(url: str) -> bool:
        with open_redis(url) as client:
            return bool(client.info("clients")["blocked_clients"])

    waiter = threading.Thread(target=wait)
    waiter.start()
    eventually(lambda: waits_at(pair.primary.url))
    pair.name.target = pair.replica.port  # it is about to be the primary
    pair.fail_over()
    eventually(lambda: waits_at(pair.primary.url))
    with open_redis(pair.primary.url) as client:
        JobQueue(client, EVENTS).enqueue(new("evt_1"))
    waiter.join(10)
    assert woken == [True]


def test_while_the_name_leads_to_the_demoted_primary_the_refusal_says_so(pair: Pair) -> None:
    with open_redis(pair.name.url) as client:
        jobs = JobQueue(client, EVENTS)
        jobs.enqueue(new("evt_1"))
        pair.fail_over(move_name=False)
        for _ in range(2):
            with pytest.raises(QueueUnavailable, match="READONLY"):
                jobs.enqueue(new("evt_2"))
        pair.move_name()
        assert jobs.enqueue(new("evt_2")) == "enqueued"


def test_with_replica_nothing_is_answered_before_the_replica_has_it(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        async with enqueuing(pair.name.url, "replica") as batcher:
            assert await batcher.submit(new("evt_1")) == "enqueued"
            replica = pair.replica.process
            assert replica is not None
            replica.send_signal(signal.SIGSTOP)
            try:
                monkeypatch.setattr(confirming, "WAIT_TIMEOUT", 0.2)
                with pytest.raises(QueueUnavailable, match="at no replica of Redis"):
                    await batcher.submit(new("evt_2"))
            finally:
                replica.send_signal(signal.SIGCONT)
            monkeypatch.setattr(confirming, "WAIT_TIMEOUT", 4.0)
            assert await batcher.submit(new("evt_2")) == "duplicate"

    asyncio.run(run())
    with open_redis(pair.replica.url) as client:
        assert place(client, "evt_2") == "queued"


def test_with_replica_what_was_answered_is_at_the_new_primary(pair: Pair) -> None:
    async def run() -> None:
        async with enqueuing(pair.name.url, "replica") as batcher:
            assert await batcher.submit(new("evt_1")) == "enqueued"
            await asyncio.to_thread(pair.fail_over)
            assert await batcher.submit(new("evt_1")) == "duplicate"

    asyncio.run(run())
