"""Errors as Stripe words them, and bodies read no further than their limit."""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse

# Seconds a sender may take for a body; Stripe sends one at once.
BODY_WITHIN = 10


class BodyTooLarge(Exception):
    """The body is over its limit; what is beyond was not read."""


class BodyTooSlow(Exception):
    """The body did not come in time, or broke off."""


def error(
    status: int,
    type: str,
    message: str,
    *,
    param: str | None = None,
    code: str | None = None,
    **headers: str,
) -> JSONResponse:
    """An answer of Stripe's error shape. https://docs.stripe.com/api/errors"""
    told = {"type": type, "message": message, "param": param, "code": code}
    told = {name: value for name, value in told.items() if value is not None}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return JSONResponse({"error": told}, status, named)


async def read_body(request: Request, limit: int) -> bytes:
    """The request's body of at most `limit` bytes.

    Raises BodyTooLarge as soon as that is known, BodyTooSlow where it stays away.
    """
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced.lstrip("0")[:12] or 0) > limit:
        raise BodyTooLarge
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_WITHIN):
            async for part in request.stream():
                body += part
                if len(body) > limit:
                    raise BodyTooLarge
    except (TimeoutError, ClientDisconnect):
        raise BodyTooSlow from None
    return bytes(body)
