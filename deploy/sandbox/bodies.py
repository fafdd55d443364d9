"""Read requests: never more than a megabyte."""

import json
from typing import Any

from starlette.requests import ClientDisconnect, Request

MAX_BYTES = 1_000_000


class TooLarge(Exception):
    """A body of more than `MAX_BYTES`; it was read no further."""


async def read(request: Request) -> bytes:
    """The body. Raises TooLarge; a body that is cut off is empty: the client has gone."""
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BYTES:
                raise TooLarge
    except ClientDisconnect:
        return b""
    return bytes(body)


async def read_json(request: Request) -> dict[str, Any]:
    """The body as a JSON object; an empty body is an empty object.

    Raises ValueError with one line for the caller, TooLarge.
    """
    body = await read(request)
    try:
        value = json.loads(body) if body else {}
    except (ValueError, RecursionError):
        raise ValueError("the body is not JSON") from None
    if not isinstance(value, dict):
        raise ValueError("the body must be a JSON object")
    return value
