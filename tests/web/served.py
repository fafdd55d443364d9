"""A server of our protocol inside the test, and a connection to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import Receive, Scope, Send
from uvicorn import Config, Server

from app.local.valkey import free_port
from app.web.protocol import BoundedHttpProtocol

KEPT = 1  # seconds a connection without a request is kept, the least that uvicorn counts in
# An answer of many times what the buffers of both sides hold.
LARGE = 16 * 2**20


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Always the same, without reading a body.

    `/slow` takes longer than a connection is kept; `/large` is LARGE.
    """
    if scope["path"] == "/slow":
        await asyncio.sleep(KEPT * 1.5)
    parts = 64 if scope["path"] == "/large" else 0
    length = b"%d" % (LARGE if parts else 0)
    headers = [(b"content-length", length)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for _ in range(parts):
        part = b" " * (LARGE // parts)
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def served() -> AsyncIterator[int]:
    """The port of a running server."""
    port = free_port()
    server = Server(
        Config(
            answer,
            host="127.0.0.1",
            port=port,
            http=BoundedHttpProtocol,
            lifespan="off",
            log_config=None,
            timeout_keep_alive=KEPT,
        )
    )
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield port
    finally:
        server.should_exit = True
        await serving


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a server of its own."""
    async with served() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()
