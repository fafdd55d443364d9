"""Deliver requests over kept connections: as fast as they are answered, or at a given rate."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from tests.benchmarks.processes import Failed

ANSWER_WITHIN = 30.0


class Connection:
    """One kept connection to a web process."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> Connection:
        """Connect to loopback."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def deliver(self, request: bytes) -> None:
        """Send a request and read its answer. Raises Failed where that is not 200."""
        self._writer.write(request)
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
                body = await self._reader.readexactly(length)
        except (EOFError, OSError) as error:
            raise Failed(f"a delivery was not answered: {error!r}") from error
        if not head.startswith(b"http/1.1 200"):
            raise Failed(f"a delivery was refused: {head.splitlines()[0]!r} {body[:200]!r}")

    async def close(self) -> None:
        """Close it."""
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()


@contextmanager
def _first_failure() -> Iterator[None]:
    """Of a group of tasks that ended by their failures, the first one."""
    try:
        yield
    except ExceptionGroup as group:
        raise group.exceptions[0] from None


def deliver_all(port: int, requests: Iterable[bytes], connections: int = 16) -> None:
    """Deliver each request once, as fast as they are answered; about in their order."""
    asyncio.run(_deliver_all(port, iter(requests), connections))


async def _deliver_all(port: int, requests: Iterator[bytes], connections: int) -> None:
    async def one() -> None:
        connection = await Connection.open(port)
        try:
            for request in requests:  # shared: each takes the next one
                await connection.deliver(request)
        finally:
            await connection.close()

    with _first_failure():
        async with asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(one())


async def deliver_at(
    port: int, rate: float, count: int, request_of: Callable[[int], bytes]
) -> list[float]:
    """Deliver `count` requests at `rate` a second, whether or not those before are answered.

    Returns when each was due, by `time.monotonic`: a late sender's delay counts as latency.
    """
    idle: list[Connection] = []
    opened: list[Connection] = []

    async def one(request: bytes) -> None:
        if idle:
            connection = idle.pop()
        else:
            connection = await Connection.open(port)
            opened.append(connection)
        await connection.deliver(request)
        idle.append(connection)

    began = time.monotonic() + 0.1
    due = [began + number / rate for number in range(count)]
    try:
        with _first_failure():
            async with asyncio.TaskGroup() as group:
                for number, moment in enumerate(due):
                    request = request_of(number)
                    await asyncio.sleep(max(0.0, moment - time.monotonic()))
                    group.create_task(one(request))
    finally:
        for connection in opened:
            await connection.close()
    return due
