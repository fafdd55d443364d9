"""The ASGI application: Starlette, with a short way for what comes often."""

from __future__ import annotations

import json
from typing import Any

from starlette.applications import Starlette
from starlette.types import Message, Receive, Scope, Send

from app.web.webhooks import FAILURE, PATH, StripeWebhook


def _answer(outcome: str) -> tuple[Message, Message]:
    """The ASGI messages of 200 with this outcome, as Starlette's JSONResponse sends them."""
    body = json.dumps({"outcome": outcome}, separators=(",", ":")).encode()
    headers = [
        (b"content-length", str(len(body)).encode()),
        (b"content-type", b"application/json"),
    ]
    return (
        {"type": "http.response.start", "status": 200, "headers": headers},
        {"type": "http.response.body", "body": body},
    )


ANSWERS = {
    outcome: _answer(outcome) for outcome in ("enqueued", "duplicate", "replayed", "ignored")
}


class WebApplication(Starlette):
    """Takes deliveries before Starlette's middleware and routing, which cost more than a signature.

    A delivery that is not accepted goes on to Starlette, and is answered there as every error is.
    """

    def __init__(self, webhook: StripeWebhook, **options: Any) -> None:
        """`options` are Starlette's; its routes have to lead PATH to `receive_event`."""
        super().__init__(**options)
        self._webhook = webhook

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["path"] == PATH and scope["method"] == "POST":
            try:
                outcome = await self._webhook.accept(scope, receive)
            except Exception as failure:
                scope[FAILURE] = failure
            else:
                for message in ANSWERS[outcome]:
                    await send(message)
                return
        await super().__call__(scope, receive, send)
