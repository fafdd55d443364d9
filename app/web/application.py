"""The ASGI application: Starlette, with a short way for what comes often."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.stripe.signatures import WEBHOOK_PATH
from app.web.request_ids import name_request
from app.web.webhooks import FAILURE, Delivery, StripeWebhook
from app.web.whole_request import WholeRequest

JSON = "application/json"
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


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

    def take(self, request: WholeRequest) -> bool:
        """Begin on a delivery that has come whole, by the short way; False for any other request.

        It needs no task and none of ASGI's messages, which cost as much as all that is done here.
        """
        if not _is_delivery(request.scope):
            return False
        try:
            delivery = self._webhook.take(request.scope, request.body)
        except Exception as failure:
            request.scope[FAILURE] = failure
            return False
        if delivery is None:
            request.answer(HEAD, BODIES["ignored"])
        else:
            delivery.outcome.add_done_callback(partial(_answer, request, delivery))
        return True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; a delivery, if it came in parts, or has been refused."""
        if scope["type"] == "http":
            if FAILURE not in scope and _is_delivery(scope):
                try:
                    outcome = await self._webhook.accept(scope, receive)
                except Exception as failure:
                    scope[FAILURE] = failure
                else:
                    await Response(BODIES[outcome], media_type=JSON)(scope, receive, send)
                    return
            send = name_request(scope, send)
        await super().__call__(scope, receive, send)


def _is_delivery(scope: Scope) -> bool:
    return bool(scope["path"] == WEBHOOK_PATH and scope["method"] == "POST")


def _answer(request: WholeRequest, delivery: Delivery, outcome: asyncio.Future[str]) -> None:
    """Answer a delivery that Redis has taken, or have Starlette say why it has not."""
    if outcome.cancelled():  # at the end of the event loop
        return
    error = outcome.exception()
    if error is None:
        request.answer(HEAD, BODIES[outcome.result()])
    else:
        request.scope[FAILURE] = delivery.failure(error)
        request.hand_on()
