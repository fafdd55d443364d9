"""Requests that are refused: counted in Redis for all web processes, and logged, once a second.

Whoever sends them decides how many there are. So none is a line or a call to Redis of its own.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from contextvars import Context
from typing import NamedTuple, cast

from redis import Redis
from redis import asyncio as redis_asyncio
from redis.exceptions import RedisError

from app.domain.errors import StoreFailure
from app.logs import get_logger
from app.outages import Outages
from app.queue.connection import translated_call, translated_errors

log = get_logger("web")

KEY = "identity:requests_refused"
# Seconds between two lines, and two calls to Redis.
INTERVAL = 1.0


class Refusal(NamedTuple):
    """What was refused, and why. Each is one of few: nothing that a sender writes is in it."""

    why: str  # `token`: not one of API_TOKENS; `scope`: not enough for the call; `mode`: a delivery
    call: str
    token: str | None = None  # its name


class Refusals:
    """Counts them beside the requests, which do not wait for it."""

    def __init__(
        self,
        redis: redis_asyncio.Redis,
        interval: float = INTERVAL,
        outages: Outages | None = None,
    ) -> None:
        """`redis` belongs to the running event loop; `interval` is in seconds.

        `outages` tells the log of Redis being away.
        """
        self._redis = redis
        self._interval = interval
        self._counted: Counter[Refusal] = Counter()
        self._writing: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._outages = outages or Outages()

    def count(self, refusal: Refusal) -> None:
        """Count one. The first of a while is written at once."""
        self._counted[refusal] += 1
        if self._writing is None or self._writing.done():
            # In no context: its line is of many requests, and not of the one that begins it.
            loop = asyncio.get_running_loop()
            self._writing = loop.create_task(self._write_all(), context=Context())

    async def close(self) -> None:
        """Wait until all are written."""
        self._closing.set()
        if self._writing is not None:
            await self._writing

    async def _write_all(self) -> None:
        while self._counted:
            counted, self._counted = self._counted, Counter()
            await self._write(counted)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), self._interval)

    async def _write(self, counted: Counter[Refusal]) -> None:
        refused = [refusal._asdict() | {"count": count} for refusal, count in counted.items()]
        log.warning("requests refused", refused=refused)
        by_reason: Counter[str] = Counter()
        for refusal, count in counted.items():
            by_reason[refusal.why] += count
        try:
            async with translated_call(self._redis):
                for why, count in by_reason.items():
                    await self._redis.hincrby(KEY, why, count)
        except StoreFailure as failure:
            self._outages.failed("count refusals", failure)
        except RedisError as failure:
            error_class = failure.__class__.__name__
            log.warning("refused requests are not counted", error_class=error_class)
        else:
            self._outages.succeeded("count refusals")


def read_refusals(redis: Redis) -> dict[str, int]:
    """How many were refused, by reason. Raises QueueUnavailable."""
    with translated_errors():
        found = cast(dict[bytes, bytes], redis.hgetall(KEY))
    return {why.decode(): int(count) for why, count in found.items()}
