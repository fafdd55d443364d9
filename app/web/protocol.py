"""HTTP/1.1 over `httptools`, which by itself takes a head of any size: bounded here.

A request's body has its own limits, where it is read. All else that a sender can send is counted:
head, trailers, the lines around chunks, and empty lines before a request. How long a sender may
take is judged in connections.py: here is only kept what each connection waits for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from functools import partial
from typing import Any, cast
from weakref import WeakKeyDictionary

import httptools
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from app.web.connections import Connection, Connections, Wait
from app.web.ending import server_stops
from app.web.whole_request import WholeRequest

# Bytes of a request that are not its body.
MAX_HEAD = 96 * 1024
# Bytes: as far as the parser counts in a URL. A reference of 5,000 characters of four bytes, each
# percent-encoded, is 60,000 of them.
MAX_URL = 64 * 1024 - 1
# Several times what browsers and proxies send.
MAX_HEADERS = 100
# Parts, chunks for one, that a body may come in: each costs as much as some kilobytes of it. The
# largest delivery fits in parts of 128 bytes.
MAX_PARTS = 4 * 1024
# Bytes of a body that are read and dropped once its request is answered: an ordinary delivery's, so
# that the connection can be kept.
MAX_DROPPED = 64 * 1024
# Requests that may be sent ahead on a connection, each before the answer to the one before it.
MAX_AHEAD = 16
INVALID = "Invalid HTTP request received."
TOO_LARGE = "head too large"

_of_server: WeakKeyDictionary[ServerState, Connections] = WeakKeyDictionary()


class BadHead(Exception):
    """Raised inside the parser, which gives up; what is said to the sender is in `_why`."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """One connection, of which a bounded part is in memory at any time."""

    waits_for: Wait | None = Wait.FIRST
    since = 0.0  # on the loop's clock: when that wait began
    _beside_body = 0  # bytes of the current request that are not its body
    _parts = 0  # of its body
    _dropped = 0  # bytes of its body that came after its answer
    _head_complete = False
    _body_pending = False  # the head of the current request is complete, and its body is not
    _why: str | None = None  # what is said to a sender whose request is refused
    _refused = False  # nothing more is read
    _without_upgrade = b""  # the head of a request that offers an upgrade, to be parsed without it
    _parsing = False
    _held: tuple[RequestResponseCycle, Any] | None = (
        None  # to be begun once all that came is parsed
    )

    # What the transport calls.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn does
        """A new connection; it is refused if there are too many that are at work."""
        super().connection_made(transport)
        self.since = self.loop.time()
        if self.server_state not in _of_server:
            _of_server[self.server_state] = Connections(
                self.loop,
                cast("Collection[Connection]", self.connections),
                self.timeout_keep_alive,
            )
        if not _of_server[self.server_state].admit():
            self._give_up(503, "too many connections")

    def data_received(self, data: bytes) -> None:
        """Parse what came; all of it counts until the parser says that it is body."""
        if self._refused:
            return
        self._beside_body += len(data)
        self._parsing = True
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self.logger.warning(self._why or INVALID)
            self.send_400_response(INVALID)
        self._parsing = False
        # Below 0 by bodies of which the next request's head came along: it is counted from here.
        self._beside_body = max(0, self._beside_body)
        if self._beside_body > MAX_HEAD and not self._refused:
            self.logger.warning(TOO_LARGE)
            self.send_400_response(TOO_LARGE)
        if not self._head_complete and not self._refused and self.waits_for is not Wait.HEAD:
            self._now_waits_for(Wait.HEAD)
        held, self._held = self._held, None
        if held is not None and not held[0].disconnected:
            self._begin(*held)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Begin a request, once the body that came along with its head is parsed as well."""
        if self._parsing:
            self._held = (cycle, app)
        else:
            self._begin(cycle, app)

    def _begin(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Offer a request that came whole to the application's short way, or go the usual one."""
        start = partial(super()._start_asgi_task, cycle, app)
        take = None if cycle.more_body else getattr(app, "take", None)
        if take is None or not take(WholeRequest(cycle, start)):
            start()

    def _parse(self, data: bytes) -> None:
        """Have the parser call what is below. Raises HttpParserError."""
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as offered:
                # The parser would leave the body to the protocol that is offered. None is taken up.
                data = self._without_upgrade + data[offered.args[0] :]
                self._without_upgrade = b""

    def pause_writing(self) -> None:
        """The sender does not read what we write."""
        super().pause_writing()
        if self.waits_for is None:
            self._now_waits_for(Wait.READING)

    def shutdown(self) -> None:
        """The server stops: a request under way is answered, and a stream ends."""
        super().shutdown()
        if self.cycle is not None and not self.cycle.response_complete:
            server_stops(cast("Scope", self.cycle.scope))

    def resume_writing(self) -> None:
        """It reads again."""
        super().resume_writing()
        if self.waits_for is Wait.READING:
            self.waits_for = None

    # What the parser calls.

    def on_message_begin(self) -> None:
        """A request's first byte."""
        self._head_complete = False
        self._parts = self._dropped = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A part of the URL."""
        super().on_url(url)
        if len(self.url) > MAX_URL:
            self._refuse("URL too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header. A trailer is dropped: it must not pass for a header of the head."""
        if self._head_complete:
            return
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The end of the head: the request can be answered from here."""
        self._head_complete = True
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            headers = [(name, value) for name, value in self.headers if name != b"upgrade"]
            lines = [b"%b: %b" % header for header in headers]
            first = b"%b %b HTTP/1.1" % (self.parser.get_method(), self.url)
            self._without_upgrade = b"\r\n".join([first, *lines, b"", b""])
            return
        if len(self.headers) > MAX_HEADERS:
            self._refuse("too many headers")
        if self._beside_body > MAX_HEAD:  # all of what came with the head is in it, so count again
            lengths = [len(name) + len(value) + 4 for name, value in self.headers]
            if len(self.url) + sum(lengths) > MAX_HEAD:
                self._refuse(TOO_LARGE)
        if len(self.pipeline) >= MAX_AHEAD:
            self._refuse("too many requests ahead")
        names = [name for name, _ in self.headers]
        # With Content-Length the parser refuses it.
        if b"transfer-encoding" in names and not self._is_plainly_chunked():
            self._refuse("Transfer-Encoding has to be chunked, in HTTP/1.1")
        hosts = names.count(b"host")
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() == "1.1"):
            self._refuse("there has to be one Host header")
        self._body_pending = True
        self.waits_for = None
        super().on_headers_complete()

    def _is_plainly_chunked(self) -> bool:
        """False for what a proxy before us may read otherwise than we do."""
        encodings = [value for name, value in self.headers if name == b"transfer-encoding"]
        is_chunked = [encoding.lower() for encoding in encodings] == [b"chunked"]
        return is_chunked and self.parser.get_http_version() == "1.1"

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._beside_body -= len(body)
        self._parts += 1
        if self._parts > MAX_PARTS:
            self._refuse("the body comes in too many parts")
        if self.waits_for is Wait.REST:
            self._dropped += len(body)
            if self._dropped > MAX_DROPPED:
                self._refuse("more of the body than is read once its request is answered")
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The end of a request."""
        if self._without_upgrade:
            return
        self._beside_body = 0
        self._body_pending = False
        if self.waits_for is Wait.REST:
            self._now_waits_for(Wait.NEXT)
        super().on_message_complete()

    def _refuse(self, why: str) -> None:
        """Break off parsing; the parser's caller then calls `send_400_response`."""
        self._why = why
        raise BadHead(why)

    def send_400_response(self, msg: str) -> None:
        """End a connection on which came what is no request."""
        self._give_up(400, self._why or msg)

    def _give_up(self, status: int, why: str) -> None:
        """Read no more, and close the connection, with `why` unless it would be misunderstood."""
        self._refused = True
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if not cycle.more_body:  # requests that came whole are answered first
                cycle.keep_alive = False
                self._now_waits_for(Wait.READING if self.flow.write_paused else None)
                return
            cycle.disconnected = True  # the application stops waiting for the body
            cycle.message_event.set()
        begun = cycle is not None and (cycle.response_started and self._body_pending)
        if not self.pipeline and not begun:
            self.transport.write(_last_answer(status, why, self.server_state.default_headers))
        self.transport.close()
        self._now_waits_for(Wait.CLOSING)

    # What the sender is waited for.

    def _now_waits_for(self, wait: Wait | None) -> None:
        self.waits_for = wait
        self.since = self.loop.time()

    def on_response_complete(self) -> None:
        """Begin the next request if it has come already, or wait for it."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            self._now_waits_for(Wait.CLOSING)
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self.waits_for is not Wait.HEAD:  # of a request that was sent ahead
            self._now_waits_for(Wait.REST if self._body_pending else Wait.NEXT)

    def end(self) -> None:
        """The sender has let us wait for too long."""
        if self.waits_for is Wait.HEAD and not self.transport.is_closing():
            self._give_up(408, "the head of the request did not come in time")
        elif self.waits_for is Wait.READING or self.transport.is_closing():
            self.evict()
        else:
            self.transport.close()
            self._now_waits_for(Wait.CLOSING)

    def evict(self) -> None:
        """Close the connection at once, whatever is still to be written."""
        self.connections.discard(self)  # its end is told later, and the next to come counts
        self.transport.abort()


def _last_answer(status: int, why: str, headers: list[tuple[bytes, bytes]]) -> bytes:
    """The bytes of an answer after which the connection is closed."""
    own = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    length = (b"content-length", b"%d" % len(why))
    lines = [b"%b: %b\r\n" % header for header in [*headers, *own, length]]
    return b"".join([STATUS_LINE[status], *lines, b"\r\n", why.encode("ascii")])
