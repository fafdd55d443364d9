"""`POST /webhooks/stripe`: verify, minimise, queue, answer. One round trip to Redis, no SQL."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence

from starlette.datastructures import Secret
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.domain.errors import BadSignature, QueueUnavailable, UnreadableEvent
from app.domain.event import SessionEvent
from app.logs import get_logger
from app.queue.jobs import AsyncJobQueue
from app.queue.model import NewJob, event_job
from app.signatures import verify
from app.web.answers import BodyTooLarge, BodyTooSlow, error, read_body

log = get_logger("webhooks")

# Bytes. A reference of 5,000 characters and 50 full metadata values, all escaped, fit twice.
LARGEST_BODY = 512 * 1024
# Seconds after which a sender may come again; Stripe follows a schedule of its own.
RETRY_AFTER = "30"
# Deliveries at Redis at once, each on a connection of its own: the client refuses the 101st, and
# small plans allow 20 in all. One takes a millisecond or less, so the others wait for their turn,
AT_ONCE = 8
# for this many seconds at most: Stripe would not wait for an answer much longer.
TURN_WITHIN = 10


class StripeWebhook:
    """The endpoint that Stripe delivers to."""

    def __init__(
        self,
        queue: AsyncJobQueue,
        secrets: Sequence[Secret],
        metadata_keys: Sequence[str],
        now: Callable[[], float],
    ) -> None:
        """`secrets` are all the signing secrets that are valid now; `now` is in Unix seconds."""
        self._queue = queue
        self._secrets = secrets
        self._metadata_keys = metadata_keys
        self._now = now
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def __call__(self, request: Request) -> Response:
        """200 with the outcome; 400, 408, 413 for what the sender did; 503 where Redis is away."""
        try:
            event = await self._read(request)
        except BodyTooLarge:
            log.warning("delivery refused", status=413)
            return error(
                413,
                "invalid_request_error",
                f"the body is over {LARGEST_BODY} bytes",
                connection="close",
            )
        except BodyTooSlow:
            return error(408, "invalid_request_error", "the body did not come", connection="close")
        except (BadSignature, UnreadableEvent) as refusal:
            log.warning("delivery refused", status=400, why=str(refusal))
            return error(400, "invalid_request_error", str(refusal))
        if event is None:
            return JSONResponse({"outcome": "ignored"})
        return await self._accept(event)

    async def _read(self, request: Request) -> SessionEvent | None:
        headers = request.headers.getlist("stripe-signature")
        if len(headers) != 1:
            raise BadSignature("there has to be one Stripe-Signature header")
        body = await read_body(request, LARGEST_BODY)
        text = verify(body, headers[0], self._secrets, self._now())
        try:
            decoded = json.loads(text)
        except (ValueError, RecursionError):  # not JSON, a number without end, too deep
            raise UnreadableEvent("the body is not JSON that can be read") from None
        return SessionEvent.parse(decoded, self._metadata_keys)

    async def _accept(self, event: SessionEvent) -> Response:
        try:
            outcome = await self._in_turn(event_job(event))
        except QueueUnavailable as refusal:
            log.error("delivery not taken", event_id=event.id, why=str(refusal))
            return error(503, "api_error", "the queue cannot take it", retry_after=RETRY_AFTER)
        log.info("delivery " + outcome, event_id=event.id, type=event.name)
        return JSONResponse({"outcome": outcome})

    async def _in_turn(self, job: NewJob) -> str:
        try:
            async with asyncio.timeout(TURN_WITHIN):
                await self._turns.acquire()
        except TimeoutError:
            raise QueueUnavailable("Redis is too slow for what comes in") from None
        try:
            return await self._queue.accept(job)
        finally:
            self._turns.release()
