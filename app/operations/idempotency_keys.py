"""Idempotency keys of starts: the callers', for us, and ours, for Stripe.

https://docs.stripe.com/api/idempotent_requests
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from hashlib import sha256
from typing import Any, cast

from redis import Redis

from app.domain.errors import IdempotencyKeyReused
from app.domain.standing import ReferenceKey
from app.queue.connection import translated_errors

# Seconds. Stripe gives an answer again for at least a day, a stored failure too.
KEPT = 86_400


class CallersKey:
    """A key that the caller has given: the same key and parameters start the same session.

    Stripe itself sees it only where a session is created, and most starts resume one. Each method
    raises QueueUnavailable.
    """

    def __init__(self, redis: Redis, account: str, livemode: bool, key: str, asked: Any) -> None:
        """Redis keeps digests, and the session's id. `asked` are all parameters of the start."""
        self._redis = redis
        self._key = key
        # Half a digest tells keys apart as well; SDKs send one with every call.
        self._name = f"identity:idempotency:{_digest([account, livemode, key])[:32]}"
        self._asked = _digest(asked)[:32]

    def claim(self) -> str | None:
        """The session that was started with the key; None if none was yet.

        Raises IdempotencyKeyReused if it came with other parameters before.
        """
        with translated_errors():
            self._redis.set(self._name, self._asked, nx=True, ex=KEPT)
            found = cast(bytes | None, self._redis.get(self._name))
        before, _, session = (found or self._asked.encode()).decode().partition(" ")
        if before != self._asked:
            raise IdempotencyKeyReused(self._key)
        return session or None

    def keep(self, session: str) -> None:
        """The key has started this session."""
        with translated_errors():
            self._redis.set(self._name, f"{self._asked} {session}", ex=KEPT)

    def forget(self) -> None:
        """What came with it was refused: it may come again with other parameters."""
        with translated_errors():
            self._redis.delete(self._name)


class StartKeys:
    """Our own keys, for the starts of one reference whose caller gives none.

    Each method raises QueueUnavailable.
    """

    def __init__(self, redis: Redis, reference: ReferenceKey) -> None:
        """Redis counts the failures that Stripe has stored."""
        self._redis = redis
        self._reference = reference
        self._failures = f"identity:start-failures:{reference.digest}"

    def key(self, params: Mapping[str, Any], over: Collection[str]) -> str:
        """The same for two starts that should give one session, even if a process died in between.

        `over` are the reference's sessions that are not open: after them another one is due.
        """
        with translated_errors():
            failures = int(self._redis.get(self._failures) or 0)
        return "start-" + _digest([self._reference.digest, sorted(over), failures, params])

    def count_failure(self) -> None:
        """Change the keys: Stripe would answer a stored 500 again, to the same key, for a day."""
        with translated_errors():
            self._redis.incr(self._failures)
            self._redis.expire(self._failures, KEPT)


def _digest(value: Any) -> str:
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
