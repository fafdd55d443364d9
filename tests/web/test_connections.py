"""How long a sender may let a connection wait, and which connections make room for others."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from app.web.connections import MAX_CONNECTIONS, OTHER_FILES, Connections, Wait, connection_limit
from app.web.protocol import MAX_DROPPED
from tests.web.processes import request
from tests.web.served import connected, served

QUICK = 0.3  # seconds, instead of many
ASKED = request("GET", "/")
ANSWER = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.web.connections.LOOK_EVERY", 0.02)
    monkeypatch.setattr(
        "app.web.connections.TIMEOUTS", dict.fromkeys(set(Wait) - {Wait.NEXT}, QUICK)
    )


async def dripped(first: bytes, drops: bytes) -> tuple[bytes, float]:
    """All that is answered to this and drops without end, and after how many seconds it ends.

    Whoever still sends to a closed connection is reset: what was answered before is read after
    that, which a stream would throw away.
    """
    loop = asyncio.get_running_loop()
    async with served() as port:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.setblocking(False)
            began = loop.time()
            dripping = asyncio.create_task(drip(connection, first, drops))
            answered = b""
            async with asyncio.timeout(60):
                with suppress(ConnectionError):
                    while part := await loop.sock_recv(connection, 64 * 1024):
                        answered += part
            took = loop.time() - began
            dripping.cancel()
            with suppress(asyncio.CancelledError):
                await dripping
            return answered, took


async def drip(connection: socket.socket, first: bytes, drops: bytes) -> None:
    """Send this, and then the drops again and again until the other side has gone."""
    loop = asyncio.get_running_loop()
    with suppress(ConnectionError):
        await loop.sock_sendall(connection, first)
        while True:
            await asyncio.sleep(0.02)
            await loop.sock_sendall(connection, drops)


HEAD = b"GET / HTTP/1.1\r\nHost: x\r\na: "
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"


@pytest.mark.usefixtures("quick")
class TestSlowSenders:
    @pytest.mark.parametrize(
        ("first", "drops"),
        [(b"GET /", b"a"), (HEAD, b"a"), (b"", b"\r\n"), (ASKED + HEAD, b"a")],
        ids=["a URL", "a header", "empty lines", "after a request"],
    )
    def test_a_head_that_drips_is_408(self, first: bytes, drops: bytes) -> None:
        told, took = asyncio.run(dripped(first, drops))
        *answered, last = told.split(b"HTTP/1.1 ")
        assert last.startswith(b"408 ")
        assert last.endswith(b"the head of the request did not come in time")
        assert took >= QUICK
        assert len([each for each in answered if each]) == first.count(ASKED)

    def test_a_connection_on_which_nothing_comes_is_closed_without_a_word(self) -> None:
        assert asyncio.run(dripped(b"", b""))[0] == b""

    def test_the_rest_of_a_body_that_drips_after_its_answer_ends_the_connection(self) -> None:
        told, took = asyncio.run(dripped(POST, b"a"))
        assert told.count(b"HTTP/1.1 ") == told.count(ANSWER) == 1
        assert took >= QUICK

    def test_a_request_at_work_is_answered_though_the_head_after_it_drips(self) -> None:
        told, _ = asyncio.run(dripped(request("GET", "/slow") + HEAD, b"a"))
        assert told.count(b"HTTP/1.1 ") == told.count(ANSWER) == 1
        assert b"connection: close" in told

    def test_who_does_not_read_the_answer_is_disconnected(self) -> None:
        async def ask() -> bytes:
            async with connected() as (reader, writer):
                writer.write(request("GET", "/large") * 3)
                with suppress(ConnectionError):
                    async with asyncio.timeout(60):
                        while True:  # sending fails once the server has gone
                            writer.write(b"\r\n")
                            await writer.drain()
                            await asyncio.sleep(0.02)
                with suppress(ConnectionError):
                    return await reader.read(10)
                return b""

        with capture_logs() as lines:
            asyncio.run(ask())
        [line] = [line for line in lines if line["log_level"] == "warning"]
        assert line["waited_for"] == {"reading of an answer": 1}

    def test_slow_senders_are_counted_in_the_log(self) -> None:
        with capture_logs() as lines:
            asyncio.run(dripped(HEAD, b"a"))
        [line] = lines
        assert line["event"] == "senders were too slow, and were disconnected"
        assert line["waited_for"] == {"head": 1}


async def after_the_answer(rest: bytes) -> bytes:
    """All that is told to a POST whose body is sent once it was answered, and to a GET after it."""
    async with connected() as (reader, writer):
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(rest)
        writer.write(head)
        async with asyncio.timeout(60):
            told = await reader.readuntil(b"\r\n\r\n")
            writer.write(rest)
            writer.write(request("GET", "/", b"", ("Connection", "close")))
            with suppress(ConnectionError):
                told += await reader.read()
        return told


def test_a_small_body_after_its_answer_leaves_the_connection_open() -> None:
    told = asyncio.run(after_the_answer(b" " * MAX_DROPPED))
    assert told.count(b"HTTP/1.1 ") == told.count(ANSWER) == 2


def test_a_large_body_after_its_answer_ends_the_connection_without_a_second_answer() -> None:
    told = asyncio.run(after_the_answer(b" " * (8 * MAX_DROPPED)))
    assert told.count(b"HTTP/1.1 ") == told.count(ANSWER) == 1


@dataclass(eq=False)
class Open:
    """A connection that closes when it is told to."""

    opened: list[Open]
    since: float
    waits_for: Wait | None = Wait.NEXT
    told: list[str] = field(default_factory=list)

    def end(self) -> None:
        self.told.append("ended")

    def evict(self) -> None:
        self.opened.remove(self)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def opened() -> list[Open]:
    return []


@pytest.fixture
def connections(loop: asyncio.AbstractEventLoop, opened: list[Open]) -> Connections:
    connections = Connections(loop, opened, 95)
    connections.limit = 4
    return connections


def test_under_the_limit_nobody_has_to_go(connections: Connections, opened: list[Open]) -> None:
    opened.extend(Open(opened, since) for since in range(4))
    assert connections.admit()
    assert len(opened) == 4


def test_at_the_limit_the_one_that_waits_longest_goes(
    connections: Connections, opened: list[Open]
) -> None:
    opened.extend(Open(opened, since) for since in (3, 1, 2, 4, 5))
    with capture_logs() as lines:
        assert connections.admit()
    assert [each.since for each in opened] == [3, 2, 4, 5]
    assert lines[0]["event"] == "too many connections: the longest idle are closed"


def test_who_waits_for_us_does_not_go(connections: Connections, opened: list[Open]) -> None:
    opened.extend(Open(opened, since, None) for since in range(3))
    opened.extend(Open(opened, since) for since in (7, 8))
    assert connections.admit()
    assert [each.since for each in opened] == [0, 1, 2, 8]


def test_if_all_wait_for_us_no_more_are_admitted(
    connections: Connections, opened: list[Open]
) -> None:
    opened.extend(Open(opened, since, None) for since in range(4))
    opened.append(Open(opened, 9, Wait.FIRST))
    assert not connections.admit()
    assert len(opened) == 5


def test_a_flood_makes_one_line_a_second(connections: Connections, opened: list[Open]) -> None:
    with capture_logs() as lines:
        for since in range(50):
            opened.append(Open(opened, since))
            connections.admit()
    assert len(lines) == 1
    assert len(opened) == 4


def test_the_limit_leaves_files_to_all_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for files, limit in [
        (1_024, 1_024 - OTHER_FILES),
        (1_000_000, MAX_CONNECTIONS),
        (resource.RLIM_INFINITY, MAX_CONNECTIONS),
    ]:
        monkeypatch.setattr("resource.getrlimit", lambda which, files=files: (files, files))
        assert connection_limit() == limit
