"""A request's body, read no further than its limit."""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request

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
    request: Request, limit: int, too_large: type[BodyTooLarge] = BodyTooLarge
) -> bytes:
    """The request's body of at most `limit` bytes.

    Raises `too_large` as soon as that is known, BodyTooSlow if the body does not come.
    """
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced.lstrip("0")[:12] or 0) > limit:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            async for part in request.stream():
                body += part
                if len(body) > limit:
                    raise too_large
    except (TimeoutError, ClientDisconnect):
        raise BodyTooSlow from None
    return bytes(body)
