"""Open a verification for a reference, or resume the one that is open: never two at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from app.domain.effects import PendingEffect, Recheck
from app.domain.errors import Conflict, QueueUnavailable
from app.domain.session import Session
from app.domain.standing import ReferenceKey
from app.ledger.rows import ReferenceRecord
from app.operations.apply import apply_observations
from app.queue.connection import translated_errors
from app.queue.locks import locked
from app.stores import Stores
from app.stripe.client import Answer
from app.stripe.errors import SessionMissing, StripeUnavailable

# Seconds one start may take: three calls to Stripe, each of which takes one or two. After that
# another may begin; Stripe's idempotency key then still makes one session of the two.
LOCK_TTL = 30
# Seconds a start waits for another of the same reference.
LOCK_WAIT = 25
# Seconds. Stripe replays a stored failure for a day: the key stays changed for as long.
FAILURES_TTL = 86_400


@dataclass(frozen=True, slots=True)
class Started:
    """The session to send the person to. The body holds its secrets."""

    body: dict[str, Any]
    resumed: bool


@dataclass(frozen=True, slots=True)
class Start:
    """A request of the team's backend."""

    reference: str
    params: Mapping[str, Any]  # Stripe's own, `client_reference_id` included
    account: str
    livemode: bool
    reverify: bool
    expand: tuple[str, ...] = ()


class StartVerification:
    """Starts verifications, one at a time for each reference over all web processes."""

    def __init__(self, stores: Stores) -> None:
        """Redis keeps the locks. Raises Misconfigured if there is no API key."""
        self._stores = stores
        self._stripe = stores.require_stripe()
        self._redis = stores.redis

    def start(self, request: Start, now: int) -> Started:
        """Resume the open session, or open one; `now` is in Unix seconds.

        Raises Conflict if the reference is verified, processing, or out of attempts;
        QueueUnavailable if the lock cannot be had; Stripe's errors.
        """
        key = ReferenceKey(request.account, request.livemode, request.reference)
        busy = QueueUnavailable("another start of this reference takes too long")
        # If the lock expires, the idempotency key still makes one session of two starts.
        with locked(self._redis, f"start:{key.digest}", ttl=LOCK_TTL, wait=LOCK_WAIT, busy=busy):
            record = self._stores.ledger.read_reference(
                request.reference, account=request.account, livemode=request.livemode
            )
            self._refuse_decided(record, request.reverify)
            for session in _open_sessions(record):
                resumed = self._resume(session, request, now)
                if resumed is not None:
                    return Started(resumed.body, resumed=True)
            answer = self._create(key, request, record, now)
            if request.expand:  # with the restricted key, and without the idempotency key
                id = answer.observation.snapshot.id
                answer = self._stripe.fetch(id, request.account, request.expand)
            return Started(answer.body, resumed=False)

    def _refuse_decided(self, record: ReferenceRecord | None, reverify: bool) -> None:
        if record is None:
            return
        if record.standing.status == "verified" and not reverify:
            raise _already_verified()
        if any(session.status == "processing" for session in record.sessions):
            raise _still_processing()
        limit = self._stores.settings.max_attempts
        if limit is not None and record.standing.attempts >= limit:
            raise Conflict("attempts_exhausted", f"all {limit} attempts have failed")

    def _resume(self, session: Session, request: Start, now: int) -> Answer | None:
        """The open session with fresh secrets; None if Stripe says that it is no longer open."""
        try:
            answer = self._stripe.fetch(session.id, request.account, request.expand)
        except SessionMissing:
            return None
        snapshot = answer.observation.snapshot
        if snapshot.status == "requires_input" and snapshot.redaction is None:
            return answer
        # The ledger missed something: an effect merges it, with all it causes.
        occasion = f"{answer.observation.as_of}-start"
        recheck = PendingEffect.on_session(Recheck.kind, session.key, occasion=occasion, now=now)
        self._stores.ledger.add_effects([recheck], now)
        if snapshot.status == "processing":
            raise _still_processing()
        if snapshot.status == "verified" and not request.reverify:
            raise _already_verified()
        return None

    def _create(
        self, key: ReferenceKey, request: Start, record: ReferenceRecord | None, now: int
    ) -> Answer:
        failures = self._failures(key)
        try:
            answer = self._stripe.create(
                dict(request.params),
                request.account,
                _idempotency_key(key, request, record, failures),
            )
        except StripeUnavailable as failure:
            # Stripe would answer a stored 500 again, to the same key, for a day.
            if failure.status is not None and failure.status >= 500:
                self._count_failure(key)
            raise
        # In the ledger before its first event.
        apply_observations([answer.observation], self._stores, now)
        return answer

    def _failures(self, key: ReferenceKey) -> int:
        with translated_errors():
            return int(self._redis.get(_failures_key(key)) or 0)

    def _count_failure(self, key: ReferenceKey) -> None:
        with translated_errors():
            self._redis.incr(_failures_key(key))
            self._redis.expire(_failures_key(key), FAILURES_TTL)


def _open_sessions(record: ReferenceRecord | None) -> list[Session]:
    """Those that the person can still continue, newest first."""
    sessions = record.sessions if record is not None else ()
    return [s for s in sessions if s.status == "requires_input" and s.snapshot.redaction is None]


def _idempotency_key(
    key: ReferenceKey, request: Start, record: ReferenceRecord | None, failures: int
) -> str:
    """The same for two starts that should give one session, even if a process died in between."""
    known = sorted(session.id for session in record.sessions) if record is not None else []
    text = json.dumps([key.digest, known, failures, request.params], sort_keys=True)
    return "start-" + sha256(text.encode()).hexdigest()


def _failures_key(key: ReferenceKey) -> str:
    return f"identity:start-failures:{key.digest}"


def _already_verified() -> Conflict:
    return Conflict("reference_verified", "already verified: send reverify=true to ask anew")


def _still_processing() -> Conflict:
    return Conflict("session_processing", "a submission is being processed: wait for it")
