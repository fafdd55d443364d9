"""When each signing secret was last used by a delivery, as the web processes have noted it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import cast

from redis import Redis

from app.configuration.credentials import SigningSecret
from app.queue.connection import translated_errors

KEY = "identity:signing_secrets"


def fingerprint(signing: SigningSecret) -> str:
    """What tells the secret from others, and cannot be turned back into it."""
    return hashlib.sha256(str(signing.secret).encode()).hexdigest()[:8]


def read_secret_use(redis: Redis, secrets: Sequence[SigningSecret]) -> dict[SigningSecret, int]:
    """When each was last used, in Unix seconds; 0 for never. Raises QueueUnavailable."""
    if not secrets:
        return {}
    with translated_errors():
        found = cast(
            list[bytes | None], redis.hmget(KEY, [fingerprint(signing) for signing in secrets])
        )
    return {signing: int(at or 0) for signing, at in zip(secrets, found, strict=True)}
