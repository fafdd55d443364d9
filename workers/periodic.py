"""The clock's long tasks, which ask Stripe: beside its ticks, and one at a time over all hosts."""

from __future__ import annotations

import threading
from collections.abc import Callable

from redis.exceptions import LockError
from redis.lock import Lock

from app.domain.errors import Transient
from app.logs import get_logger
from app.operations.backfill import Backfill
from app.operations.sweep import sweep
from app.queue.connection import translated_errors
from app.queue.retry_policy import describe
from app.stripe.client import StripeApi
from workers.context import Context

log = get_logger("clock")

# Seconds from the last step of one run to the first of the next, over all clocks. A clock that dies
# in a run holds up the others for as long.
BACKFILL_INTERVAL = 300.0
SWEEP_INTERVAL = 60.0
# Sessions in one run of the sweep: with some answers a second, the run is over in a minute.
SWEEP_SIZE = 200


class PeriodicLock:
    """The right to run a task. It is not given back but expires: that is what paces the runs.

    If Redis is emptied, the next clock to ask acquires it: a backfill is then what is needed.
    """

    def __init__(self, context: Context, name: str, interval: float) -> None:
        """`interval` is in seconds."""
        # Acquired and extended by different threads of one process, but never by two at once.
        self._lock = Lock(
            context.stores.redis, f"identity:{name}", timeout=interval, thread_local=False
        )

    def acquire(self) -> bool:
        """False if a clock has it, or had it a short while ago."""
        with translated_errors():
            return bool(self._lock.acquire(blocking=False))

    def extend(self) -> bool:
        """The lock lasts longer. False if it was lost: another clock may be at work."""
        with translated_errors():
            try:
                return self._lock.reacquire()
            except LockError:
                return False


class PeriodicTask:
    """One kind of long work, in a thread of its own while it is under way."""

    def __init__(self, name: str, lock: PeriodicLock, work: Callable[[PeriodicLock], None]) -> None:
        """`work` goes on for as long as it can extend the lock."""
        self._name = name
        self._lock = lock
        self._work = work
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Begin, unless it is under way here or anywhere, or was a short while ago."""
        if (self._thread is not None and self._thread.is_alive()) or not self._lock.acquire():
            return
        # A daemon, as the process may end in the middle of it: every step can be done twice.
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def join(self, seconds: float) -> bool:
        """Wait for what is under way; whether it has ended."""
        if self._thread is not None:
            self._thread.join(seconds)
        return self._thread is None or not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._work(self._lock)
        except Transient as error:
            log.warning("not now", step=self._name, error=str(error))
        except Exception as error:  # else Python would print it, with whatever its text quotes
            name, message = describe(error)
            log.error("periodic task failed", step=self._name, error_class=name, error=message)


def periodic_tasks(context: Context) -> list[PeriodicTask]:
    """What a clock does with Stripe: nothing without an API key."""
    stripe = context.stores.stripe
    if stripe is None:
        return []
    return [
        PeriodicTask(
            "backfill",
            PeriodicLock(context, "backfill", BACKFILL_INTERVAL),
            lambda lock: backfill(context, stripe, lock),
        ),
        PeriodicTask(
            "sweep",
            PeriodicLock(context, "sweep", SWEEP_INTERVAL),
            lambda lock: sweep_due(context, lock),
        ),
    ]


def backfill(context: Context, stripe: StripeApi, lock: PeriodicLock) -> None:
    """Enqueue what no delivery has brought; the rest of a long absence comes in later runs."""
    run = Backfill(
        stripe,
        context.stores,
        now=context.now,
        report=lambda what: log.warning("event not of the form Stripe documents", what=what),
    )
    found = None
    for so_far in run.steps():
        found = so_far
        if not lock.extend() or run.crowded():
            break
    if found is not None and (found.missing or found.unreadable):
        log.warning(
            "events had not come by webhook",
            missing=found.missing,
            unreadable=found.unreadable,
            since=found.since,
            reached=found.reached,
        )


def sweep_due(context: Context, lock: PeriodicLock) -> None:
    """Ask about the sessions that are due."""
    for _ in sweep(context.stores, limit=SWEEP_SIZE, now=context.now):
        if not lock.extend():
            return
