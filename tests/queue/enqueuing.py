"""What the web process enqueues with, put together as it does it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.queue.batching import EnqueueBatcher
from app.queue.confirming import Confirmer, Durability
from app.queue.connection import open_async_redis
from app.queue.enqueuing import AsyncJobQueue
from app.queue.model import EVENTS


@asynccontextmanager
async def enqueuing(url: str, durability: str = "disk") -> AsyncIterator[EnqueueBatcher]:
    """What the web process enqueues with."""
    calls, waits = open_async_redis(url), open_async_redis(url)
    confirmer = Confirmer(Durability(durability, calls, waits))
    batcher = EnqueueBatcher(AsyncJobQueue(calls, EVENTS), answer=confirmer.answer)
    try:
        yield batcher
    finally:
        await batcher.close()
        await confirmer.close()
        await calls.aclose()
        await waits.aclose()
