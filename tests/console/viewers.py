"""`python -m tests.console.viewers PORT COUNT COOKIE`: people who have the first screen open.

Each follows the stream, and loads the page anew each ten seconds. Says "ready" once the streams of
all have begun, and goes on until it is ended.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

LOADED_EVERY = 10.0  # seconds


class Viewers:
    """All of them."""

    def __init__(self, port: int, cookie: str) -> None:
        self._port = port
        self._cookie = cookie

    async def follow(self, there: asyncio.Event) -> None:
        """Read the stream, and begin anew where it ends."""
        while True:
            with suppress(OSError, EOFError):
                reader, writer = await self._ask("/console/live")
                await reader.readuntil(b"\r\n\r\n")
                there.set()
                while await reader.read(65_536):
                    pass
                writer.close()
            await asyncio.sleep(1)

    async def load(self, after: float) -> None:
        """Load the page again and again."""
        await asyncio.sleep(after)
        while True:
            with suppress(OSError):
                reader, writer = await self._ask("/console/", "Connection: close\r\n")
                await reader.read()
                writer.close()
            await asyncio.sleep(LOADED_EVERY)

    async def _ask(
        self, path: str, more: str = ""
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {self._cookie}\r\n{more}\r\n"
        writer.write(head.encode())
        return reader, writer


async def main(port: int, count: int, cookie: str) -> None:
    """Never returns."""
    viewers = Viewers(port, cookie)
    there = [asyncio.Event() for _ in range(count)]
    async with asyncio.TaskGroup() as group:
        for number, event in enumerate(there):
            group.create_task(viewers.follow(event))
            group.create_task(viewers.load(LOADED_EVERY * number / count))
        for event in there:
            await event.wait()
        print("ready", flush=True)  # noqa: T201  # for who has started it


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
