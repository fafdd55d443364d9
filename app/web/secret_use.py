"""When each signing secret was last used, so that a team that rolls one sees the old one unused.

Remembered in memory, and written to Redis for all web processes every few seconds: a delivery costs
no call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from redis import asyncio as redis_asyncio
from redis.exceptions import RedisError

from app.configuration.credentials import SigningSecret
from app.domain.errors import StoreFailure
from app.logs import get_logger
from app.queue.connection import translated_call
from app.queue.secret_use import KEY, fingerprint

log = get_logger("webhooks")

# Seconds between two calls to Redis.
INTERVAL = 10.0


class SecretUse:
    """Notes them beside the deliveries, which do not wait for it."""

    def __init__(
        self, redis: redis_asyncio.Redis, now: Callable[[], float], interval: float = INTERVAL
    ) -> None:
        """`redis` belongs to the running event loop; `now` gives Unix seconds."""
        self._redis = redis
        self._now = now
        self._interval = interval
        self._used: set[SigningSecret] = set()
        self._writing: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    def note(self, signing: SigningSecret) -> None:
        """A delivery was signed with this one. The first of a while is written at once."""
        if signing in self._used:
            return
        self._used.add(signing)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write_all())

    async def close(self) -> None:
        """Wait until all are written."""
        self._closing.set()
        if self._writing is not None:
            await self._writing

    async def _write_all(self) -> None:
        while self._used:
            used, self._used = self._used, set()
            await self._write(used)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), self._interval)

    async def _write(self, used: set[SigningSecret]) -> None:
        now = int(self._now())
        try:
            async with translated_call(self._redis):
                await self._redis.hset(KEY, mapping={fingerprint(one): now for one in used})
        except (StoreFailure, RedisError) as failure:
            error_class = failure.__class__.__name__
            log.warning("use of a signing secret is not noted", error_class=error_class)
