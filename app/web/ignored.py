"""Events of Stripe Identity's that are ignored: counted in Redis, for all web processes."""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import cast

from redis import Redis
from redis import asyncio as redis_asyncio
from redis.exceptions import RedisError

from app.domain.errors import StoreFailure
from app.logs import get_logger
from app.queue.connection import translated_call, translated_errors

log = get_logger("webhooks")

KEY = "identity:events_ignored"


class IgnoredEvents:
    """Counts them beside the deliveries, which do not wait for it."""

    def __init__(self, redis: redis_asyncio.Redis) -> None:
        """`redis` belongs to the running event loop."""
        self._redis = redis
        self._under_way: set[asyncio.Task[None]] = set()

    def count(self, type: str) -> None:
        """Count one of this type."""
        task = asyncio.get_running_loop().create_task(self._count(type), context=Context())
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def close(self) -> None:
        """Wait until all are counted."""
        if self._under_way:
            await asyncio.wait(self._under_way)

    async def _count(self, type: str) -> None:
        try:
            async with translated_call(self._redis):
                await self._redis.hincrby(KEY, type, 1)
        except (StoreFailure, RedisError) as failure:
            error_class = failure.__class__.__name__
            log.warning("an ignored event is not counted", type=type, error_class=error_class)


def read_ignored(redis: Redis) -> dict[str, int]:
    """How many were ignored, by type. Raises QueueUnavailable."""
    with translated_errors():
        found = cast(dict[bytes, bytes], redis.hgetall(KEY))
    return {type.decode(): int(count) for type, count in found.items()}
