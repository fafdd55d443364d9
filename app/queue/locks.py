"""Locks in Redis: what one process at a time may do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from redis import Redis
from redis.exceptions import LockError, RedisError

from app.domain.errors import IdentityError
from app.queue.connection import translated_errors


@contextmanager
def locked(
    redis: Redis, name: str, *, ttl: float, busy: IdentityError, wait: float = 0
) -> Iterator[None]:
    """Hold the lock of this name during the block, for `ttl` seconds at most.

    Raises `busy` if another process has it, and does not give it back within `wait` seconds;
    QueueUnavailable.
    """
    lock = redis.lock(f"identity:{name}", timeout=ttl)
    with translated_errors():
        if not lock.acquire(blocking_timeout=wait):
            raise busy
    try:
        yield
    finally:
        with suppress(LockError, RedisError):  # it has expired, or will
            lock.release()
