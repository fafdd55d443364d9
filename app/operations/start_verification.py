"""Open a verification for a reference, or resume the one that is open: never two at once."""

from __future__ import annotations

from app.domain.errors import Conflict, QueueUnavailable
from app.operations.apply import merge_answer
from app.operations.idempotency_keys import CallersKey
from app.operations.open_session import SessionOpening, Start, Started
from app.queue.locks import locked
from app.stores import Stores
from app.stripe.errors import StripeRefused

# Seconds from one call that changes something at Stripe to the next. Such a call takes 20 at worst,
# so the lock holds until it has ended; a start that is slower than that changes nothing any more.
LOCK_TTL = 22
# Seconds a start waits for another of the same reference: longer than a dead one holds its lock.
LOCK_WAIT = 25


class StartVerification:
    """Starts verifications, one at a time for each reference over all web processes."""

    def __init__(self, stores: Stores) -> None:
        """Redis keeps the locks. Raises Misconfigured if there is no API key."""
        self._stores = stores
        self._stripe = stores.require_stripe()

    def start(self, request: Start, now: int) -> Started:
        """Resume the open session, or open one; `now` is in Unix seconds.

        Raises Conflict if the reference is verified, processing, or out of attempts;
        IdempotencyKeyReused; QueueUnavailable if the lock cannot be had; Stripe's errors, and the
        ledger's: a session that was opened nevertheless is resumed by the next start.
        """
        name = f"start:{request.key.digest}"
        busy = QueueUnavailable("another start of this reference takes too long")
        with locked(self._stores.redis, name, ttl=LOCK_TTL, wait=LOCK_WAIT, busy=busy) as extend:
            opening = SessionOpening(self._stores, request, extend, now)
            if request.idempotency_key is None:
                return opening.open()
            return self._open_once(opening, request, request.idempotency_key, now)

    def _open_once(self, opening: SessionOpening, request: Start, key: str, now: int) -> Started:
        """The session that was started with the caller's key before, or else `opening`'s."""
        callers_key = CallersKey(
            self._stores.redis, request.account, request.livemode, key, request.asked
        )
        session = callers_key.claim()
        if session is not None:
            answer = self._stripe.fetch(session, request.account, request.expand)
            merge_answer(answer, self._stores, now)
            return Started(answer.body, True, answer.request_id)
        try:
            started = opening.open()
        except (Conflict, StripeRefused):
            callers_key.forget()
            raise
        callers_key.keep(started.body["id"])
        return started
