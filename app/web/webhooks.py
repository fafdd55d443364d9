"""`POST /webhooks/stripe`: verify, minimise, queue, answer. One round trip to Redis, no SQL."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.domain.errors import BadSignature, JobRefused, QueueUnavailable, UnreadableEvent
from app.domain.event import SessionEvent
from app.logs import get_logger
from app.queue.model import NewJob, event_job
from app.queue.transitions import AsyncJobQueue
from app.settings import Settings
from app.stripe.signatures import verify
from app.web.body import BodyTooLarge, read_body

log = get_logger("webhooks")

# Bytes. A reference of 5,000 characters and 50 full metadata values, all escaped, fit twice.
MAX_BODY = 512 * 1024
# Deliveries at Redis at once, each on a connection of its own: the client refuses the 101st, and
# small plans allow 20 in all. One takes a millisecond or less, so the others wait for their turn,
CONCURRENCY = 8
# for this many seconds at most: Stripe would not wait for an answer much longer.
TURN_TIMEOUT = 10


class DeliveryTooLarge(BodyTooLarge):
    """A delivery over MAX_BODY."""

    def __init__(self) -> None:
        """The message names the limit."""
        super().__init__(f"the body is over {MAX_BODY} bytes")


class DeliveryNotTaken(QueueUnavailable):
    """Redis did not take the job of a delivery, and Stripe has to deliver it again."""

    def __init__(self, event_id: str, why: str) -> None:
        """`event_id` is Stripe's."""
        super().__init__(why)
        self.event_id = event_id


class StripeWebhook:
    """The endpoint that Stripe delivers to."""

    def __init__(self, events: AsyncJobQueue, settings: Settings, now: Callable[[], float]) -> None:
        """`events` takes the jobs; `now` gives Unix seconds."""
        self._events = events
        self._secrets = settings.webhook_secrets
        self._metadata_keys = settings.reference_metadata_keys
        self._now = now
        self._turns = asyncio.Semaphore(CONCURRENCY)

    async def receive_event(self, request: Request) -> Response:
        """200 with the outcome, `ignored` for an event that is not one of ours.

        Raises BadSignature, UnreadableEvent, DeliveryTooLarge, BodyTooSlow, DeliveryNotTaken.
        """
        event = await self._read(request)
        if event is None:
            return JSONResponse({"outcome": "ignored"})
        try:
            outcome = await self._enqueue(event_job(event))
        except (QueueUnavailable, JobRefused) as failure:
            raise DeliveryNotTaken(event.id, str(failure)) from failure
        log.info("delivery " + outcome, event_id=event.id, type=event.name)
        return JSONResponse({"outcome": outcome})

    async def _read(self, request: Request) -> SessionEvent | None:
        headers = request.headers.getlist("stripe-signature")
        if len(headers) != 1:
            raise BadSignature("there has to be one Stripe-Signature header")
        body = await read_body(request, MAX_BODY, DeliveryTooLarge)
        text = verify(body, headers[0], self._secrets, self._now())
        try:
            decoded = json.loads(text)
        except (ValueError, RecursionError):  # not JSON, a number without end, too deep
            raise UnreadableEvent("the body is not JSON that can be read") from None
        return SessionEvent.parse(decoded, self._metadata_keys)

    async def _enqueue(self, job: NewJob) -> str:
        """Enqueue the job in its turn. Raises QueueUnavailable."""
        try:
            async with asyncio.timeout(TURN_TIMEOUT):
                await self._turns.acquire()
        except TimeoutError:
            raise QueueUnavailable("Redis is too slow for what comes in") from None
        try:
            return await self._events.enqueue(job)
        finally:
            self._turns.release()
