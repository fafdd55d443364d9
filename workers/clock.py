"""What happens by time alone: lost leases, due jobs, effects whose process died, Stripe asked."""

from __future__ import annotations

import time
from collections.abc import Callable

from app.domain.errors import Permanent, Transient
from app.logs import get_logger
from app.operations.effects import enqueue_unsent
from workers.context import Context
from workers.periodic import periodic_tasks

log = get_logger("clock")

# Seconds between two looks at the leases and at what is due.
TICK = 1.0
# Seconds between two looks at the ledger for effects that no queue holds.
EFFECTS_INTERVAL = 15.0
# Seconds an effect may wait for its own process to enqueue it.
EFFECT_GRACE = 30
# Seconds past its time after which an effect is enqueued again, in case Redis was lost. One that is
# still there, or is a dead letter, stays as it is.
EFFECT_OVERDUE = 3600
# Seconds between two looks whether it is time for one of the tasks that ask Stripe.
TASKS_INTERVAL = 5.0


class Clock:
    """One of any number of clocks: each step is atomic or can be done twice."""

    def __init__(self, context: Context, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`monotonic` gives seconds for the clock's own rhythm."""
        self._context = context
        self._monotonic = monotonic
        self._next_effects = self._next_tasks = monotonic()
        self._tasks = periodic_tasks(context)

    def run_once(self) -> None:
        """Do all that is due now. What a store cannot take now is tried at the next turn."""
        for queue in (self._context.stores.events, self._context.stores.effects):
            self._try(f"rescue {queue.spec.name}", queue.rescue)
            self._try(f"promote {queue.spec.name}", queue.promote)
        if self._monotonic() >= self._next_effects:
            self._next_effects = self._monotonic() + EFFECTS_INTERVAL
            self._try("enqueue effects", self.enqueue_effects)
        if self._monotonic() >= self._next_tasks:
            self._next_tasks = self._monotonic() + TASKS_INTERVAL
            for task in self._tasks:  # they go on beside the ticks, which must not wait for Stripe
                self._try("begin a periodic task", task.begin)

    def enqueue_effects(self) -> int:
        """Enqueue the effects that no queue may hold; returns how many."""
        now, stores = self._context.now(), self._context.stores
        return enqueue_unsent(
            stores.effects,
            stores.ledger,
            before=int(now) - EFFECT_GRACE,
            overdue=int(now) - EFFECT_OVERDUE,
            now=now,
        )

    def _try(self, what: str, step: Callable[[], object]) -> None:
        try:
            step()
        except Transient as error:
            log.warning("not now", step=what, error=str(error))
        except Permanent as error:  # the other steps still have to be done
            log.error("step failed", step=what, error=str(error))
