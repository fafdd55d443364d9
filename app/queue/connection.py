"""Connections to Redis: limits and timeouts, and its errors as ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from redis import BlockingConnectionPool, Redis, exceptions
from redis import asyncio as redis_asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.configuration.addresses import SENTINEL_SCHEMES, parse_sentinel_url
from app.queue.failures import describe_redis, failure_of
from app.queue.sentinels import AsyncBySentinels, BySentinels, sentinel_options
from app.queue.serving import AsyncServing, Serving, place_of_client

# Longer than any wait of ours in a command (WAIT in transitions.py): only a dead peer meets it.
SOCKET_TIMEOUT = 5.0
CONNECT_TIMEOUT = 3.0
# Connections of a process, whose threads wait for one to come free: small plans allow 20 in all. A
# worker needs three (it claims ahead, waits, and listens to RQ's commands), other calls are short.
MAX_CONNECTIONS = 4
POOL_TIMEOUT = 5.0


def _options(url: str, verify: bool) -> dict[str, Any]:
    options: dict[str, Any] = {
        "socket_timeout": SOCKET_TIMEOUT,
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "health_check_interval": 30,
    }
    if url.startswith("rediss://") and not verify:  # other schemes refuse these options
        options |= {"ssl_cert_reqs": "none", "ssl_check_hostname": False}
    return options


# One immediate retry replaces a connection that an idle proxy or a restart has closed. Every
# transition can be sent twice: the second finds the job already moved.
def open_redis(
    url: str,
    *,
    verify: bool = True,
    connections: int = MAX_CONNECTIONS,
    seconds: float | None = None,
) -> Redis:
    """A client with its own pool; it connects at its first command. One for each process.

    `seconds` bounds a call and a connection's beginning, if that is to be less than above.
    """
    place = {"place": describe_redis(url)}
    url, named = _named(url, verify, BySentinels)
    options = _options(url, verify)
    if seconds is not None:
        options |= {"socket_timeout": seconds, "socket_connect_timeout": seconds}
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=seconds or POOL_TIMEOUT,
        retry=Retry(NoBackoff(), 1),
        **options,
    )
    # Of TCP, TLS or a Unix socket, as the URL says.
    pool.connection_class = type("Connection", (Serving, *named, pool.connection_class), place)
    return Redis.from_pool(pool)


def open_async_redis(url: str, *, verify: bool = True) -> redis_asyncio.Redis:
    """A client for the web process' event loop, of one connection: one call is under way at a time.

    Its calls have no timeout of their own, which costs as much as the call; see `translated_call`.
    """
    place = {"place": describe_redis(url)}
    url, named = _named(url, verify, AsyncBySentinels)
    options: dict[str, Any] = _options(url, verify) | {"socket_timeout": None}
    pool = redis_asyncio.BlockingConnectionPool.from_url(
        url,
        max_connections=1,
        timeout=POOL_TIMEOUT,
        retry=AsyncRetry(NoBackoff(), 1),
        **options,
    )
    kinds = (AsyncServing, *named, pool.connection_class)
    pool.connection_class = type("Connection", kinds, place)
    redis = redis_asyncio.Redis(connection_pool=pool, single_connection_client=True)
    redis.auto_close_connection_pool = True
    return redis


def _named(url: str, verify: bool, by_sentinels: type) -> tuple[str, tuple[type, ...]]:
    """The address for the client, and what its connections need where sentinels name the server."""
    if not url.startswith(SENTINEL_SCHEMES):
        return url, ()
    address = parse_sentinel_url(url)
    told = {"address": address, "options": sentinel_options(address, verify)}
    return address.redis_url, (type("BySentinels", (by_sentinels,), told),)


@asynccontextmanager
async def translated_call(
    client: redis_asyncio.Redis, seconds: float | None = None
) -> AsyncIterator[None]:
    """A call of the event loop's client, of SOCKET_TIMEOUT at most, or of these seconds.

    Raises QueueUnavailable and QueueRefused.
    """
    with translated_errors(place_of_client(client)):
        async with asyncio.timeout(seconds or SOCKET_TIMEOUT):
            yield


@contextmanager
def translated_errors(place: str = "") -> Iterator[None]:
    """Raises QueueUnavailable for what passes with time at Redis, QueueRefused for what does not.

    All else is a fault of ours. `place` is where Redis is, where an error does not know it.
    """
    try:
        yield
    except (exceptions.RedisError, OSError) as error:
        failure = failure_of(error, place, seconds=POOL_TIMEOUT)
        if failure is None:
            raise
        raise failure from error
