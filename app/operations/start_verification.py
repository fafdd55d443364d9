"""Open a verification for a reference, or resume the one that is open: never two at once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from redis.exceptions import LockError, RedisError

from app.domain.effects import CheckBack, EffectRow, Policy, tell
from app.domain.errors import Conflict, QueueUnavailable
from app.domain.session import Session
from app.ledger.ledger import Ledger
from app.ledger.rows import ReferenceRecord, reference_key
from app.queue.connection import translated_errors
from app.queue.jobs import JobQueue
from app.queue.model import effect_job
from app.stripe_api import Answer, StripeApi, StripeRefused, StripeUnavailable

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

    def __init__(
        self, stripe: StripeApi, ledger: Ledger, effects: JobQueue, policy: Policy
    ) -> None:
        """Redis keeps the locks; of `policy`, `max_attempts` and `notify` count."""
        self._stripe = stripe
        self._ledger = ledger
        self._effects = effects
        self._redis = effects.connection
        self._policy = policy

    def start(self, asked: Start, now: int) -> Started:
        """Resume the open session, or open one; `now` is in Unix seconds.

        Raises Conflict where the reference is verified, processing, or out of attempts;
        QueueUnavailable where the lock cannot be had; Stripe's errors.
        """
        key = reference_key(asked.account, asked.livemode, asked.reference)
        with self._locked(key):
            record = self._ledger.read_reference(
                asked.reference, account=asked.account, livemode=asked.livemode
            )
            self._refuse_where_decided(record, asked.reverify)
            for session in _open_sessions(record):
                resumed = self._resume(session, asked, now)
                if resumed is not None:
                    return Started(resumed.body, resumed=True)
            answer = self._create(key, asked, record, now)
            if asked.expand:  # by the key that may see it, and apart from the idempotency key
                answer = self._stripe.fetch(
                    answer.observation.session_id, asked.account, asked.expand
                )
            return Started(answer.body, resumed=False)

    def _refuse_where_decided(self, record: ReferenceRecord | None, reverify: bool) -> None:
        if record is None:
            return
        if record.standing.status == "verified" and not reverify:
            raise Conflict("reference_verified", "already verified: send reverify=true to ask anew")
        if any(session.status == "processing" for session in record.sessions):
            raise Conflict("session_processing", "a submission is being processed: wait for it")
        limit = self._policy.max_attempts
        if limit is not None and record.standing.attempts >= limit:
            raise Conflict("attempts_exhausted", f"all {limit} attempts have failed")

    def _resume(self, session: Session, asked: Start, now: int) -> Answer | None:
        """The open session with fresh secrets; None where Stripe says that it is open no more."""
        try:
            answer = self._stripe.fetch(session.id, asked.account, asked.expand)
        except StripeRefused as refusal:
            if refusal.code == "resource_missing":
                return None
            raise
        seen = answer.observation
        if seen.status == "requires_input" and seen.redaction is None:
            return answer
        # The ledger has missed something: the effects worker merges it, with all it causes.
        self._ledger.add_effects([_check_back(session, seen.as_of, now)], now)
        if seen.status == "processing":
            raise Conflict("session_processing", "a submission is being processed: wait for it")
        if seen.status == "verified" and not asked.reverify:
            raise Conflict("reference_verified", "already verified: send reverify=true to ask anew")
        return None

    def _create(self, key: str, asked: Start, record: ReferenceRecord | None, now: int) -> Answer:
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
        applied = self._ledger.apply(answer.observation, decide=tell, policy=self._policy, now=now)
        with suppress(QueueUnavailable):  # else the clock finds them in the ledger
            self._effects.accept_all([effect_job(row, now) for row in applied.effects])
        return answer

    @contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        lock = self._redis.lock(f"identity:start:{key}", timeout=LOCK_TTL)
        with translated_errors():
            if not lock.acquire(blocking=True, blocking_timeout=LOCK_WAIT):
                raise QueueUnavailable("another start of this reference takes too long")
        try:
            yield
        finally:
            # Where it ran out, or will: the idempotency key holds though two ran at once.
            with suppress(LockError, RedisError):
                lock.release()

    def _failures(self, key: str) -> int:
        with translated_errors():
            return int(self._redis.get(f"identity:start-failures:{key}") or 0)

    def _count_failure(self, key: str) -> None:
        with translated_errors():
            self._redis.incr(f"identity:start-failures:{key}")
            self._redis.expire(f"identity:start-failures:{key}", FAILURES_KEPT)


def _open_sessions(record: ReferenceRecord | None) -> list[Session]:
    """Those that the person may still go on with, the newest first."""
    sessions = record.sessions if record is not None else ()
    return [s for s in sessions if s.status == "requires_input" and s.redaction is None]


def _idempotency_key(key: str, asked: Start, record: ReferenceRecord | None, failures: int) -> str:
    """The same for two starts that should give one session, though a process died in between."""
    known = sorted(session.id for session in record.sessions) if record is not None else []
    told = json.dumps([key, known, failures, asked.params], sort_keys=True)
    return "start-" + sha256(told.encode()).hexdigest()


def _check_back(session: Session, as_of: int, now: int) -> EffectRow:
    mark = f"{as_of}-start"
    return EffectRow.asked(
        CheckBack.kind, session.id, session.account, session.livemode, mark=mark, now=now
    )
