"""The clock's long rounds, which ask Stripe: beside its ticks, and one at a time over all hosts."""

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
from app.stripe_api import StripeApi
from workers.failures import describe
from workers.jobs import Context

log = get_logger("clock")

# Seconds from the last step of one round to the first of the next, over all clocks. A clock that
# dies in a round holds up the others for as long.
BACKFILL_EVERY = 300.0
SWEEP_EVERY = 60.0
# Sessions in one round of the sweep: with some answers a second, the round is over in a minute.
SWEPT_AT_ONCE = 200


class Turn:
    """The right to do a round. It is not given back, but runs out: that is what paces the rounds.

    Where Redis is emptied, the next clock to ask takes it: a backfill is then what is needed.
    """

    def __init__(self, context: Context, name: str, every: float) -> None:
        """`every` is in seconds."""
        # Taken and kept by different threads of one process, but never by two at once.
        self._lock = Lock(
            context.events.connection, f"identity:{name}", timeout=every, thread_local=False
        )

    def take(self) -> bool:
        """False where a clock has it, or had it a short while ago."""
        with translated_errors():
            return bool(self._lock.acquire(blocking=False))

    def keep(self) -> bool:
        """The turn lasts longer. False where it was lost: another clock may be at work."""
        with translated_errors():
            try:
                return self._lock.reacquire()
            except LockError:
                return False


class Round:
    """One kind of long work, in a thread of its own while it is under way."""

    def __init__(self, name: str, turn: Turn, work: Callable[[Turn], None]) -> None:
        """`work` goes on for as long as it can keep the turn."""
        self._name = name
        self._turn = turn
        self._work = work
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Begin, unless it is under way here or anywhere, or was a short while ago."""
        if (self._thread is not None and self._thread.is_alive()) or not self._turn.take():
            return
        # A daemon, as the process may end in the middle of it: every step is done twice as well.
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def join(self, seconds: float) -> bool:
        """Wait for what is under way; whether it has ended."""
        if self._thread is not None:
            self._thread.join(seconds)
        return self._thread is None or not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._work(self._turn)
        except Transient as error:
            log.warning("not now", step=self._name, error=str(error))
        except Exception as error:  # else Python would print it, with whatever its text quotes
            name, message = describe(error)
            log.error("round broken off", step=self._name, error_class=name, error=message)


def rounds_of(context: Context) -> list[Round]:
    """What a clock does with Stripe: nothing without an API key."""
    stripe = context.stripe
    if stripe is None:
        return []
    return [
        Round(
            "backfill",
            Turn(context, "backfill", BACKFILL_EVERY),
            lambda turn: backfill(context, stripe, turn),
        ),
        Round(
            "sweep",
            Turn(context, "sweep", SWEEP_EVERY),
            lambda turn: sweep_due(context, stripe, turn),
        ),
    ]


def backfill(context: Context, stripe: StripeApi, turn: Turn) -> None:
    """Accept what no delivery has brought; the rest of a long absence comes in later rounds."""
    run = Backfill(
        stripe,
        context.ledger,
        context.events,
        context.effects,
        metadata_keys=context.settings.reference_metadata_keys,
        livemode=context.settings.livemode,
        now=context.now,
        tell=lambda what: log.warning("event not of the form Stripe documents", what=what),
    )
    found = None
    for so_far in run.steps():
        found = so_far
        if not turn.keep() or run.crowded():
            break
    if found is not None and (found.missing or found.unreadable):
        log.warning(
            "events had not come by webhook",
            missing=found.missing,
            unreadable=found.unreadable,
            since=found.since,
            reached=found.reached,
        )


def sweep_due(context: Context, stripe: StripeApi, turn: Turn) -> None:
    """Ask about the sessions that are due."""
    for _ in sweep(
        stripe,
        context.ledger,
        context.apply,
        livemode=context.settings.livemode,
        most=SWEPT_AT_ONCE,
        now=context.now,
    ):
        if not turn.keep():
            return
