"""`python -m tests.benchmarks.crowd PORT IDLE DRIPPING`: senders that use up connections.

The idle have sent one request, and no more. The dripping send a head without end, a byte each half
second; one that is cut off begins anew. Says "ready" once all are there, and goes on until it is
ended.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from contextlib import suppress

DRIP_EVERY = 0.5  # seconds
ASKED = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
BEGUN = b"POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\nX-Long: "
# Connections that are opened at once: more would overflow the listener's queue.
OPENED_AT_ONCE = 50


class Crowd:
    """All of them."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._opening = asyncio.Semaphore(OPENED_AT_ONCE)

    async def idle(self, there: asyncio.Event) -> None:
        """One that has asked once; `there` is set when it is answered."""
        while True:
            with suppress(OSError):
                async with self._opening:
                    reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                    writer.write(ASKED)
                    await reader.readuntil(b"}")
                there.set()
                await reader.read()

    async def drip(self, there: asyncio.Event) -> None:
        """One whose head has no end; `there` is set when it has begun."""
        while True:
            with suppress(OSError):
                async with self._opening:
                    reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                    writer.write(BEGUN)
                there.set()
                while not reader.at_eof() and not writer.is_closing():
                    await asyncio.sleep(DRIP_EVERY)
                    writer.write(b"a")
                writer.close()


async def main(port: int, idle: int, dripping: int) -> None:
    """Never returns."""
    crowd = Crowd(port)
    there = [asyncio.Event() for _ in range(idle + dripping)]
    async with asyncio.TaskGroup() as group:
        for number, event in enumerate(there):
            group.create_task(crowd.idle(event) if number < idle else crowd.drip(event))
        for event in there:
            await event.wait()
        print("ready", flush=True)  # noqa: T201  # for who has started it


if __name__ == "__main__":
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(main(*map(int, sys.argv[1:])))
