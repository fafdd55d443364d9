"""A request's body, read no further than its limit."""

from __future__ import annotations

import asyncio

from starlette.types import Receive, Scope

# Seconds a sender may take for a body; Stripe sends one at once.
BODY_TIMEOUT = 10


class BodyTooLarge(Exception):
    """The body is over its limit; what is beyond was not read."""

    def __init__(self, message: str = "the body is too large") -> None:
        """`message` is for the sender."""
        super().__init__(message)


class BodyTooSlow(Exception):
    """The body did not come in time, or broke off."""


async def read_body(
    scope: Scope, receive: Receive, limit: int, too_large: type[BodyTooLarge] = BodyTooLarge
) -> bytes:
    """The body of at most `limit` bytes of an ASGI request.

    Raises `too_large` as soon as that is known, BodyTooSlow if the body does not come.
    """
    announced = dict(scope["headers"]).get(b"content-length", b"")
    if announced.isdigit() and int(announced.lstrip(b"0")[:12] or 0) > limit:
        raise too_large
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            return await _read_parts(receive, limit, too_large)
    except TimeoutError:
        raise BodyTooSlow from None


async def _read_parts(receive: Receive, limit: int, too_large: type[BodyTooLarge]) -> bytes:
    body = b""
    parts = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BodyTooSlow
        body = message.get("body", b"")
        if len(parts) + len(body) > limit:
            raise too_large
        if not message.get("more_body", False):
            return bytes(parts + body) if parts else body
        parts += body
