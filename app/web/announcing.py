"""What the web process says of Redis when it starts."""

from __future__ import annotations

from contextlib import suppress

from app.domain.errors import QueueRefused, QueueUnavailable
from app.logs import get_logger
from app.queue.confirming import Durability
from app.queue.enqueuing import AsyncJobQueue

log = get_logger("web")


async def announce(events: AsyncJobQueue, durability: Durability) -> None:
    """Say what a 200 promises, and whether this Redis will never take a delivery.

    A cluster, or a server that is too old, answers everything but the queue's scripts.
    """
    await durability.announce()
    with suppress(QueueUnavailable):  # it is tried again with each delivery, which says so
        try:
            await events.check()
        except QueueRefused as refusal:
            log.error("Redis cannot hold the queue", error=str(refusal), code=refusal.code)
