"""What the provider has answered, kept for a while for all who sign in."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from app.domain.errors import IdentityError

T = TypeVar("T")

# Seconds for which an answer is good, for which a failure is told without asking again, and which
# have to pass before an answer that is still good is asked for anew: strangers decide how often
# that is wished for.
GOOD_FOR, FAILED_FOR, AT_MOST_EVERY = 3600.0, 5.0, 60.0


class Kept(Generic[T]):
    """One answer. One thread asks at a time, and the others take what it is told."""

    def __init__(self, fetch: Callable[[], T], monotonic: Callable[[], float]) -> None:
        """`fetch` asks, and raises an IdentityError if that fails; `monotonic` gives seconds."""
        self._fetch = fetch
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._answer: T | None = None
        self._answered_at = -GOOD_FOR
        self._failure: IdentityError | None = None
        self._failed_at = -GOOD_FOR

    def get(self) -> T:
        """The answer. Raises what `fetch` does."""
        with self._lock:
            if self._answer is None or self._since(self._answered_at) >= GOOD_FOR:
                return self._ask()
            return self._answer

    def get_newer(self) -> T:
        """The same, asked for anew unless that was tried just now."""
        with self._lock:
            tried_at = max(self._answered_at, self._failed_at)
            if self._answer is None or self._since(tried_at) >= AT_MOST_EVERY:
                return self._ask()
            return self._answer

    def _since(self, moment: float) -> float:
        return self._monotonic() - moment

    def _ask(self) -> T:
        if self._failure is not None and self._since(self._failed_at) < FAILED_FOR:
            raise self._failure.with_traceback(None)
        try:
            self._answer, self._failure = self._fetch(), None
        except IdentityError as failure:
            self._failure, self._failed_at = failure, self._monotonic()
            raise
        self._answered_at = self._monotonic()
        return self._answer
