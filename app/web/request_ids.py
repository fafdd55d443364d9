"""`Request-Id` and `X-Request-ID`: name a call in its answer and in each of its lines in the log.

The caller's own id is taken, if it sends one, or its router's (`X-Request-ID`, or Stripe's
`Request-Id`). Stripe's packages show `Request-Id` (`last_response.request_id`, an exception's
`request_id`): in an answer that comes from Stripe, it is Stripe's. `X-Request-ID` always is the
log's.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars

HEADER, ROUTERS_HEADER = "Request-Id", "X-Request-ID"
_TAKEN_FROM = (b"x-request-id", b"request-id")
# What a sender writes into the log: bounded, and nothing that a terminal or a parser would obey.
_USABLE = re.compile(rb"[A-Za-z0-9_.:/+=-]{1,128}\Z")


def name_request(scope: Scope, send: Send) -> Send:
    """Give the request an id, which all that is logged in its task has from here on.

    What is returned sends its answer, under that id.
    """
    request_id = _taken(scope["headers"]) or "req_" + secrets.token_hex(7)
    bind_contextvars(request_id=request_id)

    async def send_named(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.setdefault(HEADER, request_id)
            headers[ROUTERS_HEADER] = request_id
        await send(message)

    return send_named


class NamedRequests:
    """ASGI middleware: gives every request an id."""

    def __init__(self, app: ASGIApp) -> None:
        """`app` answers the requests."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        await self._app(scope, receive, name_request(scope, send) if _is_request(scope) else send)


def _is_request(scope: Scope) -> bool:
    return bool(scope["type"] == "http")


def _taken(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The id that the sender gives the request; None if it gives none, or one of another form."""
    given = dict(headers)
    found = (given.get(name) for name in _TAKEN_FROM)
    return next((id.decode() for id in found if id is not None and _USABLE.match(id)), None)
