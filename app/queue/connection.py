"""Connections to Redis: limits and timeouts, and its errors as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis import Redis, exceptions
from redis import asyncio as redis_asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.connection import HiredisRespSerializer
from redis.retry import Retry

from app.domain.errors import QueueUnavailable

# Longer than any wait of ours in a command (WAIT in transitions.py): only a dead peer meets it.
SOCKET_TIMEOUT = 5.0
CONNECT_TIMEOUT = 3.0

# What Redis answers while it cannot serve: full, loading its file, a replica, unable to save.
_UNABLE = (
    "OOM",
    "LOADING",
    "READONLY",
    "MISCONF",
    "MASTERDOWN",
    "BUSY",
    "NOREPLICAS",
    "CLUSTERDOWN",
)


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
def open_redis(url: str, *, verify: bool = True) -> Redis:
    """A client with its own pool; it connects at its first command. One for each process."""
    return Redis.from_url(url, retry=Retry(NoBackoff(), 1), **_options(url, verify))


def open_async_redis(url: str, *, verify: bool = True) -> redis_asyncio.Redis:
    """The same, for the web process' event loop."""
    retry = AsyncRetry(NoBackoff(), 1)
    redis = redis_asyncio.Redis.from_url(url, retry=retry, **_options(url, verify))
    pool = redis.connection_pool
    # Of TCP, TLS or a Unix socket, as the URL says.
    pool.connection_class = type("Connection", (_PackedByHiredis, pool.connection_class), {})
    return redis


class _PackedByHiredis:
    """A mixin for connections. Commands are packed in C, which redis-py does for `Redis` only.

    In Python it costs as much as the rest of what a job costs the web process at Redis.
    """

    _serializer = HiredisRespSerializer()

    def pack_command(self, *arguments: Any) -> list[bytes]:
        """The bytes of a command."""
        packed: list[bytes] = self._serializer.pack(*arguments)
        return packed


@contextmanager
def translated_errors() -> Iterator[None]:
    """Raises QueueUnavailable for what passes with time at Redis; all else is a fault of ours."""
    try:
        yield
    except (exceptions.ConnectionError, exceptions.TimeoutError, OSError) as error:
        raise QueueUnavailable(f"Redis cannot be reached ({type(error).__name__})") from error
    except exceptions.ResponseError as error:
        answer = str(error)
        # The client takes the code off the answers that it has a class for.
        if error.status_code and not answer.startswith(error.status_code):
            answer = f"{error.status_code} {answer}"
        if answer.startswith(_UNABLE):
            raise QueueUnavailable(f"Redis refuses: {answer[:80]}") from error
        raise
