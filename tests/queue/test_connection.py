"""How many connections a process holds to Redis."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, aclosing

import pytest
from redis import Redis

from app.domain.errors import QueueUnavailable
from app.local.valkey import Valkey
from app.queue.connection import (
    MAX_CONNECTIONS,
    open_async_redis,
    open_redis,
    translated_call,
    translated_errors,
)

NAME = "bounded"


def held(watcher: Redis) -> int:
    """Connections of the clients under test."""
    return sum(client["name"] == NAME for client in watcher.client_list())


def test_many_threads_share_a_few_connections(valkey: Valkey, redis: Redis) -> None:
    with (
        open_redis(f"{valkey.url}?client_name={NAME}") as client,
        ThreadPoolExecutor(40) as threads,
    ):
        assert len([*threads.map(lambda _: client.blpop(["nothing"], 0.02), range(80))]) == 80
        assert 1 < held(redis) <= MAX_CONNECTIONS


def test_a_hundred_calls_at_once_of_the_event_loop_take_one_connection(
    valkey: Valkey, redis: Redis
) -> None:
    async def call() -> None:
        async with aclosing(open_async_redis(f"{valkey.url}?client_name={NAME}")) as client:
            await asyncio.gather(*(client.ping() for _ in range(100)))
            assert held(redis) == 1

    asyncio.run(call())


def test_a_connection_that_does_not_come_free_is_told_apart_from_a_server_that_is_away(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.queue.connection.POOL_TIMEOUT", 0.05)
    with open_redis(valkey.url) as client, ExitStack() as taken:
        for _ in range(MAX_CONNECTIONS):
            pubsub = taken.enter_context(client.pubsub())
            pubsub.subscribe("channel")
        with (
            pytest.raises(
                QueueUnavailable, match=r"no connection to Redis at .* came free within 0.05 s"
            ),
            translated_errors(),
        ):
            client.ping()


def test_the_event_loops_client_says_the_same(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.queue.connection.POOL_TIMEOUT", 0.05)

    async def call() -> None:
        async with aclosing(open_async_redis(valkey.url)) as client:
            await client.ping()  # takes the one
            pipeline = client.pipeline()
            pipeline.ping()
            with pytest.raises(QueueUnavailable, match="came free within"):
                async with translated_call(client):
                    await pipeline.execute()

    asyncio.run(call())
