"""HTTP/1.1 over `httptools`, which by itself takes a head of any size: bounded here.

A request's body has its own limits, where it is read. All else that a sender can send is counted:
head, trailers, the lines around chunks, and empty lines before a request.
"""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.web.body import BODY_COMPLETE

# Bytes of a request that are not its body.
MAX_HEAD = 96 * 1024
# Bytes: a reference of 5,000 characters of four bytes, each percent-encoded, is 60,000 of them.
MAX_URL = 64 * 1024
# Several times what browsers and proxies send.
MAX_HEADERS = 100
# Requests that may be sent ahead on a connection, each before the answer to the one before it.
MAX_AHEAD = 16


class BadHead(Exception):
    """A request whose head is not taken. The message is for the sender."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """One connection, of which a bounded part is in memory at any time."""

    _beside_body = 0  # bytes of the current request that are not its body
    _head_complete = False
    _refusal: str | None = None  # why nothing more is read

    # What the transport calls.

    def data_received(self, data: bytes) -> None:
        """Parse what came; all of it counts until the parser says that it is body."""
        if self._refusal is not None:
            return
        self._beside_body += len(data)
        super().data_received(data)
        # Below 0 by bodies of which the next request's head came along: it is counted from here.
        self._beside_body = max(0, self._beside_body)
        if self._beside_body > MAX_HEAD and self._refusal is None:
            self.send_400_response("head too large")

    # What the parser calls. What is raised comes to `send_400_response` by way of the parser.

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
        """One header. A trailer is dropped: nobody has asked for it, nor expects it in the head."""
        if self._head_complete:
            return
        if len(self.headers) >= MAX_HEADERS:
            self._refuse("too many headers")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The end of the head: the request can be answered from here."""
        self._head_complete = True
        if len(self.pipeline) >= MAX_AHEAD:
            self._refuse("too many requests ahead")
        hosts = [name for name, _ in self.headers].count(b"host")
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() == "1.1"):
            self._refuse("there has to be one Host header")
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._beside_body -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The end of a request."""
        self._beside_body = 0
        self.scope[BODY_COMPLETE] = True  # type: ignore[typeddict-unknown-key]
        super().on_message_complete()

    def _refuse(self, why: str) -> None:
        self._why = why
        raise BadHead(why)

    def send_400_response(self, msg: str) -> None:
        """Read no more, and close the connection, with 400 if nothing else is to be said on it."""
        self._refusal = msg
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            super().send_400_response(msg)
        elif cycle.more_body:  # within this request, which the application waits for
            cycle.disconnected = True
            cycle.message_event.set()
            if self.pipeline or cycle.response_started:
                self.transport.close()
            else:
                super().send_400_response(msg)
        else:  # requests that came whole are answered first
            cycle.keep_alive = False
