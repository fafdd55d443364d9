"""Reads that a store's absence does not end, and that all who ask at once share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar, cast

from redis.exceptions import RedisError

from app.domain.errors import StoreFailure

T = TypeVar("T")

REDIS, LEDGER = "Redis", "ledger"


class Faults:
    """What is wrong with each store. One that is away is asked no more: each call takes long."""

    def __init__(self) -> None:
        self._by_store: dict[str, str] = {}

    def read(self, store: str, read: Callable[[], T]) -> T | None:
        """What `read` gives, which asks this store alone; None if the store is away."""
        if store in self._by_store:
            return None
        try:
            return read()
        except StoreFailure as failure:
            self._by_store[store] = str(failure)
        except RedisError as failure:  # no right to a command: its text may quote what was sent
            self._by_store[store] = f"Redis refuses what it is asked ({type(failure).__name__})"
        return None

    def of(self, store: str) -> str:
        """What is wrong with it, and what to do; "" if it answers."""
        return self._by_store.get(store, "")

    def lines(self) -> tuple[str, ...]:
        """All of it."""
        return tuple(self._by_store.values())


class Kept(Generic[T]):
    """A reading for all who ask: made anew once it is too old, by one of them at a time.

    The others are given the one before meanwhile; only for the first do they wait.
    """

    def __init__(
        self,
        read: Callable[[], T],
        seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """It is kept for `seconds`; `monotonic` gives seconds."""
        self._read = read
        self._seconds = seconds
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._found: tuple[T, float] | None = None

    def get(self) -> T:
        """The reading, a new one if there is none that is young enough."""
        found = self._found
        if found is not None and self._monotonic() < found[1]:
            return found[0]
        if not self._lock.acquire(blocking=found is None):
            return cast(tuple[T, float], found)[0]
        try:
            if self._found is found:  # nobody has read while this one waited
                self._found = self._read(), self._monotonic() + self._seconds
            return cast(tuple[T, float], self._found)[0]
        finally:
            self._lock.release()
