"""The ASGI application: Starlette, with a short way for what comes often."""

from __future__ import annotations

import json
from typing import Any

from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from app.stripe.signatures import WEBHOOK_PATH
from app.web.protocol import SEND_WHOLE
from app.web.webhooks import FAILURE, StripeWebhook

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\ncontent-type: application/json\r\n"


def _body(outcome: str) -> bytes:
    return json.dumps({"outcome": outcome}, separators=(",", ":")).encode()


BODIES = {outcome: _body(outcome) for outcome in ("enqueued", "duplicate", "replayed", "ignored")}


class WebApplication(Starlette):
    """Takes deliveries before Starlette's middleware and routing, which cost more than a signature.

    A delivery that is not accepted goes on to Starlette, and is answered there as every error is.
    """

    def __init__(self, webhook: StripeWebhook, **options: Any) -> None:
        """`options` are Starlette's; its routes have to lead WEBHOOK_PATH to `refuse`."""
        super().__init__(**options)
        self._webhook = webhook

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["path"] == WEBHOOK_PATH and scope["method"] == "POST":
            try:
                outcome = await self._webhook.accept(scope, receive)
            except Exception as failure:
                scope[FAILURE] = failure
            else:
                await _answer(scope, send, BODIES[outcome])
                return
        await super().__call__(scope, receive, send)


async def _answer(scope: Scope, send: Send, body: bytes) -> None:
    """200 with this JSON, as Starlette's JSONResponse would send it."""
    send_whole = scope.get(SEND_WHOLE)
    if send_whole is not None and send_whole(HEAD % len(body), body):
        return
    headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
