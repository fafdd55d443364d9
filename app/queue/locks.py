"""Locks in Redis: what one process at a time may do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from redis import Redis
from redis.exceptions import LockError, RedisError

from app.domain.errors import IdentityError
from app.queue.connection import translated_errors


def break_lock(redis: Redis, name: str) -> None:
    """Whoever asks for the lock of this name next has it. Raises QueueUnavailable."""
    with translated_errors():
        redis.delete(f"identity:{name}")


@contextmanager
def locked(
    redis: Redis, name: str, *, ttl: float, busy: IdentityError, wait: float = 0
) -> Iterator[Callable[[], None]]:
    """Hold the lock of this name during the block, for `ttl` seconds at most.

    Gives a function that makes them `ttl` seconds from its call on, and raises `busy` if the lock
    has expired by then. Raises `busy` if another process has it, and does not give it back within
    `wait` seconds; QueueUnavailable.
    """
    lock = redis.lock(f"identity:{name}", timeout=ttl)
    with translated_errors():
        if not lock.acquire(blocking_timeout=wait):
            raise busy

    def extend() -> None:
        with translated_errors():
            try:
                lock.reacquire()
            except LockError:
                raise busy from None

    try:
        yield extend
    finally:
        with suppress(LockError, RedisError):  # it has expired, or will
            lock.release()
