"""Reads that a store's absence does not end, and that all who ask at once share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from redis.exceptions import RedisError

from app.domain.errors import StoreFailure
from app.domain.standing import ReferenceKey

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
    """A reading for all who ask: made anew once it is too old, by one thread at a time."""

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
        with self._lock:
            if self._found is None or self._monotonic() >= self._found[1]:
                found = self._read()
                self._found = found, self._monotonic() + self._seconds
            return self._found[0]


def user_of(payload: Mapping[str, Any]) -> str | None:
    """What tells the user of a job from others: its reference's key, else its session's id."""
    if payload.get("reference_key"):  # a notification's
        return str(payload["reference_key"])
    if payload.get("reference") is None:
        return str(payload["session_id"]) if payload.get("session_id") else None
    account, livemode = str(payload.get("account", "")), bool(payload.get("livemode"))
    purpose = str(payload.get("purpose", ""))
    return ReferenceKey(account, livemode, str(payload["reference"]), purpose).digest
