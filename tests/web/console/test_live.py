"""What is live on the first page: over a socket, to all who watch, until the server stops."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from redis import Redis
from starlette.applications import Starlette
from uvicorn import Config, Server

from app.configuration.settings import Settings
from app.local.valkey import free_port
from app.web.console import overview, sign_in
from app.web.console.console import Console
from app.web.console.routes import ConsoleRoutes
from app.web.console.sessions import COOKIE
from app.web.protocol import BoundedHttpProtocol
from tests.support.ledger import observation
from tests.web.console.browser import CONSOLE_USERS, Browser
from tests.web.processes import request


def test_strangers_see_nothing_live(stranger: Browser) -> None:
    assert stranger.get("/console/live").status_code == 401


class Viewer:
    """A browser's stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port: int, cookie: str) -> Viewer:
        viewer = cls(*await asyncio.open_connection("127.0.0.1", port))
        asked = request("GET", "/console/live", b"", ("Cookie", f"{COOKIE}={cookie}"))
        viewer.writer.write(asked)
        return viewer

    async def next(self) -> dict[str, Any]:
        """The next event's data."""
        text = await asyncio.wait_for(self.reader.readuntil(b"}\n\n"), 10)
        return dict(json.loads(text.split(b"data: ", 1)[1]))


async def scene(console: Console) -> tuple[list[dict[str, Any]], bytes, float]:
    """Two watch, a user is verified, and the server stops: what one saw, its end, and how long."""
    app = Starlette(routes=[ConsoleRoutes(console, (sign_in, overview))])
    port = free_port()
    config = Config(
        app, host="127.0.0.1", port=port, http=BoundedHttpProtocol, lifespan="off", log_config=None,
        timeout_graceful_shutdown=20,
    )  # fmt: skip
    server = Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    cookie = console.people.sessions.cookie_of("reader")
    viewers = [await Viewer.open(port, cookie) for _ in range(2)]
    seen = [await viewer.next() for viewer in viewers]
    console.stores.ledger.apply([observation("verified", 100)], policy=None, now=100)
    while "user_1" not in (last := await viewers[0].next())["changes"]:
        pass
    seen.append(last)
    begun = time.monotonic()
    server.should_exit = True
    rest = await viewers[0].reader.read()
    await serving
    for viewer in viewers:
        viewer.writer.close()
    return seen, rest, time.monotonic() - begun


@pytest.mark.usefixtures("redis")
def test_all_who_watch_see_a_change_and_a_server_that_stops_does_not_wait_for_them(
    environment: dict[str, str], redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.operations.overview.overview.LIVE_KEPT", 0.0)
    settings = Settings.from_environment({**environment, "CONSOLE_USERS": CONSOLE_USERS})
    console = Console.of(settings, now=time.time)
    (first, second, changed), rest, seconds = asyncio.run(scene(console))
    console.stores.close()
    assert first["sentence"] == second["sentence"]
    assert first["title"].startswith(first["sentence"])
    assert "none for events and effects" in first["stages"]
    assert "<strong>verified</strong>" in changed["changes"]
    assert rest.endswith(b"0\r\n\r\n")
    assert seconds < 2
