"""A store that is away, in few lines: one when it begins, one a minute, one when it is over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from app.domain.errors import StoreFailure
from app.logs import get_logger

log = get_logger("outages")

# Seconds between two lines about the same outage.
INTERVAL = 60.0
# Seconds after which an outage of which nobody has told counts as over: its process died in it.
FORGOTTEN = 3 * INTERVAL


class Lines(NamedTuple):
    """What writes the lines about one store."""

    begins: Callable[[StoreFailure], object]
    lasts: Callable[[StoreFailure, int], object]  # and for how many seconds
    ends: Callable[[int], object]  # after how many


LINES = {
    "Redis": Lines(
        lambda why: log.warning("waiting for Redis", error=str(why), code=why.code),
        lambda why, seconds: log.warning(
            "still waiting for Redis", error=str(why), code=why.code, for_seconds=seconds
        ),
        lambda seconds: log.info("Redis is back", after_seconds=seconds),
    ),
    "ledger": Lines(
        lambda why: log.warning("the ledger is away", error=str(why), code=why.code),
        lambda why, seconds: log.warning(
            "the ledger is still away", error=str(why), code=why.code, for_seconds=seconds
        ),
        lambda seconds: log.info("the ledger is back", after_seconds=seconds),
    ),
}
STORES = tuple(LINES)
# Numbers that processes share: for each store since when it is away, and when that was last told.
SHARED = 2 * len(STORES)


class Times(Protocol):
    """Numbers that can be shared: a list, or an array of shared memory."""

    def __getitem__(self, index: int, /) -> float:
        """One of them."""

    def __setitem__(self, index: int, value: float, /) -> None:
        """Set one of them."""


class Outages:
    """Tells of outages. Threads may share one, and processes its numbers.

    A store is away from the first step that fails for its sake until one of those steps succeeds.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, shared: Times | None = None
    ) -> None:
        """`clock` gives seconds, never 0. `shared` has SHARED zeros, for processes that share it.

        Nothing locks it: a process may be killed at any point. Two that notice something in the
        same moment may both write a line.
        """
        self._clock = clock
        self._times: Times = [0.0] * SHARED if shared is None else shared
        self._failing: dict[str, str] = {}  # the store, by step
        self._lock = threading.Lock()

    def failed(self, step: str, failure: StoreFailure) -> None:
        """A step could not be done, as a store is away."""
        began_at, told_at = self._places(failure.store)
        now = self._clock()
        with self._lock:
            self._failing[step] = failure.store
            quiet = now - self._times[told_at]
            began = self._times[began_at] if quiet < FORGOTTEN else 0.0
            if began and quiet < INTERVAL:
                return
            self._times[began_at], self._times[told_at] = began or now, now
        lines = LINES[failure.store]
        if began:
            lines.lasts(failure, round(now - began))
        else:
            lines.begins(failure)

    def succeeded(self, step: str) -> None:
        """A step was done: the store it had failed for, if there is one, is back."""
        with self._lock:
            store = self._failing.pop(step, None)
            if store is None:
                return
            began_at, told_at = self._places(store)
            began = self._times[began_at]
            self._times[began_at] = self._times[told_at] = 0.0
        if began:  # else another process, or step, has told it
            LINES[store].ends(round(self._clock() - began))

    def _places(self, store: str) -> tuple[int, int]:
        """Where of a store's numbers is since when it is away, and when that was last told."""
        number = STORES.index(store)
        return number, number + len(STORES)
