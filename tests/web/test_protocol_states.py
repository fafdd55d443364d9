"""Whatever comes over a connection, in whatever pieces, it is known what the connection waits for.

Else one could be held open for ever: connections.py ends those that wait for their sender.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uvicorn import Config
from uvicorn.server import ServerState

from app.web.connections import Wait
from app.web.protocol import BoundedHttpProtocol
from tests.support.fuzzing import A_FEW, MANY, soak
from tests.web.served import answer

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
PIECES = st.sampled_from(
    [
        *(GET, POST, POST + b"123456789", CHUNKED, CHUNKED + b"0\r\n\r\n", b"123456789", b"GET /"),
        *(b"2\r\nab\r\n", b"0\r\n\r\n", b"0\r\na: b\r\n\r\n", b"\r\n", b"a: b\r\n", b"\0", b"1"),
        *(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), GET.replace(b"1.1", b"1.0")),
        *(GET[:-4], GET[:-4] + b"\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"),
    ]
)
# Each piece, and whether the loop runs before the next one comes.
TALKS = st.lists(st.tuples(PIECES, st.booleans()), max_size=12)


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closing = False
        self.paused = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def write(self, data: Any) -> None:
        assert not self.closing, "written after the end"
        self.written += data

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = True

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture(scope="module")
def config() -> Config:
    config = Config(answer, http=BoundedHttpProtocol, lifespan="off", log_config=None)
    config.load()
    return config


async def settle() -> None:
    """Let all that is under way come to its end: nothing here takes longer."""
    for _ in range(20):
        await asyncio.sleep(0)


async def talk(config: Config, pieces: list[tuple[bytes, bool]]) -> None:
    """One connection; afterwards its state is looked at."""
    connection = BoundedHttpProtocol(config, ServerState(), {}, asyncio.get_running_loop())
    wire = Wire()
    connection.connection_made(wire)
    for piece, pause in pieces:
        if wire.closing:
            break
        connection.data_received(piece)
        if pause or wire.paused:
            await settle()
    await settle()
    begun = connection.cycle is not None
    assert not begun or connection.cycle.response_complete or connection.cycle.disconnected
    if wire.closing:
        assert connection.waits_for is Wait.CLOSING
    else:
        assert connection.waits_for in set(Wait) - {Wait.CLOSING, Wait.READING}
        assert wire.written or connection.waits_for in (Wait.FIRST, Wait.HEAD)
    for each in wire.written.split(b"HTTP/1.1 ")[1:]:
        assert each.startswith((b"200 ", b"400 "))
    connection.connection_lost(None)


def check(loop: asyncio.AbstractEventLoop, config: Config, talked: Any) -> None:
    loop.run_until_complete(talk(config, talked))


test_it_is_known_what_a_connection_waits_for = A_FEW(given(talked=TALKS)(check))
test_it_is_known_what_a_connection_waits_for_at_length = soak(MANY(given(talked=TALKS)(check)))
