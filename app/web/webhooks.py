"""`POST /webhooks/stripe`: verify, minimise, queue, answer. One call to Redis, no SQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope

from app.domain.errors import BadSignature, JobRefused, QueueUnavailable
from app.domain.event import SessionEvent
from app.logs import get_logger
from app.queue.model import EVENTS, NewJob, event_job, named
from app.settings import Settings
from app.stripe.signatures import verify
from app.web.body import BodyTooLarge, read_body
from app.web.minimise import minimise

log = get_logger("webhooks")

# In the scope of a delivery that `accept` has refused before Starlette saw it: the exception.
FAILURE = "identity.failure"
# Bytes. A reference of 5,000 characters and 50 full metadata values, all escaped, fit twice.
MAX_BODY = 512 * 1024


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


class TakesJobs(Protocol):
    """What the endpoint needs of a queue."""

    async def enqueue(self, job: NewJob) -> str:
        """The outcome. Raises QueueUnavailable."""


class StripeWebhook:
    """The endpoint that Stripe delivers to."""

    def __init__(self, events: TakesJobs, settings: Settings, now: Callable[[], float]) -> None:
        """`events` takes the jobs; `now` gives Unix seconds."""
        self._events = events
        self._secrets = settings.webhook_secrets
        self._metadata_keys = settings.reference_metadata_keys
        self._now = now

    async def accept(self, scope: Scope, receive: Receive) -> str:
        """The outcome of one delivery, `ignored` for an event that is not one of ours.

        Raises BadSignature, UnreadableEvent, DeliveryTooLarge, BodyTooSlow, DeliveryNotTaken.
        """
        event = await self._read(scope, receive)
        if event is None:
            return "ignored"
        try:
            return await self._events.enqueue(event_job(event))
        except (QueueUnavailable, JobRefused) as failure:
            raise DeliveryNotTaken(event.id, str(failure)) from failure

    async def _read(self, scope: Scope, receive: Receive) -> SessionEvent | None:
        signatures = [value for name, value in scope["headers"] if name == b"stripe-signature"]
        if len(signatures) != 1:
            raise BadSignature("there has to be one Stripe-Signature header")
        body = await read_body(scope, receive, MAX_BODY, DeliveryTooLarge)
        text = verify(body, signatures[0].decode("latin-1"), self._secrets, self._now())
        return minimise(text, self._metadata_keys)


async def refuse(request: Request) -> Response:
    """The route of a delivery that `accept` has refused: raises why, for the handlers of errors."""
    raise request.scope[FAILURE]


def log_taken(taken: Sequence[tuple[NewJob, str]]) -> None:
    """One line for all deliveries of one call to Redis, in detail if there is but one."""
    if len(taken) == 1:
        [(job, outcome)] = taken
        log.info("delivery " + outcome, event_id=job.id, type=named(EVENTS, job.payload)["name"])
        return
    counts = Counter(outcome for _, outcome in taken)
    log.info("deliveries", **counts, event_ids=[job.id for job, _ in taken])
