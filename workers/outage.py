"""While the ledger is away a worker claims nothing: what waits comes back with it, at once."""

from __future__ import annotations

from collections.abc import Callable

from rq.timeouts import JobTimeoutException

from app.domain.errors import StoreFailure
from app.ledger.engine import LedgerBroken, LedgerTooNew, LedgerUnavailable
from app.outages import Outages
from workers.time_limit import TimeLimit

# Seconds between two looks whether the ledger is back: first, and at most.
FIRST_WAIT, MAX_WAIT = 0.5, 5.0
# The step that fails while it is away.
ASK = "ask the ledger"


class Outage:
    """Whether the ledger is away, as far as this worker knows: it asks only after a failure."""

    def __init__(
        self,
        check: Callable[[], object],
        limit: float,
        outages: Outages | None = None,
        check_schema: Callable[[], object] = lambda: None,
    ) -> None:
        """`check()` raises LedgerUnavailable if the ledger is away.

        `check_schema()` raises LedgerTooNew if this release is too old for it. Both together get
        `limit` seconds. `outages` tells the log.
        """
        self._check = check
        self._check_schema = check_schema
        self._limit = limit
        self._outages = outages or Outages()
        self._wait = FIRST_WAIT
        self._failure = LedgerUnavailable("the ledger is away")  # the last
        self.on = False

    def explains(self, error: Exception) -> bool:
        """Whether a job failed as the ledger is away, and not by what it asked of it."""
        if isinstance(
            error, LedgerBroken
        ):  # the schema may ask for what this release does not give
            return self.begins_by_schema()
        if not isinstance(error, LedgerUnavailable):
            return False
        self._failure = error
        if self._answers():
            return False
        self._begin()
        return True

    def begins_by_schema(self) -> bool:
        """Look whether this release has become too old for the ledger: as if that were away."""
        try:
            with TimeLimit(self._limit, JobTimeoutException):  # type: ignore[no-untyped-call]  # RQ's
                self._check_schema()
        except LedgerTooNew as failure:
            self._failure = failure
            self._begin()
        except (StoreFailure, JobTimeoutException):
            return False  # a job finds out whether the ledger is away
        return self.on

    def lasts(self) -> bool:
        """Look whether it still is."""
        if not self.on:
            return False
        self.on = not self._answers()
        if self.on:
            self._outages.failed(ASK, self._failure)
        else:
            self._outages.succeeded(ASK)
        return self.on

    def _begin(self) -> None:
        self._outages.failed(ASK, self._failure)
        self.on, self._wait = True, FIRST_WAIT

    def next_wait(self) -> float:
        """Seconds until the next look, each wait longer than the one before."""
        wait, self._wait = self._wait, min(self._wait * 2, MAX_WAIT)
        return wait

    def _answers(self) -> bool:
        try:
            with TimeLimit(self._limit, JobTimeoutException):  # type: ignore[no-untyped-call]  # RQ's
                self._check_schema()
                self._check()
        except LedgerUnavailable as failure:
            self._failure = failure
            return False
        except JobTimeoutException:
            return False
        return True
