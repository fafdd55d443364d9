"""The short way of a request that came whole: no task, and none of ASGI's messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


class WholeRequest:
    """A request that has come whole. It is answered by one system call: ASGI's messages take two.

    Its protocol gives it to the application's `take`, which returns False to have it answered by
    ASGI. Else the application calls `answer` or `hand_on`, once.
    """

    __slots__ = ("_cycle", "_start", "body", "scope")

    def __init__(self, cycle: RequestResponseCycle, start: Callable[[], None]) -> None:
        """`start` begins the request's ASGI task."""
        self.scope = cast(Scope, cycle.scope)
        self.body = bytes(cycle.body)
        self._cycle = cycle
        self._start = start

    def answer(self, head: bytes, body: bytes) -> None:
        """Send the whole answer. `head` is the status line and headers, but for content-length."""
        cycle = self._cycle
        if cycle.disconnected:
            return
        cycle.response_started = cycle.response_complete = True
        parts = [head, b"content-length: %d\r\n" % len(body)]
        for name, value in cycle.default_headers:
            parts += (name, b": ", value, b"\r\n")
        if not cycle.keep_alive:
            parts.append(b"connection: close\r\n")
        parts += (b"\r\n", body)
        cycle.transport.write(b"".join(parts))
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()

    def hand_on(self) -> None:
        """Have the ASGI application answer."""
        if not self._cycle.disconnected:
            self._start()
