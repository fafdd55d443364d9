"""The webhook with traces on: each delivery of an event of ours is a span, and within it another.

What is refused is not recorded: its senders decide how much of it there is, and metrics count it.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.types import Receive, Scope

from app.queue.model import EVENTS
from app.stripe.signatures import WEBHOOK_PATH
from app.telemetry.records import Received, Sent
from app.web.webhooks import Delivery, DeliveryNotTaken, StripeWebhook

if TYPE_CHECKING:
    from app.telemetry.spans import Spans

# In the scope of a delivery that comes in parts: when its head had come, in nanoseconds since 1970.
BEGAN = "identity.began"


class TracedWebhook(StripeWebhook):
    """Takes deliveries as any other."""

    def __init__(self, *options: Any, spans: Spans, **named_options: Any) -> None:
        """`spans` are those of this process; all else is StripeWebhook's."""
        super().__init__(*options, **named_options)
        self._spans = spans

    async def accept(self, scope: Scope, receive: Receive) -> str:
        """As StripeWebhook's."""
        scope[BEGAN] = time.time_ns()
        return await super().accept(scope, receive)

    def take(self, scope: Scope, body: bytes) -> Delivery | None:
        """As StripeWebhook's; the spans are recorded when the delivery can be answered."""
        began = scope.get(BEGAN) or time.time_ns()
        delivery = super().take(scope, body)
        if delivery is not None:
            recorded = partial(self._record, scope, delivery, began, time.time_ns())
            delivery.outcome.add_done_callback(recorded)
        return delivery

    def _record(
        self,
        scope: Scope,
        delivery: Delivery,
        began: int,
        submitted: int,
        outcome: asyncio.Future[str],
    ) -> None:
        if outcome.cancelled():  # its sender has gone, or the event loop ends
            return
        error = outcome.exception()
        failure = None if error is None else delivery.failure(error)
        refused = isinstance(failure, DeliveryNotTaken)
        answer = "not_taken" if refused else "failed"
        self._spans.delivered(
            Received(
                job=Sent(
                    delivery.job.id,
                    delivery.job.description,
                    outcome.result() if error is None else answer,
                ),
                queue=EVENTS.rq_name,
                route=WEBHOOK_PATH,
                began=began,
                submitted=submitted,
                traceparent=_traceparent(scope),
                status=200 if error is None else 503 if refused else 500,
                error="" if error is None else type(error).__name__,
            )
        )


def _traceparent(scope: Scope) -> str:
    """That of a proxy before us; Stripe sends none."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    found = [value for name, value in headers if name == b"traceparent"]
    return found[0].decode("latin-1") if len(found) == 1 else ""
