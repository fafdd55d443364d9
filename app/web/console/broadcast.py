"""What is live: read by one task for all who watch, and for nobody while nobody does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import suppress

from app.logs import get_logger
from app.queue.retry_policy import describe

log = get_logger("console")

# Seconds between two readings, and between two signs of life to a viewer.
INTERVAL, HEARTBEAT = 2.0, 15.0
# Messages that a viewer may be behind: who does not take them is left out.
BEHIND = 8
# Seconds after which a stream ends. The browser asks for the next one with the cookie it has then,
# so that nobody watches for longer who has signed out, or whose session is over.
LIFETIME = 45.0
PING = ": \n\n"


class Broadcast:
    """Hands each new message to all viewers. It belongs to one event loop."""

    def __init__(
        self,
        read: Callable[[], Awaitable[str]],
        *,
        interval: float = INTERVAL,
        heartbeat: float = HEARTBEAT,
        lifetime: float = LIFETIME,
    ) -> None:
        """`read` gives the message, which is sent if it is a new one. Times are in seconds."""
        self._read = read
        self._interval = interval
        self._heartbeat = heartbeat
        self._lifetime = lifetime
        self._viewers: set[asyncio.Queue[str | None]] = set()
        self._reading: asyncio.Task[None] | None = None
        self._last: str | None = None

    @property
    def viewers(self) -> int:
        """How many watch now."""
        return len(self._viewers)

    async def watch(self) -> AsyncGenerator[str, None]:
        """The messages for one viewer, the newest at once, until its time is over.

        It ends when the viewer is too far behind.
        """
        queue: asyncio.Queue[str | None] = asyncio.Queue(BEHIND)
        self._viewers.add(queue)
        try:
            if self._reading is None or self._reading.done():
                self._last = None
                self._reading = asyncio.create_task(self._read_all())
            elif self._last is not None:
                queue.put_nowait(self._last)
            async for message in self._take(queue):
                yield message
        finally:
            self._viewers.discard(queue)

    async def _take(self, queue: asyncio.Queue[str | None]) -> AsyncIterator[str]:
        clock = asyncio.get_running_loop().time
        end = clock() + self._lifetime
        while (left := end - clock()) > 0:
            message: str | None = PING
            with suppress(TimeoutError):
                message = await asyncio.wait_for(queue.get(), min(left, self._heartbeat))
            if message is None or clock() >= end:
                return
            yield message

    async def _read_all(self) -> None:
        try:
            while self._viewers:
                message = await self._read()
                if message != self._last:
                    self._last = message
                    for queue in list(self._viewers):
                        self._give(queue, message)
                await asyncio.sleep(self._interval)
        except Exception as error:  # a fault of ours, whose text may quote anything
            name, place = describe(error)
            log.error("live view failed", error_class=name, error=place)
        finally:
            for queue in self._viewers:
                _end(queue)

    def _give(self, queue: asyncio.Queue[str | None], message: str) -> None:
        if queue.full():
            self._viewers.discard(queue)
            _end(queue)
        else:
            queue.put_nowait(message)


def _end(queue: asyncio.Queue[str | None]) -> None:
    """Have a viewer's stream end with its next step."""
    with suppress(asyncio.QueueEmpty):
        while True:
            queue.get_nowait()
    queue.put_nowait(None)
