"""HTTP/1.1 over `httptools`, which by itself takes a head of any size: bounded here.

A request's body has its own limits, where it is read. All else that a sender can send is counted:
head, trailers, the lines around chunks, and empty lines before a request.
"""

from __future__ import annotations

import weakref
from functools import partial
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.web.body import BODY_COMPLETE

# Bytes of a request that are not its body.
MAX_HEAD = 96 * 1024
# Bytes: as far as the parser counts in a URL. A reference of 5,000 characters of four bytes, each
# percent-encoded, is 60,000 of them.
MAX_URL = 64 * 1024 - 1
# Several times what browsers and proxies send.
MAX_HEADERS = 100
# Requests that may be sent ahead on a connection, each before the answer to the one before it.
MAX_AHEAD = 16
INVALID = "Invalid HTTP request received."
# In a scope: `send_whole` for its request.
SEND_WHOLE = "identity.send_whole"


class BadHead(Exception):
    """Raised inside the parser, which gives up; what is said to the sender is in `_why`."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """One connection, of which a bounded part is in memory at any time."""

    _beside_body = 0  # bytes of the current request that are not its body
    _head_complete = False
    _why: str | None = None  # what is said to a sender whose request is refused
    _refused = False  # nothing more is read
    _without_upgrade = b""  # the head of a request that offers an upgrade, to be parsed without it
    _idle_since: float | None = None  # on the loop's clock; None while anything is under way

    # What the transport calls.

    def data_received(self, data: bytes) -> None:
        """Parse what came; all of it counts until the parser says that it is body."""
        if self._refused:
            return
        self._idle_since = None
        self._beside_body += len(data)
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self.logger.warning(INVALID)
            self.send_400_response(INVALID)
        # Below 0 by bodies of which the next request's head came along: it is counted from here.
        self._beside_body = max(0, self._beside_body)
        if self._beside_body > MAX_HEAD and not self._refused:
            self.logger.warning(INVALID)
            self.send_400_response("head too large")

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

    def connection_lost(self, exc: Exception | None) -> None:
        """The end of the connection."""
        super().connection_lost(exc)
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None

    # What the parser calls.

    def on_message_begin(self) -> None:
        """A request's first byte."""
        self._head_complete = False
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
                self._refuse("head too large")
        if len(self.pipeline) >= MAX_AHEAD:
            self._refuse("too many requests ahead")
        names = [name for name, _ in self.headers]
        hosts = names.count(b"host")
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() == "1.1"):
            self._refuse("there has to be one Host header")
        super().on_headers_complete()
        cast(dict[str, Any], self.scope)[SEND_WHOLE] = partial(send_whole, weakref.ref(self.cycle))

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._beside_body -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The end of a request."""
        if self._without_upgrade:
            return
        self._beside_body = 0
        cast(dict[str, Any], self.scope)[BODY_COMPLETE] = True
        super().on_message_complete()

    def _refuse(self, why: str) -> None:
        """Break off parsing; the parser's caller then calls `send_400_response`."""
        self._why = why
        raise BadHead(why)

    def send_400_response(self, msg: str) -> None:
        """Read no more, and close the connection, with 400 if nothing else is to be said on it."""
        self._refused = True
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if not cycle.more_body:  # requests that came whole are answered first
                cycle.keep_alive = False
                return
            cycle.disconnected = True  # the application stops waiting for the body
            cycle.message_event.set()
            if self.pipeline or cycle.response_started:
                self.transport.close()
                return
        super().send_400_response(self._why or msg)

    # The wait for the next request. uvicorn sets and cancels a timer for each request; one that
    # goes on, and looks whether the connection is idle when it is due, costs nothing.

    def _unset_keepalive_if_required(self) -> None:
        """Leave the timer alone."""

    def on_response_complete(self) -> None:
        """Begin the next request if it has come already, or wait for it."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._look_again_in(self.timeout_keep_alive)

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection if it has been idle for long enough."""
        self.timeout_keep_alive_task = None
        if self._idle_since is None:  # set again by the answer to what is under way
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._look_again_in(left)
        else:
            super().timeout_keep_alive_handler()

    def _look_again_in(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(
            seconds, self.timeout_keep_alive_handler
        )


def send_whole(of: weakref.ref[RequestResponseCycle], head: bytes, body: bytes) -> bool:
    """Answer a request by one system call. ASGI's two messages take two, and as much time again.

    `head` is the status line and the headers. False if the answer has to be sent by messages.
    A reference that is not weak would be a circle with the scope, and leave each request to the
    garbage collector.
    """
    cycle = of()
    if cycle is None or cycle.response_started or cycle.disconnected or cycle.flow.write_paused:
        return False
    cycle.response_started = cycle.response_complete = True
    parts = [head]
    for name, value in cycle.default_headers:
        parts += (name, b": ", value, b"\r\n")
    if not cycle.keep_alive:
        parts.append(b"connection: close\r\n")
    parts += (b"\r\n", body)
    cycle.transport.write(b"".join(parts))
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
    return True
