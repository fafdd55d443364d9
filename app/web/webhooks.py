"""`POST /webhooks/stripe`: verify, minimise, queue, answer. One call to Redis, no SQL."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope

from app.configuration.credentials import SigningSecret
from app.configuration.settings import Settings
from app.domain.errors import (
    BadSignature,
    JobRefused,
    OtherMode,
    QueueRefused,
    QueueUnavailable,
    UnreadableEvent,
)
from app.domain.event import SessionEvent
from app.domain.thin_event import Delivered, ThinEvent, UnknownType
from app.logs import get_logger
from app.queue.model import EVENTS, NewJob, event_job, named
from app.stripe.signatures import WEBHOOK_PATH, SignedAtAnotherTime, read_header, verify
from app.web.body import BodyTooLarge, read_body
from app.web.minimise import minimise
from app.web.refusals import Refusal

log = get_logger("webhooks")

# In the scope of a delivery that `accept` has refused before Starlette saw it: the exception.
FAILURE = "identity.failure"
# Bytes. A reference of 5,000 characters and 50 full metadata values, all escaped, fit twice.
MAX_BODY = 512 * 1024
# Types of Stripe Identity's that are not known here, and are named in the log.
MAX_TYPES = 50


class DeliveryTooLarge(BodyTooLarge):
    """A delivery over MAX_BODY."""

    def __init__(self) -> None:
        """The message names the limit."""
        super().__init__(f"the body is over {MAX_BODY} bytes")


class Unsigned(BadSignature):
    """A delivery without a Stripe-Signature header: Stripe sends none."""


# Why a delivery is refused, as it is counted: the first class that fits.
REFUSALS = (
    (Unsigned, "unsigned"),
    (SignedAtAnotherTime, "clock"),
    (BadSignature, "signature"),
    (OtherMode, "mode"),  # a signed event of another mode than its secret, or than its session
    (UnreadableEvent, "unreadable"),
    (DeliveryTooLarge, "too_large"),
)
REFUSED = tuple(row for row, _ in REFUSALS)


class DeliveryNotTaken(QueueUnavailable):
    """Redis did not take the job of a delivery, and Stripe has to deliver it again."""

    def __init__(self, event_id: str, why: str) -> None:
        """`event_id` is Stripe's."""
        super().__init__(why)
        self.event_id = event_id


class TakesJobs(Protocol):
    """What the endpoint needs of a queue."""

    def submit(self, job: NewJob) -> asyncio.Future[str]:
        """The outcome, when it is known; fails with QueueUnavailable or JobRefused."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A verified delivery of an event of ours on its way into the queue."""

    job: NewJob
    outcome: asyncio.Future[str]

    def failure(self, error: BaseException) -> BaseException:
        """What the endpoint raises where `outcome` has failed with `error`."""
        if isinstance(error, QueueUnavailable | QueueRefused | JobRefused):
            return DeliveryNotTaken(self.job.id, str(error))
        return error


class StripeWebhook:
    """The endpoint that Stripe delivers to."""

    def __init__(
        self,
        events: TakesJobs,
        settings: Settings,
        now: Callable[[], float],
        count_ignored: Callable[[str], None] = lambda named: None,
        count_refused: Callable[[Refusal], None] = lambda refusal: None,
        note_secret: Callable[[SigningSecret], None] = lambda signing: None,
    ) -> None:
        """`events` takes the jobs; `now` gives Unix seconds.

        `count_ignored` is given the type of each event of Stripe Identity's that is ignored,
        `count_refused` why each delivery that is refused is, `note_secret` the secret that each
        other one is signed with.
        """
        self._note_secret = note_secret
        self._count_refused = count_refused
        self._count_ignored = count_ignored
        self._events = events
        self._secrets = settings.webhook_secrets
        self._metadata_keys = settings.metadata_keys
        self._now = now
        self._said: set[str] = set()

    async def accept(self, scope: Scope, receive: Receive) -> str:
        """The outcome of one delivery, `ignored` for an event that is not one of ours.

        Raises what `take` does, BodyTooSlow, DeliveryNotTaken.
        """
        try:
            read_header(_signature(scope), self._now())  # before anything of the body is read
            body = await read_body(scope, receive, MAX_BODY, DeliveryTooLarge)
        except REFUSED as failure:
            self._refuse(failure)
            raise
        delivery = self.take(scope, body)
        if delivery is None:
            return "ignored"
        try:
            return await delivery.outcome
        except Exception as error:
            raise delivery.failure(error) from error

    def take(self, scope: Scope, body: bytes) -> Delivery | None:
        """Begin on a delivery that has come whole; None for an event that is not one of ours.

        Raises BadSignature, UnreadableEvent, OtherMode, DeliveryTooLarge, DeliveryNotTaken.
        """
        try:
            event = self._read(scope, body)
        except REFUSED as failure:
            self._refuse(failure)
            raise
        if event is None:
            return None
        if isinstance(event, UnknownType):
            self._ignore(event.type)
            return None
        job = event_job(event)
        try:
            return Delivery(job, self._events.submit(job))
        except QueueUnavailable as error:
            raise DeliveryNotTaken(event.id, str(error)) from error

    def _read(self, scope: Scope, body: bytes) -> Delivered | None:
        """The event that was delivered; None for one that is not about Stripe Identity."""
        signature = _signature(scope)
        if len(body) > MAX_BODY:
            raise DeliveryTooLarge
        text, signing = verify(body, signature, self._secrets, self._now())
        self._note_secret(signing)
        event = minimise(text, self._metadata_keys)
        if event is None or isinstance(event, UnknownType) or signing.livemode is None:
            return event
        if _mode_of(event) is not signing.livemode:
            raise OtherMode("the event is of another mode than its signing secret")
        return event

    def _refuse(self, failure: Exception) -> None:
        """Count it."""
        why = next(why for row, why in REFUSALS if isinstance(failure, row))
        self._count_refused(Refusal(why, f"POST {WEBHOOK_PATH}"))

    def _ignore(self, type: str) -> None:
        """Count it, with one line for each type in the life of this process.

        Types beyond MAX_TYPES have no name.
        """
        if type not in self._said and len(self._said) < MAX_TYPES:
            self._said.add(type)
            log.warning("events of this type are ignored: it is not known here", type=type)
        self._count_ignored(type if type in self._said else "other")


def _mode_of(event: SessionEvent | ThinEvent) -> bool:
    key = event.session if isinstance(event, ThinEvent) else event.snapshot
    return key.livemode


def _signature(scope: Scope) -> str:
    """The Stripe-Signature header. Raises BadSignature if there is none, or several."""
    found = [value for name, value in scope["headers"] if name == b"stripe-signature"]
    if len(found) != 1:
        raise Unsigned("there has to be one Stripe-Signature header")
    signature: bytes = found[0]
    return signature.decode("latin-1")


async def refuse(request: Request) -> Response:
    """The route of a delivery that `accept` has refused: raises why, for the handlers of errors."""
    raise request.scope[FAILURE]


def log_taken(taken: Sequence[tuple[NewJob, str]]) -> None:
    """One line for all deliveries of one call to Redis, in detail if there is but one."""
    if len(taken) == 1:
        [(job, outcome)] = taken
        type = named(EVENTS, job.payload)["name"]
        log.info("delivery taken", outcome=outcome, event_id=job.id, type=type)
        return
    counts = Counter(outcome for _, outcome in taken)
    log.info("deliveries taken", **counts, event_ids=[job.id for job, _ in taken])
