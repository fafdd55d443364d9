"""Open a verification for a reference, or resume the one that is open: never two at once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from redis.exceptions import LockError, RedisError

from app.domain.effects import PendingEffect, Recheck
from app.domain.errors import Conflict, QueueUnavailable
from app.domain.session import Session
from app.domain.standing import ReferenceKey
from app.ledger.rows import ReferenceRecord
from app.operations.apply import apply_observations
from app.queue.connection import translated_errors
from app.stores import Stores
from app.stripe.client import Answer
from app.stripe.errors import SessionMissing, StripeUnavailable

# Seconds one start may take: three calls to Stripe, each of which answers in one or two. After that
# another may begin; Stripe's idempotency key then still makes one session of the two.
LOCK_TTL = 30
# Seconds a start waits for another of the same reference.
LOCK_WAIT = 25
# A stored failure is replayed by Stripe for a day: the key is changed for as long.
FAILURES_KEPT = 86_400


@dataclass(frozen=True, slots=True)
class Started:
    """The session to send the person to. The body holds its secrets."""

    body: dict[str, Any]
    resumed: bool


@dataclass(frozen=True, slots=True)
class Start:
    """What the team's backend asks for."""

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

    def start(self, asked: Start, now: int) -> Started:
        """Resume the open session, or open one; `now` is in Unix seconds.

        Raises Conflict if the reference is verified, processing, or out of attempts;
        QueueUnavailable if the lock cannot be had; Stripe's errors.
        """
        key = ReferenceKey(asked.account, asked.livemode, asked.reference)
        with self._locked(key):
            record = self._stores.ledger.read_reference(
                asked.reference, account=asked.account, livemode=asked.livemode
            )
            self._refuse_decided(record, asked.reverify)
            for session in _open_sessions(record):
                resumed = self._resume(session, asked, now)
                if resumed is not None:
                    return Started(resumed.body, resumed=True)
            answer = self._create(key, asked, record, now)
            if asked.expand:  # by the key that may see it, and apart from the idempotency key
                id = answer.observation.snapshot.id
                answer = self._stripe.fetch(id, asked.account, asked.expand)
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

    def _resume(self, session: Session, asked: Start, now: int) -> Answer | None:
        """The open session with fresh secrets; None if Stripe says that it is open no more."""
        try:
            answer = self._stripe.fetch(session.id, asked.account, asked.expand)
        except SessionMissing:
            return None
        shown = answer.observation.snapshot
        if shown.status == "requires_input" and shown.redaction is None:
            return answer
        # The ledger has missed something: the effects worker merges it, with all it causes.
        occasion = f"{answer.observation.as_of}-start"
        recheck = PendingEffect.on_session(Recheck.kind, session.key, occasion=occasion, now=now)
        self._stores.ledger.add_effects([recheck], now)
        if shown.status == "processing":
            raise _still_processing()
        if shown.status == "verified" and not asked.reverify:
            raise _already_verified()
        return None

    def _create(
        self, key: ReferenceKey, asked: Start, record: ReferenceRecord | None, now: int
    ) -> Answer:
        failures = self._failures(key)
        try:
            answer = self._stripe.create(
                dict(asked.params), asked.account, _idempotency_key(key, asked, record, failures)
            )
        except StripeUnavailable as failure:
            # Stripe would answer a stored 500 again, to the same key, for a day.
            if failure.status is not None and failure.status >= 500:
                self._count_failure(key)
            raise
        # In the ledger before its first event.
        apply_observations([answer.observation], self._stores, now)
        return answer

    @contextmanager
    def _locked(self, key: ReferenceKey) -> Iterator[None]:
        lock = self._redis.lock(f"identity:start:{key.digest}", timeout=LOCK_TTL)
        with translated_errors():
            if not lock.acquire(blocking=True, blocking_timeout=LOCK_WAIT):
                raise QueueUnavailable("another start of this reference takes too long")
        try:
            yield
        finally:
            # If it ran out, or will: the idempotency key holds though two ran at once.
            with suppress(LockError, RedisError):
                lock.release()

    def _failures(self, key: ReferenceKey) -> int:
        with translated_errors():
            return int(self._redis.get(_failures_key(key)) or 0)

    def _count_failure(self, key: ReferenceKey) -> None:
        with translated_errors():
            self._redis.incr(_failures_key(key))
            self._redis.expire(_failures_key(key), FAILURES_KEPT)


def _open_sessions(record: ReferenceRecord | None) -> list[Session]:
    """Those that the person may still go on with, the newest first."""
    sessions = record.sessions if record is not None else ()
    return [s for s in sessions if s.status == "requires_input" and s.snapshot.redaction is None]


def _idempotency_key(
    key: ReferenceKey, asked: Start, record: ReferenceRecord | None, failures: int
) -> str:
    """The same for two starts that should give one session, though a process died in between."""
    known = sorted(session.id for session in record.sessions) if record is not None else []
    told = json.dumps([key.digest, known, failures, asked.params], sort_keys=True)
    return "start-" + sha256(told.encode()).hexdigest()


def _failures_key(key: ReferenceKey) -> str:
    return f"identity:start-failures:{key.digest}"


def _already_verified() -> Conflict:
    return Conflict("reference_verified", "already verified: send reverify=true to ask anew")


def _still_processing() -> Conflict:
    return Conflict("session_processing", "a submission is being processed: wait for it")
