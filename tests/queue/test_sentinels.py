"""Redis Sentinel names the primary: for workers, and for the web process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing

import pytest

from app.domain.errors import QueueUnavailable
from app.local.valkey import free_port
from app.queue.connection import open_async_redis, open_redis
from app.queue.enqueuing import AsyncJobQueue
from app.queue.model import EVENTS
from app.queue.transitions import JobQueue
from tests.support.places import new, place
from tests.support.sentinels import SERVICE, Watched, watched
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A primary, a replica and a sentinel."""
    with watched(tmp_path_factory.mktemp("watched")) as found:
        yield found


def test_a_sentinel_that_is_away_is_passed_over(servers: Watched) -> None:
    url = servers.url.replace("//", f"//127.0.0.1:{free_port()},")
    with open_redis(url) as client:
        assert client.ping()


def test_where_no_sentinel_knows_the_primary_that_is_said(servers: Watched) -> None:
    url = servers.url.replace(SERVICE, "another")

    async def call() -> None:
        async with aclosing(open_async_redis(url)) as calls:
            await AsyncJobQueue(calls, EVENTS).enqueue_all([new("evt_1")])

    with open_redis(url) as client, pytest.raises(QueueUnavailable) as told:
        JobQueue(client, EVENTS).promote()
    assert str(told.value).startswith("no sentinel of another (127.0.0.1:")
    with pytest.raises(QueueUnavailable) as told:
        asyncio.run(call())
    assert str(told.value).startswith("no sentinel of another (127.0.0.1:")


def test_user_and_database_are_those_of_redis(servers: Watched) -> None:
    primary = servers.primary()
    assert primary is not None
    with open_redis(primary.url) as admin:
        admin.acl_setuser("app", enabled=True, passwords=["+word"], keys=["*"], commands=["+@all"])
        url = servers.url.replace("//", "//app:word@").removesuffix("/0") + "/3"
        with open_redis(url) as client:
            client.set("key", "value")
            assert client.acl_whoami() == "app"
    with open_redis(primary.url.removesuffix("/0") + "/3") as third:
        assert third.get("key") == b"value"


def test_web_and_workers_go_on_at_the_primary_that_sentinel_has_chosen(servers: Watched) -> None:
    before = servers.primary()
    assert before is not None

    async def run() -> None:
        with open_redis(servers.url) as client:
            async with aclosing(open_async_redis(servers.url)) as calls:
                queue, jobs = AsyncJobQueue(calls, EVENTS), JobQueue(client, EVENTS)
                assert await queue.enqueue_all([new("evt_1")]) == ["enqueued"]
                assert [job.id for job in jobs.claim("t1", 60, 1)] == ["evt_1"]
                client.wait(1, 5000)
                before.kill()
                eventually(lambda: servers.primary() not in (None, before), 60)
                assert await queue.enqueue_all([new("evt_2")]) == ["enqueued"]
                assert jobs.complete("t1", ["evt_1"]) == 1

    asyncio.run(run())
    after = servers.primary()
    assert after is not None
    with open_redis(after.url) as client:
        assert place(client, "evt_1") == "finished"
        assert place(client, "evt_2") == "queued"
