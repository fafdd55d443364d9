"""Where the person of a session returns to. Stripe takes it at creation and never shows it again.

(https://docs.stripe.com/api/identity/verification_sessions/object: the object has no `return_url`.)
"""

from __future__ import annotations

import json
from collections.abc import Collection
from hashlib import sha256
from typing import Any, cast

from redis import Redis

from app.domain.durations import DAY
from app.domain.snapshot import SessionKey
from app.queue.connection import translated_errors

# Seconds. Who comes back later gets another session: what is lost by that is only a link, which is
# good for two days.
KEPT = 7 * DAY


class ReturnUrls:
    """The digests of the return addresses that we gave. Each method raises QueueUnavailable."""

    def __init__(self, redis: Redis) -> None:
        """Redis keeps digests: an address may name the person."""
        self._redis = redis

    def keep(self, session: SessionKey, url: Any) -> None:
        """Remember the address of a session; None is none."""
        if url is not None:
            with translated_errors():
                self._redis.set(_name(session), _digest(session, url), ex=KEPT)

    def differs(self, session: SessionKey, url: Any) -> bool:
        """Whether the session may lead back to another address than this. None asks for none."""
        if url is None:
            return False
        with translated_errors():
            found = cast(bytes | None, self._redis.get(_name(session)))
        return found is None or found.decode() != _digest(session, url)

    def forget(self, sessions: Collection[SessionKey]) -> None:
        """Remember nothing of these sessions."""
        if sessions:
            with translated_errors():
                self._redis.delete(*(_name(session) for session in sessions))


def _name(session: SessionKey) -> str:
    return f"identity:return-url:{session.id}"


def _digest(session: SessionKey, url: Any) -> str:
    return sha256(json.dumps([*session, url]).encode()).hexdigest()[:32]
