"""What happens by time alone: lost leases, due jobs, effects whose process died, Stripe asked."""

from __future__ import annotations

import time
from collections.abc import Callable

from app.domain.errors import Permanent, Transient
from app.logs import get_logger
from app.queue.model import effect_job
from workers.jobs import Context
from workers.rounds import rounds_of

log = get_logger("clock")

# Seconds between two looks at the leases and at what is due.
TICK = 1.0
# Seconds between two looks at the ledger for effects that no queue holds.
EFFECTS_EVERY = 15.0
# Seconds an effect may wait for its own process to queue it.
EFFECT_GRACE = 30
# Seconds past its time after which an effect is put into the queue again, in case Redis was lost.
# One that is still there, or is a dead letter, stays as it is.
EFFECT_OVERDUE = 3600
EFFECTS_AT_ONCE = 500
# Seconds between two looks whether it is time for one of the rounds that ask Stripe.
ROUNDS_EVERY = 5.0


class Clock:
    """One of any number of clocks: each step is atomic or can be done twice."""

    def __init__(self, context: Context, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`monotonic` gives seconds for the clock's own rhythm."""
        self._context = context
        self._monotonic = monotonic
        self._next_effects = self._next_rounds = monotonic()
        self._rounds = rounds_of(context)

    def run_once(self) -> None:
        """Do all that is due now. What a store cannot take now is tried at the next turn."""
        for queue in (self._context.events, self._context.effects):
            self._try(f"release {queue.queue.name}", queue.release)
        if self._monotonic() >= self._next_effects:
            self._next_effects = self._monotonic() + EFFECTS_EVERY
            self._try("queue effects", self.queue_effects)
        if self._monotonic() >= self._next_rounds:
            self._next_rounds = self._monotonic() + ROUNDS_EVERY
            for each in self._rounds:  # they go on beside the ticks, which must not wait for Stripe
                self._try("begin a round", each.begin)

    def queue_effects(self) -> int:
        """Queue the effects that no queue may hold: see `Ledger.effects_due_unsent`."""
        now = self._context.now()
        rows = self._context.ledger.effects_due_unsent(
            int(now) - EFFECT_GRACE, EFFECTS_AT_ONCE, overdue=int(now) - EFFECT_OVERDUE
        )
        if rows:
            self._context.effects.accept_all([effect_job(row, now) for row in rows])
            self._context.ledger.mark_enqueued([row.id for row in rows], int(now))
        return len(rows)

    def _try(self, what: str, step: Callable[[], object]) -> None:
        try:
            step()
        except Transient as error:
            log.warning("not now", step=what, error=str(error))
        except Permanent as error:  # the other steps still have to be done
            log.error("step failed", step=what, error=str(error))
