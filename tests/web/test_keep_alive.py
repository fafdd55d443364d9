"""How long a connection without a request is kept."""

from __future__ import annotations

import asyncio

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn import Config, Server

from app.local.valkey import free_port
from app.web.protocol import BoundedHttpProtocol
from tests.web.processes import request

KEPT = 1  # seconds, the least that uvicorn counts in
ASKED = request("GET", "/")


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Always the same; `/slow` takes longer than a connection is kept."""
    if scope["path"] == "/slow":
        await asyncio.sleep(KEPT * 1.5)
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]}
    )
    await send({"type": "http.response.body", "body": b""})


async def lasts(sent: list[tuple[float, bytes]]) -> float:
    """Seconds from the last of what is sent, each after a pause, to the end of the connection."""
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
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for pause, part in sent:
        await asyncio.sleep(pause)
        writer.write(part)
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with asyncio.timeout(KEPT * 4):
            await reader.read()
    finally:
        server.should_exit = True
        writer.close()
        await serving
    return loop.time() - began


@pytest.mark.parametrize(
    ("sent", "least"),
    [
        ([(0, ASKED)], KEPT),
        ([(0, ASKED), (KEPT * 0.7, ASKED)], KEPT),
        ([(0, ASKED), (KEPT * 0.7, ASKED), (KEPT * 0.7, ASKED)], KEPT),
        ([(0, request("GET", "/slow"))], KEPT * 2.5),
    ],
    ids=["one request", "two", "three", "a slow one"],
)
def test_a_connection_is_kept_for_so_long_after_its_last_answer(
    sent: list[tuple[float, bytes]], least: float
) -> None:
    assert least * 0.95 <= asyncio.run(lasts(sent)) <= least + KEPT * 0.6
