"""The limit: an ASGI application that reads the body, makes one HMAC and one RPUSH, answers 200.

It checks nothing: what any receiver on this server, this client and this interpreter can reach.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from redis.asyncio import Redis

Message = MutableMapping[str, Any]

SECRET = os.environ["STRIPE_WEBHOOK_SECRET"].encode()
redis = Redis.from_url(os.environ["REDIS_URL"])


async def app(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """Any path and method will do."""
    if scope["type"] != "http":  # "lifespan": there is nothing to begin or to end
        return
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    hmac.digest(SECRET, body, hashlib.sha256)
    await redis.rpush("deliveries", body)
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
    )
    await send({"type": "http.response.body", "body": b"{}"})
